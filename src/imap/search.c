/* SEARCH (RFC 9051 section 6.4.4): over all members of the view, in slices.  What is found goes out as it is found, so
 * that the result of a million takes no memory.  With RETURN (RFC 4731) it is an ESEARCH response. */
#include "imap/search_key.h"

enum { KEYS_FOR_A_UNIT = 16 };

/* Members that may match, whose rows are asked for together.  Where there are more of them, and size or date decides,
 * the image loads the sizes and dates of all messages; it is asked for rows where it has no memory for that. */
enum { CANDIDATES = 32 };

/* RFC 4731 section 3.1: what RETURN asks for. */
enum { RETURN_MIN = 1 << 0, RETURN_MAX = 1 << 1, RETURN_ALL = 1 << 2, RETURN_COUNT = 1 << 3 };

struct search {
    struct search_program program;
    uint8_t returns; /* RETURN_...; 0: an ordinary result */
    uint32_t first, last, found; /* of what was found: the lowest, the highest, how many */
    mailsrv_run run;             /* of it, that is to be said; first 0: none */
    bool said_run;
    uint64_t first_modseq, last_modseq, highest;
    mailsrv_run all_uids;
    struct set all;
    struct walk walk;
    struct candidate candidates[CANDIDATES];
    uint32_t n, now; /* candidates, and the one whose turn it is */
    struct uids uids;
    mailsrv_cursor cursor;
    bool ended;        /* the walk */
    bool begun;        /* "* SEARCH" is out */
    bool gone;         /* a message that may have matched is not there any more */
    bool wanted_sizes; /* once is enough */
    struct failure failure;
};

static struct search *search_of(struct imap *p)
{
    return p->command.own;
}

static bool parse_return(struct reader *r, uint8_t *out)
{
    static const struct {
        struct span name;
        uint8_t option;
    } options[] = {
        { { "MIN", 3 }, RETURN_MIN }, { { "MAX", 3 }, RETURN_MAX },
        { { "ALL", 3 }, RETURN_ALL }, { { "COUNT", 5 }, RETURN_COUNT },
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (!mailsrv__parse_word(r, options[i].name))
            continue;
        *out |= options[i].option;
        return true;
    }
    return mailsrv__parse_fails(r, "MIN, MAX, ALL or COUNT");
}

/* search-return-opts = "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP; nothing is ALL. */
static bool parse_returns(struct imap *p, struct reader *r, uint8_t *out)
{
    if (!mailsrv__enabled(&p->session, MAILSRV_EXT_ESEARCH) || !mailsrv__parse_word(r, SPAN("RETURN")))
        return true;
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '('))
        return false;
    if (mailsrv__parse_is(r, ')')) {
        *out = RETURN_ALL;
    } else {
        if (!parse_return(r, out))
            return false;
        while (mailsrv__parse_is(r, ' '))
            if (!mailsrv__parse_sp(r) || !parse_return(r, out))
                return false;
    }
    return mailsrv__parse_char(r, ')') && mailsrv__parse_sp(r);
}

/* search = "SEARCH" SP [search-return-opts] search-program */
bool mailsrv__imap_parse_search(struct imap *p, struct reader *r)
{
    struct search *s = mailsrv__imap_own(p, r, sizeof *s);
    if (s == NULL || !mailsrv__parse_sp(r) || !parse_returns(p, r, &s->returns) ||
        !mailsrv__parse_search_program(p, r, &s->program))
        return false;
    if (s->program.numbers)
        p->command.tells = TELL_FLAGS; /* also in the UID form: numbers are in use (RFC 9051 section 7.5.1) */
    return true;
}

/* ---- The response ---- */

static bool begin_line(struct imap *p)
{
    struct search *s = search_of(p);
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    if (s->begun)
        return true;
    if (s->returns == 0) {
        mailsrv__write(&line, SPAN("* SEARCH"));
    } else {
        mailsrv__write(&line, SPAN("* ESEARCH (TAG \""));
        mailsrv__write(&line, p->command.tag);
        mailsrv__write(&line, p->command.by_uid ? SPAN("\") UID") : SPAN("\")"));
    }
    s->begun = p->session.mid_reply = mailsrv__say(&p->session, mailsrv__written(&line));
    return s->begun;
}

/* What stands in the response's sequence set is said when it is known where a run of it ends. */
static bool say_run(struct imap *p)
{
    struct search *s = search_of(p);
    char room[32];
    struct writer w = { .p = room, .room = sizeof room };
    if (s->run.first == 0)
        return true;
    mailsrv__write(&w, s->said_run ? SPAN(",") : SPAN(" ALL "));
    mailsrv__imap_write_run(&w, s->run);
    s->said_run = true;
    s->run.first = 0;
    return begin_line(p) && mailsrv__say(&p->session, mailsrv__written(&w));
}

static bool keep_hit(struct imap *p, uint32_t number)
{
    struct search *s = search_of(p);
    if ((s->returns & RETURN_ALL) == 0)
        return true;
    if (s->run.first != 0 && s->run.last == number - 1) {
        s->run.last = number;
        return true;
    }
    bool said = say_run(p);
    s->run = (mailsrv_run){ number, number };
    return said;
}

static bool say_number(struct imap *p, struct span name, uint64_t number)
{
    char room[48];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_char(&w, ' ');
    mailsrv__write(&w, name);
    mailsrv__write_u64(&w, number);
    return begin_line(p) && mailsrv__say(&p->session, mailsrv__written(&w));
}

static bool say_hit(struct imap *p, const struct candidate *c)
{
    struct search *s = search_of(p);
    uint32_t number = p->command.by_uid ? c->member.uid : c->member.number;
    if (s->found++ == 0) {
        s->first = number;
        s->first_modseq = c->marks.modseq;
    }
    s->last = number;
    s->last_modseq = c->marks.modseq;
    if (s->highest < c->marks.modseq)
        s->highest = c->marks.modseq;
    if (s->returns == RETURN_MIN) { /* the first one is all */
        s->ended = true;
        s->n = s->now + 1;
    }
    return s->returns == 0 ? say_number(p, (struct span){ "", 0 }, number) : keep_hit(p, number);
}

/* RFC 4731 section 3.2: of the messages that the result names. */
static uint64_t modseq_of(const struct search *s)
{
    if ((s->returns & (RETURN_ALL | RETURN_COUNT)) != 0)
        return s->highest;
    uint64_t first = (s->returns & RETURN_MIN) != 0 ? s->first_modseq : 0;
    uint64_t last = (s->returns & RETURN_MAX) != 0 ? s->last_modseq : 0;
    return first < last ? last : first;
}

/* Without a message there is neither MIN, MAX, ALL nor MODSEQ (section 3.1). */
static bool say_returns(struct imap *p)
{
    struct search *s = search_of(p);
    return say_run(p) &&
           ((s->returns & RETURN_MIN) == 0 || s->found == 0 || say_number(p, SPAN("MIN "), s->first)) &&
           ((s->returns & RETURN_MAX) == 0 || s->found == 0 || say_number(p, SPAN("MAX "), s->last)) &&
           ((s->returns & RETURN_COUNT) == 0 || say_number(p, SPAN("COUNT "), s->found)) &&
           (!s->program.modseq || s->found == 0 || say_number(p, SPAN("MODSEQ "), modseq_of(s)));
}

/* search-sort-mod-seq (RFC 7162 section 3.1.5) */
static bool say_modseq(struct imap *p)
{
    const struct search *s = search_of(p);
    if (!s->program.modseq || s->found == 0)
        return true;
    return say_number(p, SPAN("(MODSEQ "), s->highest) && mailsrv__say(&p->session, SPAN(")"));
}

static bool end_line(struct imap *p)
{
    const struct search *s = search_of(p);
    bool whole = s->failure.status != MAILSRV_OK || (s->returns == 0 ? say_modseq(p) : say_returns(p));
    bool said = whole && mailsrv__say(&p->session, SPAN("\r\n"));
    p->session.mid_reply = !said;
    return said;
}

static enum step finish(struct imap *p)
{
    const struct search *s = search_of(p);
    bool failed = s->failure.status != MAILSRV_OK;
    if (!failed && !begin_line(p))
        return STEP_CLOSE;
    if (s->begun && !end_line(p))
        return STEP_CLOSE;
    if (failed)
        return mailsrv__failure_end(p, &s->failure);
    struct reply reply = { .ending = END_OK, .text = SPAN("SEARCH completed") };
    if (s->gone && !p->command.by_uid) /* RFC 5530 section 3 */
        reply.code = SPAN("[EXPUNGEISSUED]");
    return mailsrv__imap_done(p, reply);
}

/* ---- Candidates ---- */

static enum step go_on(mailsrv_session *session);

static enum match matches(struct imap *p, const struct candidate *c)
{
    const struct search_program *program = &search_of(p)->program;
    mailsrv__spend(&p->session, program->n / KEYS_FOR_A_UNIT);
    return mailsrv__search_matches(program, c);
}

/* What has gone is not found (RFC 2180 section 4.3.1); that it is missing is said. */
static void miss(struct imap *p, const struct candidate *c)
{
    if (matches(p, c) != MATCH_NO)
        search_of(p)->gone = true;
}

/* Says those that match, in the order of their numbers. */
static enum step judge(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = search_of(p);
    for (; s->now < s->n; s->now++) {
        const struct candidate *c = &s->candidates[s->now];
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, judge);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, judge);
        mailsrv__spend(session, 1);
        if (s->program.fields != 0 && !c->has_row)
            miss(p, c);
        else if (matches(p, c) == MATCH_YES && !say_hit(p, c))
            return STEP_CLOSE;
    }
    s->n = s->now = 0;
    return go_on(session);
}

static void take_rows(struct search *s, const mailsrv_rows *rows)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < rows->n; i++) {
        const mailsrv_row *row = mailsrv__imap_page_row(rows, i);
        while (at < s->n && s->candidates[at].member.uid < row->uid)
            at++;
        if (at == s->n)
            return;
        struct candidate *c = &s->candidates[at];
        if (c->member.uid != row->uid)
            continue;
        c->octets = row->octets;
        c->internal_us = row->internal_us;
        c->has_row = true;
    }
}

static enum step rows_answered(mailsrv_session *session);

static enum step ask_rows(struct imap *p)
{
    struct search *s = search_of(p);
    s->uids.n_runs = s->uids.n_uids = 0;
    for (uint32_t i = 0; i < s->n; i++)
        mailsrv__uids_add(&s->uids, s->candidates[i].member.uid);
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_ROWS, mailsrv__uids_octets(&s->uids));
    if (ask.op == NULL) {
        mailsrv__failure_keep(&s->failure, MAILSRV_NOMEM, (struct span){ NULL, 0 });
        return finish(p);
    }
    mailsrv_arg_rows *arg = ask.arg;
    arg->fields = s->program.fields;
    arg->mbox = p->mbox.value;
    arg->uids = mailsrv__uids_copy(&s->uids, &ask);
    arg->n_uids = s->uids.n_runs;
    arg->limit = CANDIDATES;
    arg->cursor = s->cursor;
    return mailsrv__then_answers(&p->session, rows_answered);
}

static enum step rows_answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = search_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_rows *rows = answer->value;
    mailsrv__failure_keep(&s->failure, answer->status, mailsrv__span(answer->text));
    if (answer->status == MAILSRV_OK && rows->more != 0 && !mailsrv__imap_page_goes_on(rows, &s->cursor))
        mailsrv__failure_keep(&s->failure, MAILSRV_CORRUPT, (struct span){ NULL, 0 });
    if (s->failure.status != MAILSRV_OK)
        return finish(p);
    take_rows(s, rows);
    s->cursor = rows->next;
    if (rows->more != 0)
        return ask_rows(p);
    s->cursor = (mailsrv_cursor){ 0 };
    return judge(session);
}

/* ---- Sizes and dates that the image has ---- */

static void take_sizes(const struct imap *p, struct candidate *c)
{
    struct sizes sizes;
    c->has_row = mailsrv__view_sizes(&p->view, c->member.uid, &sizes);
    if (!c->has_row)
        return;
    c->octets = sizes.octets;
    c->internal_us = sizes.internal_us;
}

/* Asks for the rows of the candidates, unless there is nothing to be learnt from them. */
static enum step fill(struct imap *p)
{
    struct search *s = search_of(p);
    uint32_t known = 0;
    while (known < s->n && s->candidates[known].has_row)
        known++;
    return s->program.fields != 0 && known < s->n ? ask_rows(p) : judge(&p->session);
}

/* However it ended: what it did not bring is read by ROWS. */
static enum step sizes_came(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = search_of(p);
    if (mailsrv__imap_view_ended(p))
        return STEP_CLOSE;
    if (mailsrv__view_has(&p->view, GROUP_SIZES) == MAILSRV_MORE && !mailsrv__was_late(session))
        return mailsrv__imap_then_view(p, sizes_came);
    mailsrv__spend(session, CANDIDATES);
    for (uint32_t i = 0; i < s->n; i++)
        take_sizes(p, &s->candidates[i]);
    return fill(p);
}

static enum step want_sizes(struct imap *p)
{
    search_of(p)->wanted_sizes = true;
    mailsrv__view_want(&p->view, GROUP_SIZES);
    return mailsrv__imap_then_view(p, sizes_came);
}

/* ---- Over all members ---- */

static void look_at(struct imap *p, const struct member *member)
{
    struct search *s = search_of(p);
    struct candidate *c = &s->candidates[s->n];
    *c = (struct candidate){ .member = *member, .recent = mailsrv__imap_is_recent(p, member->uid) };
    c->has_marks = mailsrv__view_marks(&p->view, member->uid, &c->marks);
    if (s->program.fields != 0)
        take_sizes(p, c);
    if (!c->has_marks)
        miss(p, c);
    else if (matches(p, c) != MATCH_NO)
        s->n++;
}

static enum step go_on(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = search_of(p);
    struct member member;
    while (!s->ended && s->n < CANDIDATES) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, go_on);
        mailsrv__spend(session, 1);
        enum walked walked = mailsrv__walk_next(&s->walk, &member);
        s->ended = walked == WALK_END;
        if (walked == WALK_MEMBER)
            look_at(p, &member);
    }
    if (s->n == 0)
        return finish(p);
    bool wants = s->program.fields != 0 && s->n == CANDIDATES && !s->wanted_sizes;
    return wants && mailsrv__view_has(&p->view, GROUP_SIZES) != MAILSRV_OK ? want_sizes(p) : fill(p);
}

enum step mailsrv__imap_search(struct imap *p)
{
    struct search *s = search_of(p);
    if (s->program.bad_charset)
        return mailsrv__imap_done(
            p, (struct reply){ END_NO, SPAN("[BADCHARSET (US-ASCII UTF-8)]"), SPAN("that charset is not known here") });
    if (s->program.needs_text)
        return mailsrv__imap_refuse(p, MAILSRV_CANNOT, SPAN("the text of messages cannot be searched here"));
    if (s->program.modseq && !p->modseqs)
        return mailsrv__imap_no_modseqs(p);
    if (s->program.modseq && !mailsrv__imap_use_condstore(p))
        return STEP_CLOSE;
    p->command.told_modseq = s->program.modseq;
    s->all_uids = (mailsrv_run){ 1, UINT32_MAX };
    s->all = (struct set){ &s->all_uids, 1 };
    mailsrv__walk_begin(&s->walk, &p->view, &s->all, true);
    return go_on(&p->session);
}
