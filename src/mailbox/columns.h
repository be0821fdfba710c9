/* The rows of an image by their number, without their UIDs: columns in pieces of at most 4,096 rows.
 *
 * Modseq and flags are always there; a word of keywords is kept only in a piece where one of its bits is set; sizes and
 * dates only where somebody set them.  No allocation is above 64 KiB.
 */
#ifndef MAILBOX_COLUMNS_H
#define MAILBOX_COLUMNS_H

#include "base/heap.h"

/* What is known of a message. */
struct marks {
    uint64_t modseq;
    uint64_t keywords[2];
    uint8_t flags;
};

/* What never changes of it. */
struct sizes {
    uint64_t octets; /* of prefix and body */
    int64_t internal_us;
};

struct piece;

struct columns {
    struct heap *heap;
    struct piece **pieces; /* those with rows, then those that are kept for rows to come */
    uint32_t n_pieces, n_all, room;
    uint32_t n; /* rows */
};

void mailsrv__columns_init(struct columns *columns, struct heap *heap);
void mailsrv__columns_clear(struct columns *columns);

/* Octets that are taken. */
uint64_t mailsrv__columns_octets(const struct columns *columns);

/* ---- Rows ---- */

/* `index` is from 0 and below n. */
struct marks mailsrv__columns_get(const struct columns *columns, uint32_t index);

/* How many rows from `index` on, at most so many, have the same as it, as far as is cheap to see; at least 1. */
uint32_t mailsrv__columns_alike(const struct columns *columns, uint32_t index, uint32_t most);

/* False: no memory, and nothing happened. */
bool mailsrv__columns_set(struct columns *columns, uint32_t index, const struct marks *marks);
/* All of `n` rows from `index` on get the same. */
bool mailsrv__columns_fill(struct columns *columns, uint32_t index, uint32_t n, const struct marks *marks);
bool mailsrv__columns_append(struct columns *columns, const struct marks *marks);

/* Rows that stand together, the first of them by its number. */
struct stretch {
    uint32_t index, n;
};

/* Removes stretches that ascend and do not overlap, in one pass; `n` is 1 or more.  Needs no memory. */
void mailsrv__columns_remove(struct columns *columns, const struct stretch *blocks, size_t n);

/* ---- Room for rows to come ---- */

/* How many can be appended without memory, words of keywords aside. */
uint32_t mailsrv__columns_free(const struct columns *columns);

/* Goes towards room for `n` more by making one piece, or enlarging one.  False: no memory. */
bool mailsrv__columns_reserve(struct columns *columns, uint32_t n);

/* ---- Sizes ---- */

/* False: no memory, and nothing happened. */
bool mailsrv__columns_set_sizes(struct columns *columns, uint32_t index, const struct sizes *sizes);

/* False: they are not known. */
bool mailsrv__columns_sizes(const struct columns *columns, uint32_t index, struct sizes *out);
void mailsrv__columns_drop_sizes(struct columns *columns);

#endif
