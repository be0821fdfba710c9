#include "pool.h"

#include <string.h>

void *mailsrv_job_room(mailsrv_job *job, size_t n)
{
    if (n > SIZE_MAX - sizeof(struct room))
        return NULL;
    struct room *room = mailsrv__pool_take(job->pool, sizeof *room + n);
    if (room == NULL)
        return NULL;
    room->octets = n;
    room->next = job->rooms;
    job->rooms = room;
    return room->bytes;
}

static void empty_rooms(mailsrv_job *job)
{
    struct room *next;
    for (struct room *room = job->rooms; room != NULL; room = next) {
        next = room->next;
        mailsrv__pool_give(job->pool, room, sizeof *room + room->octets);
    }
    job->rooms = NULL;
}

static void run(mailsrv_job *job)
{
    job->answer.size = sizeof job->answer;
    job->answer.status = MAILSRV_TEMP;
    job->service->run(job->service->user, job, job->op, &job->answer);
}

static void give_up_answer(mailsrv_job *job)
{
    if (job->answer.release != NULL)
        job->answer.release(job->answer.user);
}

/* What the engine refuses as no answer at all is answered for the function: the operation is owed one. */
static void settle(mailsrv_engine *engine, mailsrv_job *job)
{
    if (mailsrv_op_answer(engine, job->id, &job->answer) != MAILSRV_E_USAGE)
        return;
    give_up_answer(job);
    mailsrv_op_answer_status(engine, job->id, MAILSRV_TEMP);
}

static void free_job(mailsrv_job *job)
{
    empty_rooms(job);
    mailsrv__pool_give(job->pool, job, sizeof *job);
}

static void deliver(mailsrv_engine *engine, mailsrv_letter *letter)
{
    mailsrv_job *job = (mailsrv_job *)(void *)((char *)letter - offsetof(mailsrv_job, letter));
    if (engine != NULL)
        settle(engine, job);
    else
        give_up_answer(job);
    free_job(job);
}

static void run_here(const struct service *service, mailsrv_engine *engine, const mailsrv_op *op)
{
    mailsrv_job job;
    memset(&job, 0, sizeof job);
    job.pool = service->bond->pool;
    job.service = service;
    job.op = op;
    job.id = op->id;
    run(&job);
    settle(engine, &job);
    empty_rooms(&job);
}

static void wait_in_line(mailsrv_pool *pool, mailsrv_job *job)
{
    pthread_mutex_lock(&pool->lock);
    *pool->last = job;
    pool->last = &job->next;
    pool->waiting++;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

void mailsrv__pool_ask(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct service *service = user;
    mailsrv_pool *pool = service->bond->pool;
    mailsrv_job *job = mailsrv__pool_take(pool, sizeof *job);
    if (job == NULL) {
        run_here(service, engine, op);
        return;
    }
    job->letter.deliver = deliver;
    job->pool = pool;
    job->service = service;
    job->op = op;
    job->id = op->id;
    wait_in_line(pool, job);
}

/* With the lock: the next job, now running; NULL: the end has come. */
static mailsrv_job *next_job(mailsrv_pool *pool)
{
    while (pool->first == NULL && !pool->ending)
        pthread_cond_wait(&pool->work, &pool->lock);
    mailsrv_job *job = pool->first;
    if (job == NULL)
        return NULL;
    pool->first = job->next;
    if (job->next == NULL)
        pool->last = &pool->first;
    pool->waiting--;
    pool->running++;
    job->service->bond->running++;
    return job;
}

/* Runs a job and posts it; after the post it is no longer ours. */
static void run_and_post(mailsrv_job *job, mailsrv_port *port)
{
    run(job);
    if (mailsrv_port_post(port, &job->letter) == MAILSRV_OK)
        return;
    give_up_answer(job);
    free_job(job);
}

void *mailsrv__pool_work(void *user)
{
    mailsrv_pool *pool = user;
    pthread_mutex_lock(&pool->lock);
    for (mailsrv_job *job = next_job(pool); job != NULL; job = next_job(pool)) {
        struct bond *bond = job->service->bond;
        pthread_mutex_unlock(&pool->lock);
        run_and_post(job, &bond->port);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
        pool->done++;
        if (--bond->running == 0)
            pthread_cond_broadcast(&pool->calm);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

void mailsrv__pool_drop_waiting(mailsrv_pool *pool, const struct bond *bond)
{
    mailsrv_job **at = &pool->first;
    while (*at != NULL) {
        mailsrv_job *job = *at;
        if (job->service->bond != bond) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        pool->waiting--;
        free_job(job);
    }
    pool->last = at;
}
