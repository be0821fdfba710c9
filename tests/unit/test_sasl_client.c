/* Logins as the client: which mechanism is chosen, what is said, against vectors and against our own server. */
#include "crypto.h"
#include "sasl/client.h"
#include "text/base64.h"

#include <mailsrv/mailsrv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ITERATIONS = 4096, TEXT_OCTETS = 16384 };

/* Client and server share the session: the server's is one of TLS by the host, so that both have the same bindings. */
struct world {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    mailsrv_session *session;
    struct sasl_client *client;
    uint8_t calls;
    mailsrv_crypto crypto, primitives;
    size_t heap_left;    /* allocations that succeed */
    bool says_wrong_key; /* the server has the keys of another password */
    char line[1024];     /* the server's last one, without CRLF */
    char text[TEXT_OCTETS];
};

static const mailsrv_tls_info bindings = {
    .size = sizeof bindings,
    .version = 0x0304,
    .exporter = { (const uint8_t *)"exporter's thirty-two octets....", 32 },
};
static const mailsrv_tls_info nothing_to_bind = { .size = sizeof nothing_to_bind, .version = 0x0304 };

static mailsrv_bytes bytes_of(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static struct span span_of(const char *text)
{
    return (struct span){ text, strlen(text) };
}

/* ---- The host ---- */

static void *take(void *user, size_t n)
{
    struct world *w = user;
    if (w->heap_left == 0)
        return NULL;
    w->heap_left -= w->heap_left != SIZE_MAX;
    return malloc(n);
}

static void release(void *user, void *p, size_t n)
{
    (void)user;
    (void)n;
    free(p);
}

/* The nonce of RFC 5802 section 5, for both. */
static int32_t nonce_of_the_rfc(void *user, uint8_t *out, size_t n)
{
    enum { NONCE_OCTETS = 18 };
    size_t made;
    (void)user;
    if (n == NONCE_OCTETS)
        assert_true(mailsrv__base64_read(SPAN("fyko+d2lbbFgONRv9qkxdawL"), out, &made));
    else
        memset(out, 'x', n); /* the server's secret */
    return MAILSRV_OK;
}

static void answer_identity(mailsrv_engine *e, const mailsrv_op *op, bool good)
{
    const mailsrv_identity value = { .size = sizeof value, .acts_as = 1, .account = { { 7 } } };
    const mailsrv_answer a = { .size = sizeof a,
                               .status = good ? MAILSRV_OK : MAILSRV_DENIED,
                               .value = good ? &value : NULL };
    assert_int_equal(mailsrv_op_answer(e, op->id, &a), MAILSRV_OK);
}

static bool is(mailsrv_bytes b, const char *text)
{
    return b.n == strlen(text) && (b.n == 0 || memcmp(b.p, text, b.n) == 0);
}

static void verify(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const mailsrv_arg_auth_verify *arg = op->arg;
    (void)user;
    answer_identity(e, op,
                    is(arg->user, "us,er") && is(arg->password, "pencil") &&
                        (is(arg->identity, "o=ther") || is(arg->identity, "")));
}

static void scram_keys(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct world *w = user;
    const mailsrv_arg_auth_scram_keys *arg = op->arg;
    size_t octets = arg->hash == MAILSRV_HASH_SHA1 ? 20 : 32;
    const mailsrv_bytes password = bytes_of("pencil"), salt = bytes_of("salt");
    uint8_t stored[32], server[32];
    assert_true(is(arg->user, "us,er"));
    assert_int_equal(mailsrv_scram_keys(&w->primitives, arg->hash, &password, &salt, ITERATIONS, stored, server),
                     MAILSRV_OK);
    if (w->says_wrong_key)
        server[0] ^= 1;
    const mailsrv_scram_record value = { .size = sizeof value,
                                         .acts_as = 1,
                                         .account = { { 7 } },
                                         .iterations = ITERATIONS,
                                         .salt = salt,
                                         .stored_key = { stored, octets },
                                         .server_key = { server, octets } };
    const mailsrv_answer a = { .size = sizeof a, .value = &value };
    assert_int_equal(mailsrv_op_answer(e, op->id, &a), MAILSRV_OK);
}

static void store_open(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const mailsrv_store_opened value = { .size = sizeof value, .store = 1 };
    const mailsrv_answer a = { .size = sizeof a, .value = &value };
    (void)user;
    assert_int_equal(mailsrv_op_answer(e, op->id, &a), MAILSRV_OK);
}

static void ok(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    (void)user;
    mailsrv_op_answer_status(e, op->id, MAILSRV_OK);
}

static void make_engine(struct world *w)
{
    static const int32_t others[] = { MAILSRV_OP_STORE_CLOSE, MAILSRV_OP_MBOX_OPEN,  MAILSRV_OP_ROWS,
                                      MAILSRV_OP_BODY_BEGIN,  MAILSRV_OP_BODY_WRITE, MAILSRV_OP_BODY_COMMIT,
                                      MAILSRV_OP_BODY_CLOSE };
    const mailsrv_allocator from = { .size = sizeof from, .user = w, .alloc = take, .release = release };
    mailsrv_config *config;
    w->heap_left = SIZE_MAX;
    assert_int_equal(mailsrv_config_new(&from, &config), MAILSRV_OK);
    if (w->crypto.size != 0)
        assert_int_equal(mailsrv_config_set_crypto(config, &w->crypto), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_AUTH_VERIFY, verify, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_AUTH_SCRAM_KEYS, scram_keys, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_STORE_OPEN, store_open, w), MAILSRV_OK);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, others[i], ok, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 0, 0), MAILSRV_OK);
}

static void take_output(struct world *w)
{
    mailsrv_out v[1];
    size_t count;
    for (;;) {
        assert_int_equal(mailsrv_session_output(w->session, v, 1, &count), MAILSRV_OK);
        if (count == 0)
            return;
        assert_true(v[0].n >= 2 && v[0].n < sizeof w->line);
        memcpy(w->line, v[0].p, v[0].n - 2);
        w->line[v[0].n - 2] = 0;
        assert_int_equal(mailsrv_session_sent(w->session, v[0].n), MAILSRV_OK);
    }
}

/* `info` NULL: in the clear. */
static struct world *new_world(const mailsrv_tls_info *info, const mailsrv_crypto *crypto)
{
    struct world *w = calloc(1, sizeof *w);
    w->primitives = test_crypto(&w->calls);
    if (crypto != NULL)
        w->crypto = *crypto;
    make_engine(w);
    uint64_t tls = info != NULL ? MAILSRV_TLS_IMPLICIT : MAILSRV_TLS_NONE;
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_TLS, tls), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_AUTH_DELAY_MS, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &w->session), MAILSRV_OK);
    if (info != NULL)
        assert_int_equal(mailsrv_session_tls_started(w->session, info), MAILSRV_OK);
    take_output(w);
    return w;
}

static struct world *new_usual(const mailsrv_tls_info *info)
{
    uint8_t calls = 0;
    mailsrv_crypto c = test_crypto(&calls);
    c.random = nonce_of_the_rfc;
    return new_world(info, &c);
}

static void drop_client(struct world *w)
{
    mailsrv__sasl_client_free(w->client);
    w->client = NULL;
}

static void free_world(struct world *w)
{
    drop_client(w);
    mailsrv_session_free(w->session);
    assert_int_equal(mailsrv_engine_turn(w->engine, 100000), MAILSRV_OK);
    mailsrv_profile_unref(w->profile);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    free(w);
}

/* ---- The client ---- */

static mailsrv_credential credential_of(const char *user, const char *identity, const char *password, const char *token)
{
    return (mailsrv_credential){ .size = sizeof(mailsrv_credential),
                                 .user = bytes_of(user),
                                 .identity = bytes_of(identity),
                                 .password = bytes_of(password),
                                 .token = bytes_of(token) };
}

static int32_t begin(struct world *w, const char *offered, const mailsrv_credential *c)
{
    drop_client(w);
    return mailsrv__sasl_client_new(w->session, mailsrv__sasl_client_read(span_of(offered)), c, &w->client);
}

static const char *chosen(struct world *w, const char *offered, const mailsrv_credential *c)
{
    int32_t status = begin(w, offered, c);
    if (status == MAILSRV_CANNOT)
        return "none";
    assert_int_equal(status, MAILSRV_OK);
    return mailsrv__sasl_client_name(w->client).p;
}

static const char *decoded(struct world *w, struct span base64)
{
    size_t n;
    assert_true(base64.n < sizeof w->text);
    assert_true(mailsrv__base64_read(base64, (uint8_t *)w->text, &n));
    for (size_t i = 0; i < n; i++)
        if (w->text[i] == 0)
            w->text[i] = '0';
    w->text[n] = 0;
    return w->text;
}

static const char *initial(struct world *w)
{
    return decoded(w, mailsrv__sasl_client_initial(w->client));
}

static const char *response(struct world *w)
{
    return decoded(w, mailsrv__sasl_client_response(w->client));
}

/* The turn that a challenge leads to, when all the work for it is done. */
static enum sasl_client_turn hear(struct world *w, struct span base64)
{
    char *copy = malloc(base64.n + 1); /* of which nothing is there afterwards */
    memcpy(copy, base64.p, base64.n);
    enum sasl_client_turn turn = mailsrv__sasl_client_answer(w->client, (struct span){ copy, base64.n });
    memset(copy, '?', base64.n);
    free(copy);
    unsigned turns = 0;
    while (turn == SASL_CLIENT_WORKS) {
        turn = mailsrv__sasl_client_go_on(w->client);
        turns++;
    }
    assert_true(turns < 10000);
    return turn;
}

static enum sasl_client_turn hear_text(struct world *w, const char *text)
{
    char base64[TEXT_OCTETS];
    assert_true(BASE64_CHARS(strlen(text)) <= sizeof base64);
    return hear(w, (struct span){ base64, mailsrv__base64((const uint8_t *)text, strlen(text), base64) });
}

/* ---- Which one ---- */

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(mailsrv__sasl_client_read(span_of("")), 0);
    assert_int_equal(mailsrv__sasl_client_read(span_of("plain  LOGIN CRAM-MD5 ")),
                     MAILSRV_SASL_PLAIN | MAILSRV_SASL_LOGIN);
    assert_int_equal(mailsrv__sasl_client_read(span_of("SCRAM-SHA-1 scram-sha-1-plus SCRAM-SHA-256 SCRAM-SHA-256-PLUS "
                                                       "SCRAM-SHA-512 XOAUTH2 OAUTHBEARER PLAINX")),
                     MAILSRV_SASL_SCRAM_SHA_1 | MAILSRV_SASL_SCRAM_SHA_1_PLUS | MAILSRV_SASL_SCRAM_SHA_256 |
                         MAILSRV_SASL_SCRAM_SHA_256_PLUS | MAILSRV_SASL_XOAUTH2 | MAILSRV_SASL_OAUTHBEARER);
}

static const char everything[] = "LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS XOAUTH2 "
                                 "OAUTHBEARER";

static void test_choice(void **state)
{
    struct world *bound = new_usual(&bindings), *unbound = new_usual(&nothing_to_bind), *clear = new_usual(NULL);
    struct world *bare = new_world(&bindings, NULL);
    mailsrv_credential password = credential_of("user", "", "pencil", "");
    const mailsrv_credential token = credential_of("user", "", "", "abc"), both = credential_of("user", "", "p", "abc");
    const mailsrv_credential acts = credential_of("user", "other", "pencil", "abc");
    const mailsrv_credential same = credential_of("user", "user", "pencil", "abc");
    (void)state;
    assert_string_equal(chosen(bound, everything, &password), "SCRAM-SHA-256-PLUS");
    assert_string_equal(chosen(bound, "SCRAM-SHA-1-PLUS SCRAM-SHA-256 PLAIN", &password), "SCRAM-SHA-256");
    assert_string_equal(chosen(bound, "SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN", &password), "SCRAM-SHA-1-PLUS");
    assert_string_equal(chosen(unbound, everything, &password), "SCRAM-SHA-256");
    assert_string_equal(chosen(unbound, "PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS", &password), "SCRAM-SHA-1");
    assert_string_equal(chosen(bare, everything, &password), "PLAIN");
    assert_string_equal(chosen(bare, "LOGIN SCRAM-SHA-1", &password), "LOGIN");
    assert_string_equal(chosen(clear, everything, &password), "SCRAM-SHA-256");
    assert_string_equal(chosen(clear, "LOGIN PLAIN XOAUTH2 OAUTHBEARER", &both), "none");
    assert_string_equal(chosen(bound, everything, &token), "OAUTHBEARER");
    assert_string_equal(chosen(bound, "XOAUTH2 PLAIN", &both), "XOAUTH2");
    assert_string_equal(chosen(bound, "PLAIN", &both), "PLAIN");
    assert_string_equal(chosen(bound, "PLAIN", &token), "none");
    assert_string_equal(chosen(bound, "XOAUTH2 LOGIN", &acts), "none");
    assert_string_equal(chosen(bound, "XOAUTH2 LOGIN", &same), "XOAUTH2");
    assert_string_equal(chosen(bound, "", &password), "none");
    password.mechanisms = MAILSRV_SASL_LOGIN | MAILSRV_SASL_SCRAM_SHA_1;
    assert_string_equal(chosen(bound, everything, &password), "SCRAM-SHA-1");
    assert_int_equal(mailsrv__sasl_client_can(clear->session, UINT32_MAX),
                     MAILSRV_SASL_SCRAM_SHA_1 | MAILSRV_SASL_SCRAM_SHA_256);
    free_world(bound);
    free_world(unbound);
    free_world(clear);
    free_world(bare);
}

static void test_credentials_that_are_none(void **state)
{
    struct world *w = new_usual(&bindings);
    char large[10000];
    static const struct {
        const char *offered;
        mailsrv_credential c;
    } none[] = {
        { "PLAIN", { .user = { (const uint8_t *)"a\0b", 3 }, .password = { (const uint8_t *)"x", 1 } } },
        { "PLAIN", { .user = { (const uint8_t *)"ab", 2 }, .password = { (const uint8_t *)"x\0y", 3 } } },
        { "PLAIN", { .password = { (const uint8_t *)"x", 1 } } },
        { "SCRAM-SHA-256", { .user = { (const uint8_t *)"ab", 2 }, .password = { (const uint8_t *)"x\x07", 2 } } },
        { "SCRAM-SHA-256", { .user = { (const uint8_t *)"ab", 2 }, .password = { (const uint8_t *)"\xC2\xAD", 2 } } },
        { "XOAUTH2", { .user = { (const uint8_t *)"a\1", 2 }, .token = { (const uint8_t *)"x", 1 } } },
        { "XOAUTH2", { .user = { (const uint8_t *)"ab", 2 }, .token = { (const uint8_t *)"x\1", 2 } } },
        { "OAUTHBEARER", { .user = { (const uint8_t *)"ab", 2 }, .token = { (const uint8_t *)"x y", 3 } } },
    };
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(begin(w, none[i].offered, &none[i].c), MAILSRV_E_VALUE);
    memset(large, 'x', sizeof large);
    const mailsrv_credential too_long = { .user = bytes_of("u"), .token = { (const uint8_t *)large, sizeof large } };
    const mailsrv_credential fits = { .user = bytes_of("u"), .token = { (const uint8_t *)large, 9000 } };
    assert_int_equal(begin(w, "XOAUTH2", &too_long), MAILSRV_E_VALUE);
    assert_int_equal(begin(w, "XOAUTH2", &fits), MAILSRV_OK);
    free_world(w);
}

/* ---- What is said ---- */

static void test_plain(void **state)
{
    struct world *w = new_usual(&bindings);
    mailsrv_credential c = credential_of("us,er", "o=ther", "pencil", "");
    (void)state;
    assert_string_equal(chosen(w, "PLAIN", &c), "PLAIN");
    assert_string_equal(initial(w), "o=ther0us,er0pencil");
    assert_true(mailsrv__sasl_client_is_done(w->client));
    assert_int_equal(hear_text(w, "more"), SASL_CLIENT_FAILS);
    assert_false(mailsrv__sasl_client_is_done(w->client));
    c.identity = c.user;
    assert_string_equal(chosen(w, "PLAIN", &c), "PLAIN");
    assert_string_equal(initial(w), "0us,er0pencil");
    free_world(w);
}

static void test_login(void **state)
{
    struct world *w = new_usual(&bindings);
    const mailsrv_credential c = credential_of("us,er", "", "pencil", "");
    (void)state;
    assert_string_equal(chosen(w, "LOGIN", &c), "LOGIN");
    assert_int_equal(mailsrv__sasl_client_initial(w->client).n, 0);
    assert_false(mailsrv__sasl_client_is_done(w->client));
    assert_int_equal(hear_text(w, "Username:"), SASL_CLIENT_SAYS);
    assert_string_equal(response(w), "us,er");
    assert_false(mailsrv__sasl_client_is_done(w->client)); /* who says 235 now has asked for nothing */
    assert_int_equal(hear(w, span_of("not base64")), SASL_CLIENT_SAYS);
    assert_string_equal(response(w), "pencil");
    assert_true(mailsrv__sasl_client_is_done(w->client));
    assert_int_equal(hear_text(w, "Again:"), SASL_CLIENT_FAILS);
    assert_false(mailsrv__sasl_client_is_done(w->client));
    free_world(w);
}

static void test_tokens(void **state)
{
    struct world *w = new_usual(&bindings);
    mailsrv_credential c = credential_of("us,er", "", "", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    (void)state;
    assert_string_equal(chosen(w, "OAUTHBEARER", &c), "OAUTHBEARER");
    assert_string_equal(initial(w), "n,a=us=2Cer,\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1");
    assert_true(mailsrv__sasl_client_is_done(w->client));
    assert_int_equal(hear_text(w, "{\"status\":\"invalid_token\"}"), SASL_CLIENT_SAYS);
    assert_string_equal(response(w), "\1"); /* RFC 7628 section 3.2.3 */
    assert_false(mailsrv__sasl_client_is_done(w->client));
    assert_string_equal(mailsrv__sasl_client_why(w->client), "the server refuses the token");
    assert_int_equal(hear_text(w, "{}"), SASL_CLIENT_FAILS);
    assert_string_equal(chosen(w, "XOAUTH2", &c), "XOAUTH2");
    assert_string_equal(initial(w), "user=us,er\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1");
    assert_int_equal(hear(w, span_of("")), SASL_CLIENT_SAYS);
    assert_int_equal(mailsrv__sasl_client_response(w->client).n, 0);
    assert_false(mailsrv__sasl_client_is_done(w->client));
    c.identity = bytes_of("o=ther");
    assert_string_equal(chosen(w, "OAUTHBEARER", &c), "OAUTHBEARER");
    assert_string_equal(strtok(initial(w) == NULL ? NULL : w->text, "\1"), "n,a=o=3Dther,");
    free_world(w);
}

/* ---- SCRAM ---- */

/* RFC 5802 section 5; the others were made with Python's hashlib, which makes the first one, too. */
static const struct vector {
    const char *offered, *user, *identity, *first, *server_first, *final, *server_final;
    bool binds;
} vectors[] = {
    { "SCRAM-SHA-1", "user", "", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
      "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
      "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", false },
    { "SCRAM-SHA-256", "user", "", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
      "r=fyko+d2lbbFgONRv9qkxdawL%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
      "p=2FUSN0pPcS7P8hBhsxBJOiUDbRoW4KVNGZT0LxVnSek=",
      "v=zJZjsVp2g+W9jd01vgbsshippfH1sM0tLdBvs+e3DF4=", false },
    { "SCRAM-SHA-256-PLUS", "us,er", "o=ther", "p=tls-exporter,a=o=3Dther,n=us=2Cer,r=fyko+d2lbbFgONRv9qkxdawL",
      "r=fyko+d2lbbFgONRv9qkxdawL%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=5000,x=ignored",
      "c=cD10bHMtZXhwb3J0ZXIsYT1vPTNEdGhlcixleHBvcnRlcidzIHRoaXJ0eS10d28gb2N0ZXRzLi4uLg==,"
      "r=fyko+d2lbbFgONRv9qkxdawL%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=HRnGm4pqF3MIEgEGo0DxHu0M28rH46bWTOtba347sIw=",
      "v=Zw46pLeLvOnZldpwGLU/9ZwNa+qR8GaCF8pVoS6bONY=", true },
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct vector *v = &vectors[i];
        struct world *w = new_usual(v->binds ? &bindings : &nothing_to_bind);
        const mailsrv_credential c = credential_of(v->user, v->identity, "pencil", "");
        assert_string_equal(chosen(w, v->offered, &c), v->offered);
        assert_string_equal(initial(w), v->first);
        assert_int_equal(hear_text(w, v->server_first), SASL_CLIENT_SAYS);
        assert_string_equal(response(w), v->final);
        assert_false(mailsrv__sasl_client_is_done(w->client)); /* the server has proved nothing yet */
        assert_int_equal(hear_text(w, v->server_final), SASL_CLIENT_SAYS);
        assert_int_equal(mailsrv__sasl_client_response(w->client).n, 0);
        assert_true(mailsrv__sasl_client_is_done(w->client));
        assert_int_equal(hear_text(w, v->server_final), SASL_CLIENT_FAILS);
        assert_false(mailsrv__sasl_client_is_done(w->client));
        free_world(w);
    }
}

/* RFC 5802 section 6: "y" would fail us at a server whose -PLUS somebody has hidden; said to one that shows it, too. */
static void test_flag(void **state)
{
    struct world *w = new_usual(&bindings);
    mailsrv_credential c = credential_of("user", "", "pencil", "");
    (void)state;
    assert_string_equal(chosen(w, "SCRAM-SHA-256", &c), "SCRAM-SHA-256");
    assert_string_equal(initial(w), "y,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    assert_string_equal(chosen(w, "SCRAM-SHA-256 SCRAM-SHA-1-PLUS", &c), "SCRAM-SHA-256");
    assert_string_equal(initial(w), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    free_world(w);
}

static void test_first_messages_that_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92",
        "m=x,r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=4096",
        "r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096",     /* the server adds nothing */
        "r=fyko+d2lbbFgONRv9qkxdawM3rfc,s=QSXCR+Q6sek8bf92,i=4096", /* not ours */
        "r=fyko,s=QSXCR+Q6sek8bf92,i=4096",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf9,i=4096", /* no base64 */
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=,i=4096",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=4095", /* RFC 7677 section 4 */
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=1000001",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=4294971392", /* 2^32 + 4096 */
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=04096",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=4096x",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=4096,",
    };
    struct world *w = new_usual(&nothing_to_bind);
    const mailsrv_credential c = credential_of("user", "", "pencil", "");
    char large[SASL_CHALLENGE_CHARS + 1];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(begin(w, "SCRAM-SHA-256", &c), MAILSRV_OK);
        assert_int_equal(hear_text(w, bad[i]), SASL_CLIENT_FAILS);
        assert_false(mailsrv__sasl_client_is_done(w->client));
    }
    memset(large, 'A', sizeof large);
    assert_int_equal(begin(w, "SCRAM-SHA-256", &c), MAILSRV_OK);
    assert_int_equal(hear(w, (struct span){ large, sizeof large }), SASL_CLIENT_FAILS);
    assert_int_equal(begin(w, "SCRAM-SHA-256", &c), MAILSRV_OK);
    assert_int_equal(hear(w, span_of("no base64")), SASL_CLIENT_FAILS);
    free_world(w);
}

static void test_signatures_that_are_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "v=",
                                       "e=invalid-proof",
                                       "v=zJZjsVp2g+W9jd01vgbsshippfH1sM0tLdBvs+e3DF8=",
                                       "v=zJZjsVp2g+W9jd01vgbsshippfH1sM0tLdBvs+e3",
                                       "v=zJZjsVp2g+W9jd01vgbsshippfH1sM0tLdBvs+e3DF4" };
    const struct vector *v = &vectors[1];
    struct world *w = new_usual(&nothing_to_bind);
    const mailsrv_credential c = credential_of("user", "", "pencil", "");
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(begin(w, "SCRAM-SHA-256", &c), MAILSRV_OK);
        assert_int_equal(hear_text(w, v->server_first), SASL_CLIENT_SAYS);
        assert_int_equal(hear_text(w, bad[i]), SASL_CLIENT_FAILS);
        assert_false(mailsrv__sasl_client_is_done(w->client));
    }
    free_world(w);
}

/* Many iterations are made in many turns: nobody else waits for them. */
static void test_turns(void **state)
{
    struct world *w = new_usual(&nothing_to_bind);
    const mailsrv_credential c = credential_of("user", "", "pencil", "");
    char base64[256];
    const char *first = vectors[0].server_first;
    size_t n = mailsrv__base64((const uint8_t *)first, strlen(first), base64);
    (void)state;
    assert_int_equal(begin(w, "SCRAM-SHA-1", &c), MAILSRV_OK);
    assert_int_equal(mailsrv__sasl_client_answer(w->client, (struct span){ base64, n }), SASL_CLIENT_WORKS);
    assert_int_equal(mailsrv__sasl_client_go_on(w->client), SASL_CLIENT_WORKS);
    assert_int_equal(mailsrv__sasl_client_answer(w->client, (struct span){ base64, n }), SASL_CLIENT_FAILS);
    free_world(w);
}

/* ---- Against our own server ---- */

static const char *say(struct world *w, const char *before, struct span text)
{
    size_t n = strlen(before), consumed;
    assert_true(n + text.n + 2 < sizeof w->text);
    memcpy(w->text, before, n);
    if (text.n != 0)
        memcpy(w->text + n, text.p, text.n);
    memcpy(w->text + n + text.n, "\r\n", 2);
    n += text.n + 2;
    assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)w->text, n, &consumed), MAILSRV_OK);
    assert_int_equal(consumed, n);
    assert_int_equal(mailsrv_engine_turn(w->engine, 100000), MAILSRV_OK);
    take_output(w);
    return w->line;
}

/* A whole login; the server's last line. */
static const char *log_in(struct world *w, const char *mechanism, const mailsrv_credential *c)
{
    char command[64] = "a AUTHENTICATE ";
    assert_string_equal(chosen(w, mechanism, c), mechanism);
    struct span first = mailsrv__sasl_client_initial(w->client);
    strcat(command, mechanism);
    say(w, strcat(command, first.n != 0 ? " " : ""), first);
    while (w->line[0] == '+' && hear(w, span_of(w->line + 2)) == SASL_CLIENT_SAYS)
        say(w, "", mailsrv__sasl_client_response(w->client));
    return w->line;
}

static void test_our_server(void **state)
{
    static const char *const mechanisms[] = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS",
                                              "SCRAM-SHA-1",        "PLAIN",         "LOGIN" };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof mechanisms / sizeof *mechanisms; i++) {
        const char *mechanism = mechanisms[i / 2];
        struct world *w = new_usual(strstr(mechanism, "PLUS") != NULL ? &bindings : &nothing_to_bind);
        bool acts = i % 2 != 0 && strcmp(mechanism, "LOGIN") != 0;
        const mailsrv_credential right = credential_of("us,er", acts ? "o=ther" : "", "pencil", "");
        const mailsrv_credential wrong = credential_of("us,er", "", "pen", "");
        assert_memory_equal(log_in(w, mechanism, &wrong), "a NO ", 5);
        assert_memory_equal(log_in(w, mechanism, &right), "a OK ", 5);
        assert_true(mailsrv__sasl_client_is_done(w->client));
        free_world(w);
    }
}

/* Who only plays our server, and has the proof from somewhere, has not its key. */
static void test_server_without_the_key(void **state)
{
    struct world *w = new_usual(&bindings);
    const mailsrv_credential c = credential_of("us,er", "", "pencil", "");
    (void)state;
    w->says_wrong_key = true;
    assert_int_equal(log_in(w, "SCRAM-SHA-256-PLUS", &c)[0], '+');
    assert_false(mailsrv__sasl_client_is_done(w->client));
    assert_string_equal(mailsrv__sasl_client_why(w->client), "the server does not know the keys of this user");
    free_world(w);
}

/* ---- Without memory, without random numbers ---- */

static void test_no_memory(void **state)
{
    struct world *w = new_usual(&bindings);
    const mailsrv_credential c = credential_of(vectors[2].user, vectors[2].identity, "pencil", "");
    bool is_done = false;
    size_t left = 0;
    (void)state;
    for (; !is_done; left++) {
        drop_client(w);
        w->heap_left = left;
        int32_t status = begin(w, vectors[2].offered, &c);
        assert_true(status == MAILSRV_OK || status == MAILSRV_NOMEM);
        if (status == MAILSRV_OK)
            is_done = hear_text(w, vectors[2].server_first) == SASL_CLIENT_SAYS &&
                      hear_text(w, vectors[2].server_final) == SASL_CLIENT_SAYS;
        assert_true(status != MAILSRV_OK || is_done == mailsrv__sasl_client_is_done(w->client));
        w->heap_left = SIZE_MAX;
    }
    assert_true(left > 3);
    free_world(w);
}

static int32_t no_random(void *user, uint8_t *out, size_t n)
{
    (void)user;
    (void)out;
    (void)n;
    return MAILSRV_TEMP;
}

static void test_no_random_numbers(void **state)
{
    uint8_t calls = 0;
    mailsrv_crypto crypto = test_crypto(&calls);
    const mailsrv_credential c = credential_of("user", "", "pencil", "");
    (void)state;
    crypto.random = no_random;
    struct world *w = new_world(&bindings, &crypto);
    assert_int_equal(begin(w, "SCRAM-SHA-256", &c), MAILSRV_TEMP);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_credentials_that_are_none),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_flag),
        cmocka_unit_test(test_first_messages_that_are_refused),
        cmocka_unit_test(test_signatures_that_are_refused),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_our_server),
        cmocka_unit_test(test_server_without_the_key),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
