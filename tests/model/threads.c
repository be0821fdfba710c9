/* Two engines in two threads over one store, 12 sessions each; the store performs one operation after the other, under
 * a lock, and all else runs side by side.  At the end of each phase both come to rest, and lists are compared. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 2 };

static struct truth truth;
static struct model models[THREADS];
static pthread_barrier_t barrier;
static uint64_t n_phases;

static void wait_for_the_other(void)
{
    pthread_barrier_wait(&barrier);
}

/* Between two times of waiting nobody changes it. */
static bool any_fault(void)
{
    return models[0].fault != NULL || models[1].fault != NULL;
}

static void phase(struct model *m)
{
    world_empties(m);
    for (int i = 0; i < PHASE_STEPS && m->fault == NULL; i++, m->step++)
        world_act(m);
    world_finishes(m);
    wait_for_the_other(); /* every change is done */
    world_rests(m);
    wait_for_the_other(); /* and told */
    if (m->fault == NULL)
        clients_compare(m);
    wait_for_the_other();
}

static void *thread(void *user)
{
    struct model *m = user;
    bool fault = false;
    for (uint64_t i = 0; i < n_phases && !fault; i++) {
        phase(m);
        if (m == &models[0])
            world_turns_knobs(m);
        fault = any_fault();
        wait_for_the_other();
    }
    m->resting = true;
    world_leaves(m);
    return NULL;
}

static void run(uint64_t seed)
{
    pthread_t threads[THREADS];
    truth_init(&truth);
    for (int i = 0; i < THREADS; i++)
        world_begin(&models[i], &truth, seed + (uint64_t)i, 1, SESSIONS / THREADS);
    for (int i = 0; i < 20; i++)
        truth_deliver(&truth);
    if (pthread_barrier_init(&barrier, NULL, THREADS) != 0)
        abort();
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, thread, &models[i]) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    expect(&models[0], mailsrv_memory_stat(truth.store, MAILSRV_MEMORY_STAT_MAILBOXES) == 0 &&
                           mailsrv_memory_stat(truth.store, MAILSRV_MEMORY_STAT_STORES) == 0, "handles stay open");
    for (int i = 0; i < THREADS; i++)
        world_ends(&models[i]);
    truth_fini(&truth);
}

int main(void)
{
    const char *steps = getenv("MODEL_THREAD_STEPS"), *seed = getenv("MAILSRV_SEED");
    n_phases = (steps == NULL ? 40000 : strtoull(steps, NULL, 10)) / PHASE_STEPS / THREADS;
    printf("1..1\n");
    run(seed == NULL ? 1 : strtoull(seed, NULL, 10));
    bool good = !any_fault();
    printf("%sok 1 - two engines in two threads over one store\n", good ? "" : "not ");
    for (int i = 0; i < THREADS; i++)
        printf("# thread %d: %llu steps, %llu expunged, %llu grown, %llu fetched, %llu found out again: %s\n", i,
               (unsigned long long)models[i].step, (unsigned long long)models[i].told[TOLD_EXPUNGE],
               (unsigned long long)models[i].told[TOLD_EXISTS], (unsigned long long)models[i].told[TOLD_FETCH],
               (unsigned long long)models[i].recalled, models[i].fault == NULL ? "no fault" : models[i].fault);
    return !good;
}
