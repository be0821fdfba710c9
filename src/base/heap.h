/* The engine's memory: the caller's allocator with books, classes and ceilings.
 *
 * Each allocation is charged to a class and, where it belongs to one, to a purse (a session's).  Above a ceiling there
 * is no memory, as if the allocator had had none: nothing else tells them apart.  Memory comes zeroed, but for room.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <mailsrv/base.h>

#include <stdbool.h>

enum mailsrv__class {
    CLASS_ENGINE,
    CLASS_SESSIONS,
    CLASS_OUTPUT,
    CLASS_OPERATIONS,
    CLASS_BODIES,
    CLASS_IMAGES,
    CLASS_TEXTS, /* what searches keep */
    N_CLASSES
};

struct heap {
    mailsrv_allocator from;
    uint64_t max; /* octets */
    uint64_t used, peak;
    uint64_t allocation_peak;
    uint64_t used_by[N_CLASSES];
    uint64_t max_by[N_CLASSES];
    /* Gives something back that is kept in case it is wanted again; false: there is nothing.  Asked when there is no
     * memory, until there is; NULL: nobody keeps anything. */
    bool (*give_back)(void *user);
    void *user;
};

/* What one session holds. */
struct purse {
    uint64_t max; /* octets */
    uint64_t used, peak;
};

/* The allocator that NULL stands for: malloc. */
const mailsrv_allocator *mailsrv__malloc(void);

void mailsrv__heap_init(struct heap *heap, const mailsrv_allocator *from, uint64_t octets_max);

/* `purse` may be NULL.  NULL when there is none, also after everything that was kept had been given back; `n` is 1 or
 * more. */
void *mailsrv__heap_take(struct heap *heap, enum mailsrv__class class_, struct purse *purse, size_t n);

/* The same for what can be done without: nothing is given back for it. */
void *mailsrv__heap_take_spare(struct heap *heap, enum mailsrv__class class_, size_t n);

/* As mailsrv__heap_take, but as the allocator left it, for octets that are filled before anybody reads them: zeros in a
 * buffer of 16 KiB cost a tenth of what encrypting it does. */
void *mailsrv__heap_room(struct heap *heap, enum mailsrv__class class_, struct purse *purse, size_t n);

/* `p` NULL is fine.  `n`, class and purse are those of the taking; the purse is NULL once it was left. */
void mailsrv__heap_give(struct heap *heap, enum mailsrv__class class_, struct purse *purse, void *p, size_t n);

/* An allocation of `n` octets outlives its purse: it stays charged to the class alone. */
void mailsrv__purse_leave(struct purse *purse, size_t n);

/* Overwrites a secret so that no compiler leaves it out. */
void mailsrv__wipe(void *p, size_t n);

#endif
