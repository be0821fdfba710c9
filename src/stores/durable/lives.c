/* What is live of each segment: the octets of bodies and records that a new index would need.  The index has it, and
 * the log a copy, to choose by. */
#include "durable.h"

#include <stdlib.h>

#define LOOKS_BACK 8

void mailsrv__durable_lives(struct index *x, uint64_t segment, int64_t octets)
{
    struct lives *l = &x->lives;
    size_t from = l->n > l->mark + LOOKS_BACK ? l->n - LOOKS_BACK : l->mark;
    for (size_t i = from; i < l->n; i++)
        if (l->v[i].segment == segment) {
            l->v[i].octets += octets;
            return;
        }
    if (l->n == l->room) {
        size_t room = l->room != 0 ? l->room * 2 : 64;
        struct live *v = realloc(l->v, room * sizeof *v);
        l->failed = l->failed || v == NULL;
        if (v == NULL)
            return;
        l->v = v;
        l->room = room;
    }
    l->v[l->n++] = (struct live){ segment, octets };
}

bool mailsrv__durable_lives_store(struct index *x)
{
    for (size_t i = 0; i < x->lives.n; i++)
        if (!mailsrv__durable_run(x, SQL_SEGMENT_LIVES, "ii", (int64_t)x->lives.v[i].segment, x->lives.v[i].octets))
            return false;
    return !x->lives.failed;
}

void mailsrv__durable_lives_took(struct durable *d)
{
    struct lives *l = &d->writer.lives;
    for (size_t i = 0; i < l->n; i++) {
        struct sealed *one = mailsrv__durable_log_find(&d->log, l->v[i].segment);
        if (one != NULL)
            one->live += l->v[i].octets;
        else if (l->v[i].segment == d->log.end.segment)
            d->log.live += l->v[i].octets;
    }
    l->n = l->mark = 0;
}

static void take(struct durable *d, sqlite3_stmt *row)
{
    uint64_t number = (uint64_t)sqlite3_column_int64(row, 0), retired = (uint64_t)sqlite3_column_int64(row, 2);
    struct sealed *one = mailsrv__durable_log_find(&d->log, number);
    if (retired != 0)
        mailsrv__durable_log_retire(&d->log, number, retired);
    else if (one != NULL)
        one->live = sqlite3_column_int64(row, 1);
    else if (number == d->log.end.segment)
        d->log.live = sqlite3_column_int64(row, 1);
}

int32_t mailsrv__durable_lives_load(struct durable *d)
{
    struct index *x = &d->writer;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_SEGMENT_ALL, "");
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    x->lives.n = x->lives.mark = 0;
    d->log.retired.n = 0;
    for (; result == SQLITE_ROW; result = sqlite3_step(row))
        take(d, row);
    int32_t status = result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_failure(x);
    sqlite3_reset(row);
    return status;
}
