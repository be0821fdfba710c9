/* mbedTLS as a provider, 2.28 and 3: what its files share.
 *
 *   crypto.c       hashes, HMAC, random numbers
 *   context.c      what a mailsrv_tls is: settings, certificates, roots, tickets
 *   client.c       the same for clients, and who a server must be
 *   dane.c         who he is by what DNS says of his certificate
 *   certificate.c  PEM, and which certificate a name is shown
 *   connection.c   the table: one connection
 *   hello.c        what the other side's hello says, where mbedTLS does not
 *   memory.c       how much it holds
 *   info.c         what is known of a connection
 */
#ifndef TLS_MBEDTLS_PROVIDER_H
#define TLS_MBEDTLS_PROVIDER_H

#include "tls/common/target.h"

#include <mailsrv/mbedtls.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>

#define IS_MBEDTLS_3 (MBEDTLS_VERSION_NUMBER >= 0x03000000)

/* TLS 1.3 is made of PSA's functions, which know of threads since 3.6. */
#if defined(MBEDTLS_THREADING_C) && (!IS_MBEDTLS_3 || MBEDTLS_VERSION_NUMBER >= 0x03060000)
#define HAS_THREADS 1
#else
#define HAS_THREADS 0
#endif

#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(field) field
#endif

struct certificate {
    mbedtls_x509_crt chain; /* our own first */
    mbedtls_pk_context key;
};

struct generator {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
};

/* The keys of tickets, counted: a context that takes another's place goes on with them. */
struct tickets {
    uint32_t references; /* atomic */
    struct generator random;
    mbedtls_ssl_ticket_context keys;
};

enum { SUITES_MAX = 64, CURVES_MAX = 32 };

struct context {
    struct generator random;
    mbedtls_ssl_config config; /* copied for each connection, which its call backs then know */
    int suites[SUITES_MAX];
#if !IS_MBEDTLS_3
    mbedtls_ecp_group_id curves[CURVES_MAX];
#endif
    struct certificate *certificates;
    size_t n_certificates;
    mbedtls_x509_crt roots, no_roots;
    struct tickets *tickets; /* NULL: none are given */
    bool asks_clients;
};

/* Reads a ClientHello, or a ServerHello, as it passes by. */
struct hello {
    bool of_server;
    uint32_t skip;  /* octets until the next thing that is looked at */
    uint32_t value; /* the number that is being read */
    uint16_t record_left, message, extensions_left, extension;
    uint8_t stage, have, header;
    bool offers_ems; /* extended_master_secret (RFC 7627); a server's: takes it */
    bool is_wrong;   /* it is none, or one that is too large */
};

enum { NAMES_MAX = 16, NAME_OCTETS_MAX = 255 };

/* What mailsrv_tls_info points to. */
struct texts {
    bool known;
    char cipher[64];
    char subject[512];
    mailsrv_bytes names[NAMES_MAX];
    size_t n_names;
    uint8_t end_point[64];
    size_t n_end_point;
};

struct connection {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    struct context *context;
    mailsrv_tls_io *io; /* of the running call */
    struct hello hello;
    bool is_open, is_client;
    bool shows_own;        /* the server shows a certificate */
    struct target target;  /* a client's */
    struct records *records; /* of DNS; NULL: they do not count */
    bool is_anchored;      /* one of them is of who issued the certificate */
    bool is_vouched_for;   /* and the certificate is his */
    uint32_t verify_flags; /* what is wrong with it: MBEDTLS_X509_BADCERT_... */
    uint8_t exporter[32];
    size_t n_exporter;
    char server_name[NAME_OCTETS_MAX + 1];
    char why[96];
    struct texts *texts; /* NULL: nobody has asked */
};

/* ---- certificate.c ---- */
bool mailsrv__mbedtls_certificate_read(struct certificate *out, const mailsrv_certificate *pem,
                                       struct generator *random, const char **expected);
void mailsrv__mbedtls_certificate_free(struct certificate *certificate);
bool mailsrv__mbedtls_roots_read(mbedtls_x509_crt *out, const mailsrv_bytes *pem);

/* Is it for that name? */
bool mailsrv__mbedtls_is_for(const mbedtls_x509_crt *certificate, const char *name, size_t n);

/* Is that its subject's common name? */
bool mailsrv__mbedtls_is_called(const mbedtls_x509_crt *certificate, const char *name, size_t n);

/* The next alternative name of a kind behind `at`; NULL at first.  NULL: there is none. */
enum { NAME_EMAIL = 1, NAME_DNS = 2, NAME_IP = 7 }; /* GeneralName (RFC 5280 section 4.2.1.6) */
const mbedtls_x509_sequence *mailsrv__mbedtls_next_name(const mbedtls_x509_crt *certificate,
                                                        const mbedtls_x509_sequence *at, int kind);

/* The certificates that are shown where none is for the name: the first one, and those of another kind of key that bear
 * its name. */
bool mailsrv__mbedtls_goes_with_first(const struct context *context, size_t i);

/* ---- context.c ---- */
void mailsrv__mbedtls_context_free(void *context);

/* What servers and clients have in common, for either end: MBEDTLS_SSL_IS_...  False: there is no memory. */
bool mailsrv__mbedtls_context_begin(struct context *context, int end, size_t n_certificates);

/* ---- client.c ---- */

/* Gives the connection, whose settings are its own, its target.  False: there is no memory. */
bool mailsrv__mbedtls_target_set(struct connection *connection);
uint32_t mailsrv__mbedtls_verified_by(const struct connection *connection); /* MAILSRV_TLS_BY_..., once it is open */

/* ---- dane.c ---- */

/* Copies the target's records.  False: there is no memory. */
bool mailsrv__mbedtls_records_set(struct connection *connection, const mailsrv_tls_target *target);
void mailsrv__mbedtls_records_free(struct connection *connection);

/* Each certificate of the chain, the server's own last, with depth 0. */
void mailsrv__mbedtls_look_by_records(struct connection *connection, const mbedtls_x509_crt *certificate, int depth,
                                      uint32_t *flags);

/* ---- hello.c ---- */
void mailsrv__mbedtls_hello(struct hello *hello, const uint8_t *p, size_t n);

/* ---- connection.c ---- */
extern const mailsrv_tls_provider mailsrv__mbedtls_provider, mailsrv__mbedtls_client_provider;

/* ---- memory.c ---- */
uint64_t mailsrv__mbedtls_octets(const void *connection);

/* ---- info.c ---- */
uint32_t mailsrv__mbedtls_version(const struct connection *connection); /* as on the wire, once it is known */
void mailsrv__mbedtls_info(struct connection *connection, mailsrv_tls_info *info);
void mailsrv__mbedtls_info_free(struct connection *connection);

#endif
