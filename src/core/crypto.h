/* The primitives of cryptography that the host gave, as a machine asks for them. */
#ifndef CORE_CRYPTO_H
#define CORE_CRYPTO_H

#include "base/span.h"

#include <mailsrv/tls.h>

struct mailsrv_session;

/* Octets of a hash, MAILSRV_HASH_...; 0: no such hash is known. */
size_t mailsrv__hash_octets(int32_t hash);

/* Are there hashes, HMAC and random numbers? */
bool mailsrv__has_crypto(const struct mailsrv_session *session);

/* The table itself, for work that is done some at a time. */
const mailsrv_crypto *mailsrv__crypto(const struct mailsrv_session *session);

/* As the functions of mailsrv_crypto.  False: it failed, or nobody gave one; `out` is zeroed then. */
bool mailsrv__hash(const struct mailsrv_session *session, int32_t hash, const struct span *parts, size_t n,
                   uint8_t *out);
bool mailsrv__hmac(const struct mailsrv_session *session, int32_t hash, struct span key, const struct span *parts,
                   size_t n, uint8_t *out);
enum { SECRET_OCTETS = 32 };

/* Octets that the session's engine has made up, once for all its sessions.  False: it has no random numbers. */
bool mailsrv__secret(const struct mailsrv_session *session, uint8_t out[SECRET_OCTETS]);

bool mailsrv__random(const struct mailsrv_session *session, uint8_t *out, size_t n);

#endif
