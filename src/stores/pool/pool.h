/* Inside the pool of threads: a queue of jobs under one lock.
 *
 *   asked (engine's thread) -> waiting -> running (a thread of the pool) -> posted -> delivered (engine's thread)
 *
 * A job belongs to the engine's port from its post until its delivery.  An engine that ends takes back what waits, and
 * waits for what runs: a function may be reading an operation, which dies with its engine.
 */
#ifndef STORES_POOL_POOL_H
#define STORES_POOL_POOL_H

#include <mailsrv/stores/pool.h>

#include <pthread.h>
#include <stdbool.h>

/* An engine that the pool is bound to. */
struct bond {
    struct bond *next;
    mailsrv_pool *pool;
    mailsrv_engine *engine;
    mailsrv_port port;
    mailsrv_ending ending;
    struct service *services;
    uint32_t running; /* its functions that run now */
};

/* A kind that is answered by a blocking function. */
struct service {
    struct service *next;
    struct bond *bond;
    mailsrv_blocking run;
    void *user;
};

struct room {
    struct room *next;
    size_t octets;
    _Alignas(max_align_t) uint8_t bytes[];
};

struct mailsrv_job {
    mailsrv_letter letter;
    struct mailsrv_job *next; /* waiting */
    mailsrv_pool *pool;
    const struct service *service;
    const mailsrv_op *op;
    mailsrv_op_id id;
    mailsrv_answer answer;
    struct room *rooms;
};

struct mailsrv_pool {
    mailsrv_allocator allocator;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t work;  /* a job waits, or the end has come */
    pthread_cond_t calm;  /* a function has returned */
    struct mailsrv_job *first, **last;
    struct bond *bonds;
    uint64_t waiting, running, done;
    bool ending;
    size_t octets; /* of this struct */
    uint32_t n_threads;
    pthread_t threads[];
};

/* ---- pool.c ---- */
void *mailsrv__pool_take(mailsrv_pool *pool, size_t n); /* zeroed; NULL: there is none */
void mailsrv__pool_give(mailsrv_pool *pool, void *p, size_t n);

/* ---- job.c ---- */
/* A handler: makes a job of `op`; `user` is the service. */
void mailsrv__pool_ask(void *user, mailsrv_engine *engine, const mailsrv_op *op);
/* What a thread of the pool does until the end. */
void *mailsrv__pool_work(void *pool);
/* With the lock: takes the waiting jobs of an engine out and drops them. */
void mailsrv__pool_drop_waiting(mailsrv_pool *pool, const struct bond *bond);

#endif
