/* OpenSSL as a provider: what its files share.
 *
 *   crypto.c       hashes, HMAC, random numbers
 *   context.c      what a mailsrv_tls is: settings, certificates, roots
 *   client.c       the same for clients, and who a server must be
 *   certificate.c  PEM, and which certificate a name is shown
 *   tickets.c      the keys of tickets, which outlive a context
 *   connection.c   the table: one connection
 *   memory.c       how much it holds
 *   info.c         what is known of it
 */
#ifndef TLS_OPENSSL_PROVIDER_H
#define TLS_OPENSSL_PROVIDER_H

#include "tls/common/target.h"

#include <mailsrv/openssl.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdbool.h>

struct certificate {
    X509 *own;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

struct tickets;

struct context {
    SSL_CTX *ssl;
    BIO_METHOD *memory;      /* how OpenSSL reads and writes: connection.c */
    struct tickets *tickets; /* NULL: none are given */
    struct certificate *certificates;
    size_t n_certificates;
    bool asks_clients;
};

enum { NAMES_MAX = 16 };

/* What mailsrv_tls_info points to. */
struct texts {
    char *subject;
    mailsrv_bytes names[NAMES_MAX];
    size_t n_names;
    uint8_t exporter[32], unique[EVP_MAX_MD_SIZE], end_point[EVP_MAX_MD_SIZE];
    size_t n_exporter, n_unique, n_end_point;
};

struct connection {
    SSL *ssl;
    const struct context *context;
    mailsrv_tls_io *io; /* of the running call */
    const char *why;
    uint64_t octets_sent;
    bool has_begun, is_open;
    bool is_client;
    struct target target; /* a client's */
    bool is_vouched_for;  /* the server's certificate was looked at to its end */
    int verify_error;     /* what was found first: X509_V_ERR_...; X509_V_OK: nothing */
    struct texts texts;
};

/* ---- certificate.c ---- */
bool mailsrv__openssl_certificate_read(struct certificate *out, const mailsrv_certificate *pem, const char **expected);
void mailsrv__openssl_certificate_free(struct certificate *certificate);

/* Gives `ssl` the certificates for the name that the client asks for. */
int mailsrv__openssl_certificate_choose(SSL *ssl, void *context);

/* Takes roots into `ssl`. */
bool mailsrv__openssl_roots_read(SSL_CTX *ssl, const mailsrv_bytes *pem);

/* ---- tickets.c ---- */
struct tickets *mailsrv__openssl_tickets_new(uint32_t lifetime_s);
struct tickets *mailsrv__openssl_tickets_ref(struct tickets *tickets);
void mailsrv__openssl_tickets_unref(struct tickets *tickets);
uint32_t mailsrv__openssl_tickets_lifetime(const struct tickets *tickets);
int mailsrv__openssl_tickets_use(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                                 EVP_MAC_CTX *mac, int encrypt);

/* ---- context.c ---- */
void mailsrv__openssl_context_free(void *context);
bool mailsrv__openssl_set_up(SSL_CTX *ssl); /* what servers and clients have in common */

/* ---- client.c ---- */

/* Gives the connection's SSL its target.  False: there is no memory. */
bool mailsrv__openssl_target_set(struct connection *connection, const mailsrv_tls_target *target);
uint32_t mailsrv__openssl_verified_by(const struct connection *connection); /* MAILSRV_TLS_BY_..., once it is open */

/* ---- connection.c ---- */
extern const mailsrv_tls_provider mailsrv__openssl_provider, mailsrv__openssl_client_provider;
BIO_METHOD *mailsrv__openssl_memory_new(void);

/* ---- memory.c ---- */
size_t mailsrv__openssl_octets_of_record(const mailsrv_tlsa *record);
uint64_t mailsrv__openssl_octets(const void *connection);

/* ---- info.c ---- */
void mailsrv__openssl_info_find(struct connection *connection); /* once, when it is open */
void mailsrv__openssl_info_fill(struct connection *connection, mailsrv_tls_info *info);
void mailsrv__openssl_info_free(struct texts *texts);

#endif
