/* mbedTLS by itself: TLS 1.2 with P-256, both ends in memory and on one thread; and what a server's part costs. */
#include "../../tls/identity.h"
#include "limit.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <stdbool.h>
#include <string.h>

enum { RECORD = 16384, PIPE = 32768 };

/* Octets on their way. */
struct pipe {
    size_t n;
    bool forgets; /* what is sent goes nowhere */
    unsigned char octets[PIPE];
};

struct end {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    struct pipe *in, *out;
};

struct both {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    struct pipe to_server, to_client;
    struct end server, client;
};

static int take(void *user, unsigned char *to, size_t room)
{
    struct pipe *in = ((struct end *)user)->in;
    const size_t n = in->n < room ? in->n : room;
    if (n == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(to, in->octets, n);
    memmove(in->octets, in->octets + n, in->n - n);
    in->n -= n;
    return (int)n;
}

static int give(void *user, const unsigned char *p, size_t n)
{
    struct pipe *out = ((struct end *)user)->out;
    if (out->forgets)
        return (int)n;
    limits_must(n <= sizeof out->octets - out->n, "pipe");
    memcpy(out->octets + out->n, p, n);
    out->n += n;
    return (int)n;
}

static void configure(struct both *both, struct end *end, int side)
{
    mbedtls_ssl_config_init(&end->config);
    limits_must(
        mbedtls_ssl_config_defaults(&end->config, side, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) == 0,
        "mbedTLS");
    mbedtls_ssl_conf_rng(&end->config, mbedtls_ctr_drbg_random, &both->random);
    mbedtls_ssl_conf_authmode(&end->config, MBEDTLS_SSL_VERIFY_NONE);
#if MBEDTLS_VERSION_MAJOR >= 3
    static const uint16_t groups[] = { MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE };
    mbedtls_ssl_conf_groups(&end->config, groups);
    mbedtls_ssl_conf_max_tls_version(&end->config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    static const mbedtls_ecp_group_id groups[] = { MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE };
    mbedtls_ssl_conf_curves(&end->config, groups);
    mbedtls_ssl_conf_min_version(&end->config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
}

static void make(struct both *both)
{
    struct identity identity;
    identity_make(&identity, KEY_EC, "DNS:here.test", NULL);
    mbedtls_entropy_init(&both->entropy);
    mbedtls_ctr_drbg_init(&both->random);
    mbedtls_x509_crt_init(&both->chain);
    mbedtls_pk_init(&both->key);
    limits_must(mbedtls_ctr_drbg_seed(&both->random, mbedtls_entropy_func, &both->entropy, NULL, 0) == 0, "random");
    const unsigned char *key = (const unsigned char *)identity.key, *chain = (const unsigned char *)identity.chain;
#if MBEDTLS_VERSION_MAJOR >= 3
    int bad = mbedtls_pk_parse_key(&both->key, key, strlen(identity.key) + 1, NULL, 0, mbedtls_ctr_drbg_random,
                                   &both->random);
#else
    int bad = mbedtls_pk_parse_key(&both->key, key, strlen(identity.key) + 1, NULL, 0);
#endif
    bad |= mbedtls_x509_crt_parse(&both->chain, chain, strlen(identity.chain) + 1);
    limits_must(bad == 0, "certificate");
    configure(both, &both->server, MBEDTLS_SSL_IS_SERVER);
    configure(both, &both->client, MBEDTLS_SSL_IS_CLIENT);
    limits_must(mbedtls_ssl_conf_own_cert(&both->server.config, &both->chain, &both->key) == 0, "certificate");
    identity_free(&identity);
}

static void open_end(struct end *end, struct pipe *in, struct pipe *out)
{
    end->in = in;
    end->out = out;
    in->n = 0;
    in->forgets = false;
    mbedtls_ssl_init(&end->ssl);
    limits_must(mbedtls_ssl_setup(&end->ssl, &end->config) == 0, "mbedTLS");
    mbedtls_ssl_set_bio(&end->ssl, end, give, take, NULL);
}

/* The seconds of the server's part. */
static double shake(struct both *both)
{
    int done = 0;
    double began = limits_now(), server_s;
    open_end(&both->server, &both->to_server, &both->to_client);
    server_s = limits_now() - began;
    open_end(&both->client, &both->to_client, &both->to_server);
    for (int round = 0; done != 3; round++) {
        limits_must(round < 10, "handshake");
        done |= mbedtls_ssl_handshake(&both->client.ssl) == 0 ? 1 : 0;
        began = limits_now();
        done |= mbedtls_ssl_handshake(&both->server.ssl) == 0 ? 2 : 0;
        server_s += limits_now() - began;
    }
    return server_s;
}

static double close_both(struct both *both)
{
    const double began = limits_now();
    mbedtls_ssl_free(&both->server.ssl);
    const double took = limits_now() - began;
    mbedtls_ssl_free(&both->client.ssl);
    return took;
}

static void handshakes(const struct limits *limits, struct both *both)
{
    uint64_t n = 0;
    double took, server_s = 0;
    const double began = limits_now();
    do {
        server_s += shake(both);
        server_s += close_both(both);
        n++;
        took = limits_now() - began;
    } while (took < limits->seconds);
    limits_tell((double)n / took, "mbedtls_handshakes_of_both_ends_per_second");
    limits_tell((double)n / server_s, "mbedtls_handshakes_of_a_server_per_second");
}

static void bulk(const struct limits *limits, struct both *both, const int *suite)
{
    static const unsigned char plain[RECORD];
    uint64_t octets = 0;
    double took;
    mbedtls_ssl_conf_ciphersuites(&both->client.config, suite);
    shake(both);
    both->to_client.forgets = true;
    const double began = limits_now();
    do {
        const int n = mbedtls_ssl_write(&both->server.ssl, plain, RECORD);
        limits_must(n > 0, "mbedtls_ssl_write");
        octets += (uint64_t)n;
        took = limits_now() - began;
    } while (took < limits->seconds);
    limits_tell((double)octets / took / 1e6, "mbedtls_encrypts_by_%s_mb_per_second",
                mbedtls_ssl_get_ciphersuite(&both->server.ssl));
    close_both(both);
}

void limits_mbedtls(const struct limits *limits)
{
    static const int suites[][2] = { { MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 },
                                     { MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 },
                                     { MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 } };
    static struct both both;
    make(&both);
    handshakes(limits, &both);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        bulk(limits, &both, suites[i]);
    mbedtls_ssl_config_free(&both.server.config);
    mbedtls_ssl_config_free(&both.client.config);
    mbedtls_x509_crt_free(&both.chain);
    mbedtls_pk_free(&both.key);
    mbedtls_ctr_drbg_free(&both.random);
    mbedtls_entropy_free(&both.entropy);
}
