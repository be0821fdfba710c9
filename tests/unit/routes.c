#include "routes.h"

#include "text/writer.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void add(char *to, size_t room, const char *before, struct span text)
{
    size_t n = strlen(to);
    snprintf(to + n, room - n, "%s%.*s", before, (int)text.n, text.p);
}

static void note_question(struct routed *out, const mailsrv_arg_dns *ask)
{
    const char *type = ask->type == MAILSRV_DNS_MX      ? "MX "
                       : ask->type == MAILSRV_DNS_A     ? "A "
                       : ask->type == MAILSRV_DNS_CNAME ? "CNAME "
                       : ask->type == MAILSRV_DNS_TLSA  ? "TLSA "
                                                        : "AAAA ";
    add(out->questions, sizeof out->questions, out->questions[0] == '\0' ? "" : ", ", SPAN(""));
    add(out->questions, sizeof out->questions, type, mailsrv__span(ask->name));
}

/* In a block of its own size, which is gone when it has been answered. */
static void answer(struct routed *out, struct route *r, unsigned i, const mailsrv_arg_dns *ask)
{
    int32_t status = zone_answer(&out->zone, ask);
    mailsrv_dns_reply reply = out->zone.reply;
    uint8_t *copy = malloc(reply.message.n);
    assert_non_null(copy);
    memcpy(copy, reply.message.p, reply.message.n);
    reply.message.p = copy;
    mailsrv__route_answer(r, i, &(mailsrv_answer){ .size = sizeof(mailsrv_answer), .status = status, .value = &reply });
    free(copy);
}

/* {names, and of each record its numbers and the first octet of its data} */
static void note_dane(struct routed *out, const struct dane *dane)
{
    char text[32];
    assert_in_range(dane->n_names, 1, DANE_NAMES_MAX);
    for (uint32_t i = 0; i < dane->n_names; i++)
        add(out->plan, sizeof out->plan, i == 0 ? "{" : ",", mailsrv__span(dane->names[i]));
    for (uint32_t i = 0; i < dane->n; i++) {
        const mailsrv_tlsa *t = &dane->records[i];
        snprintf(text, sizeof text, " %u%u%u%02x", t->usage, t->selector, t->matching, t->data.p[0]);
        add(out->plan, sizeof out->plan, text, SPAN(""));
    }
    add(out->plan, sizeof out->plan, "}", SPAN(""));
}

static void note_plan(struct routed *out, const struct route_plan *plan)
{
    assert_int_equal(plan->verdict == ROUTE_FOUND, plan->n != 0);
    assert_true(plan->n <= ROUTE_ADDRESSES_MAX);
    out->ttl_s = plan->ttl_s;
    if (plan->verdict != ROUTE_FOUND) {
        assert_int_equal(plan->code / 100, plan->verdict == ROUTE_LATER ? 4 : 5);
        assert_int_equal(plan->text.p[0], plan->verdict == ROUTE_LATER ? '4' : '5');
        snprintf(out->plan, sizeof out->plan, "%u %.*s", (unsigned)plan->code, (int)plan->text.n, plan->text.p);
    }
    for (uint32_t i = 0; i < plan->n; i++) {
        char room[64];
        struct writer w = { .p = room, .room = sizeof room };
        mailsrv__write_ip(&w, plan->addresses[i].octets, plan->addresses[i].n);
        add(out->plan, sizeof out->plan, i == 0 ? "" : " ", plan->addresses[i].host);
        add(out->plan, sizeof out->plan, "/", mailsrv__written(&w));
        if (plan->addresses[i].dane != NULL)
            note_dane(out, plan->addresses[i].dane);
    }
}

static bool next(const struct route *r, bool backwards, unsigned *i, mailsrv_arg_dns *ask)
{
    for (unsigned k = 0; k < ROUTE_AT_ONCE; k++) {
        *i = backwards ? ROUTE_AT_ONCE - 1 - k : k;
        if (mailsrv__route_question(r, *i, ask))
            return true;
    }
    return false;
}

static void run(struct routed *out, const struct route_terms *terms, bool backwards)
{
    const mailsrv_answer nothing = { .size = sizeof nothing, .status = MAILSRV_TEMP };
    mailsrv_arg_dns ask;
    unsigned i;
    struct route *r = mailsrv__route_new(&out->heap, terms);
    out->no_memory = r == NULL;
    if (r == NULL)
        return;
    while (next(r, backwards, &i, &ask)) {
        assert_true(out->zone.asked < ROUTE_QUESTIONS_MAX);
        note_question(out, &ask);
        answer(out, r, i, &ask);
        mailsrv__route_answer(r, ROUTE_AT_ONCE, &nothing); /* nobody waits for it */
    }
    mailsrv__route_answer(r, 0, &nothing);
    struct route_plan *plan = mailsrv__route_plan(r);
    mailsrv__route_free(r);
    out->no_memory = plan == NULL;
    if (plan != NULL)
        note_plan(out, plan);
    mailsrv__route_plan_free(&out->heap, plan);
}

static void run_once(struct routed *out, const char *zone, const struct route_terms *terms, uint64_t fail, bool backwards)
{
    memset(out, 0, sizeof *out);
    out->zone.text = zone;
    counted_init(&out->from);
    out->from.fail_first = out->from.fail_last = fail;
    mailsrv__heap_init(&out->heap, &out->from.allocator, UINT64_MAX);
    run(out, terms, backwards);
    mailsrv__route_free(NULL);
    assert_int_equal(out->heap.used, 0);
    assert_int_equal(out->from.live, 0);
    assert_null(out->from.fault);
}

/* In whatever order answers come the plan is the same; only of several that are missing another one may be named. */
void routes_run(struct routed *out, const char *zone, const struct route_terms *terms, uint64_t fail)
{
    run_once(out, zone, terms, fail, false);
    if (fail != 0)
        return;
    struct routed *again = malloc(sizeof *again);
    assert_non_null(again);
    run_once(again, zone, terms, 0, true);
    assert_int_equal(again->zone.asked, out->zone.asked);
    assert_int_equal(again->ttl_s, out->ttl_s);
    if (out->plan[0] == '4')
        assert_memory_equal(again->plan, out->plan, 4);
    else
        assert_string_equal(again->plan, out->plan);
    free(again);
}
