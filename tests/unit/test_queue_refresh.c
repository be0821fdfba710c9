/* What ROUTE, DNS and CREDENTIAL answered counts no more: nothing is sent before they were asked again. */
#include "outbound.h"

static struct outbound w;
static int64_t back_us; /* when dead.test answers again */
static uint32_t rcode;

static bool dead_is_down(struct outbound *world, const char *lane)
{
    return strcmp(lane, "dead.test") == 0 && world->unix_us < back_us;
}

static uint32_t dns(struct outbound *world, const char *name)
{
    (void)world;
    (void)name;
    return rcode;
}

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    w.is_down = dead_is_down;
    w.dns = dns;
    back_us = INT64_MAX;
    rcode = 0;
    out_begin(&w);
    return 0;
}

static int begin_without_route(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    w.no_route = true;
    out_begin(&w);
    return 0;
}

/* ---- What failed ---- */

static uint32_t tries_of(const char *recipient)
{
    mailsrv_queued_mail mail;
    return out_item(&w, recipient, &mail) ? mail.tries : 0;
}

/* A server that failed is tried at once, with all that was put off for it, whatever its time. */
static void test_a_refresh_forgets_failures(void **state)
{
    (void)state;
    out_open(&w);
    out_send(&w, "a@dead.test");
    out_wait(&w, 3 * HOUR);
    assert_true(tries_of("a@dead.test") > 3);
    out_send(&w, "b@dead.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 0);
    back_us = w.unix_us;
    mailsrv_queue_refresh(w.queue);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 2);
    assert_int_equal(out_queued(&w), 0);
}

static int32_t to_the_hub(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    (void)arg;
    out->kind = MAILSRV_ROUTE_HOST;
    out->host = bytes_of("hub.test");
    return MAILSRV_OK;
}

/* That holds for all that goes there, also for a domain that has nothing else, and when the server would be tried but
 * nothing is due. */
static void test_a_refresh_at_any_time_of_an_outage(void **state)
{
    enum { TIMES = 24, IDLE_LANES = 10 };
    (void)state;
    char recipient[TEXT_MAX];
    w.route = to_the_hub;
    w.is_down = NULL;
    out_open(&w);
    for (uint32_t i = 0; i < IDLE_LANES; i++) {
        snprintf(recipient, sizeof recipient, "a@idle%u.test", i);
        out_send(&w, recipient);
    }
    out_wait(&w, MINUTE);
    for (uint32_t i = 0; i < TIMES; i++) {
        w.is_down = out_everybody;
        snprintf(recipient, sizeof recipient, "a@waits%u.test", i);
        out_send(&w, recipient);
        out_wait(&w, 6 * HOUR + i * 7 * MINUTE);
        w.is_down = NULL;
        mailsrv_queue_refresh(w.queue);
        out_wait(&w, SECOND);
        assert_int_equal(out_delivered(&w, recipient), 1);
    }
}

/* ---- ROUTE ---- */

static bool has_moved;

static int32_t there_or_elsewhere(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    (void)arg;
    out->kind = MAILSRV_ROUTE_HOST;
    out->host = bytes_of(has_moved ? "new.test" : "old.test");
    return MAILSRV_OK;
}

static uint32_t wires_that_are_open(void)
{
    uint32_t n = 0;
    for (const struct wire *wire = w.wires; wire != NULL; wire = wire->next)
        n += wire->client != NULL;
    return n;
}

/* The route is asked for again, and the connection that waits for more ends. */
static void test_a_refresh_asks_for_routes(void **state)
{
    (void)state;
    has_moved = false;
    w.route = there_or_elsewhere;
    out_open(&w);
    out_send(&w, "a@one.test");
    out_run(&w);
    assert_int_equal(w.n_routes, 1);
    assert_int_equal(wires_that_are_open(), 1);
    has_moved = true;
    mailsrv_queue_refresh(w.queue);
    out_run(&w);
    assert_int_equal(wires_that_are_open(), 0);
    out_send(&w, "b@one.test");
    out_run(&w);
    assert_int_equal(w.n_routes, 2);
    assert_int_equal(w.n_connects, 2);
    assert_int_equal(w.n_questions, 4); /* A and AAAA of either */
    assert_int_equal(out_delivered(&w, NULL), 2);
}

/* A lane that has more to send is no exception: the message that is out is the last to go the old way. */
static void test_a_refresh_of_a_busy_lane(void **state)
{
    (void)state;
    has_moved = false;
    w.route = there_or_elsewhere;
    w.setup.recipients_per_message = w.setup.connections_per_site = 1;
    out_open(&w);
    out_commit(&w, "one.test", 50);
    while (w.n_mails < 3)
        out_step(&w);
    uint32_t sent = w.n_mails;
    has_moved = true;
    w.keeps = MAILSRV_OP_ROUTE;
    mailsrv_queue_refresh(w.queue);
    out_run(&w);
    assert_true(w.n_mails <= sent + 1);
    assert_int_equal(w.n_connects, 1);
    assert_int_equal(w.n_kept, 1);
    assert_int_equal(wires_that_are_open(), 0);
    out_let_go(&w);
    out_run(&w);
    assert_int_equal(out_delivered(&w, NULL), 50);
    assert_int_equal(w.n_routes, 2);
    assert_int_equal(w.n_connects, 2);
    assert_int_equal(w.n_questions, 4); /* A and AAAA of either */
}

/* The refresh comes at each step of it: whatever goes by a connection that began before is what it had. */
static void test_a_refresh_at_each_step(void **state)
{
    for (uint32_t steps = 0; steps < 120; steps++) {
        begin(state);
        has_moved = false;
        w.route = there_or_elsewhere;
        w.setup.recipients_per_message = 1;
        out_open(&w);
        out_commit(&w, "one.test", 8);
        for (uint32_t i = 0; i < steps; i++)
            out_step(&w);
        uint32_t sent = w.n_mails, open = wires_that_are_open();
        has_moved = true;
        w.keeps = MAILSRV_OP_ROUTE;
        mailsrv_queue_refresh(w.queue);
        out_wait(&w, SECOND);
        assert_true(w.n_mails <= sent + open);
        out_let_go(&w);
        out_wait(&w, SECOND);
        assert_int_equal(out_delivered(&w, NULL), 8);
        assert_int_equal(out_queued(&w), 0);
        out_end(&w);
    }
}

/* Whatever ROUTE was saying: the operator may have added the way that was missing. */
static void test_a_refresh_while_route_is_asked(void **state)
{
    (void)state;
    static const int32_t said[] = { MAILSRV_NONEXISTENT, MAILSRV_NOPERM, MAILSRV_TEMP, MAILSRV_OK };
    out_open(&w);
    for (uint32_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        w.keeps = MAILSRV_OP_ROUTE;
        out_commit(&w, "one.test", 20);
        out_run(&w);
        assert_int_equal(w.n_kept, 1);
        mailsrv_queue_refresh(w.queue);
        out_answer(&w, said[i]);
        out_run(&w);
        assert_int_equal(w.n_kept, 1);
        assert_int_equal(out_delivered(&w, NULL), i * 20);
        out_let_go(&w);
        out_run(&w);
        assert_int_equal(out_delivered(&w, NULL), (i + 1) * 20);
        mailsrv_queue_refresh(w.queue);
        out_run(&w);
    }
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    assert_int_equal(out_queued(&w), 0);
}

/* What the store answers is answered; the newest is kept, so that a message is always out. */
static void keep_the_newest(void)
{
    while (w.n_kept > 1) {
        const mailsrv_op *op = w.kept[0];
        memmove(w.kept, w.kept + 1, --w.n_kept * sizeof *w.kept);
        mailsrv_memory_handle(w.store, w.engine, op);
        out_run(&w);
    }
}

/* ROUTE's answer does not hold for ever where there is always something to send. */
static void test_a_lane_that_is_never_empty_asks_again(void **state)
{
    (void)state;
    w.keeps = MAILSRV_OP_READ;
    out_open(&w);
    for (uint32_t i = 0; i < 20; i++) {
        out_send(&w, "a@one.test");
        out_run(&w);
        keep_the_newest();
        assert_int_equal(w.n_kept, 1);
        out_wait(&w, 30 * SECOND);
    }
    out_let_go(&w);
    out_run(&w);
    assert_int_equal(out_delivered(&w, "a@one.test"), 20);
    assert_int_equal(w.n_routes, 2);
}

/* Where nobody serves ROUTE mail goes on as before. */
static void test_a_refresh_without_route(void **state)
{
    (void)state;
    out_open(&w);
    for (uint32_t i = 1; i <= 3; i++) {
        out_send(&w, "a@one.test");
        out_run(&w);
        assert_int_equal(out_delivered(&w, NULL), i);
        mailsrv_queue_refresh(w.queue);
        out_run(&w);
    }
    assert_int_equal(w.n_connects, 3);
}

/* ---- DNS ---- */

/* What was asked before is answered by what was: nobody is given up for it. */
static void test_a_refresh_while_dns_is_asked(void **state)
{
    (void)state;
    out_open(&w);
    w.keeps = MAILSRV_OP_DNS;
    out_commit(&w, "one.test", 20);
    out_run(&w);
    assert_int_equal(w.n_kept, 1);
    mailsrv_queue_refresh(w.queue);
    rcode = 3; /* NXDOMAIN */
    out_let_go(&w);
    rcode = 0;
    out_run(&w);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    assert_int_equal(out_delivered(&w, NULL), 20);
    assert_int_equal(w.n_questions, 4); /* MX, that of before and that of now; A and AAAA */
}

/* ---- Anything ---- */

/* What is being sent is sent, and what fails by the old answers holds nothing up. */
static void test_a_refresh_at_any_time(void **state)
{
    (void)state;
    out_open(&w);
    for (int i = 0; i < 60; i++) {
        back_us = i % 3 == 0 ? INT64_MAX : 0;
        out_commit(&w, i % 2 == 0 ? "dead.test" : "some.test", 20);
        mailsrv_engine_turn(w.engine, (uint32_t)(i + 1) * 7);
        back_us = 0;
        mailsrv_queue_refresh(w.queue);
        out_wait(&w, 10 * MINUTE); /* what was just being put off keeps its time */
        assert_int_equal(out_queued(&w), 0);
    }
    assert_int_equal(out_delivered(&w, NULL), 60 * 20);
    mailsrv_queue_refresh(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_refresh_forgets_failures, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_refresh_at_any_time_of_an_outage, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_refresh_asks_for_routes, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_refresh_of_a_busy_lane, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_refresh_while_route_is_asked, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_lane_that_is_never_empty_asks_again, begin, out_teardown),
        cmocka_unit_test(test_a_refresh_at_each_step),
        cmocka_unit_test_setup_teardown(test_a_refresh_without_route, begin_without_route, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_refresh_while_dns_is_asked, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_refresh_at_any_time, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
