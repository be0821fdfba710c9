/* A message on its way out as lines that end with a dot: SMTP's DATA and POP3's multi-line responses.
 *
 * Two small machines, each fed with pieces of any size.  `stuff` says where a dot goes in between and how the message
 * ends; it copies nothing.  `top` says how much of a message belongs to its first lines.
 */
#ifndef FRAME_STUFF_H
#define FRAME_STUFF_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct stuff {
    char last; /* the octet before, which decides what a dot is */
    bool crlf; /* did the last line end with CRLF? */
};

/* A part of the output: a dot, if one is to be added, then octets of the input. */
struct stuffed {
    bool dot;
    struct span octets;
};

void mailsrv__stuff_init(struct stuff *stuff);

/* Takes the next part from the front of `*in`.  False: it was empty.  A part ends with the input, or before a dot that
 * needs another one. */
bool mailsrv__stuff_take(struct stuff *stuff, struct span *in, struct stuffed *part);

/* What follows the whole message: CRLF if it does not end with one, and the line that is only a dot. */
struct span mailsrv__stuff_end(const struct stuff *stuff);

/* The header, the empty line, and a number of lines of the body. */
struct top {
    uint64_t lines; /* of the body, still to come */
    uint8_t line;   /* what the line holds so far */
    bool in_body;
};

void mailsrv__top_init(struct top *top, uint64_t lines);

/* How many of the octets belong to it; never more after `done`. */
size_t mailsrv__top_take(struct top *top, struct span in);

static inline bool mailsrv__top_done(const struct top *top)
{
    return top->in_body && top->lines == 0;
}

#endif
