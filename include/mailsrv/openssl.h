/* mailsrv/openssl.h - TLS 1.2 and 1.3, and the primitives of cryptography, by OpenSSL 3: libmailserver-openssl.
 *
 *     mailsrv_config_set_crypto(config, mailsrv_openssl_crypto());
 *     mailsrv_openssl_new(&setup, &tls, &why);
 *     mailsrv_profile_set_tls(profile, tls);
 *
 * OpenSSL does not say what a connection holds: it is counted by its parts, as they are in 3.0, and 2 KiB for what the
 * heap loses.  Threads: any.  Memory is OpenSSL's.
 */
#ifndef MAILSRV_OPENSSL_H
#define MAILSRV_OPENSSL_H

#include <mailsrv/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The primitives; static. */
MAILSRV_API const mailsrv_crypto *mailsrv_openssl_crypto(void);

/* A provider with certificates, keys and tickets; the reference is the caller's.
 *
 * MAILSRV_OK; MAILSRV_NOMEM; MAILSRV_E_USAGE; MAILSRV_E_VALUE: something of `setup` cannot be used, and `*why` says
 * what was expected, and as its key of which certificate, from 1; 0: of none.  `why` may be NULL. */
MAILSRV_API int32_t mailsrv_openssl_new(const mailsrv_tls_setup *setup, mailsrv_tls **out, mailsrv_error *why);

/* The same for sessions of mailsrv_smtp_client().  A server's certificate is looked at, and where nothing is to be
 * verified an unknown one is taken (RFC 7435).  Results as above; the key is 0 for the roots, 1 for the certificate. */
MAILSRV_API int32_t mailsrv_openssl_client_new(const mailsrv_tls_client_setup *setup, mailsrv_tls **out,
                                              mailsrv_error *why);

#ifdef __cplusplus
}
#endif

#endif
