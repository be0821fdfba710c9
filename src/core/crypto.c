#include "core/crypto.h"

#include "core/engine.h"
#include "core/machine.h"

enum { PARTS_MAX = 8 };

size_t mailsrv__hash_octets(int32_t hash)
{
    switch (hash) {
    case MAILSRV_HASH_SHA1:
        return 20;
    case MAILSRV_HASH_SHA256:
        return 32;
    case MAILSRV_HASH_SHA512:
        return 64;
    default:
        return 0;
    }
}

const mailsrv_crypto *mailsrv__crypto(const mailsrv_session *s)
{
    return &s->engine->crypto;
}

bool mailsrv__has_crypto(const mailsrv_session *s)
{
    const mailsrv_crypto *c = mailsrv__crypto(s);
    return c->hash != NULL && c->hmac != NULL && c->random != NULL;
}

/* No parts of the table's kind for more than PARTS_MAX: nobody here joins so many. */
static bool copy_parts(const struct span *parts, size_t n, mailsrv_bytes *out)
{
    if (n > PARTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = mailsrv__bytes(parts[i]);
    return true;
}

/* What is of no use says nothing of what it was made from. */
static bool checked(bool good, uint8_t *out, size_t n)
{
    if (!good)
        memset(out, 0, n);
    return good;
}

bool mailsrv__hash(const mailsrv_session *s, int32_t hash, const struct span *parts, size_t n, uint8_t *out)
{
    const mailsrv_crypto *c = mailsrv__crypto(s);
    mailsrv_bytes copied[PARTS_MAX];
    bool good = c->hash != NULL && copy_parts(parts, n, copied) &&
                c->hash(c->user, hash, copied, n, out) == MAILSRV_OK;
    return checked(good, out, mailsrv__hash_octets(hash));
}

bool mailsrv__hmac(const mailsrv_session *s, int32_t hash, struct span key, const struct span *parts, size_t n,
                   uint8_t *out)
{
    const mailsrv_crypto *c = mailsrv__crypto(s);
    mailsrv_bytes copied[PARTS_MAX], key_bytes = mailsrv__bytes(key);
    bool good = c->hmac != NULL && copy_parts(parts, n, copied) &&
                c->hmac(c->user, hash, &key_bytes, copied, n, out) == MAILSRV_OK;
    return checked(good, out, mailsrv__hash_octets(hash));
}

bool mailsrv__random(const mailsrv_session *s, uint8_t *out, size_t n)
{
    const mailsrv_crypto *c = mailsrv__crypto(s);
    return checked(c->random != NULL && c->random(c->user, out, n) == MAILSRV_OK, out, n);
}

bool mailsrv__secret(const mailsrv_session *s, uint8_t out[SECRET_OCTETS])
{
    mailsrv_engine *e = s->engine;
    if (!e->has_secret)
        e->has_secret = mailsrv__random(s, e->secret, sizeof e->secret);
    memcpy(out, e->secret, sizeof e->secret);
    return e->has_secret;
}
