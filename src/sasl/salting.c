#include "sasl/salting.h"

static int32_t hmac(const struct salting *s, struct span key, const mailsrv_bytes *parts, size_t n, uint8_t *out)
{
    const mailsrv_bytes k = mailsrv__bytes(key);
    return s->crypto->hmac(s->crypto->user, s->hash, &k, parts, n, out);
}

/* Hi(str, salt, i): PBKDF2 with one block of output (RFC 8018 section 5.2). */
int32_t mailsrv__salting_begin(struct salting *s, const mailsrv_crypto *crypto, int32_t hash, struct span password,
                               mailsrv_bytes salt, uint32_t iterations)
{
    static const uint8_t one[] = { 0, 0, 0, 1 };
    const mailsrv_bytes first[] = { salt, { one, sizeof one } };
    *s = (struct salting){ .crypto = crypto, .hash = hash, .left = iterations - 1 };
    s->octets = hash == MAILSRV_HASH_SHA1 ? 20 : 32;
    int32_t status = hmac(s, password, first, 2, s->last);
    memcpy(s->salted, s->last, s->octets);
    return status;
}

int32_t mailsrv__salting_go_on(struct salting *s, struct span password, uint32_t most)
{
    uint8_t next[MAILSRV_HASH_OCTETS_MAX];
    const mailsrv_bytes last = { s->last, s->octets };
    int32_t status = MAILSRV_OK;
    for (; s->left != 0 && most != 0 && status == MAILSRV_OK; s->left--, most--) {
        status = hmac(s, password, &last, 1, next);
        memcpy(s->last, next, s->octets);
        for (size_t i = 0; i < s->octets; i++)
            s->salted[i] ^= s->last[i];
    }
    return status;
}

int32_t mailsrv__salting_keys(const struct salting *s, struct scram_keys *keys)
{
    static const mailsrv_bytes client_text = { (const uint8_t *)"Client Key", 10 };
    static const mailsrv_bytes server_text = { (const uint8_t *)"Server Key", 10 };
    const struct span salted = { (const char *)s->salted, s->octets };
    const mailsrv_bytes client = { keys->client, s->octets };
    int32_t status = hmac(s, salted, &client_text, 1, keys->client);
    if (status == MAILSRV_OK)
        status = s->crypto->hash(s->crypto->user, s->hash, &client, 1, keys->stored);
    return status == MAILSRV_OK ? hmac(s, salted, &server_text, 1, keys->server) : status;
}
