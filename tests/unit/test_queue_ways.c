/* Where mail goes: what DNS, ROUTE and RETRY say of it. */
#include "outbound.h"

static struct outbound w;
static uint32_t rcode; /* of what begins with "dns." */
static int32_t verdict;

static uint32_t dns(struct outbound *world, const char *name)
{
    (void)world;
    return strncmp(name, "dns.", 4) == 0 ? rcode : 0;
}

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    w.dns = dns;
    rcode = 0;
    out_begin(&w);
    out_open(&w);
    return 0;
}

/* T55: DNS that does not answer is no answer: later, and never given up for it before its time. */
static void no_answer(uint32_t code)
{
    mailsrv_queued_mail mail;
    rcode = code;
    out_send(&w, "a@dns.test");
    out_wait(&w, 12 * HOUR);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    assert_true(out_item(&w, "a@dns.test", &mail));
    assert_true(mail.text.n != 0);
    assert_true(w.n_questions < 400);
    assert_int_equal(w.n_connects, 0);
    rcode = 0;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, "a@dns.test"), 1);
}

static void test_no_answer_of_dns(void **state)
{
    (void)state;
    no_answer(DNS_SILENT);
}

static void test_servfail(void **state)
{
    (void)state;
    no_answer(2);
}

/* T55, T57: no such domain, and one that takes no mail: at once, whatever else waits for it. */
static void at_once(uint32_t code)
{
    rcode = code;
    out_commit(&w, "dns.test", 300);
    out_wait(&w, MINUTE);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 300);
    assert_int_equal(w.n_connects, 0);
    assert_true(w.n_questions < 10);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS), 0);
}

static void test_no_such_domain(void **state)
{
    (void)state;
    at_once(3);
}

static void test_null_mx(void **state)
{
    (void)state;
    at_once(DNS_NULL_MX);
}

/* ---- ROUTE ---- */

static int32_t to_a_smarthost(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    (void)arg;
    out->kind = MAILSRV_ROUTE_HOST;
    out->host = bytes_of("relay.test");
    out->name = bytes_of("relay");
    out->port = 587;
    return MAILSRV_OK;
}

/* Lanes with one next hop share its connections. */
static void test_a_smarthost_is_shared(void **state)
{
    (void)state;
    w.route = to_a_smarthost;
    out_send(&w, "a@one.test b@two.test c@three.test d@four.test");
    out_wait(&w, 10 * SECOND);
    out_send(&w, "e@five.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 5);
    assert_true(w.n_connects <= 5);
    assert_int_equal(w.wires_peak, 4);
    assert_int_equal(w.n_questions, 2); /* A and AAAA of relay.test */
}

static int32_t say(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    (void)arg;
    (void)out;
    return verdict;
}

static void test_route_knows_no_way(void **state)
{
    (void)state;
    w.route = say;
    verdict = MAILSRV_NOPERM;
    out_send(&w, "a@one.test");
    out_wait(&w, 10 * SECOND);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 1);
}

static void test_route_cannot_say(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    w.route = say;
    verdict = MAILSRV_TEMP;
    out_send(&w, "a@one.test");
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    assert_true(out_item(&w, "a@one.test", &mail));
    verdict = MAILSRV_OK;
    w.route = NULL;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 1);
}

/* ---- TLS ---- */

static int32_t with_tls(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    (void)arg;
    out->secure = MAILSRV_SECURE_MUST;
    return MAILSRV_OK;
}

static void begin_with_tls(enum out_tls tls)
{
    memset(&w, 0, sizeof w);
    w.tls = tls;
    out_begin(&w);
    out_open(&w);
}

static void test_tls_works(void **state)
{
    (void)state;
    begin_with_tls(TLS_WORKS);
    out_send(&w, "a@one.test");
    out_run(&w);
    assert_int_equal(out_delivered(&w, NULL), 1);
    assert_int_equal(w.n_handshakes, 1);
    assert_int_equal(w.n_connects, 1);
}

/* At once, and without another try of TLS while what is known of the way holds. */
static void test_tls_fails(void **state)
{
    (void)state;
    begin_with_tls(TLS_FAILS);
    out_send(&w, "a@one.test");
    out_run(&w);
    assert_int_equal(out_delivered(&w, NULL), 1);
    assert_int_equal(w.n_connects, 2);
    out_wait(&w, 10 * MINUTE);
    out_send(&w, "b@one.test");
    out_run(&w);
    assert_int_equal(out_delivered(&w, NULL), 2);
    assert_int_equal(w.n_connects, 3);
    assert_int_equal(w.n_handshakes, 1);
    out_wait(&w, 2 * HOUR);
    out_send(&w, "c@one.test");
    out_run(&w);
    assert_int_equal(out_delivered(&w, NULL), 3);
    assert_int_equal(w.n_handshakes, 2);
}

/* T59: mail that must not go in the clear waits. */
static void test_tls_is_required_and_fails(void **state)
{
    (void)state;
    begin_with_tls(TLS_FAILS);
    w.route = with_tls;
    out_send(&w, "a@one.test");
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 0);
    assert_int_equal(out_queued(&w), 1);
    assert_true(w.n_handshakes > 1);
    assert_int_equal(w.n_handshakes, w.n_connects);
}

/* ---- RETRY ---- */

static int32_t retry_at(struct outbound *world, const mailsrv_arg_retry *arg, mailsrv_retry *out)
{
    assert_true(arg->due_us > world->unix_us);
    assert_true(arg->code == 451 && arg->text.n != 0 && arg->host.n != 0);
    out->verdict = arg->tries == 1 ? MAILSRV_RETRY_WAIT : MAILSRV_RETRY_GIVE_UP;
    out->due_us = world->unix_us + 20 * SECOND;
    return MAILSRV_OK;
}

static void test_the_host_says_when(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    w.retry = retry_at;
    out_send(&w, "later@one.test");
    out_wait(&w, 2 * SECOND);
    assert_true(out_item(&w, "later@one.test", &mail));
    assert_true(mail.due_us < w.unix_us + 20 * SECOND);
    out_wait(&w, 30 * SECOND);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 1);
    assert_int_equal(out_queued(&w), 0);
}

static int32_t retry_too_late(struct outbound *world, const mailsrv_arg_retry *arg, mailsrv_retry *out)
{
    (void)world;
    assert_int_equal(arg->tries, 1);
    out->verdict = MAILSRV_RETRY_WAIT;
    out->due_us = arg->expires_us + HOUR;
    return MAILSRV_OK;
}

/* It is tried a last time although it is too old, and then given up without a question. */
static void test_the_host_is_not_asked_of_the_last_try(void **state)
{
    (void)state;
    w.retry = retry_too_late;
    out_send(&w, "later@one.test");
    out_wait(&w, 5 * 24 * HOUR);
    assert_int_equal(w.n_connects, 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    out_wait(&w, 2 * HOUR);
    assert_int_equal(w.n_connects, 2);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 1);
    assert_int_equal(out_queued(&w), 0);
}

static int32_t by_fallback(struct outbound *world, const mailsrv_arg_retry *arg, mailsrv_retry *out)
{
    (void)world;
    (void)arg;
    out->verdict = MAILSRV_RETRY_ROUTE;
    out->route = bytes_of("fallback");
    return MAILSRV_OK;
}

static int32_t fallback(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    if (arg->route.n == 0)
        return MAILSRV_OK;
    assert_memory_equal(arg->route.p, "fallback", 8);
    return to_a_smarthost(world, arg, out);
}

/* At once, by another way; where that fails too it waits as usual. */
static void test_another_way_at_once(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    w.retry = by_fallback;
    w.route = fallback;
    out_send(&w, "later@one.test");
    out_wait(&w, 10 * SECOND);
    assert_true(out_item(&w, "later@one.test", &mail));
    assert_int_equal(mail.route.n, 8);
    assert_int_equal(mail.tries, 2);
    assert_int_equal(w.n_connects, 2);
    assert_true(mail.due_us > w.unix_us + MINUTE);
}

/* ---- A server that hangs up in the middle is an outage, not a reason to knock without end ---- */

static void test_a_server_hangs_up(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    w.hang_up_octets = 60; /* within the transaction */
    out_send(&w, "a@one.test");
    out_wait(&w, HOUR);
    assert_true(w.n_connects >= 3 && w.n_connects <= 12);
    assert_true(out_item(&w, "a@one.test", &mail));
    uint32_t tries = mail.tries;
    assert_true(tries >= 3 && tries <= 7);
    out_send(&w, "b@one.test"); /* waits for the end of the back-off */
    uint32_t before = w.n_connects;
    out_wait(&w, 10 * SECOND);
    assert_int_equal(w.n_connects, before);
    w.hang_up_octets = 0;
    out_wait(&w, 2 * HOUR);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(out_delivered(&w, "b@one.test"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_answer_of_dns, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_servfail, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_no_such_domain, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_null_mx, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_smarthost_is_shared, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_route_knows_no_way, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_route_cannot_say, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_host_says_when, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_host_is_not_asked_of_the_last_try, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_another_way_at_once, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_server_hangs_up, begin, out_teardown),
        cmocka_unit_test_prestate_setup_teardown(test_tls_works, NULL, out_teardown, &w),
        cmocka_unit_test_prestate_setup_teardown(test_tls_fails, NULL, out_teardown, &w),
        cmocka_unit_test_prestate_setup_teardown(test_tls_is_required_and_fails, NULL, out_teardown, &w),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
