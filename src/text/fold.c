#include "text/fold.h"

#include "text/fold_table.h"

#include <stdbool.h>
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

/* Between two of the runs lie scripts without case: those of East Asia, and what stands for a bad character. */
static bool is_between(uint32_t c)
{
    return (c >= 0x2D00 && c < 0xA640) || (c >= 0xABC0 && c < 0xFF21) || (c >= 0xFF3B && c < 0x10400);
}

uint32_t mailsrv__fold(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
    if (is_between(c))
        return c;
    size_t i = find_run(c);
    uint32_t first = fold_runs[i].first, step = fold_runs[i].step;
    if (c < first || c - first >= fold_runs[i].n * step || (c - first) % step != 0)
        return c;
    return (uint32_t)((int32_t)c + fold_runs[i].by);
}
