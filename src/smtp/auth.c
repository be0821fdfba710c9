/* AUTH (RFC 4954). */
#include "smtp/smtp.h"
#include "text/xtext.h"

/* ---- How a login ends ---- */

static enum step denied(struct smtp *s)
{
    if (!mailsrv__auth_too_many(&s->session))
        return mailsrv__smtp_reply(s, "535 5.7.8 wrong user or password");
    mailsrv__smtp_reply(s, "421 4.7.0 too many failed logins, closing");
    return STEP_CLOSE;
}

/* RFC 4954 section 6: nothing that a host answers is a reason to forget a password but DENIED. */
static const char *line_of(const struct smtp *s, int32_t status)
{
    const char *usual = mailsrv__smtp_line(s, status, AT_DATA);
    return mailsrv__smtp_is_temporary(usual) ? "454 4.7.0 temporary failure, try again later" : usual;
}

static enum step let_in(struct smtp *s, const struct sasl *sasl)
{
    s->submitter = sasl->account;
    s->authenticated = true;
    mailsrv__session_event(&s->session, MAILSRV_EVENT_LOGIN, sasl->user);
    return mailsrv__smtp_reply(s, "235 2.7.0 authentication succeeded");
}

static enum step end_of(struct smtp *s, const struct sasl *sasl)
{
    switch (sasl->end) {
    case SASL_LET_IN:
        return let_in(s, sasl);
    case SASL_REFUSED:
        if (sasl->status == MAILSRV_DENIED)
            return denied(s);
        return mailsrv__smtp_reply_text(s, line_of(s, sasl->status), sasl->text);
    case SASL_CANCELLED:
        return mailsrv__smtp_bad(s, "501 5.7.0 the login is cancelled");
    case SASL_TOO_LONG:
        return mailsrv__smtp_bad(s, "500 5.5.6 the line is too long");
    default:
        return mailsrv__smtp_bad(s, "501 5.5.2 no base64");
    }
}

static enum step ended(mailsrv_session *session, struct sasl *sasl)
{
    enum step step = end_of(mailsrv__smtp_of(session), sasl);
    mailsrv__sasl_free(session);
    return step;
}

static const struct sasl_face smtp_face = { .service = { "smtp", 4 }, .prompt = { "334 ", 4 }, .ended = ended };
static const struct sasl_face lmtp_face = { .service = { "lmtp", 4 }, .prompt = { "334 ", 4 }, .ended = ended };

/* ---- AUTH ---- */

static enum step not_here(struct smtp *s, struct span name)
{
    if (mailsrv__sasl_wants_tls(&s->session, name))
        return mailsrv__smtp_bad(s, "538 5.7.11 encryption is required for this mechanism");
    if (!mailsrv__smtp_offers_auth(s))
        return mailsrv__smtp_bad(s, "502 5.5.1 command not implemented");
    return mailsrv__smtp_bad(s, "504 5.5.4 no such mechanism");
}

/* "AUTH" SP sasl-mech [SP initial-response]   RFC 4954 section 8 */
static enum step start(struct smtp *s, struct span rest)
{
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ' ')
        n++;
    struct span name = mailsrv__span_first(rest, n), initial = mailsrv__span_after(rest, n + 1);
    const struct mechanism *m = mailsrv__sasl_find(&s->session, name);
    if (m == NULL)
        return not_here(s, name);
    struct sasl *sasl = mailsrv__sasl_new(&s->session, mailsrv__smtp_is_lmtp(s) ? &lmtp_face : &smtp_face, m);
    if (sasl == NULL)
        return mailsrv__smtp_reply(s, line_of(s, MAILSRV_NOMEM));
    return mailsrv__sasl_start(sasl, n == rest.n ? NULL : &initial);
}

enum step mailsrv__smtp_auth(struct smtp *s, struct span rest)
{
    if (s->authenticated)
        return mailsrv__smtp_bad(s, "503 5.5.1 authenticated already");
    if (s->mail != NULL || s->failed)
        return mailsrv__smtp_bad(s, "503 5.5.1 not during a mail transaction");
    if (s->greeting != GREETED_EHLO && mailsrv__smtp_offers_auth(s))
        return mailsrv__smtp_bad(s, mailsrv__smtp_is_lmtp(s) ? "503 5.5.1 LHLO first" : "503 5.5.1 EHLO first");
    if (rest.n == 0)
        return mailsrv__smtp_bad(s, "501 5.5.4 a mechanism is missing");
    return start(s, rest);
}

enum step mailsrv__smtp_response(struct smtp *s, enum framed framed, struct span line)
{
    return mailsrv__sasl_framed(s->session.sasl, framed, line);
}

/* ---- AUTH=, of MAIL ---- */

/* RFC 4954 section 5: one that is not trusted counts as "<>", and nobody is told of it where the message goes. */
bool mailsrv__smtp_is_auth_parameter(struct span value)
{
    return mailsrv__is_xtext(value, 0, UINT8_MAX);
}
