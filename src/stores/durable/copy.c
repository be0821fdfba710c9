/* COPY and MOVE: rows that share the body, and keep what makes two messages one: email and UIDL (RFC 1939 section 7).
 * Many are copied in parts, so that other accounts' changes go on meanwhile; they appear all at once. */
#include "durable.h"

#include <string.h>

#define PART_ROWS 2000 /* copies in a group, of a COPY of more than that */

/* Where a walk through the rows that are asked for has come to. */
struct position {
    uint32_t run;
    uint64_t uid;
};

struct copying {
    struct durable *d;
    struct task *task;
    const mailsrv_arg_copy *arg;
    const struct handle *h;
    struct account account;
    struct mailbox from, to;
    mailsrv_id to_id;
    bool is_large; /* in parts */
    bool moves;    /* what was copied is removed in the same change */
    struct position at;
    uint32_t n;      /* copies so far */
    uint64_t octets; /* of them */
    struct runs uids;
    uint64_t used[2];                   /* bits that rows of this part have */
    uint64_t known[2];                  /* bits that are translated already */
    uint8_t bits[MAILSRV_KEYWORDS_MAX]; /* which name there a name here is; MAILSRV_KEYWORDS_MAX: none */
};

/* Rows from a position on, so many as one part has. */
static int32_t walk(struct copying *c, struct position *at, int32_t (*each)(struct copying *c, sqlite3_stmt *row))
{
    uint32_t left = PART_ROWS;
    int32_t status = MAILSRV_OK;
    while (at->run < c->arg->n_uids && left != 0 && c->d->record.n < RECORD_MAX && status == MAILSRV_OK) {
        const mailsrv_run *run = &c->arg->uids[at->run];
        uint32_t last = run->last < c->from.uidnext ? run->last : c->from.uidnext - 1;
        int64_t first = (int64_t)(at->uid > run->first ? at->uid : run->first);
        sqlite3_stmt *row = mailsrv__durable_ask(&c->d->writer, SQL_MESSAGE_WHOLE, "iii", c->from.box, first,
                                                 (int64_t)last);
        int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
        for (; result == SQLITE_ROW && left != 0 && c->d->record.n < RECORD_MAX && status == MAILSRV_OK;
             result = sqlite3_step(row), left--) {
            at->uid = (uint64_t)sqlite3_column_int64(row, 0) + 1;
            status = each(c, row);
        }
        sqlite3_reset(row);
        at->run += result == SQLITE_DONE;
        if (result != SQLITE_DONE && result != SQLITE_ROW)
            return mailsrv__durable_broken(c->d);
    }
    return status;
}

/* ---- Keywords: the same names in the other dictionary ---- */

/* Those that rows of one run have, as many as are left to be looked at. */
static int32_t find_used(struct copying *c, uint32_t first, uint32_t last, uint32_t *left)
{
    struct walk walk;
    struct message_mark mark;
    mailsrv__durable_walk(&walk, &c->d->writer, c->from.box, first, last);
    for (; *left != 0 && mailsrv__durable_walk_next(&walk, &mark); --*left) {
        c->used[0] |= mark.keywords[0];
        c->used[1] |= mark.keywords[1];
    }
    return mailsrv__durable_walk_end(&walk) == MAILSRV_OK ? MAILSRV_OK : mailsrv__durable_broken(c->d);
}

static int32_t find_all_used(struct copying *c)
{
    uint32_t left = PART_ROWS;
    int32_t status = MAILSRV_OK;
    for (uint32_t i = c->at.run; i < c->arg->n_uids && left != 0 && status == MAILSRV_OK; i++) {
        const mailsrv_run *run = &c->arg->uids[i];
        uint32_t last = run->last < c->from.uidnext ? run->last : c->from.uidnext - 1;
        uint64_t first = c->at.uid > run->first ? c->at.uid : run->first;
        if (first <= last)
            status = find_used(c, (uint32_t)first, last, &left);
    }
    return status;
}

static bool has(const uint64_t bits[2], uint32_t i)
{
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}

static int32_t translate_one(struct copying *c, uint32_t i, const mailsrv_bytes *name)
{
    uint64_t bits[2];
    bool all;
    int32_t status = mailsrv__durable_intern(c->d, &c->h->account, &c->to_id, c->to.box, name, 1, true, bits, &all);
    for (uint32_t k = 0; k < MAILSRV_KEYWORDS_MAX && status == MAILSRV_OK; k++)
        if (has(bits, k))
            c->bits[i] = (uint8_t)k;
    return status;
}

/* Names that are not used are not taken along, and those for which there is no room are left out. */
static int32_t translate(struct copying *c)
{
    mailsrv_bytes *names;
    uint32_t n = 0;
    int32_t status = find_all_used(c);
    bool is_new = ((c->used[0] & ~c->known[0]) | (c->used[1] & ~c->known[1])) != 0;
    if (status == MAILSRV_OK && is_new)
        status = mailsrv__durable_dictionary(&c->d->writer, c->task, c->from.box, 0, &names, &n);
    for (uint32_t i = 0; i < n && status == MAILSRV_OK; i++)
        if (has(c->used, i) && !has(c->known, i))
            status = translate_one(c, i, &names[i]);
    memcpy(c->known, c->used, sizeof c->known);
    return status;
}

static void put_keywords(const struct copying *c, struct buffer *to, const uint64_t old[2])
{
    uint64_t now[2] = { 0, 0 };
    for (uint32_t i = 0; i < MAILSRV_KEYWORDS_MAX && (old[0] | old[1]) != 0; i++)
        if (has(old, i) && c->bits[i] != MAILSRV_KEYWORDS_MAX)
            now[c->bits[i] / 64] |= UINT64_C(1) << (c->bits[i] % 64);
    mailsrv__durable_put_number(to, now[0], 8);
    mailsrv__durable_put_number(to, now[1], 8);
}

/* ---- Rows ---- */

static void put_copy(struct copying *c, sqlite3_stmt *row, const struct message_mark *mark)
{
    struct buffer *to = &c->d->record;
    mailsrv_id email = mailsrv__durable_column_id(row, 3);
    mailsrv__durable_put_number(to, ENTRY_MESSAGE, 1);
    mailsrv__durable_put_id(to, &c->h->account);
    mailsrv__durable_put_id(to, &c->to_id);
    mailsrv__durable_put_number(to, (uint64_t)c->to.uidnext + c->n, 4);
    mailsrv__durable_put_number(to, mark->flags, 4);
    mailsrv__durable_put_number(to, c->account.modseq + 1, 8);
    mailsrv__durable_put_number(to, (uint64_t)sqlite3_column_int64(row, 1), 8);
    mailsrv__durable_put_number(to, (uint64_t)sqlite3_column_int64(row, 2), 8);
    mailsrv__durable_put_number(to, (uint64_t)c->arg->saved_us, 8);
    mailsrv__durable_put_id(to, &email);
    put_keywords(c, to, mark->keywords);
    mailsrv__durable_put_number(to, (uint64_t)sqlite3_column_int64(row, 4), 8);
    for (int i = 5; i <= 7; i++)
        mailsrv__durable_put_bytes(to, mailsrv__durable_column_bytes(row, i));
}

static int32_t take_row(struct copying *c, sqlite3_stmt *row)
{
    bool good;
    const struct message_mark *mark = mailsrv__durable_mark_find(&c->d->writer, c->from.box,
                                                         (uint32_t)sqlite3_column_int64(row, 0), &good);
    if (mark == NULL)
        return mailsrv__durable_broken(c->d);
    if (c->n >= UINT32_MAX - c->to.uidnext)
        return MAILSRV_LIMIT;
    if (!mailsrv__durable_runs_add(c->task, &c->uids, (uint32_t)sqlite3_column_int64(row, 0)))
        return MAILSRV_NOMEM;
    c->octets += (uint64_t)sqlite3_column_int64(row, 1);
    if (!c->moves && (c->account.octets > c->account.quota || c->octets > c->account.quota - c->account.octets))
        return MAILSRV_OVERQUOTA;
    put_copy(c, row, mark);
    c->n++;
    return MAILSRV_OK;
}

/* ---- Beginning, parts, end ---- */

/* Where to; it has room for UIDs, or gets a new UIDVALIDITY, if that does not change the UIDs that were asked for. */
static int32_t find_target(struct copying *c)
{
    struct durable *d = c->d;
    c->to_id = mailsrv__durable_no_id(&c->arg->to) ? c->account.inbox : c->arg->to;
    int32_t status = mailsrv__durable_mailbox(&d->writer, &c->to_id, &c->to);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? status : mailsrv__durable_broken(d);
    if (!mailsrv__durable_same(&c->to.account, &c->h->account))
        return MAILSRV_NONEXISTENT;
    uint64_t most = UINT32_MAX - (uint64_t)c->to.uidnext;
    if (c->from.messages < most || c->to.box == c->from.box)
        return MAILSRV_OK;
    return mailsrv__durable_renumber(d, &c->to_id, &c->to, c->arg->saved_us);
}

/* Can it be more than one part? */
static bool is_large(const struct copying *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->arg->n_uids; i++)
        n += (uint64_t)c->arg->uids[i].last - c->arg->uids[i].first + 1;
    return n > PART_ROWS && c->from.messages > PART_ROWS;
}

static int32_t begin(struct copying *c)
{
    memset(c->bits, MAILSRV_KEYWORDS_MAX, sizeof c->bits);
    int32_t status = mailsrv__durable_opened(c->d, c->arg->mbox, &c->h, &c->account, &c->from);
    if (status == MAILSRV_OK)
        status = find_target(c);
    if (status != MAILSRV_OK || !is_large(c))
        return status;
    if (c->moves)
        return MAILSRV_CANNOT; /* parts appear at once, and would have to vanish at once, too */
    c->is_large = true;
    return mailsrv__durable_parts_begin(c->d, c->task, &c->h->account, &c->to_id);
}

static int32_t copy_part(struct copying *c)
{
    int32_t status = translate(c);
    if (status == MAILSRV_OK)
        status = walk(c, &c->at, take_row);
    if (status == MAILSRV_OK && c->d->record.failed)
        status = MAILSRV_NOMEM;
    if (status == MAILSRV_OK && !mailsrv__durable_take_effect(c->d))
        status = mailsrv__durable_broken(c->d);
    return status;
}

static int32_t answer(struct copying *c)
{
    mailsrv_copied *value = &c->task->value.copied;
    mailsrv_run *to = mailsrv__durable_room(c->task, sizeof *to);
    if (to == NULL)
        return MAILSRV_NOMEM;
    *value = (mailsrv_copied){ .size = sizeof *value, .uidvalidity = c->to.uidvalidity };
    c->task->answer.value = value;
    if (c->n == 0)
        return MAILSRV_OK;
    *to = (mailsrv_run){ c->to.uidnext, c->to.uidnext + c->n - 1 };
    value->modseq = c->account.modseq + 1;
    value->n_from = (uint32_t)c->uids.n;
    value->n_to = 1;
    value->from = c->uids.v;
    value->to = to;
    mailsrv__durable_touch(c->task, &c->to_id, value->modseq);
    if (!c->moves)
        return MAILSRV_OK;
    mailsrv__durable_touch(c->task, &c->h->mailbox, value->modseq);
    return mailsrv__durable_expunge_all(c->d, c->h, value->modseq, &c->uids);
}

/* What it is about does not change meanwhile: the account's other changes wait for its end. */
int32_t mailsrv__durable_copy(struct durable *d, struct task *t)
{
    struct copying *c = t->progress;
    int32_t status = MAILSRV_OK;
    if (c == NULL) {
        c = t->progress = mailsrv__durable_room(t, sizeof *c);
        if (c == NULL)
            return MAILSRV_NOMEM;
        *c = (struct copying){ .d = d, .task = t, .arg = t->op->arg,
                               .moves = t->op->kind == MAILSRV_OP_MOVE };
        status = begin(c);
    }
    bool ends = false;
    while (status == MAILSRV_OK && !ends) {
        status = copy_part(c);
        ends = c->at.run == c->arg->n_uids;
        if (status == MAILSRV_OK && !ends && c->is_large)
            return MAILSRV_MORE;
    }
    if (status == MAILSRV_OK && c->is_large)
        status = mailsrv__durable_parts_end(d, t);
    return status == MAILSRV_OK ? answer(c) : status;
}
