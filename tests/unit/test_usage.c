/* Calls that are wrong: each is refused and nothing happens; NULL where there is nothing to free is fine. */
#include "world.h"

#include <mailsrv/ask.h>
#include <mailsrv/inbox.h>
#include <mailsrv/store.h>

static int32_t refuse(void *user, const mailsrv_envelope *envelope, mailsrv_bytes message)
{
    (void)user;
    (void)envelope;
    (void)message;
    return MAILSRV_TEMP;
}

static void test_null_engines_are_refused(void **state)
{
    const mailsrv_op *op;
    const mailsrv_event *event;
    mailsrv_session *s;
    mailsrv_allocator a = { .size = sizeof a };
    (void)state;
    assert_int_equal(mailsrv_engine_new(NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_close(NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_advance(NULL, 1, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_turn(NULL, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_run(NULL, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_dispatch(NULL, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_next_op(NULL, &op), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_next_ready(NULL, &s), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_next_event(NULL, &event), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_allocator(NULL, &a), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_op_answer_status(NULL, 1, MAILSRV_OK), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_inbox(NULL, 1000, refuse, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_store_bind(NULL, NULL), MAILSRV_E_USAGE);
    mailsrv_store_free(NULL);
    assert_true(mailsrv_engine_next_deadline(NULL) == INT64_MAX);
}

static void test_null_outputs_are_refused(void **state)
{
    struct world w;
    mailsrv_allocator a = { .size = sizeof a - 1 };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_next_op(w.engine, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_next_ready(w.engine, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_next_event(w.engine, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_allocator(w.engine, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_server_new(w.engine, w.profile, NULL, NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_inbox(w.engine, 1000, NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_store_bind(NULL, w.engine), MAILSRV_E_USAGE);
    world_end(&w);
}

static void test_null_sessions_are_refused(void **state)
{
    struct world w;
    mailsrv_out v[1];
    size_t n = 0;
    mailsrv_info info = { .size = sizeof info };
    mailsrv_session *s = NULL;
    mailsrv_peer peer = { .size = sizeof peer - 1 };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_server_new(NULL, w.profile, NULL, NULL, &s), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_server_new(w.engine, NULL, NULL, NULL, &s), MAILSRV_E_USAGE);
    assert_null(s);
    (void)peer;
    assert_int_equal(mailsrv_session_feed(NULL, (const uint8_t *)"x", 1, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_feed_eof(NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_output(NULL, v, 1, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_sent(NULL, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_wants(NULL), 0);
    assert_null(mailsrv_session_host(NULL));
    assert_int_equal(mailsrv_session_shutdown(NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_info(NULL, &info), MAILSRV_E_USAGE);
    mailsrv_session_free(NULL);
    s = world_session(&w);
    assert_int_equal(mailsrv_session_feed(s, NULL, 1, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)"x", 1, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_feed(s, NULL, 0, &n), MAILSRV_OK);
    assert_int_equal(mailsrv_session_output(s, NULL, 1, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_output(s, v, 1, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_info(s, NULL), MAILSRV_E_USAGE);
    say(&w, s, "say 4\r\n"); /* nothing happened */
    expect(s, "xx\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

static void test_null_profiles_are_refused(void **state)
{
    (void)state;
    assert_int_equal(mailsrv_profile_set_u64(NULL, 1, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_set_str(NULL, MAILSRV_PROFILE_HOSTNAME, "x", 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_enable(NULL, MAILSRV_EXT_SIZE, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_profile_seal(NULL, NULL), MAILSRV_E_USAGE);
    mailsrv_profile *p;
    assert_int_equal(mailsrv_profile_new(NULL, probe(), 1, &p), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, NULL, 3), MAILSRV_E_USAGE);
    mailsrv_profile_unref(p);
}

static void test_wrong_questions_are_refused(void **state)
{
    struct world w;
    mailsrv_asked *asked = NULL;
    mailsrv_arg_store_open arg = { .size = sizeof arg };
    mailsrv_arg_close close = { .size = sizeof close, .handle = 1 };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_ask(NULL, MAILSRV_OP_STORE_OPEN, NULL, &arg, &asked), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(w.engine, MAILSRV_OP_STORE_OPEN, NULL, NULL, &asked), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(w.engine, MAILSRV_OP_STORE_OPEN, NULL, &arg, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(w.engine, MAILSRV_OP_STORE_CLOSE, NULL, &close, &asked), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(w.engine, MAILSRV_NOTICE_CANCEL, NULL, &close, &asked), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(w.engine, 0, NULL, &arg, &asked), MAILSRV_E_USAGE);
    assert_null(asked);
    mailsrv_asked_free(NULL);
    assert_null(mailsrv_asked_answer(NULL));
    no_op(&w);
    world_end(&w);
}

/* A host asks for itself: the handle that came is closed by freeing the question, also when it comes later. */
static void test_a_question_of_the_hosts(void **state)
{
    mailsrv_arg_store_open arg = { .size = sizeof arg };
    mailsrv_store_opened opened = { .size = sizeof opened, .store = 9 };
    mailsrv_id account = { { 1 } };
    (void)state;
    for (int freed_first = 0; freed_first < 2; freed_first++) {
        struct world w;
        mailsrv_asked *asked;
        world_begin(&w);
        assert_int_equal(mailsrv_ask(w.engine, MAILSRV_OP_STORE_OPEN, &account, &arg, &asked), MAILSRV_OK);
        assert_null(mailsrv_asked_answer(asked));
        assert_int_equal(mailsrv_engine_free(w.engine, 0), MAILSRV_E_BUSY);
        const mailsrv_op *op = next_op(&w, MAILSRV_OP_STORE_OPEN);
        assert_memory_equal(&op->account, &account, sizeof account);
        assert_int_equal(op->session_id, 0);
        assert_null(op->host);
        if (freed_first)
            mailsrv_asked_free(asked);
        answer(&w, op, MAILSRV_OK, &opened);
        if (!freed_first) {
            const mailsrv_answer *a = mailsrv_asked_answer(asked);
            assert_int_equal(((const mailsrv_store_opened *)a->value)->store, 9);
            no_op(&w);
            mailsrv_asked_free(asked);
        }
        op = next_op(&w, MAILSRV_OP_STORE_CLOSE);
        assert_int_equal(((const mailsrv_arg_close *)op->arg)->handle, 9);
        answer(&w, op, MAILSRV_OK, NULL);
        world_end(&w);
    }
}

/* A kind that nobody serves cannot be asked. */
static void test_what_nobody_serves_cannot_be_asked(void **state)
{
    struct world w;
    mailsrv_engine *e;
    mailsrv_asked *asked = NULL;
    mailsrv_arg_store_open arg = { .size = sizeof arg };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_new(w.config, &e), MAILSRV_OK);
    assert_int_equal(mailsrv_ask(e, MAILSRV_OP_STORE_OPEN, NULL, &arg, &asked), MAILSRV_CANNOT);
    assert_null(asked);
    assert_int_equal(mailsrv_engine_free(e, 0), MAILSRV_OK);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_engines_are_refused),           cmocka_unit_test(test_null_outputs_are_refused),
        cmocka_unit_test(test_null_sessions_are_refused),          cmocka_unit_test(test_null_profiles_are_refused),
        cmocka_unit_test(test_wrong_questions_are_refused),        cmocka_unit_test(test_a_question_of_the_hosts),
        cmocka_unit_test(test_what_nobody_serves_cannot_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
