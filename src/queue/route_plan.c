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
    if (r->no_reply.n != 0 || r->ttl_s < ROUTE_TTL_MIN_S)
        return ROUTE_TTL_MIN_S; /* perhaps there are better ones soon */
    return r->ttl_s;
}

static struct route_plan *take_plan(const struct route *r, uint32_t n, size_t text_octets, struct writer *texts)
{
    size_t fixed = sizeof(struct route_plan) + n * sizeof(struct route_address);
    struct route_plan *plan = mailsrv__heap_take(r->heap, CLASS_ENGINE, NULL, fixed + text_octets);
    if (plan == NULL)
        return NULL;
    plan->n = n;
    plan->octets = (uint32_t)(fixed + text_octets);
    plan->addresses = (struct route_address *)(void *)(plan + 1);
    *texts = (struct writer){ .p = (char *)plan + fixed, .room = text_octets };
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
    struct writer w = { .p = room, .room = sizeof room }, texts;
    const struct said *s = say(r, &w);
    struct route_plan *plan = take_plan(r, 0, w.n, &texts);
    if (plan == NULL)
        return NULL;
    plan->verdict = s->verdict;
    plan->code = s->code;
    plan->ttl_s = s->verdict == ROUTE_LATER ? ROUTE_TTL_LATER_S : ROUTE_TTL_FAILED_S;
    plan->text = copy_text(&texts, mailsrv__written(&w));
    return plan;
}

/* Is it of the same exchanger as the one before? */
static bool goes_on(const struct chosen *c, unsigned i)
{
    return i != 0 && c->a[i].whose == c->a[i - 1].whose;
}

static struct route_plan *plan_found(const struct route *r, const struct chosen *c)
{
    struct writer texts;
    size_t octets = 0;
    for (unsigned i = 0; i < c->n; i++)
        octets += goes_on(c, i) ? 0 : c->a[i].whose->name.n;
    struct route_plan *plan = take_plan(r, c->n, octets, &texts);
    if (plan == NULL)
        return NULL;
    struct route_address *to = (struct route_address *)(void *)(plan + 1);
    for (unsigned i = 0; i < c->n; i++) {
        to[i].n = c->a[i].n;
        memcpy(to[i].octets, c->a[i].octets, c->a[i].n);
        to[i].host = goes_on(c, i) ? to[i - 1].host : copy_text(&texts, mailsrv__dns_text(&c->a[i].whose->name));
    }
    plan->verdict = ROUTE_FOUND;
    plan->ttl_s = bounded_ttl(r);
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
