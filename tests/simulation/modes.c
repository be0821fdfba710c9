/* Worlds with a purpose of their own. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL_MAILS = 5, SCHEDULE_MAILS = 20, OTHER_MAILS = 500 };

/* ---- A crash at each operation: what is out then was done, or was not ---- */

static struct sim_setup small_world(uint64_t seed)
{
    uint64_t chance = dice_mix(seed, 6);
    return (struct sim_setup){ .seed = seed, .mails = SMALL_MAILS, .domains = 4, .span_us = HOUR, .brief = true,
                               .connections = 40, .secures = chance % 3 == 0, .asks = (chance >> 4) % 3 == 0,
                               .full_box = (chance >> 8) % 3 == 0, .orders = (uint32_t)(chance >> 16) % 6,
                               .lies = (chance >> 24) % 3 == 0 };
}

static bool run_small(const struct sim_setup *setup, uint64_t *ops)
{
    struct sim sim;
    sim_run(&sim, setup);
    uint64_t at = sim.setup.crash_at;
    const char *what = at == 0 ? "without a crash" : sim.setup.crash_does ? "a crash behind operation" : "a crash before operation";
    bool good = show(&sim, what, at);
    if (!good)
        printf("# in the small world %llu\n", (unsigned long long)setup->seed);
    *ops = sim.ops;
    if (sim.is_copy) {
        fflush(stdout);
        _exit(!good);
    }
    sim_free(&sim);
    return good;
}

bool modes_crash(uint64_t seed, uint64_t at, bool does)
{
    struct sim_setup setup = small_world(seed);
    uint64_t ops;
    setup.crash_at = at;
    setup.crash_does = does;
    return run_small(&setup, &ops);
}

/* What was before the operation is not done again for each crash: a copy of the process goes on from here.  True: this is
 * the copy. */
static bool goes_on_in_a_copy(struct sim *sim, bool does)
{
    int status = 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        sim->setup.splits = false;
        sim->setup.crash_at = sim->ops;
        sim->setup.crash_does = does;
        sim->is_copy = true;
        return true;
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        sim_fault(sim, "after a crash something is wrong", "");
    return false;
}

void modes_split(struct sim *sim)
{
    if (!sim->crashing && sim->fault == NULL && !goes_on_in_a_copy(sim, false) && sim->fault == NULL)
        goes_on_in_a_copy(sim, true);
}

bool modes_crashes(uint64_t seed, uint64_t mails)
{
    uint64_t runs = 0, ops = 0;
    bool good = true;
    for (uint64_t i = 0; good && i * SMALL_MAILS < mails; i++, runs += 2 * ops) {
        struct sim_setup setup = small_world(dice_mix(seed, 77 + i));
        setup.splits = true;
        good = run_small(&setup, &ops);
    }
    printf("# %llu crashes\n", (unsigned long long)runs);
    return good && runs >= mails;
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

/* Whose server takes no connections, or takes them and is `silent`. */
bool modes_dead(uint64_t seed, uint32_t dead_mails, bool silent)
{
    struct sim without, with;
    struct sim_setup setup = { .seed = seed, .mails = OTHER_MAILS, .domains = 50, .span_us = HOUR, .calm = true };
    sim_run(&without, &setup);
    setup.dead_mails = dead_mails;
    setup.silent = silent;
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
