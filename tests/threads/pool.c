/* The pool of threads: engines that end while functions run, answers that are none, and a pool without memory. */
#include "tap.h"

#include <mailsrv/ask.h>
#include <mailsrv/stores/pool.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4

/* A store of nothing: it gives octets that are lent, and counts. */
struct store {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    int gate; /* functions wait until it is open */
    atomic_uint begun, lent, released, on_engine;
    pthread_t engine_thread;
    int sizes; /* the size that is given to the value, where it is not its own */
};

static void release(void *user)
{
    atomic_fetch_add(&((struct store *)user)->released, 1);
}

static void wait_at_the_gate(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    while (!store->gate)
        pthread_cond_wait(&store->opened, &store->lock);
    pthread_mutex_unlock(&store->lock);
}

static void open_the_gate(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->gate = 1;
    pthread_cond_broadcast(&store->opened);
    pthread_mutex_unlock(&store->lock);
}

/* Reads its operation before and after it has waited: it must still be there. */
static void read_octets(void *user, mailsrv_job *job, const mailsrv_op *op, mailsrv_answer *answer)
{
    static const uint8_t octets[] = "octets";
    struct store *store = user;
    uint64_t offset = ((const mailsrv_arg_read *)op->arg)->offset;
    atomic_fetch_add(&store->begun, 1);
    if (pthread_equal(pthread_self(), store->engine_thread))
        atomic_fetch_add(&store->on_engine, 1);
    wait_at_the_gate(store);
    mailsrv_read_bytes *value = mailsrv_job_room(job, sizeof *value);
    if (value == NULL || ((const mailsrv_arg_read *)op->arg)->offset != offset)
        return;
    value->size = store->sizes != 0 ? (uint32_t)store->sizes : (uint32_t)sizeof *value;
    value->octets = (mailsrv_bytes){ octets, 6 };
    answer->status = MAILSRV_OK;
    answer->value = value;
    answer->release = release;
    answer->user = store;
    atomic_fetch_add(&store->lent, 1);
}

static void close_handle(void *user, mailsrv_job *job, const mailsrv_op *op, mailsrv_answer *answer)
{
    (void)user;
    (void)job;
    (void)op;
    answer->status = MAILSRV_OK;
}

static void begin(struct store *store, int gate)
{
    memset(store, 0, sizeof *store);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->opened, NULL);
    store->engine_thread = pthread_self();
    store->gate = gate;
}

static mailsrv_engine *new_engine(mailsrv_pool *pool, struct store *store)
{
    mailsrv_engine *engine;
    if (mailsrv_engine_new(NULL, &engine) != MAILSRV_OK ||
        mailsrv_pool_bind(pool, engine, NULL, NULL) != MAILSRV_OK ||
        mailsrv_pool_serve(pool, engine, MAILSRV_OP_READ, read_octets, store) != MAILSRV_OK ||
        mailsrv_pool_serve(pool, engine, MAILSRV_OP_READ_CLOSE, close_handle, store) != MAILSRV_OK)
        abort();
    mailsrv_engine_advance(engine, 1, 1);
    return engine;
}

static mailsrv_asked *ask(mailsrv_engine *engine, uint64_t offset)
{
    static mailsrv_arg_read args[64]; /* borrowed for as long as they may be read */
    mailsrv_asked *asked;
    args[offset] = (mailsrv_arg_read){ sizeof *args, 1, 1, 0, 0, offset, 100, 0 };
    if (mailsrv_ask(engine, MAILSRV_OP_READ, NULL, &args[offset], &asked) != MAILSRV_OK)
        abort();
    return asked;
}

/* ---- Engines end while functions run ---- */

static void *opens_the_gate_later(void *user)
{
    for (int i = 0; i < 50; i++)
        sched_yield();
    open_the_gate(user);
    return NULL;
}

/* More is asked than there are threads, so some jobs run, some wait, and some are back before the end. */
static unsigned abandoned_once(mailsrv_pool *pool, int asked)
{
    struct store store;
    pthread_t opener;
    begin(&store, 0);
    mailsrv_engine *engine = new_engine(pool, &store);
    mailsrv_asked *questions[16];
    for (int i = 0; i < asked; i++)
        questions[i] = ask(engine, (uint64_t)i);
    mailsrv_engine_turn(engine, 10000);
    pthread_create(&opener, NULL, opens_the_gate_later, &store);
    for (int i = 0; i < asked; i++)
        mailsrv_asked_free(questions[i]);
    int32_t status = mailsrv_engine_free(engine, MAILSRV_ABANDON);
    unsigned begun = atomic_load(&store.begun);
    unsigned bad = status != MAILSRV_OK || mailsrv_pool_stat(pool, MAILSRV_POOL_STAT_WAITING) != 0 ||
                   mailsrv_pool_stat(pool, MAILSRV_POOL_STAT_RUNNING) != 0;
    pthread_join(opener, NULL);
    bad |= atomic_load(&store.begun) != begun || atomic_load(&store.lent) != begun ||
           atomic_load(&store.released) != begun;
    return bad;
}

static void engines_end_while_functions_run(void)
{
    mailsrv_pool *pool;
    unsigned bad = 0;
    if (mailsrv_pool_new(NULL, THREADS, &pool) != MAILSRV_OK)
        abort();
    for (int i = 0; i < 300; i++)
        bad += abandoned_once(pool, 1 + i % 16);
    tap(bad == 0, "pool", "an engine is given up while functions run", "something is left, or was released wrongly");
    mailsrv_pool_free(pool);
}

/* ---- Answers ---- */

static int32_t answer_of(mailsrv_engine *engine, mailsrv_asked *asked)
{
    for (int64_t now = 2; mailsrv_asked_answer(asked) == NULL; now++) {
        mailsrv_engine_turn(engine, 10000);
        mailsrv_engine_advance(engine, now, now);
        sched_yield();
    }
    return mailsrv_asked_answer(asked)->status;
}

/* What the engine takes for no answer is TEMP, and what it lent is released. */
static void what_is_no_answer(void)
{
    struct store store;
    mailsrv_pool *pool;
    begin(&store, 1);
    store.sizes = 4;
    if (mailsrv_pool_new(NULL, 1, &pool) != MAILSRV_OK)
        abort();
    mailsrv_engine *engine = new_engine(pool, &store);
    mailsrv_asked *asked = ask(engine, 0);
    tap(answer_of(engine, asked) == MAILSRV_TEMP, "pool", "what is no answer is TEMP", "");
    tap(atomic_load(&store.released) == 1, "pool", "and what it lent is released", "");
    mailsrv_asked_free(asked);
    tap(mailsrv_engine_free(engine, 0) == MAILSRV_OK, "pool", "and nothing is owed", "");
    mailsrv_pool_free(pool);
}

/* ---- Without memory ---- */

static atomic_int out_of_memory;

static void *take(void *user, size_t n)
{
    (void)user;
    return atomic_load(&out_of_memory) ? NULL : malloc(n);
}

static void give(void *user, void *p, size_t n)
{
    (void)user;
    (void)n;
    free(p);
}

static void without_memory(void)
{
    static const mailsrv_allocator from = { sizeof from, 0, NULL, take, give };
    struct store store;
    mailsrv_pool *pool;
    begin(&store, 1);
    if (mailsrv_pool_new(&from, 1, &pool) != MAILSRV_OK)
        abort();
    mailsrv_engine *engine = new_engine(pool, &store);
    atomic_store(&out_of_memory, 1);
    mailsrv_asked *asked = ask(engine, 0);
    int32_t status = answer_of(engine, asked);
    tap(status == MAILSRV_TEMP, "pool", "a function without room says TEMP", mailsrv_strerror(status));
    tap(atomic_load(&store.on_engine) == 1, "pool", "without a job it runs on the engine's thread", "");
    mailsrv_pool *none = NULL;
    tap(mailsrv_pool_new(&from, 1, &none) == MAILSRV_NOMEM, "pool", "no memory for a pool", "");
    atomic_store(&out_of_memory, 0);
    mailsrv_asked_free(asked);
    mailsrv_engine_free(engine, 0);
    mailsrv_pool_free(pool);
}

/* ---- Many engines of many threads share a pool ---- */

struct user {
    pthread_t thread;
    mailsrv_pool *pool;
    struct store *store;
    unsigned good;
};

static void *asks_and_reads(void *p)
{
    struct user *user = p;
    mailsrv_engine *engine = new_engine(user->pool, user->store);
    for (unsigned i = 0; i < 200; i++) {
        mailsrv_asked *asked;
        mailsrv_arg_read arg = { sizeof arg, 1, 1, 0, 0, i, 100, 0 };
        if (mailsrv_ask(engine, MAILSRV_OP_READ, NULL, &arg, &asked) != MAILSRV_OK)
            continue;
        if (answer_of(engine, asked) == MAILSRV_OK)
            user->good += ((const mailsrv_read_bytes *)mailsrv_asked_answer(asked)->value)->octets.n == 6;
        mailsrv_asked_free(asked);
    }
    mailsrv_engine_free(engine, 0);
    return NULL;
}

static void shared(void)
{
    struct store store;
    struct user users[4];
    mailsrv_pool *pool;
    unsigned good = 0;
    begin(&store, 1);
    if (mailsrv_pool_new(NULL, 3, &pool) != MAILSRV_OK)
        abort();
    for (int i = 0; i < 4; i++) {
        users[i] = (struct user){ .pool = pool, .store = &store };
        pthread_create(&users[i].thread, NULL, asks_and_reads, &users[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(users[i].thread, NULL);
        good += users[i].good;
    }
    tap(good == 800, "pool", "engines of four threads share it", "answers are missing");
    tap(atomic_load(&store.released) == 800, "pool", "and each answer is released once", "");
    mailsrv_pool_free(pool);
}

int main(void)
{
    engines_end_while_functions_run();
    what_is_no_answer();
    without_memory();
    shared();
    return tap_end();
}
