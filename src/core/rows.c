/* Answers with rows, built row by row. */
#include "core/op.h"

enum { ROWS_FIRST = 16 };

struct mailsrv_rows_builder {
    mailsrv_engine *engine;
    mailsrv_row *rows;
    uint8_t *bytes; /* of each its uidl, then its structure */
    size_t n, room, bytes_n, bytes_room;
};

int32_t mailsrv_rows_new(mailsrv_engine *e, mailsrv_rows_builder **out)
{
    if (e == NULL || out == NULL)
        return MAILSRV_E_USAGE;
    mailsrv_rows_builder *rows = mailsrv__heap_take(&e->heap, CLASS_OPERATIONS, NULL, sizeof *rows);
    if (rows == NULL)
        return MAILSRV_NOMEM;
    rows->engine = e;
    *out = rows;
    return MAILSRV_OK;
}

/* Makes room for `needed` of `unit` octets, `n` of which are in use. */
static bool grow(mailsrv_rows_builder *rows, void **p, size_t *room, size_t unit, size_t n, size_t needed)
{
    if (needed <= *room)
        return true;
    size_t larger = *room == 0 ? ROWS_FIRST : *room;
    while (larger < needed)
        larger *= 2;
    struct heap *heap = &rows->engine->heap;
    void *q = mailsrv__heap_room(heap, CLASS_OPERATIONS, NULL, larger * unit);
    if (q == NULL)
        return false;
    if (n != 0)
        memcpy(q, *p, n * unit);
    mailsrv__heap_give(heap, CLASS_OPERATIONS, NULL, *p, *room * unit);
    *p = q;
    *room = larger;
    return true;
}

static bool bytes_are_there(mailsrv_bytes b)
{
    return b.n == 0 || b.p != NULL;
}

static void add_bytes(mailsrv_rows_builder *rows, mailsrv_bytes b)
{
    if (b.n != 0)
        memcpy(rows->bytes + rows->bytes_n, b.p, b.n);
    rows->bytes_n += b.n;
}

int32_t mailsrv_rows_add(mailsrv_rows_builder *rows, const mailsrv_row *row, size_t row_octets)
{
    if (rows == NULL || row == NULL || row_octets < sizeof *row || !bytes_are_there(row->uidl) ||
        !bytes_are_there(row->structure))
        return MAILSRV_E_USAGE;
    void *p = rows->rows, *bytes = rows->bytes;
    size_t bytes_n = rows->bytes_n + row->uidl.n + row->structure.n;
    bool fits = grow(rows, &p, &rows->room, sizeof *row, rows->n, rows->n + 1);
    rows->rows = p;
    fits = fits && grow(rows, &bytes, &rows->bytes_room, 1, rows->bytes_n, bytes_n);
    rows->bytes = bytes;
    if (!fits)
        return MAILSRV_NOMEM;
    rows->rows[rows->n++] = *row;
    add_bytes(rows, row->uidl);
    add_bytes(rows, row->structure);
    return MAILSRV_OK;
}

/* The bytes have found their place. */
static void point_to(const uint8_t **at, mailsrv_bytes *b)
{
    b->p = b->n == 0 ? NULL : *at;
    if (b->n != 0)
        *at += b->n;
}

static void release_rows(void *user)
{
    mailsrv_rows_free(user);
}

int32_t mailsrv_rows_answer(mailsrv_rows_builder *rows, mailsrv_op_id id, const mailsrv_cursor *next)
{
    if (rows == NULL)
        return MAILSRV_E_USAGE;
    mailsrv_engine *e = rows->engine;
    const struct op *op = mailsrv__op_find(e, id);
    if (op != NULL && op->pub.kind != MAILSRV_OP_ROWS) {
        mailsrv_rows_free(rows);
        return MAILSRV_E_USAGE;
    }
    const uint8_t *at = rows->bytes;
    for (size_t i = 0; i < rows->n; i++) {
        point_to(&at, &rows->rows[i].uidl);
        point_to(&at, &rows->rows[i].structure);
    }
    mailsrv_rows value = {
        .size = sizeof value, .stride = sizeof(mailsrv_row), .n = (uint32_t)rows->n, .rows = rows->rows
    };
    if (next != NULL) {
        value.more = 1;
        value.next = *next;
    }
    const mailsrv_answer answer = {
        .size = sizeof answer, .status = MAILSRV_OK, .value = &value, .release = release_rows, .user = rows
    };
    int32_t status = mailsrv_op_answer(e, id, &answer);
    if (status == MAILSRV_E_USAGE)
        mailsrv_rows_free(rows);
    return status;
}

void mailsrv_rows_free(mailsrv_rows_builder *rows)
{
    if (rows == NULL)
        return;
    struct heap *heap = &rows->engine->heap;
    mailsrv__heap_give(heap, CLASS_OPERATIONS, NULL, rows->rows, rows->room * sizeof *rows->rows);
    mailsrv__heap_give(heap, CLASS_OPERATIONS, NULL, rows->bytes, rows->bytes_room);
    mailsrv__heap_give(heap, CLASS_OPERATIONS, NULL, rows, sizeof *rows);
}
