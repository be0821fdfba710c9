#include "password.h"
#include "argon2id.h"

#include <crypt.h>
#include <string.h>

#define METHOD "$y$" /* yescrypt, with what costs crypt(5) recommends */

bool password_method_is_known(enum password_method method)
{
    return method != PASSWORD_ARGON2ID || argon2id_is_there;
}

static bool hash_by_crypt(const char *password, char *out, size_t n)
{
    struct crypt_data data = { 0 };
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    bool ok = crypt_gensalt_rn(METHOD, 0, NULL, 0, setting, sizeof setting) != NULL;
    const char *hash = ok ? crypt_rn(password, setting, &data, sizeof data) : NULL;
    ok = hash != NULL && strlen(hash) < n;
    if (ok)
        memcpy(out, hash, strlen(hash) + 1);
    explicit_bzero(&data, sizeof data);
    return ok;
}

bool password_same(const void *a, const void *b, size_t n)
{
    const unsigned char *one = a, *other = b;
    unsigned char differs = 0;
    for (size_t i = 0; i < n; i++)
        differs |= one[i] ^ other[i];
    return differs == 0;
}

/* Hashes of one method have one length. */
static bool same(const char *a, const char *b)
{
    const size_t n = strlen(a);
    return strlen(b) == n && password_same(a, b, n);
}

/* `hash` NULL: what crypt makes of a password for nobody is thrown away. */
static bool is_by_crypt(const char *password, const char *hash)
{
    static const char nobody[] = METHOD "j9T$abcdefghijklmnopqrstuv$";
    struct crypt_data data = { 0 };
    const char *made = crypt_rn(password, hash == NULL ? nobody : hash, &data, sizeof data);
    const bool ok = hash != NULL && made != NULL && same(made, hash);
    explicit_bzero(&data, sizeof data);
    return ok;
}

static void waste_as_much(const char *password, enum password_method method)
{
    char made[CRYPT_OUTPUT_SIZE];
    if (method == PASSWORD_ARGON2ID)
        argon2id_make(password, made, sizeof made);
    else
        is_by_crypt(password, NULL);
}

bool password_hash(enum password_method method, const char *password, char *out, size_t n)
{
    if (strlen(password) >= PASSWORD_MAX)
        return false;
    return method == PASSWORD_ARGON2ID ? argon2id_make(password, out, n) : hash_by_crypt(password, out, n);
}

bool password_is(const char *password, const char *secrets, enum password_method method)
{
    char kept[CRYPT_OUTPUT_SIZE];
    const size_t n = secrets == NULL ? 0 : strcspn(secrets, " ");
    if (n >= sizeof kept || strlen(password) >= PASSWORD_MAX)
        return false;
    if (secrets == NULL) {
        waste_as_much(password, method);
        return false;
    }
    memcpy(kept, secrets, n);
    kept[n] = '\0';
    return argon2id_made(kept) ? argon2id_is(password, kept) : is_by_crypt(password, kept);
}
