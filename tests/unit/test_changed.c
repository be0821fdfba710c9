/* Notices of what was changed through an engine. */
#include "world.h"

#include <mailsrv/ask.h>

#include <string.h>

enum { GATHERED_AT_LEAST = 4, MANY = 1000 };

static void begin(struct world *w)
{
    world_begin(w);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_NOTICE_CHANGED, NULL, NULL), MAILSRV_OK);
}

static mailsrv_id account_of(uint32_t number)
{
    mailsrv_id id = { { 1 } };
    memcpy(id.b + 4, &number, sizeof number);
    return id;
}

/* An EXPUNGE of the host's own, answered with this modseq. */
static void change(struct world *w, uint32_t number, int32_t status, uint64_t modseq)
{
    mailsrv_asked *asked;
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = 1 };
    mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = modseq };
    mailsrv_id account = account_of(number);
    const mailsrv_op *op = NULL;
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_EXPUNGE, &account, &arg, &asked), MAILSRV_OK);
    while (op == NULL || op->kind != MAILSRV_OP_EXPUNGE)
        assert_int_equal(mailsrv_engine_next_op(w->engine, &op), MAILSRV_OK);
    answer(w, op, status, status == MAILSRV_OK ? &expunged : NULL);
    mailsrv_asked_free(asked);
}

/* Adds a change without taking notices that wait: the question is asked before them. */
static void changes(struct world *w, uint32_t n)
{
    static mailsrv_asked *asked[MANY];
    static const mailsrv_op *ops[MANY];
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = 1 };
    mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = 9 };
    for (uint32_t i = 0; i < n; i++) {
        mailsrv_id account = account_of(i);
        assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_EXPUNGE, &account, &arg, &asked[i]), MAILSRV_OK);
    }
    for (uint32_t i = 0; i < n; i++)
        ops[i] = next_op(w, MAILSRV_OP_EXPUNGE);
    for (uint32_t i = 0; i < n; i++) {
        answer(w, ops[i], MAILSRV_OK, &expunged);
        mailsrv_asked_free(asked[i]);
    }
}

static const mailsrv_arg_changed *next_notice(struct world *w)
{
    const mailsrv_op *op = next_op(w, MAILSRV_NOTICE_CHANGED);
    assert_int_equal(op->id, 0);
    return op->arg;
}

static void test_a_change_is_told(void **state)
{
    struct world w;
    mailsrv_id account = account_of(7);
    (void)state;
    begin(&w);
    no_op(&w);
    change(&w, 7, MAILSRV_OK, 5);
    const mailsrv_arg_changed *changed = next_notice(&w);
    assert_memory_equal(&changed->account, &account, sizeof account);
    assert_int_equal(changed->modseq, 5);
    no_op(&w);
    world_end(&w);
}

static void test_what_changed_nothing_is_not_told(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    change(&w, 7, MAILSRV_OK, 0);
    change(&w, 7, MAILSRV_TEMP, 0);
    no_op(&w);
    world_end(&w);
}

static void test_nobody_is_told_who_did_not_ask(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    change(&w, 7, MAILSRV_OK, 5);
    no_op(&w);
    world_end(&w);
}

/* Changes of one mailbox are gathered: one notice, with the highest. */
static void test_changes_of_one_mailbox_are_gathered(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    mailsrv_asked *asked[3];
    const mailsrv_op *op[3];
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = 1 };
    mailsrv_id account = account_of(7);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mailsrv_ask(w.engine, MAILSRV_OP_EXPUNGE, &account, &arg, &asked[i]), MAILSRV_OK);
    for (int i = 0; i < 3; i++)
        op[i] = next_op(&w, MAILSRV_OP_EXPUNGE);
    for (int i = 0; i < 3; i++) {
        mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = i == 1 ? 20 : 10 };
        answer(&w, op[i], MAILSRV_OK, &expunged);
        mailsrv_asked_free(asked[i]);
    }
    assert_int_equal(next_notice(&w)->modseq, 20);
    no_op(&w);
    world_end(&w);
}

static void test_some_mailboxes_are_kept_apart(void **state)
{
    struct world w;
    mailsrv_id none = { { 0 } };
    (void)state;
    begin(&w);
    changes(&w, GATHERED_AT_LEAST);
    for (int i = 0; i < GATHERED_AT_LEAST; i++)
        assert_memory_not_equal(&next_notice(&w)->account, &none, sizeof none);
    no_op(&w);
    world_end(&w);
}

/* More than the engine keeps apart are one notice that means any; then it begins anew. */
static void test_too_many_are_one_that_means_any(void **state)
{
    struct world w;
    mailsrv_id none = { { 0 } };
    (void)state;
    begin(&w);
    changes(&w, MANY);
    const mailsrv_arg_changed *changed = next_notice(&w);
    assert_memory_equal(&changed->account, &none, sizeof none);
    assert_memory_equal(&changed->mailbox, &none, sizeof none);
    no_op(&w);
    change(&w, 7, MAILSRV_OK, 5);
    assert_memory_not_equal(&next_notice(&w)->account, &none, sizeof none);
    no_op(&w);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_is_told),
        cmocka_unit_test(test_what_changed_nothing_is_not_told),
        cmocka_unit_test(test_nobody_is_told_who_did_not_ask),
        cmocka_unit_test(test_changes_of_one_mailbox_are_gathered),
        cmocka_unit_test(test_some_mailboxes_are_kept_apart),
        cmocka_unit_test(test_too_many_are_one_that_means_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
