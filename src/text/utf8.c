#include "text/utf8.h"

/* How long the character is that begins with this octet, and what its octet says of it; 0: it begins none. */
static size_t begin(uint8_t c, uint32_t *value)
{
    if (c < 0x80) {
        *value = c;
        return 1;
    }
    if (c >= 0xC2 && c <= 0xDF) {
        *value = c & 0x1Fu;
        return 2;
    }
    if (c >= 0xE0 && c <= 0xEF) {
        *value = c & 0x0Fu;
        return 3;
    }
    *value = c & 0x07u;
    return c >= 0xF0 && c <= 0xF4 ? 4 : 0;
}

static uint32_t take(struct span *text, size_t n, uint32_t value)
{
    *text = (struct span){ text->p + n, text->n - n };
    return value;
}

uint32_t mailsrv__utf8_take(struct span *text)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint32_t value;
    size_t n = begin((uint8_t)text->p[0], &value);
    if (n == 0 || n > text->n)
        return take(text, 1, UTF8_BAD);
    for (size_t i = 1; i < n; i++) {
        uint8_t c = (uint8_t)text->p[i];
        if ((c & 0xC0) != 0x80)
            return take(text, 1, UTF8_BAD);
        value = value << 6 | (c & 0x3Fu);
    }
    if (value < least[n] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return take(text, 1, UTF8_BAD);
    return take(text, n, value);
}

static void tail(struct writer *w, uint32_t c, unsigned shift)
{
    mailsrv__write_char(w, (char)(0x80 | (c >> shift & 0x3F)));
}

void mailsrv__write_utf8(struct writer *w, uint32_t c)
{
    if (c < 0x80) {
        mailsrv__write_char(w, (char)c);
    } else if (c < 0x800) {
        mailsrv__write_char(w, (char)(0xC0 | c >> 6));
        tail(w, c, 0);
    } else if (c < 0x10000) {
        mailsrv__write_char(w, (char)(0xE0 | c >> 12));
        tail(w, c, 6);
        tail(w, c, 0);
    } else {
        mailsrv__write_char(w, (char)(0xF0 | c >> 18));
        tail(w, c, 12);
        tail(w, c, 6);
        tail(w, c, 0);
    }
}
