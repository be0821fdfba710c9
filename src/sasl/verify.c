/* Asking AUTH_VERIFY: for every mechanism in which the password itself is sent. */
#include "sasl/sasl.h"

static mailsrv_bytes of_static(struct span s)
{
    return (mailsrv_bytes){ (const uint8_t *)s.p, s.n };
}

size_t mailsrv__sasl_who_octets(const struct sasl *x)
{
    return mailsrv__ask_octets(x->user.n) + mailsrv__ask_octets(x->identity.n) +
           mailsrv__ask_octets(x->session->peer.address_octets);
}

struct sasl_who mailsrv__sasl_who(const struct sasl *x, struct ask *ask)
{
    const mailsrv_peer *peer = &x->session->peer;
    return (struct sasl_who){
        .user = mailsrv__ask_copy(ask, x->user),
        .identity = mailsrv__ask_copy(ask, x->identity),
        .mechanism = of_static((struct span){ x->mechanism->name, strlen(x->mechanism->name) }),
        .service = of_static(x->face->service),
        .peer = mailsrv__ask_copy(ask, (struct span){ (const char *)peer->address, peer->address_octets }),
        .secured = mailsrv__secure(x->session),
    };
}

enum sasl_turn mailsrv__sasl_verify(struct sasl *x, struct span password)
{
    size_t octets = mailsrv__sasl_who_octets(x) + mailsrv__ask_octets(password.n);
    struct ask ask = mailsrv__ask(x->session, MAILSRV_OP_AUTH_VERIFY, octets);
    if (ask.op == NULL)
        return mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    struct sasl_who who = mailsrv__sasl_who(x, &ask);
    mailsrv_arg_auth_verify *arg = ask.arg;
    arg->secured = who.secured;
    arg->user = who.user;
    arg->password = mailsrv__ask_copy(&ask, password);
    arg->identity = who.identity;
    arg->mechanism = who.mechanism;
    arg->service = who.service;
    arg->peer = who.peer;
    return SASL_WAIT;
}

enum sasl_turn mailsrv__sasl_verified(struct sasl *x)
{
    enum sasl_turn turn;
    if (mailsrv__sasl_answer_refuses(x, &turn))
        return turn;
    const mailsrv_identity *identity = mailsrv__answer(x->session, 0)->value;
    return mailsrv__sasl_let_in(x, &identity->account, identity->acts_as);
}

/* The commands that are older than SASL. */
const struct mechanism mailsrv__sasl_user_pass = { .name = "USER",
                                                   .kind = MAILSRV_OP_AUTH_VERIFY,
                                                   .answered = mailsrv__sasl_verified };
const struct mechanism mailsrv__sasl_login_command = { .name = "LOGIN",
                                                       .kind = MAILSRV_OP_AUTH_VERIFY,
                                                       .answered = mailsrv__sasl_verified };
