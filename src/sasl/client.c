#include "sasl/client_mechanism.h"

#include "core/crypto.h"
#include "sasl/binding.h"
#include "sasl/sasl.h"
#include "text/base64.h"

/* The safest first.  A token is for nothing else, so who has one wants it used. */
static const struct client_mechanism *const all[] = {
    &mailsrv__client_oauthbearer,
    &mailsrv__client_xoauth2,
    &mailsrv__client_scram_sha_256_plus,
    &mailsrv__client_scram_sha_256,
    &mailsrv__client_scram_sha_1_plus,
    &mailsrv__client_scram_sha_1,
    &mailsrv__client_plain,
    &mailsrv__client_login,
};
enum { ALL = sizeof all / sizeof *all };

/* ---- Which mechanism ---- */

static uint32_t bit_of(struct span name)
{
    for (size_t i = 0; i < ALL; i++)
        if (mailsrv__span_equal_nocase(name, all[i]->name))
            return all[i]->bit;
    return 0;
}

uint32_t mailsrv__sasl_client_read(struct span names)
{
    uint32_t bits = 0;
    while (names.n != 0) {
        const char *space = memchr(names.p, ' ', names.n);
        size_t n = space == NULL ? names.n : (size_t)(space - names.p);
        bits |= bit_of(mailsrv__span_first(names, n));
        names = mailsrv__span_after(names, n + 1);
    }
    return bits;
}

/* A secret that is sent as it is goes over no connection that others can read, whatever anybody says. */
static bool is_safe(const mailsrv_session *session, const struct client_mechanism *m)
{
    return ((m->flags & CLIENT_READABLE) == 0 || mailsrv__secure(session)) &&
           ((m->flags & CLIENT_CRYPTO) == 0 || mailsrv__has_crypto(session)) &&
           ((m->flags & CLIENT_BINDS) == 0 || mailsrv__sasl_can_bind(session));
}

uint32_t mailsrv__sasl_client_can(const mailsrv_session *session, uint32_t offered)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < ALL; i++)
        if (is_safe(session, all[i]))
            bits |= all[i]->bit;
    return bits & offered;
}

static struct span secret_for(const struct client_mechanism *m, const mailsrv_credential *c)
{
    return mailsrv__span((m->flags & CLIENT_TOKEN) != 0 ? c->token : c->password);
}

static bool acts_as_another(const mailsrv_credential *c)
{
    return c->identity.n != 0 && !mailsrv__span_equal(mailsrv__span(c->identity), mailsrv__span(c->user));
}

static const struct client_mechanism *choose(const mailsrv_session *session, uint32_t offered,
                                             const mailsrv_credential *c)
{
    uint32_t bits = mailsrv__sasl_client_can(session, offered);
    if (c->mechanisms != 0)
        bits &= c->mechanisms;
    for (size_t i = 0; i < ALL; i++) {
        const struct client_mechanism *m = all[i];
        bool can_act = (m->flags & CLIENT_NO_IDENTITY) == 0 || !acts_as_another(c);
        if ((bits & m->bit) != 0 && secret_for(m, c).n != 0 && can_act)
            return m;
    }
    return NULL;
}

/* ---- From its begin to its end ---- */

bool mailsrv__client_room(struct sasl_client *x, size_t octets, struct writer *out)
{
    *out = (struct writer){ .p = mailsrv__arena_take(&x->arena, octets), .room = octets };
    return out->p != NULL;
}

bool mailsrv__client_encode(struct sasl_client *x, struct span message)
{
    struct writer w;
    if (!mailsrv__client_room(x, BASE64_CHARS(message.n), &w))
        return false;
    x->response = (struct span){ w.p, mailsrv__base64((const uint8_t *)message.p, message.n, w.p) };
    return true;
}

enum sasl_client_turn mailsrv__client_fails(struct sasl_client *x, const char *why)
{
    x->why = why;
    x->is_done = false;
    return SASL_CLIENT_FAILS;
}

enum sasl_client_turn mailsrv__client_says(struct sasl_client *x, struct span message)
{
    return mailsrv__client_encode(x, message) ? SASL_CLIENT_SAYS : mailsrv__client_fails(x, "no memory");
}

static bool keep_all(struct sasl_client *x, const mailsrv_credential *c)
{
    struct span identity = { NULL, 0 };
    if (acts_as_another(c))
        identity = mailsrv__span(c->identity);
    x->own = mailsrv__arena_take(&x->arena, x->mechanism->octets);
    return x->own != NULL && mailsrv__arena_copy(&x->arena, mailsrv__span(c->user), &x->user) &&
           mailsrv__arena_copy(&x->arena, identity, &x->identity) &&
           mailsrv__arena_copy(&x->arena, secret_for(x->mechanism, c), &x->secret);
}

/* The name that acts is a name, and so is the other one, where there are any; what cannot be in a line is in none. */
static bool is_whole(const struct sasl_client *x)
{
    return mailsrv__sasl_is_name(x->user) && (x->identity.n == 0 || mailsrv__sasl_is_name(x->identity)) &&
           memchr(x->secret.p, 0, x->secret.n) == NULL;
}

static int32_t begin(struct sasl_client *x, const mailsrv_credential *credential)
{
    enum { AROUND = sizeof "AUTH  \r\n" };
    if (!keep_all(x, credential))
        return MAILSRV_NOMEM;
    int32_t status = is_whole(x) ? x->mechanism->begin(x) : MAILSRV_E_VALUE;
    bool is_long = x->response.n + x->mechanism->name.n + AROUND > SASL_LINE_OCTETS_MAX;
    return status == MAILSRV_OK && is_long ? MAILSRV_E_VALUE : status;
}

int32_t mailsrv__sasl_client_new(mailsrv_session *session, uint32_t offered, const mailsrv_credential *credential,
                                 struct sasl_client **out)
{
    const struct client_mechanism *m = choose(session, offered, credential);
    if (m == NULL)
        return MAILSRV_CANNOT;
    struct sasl_client *x = mailsrv__session_take(session, sizeof *x);
    if (x == NULL)
        return MAILSRV_NOMEM;
    x->session = session;
    x->mechanism = m;
    x->offered = offered;
    x->arena = (struct arena){ .heap = mailsrv__session_heap(session), .purse = &session->purse };
    x->why = "the server refuses the login";
    int32_t status = begin(x, credential);
    if (status == MAILSRV_OK)
        *out = x;
    else
        mailsrv__sasl_client_free(x);
    return status;
}

void mailsrv__sasl_client_free(struct sasl_client *x)
{
    if (x == NULL)
        return;
    mailsrv__arena_clear(&x->arena);
    mailsrv__session_give(x->session, x, sizeof *x);
}

/* ---- What the machine asks ---- */

struct span mailsrv__sasl_client_name(const struct sasl_client *x)
{
    return x->mechanism->name;
}

struct span mailsrv__sasl_client_initial(const struct sasl_client *x)
{
    return x->response;
}

enum sasl_client_turn mailsrv__sasl_client_answer(struct sasl_client *x, struct span challenge)
{
    return x->mechanism->answer(x, challenge);
}

enum sasl_client_turn mailsrv__sasl_client_go_on(struct sasl_client *x)
{
    return x->mechanism->go_on(x);
}

struct span mailsrv__sasl_client_response(const struct sasl_client *x)
{
    return x->response;
}

const char *mailsrv__sasl_client_why(const struct sasl_client *x)
{
    return x->why;
}

bool mailsrv__sasl_client_is_done(const struct sasl_client *x)
{
    return x->is_done;
}
