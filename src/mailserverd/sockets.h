/* The sockets that listeners listen on: bound once, also by a supervisor, and kept while the configuration changes. */
#ifndef MAILSERVERD_SOCKETS_H
#define MAILSERVERD_SOCKETS_H

#include "config.h"

#define SOCKETS_MAX (LISTENERS_MAX * ADDRESSES_MAX)

/* One address: a socket for each thread, between which the system divides those who come; or one for all, in [0]. */
struct bound {
    struct address address;
    char listener[WORD_OCTETS]; /* whose free port it is, where the address has port 0 */
    int fds[THREADS_MAX];
    size_t n_fds;
    uint16_t port;
    bool given; /* by a supervisor */
};

struct sockets {
    struct bound all[SOCKETS_MAX];
    size_t n;
};

/* Knows the sockets of LISTEN_FDS, if there are any (sd_listen_fds(3)).  False: it has told standard error. */
bool sockets_begin(struct sockets *sockets);

/* Binds what a configuration wants and is not bound yet.  False: it has told standard error, and what is bound anew is
 * closed again. */
bool sockets_bind(struct sockets *sockets, const struct config *config);

/* Closes what a configuration does not want any more. */
void sockets_tidy(struct sockets *sockets, const struct config *config);

/* That of an address of a listener; NULL: there is none. */
const struct bound *sockets_find(const struct sockets *sockets, const char *listener, const struct address *address);

void sockets_end(struct sockets *sockets);

#endif
