/* SEARCH (RFC 9051 section 6.4.4): over all members of the view, in slices.  Flags, numbers and UIDs decide before rows
 * are asked for, and those before anything is read.  What is found goes out as it is found (search_say.c). */
#include "imap/search.h"

enum { KEYS_FOR_A_UNIT = 16 };

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

/* ---- The end ---- */

static enum step finish(struct imap *p)
{
    const struct search *s = mailsrv__search_of(p);
    if (!mailsrv__search_say_end(p))
        return STEP_CLOSE;
    if (s->failure.status != MAILSRV_OK)
        return mailsrv__failure_end(p, &s->failure);
    if (s->damage.status != MAILSRV_OK)
        return mailsrv__failure_end(p, &s->damage);
    struct reply reply = { .ending = END_OK, .text = SPAN("SEARCH completed") };
    if (s->gone && !p->command.by_uid) /* RFC 5530 section 3 */
        reply.code = SPAN("[EXPUNGEISSUED]");
    return mailsrv__imap_done(p, reply);
}

/* ---- Candidates ---- */

static enum step begin_next(struct imap *p);

static enum step has_failed(mailsrv_session *session)
{
    return finish(mailsrv__imap_of(session));
}

/* What was asked is waited for, whether it is wanted still or not. */
static enum step give_up(struct imap *p)
{
    if (!mailsrv__search_of(p)->asked_ahead)
        return finish(p);
    mailsrv__ask_await(&p->session);
    return mailsrv__then_answers(&p->session, has_failed);
}

enum match mailsrv__search_match(struct imap *p, const struct candidate *c)
{
    const struct search_program *program = &mailsrv__search_of(p)->program;
    mailsrv__spend(&p->session, program->n / KEYS_FOR_A_UNIT);
    return mailsrv__search_matches(program, c);
}

/* What has gone is not found (RFC 2180 section 4.3.1); that it is missing is said. */
static void miss(struct imap *p, const struct candidate *c)
{
    if (mailsrv__search_match(p, c) != MATCH_NO)
        mailsrv__search_of(p)->gone = true;
}

/* A message whose text was read may have been expunged meanwhile. */
static bool is_gone(const struct imap *p, const struct candidate *c)
{
    struct marks marks;
    return c->seek != NULL && !mailsrv__view_marks(&p->view, c->member.uid, &marks);
}

/* Whether the candidate whose turn it is matches, at the cost of looking into its text. */
static enum step decide(struct imap *p, enum match *out)
{
    struct search *s = mailsrv__search_of(p);
    const struct candidate *c = &s->candidates[s->now];
    *out = MATCH_NO;
    if (s->program.fields != 0 && !c->has_row && !c->decided) {
        miss(p, c);
        return STEP_NEXT;
    }
    *out = mailsrv__search_match(p, c);
    return *out == MATCH_UNKNOWN && s->looking.seek != NULL ? mailsrv__search_text(p, out) : STEP_NEXT;
}

static bool say_if(struct imap *p, const struct candidate *c, enum match match)
{
    if (match == MATCH_YES && is_gone(p, c))
        mailsrv__search_of(p)->gone = true;
    else if (match == MATCH_YES)
        return mailsrv__search_say_hit(p, c);
    return true;
}

/* Says those that match, in the order of their numbers. */
enum step mailsrv__search_judge(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = mailsrv__search_of(p);
    for (; s->now < s->n; s->now++) {
        enum match match;
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, mailsrv__search_judge);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, mailsrv__search_judge);
        mailsrv__spend(session, 1);
        enum step step = decide(p, &match);
        if (step != STEP_NEXT)
            return step;
        if (s->failure.status != MAILSRV_OK)
            return give_up(p);
        if (!say_if(p, &s->candidates[s->now], match))
            return STEP_CLOSE;
    }
    return begin_next(p);
}

/* Structures tell what else would be read from the messages: they are in rows alone. */
static bool asks_structures(const struct search *s)
{
    return (s->program.fields & MAILSRV_ROW_STRUCTURE) != 0;
}

static void take_rows(struct imap *p, const mailsrv_rows *rows)
{
    struct search *s = mailsrv__search_of(p);
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
        if (asks_structures(s))
            mailsrv__search_structure(p, c, row);
    }
}

static enum step rows_answered(mailsrv_session *session);

/* The rows of the candidates from `first` to before `end`, now or beforehand.  False: no memory. */
static bool ask_for(struct imap *p, ask_fn *how, uint32_t first, uint32_t end)
{
    struct search *s = mailsrv__search_of(p);
    s->uids.n_runs = s->uids.n_uids = 0;
    for (uint32_t i = first; i < end; i++)
        if (!s->candidates[i].decided)
            mailsrv__uids_add(&s->uids, s->candidates[i].member.uid);
    const mailsrv_arg_rows wanted = { .fields = s->program.fields, .limit = CANDIDATES, .cursor = s->cursor };
    return mailsrv__imap_ask_rows(p, how, &s->uids, &wanted);
}

static enum step have_no_memory(struct imap *p)
{
    mailsrv__failure_keep(&mailsrv__search_of(p)->failure, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    return give_up(p);
}

static enum step ask_rows(struct imap *p)
{
    if (!ask_for(p, mailsrv__ask, 0, mailsrv__search_of(p)->n))
        return have_no_memory(p);
    return mailsrv__then_answers(&p->session, rows_answered);
}

static enum step rows_answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = mailsrv__search_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_rows *rows = answer->value;
    if (answer->status == MAILSRV_NOMEM && s->asked_structures) { /* messages are read instead */
        s->program.fields &= ~MAILSRV_ROW_STRUCTURE;
        s->asked_structures = false;
        return ask_rows(p);
    }
    mailsrv__failure_keep(&s->failure, answer->status, mailsrv__span(answer->text));
    if (answer->status == MAILSRV_OK && rows->more != 0 && !mailsrv__imap_page_goes_on(rows, &s->cursor))
        mailsrv__failure_keep(&s->failure, MAILSRV_CORRUPT, (struct span){ NULL, 0 });
    if (s->failure.status != MAILSRV_OK)
        return give_up(p);
    take_rows(p, rows);
    s->cursor = rows->next;
    if (rows->more != 0)
        return ask_rows(p);
    s->cursor = (mailsrv_cursor){ 0 };
    return mailsrv__search_judge(session);
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

static bool is_known(const struct search *s, const struct candidate *c)
{
    return c->decided || (c->has_row && !asks_structures(s));
}

/* The rows of the candidates, which may have been asked for beforehand.  False: no memory. */
static bool ask_present(struct imap *p)
{
    struct search *s = mailsrv__search_of(p);
    if (!s->asked_ahead)
        return ask_for(p, mailsrv__ask, 0, s->n);
    s->asked_ahead = false;
    mailsrv__ask_await(&p->session);
    return true;
}

static enum step ask_both(mailsrv_session *session);

/* Asks for the rows of the candidates, unless there is nothing to be learnt from them.  Where sizes and dates are all
 * that is wanted the image gets those of the others. */
static enum step fill(struct imap *p)
{
    struct search *s = mailsrv__search_of(p);
    uint32_t known = 0;
    while (known < s->n && is_known(s, &s->candidates[known]))
        known++;
    if (s->program.fields == 0 || known == s->n)
        return mailsrv__search_judge(&p->session);
    s->looked = 0;
    s->asked_structures = asks_structures(s);
    return s->asked_structures ? ask_both(&p->session) : ask_rows(p);
}

/* However it ended: what it did not bring is read by ROWS. */
static enum step sizes_came(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = mailsrv__search_of(p);
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
    mailsrv__search_of(p)->wanted_sizes = true;
    mailsrv__view_want(&p->view, GROUP_SIZES);
    return mailsrv__imap_then_view(p, sizes_came);
}

/* ---- Over all members ---- */

/* False: it does not match. */
static bool look_at(struct imap *p, const struct member *member, struct candidate *c)
{
    const struct search *s = mailsrv__search_of(p);
    *c = (struct candidate){ .member = *member, .recent = mailsrv__imap_is_recent(p, member->uid) };
    c->has_marks = mailsrv__view_marks(&p->view, member->uid, &c->marks);
    if (s->program.fields != 0)
        take_sizes(p, c);
    mailsrv__search_kept(p, c);
    if (!c->has_marks) {
        miss(p, c);
        return false;
    }
    enum match match = mailsrv__search_match(p, c);
    c->decided = match == MATCH_YES && c->told.known != 0;
    return match != MATCH_NO;
}

/* At the next member, if there is one: as candidate `i`.  False: it is none. */
static bool look_at_next(struct imap *p, uint32_t i)
{
    struct search *s = mailsrv__search_of(p);
    struct member member;
    enum walked walked = mailsrv__walk_next(&s->walk, &member);
    s->ended = walked == WALK_END;
    return walked == WALK_MEMBER && look_at(p, &member, &s->candidates[i]);
}

/* The rows of the candidates, unless they were asked for already, and those of the next ones, which the store reads
 * while these are judged.  For them nobody waits long: they may be few. */
static enum step ask_both(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = mailsrv__search_of(p);
    uint32_t known = 0;
    for (; s->looked < CANDIDATES && !s->ended; s->looked++) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, ask_both);
        mailsrv__spend(session, 1);
        s->n_ahead += look_at_next(p, s->n + s->n_ahead);
    }
    for (uint32_t i = 0; i < s->n_ahead; i++)
        known += is_known(s, &s->candidates[s->n + i]);
    if (!ask_present(p))
        return have_no_memory(p);
    enum step step = mailsrv__then_answers(&p->session, rows_answered);
    s->asked_ahead = known < s->n_ahead && ask_for(p, mailsrv__ask_ahead, s->n, s->n + s->n_ahead);
    return step;
}

static enum step go_on(mailsrv_session *session);

static enum step begin_next(struct imap *p)
{
    struct search *s = mailsrv__search_of(p);
    memmove(s->candidates, s->candidates + s->n, s->n_ahead * sizeof *s->candidates);
    s->n = s->n_ahead;
    s->n_ahead = s->now = 0;
    if (s->n == 0)
        return go_on(&p->session);
    if (!s->asked_ahead)
        return fill(p);
    s->looked = 0;
    s->asked_structures = true;
    return ask_both(&p->session);
}

static enum step go_on(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct search *s = mailsrv__search_of(p);
    while (!s->ended && s->n < CANDIDATES) {
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, go_on);
        mailsrv__spend(session, 1);
        s->n += look_at_next(p, s->n);
    }
    if (s->n == 0)
        return finish(p);
    bool wants = s->program.fields != 0 && s->n == CANDIDATES && !s->wanted_sizes && !asks_structures(s);
    return wants && mailsrv__view_has(&p->view, GROUP_SIZES) != MAILSRV_OK ? want_sizes(p) : fill(p);
}

enum step mailsrv__imap_search(struct imap *p)
{
    struct search *s = mailsrv__search_of(p);
    if (s->program.bad_charset)
        return mailsrv__imap_done(
            p, (struct reply){ END_NO, SPAN("[BADCHARSET (US-ASCII UTF-8)]"), SPAN("that charset is not known here") });
    if (s->program.modseq && !p->modseqs)
        return mailsrv__imap_no_modseqs(p);
    if (s->program.modseq && !mailsrv__imap_use_condstore(p))
        return STEP_CLOSE;
    int32_t status = mailsrv__search_text_begin(p);
    if (status != MAILSRV_OK)
        return mailsrv__imap_refuse(p, status, (struct span){ NULL, 0 });
    p->command.told_modseq = s->program.modseq;
    s->all_uids = (mailsrv_run){ 1, UINT32_MAX };
    s->all = (struct set){ &s->all_uids, 1 };
    mailsrv__walk_begin(&s->walk, &p->view, &s->all, true);
    return go_on(&p->session);
}
