/* Durations, counted in buckets: as many for each power of two, so that a quantile is right within 1 %. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_PARTS = 128, HISTOGRAM_POWERS = 40 }; /* 2^40 ns and more are in the last */

struct histogram {
    uint64_t counts[HISTOGRAM_PARTS * HISTOGRAM_POWERS];
    uint64_t n, max_ns;
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* The least duration that `share` (0 to 1) of all do not exceed; 0 where there is none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
