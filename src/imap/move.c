/* MOVE (RFC 6851).  A store that serves it does it at once.  Else what is named is copied, and just what was copied is
 * expunged, \Deleted or not (section 3.3); where that fails the copies of what is still there are expunged again. */
#include "imap/copy.h"

static bool can_in_steps(const struct imap *p)
{
    return mailsrv__served(&p->session, MAILSRV_OP_COPY) && mailsrv__served(&p->session, MAILSRV_OP_EXPUNGE);
}

bool mailsrv__imap_can_move(const struct imap *p)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_MOVE) &&
           (can_in_steps(p) || mailsrv__served(&p->session, MAILSRV_OP_MOVE));
}

bool mailsrv__move_is_at_once(const struct imap *p)
{
    const struct copy *c = mailsrv__copy_of(p);
    return c->moves && !c->in_steps && mailsrv__served(&p->session, MAILSRV_OP_MOVE);
}

/* ---- UIDs of an answer, so many as one operation takes ---- */

static bool gather(struct uids *uids, const mailsrv_run *runs, uint32_t n, struct place *at, uint32_t most)
{
    uids->n_runs = uids->n_uids = 0;
    while (at->run < n && uids->n_uids < most) {
        uint32_t uid = at->uid == 0 ? runs[at->run].first : at->uid;
        if (!mailsrv__uids_add(uids, uid))
            break;
        at->uid = uid + 1;
        if (uid == runs[at->run].last)
            *at = (struct place){ at->run + 1, 0 };
    }
    return uids->n_uids != 0;
}

static struct ask ask_expunge(struct imap *p, uint64_t mbox, const mailsrv_id *mailbox)
{
    const struct copy *c = mailsrv__copy_of(p);
    struct ask ask = { NULL, NULL };
    if (mailsrv__write_is_late(&p->session))
        return ask;
    ask = mailsrv__ask(&p->session, MAILSRV_OP_EXPUNGE, mailsrv__uids_octets(&c->uids));
    if (ask.op == NULL)
        return ask;
    mailsrv_arg_expunge *arg = ask.arg;
    arg->mbox = mbox;
    arg->uids = mailsrv__uids_copy(&c->uids, &ask);
    arg->n_uids = c->uids.n_runs;
    arg->mailbox = *mailbox;
    mailsrv__spend(&p->session, c->uids.n_uids / 64);
    return ask;
}

/* ---- Undoing ---- */

/* What was moved before the failure stays so; it is told as EXPUNGEs. */
static enum step undone(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    return mailsrv__failure_end(p, &mailsrv__copy_of(p)->failure);
}

static enum step close_target(struct imap *p)
{
    struct copy *c = mailsrv__copy_of(p);
    p->command.n_handles = 0;
    mailsrv__handle_ask_close(&p->session, &c->target);
    return mailsrv__then_answers(&p->session, undone);
}

static enum step undo_more(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct copy *c = mailsrv__copy_of(p);
    if (!gather(&c->uids, c->copied->to, c->copied->n_to, &c->back, UIDS_MAX))
        return close_target(p);
    struct ask ask = ask_expunge(p, c->target.value, &c->to);
    return ask.op == NULL ? close_target(p) : mailsrv__then_answers(session, undo_more);
}

static enum step target_opened(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct copy *c = mailsrv__copy_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    if (answer->status != MAILSRV_OK)
        return undone(session);
    mailsrv__handle_take(session, 0, ((const mailsrv_mbox_opened *)answer->value)->mbox, &c->target);
    p->command.handles = &c->target;
    p->command.n_handles = 1;
    return undo_more(session);
}

static enum step open_target(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const struct copy *c = mailsrv__copy_of(p);
    struct ask ask = { NULL, NULL };
    if (!mailsrv__write_is_late(&p->session))
        ask = mailsrv__ask(&p->session, MAILSRV_OP_MBOX_OPEN, 0);
    if (ask.op == NULL)
        return undone(&p->session);
    mailsrv_arg_mbox_open *arg = ask.arg;
    arg->for_writing = 1;
    arg->store = p->store.value;
    arg->mailbox = c->to;
    return mailsrv__then_answers(&p->session, target_opened);
}

/* In a step of its own: where there was no memory to ask, this one has that for its answer. */
static enum step undo(struct imap *p, int32_t status, struct span text)
{
    mailsrv__failure_keep(&mailsrv__copy_of(p)->failure, status, text);
    return mailsrv__then_turn(&p->session, open_target);
}

/* ---- Expunging what was copied ---- */

static enum step expunge_more(mailsrv_session *session);

static enum step expunged(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct copy *c = mailsrv__copy_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_expunged *value = answer->value;
    mailsrv__view_wrote(&p->view, c->write, answer->status == MAILSRV_OK ? value->modseq : 0);
    if (answer->status != MAILSRV_OK)
        return undo(p, answer->status, mailsrv__span(answer->text));
    p->command.ends_highest = p->command.ends_highest || value->modseq != 0;
    struct place at = c->back; /* as many copies are there to stay */
    for (uint32_t left = c->uids.n_uids; left != 0;) {
        gather(&c->uids, c->copied->to, c->copied->n_to, &at, left);
        left -= c->uids.n_uids;
    }
    c->back = at;
    return expunge_more(session);
}

static enum step expunge_more(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct copy *c = mailsrv__copy_of(p);
    if (!gather(&c->uids, c->copied->from, c->copied->n_from, &c->from, UIDS_MAX))
        return mailsrv__copy_say_uids(session);
    struct ask ask = ask_expunge(p, p->mbox.value, &p->mailbox);
    if (ask.op == NULL)
        return undo(p, mailsrv__write_is_late(session) ? MAILSRV_TEMP : MAILSRV_NOMEM, (struct span){ NULL, 0 });
    c->write = mailsrv__view_writes(&p->view);
    return mailsrv__then_answers(session, expunged);
}

/* ---- The answer ---- */

/* Which UIDs the copies have is not known, for want of memory: moved at once that is all there is to say; else nothing
 * can be expunged, and the copies stay. */
static enum step not_known(struct imap *p, bool at_once)
{
    p->command.syncs = true;
    if (at_once)
        return mailsrv__imap_ok(p, SPAN("moved; for what their UIDs are there was no memory"));
    return mailsrv__imap_refuse(p, MAILSRV_NOMEM, SPAN("copied, and not removed"));
}

enum step mailsrv__move_copied(struct imap *p)
{
    struct copy *c = mailsrv__copy_of(p);
    bool at_once = mailsrv__move_is_at_once(p);
    const mailsrv_answer *answer = mailsrv__answer(&p->session, 0);
    const mailsrv_copied *value = answer->value;
    if (mailsrv__answer_is_done(&p->session, 0))
        return not_known(p, at_once);
    c->in_steps = at_once && answer->status == MAILSRV_CANNOT && can_in_steps(p);
    if (at_once && c->in_steps) {
        mailsrv__unreserve(&p->session);
        return mailsrv__copy_ask(p);
    }
    c->in_steps = !at_once;
    if (answer->status != MAILSRV_OK)
        return mailsrv__imap_refuse(p, answer->status, mailsrv__span(answer->text));
    if (value->n_from == 0 || value->n_to == 0)
        return mailsrv__imap_ok(p, SPAN("nothing was there to be moved"));
    c->lent = mailsrv__take_lent(&p->session, 0);
    c->copied = value;
    p->command.ends_highest = at_once;
    return at_once ? mailsrv__copy_say_uids(&p->session) : expunge_more(&p->session);
}

/* RFC 6851 section 4.1, RFC 4314 section 4: who moves removes. */
enum { RIGHTS_TO_MOVE = MAILSRV_RIGHT_DELETE | MAILSRV_RIGHT_EXPUNGE };

enum step mailsrv__imap_move(struct imap *p)
{
    if (!mailsrv__imap_can_move(p))
        return mailsrv__imap_refuse(p, MAILSRV_CANNOT, (struct span){ NULL, 0 });
    if ((p->rights & RIGHTS_TO_MOVE) != RIGHTS_TO_MOVE)
        return mailsrv__imap_refuse(p, MAILSRV_NOPERM, (struct span){ NULL, 0 });
    mailsrv__copy_of(p)->moves = true;
    return mailsrv__imap_copy(p);
}
