/* Random numbers of a test: splitmix64 (Steele, Lea, Flood 2014), from MAILSRV_SEED. */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H

#include <stdint.h>
#include <stdlib.h>

static inline uint64_t random_seed(void)
{
    const char *seed = getenv("MAILSRV_SEED");
    return seed == NULL ? 1 : strtoull(seed, NULL, 10);
}

static inline uint64_t draw(uint64_t *state, uint64_t below)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

#endif
