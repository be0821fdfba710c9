/* Some fields of a header that streams past: those that are named, or all others, as they stand there, and the empty
 * line (RFC 9051 section 6.4.5, HEADER.FIELDS). */
#ifndef MESSAGE_HEADER_FILTER_H
#define MESSAGE_HEADER_FILTER_H

#include "base/span.h"

enum { FILTER_NAME_MAX = 128 }; /* a longer name is taken for none that was named */

struct header_filter {
    const struct span *names;
    uint32_t n_names;
    bool others; /* those that are not named */
    bool passes; /* the line that comes in */
    bool decided;
    uint8_t held_n;
    char held[FILTER_NAME_MAX]; /* the beginning of a line whose name is not known yet */
};

static inline struct header_filter mailsrv__header_filter(const struct span *names, uint32_t n_names, bool others)
{
    return (struct header_filter){ .names = names, .n_names = n_names, .others = others, .passes = others };
}

/* Takes from the front of `*in` and hands out the next part; one that is not of `*in` stays valid until the next call.
 * False: `*in` is empty, and there is no part.  A line that the header's end cuts before its name is known is no field,
 * and handed out by mailsrv__header_filter_end. */
bool mailsrv__header_filter_take(struct header_filter *filter, struct span *in, struct span *out);

bool mailsrv__header_filter_end(struct header_filter *filter, struct span *out);

#endif
