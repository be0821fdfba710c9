#include "sim.h"

/* SplitMix64. */
uint64_t dice_mix(uint64_t a, uint64_t b)
{
    uint64_t z = a + (b + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t dice_roll(struct dice *dice)
{
    dice->state += UINT64_C(0x9E3779B97F4A7C15);
    return dice_mix(dice->state, 0);
}

uint32_t dice_below(struct dice *dice, uint32_t n)
{
    return (uint32_t)((dice_roll(dice) >> 16) % n);
}

bool dice_falls(struct dice *dice, uint32_t of_1000)
{
    return dice_below(dice, 1000) < of_1000;
}
