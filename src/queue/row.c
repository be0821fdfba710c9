/* What the store, or a COMMIT, says of an item: is anything to be done with it now? */
#include "queue/queue.h"

/* Is it here already?  A page that is older than what was written of it says nothing. */
static bool is_here(mailsrv_queue *q, uint64_t number, uint64_t scan)
{
    struct item *item = mailsrv__item_find(q, number);
    return item != NULL && (item->state != ITEM_GONE || item->scan >= scan);
}

/* False: there is no room. */
static bool settle(mailsrv_queue *q, const mailsrv_queue_item *row, enum item_plan plan, const struct lane *lane)
{
    struct item *item = mailsrv__item_new(q, row);
    if (item == NULL)
        return false;
    const struct site *site = lane == NULL ? NULL : lane->site;
    if (site != NULL && site->backs_off && item->record.tries == 0) {
        mailsrv__item_said(item, site->code, (struct span){ site->text, site->text_n }, (struct span){ NULL, 0 });
        item->tried = true;
    }
    item->change.due_us = mailsrv__queue_unix(q);
    if (plan == PLAN_DELAYED) {
        item->change.due_us += mailsrv__schedule_wait(q, item->record.tries + 1);
        if (lane != NULL && item->change.due_us < mailsrv__lane_not_before(lane))
            item->change.due_us = mailsrv__lane_not_before(lane);
    }
    if (plan == PLAN_LOCAL)
        mailsrv__settle_local(item);
    else
        mailsrv__settle(item, plan);
    return true;
}

static bool is_due(const mailsrv_queue *q, const mailsrv_queue_item *row, const struct queue_record *r,
                   const struct lane *freed)
{
    if (row->due_us == INT64_MAX || (r->flags & QUEUE_FLAG_HELD) != 0)
        return false;
    int64_t now = mailsrv__queue_unix(q);
    return row->due_us <= now || r->tried_us > now || r->arrived_us > now || /* by a clock that has been put back */
           (freed != NULL && r->tried_us < freed->freed_us && row->due_us <= freed->freed_upto_us);
}

/* False: there is no memory. */
static bool put(struct lane *lane, const mailsrv_queue_item *row)
{
    mailsrv_queue *q = lane->queue;
    if (!mailsrv__items_room(q, lane->n_items)) {
        mailsrv__lane_more(lane);
        return true;
    }
    struct item *item = mailsrv__item_new(q, row);
    if (item != NULL)
        mailsrv__lane_put(lane, item, false);
    return item != NULL;
}

bool mailsrv__row_take(mailsrv_queue *q, const mailsrv_queue_item *row, uint64_t scan, const struct lane *freed)
{
    struct queue_record r;
    if (is_here(q, row->queue, scan) || !mailsrv__queue_record_read(mailsrv__span(row->record), &r))
        return true;
    if (freed != NULL && !mailsrv__lane_is_of(freed, &r))
        freed = NULL;
    if (!is_due(q, row, &r, freed)) {
        if (row->due_us > mailsrv__queue_unix(q)) /* it was due when it was asked for, if the clock was put back */
            mailsrv__look_at(q, row->due_us);
        return true;
    }
    if (r.fate == QUEUE_BOUNCE)
        return settle(q, row, PLAN_GIVE_UP, NULL);
    if ((r.flags & QUEUE_FLAG_LOCAL) != 0 && r.route.n == 0)
        return !mailsrv__locals_room(q, row->due_us) || settle(q, row, PLAN_LOCAL, NULL);
    if (r.fate == QUEUE_SUCCESS)
        return settle(q, row, PLAN_RELAYED, NULL); /* nothing is to be sent */
    if (row->lane.n == 0)
        return settle(q, row, PLAN_UPDATE, NULL); /* it gets that of its domain */
    struct lane *lane = mailsrv__lane_get(q, mailsrv__span(row->lane), r.route, r.reverse_path);
    if (lane == NULL)
        return false;
    if (row->due_us > mailsrv__queue_unix(q) && freed == NULL)
        mailsrv__lane_freed_upto(lane, mailsrv__queue_unix(q), row->due_us); /* what finds no room is not due, either */
    if (!mailsrv__lane_is_held_up(lane))
        return put(lane, row); /* what is too old is tried a last time: perhaps it was we who were away */
    if (mailsrv__schedule_is_over(q, &r))
        return settle(q, row, PLAN_GIVE_UP, lane);
    if (mailsrv__schedule_tells(q, &r))
        return settle(q, row, PLAN_DELAYED, lane);
    mailsrv__lane_more(lane);
    return true;
}

bool mailsrv__row_sweep(struct lane *lane, const mailsrv_queue_item *row, uint64_t scan)
{
    mailsrv_queue *q = lane->queue;
    struct queue_record r;
    if (is_here(q, row->queue, scan) || !mailsrv__queue_record_read(mailsrv__span(row->record), &r) ||
        !mailsrv__lane_is_of(lane, &r) || !is_due(q, row, &r, NULL))
        return true;
    if (mailsrv__schedule_is_over(q, &r))
        return settle(q, row, PLAN_GIVE_UP, lane);
    return !mailsrv__schedule_tells(q, &r) || settle(q, row, PLAN_DELAYED, lane);
}
