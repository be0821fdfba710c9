/* Put before every file of the durable store that tests/power/starved.c is linked with: memory that fails when it is
 * told to, and is counted. */
#ifndef TESTS_POWER_STARVE_H
#define TESTS_POWER_STARVE_H

#include <stdint.h>
#include <stdlib.h>

void *starve_malloc(size_t n);
void *starve_calloc(size_t n, size_t size);
void *starve_realloc(void *p, size_t n);
void starve_free(void *p);

#ifndef STARVE_ITSELF
#define malloc starve_malloc
#define calloc starve_calloc
#define realloc starve_realloc
#define free starve_free
#endif

#endif
