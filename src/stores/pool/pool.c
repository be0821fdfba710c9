#include "pool.h"

#include "stores/common/heap.h"

#include <signal.h>
#include <string.h>

#define THREADS_MAX 256

void *mailsrv__pool_take(mailsrv_pool *pool, size_t n)
{
    void *p = pool->allocator.alloc(pool->allocator.user, n);
    return p != NULL ? memset(p, 0, n) : NULL;
}

void mailsrv__pool_give(mailsrv_pool *pool, void *p, size_t n)
{
    if (p != NULL)
        pool->allocator.release(pool->allocator.user, p, n);
}

static void end_threads(mailsrv_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
}

void mailsrv_pool_free(mailsrv_pool *pool)
{
    if (pool == NULL)
        return;
    end_threads(pool);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->calm);
    pthread_mutex_destroy(&pool->lock);
    mailsrv_allocator from = pool->allocator;
    from.release(from.user, pool, pool->octets);
}

/* Signals are the host's: its handlers run on threads that it knows. */
static bool start_threads(mailsrv_pool *pool, uint32_t n)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->n_threads < n &&
           pthread_create(&pool->threads[pool->n_threads], NULL, mailsrv__pool_work, pool) == 0)
        pool->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool->n_threads == n;
}

int32_t mailsrv_pool_new(const mailsrv_allocator *allocator, uint32_t threads, mailsrv_pool **out)
{
    const mailsrv_allocator *from = allocator != NULL ? allocator : &mailsrv__stores_heap;
    if (out == NULL || threads == 0 || threads > THREADS_MAX || from->size < sizeof *from)
        return MAILSRV_E_USAGE;
    size_t octets = sizeof(mailsrv_pool) + threads * sizeof(pthread_t);
    mailsrv_pool *pool = from->alloc(from->user, octets);
    if (pool == NULL)
        return MAILSRV_NOMEM;
    memset(pool, 0, octets);
    pool->allocator = *from;
    pool->octets = octets;
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->calm, NULL);
    if (!start_threads(pool, threads)) {
        mailsrv_pool_free(pool);
        return MAILSRV_LIMIT;
    }
    *out = pool;
    return MAILSRV_OK;
}

/* ---- Engines ---- */

static struct bond *find(mailsrv_pool *pool, const mailsrv_engine *engine)
{
    pthread_mutex_lock(&pool->lock);
    struct bond *bond = pool->bonds;
    while (bond != NULL && bond->engine != engine)
        bond = bond->next;
    pthread_mutex_unlock(&pool->lock);
    return bond;
}

static void free_bond(struct bond *bond)
{
    mailsrv_pool *pool = bond->pool;
    struct service *next;
    for (struct service *s = bond->services; s != NULL; s = next) {
        next = s->next;
        mailsrv__pool_give(pool, s, sizeof *s);
    }
    mailsrv__pool_give(pool, bond, sizeof *bond);
}

static void ended(mailsrv_ending *ending)
{
    struct bond *bond = (struct bond *)(void *)((char *)ending - offsetof(struct bond, ending));
    mailsrv_pool *pool = bond->pool;
    pthread_mutex_lock(&pool->lock);
    mailsrv__pool_drop_waiting(pool, bond);
    while (bond->running != 0)
        pthread_cond_wait(&pool->calm, &pool->lock);
    struct bond **at = &pool->bonds;
    while (*at != bond)
        at = &(*at)->next;
    *at = bond->next;
    pthread_mutex_unlock(&pool->lock);
    free_bond(bond);
}

int32_t mailsrv_pool_bind(mailsrv_pool *pool, mailsrv_engine *engine, void (*wake)(void *user), void *user)
{
    if (pool == NULL || engine == NULL || find(pool, engine) != NULL)
        return MAILSRV_E_USAGE;
    struct bond *bond = mailsrv__pool_take(pool, sizeof *bond);
    if (bond == NULL)
        return MAILSRV_NOMEM;
    bond->pool = pool;
    bond->engine = engine;
    bond->ending.ended = ended;
    int32_t status = mailsrv_port_open(&bond->port, engine, wake, user);
    if (status == MAILSRV_OK)
        status = mailsrv_engine_at_end(engine, &bond->ending);
    if (status != MAILSRV_OK) {
        mailsrv__pool_give(pool, bond, sizeof *bond);
        return status;
    }
    pthread_mutex_lock(&pool->lock);
    bond->next = pool->bonds;
    pool->bonds = bond;
    pthread_mutex_unlock(&pool->lock);
    return MAILSRV_OK;
}

int32_t mailsrv_pool_serve(mailsrv_pool *pool, mailsrv_engine *engine, int32_t kind, mailsrv_blocking run, void *user)
{
    struct bond *bond = pool != NULL ? find(pool, engine) : NULL;
    if (bond == NULL || run == NULL || kind == MAILSRV_NOTICE_CANCEL) /* a notice does not outlive its handler */
        return MAILSRV_E_USAGE;
    struct service *s = mailsrv__pool_take(pool, sizeof *s);
    if (s == NULL)
        return MAILSRV_NOMEM;
    s->bond = bond;
    s->run = run;
    s->user = user;
    int32_t status = mailsrv_engine_serve(engine, kind, mailsrv__pool_ask, s);
    if (status != MAILSRV_OK) {
        mailsrv__pool_give(pool, s, sizeof *s);
        return status;
    }
    s->next = bond->services;
    bond->services = s;
    return MAILSRV_OK;
}

uint64_t mailsrv_pool_stat(mailsrv_pool *pool, int32_t key)
{
    pthread_mutex_lock(&pool->lock);
    uint64_t value = key == MAILSRV_POOL_STAT_WAITING   ? pool->waiting
                     : key == MAILSRV_POOL_STAT_RUNNING ? pool->running
                     : key == MAILSRV_POOL_STAT_DONE    ? pool->done
                                                        : 0;
    pthread_mutex_unlock(&pool->lock);
    return value;
}
