/* Where mail goes: each rule of RFC 5321 section 5.1 and RFC 7505, with name servers of the test's own. */
#include "routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    const char *label;
    const char *zone;
    const char *domain;
    const char *plan;
    const char *questions; /* NULL: whatever they are */
    uint32_t ttl_s;        /* 0: whatever it is */
    int32_t kind;          /* of the route; 0: there is none */
    uint32_t flags;
    const char *host;
    const char *own; /* NULL: us.test */
    const char *ours; /* our address; NULL: it is not known */
};

static struct span text(const char *s)
{
    return s == NULL ? (struct span){ NULL, 0 } : (struct span){ s, strlen(s) };
}

static void run_row(struct routed *out, const struct row *row, uint64_t seed, uint64_t fail)
{
    mailsrv_route route = { .size = sizeof route, .kind = row->kind, .flags = row->flags,
                            .host = mailsrv__bytes(text(row->host)) };
    struct own_addresses own;
    mailsrv_bytes ours = mailsrv__bytes(text(row->ours));
    assert_true(mailsrv__own_read(&own, &ours, row->ours != NULL));
    struct route_terms terms = { .domain = text(row->domain),
                                 .route = row->kind == 0 ? NULL : &route,
                                 .own = row->own == NULL ? SPAN("us.test") : text(row->own),
                                 .own_addresses = row->ours == NULL ? NULL : &own,
                                 .seed = seed };
    routes_run(out, row->zone, &terms, fail);
}

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct routed out;
        run_row(&out, &rows[i], i, 0);
        if (strcmp(out.plan, rows[i].plan) != 0)
            fail_msg("%s: %s", rows[i].label, out.plan);
        if (rows[i].questions != NULL && strcmp(out.questions, rows[i].questions) != 0)
            fail_msg("%s: asked %s", rows[i].label, out.questions);
        if (rows[i].ttl_s != 0 && out.ttl_s != rows[i].ttl_s)
            fail_msg("%s: ttl %u", rows[i].label, (unsigned)out.ttl_s);
    }
}

#define CHECK_ROWS(rows) check((rows), sizeof(rows) / sizeof((rows)[0]))

/* ---- TRAPS ---- */

/* A resolver that does not answer is no answer: the mail waits.  There is no domain: it does not. */
static void test_t55_dns_that_does_not_answer_is_no_answer(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "SERVFAIL for MX", "a.test FAIL MX\na.test A 192.0.2.1\n", "a.test",
          .plan = "451 4.4.3 the name servers have no answer for a.test: SERVFAIL", .questions = "MX a.test",
          .ttl_s = ROUTE_TTL_LATER_S },
        { "no reply for MX", "a.test SILENT MX\na.test A 192.0.2.1\n", "a.test",
          .plan = "451 4.4.3 the name servers have no answer for a.test: no reply", .questions = "MX a.test",
          .ttl_s = ROUTE_TTL_LATER_S },
        { "SERVFAIL for the only exchanger", "a.test MX 5 mx.a.test\nmx.a.test FAIL A\nmx.a.test FAIL AAAA\n",
          "a.test", .plan = "451 4.4.3 the name servers have no answer for mx.a.test: SERVFAIL",
          .questions = "MX a.test, AAAA mx.a.test, A mx.a.test" },
        { "SERVFAIL for one kind of address, none of the other", "a.test MX 5 mx.a.test\nmx.a.test FAIL AAAA\n",
          "a.test", .plan = "451 4.4.3 the name servers have no answer for mx.a.test: SERVFAIL" },
        { "SERVFAIL for one exchanger, no such host for the others",
          "a.test MX 5 mx.a.test\na.test MX 6 no.a.test\nmx.a.test SILENT A\n", "a.test",
          .plan = "451 4.4.3 the name servers have no answer for mx.a.test: no reply" },
        { "SERVFAIL for the implicit exchanger", "a.test FAIL A\n", "a.test",
          .plan = "451 4.4.3 the name servers have no answer for a.test: SERVFAIL" },
        { "SERVFAIL for a smarthost", "smart.test FAIL A\n", "a.test",
          .plan = "451 4.4.3 the name servers have no answer for smart.test: SERVFAIL",
          .questions = "AAAA smart.test, A smart.test", .kind = MAILSRV_ROUTE_HOST, .host = "smart.test" },
        { "no such smarthost: an operator's mistake, not the mail's", "other.test A 192.0.2.1\n", "a.test",
          .plan = "451 4.3.5 the route's host cannot be used: smart.test", .ttl_s = ROUTE_TTL_LATER_S,
          .kind = MAILSRV_ROUTE_HOST, .host = "smart.test" },
        { "no such domain", "b.test A 192.0.2.1\n", "a.test", .plan = "550 5.1.2 there is no domain a.test",
          .questions = "MX a.test", .ttl_s = ROUTE_TTL_FAILED_S },
    };
    CHECK_ROWS(rows);
}

static void test_t56_no_mx_is_not_no_mail(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "an A record", "a.test A 192.0.2.1\n", "a.test", .plan = "a.test/192.0.2.1",
          .questions = "MX a.test, AAAA a.test, A a.test" },
        { "only an AAAA record", "a.test AAAA 2001:db8::1\n", "a.test", .plan = "a.test/2001:db8::1" },
        { "both", "a.test A 192.0.2.1\na.test AAAA 2001:db8::1\n", "a.test",
          .plan = "a.test/2001:db8::1 a.test/192.0.2.1" },
        { "neither", "a.test TXT x\n", "a.test",
          .plan = "550 5.4.4 a.test has no mail exchanger and no address" },
        { "an alias", "a.test CNAME b.test\nb.test A 192.0.2.1\n", "a.test", .plan = "a.test/192.0.2.1" },
        { "MX that cannot be used", "a.test MX 5 no.a.test\na.test A 192.0.2.1\n", "a.test",
          .plan = "550 5.4.4 no mail exchanger of a.test has an address",
          .questions = "MX a.test, AAAA no.a.test, A no.a.test" },
        { "an exchanger that is an address", "a.test MX 5 10.0.0.1\na.test A 192.0.2.1\n", "a.test",
          .plan = "550 5.4.4 no mail exchanger of a.test has an address", .questions = "MX a.test" },
    };
    CHECK_ROWS(rows);
}

static void test_t57_null_mx(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "a null MX", "a.test MX 0 .\na.test A 192.0.2.1\n", "a.test",
          .plan = "556 5.1.10 a.test takes no mail (null MX)", .questions = "MX a.test",
          .ttl_s = ROUTE_TTL_FAILED_S },
        { "beside others it is none", "a.test MX 0 .\na.test MX 5 mx.a.test\nmx.a.test A 192.0.2.1\n", "a.test",
          .plan = "mx.a.test/192.0.2.1", .questions = "MX a.test, AAAA mx.a.test, A mx.a.test" },
        { "of a route's host", "smart.test MX 0 .\n", "a.test",
          .plan = "451 4.3.5 the route's host cannot be used: smart.test", .questions = "MX smart.test",
          .kind = MAILSRV_ROUTE_MX, .host = "smart.test" },
    };
    CHECK_ROWS(rows);
}

/* ---- The other rules ---- */

static void test_exchangers_in_order_of_preference(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "three",
          "a.test MX 30 c.test\na.test MX 1 a.test\na.test MX 20 b.test\na.test A 192.0.2.1\nb.test A 192.0.2.2\n" "c.test A 192.0.2.3\n",
          "a.test", .plan = "a.test/192.0.2.1 b.test/192.0.2.2 c.test/192.0.2.3" },
        { "one without an address", "a.test MX 1 no.test\na.test MX 2 b.test\nb.test A 192.0.2.2\n", "a.test",
          .plan = "b.test/192.0.2.2" },
        { "one that has no answer",
          "a.test MX 1 c.test\na.test MX 2 b.test\nb.test A 192.0.2.2\nc.test FAIL A\n", "a.test",
          .plan = "b.test/192.0.2.2", .ttl_s = ROUTE_TTL_MIN_S },
        { "named twice",
          "a.test MX 3 b.test\na.test MX 2 c.test\na.test MX 1 B.test\nb.test A 192.0.2.2\nc.test A 192.0.2.3\n",
          "a.test", .plan = "B.test/192.0.2.2 c.test/192.0.2.3",
          .questions = "MX a.test, AAAA B.test, A B.test, AAAA c.test, A c.test" },
        { "two that are one host",
          "a.test MX 3 b.test\na.test MX 1 c.test\nb.test A 192.0.2.2\nc.test A 192.0.2.2\n", "a.test",
          .plan = "c.test/192.0.2.2" },
        { "an alias of the domain", "a.test CNAME b.test\nb.test MX 1 c.test\nc.test A 192.0.2.3\n", "a.test",
          .plan = "c.test/192.0.2.3" },
        { "an alias of the exchanger keeps its name",
          "a.test MX 1 c.test\nc.test CNAME d.test\nd.test A 192.0.2.3\n", "a.test",
          .plan = "c.test/192.0.2.3" },
        { "IPv6 and IPv4 in turn",
          "a.test MX 1 c.test\nc.test A 192.0.2.1\nc.test A 192.0.2.2\nc.test A 192.0.2.3\n" "c.test AAAA 2001:db8::1\nc.test AAAA 2001:db8::2\n",
          "a.test",
          .plan = "c.test/2001:db8::1 c.test/192.0.2.1 c.test/2001:db8::2 c.test/192.0.2.2 c.test/192.0.2.3" },
        { "addresses that are nobody's",
          "a.test MX 1 c.test\nc.test A 0.0.0.0\nc.test A 224.0.0.1\nc.test A 255.255.255.255\n" "c.test AAAA ::\nc.test AAAA ff02::1\nc.test AAAA ::ffff:7f00:1\n",
          "a.test", .plan = "550 5.4.4 no mail exchanger of a.test has an address" },
        { "a name that is no host's",
          "a.test MX 1 c*.test\na.test MX 2 c_.test\nc*.test A 192.0.2.1\nc_.test A 192.0.2.2\n", "a.test",
          .plan = "c_.test/192.0.2.2" },
    };
    CHECK_ROWS(rows);
}

static void test_ourselves_among_the_exchangers(void **state)
{
    (void)state;
    static const char beside[] = "a.test MX 10 b.test\na.test MX 20 us.test\na.test MX 20 c.test\na.test MX 30 d.test\n"
                                 "b.test A 192.0.2.1\nus.test A 192.0.2.2\nc.test A 192.0.2.3\nd.test A 192.0.2.4\n";
    static const char alias[] = "a.test MX 10 b.test\na.test MX 20 c.test\na.test MX 30 d.test\nb.test A 192.0.2.1\n"
                                "c.test CNAME us.test\nus.test A 192.0.2.2\nd.test A 192.0.2.4\n";
    static const char share[] = "a.test MX 10 b.test\na.test MX 20 us.test\na.test MX 30 c.test\na.test MX 30 d.test\n"
                                "b.test A 192.0.2.1\nb.test A 192.0.2.2\nb.test A 192.0.2.3\nb.test A 192.0.2.4\n"
                                "b.test A 192.0.2.5\n";
    static const struct row rows[] = {
        { "only better ones are used", beside, "a.test", .plan = "b.test/192.0.2.1" },
        { "whatever the case", beside, "a.test", .plan = "b.test/192.0.2.1", .own = "US.Test" },
        { "we are somebody else", beside, "a.test", .plan = NULL, .own = "none.test" },
        { "we are the best", "a.test MX 10 us.test\na.test MX 20 b.test\nb.test A 192.0.2.1\n", "a.test",
          .plan = "554 5.4.6 mail for a.test would come back to us", .questions = "MX a.test" },
        { "the best is not there",
          "a.test MX 10 no.test\na.test MX 20 us.test\na.test MX 30 d.test\nd.test A 192.0.2.4\n", "a.test",
          .plan = "451 4.4.4 no better mail exchanger of a.test than ourselves has an address" },
        { "an alias of ours", alias, "a.test", .plan = "b.test/192.0.2.1",
          .questions = "MX a.test, AAAA b.test, A b.test, AAAA c.test, A c.test" },
        { "those that are not used need no share of the addresses", share, "a.test",
          .plan = "b.test/192.0.2.1 b.test/192.0.2.2 b.test/192.0.2.3 b.test/192.0.2.4 b.test/192.0.2.5" },
        { "the domain is our name", "us.test A 192.0.2.1\n", "us.test",
          .plan = "554 5.4.6 mail for us.test would come back to us" },
        { "the best is an alias of ours", "a.test MX 10 c.test\nc.test CNAME us.test\nus.test A 192.0.2.2\n",
          "a.test", .plan = "554 5.4.6 mail for a.test would come back to us" },
        { "a host that was named may be ours", "us.test A 192.0.2.1\n", "a.test", .plan = "us.test/192.0.2.1",
          .kind = MAILSRV_ROUTE_HOST, .host = "us.test" },
        { "the best exchanger of a named one is ours", "b.test MX 1 us.test\n", "a.test",
          .plan = "451 4.3.5 the route's host cannot be used: b.test", .kind = MAILSRV_ROUTE_MX,
          .host = "b.test" },
    };
    struct routed out;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].plan != NULL)
            check(&rows[i], 1);
    run_row(&out, &rows[2], 1, 0);
    assert_non_null(strstr(out.plan, "us.test/192.0.2.2"));
    assert_non_null(strstr(out.plan, " d.test/192.0.2.4"));
}

/* The same by our addresses, whatever the names. */
static void test_our_addresses_among_the_exchangers(void **state)
{
    (void)state;
    static const char beside[] = "a.test MX 10 b.test\na.test MX 20 x.test\na.test MX 20 c.test\na.test MX 30 d.test\n"
                                 "b.test A 192.0.2.1\nx.test A 192.0.2.7\nx.test A 192.0.2.99\nc.test A 192.0.2.3\n"
                                 "d.test A 192.0.2.4\n";
    static const char loop[] = "554 5.4.6 mail for a.test would come back to us";
    static const struct row rows[] = {
        { "only better ones are used", beside, "a.test", .plan = "b.test/192.0.2.1", .ours = "192.0.2.99" },
        { "we are the best", "a.test MX 10 x.test\na.test MX 20 b.test\nx.test A 192.0.2.99\nb.test A 192.0.2.1\n",
          "a.test", .plan = loop, .ours = "192.0.2.99", .questions = "MX a.test, AAAA x.test, A x.test" },
        { "and among equals", "a.test MX 10 x.test\na.test MX 10 b.test\nx.test A 192.0.2.99\nb.test A 192.0.2.1\n",
          "a.test", .plan = loop, .ours = "192.0.2.99" },
        { "the only one, by IPv6", "a.test MX 10 x.test\nx.test AAAA 2001:db8::99\n", "a.test", .plan = loop,
          .ours = "2001:db8::99" },
        { "behind a CNAME", "a.test MX 10 x.test\nx.test CNAME y.test\ny.test A 192.0.2.99\n", "a.test", .plan = loop,
          .ours = "192.0.2.99" },
        { "the domain itself, without MX", "a.test A 192.0.2.99\n", "a.test", .plan = loop, .ours = "192.0.2.99" },
        { "this machine", "a.test MX 10 x.test\nx.test A 127.0.3.4\n", "a.test", .plan = loop, .ours = "127.0.0.1" },
        { "one of its addresses alone", "a.test MX 10 x.test\nx.test A 127.0.3.4\n", "a.test",
          .plan = "x.test/127.0.3.4", .ours = "127.0.3.5" },
        { "the better one is not there", "a.test MX 10 no.test\na.test MX 20 x.test\nx.test A 192.0.2.99\n", "a.test",
          .plan = "451 4.4.4 no better mail exchanger of a.test than ourselves has an address", .ours = "192.0.2.99" },
        { "a literal", "", "[192.0.2.99]", .plan = "554 5.4.6 mail for 192.0.2.99 would come back to us",
          .kind = MAILSRV_ROUTE_MX, .flags = MAILSRV_ROUTE_LITERALS, .ours = "192.0.2.99" },
        { "a host that was named may be ours", "", "a.test", .plan = "192.0.2.99/192.0.2.99",
          .kind = MAILSRV_ROUTE_HOST, .host = "192.0.2.99", .ours = "192.0.2.99" },
    };
    CHECK_ROWS(rows);
}

static void test_addresses_that_are_none(void **state)
{
    (void)state;
    struct own_addresses own;
    mailsrv_bytes texts[MAILSRV_QUEUE_OWN_MAX + 1];
    for (size_t i = 0; i <= MAILSRV_QUEUE_OWN_MAX; i++)
        texts[i] = mailsrv__bytes(SPAN("192.0.2.1"));
    assert_true(mailsrv__own_read(&own, texts, MAILSRV_QUEUE_OWN_MAX));
    assert_false(mailsrv__own_read(&own, texts, MAILSRV_QUEUE_OWN_MAX + 1));
    assert_false(mailsrv__own_read(&own, NULL, 1));
    texts[1] = mailsrv__bytes(SPAN("mx.here.test"));
    assert_false(mailsrv__own_read(&own, texts, 2));
    assert_false(mailsrv__own_has(&own, (const uint8_t *)"\xC0\0\2\1", IPV4_OCTETS));
}

static void test_routes_of_the_host(void **state)
{
    (void)state;
    static const char zone[] = "a.test MX 1 b.test\nb.test A 192.0.2.1\nsmart.test A 192.0.2.9\nsmart.test MX 1 b.test\n";
    static const struct row rows[] = {
        { "MX of the domain", zone, "a.test", .plan = "b.test/192.0.2.1", .kind = MAILSRV_ROUTE_MX },
        { "MX of another one", zone, "c.test", .plan = "b.test/192.0.2.1",
          .questions = "MX smart.test, AAAA b.test, A b.test", .kind = MAILSRV_ROUTE_MX, .host = "smart.test" },
        { "a host", zone, "a.test", .plan = "smart.test/192.0.2.9",
          .questions = "AAAA smart.test, A smart.test", .kind = MAILSRV_ROUTE_HOST, .host = "smart.test" },
        { "a host with a dot at its end", zone, "a.test", .plan = "smart.test/192.0.2.9",
          .kind = MAILSRV_ROUTE_HOST, .host = "smart.test." },
        { "an address", zone, "a.test", .plan = "192.0.2.7/192.0.2.7", .questions = "",
          .ttl_s = ROUTE_TTL_MAX_S, .kind = MAILSRV_ROUTE_HOST, .host = "192.0.2.7" },
        { "a literal", zone, "a.test", .plan = "2001:db8::7/2001:db8::7", .questions = "",
          .kind = MAILSRV_ROUTE_HOST, .host = "[IPv6:2001:db8::7]" },
        { "no host", zone, "a.test", .plan = "451 4.3.5 the route cannot be used", .questions = "",
          .kind = MAILSRV_ROUTE_HOST, .host = "" },
        { "no name", zone, "a.test", .plan = "451 4.3.5 the route cannot be used", .questions = "",
          .kind = MAILSRV_ROUTE_HOST, .host = "a b" },
        { "another kind", zone, "a.test", .plan = "451 4.3.5 the route cannot be used", .questions = "",
          .kind = 77, .host = "smart.test" },
    };
    CHECK_ROWS(rows);
}

static void test_domains(void **state)
{
    (void)state;
    static const char no[] = "550 5.1.2 no mail is sent to this address literal";
    static const char bad[] = "550 5.1.2 this is no name of a domain";
    static const struct row rows[] = {
        { "beyond ASCII", "xn--bcher-kva.test MX 1 b.test\nb.test A 192.0.2.1\n", "B\xC3\xBC" "cher.test",
          .plan = "b.test/192.0.2.1", .questions = "MX xn--bcher-kva.test, AAAA b.test, A b.test" },
        { "no UTF-8", "", "b\xFC" "cher.test", .plan = bad, .questions = "" },
        { "empty", "", "", .plan = bad, .questions = "" },
        { "an empty label", "", "a..test", .plan = bad, .questions = "" },
        { "a dot alone", "", ".", .plan = bad, .questions = "" },
        { "a long label", "", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.test",
          .plan = bad, .questions = "" },
        { "digits", "10.0.0.1 A 10.0.0.1\n", "10.0.0.1", .plan = bad, .questions = "" },
        { "a literal", "", "[192.0.2.1]", .plan = no, .questions = "" },
        { "a literal, where they are taken", "", "[192.0.2.1]", .plan = "192.0.2.1/192.0.2.1", .questions = "",
          .kind = MAILSRV_ROUTE_MX, .flags = MAILSRV_ROUTE_LITERALS },
        { "one of IPv6", "", "[ipv6:2001:DB8::1]", .plan = "2001:db8::1/2001:db8::1", .questions = "",
          .kind = MAILSRV_ROUTE_MX, .flags = MAILSRV_ROUTE_LITERALS },
        { "one of IPv6 without its tag", "", "[2001:db8::1]", .plan = no, .questions = "",
          .kind = MAILSRV_ROUTE_MX, .flags = MAILSRV_ROUTE_LITERALS },
        { "IPv4 with a tag", "", "[IPv6:192.0.2.1]", .plan = no, .questions = "", .kind = MAILSRV_ROUTE_MX,
          .flags = MAILSRV_ROUTE_LITERALS },
        { "half a literal", "", "[192.0.2.1", .plan = no, .questions = "", .kind = MAILSRV_ROUTE_MX,
          .flags = MAILSRV_ROUTE_LITERALS },
        { "another kind of literal", "", "[x:y]", .plan = no, .questions = "", .kind = MAILSRV_ROUTE_MX,
          .flags = MAILSRV_ROUTE_LITERALS },
    };
    CHECK_ROWS(rows);
}

/* It holds as long as the shortest-lived record, within bounds. */
static void test_how_long_it_holds(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "MX", "a.test MX 1 b.test 700\nb.test A 192.0.2.1 900\n", "a.test", .plan = "b.test/192.0.2.1",
          .ttl_s = 700 },
        { "A", "a.test MX 1 b.test 900\nb.test A 192.0.2.1 800\n", "a.test", .plan = "b.test/192.0.2.1",
          .ttl_s = 800 },
        { "long", "a.test MX 1 b.test 90000\nb.test A 192.0.2.1 90000\n", "a.test", .plan = "b.test/192.0.2.1",
          .ttl_s = 3600 },
        { "short", "a.test MX 1 b.test 0\nb.test A 192.0.2.1 1\n", "a.test", .plan = "b.test/192.0.2.1",
          .ttl_s = 300 },
    };
    CHECK_ROWS(rows);
}

/* Each of three equals is the first one now and then, and the better one always. */
static void test_equals_come_in_an_order_of_chance(void **state)
{
    (void)state;
    static const struct row row = { .zone = "a.test MX 5 b.test\na.test MX 5 c.test\na.test MX 5 d.test\na.test MX 1 e.test\n"
                                            "b.test A 192.0.2.1\nc.test A 192.0.2.1\nd.test A 192.0.2.1\ne.test A 192.0.2.5\n",
                                    .domain = "a.test" };
    unsigned first[3] = { 0 };
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct routed out;
        run_row(&out, &row, seed, 0);
        assert_int_equal(strncmp(out.plan, "e.test/192.0.2.5 ", 17), 0);
        assert_in_range(out.plan[17], 'b', 'd');
        first[out.plan[17] - 'b']++;
    }
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(first[i], 60, 140);
}

/* Forty exchangers, each with addresses: the best ten at most are asked for, and there are ten addresses. */
static void test_many_exchangers_are_bounded(void **state)
{
    (void)state;
    char zone[8192];
    struct routed out;
    struct row row = { .zone = zone, .domain = "a.test" };
    size_t n = 0;
    for (unsigned i = 0; i < 40; i++) /* the best last */
        n += (size_t)snprintf(zone + n, sizeof zone - n, "a.test MX %u m%u.test\nm%u.test FAIL AAAA\n", 40 - i, i, i);
    run_row(&out, &row, 1, 0);
    assert_int_equal(out.zone.asked, 1 + 2 * ROUTE_EXCHANGERS_MAX);
    assert_non_null(strstr(out.questions, "MX a.test, AAAA m39.test, A m39.test, AAAA m38.test"));
    for (unsigned i = 0; i < 40; i++)
        for (unsigned k = 0; k < 3; k++)
            n += (size_t)snprintf(zone + n, sizeof zone - n, "m%u.test A 192.0.%u.%u\n", i, k, i);
    run_row(&out, &row, 1, 0);
    assert_int_equal(out.zone.asked, 1 + 2 * 5); /* five with two each are enough */
    assert_string_equal(out.plan, "m39.test/192.0.0.39 m39.test/192.0.1.39 m38.test/192.0.0.38 m38.test/192.0.1.38 "
                                  "m37.test/192.0.0.37 m37.test/192.0.1.37 m36.test/192.0.0.36 m36.test/192.0.1.36 "
                                  "m35.test/192.0.0.35 m35.test/192.0.1.35");
}

static void test_one_exchanger_with_many_addresses(void **state)
{
    (void)state;
    char zone[2048];
    struct routed out;
    struct row row = { .zone = zone, .domain = "a.test" };
    size_t n = 0, spaces = 0;
    for (unsigned i = 0; i < 20; i++)
        n += (size_t)snprintf(zone + n, sizeof zone - n, "a.test A 192.0.2.%u\na.test AAAA 2001:db8::%u\n", i, i);
    run_row(&out, &row, 1, 0);
    for (const char *p = out.plan; *p != '\0'; p++)
        spaces += *p == ' ';
    assert_int_equal(spaces, ROUTE_ADDRESSES_MAX - 1);
    assert_non_null(strstr(out.plan, "a.test/192.0.2.4"));
    assert_null(strstr(out.plan, "a.test/192.0.2.5"));
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { .zone = "a.test MX 1 b.test\nb.test A 192.0.2.1\n", .domain = "a.test" },
        { .zone = "", .domain = "a.test" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint64_t fail = 1;; fail++) {
            struct routed out;
            run_row(&out, &rows[i], 1, fail);
            assert_int_equal(out.no_memory, out.from.failed);
            if (!out.from.failed) {
                assert_int_equal(fail, 3);
                break;
            }
        }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_t55_dns_that_does_not_answer_is_no_answer),
        cmocka_unit_test(test_t56_no_mx_is_not_no_mail),
        cmocka_unit_test(test_t57_null_mx),
        cmocka_unit_test(test_exchangers_in_order_of_preference),
        cmocka_unit_test(test_ourselves_among_the_exchangers),
        cmocka_unit_test(test_our_addresses_among_the_exchangers),
        cmocka_unit_test(test_addresses_that_are_none),
        cmocka_unit_test(test_routes_of_the_host),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_how_long_it_holds),
        cmocka_unit_test(test_equals_come_in_an_order_of_chance),
        cmocka_unit_test(test_many_exchangers_are_bounded),
        cmocka_unit_test(test_one_exchanger_with_many_addresses),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
