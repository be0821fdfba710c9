/* LOGIN (draft-murchison-sasl-login): name and password, each asked for.  Old, and all that some clients know. */
#include "sasl/sasl.h"

struct login {
    bool has_user;
};

static enum sasl_turn begin(struct sasl *x)
{
    x->challenge = SPAN("Username:");
    return SASL_SAY;
}

/* A name may come along with the command, though the mechanism has no such thing: many clients send it there. */
static enum sasl_turn respond(struct sasl *x, struct span response)
{
    struct login *login = x->own;
    if (login->has_user && (x->user.n == 0 || response.n == 0))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    if (login->has_user)
        return mailsrv__sasl_verify(x, response);
    login->has_user = true;
    x->challenge = SPAN("Password:");
    return mailsrv__sasl_keep(x, response, &x->user) ? SASL_SAY : SASL_OVER;
}

const struct mechanism mailsrv__sasl_login = {
    .name = "LOGIN",
    .bit = MAILSRV_SASL_LOGIN,
    .flags = SASL_READABLE,
    .kind = MAILSRV_OP_AUTH_VERIFY,
    .octets = sizeof(struct login),
    .begin = begin,
    .respond = respond,
    .answered = mailsrv__sasl_verified,
};
