/* LOGIN: AUTH_VERIFY, STORE_OPEN.  What fails on the way leaves the session where it was (RFC 9051 section 6.2.3). */
#include "imap/imap.h"

struct login {
    struct span user, password;
};

bool mailsrv__imap_takes_passwords(const struct imap *p)
{
    static const int32_t needed[] = {
        MAILSRV_OP_AUTH_VERIFY, MAILSRV_OP_STORE_OPEN, MAILSRV_OP_MBOX_OPEN, MAILSRV_OP_ROWS
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!mailsrv__served(&p->session, needed[i]))
            return false;
    return mailsrv__setting(&p->session, MAILSRV_PROFILE_PLAIN_PASSWORDS) != 0;
}

/* login = "LOGIN" SP userid SP password; userid, password = astring */
bool mailsrv__imap_parse_login(struct imap *p, struct reader *r)
{
    struct login *login = mailsrv__imap_own(p, r, sizeof *login);
    return login != NULL && mailsrv__parse_sp(r) && mailsrv__parse_astring(r, &login->user) &&
           mailsrv__parse_sp(r) && mailsrv__parse_astring(r, &login->password);
}

static struct span user_of(struct imap *p)
{
    return ((struct login *)p->command.own)->user;
}

/* The text of the answer stays out: it may differ between a wrong password and a user that does not exist.  Guesses are
 * counted. */
static enum step denied(struct imap *p)
{
    mailsrv__session_event(&p->session, MAILSRV_EVENT_LOGIN_FAILED, user_of(p));
    if (mailsrv__erred(&p->session)) {
        mailsrv__say(&p->session, SPAN("* BYE too many errors\r\n"));
        return STEP_CLOSE;
    }
    return mailsrv__imap_refuse(p, MAILSRV_DENIED, (struct span){ NULL, 0 });
}

static enum step give_up(struct imap *p, int32_t status, struct span text)
{
    p->session.account = (mailsrv_id){ 0 };
    return mailsrv__imap_refuse(p, status, text);
}

/* RFC 9051 section 6.2.3: the capabilities of the new state come along. */
static enum step opened(struct imap *p)
{
    char room[LINE_ROOM];
    struct writer w = { .p = room, .room = sizeof room };
    struct reply reply = { .ending = END_OK, .text = SPAN("logged in") };
    p->state = IN_AUTHENTICATED;
    p->session.peer_timeout_ms = (uint32_t)mailsrv__setting(&p->session, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
    mailsrv__session_event(&p->session, MAILSRV_EVENT_LOGIN, user_of(p));
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

static enum step verified(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    int32_t status = mailsrv__imap_status(p);
    /* A handler that says more than DENIED about a user who does not exist is not passed on. */
    if (status == MAILSRV_DENIED || status == MAILSRV_NONEXISTENT)
        return denied(p);
    if (status != MAILSRV_OK)
        return give_up(p, status, mailsrv__imap_answer_text(p));
    session->account = ((const mailsrv_identity *)mailsrv__answer(session, 0)->value)->account;
    if (mailsrv__ask(session, MAILSRV_OP_STORE_OPEN, 0).op == NULL)
        return give_up(p, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    return mailsrv__then_answers(session, store_opened);
}

enum step mailsrv__imap_login(struct imap *p)
{
    const struct login *login = p->command.own;
    if (!mailsrv__imap_takes_passwords(p))
        return mailsrv__imap_done(p, (struct reply){ END_NO, SPAN("[PRIVACYREQUIRED]"),
                                                     SPAN("passwords are not taken here") });
    size_t octets = mailsrv__ask_octets(login->user.n) + mailsrv__ask_octets(login->password.n);
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_AUTH_VERIFY, octets);
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_auth_verify *arg = ask.arg;
    arg->user = mailsrv__ask_copy(&ask, login->user);
    arg->password = mailsrv__ask_copy(&ask, login->password);
    return mailsrv__then_answers(&p->session, verified);
}
