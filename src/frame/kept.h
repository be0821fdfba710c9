/* What has come of a command before the piece that ends it: memory that grows, and is wiped wherever it is left. */
#ifndef FRAME_KEPT_H
#define FRAME_KEPT_H

#include "base/heap.h"

#include <stdbool.h>

struct kept {
    char *p; /* NULL: nothing */
    size_t room;
};

/* Makes room for `needed` octets, the first `used` of which are kept; `purse` or NULL.  False: there is no memory, and
 * nothing happened. */
bool mailsrv__kept_grow(struct kept *kept, struct heap *heap, struct purse *purse, size_t used, size_t needed);

void mailsrv__kept_free(struct kept *kept, struct heap *heap, struct purse *purse, bool wipe);

#endif
