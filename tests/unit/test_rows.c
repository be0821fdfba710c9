/* Answers with rows, built row by row. */
#include "world.h"

#include <mailsrv/ask.h>

#include <string.h>

/* A question that the test asks itself; what comes back is what the engine keeps. */
static mailsrv_op_id ask(struct world *w, mailsrv_asked **asked)
{
    static const mailsrv_run all = { 1, UINT32_MAX };
    const mailsrv_arg_rows arg = { .size = sizeof arg, .mbox = 1, .uids = &all, .n_uids = 1, .limit = 1000 };
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_ROWS, NULL, &arg, asked), MAILSRV_OK);
    return next_op(w, MAILSRV_OP_ROWS)->id;
}

static const mailsrv_rows *answered(const mailsrv_asked *asked)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    assert_non_null(answer);
    assert_int_equal(answer->status, MAILSRV_OK);
    return answer->value;
}

static const mailsrv_row *row_at(const mailsrv_rows *rows, size_t i)
{
    return (const mailsrv_row *)(const void *)((const char *)rows->rows + i * rows->stride);
}

static void test_rows_arrive_as_they_were_added(void **state)
{
    struct world w;
    mailsrv_asked *asked;
    mailsrv_rows_builder *builder;
    mailsrv_cursor next = { { 9 } };
    char uidl[] = "id-000";
    (void)state;
    world_begin(&w);
    mailsrv_op_id id = ask(&w, &asked);
    assert_int_equal(mailsrv_rows_new(w.engine, &builder), MAILSRV_OK);
    for (uint32_t i = 1; i <= 100; i++) {
        mailsrv_row row = { .uid = i, .octets = i * 10, .uidl = { (const uint8_t *)uidl, i % 2 == 0 ? 6 : 0 } };
        uidl[5] = (char)('0' + i % 10);
        assert_int_equal(mailsrv_rows_add(builder, &row, sizeof row), MAILSRV_OK);
    }
    memset(uidl, 'x', sizeof uidl); /* they were copied */
    assert_int_equal(mailsrv_rows_answer(builder, id, &next), MAILSRV_OK);
    const mailsrv_rows *rows = answered(asked);
    assert_int_equal(rows->n, 100);
    assert_int_equal(rows->more, 1);
    assert_memory_equal(&rows->next, &next, sizeof next);
    for (uint32_t i = 1; i <= 100; i++) {
        assert_int_equal(row_at(rows, i - 1)->uid, i);
        assert_int_equal(row_at(rows, i - 1)->octets, i * 10);
        assert_int_equal(row_at(rows, i - 1)->uidl.n, i % 2 == 0 ? 6 : 0);
    }
    assert_memory_equal(row_at(rows, 41)->uidl.p, "id-002", 6);
    mailsrv_asked_free(asked);
    world_end(&w);
}

static void test_rows_without_ids(void **state)
{
    struct world w;
    mailsrv_asked *asked;
    mailsrv_rows_builder *builder;
    (void)state;
    world_begin(&w);
    mailsrv_op_id id = ask(&w, &asked);
    assert_int_equal(mailsrv_rows_new(w.engine, &builder), MAILSRV_OK);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(mailsrv_rows_add(builder, &(mailsrv_row){ .uid = i }, sizeof(mailsrv_row)), MAILSRV_OK);
    assert_int_equal(mailsrv_rows_answer(builder, id, NULL), MAILSRV_OK);
    assert_int_equal(answered(asked)->n, 3);
    assert_int_equal(row_at(answered(asked), 2)->uid, 3);
    assert_int_equal(row_at(answered(asked), 2)->uidl.n, 0);
    mailsrv_asked_free(asked);
    world_end(&w);
}

static void test_no_rows_are_rows_too(void **state)
{
    struct world w;
    mailsrv_asked *asked;
    mailsrv_rows_builder *builder;
    (void)state;
    world_begin(&w);
    mailsrv_op_id id = ask(&w, &asked);
    assert_int_equal(mailsrv_rows_new(w.engine, &builder), MAILSRV_OK);
    assert_int_equal(mailsrv_rows_answer(builder, id, NULL), MAILSRV_OK);
    assert_int_equal(answered(asked)->n, 0);
    assert_int_equal(answered(asked)->more, 0);
    mailsrv_asked_free(asked);
    world_end(&w);
}

static void test_a_builder_is_freed_in_every_case(void **state)
{
    struct world w;
    mailsrv_asked *asked;
    mailsrv_rows_builder *builder;
    (void)state;
    world_begin(&w);
    mailsrv_op_id id = ask(&w, &asked);
    uint64_t live = w.heap.live;
    assert_int_equal(mailsrv_rows_new(w.engine, &builder), MAILSRV_OK);
    assert_int_equal(mailsrv_rows_answer(builder, id + 1, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_rows_new(w.engine, &builder), MAILSRV_OK);
    assert_int_equal(mailsrv_op_answer_status(w.engine, id, MAILSRV_TEMP), MAILSRV_OK);
    assert_int_equal(mailsrv_rows_answer(builder, id, NULL), MAILSRV_E_STALE);
    assert_int_equal(mailsrv_rows_new(w.engine, &builder), MAILSRV_OK);
    mailsrv_rows_free(builder);
    mailsrv_rows_free(NULL);
    assert_int_equal(w.heap.live, live);
    mailsrv_asked_free(asked);
    world_end(&w);
}

static void test_rows_answer_rows_alone(void **state)
{
    struct world w;
    mailsrv_asked *asked;
    mailsrv_rows_builder *builder;
    const mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = 1 };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_ask(w.engine, MAILSRV_OP_EXPUNGE, NULL, &arg, &asked), MAILSRV_OK);
    mailsrv_op_id id = next_op(&w, MAILSRV_OP_EXPUNGE)->id;
    assert_int_equal(mailsrv_rows_new(w.engine, &builder), MAILSRV_OK);
    assert_int_equal(mailsrv_rows_answer(builder, id, NULL), MAILSRV_E_USAGE);
    assert_null(mailsrv_asked_answer(asked));
    assert_int_equal(mailsrv_op_answer_status(w.engine, id, MAILSRV_TEMP), MAILSRV_OK);
    mailsrv_asked_free(asked);
    world_end(&w);
}

static void test_wrong_rows_are_refused(void **state)
{
    struct world w;
    mailsrv_rows_builder *builder;
    mailsrv_row row = { .uid = 1 };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_rows_new(NULL, &builder), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_rows_new(w.engine, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_rows_new(w.engine, &builder), MAILSRV_OK);
    assert_int_equal(mailsrv_rows_add(NULL, &row, sizeof row), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_rows_add(builder, NULL, sizeof row), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_rows_add(builder, &row, sizeof row - 1), MAILSRV_E_USAGE);
    row.uidl.n = 1; /* and no bytes */
    assert_int_equal(mailsrv_rows_add(builder, &row, sizeof row), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_rows_answer(NULL, 1, NULL), MAILSRV_E_USAGE);
    mailsrv_rows_free(builder);
    world_end(&w);
}

/* Each allocation fails in turn: what was added before is still there, and nothing is lost. */
static void test_without_memory_a_row_is_not_added(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct world w;
        mailsrv_asked *asked;
        mailsrv_rows_builder *builder = NULL;
        uint32_t added = 0;
        world_begin(&w);
        mailsrv_op_id id = ask(&w, &asked);
        w.heap.fail_first = w.heap.fail_last = w.heap.calls + nth;
        int32_t status = mailsrv_rows_new(w.engine, &builder);
        for (uint32_t i = 1; status == MAILSRV_OK && i <= 40; i++) {
            mailsrv_row row = { .uid = i, .uidl = { (const uint8_t *)"abc", 3 } };
            added += mailsrv_rows_add(builder, &row, sizeof row) == MAILSRV_OK;
        }
        if (status == MAILSRV_OK)
            assert_int_equal(mailsrv_rows_answer(builder, id, NULL), MAILSRV_OK);
        else
            assert_int_equal(mailsrv_op_answer_status(w.engine, id, status), MAILSRV_OK);
        if (status == MAILSRV_OK)
            assert_int_equal(answered(asked)->n, added);
        bool failed = w.heap.failed;
        mailsrv_asked_free(asked);
        world_end(&w);
        if (!failed) {
            assert_true(nth > 4);
            return;
        }
        assert_true(added < 40);
    }
}

/* Rows of another stride, as an older or a newer handler has them, are read by it. */
static void test_rows_of_another_stride(void **state)
{
    struct world w;
    mailsrv_asked *asked;
    struct {
        mailsrv_row row;
        uint64_t more[3];
    } wide[2] = { { .row = { .uid = 4 } }, { .row = { .uid = 9 } } };
    mailsrv_rows value = { .size = sizeof value, .stride = sizeof wide[0], .n = 2, .rows = &wide[0].row };
    (void)state;
    world_begin(&w);
    mailsrv_op_id id = ask(&w, &asked);
    mailsrv_answer a = { .size = sizeof a, .value = &value };
    value.stride = sizeof(mailsrv_row) - 1;
    assert_int_equal(mailsrv_op_answer(w.engine, id, &a), MAILSRV_E_USAGE);
    value.stride = sizeof wide[0];
    value.rows = NULL;
    assert_int_equal(mailsrv_op_answer(w.engine, id, &a), MAILSRV_E_USAGE);
    value.rows = &wide[0].row;
    assert_int_equal(mailsrv_op_answer(w.engine, id, &a), MAILSRV_OK);
    assert_int_equal(row_at(answered(asked), 0)->uid, 4);
    assert_int_equal(row_at(answered(asked), 1)->uid, 9);
    mailsrv_asked_free(asked);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_arrive_as_they_were_added), cmocka_unit_test(test_rows_without_ids),
        cmocka_unit_test(test_no_rows_are_rows_too),           cmocka_unit_test(test_a_builder_is_freed_in_every_case),
        cmocka_unit_test(test_wrong_rows_are_refused),         cmocka_unit_test(test_without_memory_a_row_is_not_added),
        cmocka_unit_test(test_rows_of_another_stride),         cmocka_unit_test(test_rows_answer_rows_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
