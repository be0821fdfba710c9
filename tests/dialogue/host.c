/* The host's loop: feed, run, operations, output, until nothing moves any more.  It goes by the edges alone, as a host
 * does that sleeps in between. */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>

enum { UNITS_PLENTY = 100000, ROUNDS_MAX = 2000000 };

static void enter(const struct run *run)
{
    if (run->plan->memory == MEMORY_BLOCK)
        guard_up();
}

static void leave(void)
{
    guard_down();
}

static void trace(const char *who, struct text said)
{
    while (said.n != 0) {
        struct text line = text_line(&said);
        printf("%s%.*s%s", who, (int)line.n, line.p, line.p[line.n - 1] == '\n' ? "" : "\n");
    }
}

/* Bits may fall at any call; they rise by an edge. */
static void see_fallen(struct run *run)
{
    if (run->session != NULL)
        run->wants &= mailsrv_session_wants(run->session);
}

static void advance(struct run *run)
{
    enter(run);
    int32_t status = mailsrv_engine_advance(run->engine, run->mono_us, run->unix_us);
    leave();
    if (status != MAILSRV_OK)
        run_wrong(run, "advance failed");
    see_fallen(run);
}

/* ---- Input ---- */

static size_t piece_end(const struct run *run)
{
    const struct plan *plan = run->plan;
    size_t end = run->in.n;
    if (plan->bytewise && end > run->in_pos + 1)
        end = run->in_pos + 1;
    for (size_t i = plan->n_cuts; i-- != 0;)
        if (plan->cuts[i] > run->in_pos && plan->cuts[i] < end)
            end = plan->cuts[i];
    if (plan->ending != END_AS_WRITTEN && !run->stopped && plan->end_at < end)
        end = plan->end_at > run->in_pos ? plan->end_at : run->in_pos;
    return end;
}

size_t host_feed(struct run *run, const void *p, size_t n)
{
    uint8_t *exact = malloc(n); /* of exactly this size: a step too far is seen */
    size_t consumed = n + 1;
    if (exact == NULL)
        abort();
    memcpy(exact, p, n);
    enter(run);
    int32_t status = mailsrv_session_feed(run->session, exact, n, &consumed);
    leave();
    free(exact);
    see_fallen(run);
    if (status == MAILSRV_E_CLOSED) {
        if ((run->wants & MAILSRV_WANT_READ) != 0)
            run_wrong(run, "a session that has ended wants to read");
        return 0;
    }
    if (status != MAILSRV_OK || consumed > n) {
        run_wrong(run, "feed failed");
        return 0;
    }
    if (consumed < n && (run->wants & MAILSRV_WANT_READ) != 0)
        run_wrong(run, "not all was taken, and yet the session wants to read");
    return consumed;
}

static void feed_octets(struct run *run, size_t n)
{
    if (run->plan->traced)
        trace("C: ", (struct text){ run->in.p + run->in_pos, n });
    size_t taken = host_feed(run, run->in.p + run->in_pos, n);
    run->in_pos += taken;
    run->clear_pos += taken;
}

static bool feed_eof(struct run *run)
{
    if (!run->eof_due || run->eof_fed || run->in_pos < run->in.n)
        return false;
    if (tls_says_closed(run))
        return true;
    run->eof_fed = true;
    enter(run);
    int32_t status = mailsrv_session_feed_eof(run->session);
    leave();
    see_fallen(run);
    if (status != MAILSRV_OK && status != MAILSRV_E_CLOSED)
        run_wrong(run, "feed_eof failed");
    return true;
}

static bool feed_one(struct run *run)
{
    if (run->session == NULL)
        return false;
    size_t end = piece_end(run);
    if (tls_is_on(run) && (end != run->in_pos || run->wire_pos != run->wire.n))
        return tls_feed(run, end);
    if (end == run->in_pos)
        return feed_eof(run);
    if ((run->wants & MAILSRV_WANT_READ) == 0)
        return false;
    size_t before = run->in_pos;
    feed_octets(run, end - run->in_pos);
    return run->in_pos != before;
}

static bool feed(struct run *run)
{
    bool any = feed_one(run);
    while (any && run->plan->eager && !run_is_wrong(run) && feed_one(run))
        continue;
    return any;
}

/* ---- Output ---- */

static void note_slices(struct run *run, const mailsrv_out *v, size_t count)
{
    run->n_slices = count;
    run->slice_bytes.n = 0;
    for (size_t i = 0; i < count; i++) {
        run->slices[i] = v[i];
        buffer_add(&run->slice_bytes, v[i].p, v[i].n);
    }
    if (run->plan->sabotage == SABOTAGE_MOVE_OUTPUT && run->slice_bytes.n != 0)
        run->slice_bytes.p[0] ^= 1;
}

/* What was lent before is still where and what it was; the last of it may have grown. */
static void check_slices(struct run *run, const mailsrv_out *v, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < run->n_slices; i++) {
        const mailsrv_out *was = &run->slices[i];
        if (i >= count || v[i].p != was->p || v[i].n < was->n || (v[i].n != was->n && i + 1 != run->n_slices) ||
            memcmp(v[i].p, run->slice_bytes.p + at, was->n) != 0) {
            run_wrong(run, "lent output moved before it was sent");
            return;
        }
        at += was->n;
    }
}

/* The first `n` octets of the slices arrive at the client. */
static void deliver(struct run *run, const mailsrv_out *v, size_t n)
{
    size_t before = run->out.n;
    if (run->d->is_client && n != 0)
        tls_heard(run, v->p[0], script_begins_tls(run));
    for (size_t left = n; left != 0; v++) {
        size_t part = v->n < left ? v->n : left;
        if (tls_is_on(run))
            fake_client_take(&run->client, v->p, part, &run->out, &run->wire);
        else if (!run->talks_alone)
            buffer_add(&run->out, v->p, part);
        left -= part;
    }
    if (run->plan->traced)
        trace("S: ", run->out.n == 0 ? (struct text){ "", 0 }
                                     : (struct text){ run->out.p + before, run->out.n - before });
    if (run->plan->sabotage == SABOTAGE_LOSE_LINE && before == 0)
        run->out.n = 0;
    enter(run);
    int32_t status = mailsrv_session_sent(run->session, n);
    leave();
    if (status != MAILSRV_OK)
        run_wrong(run, "sent failed");
    run->out_octets += n;
    run->n_slices = 0;
    see_fallen(run);
}

/* Looks at the output, and sends as much of it as the plan says.  False: nothing was sent. */
static bool send(struct run *run, bool at_rest)
{
    mailsrv_out v[4];
    size_t count = 5, n = 0;
    if (run->session == NULL || (run->wants & MAILSRV_WANT_WRITE) == 0)
        return false;
    enter(run);
    int32_t status = mailsrv_session_output(run->session, v, 4, &count);
    leave();
    if (status != MAILSRV_OK || count == 0 || count > 4) {
        run_wrong(run, "no output, and yet the session wants to write");
        return false;
    }
    check_slices(run, v, count);
    note_slices(run, v, count);
    for (size_t i = 0; i < count; i++)
        n += v[i].n;
    if (run->plan->sending == SEND_LATE && !at_rest)
        return false;
    if (run->plan->sending == SEND_ONE_OCTET)
        n = 1;
    deliver(run, v, n);
    return true;
}

/* ---- The engine's turn ---- */

static bool turn(struct run *run)
{
    uint32_t units = run->plan->units != 0 ? run->plan->units : UNITS_PLENTY;
    enter(run);
    int32_t status =
        run->plan->bound ? mailsrv_engine_turn(run->engine, units) : mailsrv_engine_run(run->engine, units);
    leave();
    if (status != MAILSRV_OK && status != MAILSRV_MORE)
        run_wrong(run, "run failed");
    see_fallen(run);
    return status == MAILSRV_MORE;
}

static bool take_operations(struct run *run)
{
    const mailsrv_op *op;
    bool any = false;
    for (;;) {
        enter(run);
        int32_t status = mailsrv_engine_next_op(run->engine, &op);
        leave();
        if (status != MAILSRV_OK)
            return any;
        any = true;
        operations_take(run, op);
        if (run_is_wrong(run))
            return false;
    }
}

static bool take_ready(struct run *run)
{
    mailsrv_session *session;
    bool any = false;
    while (mailsrv_engine_next_ready(run->engine, &session) == MAILSRV_OK) {
        any = true;
        if (session != run->session || session == NULL) {
            run_wrong(run, "a session is ready that is not there");
            return false;
        }
        run->wants = mailsrv_session_wants(session);
    }
    return any;
}

/* At rest: nothing may have risen without an edge, and nobody has to come by now. */
static void check_rest(struct run *run)
{
    if (run->session != NULL && (mailsrv_session_wants(run->session) & ~run->wants) != 0)
        run_wrong(run, "a bit of wants rose without an edge");
    if (mailsrv_engine_next_deadline(run->engine) <= run->mono_us)
        run_wrong(run, "the deadline is not after now, and yet there is nothing to do");
}

/* The place where this run ends otherwise than it is written. */
static bool at_end(struct run *run)
{
    const struct plan *plan = run->plan;
    if (run->stopped || run->session == NULL)
        return false;
    return run->n_withheld != 0 ? plan->fault == FAULT_CANCEL
                                : plan->ending != END_AS_WRITTEN && run->in_pos >= plan->end_at;
}

static void shut_down(struct run *run)
{
    enter(run);
    int32_t status = mailsrv_session_shutdown(run->session);
    leave();
    if (status != MAILSRV_OK)
        run_wrong(run, "shutdown failed");
}

static void end_otherwise(struct run *run)
{
    enum ending ending = run->plan->fault == FAULT_CANCEL && run->n_withheld != 0 ? END_FREED : run->plan->ending;
    run->stopped = true;
    run->out_at_stop = run->out.n;
    run->eof_due = ending == END_EOF || ending == END_SHUTDOWN;
    if (ending == END_EOF)
        run->in.n = run->in_pos; /* the client sends no more */
    else if (ending == END_SHUTDOWN)
        shut_down(run);
    else
        host_free_session(run);
}

static bool one_round(struct run *run)
{
    if (run->plan->order == ADVANCE_FIRST)
        advance(run);
    bool moved = feed(run);
    if (run->plan->ending == END_FREED_AT_ONCE && at_end(run)) {
        end_otherwise(run);
        return true;
    }
    if (run->plan->order == FEED_FIRST)
        advance(run);
    moved = turn(run) || moved;
    moved = take_operations(run) || moved;
    moved = take_ready(run) || moved;
    moved = tls_host(run) || moved;
    return send(run, false) || moved;
}

void host_pump(struct run *run)
{
    for (uint32_t rounds = 0; !run_is_wrong(run); rounds++) {
        if (rounds == ROUNDS_MAX) {
            run_wrong(run, "the engine never comes to rest");
            return;
        }
        if (one_round(run))
            continue;
        check_rest(run);
        if (send(run, true) || operations_answer_late(run))
            continue;
        if (!at_end(run))
            return;
        end_otherwise(run);
    }
}

bool host_sleep(struct run *run)
{
    int64_t deadline = mailsrv_engine_next_deadline(run->engine);
    if (deadline == INT64_MAX)
        return false;
    run->unix_us += deadline - run->mono_us;
    run->mono_us = deadline;
    run->slept = true;
    return true;
}
