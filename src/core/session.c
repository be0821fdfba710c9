#include "core/answer.h"
#include "core/engine.h"
#include "core/ledger.h"
#include "core/op.h"
#include "core/profile.h"
#include "core/step.h"
#include "core/tls.h"

#include <mailsrv/auth.h>

static void begin(mailsrv_session *s, mailsrv_engine *e, mailsrv_profile *profile, const mailsrv_peer *peer, void *host)
{
    s->engine = e;
    s->profile = mailsrv__profile_ref(profile);
    s->host = host;
    s->id = ++e->last_session_id;
    if (peer != NULL)
        s->peer = *peer;
    if (profile->machine->engine_tap != NULL)
        e->tap = profile->machine->engine_tap;
    if (profile->machine->answers != NULL)
        mailsrv__answers_use(e, profile->machine->answers);
    s->work.run = mailsrv__session_run;
    s->peer_timeout_ms = (uint32_t)mailsrv__setting(s, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
    mailsrv__output_init(&s->out);
    mailsrv__list_init(&s->ready);
    mailsrv__list_init(&s->late);
    mailsrv__list_init(&s->work.ring);
    mailsrv__list_append(&e->sessions, &s->all);
    mailsrv__timer_init(&s->peer_timer, mailsrv__peer_timed_out);
    mailsrv__timer_init(&s->answer_timer, mailsrv__answers_timed_out);
    mailsrv__timer_init(&s->alarm, mailsrv__alarm_fired);
    e->n_sessions++;
    e->had_a_session = true;
}

/* Operations that nobody answers fill the engine: what they leave is for the sessions that are there. */
static bool is_overloaded(const mailsrv_engine *e)
{
    return e->heap.used_by[CLASS_OPERATIONS] > e->heap.max / 4;
}

static int32_t check_new(const mailsrv_engine *e, const mailsrv_profile *profile, const mailsrv_peer *peer,
                         mailsrv_session **out)
{
    if (e == NULL || profile == NULL || out == NULL || !profile->sealed || !e->advanced)
        return MAILSRV_E_USAGE;
    if (peer != NULL && (peer->size < sizeof *peer || (peer->address_octets != 0 && peer->address_octets != 4 &&
                                                       peer->address_octets != 16)))
        return MAILSRV_E_USAGE;
    return e->closed ? MAILSRV_E_CLOSED : MAILSRV_OK;
}

/* Memory for one, begun and in the engine's lists.  NULL: there is none. */
static mailsrv_session *make(mailsrv_engine *e, mailsrv_profile *profile, const mailsrv_peer *peer, void *host)
{
    struct purse purse = { .max = profile->settings[MAILSRV_PROFILE_SESSION_OCTETS_MAX].value };
    mailsrv_session *s = NULL;
    if (e->ledger == NULL || e->ledger->joins(e, profile))
        s = mailsrv__heap_take(&e->heap, CLASS_SESSIONS, &purse, profile->machine->octets);
    if (s == NULL) {
        static const char text[] = "a session";
        mailsrv__event(e, MAILSRV_EVENT_OUT_OF_MEMORY, 0, text, sizeof text - 1);
        return NULL;
    }
    s->purse = purse;
    begin(s, e, profile, peer, host);
    return s;
}

int32_t mailsrv_server_new(mailsrv_engine *e, mailsrv_profile *profile, const mailsrv_peer *peer, void *host,
                           mailsrv_session **out)
{
    int32_t status = check_new(e, profile, peer, out);
    if (status != MAILSRV_OK)
        return status;
    if (profile->machine->prepare != NULL)
        return MAILSRV_E_USAGE; /* a client: somebody gives it work */
    mailsrv_session *s = make(e, profile, peer, host);
    if (s == NULL)
        return MAILSRV_NOMEM;
    mailsrv__session_event(s, MAILSRV_EVENT_SESSION_BEGAN, (struct span){ NULL, 0 });
    if (is_overloaded(e)) {
        mailsrv__part(s, PARTING_BUSY);
        mailsrv__session_update(s);
    } else {
        mailsrv__session_greet(s);
    }
    *out = s;
    return MAILSRV_OK;
}

int32_t mailsrv__session_new(mailsrv_engine *e, mailsrv_profile *profile, const mailsrv_peer *peer, void *host,
                             const void *given, mailsrv_session **out)
{
    int32_t status = check_new(e, profile, peer, out);
    if (status != MAILSRV_OK)
        return status;
    mailsrv_session *s = make(e, profile, peer, host);
    if (s == NULL)
        return MAILSRV_NOMEM;
    mailsrv__session_event(s, MAILSRV_EVENT_SESSION_BEGAN, (struct span){ NULL, 0 });
    if (!profile->machine->prepare(s, given)) {
        s->why = "there was no memory for it";
        s->left = true; /* nothing was begun */
        mailsrv_session_free(s);
        return MAILSRV_NOMEM;
    }
    mailsrv__session_greet(s);
    *out = s;
    return MAILSRV_OK;
}

/* Late operations are the engine's alone from now on. */
static void forget_late(mailsrv_session *s)
{
    while (mailsrv__list_pop(&s->late) != NULL)
        ;
}

void mailsrv_session_free(mailsrv_session *s)
{
    if (s == NULL)
        return;
    mailsrv_engine *e = s->engine;
    mailsrv_profile *profile = s->profile;
    const char *why = s->why == NULL ? "cut off by the host" : s->why;
    mailsrv__session_event(s, MAILSRV_EVENT_SESSION_ENDED, (struct span){ why, strlen(why) });
    mailsrv__session_leave(s);
    if (e->ledger != NULL)
        e->ledger->leaves(s);
    forget_late(s);
    mailsrv__output_free(s);
    mailsrv__session_give(s, s->external.p, s->external.n);
    mailsrv__tls_free(s);
    mailsrv__timer_remove(&e->timers, &s->peer_timer);
    mailsrv__timer_remove(&e->timers, &s->answer_timer);
    mailsrv__timer_remove(&e->timers, &s->alarm);
    mailsrv__list_remove(&s->work.ring);
    mailsrv__list_remove(&s->ready);
    mailsrv__list_remove(&s->all);
    e->n_sessions--;
    mailsrv__heap_give(&e->heap, CLASS_SESSIONS, NULL, s, profile->machine->octets);
    mailsrv_profile_unref(profile);
}

int32_t mailsrv_session_set_external(mailsrv_session *s, const char *name, size_t n)
{
    if (s == NULL || (name == NULL && n != 0))
        return MAILSRV_E_USAGE;
    char *p = n == 0 ? NULL : mailsrv__session_take(s, n);
    if (p == NULL && n != 0)
        return MAILSRV_NOMEM;
    if (n != 0)
        memcpy(p, name, n);
    mailsrv__session_give(s, s->external.p, s->external.n);
    s->external = (struct external){ p, n };
    return MAILSRV_OK;
}

void *mailsrv_session_host(const mailsrv_session *s)
{
    return s == NULL ? NULL : s->host;
}

int32_t mailsrv_session_info(const mailsrv_session *s, mailsrv_info *info)
{
    if (s == NULL || info == NULL || info->size < 16)
        return MAILSRV_E_USAGE;
    mailsrv_info all = {
        .size = info->size,
        .id = s->id,
        .octets_in = s->octets_in,
        .octets_out = s->octets_out,
        .commands = s->commands,
        .memory = s->purse.used,
        .memory_peak = s->purse.peak,
    };
    memcpy(info, &all, info->size < sizeof all ? info->size : sizeof all);
    return MAILSRV_OK;
}

/* ---- For machines ---- */

bool mailsrv__erred(mailsrv_session *s)
{
    return ++s->errors >= mailsrv__setting(s, MAILSRV_PROFILE_ERRORS_MAX);
}

void *mailsrv__session_take(mailsrv_session *s, size_t n)
{
    return mailsrv__heap_take(&s->engine->heap, CLASS_SESSIONS, &s->purse, n);
}

void mailsrv__session_give(mailsrv_session *s, void *p, size_t n)
{
    mailsrv__heap_give(&s->engine->heap, CLASS_SESSIONS, &s->purse, p, n);
}

struct heap *mailsrv__session_heap(mailsrv_session *s)
{
    return &s->engine->heap;
}

void mailsrv__session_event(mailsrv_session *s, int32_t what, struct span text)
{
    if (what == MAILSRV_EVENT_MESSAGE_ACCEPTED)
        s->engine->n_messages++;
    mailsrv__event(s->engine, what, s->id, text.p, text.n);
}

bool mailsrv__served(const mailsrv_session *s, int32_t kind)
{
    return s->engine->servers[kind].served;
}

int64_t mailsrv__now_us(const mailsrv_session *s)
{
    return s->engine->timers.now_us;
}

int64_t mailsrv__unix_us(const mailsrv_session *s)
{
    return s->engine->unix_us;
}
