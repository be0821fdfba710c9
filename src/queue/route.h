/* Where the mail of a lane goes (RFC 5321 section 5.1, RFC 7505), and what is published of the TLS there (RFC 7672):
 * which questions DNS is to be asked, and what comes of the answers.  It asks nobody itself and reads no clock.
 *
 *     route = mailsrv__route_new(heap, &terms);
 *     mailsrv__route_question(route, i, &ask)              DNS is asked, for each `i` below ROUTE_AT_ONCE
 *     mailsrv__route_answer(route, i, answer)              in any order; then the same again
 *     plan = mailsrv__route_plan(route);                   none is left, and the route is given back
 *
 * There are at most ROUTE_QUESTIONS_MAX questions, of which an address literal needs none.
 */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "base/heap.h"
#include "base/span.h"
#include "queue/own.h"
#include "smtp/dane.h"

#include <mailsrv/queue.h>

enum {
    ROUTE_EXCHANGERS_MAX = 10, /* whose addresses are asked for */
    ROUTE_ADDRESSES_MAX = 10,
    ROUTE_AT_ONCE = 2, /* questions: an exchanger's addresses of both kinds */
    ROUTE_QUESTIONS_MAX = 1 + 5 * ROUTE_EXCHANGERS_MAX, /* each: 2 for addresses, an alias, 2 for TLSA records */
    ROUTE_TLSA_OCTETS_MAX = 8192, /* of all TLSA records: the exchanger that has more is not used */
    ROUTE_TTL_MIN_S = 300, /* what was found holds at least so long, and at most an hour, whatever its TTL */
    ROUTE_TTL_MAX_S = 3600,
    ROUTE_TTL_TLSA_MIN_S = 5, /* the same where TLSA records are part of it (RFC 6698 appendix A.3) */
    ROUTE_TTL_FAILED_S = 300, /* that there is no way */
    ROUTE_TTL_LATER_S = 30    /* that nobody could say */
};

struct route_terms {
    struct span domain;         /* of the lane; a literal with its []; UTF-8 is asked for as A-labels */
    const mailsrv_route *route; /* what ROUTE was answered with MAILSRV_OK; NULL: it is not served */
    struct span own;            /* our own name, for loops; empty: none */
    const struct own_addresses *own_addresses; /* the same; they outlive the route.  NULL: none */
    uint64_t seed;              /* of the order among equals: another one each time */
    bool dane;                  /* TLSA records are asked for, where replies can be trusted */
    uint16_t port;              /* that is connected to: they are of it */
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
    const struct dane *dane; /* NULL: nothing is published that could be trusted */
};

/* One piece of memory.  `text` and what `addresses` point to are part of it. */
struct route_plan {
    enum route_verdict verdict;
    uint16_t code;     /* as a server would reply; 0: found */
    uint32_t ttl_s;    /* so long it holds */
    bool is_validated; /* and no longer: what is published may forbid meanwhile to send in the clear (RFC 7672) */
    struct span text;  /* with its enhanced code: "5.1.10 the domain takes no mail"; empty: found */
    uint32_t n;        /* found: 1 to ROUTE_ADDRESSES_MAX, to be tried in this order */
    uint32_t octets;   /* of all of it */
    const struct route_address *addresses;
};

struct route;

/* Copies `terms` and all that it names but our addresses.  NULL: no memory. */
struct route *mailsrv__route_new(struct heap *heap, const struct route_terms *terms);

/* The question that is to be answered as number `i`; `ask->name` lives until then.  False: there is none now; where
 * that is so for every number, none is left. */
bool mailsrv__route_question(const struct route *route, unsigned i, mailsrv_arg_dns *ask);

/* What it was answered: a mailsrv_dns_reply, or a text that says why there is none.  Looked at for the call alone. */
void mailsrv__route_answer(struct route *route, unsigned i, const mailsrv_answer *answer);

/* What came of it, once there is no question left.  The caller's; NULL: no memory. */
struct route_plan *mailsrv__route_plan(const struct route *route);

/* NULL is fine. */
void mailsrv__route_plan_free(struct heap *heap, struct route_plan *plan);
void mailsrv__route_free(struct route *route);

#endif
