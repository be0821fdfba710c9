/* How many messages a second can be made durable: so many appended by one write, then fdatasync(2).  Once to a file
 * that grows, and once over one that has its octets already, so that no size and no place has to be noted. */
#define _GNU_SOURCE
#include "limit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 256 * 1024 * 1024, PLACE_MAX = 4096 };

static int make_file(const char *dir)
{
    static char place[PLACE_MAX];
    const int n = snprintf(place, sizeof place, "%s/limits-XXXXXX", dir);
    limits_must(n > 0 && (size_t)n < sizeof place, "dir");
    const int fd = mkstemp(place);
    limits_must(fd >= 0, place);
    unlink(place);
    return fd;
}

static void fill(int fd, const char *octets, size_t n)
{
    for (size_t at = 0; at < FILE_MAX; at += n)
        limits_must(pwrite(fd, octets, n, (off_t)at) == (ssize_t)n, "pwrite");
    limits_must(fsync(fd) == 0, "fsync");
}

/* Syncs a second of `n` octets each. */
static double sync_rate(const struct limits *limits, int fd, const char *octets, size_t n)
{
    uint64_t syncs = 0;
    size_t at = 0;
    double took;
    const double began = limits_now();
    do {
        limits_must(pwrite(fd, octets, n, (off_t)at) == (ssize_t)n, "pwrite");
        limits_must(fdatasync(fd) == 0, "fdatasync");
        syncs++;
        at += n;
        if (at + n > FILE_MAX)
            at = 0;
        took = limits_now() - began;
    } while (took < limits->seconds);
    return (double)syncs / took;
}

static void measure(const struct limits *limits, const char *name, bool filled, size_t octets, uint64_t group)
{
    const size_t n = octets * (size_t)group;
    char *room = malloc(n);
    limits_must(room != NULL && n <= FILE_MAX, "memory");
    memset(room, 'm', n);
    const int fd = make_file(limits->dir);
    if (filled)
        fill(fd, room, n);
    const double syncs = sync_rate(limits, fd, room, n);
    close(fd);
    free(room);
    limits_tell(syncs * (double)group, "%s_of_%zu_by_%llu_per_second", name, octets, (unsigned long long)group);
}

static void measure_each(const struct limits *limits, const char *name, bool filled)
{
    static const size_t sizes[] = { 4096, 102400 };
    static const uint64_t groups[] = { 1, 8, 64 };
    for (size_t i = 0; i < (limits->octets != 0 ? 1 : 2); i++)
        for (size_t k = 0; k < (limits->group != 0 ? 1 : 3); k++)
            measure(limits, name, filled, limits->octets != 0 ? limits->octets : sizes[i],
                    limits->group != 0 ? limits->group : groups[k]);
}

void limits_appends(const struct limits *limits)
{
    measure_each(limits, "appends", false);
}

void limits_overwrites(const struct limits *limits)
{
    measure_each(limits, "overwrites", true);
}
