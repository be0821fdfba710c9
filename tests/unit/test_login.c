/* Logins as a host sees them: what is asked of it, channel bindings and certificates of its TLS, who acts as whom. */
#include "crypto.h"
#include "sasl/scram_message.h"
#include "text/base64.h"

#include <mailsrv/mailsrv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ITERATIONS = 4 };

struct world {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    mailsrv_session *session;
    uint8_t calls;
    mailsrv_crypto crypto;
    uint8_t stored[32], server[32];
    uint32_t acts_as;      /* that is answered */
    bool spoils_nonce;     /* the client's final message has another one */
    int32_t status;
    char asked[256]; /* what the last operation said */
    char out[4096];  /* all of it */
    char line[1024]; /* the last line */
};

static const mailsrv_bytes salt = { (const uint8_t *)"salt", 4 };

/* ---- The host ---- */

static void note(struct world *w, mailsrv_bytes b, const char *after)
{
    size_t n = strlen(w->asked);
    assert_true(n + b.n + strlen(after) < sizeof w->asked);
    if (b.n != 0)
        memcpy(w->asked + n, b.p, b.n);
    memcpy(w->asked + n + b.n, after, strlen(after) + 1);
}

static void answer(struct world *w, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .status = w->status, .value = w->status == MAILSRV_OK ? value : NULL };
    assert_int_equal(mailsrv_op_answer(w->engine, op->id, &a), MAILSRV_OK);
}

static void answer_identity(struct world *w, const mailsrv_op *op)
{
    const mailsrv_identity value = { .size = sizeof value, .acts_as = w->acts_as, .account = { { 7 } } };
    answer(w, op, &value);
}

static void verify(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct world *w = user;
    const mailsrv_arg_auth_verify *arg = op->arg;
    (void)e;
    note(w, arg->mechanism, " ");
    note(w, arg->service, arg->secured != 0 ? " secured " : " clear ");
    note(w, arg->user, " ");
    note(w, arg->identity, " ");
    assert_int_equal(arg->peer.n, 4);
    assert_memory_equal(arg->peer.p, "\xC0\x00\x02\x07", 4);
    answer_identity(w, op);
}

static void scram_keys(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct world *w = user;
    const mailsrv_arg_auth_scram_keys *arg = op->arg;
    size_t octets = arg->hash == MAILSRV_HASH_SHA1 ? 20 : 32;
    const mailsrv_bytes password = { (const uint8_t *)"pencil", 6 };
    (void)e;
    note(w, arg->mechanism, arg->secured != 0 ? " secured " : " clear ");
    note(w, arg->user, " ");
    note(w, arg->identity, " ");
    assert_int_equal(
        mailsrv_scram_keys(&w->crypto, arg->hash, &password, &salt, ITERATIONS, w->stored, w->server), MAILSRV_OK);
    const mailsrv_scram_record value = { .size = sizeof value,
                                         .acts_as = w->acts_as,
                                         .account = { { 7 } },
                                         .iterations = ITERATIONS,
                                         .salt = salt,
                                         .stored_key = { w->stored, octets },
                                         .server_key = { w->server, octets } };
    answer(w, op, &value);
}

static void external(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct world *w = user;
    const mailsrv_arg_auth_external *arg = op->arg;
    (void)e;
    note(w, arg->external, " ");
    note(w, arg->subject, " ");
    for (size_t i = 0; i < arg->n_names; i++)
        note(w, arg->names[i], " ");
    note(w, arg->identity, arg->secured != 0 ? " secured" : " clear");
    answer_identity(w, op);
}

static void store_open(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const mailsrv_store_opened value = { .size = sizeof value, .store = 1 };
    const mailsrv_answer a = { .size = sizeof a, .value = &value };
    (void)user;
    assert_int_equal(op->account.b[0], 7);
    assert_int_equal(mailsrv_op_answer(e, op->id, &a), MAILSRV_OK);
}

static void ok(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    (void)user;
    mailsrv_op_answer_status(e, op->id, MAILSRV_OK);
}

static void make_engine(struct world *w)
{
    static const struct {
        int32_t kind;
        mailsrv_handler handler;
    } served[] = { { MAILSRV_OP_AUTH_VERIFY, verify },       { MAILSRV_OP_AUTH_SCRAM_KEYS, scram_keys },
                   { MAILSRV_OP_AUTH_EXTERNAL, external },   { MAILSRV_OP_STORE_OPEN, store_open },
                   { MAILSRV_OP_STORE_CLOSE, ok },           { MAILSRV_OP_MBOX_OPEN, ok },
                   { MAILSRV_OP_ROWS, ok },                  { MAILSRV_OP_BODY_BEGIN, ok },
                   { MAILSRV_OP_BODY_WRITE, ok },            { MAILSRV_OP_BODY_COMMIT, ok },
                   { MAILSRV_OP_BODY_CLOSE, ok } };
    mailsrv_config *config;
    w->crypto = test_crypto(&w->calls);
    assert_int_equal(mailsrv_config_new(NULL, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_crypto(config, &w->crypto), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, served[i].kind, served[i].handler, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 0, 0), MAILSRV_OK);
}

static struct world *new_world(uint64_t tls, const char *secret)
{
    struct world *w = calloc(1, sizeof *w);
    make_engine(w);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_TLS, tls), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_AUTH_DELAY_MS, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_AUTH_FAILURES_MAX, 100), MAILSRV_OK);
    if (secret != NULL)
        assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_SCRAM_SECRET, secret, strlen(secret)),
                         MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    return w;
}

static void free_world(struct world *w)
{
    mailsrv_session_free(w->session);
    assert_int_equal(mailsrv_engine_turn(w->engine, 100000), MAILSRV_OK);
    mailsrv_profile_unref(w->profile);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    free(w);
}

/* ---- The client ---- */

static void take_output(struct world *w)
{
    mailsrv_out v[4];
    size_t count, n = strlen(w->out);
    for (;;) {
        assert_int_equal(mailsrv_session_output(w->session, v, 4, &count), MAILSRV_OK);
        if (count == 0)
            break;
        assert_true(n + v[0].n < sizeof w->out);
        memcpy(w->out + n, v[0].p, v[0].n);
        n += v[0].n;
        w->out[n] = 0;
        assert_int_equal(mailsrv_session_sent(w->session, v[0].n), MAILSRV_OK);
    }
    size_t at = n < 2 ? 0 : n - 2;
    while (at != 0 && w->out[at - 1] != '\n')
        at--;
    assert_true(n - at < sizeof w->line);
    memcpy(w->line, w->out + at, n - at);
    w->line[n - at < 2 ? 0 : n - at - 2] = 0; /* without its CRLF */
}

static void begin(struct world *w)
{
    const mailsrv_peer peer = { .size = sizeof peer, .address_octets = 4, .address = { 192, 0, 2, 7 } };
    mailsrv_session_free(w->session);
    w->out[0] = 0;
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, &peer, NULL, &w->session), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_turn(w->engine, 100000), MAILSRV_OK);
    take_output(w);
}

static const char *say(struct world *w, const char *text)
{
    size_t n = strlen(text), consumed;
    w->asked[0] = 0;
    while (n != 0) {
        assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)text, n, &consumed), MAILSRV_OK);
        assert_int_equal(mailsrv_engine_turn(w->engine, 100000), MAILSRV_OK);
        take_output(w);
        text += consumed;
        n -= consumed;
    }
    return w->line;
}

static const char *say_base64(struct world *w, const char *before, const char *octets, size_t n)
{
    char line[1024];
    size_t at = strlen(before);
    memcpy(line, before, at);
    at += mailsrv__base64((const uint8_t *)octets, n, line + at);
    memcpy(line + at, "\r\n", 3);
    return say(w, line);
}

/* The octets of a challenge, as a string. */
static void challenge(struct world *w, char *out)
{
    size_t n;
    assert_memory_equal(w->line, "+ ", 2);
    assert_true(mailsrv__base64_read((struct span){ w->line + 2, strlen(w->line) - 2 }, (uint8_t *)out, &n));
    out[n] = 0;
}

/* A client's proof, from the keys themselves: ClientKey XOR HMAC(StoredKey, AuthMessage). */
static void prove(struct world *w, int32_t hash, const char *bare, const char *server_first, const char *without_proof,
                  uint8_t *proof)
{
    size_t octets = hash == MAILSRV_HASH_SHA1 ? 20 : 32;
    const mailsrv_crypto *c = &w->crypto;
    const mailsrv_bytes password = { (const uint8_t *)"pencil", 6 }, text = { (const uint8_t *)"Client Key", 10 };
    uint8_t u[32], sum[32], signature[32];
    const mailsrv_bytes first[] = { salt, { (const uint8_t *)"\0\0\0\1", 4 } };
    assert_int_equal(c->hmac(c->user, hash, &password, first, 2, u), MAILSRV_OK);
    memcpy(sum, u, octets);
    for (unsigned i = 1; i < ITERATIONS; i++) {
        uint8_t next[32];
        const mailsrv_bytes again = { u, octets };
        assert_int_equal(c->hmac(c->user, hash, &password, &again, 1, next), MAILSRV_OK);
        memcpy(u, next, octets);
        for (size_t j = 0; j < octets; j++)
            sum[j] ^= u[j];
    }
    const mailsrv_bytes salted = { sum, octets }, stored = { w->stored, octets };
    assert_int_equal(c->hmac(c->user, hash, &salted, &text, 1, proof), MAILSRV_OK);
    const mailsrv_bytes parts[] = { { (const uint8_t *)bare, strlen(bare) },
                                    { (const uint8_t *)",", 1 },
                                    { (const uint8_t *)server_first, strlen(server_first) },
                                    { (const uint8_t *)",", 1 },
                                    { (const uint8_t *)without_proof, strlen(without_proof) } };
    assert_int_equal(c->hmac(c->user, hash, &stored, parts, 5, signature), MAILSRV_OK);
    for (size_t i = 0; i < octets; i++)
        proof[i] ^= signature[i];
}

/* SCRAM up to the server's final message or refusal; `cbind` is gs2 header and binding, as the client sees them. */
static const char *scram(struct world *w, const char *mechanism, int32_t hash, const char *gs2, const char *cbind,
                         size_t n_cbind)
{
    static const char bare[] = "n=user,r=abc";
    char text[1024], server_first[256], final[512];
    uint8_t proof[32];
    strcpy(text, "a AUTHENTICATE ");
    strcat(text, mechanism);
    strcat(text, " ");
    strcpy(final, gs2);
    strcat(final, bare);
    if (say_base64(w, text, final, strlen(final))[0] != '+')
        return w->line;
    challenge(w, server_first);
    strcpy(final, "c=");
    final[2 + mailsrv__base64((const uint8_t *)cbind, n_cbind, final + 2)] = 0;
    strcat(final, ",r=");
    strncat(final, server_first + 2, strcspn(server_first + 2, ",") - w->spoils_nonce);
    prove(w, hash, bare, server_first, final, proof);
    size_t n = strlen(final);
    memcpy(final + n, ",p=", 3);
    n += 3;
    n += mailsrv__base64(proof, hash == MAILSRV_HASH_SHA1 ? 20 : 32, final + n);
    return say_base64(w, "", final, n);
}

/* ---- Tests ---- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void secure(struct world *w, const mailsrv_tls_info *info)
{
    begin(w);
    assert_true((mailsrv_session_wants(w->session) & MAILSRV_WANT_TLS_SERVER) != 0);
    assert_int_equal(mailsrv_session_tls_started(w->session, info), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_turn(w->engine, 100000), MAILSRV_OK);
    take_output(w);
}

static const mailsrv_tls_info bindings = {
    .size = sizeof bindings,
    .version = 0x0303,
    .exporter = { (const uint8_t *)"exporter's thirty-two octets....", 32 },
    .unique = { (const uint8_t *)"twelve octet", 12 },
    .end_point = { (const uint8_t *)"end point", 9 },
};

static void test_plain_under_tls(void **state)
{
    struct world *w = new_world(MAILSRV_TLS_IMPLICIT, NULL);
    const mailsrv_tls_info nothing = { .size = sizeof nothing, .version = 0x0304 };
    (void)state;
    secure(w, &nothing);
    assert_non_null(strstr(w->line, " AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=LOGIN SASL-IR]"));
    assert_null(strstr(w->line, "LOGINDISABLED"));
    assert_true(begins(say_base64(w, "a AUTHENTICATE PLAIN ", "\0pat\0secret", 11), "a OK "));
    assert_string_equal(w->asked, "PLAIN imap secured pat  ");
    free_world(w);
}

static void test_bindings(void **state)
{
    static const struct {
        const char *mechanism, *gs2;
        int32_t hash;
        size_t at; /* of the binding's data in `bindings` */
    } cases[] = {
        { "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", MAILSRV_HASH_SHA256, offsetof(mailsrv_tls_info, exporter) },
        { "SCRAM-SHA-256-PLUS", "p=tls-unique,,", MAILSRV_HASH_SHA256, offsetof(mailsrv_tls_info, unique) },
        { "SCRAM-SHA-1-PLUS", "p=tls-server-end-point,,", MAILSRV_HASH_SHA1, offsetof(mailsrv_tls_info, end_point) },
    };
    struct world *w = new_world(MAILSRV_TLS_IMPLICIT, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char cbind[128], other[128];
        const mailsrv_bytes *data = (const void *)((const char *)&bindings + cases[i].at);
        size_t n = strlen(cases[i].gs2);
        memcpy(cbind, cases[i].gs2, n);
        memcpy(cbind + n, data->p, data->n);
        memcpy(other, cbind, n + data->n);
        other[n + data->n - 1] ^= 1;
        secure(w, &bindings);
        assert_non_null(strstr(w->line, " AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-256 "));
        assert_true(begins(scram(w, cases[i].mechanism, cases[i].hash, cases[i].gs2, other, n + data->n), "a NO "));
        assert_true(begins(scram(w, cases[i].mechanism, cases[i].hash, cases[i].gs2, cbind, n), "a NO "));
        assert_true(begins(scram(w, cases[i].mechanism, cases[i].hash, cases[i].gs2, cbind, n + data->n), "+ "));
        assert_true(begins(say(w, "\r\n"), "a OK "));
    }
    free_world(w);
}

/* RFC 5802 section 6: who could bind, and does not know that we can, has been told something else on the way. */
static void test_downgrade(void **state)
{
    struct world *w = new_world(MAILSRV_TLS_IMPLICIT, NULL);
    (void)state;
    secure(w, &bindings);
    assert_true(begins(scram(w, "SCRAM-SHA-256", MAILSRV_HASH_SHA256, "y,,", "y,,", 3), "a NO "));
    assert_string_equal(w->asked, "");
    assert_true(begins(scram(w, "SCRAM-SHA-256-PLUS", MAILSRV_HASH_SHA256, "n,,", "n,,", 3), "a NO "));
    assert_true(begins(scram(w, "SCRAM-SHA-256-PLUS", MAILSRV_HASH_SHA256, "p=tls-other,,", "p=tls-other,,", 13),
                       "a NO "));
    assert_true(begins(scram(w, "SCRAM-SHA-256", MAILSRV_HASH_SHA256, "n,,", "y,,", 3), "a NO "));
    assert_true(begins(scram(w, "SCRAM-SHA-256", MAILSRV_HASH_SHA256, "n,,", "n,,", 3), "+ "));
    free_world(w);
}

/* RFC 5802 section 5.1: the nonce of the final message is the one that we gave, however well it was signed. */
static void test_another_nonce(void **state)
{
    struct world *w = new_world(MAILSRV_TLS_IMPLICIT, NULL);
    (void)state;
    secure(w, &bindings);
    w->spoils_nonce = true;
    assert_true(begins(scram(w, "SCRAM-SHA-256", MAILSRV_HASH_SHA256, "n,,", "n,,", 3), "a NO "));
    free_world(w);
}

static bool offers_plus(struct world *w, const mailsrv_tls_info *info)
{
    secure(w, info);
    return strstr(w->line, " AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-1-PLUS ") != NULL;
}

/* A client takes the usual binding: where that is missing he is not led to it, and need not be told of the others. */
static void test_bindings_that_are_missing(void **state)
{
    struct world *w = new_world(MAILSRV_TLS_IMPLICIT, NULL);
    mailsrv_tls_info only_exporter = bindings, only_unique = bindings;
    (void)state;
    only_exporter.unique = (mailsrv_bytes){ NULL, 0 };
    only_unique.exporter = (mailsrv_bytes){ NULL, 0 };
    only_exporter.version = only_unique.version = 0x0304;
    assert_true(offers_plus(w, &only_exporter));
    assert_true(begins(scram(w, "SCRAM-SHA-256-PLUS", MAILSRV_HASH_SHA256, "p=tls-unique,,", "p=tls-unique,,", 14),
                       "a NO "));
    assert_false(offers_plus(w, &only_unique));
    assert_true(begins(scram(w, "SCRAM-SHA-256-PLUS", MAILSRV_HASH_SHA256, "p=tls-unique,,", "p=tls-unique,,", 14),
                       "a NO [CANNOT]"));
    assert_true(begins(scram(w, "SCRAM-SHA-256", MAILSRV_HASH_SHA256, "y,,", "y,,", 3), "+ "));
    only_exporter.version = only_unique.version = 0x0303;
    assert_false(offers_plus(w, &only_exporter));
    assert_true(offers_plus(w, &only_unique));
    free_world(w);
}

static void test_certificate(void **state)
{
    static const mailsrv_bytes names[] = { { (const uint8_t *)"pat@here.test", 13 },
                                           { (const uint8_t *)"pat.test", 8 } };
    struct world *w = new_world(MAILSRV_TLS_IMPLICIT, NULL);
    mailsrv_tls_info info = bindings;
    (void)state;
    info.client_subject = (mailsrv_bytes){ (const uint8_t *)"CN=pat", 6 };
    info.client_names = names;
    info.n_client_names = 2;
    secure(w, &info);
    assert_non_null(strstr(w->line, " AUTH=EXTERNAL "));
    w->status = MAILSRV_DENIED;
    assert_true(begins(say(w, "a AUTHENTICATE EXTERNAL =\r\n"), "a NO [AUTHENTICATIONFAILED]"));
    assert_string_equal(w->asked, " CN=pat pat@here.test pat.test  secured");
    w->status = MAILSRV_OK;
    assert_true(begins(say(w, "b AUTHENTICATE EXTERNAL =\r\n"), "b OK "));
    free_world(w);
}

/* RFC 4422 section 3.4.1: a handler that does not say that it has understood lets nobody in as somebody else. */
static void test_acting_as(void **state)
{
    struct world *w = new_world(MAILSRV_TLS_IMPLICIT, NULL);
    (void)state;
    secure(w, &bindings);
    assert_true(begins(say_base64(w, "a AUTHENTICATE PLAIN ", "kim\0pat\0secret", 14), "a NO [AUTHENTICATIONFAILED]"));
    assert_string_equal(w->asked, "PLAIN imap secured pat kim ");
    assert_true(begins(scram(w, "SCRAM-SHA-256", MAILSRV_HASH_SHA256, "n,a=kim,", "n,a=kim,", 8), "a NO "));
    assert_true(begins(say_base64(w, "a AUTHENTICATE PLAIN ", "kim\0pat\0secret", 14), "a NO "));
    assert_true(begins(scram(w, "SCRAM-SHA-256", MAILSRV_HASH_SHA256, "n,a=user,", "n,a=user,", 9), "+ "));
    assert_true(begins(say(w, "\r\n"), "a OK ")); /* who names himself asks for nothing */
    secure(w, &bindings);
    w->acts_as = 1;
    assert_true(begins(scram(w, "SCRAM-SHA-256", MAILSRV_HASH_SHA256, "n,a=kim,", "n,a=kim,", 8), "+ "));
    assert_true(begins(say(w, "\r\n"), "a OK "));
    secure(w, &bindings);
    assert_true(begins(say_base64(w, "a AUTHENTICATE PLAIN ", "kim\0pat\0secret", 14), "a OK "));
    free_world(w);
}

/* RFC 4616 section 2, RFC 4013 section 2.3: nobody is asked about a name or a password that is none. */
static void test_names_that_are_none(void **state)
{
    static const mailsrv_bytes plain[] = {
        { (const uint8_t *)"pat", 3 },           { (const uint8_t *)"\0pat", 4 },
        { (const uint8_t *)"\0\0secret", 8 },    { (const uint8_t *)"\0pat\0", 5 },
        { (const uint8_t *)"\0p\at\0secret", 11 }, { (const uint8_t *)"\0pat\0se\0ret", 11 },
        { (const uint8_t *)"\0pat\0se\xE4ret", 11 }, { (const uint8_t *)"\x7F\0pat\0secret", 12 },
    };
    struct world *w = new_world(MAILSRV_TLS_IMPLICIT, NULL);
    (void)state;
    secure(w, &bindings);
    assert_int_equal(mailsrv_session_set_external(w->session, "pat", 3), MAILSRV_OK);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        assert_true(begins(say_base64(w, "a AUTHENTICATE PLAIN ", (const char *)plain[i].p, plain[i].n), "a NO "));
        assert_string_equal(w->asked, "");
    }
    assert_true(begins(say_base64(w, "a AUTHENTICATE EXTERNAL ", "p\at", 4), "a NO "));
    assert_string_equal(w->asked, "");
    assert_true(begins(say_base64(w, "a AUTHENTICATE SCRAM-SHA-256 ", "n,,n=p\at,r=abc", 14), "a NO "));
    assert_string_equal(w->asked, "");
    assert_true(begins(say(w, "a AUTHENTICATE LOGIN =\r\n"), "+ "));
    assert_true(begins(say_base64(w, "", "secret", 6), "a NO "));
    assert_string_equal(w->asked, "");
    assert_true(begins(say_base64(w, "a AUTHENTICATE LOGIN ", "pat", 3), "+ "));
    assert_true(begins(say(w, "\r\n"), "a NO "));
    assert_string_equal(w->asked, "");
    free_world(w);
}

/* RESOLVE is told who submits. */
static void resolve(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct world *w = user;
    const mailsrv_arg_resolve *arg = op->arg;
    w->acts_as = arg->submitter.b[0];
    mailsrv_op_answer_status(e, op->id, MAILSRV_NONEXISTENT);
}

static void test_submitter(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    (void)state;
    make_engine(w);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_RESOLVE, resolve, w), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_AUTH_MECHANISMS, MAILSRV_SASL_PLAIN),
                     MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_TLS, MAILSRV_TLS_OFFERED), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    begin(w);
    w->acts_as = 99;
    say(w, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@here.test>\r\nRSET\r\n");
    assert_int_equal(w->acts_as, 0);
    assert_true(begins(say_base64(w, "AUTH PLAIN ", "\0pat\0secret", 11), "235 "));
    assert_string_equal(w->asked, "PLAIN smtp clear pat  ");
    assert_non_null(strstr(w->out, "250-STARTTLS\r\n")); /* RFC 3207 section 4.2: not any more, it would forget him */
    w->out[0] = 0;
    assert_true(begins(say(w, "EHLO x\r\n"), "250 AUTH PLAIN"));
    assert_null(strstr(w->out, "STARTTLS"));
    assert_true(begins(say(w, "STARTTLS\r\n"), "503 5.5.1 not after a login"));
    say(w, "MAIL FROM:<>\r\nRCPT TO:<a@here.test>\r\n");
    assert_int_equal(w->acts_as, 7);
    free_world(w);
}

/* The salt of a user who does not exist. */
static void made_up_salt(struct world *w, const char *mechanism, const char *user, char *out)
{
    char line[128], text[256];
    w->status = MAILSRV_DENIED;
    begin(w);
    strcpy(line, "a AUTHENTICATE ");
    strcat(line, mechanism);
    strcat(line, " ");
    strcpy(text, "n,,n=");
    strcat(text, user);
    strcat(text, ",r=abc");
    say_base64(w, line, text, strlen(text));
    challenge(w, text);
    strcpy(out, strstr(text, ",s="));
}

static void test_made_up_salts(void **state)
{
    struct world *w = new_world(MAILSRV_TLS_NONE, NULL), *other = new_world(MAILSRV_TLS_NONE, NULL);
    struct world *a = new_world(MAILSRV_TLS_NONE, "sixteen octets..");
    struct world *b = new_world(MAILSRV_TLS_NONE, "sixteen octets..");
    char one[256], two[256];
    (void)state;
    other->calls = 100; /* other random numbers */
    made_up_salt(w, "SCRAM-SHA-256", "nobody", one);
    made_up_salt(w, "SCRAM-SHA-256", "nobody", two);
    assert_string_equal(one, two);
    assert_non_null(strstr(one, ",i=4096"));
    made_up_salt(w, "SCRAM-SHA-256", "nobodz", two);
    assert_string_not_equal(one, two);
    made_up_salt(w, "SCRAM-SHA-1", "nobody", two);
    assert_string_not_equal(one, two);
    made_up_salt(other, "SCRAM-SHA-256", "nobody", two);
    assert_string_not_equal(one, two);
    b->calls = 100;
    made_up_salt(a, "SCRAM-SHA-256", "nobody", one);
    made_up_salt(b, "SCRAM-SHA-256", "nobody", two);
    assert_string_equal(one, two);
    free_world(w);
    free_world(other);
    free_world(a);
    free_world(b);
}

/* Random numbers, or hashes, that fail: nobody gets in, and nobody is told that his password is wrong. */
static int32_t fails_random(void *user, uint8_t *out, size_t n)
{
    (void)user;
    (void)out;
    (void)n;
    return MAILSRV_TEMP;
}

static void test_no_random_numbers(void **state)
{
    static const int32_t served[] = { MAILSRV_OP_STORE_OPEN, MAILSRV_OP_MBOX_OPEN, MAILSRV_OP_ROWS };
    struct world *w = new_world(MAILSRV_TLS_NONE, "sixteen octets..");
    mailsrv_config *config;
    (void)state;
    mailsrv_crypto crypto = w->crypto;
    crypto.random = fails_random;
    assert_int_equal(mailsrv_config_new(NULL, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_crypto(config, &crypto), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_AUTH_SCRAM_KEYS, scram_keys, w), MAILSRV_OK);
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, served[i], ok, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 0, 0), MAILSRV_OK);
    begin(w);
    assert_true(begins(say_base64(w, "a AUTHENTICATE SCRAM-SHA-256 ", "n,,n=user,r=abc", 15), "a NO [UNAVAILABLE]"));
    free_world(w);
}

static void test_external_name(void **state)
{
    struct world *w = new_world(MAILSRV_TLS_NONE, NULL);
    (void)state;
    begin(w);
    assert_int_equal(mailsrv_session_set_external(NULL, "pat", 3), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_set_external(w->session, NULL, 3), MAILSRV_E_USAGE);
    assert_true(begins(say(w, "a AUTHENTICATE EXTERNAL =\r\n"), "a NO [CANNOT]"));
    assert_int_equal(mailsrv_session_set_external(w->session, "kim", 3), MAILSRV_OK);
    assert_int_equal(mailsrv_session_set_external(w->session, "pat", 3), MAILSRV_OK);
    w->status = MAILSRV_DENIED;
    assert_true(begins(say(w, "b AUTHENTICATE EXTERNAL =\r\n"), "b NO [AUTHENTICATIONFAILED]"));
    assert_string_equal(w->asked, "pat   clear");
    assert_int_equal(mailsrv_session_set_external(w->session, NULL, 0), MAILSRV_OK);
    assert_true(begins(say(w, "c AUTHENTICATE EXTERNAL =\r\n"), "c NO [CANNOT]"));
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_under_tls),
        cmocka_unit_test(test_bindings),
        cmocka_unit_test(test_downgrade),
        cmocka_unit_test(test_another_nonce),
        cmocka_unit_test(test_bindings_that_are_missing),
        cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_acting_as),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_submitter),
        cmocka_unit_test(test_made_up_salts),
        cmocka_unit_test(test_no_random_numbers),
        cmocka_unit_test(test_external_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
