#include "text/charset.h"

#include "text/charset_tables.h"

enum { BAD = 0xFFFD, ORDER_MARK = 0xFEFF, OTHER_ORDER = 0xFFFE };

/* ---- Names ---- */

enum { NAME_ROOM = 16 }; /* no known name is as long, without its punctuation */

static bool is_letter(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Letters and digits of a name, letters in upper case.  0: there are too many. */
static size_t plain_name(struct span name, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = mailsrv__upper(name.p[i]);
        if (!is_letter(c) && (c < '0' || c > '9'))
            continue;
        if (n == NAME_ROOM)
            return 0;
        out[n++] = c;
    }
    return n;
}

struct charset mailsrv__charset(struct span name)
{
    char room[NAME_ROOM];
    struct span plain = { room, plain_name(name, room) };
    for (size_t i = 0; i < sizeof charset_names / sizeof *charset_names; i++)
        if (mailsrv__span_equal(plain, charset_names[i].name))
            return (struct charset){ CHARSET_TABLE, charset_upper[charset_names[i].table] };
    if (mailsrv__span_equal(plain, SPAN("UTF16")) || mailsrv__span_equal(plain, SPAN("UTF16BE")))
        return (struct charset){ CHARSET_UTF16, NULL };
    if (mailsrv__span_equal(plain, SPAN("UTF16LE")))
        return (struct charset){ CHARSET_UTF16LE, NULL };
    return (struct charset){ CHARSET_UTF8, NULL };
}

/* ---- UTF-8 (RFC 3629 section 3) ---- */

/* The first octet of a character. */
static unsigned begin_utf8(struct charset_reader *r, uint8_t octet, uint32_t *out)
{
    if (octet >= 0x80 && (octet < 0xC2 || octet > 0xF4)) {
        *out = BAD;
        return 1;
    }
    if (octet < 0x80) {
        *out = octet;
        return 1;
    }
    r->left = octet < 0xE0 ? 1 : octet < 0xF0 ? 2 : 3;
    r->n = 1;
    r->value = octet & (0x3Fu >> r->left);
    return 0;
}

/* Is it one that may follow?  Of the second depends whether the form is the shortest one, and no surrogate. */
static bool goes_on(const struct charset_reader *r, uint8_t octet)
{
    if ((octet & 0xC0) != 0x80)
        return false;
    if (r->n != 1 || r->left == 1)
        return true;
    uint32_t value = r->value << 6 | (octet & 0x3Fu);
    if (r->left == 2)
        return value >= 0x20 && (value < 0x360 || value > 0x37F);
    return value >= 0x10 && value <= 0x10F;
}

static unsigned take_utf8(struct charset_reader *r, uint8_t octet, uint32_t *out)
{
    if (r->left == 0)
        return begin_utf8(r, octet, out);
    if (!goes_on(r, octet)) {
        r->left = 0;
        *out = BAD;
        return 1 + begin_utf8(r, octet, out + 1);
    }
    r->value = r->value << 6 | (octet & 0x3Fu);
    r->n++;
    *out = r->value;
    return --r->left == 0 ? 1 : 0;
}

/* ---- UTF-16 (RFC 2781 section 2) ---- */

static unsigned take_unit(struct charset_reader *r, uint32_t unit, uint32_t *out)
{
    unsigned n = 0;
    bool second = unit >= 0xDC00 && unit <= 0xDFFF;
    if (second && r->lead != 0) {
        *out = 0x10000 + ((r->lead - 0xD800) << 10) + (unit - 0xDC00);
        r->lead = 0;
        return 1;
    }
    if (r->lead != 0)
        out[n++] = BAD;
    r->lead = unit >= 0xD800 && unit <= 0xDBFF ? unit : 0;
    if (r->lead == 0)
        out[n++] = second ? BAD : unit;
    return n;
}

static unsigned take_utf16(struct charset_reader *r, uint8_t octet, uint32_t *out)
{
    bool little = r->charset.kind == CHARSET_UTF16LE, first = !r->begun;
    if (r->n == 0) {
        r->n = 1;
        r->value = octet;
        return 0;
    }
    uint32_t unit = little ? (uint32_t)octet << 8 | r->value : r->value << 8 | octet;
    r->n = 0;
    r->begun = true;
    if (first && unit == OTHER_ORDER)
        r->charset.kind = little ? CHARSET_UTF16 : CHARSET_UTF16LE;
    if (first && (unit == ORDER_MARK || unit == OTHER_ORDER))
        return 0;
    return take_unit(r, unit, out);
}

/* ---- Each of them ---- */

unsigned mailsrv__charset_take(struct charset_reader *r, uint8_t octet, uint32_t out[CHARSET_CHARS_MAX])
{
    if (r->charset.kind == CHARSET_UTF8)
        return take_utf8(r, octet, out);
    if (r->charset.kind != CHARSET_TABLE)
        return take_utf16(r, octet, out);
    *out = octet < 0x80 ? octet : r->charset.upper[octet - 0x80];
    return 1;
}

unsigned mailsrv__charset_end(struct charset_reader *r, uint32_t out[CHARSET_CHARS_MAX])
{
    bool within = r->left != 0 || r->lead != 0 || (r->charset.kind >= CHARSET_UTF16 && r->n != 0);
    mailsrv__charset_begin(r, r->charset);
    *out = BAD;
    return within ? 1 : 0;
}
