/* Whom a client wants to speak to, as the providers need it. */
#ifndef TLS_COMMON_TARGET_H
#define TLS_COMMON_TARGET_H

#include <mailsrv/tls.h>

#include <stdbool.h>

enum { TARGET_NAME_MAX = 255 };
enum { USAGE_TA = 2, USAGE_EE = 3 }; /* of a mailsrv_tlsa */
enum { OCTETS_AROUND = 24 };          /* malloc's own, of a small piece */

struct target {
    uint32_t verify; /* MAILSRV_TLS_BY_... */
    char name[TARGET_NAME_MAX + 1]; /* NUL-ended; empty: there is none, or it is an address */
    uint8_t address[16];
    size_t address_octets; /* 4 or 16; 0: it is no address */
    char (*others)[TARGET_NAME_MAX + 1]; /* more names; NULL: none */
    size_t n_others;
    size_t octets; /* that are held for it */
};

/* A name that cannot be one is none: nothing is asked for, and nobody is vouched for.  False: there is no memory. */
bool mailsrv__tls_target_read(const mailsrv_tls_target *from, struct target *out);
void mailsrv__tls_target_free(struct target *target);

const mailsrv_tlsa *mailsrv__tls_target_tlsa(const mailsrv_tls_target *target, uint32_t i);

#endif
