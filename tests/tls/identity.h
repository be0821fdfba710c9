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
    const char *usage; /* extended key usage */
    long ended_s;      /* since when it is no longer valid */
};

void identity_make_odd(struct identity *identity, const struct odd_identity *odd, const struct identity *by);

/* A client shows it. */
void identity_show(const struct identity *identity, SSL_CTX *ctx);

void identity_free(struct identity *identity);

mailsrv_certificate identity_certificate(const struct identity *identity);
mailsrv_bytes identity_bytes(const char *pem);

#endif
