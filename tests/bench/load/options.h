/* What the command line says: bench-load MODE key=value ... */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_when { TLS_NONE, TLS_IMPLICIT, TLS_STARTTLS };

struct options {
    const char *host, *user, *to, *from, *password, *mailbox, *items, *set, *key, *flag, *protocol, *tls_version,
        *group;
    enum tls_when tls;
    bool wait, pipeline, mixed;
    uint64_t port, lmtp_port, connections, opening, count, users, first, octets, seed, per, rcpts, idlers, mailboxes,
        sources, timeout_s;
};

/* Fills in what is not said.  False: something is wrong, and was told. */
bool options_read(struct options *options, int argc, char **argv);

/* All keys, for who asks. */
void options_print(void);

/* Writes a pattern with its %d replaced by a number, and returns its length; what is too long is cut. */
size_t pattern_write(const char *pattern, uint64_t number, char *to, size_t room);

#endif
