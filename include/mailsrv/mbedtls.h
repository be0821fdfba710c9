/* mailsrv/mbedtls.h - TLS and the primitives of cryptography by mbedTLS 2.28 (TLS 1.2) or 3 (1.3): libmailserver-mbedtls.
 *
 *     mailsrv_config_set_crypto(config, mailsrv_mbedtls_crypto());
 *     mailsrv_mbedtls_new(&setup, &tls, &why);
 *     mailsrv_profile_set_tls(profile, tls);
 *
 * The allocator of mbedTLS is the whole process's: what a connection holds is counted by its parts, as they are in 2.28
 * and 3.6, and is right within a tenth.  Threads: any, where mbedTLS was built with them, and is 2.28, or 3.6 or later; else
 * a handshake is never a job, and all engines are of one thread.
 */
#ifndef MAILSRV_MBEDTLS_H
#define MAILSRV_MBEDTLS_H

#include <mailsrv/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The primitives; static. */
MAILSRV_API const mailsrv_crypto *mailsrv_mbedtls_crypto(void);

/* A provider with certificates, keys and tickets; the reference is the caller's.
 *
 * MAILSRV_OK; MAILSRV_NOMEM; MAILSRV_E_USAGE; MAILSRV_E_VALUE: something of `setup` cannot be used, and `*why` says
 * what was expected, and as its key of which certificate, from 1; 0: of none.  `why` may be NULL. */
MAILSRV_API int32_t mailsrv_mbedtls_new(const mailsrv_tls_setup *setup, mailsrv_tls **out, mailsrv_error *why);

/* The same for sessions of mailsrv_smtp_client().  A server's certificate is looked at, and where nothing is to be
 * verified an unknown one is taken (RFC 7435).  Results as above; the key is 0 for the roots, 1 for the certificate. */
MAILSRV_API int32_t mailsrv_mbedtls_client_new(const mailsrv_tls_client_setup *setup, mailsrv_tls **out,
                                              mailsrv_error *why);

#ifdef __cplusplus
}
#endif

#endif
