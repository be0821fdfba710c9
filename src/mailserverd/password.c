#include "password.h"

#include <crypt.h>
#include <string.h>

#define METHOD "$y$" /* yescrypt, with what costs crypt(5) recommends */

bool password_hash(const char *password, char *out, size_t n)
{
    struct crypt_data data = { 0 };
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    bool ok = strlen(password) < PASSWORD_MAX && crypt_gensalt_rn(METHOD, 0, NULL, 0, setting, sizeof setting) != NULL;
    const char *hash = ok ? crypt_rn(password, setting, &data, sizeof data) : NULL;
    ok = hash != NULL && strlen(hash) < n;
    if (ok)
        memcpy(out, hash, strlen(hash) + 1);
    explicit_bzero(&data, sizeof data);
    return ok;
}

/* As long for a near miss as for any other: hashes of one method have one length. */
static bool same(const char *a, const char *b)
{
    const size_t n = strlen(a);
    unsigned char differs = 0;
    if (strlen(b) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}

bool password_is(const char *password, const char *secrets)
{
    /* Of no password: what crypt makes of one for this is thrown away. */
    static const char nobody[] = METHOD "j9T$abcdefghijklmnopqrstuv$";
    struct crypt_data data = { 0 };
    char kept[CRYPT_OUTPUT_SIZE];
    const size_t n = secrets == NULL ? 0 : strcspn(secrets, " ");
    if (n >= sizeof kept || strlen(password) >= PASSWORD_MAX)
        return false;
    memcpy(kept, secrets == NULL ? "" : secrets, n);
    kept[n] = '\0';
    const char *made = crypt_rn(password, secrets == NULL ? nobody : kept, &data, sizeof data);
    const bool ok = secrets != NULL && made != NULL && same(made, kept);
    explicit_bzero(&data, sizeof data);
    return ok;
}
