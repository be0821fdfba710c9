/* FLAGS: which rows change, and to what, is found out first; the record says it in runs of rows that become alike. */
#include "durable.h"

#include <string.h>

struct marks {
    uint32_t flags;
    uint64_t keywords[2];
};

struct flagging {
    struct durable *d;
    struct task *task;
    const mailsrv_arg_flags *arg;
    const struct handle *h;
    int64_t box;
    struct marks given;
    struct runs modified;
    uint32_t n;         /* runs in the record */
    uint32_t last;      /* UID of the last one */
    struct marks marks; /* of its rows */
    mailsrv_marked *told;
};

static uint64_t combine(int32_t how, uint64_t old, uint64_t given)
{
    if (how == MAILSRV_FLAGS_ADD)
        return old | given;
    return how == MAILSRV_FLAGS_REMOVE ? old & ~given : given;
}

static bool alike(const struct marks *a, const struct marks *b)
{
    return a->flags == b->flags && a->keywords[0] == b->keywords[0] && a->keywords[1] == b->keywords[1];
}

static struct marks change(int32_t how, const struct marks *old, const struct marks *given)
{
    return (struct marks){ (uint32_t)combine(how, old->flags, given->flags),
                           { combine(how, old->keywords[0], given->keywords[0]),
                             combine(how, old->keywords[1], given->keywords[1]) } };
}

#define RUN_OCTETS 28

/* The last run of the record says where it ends. */
static void end_run(struct flagging *f)
{
    struct buffer *to = &f->d->record;
    if (f->n != 0 && !to->failed)
        mailsrv__durable_set_number(to->p + to->n - RUN_OCTETS + 4, f->last, 4);
}

static void begin_run(struct flagging *f, uint32_t uid, const struct marks *marks)
{
    struct buffer *to = &f->d->record;
    end_run(f);
    mailsrv__durable_put_number(to, uid, 4);
    mailsrv__durable_put_number(to, uid, 4);
    mailsrv__durable_put_number(to, marks->flags, 4);
    mailsrv__durable_put_number(to, marks->keywords[0], 8);
    mailsrv__durable_put_number(to, marks->keywords[1], 8);
    f->n++;
    f->marks = *marks;
}

static void put(struct flagging *f, mailsrv_run uids, const struct marks *marks)
{
    if (f->n == 0 || f->last != uids.first - 1 || !alike(&f->marks, marks))
        begin_run(f, uids.first, marks);
    f->last = uids.last;
}

#define MARKED_MAX 256 /* runs that are told with the answer */

/* What the record says, for the answer; where there is no memory for it, or it is much, nobody is told. */
static void tell(struct flagging *f, size_t at)
{
    struct reader from = { f->d->record.p + at, f->d->record.n - at, false };
    f->told = f->n <= MARKED_MAX ? mailsrv__durable_room(f->task, f->n * sizeof *f->told) : NULL;
    for (uint32_t i = 0; i < f->n && f->told != NULL; i++) {
        mailsrv_marked *to = &f->told[i];
        to->uids.first = (uint32_t)mailsrv__durable_get_number(&from, 4);
        to->uids.last = (uint32_t)mailsrv__durable_get_number(&from, 4);
        to->flags = (uint32_t)mailsrv__durable_get_number(&from, 4);
        to->keywords[0] = mailsrv__durable_get_number(&from, 8);
        to->keywords[1] = mailsrv__durable_get_number(&from, 8);
    }
}

static bool leave_alone(struct flagging *f, mailsrv_run uids)
{
    bool good = true;
    for (uint64_t uid = uids.first; uid <= uids.last && good; uid++)
        good = mailsrv__durable_runs_add(f->task, &f->modified, (uint32_t)uid);
    return good;
}

/* Of all of `uids`, which begin with it.  False: no memory. */
static bool take_mark(struct flagging *f, const struct message_mark *mark, mailsrv_run uids)
{
    struct marks old = { mark->flags, { mark->keywords[0], mark->keywords[1] } };
    if (mark->modseq > f->arg->unchanged_since)
        return leave_alone(f, uids);
    struct marks now = change(f->arg->how, &old, &f->given);
    if (!alike(&old, &now))
        put(f, uids, &now);
    return true;
}

static int32_t take_run(struct flagging *f, const mailsrv_run *run)
{
    bool good = true;
    struct walk walk;
    struct message_mark mark;
    mailsrv__durable_walk(&walk, &f->d->writer, f->box, run->first, run->last);
    while (good && mailsrv__durable_walk_next(&walk, &mark))
        good = take_mark(f, &mark, (mailsrv_run){ mark.uid, mailsrv__durable_walk_alike(&walk) });
    int32_t status = mailsrv__durable_walk_end(&walk);
    if (status != MAILSRV_OK)
        return mailsrv__durable_broken(f->d);
    return good ? MAILSRV_OK : MAILSRV_NOMEM;
}

static int32_t flag(struct flagging *f, uint64_t modseq)
{
    struct buffer *to = &f->d->record;
    mailsrv__durable_put_number(to, ENTRY_FLAGS, 1);
    mailsrv__durable_put_id(to, &f->h->account);
    mailsrv__durable_put_id(to, &f->h->mailbox);
    mailsrv__durable_put_number(to, modseq, 8);
    size_t at = to->n;
    mailsrv__durable_put_number(to, 0, 4);
    for (uint32_t i = 0; i < f->arg->n_uids; i++) {
        int32_t status = take_run(f, &f->arg->uids[i]);
        if (status != MAILSRV_OK)
            return status;
    }
    end_run(f);
    if (to->failed)
        return MAILSRV_NOMEM;
    if (f->n == 0) { /* also new names are not kept for nothing */
        f->d->undo = true;
        return MAILSRV_OK;
    }
    mailsrv__durable_set_number(to->p + at, f->n, 4);
    tell(f, at + 4);
    mailsrv__durable_touch(f->task, &f->h->mailbox, modseq);
    return mailsrv__durable_take_effect(f->d) ? MAILSRV_OK : mailsrv__durable_broken(f->d);
}

int32_t mailsrv__durable_flags(struct durable *d, struct task *t)
{
    const mailsrv_arg_flags *arg = t->op->arg;
    struct account a;
    struct mailbox mbox;
    bool all;
    struct flagging f = { .d = d, .task = t, .arg = arg, .given = { arg->flags, { 0, 0 } } };
    int32_t status = mailsrv__durable_opened(d, arg->mbox, &f.h, &a, &mbox);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_intern(d, &f.h->account, &f.h->mailbox, mbox.box, arg->keywords, arg->n_keywords,
                                         arg->how != MAILSRV_FLAGS_REMOVE, f.given.keywords, &all);
    if (status == MAILSRV_OK && !all)
        status = MAILSRV_LIMIT;
    f.box = mbox.box;
    if (status == MAILSRV_OK)
        status = flag(&f, a.modseq + 1);
    if (status != MAILSRV_OK)
        return status;
    t->value.flagged = (mailsrv_flagged){ .size = sizeof t->value.flagged,
                                          .n_modified = (uint32_t)f.modified.n,
                                          .modseq = f.n != 0 ? a.modseq + 1 : 0,
                                          .modified = f.modified.v,
                                          .since = a.modseq,
                                          .marked = f.told,
                                          .n_marked = f.told != NULL ? f.n : 0,
                                          .stride = sizeof *f.told };
    t->answer.value = &t->value.flagged;
    return MAILSRV_OK;
}
