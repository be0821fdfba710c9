#include "pop3/pop3.h"
#include "text/http.h"

enum { REST = 1 }; /* the last argument runs to the end of the line */

/* RFC 1939 section 9.  Where `kind` is not served the command is refused, where `extension` is off it is not known. */
static const struct command {
    char name[5];
    uint8_t states; /* where it is allowed */
    uint8_t args_least, args_most;
    uint8_t flags;
    uint8_t kind; /* of operation, that it needs; 0: none */
    uint8_t extension; /* 0: none */
    enum step (*run)(struct pop3 *p, const struct args *a);
} commands[] = {
    { "AUTH", IN_AUTH, 1, 2, 0, 0, MAILSRV_EXT_AUTH, mailsrv__pop3_auth }, /* RFC 5034 section 4 */
    { "CAPA", IN_AUTH | IN_TRANS, 0, 0, 0, 0, 0, mailsrv__pop3_capa },
    { "DELE", IN_TRANS, 1, 1, 0, MAILSRV_OP_EXPUNGE, 0, mailsrv__pop3_dele },
    { "LIST", IN_TRANS, 0, 1, 0, 0, 0, mailsrv__pop3_list },
    { "NOOP", IN_TRANS, 0, 0, 0, 0, 0, mailsrv__pop3_noop },
    { "PASS", IN_AUTH, 1, 1, REST, 0, 0, mailsrv__pop3_pass }, /* RFC 1939 section 7: spaces belong to it */
    { "QUIT", IN_AUTH | IN_TRANS, 0, 0, 0, 0, 0, mailsrv__pop3_quit },
    { "RETR", IN_TRANS, 1, 1, 0, MAILSRV_OP_READ, 0, mailsrv__pop3_retr },
    { "RSET", IN_TRANS, 0, 0, 0, 0, 0, mailsrv__pop3_rset },
    { "STAT", IN_TRANS, 0, 0, 0, 0, 0, mailsrv__pop3_stat },
    { "STLS", IN_AUTH, 0, 0, 0, 0, MAILSRV_EXT_STARTTLS, mailsrv__pop3_stls },
    { "TOP", IN_TRANS, 2, 2, 0, MAILSRV_OP_READ, MAILSRV_EXT_TOP, mailsrv__pop3_top },
    { "UIDL", IN_TRANS, 0, 1, 0, MAILSRV_OP_ROWS, MAILSRV_EXT_UIDL, mailsrv__pop3_uidl },
    { "USER", IN_AUTH, 1, 1, 0, 0, 0, mailsrv__pop3_user },
    { "UTF8", IN_AUTH, 0, 0, 0, 0, MAILSRV_EXT_POP3_UTF8, mailsrv__pop3_utf8 },
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static struct command_names names(void)
{
    return (struct command_names){ commands->name, sizeof *commands, COMMANDS };
}

static const struct command *find(const struct pop3 *p, struct span name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];
        if (mailsrv__span_equal_nocase(name, (struct span){ c->name, strlen(c->name) }))
            return c->extension == 0 || mailsrv__enabled(&p->session, c->extension) ? c : NULL;
    }
    return NULL;
}

/* Takes a word, and the space behind it. */
static struct span take_word(struct span *line)
{
    const char *space = line->n == 0 ? NULL : memchr(line->p, ' ', line->n);
    size_t n = space == NULL ? line->n : (size_t)(space - line->p);
    struct span word = mailsrv__span_first(*line, n);
    *line = mailsrv__span_after(*line, n + 1);
    return word;
}

/* command = keyword *(SP param) CRLF   RFC 2449 section 3
 * An empty parameter is none: some clients end "LIST" with a space.  An empty password is none either, since there
 * are directories that let everybody in who has none. */
static bool cut_args(struct span line, const struct command *c, struct args *args)
{
    *args = (struct args){ .n = 0 };
    if ((c->flags & REST) != 0) {
        args->v[0] = line;
        args->n = line.n != 0;
        return args->n >= c->args_least;
    }
    while (line.n != 0) {
        struct span word = take_word(&line);
        if (word.n == 0)
            continue;
        if (args->n == c->args_most)
            return false;
        args->v[args->n++] = word;
    }
    return args->n >= c->args_least;
}

/* The lines of a request of HTTP, and its body, are another's text: none of them may be run. */
static enum step unknown(struct pop3 *p, struct span word)
{
    if (!mailsrv__is_http_method(word))
        return mailsrv__pop3_bad(p, SPAN("-ERR unknown command\r\n"));
    mailsrv__pop3_reply(p, SPAN("-ERR this is no web server\r\n"));
    return STEP_CLOSE;
}

/* Runs one line, without its CRLF.  Everything that can be decided from the table is decided here, so that a handler
 * starts from a legal command. */
static enum step run_line(struct pop3 *p, struct span line)
{
    struct args args;
    struct span word = take_word(&line);
    const struct command *c = find(p, word);
    mailsrv__count_command(&p->session, c);
    if (c == NULL || c->run != mailsrv__pop3_pass)
        mailsrv__pop3_forget_user(p); /* RFC 1939 section 7: PASS comes immediately after USER */
    if (c == NULL)
        return unknown(p, word);
    if ((c->states & p->state) == 0)
        return mailsrv__pop3_bad(p, SPAN("-ERR not now\r\n"));
    if (!cut_args(line, c, &args))
        return mailsrv__pop3_bad(p, SPAN("-ERR wrong number of arguments\r\n"));
    if (c->kind != 0 && !mailsrv__served(&p->session, c->kind))
        return mailsrv__pop3_refuse(p, MAILSRV_CANNOT, (struct span){ 0 });
    return c->run(p, &args);
}

static enum step run_framed(struct pop3 *p, enum framed framed, struct span line)
{
    if (framed == FRAMED_LINE)
        return run_line(p, line);
    mailsrv__count_command(&p->session, NULL);
    switch (framed) {
    case FRAMED_TOO_LONG:
        return mailsrv__pop3_bad(p, SPAN("-ERR line too long\r\n"));
    case FRAMED_NO_MEMORY:
        return mailsrv__pop3_refuse(p, MAILSRV_NOMEM, (struct span){ 0 });
    default:
        return mailsrv__pop3_bad(p, SPAN("-ERR lines end with CRLF\r\n"));
    }
}

/* RFC 5034 section 4: a response may be longer than a command. */
static size_t line_octets_max(const mailsrv_session *session)
{
    size_t usual = (size_t)mailsrv__setting(session, MAILSRV_PROFILE_LINE_OCTETS_MAX);
    return session->sasl != NULL && usual < SASL_LINE_OCTETS_MAX ? SASL_LINE_OCTETS_MAX : usual;
}

static enum step take(mailsrv_session *session, struct input *in)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    struct line_room room = { .heap = mailsrv__session_heap(session),
                              .purse = &session->purse,
                              .octets_max = line_octets_max(session) };
    struct span line = { 0 };
    enum framed framed = mailsrv__line_take(&p->frame, &room, in, &line);
    if (framed == FRAMED_MORE)
        return STEP_WAIT;
    enum step step = session->sasl != NULL ? mailsrv__pop3_response(p, framed, line) : run_framed(p, framed, line);
    mailsrv__line_done(&p->frame, &room, true); /* it may have held a password, also where no PASS was due */
    return step;
}

static enum step greet(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    p->state = IN_AUTH;
    session->peer_timeout_ms = (uint32_t)mailsrv__setting(session, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, SPAN("+OK "));
    mailsrv__write(&line, mailsrv__setting_str(session, MAILSRV_PROFILE_HOSTNAME));
    mailsrv__write(&line, SPAN(" POP3 server ready"));
    return mailsrv__pop3_say(p, &line);
}

static void leave(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    struct line_room room = { .heap = mailsrv__session_heap(session), .purse = &session->purse };
    mailsrv__line_done(&p->frame, &room, true);
    mailsrv__pop3_forget_user(p);
    mailsrv__sasl_free(session);
    mailsrv__pop3_doomed_fini(p);
    mailsrv__pop3_abandon(p);
}

static bool has_face(int32_t face)
{
    return face == MAILSRV_FACE_POP3;
}

enum { MINUTE_MS = 60000 };

static void defaults(mailsrv_profile *profile)
{
    /* RFC 1939 section 3: an autologout timer runs at least 10 minutes. */
    mailsrv__default_u64(profile, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 10 * MINUTE_MS, 10 * MINUTE_MS,
                         24 * 60 * MINUTE_MS);
    /* 16 octets for each message of a maildrop. */
    mailsrv__default_u64(profile, MAILSRV_PROFILE_SESSION_OCTETS_MAX, UINT64_C(4) << 20, 32768, UINT64_C(1) << 40);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_WINDOW_OCTETS, 65536, 1024, UINT64_C(1) << 30);
}

static const mailsrv_machine machine = {
    .name = "pop3",
    .commands = names,
    .octets = sizeof(struct pop3),
    /* Nobody is told that his session has timed out (RFC 1939 section 3), nor, between two commands, that it is shut
     * down: a line that was not asked for would be taken for the response to the next command. */
    .partings = { [PARTING_NO_MEMORY] = "-ERR [SYS/TEMP] out of memory\r\n",
                  [PARTING_BUSY] = "-ERR [SYS/TEMP] too busy, try again later\r\n" },
    .has_face = has_face,
    .answers = &mailsrv__store_answers,
    .defaults = defaults,
    .greet = greet,
    .take = take,
    .leave = leave,
};

const mailsrv_machine *mailsrv_pop3(void)
{
    return &machine;
}
