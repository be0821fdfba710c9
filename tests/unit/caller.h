/* A machine of a client, for the tests of the core: it hears lines, and says what it heard.
 *
 *   "220..."    begins TLS
 *   "turn"      the same, in its next turn
 *   any other   says "heard " and the line
 *
 * Under TLS it says "secured" first.
 */
#ifndef UNIT_CALLER_H
#define UNIT_CALLER_H

#include "core/machine.h"

/* What its sessions do; one for all. */
struct calling {
    bool implicit; /* TLS from the first octet on */
    bool verify;
    const char *name;
    unsigned began;    /* TLS was begun */
    unsigned failed;   /* it could not be */
    char failure[128]; /* why a session's TLS failed, as it left */
};

const mailsrv_machine *caller(struct calling *calling);

#endif
