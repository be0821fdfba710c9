/* What a provider says that a session holds is what malloc says, or some percent more, at every step. */
#include "counted.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#ifdef TLS_OPENSSL
enum { LOST_OCTETS = 2048 }; /* of an open one: holes in the heap, which malloc does not tell of */
#else
enum { LOST_OCTETS = 0 };
#endif
enum { BLOCK_OCTETS = 4 << 20, MORE_PERCENT = 8, MORE_PERCENT_SHAKING = 25, ALL = 16384 };

/* One way to be connected. */
struct way {
    int version;
    const char *cipher;
    const struct identity *own;
    bool shows_client;
};

struct scene {
    const struct way *way;
    mailsrv_tls_setup setup;
    struct place place;
    mailsrv_session *session;
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *to_us, *to_him;
    SSL_SESSION *ticket;
    int64_t before;
    bool compares;
    unsigned n_compared;
};

static struct identity root, ec, rsa, client;

static int make_identities(void **state)
{
    (void)state;
    identity_make(&root, KEY_EC, NULL, NULL);
    identity_make(&ec, KEY_EC, "DNS:mx.here.test", &root);
    identity_make(&rsa, KEY_RSA, "DNS:mx.here.test", &root);
    identity_make(&client, KEY_RSA, "email:pat@here.test,DNS:pat.here.test", &root);
    return 0;
}

static int free_identities(void **state)
{
    (void)state;
    struct identity *all[] = { &root, &ec, &rsa, &client };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        identity_free(all[i]);
    return 0;
}

static void compare(struct scene *s, const char *when, int64_t more_percent)
{
    int64_t held = counted_octets() - s->before;
    int64_t said = (int64_t)mailsrv_engine_stat(s->place.engine, MAILSRV_STAT_TLS_OCTETS);
    if (!s->compares)
        return;
    s->n_compared++;
    if (more_percent == MORE_PERCENT)
        said -= LOST_OCTETS;
    if (said < held || said > held + held * more_percent / 100)
        fail_msg("%s, %s: %lld are held, %lld are said", s->way->cipher, when, (long long)held, (long long)said);
}

/* ---- The place: what is held is the provider's alone, because the engine lives in a block of its own ---- */

static void scene_begin(struct scene *s, const struct way *way)
{
    static uint8_t block[BLOCK_OCTETS];
    static mailsrv_certificate own;
    mailsrv_allocator allocator;
    mailsrv_config *config;
    own = identity_certificate(way->own);
    *s = (struct scene){ .way = way };
    s->setup = (mailsrv_tls_setup){ .size = sizeof s->setup,
                                    .certificates = &own,
                                    .n_certificates = 1,
                                    .certificate_stride = sizeof own };
    if (way->shows_client)
        s->setup.client_roots = identity_bytes(root.chain);
    s->place.profile = place_profile(&s->setup, MAILSRV_TLS_IMPLICIT, &s->place.tls);
    assert_int_equal(mailsrv_block_allocator(block, sizeof block, &allocator), MAILSRV_OK);
    assert_int_equal(mailsrv_config_new(&allocator, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &s->place.engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_engine_advance(s->place.engine, 1000000, 1000000), MAILSRV_OK);
}

static SSL_CTX *client_of(const struct way *way)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, way->version);
    assert_int_equal(way->version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(ctx, way->cipher)
                                                    : SSL_CTX_set_cipher_list(ctx, way->cipher),
                     1);
    if (way->shows_client)
        identity_show(&client, ctx);
    return ctx;
}

static void session_begin(struct scene *s, bool resumes)
{
    s->before = counted_octets();
    counted_turn(true);
    assert_int_equal(mailsrv_server_new(s->place.engine, s->place.profile, NULL, NULL, &s->session), MAILSRV_OK);
    counted_turn(false);
    compare(s, "begun", MORE_PERCENT_SHAKING);
    s->ctx = client_of(s->way);
    s->ssl = SSL_new(s->ctx);
    s->to_us = BIO_new(BIO_s_mem());
    s->to_him = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(s->to_us, -1);
    BIO_set_mem_eof_return(s->to_him, -1);
    SSL_set_bio(s->ssl, s->to_him, s->to_us);
    SSL_set_connect_state(s->ssl);
    SSL_set_tlsext_host_name(s->ssl, "mx.here.test");
    if (resumes)
        SSL_set_session(s->ssl, s->ticket);
}

static void session_end(struct scene *s)
{
    counted_turn(true);
    mailsrv_session_free(s->session);
    counted_turn(false);
    SSL_SESSION_free(s->ticket);
    s->ticket = SSL_get1_session(s->ssl);
    SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(s->ssl);
    SSL_CTX_free(s->ctx);
}

static void scene_end(struct scene *s)
{
    SSL_SESSION_free(s->ticket);
    place_end(&s->place);
}

/* ---- */

/* What the client has to send, at most `n` octets of it; what comes back; what the client makes of it. */
static bool move(struct scene *s, int n)
{
    uint8_t octets[ALL];
    char said[4096];
    mailsrv_out out[8];
    size_t taken = 0, pieces = 0, sent = 0;
    int got = BIO_read(s->to_us, octets, n);
    counted_turn(true);
    if (got > 0)
        mailsrv_session_feed(s->session, octets, (size_t)got, &taken);
    mailsrv_engine_turn(s->place.engine, 100000);
    mailsrv_session_output(s->session, out, 8, &pieces);
    counted_turn(false);
    assert_int_equal(taken, got > 0 ? got : 0);
    for (size_t i = 0; i < pieces; i++, sent += out[i - 1].n)
        BIO_write(s->to_him, out[i].p, (int)out[i].n);
    counted_turn(true);
    mailsrv_session_sent(s->session, sent);
    counted_turn(false);
    SSL_read(s->ssl, said, sizeof said);
    return got > 0 || sent != 0 || BIO_ctrl_pending(s->to_us) != 0;
}

static void shake(struct scene *s, int n)
{
    SSL_do_handshake(s->ssl);
    while (move(s, n))
        compare(s, "in the handshake", MORE_PERCENT_SHAKING);
    assert_true(SSL_is_init_finished(s->ssl));
    compare(s, "open", MORE_PERCENT);
}

static void talk(struct scene *s)
{
    SSL_write(s->ssl, "EHLO a.test\r\nNOOP\r\n", 19);
    while (move(s, ALL))
        compare(s, "in use", MORE_PERCENT);
    SSL_write(s->ssl, "NOOP\r\n", 6);
    move(s, 10);
    compare(s, "with a piece of a record", MORE_PERCENT);
    while (move(s, ALL))
        ;
    compare(s, "idle", MORE_PERCENT);
}

/* The first session warms what the process and the context keep; the second one is whole; the third one is resumed. */
static void check(const struct way *way)
{
    struct scene s;
    scene_begin(&s, way);
    for (int i = 0; i < 3; i++) {
        s.compares = i > 0;
        session_begin(&s, i == 2);
        shake(&s, i == 1 ? 100 : ALL);
        assert_int_equal(SSL_session_reused(s.ssl), i == 2);
        talk(&s);
        session_end(&s);
    }
    assert_true(s.n_compared > 10);
    scene_end(&s);
}

static void check_all(int version, const char *const *ciphers)
{
    for (; *ciphers != NULL; ciphers++)
        for (int i = 0; i < 4; i++)
            check(&(struct way){ version, *ciphers, i % 2 == 0 ? &ec : &rsa, i / 2 != 0 });
}

static void test_tls_1_2(void **state)
{
    static const char *const ciphers[] = { "ECDHE+AES128+AESGCM", "ECDHE+AES256+AESGCM", "ECDHE+CHACHA20",
                                           "ECDHE+SHA384", NULL };
    (void)state;
    check_all(TLS1_2_VERSION, ciphers);
}

static void test_tls_1_3(void **state)
{
    static const char *const ciphers[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                           "TLS_CHACHA20_POLY1305_SHA256", NULL };
    (void)state;
    if (PROVIDER_HAS_TLS_1_3)
        check_all(TLS1_3_VERSION, ciphers);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_tls_1_2), cmocka_unit_test(test_tls_1_3) };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
