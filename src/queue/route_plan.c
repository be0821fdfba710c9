#include "queue/routing.h"

/* ---- Which addresses ---- */

unsigned mailsrv__route_share(const struct route *r)
{
    unsigned share = r->n == 0 ? 0 : ROUTE_ADDRESSES_MAX / r->n;
    return share < 2 ? 2 : share;
}

/* The addresses that were chosen, and whose they are. */
struct chosen {
    unsigned n;
    struct {
        const struct exchanger *whose;
        const uint8_t *octets;
        uint8_t n;
    } a[ROUTE_ADDRESSES_MAX];
};

/* Two exchangers may be one host. */
static bool has(const struct chosen *c, const uint8_t *octets, uint8_t n)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->a[i].n == n && memcmp(c->a[i].octets, octets, n) == 0)
            return true;
    return false;
}

static unsigned choose_one(struct chosen *c, const struct exchanger *e, const uint8_t *octets, uint8_t n)
{
    if (c->n == ROUTE_ADDRESSES_MAX || has(c, octets, n))
        return 0;
    c->a[c->n].whose = e;
    c->a[c->n].octets = octets;
    c->a[c->n].n = n;
    c->n++;
    return 1;
}

/* Those of one exchanger as DNS has ordered them (RFC 5321 section 5.1), IPv6 and IPv4 in turn: where one of both does
 * not work here, the next try is with the other. */
static void choose_of(struct chosen *c, const struct exchanger *e, unsigned share)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < ROUTE_ADDRESSES_MAX; i++) {
        if (i < e->n_ipv6 && taken < share)
            taken += choose_one(c, e, e->ipv6[i], IPV6_OCTETS);
        if (i < e->n_ipv4 && taken < share)
            taken += choose_one(c, e, e->ipv4[i], IPV4_OCTETS);
    }
}

static void choose(const struct route *r, struct chosen *c)
{
    c->n = 0;
    for (uint8_t i = 0; i < r->n && r->exchangers[i].preference < r->worst; i++)
        choose_of(c, &r->exchangers[i], mailsrv__route_share(r));
}

/* ---- What is said ---- */

enum { TEXT_OCTETS_MAX = 2 * DNS_TEXT_OCTETS_MAX };

#define TEXT(literal) { (literal), sizeof(literal) - 1 }

static const struct said {
    enum route_verdict verdict;
    uint16_t code;
    struct span before, behind; /* the name */
} said[] = {
    [WHY_NO_REPLY] = { ROUTE_LATER, 451, TEXT("4.4.3 the name servers have no answer for "), TEXT(": ") },
    [WHY_NO_DOMAIN] = { ROUTE_FAILED, 550, TEXT("5.1.2 there is no domain "), { NULL, 0 } },
    [WHY_BAD_DOMAIN] = { ROUTE_FAILED, 550, TEXT("5.1.2 this is no name of a domain"), { NULL, 0 } },
    [WHY_LITERAL] = { ROUTE_FAILED, 550, TEXT("5.1.2 no mail is sent to this address literal"), { NULL, 0 } },
    /* RFC 7505 section 4.2 */
    [WHY_NULL_MX] = { ROUTE_FAILED, 556, TEXT("5.1.10 "), TEXT(" takes no mail (null MX)") },
    [WHY_NO_EXCHANGER] = { ROUTE_FAILED, 550, TEXT("5.4.4 no mail exchanger of "), TEXT(" has an address") },
    [WHY_NO_ADDRESS] = { ROUTE_FAILED, 550, TEXT("5.4.4 "), TEXT(" has no mail exchanger and no address") },
    [WHY_LOOP] = { ROUTE_FAILED, 554, TEXT("5.4.6 mail for "), TEXT(" would come back to us") },
    [WHY_ONLY_WORSE] = { ROUTE_LATER, 451, TEXT("4.4.4 no better mail exchanger of "),
                         TEXT(" than ourselves has an address") },
    [WHY_BAD_HOST] = { ROUTE_LATER, 451, TEXT("4.3.5 the route's host cannot be used: "), { NULL, 0 } },
    [WHY_BAD_ROUTE] = { ROUTE_LATER, 451, TEXT("4.3.5 the route cannot be used"), { NULL, 0 } },
};

/* With a host that an operator has named it is his mistake, which the mail outlives. */
static bool is_of_host(enum route_why why)
{
    return why == WHY_NO_DOMAIN || why == WHY_NULL_MX || why == WHY_NO_EXCHANGER || why == WHY_NO_ADDRESS ||
           why == WHY_LOOP;
}

/* Why there is no address.  That we are the best exchanger is so whatever others said.  Else a question without a reply
 * may have been the one that mattered. */
static enum route_why why_none(const struct route *r)
{
    if (r->why != WHY_NOT)
        return r->why;
    if (r->best != NO_PREFERENCE && r->worst <= r->best)
        return WHY_LOOP;
    if (r->no_reply.n != 0)
        return WHY_NO_REPLY;
    if (r->worst != NO_PREFERENCE)
        return WHY_ONLY_WORSE;
    return r->implicit ? WHY_NO_ADDRESS : WHY_NO_EXCHANGER;
}

static const struct said *say(const struct route *r, struct writer *w)
{
    enum route_why why = why_none(r);
    if (r->host_given && is_of_host(why))
        why = WHY_BAD_HOST;
    const struct said *s = &said[why];
    mailsrv__write(w, s->before);
    mailsrv__write(w, mailsrv__dns_text(why == WHY_NO_REPLY ? &r->whose : &r->target));
    mailsrv__write(w, s->behind);
    if (why == WHY_NO_REPLY)
        mailsrv__write(w, r->no_reply);
    return s;
}

/* ---- The plan ---- */

static uint32_t bounded_ttl(const struct route *r)
{
    const uint32_t least = r->tlsa_octets != 0 ? ROUTE_TTL_TLSA_MIN_S : ROUTE_TTL_MIN_S;
    uint32_t ttl_s = r->ttl_s;
    if (r->no_reply.n != 0 && ttl_s > ROUTE_TTL_MIN_S)
        ttl_s = ROUTE_TTL_MIN_S; /* perhaps there are better ones soon */
    return ttl_s < least ? least : ttl_s;
}

/* What a plan is made of, in this order, and its texts behind that. */
struct parts {
    struct route_address *addresses;
    struct dane *danes;
    mailsrv_tlsa *records;
    struct writer texts;
};

struct sizes {
    uint32_t addresses, danes, records;
    size_t texts;
};

static struct route_plan *take_plan(const struct route *r, const struct sizes *n, struct parts *out)
{
    const size_t addresses = sizeof(struct route_plan), danes = addresses + n->addresses * sizeof *out->addresses,
                 records = danes + n->danes * sizeof *out->danes, texts = records + n->records * sizeof *out->records;
    struct route_plan *plan = mailsrv__heap_take(r->heap, CLASS_ENGINE, NULL, texts + n->texts);
    if (plan == NULL)
        return NULL;
    char *all = (char *)plan;
    *out = (struct parts){ (struct route_address *)(void *)(all + addresses), (struct dane *)(void *)(all + danes),
                           (mailsrv_tlsa *)(void *)(all + records), { .p = all + texts, .room = n->texts } };
    plan->n = n->addresses;
    plan->octets = (uint32_t)(texts + n->texts);
    plan->addresses = out->addresses;
    return plan;
}

static struct span copy_text(struct writer *w, struct span text)
{
    struct span copy = { w->p + w->n, text.n };
    mailsrv__write(w, text);
    return copy;
}

static struct route_plan *plan_none(const struct route *r)
{
    char room[TEXT_OCTETS_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    const struct said *s = say(r, &w);
    struct parts parts;
    struct route_plan *plan = take_plan(r, &(struct sizes){ .texts = w.n }, &parts);
    if (plan == NULL)
        return NULL;
    plan->verdict = s->verdict;
    plan->code = s->code;
    plan->ttl_s = s->verdict == ROUTE_LATER ? ROUTE_TTL_LATER_S : ROUTE_TTL_FAILED_S;
    plan->text = copy_text(&parts.texts, mailsrv__written(&w));
    return plan;
}

/* Is it of the same exchanger as the one before? */
static bool goes_on(const struct chosen *c, unsigned i)
{
    return i != 0 && c->a[i].whose == c->a[i - 1].whose;
}

/* Names that a certificate may be for, beside the exchanger's (RFC 7672 section 3.2.2): the domain's, where it is known
 * that the domain has named the exchanger, or is it itself. */
static uint32_t other_names(const struct route *r, const struct exchanger *e,
                            const struct dns_name *out[DANE_NAMES_MAX])
{
    const bool is_itself = mailsrv__same_name(&e->name, &r->target);
    uint32_t n = 0;
    out[n++] = &e->tlsa->base;
    if ((is_itself || r->is_mx_safe) && !mailsrv__same_name(&r->target, &e->tlsa->base))
        out[n++] = &r->target;
    if (!is_itself && r->is_mx_safe && r->mx_owner.n != 0 && !mailsrv__same_name(&r->mx_owner, &r->target))
        out[n++] = &r->mx_owner;
    return n;
}

static void measure_dane(const struct route *r, const struct exchanger *e, struct sizes *n)
{
    const struct dns_name *names[DANE_NAMES_MAX];
    if (e->tlsa == NULL)
        return;
    n->danes++;
    n->records += e->tlsa->n;
    for (uint32_t i = 0; i < e->tlsa->n; i++)
        n->texts += e->tlsa->records[i].n;
    for (uint32_t i = other_names(r, e, names); i-- > 0;)
        n->texts += names[i]->n;
}

static struct sizes measure(const struct route *r, const struct chosen *c)
{
    struct sizes n = { .addresses = c->n };
    for (unsigned i = 0; i < c->n; i++) {
        if (goes_on(c, i))
            continue;
        n.texts += c->a[i].whose->name.n;
        measure_dane(r, c->a[i].whose, &n);
    }
    return n;
}

static const struct dane *copy_dane(const struct route *r, const struct exchanger *e, struct parts *to)
{
    const struct dns_name *names[DANE_NAMES_MAX];
    if (e->tlsa == NULL)
        return NULL;
    struct dane *dane = to->danes++;
    const char *octets = (const char *)(e->tlsa->records + e->tlsa->n);
    dane->n = e->tlsa->n;
    dane->records = to->records;
    for (uint32_t i = 0; i < dane->n; i++) {
        const struct tlsa *t = &e->tlsa->records[i];
        const struct span data = copy_text(&to->texts, (struct span){ octets + t->at, t->n });
        *to->records++ = (mailsrv_tlsa){ .size = sizeof(mailsrv_tlsa),
                                         .usage = t->usage,
                                         .selector = t->selector,
                                         .matching = t->matching,
                                         .data = mailsrv__bytes(data) };
    }
    dane->n_names = other_names(r, e, names);
    for (uint32_t i = 0; i < dane->n_names; i++)
        dane->names[i] = mailsrv__bytes(copy_text(&to->texts, mailsrv__dns_text(names[i])));
    return dane;
}

static struct route_plan *plan_found(const struct route *r, const struct chosen *c)
{
    struct parts parts;
    const struct sizes sizes = measure(r, c);
    struct route_plan *plan = take_plan(r, &sizes, &parts);
    if (plan == NULL)
        return NULL;
    struct route_address *to = parts.addresses;
    for (unsigned i = 0; i < c->n; i++) {
        const struct exchanger *e = c->a[i].whose;
        to[i].n = c->a[i].n;
        memcpy(to[i].octets, c->a[i].octets, c->a[i].n);
        to[i].host = goes_on(c, i) ? to[i - 1].host : copy_text(&parts.texts, mailsrv__dns_text(&e->name));
        to[i].dane = goes_on(c, i) ? to[i - 1].dane : copy_dane(r, e, &parts);
    }
    plan->verdict = ROUTE_FOUND;
    plan->ttl_s = bounded_ttl(r);
    plan->is_validated = r->is_validated;
    return plan;
}

struct route_plan *mailsrv__route_plan(const struct route *route)
{
    struct chosen chosen;
    choose(route, &chosen);
    return route->why == WHY_NOT && chosen.n != 0 ? plan_found(route, &chosen) : plan_none(route);
}

void mailsrv__route_plan_free(struct heap *heap, struct route_plan *plan)
{
    if (plan != NULL)
        mailsrv__heap_give(heap, CLASS_ENGINE, NULL, plan, plan->octets);
}
