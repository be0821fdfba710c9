/* In place of glibc's own, which this program links; those of libraries come here, too. */
#include "counted.h"

#include <malloc.h>
#include <stddef.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

enum { AROUND_OCTETS = 8 };

static bool is_on;
static int64_t held;
static unsigned fails_in;
static bool fails;

void counted_turn(bool on)
{
    is_on = on;
}

int64_t counted_octets(void)
{
    return held;
}

bool counted_fail(unsigned n)
{
    bool has_failed = fails;
    fails_in = n;
    fails = false;
    return has_failed;
}

/* Is this the one? */
static bool fails_now(void)
{
    if (!is_on || fails_in == 0 || --fails_in != 0)
        return false;
    fails = true;
    return true;
}

static void count(void *p, int64_t sign)
{
    if (is_on && p != NULL)
        held += sign * (int64_t)(malloc_usable_size(p) + AROUND_OCTETS);
}

void *malloc(size_t n)
{
    if (fails_now())
        return NULL;
    void *p = __libc_malloc(n);
    count(p, 1);
    return p;
}

void *calloc(size_t n, size_t octets)
{
    if (fails_now())
        return NULL;
    void *p = __libc_calloc(n, octets);
    count(p, 1);
    return p;
}

void *realloc(void *p, size_t n)
{
    if (fails_now())
        return NULL;
    count(p, -1);
    void *to = __libc_realloc(p, n);
    count(to == NULL && n != 0 ? p : to, 1);
    return to;
}

void *aligned_alloc(size_t alignment, size_t n)
{
    if (fails_now())
        return NULL;
    void *p = __libc_memalign(alignment, n);
    count(p, 1);
    return p;
}

void free(void *p)
{
    count(p, -1);
    __libc_free(p);
}
