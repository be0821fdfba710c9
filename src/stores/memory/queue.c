#include "memory.h"

#include <string.h>

/* ---- The two orders ---- */

/* The place of the first item that is not before (due_us, number). */
static size_t due_at(const struct shelf *due, int64_t due_us, uint64_t number)
{
    size_t low = 0, high = due->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct message *message = due->v[middle];
        if (message->due_us < due_us || (message->due_us == due_us && message->queue < number))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put_due(struct memory *m, struct message *message)
{
    mailsrv__memory_shelf_put(&m->due, due_at(&m->due, message->due_us, message->queue), message);
}

static void drop_due(struct memory *m, const struct message *message)
{
    mailsrv__memory_shelf_drop(&m->due, due_at(&m->due, message->due_us, message->queue));
}

bool mailsrv__memory_queue_reserve(struct memory *m, size_t more)
{
    return mailsrv__memory_shelf_reserve(m, &m->queue, more) && mailsrv__memory_shelf_reserve(m, &m->due, more);
}

void mailsrv__memory_enqueue(struct memory *m, struct message *message)
{
    message->queue = ++m->last_queue;
    m->queue.v[m->queue.n++] = message;
    put_due(m, message);
}

/* ---- QUEUE_SCAN ---- */

mailsrv_queue_item mailsrv__memory_queue_item(const struct message *message)
{
    mailsrv_queue_item item = { .queue = message->queue,
                                .octets = message->row.octets,
                                .record = { message->record, message->n_record },
                                .due_us = message->due_us };
    if (message->n_lane != 0)
        item.lane = (mailsrv_bytes){ message->record + message->n_record, message->n_lane };
    return item;
}

static bool is_in_lane(const struct message *message, mailsrv_bytes lane)
{
    return message->n_lane == lane.n &&
           (lane.n == 0 || memcmp(message->record + message->n_record, lane.p, lane.n) == 0);
}

/* Adds items to the page, and says in `*place` where the next one begins: by number, or by time and number; from 0 is
 * the end, which no item is. */
static uint32_t page_by_number(struct memory *m, const mailsrv_arg_queue_scan *arg, struct place *place)
{
    uint32_t n = 0, most = mailsrv__memory_page(m, arg->limit);
    size_t at = mailsrv__memory_shelf_queue(&m->queue, place->from);
    for (; at < m->queue.n && n < most; at++)
        m->page.items[n++] = mailsrv__memory_queue_item(m->queue.v[at]);
    place->from = at < m->queue.n ? m->queue.v[at]->queue : 0;
    return n;
}

static uint32_t page_by_due(struct memory *m, const mailsrv_arg_queue_scan *arg, struct place *place)
{
    uint32_t n = 0, most = mailsrv__memory_page(m, arg->limit);
    size_t at = place->from != 0 ? due_at(&m->due, (int64_t)place->upto, place->from)
                                 : due_at(&m->due, arg->due_min_us, UINT64_MAX);
    place->from = 0;
    for (; at < m->due.n && m->due.v[at]->due_us <= arg->due_max_us; at++) {
        const struct message *message = m->due.v[at];
        if (arg->order == MAILSRV_QUEUE_BY_LANE && !is_in_lane(message, arg->lane))
            continue;
        if (n == most) {
            place->from = message->queue;
            place->upto = (uint64_t)message->due_us;
            break;
        }
        m->page.items[n++] = mailsrv__memory_queue_item(message);
    }
    return n;
}

int32_t mailsrv__memory_queue_scan(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_queue_scan *arg = op->arg;
    struct place place = mailsrv__memory_place(&arg->cursor);
    mailsrv_queued *queued = &r->value.queued;
    if (arg->order > MAILSRV_QUEUE_BY_LANE)
        return MAILSRV_CANNOT;
    r->has_value = true;
    queued->size = sizeof *queued;
    queued->stride = sizeof(mailsrv_queue_item);
    queued->items = m->page.items;
    if (mailsrv__memory_empty_first(m, &place)) {
        place.empty_given = true;
        queued->more = 1;
    } else {
        bool by_number = arg->order == MAILSRV_QUEUE_BY_NUMBER;
        queued->n = by_number ? page_by_number(m, arg, &place) : page_by_due(m, arg, &place);
        queued->more = place.from != 0;
        place.empty_given = false;
    }
    if (queued->more)
        queued->next = mailsrv__memory_cursor(place);
    return MAILSRV_OK;
}

/* ---- One item ---- */

/* Where the item is; SIZE_MAX: nowhere. */
static size_t find(const struct memory *m, uint64_t number)
{
    size_t at = mailsrv__memory_shelf_queue(&m->queue, number);
    return at < m->queue.n && m->queue.v[at]->queue == number ? at : SIZE_MAX;
}

struct message *mailsrv__memory_queued(const struct memory *m, uint64_t number)
{
    size_t at = find(m, number);
    return at != SIZE_MAX ? m->queue.v[at] : NULL;
}

int32_t mailsrv__memory_queue_update(struct memory *m, const mailsrv_op *op)
{
    const mailsrv_arg_queue_update *arg = op->arg;
    struct message *message = mailsrv__memory_queued(m, arg->queue);
    if (message == NULL)
        return MAILSRV_NONEXISTENT;
    if (!mailsrv__memory_set_record(message, arg->record, arg->lane))
        return MAILSRV_NOMEM;
    drop_due(m, message);
    message->due_us = arg->due_us;
    put_due(m, message);
    return MAILSRV_OK;
}

int32_t mailsrv__memory_queue_delete(struct memory *m, const mailsrv_op *op)
{
    const mailsrv_arg_queue_delete *arg = op->arg;
    for (uint32_t i = 0; i < arg->n; i++) {
        size_t at = find(m, arg->queues[i]);
        if (at == SIZE_MAX)
            continue;
        drop_due(m, m->queue.v[at]);
        mailsrv__memory_message_unref(m->queue.v[at]);
        mailsrv__memory_shelf_drop(&m->queue, at);
    }
    return MAILSRV_OK;
}
