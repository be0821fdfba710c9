#include "text/alabel.h"

#include "text/fold.h"
#include "text/utf8.h"

/* RFC 3492 section 5 */
enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, FIRST_BIAS = 72, FIRST_N = 0x80 };

/* A label as characters.  More of them than octets that it may have do not matter: each brings one at least. */
struct characters {
    uint32_t c[ALABEL_OCTETS_MAX];
    unsigned n;
};

/* The final sigma is a letter of its own in domains (RFC 5892 section 2.6), and folding would lose it. */
static uint32_t lower(uint32_t c)
{
    enum { FINAL_SIGMA = 0x3C2 };
    return c == FINAL_SIGMA ? c : mailsrv__fold(c);
}

static bool take_characters(struct span label, struct characters *out)
{
    out->n = 0;
    while (label.n != 0) {
        uint8_t first = (uint8_t)label.p[0];
        size_t before = label.n;
        uint32_t c = mailsrv__utf8_take(&label);
        if (out->n == ALABEL_OCTETS_MAX || (c == UTF8_BAD && (first != 0xEF || before - label.n != 3)))
            return false;
        out->c[out->n++] = lower(c);
    }
    return true;
}

/* RFC 3492 section 6.1 */
static unsigned adapt(unsigned delta, unsigned n, bool first)
{
    unsigned k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / n;
    for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static void write_digit(struct writer *w, unsigned digit)
{
    mailsrv__write_char(w, "abcdefghijklmnopqrstuvwxyz0123456789"[digit]);
}

/* A generalized variable-length integer (RFC 3492 section 3.3). */
static void write_delta(struct writer *w, unsigned delta, unsigned bias)
{
    for (unsigned k = BASE;; k += BASE) {
        unsigned t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
        if (delta < t)
            break;
        write_digit(w, t + (delta - t) % (BASE - t));
        delta = (delta - t) / (BASE - t);
    }
    write_digit(w, delta);
}

/* The least character of the label that is `n` or more. */
static uint32_t next_character(const struct characters *label, uint32_t n)
{
    uint32_t least = UINT32_MAX;
    for (unsigned i = 0; i < label->n; i++)
        if (label->c[i] >= n && label->c[i] < least)
            least = label->c[i];
    return least;
}

/* RFC 3492 section 6.3.  `delta` stays below 2^27: there are at most 63 characters below 2^21. */
static void write_punycode(struct writer *w, const struct characters *label)
{
    unsigned done = 0, basic, delta = 0, bias = FIRST_BIAS;
    for (unsigned i = 0; i < label->n; i++)
        if (label->c[i] < FIRST_N) {
            mailsrv__write_char(w, (char)label->c[i]);
            done++;
        }
    basic = done;
    if (basic != 0)
        mailsrv__write_char(w, '-');
    for (uint32_t n = FIRST_N; done < label->n; n++, delta++) {
        uint32_t m = next_character(label, n);
        delta += (m - n) * (done + 1);
        n = m;
        for (unsigned i = 0; i < label->n; i++) {
            if (label->c[i] < n)
                delta++;
            if (label->c[i] != n)
                continue;
            write_delta(w, delta, bias);
            bias = adapt(delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
    }
}

static bool is_ascii(struct span label)
{
    for (size_t i = 0; i < label.n; i++)
        if ((uint8_t)label.p[i] >= 0x80)
            return false;
    return true;
}

static void write_lower(struct writer *w, struct span label)
{
    for (size_t i = 0; i < label.n; i++)
        mailsrv__write_char(w, label.p[i] >= 'A' && label.p[i] <= 'Z' ? (char)(label.p[i] - 'A' + 'a') : label.p[i]);
}

static bool write_label(struct writer *w, struct span label)
{
    struct characters characters;
    char room[ALABEL_OCTETS_MAX];
    struct writer one = { .p = room, .room = sizeof room };
    if (is_ascii(label)) {
        write_lower(w, label);
        return true;
    }
    if (!take_characters(label, &characters))
        return false;
    if (next_character(&characters, FIRST_N) == UINT32_MAX) { /* the Kelvin sign in lower case is k */
        for (unsigned i = 0; i < characters.n; i++)
            mailsrv__write_char(&one, (char)characters.c[i]);
    } else {
        mailsrv__write(&one, SPAN("xn--"));
        write_punycode(&one, &characters);
    }
    mailsrv__write(w, mailsrv__written(&one));
    return !one.full;
}

bool mailsrv__alabel_write(struct writer *w, struct span domain)
{
    for (;;) {
        const char *dot = domain.n == 0 ? NULL : memchr(domain.p, '.', domain.n);
        struct span label = mailsrv__span_first(domain, dot == NULL ? domain.n : (size_t)(dot - domain.p));
        if (!write_label(w, label))
            return false;
        if (dot == NULL)
            return true;
        mailsrv__write_char(w, '.');
        domain = mailsrv__span_after(domain, label.n + 1);
    }
}
