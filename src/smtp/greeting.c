#include "smtp/smtp.h"

enum { HELLO_OCTETS_MAX = 255, EHLO_REPLY_MAX = 1024 };

/* RFC 5321 section 4.1.4: a greeting resets everything, as RSET does.  The name identifies, it does not authorise: any
 * is taken that can be kept, and it goes into Received with care. */
static const char *take_hello(struct smtp *s, struct span name)
{
    if (name.n == 0)
        return "501 a name is missing";
    if (name.n > HELLO_OCTETS_MAX)
        return "501 the name is too long";
    char *hello = mailsrv__session_take(&s->session, name.n);
    if (hello == NULL)
        return "452 insufficient storage, try again later";
    memcpy(hello, name.p, name.n);
    mailsrv__session_give(&s->session, s->hello, s->hello_n);
    s->hello = hello;
    s->hello_n = (uint8_t)name.n;
    mailsrv__smtp_reset(s);
    return NULL;
}

static enum step refuse(struct smtp *s, const char *line)
{
    return line[0] == '5' ? mailsrv__smtp_bad(s, line) : mailsrv__smtp_reply(s, line);
}

enum step mailsrv__smtp_helo(struct smtp *s, struct span rest)
{
    const char *refusal = take_hello(s, rest);
    if (refusal != NULL)
        return refuse(s, refusal);
    s->greeting = GREETED_HELO;
    char room[REPLY_OCTETS_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write(&w, SPAN("250 "));
    mailsrv__write(&w, mailsrv__setting_str(&s->session, MAILSRV_PROFILE_HOSTNAME));
    mailsrv__write(&w, SPAN("\r\n"));
    return mailsrv__say(&s->session, mailsrv__written(&w)) ? STEP_NEXT : STEP_CLOSE;
}

/* The reply with one line for each extension that is on; the last has no "-" (RFC 5321 section 4.1.1.1). */
static void write_extensions(const struct smtp *s, struct writer *w)
{
    static const struct {
        int32_t extension;
        const char *keyword;
    } all[] = {
        { MAILSRV_EXT_PIPELINING, "PIPELINING" },
        { MAILSRV_EXT_8BITMIME, "8BITMIME" },
        { MAILSRV_EXT_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES" },
        { MAILSRV_EXT_CHUNKING, "CHUNKING" },
        { MAILSRV_EXT_STARTTLS, "STARTTLS" },
        { MAILSRV_EXT_SIZE, "SIZE " },
    };
    size_t last = 0;
    mailsrv__write(w, SPAN("250-"));
    mailsrv__write(w, mailsrv__setting_str(&s->session, MAILSRV_PROFILE_HOSTNAME));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!mailsrv__enabled(&s->session, all[i].extension))
            continue;
        if (all[i].extension == MAILSRV_EXT_STARTTLS && (s->authenticated || !mailsrv__can_start_tls(&s->session)))
            continue;
        mailsrv__write(w, SPAN("\r\n"));
        last = w->n;
        mailsrv__write(w, SPAN("250-"));
        mailsrv__write(w, (struct span){ all[i].keyword, strlen(all[i].keyword) });
        if (all[i].extension == MAILSRV_EXT_SIZE)
            mailsrv__write_u64(w, mailsrv__setting(&s->session, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX));
    }
    if (mailsrv__smtp_offers_auth(s)) { /* RFC 4954 section 3 */
        mailsrv__write(w, SPAN("\r\n"));
        last = w->n;
        mailsrv__write(w, SPAN("250-AUTH"));
        mailsrv__sasl_write_names(&s->session, SPAN(" "), w);
    }
    w->p[last + 3] = ' ';
    mailsrv__write(w, SPAN("\r\n"));
}

enum step mailsrv__smtp_ehlo(struct smtp *s, struct span rest)
{
    const char *refusal = take_hello(s, rest);
    if (refusal != NULL)
        return refuse(s, refusal);
    s->greeting = GREETED_EHLO;
    char room[EHLO_REPLY_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    write_extensions(s, &w);
    return mailsrv__say(&s->session, mailsrv__written(&w)) ? STEP_NEXT : STEP_CLOSE;
}
