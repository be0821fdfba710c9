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

static uint32_t recent(struct durable *d, const struct look *look, bool moves)
{
    pthread_mutex_lock(&d->lock);
    if (moves)
        mailsrv__durable_recent_begin(d, &look->id, look->mbox.uidvalidity);
    uint32_t uid = mailsrv__durable_recent(d, &look->id, look->mbox.uidvalidity, moves ? look->mbox.uidnext - 1 : 0);
    pthread_mutex_unlock(&d->lock);
    return uid;
}

int32_t mailsrv__durable_mbox_open(struct durable *d, struct task *t)
{
    const mailsrv_arg_mbox_open *arg = t->op->arg;
    mailsrv_mbox_opened *value = &t->value.mbox_opened;
    mailsrv_bytes *names;
    struct look look;
    uint32_t n;
    int32_t status = look_at(d, arg->store, &arg->mailbox, arg->name, &look);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_dictionary(&d->reader, t, look.mbox.box, 0, &names, &n);
    struct handle *h = status == MAILSRV_OK ? mailsrv__durable_handle_new(d, t->from, HANDLE_MAILBOX) : NULL;
    if (h == NULL)
        return status == MAILSRV_OK ? MAILSRV_NOMEM : status;
    h->account = look.account_id;
    h->mailbox = look.id;
    h->uidvalidity = look.mbox.uidvalidity;
    mailsrv__durable_handle_opens(d, h);
    *value = (mailsrv_mbox_opened){
        .size = sizeof *value,
        .uidvalidity = look.mbox.uidvalidity,
        .mbox = h->number,
        .mailbox = look.id,
        .exists = look.mbox.messages,
        .modseq = look.account.modseq,
        .uidnext = look.mbox.uidnext,
        .recent = recent(d, &look, arg->for_writing != 0),
        .features = FEATURES,
        .n_keywords = n,
        .keywords = names,
        .rights = MAILSRV_RIGHTS_ALL,
    };
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
        .recent = recent(d, &look, false),
        .features = FEATURES,
        .rights = MAILSRV_RIGHTS_ALL,
    };
    t->answer.value = value;
    return MAILSRV_OK;
}
