/* EXTERNAL (RFC 4422 appendix A): somebody outside knows who the peer is; he says at most whom he wants to act as. */
#include "sasl/sasl.h"

static struct span external_of(const struct sasl *x)
{
    return (struct span){ x->session->external.p, x->session->external.n };
}

static enum sasl_turn respond(struct sasl *x, struct span response)
{
    struct span external = external_of(x);
    if (!mailsrv__sasl_keep(x, external, &x->user))
        return SASL_OVER;
    if (response.n != 0 && !mailsrv__sasl_is_name(response))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    if (!mailsrv__sasl_keep(x, response, &x->identity))
        return SASL_OVER;
    struct ask ask = mailsrv__ask(x->session, MAILSRV_OP_AUTH_EXTERNAL, mailsrv__sasl_who_octets(x));
    if (ask.op == NULL)
        return mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    struct sasl_who who = mailsrv__sasl_who(x, &ask);
    mailsrv_arg_auth_external *arg = ask.arg;
    arg->secured = who.secured;
    arg->external = who.user;
    arg->identity = who.identity;
    arg->service = who.service;
    arg->peer = who.peer;
    return SASL_WAIT;
}

const struct mechanism mailsrv__sasl_external = {
    .name = "EXTERNAL",
    .bit = MAILSRV_SASL_EXTERNAL,
    .flags = SASL_EXTERN,
    .kind = MAILSRV_OP_AUTH_EXTERNAL,
    .respond = respond,
    .answered = mailsrv__sasl_verified,
};
