/* What is counted beside mailsrv_engine_stat: buckets, commands, operations, faces (mailsrv/stats.h). */
#include "world.h"

#include <mailsrv/auth.h>
#include <mailsrv/stats.h>
#include <mailsrv/store.h>

#include <string.h>

enum { FACE = 1, SAY = 1, ASK = 3, PAIR = 4, COMMANDS = 14 }; /* as the probe's table has them */

static void world_counts(struct world *w, const mailsrv_counting *how)
{
    world_begin(w);
    assert_int_equal(mailsrv_engine_count(w->engine, how), MAILSRV_OK);
}

static mailsrv_tally tally(const struct world *w, int32_t group, int32_t number)
{
    mailsrv_tally t = { .size = sizeof t };
    assert_int_equal(mailsrv_engine_tally(w->engine, group, number, &t), MAILSRV_OK);
    return t;
}

static mailsrv_face_stats face(const struct world *w)
{
    mailsrv_face_stats f = { .size = sizeof f };
    assert_int_equal(mailsrv_engine_face(w->engine, FACE, &f), MAILSRV_OK);
    assert_int_equal(f.sessions, f.shaking + f.resting + f.waiting + f.sending + f.ending);
    return f;
}

static void expect_tally(const mailsrv_tally *t, uint64_t begun, uint64_t open, uint64_t done, uint64_t refused,
                         uint64_t failed, uint64_t dropped)
{
    assert_int_equal(t->begun, begun);
    assert_int_equal(t->open, open);
    assert_int_equal(t->done, done);
    assert_int_equal(t->refused, refused);
    assert_int_equal(t->failed, failed);
    assert_int_equal(t->dropped, dropped);
}

static uint64_t in_bucket(const struct world *w, int32_t group, int32_t number, uint64_t us)
{
    return mailsrv_engine_tally_bucket(w->engine, group, number, mailsrv_bucket(us));
}

/* ---- Buckets ---- */

static const struct {
    uint64_t value;
    uint32_t bucket;
    uint64_t limit;
} edges[] = {
    { 0, 0, 1 },
    { 1, 1, 2 },
    { 3, 3, 4 },
    { 4, 4, 5 },
    { 7, 7, 8 },
    { 8, 8, 10 },
    { 9, 8, 10 },
    { 10, 9, 12 },
    { 15, 11, 16 },
    { 16, 12, 20 },
    { 1000, 35, 1024 },
    { 1024, 36, 1280 },
    { 1000000, 75, 1048576 },
    { UINT64_C(3758096383), 122, UINT64_C(3758096384) },
    { UINT64_C(3758096384), 123, UINT64_MAX },
    { UINT32_MAX, 123, UINT64_MAX },
    { UINT64_C(1) << 32, 123, UINT64_MAX },
    { UINT64_MAX, 123, UINT64_MAX },
};

static void test_edges_of_buckets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        assert_int_equal(mailsrv_bucket(edges[i].value), edges[i].bucket);
        assert_int_equal(mailsrv_bucket_limit(edges[i].bucket), edges[i].limit);
    }
    assert_int_equal(mailsrv_bucket_limit(MAILSRV_BUCKETS), UINT64_MAX);
}

/* No value is in none or in two, and a limit is at most a quarter above the values of its bucket. */
static void test_buckets_follow_each_other(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MAILSRV_BUCKETS - 1; i++) {
        uint64_t limit = mailsrv_bucket_limit(i), first = i == 0 ? 0 : mailsrv_bucket_limit(i - 1);
        assert_true(first < limit);
        assert_int_equal(mailsrv_bucket(first), i);
        assert_int_equal(mailsrv_bucket(limit - 1), i);
        assert_int_equal(mailsrv_bucket(limit), i + 1);
        assert_true(first < 4 || (limit - first) * 4 <= first);
    }
}

/* ---- Commands ---- */

static void test_nothing_is_counted_unless_asked_for(void **state)
{
    struct world w;
    mailsrv_tally t = { .size = sizeof t };
    mailsrv_face_stats f = { .size = sizeof f };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "say 4\r\n");
    expect(s, "xx\r\n");
    assert_int_equal(mailsrv_engine_count(w.engine, NULL), MAILSRV_E_USAGE); /* there was a session */
    assert_int_equal(mailsrv_engine_tally(w.engine, FACE, SAY, &t), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_face(w.engine, FACE, &f), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_tally_bucket(w.engine, FACE, SAY, 0), 0);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_commands_have_names(void **state)
{
    struct world w;
    mailsrv_tally t = { .size = sizeof t };
    (void)state;
    world_counts(&w, NULL);
    assert_int_equal(mailsrv_engine_count(w.engine, NULL), MAILSRV_E_USAGE); /* once */
    assert_int_equal(mailsrv_engine_tally(w.engine, FACE, SAY, &t), MAILSRV_E_UNKNOWN_KEY);
    mailsrv_session *s = world_session(&w);
    assert_string_equal(tally(&w, FACE, 0).name, "?");
    assert_string_equal(tally(&w, FACE, SAY).name, "say");
    assert_string_equal(tally(&w, FACE, COMMANDS).name, "quit");
    assert_string_equal(tally(&w, MAILSRV_TALLY_OPERATIONS, MAILSRV_OP_RESOLVE).name, "RESOLVE");
    static const struct {
        int32_t group, number;
    } none[] = { { FACE, -1 }, { FACE, COMMANDS + 1 }, { -1, 1 }, { 4, 1 }, { 8, 1 }, { 0, 0 }, { 0, -1 }, { 0, 64 } };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(mailsrv_engine_tally(w.engine, none[i].group, none[i].number, &t), MAILSRV_E_UNKNOWN_KEY);
        assert_int_equal(mailsrv_engine_tally_bucket(w.engine, none[i].group, none[i].number, 0), 0);
    }
    t.size = 15;
    assert_int_equal(mailsrv_engine_tally(w.engine, FACE, SAY, &t), MAILSRV_E_USAGE);
    mailsrv_session_free(s);
    world_end(&w);
}

/* Who was built when the struct was shorter gets what he knows. */
static void test_a_short_struct_is_filled_as_far_as_it_reaches(void **state)
{
    struct world w;
    mailsrv_tally t;
    (void)state;
    world_counts(&w, NULL);
    mailsrv_session *s = world_session(&w);
    memset(&t, 0xA5, sizeof t);
    t.size = offsetof(mailsrv_tally, open);
    assert_int_equal(mailsrv_engine_tally(w.engine, FACE, SAY, &t), MAILSRV_OK);
    assert_int_equal(t.begun, 0);
    assert_int_equal(t.open, UINT64_C(0xA5A5A5A5A5A5A5A5));
    mailsrv_session_free(s);
    world_end(&w);
}

/* From the last octet of the command to its reply, in the times of advance. */
static void test_times_are_those_of_advance(void **state)
{
    struct world w;
    (void)state;
    world_counts(&w, NULL);
    mailsrv_session *s = world_session(&w);
    feed(s, "as");
    world_advance(&w, 5000); /* the peer's time */
    feed(s, "k\r\n");
    world_advance(&w, 300);
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    world_advance(&w, 700);
    mailsrv_tally t = tally(&w, FACE, ASK);
    expect_tally(&t, 1, 1, 0, 0, 0, 0);
    answer(&w, op, MAILSRV_DENIED, NULL);
    world_advance(&w, 24);
    run(&w);
    expect(s, "-500\r\n");
    t = tally(&w, FACE, ASK);
    expect_tally(&t, 1, 0, 1, 1, 0, 0);
    assert_int_equal(t.total_us, 1024);
    assert_int_equal(t.most_us, 1024);
    assert_int_equal(in_bucket(&w, FACE, ASK, 1023), 0);
    assert_int_equal(in_bucket(&w, FACE, ASK, 1024), 1);
    t = tally(&w, MAILSRV_TALLY_OPERATIONS, MAILSRV_OP_AUTH_VERIFY);
    expect_tally(&t, 1, 0, 1, 1, 0, 0);
    assert_int_equal(t.total_us, 1000);
    assert_int_equal(in_bucket(&w, MAILSRV_TALLY_OPERATIONS, MAILSRV_OP_AUTH_VERIFY, 1000), 1);
    mailsrv_session_free(s);
    world_end(&w);
}

static int64_t tick(void *user)
{
    int64_t *now_us = user;
    return *now_us += 10;
}

/* Read when the command came, when it asked, when it was answered, and when it was replied to. */
static void test_a_clock_of_the_host_is_finer(void **state)
{
    struct world w;
    int64_t now_us = 0;
    const mailsrv_counting how = { .size = sizeof how, .user = &now_us, .now_us = tick };
    (void)state;
    world_counts(&w, &how);
    mailsrv_session *s = world_session(&w);
    feed(s, "ask\r\n");
    answer(&w, next_op(&w, MAILSRV_OP_AUTH_VERIFY), MAILSRV_TEMP, NULL);
    run(&w);
    expect(s, "-400\r\n");
    assert_int_equal(now_us, 40);
    mailsrv_tally t = tally(&w, FACE, ASK);
    expect_tally(&t, 1, 0, 1, 0, 1, 0);
    assert_int_equal(t.total_us, 30);
    assert_int_equal(tally(&w, MAILSRV_TALLY_OPERATIONS, MAILSRV_OP_AUTH_VERIFY).total_us, 10);
    assert_int_equal(tally(&w, MAILSRV_TALLY_OPERATIONS, MAILSRV_OP_AUTH_VERIFY).failed, 1);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_clock_is_whole(void **state)
{
    struct world w;
    const mailsrv_counting how = { .size = sizeof how - 1, .now_us = tick };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_count(w.engine, &how), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_count(NULL, NULL), MAILSRV_E_USAGE);
    world_end(&w);
}

static void test_each_command_has_its_own(void **state)
{
    struct world w;
    (void)state;
    world_counts(&w, NULL);
    mailsrv_session *s = world_session(&w), *other = world_session(&w);
    say(&w, s, "say 4\r\nsay 4\r\nnonsense\r\n");
    expect(s, "xx\r\nxx\r\nwhat?\r\n");
    say(&w, other, "say 4\r\n");
    expect(other, "xx\r\n");
    mailsrv_tally t = tally(&w, FACE, SAY), none = tally(&w, FACE, 0);
    expect_tally(&t, 3, 0, 3, 0, 0, 0);
    expect_tally(&none, 1, 0, 1, 1, 0, 0);
    assert_int_equal(in_bucket(&w, FACE, SAY, 0), 3);
    say(&w, s, "quit\r\n"); /* what ends the session is done */
    t = tally(&w, FACE, COMMANDS);
    expect_tally(&t, 1, 0, 1, 0, 0, 0);
    mailsrv_session_free(s);
    mailsrv_session_free(other);
    world_end(&w);
}

/* The operation vanishes with the session when nobody has taken it, and else is answered all the same. */
static void test_what_a_session_leaves_behind(void **state)
{
    struct world w;
    (void)state;
    world_counts(&w, NULL);
    mailsrv_session *s = world_session(&w), *other = world_session(&w);
    feed(s, "ask\r\n");
    mailsrv_session_free(s);
    mailsrv_tally t = tally(&w, FACE, ASK);
    expect_tally(&t, 1, 0, 0, 0, 0, 1);
    t = tally(&w, MAILSRV_TALLY_OPERATIONS, MAILSRV_OP_AUTH_VERIFY);
    expect_tally(&t, 1, 0, 0, 0, 0, 1);
    feed(other, "ask\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    mailsrv_session_free(other);
    t = tally(&w, MAILSRV_TALLY_OPERATIONS, MAILSRV_OP_AUTH_VERIFY);
    expect_tally(&t, 2, 1, 0, 0, 0, 1);
    answer(&w, op, MAILSRV_DENIED, NULL);
    t = tally(&w, MAILSRV_TALLY_OPERATIONS, MAILSRV_OP_AUTH_VERIFY);
    expect_tally(&t, 2, 0, 1, 1, 0, 1);
    t = tally(&w, FACE, ASK);
    expect_tally(&t, 2, 0, 0, 0, 0, 2);
    world_end(&w);
}

/* ---- Faces ---- */

static void test_sessions_by_state(void **state)
{
    struct world w;
    (void)state;
    world_counts(&w, NULL);
    mailsrv_session *rests = world_session(&w), *waits = world_session(&w), *ends = world_session(&w);
    say(&w, waits, "ask\r\n");
    say(&w, ends, "quit\r\n");
    mailsrv_face_stats f = face(&w);
    assert_int_equal(f.sessions, 3);
    assert_int_equal(f.resting, 1);
    assert_int_equal(f.waiting, 1);
    assert_int_equal(f.ending, 1);
    assert_int_equal(f.began, 3);
    assert_int_equal(f.octets_in, strlen("ask\r\nquit\r\n"));
    assert_int_equal(f.octets_out, 3 * strlen("hello\r\n"));
    expect(ends, "bye\r\n");
    mailsrv_session_free(ends);
    mailsrv_session_free(rests);
    f = face(&w);
    assert_int_equal(f.sessions, 1);
    assert_int_equal(f.began, 3);
    assert_int_equal(f.octets_in, strlen("ask\r\nquit\r\n"));
    assert_int_equal(f.octets_out, 3 * strlen("hello\r\n") + strlen("bye\r\n"));
    answer(&w, next_op(&w, MAILSRV_OP_AUTH_VERIFY), MAILSRV_OK, &(mailsrv_identity){ .size = sizeof(mailsrv_identity) });
    run(&w);
    say(&w, waits, "say 100000\r\n"); /* more than the window has room for */
    assert_int_equal(face(&w).sending, 1);
    mailsrv_session_free(waits);
    world_end(&w);
}

/* ---- Memory ---- */

/* All that is counted is charged, and a class each holds it all. */
static void test_classes_are_all_there_is(void **state)
{
    struct world w;
    (void)state;
    world_counts(&w, NULL);
    mailsrv_session *s = world_session(&w);
    uint64_t before = mailsrv_engine_stat(w.engine, MAILSRV_STAT_ENGINE_OCTETS);
    say(&w, s, "say 4\r\n");
    expect(s, "xx\r\n");
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_ENGINE_OCTETS) - before,
                     MAILSRV_BUCKETS * sizeof(uint64_t));
    say(&w, s, "say 4\r\n");
    say(&w, s, "ask\r\n"); /* output that nobody takes, and an operation */
    static const int32_t classes[] = { MAILSRV_STAT_ENGINE_OCTETS, MAILSRV_STAT_SESSIONS_OCTETS,
                                       MAILSRV_STAT_OUTPUT_OCTETS, MAILSRV_STAT_OPS_OCTETS,
                                       MAILSRV_STAT_BODIES_OCTETS, MAILSRV_STAT_IMAGES_OCTETS };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        sum += mailsrv_engine_stat(w.engine, classes[i]);
    assert_int_equal(sum, mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY));
    mailsrv_session_free(s);
    world_end(&w);
}

/* Each allocation fails in turn: counting does not begin, or a session does not, or it ends, or buckets stay empty. */
static void test_every_allocation_may_fail(void **state)
{
    enum { WORK = 2 };
    static const uint8_t line[] = "work 1\r\n";
    unsigned without_buckets = 0;
    bool failed = true;
    (void)state;
    for (uint64_t nth = 1; failed; nth++) {
        struct world w;
        mailsrv_session *s = NULL;
        size_t consumed;
        world_begin(&w);
        w.heap.fail_first = w.heap.fail_last = w.heap.calls + nth;
        if (mailsrv_engine_count(w.engine, NULL) == MAILSRV_OK &&
            mailsrv_server_new(w.engine, w.profile, NULL, NULL, &s) == MAILSRV_OK) {
            for (int i = 0; i < 2; i++)
                mailsrv_session_feed(s, line, sizeof line - 1, &consumed);
            mailsrv_tally t = tally(&w, FACE, WORK);
            uint64_t in_buckets = in_bucket(&w, FACE, WORK, 0);
            assert_int_equal(t.begun, t.done + t.dropped);
            assert_true(in_buckets == t.done || in_buckets == 0);
            without_buckets += in_buckets != t.done;
        }
        failed = w.heap.failed;
        mailsrv_session_free(s);
        world_end(&w);
    }
    assert_int_equal(without_buckets, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges_of_buckets),
        cmocka_unit_test(test_buckets_follow_each_other),
        cmocka_unit_test(test_nothing_is_counted_unless_asked_for),
        cmocka_unit_test(test_commands_have_names),
        cmocka_unit_test(test_a_short_struct_is_filled_as_far_as_it_reaches),
        cmocka_unit_test(test_times_are_those_of_advance),
        cmocka_unit_test(test_a_clock_of_the_host_is_finer),
        cmocka_unit_test(test_a_clock_is_whole),
        cmocka_unit_test(test_each_command_has_its_own),
        cmocka_unit_test(test_what_a_session_leaves_behind),
        cmocka_unit_test(test_sessions_by_state),
        cmocka_unit_test(test_classes_are_all_there_is),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
