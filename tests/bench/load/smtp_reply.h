/* Replies of SMTP and LMTP (RFC 5321 section 4.2), out of input that is cut anywhere. */
#ifndef LOAD_SMTP_REPLY_H
#define LOAD_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

enum { SMTP_LINE_MAX = 1024 };

struct smtp_reply {
    bool whole;       /* a line is there */
    bool last;        /* of its reply */
    int code;         /* 0: it is no reply at all */
    const char *text; /* the line without its end; it lives until the next call */
    size_t n;
};

struct smtp_reader {
    size_t n;
    char line[SMTP_LINE_MAX]; /* as far as it came */
};

/* Takes at most one line, and returns how many octets that were. */
size_t smtp_take(struct smtp_reader *reader, const char *p, size_t n, struct smtp_reply *reply);

#endif
