/* STORE (RFC 9051 section 6.4.6). */
#include "imap/messages.h"

struct store {
    struct set set;
    struct walk walk;
    struct flags flags;
    int32_t how; /* MAILSRV_FLAGS_... */
    bool silent;
    bool gone;        /* a message that was named is not there any more */
    bool ended;       /* the walk */
    struct uids uids; /* of the next operation */
    uint32_t put_off; /* a UID that did not fit into it; 0: none */
    uint32_t write;   /* of the view */
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

/* store = "STORE" SP sequence-set SP store-att-flags */
bool mailsrv__imap_parse_store(struct imap *p, struct reader *r)
{
    struct store *s = mailsrv__imap_own(p, r, sizeof *s);
    return s != NULL && mailsrv__parse_sp(r) && mailsrv__imap_parse_set(p, r, &s->set) && mailsrv__parse_sp(r) &&
           parse_att_flags(r, s);
}

/* ---- The end ---- */

static enum step finish(struct imap *p)
{
    const struct store *s = store_of(p);
    if (s->failure.status != MAILSRV_OK)
        return mailsrv__failure_end(p, &s->failure);
    if (s->gone && !p->command.by_uid && !s->silent)
        return mailsrv__imap_expunge_issued(p); /* RFC 2180 sections 4.2.2 and 4.2.3 */
    return mailsrv__imap_ok(p, SPAN("STORE completed"));
}

/* ---- What has not changed ----
 *
 * The new flags of every message are told (RFC 9051 section 6.4.6), also of those that had them before.  Those that
 * changed are told at the command's end, as anything else that has happened. */

static bool say_row(struct imap *p, const struct member *member)
{
    struct marks marks = mailsrv__imap_told_marks(p, member->uid);
    char room[LINE_ROOM];
    struct writer w = mailsrv__imap_line(room);
    mailsrv__write(&w, SPAN("* "));
    mailsrv__write_u64(&w, member->number);
    mailsrv__write(&w, SPAN(" FETCH (UID "));
    mailsrv__write_u64(&w, member->uid);
    mailsrv__write(&w, SPAN(" FLAGS "));
    return mailsrv__say(&p->session, mailsrv__written(&w)) && mailsrv__imap_say_flags(p, &marks, member->uid) &&
           mailsrv__say(&p->session, SPAN(")\r\n"));
}

static bool is_unchanged(const struct imap *p, const struct member *member)
{
    return !member->gone && mailsrv__image_marks(p->view.image, member->uid).modseq <= p->view.told;
}

static enum step say_unchanged(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct store *s = store_of(p);
    enum walked walked = WALK_NOTHING;
    struct member member;
    while (walked != WALK_END) {
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, say_unchanged);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, say_unchanged);
        mailsrv__spend(session, 1);
        walked = mailsrv__walk_next(&s->walk, &member);
        if (walked == WALK_MEMBER && is_unchanged(p, &member) && !say_row(p, &member))
            return STEP_CLOSE;
    }
    return finish(p);
}

/* Where the image could not be brought up to date nobody knows what has changed. */
static enum step synced(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct store *s = store_of(p);
    if (mailsrv__imap_view_ended(p))
        return STEP_CLOSE;
    if (!mailsrv__view_synced(&p->view) && !mailsrv__was_late(session))
        return mailsrv__imap_then_view(p, synced);
    if (!mailsrv__view_synced(&p->view) || p->view.own > p->view.image->upto)
        return finish(p);
    mailsrv__walk_begin(&s->walk, &p->view, &s->set, p->command.by_uid);
    return say_unchanged(session);
}

static enum step all_written(struct imap *p)
{
    const struct store *s = store_of(p);
    if (s->silent || s->failure.status != MAILSRV_OK)
        return finish(p);
    mailsrv__view_sync(&p->view);
    return mailsrv__imap_then_view(p, synced);
}

/* ---- Writing ---- */

static enum step collect(mailsrv_session *session);

static enum step flagged(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct store *s = store_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_flagged *value = answer->value;
    mailsrv__view_wrote(&p->view, s->write, answer->status == MAILSRV_OK ? value->modseq : 0);
    mailsrv__failure_keep(&s->failure, answer->status, mailsrv__span(answer->text));
    s->uids.n_runs = s->uids.n_uids = 0;
    return s->failure.status == MAILSRV_OK ? collect(session) : all_written(p);
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

static size_t keywords_octets(const struct flags *flags)
{
    size_t octets = mailsrv__ask_octets(flags->n_keywords * sizeof *flags->keywords);
    for (uint32_t i = 0; i < flags->n_keywords; i++)
        octets += mailsrv__ask_octets(flags->keywords[i].n);
    return octets;
}

static const mailsrv_bytes *copy_keywords(const struct flags *flags, struct ask *ask)
{
    mailsrv_bytes *names = mailsrv__ask_room(ask, flags->n_keywords * sizeof *names);
    for (uint32_t i = 0; i < flags->n_keywords; i++)
        names[i] = mailsrv__ask_copy(ask, mailsrv__span(flags->keywords[i]));
    return names;
}

static enum step write(struct imap *p)
{
    struct store *s = store_of(p);
    if (mailsrv__write_is_late(&p->session)) {
        mailsrv__failure_keep(&s->failure, MAILSRV_TEMP, (struct span){ NULL, 0 });
        return all_written(p);
    }
    size_t octets = mailsrv__uids_octets(&s->uids) + keywords_octets(&s->flags);
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
    arg->keywords = copy_keywords(&s->flags, &ask);
    arg->n_keywords = s->flags.n_keywords;
    arg->flags = s->flags.flags;
    arg->unchanged_since = UINT64_MAX;
    arg->mailbox = p->mailbox;
    s->write = begin_write(p, s);
    return mailsrv__then_answers(&p->session, flagged);
}

/* Gathers the UIDs of the next operation. */
static enum step collect(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct store *s = store_of(p);
    struct member member;
    if (s->put_off != 0)
        mailsrv__uids_add(&s->uids, s->put_off);
    s->put_off = 0;
    while (!s->ended && s->put_off == 0) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, collect);
        mailsrv__spend(session, 1);
        enum walked walked = mailsrv__walk_next(&s->walk, &member);
        s->ended = walked == WALK_END;
        if (walked == WALK_MEMBER && member.gone)
            s->gone = true;
        else if (walked == WALK_MEMBER && !mailsrv__uids_add(&s->uids, member.uid))
            s->put_off = member.uid;
    }
    return s->uids.n_uids != 0 ? write(p) : all_written(p);
}

enum step mailsrv__imap_store(struct imap *p)
{
    struct store *s = store_of(p);
    if (s->flags.n_keywords != 0 && !p->keywords)
        return mailsrv__imap_refuse(p, MAILSRV_CANNOT, SPAN("this mailbox has no keywords"));
    mailsrv__walk_begin(&s->walk, &p->view, &s->set, p->command.by_uid);
    return collect(&p->session);
}
