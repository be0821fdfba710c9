/* SCRAM-SHA-1 and SCRAM-SHA-256, with channel binding and without (RFC 5802, RFC 7677, RFC 9266).
 *
 * A user who does not exist goes through all of it: what he is told is made up, and his proof is wrong. */
#include "base/secret.h"
#include "core/crypto.h"
#include "sasl/binding.h"
#include "sasl/sasl.h"
#include "sasl/scram_message.h"
#include "text/base64.h"

enum { NONCE_OCTETS = 18, SALT_OCTETS = 16, NUMBER_MAX = 10, KEY_MAX = MAILSRV_HASH_OCTETS_MAX };

enum scram_state { AT_FIRST, AT_FINAL, AT_END };

struct scram {
    struct scram_first first;
    enum scram_state state;
    bool known; /* the keys are somebody's */
    mailsrv_id account;
    uint32_t acts_as, iterations;
    struct span salt;
    uint8_t stored_key[KEY_MAX], server_key[KEY_MAX];
    struct span server_first; /* the message */
    struct span nonce;        /* his, and ours behind it: within server_first */
};

static size_t key_octets(const struct sasl *x)
{
    return mailsrv__hash_octets(x->mechanism->hash);
}

/* ---- Channel binding ---- */

/* RFC 5802 section 6: a client that could bind and was not told that we can has been lied to on the way. */
static bool binding_is_right(const struct sasl *x, const struct scram_first *first)
{
    bool plus = (x->mechanism->flags & SASL_BINDS) != 0;
    switch (first->binding) {
    case SCRAM_BINDS:
        return plus && mailsrv__sasl_binding(x->session, first->binding_name).n != 0;
    case SCRAM_COULD_BIND:
        return !plus && !mailsrv__sasl_is_offered(x->session, x->mechanism->plus);
    default:
        return !plus;
    }
}

/* cbind-input = gs2-header [cbind-data], and it is what the client has said in his first message */
static bool says_same_binding(struct sasl *x, struct span base64)
{
    const struct scram_first *first = &((const struct scram *)x->own)->first;
    struct span data = { NULL, 0 };
    size_t n;
    uint8_t *said = mailsrv__arena_take(&x->arena, BASE64_OCTETS(base64.n));
    if (first->binding == SCRAM_BINDS)
        data = mailsrv__sasl_binding(x->session, first->binding_name);
    if (said == NULL || !mailsrv__base64_read(base64, said, &n) || n != first->gs2_header.n + data.n)
        return false;
    return memcmp(said, first->gs2_header.p, first->gs2_header.n) == 0 &&
           (data.n == 0 || mailsrv__secret_equal(said + first->gs2_header.n, data.p, data.n));
}

/* ---- The first message ---- */

static bool keep_name(struct sasl *x, struct span escaped, struct span *out)
{
    char *name = mailsrv__arena_take(&x->arena, escaped.n);
    size_t n = 0;
    if (name == NULL)
        mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    else if (!mailsrv__scram_unescape(escaped, name, &n) ||
             (n != 0 && !mailsrv__sasl_is_name((struct span){ name, n })))
        mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    else
        *out = (struct span){ name, n };
    return out->p != NULL;
}

static enum sasl_turn ask_keys(struct sasl *x)
{
    struct ask ask = mailsrv__ask(x->session, MAILSRV_OP_AUTH_SCRAM_KEYS, mailsrv__sasl_who_octets(x));
    if (ask.op == NULL)
        return mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    struct sasl_who who = mailsrv__sasl_who(x, &ask);
    mailsrv_arg_auth_scram_keys *arg = ask.arg;
    arg->secured = who.secured;
    arg->user = who.user;
    arg->identity = who.identity;
    arg->mechanism = who.mechanism;
    arg->service = who.service;
    arg->peer = who.peer;
    arg->hash = x->mechanism->hash;
    return SASL_WAIT;
}

static enum sasl_turn take_first(struct sasl *x, struct span message)
{
    struct scram *s = x->own;
    struct span identity = { NULL, 0 };
    if (!mailsrv__scram_read_first(message, &s->first))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    if (!keep_name(x, s->first.user, &x->user) || !keep_name(x, s->first.identity, &identity))
        return SASL_OVER;
    if (!binding_is_right(x, &s->first))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    if (!mailsrv__span_equal(identity, x->user))
        x->identity = identity;
    return ask_keys(x);
}

/* ---- What is known of the user, or made up ---- */

/* The same salt for the same name, always, and nobody who has not the secret can tell that it is made up. */
static bool make_up(struct sasl *x)
{
    struct scram *s = x->own;
    struct span secret = mailsrv__setting_str(x->session, MAILSRV_PROFILE_SCRAM_SECRET);
    uint8_t engines[SECRET_OCTETS], made[KEY_MAX];
    if (secret.n == 0 && !mailsrv__secret(x->session, engines))
        return false;
    if (secret.n == 0)
        secret = (struct span){ (const char *)engines, sizeof engines };
    const struct span hash = x->mechanism->hash == MAILSRV_HASH_SHA1 ? SPAN("salt 1 ") : SPAN("salt 256 ");
    const struct span parts[] = { hash, x->user };
    bool good = mailsrv__hmac(x->session, MAILSRV_HASH_SHA256, secret, parts, 2, made) &&
                mailsrv__arena_copy(&x->arena, (struct span){ (const char *)made, SALT_OCTETS }, &s->salt);
    s->iterations = (uint32_t)mailsrv__setting(x->session, MAILSRV_PROFILE_SCRAM_ITERATIONS);
    mailsrv__wipe(engines, sizeof engines);
    return good;
}

static bool take_record(struct sasl *x, const mailsrv_scram_record *record)
{
    struct scram *s = x->own;
    s->known = x->identity.n == 0 || record->acts_as == 1;
    if (!s->known)
        return true;
    s->account = record->account;
    s->acts_as = record->acts_as;
    s->iterations = record->iterations;
    memcpy(s->stored_key, record->stored_key.p, key_octets(x));
    memcpy(s->server_key, record->server_key.p, key_octets(x));
    return mailsrv__arena_copy(&x->arena, mailsrv__span(record->salt), &s->salt);
}

/* server-first-message = nonce "," salt "," iteration-count */
static bool write_server_first(struct sasl *x)
{
    struct scram *s = x->own;
    uint8_t random[NONCE_OCTETS];
    struct span his = s->first.nonce;
    size_t room = sizeof "r=,s=,i=" + his.n + BASE64_CHARS(NONCE_OCTETS) + BASE64_CHARS(s->salt.n) + NUMBER_MAX;
    struct writer w = { .p = mailsrv__arena_take(&x->arena, room), .room = room };
    if (w.p == NULL || !mailsrv__random(x->session, random, sizeof random))
        return false;
    mailsrv__write(&w, SPAN("r="));
    mailsrv__write(&w, his);
    w.n += mailsrv__base64(random, sizeof random, w.p + w.n);
    s->nonce = (struct span){ w.p + 2, w.n - 2 };
    mailsrv__write(&w, SPAN(",s="));
    w.n += mailsrv__base64((const uint8_t *)s->salt.p, s->salt.n, w.p + w.n);
    mailsrv__write(&w, SPAN(",i="));
    mailsrv__write_u64(&w, s->iterations);
    s->server_first = x->challenge = mailsrv__written(&w);
    return true;
}

static enum sasl_turn answered(struct sasl *x)
{
    struct scram *s = x->own;
    const mailsrv_answer *answer = mailsrv__answer(x->session, 0);
    enum sasl_turn turn;
    bool nobody = answer->status == MAILSRV_DENIED || answer->status == MAILSRV_NONEXISTENT;
    if (!nobody && mailsrv__sasl_answer_refuses(x, &turn))
        return turn;
    if (!make_up(x) || (!nobody && !take_record(x, answer->value)) || !write_server_first(x))
        return mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    s->state = AT_FINAL;
    return SASL_SAY;
}

/* ---- The final message ---- */

/* AuthMessage := client-first-message-bare + "," + server-first-message + "," + client-final-message-without-proof */
static bool sign(const struct sasl *x, const uint8_t *key, struct span without_proof, uint8_t *out)
{
    const struct scram *s = x->own;
    const struct span parts[] = { s->first.bare, SPAN(","), s->server_first, SPAN(","), without_proof };
    return mailsrv__hmac(x->session, x->mechanism->hash, (struct span){ (const char *)key, key_octets(x) }, parts, 5,
                         out);
}

/* ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage): is it of one who knows the password, H(ClientKey) =
 * StoredKey? */
static bool is_proof(struct sasl *x, const uint8_t *proof, struct span without_proof)
{
    const struct scram *s = x->own;
    uint8_t key[KEY_MAX], hashed[KEY_MAX];
    bool good = sign(x, s->stored_key, without_proof, key);
    for (size_t i = 0; i < key_octets(x); i++)
        key[i] ^= proof[i];
    const struct span part = { (const char *)key, key_octets(x) };
    good = mailsrv__hash(x->session, x->mechanism->hash, &part, 1, hashed) && good;
    good = mailsrv__secret_equal(hashed, s->stored_key, key_octets(x)) && good;
    mailsrv__wipe(key, sizeof key);
    return good && s->known;
}

/* server-final-message = "v=" base64 */
static enum sasl_turn say_final(struct sasl *x, struct span without_proof)
{
    struct scram *s = x->own;
    uint8_t signature[KEY_MAX];
    char *message = mailsrv__arena_take(&x->arena, 2 + BASE64_CHARS((size_t)KEY_MAX));
    if (message == NULL || !sign(x, s->server_key, without_proof, signature))
        return mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    memcpy(message, "v=", 2);
    x->challenge = (struct span){ message, 2 + mailsrv__base64(signature, key_octets(x), message + 2) };
    s->state = AT_END;
    return SASL_SAY;
}

static enum sasl_turn take_final(struct sasl *x, struct span message)
{
    const struct scram *s = x->own;
    struct scram_final final;
    size_t n;
    if (!mailsrv__scram_read_final(message, &final))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    uint8_t *proof = mailsrv__arena_take(&x->arena, BASE64_OCTETS(final.proof.n));
    if (proof == NULL)
        return mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    if (!mailsrv__base64_read(final.proof, proof, &n) || n != key_octets(x) ||
        !mailsrv__span_equal(final.nonce, s->nonce) || !says_same_binding(x, final.binding) ||
        !is_proof(x, proof, final.without_proof))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    return say_final(x, final.without_proof);
}

/* None of the protocols has room for the final message beside its OK: it is a challenge, and the client says nothing to
 * it (RFC 4422 section 5). */
static enum sasl_turn respond(struct sasl *x, struct span response)
{
    const struct scram *s = x->own;
    if (s->state == AT_FIRST)
        return take_first(x, response);
    if (s->state == AT_FINAL)
        return take_final(x, response);
    return response.n == 0 ? mailsrv__sasl_let_in(x, &s->account, s->acts_as)
                           : mailsrv__sasl_refuse(x, MAILSRV_DENIED);
}

const struct mechanism mailsrv__sasl_scram_sha_1_plus = { .name = "SCRAM-SHA-1-PLUS",
                                                          .bit = MAILSRV_SASL_SCRAM_SHA_1_PLUS,
                                                          .flags = SASL_CRYPTO | SASL_BINDS,
                                                          .kind = MAILSRV_OP_AUTH_SCRAM_KEYS,
                                                          .hash = MAILSRV_HASH_SHA1,
                                                          .octets = sizeof(struct scram),
                                                          .respond = respond,
                                                          .answered = answered };
const struct mechanism mailsrv__sasl_scram_sha_256_plus = { .name = "SCRAM-SHA-256-PLUS",
                                                            .bit = MAILSRV_SASL_SCRAM_SHA_256_PLUS,
                                                            .flags = SASL_CRYPTO | SASL_BINDS,
                                                            .kind = MAILSRV_OP_AUTH_SCRAM_KEYS,
                                                            .hash = MAILSRV_HASH_SHA256,
                                                            .octets = sizeof(struct scram),
                                                            .respond = respond,
                                                            .answered = answered };
const struct mechanism mailsrv__sasl_scram_sha_1 = { .name = "SCRAM-SHA-1",
                                                     .bit = MAILSRV_SASL_SCRAM_SHA_1,
                                                     .flags = SASL_CRYPTO,
                                                     .kind = MAILSRV_OP_AUTH_SCRAM_KEYS,
                                                     .hash = MAILSRV_HASH_SHA1,
                                                     .plus = &mailsrv__sasl_scram_sha_1_plus,
                                                     .octets = sizeof(struct scram),
                                                     .respond = respond,
                                                     .answered = answered };
const struct mechanism mailsrv__sasl_scram_sha_256 = { .name = "SCRAM-SHA-256",
                                                       .bit = MAILSRV_SASL_SCRAM_SHA_256,
                                                       .flags = SASL_CRYPTO,
                                                       .kind = MAILSRV_OP_AUTH_SCRAM_KEYS,
                                                       .hash = MAILSRV_HASH_SHA256,
                                                       .plus = &mailsrv__sasl_scram_sha_256_plus,
                                                       .octets = sizeof(struct scram),
                                                       .respond = respond,
                                                       .answered = answered };
