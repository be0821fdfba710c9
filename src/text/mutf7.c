#include "text/mutf7.h"

#include "text/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* Of the 16-bit units of UTF-16, in base64 without padding. */
struct shift {
    uint32_t bits;   /* not used yet */
    unsigned n_bits;
    uint32_t high;   /* of a pair of surrogates; 0: none */
};

static bool is_plain(uint32_t c)
{
    return c >= 0x20 && c <= 0x7E;
}

/* ---- Reading ---- */

/* A unit of UTF-16.  What is printable ASCII is not shifted. */
static bool take_unit(struct shift *s, uint32_t unit, struct writer *utf8)
{
    bool is_high = unit >= 0xD800 && unit <= 0xDBFF, is_low = unit >= 0xDC00 && unit <= 0xDFFF;
    if (is_low != (s->high != 0) || is_plain(unit))
        return false;
    if (is_high) {
        s->high = unit;
        return true;
    }
    uint32_t c = is_low ? 0x10000 + ((s->high - 0xD800) << 10) + (unit - 0xDC00) : unit;
    s->high = 0;
    mailsrv__write_utf8(utf8, c);
    return true;
}

static bool take_digit(struct shift *s, char c, struct writer *utf8)
{
    const char *at = c == 0 ? NULL : memchr(alphabet, c, 64);
    if (at == NULL)
        return false;
    s->bits = s->bits << 6 | (uint32_t)(at - alphabet);
    s->n_bits += 6;
    if (s->n_bits < 16)
        return true;
    s->n_bits -= 16;
    uint32_t unit = s->bits >> s->n_bits;
    s->bits &= (1u << s->n_bits) - 1;
    return take_unit(s, unit, utf8);
}

/* Between "&" and "-": one unit at least, and no bits of another. */
static bool read_shifted(struct span digits, struct writer *utf8)
{
    struct shift s = { 0, 0, 0 };
    if (digits.n == 0) {
        mailsrv__write_char(utf8, '&');
        return true;
    }
    for (size_t i = 0; i < digits.n; i++)
        if (!take_digit(&s, digits.p[i], utf8))
            return false;
    return s.n_bits < 6 && s.bits == 0 && s.high == 0;
}

bool mailsrv__mutf7_read(struct span text, struct writer *utf8)
{
    bool was_shifted = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c != '&') {
            if (!is_plain((uint8_t)c))
                return false;
            mailsrv__write_char(utf8, c);
            was_shifted = false;
            continue;
        }
        const char *end = memchr(text.p + i, '-', text.n - i);
        struct span digits = { text.p + i + 1, end == NULL ? 0 : (size_t)(end - text.p) - i - 1 };
        bool shifted = digits.n != 0;
        if (end == NULL || (shifted && was_shifted) || !read_shifted(digits, utf8))
            return false;
        was_shifted = shifted;
        i += digits.n + 1;
    }
    return true;
}

/* ---- Writing ---- */

static void put_unit(struct shift *s, uint32_t unit, struct writer *w)
{
    s->bits = s->bits << 16 | unit;
    s->n_bits += 16;
    while (s->n_bits >= 6) {
        s->n_bits -= 6;
        mailsrv__write_char(w, alphabet[s->bits >> s->n_bits & 63]);
        s->bits &= (1u << s->n_bits) - 1;
    }
}

static void put(struct shift *s, uint32_t c, struct writer *w)
{
    if (c < 0x10000) {
        put_unit(s, c, w);
        return;
    }
    put_unit(s, 0xD800 + ((c - 0x10000) >> 10), w);
    put_unit(s, 0xDC00 + ((c - 0x10000) & 0x3FF), w);
}

static void end_shift(struct shift *s, struct writer *w)
{
    if (s->n_bits != 0)
        mailsrv__write_char(w, alphabet[s->bits << (6 - s->n_bits) & 63]);
    mailsrv__write_char(w, '-');
    *s = (struct shift){ 0, 0, 0 };
}

void mailsrv__mutf7_write(struct writer *w, struct span utf8)
{
    struct shift s = { 0, 0, 0 };
    bool shifted = false;
    while (utf8.n != 0) {
        uint32_t c = mailsrv__utf8_take(&utf8);
        if (shifted && is_plain(c))
            end_shift(&s, w);
        if (!shifted && !is_plain(c))
            mailsrv__write_char(w, '&');
        shifted = !is_plain(c);
        if (shifted)
            put(&s, c, w);
        else
            mailsrv__write(w, c == '&' ? SPAN("&-") : (struct span){ &(char){ (char)c }, 1 });
    }
    if (shifted)
        end_shift(&s, w);
}
