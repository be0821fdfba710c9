/* Answers to what is asked when mail is sent: ROUTE, DNS, CREDENTIAL, RETRY.  Everything else is store_answer.c's. */
#include "core/answer.h"

#include <mailsrv/queue.h>

enum { HOST_OCTETS_MAX = 255, NAME_OCTETS_MAX = 64, LOGIN_OCTETS_MAX = 65535, DNS_OCTETS_MAX = 65535 };

/* ---- Checks ---- */

static bool is_short(mailsrv_bytes bytes, size_t max)
{
    return bytes.n <= max && mailsrv__bytes_are_there(bytes);
}

static bool route_is_whole(const mailsrv_route *v)
{
    return (v->kind == MAILSRV_ROUTE_MX || (v->kind == MAILSRV_ROUTE_HOST && v->host.n != 0)) &&
           v->secure <= MAILSRV_SECURE_VERIFY && is_short(v->host, HOST_OCTETS_MAX) &&
           is_short(v->name, NAME_OCTETS_MAX);
}

static bool credential_is_whole(const mailsrv_credential *v)
{
    return is_short(v->user, LOGIN_OCTETS_MAX) && is_short(v->identity, LOGIN_OCTETS_MAX) &&
           is_short(v->password, LOGIN_OCTETS_MAX) && is_short(v->token, LOGIN_OCTETS_MAX);
}

static bool retry_is_whole(const mailsrv_retry *v)
{
    return v->verdict >= MAILSRV_RETRY_DEFAULT && v->verdict <= MAILSRV_RETRY_ROUTE &&
           is_short(v->route, NAME_OCTETS_MAX);
}

static bool is_whole(const mailsrv_op *op, const void *value)
{
    const union op_value *v = value;
    switch (op->kind) {
    case MAILSRV_OP_ROUTE:
        return route_is_whole(&v->route);
    case MAILSRV_OP_DNS:
        return is_short(v->dns_reply.message, DNS_OCTETS_MAX);
    case MAILSRV_OP_CREDENTIAL:
        return credential_is_whole(&v->credential);
    case MAILSRV_OP_RETRY:
        return retry_is_whole(&v->retry);
    default:
        return mailsrv__store_answers.is_whole(op, value);
    }
}

/* ---- Copies ---- */

static bool copy_bytes(struct op *op, mailsrv_bytes *const *bytes, size_t n)
{
    size_t octets = 0;
    for (size_t i = 0; i < n; i++)
        octets += bytes[i]->n;
    uint8_t *to = mailsrv__copy_room(op, octets);
    if (to == NULL)
        return octets == 0;
    for (size_t i = 0; i < n; i++)
        *bytes[i] = mailsrv__put_bytes(&to, *bytes[i]);
    return true;
}

static bool copy(struct op *op)
{
    union op_value *v = &op->value;
    switch (op->pub.kind) {
    case MAILSRV_OP_ROUTE:
        return copy_bytes(op, (mailsrv_bytes *[]){ &v->route.host, &v->route.name }, 2);
    case MAILSRV_OP_DNS:
        return copy_bytes(op, (mailsrv_bytes *[]){ &v->dns_reply.message }, 1);
    case MAILSRV_OP_CREDENTIAL:
        return copy_bytes(op,
                          (mailsrv_bytes *[]){ &v->credential.user, &v->credential.identity, &v->credential.password,
                                               &v->credential.token },
                          4);
    case MAILSRV_OP_RETRY:
        return copy_bytes(op, (mailsrv_bytes *[]){ &v->retry.route }, 1);
    default:
        return mailsrv__store_answers.copy(op);
    }
}

const struct answers mailsrv__queue_answers = {
    .holds = &mailsrv__store_answers, .is_whole = is_whole, .copy = copy, .changed = mailsrv__store_changed
};
