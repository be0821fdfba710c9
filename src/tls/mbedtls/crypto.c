#include "provider.h"

#include <mbedtls/md.h>
#include <sys/random.h>

static const mbedtls_md_info_t *digest_of(int32_t hash)
{
    switch (hash) {
    case MAILSRV_HASH_SHA1:
        return mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);
    case MAILSRV_HASH_SHA256:
        return mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    case MAILSRV_HASH_SHA512:
        return mbedtls_md_info_from_type(MBEDTLS_MD_SHA512);
    default:
        return NULL;
    }
}

static int32_t hash(void *user, int32_t number, const mailsrv_bytes *parts, size_t n, uint8_t *out)
{
    (void)user;
    const mbedtls_md_info_t *digest = digest_of(number);
    mbedtls_md_context_t ctx;
    if (digest == NULL)
        return MAILSRV_E_VALUE;
    mbedtls_md_init(&ctx);
    int32_t status = mbedtls_md_setup(&ctx, digest, 0) == 0 ? MAILSRV_OK : MAILSRV_NOMEM;
    int failed = status != MAILSRV_OK || mbedtls_md_starts(&ctx) != 0;
    for (size_t i = 0; i < n && !failed; i++)
        failed = parts[i].n != 0 && mbedtls_md_update(&ctx, parts[i].p, parts[i].n) != 0;
    if (!failed)
        failed = mbedtls_md_finish(&ctx, out) != 0;
    mbedtls_md_free(&ctx);
    return failed && status == MAILSRV_OK ? MAILSRV_TEMP : status;
}

static int32_t hmac(void *user, int32_t number, const mailsrv_bytes *key, const mailsrv_bytes *parts, size_t n,
                    uint8_t *out)
{
    (void)user;
    static const uint8_t empty[1] = { 0 };
    const mbedtls_md_info_t *digest = digest_of(number);
    mbedtls_md_context_t ctx;
    if (digest == NULL)
        return MAILSRV_E_VALUE;
    mbedtls_md_init(&ctx);
    int32_t status = mbedtls_md_setup(&ctx, digest, 1) == 0 ? MAILSRV_OK : MAILSRV_NOMEM;
    int failed = status != MAILSRV_OK || mbedtls_md_hmac_starts(&ctx, key->n == 0 ? empty : key->p, key->n) != 0;
    for (size_t i = 0; i < n && !failed; i++)
        failed = parts[i].n != 0 && mbedtls_md_hmac_update(&ctx, parts[i].p, parts[i].n) != 0;
    if (!failed)
        failed = mbedtls_md_hmac_finish(&ctx, out) != 0;
    mbedtls_md_free(&ctx);
    return failed && status == MAILSRV_OK ? MAILSRV_TEMP : status;
}

/* The system's: it needs no state of ours, and any thread may ask. */
static int32_t random_octets(void *user, uint8_t *out, size_t n)
{
    (void)user;
    while (n != 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got <= 0)
            return MAILSRV_TEMP;
        out += got;
        n -= (size_t)got;
    }
    return MAILSRV_OK;
}

const mailsrv_crypto *mailsrv_mbedtls_crypto(void)
{
    static const mailsrv_crypto crypto = { .size = sizeof crypto, .hash = hash, .hmac = hmac, .random = random_octets };
    return &crypto;
}
