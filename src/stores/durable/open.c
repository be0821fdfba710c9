/* Opening a store and a mailbox, and looking at one. */
#include "durable.h"

int32_t mailsrv__durable_store_open(struct durable *d, struct task *t)
{
    struct account a;
    int32_t status = mailsrv__durable_account(&d->reader, &t->account, &a);
    if (status != MAILSRV_OK)
        return status;
    struct handle *h = mailsrv__durable_handle_new(d, t->from, HANDLE_STORE);
    if (h == NULL)
        return MAILSRV_NOMEM;
    h->account = t->account;
    mailsrv__durable_know_account(d, &t->account);
    t->value.store_opened = (mailsrv_store_opened){ sizeof t->value.store_opened, 0, h->number };
    t->answer.value = &t->value.store_opened;
    return MAILSRV_OK;
}

struct look {
    mailsrv_id account_id, id;
    struct account account;
    struct mailbox mbox;
};

static int32_t by_name(struct index *x, const mailsrv_id *account, mailsrv_bytes text, mailsrv_id *out)
{
    uint8_t canonical[MAILSRV_MBOX_NAME_MAX];
    struct name name;
    if (!mailsrv__durable_canonical(text, canonical))
        return MAILSRV_NONEXISTENT;
    int32_t status = mailsrv__durable_name(x, account, (mailsrv_bytes){ canonical, text.n }, &name);
    *out = name.mailbox;
    return status == MAILSRV_OK && mailsrv__durable_no_id(out) ? MAILSRV_NONEXISTENT : status;
}

/* A mailbox of the account of a store, by id or by name. */
static int32_t look_at(struct durable *d, uint64_t store, const mailsrv_id *mailbox, mailsrv_bytes name,
                       struct look *out)
{
    const struct handle *h = mailsrv__durable_handle_find(d, store, HANDLE_STORE);
    if (h == NULL)
        return MAILSRV_CANNOT;
    out->account_id = h->account;
    out->id = *mailbox;
    int32_t status = mailsrv__durable_account(&d->reader, &h->account, &out->account);
    if (status == MAILSRV_OK && mailsrv__durable_no_id(mailbox))
        status = by_name(&d->reader, &h->account, name, &out->id);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_mailbox(&d->reader, &out->id, &out->mbox);
    if (status == MAILSRV_OK && !mailsrv__durable_same(&out->mbox.account, &h->account))
        status = MAILSRV_NONEXISTENT;
    return status;
}

#define FEATURES (MAILSRV_MBOX_HISTORY | MAILSRV_MBOX_KEYWORDS)

void mailsrv__durable_opens_as(struct durable *d, struct handle *h, const struct known_mailbox *is, bool to_write,
                               mailsrv_mbox_opened *out)
{
    h->mailbox = is->id;
    h->uidvalidity = is->uidvalidity;
    mailsrv__durable_handle_opens(d, h);
    *out = (mailsrv_mbox_opened){
        .size = sizeof *out,
        .uidvalidity = is->uidvalidity,
        .mbox = h->number,
        .mailbox = is->id,
        .exists = is->exists,
        .modseq = is->modseq,
        .uidnext = is->uidnext,
        .recent = mailsrv__durable_recent_seen(d, &is->id, is->uidvalidity, to_write ? is->uidnext : 0),
        .features = FEATURES,
        .rights = MAILSRV_RIGHTS_ALL,
    };
}

/* For the next time. */
static void keep_in_mind(struct durable *d, const mailsrv_arg_mbox_open *arg, struct known_mailbox *is,
                         const mailsrv_mbox_opened *opened)
{
    uint8_t canonical[MAILSRV_MBOX_NAME_MAX];
    const bool by_name = mailsrv__durable_no_id(&arg->mailbox) && mailsrv__durable_canonical(arg->name, canonical);
    if (mailsrv__durable_known_take_keywords(is, opened->keywords, opened->n_keywords))
        mailsrv__durable_know_mailbox(d, is, (mailsrv_bytes){ canonical, by_name ? arg->name.n : 0 });
}

static uint32_t version_of(struct durable *d, uint64_t store)
{
    const struct handle *h = mailsrv__durable_handle_find(d, store, HANDLE_STORE);
    return h != NULL ? mailsrv__durable_known_version(d, &h->account) : 0;
}

int32_t mailsrv__durable_mbox_open(struct durable *d, struct task *t)
{
    const mailsrv_arg_mbox_open *arg = t->op->arg;
    mailsrv_mbox_opened *value = &t->value.mbox_opened;
    struct known_mailbox is = { .version = version_of(d, arg->store) }; /* before the transaction looks at anything */
    mailsrv_bytes *names;
    struct look look;
    uint32_t n;
    int32_t status = look_at(d, arg->store, &arg->mailbox, arg->name, &look);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_dictionary(&d->reader, t, look.mbox.box, 0, &names, &n);
    struct handle *h = status == MAILSRV_OK ? mailsrv__durable_handle_new(d, t->from, HANDLE_MAILBOX) : NULL;
    if (h == NULL)
        return status == MAILSRV_OK ? MAILSRV_NOMEM : status;
    h->account = is.account = look.account_id;
    is.id = look.id;
    is.uidvalidity = look.mbox.uidvalidity;
    is.uidnext = look.mbox.uidnext;
    is.exists = look.mbox.messages;
    is.modseq = look.account.modseq;
    is.horizon = look.mbox.horizon;
    pthread_mutex_lock(&d->lock);
    mailsrv__durable_opens_as(d, h, &is, arg->for_writing != 0, value);
    if (!mailsrv__durable_known_is_current(d, &is.account, is.version)) /* nobody could be told of that */
        mailsrv__durable_tell_opener(d, h);
    pthread_mutex_unlock(&d->lock);
    value->keywords = names;
    value->n_keywords = n;
    keep_in_mind(d, arg, &is, value);
    t->answer.value = value;
    return MAILSRV_OK;
}

int32_t mailsrv__durable_mbox_status(struct durable *d, struct task *t)
{
    const mailsrv_arg_mbox_status *arg = t->op->arg;
    mailsrv_mbox_status *value = &t->value.mbox_status;
    struct look look;
    int32_t status = look_at(d, arg->store, &arg->mailbox, arg->name, &look);
    if (status != MAILSRV_OK)
        return status;
    pthread_mutex_lock(&d->lock);
    const uint32_t recent = mailsrv__durable_recent_seen(d, &look.id, look.mbox.uidvalidity, 0);
    pthread_mutex_unlock(&d->lock);
    *value = (mailsrv_mbox_status){
        .size = sizeof *value,
        .uidvalidity = look.mbox.uidvalidity,
        .mailbox = look.id,
        .exists = look.mbox.messages,
        .unseen = look.mbox.unseen,
        .deleted = look.mbox.deleted,
        .octets = look.mbox.octets,
        .modseq = look.account.modseq,
        .uidnext = look.mbox.uidnext,
        .recent = recent,
        .features = FEATURES,
        .rights = MAILSRV_RIGHTS_ALL,
    };
    t->answer.value = value;
    return MAILSRV_OK;
}
