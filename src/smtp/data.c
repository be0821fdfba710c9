/* The way of a message's octets: dots or count, header editor, taps, body. */
#include "smtp/smtp.h"
#include "text/decimal.h"

/* ---- Pace: RFC 5321 section 4.5.3.2 as a whole, at least 1 KiB a second beside ten minutes ---- */

static void pace_go(struct smtp *s)
{
    s->pace.mark_us = mailsrv__now_us(&s->session);
    s->pace.fresh = true;
}

/* The clock stands between two advances.  What passed before the first one is not the peer's. */
static void pace_tick(struct smtp *s)
{
    struct pace *p = &s->pace;
    int64_t now_us = mailsrv__now_us(&s->session);
    if (now_us == p->mark_us)
        return;
    if (!p->fresh)
        p->spent_us += now_us - p->mark_us;
    p->fresh = false;
    p->mark_us = now_us;
}

static bool is_too_slow(const struct smtp *s)
{
    const int64_t second_us = 1000000, least_us = 600 * second_us;
    return s->pace.spent_us > least_us && (uint64_t)((s->pace.spent_us - least_us) / second_us) > s->pace.octets / 1024;
}

void mailsrv__smtp_enter(struct smtp *s, enum phase phase)
{
    bool octets = phase != PHASE_LINES;
    int32_t key = octets ? MAILSRV_PROFILE_DATA_TIMEOUT_MS : MAILSRV_PROFILE_COMMAND_TIMEOUT_MS;
    s->phase = (uint8_t)phase;
    s->session.patient_bytes = octets;
    s->session.peer_timeout_ms = (uint32_t)mailsrv__setting(&s->session, key);
    if (octets)
        pace_go(s);
}

/* ---- Octets that nobody wants ---- */

static bool is_refused(const struct smtp *s)
{
    return (s->phase == PHASE_CHUNK && s->chunk_refusal != NULL) || s->mail->refusal != NULL;
}

/* The message will not be taken, whatever follows: what was staged of it goes, the rest is swallowed to its end. */
static void refuse_later(struct smtp *s, const char *line)
{
    s->mail->refusal = line;
    if (s->mail->refused_by_policy) {
        s->mail->refused_by_policy = false;
        s->mail->refusal_text = (struct span){ NULL, 0 };
    }
    mailsrv__body_drop(&s->session);
}

static bool decode(struct smtp *s, struct input *in, size_t most, struct span *out)
{
    if (s->phase == PHASE_DATA)
        return mailsrv__dots_take(&s->mail->dots, in, most, out);
    return mailsrv__counted_take(&s->chunk, in, most, out);
}

/* ---- Octets on their way ---- */

enum moved { MOVED_ALL, MOVED_TO_END, MOVED_NO_FURTHER };

/* Checks what has come.  The size limit holds for every verb of greeting and with or without SIZE= (RFC 1870 section
 * 6.3); without dots and before fields are dropped (section 5). */
static void check(struct smtp *s, struct span piece)
{
    struct transaction *t = s->mail;
    bool bare = s->phase == PHASE_DATA ? t->dots.ends.bare : s->chunk.ends.bare;
    t->octets += piece.n;
    s->pace.octets += piece.n;
    if (t->octets > mailsrv__setting(&s->session, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX))
        refuse_later(s, mailsrv__smtp_line(s, MAILSRV_TOOBIG, AT_DATA));
    else if (bare && mailsrv__setting(&s->session, MAILSRV_PROFILE_BARE_LINE_ENDS) == 0)
        refuse_later(s, "550 5.6.0 a CR or LF stands alone"); /* RFC 5321 section 2.3.8 */
}

static enum moved swallow(struct smtp *s, struct input *in)
{
    struct span piece;
    while (in->n != 0) {
        bool ended = decode(s, in, SIZE_MAX, &piece);
        if (s->mail != NULL && s->mail->refused_by_policy)
            check(s, piece);
        else
            s->pace.octets += piece.n;
        if (ended)
            return MOVED_TO_END;
    }
    return MOVED_ALL;
}

bool mailsrv__smtp_put_waiting(struct smtp *s)
{
    struct transaction *t = s->mail;
    if (t->waiting.n != 0)
        t->waiting = mailsrv__span_after(t->waiting, mailsrv__body_put(&s->session, t->waiting));
    return t->waiting.n == 0;
}

/* Will anybody ask what the header was? */
static bool wants_header(const struct smtp *s)
{
    return mailsrv__smtp_consults(s, MAILSRV_STAGE_HEADERS) || mailsrv__smtp_checks_from(s);
}

/* A part that does not fit is the editor's own: those of the input are no longer than the room. */
void mailsrv__smtp_put(struct smtp *s, struct span part)
{
    struct transaction *t = s->mail;
    mailsrv__taps_bytes(t->taps, part);
    if (wants_header(s))
        mailsrv__header_keep(&s->session, &t->header, part);
    t->waiting = part;
    mailsrv__smtp_put_waiting(s);
}

/* Puts a piece into the body, as far as there is room; returns how many octets of it are gone. */
static size_t edit(struct smtp *s, struct span piece)
{
    struct transaction *t = s->mail;
    struct span rest = piece, part;
    size_t room;
    while (t->waiting.n == 0 && (room = mailsrv__body_room(&s->session)) != 0) {
        struct span window = mailsrv__span_first(rest, room);
        size_t offered = window.n;
        bool more = mailsrv__header_edit(&t->editor, &window, &part);
        rest = mailsrv__span_after(rest, offered - window.n);
        if (more)
            mailsrv__smtp_put(s, part);
        else if (rest.n == 0)
            break;
    }
    return piece.n - rest.n;
}

/* Decodes as much as the body has room for.  What the editor could not place is decoded again later: the decoders give
 * the same octets for the same input. */
static enum moved move_some(struct smtp *s, struct input *in, size_t room)
{
    struct transaction *t = s->mail;
    const struct input from = *in;
    const struct dots dots = t->dots;
    const struct counted chunk = s->chunk;
    struct span piece;
    bool ended = decode(s, in, room, &piece);
    size_t gone = edit(s, piece);
    if (gone < piece.n) {
        *in = from;
        t->dots = dots;
        s->chunk = chunk;
        ended = false;
        if (gone != 0)
            decode(s, in, gone, &piece);
        piece.n = gone;
    }
    check(s, piece);
    return ended ? MOVED_TO_END : MOVED_ALL;
}

static enum moved move(struct smtp *s, struct input *in)
{
    while (in->n != 0) {
        if (is_refused(s))
            return swallow(s, in);
        size_t room = mailsrv__smtp_put_waiting(s) ? mailsrv__body_room(&s->session) : 0;
        if (room == 0)
            return MOVED_NO_FURTHER;
        if (move_some(s, in, room) == MOVED_TO_END)
            return MOVED_TO_END;
    }
    return MOVED_ALL;
}

/* ---- The end of the octets ---- */

/* The message is whole: a CR that ends it stands alone. */
static void see_end(struct smtp *s)
{
    struct line_ends *ends = s->mail->chunked ? &s->chunk.ends : &s->mail->dots.ends;
    mailsrv__line_ends_end(ends);
    if (s->mail->refusal == NULL || s->mail->refused_by_policy)
        check(s, (struct span){ NULL, 0 });
}

static enum step data_ended(struct smtp *s)
{
    see_end(s);
    mailsrv__smtp_enter(s, PHASE_LINES);
    mailsrv__smtp_count_message(s);
    return mailsrv__smtp_finish(s);
}

/* RFC 3030 section 2: the state behind a failed BDAT lasts until RSET; a chunk that was the last ends the transaction,
 * as the dot does.  In LMTP the last chunk, and only that, is replied to once for each recipient (RFC 2033 section
 * 4.3). */
static enum step chunk_failed(struct smtp *s, const char *line, struct span text)
{
    if (s->chunk_is_last && s->mail == NULL) {
        s->failed = false;
        return mailsrv__smtp_is_lmtp(s) ? STEP_NEXT : mailsrv__smtp_reply(s, line);
    }
    if (s->chunk_is_last)
        return mailsrv__smtp_refuse_all(s, line, text);
    bool said = mailsrv__smtp_say(s, line, text);
    mailsrv__body_drop(&s->session);
    s->failed = true;
    return said && !mailsrv__smtp_is_last(line) ? STEP_NEXT : STEP_CLOSE;
}

static enum step chunk_taken(struct smtp *s, uint64_t octets)
{
    char room[64];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_u64(&w, octets);
    mailsrv__write(&w, SPAN(" octets received"));
    return mailsrv__smtp_reply_text(s, "250 2.0.0 received", mailsrv__written(&w));
}

static enum step chunk_ended(struct smtp *s)
{
    struct transaction *t = s->mail;
    struct span none = { NULL, 0 };
    if (s->chunk_refusal == NULL && s->chunk_is_last)
        see_end(s);
    mailsrv__smtp_enter(s, PHASE_LINES);
    if (s->chunk_refusal != NULL)
        return chunk_failed(s, s->chunk_refusal, none);
    if (t->refusal != NULL)
        return chunk_failed(s, t->refusal, t->refusal_text);
    int32_t status = mailsrv__body_status(&s->session);
    if (status != MAILSRV_OK)
        return chunk_failed(s, mailsrv__smtp_line(s, status, AT_DATA), mailsrv__body_text(&s->session));
    return s->chunk_is_last ? mailsrv__smtp_finish(s) : chunk_taken(s, s->chunk_octets);
}

static enum step octets_ended(struct smtp *s)
{
    return s->phase == PHASE_DATA ? data_ended(s) : chunk_ended(s);
}

/* ---- POLICY about the header, while the body is still on its way ---- */

static bool header_is_due(const struct smtp *s)
{
    const struct transaction *t = s->mail;
    return t != NULL && !is_refused(s) && t->header.ended && !t->header_was_asked &&
           mailsrv__body_status(&s->session) == MAILSRV_OK && mailsrv__smtp_consults(s, MAILSRV_STAGE_HEADERS);
}

/* The refusal is said behind the message: its text has to last until then.  Without memory it is said without. */
static void refuse_by_policy(struct smtp *s, const char *line, struct span text)
{
    struct transaction *t = s->mail;
    if (text.n != 0)
        t->refusal_note = mailsrv__note(&s->session, text);
    refuse_later(s, line);
    t->refusal_text = mailsrv__noted(t->refusal_note);
    t->refused_by_policy = true;
}

static enum step header_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct span text;
    const char *refusal = mailsrv__smtp_late_verdict(s, &text);
    if (refusal != NULL)
        refuse_by_policy(s, refusal, text);
    pace_go(s);
    return s->ended_meanwhile ? octets_ended(s) : STEP_WAIT;
}

static enum step ask_about_header(struct smtp *s, bool ended)
{
    s->mail->header_was_asked = true;
    s->ended_meanwhile = ended;
    if (s->mail->header.lost) {
        refuse_later(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA));
        return ended ? octets_ended(s) : STEP_WAIT;
    }
    return mailsrv__smtp_consult(s, MAILSRV_STAGE_HEADERS, header_answered);
}

/* There is room again: the host feeds what it kept. */
static enum step room_came(mailsrv_session *session)
{
    pace_go(mailsrv__smtp_of(session));
    return STEP_WAIT;
}

enum step mailsrv__smtp_take_octets(struct smtp *s, struct input *in)
{
    enum moved moved;
    pace_tick(s);
    if (is_too_slow(s)) {
        mailsrv__smtp_reply(s, "421 4.4.2 too slow, closing");
        return STEP_CLOSE;
    }
    if (s->phase == PHASE_CHUNK && s->chunk.left == 0)
        moved = MOVED_TO_END;
    else
        moved = move(s, in);
    if (header_is_due(s))
        return ask_about_header(s, moved == MOVED_TO_END);
    if (moved == MOVED_TO_END)
        return octets_ended(s);
    return moved == MOVED_NO_FURTHER ? mailsrv__then_body(&s->session, room_came) : STEP_WAIT;
}

/* ---- DATA ---- */

/* While a write of this session that its peer no longer waits for is out, nothing can be written behind it. */
int32_t mailsrv__smtp_begin(struct smtp *s)
{
    if (mailsrv__write_is_late(&s->session))
        return MAILSRV_TEMP;
    return mailsrv__body_ask(&s->session, s->mail->size_hint) ? MAILSRV_OK : MAILSRV_NOMEM;
}

/* What the message will need on its way, beside its body, and behind it: asked again before each chunk, since the
 * replies to the others may have used it.  False: no memory. */
static bool prepare(struct smtp *s)
{
    struct transaction *t = s->mail;
    bool fixes = mailsrv__smtp_is_submission(s);
    if (fixes && t->fixups == NULL && !mailsrv__smtp_users_of(&s->session)->prepare_fixups(s))
        return false;
    if (t->taps == NULL) {
        struct span drop = mailsrv__setting_str(&s->session, MAILSRV_PROFILE_DROP_FIELDS);
        mailsrv__header_editor_init(&t->editor, drop, t->missing, fixes ? sizeof t->missing / sizeof *t->missing : 0);
        t->taps = mailsrv__taps_begin(&s->session);
    }
    return t->taps != NULL && mailsrv__smtp_reserve_replies(s, t->reply_octets);
}

static enum step go_ahead(struct smtp *s)
{
    mailsrv__smtp_enter(s, PHASE_DATA);
    return mailsrv__smtp_reply(s, "354 end with <CR><LF>.<CR><LF>");
}

static enum step data_begun(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    int32_t status = mailsrv__body_begun(session, 0);
    if (status == MAILSRV_OK)
        return go_ahead(s);
    return mailsrv__smtp_reply_text(s, mailsrv__smtp_line(s, status, AT_DATA),
                                    mailsrv__span(mailsrv__answer(session, 0)->text));
}

enum step mailsrv__smtp_data(struct smtp *s, struct span rest)
{
    (void)rest;
    if (!prepare(s))
        return mailsrv__smtp_reply(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA));
    if (s->session.body != NULL)
        return go_ahead(s);
    int32_t status = mailsrv__smtp_begin(s);
    if (status != MAILSRV_OK)
        return mailsrv__smtp_reply(s, mailsrv__smtp_line(s, status, AT_DATA));
    return mailsrv__then_answers(&s->session, data_begun);
}

/* ---- BDAT ---- */

/* bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ]   RFC 3030 section 2
 * False: how many octets follow cannot be known. */
static bool read_chunk(struct span rest, uint64_t *octets, struct span *marker)
{
    const char *space = rest.n == 0 ? NULL : memchr(rest.p, ' ', rest.n);
    size_t n = space == NULL ? rest.n : (size_t)(space - rest.p);
    *marker = mailsrv__span_after(rest, n);
    while (marker->n != 0 && marker->p[0] == ' ')
        *marker = mailsrv__span_after(*marker, 1);
    return mailsrv__decimal_read(mailsrv__span_first(rest, n), octets);
}

/* NULL: the chunk is taken. */
static const char *refusal_of_chunk(struct smtp *s, uint64_t octets, struct span marker)
{
    if (!mailsrv__enabled(&s->session, MAILSRV_EXT_CHUNKING))
        return "502 5.5.1 command not implemented";
    if ((mailsrv__smtp_state(s) & (IN_RCPT | IN_BDAT)) == 0)
        return mailsrv__smtp_order(s);
    if (marker.n != 0 && !s->chunk_is_last)
        return "501 5.5.4 expected BDAT octets [LAST]";
    if (octets > mailsrv__setting(&s->session, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX) - s->mail->octets)
        return mailsrv__smtp_line(s, MAILSRV_TOOBIG, AT_DATA);
    if (!prepare(s))
        return mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA);
    return NULL;
}

/* The octets come now; there may be none. */
static enum step enter_chunk(struct smtp *s)
{
    mailsrv__smtp_enter(s, PHASE_CHUNK);
    return s->chunk.left == 0 ? chunk_ended(s) : STEP_WAIT;
}

static enum step chunk_begun(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    int32_t status = mailsrv__body_begun(session, 0);
    if (status != MAILSRV_OK)
        s->chunk_refusal = mailsrv__smtp_line(s, status, AT_DATA);
    return enter_chunk(s);
}

/* A chunk's octets follow whatever is wrong with the command (RFC 3030 section 2), and are never commands.  Where their
 * number cannot be known, nothing can be told apart any more. */
enum step mailsrv__smtp_bdat(struct smtp *s, struct span rest)
{
    struct span marker;
    uint64_t octets;
    if (!read_chunk(rest, &octets, &marker)) {
        mailsrv__smtp_reply(s, "421 4.5.4 cannot tell where the chunk ends, closing");
        return STEP_CLOSE;
    }
    s->chunk.left = s->chunk_octets = octets;
    s->chunk_is_last = mailsrv__span_equal_nocase(marker, SPAN("LAST"));
    s->chunk_refusal = refusal_of_chunk(s, octets, marker);
    if (s->chunk_refusal != NULL && s->chunk_refusal[0] == '5' && mailsrv__erred(&s->session))
        return mailsrv__smtp_too_many(s);
    if (s->chunk_refusal != NULL)
        return enter_chunk(s);
    s->mail->chunked = true;
    if (s->session.body != NULL)
        return enter_chunk(s);
    int32_t status = mailsrv__smtp_begin(s);
    if (status == MAILSRV_OK)
        return mailsrv__then_answers(&s->session, chunk_begun);
    s->chunk_refusal = mailsrv__smtp_line(s, status, AT_DATA);
    return enter_chunk(s);
}
