/* One thread: sessions on one engine, and on two over one store.
 *
 *     MODEL_STEPS=100000 MAILSRV_SEED=1 test-model
 *
 * Built with MAILBOX_WITHOUT, one rule of the view is missing, and the fault must be found within 20,000 steps. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

/* Each run has its own number of sessions; several of them cover few and many. */
enum { STEPS_WITHOUT = 20000, RUN_STEPS = 4000 };

static void begin(struct model *m, struct truth *truth, uint64_t seed, int n_engines)
{
    uint64_t dice = seed * UINT64_C(0x9E3779B97F4A7C15);
    int most = (dice >> 32) % 2 == 0 ? 6 : SESSIONS - 1;
    truth_init(truth);
    world_begin(m, truth, seed, n_engines, 2 + (int)((dice >> 40) % (uint64_t)most));
    for (int i = 0; i < 20; i++)
        truth_deliver(truth);
}

static void end(struct model *m)
{
    mailsrv_store *store = m->truth->store;
    m->resting = true; /* what closes is closed */
    world_leaves(m);
    expect(m, mailsrv_memory_stat(store, MAILSRV_MEMORY_STAT_MAILBOXES) == 0 &&
                  mailsrv_memory_stat(store, MAILSRV_MEMORY_STAT_STORES) == 0, "handles stay open");
    world_ends(m);
    truth_fini(m->truth);
}

static void run(struct model *m, struct truth *truth, uint64_t seed, int n_engines, uint64_t steps)
{
    begin(m, truth, seed, n_engines);
    for (m->step = 0; m->step < steps && m->fault == NULL; m->step++) {
        if (m->step % PHASE_STEPS == PHASE_STEPS - 1) {
            world_finishes(m);
            world_rests(m);
            if (m->fault == NULL)
                clients_compare(m);
            world_turns_knobs(m);
            world_empties(m);
        }
        world_act(m);
    }
    end(m);
}

/* ---- Programs ---- */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static unsigned bad;

static void report(bool good, unsigned n, const char *what, const struct model *m, uint64_t seed)
{
    bad += !good;
    printf("%sok %u - %s\n# seed %llu, step %llu: %s\n", good ? "" : "not ", n, what, (unsigned long long)seed,
           (unsigned long long)m->step, m->fault == NULL ? "no fault" : m->fault);
}

struct sums {
    unsigned long long steps, told[6], forgotten, recalled, lost, kept, sized;
};

static void add(struct sums *sums, const struct model *m)
{
    sums->steps += m->step;
    for (int i = 0; i < 6; i++)
        sums->told[i] += m->told[i];
    sums->forgotten += m->forgotten;
    sums->recalled += m->recalled;
    sums->lost += m->lost;
    sums->kept += m->kept;
    sums->sized += m->sized;
}

static void print(const struct sums *s)
{
    printf("# %llu steps; told: %llu expunged, %llu vanished, %llu grown, %llu names, %llu fetched, %llu highest\n"
           "# %llu times what is gone was forgotten, %llu times found out again, %llu sessions lost; "
           "%llu times an image was kept; %llu sizes\n",
           s->steps, s->told[0], s->told[1], s->told[2], s->told[3], s->told[4], s->told[5], s->forgotten, s->recalled,
           s->lost, s->kept, s->sized);
}

/* Until a fault is found, which is good or bad. */
static void many_runs(struct model *m, unsigned n, const char *what, int n_engines, uint64_t seed, uint64_t steps)
{
    static struct truth truth;
    struct sums sums = { 0 };
    do {
        uint64_t left = steps - sums.steps;
        run(m, &truth, seed + sums.steps, n_engines, left < RUN_STEPS ? left : RUN_STEPS);
        add(&sums, m);
    } while (m->fault == NULL && sums.steps < steps);
    report((m->fault == NULL) == (MAILBOX_WITHOUT == 0), n, what, m, seed + sums.steps - m->step);
    print(&sums);
}

int main(void)
{
    static struct model m;
    uint64_t seed = number("MAILSRV_SEED", 1);
    printf("1..2\n# seed %llu\n", (unsigned long long)seed);
    if (MAILBOX_WITHOUT == 0) {
        uint64_t steps = number("MODEL_STEPS", 100000);
        many_runs(&m, 1, "one engine", 1, seed, steps / 2);
        many_runs(&m, 2, "two engines over one store", 2, seed, steps - steps / 2);
    } else {
        many_runs(&m, 1, "one engine: a rule is missing, and it is found", 1, seed, STEPS_WITHOUT);
        many_runs(&m, 2, "two engines: a rule is missing, and it is found", 2, seed, STEPS_WITHOUT);
    }
    return bad != 0;
}
