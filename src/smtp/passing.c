/* What is seen of a message that may go on, as it passes: octets above 127, and to whom it was delivered before. */
#include "base/word.h"
#include "smtp/smtp.h"

enum { DELIVERED_MAX = 32 }; /* looked at; behind them hops are counted all the same */

enum { AT_LINE, AT_NAME, AT_VALUE, AT_REST, AT_END }; /* AT_LINE: its first octet; AT_END: behind the header */

struct passing {
    uint64_t delivered[DELIVERED_MAX];
    uint64_t hash;
    uint32_t n;
    uint8_t at;
    uint8_t matched; /* octets of the name */
    bool is_value;   /* the line before belongs to a value, and this one does if it begins with a blank */
    bool header_utf8, eight_bit;
};

/* FNV-1a.  An address is compared without case: who is careful about the case of local parts does not forward mail to
 * himself by it. */
static const uint64_t hash_first = UINT64_C(14695981039346656037);

static uint64_t hash_on(uint64_t hash, char c)
{
    return (hash ^ (uint8_t)mailsrv__upper(c)) * UINT64_C(1099511628211);
}

uint64_t mailsrv__smtp_hash_of_address(struct span address)
{
    uint64_t hash = hash_first;
    for (size_t i = 0; i < address.n; i++)
        if (address.p[i] != ' ')
            hash = hash_on(hash, address.p[i]);
    return hash;
}

static void begin(void *state, mailsrv_session *session)
{
    (void)session;
    *(struct passing *)state = (struct passing){ .at = AT_LINE };
}

static void end_field(struct passing *p)
{
    if (p->is_value && p->n < DELIVERED_MAX)
        p->delivered[p->n++] = p->hash;
    p->is_value = false;
}

/* The first octet of a line: of a folded one, of the empty one, or of a field. */
static void begin_line(struct passing *p, char c)
{
    if (c == ' ' || c == '\t') {
        p->at = p->is_value ? AT_VALUE : AT_REST;
        return;
    }
    end_field(p);
    p->matched = 0;
    p->at = c == '\r' || c == '\n' ? AT_END : AT_NAME;
}

static void see_name(struct passing *p, char c)
{
    static const char name[] = "DELIVERED-TO";
    if (p->matched < sizeof name - 1 && mailsrv__upper(c) == name[p->matched]) {
        p->matched++;
        return;
    }
    bool blank = c == ' ' || c == '\t';
    if (blank && p->matched == sizeof name - 1)
        return;
    p->is_value = c == ':' && p->matched == sizeof name - 1;
    p->at = p->is_value ? AT_VALUE : AT_REST;
    p->hash = hash_first;
}

static void see(struct passing *p, char c)
{
    if (p->at == AT_LINE)
        begin_line(p, c);
    if (c == '\n' && p->at != AT_END)
        p->at = AT_LINE;
    else if (p->at == AT_NAME)
        see_name(p, c);
    else if (p->at == AT_VALUE && c != ' ' && c != '\t' && c != '\r')
        p->hash = hash_on(p->hash, c);
}

static bool has_high(struct span octets)
{
    size_t i = 0;
    for (; octets.n - i >= sizeof(uint64_t); i += sizeof(uint64_t))
        if ((mailsrv__word(octets.p + i) & WORD_HIGH) != 0)
            return true;
    for (; i < octets.n; i++)
        if ((uint8_t)octets.p[i] > 127)
            return true;
    return false;
}

static void bytes(void *state, struct span octets)
{
    struct passing *p = state;
    size_t i = 0;
    for (; i < octets.n && p->at != AT_END; i++) {
        const char *lf = p->at == AT_REST ? memchr(octets.p + i, '\n', octets.n - i) : octets.p + i;
        if (lf == NULL) {
            i = octets.n;
            break;
        }
        i = (size_t)(lf - octets.p);
        see(p, octets.p[i]);
    }
    if (!p->header_utf8 && i != 0)
        p->header_utf8 = has_high(mailsrv__span_first(octets, i));
    if (!p->eight_bit)
        p->eight_bit = p->header_utf8 || has_high(mailsrv__span_after(octets, i));
}

static void end(void *state, mailsrv_session *session, struct facts *facts)
{
    struct passing *p = state;
    (void)session;
    if (p->at != AT_END)
        end_field(p);
    facts->eight_bit = p->eight_bit;
    facts->header_utf8 = p->header_utf8;
    facts->n_delivered = p->n;
    facts->delivered = p->delivered;
}

const struct tap mailsrv__smtp_passing_tap = {
    .octets = sizeof(struct passing),
    .begin = begin,
    .bytes = bytes,
    .end = end,
};
