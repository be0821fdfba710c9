/* As the client.  A certificate is looked at in any case, so that it can be said whose it is; whether the handshake
 * ends where it is not the server's, the target says. */
#include "tls/common/context.h"
#include "provider.h"

#include <string.h>

/* ---- Who the server must be ---- */

static bool has_address(const mbedtls_x509_crt *certificate, const struct target *t)
{
    const mbedtls_x509_sequence *at = NULL;
    while ((at = mailsrv__mbedtls_next_name(certificate, at, NAME_IP)) != NULL)
        if (at->buf.len == t->address_octets && memcmp(at->buf.p, t->address, t->address_octets) == 0)
            return true;
    return false;
}

/* RFC 9525 section 6: the alternative names alone. */
static bool is_his(const mbedtls_x509_crt *certificate, const struct target *t)
{
    if (t->address_octets != 0)
        return has_address(certificate, t);
    return t->name[0] != '\0' && mailsrv__mbedtls_is_for(certificate, t->name, strlen(t->name));
}

/* mbedTLS would take the subject's common name, too, and knows no addresses, so that names are looked at here.  Each
 * certificate of the chain comes, the server's own last. */
static int look(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct connection *c = user;
    if (c->records != NULL) {
        mailsrv__mbedtls_look_by_records(c, certificate, depth, flags);
        return 0;
    }
    if (depth == 0) {
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
        *flags |= is_his(certificate, &c->target) ? 0 : MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    c->verify_flags |= *flags;
    c->is_vouched_for = depth == 0 && c->verify_flags == 0;
    return 0;
}

/* An address is not asked for (RFC 6066 section 3). */
bool mailsrv__mbedtls_target_set(struct connection *c)
{
    const bool must = c->target.verify == MAILSRV_TLS_BY_ROOTS;
    if (c->records != NULL) /* a root of ours of the same name and key would come in place of one that is shown */
        mbedtls_ssl_conf_ca_chain(&c->config, &c->context->no_roots, NULL);
    mbedtls_ssl_conf_authmode(&c->config, must ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_verify(&c->config, look, c);
    return mbedtls_ssl_set_hostname(&c->ssl, c->target.name[0] == '\0' ? NULL : c->target.name) == 0;
}

uint32_t mailsrv__mbedtls_verified_by(const struct connection *c)
{
    if (c->records != NULL)
        return c->is_vouched_for ? MAILSRV_TLS_BY_DANE : MAILSRV_TLS_BY_NOTHING;
    return c->is_vouched_for && mbedtls_ssl_get_verify_result(&c->ssl) == 0 ? MAILSRV_TLS_BY_ROOTS
                                                                            : MAILSRV_TLS_BY_NOTHING;
}

/* ---- Making ---- */

#if IS_MBEDTLS_3
/* What TLS 1.3 needs of RSA (PSS), mbedTLS does not take in TLS 1.2, though it offers it for both.  A server of TLS 1.2
 * takes the first one that it knows, if it goes by our order, as OpenSSL does: that is what was before PSS. */
static void choose_signatures(struct context *c)
{
    static const uint16_t all[] = {
        MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
        MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
        MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
        MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
        MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,    MBEDTLS_TLS1_3_SIG_NONE
    };
    mbedtls_ssl_conf_sig_algs(&c->config, all);
}
#endif

/* Sessions are not resumed: tickets are of no use. */
static bool begin(void *context, size_t n_certificates)
{
    struct context *c = context;
    if (!mailsrv__mbedtls_context_begin(c, MBEDTLS_SSL_IS_CLIENT, n_certificates))
        return false;
#if IS_MBEDTLS_3
    choose_signatures(c);
#endif
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_session_tickets(&c->config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
    mbedtls_ssl_conf_ca_chain(&c->config, &c->roots, NULL);
    return true;
}

static bool add_certificate(void *context, size_t i, const mailsrv_certificate *pem, const char **expected)
{
    struct context *c = context;
    struct certificate *own = &c->certificates[i];
    c->n_certificates = i + 1;
    return mailsrv__mbedtls_certificate_read(own, pem, &c->random, expected) &&
           mbedtls_ssl_conf_own_cert(&c->config, &own->chain, &own->key) == 0;
}

static bool set_roots(void *context, const mailsrv_bytes *roots)
{
    struct context *c = context;
    return mailsrv__mbedtls_roots_read(&c->roots, roots);
}

int32_t mailsrv_mbedtls_client_new(const mailsrv_tls_client_setup *setup, mailsrv_tls **out, mailsrv_error *why)
{
    static const struct maker maker = { .provider = &mailsrv__mbedtls_client_provider,
                                        .context_octets = sizeof(struct context),
                                        .begin = begin,
                                        .certificate = add_certificate,
                                        .roots = set_roots };
    return mailsrv__tls_make_client(&maker, setup, out, why);
}
