/* CHANGES of a mailbox: the UIDs that vanished, in the order in which they did; then rows, in the order of their UIDs.
 *
 * The index finds rows by their modseq, or by their UID.  Few that have changed are found by the modseq, and sorted for
 * each page; of many the whole mailbox is looked through, a piece for each page, so that no page costs more than its
 * share. */
#include "durable.h"

#define LOOKED_AT_MAX 4096 /* rows, for a page */

enum stage { STAGE_VANISHED, STAGE_FEW, STAGE_MANY };

/* What a cursor says. */
struct position {
    enum stage stage;
    uint32_t end;    /* UIDNEXT when it was asked */
    uint64_t upto;
    uint64_t modseq; /* VANISHED: of the last run */
    uint32_t uid;    /* VANISHED: its first UID; else the UID to go on with */
};

static mailsrv_cursor cursor_at(const struct position *at)
{
    mailsrv_cursor cursor = { { 1, (uint8_t)at->stage } }; /* never all zero: that is the start */
    mailsrv__durable_set_number(cursor.b + 4, at->end, 4);
    mailsrv__durable_set_number(cursor.b + 8, at->upto, 8);
    mailsrv__durable_set_number(cursor.b + 16, at->modseq, 8);
    mailsrv__durable_set_number(cursor.b + 24, at->uid, 4);
    return cursor;
}

static struct position position_of(const mailsrv_cursor *cursor)
{
    struct reader from = { cursor->b + 4, sizeof cursor->b - 4, false };
    struct position at = { .stage = (enum stage)cursor->b[1] };
    at.end = (uint32_t)mailsrv__durable_get_number(&from, 4);
    at.upto = mailsrv__durable_get_number(&from, 8);
    at.modseq = mailsrv__durable_get_number(&from, 8);
    at.uid = (uint32_t)mailsrv__durable_get_number(&from, 4);
    return at;
}

struct page {
    struct index *x;
    struct task *task;
    const mailsrv_arg_changes *arg;
    const struct mailbox *mbox;
    struct position at;
    uint32_t most;
    mailsrv_row *rows;
    mailsrv_run *runs;
    mailsrv_changes *value;
};

/* ---- What vanished ---- */

/* Puts a run into those of the page, which ascend and do not overlap when all are there. */
static void add_sorted(mailsrv_run *runs, uint32_t n, mailsrv_run run)
{
    uint32_t at = n;
    for (; at != 0 && runs[at - 1].first > run.first; at--)
        runs[at] = runs[at - 1];
    runs[at] = run;
}

static uint32_t join(mailsrv_run *runs, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (kept == 0 || runs[i].first - 1 > runs[kept - 1].last)
            runs[kept++] = runs[i];
        else if (runs[i].last > runs[kept - 1].last)
            runs[kept - 1].last = runs[i].last;
    }
    return kept;
}

static int32_t tell_vanished(struct page *p)
{
    uint32_t n = 0;
    sqlite3_stmt *row = mailsrv__durable_ask(p->x, SQL_VANISHED_RANGE, "iiiii", p->mbox->box, (int64_t)p->at.modseq,
                                             (int64_t)p->at.uid, (int64_t)p->at.upto, (int64_t)p->most + 1);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; result == SQLITE_ROW && n < p->most; result = sqlite3_step(row)) {
        p->at.modseq = (uint64_t)sqlite3_column_int64(row, 0);
        p->at.uid = (uint32_t)sqlite3_column_int64(row, 1);
        add_sorted(p->runs, n++, (mailsrv_run){ p->at.uid, (uint32_t)sqlite3_column_int64(row, 2) });
    }
    p->value->more = result == SQLITE_ROW;
    p->value->n_vanished = join(p->runs, n);
    int32_t status = mailsrv__durable_ended(p->x, result);
    sqlite3_reset(row);
    return status == MAILSRV_NONEXISTENT ? MAILSRV_OK : status;
}

/* ---- Rows ---- */

/* Finding by modseq costs the square of what has changed, divided by what a page has. */
static int32_t choose(struct page *p)
{
    uint64_t few = 256;
    while (few < UINT32_MAX && few * few / PAGE_MAX < p->mbox->messages)
        few *= 2;
    sqlite3_stmt *row = mailsrv__durable_ask(p->x, SQL_MESSAGE_COUNT_CHANGED, "iii", p->mbox->box,
                                             (int64_t)p->arg->since, (int64_t)few + 1);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    uint64_t n = result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    p->at.stage = n <= few ? STAGE_FEW : STAGE_MANY;
    p->at.uid = 1;
    return result == SQLITE_ROW ? MAILSRV_OK : mailsrv__durable_failure(p->x);
}

static sqlite3_stmt *ask(struct page *p)
{
    if (p->at.stage == STAGE_FEW)
        return mailsrv__durable_ask(p->x, SQL_MESSAGE_CHANGED, "iiiii", p->mbox->box, (int64_t)p->arg->since,
                                    (int64_t)p->at.uid, (int64_t)p->at.end, (int64_t)p->most + 1);
    return mailsrv__durable_ask(p->x, SQL_MESSAGE_SCAN, "iiii", p->mbox->box, (int64_t)p->at.uid, (int64_t)p->at.end,
                                (int64_t)LOOKED_AT_MAX);
}

static int32_t tell_rows(struct page *p)
{
    bool good = true;
    uint32_t looked_at = 0;
    mailsrv_changes *value = p->value;
    sqlite3_stmt *row = ask(p);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; good && result == SQLITE_ROW; result = sqlite3_step(row), looked_at++) {
        bool is_changed = (uint64_t)sqlite3_column_int64(row, 2) > p->arg->since;
        p->at.uid = (uint32_t)sqlite3_column_int64(row, 0);
        if (is_changed && value->n == p->most)
            break;
        if (is_changed)
            good = mailsrv__durable_take_row(p->task, row, &p->rows[value->n++]);
    }
    value->more = result == SQLITE_ROW;
    if (result == SQLITE_DONE && p->at.stage == STAGE_MANY && looked_at == LOOKED_AT_MAX) {
        value->more = 1;
        p->at.uid++;
    }
    int32_t status = mailsrv__durable_ended(p->x, result);
    sqlite3_reset(row);
    if (!good)
        return MAILSRV_NOMEM;
    return status == MAILSRV_NONEXISTENT ? MAILSRV_OK : status;
}

/* ---- The page ---- */

static int32_t tell(struct page *p)
{
    int32_t status = MAILSRV_OK;
    if (p->at.stage == STAGE_VANISHED) {
        status = tell_vanished(p);
        if (status != MAILSRV_OK || p->value->more)
            return status;
        status = choose(p);
    }
    return status == MAILSRV_OK ? tell_rows(p) : status;
}

static int32_t answer(struct page *p)
{
    const mailsrv_arg_changes *arg = p->arg;
    mailsrv_bytes *names = NULL;
    int32_t status = MAILSRV_OK;
    *p->value = (mailsrv_changes){ .size = sizeof *p->value,
                                   .stride = sizeof *p->rows,
                                   .upto = p->at.upto,
                                   .horizon = p->mbox->horizon,
                                   .rows = p->rows,
                                   .vanished = p->runs };
    status = mailsrv__durable_dictionary(p->x, p->task, p->mbox->box, arg->n_keywords, &names, &p->value->n_keywords);
    p->value->keywords = names;
    if (status == MAILSRV_OK)
        status = tell(p);
    if (p->value->more)
        p->value->next = cursor_at(&p->at);
    p->task->answer.value = p->value;
    return status;
}

int32_t mailsrv__durable_changes(struct durable *d, struct task *t)
{
    const mailsrv_arg_changes *arg = t->op->arg;
    const struct handle *h;
    struct mailbox mbox;
    struct account a;
    struct page p = { .x = &d->reader, .task = t, .arg = arg, .mbox = &mbox, .value = &t->value.changes };
    int32_t status = mailsrv__durable_is_open(d, arg->mbox, &h, &mbox);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_account(&d->reader, &h->account, &a);
    if (status != MAILSRV_OK)
        return status;
    p.at = position_of(&arg->cursor);
    if (arg->cursor.b[0] == 0)
        p.at = (struct position){ STAGE_VANISHED, mbox.uidnext, a.modseq, arg->since, UINT32_MAX };
    p.most = arg->limit < PAGE_MAX ? arg->limit : PAGE_MAX;
    p.rows = mailsrv__durable_room(t, PAGE_MAX * sizeof *p.rows);
    p.runs = mailsrv__durable_room(t, PAGE_MAX * sizeof *p.runs);
    return p.rows != NULL && p.runs != NULL ? answer(&p) : MAILSRV_NOMEM;
}
