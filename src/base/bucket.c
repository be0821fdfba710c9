/* Log-linear buckets: the two bits behind the highest one choose within its doubling. */
#include <mailsrv/stats.h>

enum { WITHIN = 4 };

uint32_t mailsrv_bucket(uint64_t value)
{
    uint32_t doublings = 0;
    if (value >> 32 != 0)
        return MAILSRV_BUCKETS - 1;
    while (value >> doublings >= 2 * WITHIN)
        doublings++;
    return doublings * WITHIN + (uint32_t)(value >> doublings);
}

uint64_t mailsrv_bucket_limit(uint32_t bucket)
{
    if (bucket >= MAILSRV_BUCKETS - 1)
        return UINT64_MAX;
    uint32_t next = bucket + 1;
    return next < WITHIN ? next : (uint64_t)(WITHIN + next % WITHIN) << (next / WITHIN - 1);
}
