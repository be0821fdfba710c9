/* The ways: each is a pass of its own over a dialogue, of one run or of thousands. */
#include "run.h"

#include "names.h"

#include <stdlib.h>

enum { NEAR = 32 };

/* Where there are more than so many operations not each of them is another case. */
enum { MANY_OPERATIONS = 300 };

/* Calls of a provider that fail. */
enum { TLS_FAILS_MAX = 60 };

/* From here on the places become fewer, so that a dialogue of a megabyte, or one that begins with hundreds of messages,
 * does not take as long as all others. */
enum { LONG_INPUT = 128 * 1024, MANY_SETUPS = 100 };

struct pass {
    const struct dialogue *d;
    const struct counts *counts;
    struct result *result;
    struct buffer reference; /* the transcript of the plain run */
    struct outcome plain;
    uint64_t random;
};

static struct outcome go(struct pass *p, const struct plan *plan)
{
    struct outcome outcome = run_dialogue(p->d, plan, &p->reference, NULL, &p->result->why);
    p->result->runs++;
    p->result->wrong += !outcome.good;
    p->result->diverged += outcome.diverged;
    return outcome;
}

/* ---- Random numbers: splitmix64 (Steele, Lea, Flood 2014) ---- */

static uint64_t draw(struct pass *p, uint64_t below)
{
    uint64_t z = p->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return below == 0 ? 0 : (z ^ (z >> 31)) % below;
}

/* ---- Places in the input ---- */

struct places {
    size_t *v;
    size_t n;
};

static void mark_near(bool *marks, size_t n, size_t edge)
{
    for (size_t i = edge < NEAR ? 0 : edge - NEAR; i <= edge + NEAR && i <= n; i++)
        marks[i] = true;
}

/* Where a literal ends, behind the line that announces it (RFC 9051 section 4.3). */
static void mark_literals(struct text input, bool *marks)
{
    struct said said = { 0 };
    struct text rest = input;
    while (rest.n != 0) {
        if (said.state == SAID_WAITS)
            said_answered(&said, true);
        bool in_literal = said.state == SAID_IN_LITERAL;
        rest = text_after(rest, said_take(&said, rest));
        if (in_literal)
            mark_near(marks, input.n, (size_t)(rest.p - input.p));
    }
}

/* Around each line's end, and each end of a counted chunk (RFC 3030 section 2) or literal. */
static void mark_edges(struct text input, bool *marks)
{
    struct text rest = input;
    mark_literals(input, marks);
    while (rest.n != 0) {
        struct text line = text_line(&rest), words = line;
        size_t end = (size_t)(rest.p - input.p);
        uint64_t octets = 0;
        mark_near(marks, input.n, end);
        while (words.n != 0 && (words.p[words.n - 1] == '\n' || words.p[words.n - 1] == '\r'))
            words.n--;
        if (text_is(text_word(&words), "BDAT") && text_number(text_word(&words), &octets) && octets <= rest.n)
            mark_near(marks, input.n, end + (size_t)octets);
    }
}

static size_t fewer(size_t most, uint64_t limit, size_t n)
{
    return n <= limit ? most : (size_t)(most * limit / n) + 1;
}

/* The places from 0 to the end of the input: all of them where it is short, else those near an edge, `most` of them. */
static struct places places_of(const struct pass *p, size_t most)
{
    size_t n = p->d->input.n, marked = 0;
    bool is_short = n <= p->counts->short_input && p->d->n_setups <= MANY_SETUPS;
    most = fewer(fewer(most, LONG_INPUT, n), MANY_SETUPS, p->d->n_setups);
    struct places places = { dialogue_take((n + 1) * sizeof *places.v), 0 };
    bool *marks = dialogue_take(n + 1);
    if (is_short)
        memset(marks, true, n + 1);
    else
        mark_edges(p->d->input, marks);
    for (size_t i = 0; i <= n; i++)
        marked += marks[i];
    size_t each = is_short || most == 0 ? 1 : (marked + most - 1) / most;
    for (size_t i = 0, seen = 0; i <= n; i++)
        if (marks[i] && seen++ % each == 0)
            places.v[places.n++] = i;
    free(marks);
    return places;
}

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static void cut_at_random(struct pass *p, struct plan *plan)
{
    plan->n_cuts = 1 + (size_t)draw(p, CUTS_MAX);
    for (size_t i = 0; i < plan->n_cuts; i++)
        plan->cuts[i] = (size_t)draw(p, p->d->input.n + 1);
    qsort(plan->cuts, plan->n_cuts, sizeof plan->cuts[0], by_size);
}

/* ---- Input ---- */

static void way_whole(struct pass *p)
{
    go(p, &(struct plan){ 0 });
}

static void way_bytes(struct pass *p)
{
    go(p, &(struct plan){ .bytewise = true });
    go(p, &(struct plan){ .bytewise = true, .eager = true });
}

static void way_cuts(struct pass *p)
{
    struct places places = places_of(p, p->counts->cuts);
    for (size_t i = 0; i < places.n && p->counts->cuts != 0; i++)
        go(p, &(struct plan){ .cuts = { places.v[i] }, .n_cuts = 1 });
    free(places.v);
    for (size_t i = 0; i < p->counts->random_cuts; i++) {
        struct plan plan = { .eager = (i & 1) != 0 };
        cut_at_random(p, &plan);
        go(p, &plan);
    }
}

/* ---- Memory ---- */

/* The first of those that are to fail, where not each is. */
static uint64_t first_of(const struct pass *p, uint64_t step)
{
    return 1 + p->counts->seed % step;
}

static void fail_allocations(struct pass *p, enum fault fault)
{
    struct outcome outcome;
    uint64_t n = first_of(p, p->counts->step);
    do {
        outcome = go(p, &(struct plan){ .fault = fault, .nth = n, .quits = (n & 1) != 0 });
        n += p->counts->step;
    } while (outcome.allocation_failed && p->result->wrong == 0);
}

static void way_allocations(struct pass *p)
{
    fail_allocations(p, FAULT_ALLOCATION);
}

static void way_drought(struct pass *p)
{
    fail_allocations(p, FAULT_DROUGHT);
}

static void way_block(struct pass *p)
{
    go(p, &(struct plan){ .memory = MEMORY_BLOCK });
    go(p, &(struct plan){ .memory = MEMORY_BLOCK, .bytewise = true });
    go(p, &(struct plan){ .memory = MEMORY_BLOCK, .answering = ANSWER_LATE });
    go(p, &(struct plan){ .memory = MEMORY_BLOCK, .bound = true, .sending = SEND_LATE });
}

/* ---- Operations ---- */

static void way_late(struct pass *p)
{
    for (enum answering late = ANSWER_LATE; late <= ANSWER_LATE_REVERSED; late++) {
        go(p, &(struct plan){ .answering = late });
        go(p, &(struct plan){ .answering = late, .bytewise = true });
        go(p, &(struct plan){ .answering = late, .bound = true });
    }
}

enum { STATUSES_ALL_UP_TO = 40 };

static void fail_operation(struct pass *p, uint64_t nth, size_t i, bool by_result)
{
    go(p, &(struct plan){ .fault = FAULT_STATUS,
                          .nth = nth,
                          .status = status_at(i),
                          .quits = ((nth + i) & 1) != 0,
                          .by_result = by_result });
}

static void way_failed(struct pass *p)
{
    size_t n_statuses = 0;
    while (status_at(n_statuses) != 0)
        n_statuses++;
    bool all = p->plain.operations <= STATUSES_ALL_UP_TO && p->counts->step == 1;
    for (uint64_t nth = first_of(p, p->counts->step); nth <= p->plain.operations; nth += p->counts->step)
        for (size_t i = 0; i < n_statuses; i++) {
            bool in_turn = i == nth % n_statuses || i < 2;
            if (!all && !in_turn)
                continue;
            fail_operation(p, nth, i, false);
            if (p->plain.commits)
                fail_operation(p, nth, i, true);
        }
}

static void each_operation(struct pass *p, enum fault fault)
{
    uint64_t step = p->plain.operations / MANY_OPERATIONS + p->counts->step;
    for (uint64_t nth = first_of(p, step); nth <= p->plain.operations; nth += step) {
        go(p, &(struct plan){ .fault = fault, .nth = nth, .quits = true });
        go(p, &(struct plan){ .fault = fault, .nth = nth, .bytewise = true });
    }
}

static void way_cancelled(struct pass *p)
{
    each_operation(p, FAULT_CANCEL);
}

static void way_never(struct pass *p)
{
    each_operation(p, FAULT_NEVER);
}

static void way_tardy(struct pass *p)
{
    each_operation(p, FAULT_TARDY);
}

/* ---- The end ---- */

static void end_everywhere(struct pass *p, enum ending ending, enum answering answering)
{
    struct places places = places_of(p, p->counts->cuts);
    for (size_t i = 0; i < places.n; i++)
        go(p, &(struct plan){ .ending = ending, .end_at = places.v[i], .answering = answering });
    free(places.v);
}

/* When all is at rest; with operations still queued; and with writes out. */
static void way_closed(struct pass *p)
{
    end_everywhere(p, END_FREED, ANSWER_AT_ONCE);
    end_everywhere(p, END_FREED_AT_ONCE, ANSWER_AT_ONCE);
    end_everywhere(p, END_FREED_AT_ONCE, ANSWER_LATE);
}

static void way_eof(struct pass *p)
{
    end_everywhere(p, END_EOF, ANSWER_AT_ONCE);
}

static void way_shutdown(struct pass *p)
{
    end_everywhere(p, END_SHUTDOWN, ANSWER_AT_ONCE);
}

/* ---- Output, and the host's habits ---- */

static void way_sips(struct pass *p)
{
    go(p, &(struct plan){ .sending = SEND_ONE_OCTET });
    go(p, &(struct plan){ .sending = SEND_ONE_OCTET, .bytewise = true });
}

static void way_clogged(struct pass *p)
{
    go(p, &(struct plan){ .sending = SEND_LATE });
    go(p, &(struct plan){ .sending = SEND_LATE, .bytewise = true, .eager = true });
}

static void way_feeds_first(struct pass *p)
{
    go(p, &(struct plan){ .order = FEED_FIRST });
    go(p, &(struct plan){ .order = FEED_FIRST, .bytewise = true });
}

static void way_bound(struct pass *p)
{
    go(p, &(struct plan){ .bound = true });
    go(p, &(struct plan){ .bound = true, .units = 1 });
    go(p, &(struct plan){ .units = 1 });
    go(p, &(struct plan){ .units = 1, .bytewise = true, .bound = true });
}

/* ---- TLS ---- */

/* A dialogue of STARTTLS has TLS in every way; one that says what is so in the clear has none. */
static bool takes_tls(const struct pass *p)
{
    return !p->d->is_clear && !p->d->has_tls;
}

/* In records that arrive whole, octet by octet, in pieces; each octet in a record of its own. */
static void way_tls(struct pass *p)
{
    const struct plan plans[] = {
        { .jobs = true },
        { .wire_piece = 1 },
        { .wire_piece = 7, .jobs = true, .answering = ANSWER_LATE },
        { .bytewise = true, .cut_off = true },
        { .bytewise = true, .eager = true, .jobs = true, .answering = ANSWER_LATE_REVERSED },
        { .bytewise = true, .wire_piece = 3, .answering = ANSWER_LATE },
    };
    for (size_t i = 0; i < sizeof plans / sizeof plans[0] && !p->d->is_clear; i++) {
        struct plan plan = plans[i];
        plan.tls = TLS_BY_LIBRARY;
        go(p, &plan);
    }
}

static void way_tls_hosts(struct pass *p)
{
    for (unsigned jobs = 0; jobs < 2 && !p->d->is_clear; jobs++) {
        const struct plan tls = { .tls = TLS_BY_LIBRARY, .jobs = jobs != 0 };
        struct plan sips = tls, clogged = tls, first = tls, bound = tls, block = tls;
        sips.sending = SEND_ONE_OCTET;
        clogged.sending = SEND_LATE;
        clogged.wire_piece = 100;
        first.order = FEED_FIRST;
        bound.bound = true;
        bound.units = 1;
        block.memory = MEMORY_BLOCK;
        go(p, &sips);
        go(p, &clogged);
        go(p, &first);
        go(p, &bound);
        go(p, &block);
    }
}

/* The host does TLS, and tells. */
static void way_tls_told(struct pass *p)
{
    if (p->d->is_clear || p->d->is_provided)
        return;
    go(p, &(struct plan){ .tls = TLS_BY_HOST });
    go(p, &(struct plan){ .tls = TLS_BY_HOST, .bytewise = true });
    go(p, &(struct plan){ .tls = TLS_BY_HOST, .sending = SEND_ONE_OCTET });
    go(p, &(struct plan){ .tls = TLS_BY_HOST, .sending = SEND_LATE, .order = FEED_FIRST });
}

static void way_tls_memory(struct pass *p)
{
    for (enum fault fault = FAULT_ALLOCATION; fault <= FAULT_DROUGHT && takes_tls(p); fault++) {
        struct outcome outcome;
        uint64_t n = fault == FAULT_DROUGHT ? 1 : 0;
        do {
            n += p->counts->tls_step;
            outcome = go(p, &(struct plan){ .tls = TLS_BY_LIBRARY,
                                            .fault = fault,
                                            .nth = n,
                                            .quits = (n & 1) != 0,
                                            .jobs = (n & 2) != 0 });
        } while (outcome.allocation_failed && p->result->wrong == 0);
    }
}

/* The provider fails at each of its calls: the session ends, without a word that was not encrypted. */
static void way_tls_fails(struct pass *p)
{
    struct outcome outcome;
    unsigned n = 0;
    if (p->d->is_client && p->d->is_clear)
        return;
    do {
        n++;
        outcome = go(p, &(struct plan){ .tls = TLS_BY_LIBRARY, .tls_fails = n, .jobs = (n & 1) != 0 });
    } while (outcome.tls_failed && n < TLS_FAILS_MAX && !p->d->is_clear && p->result->wrong == 0);
}

/* What stands in one record counts as taken at once, though the session holds it back behind an answer that the file
 * has later: what is answered then is not what the file has, but for sessions that are simply freed. */
static bool answers_later(const struct pass *p)
{
    for (size_t i = 0; i < p->d->n_steps; i++)
        if (p->d->steps[i].what == STEP_OP && p->d->steps[i].reply == REPLY_LATER)
            return true;
    return false;
}

/* The first two operations are the jobs of a handshake: the session goes while one is queued, or out; it is refused,
 * and done all the same; it never ends. */
static void lose_jobs(struct pass *p)
{
    static const enum fault faults[] = { FAULT_CANCEL, FAULT_STATUS, FAULT_NEVER, FAULT_TARDY };
    go(p, &(struct plan){ .tls = TLS_BY_LIBRARY, .jobs = true, .ending = END_FREED_AT_ONCE });
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        for (uint64_t nth = 1; nth <= FAKE_FLIGHTS; nth++)
            go(p, &(struct plan){
                      .tls = TLS_BY_LIBRARY, .jobs = true, .fault = faults[i], .nth = nth, .status = MAILSRV_TEMP });
}

static void way_tls_ends(struct pass *p)
{
    if (takes_tls(p))
        lose_jobs(p);
    size_t n_endings = answers_later(p) ? 2 : 4;
    static const enum ending endings[] = { END_FREED, END_FREED_AT_ONCE, END_EOF, END_SHUTDOWN };
    struct places places = places_of(p, p->counts->tls_ends);
    size_t each = places.n / p->counts->tls_ends + 1;
    for (size_t i = 0; i < places.n && takes_tls(p); i += each)
        for (size_t k = 0; k < n_endings; k++)
            go(p, &(struct plan){ .tls = TLS_BY_LIBRARY,
                                  .jobs = (i & 1) != 0,
                                  .ending = endings[k],
                                  .end_at = places.v[i],
                                  .answering = (k + i) % 3 == 0 ? ANSWER_LATE : ANSWER_AT_ONCE });
    free(places.v);
}

/* ---- Pairs ---- */

static void plan_fault(struct pass *p, struct plan *plan)
{
    uint64_t operations = p->plain.operations;
    plan->fault = (enum fault)(1 + draw(p, FAULT_TARDY));
    if (plan->fault <= FAULT_DROUGHT)
        plan->memory = MEMORY_COUNTED;
    plan->nth = 1 + draw(p, plan->fault <= FAULT_DROUGHT ? p->plain.allocations : operations);
    plan->status = status_at((size_t)draw(p, 14));
    plan->quits = draw(p, 2) != 0;
}

static void plan_one_of(struct pass *p, struct plan *plan, unsigned which)
{
    switch (which) {
    case 0:
        cut_at_random(p, plan);
        break;
    case 1:
        plan->bytewise = true;
        plan->eager = draw(p, 2) != 0;
        break;
    case 2:
        plan->sending = draw(p, 2) != 0 ? SEND_ONE_OCTET : SEND_LATE;
        break;
    case 3:
        plan->order = FEED_FIRST;
        break;
    case 4:
        plan->answering = draw(p, 2) != 0 ? ANSWER_LATE : ANSWER_LATE_REVERSED;
        break;
    case 5:
        plan->memory = plan->fault == FAULT_ALLOCATION || plan->fault == FAULT_DROUGHT ? MEMORY_COUNTED : MEMORY_BLOCK;
        break;
    case 6:
        plan->bound = true;
        plan->units = (uint32_t)draw(p, 20);
        break;
    case 7:
        plan_fault(p, plan);
        break;
    default:
        plan->ending = (enum ending)(1 + draw(p, END_SHUTDOWN));
        plan->end_at = (size_t)draw(p, p->d->input.n + 1);
        break;
    }
}

enum { PLAN_PARTS = 9 };

static void way_pairs(struct pass *p)
{
    for (size_t i = 0; i < p->counts->pairs; i++) {
        struct plan plan = { 0 };
        unsigned first = (unsigned)draw(p, PLAN_PARTS);
        unsigned second = (first + 1 + (unsigned)draw(p, PLAN_PARTS - 1)) % PLAN_PARTS;
        plan_one_of(p, &plan, first);
        plan_one_of(p, &plan, second);
        go(p, &plan);
    }
}

/* ---- All of them ---- */

static const struct way {
    const char *name;
    void (*run)(struct pass *p);
} ways[] = {
    { "whole", way_whole },
    { "bytes", way_bytes },
    { "cuts", way_cuts },
    { "allocations", way_allocations },
    { "drought", way_drought },
    { "block", way_block },
    { "late", way_late },
    { "failed", way_failed },
    { "cancelled", way_cancelled },
    { "never", way_never },
    { "tardy", way_tardy },
    { "closed", way_closed },
    { "eof", way_eof },
    { "shutdown", way_shutdown },
    { "sips", way_sips },
    { "clogged", way_clogged },
    { "feeds-first", way_feeds_first },
    { "bound", way_bound },
    { "pairs", way_pairs },
    { "tls", way_tls },
    { "tls-hosts", way_tls_hosts },
    { "tls-told", way_tls_told },
    { "tls-memory", way_tls_memory },
    { "tls-fails", way_tls_fails },
    { "tls-ends", way_tls_ends },
};

enum { N_WAYS = sizeof ways / sizeof ways[0] };

const char *dialogue_way_name(size_t i)
{
    return i < N_WAYS ? ways[i].name : NULL;
}

bool dialogue_run(const struct dialogue *d, const char *name, const struct counts *counts, struct result *result)
{
    const struct way *way = ways;
    while (way < ways + N_WAYS && strcmp(way->name, name) != 0)
        way++;
    if (way == ways + N_WAYS)
        return false;
    struct pass p = { .d = d, .counts = counts, .result = result, .random = counts->seed };
    p.plain = run_dialogue(d, &(struct plan){ 0 }, NULL, &p.reference, &result->why);
    if (p.plain.good) {
        way->run(&p);
    } else {
        result->runs++;
        result->wrong++;
    }
    buffer_free(&p.reference);
    return true;
}

void dialogue_trace(const struct dialogue *d, struct result *result)
{
    result->runs++;
    result->wrong += !run_dialogue(d, &(struct plan){ .traced = true }, NULL, NULL, &result->why).good;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    uint64_t number;
    const char *value = getenv(name);
    return value != NULL && text_number(text_of(value), &number) ? number : otherwise;
}

struct counts dialogue_counts(void)
{
    return (struct counts){
        .seed = from_environment("MAILSRV_SEED", 1),
        .cuts = (size_t)from_environment("DIALOGUE_CUTS", 2000),
        .short_input = (size_t)from_environment("DIALOGUE_SHORT_INPUT", 4096),
        .random_cuts = (size_t)from_environment("DIALOGUE_RANDOM_CUTS", 200),
        .pairs = (size_t)from_environment("DIALOGUE_PAIRS", 200),
        .step = (size_t)from_environment("DIALOGUE_STEP", 1),
        .tls_step = (size_t)from_environment("DIALOGUE_TLS_STEP", 5),
        .tls_ends = (size_t)from_environment("DIALOGUE_TLS_ENDS", 10),
    };
}
