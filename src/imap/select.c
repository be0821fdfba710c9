/* SELECT, EXAMINE, CLOSE (RFC 9051 sections 6.3.2, 6.3.3, 6.4.1) and UNSELECT (RFC 3691).
 *
 * A session has a handle of its own: who is it that opened the mailbox for writing decides what is \Recent.  What it
 * sees is the view of an image that it shares. */
#include "imap/imap.h"

#include "imap/messages.h"

/* QRESYNC: what the client knows. */
struct resync {
    uint32_t uidvalidity;
    mailsrv_run all_uids;
    struct set numbers, uids; /* that belong together */
    struct set known;
    struct walk walk;
    struct vanished vanished;
};

struct select {
    struct span name;
    bool to_write, condstore;
    uint32_t uid;          /* the message before the next one that is looked at */
    struct resync *resync; /* NULL: it was not asked for */
};

/* ---- Leaving ---- */

static enum step left(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    return p->command.then(session);
}

static void close_view(struct imap *p)
{
    if (!mailsrv__imap_is_selected(p))
        return;
    if (p->can_write) /* who only looks takes no \Recent from anybody (RFC 3501 section 6.3.2) */
        mailsrv__handle_told(&p->mbox, p->view.max_uid);
    mailsrv__view_close(&p->view);
    p->state = IN_AUTHENTICATED;
    p->can_write = false;
}

enum step mailsrv__imap_unselect(struct imap *p, step_fn *then)
{
    close_view(p);
    if (p->mbox.closer == NULL)
        return then(&p->session);
    p->command.then = then;
    mailsrv__handle_ask_close(&p->session, &p->mbox);
    return mailsrv__then_answers(&p->session, left);
}

enum { HANDLES_MOST = 8 };

void mailsrv__imap_abandon(struct imap *p)
{
    struct handle *handles[HANDLES_MOST + 2];
    size_t n = 0;
    close_view(p);
    for (; n < p->command.n_handles && n < HANDLES_MOST; n++)
        handles[n] = &p->command.handles[n];
    handles[n++] = &p->mbox;
    handles[n++] = &p->store;
    mailsrv__handles_leave(&p->session, handles, n);
}

/* ---- The command ---- */

/* known-uids and known-sequence-set: sequence-set without "*" (RFC 7162 section 7). */
static bool parse_known(struct reader *r, struct set *out)
{
    struct span text = r->rest;
    if (!mailsrv__parse_sequence_set(r, 1, out))
        return false;
    bool has_star = memchr(text.p, '*', text.n - r->rest.n) != NULL;
    return !has_star || mailsrv__parse_fails(r, "a sequence set without *");
}

static uint64_t count(const struct set *set)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < set->n; i++)
        n += (uint64_t)set->runs[i].last - set->runs[i].first + 1;
    return n;
}

/* seq-match-data = "(" known-sequence-set SP known-uid-set ")" */
static bool parse_match(struct reader *r, struct select *select)
{
    if (!mailsrv__parse_char(r, '(') || !parse_known(r, &select->resync->numbers) || !mailsrv__parse_sp(r) ||
        !parse_known(r, &select->resync->uids) || !mailsrv__parse_char(r, ')'))
        return false;
    bool same = count(&select->resync->numbers) == count(&select->resync->uids);
    return same || mailsrv__parse_fails(r, "as many UIDs as numbers");
}

/* "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")" */
static bool parse_qresync(struct imap *p, struct reader *r, struct select *select)
{
    select->resync = mailsrv__imap_take(p, sizeof *select->resync);
    r->no_memory = select->resync == NULL;
    if (r->no_memory)
        return false;
    select->resync->all_uids = (mailsrv_run){ 1, UINT32_MAX };
    select->resync->known = (struct set){ &select->resync->all_uids, 1 };
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '(') ||
        !mailsrv__parse_nz_number(r, &select->resync->uidvalidity) ||
        !mailsrv__parse_sp(r) || !mailsrv__parse_modseq(r, &select->resync->vanished.since))
        return false;
    bool more = mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r);
    if (more && !mailsrv__parse_is(r, '(')) {
        if (!parse_known(r, &select->resync->known))
            return false;
        more = mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r);
    }
    return (!more || parse_match(r, select)) && mailsrv__parse_char(r, ')');
}

/* select-param.  QRESYNC must have been enabled (RFC 7162 section 3.2.5). */
static bool parse_param(struct imap *p, struct reader *r, struct select *select)
{
    if (mailsrv__parse_word(r, SPAN("CONDSTORE")) && mailsrv__enabled(&p->session, MAILSRV_EXT_CONDSTORE))
        return select->condstore = true;
    if (p->qresync && select->resync == NULL && mailsrv__parse_word(r, SPAN("QRESYNC")))
        return parse_qresync(p, r, select);
    return mailsrv__parse_fails(r, "CONDSTORE, or QRESYNC once it is enabled");
}

/* select-params = "(" select-param *(SP select-param) ")" (RFC 4466 section 2.1) */
static bool parse_params(struct imap *p, struct reader *r, struct select *select)
{
    if (!mailsrv__parse_is(r, ' '))
        return true;
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '(') || !parse_param(p, r, select))
        return false;
    while (mailsrv__parse_is(r, ' '))
        if (!mailsrv__parse_sp(r) || !parse_param(p, r, select))
            return false;
    return mailsrv__parse_char(r, ')');
}

/* select = "SELECT" SP mailbox [SP select-params] */
bool mailsrv__imap_parse_select(struct imap *p, struct reader *r)
{
    struct select *select = mailsrv__imap_own(p, r, sizeof *select);
    return select != NULL && mailsrv__parse_sp(r) && mailsrv__parse_mailbox(r, &select->name) &&
           parse_params(p, r, select);
}

void mailsrv__imap_select_fini(struct imap *p)
{
    struct select *select = p->command.own;
    if (select != NULL && select->resync != NULL)
        mailsrv__imap_vanished_fini(&select->resync->vanished);
}

/* Nothing is selected then (RFC 9051 section 6.3.2). */
static enum step refused(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    return mailsrv__imap_done(p, p->command.reply);
}

static enum step give_up(struct imap *p, int32_t status, struct span text)
{
    p->command.reply = mailsrv__imap_status_reply(p, status, text);
    return mailsrv__imap_unselect(p, refused);
}

/* ---- What is said of it ---- */

static enum step end_select(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct reply reply = { END_OK, SPAN("[READ-ONLY]"), SPAN("open to look") };
    if (p->can_write) {
        reply.code = SPAN("[READ-WRITE]");
        reply.text = SPAN("open");
    }
    return mailsrv__imap_done(p, reply);
}

/* ---- QRESYNC: what is new since (RFC 7162 section 3.2.5) ---- */

static bool say_changed(struct imap *p, const struct member *member)
{
    struct select *select = p->command.own;
    struct marks marks;
    if (!mailsrv__view_marks(&p->view, member->uid, &marks) || marks.modseq <= select->resync->vanished.since)
        return true;
    char room[96];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write(&w, SPAN("* "));
    mailsrv__write_u64(&w, member->number);
    mailsrv__write(&w, SPAN(" FETCH (UID "));
    mailsrv__write_u64(&w, member->uid);
    mailsrv__write(&w, SPAN(" FLAGS "));
    if (!mailsrv__say(&p->session, mailsrv__written(&w)) || !mailsrv__imap_say_flags(p, &marks, member->uid))
        return false;
    w.n = 0;
    mailsrv__write_char(&w, ' ');
    mailsrv__imap_write_modseq(&w, marks.modseq);
    mailsrv__write(&w, SPAN(")\r\n"));
    return mailsrv__say(&p->session, mailsrv__written(&w));
}

static enum step say_changes(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct select *select = p->command.own;
    enum walked walked = WALK_NOTHING;
    struct member member;
    while (walked != WALK_END) {
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, say_changes);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, say_changes);
        mailsrv__spend(session, 1);
        walked = mailsrv__walk_next(&select->resync->walk, &member);
        if (walked == WALK_MEMBER && !say_changed(p, &member))
            return STEP_CLOSE;
    }
    return end_select(session);
}

static enum step say_since(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct select *select = p->command.own;
    select->resync->vanished.known = &select->resync->known;
    mailsrv__walk_begin(&select->resync->walk, &p->view, &select->resync->known, true);
    return mailsrv__imap_say_vanished(p, &select->resync->vanished, say_changes);
}

/* The UIDs up to one that has still the number that the client knows are all there, for none has gone that was in front
 * of it: of those pairs the highest counts (RFC 7162 section 3.2.5.2). */
static void compare(struct imap *p, struct select *select, uint32_t number, uint32_t uid)
{
    if (mailsrv__view_number(&p->view, uid) == number)
        select->resync->vanished.match = uid;
}

static enum step match(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct select *select = p->command.own;
    while (select->resync->numbers.n != 0) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, match);
        mailsrv__spend(session, 2);
        mailsrv_run *numbers = select->resync->numbers.runs, *uids = select->resync->uids.runs;
        uint32_t a = numbers->last - numbers->first, b = uids->last - uids->first, least = a < b ? a : b;
        compare(p, select, numbers->first, uids->first);
        compare(p, select, numbers->first + least, uids->first + least);
        if (a == least)
            select->resync->numbers = (struct set){ numbers + 1, select->resync->numbers.n - 1 };
        else
            numbers->first += least + 1;
        if (b == least)
            select->resync->uids = (struct set){ uids + 1, select->resync->uids.n - 1 };
        else
            uids->first += least + 1;
    }
    return say_since(session);
}

static enum step say_rest(struct imap *p, uint32_t unseen)
{
    struct select *select = p->command.own;
    bool has_condstore = mailsrv__enabled(&p->session, MAILSRV_EXT_CONDSTORE);
    bool said = (unseen == 0 || mailsrv__imap_say_code(p, SPAN("UNSEEN"), unseen)) &&
                mailsrv__imap_say_code(p, SPAN("UIDVALIDITY"), mailsrv__view_uidvalidity(&p->view)) &&
                mailsrv__imap_say_code(p, SPAN("UIDNEXT"), mailsrv__view_uidnext(&p->view)) &&
                (!has_condstore || mailsrv__imap_say_highest(p));
    if (!said)
        return STEP_CLOSE;
    bool resyncs = select->resync != NULL && p->modseqs &&
                   select->resync->uidvalidity == mailsrv__view_uidvalidity(&p->view);
    return resyncs ? match(&p->session) : end_select(&p->session);
}

/* The number of the first message without \Seen (RFC 3501 section 6.3.1). */
static enum step find_unseen(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct select *select = p->command.own;
    struct marks marks;
    uint32_t uid;
    while (!p->view.lost && (uid = mailsrv__view_after(&p->view, select->uid)) != 0) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, find_unseen);
        mailsrv__spend(session, 1);
        if (mailsrv__view_marks(&p->view, uid, &marks) && (marks.flags & MAILSRV_FLAG_SEEN) == 0)
            return say_rest(p, mailsrv__view_number(&p->view, uid));
        select->uid = uid;
    }
    return say_rest(p, 0);
}

static enum step show(struct imap *p)
{
    const struct select *select = p->command.own;
    mailsrv__view_select(&p->view);
    p->state = IN_SELECTED;
    p->condstore = p->condstore || select->condstore;
    p->view.condstore = p->condstore && p->modseqs;
    p->view.qresync = p->qresync;
    if (!mailsrv__imap_say_names(p) || !mailsrv__imap_say_number(p, mailsrv__view_exists(&p->view), SPAN(" EXISTS")) ||
        !mailsrv__imap_say_recent(p))
        return STEP_CLOSE;
    return find_unseen(&p->session);
}

/* ---- Opening ---- */

/* Without all of these a mailbox is selected READ-ONLY (RFC 4314 section 5.2). */
enum {
    RIGHTS_TO_CHANGE =
        MAILSRV_RIGHT_SEEN | MAILSRV_RIGHT_WRITE | MAILSRV_RIGHT_INSERT | MAILSRV_RIGHT_DELETE | MAILSRV_RIGHT_EXPUNGE
};

static enum step loaded(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    int32_t status = mailsrv__view_status(&p->view);
    if (status == MAILSRV_MORE && !mailsrv__was_late(session))
        return mailsrv__imap_then_view(p, loaded);
    if (status != MAILSRV_OK)
        return give_up(p, status == MAILSRV_MORE ? MAILSRV_TEMP : status, (struct span){ NULL, 0 });
    return show(p);
}

static void wake(struct view *view)
{
    mailsrv__session_call(&HOLDER(view, struct imap, view)->session);
}

static enum step look(struct imap *p)
{
    int32_t status = mailsrv__view_open(&p->view, p->session.engine, &p->session.account, &p->mailbox, wake);
    return status == MAILSRV_OK ? loaded(&p->session) : give_up(p, status, (struct span){ NULL, 0 });
}

static enum step ask_open(mailsrv_session *session);

static enum step opened(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct select *select = p->command.own;
    int32_t status = mailsrv__imap_status(p);
    if (status == MAILSRV_NOPERM && select->to_write) { /* what may be looked at is selected READ-ONLY */
        select->to_write = false;
        return ask_open(session);
    }
    if (status != MAILSRV_OK)
        return give_up(p, status, mailsrv__imap_answer_text(p));
    const mailsrv_mbox_opened *answer = mailsrv__answer(session, 0)->value;
    mailsrv__handle_take(session, 0, answer->mbox, &p->mbox);
    p->mailbox = answer->mailbox;
    p->recent = answer->recent;
    p->rights = answer->rights;
    p->keywords = (answer->features & MAILSRV_MBOX_KEYWORDS) != 0;
    p->modseqs = (answer->features & MAILSRV_MBOX_NOMODSEQ) == 0;
    p->can_write = select->to_write && (answer->rights & RIGHTS_TO_CHANGE) != 0;
    return look(p);
}

static enum step ask_open(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const struct select *select = p->command.own;
    struct ask ask = mailsrv__ask(session, MAILSRV_OP_MBOX_OPEN, mailsrv__ask_octets(select->name.n));
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_open *arg = ask.arg;
    arg->for_writing = select->to_write;
    arg->store = p->store.value;
    arg->name = mailsrv__ask_copy(&ask, select->name);
    return mailsrv__then_answers(session, opened);
}

/* RFC 9051 section 7.1: CLOSED divides what belongs to the old mailbox from what belongs to the new one. */
static enum step select_name(struct imap *p, bool to_write)
{
    struct select *select = p->command.own;
    select->to_write = to_write && mailsrv__served(&p->session, MAILSRV_OP_FLAGS);
    if (!mailsrv__imap_is_selected(p))
        return ask_open(&p->session);
    if (!mailsrv__say(&p->session, SPAN("* OK [CLOSED] the mailbox before is closed\r\n")))
        return STEP_CLOSE;
    return mailsrv__imap_unselect(p, ask_open);
}

enum step mailsrv__imap_select(struct imap *p)
{
    return select_name(p, true);
}

enum step mailsrv__imap_examine(struct imap *p)
{
    return select_name(p, false);
}

/* ---- CLOSE ---- */

static enum step closed(mailsrv_session *session)
{
    return mailsrv__imap_ok(mailsrv__imap_of(session), SPAN("closed"));
}

static enum step expunged(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    int32_t status = mailsrv__imap_expunge_status(p);
    return status == MAILSRV_OK ? mailsrv__imap_unselect(p, closed) : give_up(p, status, (struct span){ NULL, 0 });
}

/* What is marked as \Deleted is removed, silently, unless the mailbox is open to look only. */
enum step mailsrv__imap_close(struct imap *p)
{
    bool removes = p->can_write && mailsrv__served(&p->session, MAILSRV_OP_EXPUNGE);
    return removes ? mailsrv__imap_expunge_all(p, expunged) : mailsrv__imap_unselect(p, closed);
}

/* ---- UNSELECT: nothing is removed ---- */

enum step mailsrv__imap_unselect_only(struct imap *p)
{
    return mailsrv__imap_unselect(p, closed);
}
