/* Text that is put together in a fixed room: the library calls no printf. */
#ifndef TEXT_WRITER_H
#define TEXT_WRITER_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* What does not fit is left out, and `full` says so. */
struct writer {
    char *p;
    size_t n, room;
    bool full;
};

static inline struct span mailsrv__written(const struct writer *w)
{
    return (struct span){ w->p, w->n };
}

void mailsrv__write(struct writer *w, struct span text);
void mailsrv__write_char(struct writer *w, char c);
void mailsrv__write_u64(struct writer *w, uint64_t value);
void mailsrv__write_hex(struct writer *w, uint64_t value); /* in lower case */

/* With leading zeros; `value` has at most `digits` digits. */
void mailsrv__write_padded(struct writer *w, uint32_t value, unsigned digits);

/* An IPv4 address (4 octets) as 192.0.2.1, an IPv6 address (16) as 2001:db8::1 (RFC 5952 section 4). */
void mailsrv__write_ip(struct writer *w, const uint8_t *address, size_t octets);

#endif
