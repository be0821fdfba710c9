#include "memory.h"

#include <string.h>

/* Flags of a row, as they are and as they are wanted. */
struct marks {
    uint32_t flags;
    uint64_t keywords[2];
};

static uint64_t combine(int32_t how, uint64_t old, uint64_t given)
{
    if (how == MAILSRV_FLAGS_ADD)
        return old | given;
    return how == MAILSRV_FLAGS_REMOVE ? old & ~given : given;
}

/* False: the row has them already. */
static bool change(mailsrv_row *row, int32_t how, const struct marks *given)
{
    struct marks now = { (uint32_t)combine(how, row->flags, given->flags),
                         { combine(how, row->keywords[0], given->keywords[0]),
                           combine(how, row->keywords[1], given->keywords[1]) } };
    if (now.flags == row->flags && memcmp(now.keywords, row->keywords, sizeof now.keywords) == 0)
        return false;
    row->flags = now.flags;
    memcpy(row->keywords, now.keywords, sizeof now.keywords);
    return true;
}

static void leave_alone(mailsrv_flagged *to, mailsrv_run *runs, uint32_t uid)
{
    if (to->n_modified != 0 && runs[to->n_modified - 1].last == uid - 1)
        runs[to->n_modified - 1].last = uid;
    else
        runs[to->n_modified++] = (mailsrv_run){ uid, uid };
}

/* How many messages the runs name: as many may have to be left alone. */
static size_t named(const struct shelf *shelf, const mailsrv_arg_flags *arg)
{
    size_t n = 0;
    for (uint32_t i = 0; i < arg->n_uids; i++)
        n += mailsrv__memory_shelf_uid(shelf, (uint64_t)arg->uids[i].last + 1) -
             mailsrv__memory_shelf_uid(shelf, arg->uids[i].first);
    return n;
}

/* Which rights the change of those flags asks for (RFC 4314 section 4). */
static uint32_t rights_for(const mailsrv_arg_flags *arg)
{
    uint32_t flags = arg->how == MAILSRV_FLAGS_SET ? UINT32_MAX : arg->flags, rights = 0;
    if ((flags & MAILSRV_FLAG_SEEN) != 0)
        rights |= MAILSRV_RIGHT_SEEN;
    if ((flags & MAILSRV_FLAG_DELETED) != 0)
        rights |= MAILSRV_RIGHT_DELETE;
    if ((flags & ~(MAILSRV_FLAG_SEEN | MAILSRV_FLAG_DELETED)) != 0 || arg->n_keywords != 0)
        rights |= MAILSRV_RIGHT_WRITE;
    return rights;
}

enum { MARKED_MAX = 64 };

static bool goes_on(const mailsrv_marked *marked, const mailsrv_row *row)
{
    return marked->uids.last == row->uid - 1 && marked->flags == row->flags &&
           memcmp(marked->keywords, row->keywords, sizeof marked->keywords) == 0;
}

/* What is told of changed rows: runs of those that have the same.  Where they are more than so many nothing is. */
static void tell(mailsrv_flagged *to, mailsrv_marked *marked, const mailsrv_row *row)
{
    if (to->n_marked > MARKED_MAX)
        return;
    if (to->n_marked != 0 && goes_on(&marked[to->n_marked - 1], row)) {
        marked[to->n_marked - 1].uids.last = row->uid;
        return;
    }
    if (to->n_marked < MARKED_MAX)
        marked[to->n_marked] = (mailsrv_marked){
            { row->uid, row->uid }, row->flags, 0, { row->keywords[0], row->keywords[1] } };
    to->n_marked++;
}

static void change_run(struct mailbox *mbox, const mailsrv_arg_flags *arg, mailsrv_run run, const struct marks *given,
                       struct reply *r)
{
    mailsrv_flagged *to = &r->value.flagged;
    mailsrv_marked *marked = r->scratch;
    uint64_t modseq = mbox->account->modseq + 1;
    struct shelf *shelf = &mbox->shelf;
    for (size_t at = mailsrv__memory_shelf_uid(shelf, run.first); at < shelf->n; at++) {
        mailsrv_row *row = &shelf->v[at]->row;
        if (row->uid > run.last)
            return;
        if (row->modseq > arg->unchanged_since) {
            leave_alone(to, (mailsrv_run *)(void *)(marked + MARKED_MAX), row->uid);
        } else if (change(row, arg->how, given)) {
            row->modseq = modseq;
            to->modseq = modseq;
            tell(to, marked, row);
        }
    }
}

/* Taking away what nobody has needs no room in the dictionary, but finding that out does not pay. */
int32_t mailsrv__memory_flags_of(struct memory *m, struct mailbox *mbox, const mailsrv_arg_flags *arg,
                                 struct reply *r)
{
    struct marks given = { arg->flags, { 0, 0 } };
    if (!mailsrv__memory_intern(m, mbox, arg->keywords, arg->n_keywords, given.keywords))
        return MAILSRV_LIMIT;
    size_t octets = MARKED_MAX * sizeof(mailsrv_marked) + named(&mbox->shelf, arg) * sizeof(mailsrv_run);
    r->scratch = mailsrv__memory_take(m, octets);
    r->n_scratch = octets;
    if (r->scratch == NULL)
        return MAILSRV_NOMEM;
    r->has_value = true;
    r->value.flagged = (mailsrv_flagged){ .size = sizeof r->value.flagged,
                                          .since = mbox->account->modseq,
                                          .marked = r->scratch,
                                          .modified = (const void *)((mailsrv_marked *)r->scratch + MARKED_MAX),
                                          .stride = sizeof(mailsrv_marked) };
    for (uint32_t i = 0; i < arg->n_uids; i++)
        change_run(mbox, arg, arg->uids[i], &given, r);
    if (r->value.flagged.modseq != 0)
        mbox->account->modseq = r->value.flagged.modseq;
    if (r->value.flagged.n_marked > MARKED_MAX)
        r->value.flagged.n_marked = 0;
    return MAILSRV_OK;
}

int32_t mailsrv__memory_flags(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_flags *arg = op->arg;
    struct mailbox *mbox = mailsrv__memory_opened(m, arg->mbox);
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    if ((rights_for(arg) & ~mbox->rights) != 0)
        return MAILSRV_NOPERM;
    return mailsrv__memory_flags_of(m, mbox, arg, r);
}
