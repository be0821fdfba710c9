#include "memory.h"

#include <string.h>

void mailsrv__memory_enqueue(struct memory *m, struct message *message)
{
    message->queue = ++m->last_queue;
    m->queue.v[m->queue.n++] = message;
}

static mailsrv_queue_item item_of(const struct message *message)
{
    mailsrv_queue_item item = { message->queue, message->row.octets, { message->record, message->n_record } };
    return item;
}

int32_t mailsrv__memory_queue_scan(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_queue_scan *arg = op->arg;
    struct place place = mailsrv__memory_place(&arg->cursor);
    mailsrv_queued *queued = &r->value.queued;
    r->has_value = true;
    queued->size = sizeof *queued;
    queued->stride = sizeof(mailsrv_queue_item);
    queued->items = m->page.items;
    if (mailsrv__memory_empty_first(m, &place)) {
        place.empty_given = true;
        queued->more = 1;
    } else {
        uint32_t most = mailsrv__memory_page(m, arg->limit);
        size_t at = mailsrv__memory_shelf_queue(&m->queue, place.from);
        for (; at < m->queue.n && queued->n < most; at++)
            m->page.items[queued->n++] = item_of(m->queue.v[at]);
        queued->more = at < m->queue.n;
        place.empty_given = false;
        place.from = queued->more ? m->queue.v[at]->queue : 0;
    }
    if (queued->more)
        queued->next = mailsrv__memory_cursor(place);
    return MAILSRV_OK;
}

/* Where the item is; SIZE_MAX: nowhere. */
static size_t find(const struct memory *m, uint64_t number)
{
    size_t at = mailsrv__memory_shelf_queue(&m->queue, number);
    return at < m->queue.n && m->queue.v[at]->queue == number ? at : SIZE_MAX;
}

int32_t mailsrv__memory_queue_update(struct memory *m, const mailsrv_op *op)
{
    const mailsrv_arg_queue_update *arg = op->arg;
    size_t at = find(m, arg->queue);
    if (at == SIZE_MAX)
        return MAILSRV_NONEXISTENT;
    return mailsrv__memory_set_record(m->queue.v[at], arg->record) ? MAILSRV_OK : MAILSRV_NOMEM;
}

int32_t mailsrv__memory_queue_delete(struct memory *m, const mailsrv_op *op)
{
    const mailsrv_arg_queue_delete *arg = op->arg;
    for (uint32_t i = 0; i < arg->n; i++) {
        size_t at = find(m, arg->queues[i]);
        if (at == SIZE_MAX)
            continue;
        mailsrv__memory_message_unref(m->queue.v[at]);
        m->queue.n--;
        memmove(m->queue.v + at, m->queue.v + at + 1, (m->queue.n - at) * sizeof(struct message *));
    }
    return MAILSRV_OK;
}
