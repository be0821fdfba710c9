#include "allocators.h"

#include <stdlib.h>

static const char magic[8] = "counted";

/* In front of each allocation, so that a wrong size is found when it is released. */
struct header {
    char magic[8];
    uint64_t n;
};

static bool fails(struct counted *c, size_t n)
{
    c->calls++;
    bool fail = (c->fail_first != 0 && c->calls >= c->fail_first && c->calls <= c->fail_last) ||
                (n >= c->fail_least && n <= c->fail_most);
    c->failed = c->failed || fail;
    return fail;
}

static void *counted_alloc(void *user, size_t n)
{
    struct counted *c = user;
    if (n == 0)
        c->fault = "asked for no octets";
    if (fails(c, n))
        return NULL;
    struct header *header = dialogue_take(sizeof *header + n);
    memcpy(header->magic, magic, sizeof magic);
    header->n = n;
    memset(header + 1, COUNTED_JUNK, n); /* nobody may count on zeros */
    c->live++;
    c->octets += n;
    if (c->octets > c->octets_peak)
        c->octets_peak = c->octets;
    return header + 1;
}

static bool holds(const char *p, size_t n, struct text secret)
{
    const char *at = p, *end = p + n;
    while ((size_t)(end - at) >= secret.n && (at = memchr(at, secret.p[0], (size_t)(end - at) - secret.n + 1)) != NULL)
        if (memcmp(at++, secret.p, secret.n) == 0)
            return true;
    return false;
}

static void counted_release(void *user, void *p, size_t n)
{
    struct counted *c = user;
    struct header *header = (struct header *)p - 1;
    if (memcmp(header->magic, magic, sizeof magic) != 0 || header->n != n) {
        c->fault = "released what it was not given, or not in its size";
        return;
    }
    for (size_t i = 0; i < c->n_secrets; i++)
        if (holds(p, n, c->secrets[i]))
            c->fault = "released a secret that was not wiped";
    c->live--;
    c->octets -= n;
    free(header);
}

void counted_init(struct counted *c)
{
    *c = (struct counted){ 0 };
    c->allocator = (mailsrv_allocator){ .size = sizeof c->allocator,
                                        .user = c,
                                        .alloc = counted_alloc,
                                        .release = counted_release };
}

void counted_add_secret(struct counted *c, struct text secret)
{
    if (c->n_secrets < SECRETS_MAX && secret.n >= 6) /* a shorter one may be there by chance */
        c->secrets[c->n_secrets++] = secret;
}

/* ---- The block ---- */

enum { BOOKS = 64 }; /* more than the allocator keeps for itself */

void block_init(struct block *b, size_t octets)
{
    b->octets = octets;
    b->memory = dialogue_take(octets);
    if (mailsrv_block_allocator(b->memory, octets, &b->allocator) != MAILSRV_OK)
        abort();
}

bool block_is_whole(struct block *b)
{
    size_t n = b->octets - BOOKS;
    void *p = b->allocator.alloc(b->allocator.user, n);
    if (p == NULL)
        return false;
    b->allocator.release(b->allocator.user, p, n);
    return true;
}

void block_fini(struct block *b)
{
    free(b->memory);
    *b = (struct block){ 0 };
}

/* ---- The guard ---- */

static bool guarded;
static uint64_t caught;

void guard_up(void)
{
    guarded = true;
}

void guard_down(void)
{
    guarded = false;
}

uint64_t guard_caught(void)
{
    return caught;
}

#ifdef DIALOGUE_GUARD
/* Linked with -Wl,--wrap=malloc and its like: every call in the program comes by here. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t each);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t each);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    caught += guarded;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t each)
{
    caught += guarded;
    return __real_calloc(n, each);
}

void *__wrap_realloc(void *p, size_t n)
{
    caught += guarded;
    return __real_realloc(p, n);
}
#endif
