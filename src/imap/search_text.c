/* The text of the messages that SEARCH looks at: of the candidate whose turn it is a range after the other, of those
 * behind it the first one, read ahead.  A message streams past, and is read no further than its answer takes. */
#include "imap/search.h"

enum {
    HEADER_OCTETS = 8192,      /* a header is rarely longer */
    RANGE_OCTETS = 48 * 1024,  /* that one READ asks for, */
    RANGES_OF_A_SESSION = 8,   /* of the session's memory no more than that part: half of it for all that are out */
    PIECE_OCTETS = 2048,       /* looked at in one go, */
    UNITS_A_PIECE = 16,        /* which takes that where nothing is as it mostly is */
    KEYS_A_PIECE = 8           /* of BODY and TEXT; for more of them a piece is shorter */
};

static struct looking *looking_of(struct imap *p)
{
    return &mailsrv__search_of(p)->looking;
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- Beginning and end ---- */

/* One array, as the seek wants it; false: no memory. */
static bool gather(struct imap *p, const struct search_program *program, struct sought **out)
{
    struct sought *v = mailsrv__imap_take(p, program->n_conditions * sizeof *v);
    *out = v;
    if (v != NULL)
        for (const struct condition *c = program->conditions; c != NULL; c = c->next)
            *v++ = c->sought;
    return *out != NULL;
}

int32_t mailsrv__search_text_begin(struct imap *p)
{
    const struct search_program *program = &mailsrv__search_of(p)->program;
    struct looking *l = looking_of(p);
    struct sought *v;
    if (program->conditions == NULL)
        return MAILSRV_OK;
    if (!gather(p, program, &v))
        return MAILSRV_NOMEM;
    uint32_t texts = 0;
    for (uint32_t i = 0; i < program->n_conditions; i++)
        texts += !mailsrv__seek_in_header(v[i].kind);
    l->in_header = texts == 0;
    l->piece_octets = PIECE_OCTETS / (1 + texts / KEYS_A_PIECE);
    p->command.handles = l->handles;
    p->command.n_handles = READERS;
    int32_t status = mailsrv__seek_new(&p->command.arena, v, program->n_conditions, &l->seek);
    if (status == MAILSRV_OK && mailsrv__seek_asks_structure(l->seek))
        mailsrv__search_of(p)->program.fields |= MAILSRV_ROW_STRUCTURE;
    if (status == MAILSRV_OK)
        mailsrv__search_kept_begin(p);
    return status;
}

static void drop_range(struct text_range *range)
{
    if (range->lent != NULL)
        mailsrv__lent_drop(range->lent);
    *range = (struct text_range){ 0 };
}

static void drop_reader(struct imap *p, struct text_reader *reader)
{
    struct looking *l = looking_of(p);
    for (uint32_t i = 0; i < READER_RANGES; i++)
        drop_range(&reader->ranges[i]);
    mailsrv__handle_close(&p->session, &l->handles[reader - l->readers]);
    *reader = (struct text_reader){ 0 };
}

void mailsrv__imap_search_fini(struct imap *p)
{
    if (p->command.own == NULL)
        return;
    struct looking *l = looking_of(p);
    for (uint32_t i = 0; i < READERS; i++)
        drop_reader(p, &l->readers[i]);
    mailsrv__seek_fini(l->seek);
}

/* ---- Asking ---- */

/* The one that reads this candidate; else a free one where `new_one`.  NULL: none. */
static struct text_reader *reader_of(struct looking *l, uint32_t candidate, bool new_one)
{
    struct text_reader *free_one = NULL;
    for (uint32_t i = 0; i < READERS; i++) {
        struct text_reader *reader = &l->readers[i];
        if (reader->used && reader->candidate == candidate)
            return reader;
        if (!reader->used)
            free_one = reader;
    }
    if (!new_one || free_one == NULL)
        return NULL;
    *free_one = (struct text_reader){ .candidate = candidate, .used = true };
    return free_one;
}

/* Asks for a range.  Without memory the READ failed. */
static void ask_range(struct imap *p, struct text_reader *reader, struct text_range *range, uint64_t at)
{
    const struct search *s = mailsrv__search_of(p);
    struct looking *l = looking_of(p);
    const struct candidate *c = &s->candidates[reader->candidate];
    uint64_t share = mailsrv__setting(&p->session, MAILSRV_PROFILE_SESSION_OCTETS_MAX) / RANGES_OF_A_SESSION;
    uint64_t most = least_of(RANGE_OCTETS, share);
    if (at == 0 && l->in_header)
        most = least_of(most, HEADER_OCTETS);
    drop_range(range);
    range->used = true;
    range->offset = at;
    range->asked = least_of(c->octets - at, most);
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_READ, 0);
    l->asked[l->n_asked] = range;
    l->asked_reader[l->n_asked++] = (uint8_t)(reader - l->readers);
    if (ask.op == NULL)
        return;
    mailsrv_arg_read *arg = ask.arg;
    arg->uid = c->member.uid;
    arg->mbox = p->mbox.value;
    arg->handle = l->handles[reader - l->readers].value;
    arg->offset = at;
    arg->octets = range->asked;
}

/* The ranges from `at` on of the candidate whose turn it is.  The first is asked alone: its answer brings the handle
 * for the others, and may be all that is needed. */
static void ask_now(struct imap *p, uint64_t at)
{
    const struct search *s = mailsrv__search_of(p);
    struct looking *l = looking_of(p);
    struct text_reader *reader = reader_of(l, s->now, true); /* those in use are of fewer candidates behind it */
    for (uint32_t i = 0; i < READER_RANGES; i++)
        drop_range(&reader->ranges[i]);
    ask_range(p, reader, &reader->ranges[0], at);
    at += reader->ranges[0].asked;
    if (reader->opened && !l->short_reads && !l->in_header && at < s->candidates[s->now].octets)
        ask_range(p, reader, &reader->ranges[1], at);
}

/* The first ranges of those behind it, unless they are decided. */
static void ask_ahead(struct imap *p)
{
    const struct search *s = mailsrv__search_of(p);
    struct looking *l = looking_of(p);
    for (uint32_t i = s->now + 1; i < s->n && i < s->now + READERS && l->n_asked < READERS; i++) {
        const struct candidate *c = &s->candidates[i];
        if (!c->has_row || c->octets == 0 || reader_of(l, i, false) != NULL)
            continue;
        struct text_reader *reader =
            mailsrv__search_match(p, c) == MATCH_UNKNOWN ? reader_of(l, i, true) : NULL;
        if (reader != NULL)
            ask_range(p, reader, &reader->ranges[0], 0);
    }
}

/* ---- Answers ---- */

static void take_range(struct imap *p, unsigned i)
{
    struct looking *l = looking_of(p);
    struct text_reader *reader = &l->readers[l->asked_reader[i]];
    struct text_range *range = l->asked[i];
    const mailsrv_read_bytes *bytes = mailsrv__answer(&p->session, i)->value;
    if (!reader->opened)
        mailsrv__handle_take(&p->session, i, bytes->handle, &l->handles[l->asked_reader[i]]);
    reader->opened = true;
    if (bytes->octets.n == 0 || bytes->octets.n > range->asked) {
        range->failure.status = MAILSRV_CORRUPT; /* not as long as its row said */
        return;
    }
    range->lent = mailsrv__take_lent(&p->session, i);
    range->octets = mailsrv__span(bytes->octets);
    l->short_reads = l->short_reads || range->octets.n < range->asked;
}

static enum step ranges_answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct looking *l = looking_of(p);
    for (unsigned i = 0; i < l->n_asked; i++) {
        const mailsrv_answer *answer = mailsrv__answer(session, i);
        struct text_reader *reader = &l->readers[l->asked_reader[i]];
        bool is_ahead = reader->candidate != mailsrv__search_of(p)->now;
        if (answer->status == MAILSRV_OK)
            take_range(p, i);
        else if (is_ahead && answer->status == MAILSRV_NOMEM && !mailsrv__answer_came(session, i))
            drop_reader(p, reader); /* there was none to read ahead with: it will be asked alone */
        else
            mailsrv__failure_keep(&l->asked[i]->failure, answer->status, mailsrv__span(answer->text));
    }
    l->n_asked = 0;
    return mailsrv__search_judge(session);
}

static enum step ask_ranges(struct imap *p, uint64_t at)
{
    looking_of(p)->n_asked = 0;
    ask_now(p, at);
    ask_ahead(p);
    return mailsrv__then_answers(&p->session, ranges_answered);
}

/* ---- Looking ---- */

/* The range that octet `at` stands in, or that should have begun with it and failed.  NULL: it was not asked for. */
static const struct text_range *find_range(struct looking *l, uint32_t candidate, uint64_t at)
{
    const struct text_reader *reader = reader_of(l, candidate, false);
    for (uint32_t i = 0; reader != NULL && i < READER_RANGES; i++) {
        const struct text_range *range = &reader->ranges[i];
        bool covers = range->used && at >= range->offset && at - range->offset < range->octets.n;
        if (covers || (range->used && range->failure.status != MAILSRV_OK && range->offset == at))
            return range;
    }
    return NULL;
}

/* What has gone is not found; what is damaged is told at the end, and all else ends the search: it may pass. */
static void fail(struct search *s, const struct failure *failure)
{
    if (failure->status == MAILSRV_GONE)
        s->gone = true;
    else if (failure->status != MAILSRV_CORRUPT)
        s->failure = *failure;
    else if (s->damage.status == MAILSRV_OK)
        s->damage = *failure;
}

/* Looks at a piece of the range.  False: no more is needed. */
static bool look(struct imap *p, const struct text_range *range)
{
    struct looking *l = looking_of(p);
    struct span piece = mailsrv__span_after(range->octets, (size_t)(l->at - range->offset));
    piece = mailsrv__span_first(piece, l->piece_octets);
    mailsrv__spend(&p->session, 1 + (uint32_t)piece.n * UNITS_A_PIECE / l->piece_octets);
    l->at += piece.n;
    return mailsrv__seek_take(l->seek, piece);
}

/* The message has ended, or no more of it is needed. */
static enum match end(struct imap *p, const struct candidate *c)
{
    struct search *s = mailsrv__search_of(p);
    mailsrv__seek_end(s->looking.seek);
    enum match match = mailsrv__search_match(p, c);
    if (match == MATCH_UNKNOWN)
        mailsrv__failure_keep(&s->failure, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    return match;
}

static enum step look_on(struct imap *p, struct candidate *c, enum match *out)
{
    struct search *s = mailsrv__search_of(p);
    struct looking *l = &s->looking;
    bool wants_more = true;
    for (;;) {
        *out = mailsrv__search_match(p, c);
        if (*out != MATCH_UNKNOWN)
            return STEP_NEXT;
        if (!wants_more || l->at == c->octets) {
            *out = end(p, c);
            return STEP_NEXT;
        }
        const struct text_range *range = find_range(l, s->now, l->at);
        if (range == NULL)
            return ask_ranges(p, l->at);
        if (range->failure.status != MAILSRV_OK) {
            fail(s, &range->failure);
            return STEP_NEXT;
        }
        if (!mailsrv__may_go_on(&p->session))
            return mailsrv__then_turn(&p->session, mailsrv__search_judge);
        wants_more = look(p, range);
    }
}

enum step mailsrv__search_text(struct imap *p, enum match *out)
{
    struct search *s = mailsrv__search_of(p);
    struct looking *l = &s->looking;
    struct candidate *c = &s->candidates[s->now];
    if (!l->begun) {
        mailsrv__seek_begin(l->seek);
        c->seek = l->seek;
        l->begun = true;
        l->at = 0;
    }
    enum step step = look_on(p, c, out);
    struct text_reader *reader = step == STEP_NEXT ? reader_of(l, s->now, false) : NULL;
    if (reader != NULL)
        drop_reader(p, reader);
    l->begun = step != STEP_NEXT;
    return step;
}
