#include "text/transfer.h"

#include "base/word.h"
#include "text/base64.h"

/* Within "=XX", and "=" blanks CRLF. */
enum { AT_TEXT, AT_EQUALS, AT_DIGIT, AT_PADDING, AT_PADDING_CR };

enum transfer_kind mailsrv__transfer_kind(struct span word)
{
    if (mailsrv__span_equal_nocase(word, SPAN("quoted-printable")))
        return TRANSFER_QUOTED_PRINTABLE;
    return mailsrv__span_equal_nocase(word, SPAN("base64")) ? TRANSFER_BASE64 : TRANSFER_PLAIN;
}

void mailsrv__transfer_begin(struct transfer *t, enum transfer_kind kind)
{
    t->kind = kind;
    t->at = AT_TEXT;
    t->n_blanks = t->n_bits = 0;
}

unsigned mailsrv__hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c = mailsrv__upper(c);
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/* There is room: TRANSFER_ROOM_MIN was asked for. */
static inline void put(struct writer *out, char c)
{
    out->p[out->n++] = c;
}

/* ---- Quoted-printable (RFC 2045 section 6.7) ---- */

static void put_blanks(struct transfer *t, struct writer *out)
{
    for (uint8_t i = 0; i < t->n_blanks; i++)
        put(out, t->blanks[i]);
    t->n_blanks = 0;
}

static void hold_blank(struct transfer *t, char c, struct writer *out)
{
    if (t->n_blanks == TRANSFER_BLANKS_MAX) {
        put(out, t->blanks[0]);
        memmove(t->blanks, t->blanks + 1, --t->n_blanks);
    }
    t->blanks[t->n_blanks++] = c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Rule 3: blanks at the end of a line were added on the way, and go.  A CR is held with them: it may end the line. */
static void take_text(struct transfer *t, char c, struct writer *out)
{
    bool cr = t->n_blanks != 0 && t->blanks[t->n_blanks - 1] == '\r';
    if (c == '\n') {
        t->n_blanks = 0;
        mailsrv__write(out, cr ? SPAN("\r\n") : SPAN("\n"));
        return;
    }
    if (cr)
        put_blanks(t, out);
    if (is_blank(c) || c == '\r') {
        hold_blank(t, c, out);
        return;
    }
    put_blanks(t, out);
    if (c == '=')
        t->at = AT_EQUALS;
    else
        put(out, c);
}

/* It was no escape: what was taken for its beginning stays as it is, and `c` is looked at anew. */
static void take_back(struct transfer *t, char c, struct writer *out)
{
    put(out, '=');
    if (t->at == AT_DIGIT)
        put(out, t->digit);
    put_blanks(t, out);
    if (t->at == AT_PADDING_CR)
        put(out, '\r');
    t->at = AT_TEXT;
    take_text(t, c, out);
}

static void take_digit(struct transfer *t, char c, struct writer *out)
{
    if (mailsrv__hex_digit(c) > 15) {
        take_back(t, c, out);
        return;
    }
    put(out, (char)(mailsrv__hex_digit(t->digit) << 4 | mailsrv__hex_digit(c)));
    t->at = AT_TEXT;
}

/* Behind "=": two digits, or the end of a line that is none (rule 5), with blanks before it or without. */
static void take_equals(struct transfer *t, char c, struct writer *out)
{
    if (c == '\n') {
        t->n_blanks = 0;
        t->at = AT_TEXT;
    } else if (c == '\r' && t->at != AT_PADDING_CR) {
        t->at = AT_PADDING_CR;
    } else if (is_blank(c) && t->at != AT_PADDING_CR && t->n_blanks != TRANSFER_BLANKS_MAX) {
        t->blanks[t->n_blanks++] = c;
        t->at = AT_PADDING;
    } else if (t->at == AT_EQUALS && mailsrv__hex_digit(c) < 16) {
        t->digit = c;
        t->at = AT_DIGIT;
    } else {
        take_back(t, c, out);
    }
}

static void take_printable(struct transfer *t, char c, struct writer *out)
{
    if (t->at == AT_TEXT)
        take_text(t, c, out);
    else if (t->at == AT_DIGIT)
        take_digit(t, c, out);
    else
        take_equals(t, c, out);
}

/* Most octets stand for themselves, and go on in one piece: up to the next escape, or to the blanks before what comes
 * next, of which it is not known yet whether they end their line.  Nothing is held back. */
static size_t take_run(struct span in, struct writer *out)
{
    size_t n = mailsrv__find_either(in.p, in.n, '=', '\n');
    bool at_escape = n != in.n && in.p[n] == '=';
    while (!at_escape && n != 0 && (is_blank(in.p[n - 1]) || in.p[n - 1] == '\r'))
        n--;
    mailsrv__write(out, mailsrv__span_first(in, n));
    return n;
}

/* Escapes that lie whole in front. */
static size_t take_escapes(struct span in, struct writer *out)
{
    size_t i = 0;
    for (; in.n - i >= 3 && in.p[i] == '='; i += 3) {
        unsigned high = mailsrv__hex_digit(in.p[i + 1]), low = mailsrv__hex_digit(in.p[i + 2]);
        if (high > 15 || low > 15)
            break;
        put(out, (char)(high << 4 | low));
    }
    return i;
}

static size_t take_printables(struct transfer *t, struct span in, struct writer *out)
{
    size_t n = 0;
    while (n < in.n && out->room - out->n >= TRANSFER_ROOM_MIN) {
        struct span some = { in.p + n, in.n - n };
        some = mailsrv__span_first(some, out->room - out->n - TRANSFER_ROOM_MIN); /* for what is held back */
        size_t whole = 0;
        if (t->at == AT_TEXT && t->n_blanks == 0)
            whole = some.n != 0 && some.p[0] == '=' ? take_escapes(some, out) : take_run(some, out);
        if (whole == 0)
            take_printable(t, in.p[n++], out);
        n += whole;
    }
    return n;
}

/* ---- Base64 (RFC 2045 section 6.8) ---- */

#define VALUE(c) (uint8_t)BASE64_VALUE(c)
#define VALUES_4(c) VALUE(c), VALUE((c) + 1), VALUE((c) + 2), VALUE((c) + 3)
#define VALUES_16(c) VALUES_4(c), VALUES_4((c) + 4), VALUES_4((c) + 8), VALUES_4((c) + 12)
#define VALUES_64(c) VALUES_16(c), VALUES_16((c) + 16), VALUES_16((c) + 32), VALUES_16((c) + 48)

static const uint8_t values[256] = { VALUES_64(0), VALUES_64(64), VALUES_64(128), VALUES_64(192) };

/* Four of the alphabet at a time; no bit is left over from before. */
static size_t take_fours(struct span in, struct writer *out)
{
    const uint8_t *p = (const uint8_t *)in.p;
    char *to = out->p + out->n;
    size_t room = (out->room - out->n) / 3 * 4, most = in.n < room ? in.n : room, i = 0;
    for (; most - i >= 4; i += 4) {
        uint32_t a = values[p[i]], b = values[p[i + 1]], c = values[p[i + 2]], d = values[p[i + 3]];
        if ((a | b | c | d) > 63)
            break;
        *to++ = (char)(a << 2 | b >> 4);
        *to++ = (char)(b << 4 | c >> 2);
        *to++ = (char)(c << 6 | d);
    }
    out->n = (size_t)(to - out->p);
    return i;
}

/* What is not of the alphabet is ignored.  Behind padding another text may follow: bodies are joined so. */
static void take_base64(struct transfer *t, char c, struct writer *out)
{
    uint32_t value = values[(uint8_t)c];
    if (c == '=')
        t->n_bits = 0;
    if (value > 63)
        return;
    t->bits = (t->bits << 6 | value) & 0xFFF;
    t->n_bits = (uint8_t)(t->n_bits + 6);
    if (t->n_bits < 8)
        return;
    t->n_bits = (uint8_t)(t->n_bits - 8);
    put(out, (char)(t->bits >> t->n_bits & 0xFF));
}

static size_t take_letters(struct transfer *t, struct span in, struct writer *out)
{
    size_t n = 0;
    while (n < in.n && out->room - out->n >= TRANSFER_ROOM_MIN) {
        size_t whole = t->n_bits == 0 ? take_fours((struct span){ in.p + n, in.n - n }, out) : 0;
        if (whole == 0)
            take_base64(t, in.p[n++], out);
        n += whole;
    }
    return n;
}

/* ---- Each of them ---- */

static size_t take_plain(struct span in, struct writer *out)
{
    size_t n = in.n < out->room - out->n ? in.n : out->room - out->n;
    mailsrv__write(out, mailsrv__span_first(in, n));
    return n;
}

void mailsrv__transfer_take(struct transfer *t, struct span *in, struct writer *out)
{
    size_t n;
    if (t->kind == TRANSFER_PLAIN)
        n = take_plain(*in, out);
    else if (t->kind == TRANSFER_BASE64)
        n = take_letters(t, *in, out);
    else
        n = take_printables(t, *in, out);
    *in = mailsrv__span_after(*in, n);
}

/* The end of the body ends its last line, too: a lone "=" before it is a soft break, and blanks go. */
void mailsrv__transfer_end(struct transfer *t, struct writer *out)
{
    if (t->kind != TRANSFER_QUOTED_PRINTABLE)
        return;
    if (t->at == AT_DIGIT)
        mailsrv__write(out, (struct span){ (const char[]){ '=', t->digit }, 2 });
    if (t->at == AT_TEXT && t->n_blanks != 0 && t->blanks[t->n_blanks - 1] == '\r')
        put(out, '\r');
    mailsrv__transfer_begin(t, t->kind);
}
