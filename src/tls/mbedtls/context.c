#include "tls/common/context.h"
#include "provider.h"

#include <stdlib.h>
#include <string.h>

#if IS_MBEDTLS_3
#include <psa/crypto.h>
#endif

/* ---- Random numbers ---- */

static bool generator_begin(struct generator *g)
{
    static const unsigned char what[] = "libmailserver";
    mbedtls_entropy_init(&g->entropy);
    mbedtls_ctr_drbg_init(&g->drbg);
    return mbedtls_ctr_drbg_seed(&g->drbg, mbedtls_entropy_func, &g->entropy, what, sizeof what - 1) == 0;
}

static void generator_end(struct generator *g)
{
    mbedtls_ctr_drbg_free(&g->drbg);
    mbedtls_entropy_free(&g->entropy);
}

/* ---- Tickets ---- */

static void tickets_unref(struct tickets *t)
{
    if (t == NULL || __atomic_sub_fetch(&t->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    mbedtls_ssl_ticket_free(&t->keys);
    generator_end(&t->random);
    free(t);
}

static struct tickets *tickets_new(uint32_t lifetime_s)
{
    struct tickets *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->references = 1;
    mbedtls_ssl_ticket_init(&t->keys);
    if (generator_begin(&t->random) && mbedtls_ssl_ticket_setup(&t->keys, mbedtls_ctr_drbg_random, &t->random.drbg,
                                                                MBEDTLS_CIPHER_AES_256_GCM, lifetime_s) == 0)
        return t;
    tickets_unref(t);
    return NULL;
}

static bool set_tickets(void *context, const void *of, uint32_t lifetime_s)
{
    struct context *c = context;
    const struct context *before = of;
    if (before != NULL && before->tickets != NULL) {
        c->tickets = before->tickets;
        __atomic_add_fetch(&c->tickets->references, 1, __ATOMIC_RELAXED);
    } else {
        c->tickets = tickets_new(lifetime_s);
    }
    if (c->tickets == NULL)
        return false;
    mbedtls_ssl_conf_session_tickets_cb(&c->config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                        &c->tickets->keys);
    return true;
}

/* ---- Settings ---- */

/* With forward secrecy, and authenticated (RFC 9325 section 4.2). */
static bool is_wanted(const char *suite)
{
    static const char *const never[] = { "PSK", "NULL", "CAMELLIA", "ARIA", "CCM", "3DES", "ECDH-", "anon" };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr(suite, never[i]) != NULL)
            return false;
    return strstr(suite, "DHE-") != NULL || strncmp(suite, "TLS1-3-", 7) == 0;
}

static void choose_suites(struct context *c)
{
    size_t n = 0;
    for (const int *all = mbedtls_ssl_list_ciphersuites(); *all != 0 && n + 1 < SUITES_MAX; all++) {
        const char *name = mbedtls_ssl_get_ciphersuite_name(*all);
        if (name != NULL && is_wanted(name))
            c->suites[n++] = *all;
    }
    mbedtls_ssl_conf_ciphersuites(&c->config, c->suites);
}

#if !IS_MBEDTLS_3
/* mbedTLS 2 prefers the largest curve that both know, secp521r1 with most clients, which takes more than twice as long
 * for a handshake.  As mbedTLS 3 does: secp256r1 before all others. */
static void choose_curves(struct context *c)
{
    size_t n = 0;
    if (mbedtls_ecp_curve_info_from_grp_id(MBEDTLS_ECP_DP_SECP256R1) != NULL)
        c->curves[n++] = MBEDTLS_ECP_DP_SECP256R1;
    for (const mbedtls_ecp_group_id *all = mbedtls_ecp_grp_id_list(); *all != 0 && n + 1 < CURVES_MAX; all++)
        if (*all != MBEDTLS_ECP_DP_SECP256R1)
            c->curves[n++] = *all;
    mbedtls_ssl_conf_curves(&c->config, c->curves);
}
#endif

static bool set_up(struct context *c, int end)
{
    mbedtls_ssl_config *config = &c->config;
    if (mbedtls_ssl_config_defaults(config, end, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return false;
    mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &c->random.drbg);
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_NONE);
    choose_suites(c);
#if IS_MBEDTLS_3
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    return psa_crypto_init() == PSA_SUCCESS;
#else
    choose_curves(c);
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    return true;
#endif
}

/* What cannot be vouched for gives no identity, and ends nothing (RFC 5246 section 7.4.6). */
static bool set_clients(void *context, const mailsrv_bytes *roots)
{
    struct context *c = context;
    if (!mailsrv__mbedtls_roots_read(&c->roots, roots))
        return false;
    c->asks_clients = true;
    mbedtls_ssl_conf_authmode(&c->config, MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_ca_chain(&c->config, &c->roots, NULL);
    return true;
}

/* ---- Making ---- */

bool mailsrv__mbedtls_context_begin(struct context *c, int end, size_t n_certificates)
{
    mbedtls_ssl_config_init(&c->config);
    mbedtls_x509_crt_init(&c->roots);
    mbedtls_x509_crt_init(&c->no_roots);
    c->certificates = calloc(n_certificates, sizeof *c->certificates);
    return generator_begin(&c->random) && c->certificates != NULL && set_up(c, end);
}

static bool begin(void *context, size_t n_certificates)
{
    return mailsrv__mbedtls_context_begin(context, MBEDTLS_SSL_IS_SERVER, n_certificates);
}

static bool add_certificate(void *context, size_t i, const mailsrv_certificate *pem, const char **expected)
{
    struct context *c = context;
    struct certificate *at = &c->certificates[i];
    c->n_certificates = i + 1;
    if (!mailsrv__mbedtls_certificate_read(at, pem, &c->random, expected))
        return false;
    return !mailsrv__mbedtls_goes_with_first(c, i) || mbedtls_ssl_conf_own_cert(&c->config, &at->chain, &at->key) == 0;
}

void mailsrv__mbedtls_context_free(void *context)
{
    struct context *c = context;
    mbedtls_ssl_config_free(&c->config);
    mbedtls_x509_crt_free(&c->roots);
    for (size_t i = 0; i < c->n_certificates; i++)
        mailsrv__mbedtls_certificate_free(&c->certificates[i]);
    tickets_unref(c->tickets);
    generator_end(&c->random);
    free(c->certificates);
    free(c);
}

int32_t mailsrv_mbedtls_new(const mailsrv_tls_setup *setup, mailsrv_tls **out, mailsrv_error *why)
{
    static const struct maker maker = { .provider = &mailsrv__mbedtls_provider,
                                        .context_octets = sizeof(struct context),
                                        .begin = begin,
                                        .certificate = add_certificate,
                                        .roots = set_clients,
                                        .tickets = set_tickets };
    return mailsrv__tls_make(&maker, setup, out, why);
}
