/* The octets of the messages that FETCH sends: a bounded number of ranges is read ahead, of the message whose turn it
 * is and of those behind it, and said in order. */
#include "imap/fetch.h"

enum { UNIT_OCTETS = 1024 };
enum { LINE_BEGAN, LINE_CR, LINE_GOES_ON };

/* ---- Lanes ---- */

static void drop_chunk(struct chunk *c)
{
    if (c->lent != NULL)
        mailsrv__lent_drop(c->lent);
    *c = (struct chunk){ 0 };
}

static struct lane *lane_of(struct fetch *f, uint32_t message)
{
    for (uint32_t i = 0; i < LANES; i++)
        if (f->lanes[i].used && f->lanes[i].message == message)
            return &f->lanes[i];
    return NULL;
}

static struct lane *new_lane(struct fetch *f, uint32_t message)
{
    for (uint32_t i = 0; i < LANES; i++) {
        if (f->lanes[i].used)
            continue;
        f->lanes[i] = (struct lane){ .message = message, .used = true };
        return &f->lanes[i];
    }
    return NULL;
}

void mailsrv__fetch_drop_lane(struct imap *p, uint32_t message)
{
    struct fetch *f = mailsrv__fetch_of(p);
    struct lane *lane = lane_of(f, message);
    if (lane == NULL)
        return;
    for (uint32_t i = 0; i < LANE_CHUNKS; i++)
        drop_chunk(&lane->chunks[i]);
    mailsrv__handle_close(&p->session, &f->reading[lane - f->lanes]);
    *lane = (struct lane){ 0 };
}

static bool covers(const struct chunk *c, uint64_t at)
{
    return c->used && at >= c->offset && at - c->offset < c->octets.n;
}

/* ---- What is needed of a message ---- */

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The octets of an attribute, from `*at` to `*end`; those of a header that is filtered are all read. */
static enum range resolve(const struct att *att, const struct message *m, const struct sending *s, uint64_t *at,
                          uint64_t *end)
{
    uint64_t first = 0, last = 0;
    enum range range = mailsrv__fetch_range(att, m, s, &first, &last);
    if (range == RANGE_FOUND && att->is_partial && !mailsrv__att_is_filtered(att)) {
        first += least_of(att->first, last - first);
        last = first + least_of(att->most, last - first);
    }
    *at = first;
    *end = last;
    return range;
}

const struct att *mailsrv__fetch_first_body(const struct fetch_atts *atts)
{
    for (uint32_t i = 0; i < atts->n; i++)
        if (atts->v[i].kind == ATT_BODY)
            return &atts->v[i];
    return NULL;
}

/* The first range of a message whose turn has not come.  False: nothing of it is read. */
static bool first_range(const struct fetch *f, const struct message *m, uint64_t *at, uint64_t *end)
{
    static const struct sending nothing_known = { 0 };
    const struct att *first = mailsrv__fetch_first_body(&f->atts);
    if (!m->there || first == NULL)
        return false;
    if (resolve(first, m, &nothing_known, at, end) == RANGE_UNKNOWN) {
        *at = 0;
        *end = m->octets;
    }
    return *at < *end;
}

/* ---- Asking ---- */

/* Asks for a range.  Without memory the READ failed. */
static void ask_range(struct imap *p, struct lane *lane, struct chunk *c, uint64_t at, uint64_t end)
{
    struct fetch *f = mailsrv__fetch_of(p);
    drop_chunk(c);
    c->used = true;
    c->offset = at;
    c->asked = least_of(end - at, mailsrv__imap_range_octets(&p->session));
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_READ, 0);
    f->asked[f->n_asked] = c;
    f->asked_lane[f->n_asked++] = (uint8_t)(lane - f->lanes);
    if (ask.op == NULL)
        return;
    mailsrv_arg_read *arg = ask.arg;
    arg->uid = f->page[lane->message].uid;
    arg->mbox = p->mbox.value;
    arg->handle = f->reading[lane - f->lanes].value;
    arg->offset = at;
    arg->octets = c->asked;
}

/* The ranges from `at` on of the message whose turn it is.  The first of a message is asked alone, because its answer
 * brings the handle for the others. */
static void ask_now(struct imap *p, uint64_t at, uint64_t end)
{
    struct fetch *f = mailsrv__fetch_of(p);
    struct lane *lane = lane_of(f, f->now);
    if (lane == NULL)
        lane = new_lane(f, f->now); /* the lanes in use are of those behind it, fewer than there are lanes */
    for (uint32_t i = 0; i < LANE_CHUNKS; i++)
        drop_chunk(&lane->chunks[i]);
    ask_range(p, lane, &lane->chunks[0], at, end);
    at += lane->chunks[0].asked;
    if (lane->opened && !f->short_reads && at < end)
        ask_range(p, lane, &lane->chunks[1], at, end);
}

/* The first ranges of the messages behind it. */
static void ask_ahead(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    for (uint32_t i = f->now + 1; i < f->n_rows && i < f->now + LANES && f->n_asked < LANES; i++) {
        uint64_t at, end;
        if (lane_of(f, i) != NULL || !first_range(f, &f->page[i], &at, &end))
            continue;
        struct lane *lane = new_lane(f, i);
        if (lane == NULL)
            return;
        ask_range(p, lane, &lane->chunks[0], at, end);
    }
}

/* ---- Answers ---- */

static void take_range(struct imap *p, unsigned i)
{
    struct fetch *f = mailsrv__fetch_of(p);
    struct lane *lane = &f->lanes[f->asked_lane[i]];
    struct chunk *c = f->asked[i];
    const mailsrv_read_bytes *bytes = mailsrv__answer(&p->session, i)->value;
    if (!lane->opened)
        mailsrv__handle_take(&p->session, i, bytes->handle, &f->reading[f->asked_lane[i]]);
    lane->opened = true;
    if (bytes->octets.n == 0 || bytes->octets.n > c->asked) {
        c->failure.status = MAILSRV_CORRUPT; /* not as long as its row said */
        return;
    }
    c->lent = mailsrv__take_lent(&p->session, i);
    c->octets = mailsrv__span(bytes->octets);
    f->short_reads = f->short_reads || c->octets.n < c->asked;
}

static enum step ranges_answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct fetch *f = mailsrv__fetch_of(p);
    for (unsigned i = 0; i < f->n_asked; i++) {
        const mailsrv_answer *answer = mailsrv__answer(session, i);
        uint32_t message = f->lanes[f->asked_lane[i]].message;
        if (answer->status == MAILSRV_OK)
            take_range(p, i);
        else if (!mailsrv__answer_came(session, i) && answer->status == MAILSRV_NOMEM && message != f->now)
            mailsrv__fetch_drop_lane(p, message); /* there was none to read ahead with: it will be asked alone */
        else
            mailsrv__failure_keep(&f->asked[i]->failure, answer->status, mailsrv__span(answer->text));
    }
    mailsrv__fetch_seen_answered(p, f->n_asked);
    f->n_asked = 0;
    return mailsrv__fetch_go_on(session);
}

static enum step ask_ranges(struct imap *p, uint64_t at, uint64_t end)
{
    mailsrv__fetch_of(p)->n_asked = 0;
    ask_now(p, at, end);
    ask_ahead(p);
    mailsrv__fetch_ask_seen(p);
    return mailsrv__then_answers(&p->session, ranges_answered);
}

/* The range that octet `at` stands in, or that should have begun with it and failed.  NULL: it was not asked for. */
static const struct chunk *find_chunk(struct fetch *f, uint64_t at)
{
    struct lane *lane = lane_of(f, f->now);
    const struct chunk *failed = NULL;
    for (uint32_t i = 0; lane != NULL && i < LANE_CHUNKS; i++) {
        const struct chunk *c = &lane->chunks[i];
        if (covers(c, at))
            return c;
        if (c->used && c->failure.status != MAILSRV_OK && c->offset == at)
            failed = c;
    }
    return failed;
}

static bool has_failed(const struct chunk *c)
{
    return c != NULL && c->failure.status != MAILSRV_OK;
}

/* ---- A READ that failed ---- */

/* Once the length of a literal is out there is no way back (RFC 9051 section 4.3).  Else what was not said is left out.
 * Of several failures the one that may pass counts: another try is worth it. */
enum step mailsrv__fetch_fails(struct imap *p, const struct failure *failure)
{
    struct fetch *f = mailsrv__fetch_of(p);
    if (f->sending.announced)
        return STEP_CLOSE;
    if (failure->status == MAILSRV_GONE)
        f->gone = true;
    else if (f->failure.status == MAILSRV_OK || f->failure.status == MAILSRV_CORRUPT)
        f->failure = *failure;
    f->sending.failed = true;
    return STEP_NEXT;
}

/* ---- Sending ---- */

/* How many octets of `text` stand before the end of the header: an empty line, which belongs to it.  False: it is not
 * there.  A line ends with LF, and the CR before it belongs to that. */
static bool find_empty_line(uint8_t *line, struct span text, size_t *n)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\n' && *line != LINE_GOES_ON) {
            *n = i + 1;
            return true;
        }
        if (c == '\n')
            *line = LINE_BEGAN;
        else if (c == '\r' && *line == LINE_BEGAN)
            *line = LINE_CR;
        else
            *line = LINE_GOES_ON;
    }
    *n = text.n;
    return false;
}

enum step mailsrv__fetch_octets(struct imap *p, uint64_t at, uint64_t end, struct span *out)
{
    const struct chunk *c = find_chunk(mailsrv__fetch_of(p), at);
    *out = (struct span){ NULL, 0 };
    if (has_failed(c))
        return mailsrv__fetch_fails(p, &c->failure);
    if (c == NULL)
        return ask_ranges(p, at, end);
    if (!mailsrv__may_go_on(&p->session))
        return mailsrv__then_turn(&p->session, mailsrv__fetch_go_on);
    *out = mailsrv__span_after(c->octets, (size_t)(at - c->offset));
    if (end - at < out->n)
        out->n = (size_t)(end - at);
    mailsrv__spend(&p->session, 1 + (uint32_t)(out->n / UNIT_OCTETS));
    return STEP_NEXT;
}

/* Where the header ends is seen when it has streamed past; a message without an empty line is all header. */
static enum step find_header_end(struct imap *p, const struct message *m)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    while (!s->header_known && s->scanned < m->octets) {
        struct span octets;
        size_t n;
        enum step step = mailsrv__fetch_octets(p, s->scanned, m->octets, &octets);
        if (step != STEP_NEXT || s->failed)
            return step;
        s->header_known = find_empty_line(&s->line, octets, &n);
        s->scanned += n;
    }
    s->header_known = true;
    s->header_end = s->scanned;
    return STEP_NEXT;
}

/* ---- Fields of a header ---- */

static void begin_filter(struct sending *s, const struct att *att)
{
    s->filter = mailsrv__header_filter(att->fields, att->n_fields, att->section == SECTION_FIELDS_NOT);
}

static enum step count_fields(struct imap *p, const struct att *att)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    struct span octets, part;
    if (!s->counting)
        begin_filter(s, att);
    if (!s->counting)
        s->count_at = s->at;
    s->counting = true;
    while (s->count_at < s->end) {
        enum step step = mailsrv__fetch_octets(p, s->count_at, s->end, &octets);
        if (step != STEP_NEXT || s->failed)
            return step;
        s->count_at += octets.n;
        while (mailsrv__header_filter_take(&s->filter, &octets, &part))
            s->count += part.n;
    }
    if (mailsrv__header_filter_end(&s->filter, &part))
        s->count += part.n;
    begin_filter(s, att);
    s->counted = true;
    s->skip = att->is_partial ? least_of(att->first, s->count) : 0;
    s->left = att->is_partial ? least_of(att->most, s->count - s->skip) : s->count;
    return STEP_NEXT;
}

static enum step find_range(struct imap *p, const struct att *att)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    const struct message *m = &mailsrv__fetch_of(p)->page[mailsrv__fetch_of(p)->now];
    enum range range = resolve(att, m, s, &s->at, &s->end);
    if (range == RANGE_UNKNOWN) {
        enum step step = att->n_part != 0 ? mailsrv__fetch_structure(p) : find_header_end(p, m);
        if (step != STEP_NEXT || s->failed)
            return step;
        range = resolve(att, m, s, &s->at, &s->end);
    }
    s->missing = range != RANGE_FOUND;
    return STEP_NEXT;
}

enum step mailsrv__fetch_prepare(struct imap *p, const struct att *att)
{
    struct fetch *f = mailsrv__fetch_of(p);
    struct sending *s = &f->sending;
    if (s->resolved)
        return STEP_NEXT;
    enum step step = find_range(p, att);
    if (step == STEP_NEXT && !s->failed && !s->missing && mailsrv__att_is_filtered(att) && !s->counted)
        step = count_fields(p, att);
    if (step != STEP_NEXT || s->failed)
        return step;
    const struct chunk *c = s->at < s->end ? find_chunk(f, s->at) : NULL;
    if (has_failed(c))
        return mailsrv__fetch_fails(p, &c->failure);
    if (c == NULL && s->at < s->end)
        return ask_ranges(p, s->at, s->end);
    s->resolved = true;
    return STEP_NEXT;
}

/* The name of a section is as long as the client made it. */
/* "BODY[TEXT]<0> {120}", or "" where there is nothing.  Its octets are there: what is said now will be kept. */
static bool announce(struct imap *p, const struct att *att)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    char room[64];
    struct writer w = { .p = room, .room = sizeof room };
    uint64_t octets = mailsrv__att_is_filtered(att) ? s->left : s->end - s->at;
    if (att->is_partial) {
        mailsrv__write_char(&w, '<');
        mailsrv__write_u64(&w, att->first);
        mailsrv__write_char(&w, '>');
    }
    if (s->missing) {
        mailsrv__write(&w, SPAN(" NIL"));
    } else if (octets == 0) {
        mailsrv__write(&w, SPAN(" \"\""));
    } else {
        mailsrv__write(&w, SPAN(" {"));
        mailsrv__write_u64(&w, octets);
        mailsrv__write(&w, SPAN("}\r\n"));
    }
    s->announced = true;
    struct pen *pen = &mailsrv__fetch_of(p)->pen;
    return mailsrv__pen_write(pen, att->name) && mailsrv__pen_write(pen, mailsrv__written(&w)) &&
           mailsrv__pen_flush(pen);
}

static bool say_some(struct imap *p, const struct chunk *c)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    struct span octets = mailsrv__span_after(c->octets, (size_t)(s->at - c->offset));
    if (s->end - s->at < octets.n)
        octets.n = (size_t)(s->end - s->at);
    s->at += octets.n;
    mailsrv__spend(&p->session, 1 + (uint32_t)(octets.n / UNIT_OCTETS));
    return mailsrv__say_lent(&p->session, c->lent, octets);
}

/* A part of the fields; what the filter had to keep back is its own, not the chunk's. */
static bool say_part(struct imap *p, const struct chunk *c, struct span part)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    bool is_lent = c != NULL && part.p >= c->octets.p && part.p < c->octets.p + c->octets.n;
    size_t skip = s->skip < part.n ? (size_t)s->skip : part.n;
    s->skip -= skip;
    part = mailsrv__span_after(part, skip);
    if (s->left < part.n)
        part.n = (size_t)s->left;
    s->left -= part.n;
    if (part.n == 0)
        return true;
    return is_lent ? mailsrv__say_lent(&p->session, c->lent, part) : mailsrv__say(&p->session, part);
}

static bool say_fields(struct imap *p, const struct chunk *c)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    struct span octets = mailsrv__span_after(c->octets, (size_t)(s->at - c->offset)), part;
    if (s->end - s->at < octets.n)
        octets.n = (size_t)(s->end - s->at);
    s->at += octets.n;
    mailsrv__spend(&p->session, 1 + (uint32_t)(octets.n / UNIT_OCTETS));
    while (mailsrv__header_filter_take(&s->filter, &octets, &part))
        if (!say_part(p, c, part))
            return false;
    if (s->at == s->end && mailsrv__header_filter_end(&s->filter, &part) && !say_part(p, c, part))
        return false;
    if (s->left == 0)
        s->at = s->end;
    return true;
}

static enum step send_octets(struct imap *p, const struct att *att)
{
    struct fetch *f = mailsrv__fetch_of(p);
    struct sending *s = &f->sending;
    bool filtered = mailsrv__att_is_filtered(att);
    while (s->at < s->end && !(filtered && s->left == 0)) {
        const struct chunk *c = find_chunk(f, s->at);
        if (has_failed(c))
            return mailsrv__fetch_fails(p, &c->failure);
        if (!mailsrv__window_open(&p->session))
            return mailsrv__then_window(&p->session, mailsrv__fetch_go_on);
        if (c == NULL)
            return ask_ranges(p, s->at, s->end);
        if (!mailsrv__may_go_on(&p->session))
            return mailsrv__then_turn(&p->session, mailsrv__fetch_go_on);
        if (!(filtered ? say_fields(p, c) : say_some(p, c)))
            return STEP_CLOSE;
    }
    return STEP_NEXT;
}

enum step mailsrv__fetch_send(struct imap *p, const struct att *att)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    enum step step = mailsrv__fetch_prepare(p, att);
    if (step != STEP_NEXT || s->failed)
        return step;
    if (!s->announced) {
        int32_t status = mailsrv__fetch_say_next(p);
        if (status == MAILSRV_GONE)
            return STEP_NEXT;
        if (status != MAILSRV_OK || !announce(p, att))
            return STEP_CLOSE;
    }
    return send_octets(p, att);
}
