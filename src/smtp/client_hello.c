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
        if (known[i].extension == MAILSRV_EXT_AUTH)
            c->mechanisms = mailsrv__sasl_client_read(line);
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
    c->was_greeted = true;
    return mailsrv__reply_is(reply, 2) ? first_hello(c) : mailsrv__client_fail(c, reply);
}

enum step mailsrv__client_ready(struct smtp_client *c)
{
    c->was_ready = true;
    if (c->courier->ready != NULL)
        c->courier->ready(c->courier);
    return mailsrv__then_turn(&c->session, mailsrv__client_next);
}

/* Everything between us is as it is to be. */
static enum step is_secured(struct smtp_client *c)
{
    bool logs_in = (c->terms.route_flags & MAILSRV_ROUTE_AUTH) != 0;
    return logs_in ? mailsrv__client_log_in(c) : mailsrv__client_ready(c);
}

/* ---- TLS ---- */

static bool must_be_secure(const struct smtp_client *c)
{
    return c->terms.secure == MAILSRV_SECURE_MUST || c->terms.secure == MAILSRV_SECURE_VERIFY || c->terms.dane != NULL;
}

enum step mailsrv__client_fail_for_now(struct smtp_client *c, const struct smtp_reply *reply)
{
    enum { NOT_NOW = 454 };
    struct smtp_reply later = { reply->code / 100 == 5 ? NOT_NOW : reply->code,
                                mailsrv__span_first(reply->text, REPLY_TEXT_OCTETS) };
    return mailsrv__client_fail(c, &later);
}

/* RFC 7672 section 2.2: records of which none can be used commit it to TLS alone. */
static mailsrv_tls_target target_of(const struct smtp_client *c)
{
    const struct dane *dane = c->terms.dane;
    mailsrv_tls_target target = { .size = sizeof target, .name = mailsrv__bytes(c->terms.host) };
    if (c->terms.secure == MAILSRV_SECURE_VERIFY)
        target.verify = MAILSRV_TLS_BY_ROOTS;
    if (dane == NULL)
        return target;
    target.name = dane->names[0];
    if (dane->n == 0)
        return target;
    target.verify = MAILSRV_TLS_BY_DANE;
    target.tlsa = dane->records;
    target.n_tlsa = dane->n;
    target.tlsa_stride = sizeof *dane->records;
    target.other_names = dane->names + 1;
    target.n_other_names = dane->n_names - 1;
    return target;
}

enum step mailsrv__client_connect_tls(struct smtp_client *c)
{
    const mailsrv_tls_target target = target_of(c);
    if (!mailsrv__can_connect_tls(&c->session))
        return mailsrv__client_lost(c, OUR_REPLY(0, "4.7.5 TLS is required, and there is none here"));
    c->is_securing = mailsrv__connect_tls(&c->session, &target);
    return c->is_securing ? STEP_NEXT : mailsrv__client_lost(c, OUR_REPLY(0, "4.3.0 there was no memory for TLS"));
}

/* T43: what stands behind the reply was sent in the clear by whoever is in between (RFC 3207 section 6). */
static enum step starttls_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (mailsrv__reply_is(reply, 2) && mailsrv__input_waits(&c->session))
        return mailsrv__client_lost(c, OUR_REPLY(0, "4.7.5 octets stood behind the reply to STARTTLS"));
    if (mailsrv__reply_is(reply, 2))
        return mailsrv__client_connect_tls(c);
    return must_be_secure(c) ? mailsrv__client_fail_for_now(c, reply) : is_secured(c);
}

/* T59: what is not offered is not tried, and mail that must not go in the clear waits. */
static enum step secure(struct smtp_client *c)
{
    if (mailsrv__secure(&c->session))
        return is_secured(c);
    bool is_wanted = c->terms.secure != MAILSRV_SECURE_NEVER;
    if (is_wanted && mailsrv__client_has(c, MAILSRV_EXT_STARTTLS) && mailsrv__can_connect_tls(&c->session))
        return mailsrv__client_say(c, SPAN("STARTTLS\r\n"), starttls_replied);
    if (must_be_secure(c))
        return mailsrv__client_fail(c, OUR_REPLY(0, "4.7.5 TLS is required, and the server does not offer it"));
    return is_secured(c);
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
    struct smtp_client *c = mailsrv__client_of(session);
    c->is_securing = false;
    if (c->was_greeted)
        return first_hello(c);
    return mailsrv__client_expect(c, mailsrv__client_greeted, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
}
