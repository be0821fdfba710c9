/* What an operator does to items: the store is gone through page by page, and what matches is settled.  What is in
 * memory counts more than the page, which may be older. */
#include "queue/match.h"
#include "queue/queue.h"

struct control {
    struct task task;
    struct node node; /* of the queue's */
    struct errand errand;
    mailsrv_queue *queue;
    struct match match;
    int32_t action;
    uint8_t route_n;
    char route[ROUTE_OCTETS_MAX];
    void (*done)(void *user, int32_t status, uint64_t n);
    void *user;
    int64_t began_us; /* unix time */
    uint64_t before;  /* the last scan that was asked before it began */
    uint64_t asked; /* the number of the page that is out */
    uint64_t n;     /* items that it was done to */
    uint32_t at, pending;
    int32_t status;
    bool blocked;  /* by an item that settles */
    bool finished; /* all pages were seen */
    bool stale;    /* something of this one has changed since */
    mailsrv_cursor cursor;
};

uint64_t mailsrv__controls_oldest_scan(const mailsrv_queue *q)
{
    uint64_t oldest = UINT64_MAX;
    for (const struct node *at = q->controls.next; at != &q->controls; at = at->next) {
        const struct control *c = HOLDER(at, struct control, node);
        if (c->asked != 0 && c->asked < oldest)
            oldest = c->asked;
    }
    return oldest;
}

/* ---- What it does to an item ---- */

static struct span route_of(const struct control *c)
{
    return (struct span){ c->route, c->route_n };
}

static bool has_its_route(const struct control *c, const struct queue_record *r)
{
    return mailsrv__span_equal(r->route, route_of(c));
}

/* Is there anything to be done?  What was put off in the moment when it began was tried before. */
static bool concerns(const struct control *c, int64_t due_us, const struct queue_record *r)
{
    int64_t now = mailsrv__queue_unix(c->queue);
    bool held = (r->flags & QUEUE_FLAG_HELD) != 0;
    bool waits = !held && due_us > now && (r->tried_us <= c->began_us || r->tried_us > now);
    switch (c->action) {
    case MAILSRV_QUEUE_HOLD:
        return !held;
    case MAILSRV_QUEUE_RELEASE:
        return held;
    case MAILSRV_QUEUE_RETRY:
        return waits;
    case MAILSRV_QUEUE_REROUTE:
        return waits || !has_its_route(c, r);
    default:
        return true;
    }
}

static void reroute(const struct control *c, struct item *item)
{
    item->change.reroutes = true;
    item->change.route_n = c->route_n;
    memcpy(item->change.route, c->route, c->route_n);
    if ((item->record.flags & QUEUE_FLAG_HELD) != 0)
        item->change.due_us = INT64_MAX;
}

static void release(struct item *item)
{
    item->change.flags_cleared |= QUEUE_FLAG_HELD;
    item->change.flags_set &= (uint16_t)~QUEUE_FLAG_HELD;
    item->change.owed_anew = item->record.fate == QUEUE_BOUNCE;
}

/* Nobody has said anything of what was never tried: we do, for its notice.  RFC 3463 section 3 has no detail for it. */
static void say_why(struct item *item)
{
    static const struct span why = SPAN("5.0.0 returned by the administration before it could be delivered");
    const struct queue_record *r = &item->record;
    bool is_said = r->code != 0 || r->text.n != 0 || item->reply.text != NULL;
    if (r->fate == QUEUE_RETRY && r->tries == 0 && !is_said && !item->tried)
        mailsrv__item_said(item, 0, why, (struct span){ NULL, 0 });
}

void mailsrv__control_apply(struct control *c, struct item *item)
{
    item->change.due_us = mailsrv__queue_unix(c->queue);
    switch (c->action) {
    case MAILSRV_QUEUE_HOLD:
        item->change.flags_set |= QUEUE_FLAG_HELD;
        item->change.flags_cleared &= (uint16_t)~QUEUE_FLAG_HELD;
        item->change.due_us = INT64_MAX;
        break;
    case MAILSRV_QUEUE_RELEASE:
        release(item);
        break;
    case MAILSRV_QUEUE_REROUTE:
        reroute(c, item);
        break;
    case MAILSRV_QUEUE_DROP:
        mailsrv__settle(item, PLAN_DELETE);
        return;
    case MAILSRV_QUEUE_RETURN:
        release(item); /* for its notice may have to wait */
        say_why(item);
        mailsrv__settle(item, PLAN_GIVE_UP);
        return;
    default:
        break;
    }
    mailsrv__settle(item, PLAN_UPDATE);
}

void mailsrv__control_done(struct item *item)
{
    struct control *c = item->control;
    item->control = NULL;
    c->pending--;
    c->n++;
    mailsrv__task_due(c->queue, &c->task);
}

static void take(struct control *c, struct item *item)
{
    item->control = c;
    c->pending++;
}

/* It is being tried, or was just now: if that failed, it comes back to what is to be done to it. */
static bool comes_back(const struct item *item)
{
    return item->state == ITEM_OUT ||
           (item->state == ITEM_SETTLES &&
            (item->plan == PLAN_DEFER || (item->plan == PLAN_LOCAL && item->local != NULL)));
}

/* The same of what is in memory, of which the page may say what was. */
static bool concerns_known(const struct control *c, const struct item *item)
{
    if (!mailsrv__match_fits(&c->match, &item->record))
        return false;
    bool is_tried =
        c->action == MAILSRV_QUEUE_RETRY || (c->action == MAILSRV_QUEUE_REROUTE && has_its_route(c, &item->record));
    if (is_tried && comes_back(item))
        return item->begun <= c->before; /* else this is the try that was asked for */
    return concerns(c, item->due_us, &item->record);
}

/* What is in memory.  False: something else is done with it first. */
static bool take_known(struct control *c, struct item *item)
{
    if (item->state == ITEM_GONE) { /* it was settled since the page was asked for, and may be there still */
        c->stale = c->stale || item->plan != PLAN_DELETE;
        return true;
    }
    if (item->control == c)
        return true; /* from a page that was asked for again */
    bool tried = comes_back(item), waits = item->state == ITEM_WAITS;
    if (item->control != NULL || (!tried && !waits && item->plan != PLAN_LOCAL))
        return false;
    if (!concerns_known(c, item))
        return true;
    take(c, item);
    if (tried)
        return true;
    if (!mailsrv__settle_withdraw(item))
        mailsrv__lane_leave(item);
    mailsrv__control_apply(c, item);
    return true;
}

/* Once: a page may be asked for again and again, and what is dead is not tried for ever. */
static void retry_lane(struct control *c, const mailsrv_queue_item *row, const struct queue_record *r)
{
    struct lane *lane = c->action == MAILSRV_QUEUE_RETRY && (r->flags & QUEUE_FLAG_HELD) == 0
                            ? mailsrv__lane_get(c->queue, mailsrv__span(row->lane), r->route, r->reverse_path)
                            : NULL;
    if (lane == NULL || !mailsrv__lane_is_held_up(lane) || lane->retried > c->before)
        return;
    lane->retried = c->queue->scans;
    mailsrv__lane_more(lane);
    mailsrv__lane_retry(lane);
}

/* False: not now. */
static bool do_to(struct control *c, const mailsrv_queue_item *row)
{
    mailsrv_queue *q = c->queue;
    struct queue_record r;
    if (!mailsrv__queue_record_read(mailsrv__span(row->record), &r) || !mailsrv__match_names(&c->match, row, &r))
        return true;
    bool fits = mailsrv__match_fits(&c->match, &r);
    if (fits)
        retry_lane(c, row, &r);
    struct item *item = mailsrv__item_find(q, row->queue);
    if (item != NULL && (item->state != ITEM_GONE || item->scan >= c->asked))
        return take_known(c, item);
    if (!fits || !concerns(c, row->due_us, &r))
        return true;
    item = mailsrv__item_new(q, row);
    if (item == NULL)
        return false;
    take(c, item);
    mailsrv__control_apply(c, item);
    return true;
}

/* ---- Pages ---- */

static void ask(struct control *c)
{
    mailsrv_queue *q = c->queue;
    struct span lane = c->match.lane;
    struct ask ask = mailsrv__queue_ask(q, &c->errand, MAILSRV_OP_QUEUE_SCAN, lane.n);
    if (ask.op == NULL) {
        mailsrv__task_again(q, &c->task);
        return;
    }
    mailsrv_arg_queue_scan *arg = ask.arg;
    arg->limit = PAGE_ITEMS / 2;
    arg->cursor = c->cursor;
    arg->order = lane.n != 0 ? MAILSRV_QUEUE_BY_LANE : MAILSRV_QUEUE_BY_NUMBER;
    arg->due_min_us = INT64_MIN;
    arg->due_max_us = INT64_MAX;
    arg->lane = mailsrv__ask_copy(&ask, lane);
    c->asked = ++q->scans;
    c->at = 0;
    c->stale = false;
}

static void control_free(struct control *c)
{
    mailsrv_queue *q = c->queue;
    mailsrv__list_remove(&c->node);
    mailsrv__list_remove(&c->task.node);
    mailsrv__errand_drop(&c->errand);
    mailsrv__match_free(mailsrv__queue_heap(q), &c->match);
    mailsrv__queue_give(q, c, sizeof *c);
}

static void finish(struct control *c)
{
    mailsrv_queue *q = c->queue;
    void (*done)(void *user, int32_t status, uint64_t n) = c->done;
    void *user = c->user;
    int32_t status = c->status;
    uint64_t n = c->n;
    control_free(c);
    mailsrv__queue_may_end(q);
    if (done != NULL)
        done(user, status, n);
}

static void page_ends(struct control *c)
{
    mailsrv__errand_drop(&c->errand);
    c->asked = 0;
    mailsrv__items_bury(c->queue);
}

/* A page that is out keeps in memory what is settled since, and so may not wait for anything: what cannot be done now
 * is asked for once more.  What is done already shows in the new page. */
static void take_rows(struct control *c, const mailsrv_queued *page)
{
    mailsrv_queue *q = c->queue;
    for (; c->at < page->n && mailsrv__room_may_go_on(q->engine); c->at++) {
        const mailsrv_queue_item *row =
            (const mailsrv_queue_item *)(const void *)((const char *)page->items + (size_t)c->at * page->stride);
        mailsrv__room_spend(q->engine, 2);
        if (!do_to(c, row)) {
            c->blocked = true;
            page_ends(c);
            mailsrv__task_again(q, &c->task);
            return;
        }
    }
    if (c->at < page->n) {
        mailsrv__task_due(q, &c->task);
        return;
    }
    if (!c->stale) {
        c->finished = page->more == 0;
        c->cursor = page->next;
    }
    page_ends(c);
    mailsrv__task_due(q, &c->task);
}

static void run(struct task *task)
{
    struct control *c = HOLDER(task, struct control, task);
    const mailsrv_answer *answer = mailsrv__errand_answer(&c->errand);
    if (c->errand.op != NULL && answer == NULL)
        return;
    if (answer != NULL && answer->value != NULL) {
        take_rows(c, answer->value);
    } else if (answer != NULL) {
        c->status = answer->status;
        c->finished = true;
        page_ends(c);
        mailsrv__task_due(c->queue, task);
    } else if (!c->finished && c->pending <= PAGE_ITEMS) {
        ask(c);
    } else if (c->finished && c->pending == 0) {
        finish(c);
    }
}

static void answered(struct errand *errand)
{
    struct control *c = HOLDER(errand, struct control, errand);
    mailsrv__task_due(c->queue, &c->task);
}

/* ---- From outside ---- */

static bool is_good(const mailsrv_queue_match *match, int32_t action, mailsrv_bytes route)
{
    return mailsrv__match_is_whole(match) && action >= MAILSRV_QUEUE_HOLD && action <= MAILSRV_QUEUE_REROUTE &&
           route.n <= ROUTE_OCTETS_MAX && (route.n == 0 || route.p != NULL);
}

int32_t mailsrv_queue_control(mailsrv_queue *q, const mailsrv_queue_match *match, int32_t action, mailsrv_bytes route,
                              void (*done)(void *user, int32_t status, uint64_t n), void *user)
{
    if (q == NULL || q->closing || !is_good(match, action, route))
        return MAILSRV_E_USAGE;
    struct control *c = mailsrv__queue_take(q, sizeof *c);
    if (c == NULL)
        return MAILSRV_NOMEM;
    if (!mailsrv__match_init(mailsrv__queue_heap(q), &c->match, match)) {
        mailsrv__queue_give(q, c, sizeof *c);
        return MAILSRV_NOMEM;
    }
    c->queue = q;
    c->began_us = mailsrv__queue_unix(q);
    c->before = q->scans;
    c->action = action;
    c->done = done;
    c->user = user;
    c->status = MAILSRV_OK;
    c->route_n = (uint8_t)route.n;
    if (route.n != 0)
        memcpy(c->route, route.p, route.n);
    c->errand.answered = answered;
    mailsrv__task_init(&c->task, run);
    mailsrv__list_append(&q->controls, &c->node);
    mailsrv__task_due(q, &c->task);
    return MAILSRV_OK;
}

void mailsrv__controls_go_on(mailsrv_queue *q)
{
    for (struct node *at = q->controls.next; at != &q->controls; at = at->next) {
        struct control *c = HOLDER(at, struct control, node);
        if (c->blocked)
            mailsrv__task_due(q, &c->task);
        c->blocked = false;
    }
}

void mailsrv__controls_close(mailsrv_queue *q)
{
    for (struct node *at = q->controls.next; at != &q->controls; at = at->next) {
        struct control *c = HOLDER(at, struct control, node);
        c->status = c->finished ? c->status : MAILSRV_TEMP;
        c->finished = true;
        page_ends(c);
        mailsrv__task_due(q, &c->task);
    }
}

void mailsrv__controls_end(mailsrv_queue *q)
{
    while (!mailsrv__list_empty(&q->controls))
        control_free(HOLDER(q->controls.next, struct control, node));
}
