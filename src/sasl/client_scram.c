/* SCRAM as the client (RFC 5802, RFC 7677, RFC 9266).  The server proves that it knows our keys, or the login fails. */
#include "sasl/client_mechanism.h"

#include "base/secret.h"
#include "core/crypto.h"
#include "sasl/binding.h"
#include "sasl/prepare.h"
#include "sasl/salting.h"
#include "sasl/scram_message.h"
#include "text/base64.h"

enum {
    NONCE_OCTETS = 18,
    SALT_OCTETS_MAX = 512,
    ITERATIONS_MIN = 4096, /* RFC 7677 section 4: who asks for fewer wants to guess at the password */
    ITERATIONS_MAX = 1000000,
    ITERATIONS_PER_TURN = 128,
    UNITS_PER_TURN = 32
};

enum scram_state { AT_FIRST, AT_SALTING, AT_FINAL, AT_END };

struct client_scram {
    enum scram_state state;
    struct span gs2_header, first_bare, nonce; /* ours: of the first message */
    struct span password;                      /* prepared */
    struct span server_first;                  /* the message */
    struct span server_nonce;                  /* within it: ours, and his behind it */
    struct salting salting;
    uint8_t signature[MAILSRV_HASH_OCTETS_MAX]; /* the server's, that is expected */
};

/* ---- The first message ---- */

/* gs2-cbind-flag: "y" says that we could bind and were not offered to.  A server that did offer it has been tampered
 * with then, and fails us (RFC 5802 section 6): so it is said to none that offers any -PLUS. */
static void write_flag(const struct sasl_client *x, struct writer *w)
{
    const uint32_t plus = MAILSRV_SASL_SCRAM_SHA_1_PLUS | MAILSRV_SASL_SCRAM_SHA_256_PLUS;
    if ((x->mechanism->flags & CLIENT_BINDS) != 0) {
        mailsrv__write(w, SPAN("p="));
        mailsrv__write(w, mailsrv__sasl_usual_binding(x->session));
    } else {
        mailsrv__write_char(w, mailsrv__sasl_can_bind(x->session) && (x->offered & plus) == 0 ? 'y' : 'n');
    }
}

static bool prepare(struct sasl_client *x, struct span text, struct span *out)
{
    struct writer w;
    if (!mailsrv__client_room(x, text.n, &w))
        return false;
    if (mailsrv__sasl_prepare(text, &w))
        *out = mailsrv__written(&w);
    return true;
}

/* client-first-message = gs2-cbind-flag "," ["a=" saslname] "," "n=" saslname ",r=" nonce */
static bool write_first(struct sasl_client *x, struct span user, const uint8_t *random)
{
    enum { AROUND = sizeof "p=tls-exporter,a=,n=,r=" };
    struct client_scram *s = x->own;
    struct writer w;
    if (!mailsrv__client_room(x, AROUND + 3 * (x->identity.n + user.n) + BASE64_CHARS(NONCE_OCTETS), &w))
        return false;
    write_flag(x, &w);
    mailsrv__write_char(&w, ',');
    if (x->identity.n != 0)
        mailsrv__write(&w, SPAN("a="));
    mailsrv__scram_escape(x->identity, &w);
    mailsrv__write_char(&w, ',');
    s->gs2_header = mailsrv__written(&w);
    mailsrv__write(&w, SPAN("n="));
    mailsrv__scram_escape(user, &w);
    mailsrv__write(&w, SPAN(",r="));
    s->nonce = (struct span){ w.p + w.n, mailsrv__base64(random, NONCE_OCTETS, w.p + w.n) };
    w.n += s->nonce.n;
    s->first_bare = mailsrv__span_after(mailsrv__written(&w), s->gs2_header.n);
    return mailsrv__client_encode(x, mailsrv__written(&w));
}

static int32_t begin(struct sasl_client *x)
{
    struct client_scram *s = x->own;
    struct span user = { NULL, 0 };
    uint8_t random[NONCE_OCTETS];
    if (!prepare(x, x->user, &user) || !prepare(x, x->secret, &s->password))
        return MAILSRV_NOMEM;
    if (user.n == 0 || s->password.n == 0)
        return MAILSRV_E_VALUE;
    if (!mailsrv__random(x->session, random, sizeof random))
        return MAILSRV_TEMP;
    return write_first(x, user, random) ? MAILSRV_OK : MAILSRV_NOMEM;
}

/* ---- The server's first message ---- */

/* What is behind our nonce is the server's part of it; without one somebody plays back what he has heard. */
static bool continues(struct span nonce, struct span ours)
{
    return nonce.n > ours.n && mailsrv__span_equal(mailsrv__span_first(nonce, ours.n), ours);
}

static enum sasl_client_turn begin_salting(struct sasl_client *x, const struct scram_server_first *first)
{
    struct client_scram *s = x->own;
    uint8_t salt[SALT_OCTETS_MAX];
    size_t n;
    if (BASE64_OCTETS(first->salt.n) > sizeof salt || !mailsrv__base64_read(first->salt, salt, &n))
        return mailsrv__client_fails(x, "the server's salt is none");
    if (first->iterations < ITERATIONS_MIN || first->iterations > ITERATIONS_MAX)
        return mailsrv__client_fails(x, "the server asks for too few iterations, or too many");
    if (mailsrv__salting_begin(&s->salting, mailsrv__crypto(x->session), x->mechanism->hash, s->password,
                               (mailsrv_bytes){ salt, n }, first->iterations) != MAILSRV_OK)
        return mailsrv__client_fails(x, "the hash failed");
    s->server_nonce = first->nonce;
    s->state = AT_SALTING;
    return SASL_CLIENT_WORKS;
}

static enum sasl_client_turn take_first(struct sasl_client *x, struct span message)
{
    struct client_scram *s = x->own;
    struct scram_server_first first;
    if (!mailsrv__scram_read_server_first(message, &first))
        return mailsrv__client_fails(x, "the server's first message is none");
    if (!continues(first.nonce, s->nonce))
        return mailsrv__client_fails(x, "the server's nonce does not begin with ours");
    s->server_first = message;
    return begin_salting(x, &first);
}

/* ---- Our final message ---- */

/* cbind-input = gs2-header [cbind-data], in base64 */
static bool write_binding(struct sasl_client *x, struct writer *w)
{
    const struct client_scram *s = x->own;
    struct span data = { NULL, 0 };
    struct writer input;
    if ((x->mechanism->flags & CLIENT_BINDS) != 0)
        data = mailsrv__sasl_binding(x->session, mailsrv__sasl_usual_binding(x->session));
    if (!mailsrv__client_room(x, s->gs2_header.n + data.n, &input) ||
        !mailsrv__client_room(x,
                              sizeof "c=,r=,p=" + BASE64_CHARS(input.room) + s->server_nonce.n +
                                  BASE64_CHARS((size_t)MAILSRV_HASH_OCTETS_MAX),
                              w))
        return false;
    mailsrv__write(&input, s->gs2_header);
    mailsrv__write(&input, data);
    mailsrv__write(w, SPAN("c="));
    w->n += mailsrv__base64((const uint8_t *)input.p, input.n, w->p + w->n);
    return true;
}

/* HMAC(key, AuthMessage), AuthMessage := client-first-message-bare "," server-first-message ","
 * client-final-message-without-proof */
static bool sign(const struct sasl_client *x, const uint8_t *key, struct span without_proof, uint8_t *out)
{
    const struct client_scram *s = x->own;
    const struct span parts[] = { s->first_bare, SPAN(","), s->server_first, SPAN(","), without_proof };
    return mailsrv__hmac(x->session, x->mechanism->hash, (struct span){ (const char *)key, s->salting.octets }, parts,
                         5, out);
}

/* ClientProof := ClientKey XOR HMAC(StoredKey, AuthMessage) */
static bool write_proof(struct sasl_client *x, struct writer *w)
{
    struct client_scram *s = x->own;
    struct scram_keys keys;
    struct span without_proof = mailsrv__written(w);
    uint8_t proof[MAILSRV_HASH_OCTETS_MAX];
    bool good = mailsrv__salting_keys(&s->salting, &keys) == MAILSRV_OK && sign(x, keys.stored, without_proof, proof) &&
                sign(x, keys.server, without_proof, s->signature);
    if (good) {
        for (size_t i = 0; i < s->salting.octets; i++)
            proof[i] ^= keys.client[i];
        mailsrv__write(w, SPAN(",p="));
        w->n += mailsrv__base64(proof, s->salting.octets, w->p + w->n);
    }
    mailsrv__wipe(&keys, sizeof keys);
    return good;
}

/* client-final-message = channel-binding "," nonce "," proof */
static enum sasl_client_turn say_final(struct sasl_client *x)
{
    struct client_scram *s = x->own;
    struct writer w;
    if (!write_binding(x, &w))
        return mailsrv__client_fails(x, "no memory");
    mailsrv__write(&w, SPAN(",r="));
    mailsrv__write(&w, s->server_nonce);
    if (!write_proof(x, &w))
        return mailsrv__client_fails(x, "the hash failed");
    s->state = AT_FINAL;
    return mailsrv__client_says(x, mailsrv__written(&w));
}

static enum sasl_client_turn go_on(struct sasl_client *x)
{
    struct client_scram *s = x->own;
    mailsrv__spend(x->session, UNITS_PER_TURN);
    if (mailsrv__salting_go_on(&s->salting, s->password, ITERATIONS_PER_TURN) != MAILSRV_OK)
        return mailsrv__client_fails(x, "the hash failed");
    return s->salting.left != 0 ? SASL_CLIENT_WORKS : say_final(x);
}

/* ---- The server's final message ---- */

static enum sasl_client_turn take_final(struct sasl_client *x, struct span message)
{
    struct client_scram *s = x->own;
    struct span base64;
    uint8_t signature[BASE64_OCTETS(BASE64_CHARS((size_t)MAILSRV_HASH_OCTETS_MAX))];
    size_t n;
    if (!mailsrv__scram_read_server_final(message, &base64))
        return mailsrv__client_fails(x, "the server refuses the proof");
    if (BASE64_OCTETS(base64.n) > sizeof signature || !mailsrv__base64_read(base64, signature, &n) ||
        n != s->salting.octets || !mailsrv__secret_equal(signature, s->signature, n))
        return mailsrv__client_fails(x, "the server does not know the keys of this user");
    s->state = AT_END;
    x->is_done = true;
    return mailsrv__client_says(x, SPAN(""));
}

/* What it says lies in the arena, for the signatures. */
static enum sasl_client_turn answer(struct sasl_client *x, struct span challenge)
{
    const struct client_scram *s = x->own;
    struct writer w;
    if (s->state == AT_END || s->state == AT_SALTING || challenge.n > SASL_CHALLENGE_CHARS)
        return mailsrv__client_fails(x, "a challenge more than the mechanism has, or a long one");
    if (!mailsrv__client_room(x, BASE64_OCTETS(challenge.n), &w))
        return mailsrv__client_fails(x, "no memory");
    if (!mailsrv__base64_read(challenge, (uint8_t *)w.p, &w.n))
        return mailsrv__client_fails(x, "a challenge is no base64");
    return s->state == AT_FIRST ? take_first(x, mailsrv__written(&w)) : take_final(x, mailsrv__written(&w));
}

const struct client_mechanism mailsrv__client_scram_sha_256_plus = {
    .name = { "SCRAM-SHA-256-PLUS", 18 },
    .bit = MAILSRV_SASL_SCRAM_SHA_256_PLUS,
    .flags = CLIENT_CRYPTO | CLIENT_BINDS,
    .hash = MAILSRV_HASH_SHA256,
    .octets = sizeof(struct client_scram),
    .begin = begin,
    .answer = answer,
    .go_on = go_on,
};

const struct client_mechanism mailsrv__client_scram_sha_256 = {
    .name = { "SCRAM-SHA-256", 13 },
    .bit = MAILSRV_SASL_SCRAM_SHA_256,
    .flags = CLIENT_CRYPTO,
    .hash = MAILSRV_HASH_SHA256,
    .octets = sizeof(struct client_scram),
    .begin = begin,
    .answer = answer,
    .go_on = go_on,
};

const struct client_mechanism mailsrv__client_scram_sha_1_plus = {
    .name = { "SCRAM-SHA-1-PLUS", 16 },
    .bit = MAILSRV_SASL_SCRAM_SHA_1_PLUS,
    .flags = CLIENT_CRYPTO | CLIENT_BINDS,
    .hash = MAILSRV_HASH_SHA1,
    .octets = sizeof(struct client_scram),
    .begin = begin,
    .answer = answer,
    .go_on = go_on,
};

const struct client_mechanism mailsrv__client_scram_sha_1 = {
    .name = { "SCRAM-SHA-1", 11 },
    .bit = MAILSRV_SASL_SCRAM_SHA_1,
    .flags = CLIENT_CRYPTO,
    .hash = MAILSRV_HASH_SHA1,
    .octets = sizeof(struct client_scram),
    .begin = begin,
    .answer = answer,
    .go_on = go_on,
};
