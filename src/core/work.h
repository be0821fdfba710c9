/* The ring of those that have something to do: each gets a slice, then the next one. */
#ifndef CORE_WORK_H
#define CORE_WORK_H

#include "base/list.h"

#include <stdint.h>

#define SLICE_UNITS 256u

struct work {
    struct node ring; /* in engine->ring, or alone */
    /* Works until about `units` are spent.  Returns 1 to be put back at the end of the ring. */
    int (*run)(struct work *work, uint32_t units);
};

#endif
