#include "imap/pen.h"

bool mailsrv__pen_flush(struct pen *pen)
{
    if (pen->n == 0)
        return true;
    bool said = mailsrv__say(pen->session, (struct span){ pen->p, pen->n });
    pen->n = 0;
    pen->flushes++;
    if (said)
        pen->session->mid_reply = pen->mid_reply;
    return said;
}

bool mailsrv__pen_overflow(struct pen *pen, struct span text)
{
    if (!mailsrv__pen_flush(pen))
        return false;
    if (text.n <= pen->room)
        return mailsrv__pen_write(pen, text);
    pen->flushes++;
    if (!mailsrv__say(pen->session, text))
        return false;
    pen->session->mid_reply = pen->mid_reply;
    return true;
}

bool mailsrv__pen_u64(struct pen *pen, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return mailsrv__pen_write(pen, (struct span){ digits + at, sizeof digits - at });
}

/* ---- Strings ---- */

enum { QUOTED_MAX = 512 }; /* what is longer goes out as a literal */

#define EACH_OCTET(octet) (UINT64_C(0x0101010101010101) * (octet))

/* In each octet the high bit is set unless it is `octet`; those of `word` have none. */
static uint64_t is_not(uint64_t word, uint64_t octet)
{
    return ((word ^ EACH_OCTET(octet)) | EACH_OCTET(0x80)) - EACH_OCTET(1);
}

/* Are all eight octets text that stands in quotes as it is? */
static bool are_plain(uint64_t word)
{
    uint64_t visible = (word | EACH_OCTET(0x80)) - EACH_OCTET(' ');
    uint64_t plain = visible & is_not(word, '"') & is_not(word, '\\') & is_not(word, 0x7F) & ~word;
    return (plain & EACH_OCTET(0x80)) == EACH_OCTET(0x80);
}

/* Copies what is plain of `s`, eight octets at a time and the last eight once more; how many octets. */
static size_t copy_plain(char *to, struct span s)
{
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof word <= s.n; i += sizeof word) {
        memcpy(&word, s.p + i, sizeof word);
        if (!are_plain(word))
            return i;
        memcpy(to + i, &word, sizeof word);
    }
    if (s.n < sizeof word)
        return i;
    memcpy(&word, s.p + s.n - sizeof word, sizeof word);
    if (!are_plain(word))
        return i;
    memcpy(to + s.n - sizeof word, &word, sizeof word);
    return s.n;
}

/* QUOTED-CHAR of IMAP4rev1 is 7 bit; no CR, LF, NUL.  Other controls go out as a literal, too: there are clients that
 * stumble over them.  There is room for each octet twice.  False: it cannot be quoted. */
static bool quote(struct pen *pen, struct span s)
{
    char *to = pen->p + pen->n;
    *to++ = '"';
    size_t i = copy_plain(to, s);
    for (to += i; i < s.n; i++) {
        char c = s.p[i];
        if (c < ' ' || c > '~')
            return false;
        if (c == '"' || c == '\\')
            *to++ = '\\';
        *to++ = c;
    }
    *to++ = '"';
    pen->n = (size_t)(to - pen->p);
    return true;
}

static bool write_literal(struct pen *pen, struct span s)
{
    return mailsrv__pen_write(pen, SPAN("{")) && mailsrv__pen_u64(pen, s.n) && mailsrv__pen_write(pen, SPAN("}\r\n")) &&
           mailsrv__pen_write(pen, s);
}

bool mailsrv__pen_string(struct pen *pen, struct span s)
{
    if (s.n <= QUOTED_MAX && pen->room - pen->n < 2 * s.n + 2 && !mailsrv__pen_flush(pen))
        return false;
    if (s.n <= QUOTED_MAX && pen->room - pen->n >= 2 * s.n + 2 && quote(pen, s))
        return true;
    const char *nul = s.n != 0 ? memchr(s.p, 0, s.n) : NULL;
    return nul != NULL ? mailsrv__pen_string(pen, (struct span){ s.p, (size_t)(nul - s.p) }) : write_literal(pen, s);
}
