/* The queue on the virtual clock.
 *
 *     SIMULATION_MAILS=20000 SIMULATION_CRASH_MAILS=200 MAILSRV_SEED=1 test-simulation [WORLD [OPERATION DONE]]
 *
 * With a number, that world alone; with an operation, the small world of that number, which crashes there, and what was out
 * then was done (1) or not (0). */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORLD_MAILS = 400, MAILS = 20000, CRASH_MAILS = 200, DEAD_MAILS = 10000 }; /* as tests/counts */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static unsigned tests, bad;

static void result(bool is_good, const char *name)
{
    bad += !is_good;
    printf("%sok %u - %s\n", is_good ? "" : "not ", ++tests, name);
    fflush(stdout);
}

bool show(const struct sim *sim, const char *what, uint64_t which)
{
    if (sim->fault == NULL)
        return true;
    printf("# %s %llu, after %.1f days, %llu operations, %u crashes: %s %s\n", what, (unsigned long long)which,
           (double)sim->clock.now_us / (double)DAY, (unsigned long long)sim->ops, sim->crashes, sim->fault, sim->where);
    return false;
}

/* ---- Worlds of all kinds ---- */

static struct sim_setup world(uint64_t seed)
{
    uint64_t chance = dice_mix(seed, 0), more = dice_mix(seed, 5);
    static const uint32_t items[] = { 0, 0, 16, 64 };
    return (struct sim_setup){ .seed = seed,
                               .mails = WORLD_MAILS,
                               .domains = 2 + (uint32_t)(chance % 40),
                               .span_us = chance % 3 == 0 ? HOUR : chance % 3 == 1 ? 2 * DAY : 20 * DAY,
                               .crashes = chance % 4 == 0 ? 0 : (uint32_t)(chance >> 8) % 30,
                               .items_max = items[(chance >> 16) % 4],
                               .connections = chance % 5 == 0 ? 3 : 40,
                               .per_site = 1 + (uint32_t)(chance >> 24) % 5,
                               .recipients = (chance >> 32) % 3 == 0 ? 1 + (uint32_t)(chance >> 40) % 4 : 0,
                               .secures = more % 2 == 0,
                               .asks = (more >> 4) % 3 == 0,
                               .full_box = (more >> 8) % 3 == 0,
                               .orders = (more >> 12) % 2 == 0 ? 0 : 1 + (uint32_t)(more >> 16) % 60,
                               .lies = (more >> 40) % 3 == 0,
                               .jumps = (more >> 24) % 3 != 0 ? 0 : 1 + (uint32_t)(more >> 32) % 10 };
}

static bool run_worlds(uint64_t seed, uint64_t mails)
{
    uint64_t days = 0, copies = 0, notices = 0, doubles = 0, crashes = 0;
    uint64_t n = (mails + WORLD_MAILS - 1) / WORLD_MAILS;
    bool good = true;
    for (uint64_t i = 0; i < n && good; i++) {
        struct sim sim;
        const struct sim_setup setup = world(dice_mix(seed, i));
        sim_run(&sim, &setup);
        good = show(&sim, "world", setup.seed);
        days += (uint64_t)(sim.clock.now_us / DAY);
        copies += sim.copies;
        notices += sim.notices;
        doubles += sim.doubles;
        crashes += sim.crashes;
        sim_free(&sim);
    }
    printf("# %llu worlds, %.1f years, %llu crashes, %llu copies, %llu notices, %llu doubles\n", (unsigned long long)n,
           (double)days / 365.25, (unsigned long long)crashes, (unsigned long long)copies, (unsigned long long)notices,
           (unsigned long long)doubles);
    return good && copies != 0;
}

/* ---- What is run ---- */

static void run_all(uint64_t seed)
{
    result(run_worlds(seed, number("SIMULATION_MAILS", MAILS)), "worlds");
    result(modes_crashes(seed, number("SIMULATION_CRASH_MAILS", CRASH_MAILS)), "a crash at each operation");
    result(modes_schedule(seed), "the schedule is kept over crashes");
    uint32_t dead_mails = (uint32_t)number("SIMULATION_DEAD_MAILS", DEAD_MAILS);
    result(modes_dead(seed, dead_mails, false), "a dead domain costs the others nothing");
    result(modes_dead(seed, dead_mails, true), "nor does a silent one");
}

/* A rule of the queue is missing, and one of the checks says so. */
static void run_planted(uint64_t seed, const char *rule)
{
    bool found = !modes_schedule(seed) || !run_worlds(seed, number("SIMULATION_MAILS", MAILS)) ||
                 !modes_dead(seed, (uint32_t)number("SIMULATION_DEAD_MAILS", DEAD_MAILS), false) ||
                 !modes_crashes(seed, number("SIMULATION_CRASH_MAILS", CRASH_MAILS));
    char name[64];
    snprintf(name, sizeof name, "without %s a fault is found", rule);
    result(found, name);
}

static void run_one(int argc, char **argv)
{
    uint64_t seed = strtoull(argv[1], NULL, 10);
    const struct sim_setup setup = world(seed);
    struct sim sim;
    if (argc > 3) {
        result(modes_crash(seed, strtoull(argv[2], NULL, 10), argv[3][0] == '1'), "a crash");
        return;
    }
    sim_run(&sim, &setup);
    result(show(&sim, "world", seed), "world");
    sim_free(&sim);
}

int main(int argc, char **argv)
{
    uint64_t seed = number("MAILSRV_SEED", 1);
    if (argc > 2 && strcmp(argv[1], "--planted") == 0)
        run_planted(seed, argv[2]);
    else if (argc > 1)
        run_one(argc, argv);
    else
        run_all(seed);
    printf("1..%u\n", tests);
    return bad != 0;
}
