/* Servers that publish of their TLS (RFC 7672): nothing is sent to them without it, nor to anybody else. */
#include "outbound.h"

static struct outbound w;

static int begin_with(void **state, bool no_offer, uint32_t idle_ms)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    w.tls = TLS_WORKS;
    w.no_offer = no_offer;
    w.setup.idle_ms = idle_ms;
    w.is_signed = w.has_records = true;
    w.verified = MAILSRV_TLS_BY_DANE;
    out_begin(&w);
    out_open(&w);
    return 0;
}

static int begin(void **state)
{
    return begin_with(state, false, 0);
}

static int begin_without_offer(void **state)
{
    return begin_with(state, true, 0);
}

static int begin_patient(void **state)
{
    return begin_with(state, false, 60000);
}

static void waits(const char *recipient, const char *why)
{
    mailsrv_queued_mail mail;
    char text[256];
    assert_int_equal(out_delivered(&w, NULL), 0);
    assert_true(out_item(&w, recipient, &mail));
    snprintf(text, sizeof text, "%.*s", (int)mail.text.n, (const char *)mail.text.p);
    if (strstr(text, why) == NULL)
        fail_msg("%s", text);
}

static void arrives_in(int64_t us)
{
    out_wait(&w, us);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
}

static void test_it_is_who_he_says(void **state)
{
    (void)state;
    w.addresses = 2;
    out_send(&w, "a@one.test");
    arrives_in(MINUTE);
    assert_int_equal(w.n_handshakes, 1);
    assert_int_equal(w.wanted, MAILSRV_TLS_BY_DANE);
    assert_int_equal(w.n_wanted, 1);
    assert_string_equal(w.wanted_name, "m1");
}

/* Each of his servers is somebody else, whoever vouches for them: nothing is sent, until he is there. */
static void test_it_is_somebody_else(void **state)
{
    (void)state;
    w.addresses = 2;
    w.verified = MAILSRV_TLS_BY_ROOTS;
    out_send(&w, "a@one.test");
    out_wait(&w, MINUTE);
    waits("a@one.test", "the server's certificate was not verified");
    assert_int_equal(w.connects_to[1], 1);
    assert_int_equal(w.connects_to[2], 1);
    w.verified = MAILSRV_TLS_BY_DANE;
    arrives_in(HOUR);
}

/* T59: a server that has published that he does TLS, and does not offer it. */
static void test_t59_it_is_not_offered(void **state)
{
    (void)state;
    out_send(&w, "a@one.test");
    out_wait(&w, HOUR);
    waits("a@one.test", "4.7.5 TLS is required, and the server does not offer it");
    w.has_records = false;
    arrives_in(3 * HOUR);
}

/* One that comes to nothing is not taken for one that was not wanted. */
static void test_the_handshake_fails(void **state)
{
    (void)state;
    w.tls = TLS_FAILS;
    out_send(&w, "a@one.test");
    out_wait(&w, HOUR);
    waits("a@one.test", "TLS");
    w.tls = TLS_WORKS;
    arrives_in(HOUR);
}

static uint32_t no_records(struct outbound *world, const char *name)
{
    (void)world;
    return name[0] == '_' ? DNS_SILENT : 0;
}

/* T58: nobody says whether there are any: nobody is connected to. */
static void test_t58_nobody_says(void **state)
{
    (void)state;
    w.dns = no_records;
    out_send(&w, "a@one.test");
    out_wait(&w, HOUR);
    waits("a@one.test", "4.4.3 the name servers have no answer for _25._tcp.one.test: no reply");
    assert_int_equal(w.n_connects, 0);
    w.dns = NULL;
    arrives_in(HOUR);
}

/* Mail comes, often enough that a connection stays open. */
static void send_for(int64_t us)
{
    for (; us > 0; us -= 4 * SECOND) {
        out_send(&w, "a@one.test");
        out_wait(&w, 4 * SECOND);
    }
}

static void publish_while_mail_flows(void)
{
    w.has_records = false;
    w.verified = MAILSRV_TLS_BY_NOTHING;
    send_for(MINUTE);
    w.has_records = true;
    w.verified = MAILSRV_TLS_BY_DANE;
}

/* T58: whoever keeps answers back while mail flows shall not have it that all stays as it was. */
static void test_t58_nobody_says_any_more(void **state)
{
    (void)state;
    publish_while_mail_flows();
    w.dns = no_records;
    send_for(4 * MINUTE);
    const uint32_t n = out_delivered(&w, NULL), n_connects = w.n_connects;
    assert_int_equal(n, 75);
    assert_int_equal(n_connects, 1);
    send_for(10 * MINUTE);
    assert_int_equal(out_delivered(&w, NULL), n);
    assert_int_equal(w.n_connects, n_connects);
    w.dns = NULL;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 225);
    assert_int_equal(w.wanted, MAILSRV_TLS_BY_DANE);
}

/* A connection lasts no longer than what it was opened by. */
static void test_it_is_published_while_mail_flows(void **state)
{
    (void)state;
    publish_while_mail_flows();
    send_for(4 * MINUTE);
    assert_int_equal(w.n_handshakes, 1);
    send_for(4 * SECOND);
    assert_int_equal(w.n_handshakes, 2);
    assert_int_equal(w.wanted, MAILSRV_TLS_BY_DANE);
    assert_int_equal(out_delivered(&w, NULL), 76);
}

/* What was published is asked for anew when nobody is who it says, however long it might have been kept. */
static void test_it_is_withdrawn(void **state)
{
    (void)state;
    w.verified = MAILSRV_TLS_BY_NOTHING;
    out_send(&w, "a@one.test");
    out_wait(&w, MINUTE);
    waits("a@one.test", "the server's certificate was not verified");
    w.has_records = false;
    arrives_in(10 * MINUTE);
}

/* T58: addresses that are not signed: nobody is asked, and TLS is as it is without. */
static void test_t58_nothing_is_signed(void **state)
{
    (void)state;
    w.is_signed = false;
    w.dns = no_records;
    w.verified = MAILSRV_TLS_BY_NOTHING;
    out_send(&w, "a@one.test");
    arrives_in(MINUTE);
    assert_int_equal(w.wanted, MAILSRV_TLS_BY_NOTHING);
}

static int32_t without(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    (void)arg;
    out->flags = MAILSRV_ROUTE_NO_DANE;
    return MAILSRV_OK;
}

static int32_t by_roots(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    (void)arg;
    out->secure = MAILSRV_SECURE_VERIFY;
    return MAILSRV_OK;
}

/* An operator wants none of it, or has said whom he trusts. */
static void test_a_route_without(void **state)
{
    (void)state;
    w.verified = MAILSRV_TLS_BY_ROOTS;
    w.dns = no_records;
    w.route = without;
    out_send(&w, "a@one.test");
    arrives_in(MINUTE);
    w.route = by_roots;
    out_send(&w, "b@two.test");
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, "b@two.test"), 1);
    assert_int_equal(w.wanted, MAILSRV_TLS_BY_ROOTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_who_he_says, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_somebody_else, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_t59_it_is_not_offered, begin_without_offer, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_handshake_fails, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_t58_nobody_says, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_t58_nobody_says_any_more, begin_patient, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_published_while_mail_flows, begin_patient, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_withdrawn, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_t58_nothing_is_signed, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_route_without, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
