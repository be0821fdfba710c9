/* STARTTLS (RFC 3207). */
#include "smtp/smtp.h"

/* RFC 3207 section 4.2: what the client said before is forgotten, and he greets again. */
enum step mailsrv__smtp_secured(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    mailsrv__smtp_reset(s);
    mailsrv__standing_free(session, &s->greeted);
    mailsrv__session_give(session, s->hello, s->hello_n);
    s->hello = NULL;
    s->hello_n = 0;
    s->greeting = GREETED_NOT;
    return STEP_NEXT;
}

enum step mailsrv__smtp_starttls(struct smtp *s, struct span rest)
{
    (void)rest;
    mailsrv_session *session = &s->session;
    if (mailsrv__secure(session) && mailsrv__enabled(session, MAILSRV_EXT_STARTTLS))
        return mailsrv__smtp_bad(s, "503 5.5.1 TLS is active already");
    if (s->authenticated) /* what has been found out about him would have to be forgotten (section 4.2) */
        return mailsrv__smtp_bad(s, "503 5.5.1 not after a login");
    if (!mailsrv__can_start_tls(session))
        return mailsrv__smtp_bad(s, "502 5.5.1 command not implemented");
    bool coded = mailsrv__smtp_has(s, MAILSRV_EXT_ENHANCEDSTATUSCODES);
    if (mailsrv__start_tls(session, coded ? SPAN("220 2.0.0 ready for TLS\r\n") : SPAN("220 ready for TLS\r\n")))
        return STEP_NEXT;
    return mailsrv__smtp_reply(s, "454 4.7.0 TLS is not available now"); /* RFC 3207 section 4 */
}
