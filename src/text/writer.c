#include "text/writer.h"

void mailsrv__write(struct writer *w, struct span text)
{
    size_t left = w->room - w->n;
    if (text.n > left) {
        w->full = true;
        text.n = left;
    }
    if (text.n != 0)
        memcpy(w->p + w->n, text.p, text.n);
    w->n += text.n;
}

void mailsrv__write_char(struct writer *w, char c)
{
    if (w->n == w->room)
        w->full = true;
    else
        w->p[w->n++] = c;
}

static void write_base(struct writer *w, uint64_t value, unsigned base)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    mailsrv__write(w, (struct span){ digits + at, sizeof digits - at });
}

void mailsrv__write_u64(struct writer *w, uint64_t value)
{
    write_base(w, value, 10);
}

void mailsrv__write_hex(struct writer *w, uint64_t value)
{
    write_base(w, value, 16);
}

void mailsrv__write_padded(struct writer *w, uint32_t value, unsigned digits)
{
    uint32_t least = 1;
    for (unsigned i = 1; i < digits; i++)
        least *= 10;
    for (; least > 1 && value < least; least /= 10)
        mailsrv__write_char(w, '0');
    mailsrv__write_u64(w, value);
}

static void write_ipv4(struct writer *w, const uint8_t *a)
{
    for (unsigned i = 0; i < 4; i++) {
        if (i != 0)
            mailsrv__write_char(w, '.');
        mailsrv__write_u64(w, a[i]);
    }
}

static unsigned group(const uint8_t *a, unsigned i)
{
    return (unsigned)a[2 * i] << 8 | a[2 * i + 1];
}

static unsigned zeros_from(const uint8_t *a, unsigned i)
{
    unsigned n = 0;
    while (i + n < 8 && group(a, i + n) == 0)
        n++;
    return n;
}

/* RFC 5952 section 4.2: the first of the longest runs of two or more zero groups becomes "::". */
static void write_ipv6(struct writer *w, const uint8_t *a)
{
    unsigned cut = 8, cut_n = 1;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = zeros_from(a, i);
        if (n > cut_n) {
            cut = i;
            cut_n = n;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == cut) {
            mailsrv__write(w, SPAN("::"));
            i += cut_n - 1;
            continue;
        }
        if (i != 0 && i != cut + cut_n)
            mailsrv__write_char(w, ':');
        mailsrv__write_hex(w, group(a, i));
    }
}

void mailsrv__write_ip(struct writer *w, const uint8_t *address, size_t octets)
{
    if (octets == 4)
        write_ipv4(w, address);
    else if (octets == 16)
        write_ipv6(w, address);
}
