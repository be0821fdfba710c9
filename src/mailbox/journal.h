/* Flag changes of an image in the order of their coming: a ring that each view reads from its own place.
 *
 * An entry has an origin: the view whose own silent change it is, or nobody.  A view that falls off the ring looks at
 * the rows instead.  Without memory for the ring everybody has fallen off.
 */
#ifndef MAILBOX_JOURNAL_H
#define MAILBOX_JOURNAL_H

#include "base/heap.h"

enum { JOURNAL_ENTRIES = 256 }; /* that are kept */

struct journal_entry {
    uint64_t modseq;
    uint32_t uid;
    uint32_t origin; /* a view's number; 0: nobody's */
    uint32_t fits;   /* a bit for each silent change that is out and would have had this result */
};

struct journal {
    struct heap *heap;
    struct journal_entry *v;
    uint64_t first, next; /* numbers of the oldest entry that is kept, and of the one to come */
};

void mailsrv__journal_init(struct journal *journal, struct heap *heap);

/* Gives its memory back: everybody falls off. */
void mailsrv__journal_drop(struct journal *journal);

/* Octets that it takes. */
uint64_t mailsrv__journal_octets(const struct journal *journal);

void mailsrv__journal_add(struct journal *journal, const struct journal_entry *entry);

/* So many are added that are not worth keeping: everybody falls off. */
void mailsrv__journal_skip(struct journal *journal, uint32_t n);

/* first <= number < next */
const struct journal_entry *mailsrv__journal_at(const struct journal *journal, uint64_t number);

/* The silent change with that bit is answered: its entries are those of `modseq`, and become `origin`'s.  The bit is
 * free again. */
void mailsrv__journal_settle(struct journal *journal, uint32_t bit, uint64_t modseq, uint32_t origin);

#endif
