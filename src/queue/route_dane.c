/* What an exchanger publishes of its TLS (RFC 7672 section 2.2): only where its addresses are known to be right, for
 * others' name servers may have no answer at all to such a question. */
#include "queue/routing.h"

enum { USAGE_TA = 2, USAGE_EE = 3, SELECTOR_MAX = 1, RECORDS_MAX = 64 };

static struct exchanger *exchanger_of(struct route *r)
{
    return &r->exchangers[r->at];
}

/* T58: what failed is not what is absent.  Nothing is sent there, unless another exchanger's addresses lead there. */
static void give_up(struct route *r, struct span why)
{
    struct exchanger *e = exchanger_of(r);
    r->no_reply = why;
    r->whose = r->asked == ASK_TLSA ? r->service : e->name;
    e->n_ipv6 = e->n_ipv4 = 0;
}

/* ---- Questions ---- */

static bool ask(struct route *r, enum asked asked)
{
    r->asked = asked;
    r->open = 1;
    return true;
}

/* _25._tcp.mx.example (RFC 6698 section 3).  False: no such name can be. */
static bool ask_tlsa(struct route *r, const struct dns_name *base)
{
    struct writer w = { .p = r->service.text, .room = sizeof r->service.text };
    mailsrv__write_char(&w, '_');
    mailsrv__write_u64(&w, r->port);
    mailsrv__write(&w, SPAN("._tcp."));
    mailsrv__write(&w, mailsrv__dns_text(base));
    r->service.n = (uint8_t)w.n;
    r->of_alias = base == &exchanger_of(r)->alias;
    return !w.full && ask(r, ASK_TLSA);
}

bool mailsrv__route_dane_begins(struct route *r)
{
    const struct exchanger *e = exchanger_of(r);
    if (!r->dane || e->n_ipv4 + e->n_ipv6 == 0)
        return false;
    if (e->is_safe)
        return ask_tlsa(r, e->alias.n != 0 ? &e->alias : &e->name);
    return e->is_alias && ask(r, ASK_ALIAS); /* the name may be right, though what it stands for is not */
}

/* ---- Records ---- */

/* A SEQUENCE of DER that ends where the record does: certificates and keys are no less. */
static bool is_sequence(struct span der)
{
    enum { SEQUENCE = 0x30, OF_LENGTH = 0x80, LENGTH_MAX = 2 };
    const uint8_t *p = (const uint8_t *)der.p;
    if (der.n < 2 || p[0] != SEQUENCE || p[1] < OF_LENGTH)
        return der.n >= 2 && p[0] == SEQUENCE && p[1] == der.n - 2;
    const size_t octets = p[1] - OF_LENGTH;
    size_t n = 0;
    if (octets > LENGTH_MAX || der.n < 2 + octets)
        return false;
    for (size_t i = 0; i < octets; i++)
        n = n << 8 | p[2 + i];
    return n == der.n - 2 - octets;
}

static bool is_usable(const struct dns_record *record)
{
    static const size_t octets[] = { 0, 32, 64 }; /* of what matches: anything, SHA-256, SHA-512 */
    const size_t n = record->association.n;
    return (record->usage == USAGE_TA || record->usage == USAGE_EE) && record->selector <= SELECTOR_MAX &&
           record->matching < sizeof octets / sizeof octets[0] && n <= UINT16_MAX &&
           (record->matching == 0 ? is_sequence(record->association) : n == octets[record->matching]);
}

/* The stronger hash alone counts, where there is one of the same sort (RFC 7671 section 9). */
static bool is_outdone(struct dns_reply reply, const struct dns_record *record)
{
    enum { WEAKER = 1, STRONGER = 2 };
    struct dns_record other;
    while (record->matching == WEAKER && mailsrv__dns_reply_next(&reply, &other))
        if (other.matching == STRONGER && other.usage == record->usage && other.selector == record->selector &&
            is_usable(&other))
            return true;
    return false;
}

static bool are_too_many(struct dns_reply reply)
{
    struct dns_record record;
    uint32_t n = 0;
    while (n <= RECORDS_MAX && mailsrv__dns_reply_next(&reply, &record))
        n++;
    return n > RECORDS_MAX;
}

static uint32_t count(struct dns_reply reply, size_t *octets)
{
    const struct dns_reply all = reply;
    struct dns_record record;
    uint32_t n = 0;
    *octets = 0;
    while (mailsrv__dns_reply_next(&reply, &record))
        if (is_usable(&record) && !is_outdone(all, &record)) {
            n++;
            *octets += record.association.n;
        }
    return n;
}

static void fill(struct tlsa_set *set, struct dns_reply *reply)
{
    const struct dns_reply all = *reply;
    struct dns_record record;
    uint8_t *octets = (uint8_t *)(set->records + set->n);
    uint16_t at = 0;
    struct tlsa *to = set->records;
    while (mailsrv__dns_reply_next(reply, &record)) {
        if (!is_usable(&record) || is_outdone(all, &record))
            continue;
        const uint16_t n = (uint16_t)record.association.n;
        *to++ = (struct tlsa){ record.usage, record.selector, record.matching, at, n };
        memcpy(octets + at, record.association.p, n);
        at = (uint16_t)(at + n);
    }
}

static void keep(struct route *r, struct dns_reply *reply)
{
    struct exchanger *e = exchanger_of(r);
    size_t octets = 0;
    const bool too_many = are_too_many(*reply);
    const uint32_t n = too_many ? 0 : count(*reply, &octets);
    const size_t all = sizeof(struct tlsa_set) + n * sizeof(struct tlsa) + octets;
    if (too_many || all > ROUTE_TLSA_OCTETS_MAX - r->tlsa_octets) {
        give_up(r, SPAN("too many records"));
        return;
    }
    e->tlsa = mailsrv__heap_take(r->heap, CLASS_ENGINE, NULL, all);
    if (e->tlsa == NULL) {
        give_up(r, SPAN("no memory for the reply"));
        return;
    }
    r->tlsa_octets += (uint32_t)all;
    e->tlsa->base = r->of_alias ? e->alias : e->name;
    e->tlsa->n = n;
    e->tlsa->all = (uint32_t)all;
    fill(e->tlsa, reply);
}

/* ---- Answers ---- */

/* The alias's come first, then the name's own (RFC 7672 section 2.2.3).  That there are none is not known for long. */
static bool none_here(struct route *r)
{
    if (r->ttl_s > ROUTE_TTL_MIN_S)
        r->ttl_s = ROUTE_TTL_MIN_S;
    return r->of_alias && ask_tlsa(r, &exchanger_of(r)->name);
}

bool mailsrv__route_dane_answered(struct route *r, struct dns_reply *reply, bool trusted)
{
    const bool is_safe = trusted && reply->authentic && reply->outcome == DNS_RECORDS;
    if (reply->outcome == DNS_FAILED) {
        give_up(r, reply->why);
        return false;
    }
    if (r->asked == ASK_ALIAS)
        return is_safe && ask_tlsa(r, &exchanger_of(r)->name);
    if (!is_safe)
        return none_here(r);
    keep(r, reply);
    return false;
}
