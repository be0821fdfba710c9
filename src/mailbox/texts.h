/* Text of messages' fields, as searches compare it, kept beside an image: the next search of such a field asks no
 * store.  It never changes, since messages do not.
 *
 * A *shelf* has one field of the messages in the order of their UIDs, one behind the other; what came out of that order
 * makes a shelf begin anew, so that a walk from the lowest UID on, as a search is, fills and reads it from its front to
 * its end.  What has vanished stays where it is until the shelf begins anew.  No allocation is above 16 KiB but for
 * the directory, of at most 64.
 *
 * It is there to be fast: it takes no memory that anything else would have to give back for it, no more than its share
 * (MAILSRV_CONFIG_TEXTS_PERCENT), and is the first that is given up when there is none.
 */
#ifndef MAILBOX_TEXTS_H
#define MAILBOX_TEXTS_H

#include "base/heap.h"
#include "base/span.h"

enum { TEXT_FIELDS = 20, KEPT_OCTETS_MAX = 2048 };

enum text_state {
    TEXT_UNKNOWN,  /* nothing is kept of that message */
    TEXT_ABSENT,   /* it has no such field */
    TEXT_THERE,
    TEXT_ELSEWHERE /* it is not to be kept: it is asked for each time */
};

struct text_block;

struct text_shelf {
    struct text_block **blocks;
    uint32_t n, room; /* blocks, and how many the directory has room for */
    uint32_t made;    /* the number of its beginning */
    uint32_t last;    /* UID; 0: it is empty */
    uint32_t count;   /* messages */
};

struct texts {
    struct heap *heap;
    uint32_t made; /* how often a shelf began */
    struct text_shelf shelves[TEXT_FIELDS];
};

/* Where a walk stands, with ascending UIDs; zero: nowhere yet. */
struct text_place {
    uint32_t made, block, at;
};

/* `made`: shelves that began before, of texts that went, so that no place is taken for one of now. */
void mailsrv__texts_init(struct texts *texts, struct heap *heap, uint32_t made);
void mailsrv__texts_clear(struct texts *texts);

/* `out` only where it is THERE: lent until anything is kept or given back. */
enum text_state mailsrv__texts_find(const struct texts *texts, uint32_t field, uint32_t uid, struct text_place *place,
                                    struct span *out);

/* Unless it is kept already; `exists` messages are in the mailbox.  False: there is no room. */
bool mailsrv__texts_keep(struct texts *texts, uint32_t field, uint32_t uid, enum text_state state, struct span text,
                         uint32_t exists);

#endif
