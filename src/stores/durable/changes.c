/* CHANGES of a mailbox: the UIDs that vanished, in the order in which they did; then rows, in the order of their UIDs.
 *
 * Chunks of marks say how far they have changed (marks.h).  Those with messages that came since are the last ones; of
 * those before, few that were altered are found by an index, and sorted for each page; among many the whole mailbox is
 * looked through, a piece for each page, so that no page costs more than its share. */
#include "durable.h"

#define LOOKED_AT_MAX 1024 /* chunks, for a page */

enum stage { STAGE_VANISHED, STAGE_FEW, STAGE_MANY };

/* What a cursor says. */
struct position {
    enum stage stage;
    uint32_t end;    /* UIDNEXT when it was asked */
    uint64_t upto;
    uint64_t modseq; /* VANISHED: of the last run */
    uint32_t uid;    /* VANISHED: its first UID; else the UID to go on with */
    uint32_t came;   /* before this UID no message came since */
};

static mailsrv_cursor cursor_at(const struct position *at)
{
    mailsrv_cursor cursor = { { 1, (uint8_t)at->stage } }; /* never all zero: that is the start */
    mailsrv__durable_set_number(cursor.b + 4, at->end, 4);
    mailsrv__durable_set_number(cursor.b + 8, at->upto, 8);
    mailsrv__durable_set_number(cursor.b + 16, at->modseq, 8);
    mailsrv__durable_set_number(cursor.b + 24, at->uid, 4);
    mailsrv__durable_set_number(cursor.b + 28, at->came, 4);
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
    at.came = (uint32_t)mailsrv__durable_get_number(&from, 4);
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

/* The first UID of the last chunk before which nothing came since. */
static int32_t find_came(struct page *p)
{
    int64_t box = p->mbox->box;
    sqlite3_stmt *row = mailsrv__durable_ask(p->x, SQL_MARKS_OLDER, "iii", mailsrv__durable_chunk_key(box, 0),
                                             mailsrv__durable_chunk_key(box, UINT32_MAX), (int64_t)p->arg->since);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    int64_t key = result == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    p->at.came = mailsrv__durable_chunk_uid(key);
    return result == SQLITE_ROW || result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_failure(p->x);
}

/* Finding chunks by the index costs the square of how many they are, divided by how many a page has. */
static int32_t choose(struct page *p)
{
    uint64_t few = 16;
    while (few < UINT32_MAX && few * few < p->mbox->messages / CHUNK_ROWS)
        few *= 2;
    int32_t status = find_came(p);
    if (status != MAILSRV_OK)
        return status;
    sqlite3_stmt *row = mailsrv__durable_ask(p->x, SQL_MARKS_COUNT_ALTERED, "iii", p->mbox->box,
                                             (int64_t)p->arg->since, (int64_t)few + 1);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    uint64_t n = result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    p->at.stage = n == 0 || n > few ? STAGE_MANY : STAGE_FEW;
    p->at.uid = n == 0 && p->at.came != 0 ? p->at.came : 1;
    return result == SQLITE_ROW ? MAILSRV_OK : mailsrv__durable_failure(p->x);
}

/* Those of a chunk.  False: it is none.  When the page is full there is more, from `at.uid` on. */
static bool tell_chunk(struct page *p, mailsrv_bytes rows, int64_t key)
{
    struct walk walk;
    struct message_mark mark;
    mailsrv_changes *value = p->value;
    mailsrv__durable_walk_chunk(&walk, rows, key);
    while (!value->more && mailsrv__durable_walk_next(&walk, &mark)) {
        if (mark.uid < p->at.uid || mark.uid >= p->at.end || mark.modseq <= p->arg->since)
            continue;
        value->more = value->n == p->most;
        if (value->more)
            p->at.uid = mark.uid;
        else
            mailsrv__durable_take_mark(&mark, &p->rows[value->n++]);
    }
    return mailsrv__durable_walk_end(&walk) == MAILSRV_OK;
}

static sqlite3_stmt *ask(struct page *p)
{
    int64_t box = p->mbox->box, from = mailsrv__durable_chunk_key(box, p->at.uid);
    if (p->at.stage == STAGE_FEW)
        return mailsrv__durable_ask(p->x, SQL_MARKS_ALTERED, "iiii", box, (int64_t)p->arg->since, from,
                                    mailsrv__durable_chunk_key(box, p->at.came));
    return mailsrv__durable_ask(p->x, SQL_MARKS_SCAN, "ii", from, mailsrv__durable_chunk_key(box, p->at.end));
}

/* The chunks of a stage, until the page is full or has had its share. */
static int32_t tell_chunks(struct page *p)
{
    uint32_t looked_at = 0;
    bool good = true;
    int64_t came = mailsrv__durable_chunk_key(p->mbox->box, p->at.came);
    sqlite3_stmt *row = ask(p);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; good && result == SQLITE_ROW && !p->value->more; result = sqlite3_step(row)) {
        int64_t key = sqlite3_column_int64(row, 0);
        if (looked_at++ == LOOKED_AT_MAX) {
            p->value->more = 1;
            p->at.uid = mailsrv__durable_chunk_uid(key);
        } else if (key >= came || (uint64_t)sqlite3_column_int64(row, 2) > p->arg->since) {
            good = tell_chunk(p, mailsrv__durable_column_bytes(row, 1), key);
        }
    }
    int32_t status = mailsrv__durable_ended(p->x, result);
    sqlite3_reset(row);
    if (!good)
        return MAILSRV_CORRUPT;
    return status == MAILSRV_NONEXISTENT ? MAILSRV_OK : status;
}

/* What marks have not. */
static int32_t complete(struct page *p)
{
    int32_t status = MAILSRV_OK;
    for (uint32_t i = 0; i < p->value->n && status == MAILSRV_OK; i++) {
        sqlite3_stmt *row = mailsrv__durable_ask(p->x, SQL_MESSAGE_ROW, "ii", p->mbox->box, (int64_t)p->rows[i].uid);
        int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
        if (result != SQLITE_ROW)
            status = result == SQLITE_DONE ? MAILSRV_CORRUPT : mailsrv__durable_failure(p->x);
        else if (!mailsrv__durable_take_row(p->task, row, &p->rows[i]))
            status = MAILSRV_NOMEM;
        sqlite3_reset(row);
    }
    return status;
}

static int32_t tell_rows(struct page *p)
{
    int32_t status = tell_chunks(p);
    if (status == MAILSRV_OK && p->at.stage == STAGE_FEW && !p->value->more) {
        p->at.stage = STAGE_MANY;
        p->at.uid = p->at.came > p->at.uid ? p->at.came : p->at.uid;
        status = tell_chunks(p);
    }
    bool is_whole = (p->arg->fields & ~(uint32_t)FIELDS_OF_MARKS) == 0;
    return status == MAILSRV_OK && !is_whole ? complete(p) : status;
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
        p.at = (struct position){ STAGE_VANISHED, mbox.uidnext, a.modseq, arg->since, UINT32_MAX, 0 };
    p.most = mailsrv__durable_page(arg->limit, arg->fields);
    p.rows = mailsrv__durable_room_to_fill(t, p.most * sizeof *p.rows);
    p.runs = mailsrv__durable_room(t, p.most * sizeof *p.runs);
    if (p.rows == NULL || p.runs == NULL)
        return MAILSRV_NOMEM;
    status = answer(&p);
    mailsrv__durable_lend(t);
    return status;
}
