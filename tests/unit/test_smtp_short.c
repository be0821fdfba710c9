/* SMTP with no memory at the worst moments: what the reply to a message needs is there before the message is stored. */
#include <mailsrv/mailsrv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    mailsrv_session *session;
    bool is_short; /* there is no memory */
    unsigned refused, commits;
    char out[1024]; /* since the last look */
};

static void *take(void *user, size_t n)
{
    struct world *w = user;
    if (!w->is_short)
        return malloc(n);
    w->refused++;
    return NULL;
}

static void give(void *user, void *p, size_t n)
{
    (void)user;
    (void)n;
    free(p);
}

static void answer(mailsrv_engine *e, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .value = value };
    assert_int_equal(mailsrv_op_answer(e, op->id, &a), MAILSRV_OK);
}

static void resolve(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const mailsrv_destination to = { .kind = MAILSRV_TARGET_MAILBOX, .account = { { 1 } } };
    const mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof to, .destinations = &to };
    (void)user;
    answer(e, op, &value);
}

static void begin_body(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const mailsrv_body_begun value = { .size = sizeof value, .features = MAILSRV_BODY_ATOMIC, .body = 1 };
    answer(e, op, &value);
    ((struct world *)user)->is_short = true;
}

static void nothing(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    (void)user;
    answer(e, op, NULL);
}

static void commit(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const mailsrv_result result = { .status = MAILSRV_OK };
    const mailsrv_committed value = { .size = sizeof value, .n = 1, .stride = sizeof result, .results = &result };
    struct world *w = user;
    w->commits++;
    w->is_short = true;
    answer(e, op, &value);
}

static void begin_world(struct world *w)
{
    const mailsrv_allocator from = { .size = sizeof from, .user = w, .alloc = take, .release = give };
    const mailsrv_handler handlers[] = { resolve, begin_body, nothing, commit, nothing };
    mailsrv_config *config;
    *w = (struct world){ 0 };
    assert_int_equal(mailsrv_config_new(&from, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    for (int32_t i = 0; i < 5; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_RESOLVE + i, handlers[i], w), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &w->session), MAILSRV_OK);
}

static void end_world(struct world *w)
{
    mailsrv_session_free(w->session);
    assert_int_equal(mailsrv_engine_turn(w->engine, 1000), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_stat(w->engine, MAILSRV_STAT_SESSIONS), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_profile_unref(w->profile);
}

/* What was said is sent at once. */
static void take_output(struct world *w)
{
    mailsrv_out v[8];
    size_t count, n = 0;
    assert_int_equal(mailsrv_session_output(w->session, v, 8, &count), MAILSRV_OK);
    for (size_t i = 0; i < count; i++) {
        assert_true(n + v[i].n < sizeof w->out);
        memcpy(w->out + n, v[i].p, v[i].n);
        n += v[i].n;
    }
    assert_int_equal(mailsrv_session_sent(w->session, n), MAILSRV_OK);
}

static void say(struct world *w, const char *text)
{
    size_t consumed;
    assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)text, strlen(text), &consumed), MAILSRV_OK);
    assert_int_equal(consumed, strlen(text));
    while (mailsrv_engine_turn(w->engine, 1000) == MAILSRV_MORE)
        continue;
    take_output(w);
}

static void begin_message(struct world *w)
{
    begin_world(w);
    say(w, "EHLO a.test\r\n");
    say(w, "MAIL FROM:<a@remote.test>\r\n");
    say(w, "RCPT TO:<b@here.test>\r\n");
}

/* 354 was said in the room that was kept for the last reply, and is sent. */
static void test_354_takes_the_room_of_the_last_reply(void **state)
{
    struct world w;
    (void)state;
    begin_message(&w);
    say(&w, "DATA\r\n");
    assert_memory_equal(w.out, "354", 3);
    assert_true(w.refused != 0);
    w.is_short = false;
    say(&w, "Subject: x\r\n\r\nx\r\n.\r\n");
    assert_memory_equal(w.out, "250", 3);
    assert_int_equal(w.commits, 1);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_354_takes_the_room_of_the_last_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
