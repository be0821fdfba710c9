/* Vessels that leak: how much of something came lately, for as many keys as there is room for.  What is in a vessel is
 * counted in the microseconds that it takes to run out.  Any thread. */
#ifndef MAILSERVERD_METER_H
#define MAILSERVERD_METER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vessel;

struct meter {
    pthread_mutex_t mutex;
    struct vessel *all;
    size_t n; /* a power of two */
};

/* False: out of memory. */
bool meter_begin(struct meter *meter);
void meter_end(struct meter *meter);

/* What is in it; `key` 0: nothing ever is. */
int64_t meter_level(struct meter *meter, uint64_t key);

/* Puts more in, or, below 0, takes out. */
void meter_add(struct meter *meter, uint64_t key, int64_t us);

/* Puts more in where there is not more than `most` then; else false, and all is as it was. */
bool meter_try(struct meter *meter, uint64_t key, int64_t us, int64_t most);

/* How many hold `us` or more. */
size_t meter_count(struct meter *meter, int64_t us);

#endif
