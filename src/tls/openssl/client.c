/* As the client.  A certificate is looked at in any case, so that it can be said whose it is; whether the handshake
 * ends where it is not the server's, the target says. */
#include "tls/common/context.h"
#include "provider.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* ---- Who the server must be ---- */

bool mailsrv__openssl_target_set(struct connection *c, const mailsrv_tls_target *target)
{
    mailsrv__tls_target_read(target, &c->target);
    return SSL_set_app_data(c->ssl, c) == 1 &&
           (c->target.name[0] == '\0' || SSL_set_tlsext_host_name(c->ssl, c->target.name) == 1);
}

/* RFC 9525 section 6: the alternative names alone, an asterisk for a whole label, the first one. */
static bool is_his(X509 *certificate, const struct target *t)
{
    const unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    if (t->address_octets != 0)
        return X509_check_ip(certificate, t->address, t->address_octets, 0) == 1;
    return t->name[0] != '\0' && X509_check_host(certificate, t->name, 0, flags, NULL) == 1;
}

/* Each thing that is wrong comes here, and each certificate that is right, the server's own last.  Its names are looked
 * at here, not by OpenSSL (X509_VERIFY_PARAM_set1_host), which takes any where it had no memory to copy the name. */
static int look(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct connection *c = SSL_get_app_data(ssl);
    bool is_own = X509_STORE_CTX_get_error_depth(store) == 0;
    if (good && is_own && !is_his(X509_STORE_CTX_get_current_cert(store), &c->target)) {
        good = 0;
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    }
    if (!good && c->verify_error == X509_V_OK)
        c->verify_error = X509_STORE_CTX_get_error(store);
    c->is_vouched_for = good && is_own;
    return good || !c->target.verify;
}

/* ---- Making ---- */

static bool begin(void *context, size_t n_certificates)
{
    struct context *c = context;
    c->ssl = SSL_CTX_new(TLS_client_method());
    c->memory = mailsrv__openssl_memory_new();
    c->certificates = calloc(n_certificates, sizeof *c->certificates);
    if (c->ssl == NULL || c->memory == NULL || c->certificates == NULL || !mailsrv__openssl_set_up(c->ssl))
        return false;
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, look);
    /* Who is listed vouches, whoever vouches for him. */
    return X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c->ssl), X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

static bool add_certificate(void *context, size_t i, const mailsrv_certificate *pem, const char **expected)
{
    struct context *c = context;
    struct certificate *own = &c->certificates[i];
    c->n_certificates = i + 1;
    if (!mailsrv__openssl_certificate_read(own, pem, expected))
        return false;
    *expected = "a certificate that is strong enough";
    return SSL_CTX_use_cert_and_key(c->ssl, own->own, own->key, own->chain, 1) == 1;
}

static bool set_roots(void *context, const mailsrv_bytes *roots)
{
    struct context *c = context;
    return mailsrv__openssl_roots_read(c->ssl, roots);
}

int32_t mailsrv_openssl_client_new(const mailsrv_tls_client_setup *setup, mailsrv_tls **out, mailsrv_error *why)
{
    static const struct maker maker = { .provider = &mailsrv__openssl_client_provider,
                                        .context_octets = sizeof(struct context),
                                        .begin = begin,
                                        .certificate = add_certificate,
                                        .roots = set_roots };
    int32_t status = mailsrv__tls_make_client(&maker, setup, out, why);
    ERR_clear_error();
    return status;
}
