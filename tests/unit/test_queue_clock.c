/* The caller's clock jumps. */
#include "outbound.h"

#define YEAR (365 * 24 * HOUR)

static struct outbound w;

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    out_begin(&w);
    return 0;
}

/* Ahead by a year: what waits is older than it may get, but is tried once more before it is given up; and what comes then
 * is as new as ever. */
static void test_the_clock_jumps_ahead(void **state)
{
    (void)state;
    out_open(&w);
    w.is_down = out_everybody;
    out_send(&w, "a@one.test");
    out_wait(&w, HOUR);
    w.unix_us += YEAR;
    w.is_down = NULL;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    w.is_down = out_everybody;
    out_send(&w, "b@one.test");
    out_wait(&w, HOUR);
    assert_int_equal(out_queued(&w), 1);
    w.is_down = NULL;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, "b@one.test"), 1);
    assert_int_equal(out_queued(&w), 0);
}

/* Back by a year: what comes then goes at once, and what was put off to then does not wait for a year. */
static void test_the_clock_is_put_back(void **state)
{
    (void)state;
    out_open(&w);
    w.is_down = out_everybody;
    out_send(&w, "a@one.test");
    out_wait(&w, HOUR);
    w.unix_us -= YEAR;
    w.is_down = NULL;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    out_send(&w, "b@two.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "b@two.test"), 1);
    assert_int_equal(out_queued(&w), 0);
    uint32_t scans = w.n_scans;
    out_wait(&w, 24 * HOUR);
    assert_true(w.n_scans - scans <= 24 * 60 + 1);
}

static int32_t cannot_say_yet(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)arg;
    (void)out;
    return world->is_down != NULL ? MAILSRV_TEMP : MAILSRV_OK;
}

/* The same while nobody can say where mail goes: it holds for all of it, and not only for what is tried first. */
static void test_the_clock_is_put_back_without_routes(void **state)
{
    (void)state;
    w.route = cannot_say_yet;
    out_open(&w);
    w.is_down = out_everybody;
    for (int i = 0; i < 5; i++) {
        out_send(&w, "a@one.test");
        out_wait(&w, 3 * HOUR);
    }
    w.unix_us -= YEAR;
    out_wait(&w, 3 * HOUR);
    w.is_down = NULL;
    out_wait(&w, 5 * HOUR);
    assert_int_equal(out_delivered(&w, "a@one.test"), 5);
}

/* The same while the queue was closed. */
static void test_the_clock_is_put_back_before_it_opens(void **state)
{
    (void)state;
    out_open(&w);
    w.is_down = out_everybody;
    out_send(&w, "a@one.test");
    out_wait(&w, HOUR);
    out_close(&w);
    w.unix_us -= YEAR;
    out_wait(&w, SECOND);
    w.is_down = NULL;
    out_open(&w);
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
}

static int32_t cannot_say(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    (void)arg;
    (void)out;
    return MAILSRV_TEMP;
}

/* By less than an hour, while all that waits is being tried: each is, once. */
static void test_the_clock_is_put_back_behind_a_refresh(void **state)
{
    (void)state;
    char recipient[TEXT_MAX];
    w.route = cannot_say;
    out_open(&w);
    for (uint32_t i = 0; i < 300; i++) {
        snprintf(recipient, sizeof recipient, "later%u@one.test", i);
        out_commit_to(&w, recipient);
    }
    out_wait(&w, SECOND);
    uint32_t before = w.n_updates;
    w.route = NULL;
    mailsrv_queue_refresh(w.queue);
    w.unix_us -= 40 * MINUTE;
    assert_int_equal(mailsrv_engine_advance(w.engine, w.now_us, w.unix_us), MAILSRV_OK);
    out_wait(&w, MINUTE);
    assert_int_equal(out_queued(&w), 300);
    assert_true(w.n_updates - before <= 300);
    out_wait(&w, 2 * MINUTE);
    assert_true(w.n_updates - before <= 300);
}

/* Ahead while it is written when something is due, and back by a bit more before that is looked for: nobody has to come for
 * it to be seen. */
static void test_the_clock_was_ahead_for_a_while(void **state)
{
    (void)state;
    out_open(&w);
    out_wait(&w, HOUR);
    w.is_down = out_everybody;
    w.keeps = MAILSRV_OP_QUEUE_UPDATE;
    out_send(&w, "a@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(w.n_kept, 1);
    w.unix_us += 50 * MINUTE;
    out_wait(&w, SECOND);
    out_let_go(&w);
    out_wait(&w, SECOND);
    w.unix_us -= 58 * MINUTE;
    w.is_down = NULL;
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
}

/* Back by less than an hour while the store is asked what is due, and right again when that is known: what was put off
 * meanwhile is due before the time that was looked up to, and is seen all the same. */
static void test_the_clock_was_behind_during_a_look(void **state)
{
    (void)state;
    out_open(&w);
    out_wait(&w, 2 * HOUR);
    w.is_down = out_everybody;
    w.keeps = MAILSRV_OP_QUEUE_SCAN;
    mailsrv_queue_poke(w.queue);
    out_wait(&w, SECOND);
    assert_int_equal(w.n_kept, 1);
    w.unix_us -= 50 * MINUTE;
    out_wait(&w, SECOND);
    out_send(&w, "a@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(w.n_updates, 1);
    out_let_go(&w);
    out_wait(&w, SECOND);
    w.unix_us += 50 * MINUTE;
    w.is_down = NULL;
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
}

static uint64_t control(const char *recipient, int32_t action)
{
    uint64_t n = 0;
    mailsrv_queue_match match = { .size = sizeof match, .recipient = bytes_of(recipient) };
    assert_int_equal(out_control(&w, &match, action, "", &n), MAILSRV_OK);
    return n;
}

/* What was never tried is due by a clock that was ahead, of a lane that has more than is in memory. */
static void test_the_clock_is_put_back_before_the_first_try(void **state)
{
    (void)state;
    out_open(&w);
    w.keeps = MAILSRV_OP_CONNECT;
    for (int i = 0; i < 300; i++)
        out_send(&w, "a@one.test");
    w.unix_us -= YEAR;
    out_wait(&w, 1);
    out_let_go(&w);
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 300);
}

/* The same of a queue that is opened by another program. */
static void test_the_clock_is_put_back_before_the_first_try_of_all(void **state)
{
    (void)state;
    out_open(&w);
    w.is_down = out_everybody;
    out_send(&w, "a@one.test");
    out_wait(&w, SECOND);
    out_send(&w, "b@one.test");
    out_wait(&w, SECOND);
    out_close(&w);
    w.unix_us -= YEAR;
    out_wait(&w, SECOND);
    w.is_down = NULL;
    out_open(&w);
    out_wait(&w, MINUTE);
    assert_int_equal(out_queued(&w), 0);
}

/* What is old, and was made due by an operator. */
static void test_the_clock_is_put_back_behind_a_release(void **state)
{
    (void)state;
    out_open(&w);
    w.keeps = MAILSRV_OP_CONNECT;
    for (int i = 0; i < 300; i++)
        out_send(&w, "a@one.test");
    assert_int_equal(control("", MAILSRV_QUEUE_HOLD), 300);
    out_wait(&w, MINUTE);
    w.unix_us += YEAR;
    out_wait(&w, MINUTE);
    assert_int_equal(control("", MAILSRV_QUEUE_RELEASE), 300);
    w.unix_us -= YEAR;
    out_wait(&w, MINUTE);
    out_let_go(&w);
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 300);
}

static uint32_t nobody_answers(struct outbound *world, const char *name)
{
    (void)world;
    (void)name;
    return DNS_SILENT;
}

/* What is held when the clock jumps ahead by a year. */
static void hold_for_a_year(uint32_t n)
{
    out_open(&w);
    w.keeps = MAILSRV_OP_CONNECT;
    for (uint32_t i = 0; i < n; i++)
        out_send(&w, "a@one.test");
    assert_int_equal(control("", MAILSRV_QUEUE_HOLD), n);
    out_let_go(&w);
    out_wait(&w, 3 * HOUR);
    w.unix_us += YEAR;
    out_wait(&w, 3 * HOUR);
}

/* The same while it waits in memory for a server whose name cannot be looked up for a while. */
static void test_the_clock_is_put_back_behind_a_release_without_dns(void **state)
{
    (void)state;
    hold_for_a_year(5);
    w.keeps = MAILSRV_OP_DNS;
    assert_int_equal(control("", MAILSRV_QUEUE_RELEASE), 5);
    out_wait(&w, SECOND);
    assert_int_not_equal(w.n_kept, 0);
    w.unix_us -= YEAR;
    out_wait(&w, 2 * MINUTE);
    w.dns = nobody_answers;
    out_let_go(&w);
    out_wait(&w, 10 * MINUTE);
    w.dns = NULL;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 5);
}

/* The same while the store is asked for the first of two pages. */
static void test_the_clock_is_put_back_behind_a_release_during_a_page(void **state)
{
    (void)state;
    hold_for_a_year(120);
    w.keeps = MAILSRV_OP_CONNECT;
    assert_int_equal(control("", MAILSRV_QUEUE_RELEASE), 120);
    out_wait(&w, SECOND);
    w.keeps = MAILSRV_OP_QUEUE_SCAN;
    out_answer(&w, MAILSRV_OK);
    out_wait(&w, 1);
    assert_int_equal(w.n_kept, 1);
    w.unix_us -= YEAR;
    out_wait(&w, 1);
    out_let_go(&w);
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 120);
}

/* What was put off by a clock that was ahead, and waits in memory: it goes back to the store when lanes are divided, and
 * is found there. */
static void test_the_clock_is_put_back_before_lanes_divide(void **state)
{
    (void)state;
    char recipient[TEXT_MAX];
    out_open(&w);
    for (int i = 0; i < 6; i++) {
        snprintf(recipient, sizeof recipient, "grey%d@one.test", i);
        out_send(&w, recipient);
    }
    out_wait(&w, 10 * SECOND);
    assert_int_equal(control("grey5@one.test", MAILSRV_QUEUE_HOLD), 1);
    w.keeps = MAILSRV_OP_CONNECT;
    w.unix_us -= YEAR;
    out_wait(&w, 2 * MINUTE);
    assert_int_equal(control("grey5@one.test", MAILSRV_QUEUE_RELEASE), 1);
    out_wait(&w, SECOND);
    mailsrv_queue_set_flags(w.queue, MAILSRV_QUEUE_ROUTES_BY_SENDER);
    out_wait(&w, SECOND);
    out_let_go(&w);
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_queued(&w), 0);
}

static void sent(void *user, int32_t status)
{
    *(int32_t *)user = status;
}

/* What was committed by a clock that was ahead, and is told behind that. */
static void put_back_during_a_commit(int64_t by_us)
{
    int32_t status = -1;
    const mailsrv_queue_recipient to = { .size = sizeof to, .address = bytes_of("a@one.test") };
    const mailsrv_queue_mail mail = { .size = sizeof mail, .reverse_path = bytes_of("pat@here.test"), .recipients = &to,
                                      .n_recipients = 1, .message = bytes_of("Subject: one\r\n\r\n") };
    uint32_t before = out_delivered(&w, NULL);
    w.keeps = MAILSRV_OP_BODY_COMMIT;
    assert_int_equal(mailsrv_queue_send(w.queue, &mail, sent, &status), MAILSRV_OK);
    out_run(&w);
    assert_int_equal(w.n_kept, 1);
    w.unix_us -= by_us;
    out_wait(&w, SECOND);
    out_let_go(&w);
    out_wait(&w, SECOND);
    assert_int_equal(status, MAILSRV_OK);
    assert_int_equal(out_delivered(&w, NULL), before + 1);
}

static void test_the_clock_is_put_back_during_a_commit(void **state)
{
    (void)state;
    out_open(&w);
    out_wait(&w, MINUTE);
    put_back_during_a_commit(5 * MINUTE);
    put_back_during_a_commit(3 * HOUR);
    put_back_during_a_commit(YEAR);
}

/* By less than an hour, again and again: it is as far back as in one step. */
static void test_the_clock_is_put_back_in_steps(void **state)
{
    (void)state;
    out_open(&w);
    w.is_down = out_everybody;
    out_send(&w, "a@one.test");
    out_wait(&w, SECOND);
    w.is_down = NULL;
    for (int i = 0; i < 10; i++) {
        w.unix_us -= 50 * MINUTE;
        out_wait(&w, 2 * MINUTE);
    }
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
}

/* Behind a look that failed, what is due is looked for again soon. */
static void test_the_clock_is_put_back_behind_a_failure(void **state)
{
    (void)state;
    out_open(&w);
    w.is_down = out_everybody;
    out_send(&w, "a@one.test");
    out_wait(&w, MINUTE);
    w.is_down = NULL;
    w.store_is_down = true;
    mailsrv_queue_poke(w.queue);
    out_wait(&w, HOUR);
    w.store_is_down = false;
    w.unix_us -= 30 * MINUTE;
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
}

/* Back by less than a second: what is in the store alone is due in a moment. */
static void test_the_clock_is_put_back_a_little(void **state)
{
    (void)state;
    out_open(&w);
    out_wait(&w, HOUR);
    w.keeps = MAILSRV_OP_CONNECT;
    out_commit(&w, "one.test", 300);
    assert_int_equal(w.n_kept, 1);
    w.unix_us -= SECOND / 2;
    out_wait(&w, 1);
    out_let_go(&w);
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, NULL), 300);
}

/* While a lane is looked through, of which the second page has what is not due any more. */
static void test_the_clock_is_put_back_between_two_pages(void **state)
{
    (void)state;
    out_open(&w);
    w.keeps = MAILSRV_OP_CONNECT;
    out_commit(&w, "one.test", 200);
    assert_int_equal(w.n_kept, 1);
    out_wait(&w, 2 * HOUR);
    out_commit(&w, "one.test", 300);
    w.keeps = MAILSRV_OP_QUEUE_SCAN;
    out_answer(&w, MAILSRV_OK);
    out_wait(&w, 1);
    assert_int_equal(w.n_kept, 1);
    w.unix_us -= 50 * MINUTE;
    out_wait(&w, 1);
    out_let_go(&w);
    out_wait(&w, HOUR);
    assert_int_equal(out_queued(&w), 0);
}

static int32_t in_a_month(struct outbound *world, const mailsrv_arg_retry *arg, mailsrv_retry *out)
{
    (void)arg;
    out->verdict = MAILSRV_RETRY_WAIT;
    out->due_us = world->unix_us + 30 * 24 * HOUR;
    return MAILSRV_OK;
}

/* What the host puts off far ahead is no such thing. */
static void test_far_ahead_by_the_host(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    w.retry = in_a_month;
    w.setup.delay_notice_s = UINT32_MAX;
    out_open(&w);
    out_send(&w, "later@one.test");
    out_wait(&w, MINUTE);
    out_close(&w);
    out_open(&w);
    out_wait(&w, 29 * 24 * HOUR);
    assert_true(out_item(&w, "later@one.test", &mail));
    assert_int_equal(mail.tries, 1);
}

/* Nor is it due when nobody could say for a while where other mail of its domain goes. */
static void test_far_ahead_by_the_host_without_routes(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    w.retry = in_a_month;
    w.route = cannot_say_yet;
    w.setup.delay_notice_s = UINT32_MAX;
    out_open(&w);
    out_send(&w, "later@one.test");
    out_wait(&w, 10 * MINUTE);
    w.is_down = out_everybody;
    w.retry = NULL;
    out_send(&w, "b@one.test");
    out_wait(&w, SECOND);
    w.is_down = NULL;
    w.retry = in_a_month;
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "b@one.test"), 1);
    assert_true(out_item(&w, "later@one.test", &mail));
    assert_int_equal(mail.tries, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_clock_jumps_ahead, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_without_routes, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_before_it_opens, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_was_ahead_for_a_while, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_was_behind_during_a_look, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_a_little, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_between_two_pages, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_before_the_first_try, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_before_the_first_try_of_all, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_behind_a_release, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_behind_a_release_without_dns, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_behind_a_release_during_a_page, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_before_lanes_divide, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_during_a_commit, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_in_steps, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_behind_a_failure, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back_behind_a_refresh, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_far_ahead_by_the_host, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_far_ahead_by_the_host_without_routes, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
