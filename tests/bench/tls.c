/* TLS: what an idle session holds of the engine, what its provider says that it holds, and what malloc says that both
 * hold; handshakes a second, the client's part included. */
#include "../tls/identity.h"
#include "host.h"

#include <malloc.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#ifdef TLS_OPENSSL
#include <mailsrv/openssl.h>
#define provider_new mailsrv_openssl_new
#define NAME "openssl"
#else
#include <mailsrv/mbedtls.h>
#define provider_new mailsrv_mbedtls_new
#define NAME "mbedtls"
#endif

enum { SESSIONS = 200, ROUNDS_MAX = 10 };

struct peer {
    mailsrv_session *session;
    SSL *ssl;
    BIO *to_us, *to_him;
};

static mailsrv_profile *make_profile(const struct identity *identity)
{
    const mailsrv_certificate own = identity_certificate(identity);
    const mailsrv_tls_setup setup = {
        .size = sizeof setup, .certificates = &own, .n_certificates = 1, .certificate_stride = sizeof own
    };
    mailsrv_profile *profile;
    mailsrv_tls *tls = NULL;
    check(provider_new(&setup, &tls, NULL) == MAILSRV_OK, "no provider");
    mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &profile);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "imap.here.test", 14);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_TLS, MAILSRV_TLS_IMPLICIT);
    mailsrv_profile_set_tls(profile, tls);
    mailsrv_tls_unref(tls);
    check(mailsrv_profile_seal(profile, NULL) == MAILSRV_OK, "the profile cannot be sealed");
    return profile;
}

static bool to_session(mailsrv_engine *engine, struct peer *c)
{
    uint8_t octets[8192];
    int n = BIO_read(c->to_us, octets, sizeof octets);
    size_t taken = 0;
    if (n <= 0)
        return false;
    check(mailsrv_session_feed(c->session, octets, (size_t)n, &taken) == MAILSRV_OK && taken == (size_t)n, "not taken");
    mailsrv_engine_turn(engine, PLENTY);
    return true;
}

static void to_client(struct peer *c)
{
    mailsrv_out v[8];
    size_t count, n = 0;
    mailsrv_session_output(c->session, v, 8, &count);
    for (size_t i = 0; i < count; i++, n += v[i - 1].n)
        BIO_write(c->to_him, v[i].p, (int)v[i].n);
    mailsrv_session_sent(c->session, n);
}

static void shake(mailsrv_engine *engine, mailsrv_profile *profile, SSL_CTX *ctx, struct peer *c)
{
    char greeting[256];
    c->session = begin(engine, profile);
    c->to_us = BIO_new(BIO_s_mem());
    c->to_him = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(c->to_us, -1);
    BIO_set_mem_eof_return(c->to_him, -1);
    c->ssl = SSL_new(ctx);
    SSL_set_bio(c->ssl, c->to_him, c->to_us);
    SSL_set_connect_state(c->ssl);
    int rounds = 0;
    do {
        SSL_do_handshake(c->ssl);
        if (to_session(engine, c))
            to_client(c);
        check(rounds++ < ROUNDS_MAX, "the session does not greet");
    } while (SSL_read(c->ssl, greeting, sizeof greeting) <= 0);
}

static void measure(mailsrv_profile *profile, SSL_CTX *ctx)
{
    static struct peer peers[SESSIONS];
    mailsrv_engine *engine;
    mailsrv_id pat;
    mailsrv_store *store = store_with_pat(&pat);
    check(mailsrv_engine_new(NULL, &engine) == MAILSRV_OK, "no engine");
    mailsrv_store_bind(store, engine);
    mailsrv_engine_advance(engine, 1, 1);
    uint64_t before = mailsrv_engine_stat(engine, MAILSRV_STAT_MEMORY);
    size_t heap = mallinfo2().uordblks;
    double began = seconds();
    for (size_t i = 0; i < SESSIONS; i++)
        shake(engine, profile, ctx, &peers[i]);
    double took = seconds() - began;
    for (size_t i = 0; i < SESSIONS; i++)
        SSL_free(peers[i].ssl);
    uint64_t ours = (mailsrv_engine_stat(engine, MAILSRV_STAT_MEMORY) - before) / SESSIONS;
    uint64_t theirs = mailsrv_engine_stat(engine, MAILSRV_STAT_TLS_OCTETS) / SESSIONS;
    size_t all = (mallinfo2().uordblks - heap) / SESSIONS;
    printf("# summary: an idle session of imap under " NAME ": %llu octets of the engine, %llu of the provider as it "
           "says; %zu as malloc says\n", (unsigned long long)ours, (unsigned long long)theirs, all);
    printf("# summary: " NAME ": %.0f handshakes a second, the client's part included\n", SESSIONS / took);
    printf("%sok 1 - a session under " NAME " holds at most 4 KiB beside the provider\n", ours <= 4096 ? "" : "not ");
    for (size_t i = 0; i < SESSIONS; i++)
        mailsrv_session_free(peers[i].session);
    uint64_t left = mailsrv_engine_stat(engine, MAILSRV_STAT_TLS_OCTETS);
    printf("%sok 2 - " NAME " gives all of it back\n", left == 0 ? "" : "not ");
    check(mailsrv_engine_free(engine, 0) == MAILSRV_OK, "the engine is busy");
    mailsrv_store_free(store);
}

int main(void)
{
    struct identity identity;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    identity_make(&identity, KEY_EC, "DNS:imap.here.test", NULL);
    mailsrv_profile *profile = make_profile(&identity);
    measure(profile, ctx);
    mailsrv_profile_unref(profile);
    SSL_CTX_free(ctx);
    identity_free(&identity);
    puts("1..2");
    return 0;
}
