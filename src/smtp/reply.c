#include "smtp/smtp.h"

/* ---- Lines ---- */

enum { CODE_OCTETS = 4 };

/* "5.7.1 " at the beginning of `text`; 0 where there is none: 354, and the lines of EHLO (RFC 2034 section 4). */
static size_t enhanced_code(struct span text)
{
    const char *space = memchr(text.p, ' ', text.n);
    return text.p[1] == '.' && space != NULL ? (size_t)(space - text.p) + 1 : 0;
}

void mailsrv__smtp_write_text(struct writer *w, const char *line, struct span text, bool with_code)
{
    struct span rest = { line + CODE_OCTETS, strlen(line) - CODE_OCTETS };
    size_t code = enhanced_code(rest);
    if (with_code)
        mailsrv__write(w, mailsrv__span_first(rest, code));
    mailsrv__write(w, text.n != 0 ? text : mailsrv__span_after(rest, code));
}

bool mailsrv__smtp_say(struct smtp *s, const char *line, struct span text)
{
    char room[REPLY_OCTETS_MAX];
    struct writer w = { .p = room, .room = sizeof room - 2 };
    mailsrv__replies(&s->session, line[0]);
    mailsrv__write(&w, (struct span){ line, CODE_OCTETS });
    mailsrv__smtp_write_text(&w, line, text, mailsrv__smtp_has(s, MAILSRV_EXT_ENHANCEDSTATUSCODES));
    w.room += 2;
    mailsrv__write(&w, SPAN("\r\n"));
    return mailsrv__say(&s->session, mailsrv__written(&w));
}

enum step mailsrv__smtp_reply_text(struct smtp *s, const char *line, struct span text)
{
    return mailsrv__smtp_say(s, line, text) ? STEP_NEXT : STEP_CLOSE;
}

enum step mailsrv__smtp_reply(struct smtp *s, const char *line)
{
    return mailsrv__smtp_reply_text(s, line, (struct span){ NULL, 0 });
}

enum step mailsrv__smtp_too_many(struct smtp *s)
{
    mailsrv__smtp_reply(s, "421 4.7.0 too many errors, closing"); /* RFC 5321 section 3.8 */
    return STEP_CLOSE;
}

enum step mailsrv__smtp_bad(struct smtp *s, const char *line)
{
    return mailsrv__erred(&s->session) ? mailsrv__smtp_too_many(s) : mailsrv__smtp_reply(s, line);
}

bool mailsrv__smtp_reserve_replies(struct smtp *s, size_t octets)
{
    size_t doubled = mailsrv__doubled(REPLY_OCTETS_MAX, octets);
    return mailsrv__reserve(&s->session, doubled + REPLY_OCTETS_MAX) ||
           mailsrv__reserve(&s->session, octets + REPLY_OCTETS_MAX);
}

/* ---- Statuses ---- */

static const char *full_mailbox(const struct smtp *s)
{
    return mailsrv__setting(&s->session, MAILSRV_PROFILE_OVERQUOTA_PERMANENT) != 0 ? "552 5.2.2 mailbox full"
                                                                                   : "452 4.2.2 mailbox full";
}

/* Another's domain, and RESOLVE does not let this peer have mail for it relayed. */
static const char *no_relaying(const struct smtp *s)
{
    return mailsrv__smtp_is_submission(s) ? "550 5.7.1 mail for other domains is not sent from here"
                                          : "550 5.7.1 not allowed: no mail is relayed here";
}

/* One table for what the host answers, whatever it was asked. */
const char *mailsrv__smtp_line(const struct smtp *s, int32_t status, enum where where)
{
    switch (status) {
    case MAILSRV_OK:
        return where == AT_RCPT ? "250 2.1.5 recipient ok" : "250 2.0.0 accepted";
    case MAILSRV_NOMEM:
    case MAILSRV_FULL:
        return "452 4.3.1 insufficient storage, try again later";
    case MAILSRV_LIMIT:
        return where == AT_RCPT ? "452 4.5.3 too many recipients" : "452 4.3.1 limit reached, try again later";
    case MAILSRV_OVERQUOTA:
        return full_mailbox(s);
    case MAILSRV_INUSE:
        return where == AT_RCPT ? "450 4.2.0 mailbox in use, try again later"
                                : "451 4.2.0 mailbox in use, try again later";
    case MAILSRV_TOOBIG:
        return "552 5.3.4 message too big";
    case MAILSRV_NONEXISTENT:
        return "550 5.1.1 no such recipient here";
    case MAILSRV_NOPERM:
        return where == AT_RCPT ? no_relaying(s) : "550 5.7.1 not allowed";
    case MAILSRV_DENIED: /* 535 is for AUTH (RFC 4954 section 6) */
        return "550 5.7.1 not allowed";
    case MAILSRV_CANNOT:
    case MAILSRV_ALREADYEXISTS:
    case MAILSRV_GONE:
        return "554 5.3.0 cannot be done";
    default: /* TEMP, CORRUPT, and what nobody should answer */
        return "451 4.3.0 try again later";
    }
}
