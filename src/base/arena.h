/* Memory of one command: taken piece by piece, given back all at once. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/heap.h"
#include "base/span.h"

struct arena_block;

/* An empty arena holds no memory. */
struct arena {
    struct heap *heap;
    struct purse *purse; /* or NULL */
    struct arena_block *blocks; /* NULL: empty */
};

/* Zeroed, aligned for any object; `n` 0 is fine.  NULL: no memory. */
void *mailsrv__arena_take(struct arena *arena, size_t n);

/* A copy.  False: no memory. */
bool mailsrv__arena_copy(struct arena *arena, struct span from, struct span *out);

/* Gives everything back, wiped: there may be passwords in it. */
void mailsrv__arena_clear(struct arena *arena);

#endif
