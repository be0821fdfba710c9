/* The parts of a server, wired together. */
#ifndef MAILSERVERD_SERVE_H
#define MAILSERVERD_SERVE_H

#include "options.h"

/* Serves until SIGTERM or SIGINT; the exit status. */
int serve(const struct options *options);

#endif
