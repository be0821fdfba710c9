/* Bodies on their way into the store: chunks, backpressure, failures, and what is closed when. */
#include "world.h"

#include <mailsrv/store.h>

#include <string.h>

static const mailsrv_body_begun begun = { .size = sizeof begun, .body = 3 };

/* Begins a body and returns when its first operation is answered. */
static void begin(struct world *w, mailsrv_session *s, const char *command)
{
    feed(s, command);
    answer(w, next_op(w, MAILSRV_OP_BODY_BEGIN), MAILSRV_OK, &begun);
    run(w);
}

static const mailsrv_op *next_write(struct world *w, uint64_t offset, size_t n)
{
    const mailsrv_op *op = next_op(w, MAILSRV_OP_BODY_WRITE);
    const mailsrv_arg_body_write *arg = op->arg;
    assert_int_equal(arg->body, 3);
    assert_int_equal(arg->offset, offset);
    assert_int_equal(arg->octets.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(arg->octets.p[i], 'y');
    return op;
}

static void close_body(struct world *w)
{
    const mailsrv_op *op = next_op(w, MAILSRV_OP_BODY_CLOSE);
    assert_int_equal(((const mailsrv_arg_close *)op->arg)->handle, 3);
    answer(w, op, MAILSRV_OK, NULL);
    no_op(w);
}

static void test_one_write_is_out_at_a_time(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    begin(&w, s, "put 10000\r\n");
    const mailsrv_op *op = next_write(&w, 0, 4096);
    no_op(&w); /* the next chunk fills, and is not written yet */
    answer(&w, op, MAILSRV_OK, NULL);
    run(&w);
    answer(&w, next_write(&w, 4096, 4096), MAILSRV_OK, NULL);
    run(&w);
    answer(&w, next_write(&w, 8192, 1808), MAILSRV_OK, NULL);
    run(&w);
    expect(s, "0\r\n");
    close_body(&w);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_an_empty_body_is_not_written(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    begin(&w, s, "put 0\r\n");
    expect(s, "0\r\n");
    close_body(&w);
    mailsrv_session_free(s);
    world_end(&w);
}

/* Two chunks at most, each of which grows with the body. */
static void test_chunks_grow_and_are_bounded(void **state)
{
    struct world w;
    mailsrv_info info = { .size = sizeof info };
    uint64_t offset = 0;
    size_t largest = 0;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    begin(&w, s, "put 2000000\r\n");
    while (offset < 2000000) {
        const mailsrv_op *op = next_op(&w, MAILSRV_OP_BODY_WRITE);
        const mailsrv_arg_body_write *arg = op->arg;
        assert_int_equal(arg->offset, offset);
        offset += arg->octets.n;
        assert_true(arg->octets.n >= largest || offset == 2000000);
        if (arg->octets.n > largest)
            largest = arg->octets.n;
        answer(&w, op, MAILSRV_OK, NULL);
        run(&w);
    }
    assert_int_equal(largest, 32 * 1024);
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_OK);
    assert_true(info.memory_peak < 3 * 33 * 1024);
    expect(s, "0\r\n");
    close_body(&w);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_failed_write_is_told_once_and_nothing_more_is_written(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    begin(&w, s, "put 100000\r\n");
    answer(&w, next_write(&w, 0, 4096), MAILSRV_OVERQUOTA, NULL);
    run(&w);
    expect(s, "-403\r\n");
    close_body(&w);
    mailsrv_session_free(s);
    world_end(&w);
}

/* With memory for no second chunk it goes more slowly, never wrong. */
static void test_little_memory_slows_a_body_down(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    feed(s, "put 50000\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_BODY_BEGIN);
    w.heap.fail_first = w.heap.calls + 1; /* the smallest chunk is reserved by now */
    w.heap.fail_last = UINT64_MAX;
    answer(&w, op, MAILSRV_OK, &begun);
    run(&w);
    uint64_t offset = 0;
    while (offset < 50000) {
        op = next_op(&w, MAILSRV_OP_BODY_WRITE);
        const mailsrv_arg_body_write *arg = op->arg;
        assert_int_equal(arg->offset, offset);
        offset += arg->octets.n;
        answer(&w, op, MAILSRV_OK, NULL);
        run(&w);
    }
    assert_true(w.heap.failed);
    w.heap.fail_first = 0;
    run(&w);
    close_body(&w);
    mailsrv_session_free(s);
    world_end(&w);
}

/* The session goes while a write is out: the body is closed behind it, not beside it. */
static void test_a_body_is_closed_behind_its_write(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    begin(&w, s, "put 10000\r\n");
    const mailsrv_op *op = next_write(&w, 0, 4096);
    mailsrv_session_free(s);
    no_op(&w);
    for (size_t i = 0; i < 4096; i++) /* its octets live until the answer */
        assert_int_equal(((const mailsrv_arg_body_write *)op->arg)->octets.p[i], 'y');
    answer(&w, op, MAILSRV_OK, NULL);
    close_body(&w);
    world_end(&w);
}

static void test_a_session_gone_before_begin_is_answered(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        struct world w;
        world_begin(&w);
        mailsrv_session *s = world_session(&w);
        feed(s, "put 10000\r\n");
        const mailsrv_op *op = next_op(&w, MAILSRV_OP_BODY_BEGIN);
        mailsrv_session_free(s);
        no_op(&w);
        answer(&w, op, refused ? MAILSRV_TEMP : MAILSRV_OK, refused ? NULL : &begun);
        if (!refused)
            close_body(&w);
        world_end(&w);
    }
}

/* A write that timed out keeps its place: until it is answered, further ones of its session are refused at once. */
static void test_while_a_write_is_late_the_next_is_refused(void **state)
{
    struct world w;
    mailsrv_body_begun next = { .size = sizeof next, .body = 4 };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    begin(&w, s, "put 100\r\n");
    const mailsrv_op *late = next_write(&w, 0, 100);
    world_advance(&w, 0);
    world_advance(&w, 300000000);
    run(&w);
    expect(s, "-400\r\n");
    no_op(&w); /* the body is closed when the write is answered */
    static const char *const commands[] = { "put 10000\r\n", "put 100\r\n", "put 0\r\n" };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        feed(s, commands[i]);
        answer(&w, next_op(&w, MAILSRV_OP_BODY_BEGIN), MAILSRV_OK, &next);
        run(&w);
        expect(s, "-400\r\n");
        const mailsrv_op *op = next_op(&w, MAILSRV_OP_BODY_CLOSE);
        assert_int_equal(((const mailsrv_arg_close *)op->arg)->handle, 4);
        answer(&w, op, MAILSRV_OK, NULL);
        no_op(&w);
    }
    answer(&w, late, MAILSRV_OK, NULL);
    close_body(&w);
    begin(&w, s, "put 100\r\n");
    answer(&w, next_write(&w, 0, 100), MAILSRV_OK, NULL);
    run(&w);
    expect(s, "0\r\n");
    close_body(&w);
    mailsrv_session_free(s);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_write_is_out_at_a_time),
        cmocka_unit_test(test_an_empty_body_is_not_written),
        cmocka_unit_test(test_chunks_grow_and_are_bounded),
        cmocka_unit_test(test_a_failed_write_is_told_once_and_nothing_more_is_written),
        cmocka_unit_test(test_little_memory_slows_a_body_down),
        cmocka_unit_test(test_a_body_is_closed_behind_its_write),
        cmocka_unit_test(test_a_session_gone_before_begin_is_answered),
        cmocka_unit_test(test_while_a_write_is_late_the_next_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
