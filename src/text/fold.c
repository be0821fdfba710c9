#include "text/fold.h"

#include "text/fold_table.h"

#include <stddef.h>

/* The last run that begins at `c` or before it. */
static size_t find_run(uint32_t c)
{
    size_t low = 0, high = sizeof fold_runs / sizeof *fold_runs;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (fold_runs[middle].first <= c)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint32_t mailsrv__fold(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
    size_t i = find_run(c);
    uint32_t first = fold_runs[i].first, step = fold_runs[i].step;
    if (c < first || c - first >= fold_runs[i].n * step || (c - first) % step != 0)
        return c;
    return (uint32_t)((int32_t)c + fold_runs[i].by);
}
