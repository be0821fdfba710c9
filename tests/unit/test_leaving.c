/* What is still owed, and what may still be said, when a session or its engine leaves. */
#include "world.h"

#include <mailsrv/op.h>

static void test_a_closing_is_never_cancelled(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_NOTICE_CANCEL, NULL, NULL), MAILSRV_OK);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "hold\r\n");
    const mailsrv_store_opened opened = { .size = sizeof opened, .store = 7 };
    answer(&w, next_op(&w, MAILSRV_OP_STORE_OPEN), MAILSRV_OK, &opened);
    run(&w);
    expect(s, "0\r\n");
    say(&w, s, "close\r\n");
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_STORE_CLOSE);
    assert_int_equal(((const mailsrv_arg_close *)op->arg)->handle, 7);
    mailsrv_session_free(s);
    no_op(&w);
    answer(&w, op, MAILSRV_OK, NULL);
    run(&w);
    no_op(&w);
    world_end(&w);
}

struct seen {
    const mailsrv_op *pulled;
    mailsrv_op copy;
    uint32_t changes;
};

static void on_changed(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct seen *seen = user;
    (void)engine;
    assert_int_equal(op->kind, MAILSRV_NOTICE_CHANGED);
    assert_memory_equal(seen->pulled, &seen->copy, sizeof seen->copy);
    assert_int_equal(((const mailsrv_arg_cancel *)seen->pulled->arg)->kind, MAILSRV_OP_AUTH_VERIFY);
    seen->changes++;
}

/* A notice that was pulled lives until the next one is pulled, whatever handlers are given in between. */
static void test_pulled_and_handled_notices_have_a_place_each(void **state)
{
    struct world w;
    struct seen seen = { 0 };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_NOTICE_CANCEL, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_NOTICE_CHANGED, on_changed, &seen), MAILSRV_OK);
    mailsrv_session *a = world_session(&w), *b = world_session(&w);
    say(&w, a, "ask\r\n");
    const mailsrv_op *asked = next_op(&w, MAILSRV_OP_AUTH_VERIFY);
    say(&w, b, "expunge\r\n");
    const mailsrv_op *expunge = next_op(&w, MAILSRV_OP_EXPUNGE);
    mailsrv_session_free(a);
    seen.pulled = next_op(&w, MAILSRV_NOTICE_CANCEL);
    seen.copy = *seen.pulled;
    const mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = 3 };
    answer(&w, expunge, MAILSRV_OK, &expunged);
    assert_int_equal(mailsrv_engine_turn(w.engine, 1000), MAILSRV_OK);
    assert_int_equal(seen.changes, 1);
    expect(b, "0\r\n");
    mailsrv_session_free(b);
    answer(&w, asked, MAILSRV_TEMP, NULL);
    world_end(&w);
}

/* In the middle of a response a word of parting would be taken for a part of it. */
static void test_no_parting_within_a_response(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    w.heap.fail_first = w.heap.calls + 2; /* the first line finds room */
    w.heap.fail_last = UINT64_MAX;
    say(&w, s, "list 30000\r\n");
    w.heap.fail_first = 0;
    assert_true(w.heap.failed);
    assert_int_not_equal(mailsrv_session_wants(s) & MAILSRV_WANT_WRITE, 0);
    mailsrv_out v[4];
    size_t count = 0;
    char last = 0;
    for (mailsrv_session_output(s, v, 4, &count); count != 0; mailsrv_session_output(s, v, 4, &count)) {
        last = (char)v[0].p[v[0].n - 1];
        assert_int_equal(mailsrv_session_sent(s, v[0].n), MAILSRV_OK);
    }
    assert_int_equal(last, 'x');
    assert_int_equal(mailsrv_session_wants(s), MAILSRV_WANT_CLOSE);
    mailsrv_session_free(s);
    world_end(&w);
}

/* The host stops; the peer was told to send his message, and is heard out. */
static void test_no_parting_while_a_message_arrives(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "take\r\n");
    expect(s, "go on\r\n");
    mailsrv_session_shutdown(s);
    expect(s, "");
    say(&w, s, "say 5\r\n");
    expect(s, "xxx\r\n");
    mailsrv_session_free(s);
    world_end(&w);
}

struct opening {
    mailsrv_letter letter;
    mailsrv_engine *engine;
    mailsrv_port first, second;
    int opened;
};

static void open_another(mailsrv_engine *engine, mailsrv_letter *letter)
{
    struct opening *o = (struct opening *)(void *)((char *)letter - offsetof(struct opening, letter));
    assert_null(engine);
    assert_int_equal(mailsrv_port_open(&o->second, o->engine, NULL, NULL), MAILSRV_OK);
    o->opened++;
}

/* A letter that the engine's end delivers may open a port: that one is closed as well. */
static void test_ports_opened_while_an_engine_ends(void **state)
{
    struct world w;
    struct opening o = { .letter = { .deliver = open_another } };
    (void)state;
    world_begin(&w);
    o.engine = w.engine;
    assert_int_equal(mailsrv_port_open(&o.first, w.engine, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_port_post(&o.first, &o.letter), MAILSRV_OK);
    world_end(&w);
    assert_int_equal(o.opened, 1);
    assert_int_equal(mailsrv_port_post(&o.second, &o.letter), MAILSRV_E_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_closing_is_never_cancelled),
        cmocka_unit_test(test_pulled_and_handled_notices_have_a_place_each),
        cmocka_unit_test(test_no_parting_within_a_response),
        cmocka_unit_test(test_no_parting_while_a_message_arrives),
        cmocka_unit_test(test_ports_opened_while_an_engine_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
