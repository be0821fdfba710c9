/* The parts of a server, wired together. */
#ifndef MAILSERVERD_SERVE_H
#define MAILSERVERD_SERVE_H

/* Serves as the file says until SIGTERM or SIGINT; the exit status. */
int serve(const char *path);

#endif
