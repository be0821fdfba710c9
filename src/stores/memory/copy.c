/* COPY and MOVE: everything that needs memory first, then all at once. */
#include "memory.h"

#include <string.h>

struct copying {
    struct memory *m;
    const mailsrv_arg_copy *arg;
    struct mailbox *from, *to;
    mailsrv_run *runs; /* what is copied */
    uint32_t n_runs;
    uint64_t octets;
    bool moves;
};

static size_t named(const struct shelf *shelf, const mailsrv_arg_copy *arg)
{
    size_t n = 0;
    for (size_t i = 0; i < shelf->n; i++)
        n += mailsrv__memory_in_runs(arg->uids, arg->n_uids, shelf->v[i]->row.uid);
    return n;
}

/* The copy shares the body, and keeps what makes two messages one: email and uidl (RFC 1939 section 7). */
static struct message *copy_of(const struct copying *c, const struct message *message)
{
    mailsrv_bytes prefix = { message->bytes, message->n_prefix };
    struct message *copy = mailsrv__memory_message_new(c->m, message->body, prefix, message->row.uidl);
    if (copy == NULL)
        return NULL;
    mailsrv_bytes uidl = copy->row.uidl;
    copy->row = message->row;
    copy->row.uidl = uidl;
    copy->row.saved_us = c->arg->saved_us;
    return copy;
}

static void note(struct copying *c, const mailsrv_row *row)
{
    c->octets += row->octets;
    if (c->n_runs != 0 && c->runs[c->n_runs - 1].last == row->uid - 1)
        c->runs[c->n_runs - 1].last = row->uid;
    else
        c->runs[c->n_runs++] = (mailsrv_run){ row->uid, row->uid };
}

/* Puts copies behind the last message of the shelf, which does not count them yet.  How many there are. */
static size_t make(struct copying *c)
{
    const struct shelf *from = &c->from->shelf;
    struct shelf *to = &c->to->shelf;
    size_t n = 0;
    for (size_t i = 0; i < from->n; i++) {
        if (!mailsrv__memory_in_runs(c->arg->uids, c->arg->n_uids, from->v[i]->row.uid))
            continue;
        struct message *copy = copy_of(c, from->v[i]);
        if (copy == NULL)
            break;
        to->v[to->n + n++] = copy;
        note(c, &from->v[i]->row);
    }
    return n;
}

static int32_t refuse(struct shelf *shelf, size_t n, int32_t status)
{
    while (n-- != 0)
        mailsrv__memory_message_unref(shelf->v[shelf->n + n]);
    return status;
}

/* The bits of the other dictionary; names for which it has no room are left out. */
static void translate(const struct copying *c, mailsrv_row *row)
{
    uint64_t bits[2] = { 0, 0 };
    for (uint32_t i = 0; i < c->from->n_keywords; i++)
        if ((row->keywords[i / 64] >> (i % 64) & 1) != 0)
            mailsrv__memory_intern(c->m, c->to, &c->from->keywords[i], 1, bits);
    memcpy(row->keywords, bits, sizeof bits);
}

static void show(const struct copying *c, size_t n)
{
    struct account *a = c->to->account;
    a->modseq++;
    for (size_t i = 0; i < n; i++) {
        mailsrv_row *row = &c->to->shelf.v[c->to->shelf.n++]->row;
        if (c->from != c->to)
            translate(c, row);
        row->uid = c->to->uidnext++;
        row->modseq = a->modseq;
        a->octets += row->octets;
    }
}

/* In the same change. */
static void remove_originals(const struct copying *c)
{
    const mailsrv_arg_expunge all = { .size = sizeof all, .uids = c->runs, .n_uids = c->n_runs };
    c->from->account->modseq--;
    mailsrv__memory_expunge_from(c->m, c->from, &all);
}

static int32_t copy(struct copying *c, size_t n, struct reply *r)
{
    mailsrv_copied *to = &r->value.copied;
    const struct account *a = c->to->account;
    size_t made = make(c);
    if (made != n)
        return refuse(&c->to->shelf, made, MAILSRV_NOMEM);
    if (!c->moves && (a->octets > a->quota || c->octets > a->quota - a->octets))
        return refuse(&c->to->shelf, made, MAILSRV_OVERQUOTA);
    c->runs[n] = (mailsrv_run){ c->to->uidnext, c->to->uidnext + (uint32_t)n - 1 };
    show(c, n);
    if (c->moves)
        remove_originals(c);
    to->modseq = a->modseq;
    to->from = c->runs;
    to->n_from = c->n_runs;
    to->to = &c->runs[n];
    to->n_to = 1;
    return MAILSRV_OK;
}

int32_t mailsrv__memory_copy(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_copy *arg = op->arg;
    struct mailbox *from = mailsrv__memory_opened(m, arg->mbox);
    struct mailbox *to = from != NULL ? mailsrv__memory_mailbox_or_inbox(from->account, &arg->to) : NULL;
    if (to == NULL)
        return MAILSRV_NONEXISTENT;
    if ((to->rights & MAILSRV_RIGHT_INSERT) == 0)
        return MAILSRV_NOPERM;
    bool moves = op->kind == MAILSRV_OP_MOVE;
    if (moves && (from->rights & MAILSRV_RIGHT_EXPUNGE) == 0)
        return MAILSRV_NOPERM;
    size_t n = named(&from->shelf, arg);
    r->has_value = true;
    r->value.copied = (mailsrv_copied){ .size = sizeof r->value.copied, .uidvalidity = to->uidvalidity };
    if (n == 0)
        return MAILSRV_OK;
    if (n >= UINT32_MAX - to->uidnext)
        return MAILSRV_LIMIT;
    r->n_scratch = (n + 1) * sizeof(mailsrv_run);
    r->scratch = mailsrv__memory_take(m, r->n_scratch);
    if (r->scratch == NULL || !mailsrv__memory_shelf_reserve(m, &to->shelf, n))
        return MAILSRV_NOMEM;
    struct copying c = { m, arg, from, to, r->scratch, 0, 0, moves };
    return copy(&c, n, r);
}
