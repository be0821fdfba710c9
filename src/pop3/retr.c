/* RETR and TOP: a message in ranges, each asked when the one before it has gone out as far as the window lets it. */
#include "base/word.h"
#include "message/header.h"
#include "pop3/pop3.h"
#include "text/decimal.h"

enum { RANGE_MAX = 32768, UNIT_OCTETS = 1024 };

static void reading_fini(struct pop3 *p)
{
    struct reading *r = &p->reading;
    if (r->lent != NULL)
        mailsrv__lent_drop(r->lent);
    r->lent = NULL;
    mailsrv__handle_close(&p->session, &r->handle);
}

static enum step failed(struct pop3 *p, int32_t status, struct span text)
{
    bool begun = p->reading.begun;
    reading_fini(p);
    if (begun)
        return STEP_CLOSE; /* without the dot: half a message must not look like a whole one */
    return mailsrv__pop3_refuse(p, status, text);
}

static enum step finished(struct pop3 *p)
{
    reading_fini(p);
    return mailsrv__pop3_reply(p, mailsrv__stuff_end(&p->reading.stuff));
}

static bool is_whole(const struct reading *r)
{
    return r->offset >= r->size || (r->is_top && mailsrv__top_done(&r->top));
}

/* A range fits into the window, and a copy of it into the session's memory beside what else that holds. */
static uint64_t most_at_once(const mailsrv_session *session)
{
    uint64_t window = mailsrv__setting(session, MAILSRV_PROFILE_WINDOW_OCTETS);
    uint64_t share = mailsrv__setting(session, MAILSRV_PROFILE_SESSION_OCTETS_MAX) / 4;
    uint64_t most = window < share ? window : share;
    return most < RANGE_MAX ? most : RANGE_MAX;
}

static enum step range_answered(mailsrv_session *session);

static enum step ask_range(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    struct reading *r = &p->reading;
    uint64_t left = r->size - r->offset;
    uint64_t most = most_at_once(session);
    struct ask ask = mailsrv__ask(session, MAILSRV_OP_READ, 0);
    if (ask.op == NULL)
        return failed(p, MAILSRV_NOMEM, (struct span){ 0 });
    mailsrv_arg_read *arg = ask.arg;
    arg->uid = r->uid;
    arg->mbox = p->mbox.value;
    arg->handle = r->handle.value;
    arg->offset = r->offset;
    arg->octets = left > most ? most : left == 0 ? 1 : left; /* an empty message is asked for, too: it may be gone */
    return mailsrv__then_answers(session, range_answered);
}

/* Says one part.  What follows it in the same range begins with a dot that is to be doubled: that dot is said from
 * there, as the end of this part, and again as the beginning of the next.  So only one at the beginning of a range
 * takes a slice of its own.  False: no memory. */
static bool say_part(mailsrv_session *session, struct reading *r, const struct stuffed *part)
{
    struct span octets = part->octets;
    bool dot = part->dot && !r->dot_out;
    r->dot_out = r->octets.n != 0;
    octets.n += r->dot_out;
    if (dot && !mailsrv__say(session, SPAN(".")))
        return false;
    return mailsrv__say_lent(session, r->lent, octets);
}

/* A range is no longer than the window, so that it goes out whole, however many parts the dots make of it. */
static enum step send_range(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    struct reading *r = &p->reading;
    while (r->octets.n != 0) {
        struct stuffed part;
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, send_range);
        mailsrv__stuff_take(&r->stuff, &r->octets, &part);
        if (!say_part(session, r, &part))
            return failed(p, MAILSRV_NOMEM, (struct span){ 0 });
        mailsrv__spend(session, 1 + (uint32_t)(part.octets.n / UNIT_OCTETS));
    }
    mailsrv__lent_drop(r->lent);
    r->lent = NULL;
    if (is_whole(r))
        return finished(p);
    return mailsrv__window_open(session) ? ask_range(session) : mailsrv__then_window(session, ask_range);
}

static bool begin(struct pop3 *p)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, SPAN("+OK"));
    if (!p->reading.is_top) {
        mailsrv__write(&line, SPAN(" "));
        mailsrv__write_u64(&line, p->reading.size);
        mailsrv__write(&line, SPAN(" octets"));
    }
    p->reading.begun = true;
    p->session.mid_reply = true;
    return mailsrv__pop3_say(p, &line) == STEP_NEXT;
}

/* ---- Messages that need UTF-8 mode ---- */

/* Four words at a time: it is asked of each message. */
static bool is_ascii(struct span text)
{
    uint64_t seen = 0;
    size_t i = 0;
    for (; text.n - i >= 4 * sizeof seen; i += 4 * sizeof seen) {
        const char *p = text.p + i;
        seen |= mailsrv__word(p) | mailsrv__word(p + 8) | mailsrv__word(p + 16) | mailsrv__word(p + 24);
    }
    for (; i < text.n; i++)
        seen |= (uint8_t)text.p[i];
    return (seen & WORD_HIGH) == 0;
}

/* "with UTF8SMTP ...", as the trace of a message that came by SMTPUTF8 has it (RFC 6531 section 4.3). */
static bool has_utf8_protocol(struct span received)
{
    static const char with[] = "with UTF8";
    for (size_t i = 0; i + sizeof with - 1 <= received.n; i++)
        if (memcmp(received.p + i, with, sizeof with - 1) == 0)
            return true;
    return false;
}

/* RFC 6856 section 2.1: such a message is not sent as it is.  One that needs it came by SMTPUTF8, as the topmost
 * Received says, and has octets in its header that are not ASCII, as far as that is here.  Header fields with 8 bits
 * that came without are everyday's, and no client is helped by refusing them. */
static bool needs_utf8(struct span text, bool is_all)
{
    if (is_all && is_ascii(text)) /* as most are, and sooner known than where the header ends */
        return false;
    struct span header = mailsrv__span_first(text, mailsrv__header_octets(text));
    struct span rest = header;
    struct header_field field;
    bool is_whole = is_all || header.n < text.n;
    if (is_whole && is_ascii(header))
        return false;
    while (mailsrv__header_next(&rest, &field))
        if (mailsrv__span_equal_nocase(field.name, SPAN("Received")))
            return has_utf8_protocol(field.value);
    return false;
}

/* Takes over an answer that is OK: MAILSRV_OK or what is wrong with it. */
static int32_t take_range(struct pop3 *p)
{
    struct reading *r = &p->reading;
    const mailsrv_read_bytes *bytes = mailsrv__answer(&p->session, 0)->value;
    if (!r->begun)
        mailsrv__handle_take(&p->session, 0, bytes->handle, &r->handle);
    uint64_t left = r->size - r->offset;
    if (bytes->octets.n > left || (bytes->octets.n == 0 && left != 0))
        return MAILSRV_CORRUPT; /* not as long as its row said */
    r->lent = mailsrv__take_lent(&p->session, 0);
    if (r->lent == NULL)
        return MAILSRV_NOMEM;
    r->octets = mailsrv__span(bytes->octets);
    r->needs_utf8 = r->offset == 0 && !p->utf8 && needs_utf8(r->octets, r->octets.n == r->size);
    r->offset += r->octets.n;
    if (r->is_top)
        r->octets.n = mailsrv__top_take(&r->top, r->octets);
    return MAILSRV_OK;
}

static enum step refuse_utf8(struct pop3 *p)
{
    reading_fini(p);
    return mailsrv__pop3_reply(p, SPAN("-ERR [UTF8] this message needs UTF-8 mode\r\n")); /* RFC 6856 section 5 */
}

static enum step range_answered(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    if (mailsrv__pop3_status(p) != MAILSRV_OK)
        return failed(p, mailsrv__pop3_status(p), mailsrv__pop3_answer_text(p));
    int32_t status = take_range(p);
    if (status != MAILSRV_OK)
        return failed(p, status, (struct span){ 0 });
    if (!p->reading.begun && p->reading.needs_utf8 && mailsrv__enabled(session, MAILSRV_EXT_POP3_UTF8))
        return refuse_utf8(p);
    if (!p->reading.begun && !begin(p))
        return STEP_CLOSE;
    return send_range(session);
}

static enum step start(struct pop3 *p, struct span number, struct reading reading)
{
    uint32_t index;
    const struct drop_row *row = mailsrv__pop3_message(p, number, &index);
    if (row == NULL)
        return mailsrv__pop3_refuse(p, MAILSRV_GONE, (struct span){ 0 });
    p->reading = reading;
    p->reading.uid = row->uid;
    p->reading.size = row->octets;
    mailsrv__stuff_init(&p->reading.stuff);
    return ask_range(&p->session);
}

enum step mailsrv__pop3_retr(struct pop3 *p, const struct args *a)
{
    return start(p, a->v[0], (struct reading){ .is_top = false });
}

enum step mailsrv__pop3_top(struct pop3 *p, const struct args *a)
{
    uint64_t lines;
    if (!mailsrv__decimal_read(a->v[1], &lines))
        return mailsrv__pop3_bad(p, SPAN("-ERR a number of lines was expected\r\n"));
    struct reading reading = { .is_top = true };
    mailsrv__top_init(&reading.top, lines);
    return start(p, a->v[0], reading);
}
