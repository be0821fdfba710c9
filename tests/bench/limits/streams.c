/* How fast messages that lie in memory go out over one connection of loopback, to somebody who reads and forgets: in
 * slices by write(2), the slices of a message by one writev(2), and from a file in the page cache by sendfile(2), or as
 * a server does that looks at what it sends, by pread(2) of two slices and a writev of both. */
#define _GNU_SOURCE
#include "limit.h"
#include "loopback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

enum { POOL = 64 * 1024 * 1024, READ_ROOM = 256 * 1024, SLICES_MAX = 1024, COPIED_MAX = 2, COPY_ROOM = 65536 };

struct stream {
    const char *pool; /* messages, one behind the other, more than a cache holds */
    int file;         /* the same */
    size_t slice;
    int to;
};

static void sink(const int *fds, int n)
{
    static char room[READ_ROOM];
    (void)n;
    while (read(fds[0], room, sizeof room) > 0)
        ;
}

static void by_write(const struct stream *s, size_t at, size_t n)
{
    while (n != 0) {
        const ssize_t done = write(s->to, s->pool + at, n < s->slice ? n : s->slice);
        limits_must(done > 0, "write");
        at += (size_t)done;
        n -= (size_t)done;
    }
}

static void by_writev(const struct stream *s, size_t at, size_t n)
{
    while (n != 0) {
        static struct iovec v[SLICES_MAX];
        int slices = 0;
        for (size_t from = 0; from < n && slices < SLICES_MAX; from += s->slice, slices++)
            v[slices] =
                (struct iovec){ (void *)(uintptr_t)(s->pool + at + from), n - from < s->slice ? n - from : s->slice };
        const ssize_t done = writev(s->to, v, slices);
        limits_must(done > 0, "writev");
        at += (size_t)done;
        n -= (size_t)done;
    }
}

static void by_sendfile(const struct stream *s, size_t at, size_t n)
{
    off_t from = (off_t)at;
    while (n != 0) {
        const ssize_t done = sendfile(s->to, s->file, &from, n);
        limits_must(done > 0, "sendfile");
        n -= (size_t)done;
    }
}

static void by_copy(const struct stream *s, size_t at, size_t n)
{
    static char room[COPIED_MAX][COPY_ROOM];
    while (n != 0) {
        struct iovec v[COPIED_MAX];
        size_t all = 0;
        int slices = 0;
        for (; slices < COPIED_MAX && all < n; slices++, all += v[slices - 1].iov_len) {
            v[slices] = (struct iovec){ room[slices], n - all < s->slice ? n - all : s->slice };
            const ssize_t got = pread(s->file, v[slices].iov_base, v[slices].iov_len, (off_t)(at + all));
            limits_must(got == (ssize_t)v[slices].iov_len, "pread");
        }
        limits_must(writev(s->to, v, slices) == (ssize_t)all, "writev");
        at += all;
        n -= all;
    }
}

static const struct way {
    const char *name;
    void (*send)(const struct stream *stream, size_t at, size_t n);
} ways[] = { { "write", by_write }, { "writev", by_writev }, { "sendfile", by_sendfile }, { "copy", by_copy } };

static void measure(const struct limits *limits, struct stream *s, const struct way *way, size_t message)
{
    struct loopback loopback;
    uint64_t octets = 0;
    size_t at = 0;
    double took;
    loopback_open(&loopback, 1, sink);
    s->to = loopback.fds[0];
    const double began = limits_now();
    do {
        way->send(s, at, message);
        octets += message;
        at = at + 2 * message > POOL ? 0 : at + message;
        took = limits_now() - began;
    } while (took < limits->seconds);
    loopback_close(&loopback);
    limits_tell((double)octets / took / 1e6, "%s_of_%zu_by_%zu_mb_per_second", way->name, message,
                way->send == by_sendfile ? message : s->slice);
}

void limits_streams(const struct limits *limits)
{
    static const size_t messages[] = { 20480, 1048576 };
    char *pool = malloc(POOL);
    struct stream s = { pool, memfd_create("limits", 0), limits->slice, -1 };
    limits_must(pool != NULL && s.file >= 0, "memory");
    memset(pool, 'p', POOL);
    for (size_t at = 0; at < POOL; at += READ_ROOM)
        limits_must(pwrite(s.file, pool + at, READ_ROOM, (off_t)at) == READ_ROOM, "pwrite");
    for (size_t i = 0; i < (limits->octets != 0 ? 1 : 2); i++)
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++)
            measure(limits, &s, &ways[k], limits->octets != 0 ? limits->octets : messages[i]);
    close(s.file);
    free(pool);
}
