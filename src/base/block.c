/* An allocator over one block.  IMPLEMENTATION: a free list in the order of addresses, first fit, neighbours joined at
 * release.  Sizes are told at release, so that what is handed out carries no header. */
#include <mailsrv/base.h>

#include <string.h>

enum { GRAIN = 16, BLOCK_LEAST = 1024 };

struct hole {
    struct hole *next;
    size_t n;
};

struct block {
    struct hole *holes;
};

static size_t grains(size_t n)
{
    return (n + GRAIN - 1) / GRAIN * GRAIN;
}

static void *block_alloc(void *user, size_t n)
{
    struct block *block = user;
    if (n > SIZE_MAX - GRAIN)
        return NULL;
    n = grains(n);
    for (struct hole **at = &block->holes; *at != NULL; at = &(*at)->next) {
        struct hole *hole = *at;
        if (hole->n < n)
            continue;
        if (hole->n == n) {
            *at = hole->next;
            return hole;
        }
        hole->n -= n; /* from its end: the hole stays where it is in the list */
        return (char *)hole + hole->n;
    }
    return NULL;
}

static void join(struct hole *hole)
{
    struct hole *next = hole->next;
    if (next == NULL || (char *)hole + hole->n != (char *)next)
        return;
    hole->n += next->n;
    hole->next = next->next;
}

static void block_release(void *user, void *p, size_t n)
{
    struct block *block = user;
    struct hole *before = NULL, *after = block->holes;
    while (after != NULL && (char *)after < (char *)p) {
        before = after;
        after = after->next;
    }
    struct hole *hole = p;
    *hole = (struct hole){ after, grains(n) };
    join(hole);
    if (before == NULL) {
        block->holes = hole;
        return;
    }
    before->next = hole;
    join(before);
}

int32_t mailsrv_block_allocator(void *memory, size_t octets, mailsrv_allocator *out)
{
    if (memory == NULL || octets < BLOCK_LEAST || out == NULL)
        return MAILSRV_E_USAGE;
    size_t skip = grains((uintptr_t)memory % GRAIN);
    char *first = (char *)memory + (skip - (uintptr_t)memory % GRAIN);
    octets -= (size_t)(first - (char *)memory);

    struct block *block = (struct block *)(void *)first;
    struct hole *hole = (struct hole *)(void *)(first + GRAIN);
    *hole = (struct hole){ NULL, (octets - GRAIN) / GRAIN * GRAIN };
    *block = (struct block){ hole };
    *out = (mailsrv_allocator){
        .size = sizeof *out, .user = block, .alloc = block_alloc, .release = block_release
    };
    return MAILSRV_OK;
}
