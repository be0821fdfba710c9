/* Lines for whoever runs the server, on standard error: when, and what. */
#ifndef MAILSERVERD_LOG_H
#define MAILSERVERD_LOG_H

#include <mailsrv/engine.h>

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line for what the engine tells of, but for the beginning of a session, which knows its peer elsewhere. */
void log_event(void *user, const mailsrv_event *event);

#endif
