#include "queue/own.h"

bool mailsrv__own_read(struct own_addresses *own, const mailsrv_bytes *texts, size_t n)
{
    own->n = 0;
    if (n > MAILSRV_QUEUE_OWN_MAX || (texts == NULL && n != 0))
        return false;
    for (size_t i = 0; i < n; i++) {
        own->a[i].n = (uint8_t)mailsrv__ip_read(mailsrv__span(texts[i]), own->a[i].octets);
        if (own->a[i].n == 0)
            return false;
    }
    own->n = (uint32_t)n;
    return true;
}

/* A host answers to all of 127.0.0.0/8 as it does to 127.0.0.1 (RFC 1122 section 3.2.1.3). */
static bool is_same(const uint8_t *ours, const uint8_t *address, size_t octets)
{
    static const uint8_t loopback[IPV4_OCTETS] = { 127, 0, 0, 1 };
    if (octets == IPV4_OCTETS && memcmp(ours, loopback, IPV4_OCTETS) == 0)
        return address[0] == loopback[0];
    return memcmp(ours, address, octets) == 0;
}

bool mailsrv__own_has(const struct own_addresses *own, const uint8_t *address, size_t octets)
{
    for (uint32_t i = 0; own != NULL && i < own->n; i++)
        if (own->a[i].n == octets && is_same(own->a[i].octets, address, octets))
            return true;
    return false;
}
