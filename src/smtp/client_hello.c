/* From the greeting to the first job: EHLO, TLS, and what the server says that it can. */
#include "smtp/client_machine.h"
#include "text/decimal.h"
#include "text/writer.h"

#include <mailsrv/auth.h>

/* ---- What is offered ---- */

static struct span take_word(struct span *text)
{
    size_t n = 0;
    while (n < text->n && text->p[n] != ' ')
        n++;
    struct span word = mailsrv__span_first(*text, n);
    *text = mailsrv__span_after(*text, n);
    while (text->n != 0 && text->p[0] == ' ')
        *text = mailsrv__span_after(*text, 1);
    return word;
}

/* ehlo-line = ehlo-keyword *( SP ehlo-param )   RFC 5321 section 4.1.1.1 */
void mailsrv__client_learn(struct smtp_client *c, struct span line)
{
    static const struct {
        struct span keyword;
        int32_t extension;
    } known[] = {
        { SPAN("SIZE"), MAILSRV_EXT_SIZE },         { SPAN("PIPELINING"), MAILSRV_EXT_PIPELINING },
        { SPAN("8BITMIME"), MAILSRV_EXT_8BITMIME }, { SPAN("CHUNKING"), MAILSRV_EXT_CHUNKING },
        { SPAN("SMTPUTF8"), MAILSRV_EXT_SMTPUTF8 }, { SPAN("STARTTLS"), MAILSRV_EXT_STARTTLS },
        { SPAN("AUTH"), MAILSRV_EXT_AUTH },         { SPAN("DSN"), MAILSRV_EXT_DSN },
    };
    struct span word = take_word(&line);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!mailsrv__span_equal_nocase(word, known[i].keyword) || !mailsrv__enabled(&c->session, known[i].extension))
            continue;
        c->offered |= UINT64_C(1) << known[i].extension;
        /* RFC 1870 section 4: SIZE alone, or with 0, names no limit. */
        if (known[i].extension == MAILSRV_EXT_SIZE && !mailsrv__decimal_read(take_word(&line), &c->size_max))
            c->size_max = 0;
    }
}

/* ---- Greeting and EHLO ---- */

static enum step hello_replied(struct smtp_client *c, const struct smtp_reply *reply);

static enum step hello(struct smtp_client *c, struct span verb)
{
    mailsrv_session *session = &c->session;
    c->offered = 0;
    c->size_max = 0;
    c->mechanisms = 0;
    c->is_helo = mailsrv__span_equal(verb, SPAN("HELO "));
    c->learns = !c->is_helo;
    mailsrv__say(session, verb);
    mailsrv__say(session, mailsrv__setting_str(session, MAILSRV_PROFILE_HOSTNAME));
    return mailsrv__client_say(c, SPAN("\r\n"), hello_replied);
}

static enum step first_hello(struct smtp_client *c)
{
    return hello(c, mailsrv__client_is_lmtp(c) ? SPAN("LHLO ") : SPAN("EHLO "));
}

enum step mailsrv__client_greeted(struct smtp_client *c, const struct smtp_reply *reply)
{
    return mailsrv__reply_is(reply, 2) ? first_hello(c) : mailsrv__client_fail(c, reply);
}

static enum step is_ready(struct smtp_client *c)
{
    c->was_ready = true;
    if (c->courier->ready != NULL)
        c->courier->ready(c->courier);
    return mailsrv__then_turn(&c->session, mailsrv__client_next);
}

/* T59: what is not offered is not tried, and mail that must not go in the clear waits. */
static enum step secure(struct smtp_client *c)
{
    bool must = c->terms.secure == MAILSRV_SECURE_MUST || c->terms.secure == MAILSRV_SECURE_VERIFY;
    if (must && !mailsrv__secure(&c->session))
        return mailsrv__client_fail(c, OUR_REPLY(0, "4.7.5 TLS is required, and the server does not offer it"));
    return is_ready(c);
}

/* RFC 5321 section 3.2: a server that does not know EHLO is asked by HELO.  RFC 2033 has no such thing. */
static enum step hello_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    c->learns = false;
    if (mailsrv__reply_is(reply, 2))
        return secure(c);
    if (mailsrv__reply_is(reply, 5) && !c->is_helo && !mailsrv__client_is_lmtp(c))
        return hello(c, SPAN("HELO "));
    return mailsrv__client_fail(c, reply);
}

/* RFC 3207 section 4.2: what was said in the clear is forgotten. */
enum step mailsrv__client_secured(mailsrv_session *session)
{
    return first_hello(mailsrv__client_of(session));
}
