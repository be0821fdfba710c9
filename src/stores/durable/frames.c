/* Frames, and groups of them on their way into the log.
 *
 * What is written of a large body are the octets where they lie: it is neither copied into its frame nor into the
 * group, which would cost as much as all else that the writer does for it. */
#include "durable.h"

#include <stdlib.h>

#define LENT_MIN (1u << 14) /* to copy less costs less than a write of its own */

/* The CRC is to follow. */
static size_t begin_frame(const struct log *log, struct buffer *to, enum frame_kind kind, size_t n)
{
    size_t at = to->n;
    mailsrv__durable_put_number(to, 0, 4);
    mailsrv__durable_put_number(to, n, 4);
    mailsrv__durable_put_number(to, kind, 4);
    mailsrv__durable_put_number(to, (uint32_t)log->end.segment, 4);
    mailsrv__durable_put_number(to, log->group, 8);
    return at;
}

/* `behind`: of the frame, but elsewhere. */
static void end_frame(struct buffer *to, size_t at, mailsrv_bytes behind)
{
    if (to->failed)
        return;
    uint32_t crc = mailsrv__durable_crc(0, to->p + at + 4, to->n - at - 4);
    mailsrv__durable_set_number(to->p + at, mailsrv__durable_crc(crc, behind.p, behind.n), 4);
}

void mailsrv__durable_put_frame(const struct log *log, struct buffer *to, enum frame_kind kind, const void *p,
                                size_t n)
{
    size_t at = begin_frame(log, to, kind, n);
    mailsrv__durable_put(to, p, n);
    end_frame(to, at, (mailsrv_bytes){ NULL, 0 });
}

static bool lend(struct group *g, mailsrv_bytes octets)
{
    if (g->n_lent == g->room) {
        size_t room = g->room != 0 ? g->room * 2 : 16;
        struct lent *v = realloc(g->lent, room * sizeof *v);
        if (v == NULL)
            return false;
        g->lent = v;
        g->room = room;
    }
    g->lent[g->n_lent++] = (struct lent){ g->own.n, octets };
    g->lent_octets += octets.n;
    return true;
}

void mailsrv__durable_put_body(const struct log *log, struct group *g, uint64_t number, mailsrv_bytes octets)
{
    size_t at = begin_frame(log, &g->own, FRAME_BODY, 8 + octets.n);
    mailsrv__durable_put_number(&g->own, number, 8);
    if (octets.n < LENT_MIN) {
        mailsrv__durable_put(&g->own, octets.p, octets.n);
        octets.n = 0;
    } else if (!lend(g, octets)) {
        g->own.failed = true;
    }
    end_frame(&g->own, at, octets);
}

size_t mailsrv__durable_group_octets(const struct group *g)
{
    return g->own.n + g->lent_octets;
}

struct group_mark mailsrv__durable_group_mark(const struct group *g)
{
    return (struct group_mark){ g->own.n, g->n_lent, mailsrv__durable_group_octets(g) };
}

void mailsrv__durable_group_cut(struct group *g, const struct group_mark *mark)
{
    g->own.n = mark->own;
    g->own.failed = false;
    g->n_lent = mark->lent;
    g->lent_octets = mark->octets - mark->own;
}

static int32_t write_all(struct log *log, mailsrv_bytes octets, uint64_t *offset)
{
    const mailsrv_durable_files *files = &log->d->files;
    if (octets.n == 0)
        return MAILSRV_OK;
    int32_t status = files->write(files->user, log->file, octets.p, octets.n, *offset);
    *offset += octets.n;
    return status;
}

int32_t mailsrv__durable_group_write(struct log *log, const struct group *g)
{
    uint64_t offset = log->end.offset;
    size_t done = 0;
    int32_t status = MAILSRV_OK;
    for (size_t i = 0; i < g->n_lent && status == MAILSRV_OK; i++) {
        const struct lent *lent = &g->lent[i];
        status = write_all(log, (mailsrv_bytes){ g->own.p + done, lent->at - done }, &offset);
        done = lent->at;
        if (status == MAILSRV_OK)
            status = write_all(log, lent->octets, &offset);
    }
    return status == MAILSRV_OK ? write_all(log, (mailsrv_bytes){ g->own.p + done, g->own.n - done }, &offset) : status;
}
