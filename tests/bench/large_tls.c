/* A large message in and out under TLS, over the durable store: the most memory that its session takes, of the engine
 * and of its provider, and of the process but for the client. */
#include "../tls/identity.h"
#include "mill.h"

#include <mailsrv/openssl.h>

#include <openssl/ssl.h>

enum { PIECE = 8192 };

struct peer {
    struct mill *mill;
    mailsrv_session *session;
    SSL *ssl;
    BIO *to_us, *to_him;
    char heard[80]; /* the beginning of the line that comes in */
    size_t n_heard;
    uint64_t engine_before, engine_most, tls_most;
};

static void look(struct peer *p)
{
    uint64_t engine = mailsrv_engine_stat(p->mill->engine, MAILSRV_STAT_MEMORY);
    uint64_t staged = mailsrv_durable_stat(p->mill->store, MAILSRV_DURABLE_STAT_STAGED);
    uint64_t tls = mailsrv_engine_stat(p->mill->engine, MAILSRV_STAT_TLS_OCTETS);
    p->engine_most = engine + staged > p->engine_most ? engine + staged : p->engine_most;
    p->tls_most = tls > p->tls_most ? tls : p->tls_most;
}

/* Both ways, until nothing more is to be said at once; did anything move? */
static int move(struct peer *p)
{
    uint8_t octets[PIECE];
    mailsrv_out out;
    size_t count, taken = 0;
    int moved = 0;
    char *waiting;
    long left = BIO_get_mem_data(p->to_us, &waiting);
    if (left > 0) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        check(mailsrv_session_feed(p->session, (const uint8_t *)waiting, n, &taken) == MAILSRV_OK, "it has ended");
        moved = taken != 0;
        if (taken != 0)
            BIO_read(p->to_us, octets, (int)taken);
    }
    mill_turn(p->mill);
    look(p);
    while (mailsrv_session_output(p->session, &out, 1, &count) == MAILSRV_OK && count != 0) {
        BIO_write(p->to_him, out.p, (int)out.n);
        mailsrv_session_sent(p->session, out.n);
        moved = 1;
    }
    look(p);
    return moved;
}

static void move_or_wait(struct peer *p)
{
    if (!move(p))
        mill_wait(p->mill);
}

/* Reads until a line begins so, or so much has come. */
static void hear(struct peer *p, const char *end, uint64_t octets)
{
    char text[PIECE];
    uint64_t all = 0;
    for (;;) {
        int n = SSL_read(p->ssl, text, sizeof text);
        if (n <= 0) {
            move_or_wait(p);
            continue;
        }
        all += (uint64_t)n;
        for (int i = 0; i < n; i++) {
            if (p->n_heard + 1 < sizeof p->heard)
                p->heard[p->n_heard++] = text[i];
            if (text[i] != '\n')
                continue;
            int is_end = all >= octets && strncmp(p->heard, end, strlen(end)) == 0;
            p->n_heard = 0;
            if (is_end)
                return;
        }
    }
}

static void say_tls(struct peer *p, const char *text, size_t n)
{
    while (n != 0) {
        size_t piece = n < PIECE ? n : PIECE;
        check(SSL_write(p->ssl, text, (int)piece) == (int)piece, "nothing can be sent");
        text += piece;
        n -= piece;
        char *waiting;
        while (BIO_get_mem_data(p->to_us, &waiting) > 0)
            move_or_wait(p);
    }
}

static void connect_to(struct peer *p, struct mill *mill, mailsrv_profile *profile, SSL_CTX *ctx)
{
    *p = (struct peer){ .mill = mill };
    p->engine_before = mailsrv_engine_stat(mill->engine, MAILSRV_STAT_MEMORY);
    p->session = begin(mill->engine, profile);
    p->to_us = BIO_new(BIO_s_mem());
    p->to_him = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(p->to_us, -1);
    BIO_set_mem_eof_return(p->to_him, -1);
    p->ssl = SSL_new(ctx);
    SSL_set_bio(p->ssl, p->to_him, p->to_us);
    SSL_set_connect_state(p->ssl);
    while (SSL_do_handshake(p->ssl) != 1)
        move(p);
    p->engine_most = p->tls_most = 0;
}

static void command(struct peer *p, const char *text, const char *end)
{
    say_tls(p, text, strlen(text));
    hear(p, end, 0);
}

static void end(struct peer *p, const char *what)
{
    printf("# summary: large, under TLS, %s: at most %.1f KiB of the engine and of bodies, %.1f of the provider\nok - %s\n",
           what, (double)(p->engine_most - p->engine_before) / 1024, (double)p->tls_most / 1024, what);
    SSL_free(p->ssl);
    mailsrv_session_free(p->session);
}

static mailsrv_profile *behind(const mailsrv_machine *machine, int32_t face, mailsrv_tls *tls)
{
    mailsrv_profile *profile;
    check(mailsrv_profile_new(NULL, machine, face, &profile) == MAILSRV_OK, "no profile");
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_TLS, MAILSRV_TLS_IMPLICIT);
    mailsrv_profile_set_tls(profile, tls);
    check(mailsrv_profile_seal(profile, NULL) == MAILSRV_OK, "the profile cannot be sealed");
    return profile;
}

static void in(struct mill *mill, mailsrv_profile *profile, SSL_CTX *ctx)
{
    struct peer p;
    connect_to(&p, mill, profile, ctx);
    hear(&p, "220", 0);
    command(&p, "LHLO client.remote.test\r\n", "250 ");
    command(&p, "MAIL FROM:<sender@remote.test>\r\n", "250");
    command(&p, "RCPT TO:<u0@here.test>\r\n", "250");
    command(&p, "DATA\r\n", "354");
    say_tls(&p, mill->message, mill->n_message);
    hear(&p, "250", 0);
    end(&p, "in");
}

static void out(struct mill *mill, mailsrv_profile *profile, SSL_CTX *ctx)
{
    struct peer p;
    connect_to(&p, mill, profile, ctx);
    hear(&p, "* OK", 0);
    command(&p, "a LOGIN u0 x\r\n", "a OK");
    command(&p, "a SELECT INBOX\r\n", "a OK");
    say_tls(&p, "b FETCH 1 BODY.PEEK[]\r\n", 23);
    hear(&p, "b OK", mill->n_message);
    end(&p, "out");
}

int main(void)
{
    struct mill mill;
    struct identity identity;
    char path[64];
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    identity_make(&identity, KEY_EC, "DNS:mx.here.test", NULL);
    const mailsrv_certificate own = identity_certificate(&identity);
    const mailsrv_tls_setup setup = {
        .size = sizeof setup, .certificates = &own, .n_certificates = 1, .certificate_stride = sizeof own
    };
    mailsrv_tls *tls = NULL;
    check(mailsrv_openssl_new(&setup, &tls, NULL) == MAILSRV_OK, "no provider");
    printf("1..2\n");
    mill_directory(path);
    mill_open(&mill, path, 0, 1, count_of("LARGE_MIB", 20) << 20);
    mailsrv_profile *lmtp = behind(mailsrv_smtp(), MAILSRV_FACE_LMTP, tls);
    mailsrv_profile *imap = behind(mailsrv_imap(), MAILSRV_FACE_IMAP, tls);
    in(&mill, lmtp, ctx);
    out(&mill, imap, ctx);
    mailsrv_profile_unref(lmtp);
    mailsrv_profile_unref(imap);
    mill_close(&mill);
    mailsrv_tls_unref(tls);
    SSL_CTX_free(ctx);
    identity_free(&identity);
    mill_remove(path);
    return 0;
}
