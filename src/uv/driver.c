/* The driver: the engine's turns in the rounds of a loop, wakes from other threads, and the end.
 *
 * What comes before the loop sleeps (read, accepted, answered by the host) is worked on after it has slept:
 * before_sleep asks the engine how long that may be, which is not at all while work waits. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#define TURN_UNITS 10000
#define TURNS 8  /* of a round, at most */
#define SENDS 4  /* of a round: what was sent opens windows, and sessions go on before the loop looks at its sockets */
#define SLEEP_MS_MAX 3600000

int64_t mailsrv__uv_now_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

static int64_t unix_now_us(void)
{
    uv_timeval64_t t;
    return uv_gettimeofday(&t) == 0 ? t.tv_sec * 1000000 + t.tv_usec : 0;
}

/* ---- A round ---- */

static void slept(uv_timer_t *timer)
{
    (void)timer;
}

static void woken(uv_async_t *async)
{
    (void)async;
}

static int64_t next_deadline(const mailsrv_uv *d)
{
    int64_t until = mailsrv_engine_next_deadline(d->engine);
    if (d->lingering.next != &d->lingering) {
        const mailsrv_uv_connection *first = OWNER(d->lingering.next, mailsrv_uv_connection, linger_place);
        if (first->lingers_until_us < until)
            until = first->lingers_until_us;
    }
    return d->cut_at_us < until ? d->cut_at_us : until;
}

static void before_sleep(uv_prepare_t *prepare)
{
    mailsrv_uv *d = prepare->data;
    if (d->engine == NULL)
        return;
    int64_t until = next_deadline(d), us = until == NEVER ? NEVER : until - mailsrv__uv_now_us();
    if (until == NEVER) {
        uv_timer_stop(&d->timer);
        return;
    }
    uint64_t ms = us <= 0 ? 0 : (uint64_t)(us - 1) / 1000 + 1;
    uv_timer_start(&d->timer, slept, ms < SLEEP_MS_MAX ? ms : SLEEP_MS_MAX, 0);
}

static void tell_events(mailsrv_uv *d)
{
    const mailsrv_event *event;
    while (d->setup.on_event != NULL && mailsrv_engine_next_event(d->engine, &event) == MAILSRV_OK)
        d->setup.on_event(d->setup.user, event);
}

static void end_lingering(mailsrv_uv *d, int64_t now)
{
    while (d->lingering.next != &d->lingering) {
        mailsrv_uv_connection *c = OWNER(d->lingering.next, mailsrv_uv_connection, linger_place);
        if (c->lingers_until_us > now)
            return;
        mailsrv__uv_cut(c); /* takes it out of the ring */
    }
}

static void cut_all(mailsrv_uv *d)
{
    d->cut_at_us = NEVER;
    for (struct place *p = d->connections.next; p != &d->connections; p = p->next)
        mailsrv__uv_cut(OWNER(p, mailsrv_uv_connection, place));
}

static void accept_waiting(mailsrv_uv *d)
{
    for (struct place *p = d->listeners.next; p != &d->listeners; p = p->next)
        if (OWNER(p, mailsrv_uv_listener, place)->has_waiting)
            mailsrv__uv_accept(OWNER(p, mailsrv_uv_listener, place));
}

void mailsrv__uv_handle_closed(uv_handle_t *handle)
{
    mailsrv_uv *d = handle->data;
    if (--d->n_handles == 0 && d->closed != NULL)
        d->closed(d->closed_user);
}

/* The engine goes when nothing is owed any more; what is left then are handles. */
static void try_to_end(mailsrv_uv *d)
{
    if (d->listeners.next != &d->listeners || d->connections.next != &d->connections)
        return;
    tell_events(d);
    if (mailsrv_engine_free(d->engine, 0) != MAILSRV_OK)
        return;
    d->engine = NULL;
    uv_mutex_lock(&d->lock);
    d->wakes = false;
    uv_mutex_unlock(&d->lock);
    uv_close((uv_handle_t *)&d->async, mailsrv__uv_handle_closed);
    uv_close((uv_handle_t *)&d->timer, mailsrv__uv_handle_closed);
    uv_close((uv_handle_t *)&d->before_sleep, mailsrv__uv_handle_closed);
    uv_close((uv_handle_t *)&d->after_sleep, mailsrv__uv_handle_closed);
}

void mailsrv__uv_gone(mailsrv_uv *d)
{
    if (d->closing)
        uv_async_send(&d->async);
}

/* One turn; true: a session took more of what was kept for it, and may have something to say to that as well. */
static bool turn(mailsrv_uv *d)
{
    mailsrv_session *session;
    bool fed = false;
    mailsrv_engine_turn(d->engine, d->setup.turn_units);
    while (mailsrv_engine_next_ready(d->engine, &session) == MAILSRV_OK) {
        mailsrv_uv_connection *c = mailsrv_session_host(session);
        mailsrv__ring_remove(&c->ready_place);
        mailsrv__ring_append(&d->ready, &c->ready_place);
        fed = mailsrv__uv_feed_kept(c) || fed;
    }
    return fed;
}

/* The replies to pipelined commands go out together, though a command is taken only when the one before is done. */
static void serve_ready(mailsrv_uv *d)
{
    for (int i = 0; i < TURNS && turn(d); i++)
        continue;
    while (d->ready.next != &d->ready) {
        mailsrv_uv_connection *c = OWNER(d->ready.next, mailsrv_uv_connection, ready_place);
        mailsrv__ring_remove(&c->ready_place);
        mailsrv__uv_serve(c);
    }
}

static int64_t tell_time(mailsrv_uv *d)
{
    const int64_t now = mailsrv__uv_now_us();
    mailsrv_engine_advance(d->engine, now, unix_now_us());
    return now;
}

static void after_sleep(uv_check_t *check)
{
    mailsrv_uv *d = check->data;
    if (d->engine == NULL)
        return;
    int64_t now = tell_time(d);
    for (int i = 0; i < SENDS && (i == 0 || mailsrv_engine_next_deadline(d->engine) <= now); i++)
        serve_ready(d);
    tell_time(d); /* what was armed counts from here, and not from when the loop wakes for it */
    serve_ready(d);
    end_lingering(d, now);
    if (d->cut_at_us <= now)
        cut_all(d);
    accept_waiting(d);
    tell_events(d);
    if (d->closing)
        try_to_end(d);
}

/* ---- Beginning and end ---- */

static int32_t open_handles(mailsrv_uv *d)
{
    if (uv_mutex_init(&d->lock) != 0)
        return MAILSRV_TEMP;
    if (uv_async_init(d->loop, &d->async, woken) != 0) {
        uv_mutex_destroy(&d->lock);
        return MAILSRV_TEMP;
    }
    uv_timer_init(d->loop, &d->timer); /* these three cannot fail */
    uv_prepare_init(d->loop, &d->before_sleep);
    uv_check_init(d->loop, &d->after_sleep);
    d->async.data = d->timer.data = d->before_sleep.data = d->after_sleep.data = d;
    d->n_handles = 4;
    d->wakes = true;
    uv_prepare_start(&d->before_sleep, before_sleep);
    uv_check_start(&d->after_sleep, after_sleep);
    uv_unref((uv_handle_t *)&d->timer); /* async alone keeps the loop running */
    uv_unref((uv_handle_t *)&d->before_sleep);
    uv_unref((uv_handle_t *)&d->after_sleep);
    return MAILSRV_OK;
}

int32_t mailsrv_uv_new(uv_loop_s *loop, mailsrv_engine *engine, const mailsrv_uv_setup *setup, mailsrv_uv **out)
{
    if (loop == NULL || engine == NULL || out == NULL || (setup != NULL && setup->size < sizeof *setup))
        return MAILSRV_E_USAGE;
    mailsrv_uv *d = calloc(1, sizeof *d);
    if (d == NULL)
        return MAILSRV_NOMEM;
    d->loop = loop;
    d->engine = engine;
    d->cut_at_us = NEVER;
    if (setup != NULL)
        d->setup = *setup;
    if (d->setup.turn_units == 0)
        d->setup.turn_units = TURN_UNITS;
    mailsrv__ring_init(&d->listeners);
    mailsrv__ring_init(&d->connections);
    mailsrv__ring_init(&d->lingering);
    mailsrv__ring_init(&d->ready);
    int32_t status = mailsrv_engine_advance(engine, mailsrv__uv_now_us(), unix_now_us());
    if (status == MAILSRV_OK)
        status = open_handles(d);
    if (status != MAILSRV_OK) {
        free(d);
        return status;
    }
    mailsrv__uv_serve_jobs(d);
    *out = d;
    return MAILSRV_OK;
}

void mailsrv_uv_wake(void *driver)
{
    mailsrv_uv *d = driver;
    uv_mutex_lock(&d->lock);
    if (d->wakes)
        uv_async_send(&d->async);
    uv_mutex_unlock(&d->lock);
}

int32_t mailsrv_uv_close(mailsrv_uv *d, uint32_t grace_ms, void (*closed)(void *user), void *user)
{
    if (d == NULL)
        return MAILSRV_E_USAGE;
    if (d->engine == NULL)
        return MAILSRV_OK;
    int64_t cut_at = mailsrv__uv_now_us() + (int64_t)grace_ms * 1000;
    if (cut_at < d->cut_at_us)
        d->cut_at_us = cut_at;
    if (d->closing)
        return MAILSRV_OK;
    d->closing = true;
    d->closed = closed;
    d->closed_user = user;
    for (struct place *p = d->listeners.next; p != &d->listeners; p = p->next)
        mailsrv_uv_listener_close(OWNER(p, mailsrv_uv_listener, place)); /* which leaves the ring later */
    mailsrv_engine_close(d->engine);
    if (d->outward != NULL)
        d->outward_calls->close(d);
    uv_async_send(&d->async); /* a round comes, whoever called */
    return MAILSRV_OK;
}

int32_t mailsrv_uv_free(mailsrv_uv *d)
{
    if (d == NULL)
        return MAILSRV_OK;
    if (d->n_handles != 0)
        return MAILSRV_E_BUSY;
    if (d->outward != NULL)
        d->outward_calls->free(d);
    uv_mutex_destroy(&d->lock);
    free(d);
    return MAILSRV_OK;
}
