/* Certificates and keys for tests, made as they are needed, as PEM. */
#ifndef TLS_IDENTITY_H
#define TLS_IDENTITY_H

#include <mailsrv/tls.h>
#include <openssl/ssl.h>

struct identity {
    char *chain, *key;
};

enum key_kind { KEY_EC, KEY_RSA };

/* `names` as OpenSSL writes them ("DNS:mx.here.test,email:pat@here.test"); `by` NULL: signed by itself. */
void identity_make(struct identity *identity, enum key_kind kind, const char *names, const struct identity *by);

/* One that is not as usual; what is NULL or 0 is. */
struct odd_identity {
    const char *names, *common_name;
    const char *usage;     /* extended key usage */
    const char *key_usage;
    const struct identity *key_of; /* its key is that of this one */
    long ended_s;          /* since when it is no longer valid */
    int issues;            /* 1: it can issue others */
    int sha1;              /* 1: it is signed by way of SHA-1 */
    enum key_kind kind;
};

void identity_make_odd(struct identity *identity, const struct odd_identity *odd, const struct identity *by);

/* What a TLSA record of it holds (RFC 6698 section 2.1): `out` has room for 2,048 octets.  How many there are. */
size_t identity_association(const struct identity *identity, int selector, int matching, unsigned char *out);

/* A client shows it. */
void identity_show(const struct identity *identity, SSL_CTX *ctx);

void identity_free(struct identity *identity);

mailsrv_certificate identity_certificate(const struct identity *identity);
mailsrv_bytes identity_bytes(const char *pem);

#endif
