/* Answers: settled once, checked whole, lent bytes released once. */
#include "world.h"

#include <mailsrv/store.h>

#include <string.h>

static void count_release(void *user)
{
    ++*(int *)user;
}

static int32_t lend(struct world *w, mailsrv_op_id id, int32_t status, const void *value, int *released)
{
    const mailsrv_answer a = { .size = sizeof a,
                               .status = status,
                               .value = value,
                               .release = count_release,
                               .user = released };
    return mailsrv_op_answer(w->engine, id, &a);
}

static void test_an_answer_settles_once(void **state)
{
    struct world w;
    int released = 0;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "ask\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    mailsrv_op_id id = op->id;
    assert_int_equal(mailsrv_op_answer_status(w.engine, id, MAILSRV_DENIED), MAILSRV_OK);
    assert_int_equal(mailsrv_op_answer_status(w.engine, id, MAILSRV_OK), MAILSRV_E_STALE);
    assert_int_equal(lend(&w, id, MAILSRV_TEMP, NULL, &released), MAILSRV_E_STALE);
    assert_int_equal(released, 1);
    run(&w);
    expect(s, "-500\r\n");
    assert_int_equal(mailsrv_op_answer_status(w.engine, id, MAILSRV_TEMP), MAILSRV_E_STALE);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_unknown_ids_are_refused(void **state)
{
    struct world w;
    int released = 0;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    assert_int_equal(mailsrv_op_answer_status(w.engine, 0, MAILSRV_OK), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_op_answer_status(w.engine, 1, MAILSRV_OK), MAILSRV_E_USAGE);
    say(&w, s, "ask\r\n");
    assert_int_equal(lend(&w, 1, MAILSRV_TEMP, NULL, &released), MAILSRV_E_USAGE); /* queued, taken by nobody */
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    assert_int_equal(lend(&w, op->id + 1, MAILSRV_TEMP, NULL, &released), MAILSRV_E_USAGE);
    assert_int_equal(lend(&w, UINT64_MAX, MAILSRV_TEMP, NULL, &released), MAILSRV_E_USAGE);
    assert_int_equal(released, 0); /* nothing happened: the bytes are still the host's */
    answer(&w, op, MAILSRV_TEMP, NULL);
    run(&w);
    expect(s, "-400\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_half_answers_are_refused(void **state)
{
    struct world w;
    mailsrv_identity identity = { .size = sizeof identity };
    mailsrv_identity small = { .size = sizeof small - 1 };
    mailsrv_answer a = { .size = sizeof a - 1, .value = &identity };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "ask\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    assert_int_equal(mailsrv_op_answer(w.engine, op->id, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_op_answer(NULL, op->id, &a), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_op_answer(w.engine, op->id, &a), MAILSRV_E_USAGE);
    a.size = sizeof a;
    a.value = &small;
    assert_int_equal(mailsrv_op_answer(w.engine, op->id, &a), MAILSRV_E_USAGE);
    a.value = NULL;
    assert_int_equal(mailsrv_op_answer(w.engine, op->id, &a), MAILSRV_E_USAGE);
    a.text.n = 3; /* and no bytes */
    a.value = &identity;
    assert_int_equal(mailsrv_op_answer(w.engine, op->id, &a), MAILSRV_E_USAGE);
    a.text.n = 0;
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_OUT), 1);
    assert_int_equal(mailsrv_op_answer(w.engine, op->id, &a), MAILSRV_OK);
    run(&w);
    expect(s, "0\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_handle_must_be_given(void **state)
{
    struct world w;
    mailsrv_store_opened opened = { .size = sizeof opened };
    mailsrv_answer a = { .size = sizeof a, .value = &opened };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "hold\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_STORE_OPEN);
    assert_int_equal(mailsrv_op_answer(w.engine, op->id, &a), MAILSRV_E_USAGE); /* its handle is 0 */
    opened.store = 7;
    assert_int_equal(mailsrv_op_answer(w.engine, op->id, &a), MAILSRV_OK);
    run(&w);
    expect(s, "0\r\n");
    mailsrv_session_free(s);
    op = next_op(&w, MAILSRV_OP_STORE_CLOSE);
    assert_int_equal(((const mailsrv_arg_close *)op->arg)->handle, 7);
    answer(&w, op, MAILSRV_CORRUPT, NULL); /* which is not looked at */
    world_end(&w);
}

static void test_a_status_that_is_none_is_temp(void **state)
{
    static const int32_t wrong[] = { MAILSRV_MORE, MAILSRV_E_USAGE, MAILSRV_E_STALE, -201, -399, -406, -499, -507, 77 };
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        say(&w, s, "ask\r\n");
        assert_int_equal(mailsrv_op_answer_status(w.engine, next_op(&w, MAILSRV_OP_AUTH_VERIFY)->id, wrong[i]),
                         MAILSRV_OK);
        run(&w);
        expect(s, "-400\r\n");
    }
    mailsrv_session_free(s);
    world_end(&w);
}

/* A step that asks two waits for both, in whatever order they come, and has them in the order of asking. */
static void test_the_order_of_answers_does_not_show(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    for (int i = 0; i < 2; i++) {
        say(&w, s, "pair\r\n");
        const mailsrv_op *a = next_op(&w, MAILSRV_OP_RESOLVE), *b = next_op(&w, MAILSRV_OP_RESOLVE);
        no_op(&w);
        assert_memory_equal(((const mailsrv_arg_resolve *)a->arg)->address.p, "a", 1);
        answer(&w, i == 0 ? a : b, i == 0 ? MAILSRV_FULL : MAILSRV_LIMIT, NULL);
        run(&w);
        expect(s, "");
        answer(&w, i == 0 ? b : a, i == 0 ? MAILSRV_LIMIT : MAILSRV_FULL, NULL);
        run(&w);
        expect(s, "-401\r\n-402\r\n");
    }
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_records_carry_whose_they_are(void **state)
{
    struct world w;
    mailsrv_info info = { .size = sizeof info };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "ask\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    const mailsrv_arg_auth_verify *arg = op->arg;
    assert_int_equal(mailsrv_session_info(s, &info), MAILSRV_OK);
    assert_int_equal(op->size, sizeof *op);
    assert_int_equal(op->session_id, info.id);
    assert_ptr_equal(op->host, &w);
    assert_int_equal(arg->size, sizeof *arg);
    const uint8_t *password = arg->password.p;
    assert_memory_equal(password, "secret", 6);
    answer(&w, op, MAILSRV_TEMP, NULL);
    assert_memory_not_equal(password, "secret", 6); /* wiped when it is settled, and freed with the next step */
    run(&w);
    expect(s, "-400\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_lent_octets_are_released_when_they_were_sent(void **state)
{
    struct world w;
    static uint8_t octets[1000];
    int released = 0;
    mailsrv_read_bytes bytes = { .size = sizeof bytes, .octets = { octets, sizeof octets } };
    mailsrv_out v[4];
    size_t count;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    memset(octets, 'm', sizeof octets);
    say(&w, s, "read 1000\r\n");
    assert_int_equal(lend(&w, next_op(&w, MAILSRV_OP_READ)->id, MAILSRV_OK, &bytes, &released), MAILSRV_OK);
    run(&w);
    assert_int_equal(mailsrv_session_output(s, v, 4, &count), MAILSRV_OK);
    assert_ptr_equal(v[0].p, octets); /* not copied */
    assert_int_equal(mailsrv_session_sent(s, 999), MAILSRV_OK);
    assert_int_equal(released, 0);
    assert_int_equal(mailsrv_session_sent(s, 1), MAILSRV_OK);
    assert_int_equal(released, 1);
    expect(s, "\r\n");
    mailsrv_session_free(s);
    world_end(&w);
    assert_int_equal(released, 1);
}

static void test_lent_octets_of_a_session_that_goes(void **state)
{
    static uint8_t octets[1000];
    mailsrv_read_bytes bytes = { .size = sizeof bytes, .octets = { octets, sizeof octets } };
    (void)state;
    for (int gone_first = 0; gone_first < 2; gone_first++) {
        struct world w;
        int released = 0;
        world_begin(&w);
        mailsrv_session *s = world_session(&w);
        say(&w, s, "read 1000\r\n");
        const mailsrv_op *op = next_op(&w, MAILSRV_OP_READ);
        if (gone_first)
            mailsrv_session_free(s);
        assert_int_equal(lend(&w, op->id, MAILSRV_OK, &bytes, &released), MAILSRV_OK);
        run(&w);
        if (!gone_first)
            mailsrv_session_free(s);
        assert_int_equal(released, 1);
        world_end(&w);
    }
}

/* Without a release, all is copied before the call returns. */
static void test_what_is_not_lent_is_copied(void **state)
{
    struct world w;
    uint8_t octets[1000];
    mailsrv_read_bytes bytes = { .size = sizeof bytes, .octets = { octets, sizeof octets } };
    mailsrv_out v[4];
    size_t count;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    memset(octets, 'm', sizeof octets);
    say(&w, s, "read 1000\r\n");
    answer(&w, next_op(&w, MAILSRV_OP_READ), MAILSRV_OK, &bytes);
    memset(octets, 'x', sizeof octets);
    run(&w);
    assert_int_equal(mailsrv_session_output(s, v, 4, &count), MAILSRV_OK);
    assert_int_equal(v[0].n, sizeof octets);
    assert_int_equal(v[0].p[999], 'm');
    assert_int_equal(mailsrv_session_sent(s, 1002), MAILSRV_OK);
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_a_copy_without_memory_is_nomem(void **state)
{
    struct world w;
    uint8_t octets[1000] = { 0 };
    mailsrv_read_bytes bytes = { .size = sizeof bytes, .octets = { octets, sizeof octets } };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "read 1000\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_READ);
    w.heap.fail_first = w.heap.fail_last = w.heap.calls + 1;
    answer(&w, op, MAILSRV_OK, &bytes); /* settled all the same */
    run(&w);
    expect(s, "-200\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

/* A notice owes nothing, and a write is never cancelled. */
static void test_what_nobody_waits_for_is_cancelled(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_NOTICE_CANCEL, NULL, NULL), MAILSRV_OK);
    mailsrv_session *s = world_session(&w), *writer = world_session(&w);
    say(&w, s, "ask\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    say(&w, writer, "expunge\r\n");
    const mailsrv_op *write = next_op(&w, MAILSRV_OP_EXPUNGE);
    mailsrv_session_free(s);
    mailsrv_session_free(writer);
    const mailsrv_op *notice = next_op(&w, MAILSRV_NOTICE_CANCEL);
    const mailsrv_arg_cancel *arg = notice->arg;
    assert_int_equal(notice->id, 0);
    assert_int_equal(arg->id, op->id);
    assert_int_equal(arg->kind, MAILSRV_OP_AUTH_VERIFY);
    assert_int_equal(mailsrv_op_answer_status(w.engine, notice->id, MAILSRV_OK), MAILSRV_E_USAGE);
    no_op(&w);
    answer(&w, op, MAILSRV_TEMP, NULL);
    answer(&w, write, MAILSRV_TEMP, NULL);
    world_end(&w);
}

static void test_what_was_not_taken_vanishes(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "ask\r\n");
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_QUEUED), 1);
    mailsrv_session_free(s);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_QUEUED), 0);
    no_op(&w);
    world_end(&w);
}

/* What was told to be gone is not asked; what changes the store is done, though its session has gone. */
static void test_a_write_that_was_not_taken_stays(void **state)
{
    struct world w;
    mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = 3 };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "expunge\r\n");
    mailsrv_session_free(s);
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_EXPUNGE);
    assert_null(op->host); /* what it points to may have gone with the session */
    answer(&w, op, MAILSRV_OK, &expunged);
    world_end(&w);
}

/* A store knows only that each handle that it gave is closed once: also where the octets beside it found no memory. */
static void refuse_a_copy(bool session_goes)
{
    struct world w;
    const mailsrv_read_bytes bytes = {
        .size = sizeof bytes, .handle = 7, .octets = { (const uint8_t *)"0123456789", 10 }
    };
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "read 10\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_READ);
    if (session_goes)
        mailsrv_session_free(s);
    w.heap.fail_first = w.heap.calls + 1;
    w.heap.fail_last = w.heap.calls + 1;
    answer(&w, op, MAILSRV_OK, &bytes);
    assert_true(w.heap.failed);
    run(&w);
    op = next_op(&w, MAILSRV_OP_READ_CLOSE);
    assert_int_equal(((const mailsrv_arg_close *)op->arg)->handle, 7);
    answer(&w, op, MAILSRV_OK, NULL);
    if (!session_goes)
        mailsrv_session_free(s);
    no_op(&w);
    world_end(&w);
}

static void test_a_handle_beside_a_copy_without_memory_is_closed(void **state)
{
    (void)state;
    refuse_a_copy(false);
    refuse_a_copy(true);
}

/* What was never taken may be taken yet, and uses the handles of its session: none is closed under it. */
static void test_a_write_that_is_late_before_it_was_taken(void **state)
{
    struct world w;
    const mailsrv_store_opened opened = { .size = sizeof opened, .store = 5 };
    const mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = 3 };
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "hold\r\n");
    answer(&w, next_op(&w, MAILSRV_OP_STORE_OPEN), MAILSRV_OK, &opened);
    run(&w);
    expect(s, "0\r\n");
    say(&w, s, "expunge\r\n");
    world_advance(&w, 0);
    world_advance(&w, INT64_C(301000000));
    run(&w);
    expect(s, "-400\r\n");
    say(&w, s, "drop\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_EXPUNGE);
    no_op(&w);
    mailsrv_session_free(s);
    no_op(&w);
    answer(&w, op, MAILSRV_OK, &expunged);
    op = next_op(&w, MAILSRV_OP_STORE_CLOSE);
    answer(&w, op, MAILSRV_OK, NULL);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_settles_once),
        cmocka_unit_test(test_unknown_ids_are_refused),
        cmocka_unit_test(test_half_answers_are_refused),
        cmocka_unit_test(test_a_handle_must_be_given),
        cmocka_unit_test(test_a_status_that_is_none_is_temp),
        cmocka_unit_test(test_the_order_of_answers_does_not_show),
        cmocka_unit_test(test_records_carry_whose_they_are),
        cmocka_unit_test(test_lent_octets_are_released_when_they_were_sent),
        cmocka_unit_test(test_lent_octets_of_a_session_that_goes),
        cmocka_unit_test(test_what_is_not_lent_is_copied),
        cmocka_unit_test(test_a_copy_without_memory_is_nomem),
        cmocka_unit_test(test_what_nobody_waits_for_is_cancelled),
        cmocka_unit_test(test_what_was_not_taken_vanishes),
        cmocka_unit_test(test_a_write_that_was_not_taken_stays),
        cmocka_unit_test(test_a_handle_beside_a_copy_without_memory_is_closed),
        cmocka_unit_test(test_a_write_that_is_late_before_it_was_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
