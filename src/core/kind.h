/* What the core knows of each kind of operation: a table. */
#ifndef CORE_KIND_H
#define CORE_KIND_H

#include <mailsrv/op.h>

#include <stdbool.h>

enum { KIND_NUMBERS = 64, EVENT_TEXT_MAX = 120 };

enum {
    KIND_GIVES = 1,  /* its answer holds a handle, closed by `closer` */
    KIND_WRITES = 2, /* it changes the store: never cancelled, and waited for by later writes */
    KIND_STAYS = 4,  /* asked once, it is done, though its session leaves before it was taken */
    KIND_SECRET = 8  /* its bytes are wiped when it is settled */
};

struct op;

struct kind {
    const char *name; /* NULL: no such kind */
    uint16_t arg_octets;
    uint16_t value_octets; /* of its answer's struct; 0: it has none */
    uint16_t handle_at;    /* KIND_GIVES: where in the value the handle stands */
    uint16_t flags;
    int32_t closer;
};

/* Never NULL; a number without a kind has no name. */
const struct kind *mailsrv__kind(int32_t number);

#endif
