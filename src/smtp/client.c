#include "smtp/client_machine.h"
#include "text/writer.h"

#include <mailsrv/auth.h>

/* ---- Saying something, and what is waited for ---- */

enum step mailsrv__client_expect(struct smtp_client *c, client_reply_fn *replied, int32_t timeout_key)
{
    c->replied = replied;
    c->session.peer_timeout_ms = (uint32_t)mailsrv__setting(&c->session, timeout_key);
    return STEP_NEXT;
}

enum step mailsrv__client_say(struct smtp_client *c, struct span line, client_reply_fn *replied)
{
    mailsrv__say(&c->session, line);
    return mailsrv__client_expect(c, replied, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
}

/* ---- The end ---- */

enum { QUIT_TIMEOUT_MS = 30000, END_OCTETS = 160 /* of the text that says why */ };

static void tell_ended(struct smtp_client *c, const struct smtp_reply *reply)
{
    struct courier *courier = c->courier;
    enum smtp_end unready = c->is_securing ? SMTP_END_UNSECURED : SMTP_END_UNREADY;
    c->courier = NULL;
    if (courier != NULL)
        courier->ended(courier, c->was_ready ? SMTP_END_READY : unready, reply);
}

static enum step quit_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    (void)c;
    (void)reply;
    return STEP_CLOSE;
}

enum step mailsrv__client_part(struct smtp_client *c)
{
    enum step step = mailsrv__client_say(c, SPAN("QUIT\r\n"), quit_replied);
    c->session.peer_timeout_ms = QUIT_TIMEOUT_MS;
    return step;
}

enum step mailsrv__client_lost(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (c->sending != NULL)
        mailsrv__client_drop_job(c, reply);
    tell_ended(c, reply);
    return STEP_CLOSE;
}

enum step mailsrv__client_hindered(struct smtp_client *c, const struct smtp_reply *reply)
{
    mailsrv__client_tell_rest(c, SMTP_HINDERED, reply);
    return mailsrv__client_lost(c, reply);
}

enum step mailsrv__client_fail(struct smtp_client *c, const struct smtp_reply *reply)
{
    mailsrv__say(&c->session, SPAN("QUIT\r\n"));
    return mailsrv__client_lost(c, reply);
}

/* ---- Replies ---- */

enum { CLOSING = 421 };

/* RFC 5321 section 3.8: 421 may be said at any time, in the place of any reply or of none. */
static enum step reply_came(struct smtp_client *c, const struct smtp_reply *reply)
{
    client_reply_fn *replied = c->replied;
    c->replied = NULL;
    if (reply->code == CLOSING)
        return mailsrv__client_lost(c, reply);
    if (replied == NULL)
        return mailsrv__client_lost(c, OUR_REPLY(0, "the server said what nobody had asked for"));
    return replied(c, reply);
}

static void forget_text(struct smtp_client *c, struct reply_reader *reader)
{
    mailsrv__session_give(&c->session, reader->text, reader->room);
    *reader = (struct reply_reader){ 0 };
}

static enum step end_reply(struct smtp_client *c)
{
    struct reply_reader reader = c->reader;
    struct smtp_reply reply = { reader.code, { reader.text, reader.n } };
    c->reader = (struct reply_reader){ 0 };
    enum step step = reply_came(c, &reply);
    forget_text(c, &reader);
    return step;
}

/* Without memory for its text there is the code. */
static void make_text(struct smtp_client *c)
{
    uint16_t room = c->login == NULL ? REPLY_TEXT_OCTETS : SASL_CHALLENGE_CHARS;
    c->reader.text = mailsrv__session_take(&c->session, room);
    c->reader.room = c->reader.text == NULL ? 0 : room;
}

/* A line of a reply.  STEP_WAIT: others follow. */
static enum step take_line(struct smtp_client *c, enum framed framed, struct span line)
{
    struct span rest = { NULL, 0 };
    if (framed == FRAMED_NO_MEMORY)
        return mailsrv__client_lost(c, OUR_REPLY(0, "there was no memory for a reply"));
    if (framed != FRAMED_LINE)
        return mailsrv__client_lost(c, OUR_REPLY(0, "the server does not speak SMTP"));
    if (c->reader.text == NULL)
        make_text(c);
    bool is_first = c->reader.lines == 0;
    enum reply_line end = mailsrv__reply_read(&c->reader, line, &rest);
    if (end == REPLY_BAD)
        return mailsrv__client_lost(c, OUR_REPLY(0, "the server does not speak SMTP"));
    if (c->learns && !is_first)
        mailsrv__client_learn(c, rest);
    return end == REPLY_MORE ? STEP_WAIT : end_reply(c);
}

/* All lines of a reply that are here are taken at once: only a whole reply ends the waiting for it.  Nobody waits for
 * the end of a line that is too long already: it may have none. */
static enum step take(mailsrv_session *session, struct input *in)
{
    struct smtp_client *c = mailsrv__client_of(session);
    struct line_room room = { .heap = mailsrv__session_heap(session),
                              .purse = &session->purse,
                              .octets_max = (size_t)mailsrv__setting(session, MAILSRV_PROFILE_LINE_OCTETS_MAX) };
    enum step step = STEP_WAIT;
    while (step == STEP_WAIT && session->next == NULL && in->n != 0) {
        struct span line = { NULL, 0 };
        enum framed framed = mailsrv__line_take(&c->frame, &room, in, &line);
        if (framed == FRAMED_MORE && c->frame.fate != FRAMED_TOO_LONG)
            return STEP_WAIT;
        step = take_line(c, framed, line);
        mailsrv__line_done(&c->frame, &room, false);
    }
    return step;
}

/* ---- The session ---- */

struct given {
    const struct smtp_terms *terms;
    struct courier *courier;
};

static bool prepare(mailsrv_session *session, const void *given)
{
    struct smtp_client *c = mailsrv__client_of(session);
    const struct given *g = given;
    struct span host = g->terms->host, route = g->terms->route;
    c->texts_n = host.n + route.n;
    c->texts = c->texts_n == 0 ? NULL : mailsrv__session_take(session, c->texts_n);
    if (c->texts == NULL && c->texts_n != 0)
        return false;
    c->terms = *g->terms;
    c->courier = g->courier;
    if (host.n != 0)
        memcpy(c->texts, host.p, host.n);
    if (route.n != 0)
        memcpy(c->texts + host.n, route.p, route.n);
    c->terms.host.p = c->texts;
    c->terms.route.p = c->texts_n == 0 ? NULL : c->texts + host.n;
    return true;
}

/* RFC 5321 section 3.1: the server speaks first, but under TLS from the first octet on we begin that. */
static enum step greet(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    if ((c->terms.route_flags & MAILSRV_ROUTE_IMPLICIT) != 0)
        return mailsrv__client_connect_tls(c);
    return mailsrv__client_expect(c, mailsrv__client_greeted, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
}

static enum step called(mailsrv_session *session)
{
    return mailsrv__client_of(session)->is_idle ? mailsrv__client_next(session) : STEP_WAIT;
}

/* Why it ended.  RFC 3463 section 3.8: X.7.5 is a failure of what protects the connection. */
static struct span end_of(const mailsrv_session *session, struct writer *w)
{
    struct span of_tls = mailsrv__tls_failure(session);
    const char *why = session->why == NULL ? "cut off by the host" : session->why;
    if (of_tls.n == 0)
        return (struct span){ why, strlen(why) };
    mailsrv__write(w, SPAN("4.7.5 TLS failed: "));
    mailsrv__write(w, of_tls);
    return mailsrv__written(w);
}

static void leave(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    char text[END_OCTETS];
    struct writer w = { .p = text, .room = sizeof text };
    const struct smtp_reply reply = { 0, end_of(session, &w) };
    struct line_room room = { .heap = mailsrv__session_heap(session), .purse = &session->purse };
    if (c->sending != NULL)
        mailsrv__client_drop_job(c, &reply);
    tell_ended(c, &reply);
    mailsrv__line_done(&c->frame, &room, false);
    forget_text(c, &c->reader);
    mailsrv__sasl_client_free(c->login);
    c->login = NULL;
    mailsrv__session_give(session, c->texts, c->texts_n);
    c->texts = NULL;
}

static struct command_names names(void)
{
    return (struct command_names){ NULL, 0, 0 };
}

static bool has_face(int32_t face)
{
    return face == MAILSRV_FACE_CLIENT;
}

/* RFC 5321 section 4.5.3.2 has the least of what a client waits for. */
static void defaults(mailsrv_profile *profile)
{
    const uint64_t minute = 60000, day = 24 * 60 * minute;
    mailsrv__default_u64(profile, MAILSRV_PROFILE_DATA_TIMEOUT_MS, 3 * minute, 3 * minute, day);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_TLS, MAILSRV_TLS_NONE, MAILSRV_TLS_NONE, MAILSRV_TLS_OFFERED);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_FINAL_TIMEOUT_MS, 10 * minute, 10 * minute, day);
}

static const mailsrv_machine machine = {
    .name = "smtp client",
    .commands = names,
    .octets = sizeof(struct smtp_client),
    .partings = { [PARTING_SHUTDOWN] = "QUIT\r\n" },
    .has_face = has_face,
    .defaults = defaults,
    .answers = &mailsrv__queue_answers,
    .prepare = prepare,
    .greet = greet,
    .take = take,
    .called = called,
    .secured = mailsrv__client_secured,
    .leave = leave,
};

const mailsrv_machine *mailsrv_smtp_client(void)
{
    return &machine;
}

int32_t mailsrv__client_begin(mailsrv_engine *engine, mailsrv_profile *profile, const mailsrv_peer *peer, void *host,
                              const struct smtp_terms *terms, struct courier *courier, mailsrv_session **out)
{
    const struct given given = { terms, courier };
    return mailsrv__session_new(engine, profile, peer, host, &given, out);
}

bool mailsrv__client_call(mailsrv_session *session)
{
    const struct smtp_client *c = mailsrv__client_of(session);
    bool waits = c->is_idle && !c->quits;
    if (waits)
        mailsrv__session_call(session);
    return waits;
}

void mailsrv__client_quit(mailsrv_session *session)
{
    mailsrv__client_of(session)->quits = true;
    mailsrv__session_call(session);
}
