#include "base/heap.h"

#include <stdlib.h>
#include <string.h>

static void *malloc_alloc(void *user, size_t n)
{
    (void)user;
    return malloc(n);
}

static void malloc_release(void *user, void *p, size_t n)
{
    (void)user;
    (void)n;
    free(p);
}

const mailsrv_allocator *mailsrv__malloc(void)
{
    static const mailsrv_allocator from_libc = {
        .size = sizeof from_libc,
        .alloc = malloc_alloc,
        .release = malloc_release,
    };
    return &from_libc;
}

void mailsrv__heap_init(struct heap *heap, const mailsrv_allocator *from, uint64_t octets_max)
{
    *heap = (struct heap){ .from = *from, .max = octets_max };
    for (int i = 0; i < N_CLASSES; i++)
        heap->max_by[i] = octets_max;
}

static bool fits(const struct heap *heap, enum mailsrv__class class_, size_t n)
{
    return n <= heap->max - heap->used && n <= heap->max_by[class_] - heap->used_by[class_];
}

static bool could_fit(const struct heap *heap, enum mailsrv__class class_, const struct purse *purse, size_t n)
{
    return n <= heap->max && n <= heap->max_by[class_] && (purse == NULL || n <= purse->max - purse->used);
}

static void charge(struct heap *heap, enum mailsrv__class class_, struct purse *purse, size_t n)
{
    heap->used += n;
    heap->used_by[class_] += n;
    if (heap->used > heap->peak)
        heap->peak = heap->used;
    if (n > heap->allocation_peak)
        heap->allocation_peak = n;
    if (purse == NULL)
        return;
    purse->used += n;
    if (purse->used > purse->peak)
        purse->peak = purse->used;
}

/* As the allocator left it; `spare`: nothing is given back for it. */
static void *take(struct heap *heap, enum mailsrv__class class_, struct purse *purse, size_t n, bool spare)
{
    if (!could_fit(heap, class_, purse, n))
        return NULL;
    void *p = NULL;
    do {
        if (fits(heap, class_, n))
            p = heap->from.alloc(heap->from.user, n);
    } while (p == NULL && !spare && heap->give_back != NULL && heap->give_back(heap->user));
    if (p != NULL)
        charge(heap, class_, purse, n);
    return p;
}

static void *zeroed(void *p, size_t n)
{
    return p == NULL ? NULL : memset(p, 0, n);
}

void *mailsrv__heap_take(struct heap *heap, enum mailsrv__class class_, struct purse *purse, size_t n)
{
    return zeroed(take(heap, class_, purse, n, false), n);
}

void *mailsrv__heap_take_spare(struct heap *heap, enum mailsrv__class class_, size_t n)
{
    return zeroed(take(heap, class_, NULL, n, true), n);
}

void *mailsrv__heap_room(struct heap *heap, enum mailsrv__class class_, struct purse *purse, size_t n)
{
    return take(heap, class_, purse, n, false);
}

void mailsrv__heap_give(struct heap *heap, enum mailsrv__class class_, struct purse *purse, void *p, size_t n)
{
    if (p == NULL)
        return;
    heap->used -= n;
    heap->used_by[class_] -= n;
    if (purse != NULL)
        purse->used -= n;
    heap->from.release(heap->from.user, p, n);
}

void mailsrv__purse_leave(struct purse *purse, size_t n)
{
    purse->used -= n;
}

void mailsrv__wipe(void *p, size_t n)
{
    memset(p, 0, n);
#if defined(__GNUC__)
    __asm__ __volatile__("" : : "r"(p) : "memory"); /* the zeros count as read */
#else
    volatile unsigned char *v = p;
    for (size_t i = 0; i < n; i++)
        v[i] = 0;
#endif
}
