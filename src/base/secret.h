/* Comparing secrets. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Are the `n` octets the same?  It takes as long whatever they are: time tells nobody how far a guess was right. */
bool mailsrv__secret_equal(const void *a, const void *b, size_t n);

#endif
