/* Files of SQLite that have no name, and no more life than a transaction: octets in memory.
 *
 * Such are the journals with which a change of a group is undone alone.  SQLite could keep them in memory by itself
 * (temp_store=MEMORY), in pieces that it counts from the first one at the end of each statement: what one change then
 * costs grows with the square of its rows. */
#include "durable.h"

#include <stdlib.h>
#include <string.h>

struct scratch {
    sqlite3_file base;
    uint8_t *p;
    size_t n, room;
};

static struct scratch *of(sqlite3_file *file)
{
    return (struct scratch *)(void *)file;
}

static int close_scratch(sqlite3_file *file)
{
    free(of(file)->p);
    return SQLITE_OK;
}

static int read_scratch(sqlite3_file *file, void *p, int n, sqlite3_int64 offset)
{
    const struct scratch *s = of(file);
    size_t left = (size_t)offset < s->n ? s->n - (size_t)offset : 0, got = left < (size_t)n ? left : (size_t)n;
    if (got != 0)
        memcpy(p, s->p + offset, got);
    memset((uint8_t *)p + got, 0, (size_t)n - got);
    return got == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static bool make_room(struct scratch *s, size_t n)
{
    size_t room = s->room != 0 ? s->room : 65536;
    while (room < n)
        room *= 2;
    uint8_t *p = room != s->room ? realloc(s->p, room) : s->p;
    if (p == NULL)
        return false;
    s->p = p;
    s->room = room;
    return true;
}

static int write_scratch(sqlite3_file *file, const void *p, int n, sqlite3_int64 offset)
{
    struct scratch *s = of(file);
    size_t end = (size_t)offset + (size_t)n;
    if (!make_room(s, end))
        return SQLITE_IOERR_NOMEM;
    if ((size_t)offset > s->n)
        memset(s->p + s->n, 0, (size_t)offset - s->n);
    memcpy(s->p + offset, p, (size_t)n);
    s->n = end > s->n ? end : s->n;
    return SQLITE_OK;
}

static int truncate_scratch(sqlite3_file *file, sqlite3_int64 octets)
{
    struct scratch *s = of(file);
    s->n = (size_t)octets < s->n ? (size_t)octets : s->n;
    return SQLITE_OK;
}

static int sync_scratch(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return SQLITE_OK;
}

static int size_of_scratch(sqlite3_file *file, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)of(file)->n;
    return SQLITE_OK;
}

static int lock_scratch(sqlite3_file *file, int level)
{
    (void)file;
    (void)level;
    return SQLITE_OK;
}

static int is_locked(sqlite3_file *file, int *out)
{
    (void)file;
    *out = 0;
    return SQLITE_OK;
}

static int control_scratch(sqlite3_file *file, int what, void *arg)
{
    (void)file;
    (void)what;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int nothing(sqlite3_file *file)
{
    (void)file;
    return 0;
}

void mailsrv__durable_scratch_open(sqlite3_file *file)
{
    static const sqlite3_io_methods methods = {
        1,           close_scratch,   read_scratch, write_scratch, truncate_scratch, sync_scratch,
        size_of_scratch, lock_scratch, lock_scratch, is_locked,     control_scratch,  nothing,
        nothing,     NULL,            NULL,         NULL,          NULL,             NULL,
        NULL,
    };
    struct scratch *s = of(file);
    memset(s, 0, sizeof *s);
    s->base.pMethods = &methods;
}

int mailsrv__durable_scratch_octets(void)
{
    return (int)sizeof(struct scratch);
}
