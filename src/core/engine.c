#include "core/engine.h"

#include "core/config.h"
#include "core/ledger.h"
#include "core/op.h"
#include "core/step.h"

/* ---- Life ---- */

static void init(mailsrv_engine *e, const mailsrv_config *config)
{
    memset(e, 0, sizeof *e);
    mailsrv__heap_init(&e->heap, &config->from, config->memory_max);
    e->heap.max_by[CLASS_IMAGES] = config->memory_max / 100 * config->images_percent;
    e->heap.max_by[CLASS_TEXTS] = config->memory_max / 100 * config->texts_percent;
    mailsrv__timers_init(&e->timers);
    mailsrv__list_init(&e->sessions);
    mailsrv__list_init(&e->ready);
    mailsrv__list_init(&e->ring);
    mailsrv__list_init(&e->ops.handled);
    mailsrv__list_init(&e->ops.pulled);
    mailsrv__list_init(&e->ops.cancels);
    e->slice_max = SLICE_UNITS;
    e->crypto = config->crypto;
}

int32_t mailsrv_engine_new(const mailsrv_config *given, mailsrv_engine **out)
{
    mailsrv_config usual;
    mailsrv__config_init(&usual, mailsrv__malloc());
    const mailsrv_config *config = given == NULL ? &usual : given;
    if (out == NULL)
        return MAILSRV_E_USAGE;
    mailsrv_engine *e = config->from.alloc(config->from.user, sizeof *e);
    if (e == NULL)
        return MAILSRV_NOMEM;
    init(e, config);
    if (!mailsrv__events_init(e, (uint32_t)config->events_max)) {
        config->from.release(config->from.user, e, sizeof *e);
        return MAILSRV_NOMEM;
    }
    *out = e;
    return MAILSRV_OK;
}

int32_t mailsrv_engine_close(mailsrv_engine *e)
{
    if (e == NULL)
        return MAILSRV_E_USAGE;
    e->closed = true;
    for (struct node *n = e->sessions.next; n != &e->sessions; n = n->next)
        mailsrv_session_shutdown(HOLDER(n, mailsrv_session, all));
    return MAILSRV_OK;
}

static void tell_the_end(mailsrv_ending *ending)
{
    while (ending != NULL) {
        mailsrv_ending *next = ending->next;
        ending->ended(ending); /* it may be freed there */
        ending = next;
    }
}

int32_t mailsrv_engine_free(mailsrv_engine *e, uint32_t flags)
{
    if (e == NULL)
        return MAILSRV_OK;
    if (e->outside || e->running)
        return MAILSRV_E_USAGE;
    bool owed = e->ops.n_queued != 0 || e->ops.n_out != 0;
    if (e->n_sessions != 0 || e->n_asked != 0 || (owed && (flags & MAILSRV_ABANDON) == 0))
        return MAILSRV_E_BUSY;
    e->closed = e->outside = true; /* letters that come back begin nothing here */
    mailsrv__ports_close(e);
    tell_the_end(e->endings); /* before the operations go: a thread of a handler may still be reading one */
    mailsrv__rooms_end(e);
    mailsrv__ops_abandon(e);
    mailsrv__events_fini(e);
    if (e->ledger != NULL)
        e->ledger->end(e);
    e->heap.from.release(e->heap.from.user, e, sizeof *e);
    return MAILSRV_OK;
}

int32_t mailsrv_engine_at_end(mailsrv_engine *e, mailsrv_ending *ending)
{
    if (e == NULL || ending == NULL || ending->ended == NULL)
        return MAILSRV_E_USAGE;
    ending->next = e->endings;
    e->endings = ending;
    return MAILSRV_OK;
}

int32_t mailsrv_engine_allocator(const mailsrv_engine *e, mailsrv_allocator *out)
{
    if (e == NULL || out == NULL || out->size < sizeof *out)
        return MAILSRV_E_USAGE;
    *out = e->heap.from;
    return MAILSRV_OK;
}

int32_t mailsrv_engine_serve(mailsrv_engine *e, int32_t kind, mailsrv_handler handler, void *user)
{
    if (e == NULL || e->had_a_session)
        return MAILSRV_E_USAGE;
    if (mailsrv__kind(kind)->name == NULL)
        return MAILSRV_E_UNKNOWN_KEY;
    e->servers[kind] = (struct server){ handler, user, true };
    return MAILSRV_OK;
}

/* ---- Time ---- */

int32_t mailsrv_engine_advance(mailsrv_engine *e, int64_t mono_us, int64_t unix_us)
{
    if (e == NULL || e->outside || e->running || mono_us < 0 || unix_us < 0)
        return MAILSRV_E_USAGE;
    if (mono_us < e->timers.now_us)
        mono_us = e->timers.now_us;
    e->timers.now_us = mono_us;
    e->unix_us = unix_us;
    e->advanced = true;
    mailsrv__ports_read(e);
    mailsrv__timers_advance(&e->timers, mono_us);
    return MAILSRV_OK;
}

static bool has_work(const mailsrv_engine *e)
{
    return !mailsrv__list_empty(&e->ring) || mailsrv__ops_waiting(e);
}

int64_t mailsrv_engine_next_deadline(const mailsrv_engine *e)
{
    if (e == NULL)
        return INT64_MAX;
    return has_work(e) ? e->timers.now_us : mailsrv__timers_next(&e->timers);
}

/* ---- Work ---- */

void mailsrv__ring_put(mailsrv_engine *e, struct work *work)
{
    if (mailsrv__list_empty(&work->ring))
        mailsrv__list_append(&e->ring, &work->ring);
}

/* Less would be spent by going on alone, and nothing done. */
enum { SLICE_LEAST = 16 };

/* One slice of the first in the ring; what it spent. */
static uint32_t run_one(mailsrv_engine *e, uint32_t units)
{
    if (units < SLICE_LEAST)
        units = SLICE_LEAST;
    struct node *n = mailsrv__list_pop(&e->ring);
    struct work *work = HOLDER(n, struct work, ring);
    e->slice_max = units < SLICE_UNITS ? units : SLICE_UNITS;
    e->slice_spent = 0;
    e->running = true;
    if (work->run(work, e->slice_max))
        mailsrv__ring_put(e, work);
    e->running = false;
    if (e->slice_spent > e->slice_peak)
        e->slice_peak = e->slice_spent;
    return e->slice_spent == 0 ? 1 : e->slice_spent;
}

/* The same, if there is one; what is left of the units. */
static uint32_t run_next(mailsrv_engine *e, uint32_t units)
{
    if (units == 0 || mailsrv__list_empty(&e->ring))
        return units;
    uint32_t spent = run_one(e, units);
    return spent < units ? units - spent : 0;
}

enum { HANDLED_UNITS = 8 };

static uint32_t dispatch(mailsrv_engine *e, uint32_t units)
{
    while (units != 0 && mailsrv__ops_handle_one(e))
        units = HANDLED_UNITS < units ? units - HANDLED_UNITS : 0;
    return units;
}

int32_t mailsrv_engine_run(mailsrv_engine *e, uint32_t units)
{
    if (e == NULL || e->outside || e->running)
        return MAILSRV_E_USAGE;
    while (units != 0 && !mailsrv__list_empty(&e->ring))
        units = run_next(e, units);
    return mailsrv__list_empty(&e->ring) ? MAILSRV_OK : MAILSRV_MORE;
}

int32_t mailsrv_engine_dispatch(mailsrv_engine *e, size_t max)
{
    if (e == NULL || e->outside || e->running)
        return MAILSRV_E_USAGE;
    while (max != 0 && mailsrv__ops_handle_one(e))
        max--;
    return mailsrv__ops_waiting(e) ? MAILSRV_MORE : MAILSRV_OK;
}

int32_t mailsrv_engine_turn(mailsrv_engine *e, uint32_t units)
{
    if (e == NULL || e->outside || e->running)
        return MAILSRV_E_USAGE;
    while (units != 0 && has_work(e))
        units = run_next(e, dispatch(e, units)); /* who always has work must not keep others from being answered */
    return has_work(e) ? MAILSRV_MORE : MAILSRV_OK;
}

int32_t mailsrv_engine_next_ready(mailsrv_engine *e, mailsrv_session **out)
{
    if (e == NULL || out == NULL)
        return MAILSRV_E_USAGE;
    struct node *n = mailsrv__list_pop(&e->ready);
    *out = n == NULL ? NULL : HOLDER(n, mailsrv_session, ready);
    return n == NULL ? MAILSRV_E_CLOSED : MAILSRV_OK;
}

/* ---- Statistics ---- */

uint64_t mailsrv_engine_stat(const mailsrv_engine *e, int32_t key)
{
    if (e == NULL)
        return 0;
    const uint64_t stats[] = {
        [MAILSRV_STAT_MEMORY] = e->heap.used,
        [MAILSRV_STAT_MEMORY_PEAK] = e->heap.peak,
        [MAILSRV_STAT_SESSIONS] = e->n_sessions,
        [MAILSRV_STAT_OPS_QUEUED] = e->ops.n_queued,
        [MAILSRV_STAT_OPS_OUT] = e->ops.n_out,
        [MAILSRV_STAT_OPS_OCTETS] = e->heap.used_by[CLASS_OPERATIONS],
        [MAILSRV_STAT_OPS_TIMED_OUT] = e->ops.n_timed_out,
        [MAILSRV_STAT_STEP_UNITS_PEAK] = e->slice_peak,
        [MAILSRV_STAT_MESSAGES] = e->n_messages,
        [MAILSRV_STAT_EVENTS_DROPPED] = e->events.dropped,
        [MAILSRV_STAT_ALLOCATION_PEAK] = e->heap.allocation_peak,
        [MAILSRV_STAT_LETTERS] = e->n_letters,
        [MAILSRV_STAT_IMAGES_OCTETS] = e->heap.used_by[CLASS_IMAGES],
        [MAILSRV_STAT_SESSIONS_OCTETS] = e->heap.used_by[CLASS_SESSIONS],
        [MAILSRV_STAT_OUTPUT_OCTETS] = e->heap.used_by[CLASS_OUTPUT],
        [MAILSRV_STAT_BODIES_OCTETS] = e->heap.used_by[CLASS_BODIES],
        [MAILSRV_STAT_ENGINE_OCTETS] = e->heap.used_by[CLASS_ENGINE],
        [MAILSRV_STAT_DELIVERIES] = e->n_deliveries,
        [MAILSRV_STAT_TEXTS_OCTETS] = e->heap.used_by[CLASS_TEXTS],
        [MAILSRV_STAT_TLS_STARTED] = e->tls_started,
        [MAILSRV_STAT_TLS_FAILED] = e->tls_failed,
        [MAILSRV_STAT_TLS_OCTETS] = e->tls_octets,
    };
    return key < 0 || (size_t)key >= sizeof stats / sizeof stats[0] ? 0 : stats[key];
}
