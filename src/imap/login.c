/* LOGIN, AUTHENTICATE: a login (sasl/sasl.h), then STORE_OPEN.  What fails on the way leaves the session where it was
 * (RFC 9051 section 6.2.3). */
#include "imap/imap.h"

struct login {
    struct span user, password;
};

struct authenticate {
    struct span mechanism, initial;
    bool has_initial;
};

bool mailsrv__imap_takes_logins(const struct imap *p)
{
    static const int32_t needed[] = { MAILSRV_OP_STORE_OPEN, MAILSRV_OP_MBOX_OPEN, MAILSRV_OP_ROWS };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!mailsrv__served(&p->session, needed[i]))
            return false;
    return true;
}

bool mailsrv__imap_takes_passwords(const struct imap *p)
{
    return mailsrv__imap_takes_logins(p) && mailsrv__auth_takes_passwords(&p->session);
}

/* ---- Arguments ---- */

/* login = "LOGIN" SP userid SP password; userid, password = astring */
bool mailsrv__imap_parse_login(struct imap *p, struct reader *r)
{
    struct login *login = mailsrv__imap_own(p, r, sizeof *login);
    return login != NULL && mailsrv__parse_sp(r) && mailsrv__parse_astring(r, &login->user) &&
           mailsrv__parse_sp(r) && mailsrv__parse_astring(r, &login->password);
}

/* base64 / "=": everything up to the end of the line; the exchange looks at it. */
static struct span take_rest(struct reader *r)
{
    size_t n = 0;
    while (n < r->rest.n && r->rest.p[n] != '\r')
        n++;
    struct span rest = mailsrv__span_first(r->rest, n);
    r->rest = mailsrv__span_after(r->rest, n);
    return rest;
}

/* authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]; auth-type = atom   RFC 9051 section 9, RFC 4959 */
bool mailsrv__imap_parse_authenticate(struct imap *p, struct reader *r)
{
    struct authenticate *a = mailsrv__imap_own(p, r, sizeof *a);
    if (a == NULL || !mailsrv__parse_sp(r) || !mailsrv__parse_atom(r, &a->mechanism))
        return false;
    a->has_initial = mailsrv__enabled(&p->session, MAILSRV_EXT_SASL_IR) && r->rest.n != 0 && r->rest.p[0] == ' ';
    if (!a->has_initial)
        return true;
    mailsrv__parse_sp(r);
    a->initial = take_rest(r);
    return true;
}

/* ---- How a login ends ---- */

/* The text of the answer stays out: it may differ between a wrong password and a user that does not exist. */
static enum step denied(struct imap *p)
{
    mailsrv__sasl_free(&p->session);
    if (!mailsrv__auth_too_many(&p->session))
        return mailsrv__imap_refuse(p, MAILSRV_DENIED, (struct span){ NULL, 0 });
    mailsrv__say(&p->session, SPAN("* BYE too many failed logins\r\n"));
    return STEP_CLOSE;
}

static enum step give_up(struct imap *p, int32_t status, struct span text)
{
    p->session.account = (mailsrv_id){ 0 };
    enum step step = mailsrv__imap_refuse(p, status, text); /* which copies the text */
    mailsrv__sasl_free(&p->session);
    return step;
}

/* RFC 9051 section 6.2.3: the capabilities of the new state come along. */
static enum step opened(struct imap *p)
{
    char room[LINE_ROOM];
    struct writer w = { .p = room, .room = sizeof room };
    struct reply reply = { .ending = END_OK, .text = SPAN("logged in") };
    p->state = IN_AUTHENTICATED;
    p->session.peer_timeout_ms = (uint32_t)mailsrv__setting(&p->session, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
    mailsrv__session_event(&p->session, MAILSRV_EVENT_LOGIN, p->session.sasl->user);
    mailsrv__sasl_free(&p->session);
    mailsrv__write(&w, SPAN("[CAPABILITY "));
    mailsrv__imap_write_capabilities(p, &w);
    mailsrv__write(&w, SPAN("]"));
    if (!mailsrv__arena_copy(&p->command.arena, mailsrv__written(&w), &reply.code))
        reply.code = (struct span){ NULL, 0 };
    return mailsrv__imap_done(p, reply);
}

static enum step store_opened(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    if (mailsrv__imap_status(p) != MAILSRV_OK)
        return give_up(p, mailsrv__imap_status(p), mailsrv__imap_answer_text(p));
    const mailsrv_store_opened *answer = mailsrv__answer(session, 0)->value;
    mailsrv__handle_take(session, 0, answer->store, &p->store);
    return opened(p);
}

static enum step let_in(struct imap *p, const struct sasl *sasl)
{
    p->session.account = sasl->account;
    if (mailsrv__ask(&p->session, MAILSRV_OP_STORE_OPEN, 0).op == NULL)
        return give_up(p, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    return mailsrv__then_answers(&p->session, store_opened);
}

/* RFC 9051 section 6.2.2: a cancelled login, and one whose response is no base64, is BAD. */
static enum step ended(mailsrv_session *session, struct sasl *sasl)
{
    struct imap *p = mailsrv__imap_of(session);
    if (sasl->end == SASL_LET_IN)
        return let_in(p, sasl);
    if (sasl->end == SASL_REFUSED && sasl->status != MAILSRV_DENIED)
        return give_up(p, sasl->status, sasl->text);
    if (sasl->end == SASL_REFUSED)
        return denied(p);
    enum sasl_end end = sasl->end;
    mailsrv__sasl_free(session);
    if (end == SASL_CANCELLED)
        return mailsrv__imap_bad(p, SPAN("the login is cancelled"));
    return mailsrv__imap_bad(p, end == SASL_TOO_LONG ? SPAN("the line is too long") : SPAN("expected base64"));
}

static const struct sasl_face face = { .service = { "imap", 4 }, .prompt = { "+ ", 2 }, .ended = ended };

/* ---- LOGIN, AUTHENTICATE ---- */

static enum step needs_privacy(struct imap *p)
{
    return mailsrv__imap_done(p, (struct reply){ END_NO, SPAN("[PRIVACYREQUIRED]"),
                                                 SPAN("passwords are not taken here") });
}

enum step mailsrv__imap_login(struct imap *p)
{
    const struct login *login = p->command.own;
    if (!mailsrv__imap_takes_passwords(p))
        return needs_privacy(p);
    struct sasl *sasl = mailsrv__sasl_new(&p->session, &face, &mailsrv__sasl_login_command);
    return sasl == NULL ? mailsrv__imap_no_memory(p)
                        : mailsrv__sasl_start_password(sasl, login->user, login->password);
}

/* A response has been decoded: of how it was sent, and of how the command was, nothing is held any more. */
static enum step exchange(struct imap *p, enum step step)
{
    struct literal_room room = mailsrv__imap_room(p);
    if (step != STEP_CLOSE && p->session.sasl != NULL)
        mailsrv__literal_done(&p->frame, &room);
    return step;
}

enum step mailsrv__imap_authenticate(struct imap *p)
{
    const struct authenticate *a = p->command.own;
    const struct mechanism *m = mailsrv__sasl_find(&p->session, a->mechanism);
    if (m == NULL && mailsrv__sasl_wants_tls(&p->session, a->mechanism))
        return needs_privacy(p);
    if (m == NULL || !mailsrv__imap_takes_logins(p))
        return mailsrv__imap_done(p, (struct reply){ END_NO, SPAN("[CANNOT]"), SPAN("no such mechanism") });
    struct sasl *sasl = mailsrv__sasl_new(&p->session, &face, m);
    if (sasl == NULL)
        return mailsrv__imap_no_memory(p);
    return exchange(p, mailsrv__sasl_start(sasl, a->has_initial ? &a->initial : NULL));
}

static enum step take_response(struct imap *p, struct span text)
{
    struct sasl *sasl = p->session.sasl;
    switch (p->frame.bad) {
    case LITERAL_GOOD:
        return mailsrv__sasl_line(sasl, mailsrv__span_first(text, text.n - 2)); /* without its CRLF */
    case LITERAL_TOO_LONG:
        return mailsrv__sasl_no_line(sasl, SASL_TOO_LONG, MAILSRV_DENIED);
    case LITERAL_NO_MEMORY:
        return mailsrv__sasl_no_line(sasl, SASL_REFUSED, MAILSRV_NOMEM);
    default:
        return mailsrv__sasl_no_line(sasl, SASL_NOT_BASE64, MAILSRV_DENIED);
    }
}

enum step mailsrv__imap_response(struct imap *p)
{
    if (p->frame.bad == LITERAL_ENDLESS)
        return mailsrv__imap_endless(p);
    return exchange(p, take_response(p, mailsrv__literal_text(&p->frame)));
}
