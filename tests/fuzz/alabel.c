/* Domains beyond ASCII: what is written as A-labels is, decoded (RFC 3492 section 6.2), what it was made of. */
#include "fuzz.h"

#include "text/alabel.h"
#include "text/fold.h"
#include "text/utf8.h"

enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, CHARACTERS_MAX = 64 };

static unsigned digit_of(char c)
{
    CHECK((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'), "no digit of punycode");
    return c >= 'a' ? (unsigned)(c - 'a') : (unsigned)(c - '0') + 26;
}

static unsigned adapt(unsigned delta, unsigned n, bool first)
{
    unsigned k = 0;
    delta = first ? delta / DAMP : delta / 2;
    for (delta += delta / n; delta > ((BASE - T_MIN) * T_MAX) / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + ((BASE - T_MIN + 1) * delta) / (delta + SKEW);
}

static unsigned decode(struct span text, uint32_t *out)
{
    unsigned n = 0, i = 0, bias = 72;
    uint32_t c = 0x80;
    size_t basic = text.n;
    while (basic != 0 && text.p[basic - 1] != '-')
        basic--;
    for (size_t k = 0; k + 1 < basic; k++)
        out[n++] = (uint8_t)text.p[k];
    for (size_t at = basic; at < text.n; n++) {
        unsigned before = i, w = 1;
        for (unsigned k = BASE;; k += BASE) {
            CHECK(at < text.n, "a number without an end");
            unsigned digit = digit_of(text.p[at++]), t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
            i += digit * w;
            if (digit < t)
                break;
            w *= BASE - t;
        }
        bias = adapt(i - before, n + 1, before == 0);
        c += i / (n + 1);
        i %= n + 1;
        CHECK(n < CHARACTERS_MAX, "a label of too many characters");
        memmove(out + i + 1, out + i, (n - i) * sizeof *out);
        out[i++] = c;
    }
    return n;
}

/* The label as it is asked for; false: it cannot be. */
static bool characters_of(struct span label, uint32_t *out, unsigned *n, bool *plain)
{
    bool fits = true;
    *n = 0;
    *plain = true;
    while (label.n != 0) {
        size_t left = label.n;
        uint32_t c = mailsrv__utf8_take(&label);
        fits = fits && (c != UTF8_BAD || left - label.n == 3);
        c = c == 0x3C2 ? c : mailsrv__fold(c);
        *plain = *plain && c < 0x80;
        if (*n < CHARACTERS_MAX)
            out[(*n)++] = c;
    }
    return fits;
}

/* Takes a label from the front, with the dot behind it. */
static struct span take_label(struct span *text)
{
    const char *dot = text->n == 0 ? NULL : memchr(text->p, '.', text->n);
    struct span label = mailsrv__span_first(*text, dot == NULL ? text->n : (size_t)(dot - text->p));
    *text = mailsrv__span_after(*text, label.n + 1);
    return label;
}

static void check_label(struct span label, struct span written)
{
    uint32_t from[CHARACTERS_MAX], to[CHARACTERS_MAX + 1];
    unsigned n, m;
    bool plain;
    CHECK(characters_of(label, from, &n, &plain), "written, and no UTF-8");
    if (plain) {
        CHECK(written.n == (n == CHARACTERS_MAX ? label.n : n), "another length");
        for (size_t i = 0; i < n; i++)
            CHECK((uint8_t)written.p[i] == from[i], "another letter");
        return;
    }
    CHECK(written.n > 4 && memcmp(written.p, "xn--", 4) == 0 && written.n <= ALABEL_OCTETS_MAX, "no A-label");
    m = decode(mailsrv__span_after(written, 4), to);
    CHECK(m == n && memcmp(from, to, n * sizeof *from) == 0, "another label");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct span all = { (const char *)p, n };
    char *copy = exact(all);
    size_t room = 64 + 64 * all.n;
    struct writer w = { .p = must(malloc(room)), .room = room };
    if (mailsrv__alabel_write(&w, (struct span){ copy, all.n })) {
        struct span domain = { copy, all.n }, written = mailsrv__written(&w);
        while (domain.n != 0 || written.n != 0) {
            struct span label = take_label(&domain);
            check_label(label, take_label(&written));
        }
    }
    free(w.p);
    free(copy);
    return 0;
}
