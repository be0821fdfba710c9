/* Mechanisms that send the secret itself: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), OAUTHBEARER (RFC 7628)
 * and XOAUTH2, which is older than that. */
#include "sasl/client_mechanism.h"
#include "sasl/scram_message.h"

static const char TOO_MANY[] = "a challenge more than the mechanism has";

/* ---- PLAIN ---- */

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd */
static int32_t begin_plain(struct sasl_client *x)
{
    struct writer w;
    if (!mailsrv__client_room(x, x->identity.n + x->user.n + x->secret.n + 2, &w))
        return MAILSRV_NOMEM;
    mailsrv__write(&w, x->identity);
    mailsrv__write_char(&w, 0);
    mailsrv__write(&w, x->user);
    mailsrv__write_char(&w, 0);
    mailsrv__write(&w, x->secret);
    x->is_done = true;
    return mailsrv__client_encode(x, mailsrv__written(&w)) ? MAILSRV_OK : MAILSRV_NOMEM;
}

static enum sasl_client_turn answer_plain(struct sasl_client *x, struct span challenge)
{
    (void)challenge;
    return mailsrv__client_fails(x, TOO_MANY);
}

const struct client_mechanism mailsrv__client_plain = {
    .name = { "PLAIN", 5 },
    .bit = MAILSRV_SASL_PLAIN,
    .flags = CLIENT_READABLE,
    .begin = begin_plain,
    .answer = answer_plain,
};

/* ---- LOGIN: asks for both, in whatever words ---- */

struct client_login {
    bool has_user;
};

static int32_t begin_login(struct sasl_client *x)
{
    (void)x;
    return MAILSRV_OK;
}

static enum sasl_client_turn answer_login(struct sasl_client *x, struct span challenge)
{
    struct client_login *login = x->own;
    (void)challenge;
    if (x->is_done)
        return mailsrv__client_fails(x, TOO_MANY);
    x->is_done = login->has_user;
    login->has_user = true;
    return mailsrv__client_says(x, x->is_done ? x->secret : x->user);
}

const struct client_mechanism mailsrv__client_login = {
    .name = { "LOGIN", 5 },
    .bit = MAILSRV_SASL_LOGIN,
    .flags = CLIENT_READABLE | CLIENT_NO_IDENTITY,
    .octets = sizeof(struct client_login),
    .begin = begin_login,
    .answer = answer_login,
};

/* ---- Tokens ---- */

/* b64token = 1*(ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/") *"="   RFC 6750 section 2.1
 * What matters: nothing in it ends it. */
static bool is_token(struct span token)
{
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] > '~')
            return false;
    return true;
}

static int32_t end_with_token(struct sasl_client *x, struct writer *w)
{
    mailsrv__write(w, SPAN("\1auth=Bearer "));
    mailsrv__write(w, x->secret);
    mailsrv__write(w, SPAN("\1\1"));
    x->is_done = true;
    return mailsrv__client_encode(x, mailsrv__written(w)) ? MAILSRV_OK : MAILSRV_NOMEM;
}

/* client-resp = (gs2-header kvsep *kvpair kvsep), with "auth" alone: host and port say nothing that a server does not
 * know (RFC 7628 section 3.1). */
static int32_t begin_oauthbearer(struct sasl_client *x)
{
    enum { AROUND = sizeof "n,a=,\1auth=Bearer \1\1" };
    struct span name = x->identity.n != 0 ? x->identity : x->user;
    struct writer w;
    if (!is_token(x->secret))
        return MAILSRV_E_VALUE;
    if (!mailsrv__client_room(x, AROUND + 3 * name.n + x->secret.n, &w))
        return MAILSRV_NOMEM;
    mailsrv__write(&w, SPAN("n,a="));
    mailsrv__scram_escape(name, &w);
    mailsrv__write_char(&w, ',');
    return end_with_token(x, &w);
}

static int32_t begin_xoauth2(struct sasl_client *x)
{
    enum { AROUND = sizeof "user=\1auth=Bearer \1\1" };
    struct writer w;
    if (!is_token(x->secret))
        return MAILSRV_E_VALUE;
    if (!mailsrv__client_room(x, AROUND + x->user.n + x->secret.n, &w))
        return MAILSRV_NOMEM;
    mailsrv__write(&w, SPAN("user="));
    mailsrv__write(&w, x->user);
    return end_with_token(x, &w);
}

/* The only challenge says why the token is refused (RFC 7628 section 3.2.2); the reply behind it says that it is. */
static enum sasl_client_turn answer_refusal(struct sasl_client *x, struct span message)
{
    if (!x->is_done)
        return mailsrv__client_fails(x, TOO_MANY);
    x->is_done = false;
    x->why = "the server refuses the token";
    return mailsrv__client_says(x, message);
}

/* RFC 7628 section 3.2.3 */
static enum sasl_client_turn answer_oauthbearer(struct sasl_client *x, struct span challenge)
{
    (void)challenge;
    return answer_refusal(x, SPAN("\1"));
}

static enum sasl_client_turn answer_xoauth2(struct sasl_client *x, struct span challenge)
{
    (void)challenge;
    return answer_refusal(x, SPAN(""));
}

const struct client_mechanism mailsrv__client_oauthbearer = {
    .name = { "OAUTHBEARER", 11 },
    .bit = MAILSRV_SASL_OAUTHBEARER,
    .flags = CLIENT_READABLE | CLIENT_TOKEN,
    .begin = begin_oauthbearer,
    .answer = answer_oauthbearer,
};

const struct client_mechanism mailsrv__client_xoauth2 = {
    .name = { "XOAUTH2", 7 },
    .bit = MAILSRV_SASL_XOAUTH2,
    .flags = CLIENT_READABLE | CLIENT_TOKEN | CLIENT_NO_IDENTITY,
    .begin = begin_xoauth2,
    .answer = answer_xoauth2,
};
