#include "histogram.h"

/* Below HISTOGRAM_PARTS each duration has a bucket of its own; above, a power of two has HISTOGRAM_PARTS / 2. */
static uint32_t bucket_of(uint64_t ns)
{
    if (ns < HISTOGRAM_PARTS)
        return (uint32_t)ns;
    const uint32_t power = 63 - (uint32_t)__builtin_clzll(ns), shift = power - 6;
    const uint32_t bucket = (shift + 1) * (HISTOGRAM_PARTS / 2) + (uint32_t)(ns >> shift) - HISTOGRAM_PARTS / 2;
    const uint32_t last = HISTOGRAM_PARTS * HISTOGRAM_POWERS - 1;
    return bucket < last ? bucket : last;
}

/* The largest duration of a bucket. */
static uint64_t most_of(uint32_t bucket)
{
    if (bucket < HISTOGRAM_PARTS)
        return bucket;
    const uint32_t shift = bucket / (HISTOGRAM_PARTS / 2) - 1;
    const uint64_t part = HISTOGRAM_PARTS / 2 + bucket % (HISTOGRAM_PARTS / 2);
    return ((part + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->counts[bucket_of(ns)]++;
    histogram->n++;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    const uint64_t wanted = (uint64_t)(share * (double)histogram->n + 0.999999);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_PARTS * HISTOGRAM_POWERS; i++) {
        seen += histogram->counts[i];
        if (seen != 0 && seen >= wanted)
            return most_of(i) < histogram->max_ns ? most_of(i) : histogram->max_ns;
    }
    return histogram->max_ns;
}
