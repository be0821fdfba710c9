/* EXPUNGE (RFC 9051 section 6.4.3), UID EXPUNGE (section 6.4.9), and what CLOSE removes (section 6.4.1). */
#include "imap/messages.h"

struct expunge {
    struct set set;  /* of UIDs */
    mailsrv_run all; /* the set, where none is named */
    struct walk walk;
    struct uids uids;
    bool ended;       /* the walk */
    uint32_t put_off; /* a UID that did not fit; 0: none */
    uint32_t write;   /* of the view */
    struct failure failure;
    step_fn *then;
};

static struct expunge *expunge_of(struct imap *p)
{
    return p->command.own;
}

static void name_all(struct expunge *x)
{
    x->all = (mailsrv_run){ 1, UINT32_MAX };
    x->set = (struct set){ &x->all, 1 };
}

bool mailsrv__imap_parse_expunge(struct imap *p, struct reader *r)
{
    struct expunge *x = mailsrv__imap_own(p, r, sizeof *x);
    if (x == NULL)
        return false;
    name_all(x);
    return !p->command.by_uid || (mailsrv__parse_sp(r) && mailsrv__imap_parse_set(p, r, &x->set));
}

int32_t mailsrv__imap_expunge_status(const struct imap *p)
{
    return ((const struct expunge *)p->command.own)->failure.status;
}

/* ---- */

static enum step collect(mailsrv_session *session);

static enum step fail(struct imap *p, int32_t status, struct span text)
{
    struct expunge *x = expunge_of(p);
    mailsrv__failure_keep(&x->failure, status, text);
    return x->then(&p->session);
}

static enum step expunged(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct expunge *x = expunge_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_expunged *value = answer->value;
    mailsrv__view_wrote(&p->view, x->write, answer->status == MAILSRV_OK ? value->modseq : 0);
    if (answer->status != MAILSRV_OK)
        return fail(p, answer->status, mailsrv__span(answer->text));
    p->command.ends_highest = p->command.ends_highest || value->modseq != 0;
    x->uids.n_runs = x->uids.n_uids = 0;
    return collect(session);
}

/* `only_deleted`: a session elsewhere may have taken the mark away meanwhile, and the store knows. */
static enum step ask_expunge(struct imap *p)
{
    struct expunge *x = expunge_of(p);
    if (mailsrv__write_is_late(&p->session))
        return fail(p, MAILSRV_TEMP, (struct span){ NULL, 0 });
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_EXPUNGE, mailsrv__uids_octets(&x->uids));
    if (ask.op == NULL)
        return fail(p, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    mailsrv_arg_expunge *arg = ask.arg;
    arg->only_deleted = 1;
    arg->mbox = p->mbox.value;
    arg->uids = mailsrv__uids_copy(&x->uids, &ask);
    arg->n_uids = x->uids.n_runs;
    arg->mailbox = p->mailbox;
    x->write = mailsrv__view_writes(&p->view);
    return mailsrv__then_answers(&p->session, expunged);
}

static bool is_deleted(const struct imap *p, const struct member *member)
{
    struct marks marks;
    return mailsrv__view_marks(&p->view, member->uid, &marks) && (marks.flags & MAILSRV_FLAG_DELETED) != 0;
}

/* Gathers the UIDs of the next operation. */
static enum step collect(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct expunge *x = expunge_of(p);
    struct member member;
    if (x->put_off != 0)
        mailsrv__uids_add(&x->uids, x->put_off);
    x->put_off = 0;
    while (!x->ended && x->put_off == 0) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, collect);
        mailsrv__spend(session, 1);
        enum walked walked = mailsrv__walk_next(&x->walk, &member);
        x->ended = walked == WALK_END;
        if (walked == WALK_MEMBER && is_deleted(p, &member) && !mailsrv__uids_add(&x->uids, member.uid))
            x->put_off = member.uid;
    }
    if (p->view.lost) /* the walk was cut short */
        return fail(p, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    return x->uids.n_uids != 0 ? ask_expunge(p) : x->then(session);
}

/* What was marked elsewhere, before this command, counts as well. */
static enum step synced(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct expunge *x = expunge_of(p);
    if (mailsrv__imap_view_ended(p))
        return STEP_CLOSE;
    if (!mailsrv__view_synced(&p->view) && !mailsrv__was_late(session))
        return mailsrv__imap_then_view(p, synced);
    if (!mailsrv__view_synced(&p->view))
        return fail(p, MAILSRV_TEMP, (struct span){ NULL, 0 });
    if (mailsrv__view_round(&p->view) != MAILSRV_OK)
        return fail(p, mailsrv__view_round(&p->view), (struct span){ NULL, 0 });
    mailsrv__walk_begin(&x->walk, &p->view, &x->set, true);
    return collect(session);
}

static enum step begin(struct imap *p, step_fn *then)
{
    expunge_of(p)->then = then;
    mailsrv__view_sync(&p->view);
    return mailsrv__imap_then_view(p, synced);
}

static enum step finish(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const struct expunge *x = expunge_of(p);
    if (x->failure.status != MAILSRV_OK)
        return mailsrv__failure_end(p, &x->failure);
    return mailsrv__imap_ok(p, SPAN("EXPUNGE completed"));
}

enum step mailsrv__imap_expunge(struct imap *p)
{
    return begin(p, finish);
}

enum step mailsrv__imap_expunge_all(struct imap *p, step_fn *then)
{
    struct expunge *x = mailsrv__imap_take(p, sizeof *x);
    if (x == NULL)
        return mailsrv__imap_no_memory(p);
    name_all(x);
    p->command.own = x;
    return begin(p, then);
}
