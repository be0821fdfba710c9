/* Two ends of a connection, each at a provider's table, with memory between them: a client of the provider that this
 * program is built for, and a server of any, or of OpenSSL itself. */
#ifndef TLS_PAIR_H
#define TLS_PAIR_H

#include "identity.h"

#include <mailsrv/tls.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#ifdef TLS_OPENSSL
#include <mailsrv/openssl.h>
#define client_new mailsrv_openssl_client_new
#define CLIENT_HAS_TLS_1_3 true
#define CLIENT_HAS_UNIQUE true
#else
#include <mailsrv/mbedtls.h>
#include <mbedtls/version.h>
#define client_new mailsrv_mbedtls_client_new
#define CLIENT_HAS_TLS_1_3 (MBEDTLS_VERSION_NUMBER >= 0x03000000)
#define CLIENT_HAS_UNIQUE false
#endif

/* One of the servers: OpenSSL's or mbedTLS' provider, as far as they are there. */
struct server_maker {
    const char *name;
    int32_t (*make)(const mailsrv_tls_setup *setup, mailsrv_tls **out, mailsrv_error *why);
};
extern const struct server_maker server_makers[];
extern const size_t n_server_makers;

enum { WIRE_OCTETS = 1 << 17 };

struct end {
    const mailsrv_tls_provider *provider;
    void *connection;
    SSL *ssl;                  /* in its place: OpenSSL itself */
    BIO *in, *out;             /* and these are its own */
    int32_t status;            /* of the handshake: MAILSRV_MORE, while it goes on */
    uint8_t wire[WIRE_OCTETS]; /* what came and was not taken */
    size_t n;
    size_t room_octets; /* of one call */
    uint64_t sent;
};

struct pair {
    struct end client, server;
    size_t piece; /* octets move in pieces of so many */
};

/* Told before and after each call of the client's provider; NULL: nobody is. */
extern void (*pair_watch)(bool on);

/* NULL: no memory. */
struct pair *pair_new(mailsrv_tls *client, const mailsrv_tls_target *target, mailsrv_tls *server);

/* The server is OpenSSL's own, of that context. */
struct pair *pair_new_raw(mailsrv_tls *client, const mailsrv_tls_target *target, SSL_CTX *server);
void pair_free(struct pair *pair);

/* Does both handshakes, as far as they come.  True: both have succeeded. */
bool pair_shake(struct pair *pair);

/* One step of the client's; true: octets moved. */
bool pair_step(struct end *from, struct end *to, size_t piece);

/* Says something each way, and then that no more comes.  False: it was not heard. */
bool pair_talk(struct pair *pair);

mailsrv_tls_info pair_info(const struct end *end);
mailsrv_tls_target pair_target(const char *name, uint32_t verify);

#endif
