#include "queue/queue.h"

static struct item **bucket(mailsrv_queue *q, uint64_t number)
{
    return &q->items[number % ITEM_BUCKETS];
}

struct item *mailsrv__item_find(const mailsrv_queue *q, uint64_t number)
{
    struct item *item = q->items[number % ITEM_BUCKETS];
    while (item != NULL && item->number != number)
        item = item->chained;
    return item;
}

/* A lane that waits for room is told when there is some. */
static uint32_t lane_share(const mailsrv_queue *q)
{
    uint32_t most = q->limits.items, plenty = q->limits.recipients < LANE_ITEMS ? q->limits.recipients : LANE_ITEMS;
    if (q->n_items < most / 2)
        return plenty < 16 ? 16 : plenty;
    return q->n_items < most - most / 8 ? LANE_ITEMS_TIGHT : 1; /* the rest is for those that have none */
}

bool mailsrv__items_room(const mailsrv_queue *q, uint32_t of_lane)
{
    return q->n_items < q->limits.items && of_lane < lane_share(q);
}

static void answered(struct errand *errand)
{
    struct item *item = HOLDER(errand, struct item, errand);
    mailsrv__task_due(item->queue, &item->task);
}

/* An item without a lane is of its domain's. */
static struct span lane_of(const mailsrv_queue_item *row, const struct queue_record *record, char *room)
{
    struct span lane = mailsrv__span_first(mailsrv__span(row->lane), LANE_OCTETS_MAX);
    if (lane.n != 0)
        return lane;
    size_t at = record->recipient.n;
    while (at != 0 && record->recipient.p[at - 1] != '@')
        at--;
    lane = mailsrv__span_first(mailsrv__span_after(record->recipient, at), LANE_OCTETS_MAX);
    for (size_t i = 0; i < lane.n; i++)
        room[i] = lane.p[i] >= 'A' && lane.p[i] <= 'Z' ? (char)(lane.p[i] - 'A' + 'a') : lane.p[i];
    return (struct span){ room, lane.n };
}

/* It is taken anew, from a page that shows what was written of it; one that does not may be on its way still. */
static void forget_older(struct item *item)
{
    struct item *gone = mailsrv__item_find(item->queue, item->number);
    if (gone == NULL)
        return;
    item->scan = gone->scan;
    mailsrv__item_drop(gone);
}

struct item *mailsrv__item_new(mailsrv_queue *q, const mailsrv_queue_item *row)
{
    if (q->n_items >= q->limits.items + PAGE_ITEMS) /* what must be done at once may have a page more */
        return NULL;
    char domain[LANE_OCTETS_MAX];
    struct queue_record record;
    if (!mailsrv__queue_record_read(mailsrv__span(row->record), &record))
        return NULL;
    struct span lane = lane_of(row, &record, domain);
    struct item *item = mailsrv__queue_take(q, sizeof *item + row->record.n + lane.n);
    if (item == NULL)
        return NULL;
    item->queue = q;
    item->number = row->queue;
    item->octets = row->octets;
    item->due_us = row->due_us;
    item->blob_n = row->record.n;
    item->lane_n = (uint16_t)lane.n;
    memcpy(item->blob, row->record.p, row->record.n);
    if (lane.n != 0)
        memcpy(item->blob + item->blob_n, lane.p, lane.n);
    mailsrv__queue_record_read((struct span){ item->blob, item->blob_n }, &item->record);
    forget_older(item);
    mailsrv__list_init(&item->node);
    mailsrv__task_init(&item->task, mailsrv__settle_run);
    item->errand.answered = answered;
    item->state = ITEM_SETTLES;
    struct item **at = bucket(q, item->number);
    item->chained = *at;
    *at = item;
    q->n_items++;
    q->n_settling++;
    return item;
}

bool mailsrv__item_said(struct item *item, uint16_t code, struct span text, struct span host)
{
    mailsrv_queue *q = item->queue;
    struct item_reply *r = &item->reply;
    text = mailsrv__span_first(text, REPLY_OCTETS);
    host = mailsrv__span_first(host, LANE_OCTETS_MAX);
    char *p = mailsrv__queue_take(q, text.n + host.n + 1);
    mailsrv__queue_give(q, r->text, (size_t)r->text_n + r->host_n + 1);
    *r = (struct item_reply){ .code = code };
    if (p == NULL)
        return false;
    if (text.n != 0)
        memcpy(p, text.p, text.n);
    if (host.n != 0)
        memcpy(p + text.n, host.p, host.n);
    *r = (struct item_reply){ code, (uint16_t)text.n, (uint16_t)host.n, p };
    return true;
}

void mailsrv__item_drop(struct item *item)
{
    mailsrv_queue *q = item->queue;
    struct item **at = bucket(q, item->number);
    while (*at != item)
        at = &(*at)->chained;
    *at = item->chained;
    mailsrv__list_remove(&item->node);
    mailsrv__list_remove(&item->task.node);
    mailsrv__errand_drop(&item->errand);
    mailsrv__settle_no_more(item);
    if (item->reply.text != NULL)
        mailsrv__queue_give(q, item->reply.text, (size_t)item->reply.text_n + item->reply.host_n + 1);
    mailsrv__queue_give(q, item, sizeof *item + item->blob_n + item->lane_n);
    q->n_items--;
}

void mailsrv__item_let_go(struct item *item)
{
    mailsrv_queue *q = item->queue;
    if (item->scan < mailsrv__oldest_scan(q)) {
        mailsrv__item_drop(item);
        return;
    }
    item->state = ITEM_GONE;
    item->lane = NULL;
    mailsrv__list_append(&q->gone, &item->node);
}

/* A page that was asked for before the item was written may still show it as it was: it must not be taken for another
 * one that is due. */
void mailsrv__items_bury(mailsrv_queue *q)
{
    uint64_t oldest = mailsrv__oldest_scan(q);
    while (!mailsrv__list_empty(&q->gone)) {
        struct item *item = HOLDER(q->gone.next, struct item, node);
        if (item->scan >= oldest)
            return;
        mailsrv__item_drop(item);
    }
}

void mailsrv__item_forget(struct item *item)
{
    mailsrv_queue *q = item->queue;
    if (item->state == ITEM_SETTLES)
        q->n_settling--;
    mailsrv__list_remove(&item->node);
    mailsrv__list_remove(&item->task.node);
    mailsrv__errand_drop(&item->errand);
    item->state = ITEM_GONE;
    item->lane = NULL;
    item->scan = q->scans;
    mailsrv__list_append(&q->gone, &item->node);
    mailsrv__items_bury(q);
    mailsrv__look_lanes(q);
    mailsrv__controls_go_on(q);
    mailsrv__queue_may_end(q);
}

void mailsrv__items_free(mailsrv_queue *q)
{
    for (size_t i = 0; i < ITEM_BUCKETS; i++)
        while (q->items[i] != NULL)
            mailsrv__item_drop(q->items[i]);
}
