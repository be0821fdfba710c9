/* What a host keeps for SCRAM in place of a password (RFC 5802 section 3). */
#include "base/heap.h"
#include "sasl/prepare.h"

#include <mailsrv/auth.h>
#include <mailsrv/tls.h>

enum { PASSWORD_OCTETS_MAX = 1024 };

struct maker {
    const mailsrv_crypto *crypto;
    int32_t hash;
    size_t octets;
};

static int32_t hmac(const struct maker *m, struct span key, const mailsrv_bytes *parts, size_t n, uint8_t *out)
{
    const mailsrv_bytes k = mailsrv__bytes(key);
    return m->crypto->hmac(m->crypto->user, m->hash, &k, parts, n, out);
}

static struct span key_of(const struct maker *m, const uint8_t *p)
{
    return (struct span){ (const char *)p, m->octets };
}

/* Hi(str, salt, i): PBKDF2 with one block of output (RFC 8018 section 5.2). */
static int32_t salted(const struct maker *m, struct span password, mailsrv_bytes salt, uint32_t iterations,
                      uint8_t *out)
{
    static const uint8_t one[] = { 0, 0, 0, 1 };
    uint8_t u[MAILSRV_HASH_OCTETS_MAX];
    const mailsrv_bytes first[] = { salt, { one, sizeof one } }, again = { u, m->octets };
    int32_t status = hmac(m, password, first, 2, u);
    memcpy(out, u, m->octets);
    for (uint32_t i = 1; i < iterations && status == MAILSRV_OK; i++) {
        uint8_t next[MAILSRV_HASH_OCTETS_MAX];
        status = hmac(m, password, &again, 1, next);
        memcpy(u, next, m->octets);
        for (size_t j = 0; j < m->octets; j++)
            out[j] ^= u[j];
    }
    mailsrv__wipe(u, sizeof u);
    return status;
}

static int32_t make(const struct maker *m, struct span password, mailsrv_bytes salt, uint32_t iterations,
                    uint8_t *stored_key, uint8_t *server_key)
{
    static const mailsrv_bytes client_text = { (const uint8_t *)"Client Key", 10 };
    static const mailsrv_bytes server_text = { (const uint8_t *)"Server Key", 10 };
    uint8_t salted_password[MAILSRV_HASH_OCTETS_MAX], client_key[MAILSRV_HASH_OCTETS_MAX];
    const mailsrv_bytes client = { client_key, m->octets };
    int32_t status = salted(m, password, salt, iterations, salted_password);
    if (status == MAILSRV_OK)
        status = hmac(m, key_of(m, salted_password), &client_text, 1, client_key);
    if (status == MAILSRV_OK)
        status = m->crypto->hash(m->crypto->user, m->hash, &client, 1, stored_key);
    if (status == MAILSRV_OK)
        status = hmac(m, key_of(m, salted_password), &server_text, 1, server_key);
    mailsrv__wipe(salted_password, sizeof salted_password);
    mailsrv__wipe(client_key, sizeof client_key);
    return status;
}

int32_t mailsrv_scram_keys(const mailsrv_crypto *crypto, int32_t hash, const mailsrv_bytes *password,
                           const mailsrv_bytes *salt, uint32_t iterations, uint8_t *stored_key, uint8_t *server_key)
{
    if (crypto == NULL || crypto->size < sizeof *crypto || crypto->hash == NULL || crypto->hmac == NULL ||
        password == NULL || salt == NULL || stored_key == NULL || server_key == NULL)
        return MAILSRV_E_USAGE;
    struct maker m = { crypto, hash, hash == MAILSRV_HASH_SHA1 ? 20 : 32 };
    char room[PASSWORD_OCTETS_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    bool good = (hash == MAILSRV_HASH_SHA1 || hash == MAILSRV_HASH_SHA256) && salt->n != 0 &&
                salt->n <= MAILSRV_SCRAM_SALT_MAX && iterations != 0 &&
                mailsrv__sasl_prepare(mailsrv__span(*password), &w) && w.n != 0;
    int32_t status =
        good ? make(&m, mailsrv__written(&w), *salt, iterations, stored_key, server_key) : MAILSRV_E_VALUE;
    mailsrv__wipe(room, sizeof room);
    return status;
}
