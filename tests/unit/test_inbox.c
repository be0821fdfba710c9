/* Mail received in one call. */
#include "world.h"

#include <mailsrv/inbox.h>

#include <string.h>

struct box {
    struct world w;
    mailsrv_profile *profile;
    int32_t reply;
    unsigned messages, recipients;
    uint64_t session_id;
    char from[100], to[200], message[70000];
    size_t n;
};

static int32_t on_message(void *user, const mailsrv_envelope *envelope, mailsrv_bytes message)
{
    struct box *b = user;
    b->messages++;
    b->recipients = envelope->n_recipients;
    b->session_id = envelope->session_id;
    assert_int_equal(envelope->size, sizeof *envelope);
    memset(b->from, 0, sizeof b->from);
    memset(b->to, 0, sizeof b->to);
    if (envelope->reverse_path.n != 0)
        memcpy(b->from, envelope->reverse_path.p, envelope->reverse_path.n);
    for (uint32_t i = 0; i < envelope->n_recipients; i++) {
        strncat(b->to, (const char *)envelope->recipients[i].p, envelope->recipients[i].n);
        strcat(b->to, " ");
    }
    b->n = message.n < sizeof b->message ? message.n : sizeof b->message;
    memcpy(b->message, message.p, b->n);
    return b->reply;
}

static void begin(struct box *b, int32_t face, uint64_t octets_max)
{
    memset(b, 0, sizeof *b);
    struct world *w = &b->w;
    w->now_us = 1000;
    counted_init(&w->heap);
    assert_int_equal(mailsrv_config_new(&w->heap.allocator, &w->config), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(w->config, &w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_inbox(w->engine, octets_max, on_message, b), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(&w->heap.allocator, mailsrv_smtp(), face, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "mx.test", 7), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    world_advance(w, 0);
}

/* Feeds all of a text and compares the last line of what is said. */
static void talk(struct box *b, mailsrv_session *s, const char *text, size_t n, const char *last)
{
    mailsrv_out v[4];
    size_t count, at = 0;
    char line[1000] = { 0 };
    while (n != 0) {
        size_t consumed;
        assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)text, n, &consumed), MAILSRV_OK);
        text += consumed;
        n -= consumed;
        while (mailsrv_engine_turn(b->w.engine, 1000) == MAILSRV_MORE)
            continue;
    }
    while (mailsrv_session_output(s, v, 4, &count) == MAILSRV_OK && count != 0) {
        assert_true(at + v[0].n < sizeof line);
        memcpy(line + at, v[0].p, v[0].n);
        at += v[0].n;
        assert_int_equal(mailsrv_session_sent(s, v[0].n), MAILSRV_OK);
    }
    char *begin_of_last = line;
    for (char *p = line; (p = strstr(p, "\r\n")) != NULL && p[2] != 0; p += 2)
        begin_of_last = p + 2;
    if (strncmp(begin_of_last, last, strlen(last)) != 0)
        fail_msg("got %s", begin_of_last);
}

static mailsrv_session *new_session(struct box *b)
{
    mailsrv_session *s;
    assert_int_equal(mailsrv_server_new(b->w.engine, b->w.profile, NULL, NULL, &s), MAILSRV_OK);
    return s;
}

#define TALK(b, s, text, last) talk(b, s, text, sizeof(text) - 1, last)

/* A mail exchanger, and a session that has said HELO. */
static mailsrv_session *begin_greeted(struct box *b, uint64_t octets_max)
{
    begin(b, MAILSRV_FACE_MX, octets_max);
    mailsrv_session *s = new_session(b);
    TALK(b, s, "HELO client.test\r\n", "250");
    return s;
}

static const char head[] = "MAIL FROM:<a@remote.test>\r\nRCPT TO:<x@here.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n";

static void test_a_message_is_handed_over(void **state)
{
    struct box b;
    (void)state;
    mailsrv_session *s = begin_greeted(&b, 1 << 20);
    TALK(&b, s, head, "354");
    TALK(&b, s, "Subject: hi\r\n\r\nhello\r\n.\r\n", "250");
    assert_int_equal(b.messages, 1);
    assert_int_equal(b.recipients, 2);
    assert_int_equal(b.session_id, 1);
    assert_string_equal(b.from, "a@remote.test");
    assert_string_equal(b.to, "x@here.test y@here.test ");
    static const char end[] = "Subject: hi\r\n\r\nhello\r\n";
    assert_memory_equal(b.message, "Return-Path: <a@remote.test>\r\n", 30);
    assert_memory_equal(b.message + b.n - strlen(end), end, strlen(end));
    mailsrv_session_free(s);
    assert_int_equal(mailsrv_engine_turn(b.w.engine, 1000), MAILSRV_OK);
    world_end(&b.w);
}

static void test_what_it_returns_is_the_reply(void **state)
{
    static const struct {
        int32_t status;
        const char *reply;
    } replies[] = {
        { MAILSRV_TEMP, "451 " },      { MAILSRV_CANNOT, "554 " },
        { MAILSRV_FULL, "452 " },      { MAILSRV_NOPERM, "550 " },
        { MAILSRV_OVERQUOTA, "452 " }, { MAILSRV_TOOBIG, "552 " },
        { MAILSRV_OK, "250 " },        { MAILSRV_E_USAGE /* no status of an answer */, "451 " },
    };
    struct box b;
    (void)state;
    mailsrv_session *s = begin_greeted(&b, 1 << 20);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        b.reply = replies[i].status;
        TALK(&b, s, head, "354");
        TALK(&b, s, "x\r\n.\r\n", replies[i].reply);
    }
    mailsrv_session_free(s);
    world_end(&b.w);
}

static void test_lmtp_has_a_reply_for_each(void **state)
{
    struct box b;
    (void)state;
    begin(&b, MAILSRV_FACE_LMTP, 1 << 20);
    mailsrv_session *s = new_session(&b);
    TALK(&b, s, "LHLO client.test\r\n", "250");
    TALK(&b, s, head, "354");
    TALK(&b, s, "x\r\n.\r\n", "250");
    assert_int_equal(b.messages, 1);
    assert_int_equal(b.recipients, 2);
    mailsrv_session_free(s);
    world_end(&b.w);
}

static void test_an_empty_message_is_one(void **state)
{
    struct box b;
    (void)state;
    mailsrv_session *s = begin_greeted(&b, 1 << 20);
    TALK(&b, s, head, "354");
    TALK(&b, s, ".\r\n", "250");
    assert_int_equal(b.messages, 1);
    assert_memory_equal(b.message, "Return-Path: ", 13);
    mailsrv_session_free(s);
    world_end(&b.w);
}

/* A message may be as large as was allowed, and no larger. */
static void test_memory_is_bounded(void **state)
{
    enum { LINES = 60 };
    static char line[1000];
    struct box b;
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line + 998, "\r\n", 2);
    mailsrv_session *s = begin_greeted(&b, LINES * sizeof line);
    for (int more = 0; more < 3; more++) {
        TALK(&b, s, head, "354");
        for (int i = 0; i < LINES + more % 2; i++)
            talk(&b, s, line, sizeof line, "");
        TALK(&b, s, ".\r\n", more % 2 == 0 ? "250" : "452"); /* FULL, and then there is room again */
    }
    assert_int_equal(b.messages, 2);
    assert_true(b.n > LINES * sizeof line);
    mailsrv_session_free(s);
    world_end(&b.w);
}

static void test_a_peer_that_vanishes_leaves_nothing(void **state)
{
    struct box b;
    (void)state;
    begin(&b, MAILSRV_FACE_MX, 1 << 20);
    for (int i = 0; i < 3; i++) {
        mailsrv_session *s = new_session(&b);
        TALK(&b, s, "HELO client.test\r\n", "250");
        TALK(&b, s, head, "354");
        TALK(&b, s, "half a mess", "");
        mailsrv_session_free(s);
        while (mailsrv_engine_turn(b.w.engine, 1000) == MAILSRV_MORE)
            continue;
    }
    assert_int_equal(b.messages, 0);
    world_end(&b.w);
}

/* The engine ends with a message half way in, its answers abandoned. */
static void test_an_engine_that_ends_takes_its_mail_along(void **state)
{
    struct box b;
    (void)state;
    mailsrv_session *s = begin_greeted(&b, 1 << 20);
    TALK(&b, s, head, "354");
    TALK(&b, s, "half a mess", "");
    mailsrv_session_free(s); /* its close is queued, and never handed over */
    assert_int_equal(mailsrv_engine_free(b.w.engine, MAILSRV_ABANDON), MAILSRV_OK);
    mailsrv_config_free(b.w.config);
    mailsrv_profile_unref(b.w.profile);
    assert_int_equal(b.w.heap.live, 0);
}

static void resolve_only_x(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_resolve *arg = op->arg;
    mailsrv_destination here = { .kind = MAILSRV_TARGET_MAILBOX };
    mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof here, .destinations = &here };
    mailsrv_answer a = { .size = sizeof a, .value = &value };
    (void)user;
    if (arg->local_part.n != 1 || arg->local_part.p[0] != 'x')
        a = (mailsrv_answer){ .size = sizeof a, .status = MAILSRV_NONEXISTENT };
    assert_int_equal(mailsrv_op_answer(engine, op->id, &a), MAILSRV_OK);
}

/* A host that wants to refuse addresses serves RESOLVE itself afterwards. */
static void test_addresses_may_be_refused(void **state)
{
    struct box b;
    (void)state;
    begin(&b, MAILSRV_FACE_MX, 1 << 20);
    assert_int_equal(mailsrv_engine_serve(b.w.engine, MAILSRV_OP_RESOLVE, resolve_only_x, NULL), MAILSRV_OK);
    mailsrv_session *s = new_session(&b);
    TALK(&b, s, "HELO client.test\r\n", "250");
    TALK(&b, s, "MAIL FROM:<>\r\n", "250");
    TALK(&b, s, "RCPT TO:<y@here.test>\r\n", "550");
    TALK(&b, s, "RCPT TO:<x@here.test>\r\n", "250");
    TALK(&b, s, "DATA\r\n", "354");
    TALK(&b, s, "x\r\n.\r\n", "250");
    assert_int_equal(b.recipients, 1);
    assert_string_equal(b.from, "");
    mailsrv_session_free(s);
    world_end(&b.w);
}

static void test_it_comes_before_the_first_session(void **state)
{
    struct box b;
    (void)state;
    begin(&b, MAILSRV_FACE_MX, 1 << 20);
    mailsrv_session *s = new_session(&b);
    uint64_t live = b.w.heap.live;
    assert_int_equal(mailsrv_inbox(b.w.engine, 1000, on_message, &b), MAILSRV_E_USAGE);
    assert_int_equal(b.w.heap.live, live);
    mailsrv_session_free(s);
    world_end(&b.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_is_handed_over),
        cmocka_unit_test(test_what_it_returns_is_the_reply),
        cmocka_unit_test(test_lmtp_has_a_reply_for_each),
        cmocka_unit_test(test_an_empty_message_is_one),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_a_peer_that_vanishes_leaves_nothing),
        cmocka_unit_test(test_an_engine_that_ends_takes_its_mail_along),
        cmocka_unit_test(test_addresses_may_be_refused),
        cmocka_unit_test(test_it_comes_before_the_first_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
