/* The command line of `mailserverd serve`. */
#ifndef MAILSERVERD_OPTIONS_H
#define MAILSERVERD_OPTIONS_H

#include <mailsrv/profile.h>

#include <stdbool.h>
#include <stddef.h>

#define DOORS_MAX 32
#define ADDRESS_OCTETS 64

/* What can be served: a machine and a face of it. */
struct service {
    const char *name;
    const mailsrv_machine *(*machine)(void);
    int32_t face;
};
extern const struct service services[];

/* One address, and what is served there. */
struct door {
    const struct service *service;
    char address[ADDRESS_OCTETS]; /* in numbers, without brackets */
    uint16_t port;
};

struct options {
    const char *data, *accounts, *hostname; /* NULL: not given */
    struct door doors[DOORS_MAX];
    size_t n_doors;
};

void options_help(void);

/* Reads `argv`, which begins with the subcommand; false: it has said what was expected, on standard error. */
bool options_read(struct options *options, int argc, char **argv);

#endif
