/* Keys for SCRAM, made of a password (RFC 5802 section 3): Hi(), some iterations at a time, and what follows. */
#ifndef SASL_SALTING_H
#define SASL_SALTING_H

#include "base/span.h"

#include <mailsrv/tls.h>

struct salting {
    const mailsrv_crypto *crypto;
    int32_t hash;  /* MAILSRV_HASH_SHA1 or _SHA256 */
    size_t octets; /* of that */
    uint32_t left; /* iterations */
    uint8_t last[MAILSRV_HASH_OCTETS_MAX];
    uint8_t salted[MAILSRV_HASH_OCTETS_MAX];
};

struct scram_keys {
    uint8_t client[MAILSRV_HASH_OCTETS_MAX], stored[MAILSRV_HASH_OCTETS_MAX], server[MAILSRV_HASH_OCTETS_MAX];
};

/* Makes the first of `iterations`, 1 or more; `password` is prepared (sasl/prepare.h).  Both return MAILSRV_OK or what
 * the table answered. */
int32_t mailsrv__salting_begin(struct salting *s, const mailsrv_crypto *crypto, int32_t hash, struct span password,
                               mailsrv_bytes salt, uint32_t iterations);

/* Makes at most so many of those that are left. */
int32_t mailsrv__salting_go_on(struct salting *s, struct span password, uint32_t most);

/* The keys, when none is left. */
int32_t mailsrv__salting_keys(const struct salting *s, struct scram_keys *keys);

#endif
