/* A set of UIDs as sorted runs: a mailbox without holes is one run, however many messages it has.
 *
 * Runs lie in pieces of at most 4,096, the pieces in a directory: no allocation is above 64 KiB.  Each piece and each
 * run in it knows how many UIDs stand before it, so that membership, rank and select are O(log runs).  Changing the set
 * makes the pieces anew that are touched, and no others; it happens whole or, without memory, not at all.
 */
#ifndef BASE_RUNS_H
#define BASE_RUNS_H

#include "base/heap.h"

struct runs_piece;

struct runs {
    struct heap *heap;
    enum mailsrv__class class_;
    uint32_t n_pieces;
    struct runs_piece *pieces; /* the directory; NULL: the set is empty */
    uint32_t count;            /* UIDs */
};

/* An empty set holds no memory. */
void mailsrv__runs_init(struct runs *runs, struct heap *heap, enum mailsrv__class class_);
void mailsrv__runs_clear(struct runs *runs);

/* Adds or removes the UIDs of `n` runs that ascend and do not overlap, in one pass.  False: no memory, and nothing
 * happened. */
bool mailsrv__runs_add(struct runs *runs, const mailsrv_run *list, size_t n);
bool mailsrv__runs_remove(struct runs *runs, const mailsrv_run *list, size_t n);

bool mailsrv__runs_has(const struct runs *runs, uint32_t uid);

/* How many UIDs are not above `uid`, which is one of them; 0: it is none. */
uint32_t mailsrv__runs_find(const struct runs *runs, uint32_t uid);

/* How many UIDs are not above `uid`. */
uint32_t mailsrv__runs_rank(const struct runs *runs, uint32_t uid);

/* The `i`-th UID, from 1 to `count`. */
uint32_t mailsrv__runs_select(const struct runs *runs, uint32_t i);

/* The first run at or behind `from`, cut to what is not before it.  False: there is none. */
bool mailsrv__runs_next(const struct runs *runs, uint32_t from, mailsrv_run *out);

/* The highest UID; 0: the set is empty. */
uint32_t mailsrv__runs_last(const struct runs *runs);

/* Octets that it takes. */
uint64_t mailsrv__runs_octets(const struct runs *runs);

#endif
