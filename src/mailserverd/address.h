/* Where a listener listens: an address in numbers and a port, or the path of a socket. */
#ifndef MAILSERVERD_ADDRESS_H
#define MAILSERVERD_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_OCTETS 108 /* the longest path of a socket, and more than any address in numbers */

struct address {
    char text[ADDRESS_OCTETS]; /* in numbers, without brackets; or an absolute path */
    uint16_t port;             /* 0: a free one */
    bool local;                /* a path */
};

/* 127.0.0.1:25, [::1]:25 or unix:/run/lmtp */
bool address_read(const char *text, struct address *out);

/* Can nobody but this machine reach it? */
bool address_is_loopback(const struct address *address);

/* As address_read takes it, with `port`. */
void address_show(const struct address *address, uint16_t port, char *out, size_t n);

#endif
