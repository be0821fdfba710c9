#include "provider.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>

static const EVP_MD *digest_of(int32_t hash)
{
    switch (hash) {
    case MAILSRV_HASH_SHA1:
        return EVP_sha1();
    case MAILSRV_HASH_SHA256:
        return EVP_sha256();
    case MAILSRV_HASH_SHA512:
        return EVP_sha512();
    default:
        return NULL;
    }
}

static int32_t hash(void *user, int32_t number, const mailsrv_bytes *parts, size_t n, uint8_t *out)
{
    (void)user;
    const EVP_MD *digest = digest_of(number);
    if (digest == NULL)
        return MAILSRV_E_VALUE;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL)
        return MAILSRV_NOMEM;
    int good = EVP_DigestInit_ex(ctx, digest, NULL);
    for (size_t i = 0; i < n && good; i++)
        good = parts[i].n == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].n);
    good = good && EVP_DigestFinal_ex(ctx, out, NULL);
    EVP_MD_CTX_free(ctx);
    return good ? MAILSRV_OK : MAILSRV_TEMP;
}

static int feed_mac(EVP_MAC_CTX *ctx, const EVP_MD *digest, const mailsrv_bytes *key, const mailsrv_bytes *parts,
                    size_t n, uint8_t *out)
{
    static const uint8_t empty[1] = { 0 };
    size_t made = 0;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)EVP_MD_get0_name(digest), 0),
        OSSL_PARAM_construct_end(),
    };
    int good = EVP_MAC_init(ctx, key->n == 0 ? empty : key->p, key->n, params);
    for (size_t i = 0; i < n && good; i++)
        good = parts[i].n == 0 || EVP_MAC_update(ctx, parts[i].p, parts[i].n);
    return good && EVP_MAC_final(ctx, out, &made, (size_t)EVP_MD_get_size(digest));
}

static int32_t hmac(void *user, int32_t number, const mailsrv_bytes *key, const mailsrv_bytes *parts, size_t n,
                    uint8_t *out)
{
    (void)user;
    const EVP_MD *digest = digest_of(number);
    if (digest == NULL)
        return MAILSRV_E_VALUE;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    int good = ctx != NULL && feed_mac(ctx, digest, key, parts, n, out);
    int32_t status = good ? MAILSRV_OK : ctx == NULL ? MAILSRV_NOMEM : MAILSRV_TEMP;
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return status;
}

static int32_t random_octets(void *user, uint8_t *out, size_t n)
{
    (void)user;
    return n <= INT32_MAX && RAND_bytes(out, (int)n) == 1 ? MAILSRV_OK : MAILSRV_TEMP;
}

const mailsrv_crypto *mailsrv_openssl_crypto(void)
{
    static const mailsrv_crypto crypto = { .size = sizeof crypto, .hash = hash, .hmac = hmac, .random = random_octets };
    return &crypto;
}
