#include "guard.h"
#include "keyed.h"

#include <string.h>

#define FORGOTTEN_US INT64_C(60000000)          /* a failure, after this */
#define KNOWN_US (INT64_C(24) * 3600 * 1000000) /* who came in, for this long */
#define FREE_FAILURES 3                         /* that cost nobody but their session */
#define DELAY_MS 250
#define DELAY_MAX_MS 4000

enum { NETWORK_OCTETS = 8 /* whoever has an IPv6 address has the 2^64 around it */ };

enum kind { OF_PEER = 'p', OF_NAME = 'n', OF_PAIR = 'b' };

bool guard_begin(struct guard *g)
{
    memset(g, 0, sizeof *g);
    return meter_begin(&g->failures) && meter_begin(&g->known);
}

void guard_end(struct guard *g)
{
    meter_end(&g->failures);
    meter_end(&g->known);
}

uint64_t guard_network(uint64_t kind, mailsrv_bytes peer)
{
    const mailsrv_bytes network = { peer.p, peer.n < NETWORK_OCTETS ? peer.n : NETWORK_OCTETS };
    return peer.n == 0 ? 0 : keyed(kind, network);
}

struct attempt guard_attempt(mailsrv_bytes peer, mailsrv_bytes name)
{
    const uint64_t network = guard_network(OF_PEER, peer);
    return (struct attempt){ .peer = network, .name = keyed(OF_NAME, name), .pair = keyed(OF_PAIR ^ network, name) };
}

static int64_t failures(struct guard *g, uint64_t key)
{
    return (meter_level(&g->failures, key) + FORGOTTEN_US - 1) / FORGOTTEN_US;
}

bool guard_refuses(struct guard *g, const struct attempt *a, uint64_t failures_max)
{
    const int64_t most = (int64_t)failures_max;
    const bool refuses = most != 0 && (failures(g, a->pair) >= most ||
                                       (failures(g, a->peer) >= most && meter_level(&g->known, a->pair) == 0));
    if (refuses)
        __atomic_add_fetch(&g->refused, 1, __ATOMIC_RELAXED);
    return refuses;
}

void guard_failed(struct guard *g, const struct attempt *a)
{
    meter_add(&g->failures, a->peer, FORGOTTEN_US);
    meter_add(&g->failures, a->name, FORGOTTEN_US);
    meter_add(&g->failures, a->pair, FORGOTTEN_US);
    __atomic_add_fetch(&g->failed, 1, __ATOMIC_RELAXED);
}

/* Who has an account of his own does not wash away by it what he tried with others. */
void guard_succeeded(struct guard *g, const struct attempt *a)
{
    const int64_t us = meter_level(&g->failures, a->pair);
    meter_add(&g->failures, a->peer, -us);
    meter_add(&g->failures, a->name, -us);
    meter_add(&g->failures, a->pair, -us);
    meter_add(&g->known, a->pair, KNOWN_US);
}

uint64_t guard_delay_ms(struct guard *g, const struct attempt *a)
{
    const uint64_t keys[] = { a->peer, a->name, a->pair };
    int64_t most = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (failures(g, keys[i]) > most)
            most = failures(g, keys[i]);
    uint64_t ms = most < FREE_FAILURES ? 0 : DELAY_MS;
    for (int64_t i = FREE_FAILURES; i < most && ms < DELAY_MAX_MS; i++)
        ms *= 2;
    return ms;
}

size_t guard_count(struct guard *g, uint64_t failures_max)
{
    return failures_max == 0 ? 0 : meter_count(&g->failures, (int64_t)(failures_max - 1) * FORGOTTEN_US + 1);
}
