/* Passwords: hashed with yescrypt, slowly on purpose, on threads that may wait. */
#ifndef MAILSERVERD_PASSWORD_H
#define MAILSERVERD_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_MAX 512 /* octets: crypt takes no more (crypt(3)) */

/* A new hash of a password, NUL-ended; false: it cannot be hashed. */
bool password_hash(const char *password, char *out, size_t n);

/* Is it this one?  `secrets` begins with a hash, which ends with NUL or a space; NULL: there is no such user, and it
 * takes as long. */
bool password_is(const char *password, const char *secrets);

#endif
