#include "text/address.h"

#include "text/utf8.h"

/* Productions are named after RFC 5321 sections 4.1.2 and 4.1.3.  Each take_ takes the longest match from the front of
 * its text; false: there is none. */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_let_dig(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    char u = mailsrv__upper(c);
    return is_digit(c) || (u >= 'A' && u <= 'F');
}

/* UTF8-non-ascii of RFC 6532 section 3.1 at the front, without the controls of ISO 6429: how many octets; 0: none. */
static size_t non_ascii(struct span text)
{
    struct span rest = text;
    if (text.n == 0 || (uint8_t)text.p[0] < 0x80)
        return 0;
    uint32_t c = mailsrv__utf8_take(&rest);
    return c == UTF8_BAD || c < 0xA0 ? 0 : text.n - rest.n;
}

/* atext of RFC 5322 section 3.2.3 */
static bool is_atext(char c)
{
    return is_let_dig(c) || (c != 0 && memchr("!#$%&'*+-/=?^_`{|}~", c, 19) != NULL);
}

static bool take_char(struct span *text, char c)
{
    if (text->n == 0 || text->p[0] != c)
        return false;
    *text = mailsrv__span_after(*text, 1);
    return true;
}

static size_t run_of(struct span text, bool (*is)(char c))
{
    size_t n = 0;
    while (n < text.n && is(text.p[n]))
        n++;
    return n;
}

/* The same with UTF8-non-ascii among them (RFC 6531 section 3.3). */
static size_t run_with_utf8(struct span text, bool (*is)(char c))
{
    size_t n = 0, more;
    do {
        n += run_of(mailsrv__span_after(text, n), is);
        more = non_ascii(mailsrv__span_after(text, n));
        n += more;
    } while (more != 0);
    return n;
}

static bool has_utf8(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] >= 0x80)
            return true;
    return false;
}

/* What `rest` has been taken from the front of `text`. */
static struct span taken(struct span text, struct span rest)
{
    return mailsrv__span_first(text, text.n - rest.n);
}

static bool is_ldh(char c)
{
    return is_let_dig(c) || c == '-';
}

/* sub-domain = Let-dig [Ldh-str] / U-label; Ldh-str = *( ALPHA / DIGIT / "-" ) Let-dig */
static bool take_sub_domain(struct span *text)
{
    size_t n = run_with_utf8(*text, is_ldh);
    if (n == 0 || text->p[0] == '-' || text->p[n - 1] == '-')
        return false;
    *text = mailsrv__span_after(*text, n);
    return true;
}

static bool take_domain(struct span *text)
{
    do {
        if (!take_sub_domain(text))
            return false;
    } while (take_char(text, '.'));
    return true;
}

bool mailsrv__is_domain(struct span text)
{
    return !has_utf8(text) && take_domain(&text) && text.n == 0;
}

/* Snum = 1*3DIGIT, 0 through 255 */
static bool take_snum(struct span *text)
{
    size_t n = run_of(mailsrv__span_first(*text, 3), is_digit);
    unsigned value = 0;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (unsigned)(text->p[i] - '0');
    if (n == 0 || value > 255)
        return false;
    *text = mailsrv__span_after(*text, n);
    return true;
}

static bool is_ipv4(struct span text)
{
    for (unsigned i = 0; i < 4; i++)
        if ((i != 0 && !take_char(&text, '.')) || !take_snum(&text))
            return false;
    return text.n == 0;
}

/* IPv6-hex *(":" IPv6-hex), perhaps with an IPv4 address in the place of the last two: how many groups.  -1: neither;
 * 0: nothing at all. */
static int groups(struct span text, bool may_end_in_ipv4)
{
    int n = 0;
    while (text.n != 0) {
        if (n != 0 && !take_char(&text, ':'))
            return -1;
        if (may_end_in_ipv4 && is_ipv4(text))
            return n + 2;
        size_t digits = run_of(text, is_hex);
        if (digits == 0 || digits > 4)
            return -1;
        text = mailsrv__span_after(text, digits);
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
static bool is_ipv6(struct span text)
{
    size_t cut = find_double_colon(text);
    int before = groups(mailsrv__span_first(text, cut), cut == text.n);
    if (cut == text.n)
        return before == 8;
    int after = groups(mailsrv__span_after(text, cut + 2), true);
    return before >= 0 && after >= 0 && before + after <= 6;
}

static bool is_dcontent(char c)
{
    return (c >= 33 && c <= 90) || (c >= 94 && c <= 126);
}

/* IPv6-address-literal = "IPv6:" IPv6-addr
 * General-address-literal = Standardized-tag ":" 1*dcontent; Standardized-tag = Ldh-str */
static bool is_tagged(struct span text)
{
    size_t n = run_of(text, is_ldh);
    struct span tag = mailsrv__span_first(text, n), rest = mailsrv__span_after(text, n);
    if (n == 0 || tag.p[n - 1] == '-' || !take_char(&rest, ':'))
        return false;
    if (mailsrv__span_equal_nocase(tag, SPAN("IPv6")))
        return is_ipv6(rest);
    return rest.n != 0 && run_of(rest, is_dcontent) == rest.n;
}

bool mailsrv__is_address_literal(struct span text)
{
    if (text.n < 2 || text.p[0] != '[' || text.p[text.n - 1] != ']')
        return false;
    struct span inside = { text.p + 1, text.n - 2 };
    return is_ipv4(inside) || is_tagged(inside);
}

static bool take_address_literal(struct span *text)
{
    const char *end = text->n == 0 ? NULL : memchr(text->p, ']', text->n);
    if (end == NULL)
        return false;
    size_t n = (size_t)(end - text->p) + 1;
    if (!mailsrv__is_address_literal(mailsrv__span_first(*text, n)))
        return false;
    *text = mailsrv__span_after(*text, n);
    return true;
}

/* Adds to the unquoted name.  What is too long is only counted. */
static void add_local(struct address *out, struct span octets)
{
    for (size_t i = 0; i < octets.n; i++, out->local_n++)
        if (out->local_n < sizeof out->local)
            out->local[out->local_n] = octets.p[i];
}

/* Dot-string = Atom *("." Atom) */
static bool take_dot_string(struct span *text, struct address *out)
{
    struct span from = *text;
    do {
        size_t n = run_with_utf8(*text, is_atext);
        if (n == 0)
            return false;
        *text = mailsrv__span_after(*text, n);
    } while (take_char(text, '.'));
    add_local(out, taken(from, *text));
    return true;
}

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE: any printable ASCII and the space, behind a backslash also the quotation
 * mark and the backslash itself; and UTF8-non-ascii (RFC 6531 section 3.3). */
static bool take_quoted_string(struct span *text, struct address *out)
{
    if (!take_char(text, '"'))
        return false;
    while (!take_char(text, '"')) {
        size_t n = take_char(text, '\\') ? 0 : non_ascii(*text);
        if (n == 0 && (text->n == 0 || text->p[0] < ' ' || text->p[0] > '~'))
            return false;
        n = n == 0 ? 1 : n;
        add_local(out, mailsrv__span_first(*text, n));
        *text = mailsrv__span_after(*text, n);
    }
    return true;
}

/* Mailbox = Local-part "@" ( Domain / address-literal ); and "postmaster" alone (RFC 5321 section 4.1.1.3), which the
 * caller may refuse. */
static bool take_mailbox(struct span *text, struct address *out)
{
    struct span from = *text;
    bool quoted = from.n != 0 && from.p[0] == '"';
    if (!(quoted ? take_quoted_string(text, out) : take_dot_string(text, out)))
        return false;
    out->mailbox = taken(from, *text);
    if (mailsrv__span_equal_nocase(out->mailbox, SPAN("postmaster")) && (text->n == 0 || text->p[0] == '>'))
        return true;
    if (!take_char(text, '@'))
        return false;
    struct span domain = *text;
    if (!(domain.n != 0 && domain.p[0] == '[' ? take_address_literal(text) : take_domain(text)))
        return false;
    out->domain = taken(domain, *text);
    out->mailbox = taken(from, *text);
    return true;
}

/* A-d-l = At-domain *( "," At-domain ); At-domain = "@" Domain */
static bool skip_route(struct span *text)
{
    if (text->n == 0 || text->p[0] != '@')
        return true;
    do {
        if (!take_char(text, '@') || !take_domain(text))
            return false;
    } while (take_char(text, ','));
    return take_char(text, ':');
}

static enum path measure(const struct address *out)
{
    if (out->local_n > LOCAL_PART_OCTETS_MAX || out->domain.n > DOMAIN_OCTETS_MAX ||
        out->mailbox.n > MAILBOX_OCTETS_MAX)
        return PATH_TOO_LONG;
    return PATH_OK;
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">", and "<>" */
enum path mailsrv__path_take(struct span *text, struct address *out)
{
    struct span from = *text;
    *out = (struct address){ .local_n = 0 };
    if (!take_char(text, '<'))
        return PATH_BAD;
    if (take_char(text, '>'))
        return PATH_OK;
    if (!skip_route(text) || !take_mailbox(text, out) || !take_char(text, '>'))
        return PATH_BAD;
    out->utf8 = has_utf8(taken(from, *text));
    return measure(out);
}

enum path mailsrv__mailbox_read(struct span text, struct address *out)
{
    *out = (struct address){ .local_n = 0 };
    out->utf8 = has_utf8(text);
    return take_mailbox(&text, out) && text.n == 0 ? measure(out) : PATH_BAD;
}

struct local_part mailsrv__local_part_split(struct span local, char delimiter)
{
    struct local_part all = { local, { NULL, 0 } };
    const char *at = delimiter == 0 || local.n < 2 ? NULL : memchr(local.p + 1, delimiter, local.n - 1);
    if (at == NULL)
        return all;
    size_t n = (size_t)(at - local.p);
    return (struct local_part){ mailsrv__span_first(local, n), mailsrv__span_after(local, n + 1) };
}
