/* What servers publish of their TLS: each rule of RFC 7672 section 2.2, with name servers of the test's own. */
#include "routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    const char *label;
    const char *zone;
    const char *plan;
    const char *questions; /* NULL: whatever they are */
    const char *host;      /* of the route, itself; NULL: the exchangers of a.test */
    bool mx_of_host;       /* its exchangers */
    uint16_t port;         /* 0: 25 */
    bool is_off;
    uint32_t ttl_s; /* 0: whatever it is */
};

/* 32 octets, 64 octets */
#define SHA256(digit) digit digit digit digit digit digit digit digit
#define A32 SHA256("aaaaaaaa")
#define B32 SHA256("bbbbbbbb")
#define C64 SHA256("cccccccc") SHA256("cccccccc")

#define SAFE_MX "a.test SIGNED -\na.test MX 5 mx.test\n"
#define SAFE_HOST "mx.test SIGNED -\nmx.test A 192.0.2.1\n"
#define TLSA_25 "_25._tcp.mx.test SIGNED -\n_25._tcp.mx.test TLSA "

static void run_row(struct routed *out, const struct row *row, uint64_t fail)
{
    const mailsrv_route route = { .size = sizeof route,
                                  .kind = row->mx_of_host ? MAILSRV_ROUTE_MX : MAILSRV_ROUTE_HOST,
                                  .host = { (const uint8_t *)row->host, row->host == NULL ? 0 : strlen(row->host) } };
    const struct route_terms terms = { .domain = SPAN("a.test"),
                                       .route = row->host == NULL ? NULL : &route,
                                       .own = SPAN("us.test"),
                                       .dane = !row->is_off,
                                       .port = row->port == 0 ? 25 : row->port };
    routes_run(out, row->zone, &terms, fail);
}

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct routed out;
        run_row(&out, &rows[i], 0);
        if (strcmp(out.plan, rows[i].plan) != 0)
            fail_msg("%s: %s", rows[i].label, out.plan);
        if (rows[i].questions != NULL && strcmp(out.questions, rows[i].questions) != 0)
            fail_msg("%s: asked %s", rows[i].label, out.questions);
        if (rows[i].ttl_s != 0 && out.ttl_s != rows[i].ttl_s)
            fail_msg("%s: %u s", rows[i].label, (unsigned)out.ttl_s);
    }
}

#define CHECK_ROWS(rows) check((rows), sizeof(rows) / sizeof((rows)[0]))

/* A failed look-up is not an absent record: that exchanger is not used, and where there is no other the mail waits. */
static void test_t58_a_failed_look_up_is_not_an_absent_record(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "SERVFAIL for the records", SAFE_MX SAFE_HOST "_25._tcp.mx.test FAIL TLSA\n",
          .plan = "451 4.4.3 the name servers have no answer for _25._tcp.mx.test: SERVFAIL",
          .questions = "MX a.test, AAAA mx.test, A mx.test, TLSA _25._tcp.mx.test" },
        { "no reply", SAFE_MX SAFE_HOST "_25._tcp.mx.test SILENT TLSA\n",
          .plan = "451 4.4.3 the name servers have no answer for _25._tcp.mx.test: no reply" },
        { "another exchanger is used",
          SAFE_MX SAFE_HOST "_25._tcp.mx.test FAIL TLSA\na.test MX 9 m2.test\nm2.test A 192.0.2.2\n", .plan = "m2.test/192.0.2.2",
          .questions = "MX a.test, AAAA mx.test, A mx.test, TLSA _25._tcp.mx.test, AAAA m2.test, A m2.test" },
        { "of a host that is named", SAFE_HOST "_587._tcp.mx.test FAIL TLSA\n",
          .plan = "451 4.4.3 the name servers have no answer for _587._tcp.mx.test: SERVFAIL", .host = "mx.test", .port = 587 },
        { "the addresses are not signed: nobody is asked", SAFE_MX "mx.test A 192.0.2.1\n_25._tcp.mx.test FAIL TLSA\n",
          .plan = "mx.test/192.0.2.1", .questions = "MX a.test, AAAA mx.test, A mx.test" },
        { "the name is signed, what it stands for is not: the records are asked for",
          SAFE_MX "mx.test SIGNED -\nmx.test CNAME b.test\nb.test A 192.0.2.1\n_25._tcp.mx.test FAIL TLSA\n",
          .plan = "451 4.4.3 the name servers have no answer for _25._tcp.mx.test: SERVFAIL",
          .questions = "MX a.test, AAAA mx.test, A mx.test, CNAME mx.test, TLSA _25._tcp.mx.test" },
        { "nor is it known whether it is",
          SAFE_MX "mx.test FAIL CNAME\nmx.test CNAME b.test\nb.test A 192.0.2.1\n",
          .plan = "451 4.4.3 the name servers have no answer for mx.test: SERVFAIL" },
        { "of what it stands for, and is signed",
          SAFE_MX "mx.test SIGNED -\nmx.test CNAME b.test\nb.test SIGNED -\nb.test A 192.0.2.1\n_25._tcp.b.test FAIL TLSA\n",
          .plan = "451 4.4.3 the name servers have no answer for _25._tcp.b.test: SERVFAIL" },
    };
    CHECK_ROWS(rows);
}

static void test_which_records(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "of a certificate", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\n", .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa}",
          .questions = "MX a.test, AAAA mx.test, A mx.test, TLSA _25._tcp.mx.test" },
        { "of who issued it", SAFE_MX SAFE_HOST TLSA_25 "201" A32 "\n", .plan = "mx.test/192.0.2.1{mx.test,a.test 201aa}" },
        { "several, in their order", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\n" TLSA_25 "30030020500\n",
          .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa 30030}" },
        { "the stronger hash alone", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\n" TLSA_25 "312" C64 "\n" TLSA_25 "301" B32 "\n",
          .plan = "mx.test/192.0.2.1{mx.test,a.test 312cc 301bb}" },
        { "of what SMTP does not use", SAFE_MX SAFE_HOST TLSA_25 "111" A32 "\n" TLSA_25 "001" B32 "\n" TLSA_25 "311" A32 "\n",
          .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa}" },
        { "none that can be used", SAFE_MX SAFE_HOST TLSA_25 "111" A32 "\n" TLSA_25 "311aabb\n" TLSA_25 "321" A32 "\n" TLSA_25 "313" A32 "\n"
          TLSA_25 "300deadbeef\n" TLSA_25 "300300305\n" TLSA_25 "3003082\n",
          .plan = "mx.test/192.0.2.1{mx.test,a.test}" },
        { "a stronger hash that cannot be one", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\n" TLSA_25 "312" B32 "\n",
          .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa}" },
        { "none", SAFE_MX SAFE_HOST "_25._tcp.mx.test SIGNED -\n", .plan = "mx.test/192.0.2.1" },
        { "no such name", SAFE_MX SAFE_HOST, .plan = "mx.test/192.0.2.1" },
        { "not signed", SAFE_MX SAFE_HOST "_25._tcp.mx.test TLSA 311" A32 "\n", .plan = "mx.test/192.0.2.1" },
        { "by an alias", SAFE_MX SAFE_HOST "_25._tcp.mx.test SIGNED -\n_25._tcp.mx.test CNAME all.test\nall.test SIGNED -\n"
          "all.test TLSA 201" A32 "\n", .plan = "mx.test/192.0.2.1{mx.test,a.test 201aa}" },
        { "by one that is not signed", SAFE_MX SAFE_HOST "_25._tcp.mx.test CNAME all.test\nall.test SIGNED -\n"
          "all.test TLSA 201" A32 "\n", .plan = "mx.test/192.0.2.1" },
        { "of each exchanger", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\na.test MX 9 m2.test\nm2.test SIGNED -\nm2.test A 192.0.2.2\n"
          "_25._tcp.m2.test SIGNED -\n_25._tcp.m2.test TLSA 311" B32 "\n",
          .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa} m2.test/192.0.2.2{m2.test,a.test 311bb}" },
        { "both of its addresses", SAFE_MX SAFE_HOST "mx.test AAAA 2001:db8::1\n" TLSA_25 "311" A32 "\n",
          .plan = "mx.test/2001:db8::1{mx.test,a.test 311aa} mx.test/192.0.2.1{mx.test,a.test 311aa}" },
        { "switched off", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\n", .plan = "mx.test/192.0.2.1",
          .questions = "MX a.test, AAAA mx.test, A mx.test", .is_off = true },
        { "no address", SAFE_MX "mx.test SIGNED -\n" TLSA_25 "311" A32 "\n",
          .plan = "550 5.4.4 no mail exchanger of a.test has an address", .questions = "MX a.test, AAAA mx.test, A mx.test" },
    };
    CHECK_ROWS(rows);
}

/* Whose certificate it may be, by a record of who issued it (RFC 7672 section 3.2.2). */
static void test_names(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "the exchanger's alone, where it is not known that the domain named it",
          "a.test MX 5 mx.test\n" SAFE_HOST TLSA_25 "201" A32 "\n", .plan = "mx.test/192.0.2.1{mx.test 201aa}" },
        { "and what the domain stands for", "a.test SIGNED -\na.test CNAME b.test\nb.test SIGNED -\nb.test MX 5 mx.test\n" SAFE_HOST TLSA_25
          "201" A32 "\n", .plan = "mx.test/192.0.2.1{mx.test,a.test,b.test 201aa}" },
        { "a domain that is its own exchanger", "a.test SIGNED -\na.test A 192.0.2.1\n_25._tcp.a.test SIGNED -\n_25._tcp.a.test TLSA 201" A32 "\n",
          .plan = "a.test/192.0.2.1{a.test 201aa}" },
        { "and stands for another", "a.test SIGNED -\na.test CNAME b.test\nb.test SIGNED -\nb.test A 192.0.2.1\n"
          "_25._tcp.b.test SIGNED -\n_25._tcp.b.test TLSA 201" A32 "\n", .plan = "a.test/192.0.2.1{b.test,a.test 201aa}",
          .questions = "MX a.test, AAAA a.test, A a.test, TLSA _25._tcp.b.test" },
        { "an exchanger that stands for another, which has none", SAFE_MX "mx.test SIGNED -\nmx.test CNAME b.test\nb.test SIGNED -\n"
          "b.test A 192.0.2.1\n" TLSA_25 "201" A32 "\n", .plan = "mx.test/192.0.2.1{mx.test,a.test 201aa}",
          .questions = "MX a.test, AAAA mx.test, A mx.test, TLSA _25._tcp.b.test, TLSA _25._tcp.mx.test" },
        { "a name that is signed, though what it stands for is not", SAFE_MX "mx.test SIGNED -\nmx.test CNAME b.test\nb.test A 192.0.2.1\n" TLSA_25
          "201" A32 "\n", .plan = "mx.test/192.0.2.1{mx.test,a.test 201aa}" },
        { "and leads to another place each time",
          SAFE_MX "mx.test SIGNED -\nmx.test CNAME b.test\nb.test CNAME_A c1.test\nb.test CNAME_AAAA c2.test\n"
          "c1.test A 192.0.2.1\nc2.test AAAA 2001:db8::1\n" TLSA_25 "201" A32 "\n",
          .plan = "mx.test/2001:db8::1{mx.test,a.test 201aa} mx.test/192.0.2.1{mx.test,a.test 201aa}",
          .questions = "MX a.test, AAAA mx.test, A mx.test, CNAME mx.test, TLSA _25._tcp.mx.test" },
        { "or now to itself",
          SAFE_MX "mx.test SIGNED -\nmx.test CNAME_A b.test\nb.test A 192.0.2.1\nmx.test AAAA 2001:db8::1\n" TLSA_25 "201" A32
          "\n", .plan = "mx.test/2001:db8::1{mx.test,a.test 201aa} mx.test/192.0.2.1{mx.test,a.test 201aa}" },
        { "addresses of one kind are signed", SAFE_MX SAFE_HOST "mx.test AAAA 2001:db8::1\nmx.test UNSIGNED AAAA\n" TLSA_25
          "201" A32 "\n", .plan = "mx.test/2001:db8::1{mx.test,a.test 201aa} mx.test/192.0.2.1{mx.test,a.test 201aa}" },
        { "neither is", SAFE_MX "mx.test CNAME b.test\nb.test A 192.0.2.1\n" TLSA_25 "201" A32 "\n", .plan = "mx.test/192.0.2.1",
          .questions = "MX a.test, AAAA mx.test, A mx.test, CNAME mx.test" },
        { "a host that is named, at its port", SAFE_HOST "_587._tcp.mx.test SIGNED -\n_587._tcp.mx.test TLSA 201" A32 "\n",
          .plan = "mx.test/192.0.2.1{mx.test 201aa}", .host = "mx.test", .port = 587,
          .questions = "AAAA mx.test, A mx.test, TLSA _587._tcp.mx.test" },
        { "the exchangers of a host that is named", "b.test SIGNED -\nb.test MX 5 mx.test\n" SAFE_HOST TLSA_25 "201" A32 "\n",
          .plan = "mx.test/192.0.2.1{mx.test,b.test 201aa}", .host = "b.test", .mx_of_host = true },
        { "an address has none", "", .plan = "192.0.2.1/192.0.2.1", .host = "192.0.2.1", .questions = "" },
    };
    CHECK_ROWS(rows);
}

/* RFC 6698 appendix A.3. */
static void test_how_long(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "records", SAFE_MX SAFE_HOST TLSA_25 "311" A32 " 60\n", .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa}", .ttl_s = 60 },
        { "for a moment", SAFE_MX SAFE_HOST TLSA_25 "311" A32 " 0\n", .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa}",
          .ttl_s = ROUTE_TTL_TLSA_MIN_S },
        { "as long as the rest", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\n", .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa}",
          .ttl_s = 3000 },
        { "of another exchanger nothing could be said", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\na.test MX 9 m2.test\nm2.test FAIL A\n",
          .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa}", .ttl_s = ROUTE_TTL_MIN_S },
        { "that there are none", SAFE_MX SAFE_HOST, .plan = "mx.test/192.0.2.1", .ttl_s = ROUTE_TTL_MIN_S },
        { "that there are none that are signed", SAFE_MX SAFE_HOST "_25._tcp.mx.test TLSA 311" A32 "\n",
          .plan = "mx.test/192.0.2.1", .ttl_s = ROUTE_TTL_MIN_S },
        { "nothing is signed", "a.test MX 5 mx.test\nmx.test A 192.0.2.1\n", .plan = "mx.test/192.0.2.1", .ttl_s = 3000 },
    };
    CHECK_ROWS(rows);
}

/* Whoever sends so many wants something else. */
static void test_too_many_records(void **state)
{
    (void)state;
    char *zone = calloc(1, 40000);
    const struct row row = { "too many", zone, .plan = "451 4.4.3 the name servers have no answer for _25._tcp.mx.test: too many records" };
    assert_non_null(zone);
    strcpy(zone, SAFE_MX SAFE_HOST "_25._tcp.mx.test SIGNED -\n");
    for (int i = 0; i < 63; i++)
        sprintf(zone + strlen(zone), "_25._tcp.mx.test TLSA 311%02x%062d\n", i, 0);
    struct routed out;
    run_row(&out, &row, 0);
    assert_non_null(strstr(out.plan, " 3113e}"));
    for (int i = 64; i < 66; i++)
        sprintf(zone + strlen(zone), "_25._tcp.mx.test TLSA 311%02x%062d\n", i, 0);
    check(&row, 1);
    free(zone);
}

/* Each allocation fails once. */
static void test_no_memory(void **state)
{
    (void)state;
    static const struct row row = { "", SAFE_MX SAFE_HOST TLSA_25 "311" A32 "\n" TLSA_25 "201" B32 "\n",
                                    .plan = "mx.test/192.0.2.1{mx.test,a.test 311aa 201bb}" };
    struct routed out;
    for (uint64_t fail = 1; fail <= 3; fail++) {
        run_row(&out, &row, fail);
        assert_true(out.no_memory || strcmp(out.plan, row.plan) == 0 || memcmp(out.plan, "451 4.4.3", 9) == 0);
        assert_true(out.no_memory || fail == 2);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_t58_a_failed_look_up_is_not_an_absent_record),
        cmocka_unit_test(test_which_records),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_how_long),
        cmocka_unit_test(test_too_many_records),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
