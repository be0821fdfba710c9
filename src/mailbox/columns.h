/* The rows of an image by their number, without their UIDs: columns in pieces of at most 4,096 rows.
 *
 * Modseq and flags are always there; a word of keywords is kept only in a piece where one of its bits is set.  No
 * allocation is above 64 KiB.
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

struct piece;

struct columns {
    struct heap *heap;
    struct piece **pieces;
    uint32_t n_pieces, room;
    uint32_t n; /* rows */
};

void mailsrv__columns_init(struct columns *columns, struct heap *heap);
void mailsrv__columns_clear(struct columns *columns);

/* `index` is from 0 and below n. */
struct marks mailsrv__columns_get(const struct columns *columns, uint32_t index);

/* False: no memory, and nothing happened. */
bool mailsrv__columns_set(struct columns *columns, uint32_t index, const struct marks *marks);
bool mailsrv__columns_append(struct columns *columns, const struct marks *marks);

/* Needs no memory. */
void mailsrv__columns_remove(struct columns *columns, uint32_t index, uint32_t n);

#endif
