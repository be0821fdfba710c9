/* Routes of a test, from their questions to their plan, as text. */
#ifndef UNIT_ROUTES_H
#define UNIT_ROUTES_H

#include "allocators.h"
#include "zone.h"

#include "queue/route.h"

struct routed {
    struct zone zone;
    struct counted from;
    struct heap heap;
    bool no_memory;
    char plan[2048]; /* "host/address host/address", or "451 4.4.3 text" */
    uint32_t ttl_s;
    char questions[4096]; /* "MX a.test, AAAA mx.a.test" */
};

/* Asks `zone` all that the route wants to know.  `fail`: the allocation that fails, from 1; 0: none. */
void routes_run(struct routed *out, const char *zone, const struct route_terms *terms, uint64_t fail);

#endif
