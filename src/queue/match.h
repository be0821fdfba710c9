/* Which items an operator means. */
#ifndef QUEUE_MATCH_H
#define QUEUE_MATCH_H

#include "base/heap.h"
#include "base/span.h"
#include "text/queue_record.h"

#include <mailsrv/queue.h>

struct match {
    uint32_t flags;
    uint64_t *queues;
    size_t n_queues;
    struct span lane, reverse_path, recipient; /* empty: any; "<>": the null reverse-path */
    char *texts;
    size_t texts_n;
};

/* A copy.  False: no memory. */
bool mailsrv__match_init(struct heap *heap, struct match *match, const mailsrv_queue_match *given);
void mailsrv__match_free(struct heap *heap, struct match *match);

bool mailsrv__match_is_whole(const mailsrv_queue_match *given);

/* By what stays as it is while an item is in the queue, and by what changes. */
bool mailsrv__match_names(const struct match *match, const mailsrv_queue_item *item, const struct queue_record *record);
bool mailsrv__match_fits(const struct match *match, const struct queue_record *record);

/* MAILSRV_QUEUED_... of a record. */
uint32_t mailsrv__queued_flags(const struct queue_record *record);

#endif
