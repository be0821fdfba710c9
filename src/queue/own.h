/* Addresses of this host: what goes to an exchanger with one of them would come back (RFC 5321 section 5.1). */
#ifndef QUEUE_OWN_H
#define QUEUE_OWN_H

#include "text/ip.h"

#include <mailsrv/queue.h>

struct own_addresses {
    uint32_t n;
    struct {
        uint8_t octets[IPV6_OCTETS];
        uint8_t n;
    } a[MAILSRV_QUEUE_OWN_MAX];
};

/* Reads them from texts.  False: one is no address, or they are too many. */
bool mailsrv__own_read(struct own_addresses *own, const mailsrv_bytes *texts, size_t n);

/* Is it one of them?  `own` NULL: there are none. */
bool mailsrv__own_has(const struct own_addresses *own, const uint8_t *address, size_t octets);

#endif
