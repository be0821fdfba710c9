/* By which addresses this host knows itself among the mail exchangers of a domain. */
#ifndef MAILSERVERD_OWN_H
#define MAILSERVERD_OWN_H

#include "config.h"

#include <mailsrv/queue.h>

struct own {
    size_t n;
    mailsrv_bytes addresses[MAILSRV_QUEUE_OWN_MAX];
    char texts[MAILSRV_QUEUE_OWN_MAX][WORD_OCTETS]; /* that `addresses` point to */
};

/* Those of the configuration, and those at which it listens as a mail exchanger, as far as there is room. */
void own_find(struct own *own, const struct config *config);

#endif
