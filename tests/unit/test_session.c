/* Sessions that go, engines that end, and what is owed then. */
#include "world.h"

#include <mailsrv/store.h>

#include <string.h>

static const mailsrv_store_opened opened = { .size = sizeof opened, .store = 7 };

/* The handle arrives for a session that has gone: the engine closes it, once. */
static void test_a_session_gone_before_its_handle_comes(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "hold\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_STORE_OPEN);
    mailsrv_session_free(s);
    no_op(&w);
    answer(&w, op, MAILSRV_OK, &opened);
    op = next_op(&w, MAILSRV_OP_STORE_CLOSE);
    assert_int_equal(((const mailsrv_arg_close *)op->arg)->handle, 7);
    assert_null(op->host);
    assert_int_equal(mailsrv_engine_free(w.engine, 0), MAILSRV_E_BUSY);
    answer(&w, op, MAILSRV_OK, NULL);
    no_op(&w);
    world_end(&w);
}

static void test_a_session_gone_before_a_refusal_comes(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "hold\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_STORE_OPEN);
    mailsrv_session_free(s);
    answer(&w, op, MAILSRV_TEMP, NULL);
    no_op(&w); /* no handle was given, none is closed */
    world_end(&w);
}

/* In memory that has run out: what will have to be said was reserved before. */
static void test_closing_needs_no_memory(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w), *gone = world_session(&w);
    say(&w, s, "hold\r\n");
    answer(&w, next_op(&w, MAILSRV_OP_STORE_OPEN), MAILSRV_OK, &opened);
    run(&w);
    say(&w, gone, "hold\r\n");
    const mailsrv_op *late = next_op(&w, MAILSRV_OP_STORE_OPEN);
    w.heap.fail_first = w.heap.calls + 1;
    w.heap.fail_last = UINT64_MAX;
    mailsrv_session_free(gone);
    answer(&w, late, MAILSRV_OK, &opened);
    answer(&w, next_op(&w, MAILSRV_OP_STORE_CLOSE), MAILSRV_OK, NULL);
    mailsrv_session_free(s);
    answer(&w, next_op(&w, MAILSRV_OP_STORE_CLOSE), MAILSRV_OK, NULL);
    assert_false(w.heap.failed); /* it did not even ask for any */
    world_end(&w);
}

/* A store that never answers: the engine is busy until its host says that no answer will come. */
static void test_a_store_that_never_answers(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w), *holder = world_session(&w);
    say(&w, holder, "hold\r\n");
    answer(&w, next_op(&w, MAILSRV_OP_STORE_OPEN), MAILSRV_OK, &opened);
    run(&w);
    say(&w, s, "pair\r\n");
    mailsrv_op_id id = next_op(&w, MAILSRV_OP_RESOLVE)->id; /* one is out, one is queued */
    assert_int_equal(mailsrv_engine_close(w.engine), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_free(w.engine, MAILSRV_ABANDON), MAILSRV_E_BUSY); /* sessions live */
    mailsrv_session_free(s);
    mailsrv_session_free(holder);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_QUEUED), 1); /* the close */
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_OUT), 1);
    assert_int_equal(mailsrv_engine_free(w.engine, 0), MAILSRV_E_BUSY);
    assert_int_equal(mailsrv_op_answer_status(w.engine, id, MAILSRV_E_BUSY), MAILSRV_OK); /* nothing had happened */
    assert_int_equal(mailsrv_engine_free(w.engine, 0), MAILSRV_E_BUSY);
    assert_int_equal(mailsrv_engine_free(w.engine, MAILSRV_ABANDON), MAILSRV_OK);
    mailsrv_config_free(w.config);
    mailsrv_profile_unref(w.profile);
    assert_int_equal(w.heap.live, 0);
}

static void test_what_is_out_is_abandoned_with_all_it_lent(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "expunge\r\n");
    next_op(&w, MAILSRV_OP_EXPUNGE);
    mailsrv_session_free(s);
    assert_int_equal(mailsrv_engine_free(w.engine, 0), MAILSRV_E_BUSY);
    assert_int_equal(mailsrv_engine_free(w.engine, MAILSRV_ABANDON), MAILSRV_OK);
    mailsrv_config_free(w.config);
    mailsrv_profile_unref(w.profile);
    assert_int_equal(w.heap.live, 0);
    assert_null(w.heap.fault);
}

static void test_a_half_close_lets_finish_what_has_begun(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "ask\r\n");
    assert_int_equal(mailsrv_session_feed_eof(s), MAILSRV_OK);
    assert_int_equal(mailsrv_session_wants(s), 0);
    answer(&w, next_op(&w, MAILSRV_OP_AUTH_VERIFY), MAILSRV_TEMP, NULL);
    run(&w);
    expect(s, "-400\r\n");
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_half_close_of_an_idle_session_ends_it(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    feed(s, "say"); /* half a command is none */
    assert_int_equal(mailsrv_session_feed_eof(s), MAILSRV_OK);
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    expect(s, "");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_shutdown_is_polite(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *idle = world_session(&w), *busy = world_session(&w);
    say(&w, busy, "ask\r\n");
    assert_int_equal(mailsrv_session_shutdown(idle), MAILSRV_OK);
    assert_int_equal(mailsrv_session_shutdown(busy), MAILSRV_OK);
    expect(idle, "down\r\n");
    assert_int_equal(mailsrv_session_wants(idle), MAILSRV_WANT_CLOSE);
    expect(busy, "");
    answer(&w, next_op(&w, MAILSRV_OP_AUTH_VERIFY), MAILSRV_TEMP, NULL);
    run(&w);
    expect(busy, "-400\r\ndown\r\n");
    assert_int_equal(mailsrv_session_wants(busy), MAILSRV_WANT_CLOSE);
    mailsrv_session_free(idle);
    mailsrv_session_free(busy);
    world_end(&w);
}

static void test_a_closed_engine_takes_no_more(void **state)
{
    struct world w;
    mailsrv_session *more = NULL;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    assert_int_equal(mailsrv_engine_close(w.engine), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_close(w.engine), MAILSRV_OK);
    expect(s, "down\r\n");
    assert_int_equal(mailsrv_server_new(w.engine, w.profile, NULL, NULL, &more), MAILSRV_E_CLOSED);
    assert_null(more);
    assert_int_equal(mailsrv_engine_free(w.engine, 0), MAILSRV_E_BUSY);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_errors_are_counted(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    feed(s, "x\r\ny\r\n");
    size_t consumed;
    assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)"z\r\nsay 4\r\n", 10, &consumed), MAILSRV_OK);
    assert_int_equal(consumed, 3);
    expect(s, "what?\r\nwhat?\r\nenough\r\n");
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_memory_of_a_session_is_told_and_comes_back(void **state)
{
    struct world w;
    mailsrv_info info = { .size = sizeof info };
    (void)state;
    world_begin(&w);
    uint64_t before = mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY);
    mailsrv_session *s = world_session(&w);
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_OK);
    uint64_t idle = info.memory;
    assert_true(idle > 0 && idle < 1024);
    say(&w, s, "say 5000\r\n");
    feed(s, "half a comm");
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_OK);
    assert_true(info.memory > idle + 5000);
    assert_true(info.memory_peak >= info.memory);
    assert_int_equal(mailsrv_session_sent(s, 5000), MAILSRV_OK);
    feed(s, "and\r\n");
    expect(s, "what?\r\n");
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_OK);
    assert_int_equal(info.memory, idle); /* between commands nothing is held */
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_SESSIONS), 1);
    mailsrv_session_free(s);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY), before);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_SESSIONS), 0);
    world_end(&w);
}

static void test_the_ceiling_of_one_session_is_its_own(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_profile *p = world_profile(&w);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_SESSION_OCTETS_MAX, 32768), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_WINDOW_OCTETS, 16384), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    mailsrv_session *greedy = world_session(&w), *other = world_session(&w);
    feed(greedy, "say 40000\r\n");
    mailsrv_info info = { .size = sizeof info };
    assert_int_equal(mailsrv_session_info(greedy, &info), MAILSRV_OK);
    assert_true(info.memory_peak <= 32768);
    assert_int_equal(mailsrv_session_wants(greedy) & MAILSRV_WANT_READ, 0); /* it has ended */
    say(&w, other, "say 4\r\n");
    expect(other, "xx\r\n");
    mailsrv_session_free(greedy);
    mailsrv_session_free(other);
    world_end(&w);
}

static void test_info_fills_what_it_is_given_room_for(void **state)
{
    struct world w;
    mailsrv_info info;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    memset(&info, 0xEE, sizeof info);
    info.size = 24;
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_OK);
    assert_int_equal(info.size, 24);
    assert_int_equal(info.octets_in, 0);
    assert_true(info.octets_out == UINT64_C(0xEEEEEEEEEEEEEEEE));
    info.size = 15;
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_E_USAGE);
    assert_ptr_equal(mailsrv_session_host(s), &w);
    mailsrv_session_free(s);
    world_end(&w);
}

/* Above a quarter of the cap in unanswered operations, new sessions are turned away; the old ones go on. */
static void test_unanswered_operations_turn_new_sessions_away(void **state)
{
    enum { MANY = 200 };
    struct world w;
    mailsrv_session *s[MANY], *late = NULL;
    (void)state;
    world_begin(&w);
    mailsrv_config *small;
    mailsrv_engine *e;
    assert_int_equal(mailsrv_config_new(&w.heap.allocator, &small), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(small, MAILSRV_CONFIG_MEMORY_MAX, 256 * 1024), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(small, &e), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(e, MAILSRV_OP_AUTH_VERIFY, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(e, 1, 1), MAILSRV_OK);
    size_t n = 0;
    while (mailsrv_engine_stat(e, MAILSRV_STAT_OPS_OCTETS) <= 64 * 1024) {
        assert_true(n < MANY);
        assert_int_equal(mailsrv_server_new(e, w.profile, NULL, NULL, &s[n]), MAILSRV_OK);
        expect(s[n], "hello\r\n");
        feed(s[n++], "ask\r\n");
    }
    assert_int_equal(mailsrv_server_new(e, w.profile, NULL, NULL, &late), MAILSRV_OK);
    expect(late, "busy\r\n");
    assert_int_equal(mailsrv_session_wants(late), MAILSRV_WANT_CLOSE);
    mailsrv_session_free(late);
    const mailsrv_op *op;
    while (mailsrv_engine_next_op(e, &op) == MAILSRV_OK)
        assert_int_equal(mailsrv_op_answer_status(e, op->id, MAILSRV_TEMP), MAILSRV_OK);
    while (mailsrv_engine_run(e, 1000) == MAILSRV_MORE)
        continue;
    for (size_t i = 0; i < n; i++)
        expect(s[i], "-400\r\n");
    assert_int_equal(mailsrv_server_new(e, w.profile, NULL, NULL, &late), MAILSRV_OK);
    expect(late, "hello\r\n");
    mailsrv_session_free(late);
    while (n-- != 0)
        mailsrv_session_free(s[n]);
    assert_int_equal(mailsrv_engine_free(e, 0), MAILSRV_OK);
    mailsrv_config_free(small);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_gone_before_its_handle_comes),
        cmocka_unit_test(test_a_session_gone_before_a_refusal_comes),
        cmocka_unit_test(test_closing_needs_no_memory),
        cmocka_unit_test(test_a_store_that_never_answers),
        cmocka_unit_test(test_what_is_out_is_abandoned_with_all_it_lent),
        cmocka_unit_test(test_a_half_close_lets_finish_what_has_begun),
        cmocka_unit_test(test_a_half_close_of_an_idle_session_ends_it),
        cmocka_unit_test(test_a_shutdown_is_polite),
        cmocka_unit_test(test_a_closed_engine_takes_no_more),
        cmocka_unit_test(test_errors_are_counted),
        cmocka_unit_test(test_memory_of_a_session_is_told_and_comes_back),
        cmocka_unit_test(test_the_ceiling_of_one_session_is_its_own),
        cmocka_unit_test(test_info_fills_what_it_is_given_room_for),
        cmocka_unit_test(test_unanswered_operations_turn_new_sessions_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
