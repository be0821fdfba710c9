/* What a host keeps for SCRAM in place of a password (RFC 5802 section 3). */
#include "base/heap.h"
#include "sasl/prepare.h"
#include "sasl/salting.h"

#include <mailsrv/auth.h>
#include <mailsrv/tls.h>

enum { PASSWORD_OCTETS_MAX = 1024 };

static int32_t make(struct salting *s, struct span password, uint8_t *stored_key, uint8_t *server_key)
{
    struct scram_keys keys;
    int32_t status = mailsrv__salting_go_on(s, password, UINT32_MAX);
    if (status == MAILSRV_OK)
        status = mailsrv__salting_keys(s, &keys);
    if (status == MAILSRV_OK) {
        memcpy(stored_key, keys.stored, s->octets);
        memcpy(server_key, keys.server, s->octets);
    }
    mailsrv__wipe(&keys, sizeof keys);
    return status;
}

int32_t mailsrv_scram_keys(const mailsrv_crypto *crypto, int32_t hash, const mailsrv_bytes *password,
                           const mailsrv_bytes *salt, uint32_t iterations, uint8_t *stored_key, uint8_t *server_key)
{
    if (crypto == NULL || crypto->size < sizeof *crypto || crypto->hash == NULL || crypto->hmac == NULL ||
        password == NULL || salt == NULL || stored_key == NULL || server_key == NULL)
        return MAILSRV_E_USAGE;
    struct salting salting;
    char room[PASSWORD_OCTETS_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    bool good = (hash == MAILSRV_HASH_SHA1 || hash == MAILSRV_HASH_SHA256) && salt->n != 0 &&
                salt->n <= MAILSRV_SCRAM_SALT_MAX && iterations != 0 &&
                mailsrv__sasl_prepare(mailsrv__span(*password), &w) && w.n != 0;
    int32_t status = MAILSRV_E_VALUE;
    if (good)
        status = mailsrv__salting_begin(&salting, crypto, hash, mailsrv__written(&w), *salt, iterations);
    if (status == MAILSRV_OK)
        status = make(&salting, mailsrv__written(&w), stored_key, server_key);
    mailsrv__wipe(&salting, sizeof salting);
    mailsrv__wipe(room, sizeof room);
    return status;
}
