/* Operations that the host asks itself: each is answered, given up or vanishes, and what it opened is closed once. */
#include <mailsrv/ask.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    mailsrv_engine *engine;
    unsigned begun, closed;
    uint64_t closed_handle;
    mailsrv_op_id kept; /* answered later */
    int late;
    unsigned n_changed;
    uint8_t changed[2]; /* accounts */
};

static void answer_begin(struct fixture *f, mailsrv_engine *engine, mailsrv_op_id id)
{
    mailsrv_body_begun value = { sizeof value, 0, 77 };
    mailsrv_answer answer = { .size = sizeof answer, .value = &value };
    assert_int_equal(mailsrv_op_answer(engine, id, &answer), MAILSRV_OK);
    f->begun++;
}

static void begin_body(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct fixture *f = user;
    assert_int_equal(((const mailsrv_arg_body_begin *)op->arg)->octets_hint, 5);
    assert_int_equal(((const mailsrv_arg_body_begin *)op->arg)->size, sizeof(mailsrv_arg_body_begin));
    assert_int_equal(op->account.b[0], 9);
    assert_int_equal(op->session_id, 0);
    if (f->late)
        f->kept = op->id;
    else
        answer_begin(f, engine, op->id);
}

static void close_body(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct fixture *f = user;
    f->closed++;
    f->closed_handle = ((const mailsrv_arg_close *)op->arg)->handle;
    mailsrv_op_answer_status(engine, op->id, MAILSRV_OK);
}

/* One result for two targets. */
static void commit(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    mailsrv_result result = { .status = MAILSRV_OVERQUOTA, .text = { (const uint8_t *)"full\r\n", 6 } };
    mailsrv_committed value = { sizeof value, 1, sizeof result, 0, &result };
    mailsrv_answer answer = { .size = sizeof answer, .value = &value };
    (void)user;
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(mailsrv_engine_new(NULL, &f->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_BODY_BEGIN, begin_body, f), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_BODY_CLOSE, close_body, f), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_BODY_COMMIT, commit, f), MAILSRV_OK);
    mailsrv_engine_advance(f->engine, 1, 1);
    *state = f;
    return 0;
}

/* However it went, nothing is owed and nothing is left. */
static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mailsrv_engine_turn(f->engine, 1000), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_stat(f->engine, MAILSRV_STAT_OPS_OCTETS), 0);
    assert_int_equal(mailsrv_engine_free(f->engine, 0), MAILSRV_OK);
    assert_int_equal(f->begun, f->closed);
    free(f);
    return 0;
}

static mailsrv_asked *ask_begin(struct fixture *f)
{
    static const mailsrv_id account = { { 9 } };
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 5 };
    mailsrv_asked *asked = NULL;
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_BODY_BEGIN, &account, &arg, &asked), MAILSRV_OK);
    assert_null(mailsrv_asked_answer(asked));
    return asked;
}

static void test_answered_and_closed_once(void **state)
{
    struct fixture *f = *state;
    mailsrv_asked *asked = ask_begin(f);
    mailsrv_engine_turn(f->engine, 1000);
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    assert_non_null(answer);
    assert_int_equal(((const mailsrv_body_begun *)answer->value)->body, 77);
    assert_int_equal(mailsrv_engine_free(f->engine, MAILSRV_ABANDON), MAILSRV_E_BUSY);
    assert_int_equal(f->closed, 0);
    mailsrv_asked_free(asked);
    mailsrv_engine_turn(f->engine, 1000);
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->closed_handle, 77);
}

static void test_freed_before_it_was_taken(void **state)
{
    struct fixture *f = *state;
    mailsrv_asked_free(ask_begin(f));
    mailsrv_engine_turn(f->engine, 1000);
    assert_int_equal(f->begun, 0);
}

static void test_freed_before_it_was_answered(void **state)
{
    struct fixture *f = *state;
    f->late = 1;
    mailsrv_asked *asked = ask_begin(f);
    mailsrv_engine_turn(f->engine, 1000);
    assert_int_not_equal(f->kept, 0);
    mailsrv_asked_free(asked);
    assert_int_equal(mailsrv_engine_free(f->engine, 0), MAILSRV_E_BUSY);
    answer_begin(f, f->engine, f->kept);
    mailsrv_engine_turn(f->engine, 1000);
    assert_int_equal(f->closed, 1);
}

static void test_results_for_all_targets(void **state)
{
    struct fixture *f = *state;
    mailsrv_target targets[2] = { { .size = sizeof *targets }, { .size = sizeof *targets } };
    mailsrv_arg_body_commit arg = { .size = sizeof arg, .n_targets = 2, .target_stride = sizeof *targets,
                                    .targets = targets };
    mailsrv_asked *asked;
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_BODY_COMMIT, NULL, &arg, &asked), MAILSRV_OK);
    mailsrv_engine_turn(f->engine, 1000);
    const mailsrv_committed *committed = mailsrv_asked_answer(asked)->value;
    assert_int_equal(committed->n, 2);
    assert_int_equal(committed->results[0].status, MAILSRV_OVERQUOTA);
    assert_memory_equal(committed->results[0].text.p, "full??", 6);
    assert_int_equal(committed->results[1].status, MAILSRV_TEMP);
    mailsrv_asked_free(asked);
}

/* A host made for a later version: what it knows more of is left out, and its size says so. */
static void test_asked_by_a_later_host(void **state)
{
    struct fixture *f = *state;
    static const mailsrv_id account = { { 9 } };
    struct {
        mailsrv_arg_body_begin known;
        uint64_t more;
    } arg = { { sizeof arg, 0, 5 }, 1 };
    mailsrv_asked *asked = NULL;
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_BODY_BEGIN, &account, &arg, &asked), MAILSRV_OK);
    mailsrv_engine_turn(f->engine, 1000);
    mailsrv_asked_free(asked);
}

static void note_change(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct fixture *f = user;
    (void)engine;
    assert_int_equal(op->kind, MAILSRV_NOTICE_CHANGED);
    f->changed[f->n_changed++ % 2] = op->account.b[0];
}

static void store_both(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_result results[2] = { { .modseq = 4 }, { .modseq = 5 } };
    const mailsrv_committed value = { sizeof value, 2, sizeof *results, 0, results };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &value };
    (void)user;
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_OK);
}

static void echo_handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_read *arg = op->arg;
    const mailsrv_read_bytes value = {
        .size = sizeof value, .handle = arg->handle == 0 ? 7 : arg->handle, .octets = { (const uint8_t *)"x", 1 }
    };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &value };
    (void)user;
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_OK);
}

/* A store may say the handle again with each range: it is closed once all the same. */
static void test_a_handle_that_is_echoed(void **state)
{
    struct fixture *f = *state;
    mailsrv_arg_read arg = { .size = sizeof arg, .mbox = 1, .octets = 1 };
    mailsrv_asked *first = NULL, *second = NULL;
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_READ, echo_handle, f), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_READ_CLOSE, close_body, f), MAILSRV_OK);
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_READ, NULL, &arg, &first), MAILSRV_OK);
    mailsrv_engine_turn(f->engine, 1000);
    arg.handle = ((const mailsrv_read_bytes *)mailsrv_asked_answer(first)->value)->handle;
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_READ, NULL, &arg, &second), MAILSRV_OK);
    mailsrv_engine_turn(f->engine, 1000);
    mailsrv_asked_free(second);
    mailsrv_engine_turn(f->engine, 1000);
    assert_int_equal(f->closed, 0);
    mailsrv_asked_free(first);
    mailsrv_engine_turn(f->engine, 1000);
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->closed_handle, 7);
    f->begun++; /* this handle counts as a body's */
}

static void answer_sloppily(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    static const mailsrv_row row = { .uid = 1, .uidl = { NULL, 5 } };
    static const mailsrv_destination nowhere = { .kind = 0 };
    const mailsrv_rows rows = { .size = sizeof rows, .stride = sizeof row, .n = 1, .rows = &row };
    const mailsrv_resolved resolved = {
        .size = sizeof resolved, .n = 1, .stride = sizeof nowhere, .destinations = &nowhere
    };
    const void *value = op->kind == MAILSRV_OP_ROWS ? (const void *)&rows : (const void *)&resolved;
    const mailsrv_answer answer = { .size = sizeof answer, .value = value };
    (void)user;
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP), MAILSRV_OK);
}

static void test_rows_that_are_not_whole(void **state)
{
    struct fixture *f = *state;
    mailsrv_arg_rows rows = { .size = sizeof rows, .mbox = 1, .limit = 10 };
    mailsrv_arg_resolve resolve = { .size = sizeof resolve };
    mailsrv_asked *one = NULL, *other = NULL;
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_ROWS, answer_sloppily, f), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_RESOLVE, answer_sloppily, f), MAILSRV_OK);
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_ROWS, NULL, &rows, &one), MAILSRV_OK);
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_RESOLVE, NULL, &resolve, &other), MAILSRV_OK);
    mailsrv_engine_turn(f->engine, 1000);
    mailsrv_asked_free(one);
    mailsrv_asked_free(other);
}

static void talk(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    char text[100];
    memset(text, 'a', sizeof text);
    const mailsrv_result result = { .status = MAILSRV_FULL, .text = { (const uint8_t *)text, sizeof text } };
    const mailsrv_committed value = { sizeof value, 1, sizeof result, 0, &result };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &value };
    (void)user;
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_OK);
}

/* A text that is too long for a result is cut, not lost. */
static void test_a_long_text_of_a_result(void **state)
{
    struct fixture *f = *state;
    mailsrv_target target = { .size = sizeof target };
    mailsrv_arg_body_commit arg = {
        .size = sizeof arg, .n_targets = 1, .target_stride = sizeof target, .targets = &target
    };
    mailsrv_asked *asked = NULL;
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_BODY_COMMIT, talk, f), MAILSRV_OK);
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_BODY_COMMIT, NULL, &arg, &asked), MAILSRV_OK);
    mailsrv_engine_turn(f->engine, 1000);
    const mailsrv_committed *committed = mailsrv_asked_answer(asked)->value;
    assert_int_equal(committed->results[0].text.n, 64);
    mailsrv_asked_free(asked);
}

static void test_targets_of_a_later_host(void **state)
{
    struct fixture *f = *state;
    struct {
        mailsrv_target known;
        uint64_t more;
    } targets[2] = { { { .size = sizeof *targets, .kind = MAILSRV_TARGET_MAILBOX, .account = { { 1 } } }, 0 },
                     { { .size = sizeof *targets, .kind = MAILSRV_TARGET_MAILBOX, .account = { { 2 } } }, 0 } };
    mailsrv_arg_body_commit arg = { .size = sizeof arg, .n_targets = 2, .target_stride = sizeof *targets,
                                    .targets = &targets->known };
    mailsrv_asked *asked = NULL;
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_BODY_COMMIT, store_both, f), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_NOTICE_CHANGED, note_change, f), MAILSRV_OK);
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_BODY_COMMIT, NULL, &arg, &asked), MAILSRV_OK);
    mailsrv_engine_turn(f->engine, 1000);
    assert_int_equal(f->n_changed, 2);
    assert_int_equal(f->changed[0] + f->changed[1], 3);
    mailsrv_asked_free(asked);
}

static void test_what_cannot_be_asked(void **state)
{
    struct fixture *f = *state;
    mailsrv_asked *asked = NULL;
    mailsrv_arg_close closing = { sizeof closing, 0, 77 };
    mailsrv_arg_rows rows = { .size = sizeof rows };
    mailsrv_arg_cancel cancel = { .size = sizeof cancel };
    mailsrv_arg_body_begin small = { .size = 8 };
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_BODY_CLOSE, NULL, &closing, &asked), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_NOTICE_CANCEL, NULL, &cancel, &asked), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(f->engine, 63, NULL, &rows, &asked), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_BODY_BEGIN, NULL, &small, &asked), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_ask(f->engine, MAILSRV_OP_ROWS, NULL, &rows, &asked), MAILSRV_CANNOT);
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_ROWS, commit, NULL), MAILSRV_OK);
    assert_null(asked);
}

static void test_servers_are_fixed_by_the_first_question(void **state)
{
    struct fixture *f = *state;
    mailsrv_asked_free(ask_begin(f));
    assert_int_equal(mailsrv_engine_serve(f->engine, MAILSRV_OP_ROWS, commit, NULL), MAILSRV_E_USAGE);
}

/* A handler that answers twice, or with half a struct, is told so, and so is whoever reads events. */
static void test_wrong_answers_are_events(void **state)
{
    struct fixture *f = *state;
    const mailsrv_event *event;
    mailsrv_body_begun half = { 4, 0, 77 };
    mailsrv_answer answer = { .size = sizeof answer, .value = &half };
    f->late = 1;
    mailsrv_asked *asked = ask_begin(f);
    mailsrv_engine_turn(f->engine, 1000);
    assert_int_equal(mailsrv_op_answer(f->engine, f->kept, &answer), MAILSRV_E_USAGE);
    assert_null(mailsrv_asked_answer(asked));
    assert_int_equal(mailsrv_engine_next_event(f->engine, &event), MAILSRV_OK);
    assert_int_equal(event->what, MAILSRV_EVENT_STORE_FAILED);
    answer_begin(f, f->engine, f->kept);
    assert_int_equal(mailsrv_op_answer_status(f->engine, f->kept, MAILSRV_TEMP), MAILSRV_E_STALE);
    assert_int_equal(mailsrv_engine_next_event(f->engine, &event), MAILSRV_OK);
    assert_int_equal(event->what, MAILSRV_EVENT_STORE_FAILED);
    assert_int_equal(mailsrv_engine_next_event(f->engine, &event), MAILSRV_E_CLOSED);
    mailsrv_asked_free(asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answered_and_closed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_before_it_was_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_before_it_was_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_results_for_all_targets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asked_by_a_later_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_targets_of_a_later_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_handle_that_is_echoed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_text_of_a_result, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_that_are_not_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_servers_are_fixed_by_the_first_question, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_answers_are_events, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
