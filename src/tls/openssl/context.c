#include "tls/common/context.h"
#include "provider.h"

#include <openssl/err.h>
#include <stdlib.h>

/* With forward secrecy, and authenticated (RFC 9325 section 4.2); those of TLS 1.3 are OpenSSL's. */
static const char CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:!aNULL";

void mailsrv__openssl_context_free(void *context)
{
    struct context *c = context;
    SSL_CTX_free(c->ssl);
    BIO_meth_free(c->memory);
    mailsrv__openssl_tickets_unref(c->tickets);
    for (size_t i = 0; i < c->n_certificates; i++)
        mailsrv__openssl_certificate_free(&c->certificates[i]);
    free(c->certificates);
    free(c);
}

/* ---- Settings ---- */

/* What a client shows may be anything: what cannot be vouched for gives no identity, and ends nothing (RFC 8446
 * section 4.4.2.4). */
static int take_any(int good, X509_STORE_CTX *store)
{
    (void)good;
    (void)store;
    return 1;
}

bool mailsrv__openssl_set_up(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(ssl, CIPHERS) == 1;
}

static bool set_up(struct context *c)
{
    static const unsigned char id[] = "mailsrv";
    SSL_CTX *ssl = c->ssl;
    SSL_CTX_set_app_data(ssl, c);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_cert_cb(ssl, mailsrv__openssl_certificate_choose, c);
    return mailsrv__openssl_set_up(ssl) && SSL_CTX_set_dh_auto(ssl, 1) == 1 &&
           SSL_CTX_set_session_id_context(ssl, id, sizeof id - 1) == 1;
}

static bool set_tickets(void *context, const void *of, uint32_t lifetime_s)
{
    struct context *c = context;
    const struct context *before = of;
    if (before != NULL && before->tickets != NULL)
        c->tickets = mailsrv__openssl_tickets_ref(before->tickets);
    else
        c->tickets = mailsrv__openssl_tickets_new(lifetime_s);
    if (c->tickets == NULL)
        return false;
    SSL_CTX_clear_options(c->ssl, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(c->ssl, 1);
    SSL_CTX_set_timeout(c->ssl, (long)mailsrv__openssl_tickets_lifetime(c->tickets));
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ssl, mailsrv__openssl_tickets_use) == 1;
}

static bool set_clients(void *context, const mailsrv_bytes *roots)
{
    struct context *c = context;
    c->asks_clients = true;
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, take_any);
    return mailsrv__openssl_roots_read(c->ssl, roots);
}

/* ---- Making ---- */

static bool begin(void *context, size_t n_certificates)
{
    struct context *c = context;
    c->ssl = SSL_CTX_new(TLS_server_method());
    c->memory = mailsrv__openssl_memory_new();
    c->certificates = calloc(n_certificates, sizeof *c->certificates);
    return c->ssl != NULL && c->memory != NULL && c->certificates != NULL && set_up(c);
}

static bool add_certificate(void *context, size_t i, const mailsrv_certificate *pem, const char **expected)
{
    struct context *c = context;
    c->n_certificates = i + 1;
    return mailsrv__openssl_certificate_read(&c->certificates[i], pem, expected);
}

int32_t mailsrv_openssl_new(const mailsrv_tls_setup *setup, mailsrv_tls **out, mailsrv_error *why)
{
    static const struct maker maker = { .provider = &mailsrv__openssl_provider,
                                        .context_octets = sizeof(struct context),
                                        .begin = begin,
                                        .certificate = add_certificate,
                                        .roots = set_clients,
                                        .tickets = set_tickets };
    int32_t status = mailsrv__tls_make(&maker, setup, out, why);
    ERR_clear_error();
    return status;
}
