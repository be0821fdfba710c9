/* What a person types beside `serve`: done by the running server, or, when none runs, by a child that takes the store's
 * lock, as the server's user. */
#ifndef MAILSERVERD_SUBCOMMAND_H
#define MAILSERVERD_SUBCOMMAND_H

#include "config.h"

/* Does it; `argv` begins with the subcommand.  The exit status. */
int subcommand(const struct config *config, int argc, char **argv);

#endif
