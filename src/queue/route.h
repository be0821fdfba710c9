/* Where the mail of a lane goes (RFC 5321 section 5.1, RFC 7505): which questions DNS is to be asked, and what comes of
 * the answers.  It asks nobody itself and reads no clock.
 *
 *     route = mailsrv__route_new(heap, &terms);
 *     while (mailsrv__route_question(route, &ask))         DNS is asked, one question at a time
 *         mailsrv__route_answer(route, status, reply);
 *     plan = mailsrv__route_plan(route);                   and the route is given back
 *
 * There are at most ROUTE_QUESTIONS_MAX questions, of which an address literal needs none.
 */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "base/heap.h"
#include "base/span.h"
#include "queue/own.h"

#include <mailsrv/queue.h>

enum {
    ROUTE_EXCHANGERS_MAX = 10, /* whose addresses are asked for */
    ROUTE_ADDRESSES_MAX = 10,
    ROUTE_QUESTIONS_MAX = 1 + 2 * ROUTE_EXCHANGERS_MAX,
    ROUTE_TTL_MIN_S = 300, /* what was found holds at least so long, and at most an hour, whatever its TTL */
    ROUTE_TTL_MAX_S = 3600,
    ROUTE_TTL_FAILED_S = 300, /* that there is no way */
    ROUTE_TTL_LATER_S = 30    /* that nobody could say */
};

struct route_terms {
    struct span domain;         /* of the lane; a literal with its []; UTF-8 is asked for as A-labels */
    const mailsrv_route *route; /* what ROUTE was answered with MAILSRV_OK; NULL: it is not served */
    struct span own;            /* our own name, for loops; empty: none */
    const struct own_addresses *own_addresses; /* the same; they outlive the route.  NULL: none */
    uint64_t seed;              /* of the order among equals: another one each time */
};

enum route_verdict {
    ROUTE_FOUND,
    ROUTE_LATER, /* nobody could say: a resolver that does not answer is no answer */
    ROUTE_FAILED /* there is no way, and a notice is owed; never because of a host that an operator has named */
};

struct route_address {
    uint8_t octets[16]; /* in network order */
    uint8_t n;          /* 4 or 16 */
    struct span host;   /* the exchanger that it belongs to, or the address as text, without [] */
};

/* One piece of memory.  `text` and what `addresses` point to are part of it. */
struct route_plan {
    enum route_verdict verdict;
    uint16_t code;     /* as a server would reply; 0: found */
    uint32_t ttl_s;    /* so long it holds */
    struct span text;  /* with its enhanced code: "5.1.10 the domain takes no mail"; empty: found */
    uint32_t n;        /* found: 1 to ROUTE_ADDRESSES_MAX, to be tried in this order */
    uint32_t octets;   /* of all of it */
    const struct route_address *addresses;
};

struct route;

/* Copies `terms` and all that it names but our addresses.  NULL: no memory. */
struct route *mailsrv__route_new(struct heap *heap, const struct route_terms *terms);

/* The question that is to be answered next; `ask->name` lives until then.  False: there is none left. */
bool mailsrv__route_question(const struct route *route, mailsrv_arg_dns *ask);

/* What it was answered; `reply` is looked at only where `status` is MAILSRV_OK, and only for the call. */
void mailsrv__route_answer(struct route *route, int32_t status, const mailsrv_dns_reply *reply);

/* What came of it, once there is no question left.  The caller's; NULL: no memory. */
struct route_plan *mailsrv__route_plan(const struct route *route);

/* NULL is fine. */
void mailsrv__route_plan_free(struct heap *heap, struct route_plan *plan);
void mailsrv__route_free(struct route *route);

#endif
