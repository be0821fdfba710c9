/* Telling what has happened to the selected mailbox, in slices (RFC 9051 section 7.5.1). */
#include "imap/imap.h"

enum { TRIES_MAX = 3 }; /* to see one's own change before telling */

/* ---- The view ---- */

enum step mailsrv__imap_then_view(struct imap *p, step_fn *next)
{
    return mailsrv__then_call(&p->session, next);
}

/* A mailbox that is gone, or has other UIDs now; or there is no memory for what has gone from it. */
bool mailsrv__imap_view_ended(struct imap *p)
{
    int32_t status = mailsrv__imap_is_selected(p) ? mailsrv__view_status(&p->view) : MAILSRV_OK;
    if (status == MAILSRV_OK || status == MAILSRV_MORE)
        return false;
    mailsrv__say(&p->session, status == MAILSRV_NONEXISTENT
                                  ? SPAN("* BYE the selected mailbox is no more\r\n")
                                  : SPAN("* BYE [UNAVAILABLE] the selected mailbox cannot be shown any more\r\n"));
    return true;
}

/* ---- What is told, as lines ---- */

/* A FETCH that was not asked for has the UID: numbers may have changed meanwhile. */
static bool say_fetch(struct imap *p, struct told *told)
{
    char room[96];
    struct writer w = { .p = room, .room = sizeof room };
    if (p->command.answered != NULL && p->command.answered(p, told))
        return true;
    mailsrv__write(&w, SPAN("* "));
    mailsrv__write_u64(&w, told->number);
    mailsrv__write(&w, SPAN(" FETCH (UID "));
    mailsrv__write_u64(&w, told->uid);
    if (!told->modseq_alone) {
        mailsrv__write(&w, SPAN(" FLAGS "));
        if (!mailsrv__say(&p->session, mailsrv__written(&w)) || !mailsrv__imap_say_flags(p, &told->marks, told->uid))
            return false;
        w.n = 0;
    }
    if (p->view.condstore) { /* RFC 7162 section 3.1 */
        mailsrv__write_char(&w, ' ');
        mailsrv__imap_write_modseq(&w, told->marks.modseq);
    }
    mailsrv__write(&w, SPAN(")\r\n"));
    return mailsrv__say(&p->session, mailsrv__written(&w));
}

/* RFC 7162 section 3.2.10: in place of EXPUNGE; without EARLIER it renumbers, as that does. */
static bool say_vanished(struct imap *p, mailsrv_run uids)
{
    char room[64];
    struct writer line = { .p = room, .room = sizeof room - 2 };
    mailsrv__write(&line, SPAN("* VANISHED "));
    mailsrv__imap_write_run(&line, uids);
    return mailsrv__imap_say(p, &line);
}

static bool say_told(struct imap *p, struct told *told)
{
    switch (told->kind) {
    case TOLD_EXPUNGE:
        return mailsrv__imap_say_number(p, told->number, SPAN(" EXPUNGE"));
    case TOLD_VANISHED:
        return say_vanished(p, told->uids);
    case TOLD_EXISTS:
        return mailsrv__imap_say_number(p, told->number, SPAN(" EXISTS")) && mailsrv__imap_say_recent(p);
    case TOLD_NAMES:
        return mailsrv__imap_say_names(p);
    case TOLD_FETCH:
        return say_fetch(p, told);
    default: /* HIGHEST: it is said when all is */
        p->command.told_modseq = true;
        return true;
    }
}

/* ---- Telling what is not known ---- */

static int32_t why_unknown(const struct imap *p)
{
    int32_t status = mailsrv__view_status(&p->view);
    if (status == MAILSRV_OK)
        status = mailsrv__view_round(&p->view);
    return status == MAILSRV_OK ? MAILSRV_TEMP : status;
}

/* What a client resynchronises from is what he has been told, and no more (RFC 7162 section 3.2). */
static enum step end_telling(struct imap *p)
{
    struct command *c = &p->command;
    bool in_ending = c->ends_highest && p->qresync && c->reply.ending == END_OK;
    bool owed = c->told_modseq && p->modseqs && !in_ending && mailsrv__imap_is_selected(p) && !p->view.lost;
    c->told_modseq = false;
    return !owed || mailsrv__imap_say_highest(p) ? c->then(&p->session) : STEP_CLOSE;
}

/* What has happened is not known.  A store that does not answer costs nobody his reply; but OK is not said to an
 * EXPUNGE whose EXPUNGE responses have not been (RFC 9051 section 6.4.3), nor to what was cut short because numbers
 * mean nothing any more. */
static enum step give_up(struct imap *p)
{
    struct command *c = &p->command;
    bool untold = (c->row->flags & ROW_EXPUNGES) != 0 && p->view.own > p->view.image->upto;
    bool cut_short = p->view.lost && c->reply.code.n == 0;
    if (c->reply.ending == END_OK && untold) /* whatever the reason is: it is none for what was done */
        c->reply = mailsrv__imap_status_reply(p, MAILSRV_TEMP, SPAN("the messages are gone, which is told later"));
    else if (c->reply.ending == END_OK && cut_short)
        c->reply = mailsrv__imap_status_reply(p, why_unknown(p), SPAN("what became of it cannot be told now"));
    return end_telling(p);
}

/* ---- In slices ---- */

static enum step tell_on(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct told told;
    uint32_t unit = 1;
    while (mailsrv__view_is_telling(&p->view)) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, tell_on);
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, tell_on);
        mailsrv__spend(session, 1);
        unit = 1;
        if (mailsrv__view_next(&p->view, &unit, &told) && !say_told(p, &told))
            return STEP_CLOSE;
    }
    return p->view.lost ? give_up(p) : end_telling(p);
}

static enum step tell_synced(mailsrv_session *session);

static enum step sync(struct imap *p)
{
    p->command.tries++;
    mailsrv__view_sync(&p->view);
    return mailsrv__imap_then_view(p, tell_synced);
}

/* An EXPUNGE renumbers messages under a client who has sent his next command already; many do not wait (RFC 9051
 * section 5.5). */
static enum tells most(const struct imap *p)
{
    uint8_t at_once = p->command.by_uid ? ROW_EXPUNGES : ROW_EXPUNGES | ROW_NUMBERED;
    bool holds_back = (p->command.row->flags & at_once) == 0 && mailsrv__input_waits(&p->session);
    return p->command.tells == TELL_ALL && !holds_back ? TELLS_ALL : TELLS_FLAGS;
}

/* What a command of this session changed is told with it, so the image must have it. */
static enum step begin(struct imap *p)
{
    if (mailsrv__view_tell(&p->view, most(p)))
        return tell_on(&p->session);
    bool again = mailsrv__view_status(&p->view) == MAILSRV_OK && p->view.writing == 0 && p->command.tries < TRIES_MAX;
    return again ? sync(p) : give_up(p);
}

static enum step tell_synced(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    if (mailsrv__was_late(session) || mailsrv__view_status(&p->view) != MAILSRV_OK)
        return give_up(p);
    if (!mailsrv__view_synced(&p->view))
        return mailsrv__imap_then_view(p, tell_synced);
    return begin(p);
}

/* `tries` are spent already. */
static enum step tell(struct imap *p, step_fn *then, uint8_t tries)
{
    p->command.then = then;
    p->command.tries = tries;
    if (!mailsrv__imap_is_selected(p) || p->command.tells == TELL_NOTHING)
        return then(&p->session);
    if (mailsrv__view_status(&p->view) != MAILSRV_OK)
        return give_up(p);
    return p->command.syncs ? sync(p) : begin(p);
}

enum step mailsrv__imap_tell(struct imap *p, step_fn *then)
{
    return tell(p, then, 0);
}

enum step mailsrv__imap_tell_known(struct imap *p, step_fn *then)
{
    return tell(p, then, TRIES_MAX);
}
