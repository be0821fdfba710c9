#include "text/ip.h"

enum { GROUPS = 8 };

static bool take_char(struct span *text, char c)
{
    if (text->n == 0 || text->p[0] != c)
        return false;
    *text = mailsrv__span_after(*text, 1);
    return true;
}

/* -1: it is no digit of this base. */
static int digit(char c, unsigned base)
{
    int value = c >= '0' && c <= '9'                  ? c - '0'
                : mailsrv__upper(c) >= 'A' && c <= 'z' ? mailsrv__upper(c) - 'A' + 10
                                                       : -1;
    return value < (int)base ? value : -1;
}

/* Takes one to `digits` digits of a number that is at most `most`. */
static bool take_number(struct span *text, unsigned base, size_t digits, unsigned most, unsigned *out)
{
    size_t n = 0;
    *out = 0;
    while (n < digits && n < text->n && digit(text->p[n], base) >= 0)
        *out = *out * base + (unsigned)digit(text->p[n++], base);
    *text = mailsrv__span_after(*text, n);
    return n != 0 && *out <= most;
}

/* Snum 3("." Snum); Snum = 1*3DIGIT, 0 through 255 */
static bool read_ipv4(struct span text, uint8_t *out)
{
    for (unsigned i = 0; i < IPV4_OCTETS; i++) {
        unsigned value;
        if ((i != 0 && !take_char(&text, '.')) || !take_number(&text, 10, 3, 255, &value))
            return false;
        out[i] = (uint8_t)value;
    }
    return text.n == 0;
}

/* IPv6-hex *(":" IPv6-hex), perhaps with an IPv4 address in the place of the last two: how many groups.  -1: neither;
 * 0: nothing at all. */
static int read_groups(struct span text, bool may_end_in_ipv4, uint8_t *out)
{
    int n = 0;
    while (text.n != 0) {
        unsigned value;
        if (n == GROUPS || (n != 0 && !take_char(&text, ':')))
            return -1;
        if (may_end_in_ipv4 && n <= GROUPS - 2 && read_ipv4(text, out + 2 * n))
            return n + 2;
        if (!take_number(&text, 16, 4, 0xFFFF, &value))
            return -1;
        out[2 * n] = (uint8_t)(value >> 8);
        out[2 * n + 1] = (uint8_t)value;
        n++;
    }
    return n;
}

static size_t find_double_colon(struct span text)
{
    for (size_t i = 0; i + 1 < text.n; i++)
        if (text.p[i] == ':' && text.p[i + 1] == ':')
            return i;
    return text.n;
}

/* IPv6-addr = IPv6-full / IPv6-comp / IPv6v4-full / IPv6v4-comp; "::" stands for at least two groups. */
static bool read_ipv6(struct span text, uint8_t *out)
{
    uint8_t behind[IPV6_OCTETS] = { 0 };
    size_t cut = find_double_colon(text);
    int before = read_groups(mailsrv__span_first(text, cut), cut == text.n, out);
    if (cut == text.n)
        return before == GROUPS;
    int after = read_groups(mailsrv__span_after(text, cut + 2), true, behind);
    if (before < 0 || after < 0 || before + after > GROUPS - 2)
        return false;
    memset(out + 2 * before, 0, (size_t)(2 * (GROUPS - before)));
    memcpy(out + 2 * (GROUPS - after), behind, (size_t)(2 * after));
    return true;
}

size_t mailsrv__ip_read(struct span text, uint8_t out[IPV6_OCTETS])
{
    if (read_ipv4(text, out))
        return IPV4_OCTETS;
    return read_ipv6(text, out) ? IPV6_OCTETS : 0;
}
