/* COPY: rows that share the body, and keep what makes two messages one: email and UIDL (RFC 1939 section 7). */
#include "durable.h"

#include <string.h>

struct copying {
    struct durable *d;
    struct task *task;
    const mailsrv_arg_copy *arg;
    const struct handle *h;
    struct account account;
    struct mailbox from, to;
    mailsrv_id to_id;
    uint64_t modseq;
    uint32_t n;      /* copies so far */
    uint64_t octets; /* of them */
    struct runs uids;
    uint8_t bits[MAILSRV_KEYWORDS_MAX]; /* which name there a name here is; MAILSRV_KEYWORDS_MAX: none */
};

/* ---- Keywords: the same names in the other dictionary ---- */

/* Bits that one row or another has. */
static int32_t used_keywords(struct copying *c, uint64_t used[2])
{
    int result = SQLITE_DONE;
    used[0] = used[1] = 0;
    for (uint32_t i = 0; i < c->arg->n_uids && result == SQLITE_DONE; i++) {
        sqlite3_stmt *row = mailsrv__durable_ask(&c->d->writer, SQL_MESSAGE_MARKS, "iii", c->from.box,
                                                 (int64_t)c->arg->uids[i].first, (int64_t)c->arg->uids[i].last);
        result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
        for (; result == SQLITE_ROW; result = sqlite3_step(row)) {
            used[0] |= (uint64_t)sqlite3_column_int64(row, 3);
            used[1] |= (uint64_t)sqlite3_column_int64(row, 4);
        }
        sqlite3_reset(row);
    }
    return result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_broken(c->d);
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
    uint64_t used[2];
    mailsrv_bytes *names;
    uint32_t n = 0;
    memset(c->bits, MAILSRV_KEYWORDS_MAX, sizeof c->bits);
    int32_t status = used_keywords(c, used);
    if (status != MAILSRV_OK || (used[0] | used[1]) == 0)
        return status;
    status = mailsrv__durable_dictionary(&c->d->writer, c->task, c->from.box, 0, &names, &n);
    for (uint32_t i = 0; i < n && status == MAILSRV_OK; i++)
        if (has(used, i))
            status = translate_one(c, i, &names[i]);
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

static void put_copy(struct copying *c, sqlite3_stmt *row)
{
    struct buffer *to = &c->d->record;
    mailsrv_id email = mailsrv__durable_column_id(row, 4);
    uint64_t keywords[2] = { (uint64_t)sqlite3_column_int64(row, 9), (uint64_t)sqlite3_column_int64(row, 10) };
    mailsrv__durable_put_number(to, ENTRY_MESSAGE, 1);
    mailsrv__durable_put_id(to, &c->h->account);
    mailsrv__durable_put_id(to, &c->to_id);
    mailsrv__durable_put_number(to, (uint64_t)c->to.uidnext + c->n, 4);
    mailsrv__durable_put_number(to, (uint64_t)sqlite3_column_int64(row, 1), 4);
    mailsrv__durable_put_number(to, c->modseq, 8);
    mailsrv__durable_put_number(to, (uint64_t)sqlite3_column_int64(row, 2), 8);
    mailsrv__durable_put_number(to, (uint64_t)sqlite3_column_int64(row, 3), 8);
    mailsrv__durable_put_number(to, (uint64_t)c->arg->saved_us, 8);
    mailsrv__durable_put_id(to, &email);
    put_keywords(c, to, keywords);
    mailsrv__durable_put_number(to, (uint64_t)sqlite3_column_int64(row, 5), 8);
    for (int i = 6; i <= 8; i++)
        mailsrv__durable_put_bytes(to, mailsrv__durable_column_bytes(row, i));
    c->octets += (uint64_t)sqlite3_column_int64(row, 2);
    c->n++;
}

/* MAILSRV_LIMIT: it is more than a record can hold, or than there are UIDs. */
static int32_t take_run(struct copying *c, const mailsrv_run *run)
{
    struct durable *d = c->d;
    int32_t status = MAILSRV_OK;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_MESSAGE_WHOLE, "iii", c->from.box, (int64_t)run->first,
                                             (int64_t)run->last);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; result == SQLITE_ROW && status == MAILSRV_OK; result = sqlite3_step(row)) {
        if (!mailsrv__durable_runs_add(c->task, &c->uids, (uint32_t)sqlite3_column_int64(row, 0)))
            status = MAILSRV_NOMEM;
        else if (d->record.n > FRAME_MAX || c->n >= UINT32_MAX - c->to.uidnext)
            status = MAILSRV_LIMIT;
        else
            put_copy(c, row);
    }
    sqlite3_reset(row);
    if (status != MAILSRV_OK)
        return status;
    return result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t take_rows(struct copying *c)
{
    int32_t status = MAILSRV_OK;
    for (uint32_t i = 0; i < c->arg->n_uids && status == MAILSRV_OK; i++)
        status = take_run(c, &c->arg->uids[i]);
    if (status == MAILSRV_OK && c->d->record.failed)
        status = MAILSRV_NOMEM;
    if (status == MAILSRV_OK && c->n != 0 &&
        (c->account.octets > c->account.quota || c->octets > c->account.quota - c->account.octets))
        status = MAILSRV_OVERQUOTA;
    return status;
}

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

static int32_t answer(struct copying *c)
{
    mailsrv_copied *value = &c->task->value.copied;
    mailsrv_run *to = mailsrv__durable_room(c->task, sizeof *to);
    if (to == NULL)
        return MAILSRV_NOMEM;
    *value = (mailsrv_copied){ .size = sizeof *value, .uidvalidity = c->to.uidvalidity };
    c->task->answer.value = value;
    if (c->n == 0) {
        c->d->undo = true;
        return MAILSRV_OK;
    }
    *to = (mailsrv_run){ c->to.uidnext, c->to.uidnext + c->n - 1 };
    value->modseq = c->modseq;
    value->n_from = (uint32_t)c->uids.n;
    value->n_to = 1;
    value->from = c->uids.v;
    value->to = to;
    mailsrv__durable_touch(c->task, &c->to_id, c->modseq);
    return mailsrv__durable_take_effect(c->d) ? MAILSRV_OK : mailsrv__durable_broken(c->d);
}

int32_t mailsrv__durable_copy(struct durable *d, struct task *t)
{
    struct copying c = { .d = d, .task = t, .arg = t->op->arg };
    int32_t status = mailsrv__durable_opened(d, c.arg->mbox, &c.h, &c.account, &c.from);
    if (status == MAILSRV_OK)
        status = find_target(&c);
    if (status == MAILSRV_OK)
        status = translate(&c);
    c.modseq = c.account.modseq + 1;
    if (status == MAILSRV_OK)
        status = take_rows(&c);
    return status == MAILSRV_OK ? answer(&c) : status;
}
