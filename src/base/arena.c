#include "base/arena.h"

#include <stdalign.h>
#include <stddef.h>

enum { BLOCK_FIRST = 128, BLOCK_LEAST = 1024 };

struct arena_block {
    struct arena_block *next;
    size_t octets, used; /* this header included */
};

static size_t aligned(size_t n)
{
    return (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

static struct arena_block *add_block(struct arena *a, size_t n)
{
    size_t least = aligned(sizeof(struct arena_block)) + n;
    size_t usual = a->blocks == NULL ? BLOCK_FIRST : BLOCK_LEAST;
    size_t octets = least < usual ? usual : least;
    struct arena_block *b = mailsrv__heap_take(a->heap, CLASS_SESSIONS, a->purse, octets);
    if (b == NULL)
        return NULL;
    b->octets = octets;
    b->used = aligned(sizeof *b);
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *mailsrv__arena_take(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    struct arena_block *b = a->blocks;
    n = aligned(n);
    if (b == NULL || b->octets - b->used < n)
        b = add_block(a, n);
    if (b == NULL)
        return NULL;
    char *p = (char *)b + b->used;
    b->used += n;
    return p;
}

bool mailsrv__arena_copy(struct arena *a, struct span from, struct span *out)
{
    char *p = mailsrv__arena_take(a, from.n);
    if (p == NULL)
        return false;
    if (from.n != 0)
        memcpy(p, from.p, from.n);
    *out = (struct span){ p, from.n };
    return true;
}

void mailsrv__arena_clear(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *b = a->blocks;
        size_t octets = b->octets;
        a->blocks = b->next;
        mailsrv__wipe(b, b->used);
        mailsrv__heap_give(a->heap, CLASS_SESSIONS, a->purse, b, octets);
    }
}
