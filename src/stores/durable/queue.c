/* QUEUE_SCAN: a page is a range of one of the queue's three indexes, behind the last item of the page before. */
#include "durable.h"

#include <string.h>

#define PAGE_OCTETS 65536 /* of records and lanes; behind so many no item follows */

/* The last item of the page before, or what is below the first. */
struct behind {
    bool is_start;
    int64_t due_us;
    uint64_t number;
};

static struct behind behind(const mailsrv_arg_queue_scan *arg)
{
    static const mailsrv_cursor start;
    struct reader from = { arg->cursor.b + 8, 16, false };
    struct behind b = { true, arg->due_min_us, 0 };
    if (memcmp(&arg->cursor, &start, sizeof start) == 0)
        return b;
    b.is_start = false;
    b.number = mailsrv__durable_get_number(&from, 8);
    b.due_us = (int64_t)mailsrv__durable_get_number(&from, 8);
    return b;
}

static mailsrv_cursor cursor_behind(const struct behind *b)
{
    mailsrv_cursor cursor = mailsrv__durable_cursor_at(b->number);
    mailsrv__durable_set_number(cursor.b + 16, (uint64_t)b->due_us, 8);
    return cursor;
}

static bool take_item(struct task *t, sqlite3_stmt *row, mailsrv_queue_item *out)
{
    out->queue = (uint64_t)sqlite3_column_int64(row, 0);
    out->octets = (uint64_t)sqlite3_column_int64(row, 1);
    out->record = mailsrv__durable_column_bytes(row, 2);
    out->due_us = sqlite3_column_int64(row, 3);
    out->lane = mailsrv__durable_column_bytes(row, 4);
    return mailsrv__durable_keep(t, &out->record) && mailsrv__durable_keep(t, &out->lane);
}

struct page {
    mailsrv_queue_item *items;
    uint32_t most;
    size_t octets;
    struct behind behind;
};

/* Adds what a statement gives, until the page is full: then there is `more`. */
static int32_t add_items(struct durable *d, struct task *t, enum sql which, struct page *p)
{
    const mailsrv_arg_queue_scan *arg = t->op->arg;
    mailsrv_queued *value = &t->value.queued;
    int32_t status = MAILSRV_OK;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->reader, which, which >= SQL_QUEUE_LANE ? "iiiib" : "iiii",
                                             p->behind.due_us, (int64_t)p->behind.number, arg->due_max_us,
                                             (int64_t)p->most + 1, arg->lane);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; result == SQLITE_ROW && !value->more && status == MAILSRV_OK; result = sqlite3_step(row)) {
        mailsrv_queue_item *to = &p->items[value->n];
        value->more = value->n == p->most || p->octets >= PAGE_OCTETS;
        if (value->more)
            continue;
        if (!take_item(t, row, to))
            status = MAILSRV_NOMEM;
        p->octets += to->record.n + to->lane.n;
        p->behind.number = to->queue;
        p->behind.due_us = to->due_us;
        value->n++;
    }
    if (result != SQLITE_ROW && result != SQLITE_DONE && status == MAILSRV_OK)
        status = mailsrv__durable_failure(&d->reader);
    sqlite3_reset(row);
    return status;
}

/* What is left of the time that the page before ended with, then what is later. */
static int32_t add_by_due(struct durable *d, struct task *t, enum sql same, enum sql later, struct page *p)
{
    int32_t status = p->behind.is_start ? MAILSRV_OK : add_items(d, t, same, p);
    return status == MAILSRV_OK && !t->value.queued.more ? add_items(d, t, later, p) : status;
}

static int32_t add_in_order(struct durable *d, struct task *t, struct page *p)
{
    switch (((const mailsrv_arg_queue_scan *)t->op->arg)->order) {
    case MAILSRV_QUEUE_BY_NUMBER:
        return add_items(d, t, SQL_QUEUE_RANGE, p);
    case MAILSRV_QUEUE_BY_DUE:
        return add_by_due(d, t, SQL_QUEUE_DUE_SAME, SQL_QUEUE_DUE, p);
    case MAILSRV_QUEUE_BY_LANE:
        return add_by_due(d, t, SQL_QUEUE_LANE_SAME, SQL_QUEUE_LANE, p);
    default:
        return MAILSRV_CANNOT;
    }
}

int32_t mailsrv__durable_queue_scan(struct durable *d, struct task *t)
{
    const mailsrv_arg_queue_scan *arg = t->op->arg;
    mailsrv_queued *value = &t->value.queued;
    struct page p = { NULL, arg->limit < PAGE_MAX ? arg->limit : PAGE_MAX, 0, behind(arg) };
    p.items = mailsrv__durable_room(t, PAGE_MAX * sizeof *p.items);
    if (p.items == NULL)
        return MAILSRV_NOMEM;
    value->size = sizeof *value;
    value->stride = sizeof *p.items;
    value->items = p.items;
    int32_t status = add_in_order(d, t, &p);
    if (value->more)
        value->next = cursor_behind(&p.behind);
    t->answer.value = value;
    return status;
}
