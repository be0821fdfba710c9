/* Base32 (RFC 4648 section 6), in lower case and without padding: names made of ids. */
#ifndef TEXT_BASE32_H
#define TEXT_BASE32_H

#include <stddef.h>
#include <stdint.h>

/* How many characters `n` octets become. */
#define BASE32_CHARS(n) (((n) * 8 + 4) / 5)

/* Writes BASE32_CHARS(n) characters to `out` and returns their number. */
size_t mailsrv__base32(const uint8_t *p, size_t n, char *out);

#endif
