#include "smtp/smtp.h"
#include "text/decimal.h"

/* ---- What MAIL and RCPT have in common ---- */

static void skip_blanks(struct span *text)
{
    while (text->n != 0 && text->p[0] == ' ')
        *text = mailsrv__span_after(*text, 1);
}

/* "FROM:" Reverse-path, "TO:" Forward-path.  No blank belongs behind the colon (RFC 5321 section 3.3), but so many
 * senders put one there that a server that minds gets no mail. */
enum path mailsrv__smtp_path(struct span *rest, struct span keyword, struct address *out)
{
    if (!mailsrv__span_equal_nocase(mailsrv__span_first(*rest, keyword.n), keyword))
        return PATH_BAD;
    *rest = mailsrv__span_after(*rest, keyword.n);
    skip_blanks(rest);
    enum path path = mailsrv__path_take(rest, out);
    return path == PATH_OK && rest->n != 0 && rest->p[0] != ' ' ? PATH_BAD : path;
}

static bool is_keyword_char(char c)
{
    char u = mailsrv__upper(c);
    return (u >= 'A' && u <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* esmtp-value = 1*(%d33-60 / %d62-126) */
static bool is_value_char(char c)
{
    return c > ' ' && c <= '~' && c != '=';
}

static struct span take_run(struct span *text, bool (*is)(char c))
{
    size_t n = 0;
    while (n < text->n && is(text->p[n]))
        n++;
    struct span run = mailsrv__span_first(*text, n);
    *text = mailsrv__span_after(*text, n);
    return run;
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value] */
bool mailsrv__smtp_parameter(struct span *rest, struct parameter *out)
{
    skip_blanks(rest);
    *out = (struct parameter){ .keyword = take_run(rest, is_keyword_char) };
    out->has_value = rest->n != 0 && rest->p[0] == '=';
    if (out->has_value) {
        *rest = mailsrv__span_after(*rest, 1);
        out->value = take_run(rest, is_value_char);
    }
    return out->keyword.n != 0 && out->keyword.p[0] != '-' && out->has_value == (out->value.n != 0) &&
           (rest->n == 0 || rest->p[0] == ' ');
}

/* ---- MAIL ---- */

/* size-value = 1*20DIGIT   RFC 1870 section 5 */
static const char *take_size(const struct smtp *s, struct span value, struct mail_parameters *p)
{
    if (p->has_size || value.n > 20 || !mailsrv__decimal_read(value, &p->size))
        return "501 5.5.4 bad SIZE";
    p->has_size = true;
    if (p->size > mailsrv__setting(&s->session, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX))
        return mailsrv__smtp_line(s, MAILSRV_TOOBIG, AT_DATA);
    return NULL;
}

/* body-value = "7BIT" / "8BITMIME"   RFC 6152 section 3
 * Both are kept as they come. */
static const char *take_body(struct span value, struct mail_parameters *p)
{
    if (p->has_body ||
        (!mailsrv__span_equal_nocase(value, SPAN("7BIT")) && !mailsrv__span_equal_nocase(value, SPAN("8BITMIME"))))
        return "501 5.5.4 bad BODY";
    p->has_body = true;
    p->eight_bit = mailsrv__span_equal_nocase(value, SPAN("8BITMIME"));
    return NULL;
}

/* RFC 6531 section 3.4: it has no value. */
static const char *take_utf8(const struct parameter *one, struct mail_parameters *p)
{
    if (p->utf8 || one->has_value)
        return "501 5.5.4 bad SMTPUTF8";
    p->utf8 = true;
    return NULL;
}

/* RFC 4954 section 5: also of one who has not logged in. */
static bool takes_auth(const struct smtp *s)
{
    return s->authenticated || mailsrv__smtp_offers_auth(s);
}

/* NULL: they are fine. */
static const char *take_parameters(const struct smtp *s, struct span rest, struct mail_parameters *p)
{
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    struct parameter one;
    while (rest.n != 0) {
        const char *refusal;
        if (!mailsrv__smtp_parameter(&rest, &one))
            return "501 5.5.4 bad parameters";
        if (mailsrv__span_equal_nocase(one.keyword, SPAN("SIZE")) && mailsrv__enabled(&s->session, MAILSRV_EXT_SIZE))
            refusal = take_size(s, one.value, p);
        else if (mailsrv__span_equal_nocase(one.keyword, SPAN("BODY")) &&
                 mailsrv__enabled(&s->session, MAILSRV_EXT_8BITMIME))
            refusal = take_body(one.value, p);
        else if (mailsrv__span_equal_nocase(one.keyword, SPAN("SMTPUTF8")) &&
                 mailsrv__smtp_has(s, MAILSRV_EXT_SMTPUTF8))
            refusal = take_utf8(&one, p);
        else if (mailsrv__span_equal_nocase(one.keyword, SPAN("AUTH")) && takes_auth(s))
            refusal = users->is_auth_parameter(one.value) ? NULL : "501 5.5.4 bad AUTH";
        else
            refusal = users == NULL ? "555 5.5.4 parameter not known" : users->mail_parameter(s, &one, p);
        if (refusal != NULL)
            return refusal;
    }
    return NULL;
}

/* Nothing of the command has happened. */
static enum step undo(struct smtp *s, const char *line, struct span text)
{
    enum step step = mailsrv__smtp_reply_text(s, line, text);
    mailsrv__smtp_reset(s);
    return mailsrv__smtp_is_last(line) ? STEP_CLOSE : step;
}

static enum step accept(struct smtp *s)
{
    return mailsrv__smtp_reply(s, "250 2.1.0 sender ok");
}

static enum step policy_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct span text;
    const char *refusal = mailsrv__smtp_consulted(s, &s->mail->standing, &text);
    return refusal == NULL ? accept(s) : undo(s, refusal, text);
}

static enum step consult(struct smtp *s)
{
    if (mailsrv__smtp_consults(s, MAILSRV_STAGE_MAIL))
        return mailsrv__smtp_consult(s, MAILSRV_STAGE_MAIL, policy_answered);
    return accept(s);
}

static enum step sender_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    const char *refusal = mailsrv__smtp_users_of(session)->sender_answered(s, 0);
    return refusal == NULL ? consult(s) : undo(s, refusal, mailsrv__span(mailsrv__answer(session, 0)->text));
}

/* The null reverse-path is everybody's: notices of having read a message have it (RFC 3798 section 2.1). */
static bool is_checked(const struct smtp *s, const struct address *from)
{
    return mailsrv__smtp_is_submission(s) && from->mailbox.n != 0 &&
           (mailsrv__setting(&s->session, MAILSRV_PROFILE_SENDER_CHECK) & SENDER_CHECK_PATH) != 0;
}

static enum step begin(struct smtp *s, const struct address *from, const struct mail_parameters *p)
{
    s->mail = mailsrv__transaction_new(&s->session, from->mailbox);
    if (s->mail == NULL)
        return mailsrv__smtp_reply(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA));
    s->mail->size_hint = p->size;
    s->mail->utf8 = p->utf8;
    s->mail->eight_bit = p->eight_bit;
    s->n_mails++;
    s->pace = (struct pace){ 0 };
    s->chunk = (struct counted){ 0 };
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    bool kept = users == NULL || users->keep_envelope(s, p);
    if (kept && !is_checked(s, from))
        return consult(s);
    if (!kept || !mailsrv__smtp_ask_sender(s, from->mailbox))
        return undo(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA), (struct span){ NULL, 0 });
    return mailsrv__then_answers(&s->session, sender_answered);
}

enum step mailsrv__smtp_mail(struct smtp *s, struct span rest)
{
    struct address from;
    struct mail_parameters parameters = { .size = 0 };
    if (mailsrv__smtp_is_submission(s) && !s->authenticated)
        return mailsrv__smtp_bad(s, "530 5.7.0 log in first"); /* RFC 6409 section 4.3, RFC 4954 section 6 */
    enum path path = mailsrv__smtp_path(&rest, SPAN("FROM:"), &from);
    if (path == PATH_TOO_LONG)
        return mailsrv__smtp_bad(s, "501 5.1.7 path too long"); /* RFC 5321 section 4.5.3.1.9 */
    if (path != PATH_OK || (from.mailbox.n != 0 && from.domain.n == 0))
        return mailsrv__smtp_bad(s, "501 5.1.7 expected FROM:<address>");
    const char *refusal = take_parameters(s, rest, &parameters);
    if (refusal != NULL && memcmp(refusal, "552", 3) == 0)
        return mailsrv__smtp_reply(s, refusal); /* nothing was wrong with the command */
    if (refusal != NULL)
        return mailsrv__smtp_bad(s, refusal);
    if (from.utf8 && !parameters.utf8)
        return mailsrv__smtp_bad(s, "550 5.6.7 this address needs SMTPUTF8"); /* RFC 6531 section 3.5 */
    return begin(s, &from, &parameters);
}

/* ---- RSET ---- */

void mailsrv__smtp_reset(struct smtp *s)
{
    mailsrv__body_drop(&s->session);
    mailsrv__unreserve(&s->session);
    mailsrv__transaction_free(&s->session, s->mail);
    s->mail = NULL;
    s->failed = false;
}

enum step mailsrv__smtp_rset(struct smtp *s, struct span rest)
{
    (void)rest;
    mailsrv__smtp_reset(s);
    return mailsrv__smtp_reply(s, "250 2.0.0 ok");
}
