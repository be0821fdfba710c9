#include "durable.h"

#include <stdlib.h>
#include <string.h>

/* ---- Places ---- */

/* Ids count in their last half, most significant octet first. */
static size_t place(const mailsrv_id *id)
{
    return ((size_t)id->b[14] << 8 | id->b[15]) % KNOWN_PLACES;
}

static struct known_name **place_of_name(struct durable *d, const mailsrv_id *account, mailsrv_bytes text)
{
    const uint32_t hash = mailsrv__durable_crc(0, text.p, text.n);
    return &d->known.names[(place(account) + hash) % KNOWN_PLACES];
}

static struct known_account *account_of(struct durable *d, const mailsrv_id *account)
{
    return &d->known.accounts[place(account)];
}

void mailsrv__durable_known_free(struct durable *d)
{
    for (size_t i = 0; i < KNOWN_PLACES; i++) {
        free(d->known.mailboxes[i]);
        free(d->known.names[i]);
    }
}

/* ---- Versions ---- */

void mailsrv__durable_known_mark(struct changed_accounts *changed, const mailsrv_id *account)
{
    const size_t at = place(account);
    changed->bits[at / 64] |= UINT64_C(1) << at % 64;
}

bool mailsrv__durable_known_is_marked(const struct changed_accounts *changed, const mailsrv_id *account)
{
    const size_t at = place(account);
    return (changed->bits[at / 64] >> at % 64 & 1) != 0;
}

void mailsrv__durable_known_mark_all(struct changed_accounts *changed)
{
    memset(changed, 0xFF, sizeof *changed);
}

static void count(struct durable *d, const struct changed_accounts *changed, uint32_t by)
{
    pthread_mutex_lock(&d->lock);
    for (size_t word = 0; word < KNOWN_PLACES / 64; word++)
        for (size_t bit = 0; bit < 64 && changed->bits[word] >> bit != 0; bit++) {
            if ((changed->bits[word] >> bit & 1) == 0)
                continue;
            d->known.accounts[word * 64 + bit].version++;
            d->known.accounts[word * 64 + bit].changing += by;
        }
    pthread_mutex_unlock(&d->lock);
}

void mailsrv__durable_known_ends(struct durable *d, const struct changed_accounts *changed)
{
    count(d, changed, 1);
}

void mailsrv__durable_known_begins(struct durable *d, const struct changed_accounts *changed)
{
    count(d, changed, UINT32_MAX); /* one less */
}

bool mailsrv__durable_known_is_current(struct durable *d, const mailsrv_id *account, uint32_t version)
{
    const struct known_account *a = account_of(d, account);
    return a->changing == 0 && a->version == version;
}

uint32_t mailsrv__durable_known_version(struct durable *d, const mailsrv_id *account)
{
    pthread_mutex_lock(&d->lock);
    const uint32_t version = account_of(d, account)->version;
    pthread_mutex_unlock(&d->lock);
    return version;
}

/* ---- What becomes known ---- */

/* No account ever goes. */
void mailsrv__durable_know_account(struct durable *d, const mailsrv_id *account)
{
    pthread_mutex_lock(&d->lock);
    account_of(d, account)->there = *account;
    pthread_mutex_unlock(&d->lock);
}

bool mailsrv__durable_known_take_keywords(struct known_mailbox *to, const mailsrv_bytes *names, uint32_t n)
{
    size_t at = 0;
    if (n > KNOWN_KEYWORDS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (names[i].n > sizeof to->keywords - at)
            return false;
        memcpy(to->keywords + at, names[i].p, names[i].n);
        to->keyword_octets[i] = (uint16_t)names[i].n;
        at += names[i].n;
    }
    to->n_keywords = n;
    return true;
}

/* With the lock. */
static void know_name(struct durable *d, const struct known_mailbox *mailbox, mailsrv_bytes name)
{
    struct known_name **at = place_of_name(d, &mailbox->account, name);
    if (*at == NULL)
        *at = calloc(1, sizeof **at);
    if (*at == NULL)
        return;
    **at = (struct known_name){ mailbox->account, mailbox->id, mailbox->version, name.n, { 0 } };
    memcpy((*at)->text, name.p, name.n);
}

void mailsrv__durable_know_mailbox(struct durable *d, const struct known_mailbox *mailbox, mailsrv_bytes name)
{
    struct known_mailbox **at = &d->known.mailboxes[place(&mailbox->id)];
    pthread_mutex_lock(&d->lock);
    if (mailsrv__durable_known_is_current(d, &mailbox->account, mailbox->version)) {
        if (*at == NULL)
            *at = malloc(sizeof **at);
        if (*at != NULL)
            **at = *mailbox;
        if (name.n != 0 && name.n <= KNOWN_NAME_OCTETS)
            know_name(d, mailbox, name);
    }
    pthread_mutex_unlock(&d->lock);
}

/* ---- Looking ---- */

/* With the lock; NULL: it is not known. */
static const struct known_mailbox *find(struct durable *d, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    const struct known_mailbox *m = d->known.mailboxes[place(mailbox)];
    const bool found = m != NULL && mailsrv__durable_same(&m->id, mailbox) &&
                       mailsrv__durable_same(&m->account, account) &&
                       mailsrv__durable_known_is_current(d, account, m->version);
    return found ? m : NULL;
}

/* With the lock. */
static const struct known_mailbox *find_by_name(struct durable *d, const mailsrv_id *account, mailsrv_bytes text)
{
    if (text.n > KNOWN_NAME_OCTETS)
        return NULL;
    const struct known_name *name = *place_of_name(d, account, text);
    const bool found = name != NULL && name->n == text.n && memcmp(name->text, text.p, text.n) == 0 &&
                       mailsrv__durable_same(&name->account, account) &&
                       mailsrv__durable_known_is_current(d, account, name->version);
    return found ? find(d, account, &name->mailbox) : NULL;
}

/* ---- Answers ---- */

static void answer(mailsrv_engine *engine, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = value };
    mailsrv_op_answer(engine, op->id, &a);
}

/* Its keywords from number `first` on; how many. */
static uint32_t keywords_of(const struct known_mailbox *m, uint32_t first, mailsrv_bytes out[KNOWN_KEYWORDS])
{
    const uint8_t *p = m->keywords;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n_keywords; i++) {
        if (i >= first)
            out[n++] = (mailsrv_bytes){ p, m->keyword_octets[i] };
        p += m->keyword_octets[i];
    }
    return n;
}

static bool open_store(struct binding *b, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct durable *d = b->d;
    pthread_mutex_lock(&d->lock);
    const bool is_there = !mailsrv__durable_no_id(&op->account) &&
                          mailsrv__durable_same(&account_of(d, &op->account)->there, &op->account);
    pthread_mutex_unlock(&d->lock);
    struct handle *h = is_there ? mailsrv__durable_handle_new(d, b, HANDLE_STORE) : NULL;
    if (h == NULL)
        return false;
    h->account = op->account;
    const mailsrv_store_opened value = { sizeof value, 0, h->number };
    answer(engine, op, &value);
    return true;
}

/* Makes the handle one of the mailbox, all at one moment: what changes it from then on is told.  False: it is not
 * known. */
static bool open_at_once(struct durable *d, struct handle *h, const mailsrv_arg_mbox_open *arg,
                         struct known_mailbox *is, mailsrv_mbox_opened *out)
{
    uint8_t canonical[MAILSRV_MBOX_NAME_MAX];
    const bool by_id = !mailsrv__durable_no_id(&arg->mailbox);
    if (!by_id && !mailsrv__durable_canonical(arg->name, canonical))
        return false;
    pthread_mutex_lock(&d->lock);
    const struct known_mailbox *m = by_id ? find(d, &h->account, &arg->mailbox)
                                          : find_by_name(d, &h->account, (mailsrv_bytes){ canonical, arg->name.n });
    if (m != NULL) {
        *is = *m;
        mailsrv__durable_opens_as(d, h, m, arg->for_writing != 0, out);
    }
    pthread_mutex_unlock(&d->lock);
    return m != NULL;
}

static bool open_mailbox(struct binding *b, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_mbox_open *arg = op->arg;
    const struct handle *store = mailsrv__durable_handle_find(b->d, arg->store, HANDLE_STORE);
    struct handle *h = store != NULL ? mailsrv__durable_handle_new(b->d, b, HANDLE_MAILBOX) : NULL;
    struct known_mailbox is;
    mailsrv_bytes keywords[KNOWN_KEYWORDS];
    mailsrv_mbox_opened value;
    if (h == NULL)
        return false;
    h->account = store->account;
    if (!open_at_once(b->d, h, arg, &is, &value)) {
        mailsrv__durable_handle_close(b->d, h->number, HANDLE_MAILBOX, 0);
        return false;
    }
    value.n_keywords = keywords_of(&is, 0, keywords);
    value.keywords = keywords;
    answer(engine, op, &value);
    return true;
}

/* Where nothing has changed: the first page, which is the last. */
static bool tell_nothing(struct binding *b, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_changes *arg = op->arg;
    struct durable *d = b->d;
    const struct handle *h =
        arg->cursor.b[0] == 0 ? mailsrv__durable_handle_find(d, arg->mbox, HANDLE_MAILBOX) : NULL;
    struct known_mailbox is;
    mailsrv_bytes keywords[KNOWN_KEYWORDS];
    if (h == NULL)
        return false;
    pthread_mutex_lock(&d->lock);
    const struct known_mailbox *m = find(d, &h->account, &h->mailbox);
    const bool same = m != NULL && m->uidvalidity == h->uidvalidity && m->modseq == arg->since;
    if (same)
        is = *m;
    pthread_mutex_unlock(&d->lock);
    if (!same)
        return false;
    const uint32_t n = keywords_of(&is, arg->n_keywords, keywords);
    const mailsrv_changes value = { .size = sizeof value,
                                    .stride = sizeof(mailsrv_row),
                                    .upto = is.modseq,
                                    .horizon = is.horizon,
                                    .n_keywords = n,
                                    .keywords = keywords };
    answer(engine, op, &value);
    return true;
}

bool mailsrv__durable_answer_known(struct binding *b, mailsrv_engine *engine, const mailsrv_op *op)
{
    switch (op->kind) {
    case MAILSRV_OP_STORE_OPEN:
        return open_store(b, engine, op);
    case MAILSRV_OP_MBOX_OPEN:
        return open_mailbox(b, engine, op);
    case MAILSRV_OP_CHANGES:
        return ((const mailsrv_arg_changes *)op->arg)->mbox != 0 && tell_nothing(b, engine, op);
    default:
        return false;
    }
}
