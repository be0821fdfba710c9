/* Output: slices stay where and what they are until they were sent, the window holds a session back, edges are told. */
#include "world.h"

#include <string.h>

static void test_slices_stay_until_sent(void **state)
{
    struct world w;
    mailsrv_out first[4], v[4];
    size_t count, n = 0;
    char copy[8];
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "what\r\n");
    assert_int_equal(mailsrv_session_output(s, first, 4, &count), MAILSRV_OK);
    assert_int_equal(count, 1);
    assert_int_equal(first[0].n, 7);
    memcpy(copy, first[0].p, 7);
    for (int i = 0; i < 40; i++) /* so much that it needs more chunks */
        say(&w, s, "say 100\r\n");
    assert_int_equal(mailsrv_session_output(s, v, 4, &count), MAILSRV_OK);
    assert_true(count > 1);
    assert_ptr_equal(v[0].p, first[0].p);
    assert_memory_equal(v[0].p, copy, 7);
    for (size_t i = 0; i < count; i++)
        n += v[i].n;
    assert_true(n <= 7 + 40 * 100);
    assert_int_equal(mailsrv_session_sent(s, 3), MAILSRV_OK);
    assert_int_equal(mailsrv_session_output(s, v, 1, &count), MAILSRV_OK);
    assert_int_equal(count, 1);
    assert_ptr_equal(v[0].p, first[0].p + 3); /* it begins at the first byte not yet sent */
    assert_int_equal(mailsrv_session_output(s, v, 0, &count), MAILSRV_OK);
    assert_int_equal(count, 0);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_sent_is_never_more_than_there_is(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    assert_int_equal(mailsrv_session_sent(s, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_sent(s, 0), MAILSRV_OK);
    say(&w, s, "say 10\r\n");
    assert_int_equal(mailsrv_session_sent(s, 11), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_sent(s, SIZE_MAX), MAILSRV_E_USAGE);
    expect(s, "xxxxxxxx\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_the_window_holds_a_session_back(void **state)
{
    struct world w;
    mailsrv_info info = { .size = sizeof info };
    (void)state;
    world_begin(&w);
    mailsrv_profile *p = world_profile(&w);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_WINDOW_OCTETS, 1024), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    mailsrv_session *s = world_session(&w);
    size_t consumed = 0;
    const char text[] = "say 700\r\nsay 700\r\nsay 700\r\n";
    assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)text, sizeof text - 1, &consumed), MAILSRV_OK);
    assert_int_equal(consumed, 18); /* two of the three */
    assert_int_equal(mailsrv_session_wants(s) & MAILSRV_WANT_READ, 0);
    assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)"x", 1, &consumed), MAILSRV_OK);
    assert_int_equal(consumed, 0);
    assert_int_equal(mailsrv_session_sent(s, 1400), MAILSRV_OK);
    assert_int_equal(mailsrv_session_wants(s) & MAILSRV_WANT_READ, MAILSRV_WANT_READ);
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_OK);
    assert_int_equal(info.octets_in, 18);
    assert_int_equal(info.octets_out, 7 + 1400);
    assert_int_equal(info.commands, 2);
    mailsrv_session_free(s);
    world_end(&w);
}

static mailsrv_session *ready(struct world *w)
{
    mailsrv_session *s = NULL;
    int32_t status = mailsrv_engine_next_ready(w->engine, &s);
    assert_true((status == MAILSRV_OK) == (s != NULL));
    return s;
}

static void test_edges_are_told_once(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = NULL;
    assert_int_equal(mailsrv_server_new(w.engine, w.profile, NULL, &w, &s), MAILSRV_OK);
    assert_ptr_equal(ready(&w), s); /* its greeting */
    assert_null(ready(&w));
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_READ | MAILSRV_WANT_WRITE);
    feed(s, "say 10\r\n");
    assert_null(ready(&w)); /* there was output already */
    expect(s, "hello\r\nxxxxxxxx\r\n");
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_READ);
    assert_null(ready(&w));
    feed(s, "say 10\r\n");
    assert_ptr_equal(ready(&w), s); /* output where none was */
    expect(s, "xxxxxxxx\r\n");
    feed(s, "ask\r\n");
    assert_int_equal(mailsrv_session_wants(s), 0);
    assert_null(ready(&w)); /* a bit that falls is no edge */
    answer(&w, next_op(&w, MAILSRV_OP_AUTH_VERIFY), MAILSRV_TEMP, NULL);
    assert_null(ready(&w)); /* an answer runs no protocol code */
    run(&w);
    assert_ptr_equal(ready(&w), s);
    expect(s, "-400\r\n");
    feed(s, "quit\r\n");
    assert_ptr_equal(ready(&w), s);
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_WRITE);
    expect(s, "bye\r\n");
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    assert_ptr_equal(ready(&w), s);
    assert_null(ready(&w));
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_freed_session_is_not_ready(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *a = world_session(&w), *b = world_session(&w);
    feed(a, "say 10\r\n");
    feed(b, "say 10\r\n");
    mailsrv_session_free(a);
    assert_ptr_equal(ready(&w), b);
    assert_null(ready(&w));
    mailsrv_session_free(b);
    world_end(&w);
}

/* What has ended takes nothing more, and sends what it has. */
static void test_an_ended_session_takes_nothing(void **state)
{
    struct world w;
    size_t consumed = 5;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    const char text[] = "quit\r\nsay 10\r\n";
    assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)text, sizeof text - 1, &consumed), MAILSRV_OK);
    assert_int_equal(consumed, 6);
    assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)text + 6, 8, &consumed), MAILSRV_E_CLOSED);
    assert_int_equal(consumed, 0);
    assert_int_equal(mailsrv_session_feed_eof(s), MAILSRV_OK);
    assert_int_equal(mailsrv_session_shutdown(s), MAILSRV_OK);
    expect(s, "bye\r\n");
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    mailsrv_session_free(s);
    world_end(&w);
}

/* Where not even a refusal finds room, a static word is the last one. */
static void test_without_memory_the_last_word_is_static(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    w.heap.fail_first = w.heap.calls + 1;
    w.heap.fail_last = UINT64_MAX;
    feed(s, "say 10\r\n");
    expect(s, "full\r\n");
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    w.heap.fail_first = 0;
    mailsrv_session_free(s);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_stay_until_sent),
        cmocka_unit_test(test_sent_is_never_more_than_there_is),
        cmocka_unit_test(test_the_window_holds_a_session_back),
        cmocka_unit_test(test_edges_are_told_once),
        cmocka_unit_test(test_a_freed_session_is_not_ready),
        cmocka_unit_test(test_an_ended_session_takes_nothing),
        cmocka_unit_test(test_without_memory_the_last_word_is_static),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
