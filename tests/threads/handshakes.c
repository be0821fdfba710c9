/* Handshakes on the threads of a pool, for sessions that go on, and for those that are freed meanwhile. */
#include "identity.h"
#include "tap.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/pool.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef TLS_OPENSSL
#include <mailsrv/openssl.h>
#define provider_new mailsrv_openssl_new
#else
#include <mailsrv/mbedtls.h>
#define provider_new mailsrv_mbedtls_new
#endif

enum { THREADS = 4, PEERS = 24, ROUNDS = 4 };

struct place {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool is_woken;
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    int64_t now_us;
};

struct peer {
    mailsrv_session *session;
    SSL *ssl;
    BIO *to_us, *to_him;
    size_t said; /* octets of plaintext */
};

static void wake(void *user)
{
    struct place *p = user;
    pthread_mutex_lock(&p->lock);
    p->is_woken = true;
    pthread_cond_signal(&p->woken);
    pthread_mutex_unlock(&p->lock);
}

static void sleep_until_woken(struct place *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->is_woken)
        pthread_cond_wait(&p->woken, &p->lock);
    p->is_woken = false;
    pthread_mutex_unlock(&p->lock);
}

static void do_job(void *user, mailsrv_job *job, const mailsrv_op *op, mailsrv_answer *answer)
{
    (void)user;
    (void)job;
    const mailsrv_arg_job *what = op->arg;
    what->run(what->work);
    answer->status = MAILSRV_OK;
}

static void advance(struct place *p)
{
    p->now_us += 1000;
    mailsrv_engine_advance(p->engine, p->now_us, p->now_us);
    mailsrv_engine_turn(p->engine, 100000);
}

/* ---- Peers ---- */

static void begin(struct place *p, struct peer *c, SSL_CTX *ctx)
{
    c->said = 0;
    c->to_us = BIO_new(BIO_s_mem());
    c->to_him = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(c->to_us, -1);
    BIO_set_mem_eof_return(c->to_him, -1);
    c->ssl = SSL_new(ctx);
    SSL_set_bio(c->ssl, c->to_him, c->to_us);
    SSL_set_connect_state(c->ssl);
    SSL_do_handshake(c->ssl);
    if (mailsrv_server_new(p->engine, p->profile, NULL, NULL, &c->session) != MAILSRV_OK)
        abort();
}

static bool feed(struct peer *c)
{
    char *at;
    size_t n = (size_t)BIO_get_mem_data(c->to_us, &at), taken = 0;
    uint8_t copy[8192];
    if (n == 0 || n > sizeof copy || (mailsrv_session_wants(c->session) & MAILSRV_WANT_READ) == 0)
        return false;
    memcpy(copy, at, n);
    mailsrv_session_feed(c->session, copy, n, &taken);
    BIO_read(c->to_us, copy, (int)taken);
    return taken != 0;
}

static bool send(struct peer *c)
{
    mailsrv_out out[4];
    size_t n = 0, octets = 0;
    char plain[512];
    mailsrv_session_output(c->session, out, 4, &n);
    for (size_t i = 0; i < n; i++, octets += out[i - 1].n)
        BIO_write(c->to_him, out[i].p, (int)out[i].n);
    mailsrv_session_sent(c->session, octets);
    SSL_do_handshake(c->ssl);
    for (int got; (got = SSL_read(c->ssl, plain, sizeof plain)) > 0;)
        c->said += (size_t)got;
    return octets != 0;
}

static void end(struct peer *c)
{
    SSL_free(c->ssl);
    mailsrv_session_free(c->session);
    c->session = NULL;
    c->ssl = NULL;
}

static bool move(struct place *p, struct peer *peers)
{
    bool moved = false;
    for (size_t i = 0; i < PEERS; i++)
        if (peers[i].session != NULL)
            moved = feed(&peers[i]) || moved;
    advance(p);
    for (size_t i = 0; i < PEERS; i++)
        if (peers[i].session != NULL)
            moved = send(&peers[i]) || moved;
    return moved;
}

/* Every third one is freed while its job is out. */
static unsigned one_round(struct place *p, SSL_CTX *ctx, unsigned round)
{
    struct peer peers[PEERS];
    unsigned greeted = 0;
    for (size_t i = 0; i < PEERS; i++)
        begin(p, &peers[i], ctx);
    for (size_t i = 0; i < PEERS; i++)
        feed(&peers[i]);
    mailsrv_engine_turn(p->engine, 100000);
    for (size_t i = round % 3; i < PEERS; i += 3)
        end(&peers[i]);
    for (;;) {
        while (move(p, peers))
            ;
        if (mailsrv_engine_stat(p->engine, MAILSRV_STAT_OPS_OUT) == 0)
            break;
        sleep_until_woken(p);
    }
    for (size_t i = 0; i < PEERS; i++) {
        greeted += peers[i].session != NULL && peers[i].said != 0;
        if (peers[i].session != NULL)
            end(&peers[i]);
    }
    return greeted;
}

/* ---- */

static void make_profile(struct place *p, const struct identity *identity)
{
    const mailsrv_certificate own = identity_certificate(identity);
    const mailsrv_tls_setup setup = {
        .size = sizeof setup, .certificates = &own, .n_certificates = 1, .certificate_stride = sizeof own
    };
    mailsrv_tls *tls = NULL;
    if (provider_new(&setup, &tls, NULL) != MAILSRV_OK ||
        mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &p->profile) != MAILSRV_OK)
        abort();
    mailsrv_profile_set_str(p->profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12);
    mailsrv_profile_set_u64(p->profile, MAILSRV_PROFILE_TLS, MAILSRV_TLS_IMPLICIT);
    mailsrv_profile_set_tls(p->profile, tls);
    mailsrv_profile_seal(p->profile, NULL);
    mailsrv_tls_unref(tls);
}

/* The engine ends while jobs wait and run: the pool waits for those that run, the others never begin. */
static int32_t end_with_jobs_out(struct place *p, SSL_CTX *ctx)
{
    struct peer peers[PEERS];
    for (size_t i = 0; i < PEERS; i++)
        begin(p, &peers[i], ctx);
    for (size_t i = 0; i < PEERS; i++)
        feed(&peers[i]);
    mailsrv_engine_turn(p->engine, 100000);
    for (size_t i = 0; i < PEERS; i++)
        end(&peers[i]);
    mailsrv_profile_unref(p->profile); /* jobs hold what they need */
    return mailsrv_engine_free(p->engine, MAILSRV_ABANDON);
}

int main(void)
{
    static struct place p = { .lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER };
    struct identity identity;
    mailsrv_pool *pool;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    unsigned greeted = 0;
    identity_make(&identity, KEY_EC, "DNS:mx.here.test", NULL);
    make_profile(&p, &identity);
    if (mailsrv_engine_new(NULL, &p.engine) != MAILSRV_OK || mailsrv_pool_new(NULL, THREADS, &pool) != MAILSRV_OK ||
        mailsrv_pool_bind(pool, p.engine, wake, &p) != MAILSRV_OK ||
        mailsrv_pool_serve(pool, p.engine, MAILSRV_OP_JOB, do_job, NULL) != MAILSRV_OK)
        abort();
    advance(&p);
    for (unsigned round = 0; round < ROUNDS; round++)
        greeted += one_round(&p, ctx, round);
    tap(greeted == ROUNDS * PEERS * 2 / 3, "handshakes on threads succeed, whoever is freed beside them", "", "");
    tap(mailsrv_engine_stat(p.engine, MAILSRV_STAT_TLS_OCTETS) == 0, "no connection is left", "", "");
    tap(mailsrv_pool_stat(pool, MAILSRV_POOL_STAT_DONE) >= ROUNDS * PEERS, "the pool has done the work", "", "");
    tap(end_with_jobs_out(&p, ctx) == MAILSRV_OK, "an engine ends while handshakes are out", "", "");
    mailsrv_pool_free(pool);
    SSL_CTX_free(ctx);
    identity_free(&identity);
    return tap_end();
}
