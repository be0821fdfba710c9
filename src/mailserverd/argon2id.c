#include "argon2id.h"

#include <string.h>

#ifdef MAILSERVERD_ARGON2
#include <argon2.h>
#include <sys/random.h>

/* As much work as is usual for logins; the memory is taken for each that runs, on one of libuv's threads. */
enum { PASSES = 2, MEMORY_KIB = 19456, LANES = 1, SALT_OCTETS = 16, HASH_OCTETS = 32 };

const bool argon2id_is_there = true;

bool argon2id_make(const char *password, char *out, size_t n)
{
    unsigned char salt[SALT_OCTETS];
    return getrandom(salt, sizeof salt, 0) == (ssize_t)sizeof salt &&
           argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password, strlen(password), salt, sizeof salt, HASH_OCTETS,
                                 out, n) == ARGON2_OK;
}

bool argon2id_is(const char *password, const char *hash)
{
    return argon2id_verify(hash, password, strlen(password)) == ARGON2_OK;
}
#else
const bool argon2id_is_there = false;

bool argon2id_make(const char *password, char *out, size_t n)
{
    (void)password;
    (void)out;
    (void)n;
    return false;
}

bool argon2id_is(const char *password, const char *hash)
{
    (void)password;
    (void)hash;
    return false;
}
#endif

bool argon2id_made(const char *hash)
{
    return strncmp(hash, "$argon2id$", 10) == 0;
}
