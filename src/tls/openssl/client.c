/* As the client.  A certificate is looked at in any case, so that it can be said whose it is; whether the handshake
 * ends where it is not the server's, the target says. */
#include "tls/common/context.h"
#include "provider.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* ---- Who the server must be ---- */

/* OpenSSL looks for the records' certificates.  One that it cannot use is none. */
static bool set_records(SSL *ssl, struct target *t, const mailsrv_tls_target *target)
{
    if (SSL_dane_enable(ssl, t->name[0] != '\0' ? t->name : NULL) <= 0)
        return false;
    for (uint32_t i = 0; i < target->n_tlsa; i++) {
        const mailsrv_tlsa *r = mailsrv__tls_target_tlsa(target, i);
        if (SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching, r->data.p, r->data.n) < 0)
            return false;
        t->octets += mailsrv__openssl_octets_of_record(r);
    }
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    for (size_t i = 0; i < t->n_others; i++)
        if (t->others[i][0] != '\0' && SSL_add1_host(ssl, t->others[i]) != 1)
            return false;
    return true;
}

bool mailsrv__openssl_target_set(struct connection *c, const mailsrv_tls_target *target)
{
    return mailsrv__tls_target_read(target, &c->target) && SSL_set_app_data(c->ssl, c) == 1 &&
           (c->target.name[0] == '\0' || SSL_set_tlsext_host_name(c->ssl, c->target.name) == 1) &&
           (c->target.verify != MAILSRV_TLS_BY_DANE || set_records(c->ssl, &c->target, target));
}

/* RFC 9525 section 6: the alternative names alone, an asterisk for a whole label, the first one.  By a record: the
 * subject's common name, too, where there are no others (RFC 7672 section 3.2.3). */
static bool is_for(X509 *certificate, const char *name, unsigned more_flags)
{
    const unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | more_flags;
    return name[0] != '\0' && X509_check_host(certificate, name, 0, flags, NULL) == 1;
}

static bool is_his(X509 *certificate, const struct target *t)
{
    if (t->address_octets != 0)
        return X509_check_ip(certificate, t->address, t->address_octets, 0) == 1;
    return is_for(certificate, t->name, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
}

/* RFC 7672 section 3.2: what a record is of itself bears whatever names. */
static bool is_by_record(const struct connection *c)
{
    uint8_t usage;
    if (SSL_get0_dane_tlsa(c->ssl, &usage, NULL, NULL, NULL, NULL) < 0)
        return false;
    X509 *certificate = SSL_get0_peer_certificate(c->ssl);
    bool is_his = usage == USAGE_EE || is_for(certificate, c->target.name, 0);
    for (size_t i = 0; i < c->target.n_others && !is_his; i++)
        is_his = is_for(certificate, c->target.others[i], 0);
    return is_his;
}

uint32_t mailsrv__openssl_verified_by(const struct connection *c)
{
    if (!c->is_vouched_for || c->verify_error != X509_V_OK)
        return MAILSRV_TLS_BY_NOTHING;
    if (c->target.verify != MAILSRV_TLS_BY_DANE)
        return MAILSRV_TLS_BY_ROOTS;
    return is_by_record(c) ? MAILSRV_TLS_BY_DANE : MAILSRV_TLS_BY_NOTHING;
}

/* Each thing that is wrong comes here, and each certificate that is right, the server's own last.  Its names are looked
 * at here, not by OpenSSL (X509_VERIFY_PARAM_set1_host), which takes any where it had no memory to copy the name. */
static int look(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct connection *c = SSL_get_app_data(ssl);
    bool is_own = X509_STORE_CTX_get_error_depth(store) == 0;
    if (good && is_own && c->target.verify != MAILSRV_TLS_BY_DANE &&
        !is_his(X509_STORE_CTX_get_current_cert(store), &c->target)) {
        good = 0;
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    }
    if (!good && c->verify_error == X509_V_OK)
        c->verify_error = X509_STORE_CTX_get_error(store);
    c->is_vouched_for = good && is_own;
    return good || c->target.verify == MAILSRV_TLS_BY_NOTHING;
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
    if (SSL_CTX_dane_enable(c->ssl) <= 0)
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
