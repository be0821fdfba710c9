/* Guesses at passwords, over all sessions and threads: counted for each address of a peer, for each name that logins
 * gave, and for each pair of both.  Each failure is forgotten after a minute; names count whether they exist or not. */
#ifndef MAILSERVERD_GUARD_H
#define MAILSERVERD_GUARD_H

#include "meter.h"

#include <mailsrv/base.h>

struct guard {
    struct meter failures, known;
    uint64_t failed, refused; /* atomic: ever */
};

/* Who wants to be whom.  All 0: nobody. */
struct attempt {
    uint64_t peer; /* his network; 0: no internet address */
    uint64_t name, pair;
};

bool guard_begin(struct guard *guard);
void guard_end(struct guard *guard);

/* `name` in lower case. */
struct attempt guard_attempt(mailsrv_bytes peer, mailsrv_bytes name);

/* Have so many failed (`failures_max`; 0: there is no limit) that this one is not looked at?  That is so for a name
 * from an address where that many failed for this name; and for each name from an address where that many failed for
 * any, but for names that have come in from there in the last day.  From elsewhere a name is never refused. */
bool guard_refuses(struct guard *guard, const struct attempt *attempt, uint64_t failures_max);

void guard_failed(struct guard *guard, const struct attempt *attempt);
void guard_succeeded(struct guard *guard, const struct attempt *attempt);

/* How late a failure is to be told, beside what a session's own failures cost: the longer the more have failed. */
uint64_t guard_delay_ms(struct guard *guard, const struct attempt *attempt);

/* Names, addresses and pairs that have reached the limit. */
size_t guard_count(struct guard *guard, uint64_t failures_max);

/* What a limit for each peer is about: his address, or of IPv6 the network of 64 bits; 0: no internet address. */
uint64_t guard_network(uint64_t kind, mailsrv_bytes peer);

#endif
