/* What a route knows while DNS is asked (route.c, route_dane.c), and what its plan is made of (route_plan.c). */
#ifndef QUEUE_ROUTING_H
#define QUEUE_ROUTING_H

#include "dns/reply.h"
#include "queue/route.h"
#include "text/ip.h"

enum asked { ASK_MX, ASK_ADDRESSES, ASK_ALIAS, ASK_TLSA, ASK_NOTHING };

/* Why there is no way. */
enum route_why {
    WHY_NOT, /* there may be one */
    WHY_NO_REPLY,
    WHY_NO_DOMAIN,
    WHY_BAD_DOMAIN,
    WHY_LITERAL,
    WHY_NULL_MX,
    WHY_NO_EXCHANGER,
    WHY_NO_ADDRESS,
    WHY_LOOP,
    WHY_ONLY_WORSE,
    WHY_BAD_HOST,
    WHY_BAD_ROUTE
};

enum { NO_PREFERENCE = 0x10000 }; /* worse than all */

/* A TLSA record that can be used; its octets are those at `at` of `octets`. */
struct tlsa {
    uint8_t usage, selector, matching;
    uint16_t at, n;
};

/* What an exchanger publishes: as one piece, `octets` behind the records. */
struct tlsa_set {
    struct dns_name base; /* under which it was found */
    uint32_t n, all;      /* records; octets of all of it */
    struct tlsa records[];
};

struct exchanger {
    struct dns_name name;
    struct dns_name alias; /* what the name stands for; empty: for itself, or now for one thing and then another */
    bool is_alias;
    bool is_safe, is_unsafe; /* there are addresses of which it is known that they are right, or is not */
    struct tlsa_set *tlsa; /* NULL: none */
    uint16_t preference;
    uint64_t chance; /* orders equals */
    uint8_t n_ipv6, n_ipv4;
    uint8_t ipv6[ROUTE_ADDRESSES_MAX][IPV6_OCTETS];
    uint8_t ipv4[ROUTE_ADDRESSES_MAX][IPV4_OCTETS];
};

struct route {
    struct heap *heap;
    uint64_t chance;
    struct dns_name target; /* the domain, or the route's host, in A-labels */
    struct dns_name own;    /* empty: none, or it does not matter here */
    const struct own_addresses *own_addresses;
    bool host_given;        /* the target is the route's: what is wrong with it is no fault of the mail's */
    bool implicit;          /* there is no MX: the target is its own exchanger */
    bool dane;              /* TLSA records are asked for */
    uint16_t port;
    bool is_mx_safe;        /* the exchangers are those that the domain has named */
    struct dns_name mx_owner; /* what the domain stands for */
    struct dns_name service; /* ASK_TLSA: whose records */
    bool of_alias;          /* it is the alias's */
    uint32_t tlsa_octets;   /* of all exchangers */
    enum asked asked;
    uint8_t open;           /* of that, a bit for each question without an answer */
    uint8_t at, n;          /* the exchanger that is asked about; how many there are */
    uint32_t best, worst;   /* preferences: the best of all that were named; ours, from which on none is used */
    uint32_t ttl_s;
    bool is_validated;      /* replies were to be trusted */
    enum route_why why;
    struct dns_name whose;  /* no reply: to the question for this name, */
    struct span no_reply;   /* because of this; empty: there was one to all */
    char said[80];          /* of it by the host */
    struct exchanger exchangers[ROUTE_EXCHANGERS_MAX]; /* the best first */
};

static inline bool mailsrv__same_name(const struct dns_name *a, const struct dns_name *b)
{
    return mailsrv__span_equal_nocase(mailsrv__dns_text(a), mailsrv__dns_text(b));
}

/* ---- route_dane.c: RFC 7672 section 2.2 ---- */

/* Behind the addresses of the exchanger that is asked about: is there something more to be asked of it? */
bool mailsrv__route_dane_begins(struct route *r);

/* The same behind what was asked of it then. */
bool mailsrv__route_dane_answered(struct route *r, struct dns_reply *reply, bool trusted);

/* How many addresses each exchanger may bring, so that several have their turn. */
unsigned mailsrv__route_share(const struct route *r);

#endif
