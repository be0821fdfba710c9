/* What is kept of a password, as text: HASH [SCRAM KEYS]..., where keys are
 *
 *     SCRAM-SHA-256:ITERATIONS:SALT:STORED-KEY:SERVER-KEY
 *
 * and octets are hexadecimal. */
#ifndef MAILSERVERD_SECRETS_H
#define MAILSERVERD_SECRETS_H

#include "password.h"

#include <mailsrv/auth.h>

#include <stdbool.h>

/* Of a new password; NUL-ended.  False: it cannot be hashed.  Slow on purpose. */
bool secrets_make(enum password_method method, const char *password, char *out, size_t n);

struct scram_keys {
    uint32_t iterations;
    size_t n_salt, n_keys;
    uint8_t salt[MAILSRV_SCRAM_SALT_MAX], stored[MAILSRV_HASH_OCTETS_MAX], server[MAILSRV_HASH_OCTETS_MAX];
};

/* The keys for MAILSRV_HASH_SHA1 or MAILSRV_HASH_SHA256; false: there are none. */
bool secrets_keys(const char *secrets, int32_t hash, struct scram_keys *out);

#endif
