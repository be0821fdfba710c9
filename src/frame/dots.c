#include "frame/dots.h"

#include "base/word.h"

/* How far it is to the next CR or LF. */
static size_t plain(const char *p, size_t n)
{
    return mailsrv__find_either(p, n, '\r', '\n');
}

static void see(struct line_ends *ends, char c)
{
    if (ends->cr != (c == '\n'))
        ends->bare = true;
    ends->cr = c == '\r';
}

void mailsrv__line_ends_see(struct line_ends *ends, struct span octets)
{
    for (size_t i = 0; i < octets.n; i++) {
        if (!ends->cr)
            i += plain(octets.p + i, octets.n - i);
        if (i == octets.n)
            break;
        see(ends, octets.p[i]);
    }
}

/* Where the next octet stands.  DOT: behind a dot that began a line; DOT_CR: behind that dot and a CR. */
enum { AT_LINE_START, AT_TEXT, AT_CR, AT_DOT, AT_DOT_CR };

static uint8_t after(uint8_t at, char c)
{
    if (c == '\r')
        return AT_CR;
    return at == AT_CR && c == '\n' ? AT_LINE_START : AT_TEXT;
}

/* How many octets from the front belong to the message as they stand, up to a dot that begins a line.  Those that are
 * passed by are behind no CR: `ends` need not see them. */
static size_t find_cut(struct dots *d, struct span in)
{
    size_t i = 0;
    while (i < in.n && !(d->at == AT_LINE_START && in.p[i] == '.')) {
        if (d->at == AT_TEXT)
            i += plain(in.p + i, in.n - i);
        if (i == in.n)
            break;
        see(&d->ends, in.p[i]);
        d->at = after(d->at, in.p[i]);
        i++;
    }
    return i;
}

/* RFC 5321 section 4.1.1.4: only CRLF "." CRLF ends the data.  Taking anything near it for the end is how one message
 * becomes two behind a stricter relay (CVE-2023-51764 and its kin).  A dot that begins a line and is followed by
 * anything else is dropped (section 4.5.2), also before a CR that stands alone. */
static bool pass_dot(struct dots *d, struct input *in, struct span *out)
{
    if (in->n != 0 && d->at == AT_LINE_START && in->p[0] == '.') {
        d->at = AT_DOT;
        mailsrv__input_skip(in, 1);
    }
    if (in->n != 0 && d->at == AT_DOT) {
        d->at = in->p[0] == '\r' ? AT_DOT_CR : AT_TEXT;
        mailsrv__input_skip(in, d->at == AT_DOT_CR);
    }
    if (in->n == 0 || d->at != AT_DOT_CR)
        return false;
    if (in->p[0] == '\n') {
        d->at = AT_LINE_START;
        mailsrv__input_skip(in, 1);
        return true;
    }
    d->at = AT_CR;
    d->ends.cr = true;
    *out = SPAN("\r");
    return false;
}

bool mailsrv__dots_take(struct dots *d, struct input *in, size_t most, struct span *out)
{
    *out = (struct span){ NULL, 0 };
    if (pass_dot(d, in, out))
        return true;
    if (out->n == 0 && d->at <= AT_CR) {
        *out = mailsrv__span_first((struct span){ (const char *)in->p, in->n }, most);
        out->n = find_cut(d, *out);
        mailsrv__input_skip(in, out->n);
    }
    return false;
}

bool mailsrv__counted_take(struct counted *c, struct input *in, size_t most, struct span *out)
{
    *out = mailsrv__span_first((struct span){ (const char *)in->p, in->n }, most);
    if (out->n > c->left)
        out->n = (size_t)c->left;
    mailsrv__input_skip(in, out->n);
    c->left -= out->n;
    mailsrv__line_ends_see(&c->ends, *out);
    return c->left == 0;
}
