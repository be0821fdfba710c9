/* The socket in the data directory by which subcommands speak to a running server: of its user and root alone. */
#ifndef MAILSERVERD_CONTROL_H
#define MAILSERVERD_CONTROL_H

#include "office.h"

struct control;

/* Listens, and serves commands on threads of its own.  Only who has the store's lock calls it: a socket that another
 * process left behind is replaced.  NULL: it has told standard error. */
struct control *control_begin(struct office *office);

/* Takes no more commands; those that run are cut, and waited for.  NULL is fine. */
void control_end(struct control *control);

/* A connection to the server that runs on a directory; -1: none does, or errno says why not. */
int control_connect(const char *data);

#endif
