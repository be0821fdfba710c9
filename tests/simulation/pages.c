/* Pages of the queue that are older than their answers: what is in the store is read when the question comes, and is told
 * later, when something else may have become of it. */
#include "sim.h"

#include <stdlib.h>

enum { SNAPSHOT_ITEMS = 200 }; /* of a longer queue none is made */

struct page {
    uint32_t n;
    mailsrv_queue_item items[SNAPSHOT_ITEMS];
    struct buffer octets; /* records and lanes, in their order */
};

static bool is_asked_for(const mailsrv_arg_queue_scan *asked, const mailsrv_queue_item *item)
{
    if (asked->order == MAILSRV_QUEUE_BY_NUMBER)
        return true;
    bool in_lane = asked->order != MAILSRV_QUEUE_BY_LANE ||
                   (item->lane.n == asked->lane.n && memcmp(item->lane.p, asked->lane.p, item->lane.n) == 0);
    return in_lane && item->due_us > asked->due_min_us && item->due_us <= asked->due_max_us;
}

static int by_due(const void *a, const void *b)
{
    const mailsrv_queue_item *x = a, *y = b;
    return x->due_us != y->due_us ? (x->due_us < y->due_us ? -1 : 1) : (x->queue > y->queue) - (x->queue < y->queue);
}

void page_free(struct page *page)
{
    if (page == NULL)
        return;
    buffer_free(&page->octets);
    free(page);
}

struct page *page_of(struct sim *sim, const mailsrv_op *op)
{
    static const mailsrv_cursor beginning;
    const mailsrv_arg_queue_scan *asked = op->arg;
    mailsrv_queue_item item;
    if (op->kind != MAILSRV_OP_QUEUE_SCAN || memcmp(&asked->cursor, &beginning, sizeof beginning) != 0 ||
        mailsrv_memory_stat(sim->store, MAILSRV_MEMORY_STAT_QUEUED) > SNAPSHOT_ITEMS)
        return NULL;
    struct page *page = dialogue_take(sizeof *page);
    for (uint64_t i = 0; mailsrv_memory_queue_item(sim->store, i, &item) == MAILSRV_OK; i++) {
        if (!is_asked_for(asked, &item))
            continue;
        if (page->n == asked->limit) { /* it has a second page, which only the store can tell */
            page_free(page);
            return NULL;
        }
        page->items[page->n++] = item;
        buffer_add(&page->octets, item.record.p, item.record.n);
        buffer_add(&page->octets, item.lane.p, item.lane.n);
    }
    const uint8_t *p = (const uint8_t *)page->octets.p;
    for (uint32_t i = 0; i < page->n; i++) {
        page->items[i].record.p = p;
        page->items[i].lane.p = p + page->items[i].record.n;
        p = page->items[i].lane.p + page->items[i].lane.n;
    }
    if (asked->order != MAILSRV_QUEUE_BY_NUMBER && page->n != 0)
        qsort(page->items, page->n, sizeof page->items[0], by_due);
    return page;
}

void page_answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op, const struct page *page)
{
    const mailsrv_queued queued = { .size = sizeof queued, .stride = sizeof page->items[0], .n = page->n,
                                    .items = page->items };
    const mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = &queued };
    sim_expect(sim, mailsrv_op_answer(engine, op->id, &a) == MAILSRV_OK, "a page is refused");
}
