#include "queue/queue.h"

/* How long what ROUTE said holds, and how long nobody asks again who could not say. */
enum { ROUTE_HOLDS_S = 300, ROUTE_WAIT_S = 60, ROUTE_WAIT_MAX_S = 1800, ITEMS_LOW = 8 };

/* ---- Finding them ---- */

static struct lane **bucket(mailsrv_queue *q, struct span name, struct span sender)
{
    return &q->lanes[mailsrv__queue_hash(mailsrv__queue_hash(QUEUE_HASH, name), sender) % LANE_BUCKETS];
}

static struct span name_of(const struct lane *lane)
{
    return (struct span){ lane->name, lane->name_n };
}

static struct span route_of(const struct lane *lane)
{
    return (struct span){ lane->name + lane->name_n, lane->route_n };
}

static struct span sender_of(const struct lane *lane)
{
    return (struct span){ lane->name + lane->name_n + lane->route_n, lane->sender_n };
}

/* Of a reverse-path, what tells lanes apart. */
static struct span sender_in(const mailsrv_queue *q, struct span reverse_path)
{
    if ((q->flags & MAILSRV_QUEUE_ROUTES_BY_SENDER) == 0)
        return (struct span){ NULL, 0 };
    return reverse_path.n > SENDER_OCTETS_MAX ? mailsrv__span_first(reverse_path, SENDER_OCTETS_MAX) : reverse_path;
}

static bool is_for(const struct lane *lane, struct span route, struct span sender)
{
    return mailsrv__span_equal(route_of(lane), route) && mailsrv__span_equal(sender_of(lane), sender);
}

static struct lane *find(mailsrv_queue *q, struct span name, struct span route, struct span sender)
{
    struct lane *lane = *bucket(q, name, sender);
    while (lane != NULL && !(mailsrv__span_equal(name_of(lane), name) && is_for(lane, route, sender)))
        lane = lane->chained;
    return lane;
}

bool mailsrv__lane_is_of(const struct lane *lane, const struct queue_record *record)
{
    return is_for(lane, record->route, sender_in(lane->queue, record->reverse_path));
}

static void lane_free(struct lane *lane)
{
    mailsrv_queue *q = lane->queue;
    struct lane **at = bucket(q, name_of(lane), sender_of(lane));
    while (*at != lane)
        at = &(*at)->chained;
    *at = lane->chained;
    struct node *nodes[] = { &lane->node, &lane->scan, &lane->task.node };
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        mailsrv__list_remove(nodes[i]);
    mailsrv__errand_drop(&lane->errand);
    mailsrv__timer_remove(mailsrv__room_timers(q->engine), &lane->timer);
    if (lane->site != NULL)
        mailsrv__site_leave(lane);
    q->n_lanes--;
    q->n_idle -= lane->idle;
    mailsrv__queue_give(q, lane, sizeof *lane + lane->name_n + lane->route_n + lane->sender_n);
}

static bool is_in_use(const struct lane *lane)
{
    return lane->n_items != 0 || lane->n_out != 0 || lane->scanned || lane->errand.op != NULL;
}

/* The lane that had nothing to do for longest goes; else one that cannot do anything: the store knows its items, and is
 * looked through for them again. */
static bool forget_one(mailsrv_queue *q)
{
    if (!mailsrv__list_empty(&q->lanes_idle)) {
        lane_free(HOLDER(q->lanes_idle.next, struct lane, node));
        return true;
    }
    for (struct node *n = q->lanes_live.next; n != &q->lanes_live; n = n->next) {
        struct lane *lane = HOLDER(n, struct lane, node);
        if (is_in_use(lane) || !mailsrv__lane_is_held_up(lane))
            continue;
        int64_t due_us = mailsrv__lane_not_before(lane);
        q->wants_far = q->wants_far || lane->freed_us != 0; /* that is forgotten with it */
        lane_free(lane);
        mailsrv__look_from_start(q, due_us);
        return true;
    }
    return false;
}

static void timer_fired(struct timer *timer)
{
    struct lane *lane = HOLDER(timer, struct lane, timer);
    lane->waits = false;
    mailsrv__task_due(lane->queue, &lane->task);
}

static void answered(struct errand *errand)
{
    struct lane *lane = HOLDER(errand, struct lane, errand);
    mailsrv__task_due(lane->queue, &lane->task);
}

static void put(char *to, struct span text)
{
    if (text.n != 0)
        memcpy(to, text.p, text.n);
}

struct lane *mailsrv__lane_get(mailsrv_queue *q, struct span name, struct span route, struct span reverse_path)
{
    struct span sender = sender_in(q, reverse_path);
    struct lane *lane = find(q, name, route, sender);
    if (lane != NULL)
        return lane;
    if (name.n > LANE_OCTETS_MAX || route.n > ROUTE_OCTETS_MAX || (q->n_lanes == LANES_MAX && !forget_one(q)))
        return NULL;
    lane = mailsrv__queue_take(q, sizeof *lane + name.n + route.n + sender.n);
    if (lane == NULL)
        return NULL;
    lane->queue = q;
    lane->name_n = (uint16_t)name.n;
    lane->route_n = (uint8_t)route.n;
    lane->sender_n = (uint16_t)sender.n;
    put(lane->name, name);
    put(lane->name + name.n, route);
    put(lane->name + name.n + route.n, sender);
    struct node *nodes[] = { &lane->at_site, &lane->busy, &lane->scan, &lane->items };
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        mailsrv__list_init(nodes[i]);
    mailsrv__task_init(&lane->task, mailsrv__lane_run);
    mailsrv__timer_init(&lane->timer, timer_fired);
    lane->errand.answered = answered;
    mailsrv__list_append(&q->lanes_live, &lane->node);
    struct lane **at = bucket(q, name, sender);
    lane->chained = *at;
    *at = lane;
    q->n_lanes++;
    return lane;
}

void mailsrv__lanes_free(mailsrv_queue *q)
{
    for (size_t i = 0; i < LANE_BUCKETS; i++)
        while (q->lanes[i] != NULL)
            lane_free(q->lanes[i]);
}

/* ---- Its items ---- */

static void call(struct lane *lane)
{
    if (lane->idle) {
        mailsrv__list_remove(&lane->node);
        mailsrv__list_append(&lane->queue->lanes_live, &lane->node);
        lane->queue->n_idle--;
        lane->idle = false;
    }
    mailsrv__task_due(lane->queue, &lane->task);
}

void mailsrv__lane_due(struct lane *lane)
{
    int64_t now = mailsrv__queue_unix(lane->queue);
    if (lane->latest_us < now)
        lane->latest_us = now;
}

void mailsrv__lane_put(struct lane *lane, struct item *item, bool first)
{
    mailsrv__lane_due(lane);
    item->state = ITEM_WAITS;
    item->lane = lane;
    lane->queue->n_settling--;
    lane->n_items++;
    mailsrv__list_append(first ? lane->items.next : &lane->items, &item->node);
    call(lane);
}

void mailsrv__lane_more(struct lane *lane)
{
    lane->more = true;
    mailsrv__lane_due(lane);
    call(lane);
}

void mailsrv__lane_freed_upto(struct lane *lane, int64_t tried_before_us, int64_t due_us)
{
    if (lane->freed_us < tried_before_us)
        lane->freed_us = tried_before_us;
    if (lane->freed_upto_us < due_us)
        lane->freed_upto_us = due_us;
}

void mailsrv__lane_freed(struct lane *lane)
{
    int64_t now = mailsrv__queue_unix(lane->queue);
    mailsrv__lane_freed_upto(lane, now, now + 2 * lane->queue->limits.retry_max_us);
    mailsrv__lane_more(lane);
}

void mailsrv__lanes_each(mailsrv_queue *q, void (*what)(struct lane *lane))
{
    for (size_t i = 0; i < LANE_BUCKETS; i++)
        for (struct lane *lane = q->lanes[i]; lane != NULL; lane = lane->chained)
            what(lane);
}

static void was_due(struct lane *lane)
{
    if (!lane->more && !lane->scanned)
        return;
    mailsrv__lane_freed_upto(lane, mailsrv__queue_unix(lane->queue), lane->latest_us);
    mailsrv__lane_more(lane);
}

void mailsrv__lanes_were_due(mailsrv_queue *q)
{
    mailsrv__lanes_each(q, was_due);
}

void mailsrv__lane_leave(struct item *item)
{
    struct lane *lane = item->lane;
    if (item->state == ITEM_WAITS)
        lane->n_items--;
    else
        lane->n_out--;
    mailsrv__list_remove(&item->node);
    item->lane = NULL;
    item->state = ITEM_SETTLES;
    lane->queue->n_settling++;
    call(lane);
}

/* What waits before its time does so from the store, too. */
static void let_go(struct lane *lane, struct item *item)
{
    int64_t now = mailsrv__queue_unix(lane->queue), tried_us = item->record.tried_us;
    if (item->due_us > now)
        mailsrv__lane_freed_upto(lane, tried_us < now ? tried_us + 1 : now, item->due_us);
    mailsrv__item_let_go(item);
}

void mailsrv__lane_let_go(struct lane *lane)
{
    struct node *n;
    if (lane->n_items != 0)
        lane->more = true;
    lane->n_items = 0;
    while ((n = mailsrv__list_pop(&lane->items)) != NULL)
        let_go(lane, HOLDER(n, struct item, node));
    mailsrv__list_remove(&lane->busy);
}

void mailsrv__lane_fail(struct lane *lane, uint16_t code, struct span text)
{
    while (!mailsrv__list_empty(&lane->items)) {
        struct item *item = HOLDER(lane->items.next, struct item, node);
        mailsrv__settle_told(item, SMTP_REFUSED, &(struct smtp_reply){ code, text }, (struct span){ NULL, 0 });
        mailsrv__room_spend(lane->queue->engine, 1);
    }
    mailsrv__list_remove(&lane->busy);
}

/* ---- Whether anything can be sent ---- */

bool mailsrv__lane_is_held_up(const struct lane *lane)
{
    return lane->waits || (lane->site != NULL && lane->site->backs_off);
}

int64_t mailsrv__lane_not_before(const struct lane *lane)
{
    if (lane->waits)
        return lane->not_before_us;
    return lane->site != NULL && lane->site->backs_off ? lane->site->not_before_us : 0;
}

void mailsrv__lane_retry(struct lane *lane)
{
    lane->waits = false;
    lane->failures = 0;
    lane->route_until_us = 0;
    mailsrv__timer_disarm(&lane->timer);
    if (lane->site != NULL)
        mailsrv__site_retry(lane->site);
    call(lane);
}

/* What is held up is not tried, and so nobody sees that it is too old. */
void mailsrv__lane_sweep(struct lane *lane)
{
    const struct queue_limits *l = &lane->queue->limits;
    int64_t now = mailsrv__queue_now(lane->queue), every = l->expire_us / 8;
    if (l->delay_us / 4 < every)
        every = l->delay_us / 4;
    if (HOUR_US < every)
        every = HOUR_US;
    if (!lane->more || lane->scanned || (lane->swept_us != 0 && now - lane->swept_us < every))
        return;
    lane->swept_us = now;
    lane->sweeps = true;
    mailsrv__list_remove(&lane->scan);
    mailsrv__list_append(&lane->queue->lanes_scan, &lane->scan);
    mailsrv__look_lanes(lane->queue);
}

/* ---- Where it goes ---- */

static void wait_a_while(struct lane *lane, struct span text)
{
    mailsrv_queue *q = lane->queue;
    int64_t wait = ROUTE_WAIT_S * SECOND_US;
    for (uint32_t i = 0; i < lane->failures && wait < ROUTE_WAIT_MAX_S * SECOND_US; i++)
        wait += wait / 2;
    lane->failures++;
    lane->waits = true;
    lane->not_before_us = mailsrv__queue_unix(q) + wait;
    mailsrv__timer_set(q, &lane->timer, wait);
    if (!mailsrv__list_empty(&lane->items)) {
        struct item *item = HOLDER(lane->items.next, struct item, node);
        item->change.due_us = lane->not_before_us;
        mailsrv__settle_told(item, SMTP_LATER, &(struct smtp_reply){ 0, text }, (struct span){ NULL, 0 });
    }
    mailsrv__lane_let_go(lane);
    mailsrv__lane_sweep(lane);
}

static void take_site(struct lane *lane, const mailsrv_route *route)
{
    mailsrv_queue *q = lane->queue;
    struct site *site = mailsrv__site_get(lane, route);
    if (site == NULL) {
        mailsrv__task_again(q, &lane->task);
        return;
    }
    lane->failures = 0;
    lane->route_until_us = route == NULL ? INT64_MAX : mailsrv__queue_now(q) + ROUTE_HOLDS_S * SECOND_US;
    mailsrv__site_join(site, lane);
}

static void refuse(struct lane *lane, int32_t status, struct span text)
{
    if (text.n == 0)
        text = status == MAILSRV_NOPERM ? SPAN("5.7.1 mail may not go there") : SPAN("5.1.2 there is no way there");
    mailsrv__lane_fail(lane, 550, text);
}

static void take_route(struct lane *lane, const mailsrv_answer *answer)
{
    mailsrv_queue *q = lane->queue;
    q->n_routes--;
    if (lane->asks_again)
        lane->asks_again = false; /* whatever it says: the lane does not know its way, and asks */
    else if (answer->status == MAILSRV_OK)
        take_site(lane, answer->value);
    else if (answer->status == MAILSRV_NOMEM)
        mailsrv__task_again(q, &lane->task);
    else if (answer->status == MAILSRV_NONEXISTENT || answer->status == MAILSRV_NOPERM)
        refuse(lane, answer->status, mailsrv__span(answer->text));
    else
        wait_a_while(lane, answer->text.n != 0 ? mailsrv__span(answer->text)
                                               : SPAN("4.4.3 nobody can say now where it goes"));
    mailsrv__errand_drop(&lane->errand);
    mailsrv__lanes_ask(q);
}

static bool ask(struct lane *lane)
{
    const struct item *item = HOLDER(lane->items.next, struct item, node);
    const struct queue_record *r = &item->record;
    size_t octets = mailsrv__ask_octets(lane->name_n) + mailsrv__ask_octets(lane->route_n) +
                    mailsrv__ask_octets(r->recipient.n) + mailsrv__ask_octets(r->reverse_path.n);
    struct ask ask = mailsrv__queue_ask(lane->queue, &lane->errand, MAILSRV_OP_ROUTE, octets);
    if (ask.op == NULL)
        return false;
    mailsrv_arg_route *arg = ask.arg;
    arg->domain = mailsrv__ask_copy(&ask, name_of(lane));
    arg->route = mailsrv__ask_copy(&ask, route_of(lane));
    arg->recipient = mailsrv__ask_copy(&ask, r->recipient);
    arg->reverse_path = mailsrv__ask_copy(&ask, r->reverse_path);
    return true;
}

void mailsrv__lanes_ask(mailsrv_queue *q)
{
    while (q->n_routes < ROUTES_MAX && !mailsrv__list_empty(&q->lanes_asking)) {
        struct lane *lane = HOLDER(mailsrv__list_pop(&q->lanes_asking), struct lane, node);
        mailsrv__list_append(&q->lanes_live, &lane->node);
        if (lane->n_items == 0 || q->closing)
            continue;
        if (!ask(lane)) {
            mailsrv__task_again(q, &lane->task);
            return;
        }
        q->n_routes++;
    }
}

static void find_way(struct lane *lane)
{
    mailsrv_queue *q = lane->queue;
    if (!mailsrv__room_served(q->engine, MAILSRV_OP_ROUTE)) {
        take_site(lane, NULL);
        return;
    }
    mailsrv__list_remove(&lane->node);
    mailsrv__list_append(&q->lanes_asking, &lane->node);
    mailsrv__lanes_ask(q);
}

/* ---- What it does next ---- */

static void rest(struct lane *lane)
{
    mailsrv_queue *q = lane->queue;
    if (lane->idle)
        return;
    mailsrv__list_remove(&lane->node);
    mailsrv__list_append(&q->lanes_idle, &lane->node);
    lane->idle = true;
    if (++q->n_idle > LANES_IDLE_MAX)
        forget_one(q);
}

/* Few are left in memory. */
static void want_more(struct lane *lane)
{
    if (!lane->more || lane->scanned || lane->n_items >= ITEMS_LOW || mailsrv__lane_is_held_up(lane))
        return;
    if (mailsrv__list_empty(&lane->scan))
        mailsrv__list_append(&lane->queue->lanes_scan, &lane->scan);
    mailsrv__look_lanes(lane->queue);
}

static bool knows_its_way(const struct lane *lane)
{
    return lane->site != NULL && mailsrv__queue_now(lane->queue) < lane->route_until_us;
}

void mailsrv__lane_run(struct task *task)
{
    struct lane *lane = HOLDER(task, struct lane, task);
    mailsrv_queue *q = lane->queue;
    const mailsrv_answer *answer = mailsrv__errand_answer(&lane->errand);
    if (answer != NULL)
        take_route(lane, answer);
    if (q->closing || lane->errand.op != NULL)
        return;
    if (!is_in_use(lane) && !lane->more && !lane->waits && mailsrv__list_empty(&lane->task.node)) {
        rest(lane);
        return;
    }
    want_more(lane);
    if (lane->n_items == 0 || mailsrv__lane_is_held_up(lane) || !mailsrv__list_empty(&lane->task.node))
        return;
    if (!knows_its_way(lane)) {
        find_way(lane);
        return;
    }
    if (mailsrv__list_empty(&lane->busy))
        mailsrv__list_append(&lane->site->busy, &lane->busy);
    mailsrv__task_due(q, &lane->site->task);
}
