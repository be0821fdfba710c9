/* FETCH (RFC 9051 section 6.4.5): page by page, of each page first the rows, as far as they are needed, then message
 * by message. */
#include "imap/fetch.h"

#include "text/imap_date.h"

/* For what has vanished "*" is no message that there is: the last one may be what is gone (RFC 7162 section 3.2.6). */
static bool take_vanished(struct imap *p, struct reader *r, struct fetch *f)
{
    struct reader again = { .rest = f->set_text, .arena = r->arena };
    f->vanished = mailsrv__imap_take(p, sizeof *f->vanished);
    r->no_memory = f->vanished == NULL || !mailsrv__parse_sequence_set(&again, UINT32_MAX, &f->known);
    return !r->no_memory;
}

/* "CHANGEDSINCE" SP mod-sequence-value / "VANISHED" (RFC 7162 section 7).  0 is no mod-sequence-value, but phones send
 * it for a mailbox that had none before: whatever there is has changed since. */
static bool parse_modifier(struct imap *p, struct reader *r, struct fetch *f, bool *has_since)
{
    if (mailsrv__parse_word(r, SPAN("CHANGEDSINCE"))) {
        *has_since = true;
        return mailsrv__parse_sp(r) && mailsrv__parse_number64(r, &f->since);
    }
    bool can_vanish = p->qresync && p->command.by_uid && f->vanished == NULL;
    if (!can_vanish || !mailsrv__parse_word(r, SPAN("VANISHED")))
        return mailsrv__parse_fails(r, "CHANGEDSINCE, or in UID FETCH VANISHED once QRESYNC is enabled");
    return take_vanished(p, r, f);
}

/* fetch-modifiers = "(" fetch-modifier *(SP fetch-modifier) ")"; VANISHED needs CHANGEDSINCE. */
static bool parse_modifiers(struct imap *p, struct reader *r, struct fetch *f)
{
    if (!mailsrv__enabled(&p->session, MAILSRV_EXT_CONDSTORE) || !mailsrv__parse_is(r, ' '))
        return true;
    bool has_since = false;
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '(') || !parse_modifier(p, r, f, &has_since))
        return false;
    while (mailsrv__parse_is(r, ' '))
        if (!mailsrv__parse_sp(r) || !parse_modifier(p, r, f, &has_since))
            return false;
    if (!has_since)
        return mailsrv__parse_fails(r, "CHANGEDSINCE");
    return mailsrv__fetch_add_modseq(r, &f->atts) && mailsrv__parse_char(r, ')');
}

static bool has_modseqs(const struct imap *p, const struct fetch *f)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_CONDSTORE) || !mailsrv__fetch_has(&f->atts, ATT_MODSEQ);
}

/* fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
 *         [SP fetch-modifiers] */
bool mailsrv__imap_parse_fetch(struct imap *p, struct reader *r)
{
    struct fetch *f = mailsrv__imap_own(p, r, sizeof *f);
    if (f == NULL || !mailsrv__parse_sp(r))
        return false;
    f->set_text = r->rest;
    if (!mailsrv__imap_parse_set(p, r, &f->set) || !mailsrv__parse_sp(r) ||
        !mailsrv__parse_fetch_atts(r, &f->atts) || !parse_modifiers(p, r, f))
        return false;
    if (!has_modseqs(p, f))
        return mailsrv__parse_fails(r, "something to fetch");
    if (p->command.by_uid && !mailsrv__fetch_add_uid(r, &f->atts))
        return false;
    bool shaped = mailsrv__fetch_has(&f->atts, ATT_ENVELOPE) || mailsrv__fetch_has(&f->atts, ATT_STRUCTURE) ||
                  mailsrv__fetch_has(&f->atts, ATT_BODYSTRUCTURE);
    if (shaped)
        f->shape = mailsrv__imap_take(p, sizeof *f->shape);
    r->no_memory = r->no_memory || (shaped && f->shape == NULL);
    return !r->no_memory;
}

/* ---- \Seen ---- */

static bool sets_seen(const struct imap *p, const struct fetch *f)
{
    return f->atts.sets_seen && p->can_write && (p->rights & MAILSRV_RIGHT_SEEN) != 0 &&
           mailsrv__served(&p->session, MAILSRV_OP_FLAGS);
}

/* Of the whole page, whatever the store has answered of it by now: how many writes there are is not for its answers to
 * say. */
static void gather_unseen(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    f->uids.n_runs = f->uids.n_uids = 0;
    f->seen_at = 0;
    for (uint32_t i = 0; i < f->n_page && sets_seen(p, f); i++) {
        struct message *m = &f->page[i];
        struct marks marks;
        bool has_gone = i < f->n_rows && !m->there;
        if (has_gone || !mailsrv__view_marks(&p->view, m->uid, &marks))
            continue;
        m->unseen = (marks.flags & MAILSRV_FLAG_SEEN) == 0;
        if (m->unseen)
            mailsrv__uids_add(&f->uids, m->uid);
    }
}

void mailsrv__fetch_ask_seen(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    if (f->uids.n_uids == 0)
        return;
    struct ask ask = { NULL, NULL };
    bool late = mailsrv__write_is_late(&p->session);
    if (!late)
        ask = mailsrv__ask(&p->session, MAILSRV_OP_FLAGS, mailsrv__uids_octets(&f->uids));
    if (late)
        mailsrv__failure_keep(&f->seen_failure, MAILSRV_TEMP, (struct span){ NULL, 0 });
    f->flags_asked = !late;
    if (ask.op != NULL) {
        mailsrv_arg_flags *arg = ask.arg;
        arg->how = MAILSRV_FLAGS_ADD;
        arg->mbox = p->mbox.value;
        arg->uids = mailsrv__uids_copy(&f->uids, &ask);
        arg->n_uids = f->uids.n_runs;
        arg->flags = MAILSRV_FLAG_SEEN;
        arg->unchanged_since = UINT64_MAX;
        arg->mailbox = p->mailbox;
    }
    if (f->flags_asked)
        f->write = mailsrv__view_writes(&p->view);
    f->uids.n_runs = f->uids.n_uids = 0;
}

void mailsrv__fetch_seen_answered(struct imap *p, unsigned i)
{
    struct fetch *f = mailsrv__fetch_of(p);
    if (!f->flags_asked)
        return;
    const mailsrv_answer *answer = mailsrv__answer(&p->session, i);
    const mailsrv_flagged *flagged = answer->value;
    f->flags_asked = false;
    mailsrv__view_wrote(&p->view, f->write, answer->status == MAILSRV_OK ? flagged->modseq : 0);
    mailsrv__failure_keep(&f->seen_failure, answer->status, mailsrv__span(answer->text));
    if (answer->status == MAILSRV_OK) /* without a modseq they were \Seen before, which the image has not heard of */
        f->seen_at = flagged->modseq != 0 ? flagged->modseq : UINT64_MAX;
}

static enum step seen_answered(mailsrv_session *session)
{
    mailsrv__fetch_seen_answered(mailsrv__imap_of(session), 0);
    return mailsrv__fetch_go_on(session);
}

/* ---- The response of a message ---- */

static bool write_begin(struct pen *pen, uint32_t number)
{
    pen->mid_reply = true;
    return mailsrv__pen_write(pen, SPAN("* ")) && mailsrv__pen_u64(pen, number) &&
           mailsrv__pen_write(pen, SPAN(" FETCH ("));
}

/* Without its end a word of parting would stand within the response. */
static bool write_end(struct pen *pen)
{
    bool written = mailsrv__pen_write(pen, SPAN(")\r\n"));
    pen->mid_reply = !written;
    return written;
}

int32_t mailsrv__fetch_say_next(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    const struct message *m = &f->page[f->now];
    if (f->sending.begun)
        return mailsrv__pen_write(&f->pen, SPAN(" ")) ? MAILSRV_OK : MAILSRV_NOMEM;
    if (p->view.lost || mailsrv__view_is_gone(&p->view, m->uid)) {
        f->gone = f->sending.failed = true;
        return MAILSRV_GONE;
    }
    f->sending.begun = true;
    return write_begin(&f->pen, m->number) ? MAILSRV_OK : MAILSRV_NOMEM;
}

/* \Seen that this command sets is among them (RFC 3501 section 6.4.5), whether the image has it already or not.  Flags
 * of a message that goes while its response is said are not known any more. */
static bool write_flags(struct imap *p, const struct message *m)
{
    struct fetch *f = mailsrv__fetch_of(p);
    struct marks marks = { 0 };
    bool is_there = mailsrv__imap_told_marks(p, m->uid, &marks);
    if (is_there && m->unseen && marks.modseq < f->seen_at)
        marks.flags |= MAILSRV_FLAG_SEEN;
    return mailsrv__pen_write(&f->pen, SPAN("FLAGS ")) && mailsrv__imap_write_flags(p, &f->pen, &marks, m->uid);
}

static bool write_date(struct pen *pen, int64_t unix_us)
{
    char room[32];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_imap_date_time(&w, unix_us);
    return mailsrv__pen_write(pen, SPAN("INTERNALDATE ")) && mailsrv__pen_write(pen, mailsrv__written(&w));
}

static bool write_plain(struct imap *p, enum att_kind kind)
{
    struct fetch *f = mailsrv__fetch_of(p);
    const struct message *m = &f->page[f->now];
    struct pen *pen = &f->pen;
    switch (kind) {
    case ATT_FLAGS:
        return write_flags(p, m);
    case ATT_UID:
        return mailsrv__pen_write(pen, SPAN("UID ")) && mailsrv__pen_u64(pen, m->uid);
    case ATT_SIZE:
        return mailsrv__pen_write(pen, SPAN("RFC822.SIZE ")) && mailsrv__pen_u64(pen, m->octets);
    case ATT_MODSEQ:
        return mailsrv__pen_write(pen, SPAN("MODSEQ (")) && mailsrv__pen_u64(pen, m->modseq) &&
               mailsrv__pen_write(pen, SPAN(")"));
    default:
        return write_date(pen, m->internal_us);
    }
}

static enum step send_item(struct imap *p, const struct att *att)
{
    if (att->kind == ATT_BODY)
        return mailsrv__fetch_send(p, att);
    if (att->kind >= ATT_ENVELOPE)
        return mailsrv__fetch_shape(p, att->kind);
    int32_t status = mailsrv__fetch_say_next(p);
    if (status == MAILSRV_GONE)
        return STEP_NEXT;
    return status == MAILSRV_OK && write_plain(p, att->kind) ? STEP_NEXT : STEP_CLOSE;
}

static void forget_item(struct sending *s)
{
    s->resolved = s->announced = s->missing = s->counting = s->counted = false;
    s->count = 0;
}

static enum step send_items(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    struct sending *s = &f->sending;
    const struct att *first = mailsrv__fetch_first_body(&f->atts);
    if (!s->ready && f->atts.structured) {
        enum step step = mailsrv__fetch_structure(p);
        if (step != STEP_NEXT)
            return step;
    }
    if (!s->ready && !s->failed && first != NULL) {
        enum step step = mailsrv__fetch_prepare(p, first);
        if (step != STEP_NEXT)
            return step;
        forget_item(s);
    }
    s->ready = true;
    if (mailsrv__fetch_has(&f->atts, ATT_FLAGS)) /* they are \Seen before they are said, if no READ was asked for */
        mailsrv__fetch_ask_seen(p);
    if (f->flags_asked)
        return mailsrv__then_answers(&p->session, seen_answered);
    while (!s->failed && s->item < f->atts.n) {
        enum step step = send_item(p, &f->atts.v[s->item]);
        if (step != STEP_NEXT)
            return step;
        forget_item(s);
        s->item++;
    }
    return !s->begun || write_end(&f->pen) ? STEP_NEXT : STEP_CLOSE;
}

/* ---- The end ---- */

static enum step finish(struct imap *p)
{
    const struct fetch *f = mailsrv__fetch_of(p);
    if (f->failure.status != MAILSRV_OK)
        return mailsrv__failure_end(p, &f->failure);
    if (f->seen_failure.status != MAILSRV_OK)
        return mailsrv__failure_end(p, &f->seen_failure);
    if (f->gone && !p->command.by_uid)
        return mailsrv__imap_expunge_issued(p);
    return mailsrv__imap_ok(p, SPAN("FETCH completed"));
}

/* Messages that are damaged are left out; all else ends it. */
static bool goes_on(const struct fetch *f)
{
    return f->failure.status == MAILSRV_OK || f->failure.status == MAILSRV_CORRUPT;
}

static void drop_rows(struct fetch *f)
{
    if (f->rows != NULL)
        mailsrv__lent_drop(f->rows);
    f->rows = NULL;
}

void mailsrv__imap_fetch_fini(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    if (f == NULL)
        return;
    if (f->vanished != NULL)
        mailsrv__imap_vanished_fini(f->vanished);
    drop_rows(f);
    mailsrv__fetch_drop_scanner(p);
    if (f->shape != NULL)
        mailsrv__shape_fini(p);
    for (uint32_t i = 0; i < LANES; i++)
        if (f->lanes[i].used)
            mailsrv__fetch_drop_lane(p, f->lanes[i].message);
}

/* ---- Pages ---- */

static enum step collect(mailsrv_session *session);
static enum step ask_rows(struct imap *p);
static enum step begin_next(struct imap *p);

static enum step end_page(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    mailsrv__fetch_ask_seen(p); /* no octet of the page had to be read */
    if (f->flags_asked)
        return mailsrv__then_answers(&p->session, seen_answered);
    drop_rows(f);
    if (f->now < f->n_page)
        return ask_rows(p);
    if (f->n_ahead != 0)
        return begin_next(p);
    f->n_page = f->n_rows = f->now = 0;
    return goes_on(f) ? collect(&p->session) : finish(p);
}

/* The message whose turn it is: all of it, or none if it is not there any more. */
static enum step send_message(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    if (!f->page[f->now].there) {
        f->gone = true;
        return STEP_NEXT;
    }
    return send_items(p);
}

/* The messages of the page that have not been sent, and whose rows came. */
static enum step send_page(struct imap *p)
{
    mailsrv_session *session = &p->session;
    struct fetch *f = mailsrv__fetch_of(p);
    while (f->now < f->n_rows) {
        if (!f->sending.begun && !mailsrv__window_open(session))
            return mailsrv__then_window(session, mailsrv__fetch_go_on);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, mailsrv__fetch_go_on);
        mailsrv__spend(session, 1);
        enum step step = send_message(p);
        if (step != STEP_NEXT)
            return step;
        mailsrv__fetch_drop_lane(p, f->now);
        mailsrv__fetch_drop_scanner(p);
        f->sending = (struct sending){ 0 };
        f->now++;
        if (!goes_on(f))
            f->n_page = f->n_rows = f->now;
    }
    return STEP_NEXT;
}

/* What was written is said before anybody else says something. */
enum step mailsrv__fetch_go_on(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    enum step step = send_page(p);
    if (!mailsrv__pen_flush(&mailsrv__fetch_of(p)->pen))
        return STEP_CLOSE;
    return step == STEP_NEXT ? end_page(p) : step;
}

static enum step rows_answered(mailsrv_session *session);

/* The rows of the messages from `first` to before `end`, now or beforehand.  False: no memory. */
static bool ask_for(struct imap *p, ask_fn *how, uint32_t first, uint32_t end)
{
    struct fetch *f = mailsrv__fetch_of(p);
    f->uids.n_runs = f->uids.n_uids = 0;
    for (uint32_t i = first; i < end; i++)
        mailsrv__uids_add(&f->uids, f->page[i].uid);
    const mailsrv_arg_rows wanted = { .fields = MAILSRV_ROW_OCTETS | MAILSRV_ROW_INTERNALDATE |
                                                (f->atts.structured && !f->no_structures ? MAILSRV_ROW_STRUCTURE : 0),
                                      .limit = end - first,
                                      .cursor = f->cursor };
    if (!mailsrv__imap_ask_rows(p, how, &f->uids, &wanted))
        return false;
    f->uids.n_runs = f->uids.n_uids = 0; /* or they would be taken for what is not \Seen */
    return true;
}

static enum step ask_rows(struct imap *p)
{
    const struct fetch *f = mailsrv__fetch_of(p);
    if (!ask_for(p, mailsrv__ask, f->n_rows, f->n_page))
        return mailsrv__imap_no_memory(p);
    return mailsrv__then_answers(&p->session, rows_answered);
}

static void take_rows(struct imap *p, const mailsrv_rows *rows)
{
    struct fetch *f = mailsrv__fetch_of(p);
    uint32_t at = 0;
    for (uint32_t i = 0; i < rows->n; i++) {
        const mailsrv_row *row = mailsrv__imap_page_row(rows, i);
        while (at < f->n_page && f->page[at].uid < row->uid)
            at++;
        if (at == f->n_page)
            return;
        struct message *m = &f->page[at];
        if (m->uid != row->uid)
            continue;
        m->octets = row->octets;
        m->internal_us = row->internal_us;
        m->there = true;
        if (f->atts.structured)
            mailsrv__fetch_take_structure(p, m, row);
    }
}

/* What may be said: all that is not behind the last row, as long as there are more.  False: nothing may. */
static bool count_rows(struct fetch *f, const mailsrv_rows *rows)
{
    uint32_t n = f->n_rows, last = rows->n != 0 ? mailsrv__imap_page_row(rows, rows->n - 1)->uid : 0;
    while (n < f->n_page && (rows->more == 0 || f->page[n].uid <= last))
        n++;
    bool any = n != f->n_rows || rows->more == 0;
    f->n_rows = n;
    return any;
}

/* ---- The next page, beforehand ---- */

static bool needs_octets(const struct fetch *f)
{
    return mailsrv__fetch_has(&f->atts, ATT_BODY) || f->atts.structured;
}

static bool add_message(struct imap *p, const struct member *member, struct message *m);

static enum step begin_page(struct imap *p)
{
    gather_unseen(p);
    return mailsrv__fetch_go_on(&p->session);
}

/* While a page is said the store reads the rows of the next one.  For that nobody waits long: it may be a small one. */
static enum step ask_ahead(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct fetch *f = mailsrv__fetch_of(p);
    enum walked walked = WALK_NOTHING;
    struct member member;
    for (; f->looked < PAGE_SHAPES && walked != WALK_END; f->looked++) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, ask_ahead);
        mailsrv__spend(session, 1);
        walked = mailsrv__walk_next(&f->walk, &member);
        if (walked == WALK_MEMBER)
            f->n_ahead += add_message(p, &member, &f->page[f->n_page + f->n_ahead]);
    }
    f->asked_ahead = f->n_ahead != 0 && ask_for(p, mailsrv__ask_ahead, f->n_page, f->n_page + f->n_ahead);
    return f->now == 0 ? begin_page(p) : mailsrv__fetch_go_on(session);
}

static enum step has_failed(mailsrv_session *session)
{
    return finish(mailsrv__imap_of(session));
}

/* What was asked is waited for, whether it is wanted still or not. */
static enum step begin_next(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    memmove(f->page, f->page + f->n_page, f->n_ahead * sizeof *f->page);
    f->n_page = f->n_ahead;
    f->n_ahead = f->n_rows = f->now = 0;
    if (!f->asked_ahead)
        return goes_on(f) ? ask_rows(p) : finish(p);
    f->asked_ahead = false;
    mailsrv__ask_await(&p->session);
    return mailsrv__then_answers(&p->session, goes_on(f) ? rows_answered : has_failed);
}

static enum step rows_answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct fetch *f = mailsrv__fetch_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_rows *rows = answer->value;
    if (answer->status == MAILSRV_NOMEM && f->atts.structured && !f->no_structures) {
        f->no_structures = true;
        return ask_rows(p);
    }
    int32_t status = answer->status;
    if (status == MAILSRV_OK && rows->more != 0 && !mailsrv__imap_page_goes_on(rows, &f->cursor))
        status = MAILSRV_CORRUPT;
    mailsrv__failure_keep(&f->failure, status, mailsrv__span(answer->text));
    if (status != MAILSRV_OK) /* a message before may be damaged: that keeps nobody from the others */
        return finish(p);
    f->cursor = rows->next;
    if (!count_rows(f, rows))
        return ask_rows(p);
    f->cursor = (mailsrv_cursor){ 0 };
    if (f->atts.structured)
        f->rows = mailsrv__take_lent(session, 0);
    take_rows(p, rows);
    f->looked = 0;
    if (f->n_rows == f->n_page && needs_octets(f))
        return ask_ahead(session);
    return f->now == 0 ? begin_page(p) : mailsrv__fetch_go_on(session);
}

/* Sizes and dates that the image has need no rows.  Octets do: a message that has just gone is not begun with. */
static void take_sizes(struct imap *p, struct message *m)
{
    struct sizes sizes;
    mailsrv__spend(&p->session, 1);
    m->there = mailsrv__view_sizes(&p->view, m->uid, &sizes);
    if (!m->there)
        return;
    m->octets = sizes.octets;
    m->internal_us = sizes.internal_us;
}

static bool needs_rows(const struct fetch *f)
{
    return needs_octets(f) || mailsrv__fetch_has(&f->atts, ATT_INTERNALDATE) || mailsrv__fetch_has(&f->atts, ATT_SIZE);
}

static bool all_are_there(const struct fetch *f)
{
    uint32_t n = 0;
    while (n < f->n_page && f->page[n].there)
        n++;
    return n == f->n_page;
}

/* Its modseq is taken before its flags are: whatever comes in between is told again.  False: it is none of the page. */
static bool add_message(struct imap *p, const struct member *member, struct message *m)
{
    struct fetch *f = mailsrv__fetch_of(p);
    struct marks marks;
    if (member->gone) {
        f->gone = true;
        return false;
    }
    uint64_t modseq = mailsrv__view_marks(&p->view, member->uid, &marks) ? marks.modseq : 0;
    if (modseq <= f->since && f->since != 0)
        return false;
    *m = (struct message){ .uid = member->uid, .number = member->number, .modseq = modseq, .there = !needs_rows(f) };
    if (needs_rows(f) && !needs_octets(f))
        take_sizes(p, m);
    return true;
}

/* Gathers the messages of the next page. */
static enum step collect(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct fetch *f = mailsrv__fetch_of(p);
    uint32_t most = needs_octets(f) ? PAGE_SHAPES : PAGE_MESSAGES;
    enum walked walked = WALK_NOTHING;
    struct member member;
    while (f->n_page < most && walked != WALK_END) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, collect);
        mailsrv__spend(session, 1);
        walked = mailsrv__walk_next(&f->walk, &member);
        if (walked == WALK_MEMBER)
            f->n_page += add_message(p, &member, &f->page[f->n_page]);
    }
    if (f->n_page == 0)
        return finish(p);
    if (!all_are_there(f))
        return ask_rows(p);
    f->n_rows = f->n_page;
    return begin_page(p);
}

enum step mailsrv__imap_fetch(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    f->pen = mailsrv__pen(&p->session, f->pen_room, sizeof f->pen_room);
    if (f->atts.n == 0)
        return finish(p);
    bool uses_modseqs = mailsrv__fetch_has(&f->atts, ATT_MODSEQ);
    if (uses_modseqs && !p->modseqs)
        return mailsrv__imap_no_modseqs(p);
    if (uses_modseqs && !mailsrv__imap_use_condstore(p))
        return STEP_CLOSE;
    p->command.told_modseq = uses_modseqs;
    p->command.handles = f->reading;
    p->command.n_handles = LANES;
    mailsrv__walk_begin(&f->walk, &p->view, &f->set, p->command.by_uid);
    if (f->vanished == NULL)
        return collect(&p->session);
    f->vanished->since = f->since;
    f->vanished->known = &f->known;
    return mailsrv__imap_say_vanished(p, f->vanished, collect);
}
