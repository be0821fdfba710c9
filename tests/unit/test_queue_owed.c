/* Notices that are owed and cannot be given: for how long it is tried. */
#include "outbound.h"

#define DAY (24 * HOUR)

static struct outbound w;

static int begin_from(const char *sender, void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    w.is_down = out_everybody;
    w.sender = sender;
    out_begin(&w);
    out_open(&w);
    out_send(&w, "a@one.test");
    out_wait(&w, MINUTE);
    return 0;
}

static int begin(void **state)
{
    return begin_from("pat@here.test", state);
}

/* An address of a domain of ours that nobody has. */
static int begin_from_nobody(void **state)
{
    return begin_from("nobody@here.test", state);
}

static const mailsrv_queue_match all = { .size = sizeof all };

static uint64_t control(int32_t action)
{
    uint64_t n = UINT64_MAX;
    assert_int_equal(out_control(&w, &all, action, "", &n), MAILSRV_OK);
    return n;
}

/* The store cannot take what is begun now. */
static void cannot_be_told(void)
{
    out_wait(&w, 10 * SECOND);
    assert_int_equal(w.n_kept, 1);
    out_answer(&w, MAILSRV_TEMP);
    w.keeps = 0;
    out_wait(&w, SECOND);
    assert_int_equal(out_notices(&w), 0);
    assert_int_equal(out_queued(&w), 1);
}

/* It is given up, by an operator, and its sender cannot be told. */
static void return_in_vain(void)
{
    const mailsrv_bytes none = { NULL, 0 };
    w.keeps = MAILSRV_OP_BODY_COMMIT;
    assert_int_equal(mailsrv_queue_control(w.queue, &all, MAILSRV_QUEUE_RETURN, none, NULL, NULL), MAILSRV_OK);
    cannot_be_told();
}

static void is_told_soon(void)
{
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_notices(&w), 1);
    assert_int_equal(out_queued(&w), 0);
}

/* What comes back is not held any more: its notice would be, too. */
static void test_held_and_returned(void **state)
{
    (void)state;
    assert_int_equal(control(MAILSRV_QUEUE_HOLD), 1);
    return_in_vain();
    is_told_soon();
}

/* While it was held nobody tried. */
static void test_held_for_long(void **state)
{
    (void)state;
    return_in_vain();
    assert_int_equal(control(MAILSRV_QUEUE_HOLD), 1);
    out_wait(&w, 6 * DAY);
    w.keeps = MAILSRV_OP_BODY_COMMIT;
    assert_int_equal(control(MAILSRV_QUEUE_RELEASE), 1);
    cannot_be_told();
    is_told_soon();
}

/* A notice needs no server, and does not wait for the one that is down. */
static void test_held_and_released(void **state)
{
    (void)state;
    out_wait(&w, 3 * HOUR);
    return_in_vain();
    assert_int_equal(control(MAILSRV_QUEUE_HOLD), 1);
    assert_int_equal(control(MAILSRV_QUEUE_RELEASE), 1);
    out_wait(&w, MINUTE);
    assert_int_equal(out_notices(&w), 1);
    assert_int_equal(out_queued(&w), 0);
}

/* Nor did anybody while the program was away; nor is that the last try. */
static void test_away_for_long(void **state)
{
    (void)state;
    return_in_vain();
    out_close(&w);
    out_wait(&w, 6 * DAY);
    w.keeps = MAILSRV_OP_BODY_COMMIT;
    out_open(&w);
    for (int i = 0; i < 3; i++) {
        cannot_be_told();
        w.keeps = MAILSRV_OP_BODY_COMMIT;
        out_wait(&w, 3 * HOUR);
    }
    out_let_go(&w);
    is_told_soon();
}

/* Nobody can be told in all that time, and so nobody is. */
static void test_given_up(void **state)
{
    (void)state;
    return_in_vain();
    for (int i = 0; i < 6 * 24 && out_queued(&w) != 0; i++) {
        w.keeps = MAILSRV_OP_BODY_COMMIT;
        out_wait(&w, HOUR);
        out_answer(&w, MAILSRV_TEMP);
        out_wait(&w, SECOND);
        assert_true(i > 4 * 24 || out_queued(&w) == 1);
    }
    w.keeps = 0;
    assert_int_equal(out_notices(&w), 0);
    assert_int_equal(out_queued(&w), 0);
}

/* Mail that never gets too old is owed its notice for ever. */
static void test_never_given_up(void **state)
{
    (void)state;
    out_close(&w);
    w.setup.expire_s = UINT32_MAX;
    out_open(&w);
    out_wait(&w, MINUTE);
    return_in_vain();
    for (int i = 0; i < 10; i++) {
        w.keeps = MAILSRV_OP_BODY_COMMIT;
        out_wait(&w, DAY);
        out_answer(&w, MAILSRV_TEMP);
        out_wait(&w, SECOND);
    }
    w.keeps = 0;
    is_told_soon();
}

/* ---- What is told of what an operator returns ---- */

static void has_a_reason(void)
{
    assert_true(out_notice_says(&w, "<b@two.test>: could not be delivered\r\n"
                                    "    5.0.0 returned by the administration before it could be\r\n    delivered\r\n"));
    assert_true(out_notice_says(&w, "Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: x-mailsrv; 5.0.0 returned by "));
    assert_false(out_notice_says(&w, "4.4.7"));
}

/* It is held while it is asked where it goes. */
static void hold_untried(void)
{
    assert_int_equal(control(MAILSRV_QUEUE_DROP), 1);
    w.keeps = MAILSRV_OP_ROUTE;
    out_send(&w, "b@two.test");
    assert_int_equal(control(MAILSRV_QUEUE_HOLD), 1);
    out_let_go(&w);
    out_wait(&w, MINUTE);
}

/* It was never tried: neither is it too old, nor did anybody say anything. */
static void test_returned_before_a_try(void **state)
{
    (void)state;
    hold_untried();
    assert_int_equal(control(MAILSRV_QUEUE_RETURN), 1);
    assert_int_equal(out_notices(&w), 1);
    has_a_reason();
    assert_false(out_notice_says(&w, "Last-Attempt-Date"));
}

/* The same is told when it can be. */
static void test_returned_before_a_try_in_vain(void **state)
{
    (void)state;
    hold_untried();
    return_in_vain();
    out_close(&w);
    out_open(&w);
    is_told_soon();
    has_a_reason();
}

/* What a server, or nobody, said to it is what went wrong. */
static void test_returned_behind_a_try(void **state)
{
    (void)state;
    assert_int_equal(control(MAILSRV_QUEUE_RETURN), 1);
    assert_int_equal(out_notices(&w), 1);
    assert_true(out_notice_says(&w, "4.4.1 connection refused\r\n"));
    assert_false(out_notice_says(&w, "administration"));
}

/* ---- Whoever could be told ---- */

static uint32_t events(int32_t what)
{
    const mailsrv_event *event;
    uint32_t n = 0;
    while (mailsrv_engine_next_event(w.engine, &event) == MAILSRV_OK)
        n += event->what == what;
    return n;
}

static void test_what_is_committed_counts(void **state)
{
    (void)state;
    assert_int_equal(control(MAILSRV_QUEUE_RETURN), 1);
    assert_int_equal(out_notices(&w), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_NOTICES), 1);
    assert_int_equal(events(MAILSRV_EVENT_NOTICE), 1);
}

/* Its sender is nobody: it is gone, and no notice was. */
static void test_what_nobody_is_told_counts_not(void **state)
{
    (void)state;
    assert_int_equal(control(MAILSRV_QUEUE_RETURN), 1);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_NOTICES), 0);
    assert_int_equal(events(MAILSRV_EVENT_NOTICE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_held_and_returned, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_held_for_long, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_held_and_released, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_away_for_long, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_given_up, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_never_given_up, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_returned_before_a_try, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_returned_before_a_try_in_vain, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_returned_behind_a_try, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_committed_counts, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_nobody_is_told_counts_not, begin_from_nobody, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
