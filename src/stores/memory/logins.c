/* Logins without the password itself: keys for SCRAM, and whoever the host knows by name. */
#include "memory.h"

#include <mailsrv/auth.h>
#include <mailsrv/tls.h>

#include <string.h>

static size_t octets_of(int32_t hash)
{
    return hash == MAILSRV_HASH_SHA1 ? 20 : 32;
}

static struct scram *keys_of(struct account *a, int32_t hash)
{
    return &a->scram[hash == MAILSRV_HASH_SHA1 ? 0 : 1];
}

static bool is_whole(int32_t hash, const mailsrv_scram_record *r)
{
    return (hash == MAILSRV_HASH_SHA1 || hash == MAILSRV_HASH_SHA256) && r != NULL && r->size >= sizeof *r &&
           r->iterations != 0 && r->salt.n != 0 && r->salt.n <= MAILSRV_SCRAM_SALT_MAX &&
           r->stored_key.n == octets_of(hash) && r->server_key.n == octets_of(hash);
}

int32_t mailsrv_memory_set_scram(mailsrv_store *store, const mailsrv_id *account, int32_t hash,
                                 const mailsrv_scram_record *record)
{
    struct memory *m = mailsrv__memory(store);
    struct account *a = account == NULL ? NULL : mailsrv__memory_account(m, account);
    if (!is_whole(hash, record))
        return MAILSRV_E_USAGE;
    if (a == NULL)
        return MAILSRV_NONEXISTENT;
    struct scram *keys = keys_of(a, hash);
    keys->iterations = record->iterations;
    keys->n_salt = record->salt.n;
    memcpy(keys->salt, record->salt.p, record->salt.n);
    memcpy(keys->stored, record->stored_key.p, record->stored_key.n);
    memcpy(keys->server, record->server_key.p, record->server_key.n);
    m->has_scram = true;
    return MAILSRV_OK;
}

/* Nobody here acts as somebody else. */
int32_t mailsrv__memory_auth_scram_keys(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_auth_scram_keys *arg = op->arg;
    struct account *a = mailsrv__memory_by_name(m, arg->user.p, arg->user.n);
    if (a == NULL || arg->identity.n != 0 || keys_of(a, arg->hash)->iterations == 0)
        return MAILSRV_DENIED;
    const struct scram *keys = keys_of(a, arg->hash);
    r->has_value = true;
    r->value.scram_record = (mailsrv_scram_record){
        .size = sizeof r->value.scram_record,
        .account = a->id,
        .iterations = keys->iterations,
        .salt = { keys->salt, keys->n_salt },
        .stored_key = { keys->stored, octets_of(arg->hash) },
        .server_key = { keys->server, octets_of(arg->hash) },
    };
    return MAILSRV_OK;
}

/* The account that has the name by which the host knows the peer. */
int32_t mailsrv__memory_auth_external(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_auth_external *arg = op->arg;
    struct account *a = mailsrv__memory_by_name(m, arg->external.p, arg->external.n);
    bool as_himself = arg->identity.n == 0 || (arg->identity.n == arg->external.n &&
                                               memcmp(arg->identity.p, arg->external.p, arg->external.n) == 0);
    if (a == NULL || !as_himself)
        return MAILSRV_DENIED;
    r->has_value = true;
    r->value.identity =
        (mailsrv_identity){ .size = sizeof r->value.identity, .acts_as = arg->identity.n != 0, .account = a->id };
    return MAILSRV_OK;
}
