/* EXTERNAL (RFC 4422 appendix A): somebody outside knows who the peer is; he says at most whom he wants to act as. */
#include "sasl/sasl.h"

#include <mailsrv/tls.h>

/* What the TLS layer knows of the peer; empty: nothing. */
static mailsrv_tls_info tls_of(const struct sasl *x)
{
    mailsrv_tls_info info = { .size = sizeof info };
    if (!mailsrv__tls_info(x->session, &info))
        info = (mailsrv_tls_info){ .size = sizeof info };
    return info;
}

static size_t octets_of(const mailsrv_tls_info *info)
{
    size_t octets = mailsrv__ask_octets(info->client_subject.n);
    octets += mailsrv__ask_octets(info->n_client_names * sizeof *info->client_names);
    for (size_t i = 0; i < info->n_client_names; i++)
        octets += mailsrv__ask_octets(info->client_names[i].n);
    return octets;
}

static void copy_certificate(const mailsrv_tls_info *info, struct ask *ask)
{
    mailsrv_arg_auth_external *arg = ask->arg;
    arg->subject = mailsrv__ask_copy(ask, mailsrv__span(info->client_subject));
    if (info->n_client_names == 0)
        return;
    mailsrv_bytes *names = mailsrv__ask_room(ask, info->n_client_names * sizeof *names);
    for (size_t i = 0; i < info->n_client_names; i++)
        names[i] = mailsrv__ask_copy(ask, mailsrv__span(info->client_names[i]));
    arg->names = names;
    arg->n_names = info->n_client_names;
}

static enum sasl_turn ask_external(struct sasl *x)
{
    mailsrv_tls_info info = tls_of(x);
    size_t octets = mailsrv__sasl_who_octets(x) + octets_of(&info);
    struct ask ask = mailsrv__ask(x->session, MAILSRV_OP_AUTH_EXTERNAL, octets);
    if (ask.op == NULL)
        return mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    struct sasl_who who = mailsrv__sasl_who(x, &ask);
    mailsrv_arg_auth_external *arg = ask.arg;
    arg->secured = who.secured;
    arg->external = who.user;
    arg->identity = who.identity;
    arg->service = who.service;
    arg->peer = who.peer;
    copy_certificate(&info, &ask);
    return SASL_WAIT;
}

/* response = [authzid] */
static enum sasl_turn respond(struct sasl *x, struct span response)
{
    struct span external = { x->session->external.p, x->session->external.n };
    if (!mailsrv__sasl_keep(x, external, &x->user))
        return SASL_OVER;
    if (response.n != 0 && !mailsrv__sasl_is_name(response))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    return mailsrv__sasl_keep(x, response, &x->identity) ? ask_external(x) : SASL_OVER;
}

const struct mechanism mailsrv__sasl_external = {
    .name = "EXTERNAL",
    .bit = MAILSRV_SASL_EXTERNAL,
    .flags = SASL_EXTERN,
    .kind = MAILSRV_OP_AUTH_EXTERNAL,
    .respond = respond,
    .answered = mailsrv__sasl_verified,
};
