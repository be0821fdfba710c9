#include "queue/routing.h"

#include "text/alabel.h"

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t draw(struct route *r)
{
    uint64_t z = r->chance += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- Names of hosts ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return mailsrv__upper(c) >= 'A' && mailsrv__upper(c) <= 'Z';
}

/* Letters, digits, "-" and "_" only, whatever DNS may hold: the name goes into the log, and is what a certificate is
 * compared with.  The last label is not all digits (RFC 1123 section 2.1): "10.0.0.1" as an exchanger is a mistake of
 * somebody's, and a resolver might take it for the address. */
static bool is_host(struct span name)
{
    size_t label = 0;
    bool digits = true;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '.' ? label == 0 : !is_letter(c) && !is_digit(c) && c != '-' && c != '_')
            return false;
        label = c == '.' ? 0 : label + 1;
        digits = c == '.' || (digits && is_digit(c));
        if (label > DNS_LABEL_OCTETS_MAX)
            return false;
    }
    return label != 0 && !digits;
}

/* Text as the name of a host, in A-labels.  False: it is none. */
static bool set_host(struct dns_name *to, struct span text)
{
    struct writer w = { .p = to->text, .room = sizeof to->text };
    if (text.n > 1 && text.p[text.n - 1] == '.')
        text.n--;
    bool written = mailsrv__alabel_write(&w, text) && !w.full && is_host(mailsrv__written(&w));
    to->n = written ? (uint8_t)w.n : 0;
    return written;
}

/* ---- Exchangers ---- */

static bool is_before(const struct exchanger *a, const struct exchanger *b)
{
    return a->preference != b->preference ? a->preference < b->preference : a->chance < b->chance;
}

static struct exchanger *find_exchanger(struct route *r, const struct dns_name *name)
{
    for (uint8_t i = 0; i < r->n; i++)
        if (mailsrv__same_name(&r->exchangers[i].name, name))
            return &r->exchangers[i];
    return NULL;
}

/* Where one is named twice the better preference holds. */
static void remove_exchanger(struct route *r, struct exchanger *e)
{
    size_t behind = (size_t)(r->exchangers + r->n - e) - 1;
    memmove(e, e + 1, behind * sizeof *e);
    r->n--;
}

/* Keeps the best of them, in their order; equals come in an order of chance (RFC 5321 section 5.1). */
static void add_exchanger(struct route *r, const struct dns_name *name, uint16_t preference)
{
    struct exchanger *same = find_exchanger(r, name);
    struct exchanger one = { .name = *name, .preference = preference, .chance = draw(r) };
    if (same != NULL && same->preference <= preference)
        return;
    if (same != NULL)
        remove_exchanger(r, same);
    if (r->n == ROUTE_EXCHANGERS_MAX && !is_before(&one, &r->exchangers[r->n - 1]))
        return;
    size_t i = r->n < ROUTE_EXCHANGERS_MAX ? r->n++ : r->n - 1u;
    for (; i > 0 && is_before(&one, &r->exchangers[i - 1]); i--)
        r->exchangers[i] = r->exchangers[i - 1];
    r->exchangers[i] = one;
}

static void add_address(struct exchanger *e, const uint8_t *address, size_t octets)
{
    if (octets == IPV4_OCTETS && e->n_ipv4 < ROUTE_ADDRESSES_MAX)
        memcpy(e->ipv4[e->n_ipv4++], address, IPV4_OCTETS);
    if (octets == IPV6_OCTETS && e->n_ipv6 < ROUTE_ADDRESSES_MAX)
        memcpy(e->ipv6[e->n_ipv6++], address, IPV6_OCTETS);
}

/* ---- Where the questions are ---- */

enum { IS_MX = 0, IS_AAAA = 0, IS_A = 1 }; /* their numbers */

static void end(struct route *r, enum route_why why)
{
    r->why = why;
    r->asked = ASK_NOTHING;
    r->open = 0;
}

static bool has_enough(const struct route *r)
{
    unsigned n = 0, share = mailsrv__route_share(r);
    for (uint8_t i = 0; i < r->at; i++) {
        unsigned has = r->exchangers[i].n_ipv6 + r->exchangers[i].n_ipv4;
        n += has < share ? has : share;
    }
    return n >= ROUTE_ADDRESSES_MAX;
}

/* The next exchanger's addresses are asked for, if there is one that may be used. */
static void ask_about(struct route *r, uint8_t i)
{
    enum { BOTH = 1 << IS_AAAA | 1 << IS_A };
    r->at = i;
    r->asked = i == r->n || r->exchangers[i].preference >= r->worst || has_enough(r) ? ASK_NOTHING : ASK_ADDRESSES;
    r->open = r->asked == ASK_NOTHING ? 0 : BOTH;
}

static void begin_host(struct route *r)
{
    add_exchanger(r, &r->target, 0);
    ask_about(r, 0);
}

/* "[" IPv4 "]" / "[IPv6:" IPv6 "]", and from an operator also without the brackets.  0: it is no address. */
static size_t read_literal(struct span text, bool bare, uint8_t *out)
{
    struct span tag = SPAN("IPv6:");
    bool brackets = text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    if (!brackets)
        return bare ? mailsrv__ip_read(text, out) : 0;
    text = (struct span){ text.p + 1, text.n - 2 };
    bool tagged = mailsrv__span_equal_nocase(mailsrv__span_first(text, tag.n), tag);
    size_t n = mailsrv__ip_read(tagged ? mailsrv__span_after(text, tag.n) : text, out);
    return n == (tagged ? IPV6_OCTETS : IPV4_OCTETS) ? n : 0;
}

/* No question is left: the only exchanger has this address.  One in a domain's place may be ours. */
static void set_literal(struct route *r, const uint8_t *address, size_t octets)
{
    struct exchanger *e = &r->exchangers[0];
    struct writer w = { .p = e->name.text, .room = sizeof e->name.text };
    mailsrv__write_ip(&w, address, octets);
    e->name.n = (uint8_t)w.n;
    add_address(e, address, octets);
    r->n = 1;
    r->asked = ASK_NOTHING;
    r->open = 0;
    if (!r->host_given && mailsrv__own_has(r->own_addresses, address, octets)) {
        r->target = e->name;
        end(r, WHY_LOOP);
    }
}

static void begin_domain(struct route *r, const struct route_terms *terms)
{
    uint8_t address[IPV6_OCTETS];
    size_t octets = read_literal(terms->domain, false, address);
    bool literals = terms->route != NULL && (terms->route->flags & MAILSRV_ROUTE_LITERALS) != 0;
    if (octets != 0 && literals)
        set_literal(r, address, octets);
    else if (terms->domain.n != 0 && terms->domain.p[0] == '[')
        end(r, WHY_LITERAL);
    else if (!set_host(&r->target, terms->domain))
        end(r, WHY_BAD_DOMAIN);
}

static void begin_given(struct route *r, const mailsrv_route *route)
{
    uint8_t address[IPV6_OCTETS];
    struct span host = mailsrv__span(route->host);
    size_t octets = read_literal(host, true, address);
    r->host_given = true;
    if (octets != 0)
        set_literal(r, address, octets);
    else if (!set_host(&r->target, host))
        end(r, WHY_BAD_ROUTE);
    else if (route->kind == MAILSRV_ROUTE_HOST)
        begin_host(r);
}

struct route *mailsrv__route_new(struct heap *heap, const struct route_terms *terms)
{
    const mailsrv_route *route = terms->route;
    struct route *r = mailsrv__heap_take(heap, CLASS_ENGINE, NULL, sizeof *r);
    if (r == NULL)
        return NULL;
    r->heap = heap;
    r->chance = terms->seed;
    r->best = r->worst = NO_PREFERENCE;
    r->own_addresses = terms->own_addresses;
    r->dane = terms->dane;
    r->port = terms->port;
    r->ttl_s = ROUTE_TTL_MAX_S;
    r->open = 1 << IS_MX;
    set_host(&r->own, terms->own); /* an address literal is no name that an exchanger could have */
    if (route == NULL || (route->kind == MAILSRV_ROUTE_MX && route->host.n == 0))
        begin_domain(r, terms);
    else if (route->kind == MAILSRV_ROUTE_MX || route->kind == MAILSRV_ROUTE_HOST)
        begin_given(r, route);
    else
        end(r, WHY_BAD_ROUTE);
    return r;
}

static void free_records(struct heap *heap, struct tlsa_set *set)
{
    if (set != NULL)
        mailsrv__heap_give(heap, CLASS_ENGINE, NULL, set, set->all);
}

void mailsrv__route_free(struct route *route)
{
    if (route == NULL)
        return;
    for (uint8_t i = 0; i < route->n; i++)
        free_records(route->heap, route->exchangers[i].tlsa);
    mailsrv__heap_give(route->heap, CLASS_ENGINE, NULL, route, sizeof *route);
}

static const struct dns_name *question_name(const struct route *r)
{
    if (r->asked == ASK_TLSA)
        return &r->service;
    return r->asked == ASK_MX ? &r->target : &r->exchangers[r->at].name;
}

static uint16_t question_type(const struct route *r, unsigned i)
{
    if (r->asked == ASK_ADDRESSES)
        return i == IS_AAAA ? MAILSRV_DNS_AAAA : MAILSRV_DNS_A;
    return r->asked == ASK_MX ? MAILSRV_DNS_MX : r->asked == ASK_ALIAS ? MAILSRV_DNS_CNAME : MAILSRV_DNS_TLSA;
}

static bool is_open(const struct route *r, unsigned i)
{
    return (r->open >> i & 1) != 0;
}

bool mailsrv__route_question(const struct route *route, unsigned i, mailsrv_arg_dns *ask)
{
    if (!is_open(route, i))
        return false;
    *ask = (mailsrv_arg_dns){ .size = sizeof *ask, .type = question_type(route, i) };
    ask->name = mailsrv__bytes(mailsrv__dns_text(question_name(route)));
    return true;
}

/* ---- Answers ---- */

static void lower(uint32_t *least, uint32_t value)
{
    if (value < *least)
        *least = value;
}

/* The first look, which finds the best of all preferences, and our own: what is not better than we are would send the
 * mail back to us (RFC 5321 section 5.1).  The root is nobody: alone it says that no mail is taken (RFC 7505 section
 * 3), beside others it is passed over.  False: there is no other. */
static bool see_preferences(struct route *r, struct dns_reply reply)
{
    struct dns_record mx;
    while (mailsrv__dns_reply_next(&reply, &mx)) {
        if (mx.exchange.n == 0)
            continue;
        lower(&r->best, mx.preference);
        if (r->own.n != 0 && mailsrv__same_name(&mx.exchange, &r->own))
            lower(&r->worst, mx.preference);
    }
    return r->best != NO_PREFERENCE;
}

static void take_exchangers(struct route *r, struct dns_reply *reply)
{
    struct dns_record mx;
    if (!see_preferences(r, *reply)) {
        end(r, WHY_NULL_MX);
        return;
    }
    while (mailsrv__dns_reply_next(reply, &mx))
        if (mx.preference < r->worst && is_host(mailsrv__dns_text(&mx.exchange)))
            add_exchanger(r, &mx.exchange, mx.preference);
    ask_about(r, 0);
}

/* RFC 5321 section 5.1: no MX at all, and the domain is its own exchanger.  Only then: MX records that cannot be used
 * are no reason to ask for its address. */
static void take_implicit(struct route *r)
{
    r->implicit = true;
    r->best = 0;
    begin_host(r);
}

static void mx_answered(struct route *r, struct dns_reply *reply, bool trusted)
{
    r->is_mx_safe = trusted && reply->authentic;
    r->mx_owner = reply->owner;
    if (reply->outcome == DNS_RECORDS)
        take_exchangers(r, reply);
    else if (reply->outcome == DNS_NODATA)
        take_implicit(r);
    else
        end(r, reply->outcome == DNS_NXDOMAIN ? WHY_NO_DOMAIN : WHY_NO_REPLY);
}

/* This network, and those of many: a connection there would reach ourselves, or nobody. */
static bool is_nobodys(const uint8_t *a, size_t octets)
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF }; /* ::ffff:0:0/96 */
    static const uint8_t zeros[IPV6_OCTETS] = { 0 };
    if (octets == IPV4_OCTETS)
        return a[0] == 0 || a[0] >= 224;
    return a[0] == 0xFF || memcmp(a, mapped, sizeof mapped) == 0 || memcmp(a, zeros, IPV6_OCTETS) == 0;
}

/* Are they the right ones, and what does the name stand for?  A forger may say another thing each time. */
static void see_alias(struct exchanger *e, const struct dns_reply *reply, bool trusted)
{
    const bool is_first = !e->is_safe && !e->is_unsafe;
    if (reply->outcome != DNS_RECORDS)
        return;
    const bool is_safe = trusted && reply->authentic;
    e->is_safe |= is_safe;
    e->is_unsafe |= !is_safe;
    const bool is_alias = !mailsrv__same_name(&reply->owner, &e->name);
    e->is_alias |= is_alias;
    if (is_first && is_alias)
        e->alias = reply->owner;
    else if (!is_first && !mailsrv__same_name(&reply->owner, &e->alias))
        e->alias.n = 0;
}

static void address_answered(struct route *r, unsigned i, struct dns_reply *reply, bool trusted)
{
    struct exchanger *e = &r->exchangers[r->at];
    size_t octets = i == IS_AAAA ? IPV6_OCTETS : IPV4_OCTETS;
    bool is_ours = reply->outcome == DNS_RECORDS && mailsrv__same_name(&reply->owner, &r->own);
    struct dns_record record;
    while (mailsrv__dns_reply_next(reply, &record)) {
        is_ours |= mailsrv__own_has(r->own_addresses, record.address, octets);
        if (!is_nobodys(record.address, octets))
            add_address(e, record.address, octets);
    }
    /* An exchanger that is us under another name. */
    if (is_ours && r->best != NO_PREFERENCE)
        lower(&r->worst, e->preference);
    see_alias(e, reply, trusted);
    if (r->open == 0 && !mailsrv__route_dane_begins(r))
        ask_about(r, r->at + 1u);
}

static struct span why_no_reply(struct route *r, const mailsrv_answer *answer)
{
    const struct span text = mailsrv__span_first(mailsrv__span(answer->text), sizeof r->said);
    if (text.n == 0)
        return SPAN("no reply");
    memcpy(r->said, text.p, text.n);
    return (struct span){ r->said, text.n };
}

void mailsrv__route_answer(struct route *route, unsigned i, const mailsrv_answer *answer)
{
    const mailsrv_dns_reply *reply = answer->status == MAILSRV_OK ? answer->value : NULL;
    const bool trusted = reply != NULL && reply->trusted == 1;
    struct dns_reply read = { .outcome = DNS_FAILED };
    if (!is_open(route, i))
        return;
    route->is_validated |= route->dane && trusted;
    struct span name = mailsrv__dns_text(question_name(route));
    if (reply != NULL)
        mailsrv__dns_reply_read(&read, mailsrv__span(reply->message), name, question_type(route, i));
    else
        read.why = why_no_reply(route, answer);
    if (read.outcome == DNS_FAILED) {
        route->no_reply = read.why;
        route->whose = *question_name(route);
    }
    if (read.outcome == DNS_RECORDS)
        lower(&route->ttl_s, read.ttl_s);
    route->open &= (uint8_t)~(1u << i);
    if (route->asked == ASK_MX)
        mx_answered(route, &read, trusted);
    else if (route->asked == ASK_ADDRESSES)
        address_answered(route, i, &read, trusted);
    else if (!mailsrv__route_dane_answered(route, &read, trusted))
        ask_about(route, route->at + 1u);
}
