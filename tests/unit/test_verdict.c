/* What POLICY may answer (mailsrv/policy.h): what keeps to its bounds is taken, all else is refused, and the operation
 * stays open. */
#include <mailsrv/mailsrv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    mailsrv_session *session;
    const mailsrv_op *op; /* the POLICY that is out */
};

static void begin_world(struct world *w)
{
    mailsrv_config *config;
    mailsrv_peer peer = { .size = sizeof peer,
                          .address_octets = 4,
                          .address = { 192, 0, 2, 7 },
                          .port = 7,
                          .local_port = 26 };
    assert_int_equal(mailsrv_config_new(NULL, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_POLICY, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_POLICY_STAGES, MAILSRV_STAGE_CONNECT),
                     MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, &peer, NULL, &w->session), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_run(w->engine, 1000), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_next_op(w->engine, &w->op), MAILSRV_OK);
    assert_int_equal(w->op->kind, MAILSRV_OP_POLICY);
}

static void end_world(struct world *w)
{
    mailsrv_session_free(w->session);
    while (mailsrv_engine_run(w->engine, 1000) == MAILSRV_MORE)
        continue;
    assert_int_equal(mailsrv_engine_free(w->engine, MAILSRV_ABANDON), MAILSRV_OK);
    mailsrv_profile_unref(w->profile);
}

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static int32_t answer(struct world *w, const mailsrv_verdict *v)
{
    const mailsrv_answer a = { .size = sizeof a, .value = v };
    return mailsrv_op_answer(w->engine, w->op->id, &a);
}

static mailsrv_verdict of(int32_t verdict)
{
    return (mailsrv_verdict){ .size = sizeof(mailsrv_verdict), .verdict = verdict };
}

/* Each is refused, and leaves the question as it was. */
static void refused(struct world *w, mailsrv_verdict v)
{
    assert_int_equal(answer(w, &v), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_stat(w->engine, MAILSRV_STAT_OPS_OUT), 1);
}

static void taken(mailsrv_verdict v)
{
    struct world w;
    begin_world(&w);
    assert_int_equal(answer(&w, &v), MAILSRV_OK);
    end_world(&w);
}

static void test_the_question(void **state)
{
    struct world w;
    (void)state;
    begin_world(&w);
    const mailsrv_arg_policy *arg = w.op->arg;
    assert_int_equal(arg->size, sizeof *arg);
    assert_int_equal(arg->stage, MAILSRV_STAGE_CONNECT);
    assert_int_equal(arg->face, MAILSRV_FACE_MX);
    assert_int_equal(arg->facts, 0);
    assert_int_equal(arg->peer->address[3], 7);
    assert_int_equal(arg->peer->local_port, 26);
    assert_int_equal(arg->hello.n, 0);
    assert_int_equal(arg->body, 0);
    taken(of(MAILSRV_POLICY_CONTINUE));
    end_world(&w);
}

static void test_verdicts(void **state)
{
    struct world w;
    mailsrv_verdict v;
    (void)state;
    begin_world(&w);
    refused(&w, of(-1));
    refused(&w, of(MAILSRV_POLICY_RELAY_OK + 1));
    v = of(MAILSRV_POLICY_CONTINUE);
    v.size--;
    refused(&w, v);
    refused(&w, of(MAILSRV_POLICY_QUARANTINE)); /* to nothing */
    v = of(MAILSRV_POLICY_QUARANTINE);
    v.to.kind = MAILSRV_TARGET_QUEUE;
    refused(&w, v);
    v = of(MAILSRV_POLICY_REDIRECT);
    v.to.kind = 3;
    refused(&w, v);
    end_world(&w);
    for (int32_t i = MAILSRV_POLICY_CONTINUE; i <= MAILSRV_POLICY_RELAY_OK; i++) {
        v = of(i);
        v.to.kind = MAILSRV_TARGET_MAILBOX;
        taken(v);
    }
}

static void test_codes(void **state)
{
    static const uint32_t rejects[] = { 500, 521, 550, 599 }, laters[] = { 400, 421, 451, 499 };
    static const uint32_t no_rejects[] = { 1, 250, 354, 451, 499, 600, 5500 }, no_laters[] = { 1, 399, 500, 550, 4000 };
    struct world w;
    mailsrv_verdict v;
    (void)state;
    begin_world(&w);
    for (size_t i = 0; i < sizeof no_rejects / sizeof no_rejects[0]; i++) {
        v = of(MAILSRV_POLICY_REJECT);
        v.code = no_rejects[i];
        refused(&w, v);
    }
    for (size_t i = 0; i < sizeof no_laters / sizeof no_laters[0]; i++) {
        v = of(MAILSRV_POLICY_LATER);
        v.code = no_laters[i];
        refused(&w, v);
    }
    v = of(MAILSRV_POLICY_REJECT);
    v.subject = 1000;
    refused(&w, v);
    v.subject = 999;
    v.detail = 1000;
    refused(&w, v);
    v = of(MAILSRV_POLICY_ACCEPT);
    v.code = 250;
    refused(&w, v);
    end_world(&w);
    for (size_t i = 0; i < 4; i++) {
        v = of(MAILSRV_POLICY_REJECT);
        v.code = rejects[i];
        v.subject = v.detail = 999;
        taken(v);
        v = of(MAILSRV_POLICY_LATER);
        v.code = laters[i];
        taken(v);
    }
}

static void test_fields(void **state)
{
    static const char *const good[] = { "", "X: 1\r\n", "X: 1\r\n 2\r\n\t3\r\nY:\r\n", "X:1\r\nX: \xc3\xa4\r\n" };
    static const char *const bad[] = { "X: 1",
                                       "X: 1\n",
                                       "X: 1\r\n\r\n",
                                       "X: 1\r\n\r\nbody\r\n",
                                       " X: 1\r\n",
                                       "X 1\r\n",
                                       ": 1\r\n",
                                       "X : 1\r\n",
                                       "X: a\rb\r\n",
                                       "X: a\nb\r\n",
                                       "X: \xe4\r\n",
                                       "X: 1\r\n \t\r\n",
                                       "X\xc3\xa4: 1\r\n",
                                       "\r\n",
                                       "X: \x01\r\n" };
    struct world w;
    mailsrv_verdict v = of(MAILSRV_POLICY_ADD_FIELDS);
    char line[1100] = "X: ";
    (void)state;
    begin_world(&w);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        v.fields = bytes(bad[i]);
        refused(&w, v);
    }
    v.fields = (mailsrv_bytes){ (const uint8_t *)"X: \0\r\n", 6 };
    refused(&w, v);
    v.fields = (mailsrv_bytes){ NULL, 5 };
    refused(&w, v);
    memset(line + 3, 'a', 996);
    memcpy(line + 999, "\r\n", 3);
    v.fields = bytes(line);
    refused(&w, v); /* a line of 999 octets */
    v = of(MAILSRV_POLICY_DISCARD);
    v.fields = bytes(good[1]);
    refused(&w, v); /* to what? */
    end_world(&w);
    v = of(MAILSRV_POLICY_ADD_FIELDS);
    memcpy(line + 998, "\r\n", 3);
    v.fields = bytes(line);
    taken(v);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        v.fields = bytes(good[i]);
        taken(v);
    }
}

static void test_sizes_of_fields(void **state)
{
    char *fields = malloc(MAILSRV_POLICY_FIELDS_MAX + 8);
    size_t n = 0;
    struct world w;
    mailsrv_verdict v = of(MAILSRV_POLICY_ADD_FIELDS);
    (void)state;
    while (n + 8 <= MAILSRV_POLICY_FIELDS_MAX + 8) {
        memcpy(fields + n, "X: 123\r\n", 8);
        n += 8;
    }
    begin_world(&w);
    v.fields = (mailsrv_bytes){ (const uint8_t *)fields, n };
    refused(&w, v);
    end_world(&w);
    v.fields.n -= 8;
    assert_int_equal(v.fields.n, MAILSRV_POLICY_FIELDS_MAX);
    taken(v);
    free(fields);
}

static void test_addresses(void **state)
{
    static const char *const bad[] = { "a<b", "a>b", "a\r\nb", "\xff@b", "a\x7f" };
    struct world w;
    mailsrv_verdict v = of(MAILSRV_POLICY_REDIRECT);
    char address[256];
    (void)state;
    v.to.kind = MAILSRV_TARGET_QUEUE;
    begin_world(&w);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        v.address = bytes(bad[i]);
        refused(&w, v);
    }
    memset(address, 'a', sizeof address);
    v.address = (mailsrv_bytes){ (const uint8_t *)address, 255 };
    refused(&w, v);
    end_world(&w);
    v.address.n = 254;
    taken(v);
    v.address = bytes("\"odd user\"@remote.test");
    taken(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_question), cmocka_unit_test(test_verdicts),        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_fields),       cmocka_unit_test(test_sizes_of_fields), cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
