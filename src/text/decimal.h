/* Numbers that a peer writes in decimal. */
#ifndef TEXT_DECIMAL_H
#define TEXT_DECIMAL_H

#include "base/span.h"

#include <stdint.h>

/* Reads 1*DIGIT, nothing else; a value that does not fit becomes the largest one. */
bool mailsrv__decimal_read(struct span text, uint64_t *value);

#endif
