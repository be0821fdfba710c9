/* What is deleted, and when: marked by DELE, removed by QUIT, and by nothing else (RFC 1939 section 6). */
#include "pop3/pop3.h"

enum {
    UIDS_MAX = 4096, /* of one EXPUNGE */
    RUNS_MAX = 512   /* of one EXPUNGE: where marked and kept messages alternate it is asked more often */
};

enum step mailsrv__pop3_noop(struct pop3 *p, const struct args *a)
{
    (void)a;
    return mailsrv__pop3_reply(p, SPAN("+OK\r\n"));
}

enum step mailsrv__pop3_dele(struct pop3 *p, const struct args *a)
{
    uint32_t index;
    struct drop_row *row = mailsrv__pop3_message(p, a->v[0], &index);
    if (row == NULL)
        return mailsrv__pop3_refuse(p, MAILSRV_GONE, (struct span){ 0 });
    mailsrv__drop_mark(&p->drop, row);
    return mailsrv__pop3_reply(p, SPAN("+OK message deleted\r\n"));
}

/* ---- RSET ---- */

static enum step unmark_more(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    for (; p->at < p->drop.n; p->at++) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, unmark_more);
        mailsrv__spend(session, 1);
        mailsrv__drop_at(&p->drop, p->at)->marked = 0;
    }
    p->drop.n_marked = 0;
    p->drop.octets_marked = 0;
    return mailsrv__pop3_reply(p, SPAN("+OK\r\n"));
}

enum step mailsrv__pop3_rset(struct pop3 *p, const struct args *a)
{
    (void)a;
    p->at = p->drop.n_marked == 0 ? p->drop.n : 0;
    return unmark_more(&p->session);
}

/* ---- QUIT ---- */

void mailsrv__pop3_doomed_fini(struct pop3 *p)
{
    mailsrv__session_give(&p->session, p->doomed.runs, p->doomed.room * sizeof *p->doomed.runs);
    p->doomed = (struct doomed){ 0 };
}

static enum step say_goodbye(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    int32_t status = p->refusal.status;
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, status == MAILSRV_OK ? SPAN("+OK bye") : SPAN("-ERR "));
    if (status != MAILSRV_OK) {
        mailsrv__write(&line, mailsrv__pop3_code(status));
        mailsrv__write(&line, SPAN(" some deleted messages not removed")); /* RFC 1939 section 6 */
    }
    mailsrv__pop3_say(p, &line);
    return STEP_CLOSE;
}

static enum step leave(struct pop3 *p, int32_t status)
{
    p->refusal.status = status;
    mailsrv__pop3_doomed_fini(p);
    return mailsrv__pop3_give_back(p, say_goodbye);
}

/* False: it belongs to the next operation. */
static bool doom(struct doomed *d, uint32_t uid)
{
    if (d->n_uids == UIDS_MAX)
        return false;
    if (d->n_runs != 0 && d->runs[d->n_runs - 1].last == uid - 1) {
        d->runs[d->n_runs - 1].last = uid;
    } else {
        if (d->n_runs == d->room)
            return false;
        d->runs[d->n_runs++] = (mailsrv_run){ uid, uid };
    }
    d->n_uids++;
    return true;
}

static enum step collect(mailsrv_session *session);

static enum step expunged(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    int32_t status = mailsrv__pop3_status(p);
    if (status != MAILSRV_OK) /* UIDs that somebody else has removed are no failure: the store answers OK */
        return leave(p, status);
    p->doomed.n_runs = p->doomed.n_uids = 0;
    return collect(session);
}

static enum step expunge(struct pop3 *p)
{
    struct doomed *d = &p->doomed;
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_EXPUNGE, d->n_runs * sizeof *d->runs);
    if (ask.op == NULL)
        return leave(p, MAILSRV_NOMEM);
    mailsrv_arg_expunge *arg = ask.arg;
    mailsrv_run *runs = mailsrv__ask_room(&ask, d->n_runs * sizeof *runs);
    memcpy(runs, d->runs, d->n_runs * sizeof *runs);
    arg->mbox = p->mbox.value;
    arg->uids = runs;
    arg->n_uids = d->n_runs;
    return mailsrv__then_answers(&p->session, expunged);
}

/* Gathers marked UIDs for the next operation; at the end there are none. */
static enum step collect(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    for (; p->at < p->drop.n; p->at++) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, collect);
        mailsrv__spend(session, 1);
        const struct drop_row *row = mailsrv__drop_at(&p->drop, p->at);
        if (row->marked && !doom(&p->doomed, row->uid))
            break;
    }
    if (p->doomed.n_runs != 0)
        return expunge(p);
    return leave(p, MAILSRV_OK);
}

/* Room for the reply is kept before anything is removed: +OK can then be said. */
enum step mailsrv__pop3_quit(struct pop3 *p, const struct args *a)
{
    (void)a;
    struct doomed *d = &p->doomed;
    if (p->drop.n_marked == 0)
        return leave(p, MAILSRV_OK);
    d->room = p->drop.n_marked < RUNS_MAX ? p->drop.n_marked : RUNS_MAX;
    d->runs = mailsrv__session_take(&p->session, d->room * sizeof *d->runs);
    if (d->runs == NULL)
        d->room = 0;
    if (d->runs == NULL || !mailsrv__reserve(&p->session, LINE_ROOM))
        return leave(p, MAILSRV_NOMEM);
    p->at = 0;
    return collect(&p->session);
}
