/* Names and addresses, which do not mind ASCII's case. */
#ifndef MAILSERVERD_TEXT_H
#define MAILSERVERD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

void text_lower(char *text); /* NUL-ended, in place */
bool text_same(const char *a, size_t n_a, const char *b, size_t n_b);

/* Where the domain of an address begins: behind its last @, for a local part that was quoted may hold others.  NULL: it
 * has none. */
const char *text_domain(const char *address, size_t n);

#endif
