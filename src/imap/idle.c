/* IDLE (RFC 9051 section 6.3.13): everything is told at once, and all the time, until DONE. */
#include "imap/imap.h"

static uint64_t silence_ms(const struct imap *p)
{
    return mailsrv__setting(&p->session, MAILSRV_PROFILE_IDLE_SIGN_MS);
}

static void said_something(struct imap *p)
{
    p->idle_us = mailsrv__now_us(&p->session);
    mailsrv__alarm(&p->session, silence_ms(p));
}

/* All is told; what comes now calls. */
static enum step idles(mailsrv_session *session)
{
    mailsrv__imap_of(session)->command.syncs = false;
    return STEP_WAIT;
}

static enum step begin_idle(mailsrv_session *session)
{
    mailsrv__imap_of(session)->command.syncs = false;
    return STEP_NEXT;
}

/* Between its two lines the session holds the tag, and nothing of how it was sent. */
enum step mailsrv__imap_idle(struct imap *p)
{
    struct literal_room room = mailsrv__imap_room(p);
    if (!mailsrv__say(&p->session, SPAN("+ idling\r\n")))
        return STEP_CLOSE;
    mailsrv__literal_done(&p->frame, &room);
    p->idling = p->session.goes_on = true;
    said_something(p);
    return mailsrv__imap_tell(p, begin_idle);
}

/* A line now and then, so that a peer that is no more is found out. */
static bool say_sign(struct imap *p)
{
    said_something(p);
    return mailsrv__say(&p->session, SPAN("* OK still here\r\n"));
}

/* What comes is told, and asks nothing: the end of a question calls all who look at the mailbox, and while the store
 * fails two of them would make each other ask without end.  What failed is asked for again with the sign of life. */
enum step mailsrv__imap_idle_called(struct imap *p)
{
    bool was_silent = mailsrv__now_us(&p->session) - p->idle_us >= (int64_t)silence_ms(p) * 1000;
    if (!was_silent)
        return mailsrv__imap_tell_known(p, idles);
    p->command.syncs = mailsrv__imap_is_selected(p) && mailsrv__view_round(&p->view) != MAILSRV_OK;
    return say_sign(p) ? mailsrv__imap_tell(p, idles) : STEP_CLOSE;
}

/* idle = "IDLE" CRLF "DONE": anything else ends it as well, and is no command. */
enum step mailsrv__imap_idle_line(struct imap *p)
{
    struct span line = mailsrv__literal_text(&p->frame);
    bool done = p->frame.bad == LITERAL_GOOD && mailsrv__span_equal_nocase(line, SPAN("DONE\r\n"));
    p->idling = p->session.goes_on = false;
    mailsrv__alarm(&p->session, 0);
    if (p->frame.bad == LITERAL_ENDLESS)
        return mailsrv__imap_endless(p);
    if (p->frame.bad == LITERAL_NO_MEMORY)
        return mailsrv__imap_no_memory(p);
    return done ? mailsrv__imap_ok(p, SPAN("no longer idling")) : mailsrv__imap_bad(p, SPAN("expected DONE"));
}
