/* Passwords: hashed slowly on purpose, on threads that may wait. */
#ifndef MAILSERVERD_PASSWORD_H
#define MAILSERVERD_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_MAX 512 /* octets: crypt takes no more (crypt(3)) */

/* What new ones are hashed with.  Old ones say themselves what they were hashed with: yescrypt and whatever else
 * crypt(5) knows, or argon2id. */
enum password_method { PASSWORD_YESCRYPT, PASSWORD_ARGON2ID };

/* Was this program built with it? */
bool password_method_is_known(enum password_method method);

/* Are two secrets of `n` octets the same?  Takes as long for a near miss as for any other. */
bool password_same(const void *a, const void *b, size_t n);

/* A new hash of a password, NUL-ended; false: it cannot be hashed. */
bool password_hash(enum password_method method, const char *password, char *out, size_t n);

/* Is it this one?  `secrets` begins with a hash, which ends with NUL or a space; NULL: there is no such user, and it
 * takes as long as one of `method`. */
bool password_is(const char *password, const char *secrets, enum password_method method);

#endif
