#include "provider.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 24 * 60 * 60 };

/* With forward secrecy, and authenticated (RFC 9325 section 4.2); those of TLS 1.3 are OpenSSL's. */
static const char CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:!aNULL";

static void context_free(struct context *c)
{
    if (c == NULL)
        return;
    SSL_CTX_free(c->ssl);
    BIO_meth_free(c->memory);
    mailsrv__openssl_tickets_unref(c->tickets);
    for (size_t i = 0; i < c->n_certificates; i++)
        mailsrv__openssl_certificate_free(&c->certificates[i]);
    free(c->certificates);
    free(c);
}

void mailsrv__openssl_context_free(void *context)
{
    context_free(context);
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

static bool set_up(struct context *c)
{
    static const unsigned char id[] = "mailsrv";
    SSL_CTX *ssl = c->ssl;
    SSL_CTX_set_app_data(ssl, c);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_cert_cb(ssl, mailsrv__openssl_certificate_choose, c);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(ssl, CIPHERS) == 1 &&
           SSL_CTX_set_dh_auto(ssl, 1) == 1 && SSL_CTX_set_session_id_context(ssl, id, sizeof id - 1) == 1;
}

static bool set_tickets(struct context *c, const mailsrv_tls_setup *setup)
{
    if ((setup->flags & MAILSRV_TLS_NO_TICKETS) != 0)
        return true;
    const struct context *before = mailsrv_tls_context(setup->tickets_of, &mailsrv__openssl_provider);
    uint32_t lifetime_s = setup->ticket_s == 0 ? DAY_S : setup->ticket_s;
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

static bool set_clients(struct context *c, const mailsrv_tls_setup *setup)
{
    if (setup->client_roots.n == 0)
        return true;
    c->asks_clients = true;
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, take_any);
    return mailsrv__openssl_roots_read(c->ssl, &setup->client_roots);
}

/* ---- Making ---- */

static const mailsrv_certificate *certificate_at(const mailsrv_tls_setup *setup, size_t i)
{
    return (const mailsrv_certificate *)(const void *)((const char *)setup->certificates +
                                                       i * setup->certificate_stride);
}

static int32_t refuse(mailsrv_error *why, int32_t key, const char *expected)
{
    mailsrv_error all = { .status = MAILSRV_E_VALUE, .key = key, .expected = expected };
    if (why == NULL)
        return MAILSRV_E_VALUE;
    all.size = why->size;
    memcpy(why, &all, why->size < sizeof all ? why->size : sizeof all);
    return MAILSRV_E_VALUE;
}

static int32_t read_certificates(struct context *c, const mailsrv_tls_setup *setup, mailsrv_error *why)
{
    const char *expected = NULL;
    c->certificates = calloc(setup->n_certificates, sizeof *c->certificates);
    if (c->certificates == NULL)
        return MAILSRV_NOMEM;
    c->n_certificates = setup->n_certificates;
    for (uint32_t i = 0; i < setup->n_certificates; i++)
        if (!mailsrv__openssl_certificate_read(&c->certificates[i], certificate_at(setup, i), &expected))
            return refuse(why, (int32_t)i + 1, expected);
    return MAILSRV_OK;
}

static int32_t fill(struct context *c, const mailsrv_tls_setup *setup, mailsrv_error *why)
{
    c->ssl = SSL_CTX_new(TLS_server_method());
    c->memory = mailsrv__openssl_memory_new();
    if (c->ssl == NULL || c->memory == NULL || !set_up(c))
        return MAILSRV_NOMEM;
    int32_t status = read_certificates(c, setup, why);
    if (status != MAILSRV_OK)
        return status;
    if (!set_clients(c, setup))
        return refuse(why, 0, "roots for clients as PEM");
    return set_tickets(c, setup) ? MAILSRV_OK : MAILSRV_NOMEM;
}

static bool is_usable(const mailsrv_tls_setup *setup)
{
    return setup != NULL && setup->size >= sizeof *setup && setup->n_certificates != 0 && setup->certificates != NULL &&
           setup->certificate_stride >= sizeof(mailsrv_certificate) && setup->ticket_s <= 7 * DAY_S;
}

int32_t mailsrv_openssl_new(const mailsrv_tls_setup *setup, mailsrv_tls **out, mailsrv_error *why)
{
    if (!is_usable(setup) || out == NULL)
        return MAILSRV_E_USAGE;
    struct context *c = calloc(1, sizeof *c);
    if (c == NULL)
        return MAILSRV_NOMEM;
    int32_t status = fill(c, setup, why);
    if (status == MAILSRV_OK)
        status = mailsrv_tls_new(NULL, &mailsrv__openssl_provider, c, out);
    if (status != MAILSRV_OK)
        context_free(c);
    ERR_clear_error();
    return status;
}
