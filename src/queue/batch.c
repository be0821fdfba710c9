/* Items that go together: of one message, to one server, in one transaction. */
#include "queue/queue.h"

enum {
    FLAGS_OF_MAIL = QUEUE_FLAG_8BIT | QUEUE_FLAG_UTF8 | QUEUE_FLAG_RET_FULL | QUEUE_FLAG_RET_HDRS,
    FLAGS_OF_RCPT = QUEUE_FLAG_NOTIFY_NEVER | QUEUE_FLAG_NOTIFY_SUCCESS | QUEUE_FLAG_NOTIFY_FAILURE |
                    QUEUE_FLAG_NOTIFY_DELAY
};

static bool go_together(const struct item *a, const struct item *b)
{
    const struct queue_record *r = &a->record, *s = &b->record;
    return a == b || (r->message.n != 0 && mailsrv__span_equal(r->message, s->message) &&
                      mailsrv__span_equal(r->reverse_path, s->reverse_path) &&
                      mailsrv__span_equal(r->envelope_id, s->envelope_id) &&
                      (r->flags & FLAGS_OF_MAIL) == (s->flags & FLAGS_OF_MAIL));
}

static struct item *first_of(const struct lane *lane)
{
    return HOLDER(lane->items.next, struct item, node);
}

static uint32_t count(const struct lane *lane)
{
    const struct item *first = first_of(lane);
    uint32_t n = 0, max = lane->queue->limits.recipients;
    for (const struct node *at = lane->items.next; at != &lane->items && n < max; at = at->next)
        n += go_together(first, HOLDER(at, struct item, node));
    return n;
}

/* Those of one message stand together, as they came. */
uint32_t mailsrv__batches(const struct lane *lane, uint32_t most)
{
    uint32_t batches = 0, room = 0;
    const struct item *before = NULL;
    for (const struct node *at = lane->items.next; at != &lane->items && batches < most; at = at->next) {
        const struct item *item = HOLDER(at, struct item, node);
        if (before == NULL || room == 0 || !go_together(before, item)) {
            batches++;
            room = lane->queue->limits.recipients;
        }
        room--;
        before = item;
    }
    return batches;
}

static void put(struct batch *batch, struct smtp_rcpt *rcpt, struct item *item)
{
    struct lane *lane = batch->lane;
    mailsrv__list_remove(&item->node);
    item->state = ITEM_OUT;
    item->begun = lane->queue->scans;
    lane->n_items--;
    lane->n_out++;
    batch->items[batch->job.n_rcpts++] = item;
    *rcpt = (struct smtp_rcpt){ .address = item->record.recipient,
                                .original = item->record.original,
                                .flags = item->record.flags & FLAGS_OF_RCPT };
}

/* What the message has alike for all of them, in the words of one that is there. */
static void take_words(struct batch *batch, const struct item *of)
{
    batch->job.reverse_path = of->record.reverse_path;
    batch->job.envelope_id = of->record.envelope_id;
    batch->job.queue = of->number;
}

static void fill(struct batch *batch, uint32_t n)
{
    struct smtp_rcpt *rcpts = (struct smtp_rcpt *)(void *)(batch->items + n);
    struct item *first = first_of(batch->lane);
    batch->job = (struct smtp_job){ .flags = first->record.flags & FLAGS_OF_MAIL,
                                    .octets = first->octets,
                                    .rcpts = rcpts };
    take_words(batch, first);
    for (struct node *at = &first->node; batch->job.n_rcpts < n;) {
        struct item *item = HOLDER(at, struct item, node);
        at = at->next;
        if (go_together(first, item))
            put(batch, rcpts + batch->job.n_rcpts, item);
    }
}

struct batch *mailsrv__batch_new(struct site *site)
{
    mailsrv_queue *q = site->queue;
    struct node *turn = mailsrv__list_pop(&site->busy);
    if (turn == NULL)
        return NULL;
    struct lane *lane = HOLDER(turn, struct lane, busy);
    uint32_t n = count(lane);
    size_t octets = sizeof(struct batch) + n * (sizeof(struct item *) + sizeof(struct smtp_rcpt));
    struct batch *batch = n == 0 ? NULL : mailsrv__queue_take(q, octets);
    if (batch != NULL) {
        batch->lane = lane;
        batch->octets = octets;
        batch->items = (struct item **)(void *)(batch + 1);
        fill(batch, n);
        mailsrv__task_due(q, &lane->task);
    }
    if (lane->n_items != 0)
        mailsrv__list_append(&site->busy, &lane->busy);
    if (batch == NULL && n != 0)
        mailsrv__task_again(q, &site->task);
    return batch;
}

void mailsrv__batch_leave(struct batch *batch, uint32_t i)
{
    uint32_t at = 0;
    batch->items[i] = NULL;
    while (at < batch->job.n_rcpts && batch->items[at] == NULL)
        at++;
    if (at < batch->job.n_rcpts)
        batch->job.queue = batch->items[at]->number;
}

void mailsrv__batch_pack(struct batch *batch)
{
    struct smtp_rcpt *rcpts = (struct smtp_rcpt *)(void *)(uintptr_t)batch->job.rcpts;
    uint32_t n = 0;
    for (uint32_t i = 0; i < batch->job.n_rcpts; i++)
        if (batch->items[i] != NULL) {
            rcpts[n] = rcpts[i];
            batch->items[n++] = batch->items[i];
        }
    batch->job.n_rcpts = n;
    if (n != 0)
        take_words(batch, batch->items[0]);
}

void mailsrv__batch_free(mailsrv_queue *q, struct batch *batch)
{
    mailsrv__queue_give(q, batch, batch->octets);
}
