/* What SQLite appends to its log, gathered: it writes each frame in two pieces, 24 octets and a page, and a transaction
 * has many frames.  Here they are written together.
 *
 * The head of a transaction's last frame says how many pages the database has then, that of any other says 0 (SQLite's
 * file format, section 4.1).  With that frame all is written, and only then does SQLite let others see it: so what
 * fails is told in time.  What is not appended goes its own way, behind what was gathered before it. */
#include "vfs.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 65536
#define HEAD 24

int mailsrv__durable_gathered_write(struct gathered *g)
{
    size_t n = g->n;
    g->n = 0; /* what fails is not tried again: its transaction is void */
    return n == 0 ? SQLITE_OK : g->write(g->file, g->p, n, g->end - n);
}

static bool has_room(struct gathered *g, size_t n)
{
    if (g->p == NULL)
        g->p = malloc(ROOM);
    return g->p != NULL && n <= ROOM - g->n;
}

static int append(struct gathered *g, const void *p, size_t n)
{
    memcpy(g->p + g->n, p, n);
    g->n += n;
    g->end += n;
    return n != HEAD && g->is_last ? mailsrv__durable_gathered_write(g) : SQLITE_OK;
}

/* A frame's head comes where other frames are that were not written yet: their transaction was rolled back, and they
 * are nobody's.  (Frames that a transaction has written it may change in their place; but a head only when it has
 * written, and read, all.) */
static void forget(struct gathered *g, uint64_t from)
{
    const uint64_t begin = g->end - g->n;
    g->n = from > begin ? (size_t)(from - begin) : 0;
    g->end = from;
}

int mailsrv__durable_gather(struct gathered *g, const void *p, size_t n, uint64_t offset)
{
    const uint8_t *head = p;
    if (n == HEAD && g->n != 0 && offset < g->end)
        forget(g, offset);
    bool appends = offset == g->end && offset != 0;
    if (n == HEAD)
        g->is_last = (head[4] | head[5] | head[6] | head[7]) != 0;
    if (appends && has_room(g, n))
        return append(g, p, n);
    int result = mailsrv__durable_gathered_write(g);
    if (result != SQLITE_OK)
        return result;
    if (appends && has_room(g, n))
        return append(g, p, n);
    if (offset == 0 || offset + n > g->end) /* the log begins anew, or goes on elsewhere */
        g->end = offset + n;
    return g->write(g->file, p, n, offset);
}
