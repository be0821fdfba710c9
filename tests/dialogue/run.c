#include "run.h"

#include "courier.h"
#include "names.h"

#include <stdlib.h>

unsigned run_line(const struct run *run)
{
    return run->at < run->d->n_steps ? run->d->steps[run->at].line : 0;
}

bool run_closes(const struct run *run)
{
    return run->session == NULL || (run->wants & MAILSRV_WANT_CLOSE) != 0;
}

void run_wrong(struct run *run, const char *what)
{
    run_wrong_text(run, what, (struct text){ "", 0 });
}

/* ---- What went wrong, and in which run ---- */

static void add_item(struct buffer *b, const char *name, uint64_t number)
{
    buffer_add_text(b, ", ");
    buffer_add_text(b, name);
    buffer_add_text(b, " ");
    buffer_add_number(b, number);
}

static void describe_faults(const struct plan *plan, struct buffer *b)
{
    static const char *const faults[] = { "",
                                          "allocation",
                                          "drought from",
                                          "status of operation",
                                          "cancel of operation",
                                          "never operation",
                                          "tardy operation" };
    static const char *const endings[] = { "", "freed after", "freed at once after", "eof after", "shut down after" };
    if (plan->fault != FAULT_NONE)
        add_item(b, faults[plan->fault], plan->nth);
    if (plan->fault == FAULT_STATUS) {
        buffer_add_text(b, " ");
        buffer_add_text(b, status_name(plan->status));
        buffer_add_text(b, plan->by_result ? " by result" : "");
    }
    if (plan->quits)
        buffer_add_text(b, ", quits");
    if (plan->ending != END_AS_WRITTEN)
        add_item(b, endings[plan->ending], plan->end_at);
}

static void describe_tls(const struct plan *plan, struct buffer *b)
{
    static const char *const by[] = { "", ", TLS by the library", ", TLS by the host" };
    buffer_add_text(b, by[plan->tls]);
    buffer_add_text(b, plan->jobs ? ", with jobs" : "");
    buffer_add_text(b, plan->cut_off ? ", cut off" : "");
    if (plan->wire_piece != 0)
        add_item(b, "records in pieces of", plan->wire_piece);
    if (plan->tls_fails != 0)
        add_item(b, "TLS fails at call", plan->tls_fails);
}

static void describe(const struct plan *plan, struct buffer *b)
{
    static const char *const sendings[] = { "", ", sent octet by octet", ", sent late" };
    static const char *const answerings[] = { "", ", answered late", ", answered late and reversed" };
    buffer_add_text(b, plan->bytewise ? "byte by byte" : plan->n_cuts == 0 ? "whole" : "cut at");
    for (size_t i = 0; i < plan->n_cuts; i++) {
        buffer_add_text(b, " ");
        buffer_add_number(b, plan->cuts[i]);
    }
    buffer_add_text(b, plan->eager ? ", eager" : "");
    buffer_add_text(b, sendings[plan->sending]);
    buffer_add_text(b, plan->order == FEED_FIRST ? ", fed first" : "");
    buffer_add_text(b, answerings[plan->answering]);
    buffer_add_text(b, plan->memory == MEMORY_BLOCK ? ", static block" : "");
    buffer_add_text(b, plan->bound ? ", bound" : "");
    if (plan->units != 0)
        add_item(b, "units", plan->units);
    describe_tls(plan, b);
    describe_faults(plan, b);
}

void run_wrong_text(struct run *run, const char *what, struct text text)
{
    if (run_is_wrong(run))
        return;
    buffer_add_text(&run->why, run->d->name);
    buffer_add_text(&run->why, ":");
    buffer_add_number(&run->why, run_line(run));
    buffer_add_text(&run->why, ": ");
    buffer_add_text(&run->why, what);
    buffer_add(&run->why, text.p, text.n);
    buffer_add_text(&run->why, "\n    in the run: ");
    describe(run->plan, &run->why);
    add_item(&run->why, "input taken", run->in_pos);
}

/* ---- The run ---- */

static void give_up(struct run *run)
{
    ledger_free(&run->ledger);
    courier_free(run);
    captures_free(&run->captures);
    buffer_free(&run->in);
    buffer_free(&run->out);
    buffer_free(&run->slice_bytes);
    buffer_free(&run->wire);
    buffer_free(&run->why);
    free(run->done);
}

struct outcome run_dialogue(const struct dialogue *d, const struct plan *plan, const struct buffer *reference,
                            struct buffer *transcript, struct buffer *why)
{
    struct run run = { .d = d, .plan = plan, .reference = reference };
    run.done = dialogue_take(d->n_steps * sizeof *run.done);
    if (host_begin(&run)) {
        script_run(&run);
        oracle_transcript(&run);
        oracle_stored(&run);
    }
    run.stopped = true;
    host_end(&run);
    struct outcome outcome = {
        .good = !run_is_wrong(&run),
        .diverged = run.diverged,
        .allocation_failed = run.heap.failed,
        .commits = (run.ledger.kinds >> MAILSRV_OP_BODY_COMMIT & 1) != 0,
        .tls_failed = plan->tls_fails != 0 && run.fake.calls >= plan->tls_fails,
        .operations = run.ledger.taken,
        .allocations = run.heap.calls,
    };
    if (transcript != NULL)
        buffer_add(transcript, run.out.p, run.out.n);
    if (why != NULL && why->n == 0)
        buffer_add(why, run.why.p, run.why.n);
    give_up(&run);
    return outcome;
}
