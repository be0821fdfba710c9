#include "smtp/smtp.h"
#include "text/http.h"
#include "text/utf8.h"

/* ---- Commands that need no file of their own ---- */

static enum step cmd_noop(struct smtp *s, struct span rest)
{
    (void)rest;
    return mailsrv__smtp_reply(s, "250 2.0.0 ok");
}

/* vrfy = "VRFY" SP String [ SP "SMTPUTF8" ]   RFC 6531 section 3.7.4.2
 * RFC 5321 section 3.5.3: who is here is told to nobody, and 252 says just that: no reply has a mailbox in it, so that
 * none needs UTF-8. */
static enum step cmd_vrfy(struct smtp *s, struct span rest)
{
    bool utf8 = mailsrv__smtp_has(s, MAILSRV_EXT_SMTPUTF8);
    while (rest.n != 0) {
        uint32_t c = mailsrv__utf8_take(&rest);
        if (c == UTF8_BAD || c < ' ' || c == 127 || (c > 127 && !utf8))
            return mailsrv__smtp_bad(s, "501 5.5.4 bad characters");
    }
    return mailsrv__smtp_reply(s, "252 2.0.0 cannot say, but will take mail and try to deliver it");
}

static enum step cmd_help(struct smtp *s, struct span rest)
{
    (void)rest;
    return mailsrv__smtp_reply(s, "214 2.0.0 this is RFC 5321");
}

static enum step cmd_unserved(struct smtp *s, struct span rest)
{
    (void)rest;
    return mailsrv__smtp_bad(s, "502 5.5.1 command not implemented");
}

static enum step cmd_auth(struct smtp *s, struct span rest)
{
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    return users == NULL ? cmd_unserved(s, rest) : users->auth(s, rest);
}

static enum step cmd_quit(struct smtp *s, struct span rest)
{
    (void)rest;
    mailsrv__smtp_reply(s, "221 2.0.0 bye");
    return STEP_CLOSE;
}

/* ---- The table ---- */

enum { ANY = IN_FRESH | IN_READY | IN_MAIL | IN_RCPT | IN_BDAT | IN_FAILED, EVEN_REFUSED = ANY | IN_REFUSED };
enum { ON_SMTP = 1, ON_LMTP = 2, ON_BOTH = ON_SMTP | ON_LMTP };
enum args { NONE, SOME, PERHAPS };

/* RFC 5321 section 4.1.4, RFC 2033 section 4.1.  A chunk's octets come whatever is wrong with BDAT, so it decides by
 * itself where it is allowed. */
static const struct command {
    char name[9];
    uint8_t states; /* where it is allowed */
    uint8_t faces;  /* where it is known */
    uint8_t args;
    enum step (*run)(struct smtp *s, struct span rest);
} commands[] = {
    { "MAIL", IN_READY, ON_BOTH, SOME, mailsrv__smtp_mail },
    { "RCPT", IN_MAIL | IN_RCPT, ON_BOTH, SOME, mailsrv__smtp_rcpt },
    { "DATA", IN_RCPT, ON_BOTH, NONE, mailsrv__smtp_data },
    { "BDAT", EVEN_REFUSED, ON_BOTH, PERHAPS, mailsrv__smtp_bdat },
    { "EHLO", ANY, ON_SMTP, PERHAPS, mailsrv__smtp_ehlo },
    { "HELO", ANY, ON_SMTP, PERHAPS, mailsrv__smtp_helo },
    { "LHLO", ANY, ON_LMTP, PERHAPS, mailsrv__smtp_ehlo },
    { "RSET", ANY, ON_BOTH, NONE, mailsrv__smtp_rset },
    { "NOOP", ANY, ON_BOTH, PERHAPS, cmd_noop },
    { "QUIT", EVEN_REFUSED, ON_BOTH, NONE, cmd_quit },
    { "VRFY", ANY, ON_BOTH, SOME, cmd_vrfy },
    { "HELP", ANY, ON_BOTH, PERHAPS, cmd_help },
    { "EXPN", ANY, ON_BOTH, PERHAPS, cmd_unserved },
    { "TURN", ANY, ON_BOTH, PERHAPS, cmd_unserved },
    { "ETRN", ANY, ON_BOTH, PERHAPS, cmd_unserved },
    { "AUTH", ANY, ON_BOTH, PERHAPS, cmd_auth },
    { "STARTTLS", IN_FRESH | IN_READY, ON_BOTH, NONE, mailsrv__smtp_starttls },
    { ".", 0, 0, NONE, NULL }, /* the end of a message, as it is counted: no line is one */
};

enum { COMMANDS = sizeof commands / sizeof *commands };

struct command_names mailsrv__smtp_commands(void)
{
    return (struct command_names){ commands->name, sizeof *commands, COMMANDS };
}

void mailsrv__smtp_count_message(struct smtp *s)
{
    mailsrv__count_command(&s->session, &commands[COMMANDS - 1]);
}

static const struct command *find(const struct smtp *s, struct span name)
{
    unsigned face = mailsrv__smtp_is_lmtp(s) ? ON_LMTP : ON_SMTP;
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];
        if (mailsrv__span_equal_nocase(name, (struct span){ c->name, strlen(c->name) }))
            return (c->faces & face) != 0 ? c : NULL;
    }
    return NULL;
}

/* The lines of a request of HTTP, and its body, are another's text: none of them may be run. */
static enum step not_known(struct smtp *s, struct span verb)
{
    if (!mailsrv__is_http_method(verb))
        return mailsrv__smtp_bad(s, "500 5.5.1 command not known");
    mailsrv__smtp_reply(s, "421 4.7.0 this is no web server, closing");
    return STEP_CLOSE;
}

unsigned mailsrv__smtp_state(const struct smtp *s)
{
    if (s->turned_away)
        return IN_REFUSED;
    if (s->failed)
        return IN_FAILED;
    if (s->mail == NULL)
        return s->greeting == GREETED_NOT ? IN_FRESH : IN_READY;
    if (s->mail->chunked)
        return IN_BDAT;
    return s->mail->n_recipients == 0 ? IN_MAIL : IN_RCPT;
}

/* RFC 5321 section 3.3 lets DATA without a valid recipient be 554 or 503, RFC 2033 section 4.2 wants 503. */
const char *mailsrv__smtp_order(const struct smtp *s)
{
    bool lmtp = mailsrv__smtp_is_lmtp(s);
    switch (mailsrv__smtp_state(s)) {
    case IN_REFUSED:
        return "503 5.5.1 no service here"; /* RFC 5321 section 3.1 */
    case IN_FRESH:
        return lmtp ? "503 5.5.1 LHLO first" : "503 5.5.1 EHLO or HELO first";
    case IN_READY:
        return "503 5.5.1 MAIL first";
    case IN_MAIL:
    case IN_RCPT:
        return lmtp ? "503 5.5.1 no valid recipients" : "554 5.5.1 no valid recipients";
    case IN_BDAT:
        return "503 5.5.1 BDAT or RSET expected"; /* RFC 3030 section 2 */
    default:
        return "503 5.5.1 RSET first, a BDAT failed";
    }
}

static enum step refuse_order(struct smtp *s, const struct command *c)
{
    if (c->run == mailsrv__smtp_starttls)
        return mailsrv__smtp_bad(s, "503 5.5.1 not within a transaction");
    if (c->run == mailsrv__smtp_mail && (mailsrv__smtp_state(s) & (IN_MAIL | IN_RCPT)) != 0)
        return mailsrv__smtp_bad(s, "503 5.5.1 a transaction is open already");
    return mailsrv__smtp_bad(s, mailsrv__smtp_order(s));
}

/* Takes the verb.  Blanks at the end of a line are nobody's (RFC 5321 section 4.1.1). */
static struct span take_verb(struct span *line)
{
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ')
        n++;
    struct span verb = mailsrv__span_first(*line, n);
    *line = mailsrv__span_after(*line, n);
    while (line->n != 0 && line->p[0] == ' ')
        *line = mailsrv__span_after(*line, 1);
    while (line->n != 0 && (line->p[line->n - 1] == ' ' || line->p[line->n - 1] == '\t'))
        line->n--;
    return verb;
}

/* Runs one line, without its CRLF.  Everything that can be decided from the table is decided here, so that a handler
 * starts from a legal command. */
static enum step run_line(struct smtp *s, struct span line)
{
    struct span verb = take_verb(&line);
    const struct command *c = find(s, verb);
    mailsrv__count_command(&s->session, c);
    if (c == NULL)
        return not_known(s, verb);
    if (c->args == NONE && line.n != 0)
        return mailsrv__smtp_bad(s, "501 5.5.4 no parameters allowed");
    if ((c->states & mailsrv__smtp_state(s)) == 0)
        return refuse_order(s, c);
    if (c->args == SOME && line.n == 0)
        return mailsrv__smtp_bad(s, "501 5.5.4 parameters missing");
    return c->run(s, line);
}

static enum step run_framed(struct smtp *s, enum framed framed, struct span line)
{
    if (framed == FRAMED_LINE)
        return run_line(s, line);
    mailsrv__count_command(&s->session, NULL);
    switch (framed) {
    case FRAMED_TOO_LONG:
        return mailsrv__smtp_bad(s, "500 5.5.2 line too long"); /* RFC 5321 section 4.5.3.1.9 */
    case FRAMED_NO_MEMORY:
        return mailsrv__smtp_reply(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA));
    default:
        return mailsrv__smtp_bad(s, "500 5.5.2 a line ends with CRLF and holds no CR, LF or NUL");
    }
}

/* RFC 4954 section 4: a response may be longer than a command. */
static size_t line_octets_max(const mailsrv_session *session)
{
    size_t usual = (size_t)mailsrv__setting(session, MAILSRV_PROFILE_LINE_OCTETS_MAX);
    return session->sasl != NULL && usual < SASL_LINE_OCTETS_MAX ? SASL_LINE_OCTETS_MAX : usual;
}

static enum step take_line(struct smtp *s, struct input *in)
{
    mailsrv_session *session = &s->session;
    struct line_room room = { .heap = mailsrv__session_heap(session),
                              .purse = &session->purse,
                              .octets_max = line_octets_max(session) };
    struct span line = { NULL, 0 };
    enum framed framed = mailsrv__line_take(&s->frame, &room, in, &line);
    if (framed == FRAMED_MORE)
        return STEP_WAIT;
    enum step step = session->sasl != NULL ? mailsrv__smtp_users_of(session)->response(s, framed, line)
                                           : run_framed(s, framed, line);
    mailsrv__line_done(&s->frame, &room, true); /* it may have held a password */
    return step;
}

/* BDAT and its octets are one command. */
enum step mailsrv__smtp_take(mailsrv_session *session, struct input *in)
{
    struct smtp *s = mailsrv__smtp_of(session);
    if (s->phase == PHASE_LINES) {
        enum step step = take_line(s, in);
        if (step != STEP_WAIT || session->next != NULL || s->phase == PHASE_LINES)
            return step;
    }
    return mailsrv__smtp_take_octets(s, in);
}

enum step mailsrv__smtp_begin_session(mailsrv_session *session)
{
    return mailsrv__smtp_greet(mailsrv__smtp_of(session));
}

void mailsrv__smtp_leave(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct line_room room = { .heap = mailsrv__session_heap(session), .purse = &session->purse };
    mailsrv__line_done(&s->frame, &room, true);
    if (mailsrv__smtp_users_of(session) != NULL)
        mailsrv__smtp_users_of(session)->leave(session);
    mailsrv__transaction_free(session, s->mail);
    mailsrv__session_give(session, s->hello, s->hello_n);
    mailsrv__session_give(session, s->candidate, s->candidate_n);
    mailsrv__standing_free(session, &s->connected);
    mailsrv__standing_free(session, &s->greeted);
    s->mail = NULL;
    s->hello = s->candidate = NULL;
}

static void defaults_of_submission(mailsrv_profile *profile)
{
    mailsrv__default_u64(profile, MAILSRV_PROFILE_SENDER_CHECK, SENDER_CHECK_ALL, 0, SENDER_CHECK_ALL);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_SENDER_FIELD, 0, 0, 1);
    mailsrv__default_str(profile, MAILSRV_PROFILE_DROP_FIELDS, SPAN("Return-Path Bcc Resent-Bcc"));
}

/* Other servers do not log in, and the fewer doors there are to guess at, the better. */
static bool is_for_strangers(int32_t face)
{
    return face == MAILSRV_FACE_MX || face == MAILSRV_FACE_LMTP;
}

void mailsrv__smtp_defaults(mailsrv_profile *profile)
{
    const uint64_t minute = 60000, day = 24 * 60 * minute;
    mailsrv__default_u64(profile, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, UINT64_C(100) << 20, UINT64_C(64) << 10,
                         UINT64_C(1) << 40);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_RECIPIENTS_MAX, 100, 100, 1000);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_DATA_TIMEOUT_MS, 3 * minute, 3 * minute, day);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_BARE_LINE_ENDS, 0, 0, 1);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_OVERQUOTA_PERMANENT, 0, 0, 1);
    if (is_for_strangers(mailsrv__profile_face(profile)))
        mailsrv__default_u64(profile, MAILSRV_PROFILE_AUTH_MECHANISMS, 0, 0, MAILSRV_SASL_ALL);
    mailsrv__default_str(profile, MAILSRV_PROFILE_DROP_FIELDS, SPAN("Return-Path"));
    mailsrv__default_u64(profile, MAILSRV_PROFILE_HOPS_MAX, 100, 10, 10000);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_POLICY_STAGES, 0, 0, MAILSRV_STAGES_ALL);
    mailsrv__default_str(profile, MAILSRV_PROFILE_DETAIL_DELIMITER, SPAN("+"));
    mailsrv__default_str(profile, MAILSRV_PROFILE_POSTMASTER, (struct span){ NULL, 0 });
    if (mailsrv__profile_face(profile) == MAILSRV_FACE_SUBMISSION)
        defaults_of_submission(profile);
    mailsrv__profile_tap(profile, &mailsrv__smtp_trace_tap);
}

/* Nobody logs in here. */
const mailsrv_machine *mailsrv_smtp_receive(void)
{
    static const struct smtp_machine receive = {
        .machine = SMTP_MACHINE(is_for_strangers, NULL, mailsrv__smtp_defaults),
        .users = NULL,
    };
    return &receive.machine;
}
