/* Looking into the store: one scan for all that has become due, and scans of lanes that have more than is in memory.
 *
 * `looked_us` is the time up to which all that was due has been seen, or is being looked for; what turns out to be due
 * earlier than that, because the clock was put back, needs another look.  What this engine commits is told by the core,
 * so that a look is needed when something that was put off becomes due, when there was no room, and when another engine
 * has committed something: then from a little before, because its clock and its store have their own time. */
#include "queue/queue.h"

enum { LOOK_BACK_S = 30, LOOK_LATER_S = 5, LOOK_EVERY_MS = 100, CLOCK_CHECK_S = 60, LANES_AT_ONCE = 16 };

static void ask(struct scan *scan, uint32_t order, int64_t min_us, int64_t max_us, struct span lane)
{
    mailsrv_queue *q = scan->queue;
    struct ask ask = mailsrv__queue_ask(q, &scan->errand, MAILSRV_OP_QUEUE_SCAN, lane.n);
    if (ask.op == NULL) {
        mailsrv__task_again(q, &scan->task);
        return;
    }
    mailsrv_arg_queue_scan *arg = ask.arg;
    arg->limit = PAGE_ITEMS;
    arg->cursor = scan->cursor;
    arg->order = order;
    arg->due_min_us = min_us;
    arg->due_max_us = max_us;
    arg->lane = mailsrv__ask_copy(&ask, lane);
    scan->asked = ++q->scans;
    scan->at = 0;
}

static void drop_page(struct scan *scan)
{
    mailsrv__errand_drop(&scan->errand);
    scan->asked = 0;
    mailsrv__items_bury(scan->queue);
}

uint64_t mailsrv__oldest_scan(const mailsrv_queue *q)
{
    uint64_t oldest = mailsrv__controls_oldest_scan(q);
    if (q->look.asked != 0 && q->look.asked < oldest)
        oldest = q->look.asked;
    for (size_t i = 0; i < LOOKS; i++)
        if (q->scans_of[i].asked != 0 && q->scans_of[i].asked < oldest)
            oldest = q->scans_of[i].asked;
    return oldest;
}

static const mailsrv_queue_item *row_at(const mailsrv_queued *page, uint32_t i)
{
    return (const mailsrv_queue_item *)(const void *)((const char *)page->items + (size_t)i * page->stride);
}

/* ---- What has become due ---- */

/* The clock that items are due by was put on or back, or the machine slept: nobody knows how things are elsewhere, and
 * what was put off by a clock that was ahead may be due in a year. */
void mailsrv__look_at_clock(mailsrv_queue *q)
{
    int64_t clock_us = mailsrv__queue_unix(q) - mailsrv__queue_now(q), by = clock_us - q->clock_us;
    if (q->closing || (by >= -HOUR_US && by <= HOUR_US)) /* in one step, or in many */
        return;
    q->clock_us = clock_us;
    if (by < 0) {
        mailsrv__look_far(q);
        mailsrv__lanes_were_due(q);
    }
    mailsrv_queue_refresh(q);
    mailsrv__look_from_start(q, mailsrv__queue_unix(q));
}

/* At most a minute: that clock may jump. */
static void set_timer(mailsrv_queue *q)
{
    int64_t after = q->next_us - mailsrv__queue_unix(q), least = q->look_not_before_us - mailsrv__queue_now(q);
    if (q->next_us == INT64_MAX || q->looking || q->closing)
        return;
    if (after > CLOCK_CHECK_S * SECOND_US)
        after = CLOCK_CHECK_S * SECOND_US;
    mailsrv__timer_set(q, &q->look_timer, after < least ? least : after);
}

/* Where that was looked at already, the clock was put back when it was written; it may be right again at the look. */
void mailsrv__look_at(mailsrv_queue *q, int64_t due_us)
{
    if (due_us < 0)
        due_us = 0;
    if (due_us <= q->looked_us)
        q->looked_us = due_us - 1;
    if (due_us >= q->next_us)
        return;
    q->next_us = due_us;
    set_timer(q);
}

void mailsrv__look_from_start(mailsrv_queue *q, int64_t due_us)
{
    q->looked_us = INT64_MIN;
    mailsrv__look_at(q, due_us);
}

void mailsrv__look_far(mailsrv_queue *q)
{
    q->wants_far = true;
    q->far_after_us = 0;
}

static void ask_page(mailsrv_queue *q)
{
    ask(&q->look, MAILSRV_QUEUE_BY_DUE, q->look_from_us, INT64_MAX - 1, (struct span){ NULL, 0 });
}

static void begin(mailsrv_queue *q)
{
    int64_t now = mailsrv__queue_unix(q), back = LOOK_BACK_S * SECOND_US;
    int64_t from = q->looked_us < now ? q->looked_us : now; /* what was due, and is no more, is to be seen again */
    q->looking = true;
    q->look_from_us = q->poked && from > INT64_MIN + back ? from - back : from;
    q->look_upto_us = q->looked_us = now;
    q->poked = false;
    q->next_us = INT64_MAX;
    q->look.cursor = (mailsrv_cursor){ { 0 } };
    ask_page(q);
}

/* What was put off by a clock that was ahead.  Where nobody saw it be put back, because that was in another run, what
 * the schedule may have put off is not gone through. */
static void begin_far(mailsrv_queue *q)
{
    q->far = true;
    q->wants_far = false;
    q->look_from_us = mailsrv__queue_unix(q) + q->far_after_us;
    q->far_after_us = 2 * q->limits.retry_max_us;
    q->look.cursor = (mailsrv_cursor){ { 0 } };
    ask_page(q);
}

/* `seen`: all that was due. */
static void finish(mailsrv_queue *q, bool seen)
{
    drop_page(&q->look);
    if (!seen && !q->far && q->look_from_us < q->looked_us)
        q->looked_us = q->look_from_us;
    if (seen && q->wants_far) {
        begin_far(q);
        return;
    }
    if (q->far && !seen)
        mailsrv__look_far(q);
    q->far = q->looking = false;
    q->look_not_before_us = mailsrv__queue_now(q) + (seen ? LOOK_EVERY_MS * 1000 : LOOK_LATER_S * SECOND_US);
    if (!seen)
        q->next_us = 0; /* whatever the time of day is then */
    set_timer(q);
}

/* What follows in the page; false: it is over. */
static bool take_rows(mailsrv_queue *q, const mailsrv_queued *page)
{
    for (; q->look.at < page->n && mailsrv__room_may_go_on(q->engine); q->look.at++) {
        const mailsrv_queue_item *row = row_at(page, q->look.at);
        mailsrv__room_spend(q->engine, 2);
        if (row->due_us > q->look_upto_us && !q->far) {
            mailsrv__look_at(q, row->due_us);
            finish(q, true);
            return false;
        }
        if (!mailsrv__row_take(q, row, q->look.asked, NULL)) {
            finish(q, false);
            return false;
        }
    }
    return true;
}

static void run_look(struct task *task)
{
    mailsrv_queue *q = HOLDER(task, mailsrv_queue, look.task);
    const mailsrv_answer *answer = mailsrv__errand_answer(&q->look.errand);
    if (q->closing || (q->look.errand.op != NULL && answer == NULL))
        return;
    if (answer == NULL) {
        if (q->looking)
            ask_page(q); /* there was no memory */
        else if (mailsrv__queue_unix(q) >= q->next_us || q->poked)
            begin(q);
        else
            set_timer(q);
        return;
    }
    const mailsrv_queued *page = answer->value;
    if (page == NULL) {
        finish(q, false);
        return;
    }
    if (!take_rows(q, page))
        return;
    if (q->look.at < page->n) {
        mailsrv__task_due(q, task);
        return;
    }
    bool more = page->more != 0;
    q->look.cursor = page->next;
    if (!more) {
        finish(q, true);
        return;
    }
    drop_page(&q->look);
    ask_page(q);
}

static void look_fired(struct timer *timer)
{
    mailsrv_queue *q = HOLDER(timer, mailsrv_queue, look_timer);
    mailsrv__task_due(q, &q->look.task);
}

/* ---- Lanes ---- */

/* Where the clock was put back since the lane was freed, what is tried now was still tried before that, and would be
 * due again at once. */
static void ask_lane_page(struct scan *scan)
{
    struct lane *lane = scan->lane;
    mailsrv_queue *q = scan->queue;
    int64_t now = mailsrv__queue_unix(q);
    if (now < q->look_upto_us || now < lane->latest_us) /* what was due, and is no more, is not in the page */
        mailsrv__look_at(q, now);
    lane->latest_us = now;
    int64_t upto = lane->freed_upto_us > now && !scan->sweeps ? lane->freed_upto_us : now;
    if (lane->freed_us > now)
        lane->freed_us = now;
    ask(scan, MAILSRV_QUEUE_BY_LANE, INT64_MIN, upto, (struct span){ lane->name, lane->name_n });
}

static void begin_lane(struct scan *scan, struct lane *lane)
{
    scan->lane = lane;
    scan->cursor = (mailsrv_cursor){ { 0 } };
    scan->sweeps = lane->sweeps;
    lane->sweeps = false;
    lane->scanned = true;
    if (!scan->sweeps)
        lane->more = false; /* what finds no room says so again */
    ask_lane_page(scan);
}

/* `all` of it was seen; `failed`: the store could not say, or there was no memory; it is not asked again at once. */
static void finish_lane(struct scan *scan, bool all, bool failed)
{
    struct lane *lane = scan->lane;
    mailsrv_queue *q = scan->queue;
    drop_page(scan);
    scan->lane = NULL;
    lane->scanned = false;
    if (!all && !scan->sweeps)
        lane->more = true;
    if (all && !scan->sweeps && !lane->more)
        lane->freed_us = lane->freed_upto_us = 0;
    if (!failed)
        mailsrv__task_due(q, &lane->task);
    else if (mailsrv__list_empty(&lane->task.node))
        mailsrv__task_again(q, &lane->task);
    mailsrv__look_lanes(q);
}

/* Is there nothing more to be had from this page and those behind it? */
static bool is_full(const struct scan *scan)
{
    const struct lane *lane = scan->lane;
    return !scan->sweeps && (mailsrv__lane_is_held_up(lane) || !mailsrv__items_room(scan->queue, lane->n_items));
}

static bool take_lane_row(struct scan *scan, const mailsrv_queue_item *row)
{
    struct lane *lane = scan->lane;
    if (scan->sweeps)
        return mailsrv__row_sweep(lane, row, scan->asked);
    return !is_full(scan) && mailsrv__row_take(scan->queue, row, scan->asked, lane->freed_us != 0 ? lane : NULL);
}

static void run_lane_scan(struct task *task)
{
    struct scan *scan = HOLDER(task, struct scan, task);
    mailsrv_queue *q = scan->queue;
    const mailsrv_answer *answer = mailsrv__errand_answer(&scan->errand);
    if (scan->lane == NULL || (scan->errand.op != NULL && answer == NULL))
        return;
    if (answer == NULL) {
        ask_lane_page(scan); /* there was no memory */
        return;
    }
    const mailsrv_queued *page = answer->value;
    bool good = page != NULL;
    for (; good && scan->at < page->n && mailsrv__room_may_go_on(q->engine); scan->at++) {
        mailsrv__room_spend(q->engine, 2);
        good = take_lane_row(scan, row_at(page, scan->at));
    }
    if (good && scan->at < page->n) {
        mailsrv__task_due(q, task);
    } else if (!good || page->more == 0) {
        finish_lane(scan, good, page == NULL || (!good && !is_full(scan)));
    } else {
        scan->cursor = page->next;
        drop_page(scan);
        ask_lane_page(scan);
    }
}

static struct scan *free_scan(mailsrv_queue *q)
{
    for (size_t i = 0; i < LOOKS; i++)
        if (q->scans_of[i].lane == NULL)
            return &q->scans_of[i];
    return NULL;
}

/* Those that wait for room are called when an item has gone: a few of them, in turn. */
void mailsrv__look_lanes(mailsrv_queue *q)
{
    struct scan *scan;
    for (int full = 0; full < LANES_AT_ONCE && !q->closing && !mailsrv__list_empty(&q->lanes_scan);) {
        if ((scan = free_scan(q)) == NULL)
            return;
        struct lane *lane = HOLDER(mailsrv__list_pop(&q->lanes_scan), struct lane, scan);
        if (!lane->sweeps && (!lane->more || mailsrv__lane_is_held_up(lane)))
            continue; /* what frees it calls it again */
        if (lane->sweeps || mailsrv__items_room(q, lane->n_items)) {
            begin_lane(scan, lane);
        } else {
            mailsrv__list_append(&q->lanes_scan, &lane->scan);
            full++;
        }
    }
}

/* ---- Beginning and end ---- */

static void answered(struct errand *errand)
{
    struct scan *scan = HOLDER(errand, struct scan, errand);
    mailsrv__task_due(scan->queue, &scan->task);
}

static void init_scan(mailsrv_queue *q, struct scan *scan, void (*run)(struct task *task))
{
    scan->queue = q;
    scan->errand.answered = answered;
    mailsrv__task_init(&scan->task, run);
}

void mailsrv__look_init(mailsrv_queue *q)
{
    mailsrv__timer_init(&q->look_timer, look_fired);
    init_scan(q, &q->look, run_look);
    for (size_t i = 0; i < LOOKS; i++)
        init_scan(q, &q->scans_of[i], run_lane_scan);
    q->looked_us = INT64_MIN;
}

void mailsrv__look_begin(mailsrv_queue *q)
{
    q->clock_us = mailsrv__queue_unix(q) - mailsrv__queue_now(q);
    q->wants_far = true;
    q->far_after_us = 2 * q->limits.retry_max_us;
    mailsrv__task_due(q, &q->look.task);
}

static void end_scan(struct scan *scan)
{
    mailsrv__errand_drop(&scan->errand);
    mailsrv__list_remove(&scan->task.node);
    if (scan->lane != NULL)
        scan->lane->scanned = false;
    scan->lane = NULL;
    scan->asked = 0;
}

void mailsrv__look_end(mailsrv_queue *q)
{
    mailsrv__timer_remove(mailsrv__room_timers(q->engine), &q->look_timer);
    end_scan(&q->look);
    for (size_t i = 0; i < LOOKS; i++)
        end_scan(&q->scans_of[i]);
    mailsrv__items_bury(q);
}
