/* OpenSSL by itself: TLS 1.3 with P-256, both ends in memory and on one thread; and what a server's part costs. */
#include "../../tls/identity.h"
#include "limit.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

enum { RECORD = 16384 };

struct pair {
    SSL *server, *client;
};

static SSL_CTX *context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    limits_must(ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set1_groups_list(ctx, "P-256") == 1,
                "OpenSSL");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

static void open_pair(struct pair *pair, SSL_CTX *server, SSL_CTX *client)
{
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(to_server, -1);
    BIO_set_mem_eof_return(to_client, -1);
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    *pair = (struct pair){ SSL_new(server), SSL_new(client) };
    SSL_set_bio(pair->server, to_server, to_client);
    SSL_set_bio(pair->client, to_client, to_server);
    SSL_set_accept_state(pair->server);
    SSL_set_connect_state(pair->client);
}

static void close_pair(struct pair *pair)
{
    SSL_free(pair->server);
    SSL_free(pair->client);
}

/* The seconds of the server's part. */
static double shake(struct pair *pair)
{
    double server_s = 0;
    int done = 0;
    for (int round = 0; done != 3; round++) {
        limits_must(round < 10, "handshake");
        done |= SSL_do_handshake(pair->client) == 1 ? 1 : 0;
        const double began = limits_now();
        done |= SSL_do_handshake(pair->server) == 1 ? 2 : 0;
        server_s += limits_now() - began;
    }
    return server_s;
}

static void handshakes(const struct limits *limits, SSL_CTX *server, SSL_CTX *client)
{
    uint64_t n = 0;
    double took, server_s = 0;
    const double began = limits_now();
    do {
        struct pair pair;
        double opened = limits_now();
        open_pair(&pair, server, client);
        server_s += (limits_now() - opened) / 2;
        server_s += shake(&pair);
        opened = limits_now();
        close_pair(&pair);
        server_s += (limits_now() - opened) / 2;
        n++;
        took = limits_now() - began;
    } while (took < limits->seconds);
    limits_tell((double)n / took, "openssl_handshakes_of_both_ends_per_second");
    limits_tell((double)n / server_s, "openssl_handshakes_of_a_server_per_second");
}

static void bulk(const struct limits *limits, SSL_CTX *server, SSL_CTX *client)
{
    static const char plain[RECORD];
    struct pair pair;
    uint64_t octets = 0;
    double took;
    open_pair(&pair, server, client);
    shake(&pair);
    const double began = limits_now();
    do {
        limits_must(SSL_write(pair.server, plain, RECORD) == RECORD, "SSL_write");
        (void)BIO_reset(SSL_get_wbio(pair.server));
        octets += RECORD;
        took = limits_now() - began;
    } while (took < limits->seconds);
    limits_tell((double)octets / took / 1e6, "openssl_encrypts_by_%s_mb_per_second", SSL_get_cipher_name(pair.server));
    close_pair(&pair);
}

static void show(const struct identity *identity, SSL_CTX *ctx)
{
    BIO *chain = BIO_new_mem_buf(identity->chain, -1), *key = BIO_new_mem_buf(identity->key, -1);
    X509 *own = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    EVP_PKEY *secret = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
    limits_must(SSL_CTX_use_certificate(ctx, own) == 1 && SSL_CTX_use_PrivateKey(ctx, secret) == 1, "certificate");
    X509_free(own);
    EVP_PKEY_free(secret);
    BIO_free(chain);
    BIO_free(key);
}

void limits_openssl(const struct limits *limits)
{
    struct identity identity;
    SSL_CTX *server = context(TLS_server_method()), *client = context(TLS_client_method());
    identity_make(&identity, KEY_EC, "DNS:here.test", NULL);
    show(&identity, server);
    handshakes(limits, server, client);
    bulk(limits, server, client);
    identity_free(&identity);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}
