/* Lines for whoever runs the server, on standard error: when, and what; as text, or as JSON. */
#ifndef MAILSERVERD_LOG_H
#define MAILSERVERD_LOG_H

#include "config.h"

#include <mailsrv/session.h>

/* For all that follows; before the threads begin. */
void log_as(enum log_format format);

/* Lines that wait, of a thread that has many: a system call for each would be a good part of what a message costs. */
struct log_gathered {
    size_t n;
    char text[16384];
};

/* From now on the lines of this thread wait in `room` until log_write, or until it is full; NULL: no more. */
void log_gather(struct log_gathered *room);
void log_write(void);

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line about a session. */
void log_session(uint64_t session, const char *what, const char *text, size_t n);

/* A session has begun: "NAME WAY PEER". */
void log_peer(uint64_t session, const char *name, const char *way, const mailsrv_peer *peer);

/* A line for what an engine tells of, but for the beginning of a session, which knows its peer elsewhere. */
void log_event(const mailsrv_event *event);

#endif
