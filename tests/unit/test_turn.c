/* Work in slices, by turns; handlers and what they may not call; kinds bound, pulled and unserved. */
#include "world.h"

#include <mailsrv/store.h>

#include <string.h>

enum { UNITS_MOST = 300 };

static bool has_output(mailsrv_session *s)
{
    return (mailsrv_session_wants(s) & MAILSRV_WANT_WRITE) != 0;
}

/* Between two slices of a big command every other ready session has run: each of them, with work for one slice, is done
 * before the big one has had three. */
static void test_between_two_slices_all_others_have_run(void **state)
{
    enum { OTHERS = 5, SLICE = 256, ROUNDS = 10 };
    struct world w;
    mailsrv_session *other[OTHERS];
    (void)state;
    world_begin(&w);
    mailsrv_session *big = world_session(&w);
    for (int i = 0; i < OTHERS; i++)
        other[i] = world_session(&w);
    feed(big, "work 100000\r\n");
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OTHERS; i++)
            feed(other[i], "work 300\r\n"); /* 256 of them at once, 44 in a slice of the ring */
        assert_int_equal(mailsrv_engine_run(w.engine, 2 * SLICE + OTHERS * 64), MAILSRV_MORE);
        for (int i = 0; i < OTHERS; i++)
            expect(other[i], "worked\r\n");
        assert_false(has_output(big));
    }
    run(&w);
    expect(big, "worked\r\n");
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_STEP_UNITS_PEAK) <= UNITS_MOST);
    mailsrv_session_free(big);
    for (int i = 0; i < OTHERS; i++)
        mailsrv_session_free(other[i]);
    world_end(&w);
}

/* The ring keeps its place: what a run leaves is the next one's first. */
static void test_the_ring_keeps_its_place(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *a = world_session(&w), *b = world_session(&w);
    feed(a, "work 3000\r\n");
    feed(b, "work 3000\r\n");
    for (int i = 0; i < 10000 && !has_output(a) && !has_output(b); i++)
        mailsrv_engine_run(w.engine, 256);
    run(&w);
    expect(a, "worked\r\n");
    expect(b, "worked\r\n");
    mailsrv_session_free(a);
    mailsrv_session_free(b);
    world_end(&w);
}

static void test_units_are_kept_to(void **state)
{
    struct world w;
    unsigned runs = 1;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    feed(s, "work 100000\r\n");
    while (mailsrv_engine_run(w.engine, 1000) == MAILSRV_MORE)
        runs++;
    assert_in_range(runs, 90, 110);
    assert_int_equal(mailsrv_engine_run(w.engine, 1000), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_run(w.engine, 0), MAILSRV_OK);
    feed(s, "work 1000\r\n");
    assert_int_equal(mailsrv_engine_run(w.engine, 0), MAILSRV_MORE);
    run(&w);
    expect(s, "worked\r\nworked\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

/* 64 commands, and then nothing is taken until a run has come by: then 64 again. */
static void test_a_feed_starts_64_commands(void **state)
{
    enum { COMMANDS = 150, OCTETS = 7 };
    struct world w;
    char text[COMMANDS * OCTETS + 1] = { 0 };
    size_t consumed = 0, at = 0;
    mailsrv_info info = { .size = sizeof info };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w), *ready;
    for (int i = 0; i < COMMANDS; i++)
        strcat(text, "say 4\r\n");
    for (unsigned turn = 0; turn < 3; turn++) {
        assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)text + at, sizeof text - 1 - at, &consumed),
                         MAILSRV_OK);
        assert_int_equal(consumed, OCTETS * (turn < 2 ? 64 : 22));
        at += consumed;
        if (turn == 2)
            break;
        assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_WRITE);
        assert_true(mailsrv_engine_next_deadline(w.engine) <= w.now_us);
        while (mailsrv_engine_next_ready(w.engine, &ready) == MAILSRV_OK)
            continue;
        run(&w);
        assert_int_equal(mailsrv_engine_next_ready(w.engine, &ready), MAILSRV_OK); /* READ rose */
        assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_READ | MAILSRV_WANT_WRITE);
    }
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_OK);
    assert_int_equal(info.commands, COMMANDS);
    mailsrv_session_free(s);
    world_end(&w);
}

/* ---- Handlers ---- */

struct seen {
    struct world *w;
    unsigned calls;
    bool answers;
};

static void handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct seen *seen = user;
    mailsrv_session *s = NULL;
    seen->calls++;
    assert_int_equal(mailsrv_engine_advance(engine, 1, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_run(engine, 100), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_turn(engine, 100), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_dispatch(engine, 100), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_free(engine, MAILSRV_ABANDON), MAILSRV_E_USAGE);
    /* Everything else may be called. */
    assert_int_equal(mailsrv_server_new(engine, seen->w->profile, NULL, NULL, &s), MAILSRV_OK);
    feed(s, "say 4\r\n");
    expect(s, "hello\r\nxx\r\n");
    mailsrv_session_free(s);
    if (seen->answers)
        assert_int_equal(mailsrv_op_answer_status(engine, op->id, MAILSRV_DENIED), MAILSRV_OK);
}

static void test_handlers_run_in_a_turn_and_may_not_drive(void **state)
{
    struct world w;
    struct seen seen = { .w = &w, .answers = true };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_AUTH_VERIFY, handle, &seen), MAILSRV_OK);
    mailsrv_session *s = world_session(&w);
    feed(s, "ask\r\n");
    assert_int_equal(seen.calls, 0); /* no handler runs inside feed */
    run(&w);
    assert_int_equal(seen.calls, 0); /* nor inside run */
    no_op(&w);                       /* and it is not pulled */
    assert_true(mailsrv_engine_next_deadline(w.engine) <= w.now_us);
    assert_int_equal(mailsrv_engine_turn(w.engine, 1000), MAILSRV_OK);
    assert_int_equal(seen.calls, 1);
    expect(s, "-500\r\n"); /* a handler that answers at once costs no turn of the host's loop */
    mailsrv_session_free(s);
    world_end(&w);
}

/* While one has work for many turns, what another asks is answered within a turn. */
static void test_long_work_keeps_nobody_from_an_answer(void **state)
{
    struct world w;
    struct seen seen = { .w = &w, .answers = true };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_AUTH_VERIFY, handle, &seen), MAILSRV_OK);
    mailsrv_session *big = world_session(&w), *s = world_session(&w);
    feed(big, "work 100000\r\n");
    feed(s, "ask\r\n");
    assert_int_equal(mailsrv_engine_turn(w.engine, 2000), MAILSRV_MORE);
    expect(s, "-500\r\n");
    assert_false(has_output(big));
    run(&w);
    expect(big, "worked\r\n");
    mailsrv_session_free(s);
    mailsrv_session_free(big);
    world_end(&w);
}

static void test_dispatch_hands_over_so_many(void **state)
{
    struct world w;
    struct seen seen = { .w = &w, .answers = true };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_RESOLVE, handle, &seen), MAILSRV_OK);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "pair\r\n");
    assert_int_equal(mailsrv_engine_dispatch(w.engine, 0), MAILSRV_MORE);
    assert_int_equal(mailsrv_engine_dispatch(w.engine, 1), MAILSRV_MORE);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(mailsrv_engine_dispatch(w.engine, 5), MAILSRV_OK);
    assert_int_equal(seen.calls, 2);
    run(&w);
    expect(s, "-500\r\n-500\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

/* A turn of one unit moves, too. */
static void test_the_smallest_turn_ends(void **state)
{
    struct world w;
    struct seen seen = { .w = &w, .answers = true };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_AUTH_VERIFY, handle, &seen), MAILSRV_OK);
    mailsrv_session *works = world_session(&w), *asks = world_session(&w);
    feed(works, "work 1000\r\n");
    feed(asks, "ask\r\n");
    unsigned turns = 0;
    while (mailsrv_engine_turn(w.engine, 1) == MAILSRV_MORE)
        assert_true(++turns < 10000);
    expect(works, "worked\r\n");
    expect(asks, "-500\r\n");
    mailsrv_session_free(works);
    mailsrv_session_free(asks);
    world_end(&w);
}

static void free_session(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    mailsrv_session **s = user;
    mailsrv_session_free(*s);
    *s = NULL;
    assert_int_equal(mailsrv_op_answer_status(engine, op->id, MAILSRV_DENIED), MAILSRV_OK);
}

static void test_a_handler_may_free_the_session_that_asks(void **state)
{
    struct world w;
    mailsrv_session *s = NULL;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_AUTH_VERIFY, free_session, &s), MAILSRV_OK);
    s = world_session(&w);
    feed(s, "ask\r\n");
    assert_int_equal(mailsrv_engine_turn(w.engine, 1000), MAILSRV_OK);
    assert_null(s);
    world_end(&w);
}

struct caller {
    mailsrv_letter letter;
    int delivered;
};

static void drive(mailsrv_engine *engine, mailsrv_letter *letter)
{
    ((struct caller *)(void *)letter)->delivered++;
    assert_int_equal(mailsrv_engine_advance(engine, 1, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_run(engine, 100), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_turn(engine, 100), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_dispatch(engine, 100), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_free(engine, MAILSRV_ABANDON), MAILSRV_E_USAGE);
}

static void test_a_letter_may_not_drive(void **state)
{
    struct world w;
    mailsrv_port port;
    struct caller caller = { .letter = { .deliver = drive } };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_port_open(&port, w.engine, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_port_post(&port, &caller.letter), MAILSRV_OK);
    world_advance(&w, 0);
    assert_int_equal(caller.delivered, 1);
    world_end(&w);
}

/* ---- Kinds ---- */

static void test_kinds_are_served_before_the_first_session(void **state)
{
    struct world w;
    struct seen seen = { .w = &w };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(NULL, MAILSRV_OP_ROWS, NULL, NULL), MAILSRV_E_USAGE);
    static const int32_t unknown[] = { -1, 0, 6, 39, 63, 64, 65, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(mailsrv_engine_serve(w.engine, unknown[i], NULL, NULL), MAILSRV_E_UNKNOWN_KEY);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_RESOLVE, handle, &seen), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_RESOLVE, NULL, NULL), MAILSRV_OK); /* the last word */
    mailsrv_session *s = world_session(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_ROWS, NULL, NULL), MAILSRV_E_USAGE);
    say(&w, s, "pair\r\n");
    answer(&w, next_op(&w, MAILSRV_OP_RESOLVE), MAILSRV_TEMP, NULL);
    answer(&w, next_op(&w, MAILSRV_OP_RESOLVE), MAILSRV_TEMP, NULL);
    mailsrv_session_free(s);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_ROWS, NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_turn(w.engine, 1000), MAILSRV_OK);
    assert_int_equal(seen.calls, 0);
    world_end(&w);
}

static void test_every_kind_has_a_name_of_its_own(void **state)
{
    unsigned kinds = 0;
    (void)state;
    for (int32_t i = -2; i < 70; i++) {
        const char *name = mailsrv_op_name(i);
        if (strcmp(name, "unknown") == 0)
            continue;
        kinds++;
        for (int32_t k = 0; k < i; k++)
            assert_string_not_equal(mailsrv_op_name(k), name);
    }
    assert_true(kinds >= 20);
    assert_string_equal(mailsrv_op_name(MAILSRV_OP_BODY_WRITE), "BODY_WRITE");
    assert_string_equal(mailsrv_op_name(INT32_MIN), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_two_slices_all_others_have_run),
        cmocka_unit_test(test_the_ring_keeps_its_place),
        cmocka_unit_test(test_units_are_kept_to),
        cmocka_unit_test(test_a_feed_starts_64_commands),
        cmocka_unit_test(test_handlers_run_in_a_turn_and_may_not_drive),
        cmocka_unit_test(test_long_work_keeps_nobody_from_an_answer),
        cmocka_unit_test(test_dispatch_hands_over_so_many),
        cmocka_unit_test(test_the_smallest_turn_ends),
        cmocka_unit_test(test_a_handler_may_free_the_session_that_asks),
        cmocka_unit_test(test_a_letter_may_not_drive),
        cmocka_unit_test(test_kinds_are_served_before_the_first_session),
        cmocka_unit_test(test_every_kind_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
