#include "smtp/smtp.h"

enum { HELLO_OCTETS_MAX = 255, EHLO_REPLY_MAX = 1024 };

/* RFC 5321 section 4.1.4: a greeting resets everything, as RSET does.  The name identifies, it does not authorise: any
 * is taken that can be kept, and it goes into Received with care. */
static const char *take_candidate(struct smtp *s, struct span name, enum greeting greeting)
{
    if (name.n == 0)
        return "501 a name is missing";
    if (name.n > HELLO_OCTETS_MAX)
        return "501 the name is too long";
    char *hello = mailsrv__session_take(&s->session, name.n);
    if (hello == NULL)
        return "452 insufficient storage, try again later";
    memcpy(hello, name.p, name.n);
    s->candidate = hello;
    s->candidate_n = (uint8_t)name.n;
    s->candidate_greeting = (uint8_t)greeting;
    return NULL;
}

static void forget_candidate(struct smtp *s)
{
    mailsrv__session_give(&s->session, s->candidate, s->candidate_n);
    s->candidate = NULL;
    s->candidate_n = 0;
}

static enum step say_helo(struct smtp *s)
{
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
        { MAILSRV_EXT_SMTPUTF8, "SMTPUTF8" },
        { MAILSRV_EXT_STARTTLS, "STARTTLS" },
        { MAILSRV_EXT_SIZE, "SIZE " },
    };
    size_t last = 0;
    mailsrv__write(w, SPAN("250-"));
    mailsrv__write(w, mailsrv__setting_str(&s->session, MAILSRV_PROFILE_HOSTNAME));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!mailsrv__smtp_has(s, all[i].extension))
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
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    if (users != NULL && users->offers_dsn(s)) { /* RFC 3461 section 3 */
        mailsrv__write(w, SPAN("\r\n"));
        last = w->n;
        mailsrv__write(w, SPAN("250-DSN"));
    }
    if (mailsrv__smtp_offers_auth(s)) { /* RFC 4954 section 3 */
        mailsrv__write(w, SPAN("\r\n"));
        last = w->n;
        mailsrv__write(w, SPAN("250-AUTH"));
        mailsrv__smtp_users_of(&s->session)->write_mechanisms(s, w);
    }
    w->p[last + 3] = ' ';
    mailsrv__write(w, SPAN("\r\n"));
}

static enum step say_ehlo(struct smtp *s)
{
    char room[EHLO_REPLY_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    write_extensions(s, &w);
    return mailsrv__say(&s->session, mailsrv__written(&w)) ? STEP_NEXT : STEP_CLOSE;
}

static enum step accept(struct smtp *s)
{
    mailsrv__session_give(&s->session, s->hello, s->hello_n);
    s->hello = s->candidate;
    s->hello_n = s->candidate_n;
    s->candidate = NULL;
    s->candidate_n = 0;
    s->greeting = s->candidate_greeting;
    mailsrv__smtp_reset(s);
    return s->greeting == GREETED_EHLO ? say_ehlo(s) : say_helo(s);
}

/* RFC 5321 section 4.1.4: where a greeting is refused all stays as it was before. */
static enum step hello_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct standing standing = { .fate = FATE_USUAL };
    struct span text;
    const char *refusal = mailsrv__smtp_consulted(s, &standing, &text);
    if (refusal == NULL) {
        mailsrv__standing_free(session, &s->greeted);
        s->greeted = standing;
        return accept(s);
    }
    mailsrv__standing_free(session, &standing);
    forget_candidate(s);
    enum step step = mailsrv__smtp_reply_text(s, refusal, text);
    return mailsrv__smtp_is_last(refusal) ? STEP_CLOSE : step;
}

static enum step take_hello(struct smtp *s, struct span name, enum greeting greeting)
{
    const char *refusal = take_candidate(s, name, greeting);
    if (refusal != NULL)
        return refusal[0] == '5' ? mailsrv__smtp_bad(s, refusal) : mailsrv__smtp_reply(s, refusal);
    if (mailsrv__smtp_consults(s, MAILSRV_STAGE_HELO))
        return mailsrv__smtp_consult(s, MAILSRV_STAGE_HELO, hello_answered);
    return accept(s);
}

enum step mailsrv__smtp_helo(struct smtp *s, struct span rest)
{
    return take_hello(s, rest, GREETED_HELO);
}

enum step mailsrv__smtp_ehlo(struct smtp *s, struct span rest)
{
    return take_hello(s, rest, GREETED_EHLO);
}

/* ---- The first line ---- */

static enum step say_ready(struct smtp *s)
{
    char room[REPLY_OCTETS_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write(&w, SPAN("220 "));
    mailsrv__write(&w, mailsrv__setting_str(&s->session, MAILSRV_PROFILE_HOSTNAME));
    mailsrv__write(&w, mailsrv__smtp_is_lmtp(s) ? SPAN(" LMTP ready\r\n") : SPAN(" ESMTP ready\r\n"));
    return mailsrv__say(&s->session, mailsrv__written(&w)) ? STEP_NEXT : STEP_CLOSE;
}

/* In the place of 220 there is 554, behind which only QUIT is taken, or 521; or 421 (RFC 5321 sections 3.1 and 4.3.2,
 * RFC 7504 section 3). */
static enum step turn_away(struct smtp *s, const char *line, struct span text)
{
    char room[REPLY_OCTETS_MAX];
    bool closes = line[0] == '4' || mailsrv__smtp_is_last(line);
    struct writer w = { .p = room, .room = sizeof room - 1 };
    mailsrv__write(&w, line[0] == '4' ? SPAN("421") : closes ? SPAN("521") : SPAN("554"));
    mailsrv__write(&w, (struct span){ line + 3, strlen(line) - 3 });
    room[w.n] = 0;
    enum step step = mailsrv__smtp_reply_text(s, room, text);
    s->turned_away = true;
    return closes ? STEP_CLOSE : step;
}

static enum step connect_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct span text;
    const char *refusal = mailsrv__smtp_consulted(s, &s->connected, &text);
    return refusal == NULL ? say_ready(s) : turn_away(s, refusal, text);
}

enum step mailsrv__smtp_greet(struct smtp *s)
{
    if (mailsrv__smtp_is_lmtp(s) && s->session.peer.local_port == 25) {
        mailsrv__smtp_reply(s, "421 4.3.0 LMTP is not spoken on port 25, closing"); /* RFC 2033 section 5 */
        return STEP_CLOSE;
    }
    if (mailsrv__smtp_consults(s, MAILSRV_STAGE_CONNECT))
        return mailsrv__smtp_consult(s, MAILSRV_STAGE_CONNECT, connect_answered);
    return say_ready(s);
}

/* ---- Extensions ---- */

bool mailsrv__smtp_has(const struct smtp *s, int32_t extension)
{
    bool is_always = extension == MAILSRV_EXT_PIPELINING || extension == MAILSRV_EXT_ENHANCEDSTATUSCODES;
    if (mailsrv__smtp_is_lmtp(s) && is_always)
        return true;
    if (extension == MAILSRV_EXT_SMTPUTF8 && !mailsrv__enabled(&s->session, MAILSRV_EXT_8BITMIME))
        return false;
    return mailsrv__enabled(&s->session, extension);
}
