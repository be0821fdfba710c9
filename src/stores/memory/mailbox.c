/* A mailbox: its making and end, and what is told of it. */
#include "memory.h"

#include <string.h>

/* Above every one that the account has given (op.h).  Seconds that no UIDVALIDITY can be do not count. */
uint32_t mailsrv__memory_new_uidvalidity(struct account *a, int64_t unix_us)
{
    uint64_t seconds = unix_us > 0 ? (uint64_t)unix_us / 1000000 : 0;
    if (a->last_uidvalidity == UINT32_MAX)
        return 0;
    a->last_uidvalidity =
        seconds > a->last_uidvalidity && seconds <= UINT32_MAX ? (uint32_t)seconds : a->last_uidvalidity + 1;
    return a->last_uidvalidity;
}

struct mailbox *mailsrv__memory_mailbox_new(struct memory *m, struct account *a)
{
    struct mailbox *mbox = mailsrv__memory_take(m, sizeof *mbox);
    if (mbox == NULL)
        return NULL;
    mbox->account = a;
    mbox->refs = 1;
    mbox->id = mailsrv__memory_new_id(m);
    mbox->uidnext = 1;
    mbox->rights = MAILSRV_RIGHTS_ALL;
    return mbox;
}

void mailsrv__memory_give_name(struct mailbox *mbox, struct name *name, uint64_t modseq)
{
    name->mailbox = mbox;
    name->modseq = modseq;
    name->forgotten = false;
    name->highest = mbox->uidvalidity;
    mbox->name = name;
}

void mailsrv__memory_mailbox_unref(struct memory *m, struct mailbox *mbox)
{
    if (--mbox->refs == 0)
        mailsrv__memory_give(m, mbox, sizeof *mbox);
}

void mailsrv__memory_mailbox_end(struct memory *m, struct mailbox *mbox)
{
    for (size_t i = 0; i < mbox->shelf.n; i++)
        mbox->account->octets -= mbox->shelf.v[i]->row.octets;
    mailsrv__memory_shelf_free(m, &mbox->shelf);
    mailsrv__memory_dictionary_free(m, mbox);
    mailsrv__memory_forget(m, mbox);
    mbox->gone = true;
    mailsrv__memory_mailbox_unref(m, mbox);
}

struct mailbox *mailsrv__memory_mailbox(const struct account *a, const mailsrv_id *id)
{
    for (size_t i = 0; i < a->n_names; i++)
        if (a->names[i]->mailbox != NULL && mailsrv__memory_same_id(&a->names[i]->mailbox->id, id))
            return a->names[i]->mailbox;
    return NULL;
}

struct mailbox *mailsrv__memory_mailbox_or_inbox(const struct account *a, const mailsrv_id *id)
{
    return mailsrv__memory_no_id(id) ? a->inbox : mailsrv__memory_mailbox(a, id);
}

/* By id, or by name where it is zero. */
static struct mailbox *meant(const struct account *a, const mailsrv_id *id, mailsrv_bytes name)
{
    struct path path;
    if (!mailsrv__memory_no_id(id))
        return mailsrv__memory_mailbox(a, id);
    if (!mailsrv__memory_path(name, &path))
        return NULL;
    const struct name *found = mailsrv__memory_name(a, &path);
    return found != NULL ? found->mailbox : NULL;
}

static uint32_t features(const struct memory *m)
{
    uint32_t features = MAILSRV_MBOX_KEYWORDS;
    if (m->knobs[MAILSRV_MEMORY_HISTORY] != 0)
        features |= MAILSRV_MBOX_HISTORY;
    return m->knobs[MAILSRV_MEMORY_MODSEQS] != 0 ? features : features | MAILSRV_MBOX_NOMODSEQ;
}

static int32_t open(struct memory *m, const struct binding *from, struct mailbox *mbox, bool for_writing,
                    struct reply *r)
{
    struct handle *h = mailsrv__memory_handle_new(m, from, HANDLE_MAILBOX);
    if (h == NULL)
        return MAILSRV_NOMEM;
    h->account = mbox->account;
    h->mailbox = mbox;
    mbox->refs++;
    h->uidvalidity = mbox->uidvalidity;
    r->has_value = true;
    r->value.mbox_opened = (mailsrv_mbox_opened){
        .size = sizeof r->value.mbox_opened,
        .uidvalidity = mbox->uidvalidity,
        .mbox = h->number,
        .mailbox = mbox->id,
        .exists = mbox->shelf.n,
        .modseq = mbox->account->modseq,
        .uidnext = mbox->uidnext,
        .recent = mbox->recent,
        .features = features(m),
        .n_keywords = mbox->n_keywords,
        .keywords = mbox->keywords,
        .rights = mbox->rights,
    };
    if (for_writing)
        mbox->recent = mbox->uidnext - 1;
    return MAILSRV_OK;
}

int32_t mailsrv__memory_mbox_open(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_mbox_open *arg = op->arg;
    const struct handle *store = mailsrv__memory_handle_find(m, arg->store, HANDLE_STORE);
    if (store == NULL)
        return MAILSRV_CANNOT;
    struct mailbox *mbox = meant(store->account, &arg->mailbox, arg->name);
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    if ((mbox->rights & MAILSRV_RIGHT_READ) == 0)
        return MAILSRV_NOPERM;
    return open(m, from, mbox, arg->for_writing != 0, r);
}

static void count(const struct shelf *shelf, mailsrv_mbox_status *to)
{
    to->exists = shelf->n;
    for (size_t i = 0; i < shelf->n; i++) {
        const mailsrv_row *row = &shelf->v[i]->row;
        to->unseen += (row->flags & MAILSRV_FLAG_SEEN) == 0;
        to->deleted += (row->flags & MAILSRV_FLAG_DELETED) != 0;
        to->octets += row->octets;
    }
}

int32_t mailsrv__memory_mbox_status(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_mbox_status *arg = op->arg;
    const struct handle *store = mailsrv__memory_handle_find(m, arg->store, HANDLE_STORE);
    if (store == NULL)
        return MAILSRV_CANNOT;
    const struct mailbox *mbox = meant(store->account, &arg->mailbox, arg->name);
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    if ((mbox->rights & MAILSRV_RIGHT_READ) == 0)
        return MAILSRV_NOPERM;
    r->has_value = true;
    r->value.mbox_status = (mailsrv_mbox_status){
        .size = sizeof r->value.mbox_status,
        .uidvalidity = mbox->uidvalidity,
        .mailbox = mbox->id,
        .modseq = mbox->account->modseq,
        .uidnext = mbox->uidnext,
        .recent = mbox->recent,
        .features = features(m),
        .rights = mbox->rights,
    };
    count(&mbox->shelf, &r->value.mbox_status);
    return MAILSRV_OK;
}
