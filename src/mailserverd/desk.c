#define _GNU_SOURCE /* pipe2 */
#include "desk.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/durable.h>

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TURN_UNITS 10000
#define WAIT_MS 1000

static void wake(void *user)
{
    const struct desk *desk = user;
    const ssize_t written = write(desk->awake[1], "", 1); /* a full pipe wakes as well */
    (void)written;
}

static int64_t time_us(clockid_t clock)
{
    struct timespec now = { 0, 0 };
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void advance(struct desk *desk)
{
    mailsrv_engine_advance(desk->engine, time_us(CLOCK_MONOTONIC), time_us(CLOCK_REALTIME));
}

/* One round: what there is to do, and a wait for the store where it owes something. */
static void go_on(struct desk *desk)
{
    char drained[64];
    struct pollfd ready = { .fd = desk->awake[0], .events = POLLIN };
    if (mailsrv_engine_turn(desk->engine, TURN_UNITS) != MAILSRV_MORE &&
        mailsrv_engine_stat(desk->engine, MAILSRV_STAT_OPS_OUT) != 0 && poll(&ready, 1, WAIT_MS) > 0)
        while (read(desk->awake[0], drained, sizeof drained) > 0)
            ;
    advance(desk);
}

static bool is_busy(const struct desk *desk)
{
    return mailsrv_engine_stat(desk->engine, MAILSRV_STAT_OPS_QUEUED) != 0 ||
           mailsrv_engine_stat(desk->engine, MAILSRV_STAT_OPS_OUT) != 0;
}

/* ---- Asking ---- */

int32_t desk_ask(struct desk *desk, int32_t kind, const mailsrv_id *account, const void *arg, mailsrv_asked **out)
{
    *out = NULL;
    const int32_t status = mailsrv_ask(desk->engine, kind, account, arg, out);
    if (status != MAILSRV_OK)
        return status;
    advance(desk);
    while (mailsrv_asked_answer(*out) == NULL)
        go_on(desk);
    return mailsrv_asked_answer(*out)->status;
}

const void *desk_value(const mailsrv_asked *asked)
{
    return mailsrv_asked_answer(asked)->value;
}

void desk_free(struct desk *desk, mailsrv_asked *asked)
{
    mailsrv_asked_free(asked);
    while (is_busy(desk))
        go_on(desk);
}

int32_t desk_do(struct desk *desk, int32_t kind, const mailsrv_id *account, const void *arg)
{
    mailsrv_asked *asked;
    const int32_t status = desk_ask(desk, kind, account, arg, &asked);
    desk_free(desk, asked);
    return status;
}

/* ---- Desks ---- */

static bool open_desk(struct desks *desks, struct desk *desk)
{
    if (pipe2(desk->awake, O_NONBLOCK | O_CLOEXEC) != 0)
        return false;
    if (mailsrv_engine_new(NULL, &desk->engine) == MAILSRV_OK) {
        if (mailsrv_durable_bind(desks->store, desk->engine, wake, desk) == MAILSRV_OK) {
            advance(desk);
            return true;
        }
        mailsrv_engine_free(desk->engine, 0);
    }
    close(desk->awake[0]);
    close(desk->awake[1]);
    return false;
}

void desks_begin(struct desks *desks, mailsrv_store *store)
{
    *desks = (struct desks){ .store = store, .mutex = PTHREAD_MUTEX_INITIALIZER };
}

struct desk *desk_take(struct desks *desks)
{
    pthread_mutex_lock(&desks->mutex);
    struct desk *desk = desks->kept;
    if (desk != NULL)
        desks->kept = desk->next;
    pthread_mutex_unlock(&desks->mutex);
    if (desk != NULL) {
        advance(desk);
        return desk;
    }
    desk = calloc(1, sizeof *desk);
    if (desk != NULL && !open_desk(desks, desk)) {
        free(desk);
        desk = NULL;
    }
    return desk;
}

void desk_return(struct desks *desks, struct desk *desk)
{
    pthread_mutex_lock(&desks->mutex);
    desk->next = desks->kept;
    desks->kept = desk;
    pthread_mutex_unlock(&desks->mutex);
}

void desks_end_engines(struct desks *desks)
{
    for (struct desk *desk = desks->kept; desk != NULL; desk = desk->next)
        mailsrv_engine_free(desk->engine, MAILSRV_ABANDON);
    desks->ended = desks->kept;
    desks->kept = NULL;
}

void desks_end(struct desks *desks)
{
    for (struct desk *desk = desks->ended, *next; desk != NULL; desk = next) {
        next = desk->next;
        close(desk->awake[0]);
        close(desk->awake[1]);
        free(desk);
    }
    desks->ended = NULL;
}
