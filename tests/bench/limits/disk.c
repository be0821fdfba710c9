/* How many messages a second can be made durable: so many appended by one write, then fdatasync(2).  Once to a file
 * that grows, and once over one that has its octets already, so that no size and no place has to be noted. */
#define _GNU_SOURCE
#include "limit.h"

#include <fcntl.h>
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

static void measure(const struct limits *limits, size_t octets, uint64_t group)
{
    const size_t n = octets * (size_t)group;
    char *room = malloc(n);
    limits_must(room != NULL && n <= FILE_MAX, "memory");
    memset(room, 'm', n);
    int fd = make_file(limits->dir);
    const double grows = sync_rate(limits, fd, room, n);
    close(fd);
    fd = make_file(limits->dir);
    fill(fd, room, n);
    const double overwrites = sync_rate(limits, fd, room, n);
    close(fd);
    free(room);
    limits_tell(grows * (double)group, "appends_of_%zu_by_%llu_per_second", octets, (unsigned long long)group);
    limits_tell(overwrites * (double)group, "overwrites_of_%zu_by_%llu_per_second", octets, (unsigned long long)group);
}

void limits_disk(const struct limits *limits)
{
    static const size_t sizes[] = { 4096, 102400 };
    const uint64_t groups[] = { 1, 8, 64, limits->group };
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 4; k++)
            if (groups[k] != 0)
                measure(limits, sizes[i], groups[k]);
}
