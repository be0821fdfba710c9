/* Replies of a server, line by line (RFC 5321 section 4.2). */
#ifndef SMTP_CLIENT_REPLY_H
#define SMTP_CLIENT_REPLY_H

#include "base/span.h"

#include <stdint.h>

enum {
    REPLY_TEXT_OCTETS = 512, /* kept of all its lines, but in a login */
    REPLY_LINES_MAX = 128    /* a server that says more is not one to wait for */
};

enum reply_line {
    REPLY_MORE,  /* another line follows */
    REPLY_WHOLE, /* it was the last one */
    REPLY_BAD    /* this is no line of a reply, or not of this one */
};

struct reply_reader {
    char *text;    /* NULL: none is kept */
    uint16_t room; /* octets that it has room for */
    uint16_t n;    /* octets of text */
    uint16_t code; /* 0: no line was read */
    uint16_t lines;
    uint16_t enhanced; /* octets of the enhanced code that `text` begins with, the space behind it included */
};

/* Reads a line, without its CRLF; `*rest` is what stands behind the code. */
enum reply_line mailsrv__reply_read(struct reply_reader *reader, struct span line, struct span *rest);

/* The octets of the enhanced code that `text` begins with, and a space behind it; 0: there is none (RFC 3463
 * section 2). */
size_t mailsrv__enhanced_octets(struct span text);

#endif
