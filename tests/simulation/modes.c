/* Worlds with a purpose of their own. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

enum { SMALL_MAILS = 20, SCHEDULE_MAILS = 20, OTHER_MAILS = 500 };

/* ---- A crash at each operation: what is out then was done, or was not ---- */

static struct sim_setup small_world(uint64_t seed)
{
    return (struct sim_setup){ .seed = seed, .mails = SMALL_MAILS, .domains = 6, .span_us = HOUR, .brief = true, .connections = 40 };
}

static bool crash_at(struct sim_setup setup, uint64_t at, bool does, uint64_t *ops)
{
    struct sim sim;
    setup.crash_at = at;
    setup.crash_does = does;
    sim_run(&sim, &setup);
    bool good = show(&sim, does ? "a crash behind operation" : "a crash before operation", at);
    if (!good)
        printf("# in the small world %llu\n", (unsigned long long)setup.seed);
    if (ops != NULL)
        *ops = sim.ops;
    sim_free(&sim);
    return good;
}

bool modes_crash(uint64_t seed, uint64_t at, bool does)
{
    return crash_at(small_world(seed), at, does, NULL);
}

bool modes_crashes(uint64_t seed, uint64_t mails)
{
    uint64_t runs = 0, ops = 0;
    bool good = true;
    for (uint64_t i = 0; good && i * SMALL_MAILS < mails; i++) {
        struct sim_setup setup = small_world(dice_mix(seed, 77 + i));
        good = crash_at(setup, 0, false, &ops);
        for (uint64_t at = 1; good && at <= ops; at++, runs += 2)
            good = crash_at(setup, at, false, NULL) && crash_at(setup, at, true, NULL);
    }
    printf("# %llu crashes\n", (unsigned long long)runs);
    return good && runs > mails;
}

/* ---- The schedule ---- */

bool modes_schedule(uint64_t seed)
{
    struct sim sim;
    const struct sim_setup setup = { .seed = seed, .mails = SCHEDULE_MAILS, .domains = 3, .span_us = 4 * DAY, .crashes = 60,
                                     .calm = true, .full = true, .quiet = true, .connections = 40 };
    sim_run(&sim, &setup);
    bool good = show(&sim, "the schedule's world", seed);
    for (uint32_t i = 0; good && i < sim.n_mails; i++)
        for (uint32_t k = 0; good && sim.mails[i].durable && k < sim.mails[i].n_rcpts; k++) {
            const struct addressee *a = &sim.mails[i].rcpts[k];
            good = a->soonest_us >= 0 && a->tries >= 40;
            if (!good)
                printf("# %s: %u tries, %lld seconds from the schedule\n", a->address, a->tries,
                       (long long)(a->soonest_us / SECOND));
        }
    printf("# %u crashes\n", sim.crashes);
    good = good && sim.crashes > 30;
    sim_free(&sim);
    return good;
}

/* ---- A dead domain ---- */

bool modes_dead(uint64_t seed, uint32_t dead_mails)
{
    struct sim without, with;
    struct sim_setup setup = { .seed = seed, .mails = OTHER_MAILS, .domains = 50, .span_us = HOUR, .calm = true };
    sim_run(&without, &setup);
    setup.dead_mails = dead_mails;
    sim_run(&with, &setup);
    bool good = show(&without, "without a dead domain", seed) && show(&with, "with a dead domain", seed);
    uint32_t n = 0;
    for (uint32_t i = 0; good && i < OTHER_MAILS; i++)
        for (uint32_t k = 0; k < without.mails[i].n_rcpts; k++, n++)
            if (without.mails[i].rcpts[k].first_us != with.mails[i].rcpts[k].first_us ||
                with.mails[i].rcpts[k].first_us == 0)
                good = false;
    printf("# %u recipients beside %u dead ones, %llu items in memory at most\n", n, dead_mails,
           (unsigned long long)with.items_peak);
    sim_free(&without);
    sim_free(&with);
    return good;
}
