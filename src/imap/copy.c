/* COPY (RFC 9051 section 6.4.7), and how MOVE begins and ends, which is the same (RFC 6851). */
#include "imap/copy.h"

/* copy = "COPY" SP sequence-set SP mailbox */
bool mailsrv__imap_parse_copy(struct imap *p, struct reader *r)
{
    struct copy *c = mailsrv__imap_own(p, r, sizeof *c);
    return c != NULL && mailsrv__parse_sp(r) && mailsrv__imap_parse_set(p, r, &c->set) && mailsrv__parse_sp(r) &&
           mailsrv__parse_mailbox(r, &c->name);
}

void mailsrv__imap_copy_fini(struct imap *p)
{
    struct copy *c = mailsrv__copy_of(p);
    if (c == NULL)
        return;
    mailsrv__unreserve(&p->session);
    if (c->lent != NULL)
        mailsrv__lent_drop(c->lent);
}

/* ---- The reply ---- */

static bool say(struct imap *p, struct writer *w)
{
    bool said = mailsrv__say(&p->session, mailsrv__written(w));
    w->n = 0;
    return said;
}

static bool say_copyuid_begin(struct imap *p)
{
    char room[LINE_ROOM];
    struct writer w = mailsrv__imap_line(room);
    if (mailsrv__copy_of(p)->moves)
        mailsrv__write_char(&w, '*'); /* before the EXPUNGEs (RFC 6851 section 4.3) */
    else
        mailsrv__write(&w, p->command.tag);
    mailsrv__write(&w, SPAN(" OK [COPYUID "));
    mailsrv__write_u64(&w, mailsrv__copy_of(p)->copied->uidvalidity);
    mailsrv__write_char(&w, ' ');
    p->session.mid_reply = say(p, &w);
    return p->session.mid_reply;
}

static bool say_run(struct imap *p, mailsrv_run run, bool first)
{
    char room[LINE_ROOM];
    struct writer w = mailsrv__imap_line(room);
    if (!first)
        mailsrv__write_char(&w, ',');
    mailsrv__imap_write_run(&w, run);
    return say(p, &w);
}

static enum step end(struct imap *p)
{
    bool moves = mailsrv__copy_of(p)->moves;
    if (!mailsrv__say(&p->session, moves ? SPAN("] moved\r\n") : SPAN("] COPY completed\r\n")))
        return STEP_CLOSE;
    p->session.mid_reply = false;
    return moves ? mailsrv__imap_ok(p, SPAN("MOVE completed")) : mailsrv__imap_end(p);
}

/* Both sets are whole, however long they are, and pair by position (RFC 4315 section 3).  Next step of itself. */
static enum step say_runs(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct copy *c = mailsrv__copy_of(p);
    const mailsrv_run *runs = c->says_to ? c->copied->to : c->copied->from;
    uint32_t n = c->says_to ? c->copied->n_to : c->copied->n_from;
    for (; c->at < n; c->at++) {
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, say_runs);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, say_runs);
        mailsrv__spend(session, 1);
        if (!say_run(p, runs[c->at], c->at == 0))
            return STEP_CLOSE;
    }
    c->at = 0;
    if (c->says_to)
        return end(p);
    c->says_to = true;
    return mailsrv__say(session, SPAN(" ")) ? mailsrv__then_turn(session, say_runs) : STEP_CLOSE;
}

enum step mailsrv__copy_say_uids(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    mailsrv__copy_of(p)->at = 0;
    return say_copyuid_begin(p) ? say_runs(session) : STEP_CLOSE;
}

/* ---- Copying ---- */

static enum step copied(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct copy *c = mailsrv__copy_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_copied *value = answer->value;
    if (c->writes)
        mailsrv__view_wrote(&p->view, c->write, answer->status == MAILSRV_OK ? value->modseq : 0);
    if (c->moves)
        return mailsrv__move_copied(p);
    if (mailsrv__answer_is_done(session, 0)) /* whoever is told NO tries again, and has them twice */
        return mailsrv__imap_ok(p, SPAN("copied; for what their UIDs are there was no memory"));
    if (answer->status != MAILSRV_OK)
        return mailsrv__imap_refuse(p, answer->status, mailsrv__span(answer->text));
    if (value->n_from == 0 || value->n_to == 0)
        return mailsrv__imap_ok(p, SPAN("nothing was there to be copied"));
    c->lent = mailsrv__take_lent(session, 0);
    c->copied = value;
    return mailsrv__imap_tell(p, mailsrv__copy_say_uids);
}

/* All of them at once: it is all or nothing (RFC 9051 section 6.4.7).  UIDs that are not there are no error, so the set
 * need not be spelled out. */
enum step mailsrv__copy_ask(struct imap *p)
{
    struct copy *c = mailsrv__copy_of(p);
    size_t octets = c->set.n * sizeof *c->set.runs;
    bool at_once = mailsrv__move_is_at_once(p);
    int32_t kind = at_once ? MAILSRV_OP_MOVE : MAILSRV_OP_COPY;
    struct ask ask = { NULL, NULL };
    if (mailsrv__write_is_late(&p->session))
        return mailsrv__imap_refuse(p, MAILSRV_TEMP, (struct span){ NULL, 0 });
    if (mailsrv__reserve(&p->session, LINE_ROOM))
        ask = mailsrv__ask(&p->session, kind, octets);
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_copy *arg = ask.arg;
    mailsrv_run *runs = mailsrv__ask_room(&ask, octets);
    memcpy(runs, c->set.runs, octets);
    arg->mbox = p->mbox.value;
    arg->uids = runs;
    arg->n_uids = c->set.n;
    arg->to = c->to;
    arg->saved_us = mailsrv__unix_us(&p->session);
    arg->mailbox = p->mailbox;
    c->writes = at_once || memcmp(&c->to, &p->mailbox, sizeof c->to) == 0;
    if (c->writes)
        c->write = mailsrv__view_writes(&p->view);
    mailsrv__spend(&p->session, (uint32_t)(octets / 1024));
    return mailsrv__then_answers(&p->session, copied);
}

/* ---- From what is named to UIDs ---- */

static enum step name_uids(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct copy *c = mailsrv__copy_of(p);
    for (; c->at < c->set.n; c->at++) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, name_uids);
        if (p->view.lost)
            return mailsrv__imap_no_memory(p);
        mailsrv__spend(session, 2);
        mailsrv_run run = mailsrv__walk_uids(&p->view, c->set.runs[c->at], p->command.by_uid);
        if (run.first <= run.last)
            c->set.runs[c->n_uids++] = run;
    }
    c->set.n = c->n_uids;
    return c->n_uids == 0 ? mailsrv__imap_ok(p, SPAN("nothing was there to be copied")) : mailsrv__copy_ask(p);
}

/* ---- Messages that are gone ---- */

static bool names(const struct set *set, uint32_t first, uint32_t n)
{
    uint32_t low = 0, high = set->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->runs[middle].last < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n && set->runs[low].first < first + n;
}

/* By number one that is gone is no silence: nothing is copied, what has gone is told, and the client may look again
 * (RFC 2180 section 4.4.1).  UIDs of a run that has gone are neighbours, and so are their numbers. */
static enum step look_for_gone(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct copy *c = mailsrv__copy_of(p);
    mailsrv_run run;
    while (c->gone < p->view.max_uid && mailsrv__runs_next(&p->view.gone, c->gone + 1, &run)) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, look_for_gone);
        mailsrv__spend(session, 1);
        if (names(&c->set, mailsrv__view_number(&p->view, run.first), run.last - run.first + 1))
            return mailsrv__imap_expunge_issued(p);
        c->gone = run.last;
    }
    return name_uids(session);
}

static enum step found(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    if (answer->status != MAILSRV_OK)
        return mailsrv__imap_refuse(p, answer->status, mailsrv__span(answer->text));
    mailsrv__copy_of(p)->to = ((const mailsrv_mbox_status *)answer->value)->mailbox;
    return p->command.by_uid ? name_uids(session) : look_for_gone(session);
}

enum step mailsrv__imap_copy(struct imap *p)
{
    struct copy *c = mailsrv__copy_of(p);
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_MBOX_STATUS, mailsrv__ask_octets(c->name.n));
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_status *arg = ask.arg;
    arg->store = p->store.value;
    arg->name = mailsrv__ask_copy(&ask, c->name);
    return mailsrv__then_answers(&p->session, found);
}
