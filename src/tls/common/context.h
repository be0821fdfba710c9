/* How a provider is made of a setup: what the providers have in common of it. */
#ifndef TLS_COMMON_CONTEXT_H
#define TLS_COMMON_CONTEXT_H

#include <mailsrv/tls.h>

#include <stdbool.h>

/* A library's part, for servers or for clients.  What `begin` has taken, `provider->context_free` gives back, however
 * far it came. */
struct maker {
    const mailsrv_tls_provider *provider;
    size_t context_octets; /* that are zero at first */
    bool (*begin)(void *context, size_t n_certificates);
    /* One more.  False: it cannot be used, and `*expected` says what was expected; NULL: there is no memory. */
    bool (*certificate)(void *context, size_t i, const mailsrv_certificate *pem, const char **expected);
    bool (*roots)(void *context, const mailsrv_bytes *pem); /* who vouch for the other side */
    /* A server's: tickets are given, with the keys of another context (NULL: new ones). */
    bool (*tickets)(void *context, const void *of, uint32_t lifetime_s);
};

/* mailsrv_openssl_new and mailsrv_mbedtls_new. */
int32_t mailsrv__tls_make(const struct maker *maker, const mailsrv_tls_setup *setup, mailsrv_tls **out,
                          mailsrv_error *why);

/* mailsrv_openssl_client_new and mailsrv_mbedtls_client_new. */
int32_t mailsrv__tls_make_client(const struct maker *maker, const mailsrv_tls_client_setup *setup, mailsrv_tls **out,
                                 mailsrv_error *why);

#endif
