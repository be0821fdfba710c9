/* Whom a client wants to speak to, as the providers need it. */
#ifndef TLS_COMMON_TARGET_H
#define TLS_COMMON_TARGET_H

#include <mailsrv/tls.h>

#include <stdbool.h>

enum { TARGET_NAME_MAX = 255 };

struct target {
    bool verify;
    char name[TARGET_NAME_MAX + 1]; /* NUL-ended; empty: there is none, or it is an address */
    uint8_t address[16];
    size_t address_octets; /* 4 or 16; 0: it is no address */
};

/* A name that cannot be one is none: nothing is asked for, and nobody is vouched for. */
void mailsrv__tls_target_read(const mailsrv_tls_target *from, struct target *out);

#endif
