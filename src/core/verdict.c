/* What POLICY answers goes into replies and messages: it is looked at before it is taken. */
#include "core/op.h"
#include "text/utf8.h"

enum { FIELD_LINE_OCTETS_MAX = 998 }; /* RFC 5322 section 2.1.1 */

static bool code_is_in(uint32_t code, uint32_t least)
{
    return code == 0 || (code >= least && code < least + 100);
}

static bool code_fits(const mailsrv_verdict *v)
{
    if (v->subject > 999 || v->detail > 999)
        return false;
    if (v->verdict == MAILSRV_POLICY_REJECT)
        return code_is_in(v->code, 500);
    return v->verdict == MAILSRV_POLICY_LATER ? code_is_in(v->code, 400) : v->code == 0;
}

static bool goes_somewhere(const mailsrv_verdict *v)
{
    if (v->verdict == MAILSRV_POLICY_QUARANTINE)
        return v->to.kind == MAILSRV_TARGET_MAILBOX;
    if (v->verdict == MAILSRV_POLICY_REDIRECT)
        return v->to.kind == MAILSRV_TARGET_MAILBOX || v->to.kind == MAILSRV_TARGET_QUEUE;
    return true;
}

/* ftext = %d33-57 / %d59-126   RFC 5322 section 3.6.8 */
static bool begins_field(struct span line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] > ' ' && line.p[n] <= '~' && line.p[n] != ':')
        n++;
    return n != 0 && n < line.n && line.p[n] == ':';
}

/* VCHAR, blanks, and UTF-8 (RFC 6532 section 3.2); a line of blanks alone is no part of a field. */
static bool is_text(struct span line)
{
    bool blank = true;
    while (line.n != 0) {
        uint32_t c = mailsrv__utf8_take(&line);
        if (c == UTF8_BAD || (c < ' ' && c != '\t') || c == 127)
            return false;
        blank = blank && (c == ' ' || c == '\t');
    }
    return !blank;
}

/* Whole fields, each with its CRLF: nothing in them ends the header or is another's. */
static bool are_fields(struct span text)
{
    bool first = true;
    if (text.n > MAILSRV_POLICY_FIELDS_MAX)
        return false;
    while (text.n != 0) {
        const char *lf = memchr(text.p, '\n', text.n);
        size_t n = lf == NULL ? 0 : (size_t)(lf - text.p);
        if (n < 2 || text.p[n - 1] != '\r' || n - 1 > FIELD_LINE_OCTETS_MAX)
            return false;
        struct span line = mailsrv__span_first(text, n - 1);
        bool folded = line.p[0] == ' ' || line.p[0] == '\t';
        if (!is_text(line) || (folded ? first : !begins_field(line)))
            return false;
        text = mailsrv__span_after(text, n + 1);
        first = false;
    }
    return true;
}

/* An address that stands in a path: visible octets, no brackets. */
static bool is_address(struct span text)
{
    while (text.n != 0) {
        uint32_t c = mailsrv__utf8_take(&text);
        if (c == UTF8_BAD || c < ' ' || c == 127 || c == '<' || c == '>')
            return false;
    }
    return true;
}

bool mailsrv__verdict_is_whole(const mailsrv_verdict *v)
{
    bool lets_pass = v->verdict != MAILSRV_POLICY_REJECT && v->verdict != MAILSRV_POLICY_LATER &&
                     v->verdict != MAILSRV_POLICY_DISCARD;
    if (v->verdict < MAILSRV_POLICY_CONTINUE || v->verdict > MAILSRV_POLICY_RELAY_OK || !code_fits(v) ||
        !goes_somewhere(v))
        return false;
    if ((v->address.n != 0 && v->address.p == NULL) || (v->fields.n != 0 && (v->fields.p == NULL || !lets_pass)))
        return false;
    return v->address.n <= 254 && is_address(mailsrv__span(v->address)) && are_fields(mailsrv__span(v->fields));
}
