/* UTF-8 (RFC 3629). */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include "text/writer.h"

enum { UTF8_BAD = 0xFFFD };

/* Takes a character from the front of `text`, which is not empty.  UTF8_BAD for an octet that begins none; then only
 * that octet is taken. */
uint32_t mailsrv__utf8_take(struct span *text);

/* `c` is no surrogate and at most 0x10FFFF. */
void mailsrv__write_utf8(struct writer *w, uint32_t c);

#endif
