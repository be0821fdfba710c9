/* How a session moves: one step at a time, by feed with input and by run with what came meanwhile. */
#include "core/step.h"

#include "core/body.h"
#include "core/ledger.h"
#include "core/op.h"
#include "core/profile.h"
#include "core/tls.h"

enum { COMMANDS_MAX = 64 }; /* that one feed begins before others had their turn */

static const char PEER_CLOSED[] = "the peer closed his side";

/* ---- Storing the next step ---- */

static enum step then(mailsrv_session *s, enum wait waits, step_fn *next)
{
    s->waits = waits;
    s->next = next;
    return STEP_WAIT;
}

enum step mailsrv__then_answers(mailsrv_session *s, step_fn *next)
{
    return then(s, WAIT_ANSWERS, next);
}

enum step mailsrv__then_window(mailsrv_session *s, step_fn *next)
{
    return then(s, WAIT_WINDOW, next);
}

enum step mailsrv__then_turn(mailsrv_session *s, step_fn *next)
{
    return then(s, WAIT_TURN, next);
}

enum step mailsrv__then_body(mailsrv_session *s, step_fn *next)
{
    return then(s, WAIT_BODY, next);
}

enum step mailsrv__then_call(mailsrv_session *s, step_fn *next)
{
    return then(s, WAIT_CALL, next);
}

void mailsrv__spend(mailsrv_session *s, uint32_t units)
{
    s->engine->slice_spent += units;
}

bool mailsrv__may_go_on(const mailsrv_session *s)
{
    return s->engine->slice_spent < s->engine->slice_max;
}

/* ---- What is due ---- */

static bool is_due(const mailsrv_session *s)
{
    switch (s->waits) {
    case WAIT_ANSWERS:
        return s->asker.open == 0;
    case WAIT_WINDOW:
        return mailsrv__unsent(s) <= mailsrv__setting(s, MAILSRV_PROFILE_WINDOW_OCTETS) / 2;
    case WAIT_BODY:
        return mailsrv__body_is_due(s);
    case WAIT_TURN:
        return true;
    case WAIT_CALL:
        return s->called || s->answers_are_late;
    case WAIT_ALARM:
        return !mailsrv__timer_armed(&s->alarm);
    default:
        return false;
    }
}

bool mailsrv__session_reads(const mailsrv_session *s)
{
    bool can_hear = s->tls == NULL || s->tls->state == TLS_OPEN;
    return can_hear && !s->ended && !s->eof && s->next == NULL && s->budget != 0 && mailsrv__window_open(s);
}

static bool has_work(const mailsrv_session *s)
{
    if (s->ended)
        return false;
    if (mailsrv__tls_has_input(s, mailsrv__session_reads(s)) || mailsrv__tls_shakes_on(s))
        return true;
    bool is_called = s->called && s->next == NULL;
    return s->budget == 0 || mailsrv__body_has_news(s) || is_called || (s->next != NULL && is_due(s));
}

void mailsrv__session_wake(mailsrv_session *s)
{
    if (has_work(s))
        mailsrv__ring_put(s->engine, &s->work);
}

void mailsrv__session_call(mailsrv_session *s)
{
    s->called = !s->ended && s->profile->machine->called != NULL;
    mailsrv__session_wake(s);
}

void mailsrv__alarm_fired(struct timer *timer)
{
    mailsrv_session *s = HOLDER(timer, mailsrv_session, alarm);
    if (s->waits == WAIT_ALARM)
        mailsrv__session_wake(s);
    else
        mailsrv__session_call(s);
}

void mailsrv__alarm(mailsrv_session *s, uint64_t ms)
{
    if (ms == 0)
        mailsrv__timer_disarm(&s->alarm);
    else
        mailsrv__timer_arm(&s->engine->timers, &s->alarm, (int64_t)ms * 1000);
}

enum step mailsrv__then_alarm(mailsrv_session *s, uint64_t ms, step_fn *next)
{
    mailsrv__alarm(s, ms);
    return then(s, WAIT_ALARM, next);
}

/* ---- Wants, edges, timers ---- */

static uint32_t wants(const mailsrv_session *s)
{
    if (s->dead)
        return MAILSRV_WANT_CLOSE;
    bool reads = mailsrv__session_reads(s);
    uint32_t w = reads ? MAILSRV_WANT_READ : 0;
    if (s->tls != NULL)
        w = mailsrv__tls_wants(s, reads);
    if (mailsrv__unsent(s) != 0)
        w |= MAILSRV_WANT_WRITE;
    else if (s->ended)
        w |= MAILSRV_WANT_CLOSE;
    return w;
}

uint32_t mailsrv_session_wants(const mailsrv_session *s)
{
    return s == NULL ? 0 : wants(s);
}

void mailsrv__peer_timer_restart(mailsrv_session *s)
{
    mailsrv__timer_arm(&s->engine->timers, &s->peer_timer, (int64_t)s->peer_timeout_ms * 1000);
}

/* The peer's timer runs while he is the one to move: a slow store costs nobody his session. */
static void mind_peer_timer(mailsrv_session *s, uint32_t now)
{
    bool his_move = !s->dead && (now & (MAILSRV_WANT_READ | MAILSRV_WANT_WRITE)) != 0;
    if (!his_move)
        mailsrv__timer_disarm(&s->peer_timer);
    else if (!mailsrv__timer_armed(&s->peer_timer))
        mailsrv__peer_timer_restart(s);
}

void mailsrv__session_update(mailsrv_session *s)
{
    mailsrv__tls_flush(s);
    uint32_t now = wants(s), rose = now & ~s->wants;
    s->wants = now;
    mind_peer_timer(s, now);
    if (rose != 0 && mailsrv__list_empty(&s->ready))
        mailsrv__list_append(&s->engine->ready, &s->ready);
}

/* ---- The end ---- */

static void orphan_asked(mailsrv_session *s)
{
    struct asker *a = &s->asker;
    for (unsigned i = 0; i < a->n_asked; i++)
        if (a->asked[i] != NULL)
            mailsrv__op_orphan(a->asked[i]);
    a->n_asked = a->open = 0;
}

void mailsrv__session_leave(mailsrv_session *s)
{
    if (s->left)
        return;
    s->left = true;
    if (s->counted != 0)
        s->engine->ledger->dropped(s);
    s->profile->machine->leave(s);
    mailsrv__body_drop(s);
    mailsrv__handles_leave(s, NULL, 0); /* what was put off */
    orphan_asked(s);
    if (s->asker.ahead != NULL)
        mailsrv__op_orphan(s->asker.ahead);
    s->asker.ahead = NULL;
    mailsrv__unreserve(s);
}

void mailsrv__session_end(mailsrv_session *s, const char *why)
{
    if (s->ended)
        return;
    s->ended = true;
    s->why = why;
    s->next = NULL;
    s->waits = WAIT_NOTHING;
    mailsrv__timer_disarm(&s->answer_timer);
    mailsrv__timer_disarm(&s->alarm);
    mailsrv__list_remove(&s->work.ring);
    mailsrv__session_leave(s);
}

void mailsrv__part(mailsrv_session *s, enum parting parting)
{
    static const char *const why[N_PARTINGS] = {
        [PARTING_SHUTDOWN] = "shut down by the host",
        [PARTING_TIMEOUT] = "the peer was silent for too long",
        [PARTING_NO_MEMORY] = "no memory for a reply",
        [PARTING_BUSY] = "turned away: memory is full of unanswered operations",
    };
    if (!s->ended && parting == PARTING_NO_MEMORY)
        mailsrv__session_event(s, MAILSRV_EVENT_OUT_OF_MEMORY, SPAN("a reply: the session ends"));
    if (!s->ended && !s->mid_reply)
        mailsrv__output_part(s, s->profile->machine->partings[parting]);
    mailsrv__session_end(s, why[parting]);
}

/* ---- After a step ---- */

void mailsrv__count_command(mailsrv_session *s, const void *row)
{
    if (s->engine->ledger != NULL)
        s->engine->ledger->begins(s, row);
}

static void command_is_done(mailsrv_session *s)
{
    orphan_asked(s);
    s->one_patience = false;
    s->mid_reply = false;
    mailsrv__timer_disarm(&s->answer_timer);
    mailsrv__peer_timer_restart(s);
}

static void wait_for_answers(mailsrv_session *s)
{
    if (s->one_patience && mailsrv__timer_armed(&s->answer_timer))
        return;
    int64_t patience_ms = (int64_t)mailsrv__setting(s, MAILSRV_PROFILE_ANSWER_TIMEOUT_MS);
    mailsrv__timer_arm(&s->engine->timers, &s->answer_timer, patience_ms * 1000);
}

static void after_wait(mailsrv_session *s)
{
    if (s->next != NULL && (s->waits == WAIT_ANSWERS || s->waits == WAIT_BODY || s->waits == WAIT_CALL))
        wait_for_answers(s);
    else if (!s->one_patience)
        mailsrv__timer_disarm(&s->answer_timer);
}

/* No octets of a message are on their way, in either direction. */
static bool may_part(const mailsrv_session *s)
{
    return !s->patient_bytes && !s->unfinished;
}

static void after_step(mailsrv_session *s, enum step step)
{
    if (s->ended)
        return;
    if (s->counted != 0 && step != STEP_WAIT && !s->broken)
        s->engine->ledger->ends(s, step);
    if (s->broken)
        mailsrv__part(s, PARTING_NO_MEMORY);
    else if (step == STEP_CLOSE)
        mailsrv__session_end(s, "closed in good order");
    else if (step == STEP_NEXT)
        command_is_done(s);
    else
        after_wait(s);
    if (!s->ended && s->shutting && s->next == NULL && may_part(s))
        mailsrv__part(s, PARTING_SHUTDOWN); /* it was busy when the host said so, and waits for its peer now */
    if (!s->ended && s->eof && s->next == NULL)
        mailsrv__session_end(s, PEER_CLOSED);
}

/* ---- Stepping ---- */

static void run_next(mailsrv_session *s)
{
    struct asker *a = &s->asker;
    step_fn *next = s->next;
    memcpy(a->answered, a->asked, sizeof a->asked);
    memcpy(a->answered_status, a->asked_status, sizeof a->asked_status);
    a->n_answered = a->n_asked;
    a->n_asked = a->open = 0;
    s->next = NULL;
    if (s->waits == WAIT_CALL)
        s->called = false;
    s->waits = WAIT_NOTHING;
    s->was_late = s->answers_are_late;
    s->answers_are_late = false;
    mailsrv__spend(s, 1);
    mailsrv__body_answered(s);
    enum step step = next(s);
    for (unsigned i = 0; i < a->n_answered; i++)
        mailsrv__op_free(a->answered[i]);
    a->n_answered = 0;
    s->was_late = false;
    after_step(s, step);
}

static void run_called(mailsrv_session *s)
{
    s->called = false;
    mailsrv__spend(s, 1);
    after_step(s, s->profile->machine->called(s));
}

int mailsrv__session_run(struct work *work, uint32_t units)
{
    mailsrv_session *s = HOLDER(work, mailsrv_session, work);
    (void)units;
    mailsrv__spend(s, 1);
    s->budget = COMMANDS_MAX;
    mailsrv__body_turn(s);
    while (!s->ended && s->next != NULL && is_due(s) && mailsrv__may_go_on(s))
        run_next(s);
    if (!s->ended && s->next == NULL && s->called)
        run_called(s);
    if (s->tls != NULL && s->tls->provider != NULL) {
        mailsrv__tls_shake_on(s);
        mailsrv__tls_go_on(s);
    }
    mailsrv__session_update(s);
    return has_work(s);
}

void mailsrv__session_stepped(mailsrv_session *s, enum step step)
{
    after_step(s, step);
}

void mailsrv__session_opened(mailsrv_session *s)
{
    after_step(s, mailsrv__tls_opened(s));
    mailsrv__session_wake(s);
    mailsrv__session_update(s);
}

/* Under TLS from the first octet on the greeting comes after the handshake. */
static void greet(mailsrv_session *s)
{
    if (mailsrv__setting(s, MAILSRV_PROFILE_TLS) != MAILSRV_TLS_IMPLICIT)
        after_step(s, s->profile->machine->greet(s));
    else if (!mailsrv__tls_implicit(s))
        mailsrv__part(s, PARTING_NO_MEMORY);
}

void mailsrv__session_greet(mailsrv_session *s)
{
    s->budget = COMMANDS_MAX;
    greet(s);
    mailsrv__session_wake(s);
    mailsrv__session_update(s);
}

void mailsrv__session_take_input(mailsrv_session *s, struct input *in)
{
    s->input = in;
    while (in->n != 0 && mailsrv__session_reads(s)) {
        if (s->engine->ledger != NULL)
            s->engine->ledger->fed(s);
        enum step step = s->profile->machine->take(s, in);
        if (step == STEP_NEXT) {
            s->commands++;
            s->budget--;
        }
        after_step(s, step);
        if (step == STEP_WAIT && s->next == NULL)
            break; /* it wants more than there is */
    }
    s->input = NULL;
}

/* What is fed is for the machine, or for TLS; where the machine has just asked for TLS, nothing may stand behind. */
static void take(mailsrv_session *s, struct input *in)
{
    bool in_the_clear = s->tls == NULL;
    if (in_the_clear || (s->tls->provider == NULL && s->tls->state == TLS_OPEN))
        mailsrv__session_take_input(s, in);
    else if (in->n != 0)
        mailsrv__tls_take(s, in);
    if (in_the_clear && s->tls != NULL && in->n != 0)
        mailsrv__tls_pipelined(s, in);
}

int32_t mailsrv_session_feed(mailsrv_session *s, const uint8_t *p, size_t n, size_t *consumed)
{
    if (s == NULL || consumed == NULL || (p == NULL && n != 0))
        return MAILSRV_E_USAGE;
    *consumed = 0;
    if (s->ended)
        return MAILSRV_E_CLOSED;
    s->engine->slice_max = SLICE_UNITS; /* what is fed is worked on for a slice, and no longer */
    s->engine->slice_spent = 0;
    struct input in = { p, n };
    take(s, &in);
    s->input_waits = in.n != 0 || (s->tls != NULL && mailsrv__tls_has_input(s, true));
    *consumed = n - in.n;
    s->octets_in += *consumed;
    if (*consumed != 0 && s->patient_bytes && !s->ended)
        mailsrv__peer_timer_restart(s);
    mailsrv__session_wake(s);
    mailsrv__session_update(s);
    return MAILSRV_OK;
}

void mailsrv__session_eof(mailsrv_session *s)
{
    s->eof = true;
    if (!s->ended && s->next == NULL)
        mailsrv__session_end(s, PEER_CLOSED);
}

int32_t mailsrv_session_feed_eof(mailsrv_session *s)
{
    if (s == NULL)
        return MAILSRV_E_USAGE;
    if (s->tls != NULL)
        mailsrv__tls_eof(s);
    else
        mailsrv__session_eof(s);
    mailsrv__session_wake(s);
    mailsrv__session_update(s);
    return MAILSRV_OK;
}

int32_t mailsrv_session_shutdown(mailsrv_session *s)
{
    if (s == NULL)
        return MAILSRV_E_USAGE;
    s->shutting = true;
    if (s->next == NULL && may_part(s))
        mailsrv__part(s, PARTING_SHUTDOWN);
    mailsrv__session_update(s);
    return MAILSRV_OK;
}

/* ---- Time-outs ---- */

void mailsrv__peer_timed_out(struct timer *timer)
{
    mailsrv_session *s = HOLDER(timer, mailsrv_session, peer_timer);
    if (mailsrv__unsent(s) != 0) { /* he has stopped reading: he would not read a word of farewell either */
        mailsrv__session_end(s, "the peer stopped reading");
        s->dead = true;
    } else {
        mailsrv__part(s, PARTING_TIMEOUT);
    }
    mailsrv__session_update(s);
}

/* The operation is owed its answer, but its peer no longer waits for it. */
static void give_up_waiting(mailsrv_session *s, struct op *op)
{
    mailsrv_engine *e = s->engine;
    e->ops.n_timed_out++;
    const char *name = mailsrv_op_name(op->pub.kind);
    mailsrv__session_event(s, MAILSRV_EVENT_OP_TIMED_OUT, (struct span){ name, strlen(name) });
    op->late = true;
    if (op->state == OP_TAKEN || (mailsrv__kind(op->pub.kind)->flags & KIND_STAYS) != 0) /* else it vanishes */
        mailsrv__list_append(&s->late, &op->late_link);
    mailsrv__body_loses(s, op);
    mailsrv__op_orphan(op);
}

void mailsrv__answers_timed_out(struct timer *timer)
{
    mailsrv_session *s = HOLDER(timer, mailsrv_session, answer_timer);
    struct asker *a = &s->asker;
    for (unsigned i = 0; i < a->n_asked; i++) {
        if (a->asked[i] == NULL || a->asked[i]->state == OP_ANSWERED)
            continue;
        struct op *op = a->asked[i];
        a->asked[i] = NULL;
        a->asked_status[i] = MAILSRV_TEMP;
        give_up_waiting(s, op);
    }
    a->open = 0;
    s->answers_are_late = true;
    struct op *writing = mailsrv__body_writing(s);
    if (writing != NULL)
        give_up_waiting(s, writing);
    mailsrv__session_wake(s);
    mailsrv__session_update(s);
}
