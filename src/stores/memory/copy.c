/* COPY: everything that needs memory first, then all at once. */
#include "memory.h"

#include <string.h>

static size_t named(const struct shelf *shelf, const mailsrv_arg_copy *arg)
{
    size_t n = 0;
    for (size_t i = 0; i < shelf->n; i++)
        n += mailsrv__memory_in_runs(arg->uids, arg->n_uids, shelf->v[i]->row.uid);
    return n;
}

/* The copy shares the body, and keeps what makes two messages one: email and uidl (RFC 1939 section 7). */
static struct message *copy_of(struct memory *m, const struct message *message)
{
    mailsrv_bytes prefix = { message->bytes, message->n_prefix };
    struct message *copy = mailsrv__memory_message_new(m, message->body, prefix, message->row.uidl);
    if (copy == NULL)
        return NULL;
    mailsrv_bytes uidl = copy->row.uidl;
    copy->row = message->row;
    copy->row.uidl = uidl;
    return copy;
}

/* Puts copies behind the last message of the shelf, which does not count them yet.  How many there are. */
static size_t make(struct memory *m, struct mailbox *mbox, const mailsrv_arg_copy *arg, mailsrv_run *from,
                   uint32_t *n_from, uint64_t *octets)
{
    struct shelf *shelf = &mbox->shelf;
    size_t n = 0;
    for (size_t i = 0; i < shelf->n; i++) {
        uint32_t uid = shelf->v[i]->row.uid;
        if (!mailsrv__memory_in_runs(arg->uids, arg->n_uids, uid))
            continue;
        struct message *copy = copy_of(m, shelf->v[i]);
        if (copy == NULL)
            break;
        shelf->v[shelf->n + n++] = copy;
        *octets += copy->row.octets;
        if (*n_from != 0 && from[*n_from - 1].last == uid - 1)
            from[*n_from - 1].last = uid;
        else
            from[(*n_from)++] = (mailsrv_run){ uid, uid };
    }
    return n;
}

static int32_t refuse(struct shelf *shelf, size_t n, int32_t status)
{
    while (n-- != 0)
        mailsrv__memory_message_unref(shelf->v[shelf->n + n]);
    return status;
}

static void show(struct mailbox *mbox, size_t n)
{
    struct account *a = mbox->account;
    a->modseq++;
    for (size_t i = 0; i < n; i++) {
        mailsrv_row *row = &mbox->shelf.v[mbox->shelf.n++]->row;
        row->uid = mbox->uidnext++;
        row->modseq = a->modseq;
        a->octets += row->octets;
    }
}

static int32_t copy(struct memory *m, struct mailbox *mbox, const mailsrv_arg_copy *arg, size_t n, struct reply *r)
{
    mailsrv_run *runs = r->scratch;
    mailsrv_copied *to = &r->value.copied;
    uint64_t octets = 0;
    size_t made = make(m, mbox, arg, runs, &to->n_from, &octets);
    if (made != n)
        return refuse(&mbox->shelf, made, MAILSRV_NOMEM);
    if (mbox->account->octets > mbox->account->quota || octets > mbox->account->quota - mbox->account->octets)
        return refuse(&mbox->shelf, made, MAILSRV_OVERQUOTA);
    runs[n] = (mailsrv_run){ mbox->uidnext, mbox->uidnext + (uint32_t)n - 1 };
    show(mbox, n);
    to->modseq = mbox->account->modseq;
    to->from = runs;
    to->to = &runs[n];
    to->n_to = 1;
    return MAILSRV_OK;
}

int32_t mailsrv__memory_copy(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_copy *arg = op->arg;
    struct mailbox *mbox = mailsrv__memory_opened(m, arg->mbox);
    if (mbox == NULL || (!mailsrv__memory_no_id(&arg->to) && !mailsrv__memory_same_id(&arg->to, &mbox->id)))
        return MAILSRV_NONEXISTENT;
    size_t n = named(&mbox->shelf, arg);
    r->has_value = true;
    r->value.copied = (mailsrv_copied){ .size = sizeof r->value.copied, .uidvalidity = mbox->uidvalidity };
    if (n == 0)
        return MAILSRV_OK;
    if (n >= UINT32_MAX - mbox->uidnext)
        return MAILSRV_LIMIT;
    r->n_scratch = (n + 1) * sizeof(mailsrv_run);
    r->scratch = mailsrv__memory_take(m, r->n_scratch);
    if (r->scratch == NULL || !mailsrv__memory_shelf_reserve(m, &mbox->shelf, n))
        return MAILSRV_NOMEM;
    return copy(m, mbox, arg, n, r);
}
