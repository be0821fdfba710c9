/* Lines for whoever runs the server, on standard error: when, and what; as text, or as JSON. */
#ifndef MAILSERVERD_LOG_H
#define MAILSERVERD_LOG_H

#include "config.h"

#include <mailsrv/engine.h>

/* For all that follows; before the threads begin. */
void log_as(enum log_format format);

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line about a session. */
void log_session(uint64_t session, const char *what, const char *text, size_t n);

/* A line for what an engine tells of, but for the beginning of a session, which knows its peer elsewhere. */
void log_event(const mailsrv_event *event);

#endif
