/* Numbers that look random and are the same for the same seed, on every machine. */
#ifndef LOAD_RANDOM_H
#define LOAD_RANDOM_H

#include <stdint.h>

struct dice {
    uint64_t at;
};

static inline uint64_t dice_next(struct dice *dice)
{
    uint64_t z = dice->at += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Of two numbers, so that neighbours have nothing in common. */
static inline struct dice dice_of(uint64_t seed, uint64_t number)
{
    struct dice first = { seed }, second = { dice_next(&first) ^ number };
    return (struct dice){ dice_next(&second) };
}

/* 0 to n - 1; n is below 2^32. */
static inline uint32_t dice_below(struct dice *dice, uint32_t n)
{
    return (uint32_t)(((dice_next(dice) >> 32) * n) >> 32);
}

#endif
