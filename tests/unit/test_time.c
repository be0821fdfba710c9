/* Whose timer runs, and when the host has to come by. */
#include "world.h"

#include <mailsrv/store.h>

#include <string.h>

enum { COMMAND_US = 300 * 1000000, ANSWER_US = 300 * 1000000 };

static int64_t deadline(const struct world *w)
{
    return mailsrv_engine_next_deadline(w->engine);
}

static void test_a_silent_peer_is_told_good_bye(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    assert_int_equal(deadline(&w), w.now_us + COMMAND_US); /* without a further advance: from the last one */
    world_advance(&w, 0);
    world_advance(&w, COMMAND_US - 1);
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_READ);
    assert_int_equal(deadline(&w), w.now_us + 1);
    world_advance(&w, 1);
    expect(s, "late\r\n");
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    mailsrv_session_free(s);
    world_end(&w);
}

/* The natural order of completion-based loops: what was read is fed, and then the time is told. */
static void test_who_feeds_before_he_advances_kills_nobody(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    world_advance(&w, 0);
    for (int i = 0; i < 5; i++) {
        feed(s, "say 4\r\n");
        expect(s, "xx\r\n");
        assert_true(deadline(&w) <= w.now_us + COMMAND_US);
        world_advance(&w, COMMAND_US + 1000000); /* all of it is over, and yet he spoke just now */
        assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_READ);
    }
    world_advance(&w, COMMAND_US);
    expect(s, "late\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_feed_without_a_further_advance_has_a_deadline(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    world_advance(&w, 0);
    world_advance(&w, 100);
    feed(s, "say 4\r\n");
    assert_true(deadline(&w) > w.now_us);
    assert_true(deadline(&w) <= w.now_us + COMMAND_US);
    mailsrv_session_free(s);
    assert_true(deadline(&w) == INT64_MAX);
    world_end(&w);
}

static void test_half_a_command_does_not_buy_time(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    world_advance(&w, 0);
    for (int i = 0; i < 3; i++) {
        world_advance(&w, COMMAND_US / 3);
        if (i < 2)
            feed(s, "s");
    }
    expect(s, "late\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

/* A slow store never costs a peer his session. */
static void test_a_slow_store_does_not_kill_its_peer(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_profile *p = world_profile(&w);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 1000), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "ask\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    world_advance(&w, 0);
    world_advance(&w, ANSWER_US - 1); /* a hundred times the peer's own patience */
    answer(&w, op, MAILSRV_DENIED, NULL);
    run(&w);
    expect(s, "-500\r\n");
    world_advance(&w, 0);
    world_advance(&w, 999999);
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_READ);
    world_advance(&w, 1);
    expect(s, "late\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_peer_that_stops_reading_loses_his_session(void **state)
{
    struct world w;
    mailsrv_out v[1];
    size_t count;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "say 100\r\n");
    world_advance(&w, 0);
    world_advance(&w, COMMAND_US - 1);
    assert_int_equal(mailsrv_session_sent(s, 1), MAILSRV_OK); /* he takes an octet: he lives */
    world_advance(&w, COMMAND_US - 1);
    world_advance(&w, COMMAND_US - 1);
    assert_int_equal(mailsrv_session_wants(s) & MAILSRV_WANT_CLOSE, 0);
    world_advance(&w, 1);
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE); /* without a word: he would not read it */
    assert_int_equal(mailsrv_session_output(s, v, 1, &count), MAILSRV_OK);
    assert_int_equal(count, 0);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_the_last_word_itself_is_waited_for_once(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    world_advance(&w, 0);
    world_advance(&w, COMMAND_US);
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_WRITE); /* "late", unsent */
    assert_true(deadline(&w) < INT64_MAX);
    world_advance(&w, 0);
    world_advance(&w, COMMAND_US);
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    mailsrv_session_free(s);
    world_end(&w);
}

/* What is never answered times out for the peer as TEMP; it stays charged, is counted, and raises an event. */
static void test_what_is_never_answered_is_temp(void **state)
{
    struct world w;
    const mailsrv_event *event;
    bool told = false;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "ask\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    assert_true(deadline(&w) <= w.now_us + ANSWER_US);
    world_advance(&w, 0);
    world_advance(&w, ANSWER_US - 1);
    run(&w);
    expect(s, "");
    world_advance(&w, 1);
    run(&w);
    expect(s, "-400\r\n");
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_TIMED_OUT), 1);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_OUT), 1);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_OCTETS) != 0);
    while (mailsrv_engine_next_event(w.engine, &event) == MAILSRV_OK)
        told = told || (event->what == MAILSRV_EVENT_OP_TIMED_OUT && memcmp(event->text.p, "AUTH_VERIFY", 11) == 0);
    assert_true(told);
    say(&w, s, "say 4\r\n"); /* the session goes on */
    expect(s, "xx\r\n");
    answer(&w, op, MAILSRV_DENIED, NULL);
    run(&w);
    expect(s, "");
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_OCTETS), 0);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_handle_that_comes_too_late_is_closed(void **state)
{
    struct world w;
    mailsrv_store_opened opened = { .size = sizeof opened, .store = 5 };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "hold\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_STORE_OPEN);
    world_advance(&w, 0);
    world_advance(&w, ANSWER_US);
    run(&w);
    expect(s, "-400\r\n");
    answer(&w, op, MAILSRV_OK, &opened);
    op = next_op(&w, MAILSRV_OP_STORE_CLOSE);
    assert_int_equal(((const mailsrv_arg_close *)op->arg)->handle, 5);
    answer(&w, op, MAILSRV_OK, NULL);
    mailsrv_session_free(s);
    world_end(&w);
}

/* No handle is closed under an operation that may be using it, though its peer has been told that it failed. */
static void test_no_handle_is_closed_under_a_late_operation(void **state)
{
    struct world w;
    mailsrv_store_opened opened = { .size = sizeof opened, .store = 5 };
    (void)state;
    for (int dropped = 0; dropped < 2; dropped++) {
        world_begin(&w);
        mailsrv_session *s = world_session(&w);
        say(&w, s, "hold\r\n");
        answer(&w, next_op(&w, MAILSRV_OP_STORE_OPEN), MAILSRV_OK, &opened);
        say(&w, s, "");
        expect(s, "0\r\n");
        say(&w, s, "ask\r\n");
        const mailsrv_op *late = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
        world_advance(&w, 0);
        world_advance(&w, ANSWER_US);
        run(&w);
        expect(s, "-400\r\n");
        if (dropped) {
            say(&w, s, "drop\r\n");
            expect(s, "dropped\r\n");
        }
        no_op(&w);
        mailsrv_session_free(s);
        no_op(&w);
        answer(&w, late, MAILSRV_TEMP, NULL);
        const mailsrv_op *op = next_op(&w, MAILSRV_OP_STORE_CLOSE);
        answer(&w, op, MAILSRV_OK, NULL);
        world_end(&w);
    }
}

static void test_time_does_not_go_back(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    world_advance(&w, 0);
    assert_int_equal(mailsrv_engine_advance(w.engine, 5, 5), MAILSRV_OK);
    assert_int_equal(deadline(&w), w.now_us + COMMAND_US);
    assert_int_equal(mailsrv_engine_advance(w.engine, -1, 5), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_advance(w.engine, 5, -1), MAILSRV_E_USAGE);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_before_the_first_advance_there_is_no_session(void **state)
{
    struct world w;
    mailsrv_engine *e;
    mailsrv_session *s = NULL;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_new(w.config, &e), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(e, w.profile, NULL, NULL, &s), MAILSRV_E_USAGE);
    assert_null(s);
    assert_true(mailsrv_engine_next_deadline(e) == INT64_MAX);
    assert_int_equal(mailsrv_engine_advance(e, 0, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(e, w.profile, NULL, NULL, &s), MAILSRV_OK);
    mailsrv_session_free(s);
    assert_int_equal(mailsrv_engine_free(e, 0), MAILSRV_OK);
    world_end(&w);
}

/* Work that waits is due now; an operation that the host has to pull is not the engine's work. */
static void test_the_deadline_is_now_while_work_waits(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    world_advance(&w, 0);
    feed(s, "work 1000\r\n");
    assert_true(deadline(&w) <= w.now_us);
    run(&w);
    expect(s, "worked\r\n");
    assert_true(deadline(&w) > w.now_us);
    feed(s, "ask\r\n");
    assert_true(deadline(&w) > w.now_us);
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    assert_true(deadline(&w) > w.now_us);
    answer(&w, op, MAILSRV_TEMP, NULL);
    assert_true(deadline(&w) <= w.now_us);
    run(&w);
    expect(s, "-400\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_silent_peer_is_told_good_bye),
        cmocka_unit_test(test_who_feeds_before_he_advances_kills_nobody),
        cmocka_unit_test(test_a_feed_without_a_further_advance_has_a_deadline),
        cmocka_unit_test(test_half_a_command_does_not_buy_time),
        cmocka_unit_test(test_a_slow_store_does_not_kill_its_peer),
        cmocka_unit_test(test_a_peer_that_stops_reading_loses_his_session),
        cmocka_unit_test(test_the_last_word_itself_is_waited_for_once),
        cmocka_unit_test(test_what_is_never_answered_is_temp),
        cmocka_unit_test(test_a_handle_that_comes_too_late_is_closed),
        cmocka_unit_test(test_no_handle_is_closed_under_a_late_operation),
        cmocka_unit_test(test_time_does_not_go_back),
        cmocka_unit_test(test_before_the_first_advance_there_is_no_session),
        cmocka_unit_test(test_the_deadline_is_now_while_work_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
