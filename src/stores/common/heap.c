#include "heap.h"

#include <stdlib.h>

static void *heap_alloc(void *user, size_t n)
{
    (void)user;
    return malloc(n);
}

static void heap_release(void *user, void *p, size_t n)
{
    (void)user;
    (void)n;
    free(p);
}

const mailsrv_allocator mailsrv__stores_heap = { sizeof mailsrv__stores_heap, 0, NULL, heap_alloc, heap_release };
