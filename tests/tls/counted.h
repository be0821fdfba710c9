/* Every malloc of the process counted while a place calls the library: what a provider holds.  glibc alone. */
#ifndef TLS_COUNTED_H
#define TLS_COUNTED_H

#include <stdbool.h>
#include <stdint.h>

/* From here on, until it is turned off again. */
void counted_turn(bool on);

/* The n-th allocation from here on finds no memory, from 1; 0: none.  Whether it came to that is told by the next call. */
bool counted_fail(unsigned n);

/* What is held of all that was taken while it was on, with what malloc has around it. */
int64_t counted_octets(void);

#endif
