/* What a route knows while DNS is asked (route.c), and what its plan is made of (route_plan.c). */
#ifndef QUEUE_ROUTING_H
#define QUEUE_ROUTING_H

#include "dns/reply.h"
#include "queue/route.h"
#include "text/ip.h"

enum asked { ASK_MX, ASK_AAAA, ASK_A, ASK_NOTHING };

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

struct exchanger {
    struct dns_name name;
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
    enum asked asked;
    uint8_t at, n;          /* the exchanger that is asked about; how many there are */
    uint32_t best, worst;   /* preferences: the best of all that were named; ours, from which on none is used */
    uint32_t ttl_s;
    enum route_why why;
    struct dns_name whose;  /* no reply: to the question for this name, */
    struct span no_reply;   /* because of this; empty: there was one to all */
    struct exchanger exchangers[ROUTE_EXCHANGERS_MAX]; /* the best first */
};

/* How many addresses each exchanger may bring, so that several have their turn. */
unsigned mailsrv__route_share(const struct route *r);

#endif
