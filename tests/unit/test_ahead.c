/* What a machine asks beforehand: it waits for that later, whatever is answered first. */
#include "world.h"

#include <mailsrv/op.h>

static const mailsrv_destination queue = { .kind = MAILSRV_TARGET_QUEUE };
static const mailsrv_resolved resolved = { sizeof resolved, 0, 1, sizeof queue, &queue };

struct ahead {
    struct world world;
    mailsrv_session *session;
    const mailsrv_op *resolve, *verify;
};

static void ask(struct ahead *a)
{
    say(&a->world, a->session, "ahead\r\n");
    a->resolve = next_op(&a->world, MAILSRV_OP_RESOLVE);
    a->verify = next_op(&a->world, MAILSRV_OP_AUTH_VERIFY);
    no_op(&a->world);
}

static void begin(struct ahead *a)
{
    world_begin(&a->world);
    a->session = world_session(&a->world);
}

static void end(struct ahead *a)
{
    mailsrv_session_free(a->session);
    world_end(&a->world);
}

static void test_answered_before_it_is_waited_for(void **state)
{
    struct ahead a;
    (void)state;
    begin(&a);
    ask(&a);
    answer(&a.world, a.resolve, MAILSRV_TEMP, NULL);
    run(&a.world);
    expect(a.session, "");
    answer(&a.world, a.verify, MAILSRV_DENIED, NULL);
    run(&a.world);
    expect(a.session, "-500\r\n-400\r\n");
    end(&a);
}

static void test_answered_last(void **state)
{
    struct ahead a;
    (void)state;
    begin(&a);
    ask(&a);
    answer(&a.world, a.verify, MAILSRV_DENIED, NULL);
    run(&a.world);
    expect(a.session, "-500\r\n");
    assert_int_equal(mailsrv_session_wants(a.session) & MAILSRV_WANT_READ, 0);
    answer(&a.world, a.resolve, MAILSRV_OK, &resolved);
    run(&a.world);
    expect(a.session, "0\r\n");
    end(&a);
}

/* The patience for it begins when it is waited for. */
static void test_answered_too_late(void **state)
{
    struct ahead a;
    (void)state;
    begin(&a);
    ask(&a);
    answer(&a.world, a.verify, MAILSRV_DENIED, NULL);
    run(&a.world);
    expect(a.session, "-500\r\n");
    world_advance(&a.world, 1);
    world_advance(&a.world, INT64_C(3600) * 1000000);
    run(&a.world);
    expect(a.session, "-400\r\n");
    answer(&a.world, a.resolve, MAILSRV_OK, &resolved);
    ask(&a);
    answer(&a.world, a.verify, MAILSRV_DENIED, NULL);
    answer(&a.world, a.resolve, MAILSRV_OK, &resolved);
    run(&a.world);
    expect(a.session, "-500\r\n0\r\n");
    end(&a);
}

/* A handle that it may be using is not closed under it. */
static void test_a_handle_waits_for_it(void **state)
{
    struct ahead a;
    const mailsrv_store_opened opened = { .size = sizeof opened, .store = 7 };
    (void)state;
    begin(&a);
    say(&a.world, a.session, "hold\r\n");
    answer(&a.world, next_op(&a.world, MAILSRV_OP_STORE_OPEN), MAILSRV_OK, &opened);
    run(&a.world);
    expect(a.session, "0\r\n");
    ask(&a);
    mailsrv_session_free(a.session);
    for (const mailsrv_op *notice = NULL; mailsrv_engine_next_op(a.world.engine, &notice) == MAILSRV_OK;)
        assert_int_equal(notice->kind, MAILSRV_NOTICE_CANCEL);
    answer(&a.world, a.verify, MAILSRV_DENIED, NULL);
    no_op(&a.world);
    answer(&a.world, a.resolve, MAILSRV_OK, &resolved);
    const mailsrv_op *closing = next_op(&a.world, MAILSRV_OP_STORE_CLOSE);
    assert_int_equal(((const mailsrv_arg_close *)closing->arg)->handle, 7);
    answer(&a.world, closing, MAILSRV_OK, NULL);
    world_end(&a.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answered_before_it_is_waited_for),
        cmocka_unit_test(test_answered_last),
        cmocka_unit_test(test_answered_too_late),
        cmocka_unit_test(test_a_handle_waits_for_it),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
