/* What the fuzz targets share.  An input is four octets that decide how the rest is cut into pieces (and what else a
 * target lets chance decide), then the rest.  A piece is a block of exactly its size, so that the address sanitizer
 * sees the first octet read beside it. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/span.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { KNOB_OCTETS = 4 };

#define CHECK(condition, what)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, what);                                                  \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Chance, out of the input alone (xorshift). */
static inline uint32_t draw(uint32_t *chance, uint32_t below)
{
    uint32_t x = *chance == 0 ? 1 : *chance;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *chance = x;
    return x % below;
}

static inline uint32_t knobs(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void *must(void *p)
{
    CHECK(p != NULL, "no memory for the target");
    return p;
}

static inline char *exact(struct span s)
{
    char *p = (char *)must(malloc(s.n == 0 ? 1 : s.n));
    if (s.n != 0)
        memcpy(p, s.p, s.n);
    return p;
}

/* How large the next piece is: mostly small, never 0.  `chance` NULL: all there is. */
static inline size_t piece_octets(uint32_t *chance, size_t left)
{
    if (chance == NULL)
        return left;
    size_t most = draw(chance, 4) == 0 ? left : 4 + left / 32;
    if (most > left)
        most = left;
    return 1 + draw(chance, (uint32_t)most);
}

/* Calls `take` with each piece of `all`, cut by `chance`; `ctx` is the target's. */
static inline void in_pieces(struct span all, uint32_t *chance, void (*take)(void *ctx, struct span piece), void *ctx)
{
    while (all.n != 0) {
        size_t n = piece_octets(chance, all.n);
        char *piece = exact(mailsrv__span_first(all, n));
        take(ctx, (struct span){ piece, n });
        free(piece);
        all = mailsrv__span_after(all, n);
    }
}

/* Bytes that grow. */
struct bytes {
    char *p;
    size_t n, room;
};

static inline void bytes_add(struct bytes *b, struct span s)
{
    if (s.n == 0)
        return;
    if (b->n + s.n > b->room) {
        b->room = (b->n + s.n) * 2;
        b->p = (char *)must(realloc(b->p, b->room));
    }
    memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
}

static inline void bytes_add_u64(struct bytes *b, uint64_t v)
{
    bytes_add(b, (struct span){ (const char *)&v, sizeof v });
}

static inline struct span bytes_span(const struct bytes *b)
{
    return (struct span){ b->p, b->n };
}

static inline void bytes_same(const struct bytes *a, const struct bytes *b, const char *what)
{
    CHECK(mailsrv__span_equal(bytes_span(a), bytes_span(b)), what);
}

static inline void bytes_free(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){ NULL, 0, 0 };
}

#endif
