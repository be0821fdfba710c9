/* Items of the queue, as `Q:` lines have them. */
#ifndef DIALOGUE_ITEMS_H
#define DIALOGUE_ITEMS_H

#include "run.h"

/* What its record says, in one line. */
void item_describe(struct run *run, const mailsrv_queue_item *item, struct buffer *out);

/* The first octets of the `index`-th item's message, `most` of them. */
void item_message(struct run *run, uint64_t index, size_t most, struct buffer *out);

#endif
