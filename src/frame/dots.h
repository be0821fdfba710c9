/* The octets of a message on its way in: behind DATA, with their dots doubled and ended by a line that is only a dot
 * (RFC 5321 section 4.5.2), or behind BDAT, counted (RFC 3030 section 2).
 *
 * Both machines take input in pieces of any size and hand out spans of it; nothing is copied, no octet is changed but
 * for the doubled dots.  Both note a CR or LF that stands alone.  Such a message ends where CRLF "." CRLF or its count
 * says, and nowhere else; whether it is taken is decided by who asks `bare` afterwards.
 */
#ifndef FRAME_DOTS_H
#define FRAME_DOTS_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* Looks for a CR or LF that stands alone, over pieces. */
struct line_ends {
    bool cr;   /* the last octet was a CR */
    bool bare; /* there was one */
};

void mailsrv__line_ends_see(struct line_ends *ends, struct span octets);

/* Nothing follows. */
static inline void mailsrv__line_ends_end(struct line_ends *ends)
{
    ends->bare = ends->bare || ends->cr;
    ends->cr = false;
}

/* A message with doubled dots.  All zero is its beginning. */
struct dots {
    uint8_t at;
    struct line_ends ends;
};

/* Takes input from the front of `*in`; `*out` is the next part of the message, of at most `most` octets (1 or more),
 * perhaps none.  The same input with a smaller `most` gives a beginning of the same part.  True: the message has ended,
 * `*in` is what follows it, and `*out` is empty. */
bool mailsrv__dots_take(struct dots *dots, struct input *in, size_t most, struct span *out);

/* A chunk of a message that comes with its number of octets. */
struct counted {
    uint64_t left;
    struct line_ends ends; /* goes on over the chunks of one message */
};

/* As mailsrv__dots_take; true: the chunk has ended. */
bool mailsrv__counted_take(struct counted *counted, struct input *in, size_t most, struct span *out);

#endif
