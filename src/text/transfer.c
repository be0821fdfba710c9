#include "text/transfer.h"

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

/* ---- Base64 (RFC 2045 section 6.8) ---- */

/* What is not of the alphabet is ignored.  Behind padding another text may follow: bodies are joined so. */
static void take_base64(struct transfer *t, char c, struct writer *out)
{
    uint32_t value = mailsrv__base64_value(c);
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

/* ---- Each of them ---- */

static size_t take_plain(struct span in, struct writer *out)
{
    size_t n = in.n < out->room - out->n ? in.n : out->room - out->n;
    mailsrv__write(out, mailsrv__span_first(in, n));
    return n;
}

void mailsrv__transfer_take(struct transfer *t, struct span *in, struct writer *out)
{
    size_t n = 0;
    if (t->kind == TRANSFER_PLAIN)
        n = take_plain(*in, out);
    for (; n < in->n && t->kind != TRANSFER_PLAIN && out->room - out->n >= TRANSFER_ROOM_MIN; n++) {
        if (t->kind == TRANSFER_BASE64)
            take_base64(t, in->p[n], out);
        else
            take_printable(t, in->p[n], out);
    }
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
