#include "world.h"

#include <string.h>

mailsrv_profile *world_profile(struct world *w)
{
    mailsrv_profile_unref(w->profile);
    assert_int_equal(mailsrv_profile_new(&w->heap.allocator, probe(), 1, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9), MAILSRV_OK);
    return w->profile;
}

void world_begin(struct world *w)
{
    *w = (struct world){ .now_us = INT64_C(1000000000) };
    counted_init(&w->heap);
    assert_int_equal(mailsrv_config_new(&w->heap.allocator, &w->config), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(w->config, &w->engine), MAILSRV_OK);
    for (int32_t kind = 1; kind < MAILSRV_NOTICE_CANCEL; kind++)
        if (strcmp(mailsrv_op_name(kind), "unknown") != 0)
            assert_int_equal(mailsrv_engine_serve(w->engine, kind, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(world_profile(w), NULL), MAILSRV_OK);
    world_advance(w, 0);
}

void world_end(struct world *w)
{
    assert_int_equal(mailsrv_engine_stat(w->engine, MAILSRV_STAT_OPS_QUEUED), 0);
    assert_int_equal(mailsrv_engine_stat(w->engine, MAILSRV_STAT_OPS_OUT), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_config_free(w->config);
    mailsrv_profile_unref(w->profile);
    assert_null(w->heap.fault);
    assert_int_equal(w->heap.live, 0);
}

mailsrv_session *world_session(struct world *w)
{
    mailsrv_session *s = NULL;
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, w, &s), MAILSRV_OK);
    expect(s, "hello\r\n");
    return s;
}

void world_advance(struct world *w, int64_t us)
{
    w->now_us += us;
    assert_int_equal(mailsrv_engine_advance(w->engine, w->now_us, w->now_us), MAILSRV_OK);
}

void feed(mailsrv_session *s, const char *text)
{
    size_t consumed = 0;
    assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)text, strlen(text), &consumed), MAILSRV_OK);
    assert_int_equal(consumed, strlen(text));
}

void run(struct world *w)
{
    while (mailsrv_engine_run(w->engine, 1000) == MAILSRV_MORE)
        continue;
}

void say(struct world *w, mailsrv_session *s, const char *text)
{
    feed(s, text);
    run(w);
}

void expect(mailsrv_session *s, const char *text)
{
    mailsrv_out v[4];
    size_t count = 0, left = strlen(text);
    while (left != 0) {
        assert_int_equal(mailsrv_session_output(s, v, 4, &count), MAILSRV_OK);
        assert_true(count != 0);
        size_t n = v[0].n < left ? v[0].n : left;
        assert_memory_equal(v[0].p, text, n);
        assert_int_equal(mailsrv_session_sent(s, n), MAILSRV_OK);
        text += n;
        left -= n;
    }
    assert_int_equal(mailsrv_session_output(s, v, 4, &count), MAILSRV_OK);
    assert_int_equal(count, 0);
}

const mailsrv_op *next_op(struct world *w, int32_t kind)
{
    const mailsrv_op *op = NULL;
    assert_int_equal(mailsrv_engine_next_op(w->engine, &op), MAILSRV_OK);
    assert_string_equal(mailsrv_op_name(op->kind), mailsrv_op_name(kind));
    return op;
}

void no_op(struct world *w)
{
    const mailsrv_op *op = NULL;
    assert_int_equal(mailsrv_engine_next_op(w->engine, &op), MAILSRV_E_CLOSED);
    assert_null(op);
}

void answer(struct world *w, const mailsrv_op *op, int32_t status, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .status = status, .value = value };
    assert_int_equal(mailsrv_op_answer(w->engine, op->id, &a), MAILSRV_OK);
}
