/* ROWS for who lists messages with their structures: one statement goes through both tables side by side, and what it
 * finds is copied once. */
#include "durable.h"

#include <string.h>

enum { ROOM_OCTETS = 16 * 1024 };

bool mailsrv__durable_are_shapes(uint32_t fields)
{
    const uint32_t known = MAILSRV_ROW_OCTETS | MAILSRV_ROW_INTERNALDATE | MAILSRV_ROW_STRUCTURE;
    return (fields & MAILSRV_ROW_STRUCTURE) != 0 && (fields & ~known) == 0;
}

/* Room that many structures share. */
struct shared {
    uint8_t *at;
    size_t left;
};

static bool keep(struct task *t, struct shared *room, mailsrv_bytes *bytes)
{
    if (bytes->n == 0)
        return true;
    if (bytes->n > room->left) {
        size_t n = bytes->n > ROOM_OCTETS ? bytes->n : ROOM_OCTETS;
        room->at = mailsrv__durable_room_to_fill(t, n);
        room->left = room->at != NULL ? n : 0;
    }
    if (room->at == NULL)
        return false;
    memcpy(room->at, bytes->p, bytes->n);
    bytes->p = room->at;
    room->at += bytes->n;
    room->left -= bytes->n;
    return true;
}

/* The lower half of the key. */
static uint32_t uid_of(sqlite3_stmt *row)
{
    return (uint32_t)sqlite3_column_int64(row, 0);
}

/* Its prefix is what a message has beside its body. */
static void take_shape(sqlite3_stmt *row, mailsrv_row *out)
{
    out->uid = uid_of(row);
    out->octets = (uint64_t)sqlite3_column_int64(row, 1);
    out->internal_us = sqlite3_column_int64(row, 2);
    out->prefix_octets = out->octets - (uint64_t)sqlite3_column_int64(row, 3);
    out->structure = mailsrv__durable_column_bytes(row, 4);
}

int32_t mailsrv__durable_shapes(struct durable *d, struct task *t, int64_t box, mailsrv_run run, size_t *structures)
{
    const mailsrv_arg_rows *arg = t->op->arg;
    const uint32_t most = mailsrv__durable_page(arg->limit, arg->fields);
    mailsrv_rows *rows = &t->value.rows;
    mailsrv_row *page = (mailsrv_row *)(uintptr_t)rows->rows;
    struct shared room = { NULL, 0 };
    int32_t status = MAILSRV_OK;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->reader, SQL_MESSAGE_SHAPES, "iii", box, (int64_t)run.first,
                                             (int64_t)run.last);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; result == SQLITE_ROW && status == MAILSRV_OK; result = sqlite3_step(row)) {
        mailsrv_row shape = { 0 };
        take_shape(row, &shape);
        *structures += shape.structure.n;
        rows->more = rows->n == most || (rows->n != 0 && *structures > MAILSRV_ROWS_STRUCTURE_MAX);
        if (rows->more)
            break;
        if (keep(t, &room, &shape.structure))
            page[rows->n++] = shape;
        else
            status = MAILSRV_NOMEM;
    }
    if (rows->more)
        rows->next = mailsrv__durable_cursor_at(uid_of(row));
    if (result != SQLITE_ROW && result != SQLITE_DONE && status == MAILSRV_OK)
        status = mailsrv__durable_failure(&d->reader);
    sqlite3_reset(row);
    return status;
}
