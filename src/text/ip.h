/* IP addresses as text, in the grammar of RFC 5321 section 4.1.3.  Whether there is one in a path text/address.c
 * sees by itself: a program that only receives has no use for the octets, nor room for what reads them. */
#ifndef TEXT_IP_H
#define TEXT_IP_H

#include "base/span.h"

#include <stdint.h>

enum { IPV4_OCTETS = 4, IPV6_OCTETS = 16 };

/* Reads 192.0.2.1 or 2001:db8::1 into network order: how many octets, IPV4_OCTETS or IPV6_OCTETS; 0: it is neither. */
size_t mailsrv__ip_read(struct span text, uint8_t out[IPV6_OCTETS]);

#endif
