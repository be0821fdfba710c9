/* What recipients are told of the results of their targets: a store that answers whatever the table says. */
#include <mailsrv/mailsrv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { RESULTS_MAX = 8 };

#define TEMP MAILSRV_TEMP
#define FULL MAILSRV_FULL
#define CANNOT MAILSRV_CANNOT
#define NOPERM MAILSRV_NOPERM
#define OVERQUOTA MAILSRV_OVERQUOTA
#define MISSING 1 /* this result and all after it */

/* Recipients are named after their targets: "ab" leads to the mailboxes a and b. */
static const struct {
    int32_t face;
    bool has_queue;
    const char *reverse_path;
    const char *recipients;       /* between spaces */
    int32_t results[RESULTS_MAX]; /* of the first COMMIT */
    const char *expected;
    const char *requeued; /* the recipients of the second one, a ! before those who are owed a notice; NULL: none */
} cases[] = {
    { MAILSRV_FACE_MX, true, "x@y", "a b", { 0, 0 }, "250 2.0.0", NULL },
    { MAILSRV_FACE_MX, true, "x@y", "a b", { CANNOT, NOPERM }, "554 5.3.0", NULL },
    { MAILSRV_FACE_MX, true, "x@y", "a b", { NOPERM, CANNOT }, "550 5.7.1", NULL },
    { MAILSRV_FACE_MX, true, "x@y", "a b", { CANNOT, FULL }, "452 4.3.1", NULL },
    { MAILSRV_FACE_MX, true, "x@y", "a b c", { CANNOT, OVERQUOTA, FULL }, "452 4.2.2", NULL },
    { MAILSRV_FACE_MX, true, "x@y", "a b c", { 0, FULL, CANNOT }, "250 2.0.0", "b !c" },
    { MAILSRV_FACE_MX, true, "", "a b c", { 0, FULL, CANNOT }, "250 2.0.0", "b" },
    { MAILSRV_FACE_MX, true, "", "a b", { 0, CANNOT }, "250 2.0.0", NULL },
    /* a result that is missing is TEMP */
    { MAILSRV_FACE_MX, true, "x@y", "a b", { 0, MISSING }, "250 2.0.0", "b" },
    { MAILSRV_FACE_MX, true, "x@y", "a b", { MISSING }, "451 4.3.0", NULL },
    /* each of his targets */
    { MAILSRV_FACE_MX, true, "x@y", "ab", { 0, FULL }, "452 4.3.1", NULL },
    { MAILSRV_FACE_MX, true, "x@y", "abc", { CANNOT, 0, FULL }, "452 4.3.1", NULL },
    { MAILSRV_FACE_MX, true, "x@y", "abc", { 0, CANNOT, NOPERM }, "554 5.3.0", NULL },
    { MAILSRV_FACE_MX, true, "x@y", "ab c", { 0, CANNOT, 0 }, "250 2.0.0", "!ab" },
    /* one target of two recipients fails for both */
    { MAILSRV_FACE_MX, true, "x@y", "a ab c", { FULL, 0, 0 }, "250 2.0.0", "a ab" },
    { MAILSRV_FACE_MX, true, "x@y", "ab a b", { 0, FULL }, "250 2.0.0", "ab b" },
    { MAILSRV_FACE_MX, true, "x@y", "aa a", { 0 }, "250 2.0.0", NULL },
    /* without a queue any failure refuses the whole */
    { MAILSRV_FACE_MX, false, "x@y", "a b", { 0, FULL }, "452 4.3.1", NULL },
    { MAILSRV_FACE_MX, false, "x@y", "a b", { 0, CANNOT }, "554 5.3.0", NULL },
    { MAILSRV_FACE_MX, false, "x@y", "a b", { CANNOT, TEMP }, "451 4.3.0", NULL },
    { MAILSRV_FACE_MX, false, "x@y", "a b", { 0, 0 }, "250 2.0.0", NULL },
    /* LMTP: a reply for each */
    { MAILSRV_FACE_LMTP, true, "x@y", "a b", { 0, FULL }, "250 2.0.0 452 4.3.1", NULL },
    { MAILSRV_FACE_LMTP, true, "x@y", "a b a", { CANNOT, 0 }, "554 5.3.0 250 2.0.0 554 5.3.0", NULL },
    { MAILSRV_FACE_LMTP, false, "", "ab b a", { FULL, NOPERM }, "452 4.3.1 550 5.7.1 452 4.3.1", NULL },
    { MAILSRV_FACE_LMTP, true, "x@y", "a b c", { 0, MISSING }, "250 2.0.0 451 4.3.0 451 4.3.0", NULL },
};

/* ---- The store ---- */

struct world {
    size_t i; /* the case */
    mailsrv_engine *engine;
    mailsrv_session *session;
    unsigned commits;
    char requeued[64];
    char out[1024];
    size_t out_n;
};

static void answer(mailsrv_engine *e, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .value = value };
    assert_int_equal(mailsrv_op_answer(e, op->id, &a), MAILSRV_OK);
}

static void resolve(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const mailsrv_arg_resolve *arg = op->arg;
    mailsrv_destination to[4] = { { .kind = MAILSRV_TARGET_MAILBOX } };
    (void)user;
    for (size_t i = 0; i < arg->local_part.n; i++) {
        to[i] = to[0];
        to[i].account.b[0] = arg->local_part.p[i];
    }
    const mailsrv_resolved value = { .size = sizeof value,
                                     .n = (uint32_t)arg->local_part.n,
                                     .stride = sizeof to[0],
                                     .destinations = to };
    answer(e, op, &value);
}

static void begin_body(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const struct world *w = user;
    const uint32_t features = cases[w->i].has_queue ? MAILSRV_BODY_TAKES_QUEUE : MAILSRV_BODY_ATOMIC;
    const mailsrv_body_begun value = { .size = sizeof value, .features = features, .body = 7 };
    answer(e, op, &value);
}

static void done(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    (void)user;
    answer(e, op, NULL);
}

static const mailsrv_target *target_at(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
}

/* The record begins with its version and its fate. */
static void note_requeued(struct world *w, const mailsrv_target *target)
{
    assert_int_equal(target->kind, MAILSRV_TARGET_QUEUE);
    assert_true(target->record.n > 2);
    assert_int_equal(target->record.p[0], 2);
    if (w->requeued[0] != '\0')
        strcat(w->requeued, " ");
    if (target->record.p[1] == 2)
        strcat(w->requeued, "!");
    strncat(w->requeued, (const char *)target->recipient.p, target->recipient.n - sizeof "@z" + 1);
}

static void commit(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct world *w = user;
    const mailsrv_arg_body_commit *arg = op->arg;
    mailsrv_result results[RESULTS_MAX] = { { 0 } };
    mailsrv_committed value = { .size = sizeof value,
                                .n = arg->n_targets,
                                .stride = sizeof results[0],
                                .results = results };
    assert_int_equal(arg->atomic, cases[w->i].face == MAILSRV_FACE_MX && !cases[w->i].has_queue);
    for (uint32_t i = 0; i < arg->n_targets && w->commits == 0; i++) {
        if (cases[w->i].results[i] == MISSING && value.n > i)
            value.n = i;
        results[i].status = cases[w->i].results[i];
    }
    for (uint32_t i = 0; i < arg->n_targets && w->commits == 1; i++)
        note_requeued(w, target_at(arg, i));
    w->commits++;
    answer(e, op, &value);
}

/* ---- The client ---- */

static void turn(struct world *w)
{
    mailsrv_out v[8];
    size_t count;
    assert_int_equal(mailsrv_engine_turn(w->engine, 100000), MAILSRV_OK);
    assert_int_equal(mailsrv_session_output(w->session, v, 8, &count), MAILSRV_OK);
    for (size_t i = 0; i < count; i++) {
        assert_true(v[i].n < sizeof w->out - w->out_n);
        memcpy(w->out + w->out_n, v[i].p, v[i].n);
        w->out_n += v[i].n;
        assert_int_equal(mailsrv_session_sent(w->session, v[i].n), MAILSRV_OK);
    }
    w->out[w->out_n] = '\0';
}

static void say(struct world *w, const char *text)
{
    size_t n = strlen(text), taken;
    while (n != 0) {
        assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)text, n, &taken), MAILSRV_OK);
        text += taken;
        n -= taken;
        turn(w);
    }
}

static void begin_world(struct world *w, size_t i)
{
    static const int32_t kinds[] = { MAILSRV_OP_QUEUE_SCAN, MAILSRV_OP_QUEUE_UPDATE, MAILSRV_OP_QUEUE_DELETE };
    const mailsrv_handler handlers[] = { resolve, begin_body, done, commit, done };
    mailsrv_profile *profile;
    *w = (struct world){ .i = i };
    assert_int_equal(mailsrv_engine_new(NULL, &w->engine), MAILSRV_OK);
    for (int32_t k = 0; k < 5; k++)
        assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_RESOLVE + k, handlers[k], w), MAILSRV_OK);
    for (int32_t k = 0; k < 3; k++)
        assert_int_equal(mailsrv_engine_serve(w->engine, kinds[k], done, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), cases[i].face, &profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx", 2), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w->engine, profile, NULL, NULL, &w->session), MAILSRV_OK);
    mailsrv_profile_unref(profile);
}

static void end_world(struct world *w)
{
    mailsrv_session_free(w->session);
    assert_int_equal(mailsrv_engine_turn(w->engine, 1000), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
}

static void begin_message(struct world *w)
{
    char text[256];
    say(w, cases[w->i].face == MAILSRV_FACE_LMTP ? "LHLO x\r\n" : "EHLO x\r\n");
    snprintf(text, sizeof text, "MAIL FROM:<%s>\r\n", cases[w->i].reverse_path);
    say(w, text);
    char list[64], *rest = list;
    strcpy(list, cases[w->i].recipients);
    for (char *name = strtok_r(list, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest)) {
        w->out_n = 0;
        snprintf(text, sizeof text, "RCPT TO:<%s@z>\r\n", name);
        say(w, text);
        assert_memory_equal(w->out, "250 2.1.5 ", 10);
    }
    say(w, "DATA\r\n");
    w->out_n = 0;
}

/* The first nine characters of each line, between spaces. */
static void codes_of(const char *out, char *codes)
{
    for (const char *line = out; *line != '\0'; line = strchr(line, '\n') + 1)
        codes += sprintf(codes, "%s%.9s", line == out ? "" : " ", line);
    *codes = '\0';
}

static void test_results(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        char codes[256];
        begin_world(&w, i);
        begin_message(&w);
        say(&w, "x\r\n.\r\n");
        codes_of(w.out, codes);
        if (strcmp(codes, cases[i].expected) != 0)
            fail_msg("case %zu: got %s, expected %s", i, codes, cases[i].expected);
        const char *requeued = cases[i].requeued == NULL ? "" : cases[i].requeued;
        if (strcmp(w.requeued, requeued) != 0)
            fail_msg("case %zu: to the queue went %s, expected %s", i, w.requeued, requeued);
        assert_int_equal(w.commits, cases[i].requeued == NULL ? 1 : 2);
        end_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
