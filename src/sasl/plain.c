/* PLAIN (RFC 4616). */
#include "sasl/sasl.h"

/* Takes what stands before the next NUL.  False: there is none. */
static bool take_field(struct span *message, struct span *out)
{
    const char *nul = message->n == 0 ? NULL : memchr(message->p, 0, message->n);
    if (nul == NULL)
        return false;
    *out = mailsrv__span_first(*message, (size_t)(nul - message->p));
    *message = mailsrv__span_after(*message, out->n + 1);
    return true;
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd   RFC 4616 section 2
 * One that is not so is an authentication that failed.  An empty password is none: there are directories that let
 * everybody in who has none. */
static enum sasl_turn respond(struct sasl *x, struct span message)
{
    struct span identity, user;
    if (!take_field(&message, &identity) || !take_field(&message, &user))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    if (!mailsrv__sasl_keep(x, user, &x->user))
        return SASL_OVER;
    if ((identity.n != 0 && !mailsrv__sasl_is_name(identity)) || !mailsrv__sasl_is_name(user) ||
        !mailsrv__sasl_is_name(message))
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    if (!mailsrv__span_equal(identity, user) && !mailsrv__sasl_keep(x, identity, &x->identity))
        return SASL_OVER;
    return mailsrv__sasl_verify(x, message);
}

const struct mechanism mailsrv__sasl_plain = {
    .name = "PLAIN",
    .bit = MAILSRV_SASL_PLAIN,
    .flags = SASL_READABLE,
    .kind = MAILSRV_OP_AUTH_VERIFY,
    .respond = respond,
    .answered = mailsrv__sasl_verified,
};
