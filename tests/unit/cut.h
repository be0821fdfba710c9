/* Inputs of the readers of frame/ and message/, whole and in pieces. */
#ifndef UNIT_CUT_H
#define UNIT_CUT_H

#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

/* What a reader handed out so far. */
struct collected {
    char p[4096];
    size_t n;
};

static inline void collect(struct collected *c, struct span part)
{
    assert_true(part.n <= sizeof c->p - c->n);
    if (part.n != 0)
        memcpy(c->p + c->n, part.p, part.n);
    c->n += part.n;
}

static inline void assert_collected(const struct collected *c, struct span expected)
{
    if (c->n != expected.n || (c->n != 0 && memcmp(c->p, expected.p, c->n) != 0))
        fail_msg("got \"%.*s\", expected \"%.*s\"", (int)c->n, c->p, (int)expected.n, expected.p);
}

#endif
