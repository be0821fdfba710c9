/* Argon2id (RFC 9106), where libargon2 is there; else all of it is false. */
#ifndef MAILSERVERD_ARGON2ID_H
#define MAILSERVERD_ARGON2ID_H

#include <stdbool.h>
#include <stddef.h>

extern const bool argon2id_is_there;

/* Is that what a hash was made with? */
bool argon2id_made(const char *hash);

/* $argon2id$v=19$m=...,t=...,p=...$SALT$HASH */
bool argon2id_make(const char *password, char *out, size_t n);
bool argon2id_is(const char *password, const char *hash);

#endif
