/* Base64 (RFC 4648 section 4), with padding. */
#ifndef TEXT_BASE64_H
#define TEXT_BASE64_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a character; 64: it is none of the alphabet.  For tables, too. */
#define BASE64_VALUE(c)                                                                                                \
    ((c) >= 'A' && (c) <= 'Z'   ? (c) - 'A'                                                                            \
     : (c) >= 'a' && (c) <= 'z' ? (c) - 'a' + 26                                                                       \
     : (c) >= '0' && (c) <= '9' ? (c) - '0' + 52                                                                       \
     : (c) == '+'               ? 62                                                                                   \
     : (c) == '/'               ? 63                                                                                   \
                                : 64)

static inline uint32_t mailsrv__base64_value(char c)
{
    return (uint32_t)BASE64_VALUE(c);
}

/* How many characters `n` octets become. */
#define BASE64_CHARS(n) (((n) + 2) / 3 * 4)

/* How many octets `n` characters become at most. */
#define BASE64_OCTETS(n) ((n) / 4 * 3)

/* Writes BASE64_CHARS(n) characters to `out` and returns their number. */
size_t mailsrv__base64(const uint8_t *p, size_t n, char *out);

/* Writes the octets to `out`, which has room for BASE64_OCTETS(text.n), their number to `*n`.  False: it is none.
 * Nothing is skipped, the padding is there, and the bits that it leaves over are zero: each value has one spelling. */
bool mailsrv__base64_read(struct span text, uint8_t *out, size_t *n);

#endif
