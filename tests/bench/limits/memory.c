/* How fast memory is copied, where no cache holds it. */
#include "limit.h"

#include <stdlib.h>
#include <string.h>

enum { OCTETS = 64 * 1024 * 1024 };

void limits_memory(const struct limits *limits)
{
    char *from = malloc(OCTETS), *to = malloc(OCTETS);
    uint64_t copies = 0;
    double took;
    limits_must(from != NULL && to != NULL, "memory");
    memset(from, 'f', OCTETS);
    memset(to, 't', OCTETS);
    const double began = limits_now();
    do {
        memcpy(to, from, OCTETS);
        from[copies++ % OCTETS] = to[OCTETS / 2];
        took = limits_now() - began;
    } while (took < limits->seconds);
    limits_tell((double)copies * OCTETS / took / 1e6, "memcpy_of_64_mib_mb_per_second");
    free(from);
    free(to);
}
