/* STORE (RFC 9051 section 6.4.6). */
#include "imap/messages.h"

struct store {
    struct set set;
    struct walk walk;
    struct flags flags;
    int32_t how; /* MAILSRV_FLAGS_... */
    bool silent;
    bool has_condition;  /* UNCHANGEDSINCE: those that are newer are left alone, and named in MODIFIED */
    uint64_t condition;
    mailsrv_run *modified; /* UIDs, ascending */
    uint32_t n_modified, modified_room;
    uint32_t saying; /* of them */
    bool untold;     /* there was no memory for all of them */
    bool gone;         /* a message that was named is not there any more */
    bool ended;        /* the walk */
    struct uids uids;  /* of the next operation */
    mailsrv_run put_off; /* UIDs that did not fit into it; first 0: none */
    bool behind;         /* not all that was answered is in the image */
    uint32_t write;    /* of the view */
    struct view_now answered; /* the flags of every message were said as they were then, or later */
    uint8_t tries;     /* at seeing what has changed */
    bool again;        /* without the condition: somebody else changed some of these messages */
    uint64_t *own;     /* modseqs of what was changed silently, ascending; NULL: none */
    uint32_t n_own, own_room;
    struct failure failure;
};

static struct store *store_of(struct imap *p)
{
    return p->command.own;
}

/* store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
static bool parse_att_flags(struct reader *r, struct store *s)
{
    s->how = MAILSRV_FLAGS_SET;
    if (mailsrv__parse_is(r, '+') && mailsrv__parse_char(r, '+'))
        s->how = MAILSRV_FLAGS_ADD;
    else if (mailsrv__parse_is(r, '-') && mailsrv__parse_char(r, '-'))
        s->how = MAILSRV_FLAGS_REMOVE;
    s->silent = mailsrv__parse_word(r, SPAN("FLAGS.SILENT"));
    if (!s->silent && !mailsrv__parse_word(r, SPAN("FLAGS")))
        return mailsrv__parse_fails(r, "FLAGS, +FLAGS or -FLAGS");
    return mailsrv__parse_sp(r) && mailsrv__parse_flags(r, &s->flags);
}

/* store-modifiers = "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" (RFC 7162 section 7) */
static bool parse_modifiers(struct imap *p, struct reader *r, struct store *s)
{
    if (!mailsrv__enabled(&p->session, MAILSRV_EXT_CONDSTORE) || !mailsrv__parse_is(r, '('))
        return true;
    if (!mailsrv__parse_char(r, '('))
        return false;
    if (!mailsrv__parse_word(r, SPAN("UNCHANGEDSINCE")))
        return mailsrv__parse_fails(r, "UNCHANGEDSINCE");
    s->has_condition = true;
    return mailsrv__parse_sp(r) && mailsrv__parse_number64(r, &s->condition) && mailsrv__parse_char(r, ')') &&
           mailsrv__parse_sp(r);
}

/* store = "STORE" SP sequence-set SP [store-modifiers SP] store-att-flags */
bool mailsrv__imap_parse_store(struct imap *p, struct reader *r)
{
    struct store *s = mailsrv__imap_own(p, r, sizeof *s);
    return s != NULL && mailsrv__parse_sp(r) && mailsrv__imap_parse_set(p, r, &s->set) && mailsrv__parse_sp(r) &&
           parse_modifiers(p, r, s) && parse_att_flags(r, s);
}

/* ---- MODIFIED (RFC 7162 section 3.1.3) ---- */

static bool say_piece(struct imap *p, const struct writer *w)
{
    bool said = mailsrv__say(&p->session, mailsrv__written(w));
    p->session.mid_reply = true;
    return said;
}

/* Every UID of such a run is a member, so that its numbers are a run, too. */
static void write_modified(const struct imap *p, struct writer *w, mailsrv_run run)
{
    if (!p->command.by_uid)
        run = (mailsrv_run){ mailsrv__view_number(&p->view, run.first), mailsrv__view_number(&p->view, run.last) };
    mailsrv__imap_write_run(w, run);
}

static enum step say_modified(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct store *s = store_of(p);
    while (s->saying < s->n_modified) {
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, say_modified);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, say_modified);
        mailsrv__spend(session, 1);
        char room[32];
        struct writer w = { .p = room, .room = sizeof room };
        if (s->saying != 0)
            mailsrv__write_char(&w, ',');
        write_modified(p, &w, s->modified[s->saying++]);
        if (!say_piece(p, &w))
            return STEP_CLOSE;
    }
    if (!mailsrv__say(session, SPAN("] some were changed by others, and are left alone\r\n")))
        return STEP_CLOSE;
    session->mid_reply = false;
    return mailsrv__imap_end(p);
}

static enum step begin_modified(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    char room[LINE_ROOM];
    struct writer w = mailsrv__imap_line(room);
    if (p->view.lost) /* numbers mean nothing any more */
        return mailsrv__imap_say_reply(session);
    mailsrv__write(&w, p->command.tag);
    mailsrv__write(&w, SPAN(" OK [MODIFIED "));
    return say_piece(p, &w) ? say_modified(session) : STEP_CLOSE;
}

/* ---- The end ---- */

static enum step finish(struct imap *p)
{
    struct store *s = store_of(p);
    if (s->untold)
        mailsrv__failure_keep(&s->failure, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    if (s->failure.status != MAILSRV_OK)
        return mailsrv__failure_end(p, &s->failure);
    if (s->n_modified != 0) {
        p->command.reply = (struct reply){ .ending = END_OK, .text = SPAN("STORE completed") };
        return mailsrv__imap_tell(p, begin_modified);
    }
    if (s->gone && !p->command.by_uid && !s->silent)
        return mailsrv__imap_expunge_issued(p); /* RFC 2180 sections 4.2.2 and 4.2.3 */
    return mailsrv__imap_ok(p, SPAN("STORE completed"));
}

/* ---- The answer: the flags of each message, also of those that had them before ---- */

/* What is told at the end need not tell it again: it is in the journal like anybody's change. */
static bool is_answered(struct imap *p, struct told *told)
{
    const struct store *s = store_of(p);
    return told->marks.modseq <= s->answered.modseq &&
           mailsrv__set_has(&s->set, p->command.by_uid ? told->uid : told->number);
}

/* RFC 7162 section 3.1.3 */
static bool write_modseq(struct imap *p, struct pen *pen, uint64_t modseq)
{
    if (!p->view.condstore)
        return true;
    p->command.told_modseq = true;
    return mailsrv__pen_write(pen, SPAN(" MODSEQ (")) && mailsrv__pen_u64(pen, modseq) &&
           mailsrv__pen_write(pen, SPAN(")"));
}

/* RFC 9051 section 6.4.9, RFC 7162 section 3.2.4 */
static bool write_uid(const struct imap *p, struct pen *pen, uint32_t uid)
{
    return (!p->command.by_uid && !p->condstore) ||
           (mailsrv__pen_write(pen, SPAN("UID ")) && mailsrv__pen_u64(pen, uid) && mailsrv__pen_write(pen, SPAN(" ")));
}

/* How the response of a message ends behind its UID.  That of many together is mostly the same: it is kept. */
enum { TAIL_ROOM = 256 };
struct tail {
    struct marks marks;
    bool recent;
    size_t n; /* 0: none is kept */
    char p[TAIL_ROOM];
};

static bool is_kept(const struct tail *tail, const struct marks *marks, bool recent)
{
    return tail->n != 0 && tail->recent == recent && tail->marks.modseq == marks->modseq &&
           tail->marks.flags == marks->flags && tail->marks.keywords[0] == marks->keywords[0] &&
           tail->marks.keywords[1] == marks->keywords[1];
}

static void keep(struct tail *tail, const struct marks *marks, bool recent, struct span text)
{
    tail->n = text.n <= sizeof tail->p ? text.n : 0;
    memcpy(tail->p, text.p, tail->n);
    tail->marks = *marks;
    tail->recent = recent;
}

static bool write_tail(struct imap *p, struct pen *pen, struct tail *tail, const struct marks *marks, uint32_t uid)
{
    const bool recent = mailsrv__imap_is_recent(p, uid);
    const size_t at = pen->n;
    const uint32_t flushes = pen->flushes;
    if (is_kept(tail, marks, recent))
        return mailsrv__pen_write(pen, (struct span){ tail->p, tail->n });
    if (!mailsrv__pen_write(pen, SPAN("FLAGS ")) || !mailsrv__imap_write_flags(p, pen, marks, uid) ||
        !write_modseq(p, pen, marks->modseq) || !mailsrv__pen_write(pen, SPAN(")\r\n")))
        return false;
    if (pen->flushes == flushes)
        keep(tail, marks, recent, (struct span){ pen->p + at, pen->n - at });
    return true;
}

static bool write_fetch(struct imap *p, struct pen *pen, struct tail *tail, const struct marks *marks,
                        const struct member *member)
{
    pen->mid_reply = true;
    bool written = mailsrv__pen_write(pen, SPAN("* ")) && mailsrv__pen_u64(pen, member->number) &&
                   mailsrv__pen_write(pen, SPAN(" FETCH (")) && write_uid(p, pen, member->uid) &&
                   write_tail(p, pen, tail, marks, member->uid);
    pen->mid_reply = !written;
    return written;
}

static bool goes_on(const struct imap *p)
{
    return mailsrv__window_open(&p->session) && mailsrv__may_go_on(&p->session);
}

enum { ALIKE_MOST = 64 }; /* that are looked for at a time */

/* A message, and those that follow it at once, as far as the slice goes.  False: no memory. */
static bool write_together(struct imap *p, struct pen *pen, struct tail *tail, struct member member)
{
    struct walk *walk = &store_of(p)->walk;
    const struct image *image = p->view.image;
    const uint32_t last = mailsrv__walk_together(walk);
    uint32_t number = mailsrv__runs_find(&image->uids, member.uid), alike = 0;
    struct marks marks;
    while (number != 0) { /* it is not gone */
        if (alike == 0) {
            uint32_t most = last - member.uid < ALIKE_MOST ? last - member.uid + 1 : ALIKE_MOST;
            alike = mailsrv__columns_alike(&image->columns, number - 1, most);
            marks = mailsrv__columns_get(&image->columns, number - 1);
            mailsrv__imap_leave_untold(p, &marks);
        }
        if (!write_fetch(p, pen, tail, &marks, &member))
            return false;
        if (member.uid == last || !goes_on(p))
            return true;
        mailsrv__spend(&p->session, 1);
        mailsrv__walk_skip(walk, 1);
        member.uid++;
        member.number++;
        number++;
        alike--;
    }
    return true;
}

/* Some of them, as far as the slice goes.  False: no memory. */
static bool write_some(struct imap *p, struct pen *pen, enum walked *walked)
{
    struct member member;
    struct tail tail;
    tail.n = 0;
    while (*walked != WALK_END && goes_on(p)) {
        mailsrv__spend(&p->session, 1);
        *walked = mailsrv__walk_next(&store_of(p)->walk, &member);
        if (*walked == WALK_MEMBER && !write_together(p, pen, &tail, member))
            return false;
    }
    return mailsrv__pen_flush(pen);
}

/* Then there is nothing left that its end would have to look for among all rows. */
static bool names_all(struct imap *p)
{
    const struct set *set = &store_of(p)->set;
    uint32_t last = p->command.by_uid ? p->view.max_uid : mailsrv__view_exists(&p->view);
    return !p->view.lost && set->n == 1 && set->runs[0].first == 1 && set->runs[0].last >= last;
}

enum { ANSWER_ROOM = 1024 };

static enum step answer(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    enum walked walked = WALK_NOTHING;
    char room[ANSWER_ROOM];
    struct pen pen = mailsrv__pen(session, room, sizeof room);
    if (!write_some(p, &pen, &walked))
        return STEP_CLOSE;
    if (walked == WALK_END) {
        if (names_all(p))
            mailsrv__view_said_all(&p->view, store_of(p)->answered);
        return finish(p);
    }
    return mailsrv__window_open(session) ? mailsrv__then_turn(session, answer)
                                         : mailsrv__then_window(session, answer);
}

/* Names that came into the dictionary stand before the first FETCH that has them (RFC 9051 section 7.3.5). */
static bool say_new_names(struct imap *p)
{
    uint32_t n = mailsrv__view_names(&p->view);
    bool said = n == p->view.n_names || mailsrv__imap_say_names(p);
    p->view.n_names = n;
    return said;
}

static enum step begin_answer(struct imap *p)
{
    struct store *s = store_of(p);
    if (!say_new_names(p))
        return STEP_CLOSE;
    s->answered = mailsrv__view_now(&p->view);
    p->command.answered = is_answered;
    mailsrv__walk_begin(&s->walk, &p->view, &s->set, p->command.by_uid);
    return answer(&p->session);
}

enum { TRIES_MAX = 3 }; /* to see what has changed */

static enum step synced(mailsrv_session *session);

static enum step sync(struct imap *p)
{
    store_of(p)->tries++;
    mailsrv__view_sync(&p->view);
    return mailsrv__imap_then_view(p, synced);
}

/* Where the image could not be brought up to date nobody knows what has changed. */
static enum step synced(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct store *s = store_of(p);
    if (mailsrv__imap_view_ended(p))
        return STEP_CLOSE;
    if (mailsrv__was_late(session)) {
        p->command.tells = TELL_NOTHING; /* that would wait for the same answer once more */
        return finish(p);
    }
    if (!mailsrv__view_synced(&p->view))
        return mailsrv__imap_then_view(p, synced);
    if (mailsrv__view_round(&p->view) != MAILSRV_OK)
        return s->tries < TRIES_MAX ? sync(p) : finish(p);
    return begin_answer(p);
}

static enum step all_written(struct imap *p)
{
    const struct store *s = store_of(p);
    if (s->silent || s->failure.status != MAILSRV_OK)
        return finish(p);
    return s->behind || mailsrv__view_status(&p->view) != MAILSRV_OK ? sync(p) : begin_answer(p);
}

/* ---- Silent changes ----
 *
 * They are asked with a condition: what has changed since this session was last told of flags is left alone, and then
 * changed as by anybody, so that it is told.  Of a message that met the condition the client knows the flags, as long
 * as its modseq is that of the change. */

static bool is_own(struct imap *p, struct told *told)
{
    const struct store *s = store_of(p);
    uint32_t low = 0, high = s->n_own;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->own[middle] < told->marks.modseq)
            low = middle + 1;
        else
            high = middle;
    }
    bool own = low < s->n_own && s->own[low] == told->marks.modseq &&
               mailsrv__set_has(&s->set, p->command.by_uid ? told->uid : told->number);
    told->modseq_alone = told->modseq_alone || own;
    return own && !p->view.condstore; /* the new MODSEQ is told all the same (RFC 7162 section 3.1.3) */
}

enum { OWN_FIRST = 16, OWN_MOST = 8192 };

/* What is not kept for want of memory is told more often than need be. */
static void keep_own(struct imap *p, uint64_t modseq)
{
    struct store *s = store_of(p);
    if (s->n_own == s->own_room && s->own_room < OWN_MOST) {
        uint32_t room = s->own_room == 0 ? OWN_FIRST : 2 * s->own_room;
        uint64_t *larger = mailsrv__imap_take(p, room * sizeof *larger);
        if (larger != NULL && s->n_own != 0)
            memcpy(larger, s->own, s->n_own * sizeof *larger);
        s->own = larger == NULL ? s->own : larger;
        s->own_room = larger == NULL ? s->own_room : room;
    }
    if (s->n_own < s->own_room)
        s->own[s->n_own++] = modseq;
}

/* ---- Writing ---- */

static bool is_conditional(const struct store *s)
{
    return s->silent && !s->again && !s->has_condition;
}

/* Has it the flags that the client knows, and this change? */
static bool meets_what_was_told(const struct imap *p, const struct store *s)
{
    return is_conditional(s) || (s->silent && s->has_condition && s->condition <= p->view.told);
}

enum { MODIFIED_FIRST = 32, MODIFIED_MOST = 65536 };

static void keep_modified(struct imap *p, mailsrv_run run)
{
    struct store *s = store_of(p);
    if (s->n_modified != 0 && s->modified[s->n_modified - 1].last == run.first - 1) {
        s->modified[s->n_modified - 1].last = run.last;
        return;
    }
    if (s->n_modified == s->modified_room && s->modified_room < MODIFIED_MOST) {
        uint32_t room = s->modified_room == 0 ? MODIFIED_FIRST : 2 * s->modified_room;
        mailsrv_run *larger = mailsrv__imap_take(p, room * sizeof *larger);
        if (larger != NULL && s->n_modified != 0)
            memcpy(larger, s->modified, s->n_modified * sizeof *larger);
        s->modified = larger == NULL ? s->modified : larger;
        s->modified_room = larger == NULL ? s->modified_room : room;
    }
    s->untold = s->untold || s->n_modified == s->modified_room;
    if (!s->untold)
        s->modified[s->n_modified++] = run;
}

static enum step collect(mailsrv_session *session);
static enum step write(struct imap *p);

static enum step flagged(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct store *s = store_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_flagged *value = answer->value;
    mailsrv__view_wrote(&p->view, s->write, answer->status == MAILSRV_OK ? value->modseq : 0);
    mailsrv__failure_keep(&s->failure, answer->status, mailsrv__span(answer->text));
    if (s->failure.status != MAILSRV_OK)
        return all_written(p);
    s->behind = s->behind || !mailsrv__view_has_all(&p->view, value);
    if (meets_what_was_told(p, s) && value->modseq != 0)
        keep_own(p, value->modseq);
    for (uint32_t i = 0; i < value->n_modified && s->has_condition; i++)
        keep_modified(p, value->modified[i]);
    s->again = is_conditional(s) && value->n_modified != 0;
    if (s->again)
        return write(p);
    s->uids.n_runs = s->uids.n_uids = 0;
    return collect(session);
}

/* What is silent needs every name in the dictionary that the image has; else it is an ordinary change. */
static uint32_t begin_write(struct imap *p, const struct store *s)
{
    struct silent_ask ask = { s->how, s->flags.flags, { 0, 0 }, s->uids.runs, s->uids.n_runs };
    bool known = s->silent;
    for (uint32_t i = 0; i < s->flags.n_keywords && known; i++)
        known = mailsrv__view_keyword(&p->view, s->flags.keywords[i], ask.keywords);
    return known ? mailsrv__view_silent(&p->view, &ask) : mailsrv__view_writes(&p->view);
}

static enum step write(struct imap *p)
{
    struct store *s = store_of(p);
    if (mailsrv__write_is_late(&p->session)) {
        mailsrv__failure_keep(&s->failure, MAILSRV_TEMP, (struct span){ NULL, 0 });
        return all_written(p);
    }
    size_t octets = mailsrv__uids_octets(&s->uids) + mailsrv__keywords_octets(&s->flags);
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_FLAGS, octets);
    if (ask.op == NULL) {
        mailsrv__failure_keep(&s->failure, MAILSRV_NOMEM, (struct span){ NULL, 0 });
        return all_written(p);
    }
    mailsrv_arg_flags *arg = ask.arg;
    arg->how = s->how;
    arg->mbox = p->mbox.value;
    arg->uids = mailsrv__uids_copy(&s->uids, &ask);
    arg->n_uids = s->uids.n_runs;
    arg->keywords = mailsrv__keywords_copy(&s->flags, &ask);
    arg->n_keywords = s->flags.n_keywords;
    arg->flags = s->flags.flags;
    arg->unchanged_since = s->has_condition ? s->condition : is_conditional(s) ? p->view.told : UINT64_MAX;
    arg->mailbox = p->mailbox;
    s->write = begin_write(p, s);
    return mailsrv__then_answers(&p->session, flagged);
}

/* Members that stand together; what of them does not fit is put off. */
static void gather(struct store *s, mailsrv_run run)
{
    uint32_t n = mailsrv__uids_add_run(&s->uids, run);
    s->put_off = n <= run.last - run.first ? (mailsrv_run){ run.first + n, run.last } : (mailsrv_run){ 0, 0 };
}

/* Gathers the UIDs of the next operation. */
static enum step collect(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct store *s = store_of(p);
    struct member member;
    if (s->put_off.first != 0)
        gather(s, s->put_off);
    while (!s->ended && s->put_off.first == 0) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, collect);
        mailsrv__spend(session, 1);
        enum walked walked = mailsrv__walk_next(&s->walk, &member);
        s->ended = walked == WALK_END;
        if (walked != WALK_MEMBER)
            continue;
        s->gone = s->gone || member.gone;
        const uint32_t last = mailsrv__walk_together(&s->walk);
        mailsrv__walk_skip(&s->walk, last - member.uid);
        if (!member.gone)
            gather(s, (mailsrv_run){ member.uid, last });
    }
    return s->uids.n_uids != 0 ? write(p) : all_written(p);
}

enum step mailsrv__imap_store(struct imap *p)
{
    struct store *s = store_of(p);
    if (s->flags.n_keywords != 0 && !p->keywords)
        return mailsrv__imap_refuse(p, MAILSRV_CANNOT, SPAN("this mailbox has no keywords"));
    if (s->has_condition && !p->modseqs)
        return mailsrv__imap_no_modseqs(p);
    if (s->has_condition && !mailsrv__imap_use_condstore(p))
        return STEP_CLOSE;
    if (s->silent)
        p->command.answered = is_own;
    mailsrv__walk_begin(&s->walk, &p->view, &s->set, p->command.by_uid);
    return collect(&p->session);
}
