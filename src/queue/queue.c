#include "queue/queue.h"

/* ---- Tasks ---- */

void mailsrv__task_init(struct task *task, void (*run)(struct task *task))
{
    mailsrv__list_init(&task->node);
    task->run = run;
}

void mailsrv__task_due(mailsrv_queue *q, struct task *task)
{
    mailsrv__list_remove(&task->node);
    mailsrv__list_append(&q->due, &task->node);
    mailsrv__room_work(q->engine, &q->work);
}

enum { AGAIN_S = 5 };

void mailsrv__task_again(mailsrv_queue *q, struct task *task)
{
    mailsrv__list_remove(&task->node);
    mailsrv__list_append(&q->again, &task->node);
    if (!mailsrv__timer_armed(&q->again_timer))
        mailsrv__timer_set(q, &q->again_timer, AGAIN_S * SECOND_US);
}

static void again_fired(struct timer *timer)
{
    mailsrv_queue *q = HOLDER(timer, mailsrv_queue, again_timer);
    struct node *n;
    while ((n = mailsrv__list_pop(&q->again)) != NULL)
        mailsrv__list_append(&q->due, n);
    mailsrv__room_work(q->engine, &q->work);
}

void mailsrv__timer_set(mailsrv_queue *q, struct timer *timer, int64_t after_us)
{
    mailsrv__timer_arm(mailsrv__room_timers(q->engine), timer, after_us < 0 ? 0 : after_us);
}

/* SplitMix64 (Steele, Lea, Flood 2014): nothing secret hangs on it. */
uint64_t mailsrv__queue_random(mailsrv_queue *q)
{
    uint64_t z = q->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* ---- Memory and questions ---- */

void *mailsrv__queue_take(mailsrv_queue *q, size_t octets)
{
    return mailsrv__heap_take(mailsrv__queue_heap(q), CLASS_SESSIONS, NULL, octets);
}

uint32_t mailsrv__queue_hash(uint32_t hash, struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (uint8_t)text.p[i]) * 16777619u;
    return hash;
}

void mailsrv__queue_give(mailsrv_queue *q, void *p, size_t octets)
{
    mailsrv__heap_give(mailsrv__queue_heap(q), CLASS_SESSIONS, NULL, p, octets);
}

struct ask mailsrv__queue_ask(mailsrv_queue *q, struct errand *errand, int32_t kind, size_t octets)
{
    static const mailsrv_id nobody = { { 0 } };
    return mailsrv__errand_ask(q->engine, errand, kind, &nobody, octets);
}

static void write_part(struct writer *w, struct span text)
{
    if (text.n == 0)
        return;
    mailsrv__write_char(w, ' ');
    mailsrv__write(w, text);
}

void mailsrv__queue_event(mailsrv_queue *q, int32_t what, const struct item *item)
{
    char room[400];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_u64(&w, item->number);
    write_part(&w, item->record.recipient);
    if (item->reply.text != NULL) {
        write_part(&w, (struct span){ item->reply.text + item->reply.text_n, item->reply.host_n });
        if (item->reply.code != 0) {
            mailsrv__write_char(&w, ' ');
            mailsrv__write_u64(&w, item->reply.code);
        }
        write_part(&w, (struct span){ item->reply.text, item->reply.text_n });
    }
    mailsrv__room_event(q->engine, what, mailsrv__written(&w));
}

/* ---- The room ---- */

/* It outlives its queue, because an engine's rooms stay. */
struct queue_room {
    struct room room; /* first */
    mailsrv_engine *engine;
    mailsrv_queue *queue; /* NULL: none is open */
};

static const char room_name[] = "queue";

static void queue_free(mailsrv_queue *q)
{
    struct timers *timers = mailsrv__room_timers(q->engine);
    mailsrv__controls_end(q);
    mailsrv__sends_end(q);
    mailsrv__look_end(q);
    mailsrv__owed_free(q);
    mailsrv__errand_drop(&q->erasing);
    mailsrv__items_free(q);
    mailsrv__lanes_free(q);
    mailsrv__sites_free(q);
    mailsrv__timer_remove(timers, &q->again_timer);
    mailsrv__list_remove(&q->work.ring);
    mailsrv_profile_unref(q->profile);
    mailsrv__queue_give(q, q, sizeof *q);
}

static struct queue_room *room_of(const mailsrv_engine *e)
{
    return (struct queue_room *)(void *)mailsrv__room_find(e, room_name);
}

static void end(struct room *room)
{
    struct queue_room *r = (struct queue_room *)(void *)room;
    if (r->queue != NULL)
        queue_free(r->queue);
    mailsrv__heap_give(mailsrv__room_heap(r->engine), CLASS_ENGINE, NULL, r, sizeof *r);
}

/* What a COMMIT of this engine says needs no look into the store, unless there is no room for it. */
static void queued(struct room *room, const mailsrv_queue_item *row)
{
    mailsrv_queue *q = ((struct queue_room *)(void *)room)->queue;
    if (q == NULL || q->closing)
        return;
    if (!mailsrv__row_take(q, row, UINT64_MAX, NULL))
        mailsrv__look_at(q, row->due_us);
}

static struct queue_room *room_make(mailsrv_engine *e)
{
    struct queue_room *r = room_of(e);
    if (r != NULL)
        return r;
    r = mailsrv__heap_take(mailsrv__room_heap(e), CLASS_ENGINE, NULL, sizeof *r);
    if (r == NULL)
        return NULL;
    r->room = (struct room){ .name = room_name, .queued = queued, .end = end };
    r->engine = e;
    mailsrv__room_add(e, &r->room);
    return r;
}

/* ---- The turn ---- */

static bool is_at_rest(const mailsrv_queue *q)
{
    return q->n_links == 0 && q->n_settling == 0 && mailsrv__list_empty(&q->sends) &&
           mailsrv__list_empty(&q->controls) && q->n_tellings == 0;
}

static bool may_end(const mailsrv_queue *q)
{
    return q->closing && is_at_rest(q);
}

void mailsrv__queue_may_end(mailsrv_queue *q)
{
    if (q->closing)
        mailsrv__room_work(q->engine, &q->work);
}

static void finish(mailsrv_queue *q)
{
    void (*closed)(void *user) = q->closed;
    void *user = q->closed_user;
    room_of(q->engine)->queue = NULL;
    queue_free(q);
    if (closed != NULL)
        closed(user);
}

static int run(struct work *work, uint32_t units)
{
    mailsrv_queue *q = HOLDER(work, mailsrv_queue, work);
    (void)units;
    mailsrv__look_at_clock(q);
    while (mailsrv__room_may_go_on(q->engine)) {
        struct node *n = mailsrv__list_pop(&q->due);
        if (n == NULL) {
            if (may_end(q))
                finish(q);
            return 0;
        }
        struct task *task = HOLDER(n, struct task, node);
        mailsrv__room_spend(q->engine, 1);
        task->run(task);
    }
    return 1;
}

/* ---- Opening ---- */

static int64_t seconds(uint32_t given, uint32_t usual)
{
    return (given == 0 ? usual : given) * SECOND_US;
}

static uint32_t number(uint32_t given, uint32_t usual)
{
    return given == 0 ? usual : given;
}

static void set_limits(struct queue_limits *l, const mailsrv_queue_setup *s)
{
    l->first_retry_us = seconds(s->first_retry_s, 5 * 60);
    l->retry_max_us = seconds(s->retry_max_s, 2 * 3600);
    if (l->retry_max_us < l->first_retry_us)
        l->retry_max_us = l->first_retry_us;
    l->expire_us = seconds(s->expire_s, 5 * 24 * 3600);
    l->notice_expire_us = seconds(s->notice_expire_s, 2 * 24 * 3600);
    l->delay_us = s->delay_notice_s == UINT32_MAX ? INT64_MAX : seconds(s->delay_notice_s, 4 * 3600);
    l->connections = number(s->connections_max, 100);
    l->per_site = number(s->connections_per_site, 20);
    l->messages = number(s->messages_per_connection, 100);
    l->recipients = number(s->recipients_per_message, 100);
    l->idle_ms = number(s->idle_ms, 2000);
    l->items = number(s->items_max, 2048);
    l->notice_octets = number(s->notice_octets_max, 50 * 1024);
}

static void seed(mailsrv_queue *q, uint64_t given)
{
    q->random = given;
    if (given == 0 && !mailsrv__room_random(q->engine, &q->random, sizeof q->random))
        q->random = (uint64_t)mailsrv__queue_unix(q);
}

static void init_lists(mailsrv_queue *q)
{
    struct node *lists[] = { &q->due,       &q->again,        &q->gone,          &q->lanes_idle,
                             &q->lanes_live, &q->lanes_asking, &q->sites_asking,  &q->sites_wanting,
                             &q->links_idle, &q->lanes_scan,   &q->controls,      &q->sends,
                             &q->work.ring };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        mailsrv__list_init(lists[i]);
}

static void run_opener(struct task *task)
{
    mailsrv__links_open(HOLDER(task, mailsrv_queue, opener));
}

static void init(mailsrv_queue *q, mailsrv_engine *e, const mailsrv_queue_setup *setup)
{
    q->engine = e;
    q->flags = setup->flags;
    q->work.run = run;
    init_lists(q);
    set_limits(&q->limits, setup);
    seed(q, setup->seed);
    mailsrv__timer_init(&q->again_timer, again_fired);
    mailsrv__task_init(&q->opener, run_opener);
    mailsrv__look_init(q);
    mailsrv__write_init(q);
    mailsrv__locals_init(q);
    mailsrv__owed_init(q);
    q->profile = mailsrv__profile_hold(setup->profile);
}

static bool is_served(const mailsrv_engine *e)
{
    static const int32_t kinds[] = { MAILSRV_OP_QUEUE_SCAN, MAILSRV_OP_QUEUE_UPDATE, MAILSRV_OP_QUEUE_DELETE,
                                     MAILSRV_OP_READ };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!mailsrv__room_served(e, kinds[i]))
            return false;
    return true;
}

int32_t mailsrv_queue_open(mailsrv_engine *e, const mailsrv_queue_setup *setup, mailsrv_queue **out)
{
    if (e == NULL || setup == NULL || setup->size < sizeof *setup || out == NULL ||
        !mailsrv__profile_is_of(setup->profile, mailsrv_smtp_client()) ||
        !mailsrv__room_begin(e, &mailsrv__queue_answers))
        return MAILSRV_E_USAGE;
    if (!is_served(e))
        return MAILSRV_CANNOT;
    struct own_addresses own;
    if (!mailsrv__own_read(&own, setup->own, setup->n_own))
        return MAILSRV_E_VALUE;
    struct queue_room *r = room_make(e);
    if (r == NULL)
        return MAILSRV_NOMEM;
    if (r->queue != NULL)
        return MAILSRV_INUSE;
    mailsrv_queue *q = mailsrv__heap_take(mailsrv__room_heap(e), CLASS_SESSIONS, NULL, sizeof *q);
    if (q == NULL)
        return MAILSRV_NOMEM;
    init(q, e, setup);
    q->own = own;
    r->queue = *out = q;
    mailsrv__look_begin(q);
    return MAILSRV_OK;
}

/* ---- From outside ---- */

void mailsrv_queue_close(mailsrv_queue *q, void (*closed)(void *user), void *user)
{
    if (q == NULL || q->closing)
        return;
    q->closing = true;
    q->closed = closed;
    q->closed_user = user;
    mailsrv__look_end(q);
    mailsrv__controls_close(q);
    mailsrv__links_close(q);
    mailsrv__owed_close(q);
    mailsrv__task_due(q, &q->porter);
    mailsrv__room_work(q->engine, &q->work);
}

void mailsrv_queue_poke(mailsrv_queue *q)
{
    if (q == NULL || q->closing)
        return;
    q->poked = true;
    mailsrv__look_at(q, mailsrv__queue_unix(q));
}

uint64_t mailsrv_queue_stat(const mailsrv_queue *q, int32_t key)
{
    switch (q == NULL ? 0 : key) {
    case MAILSRV_QUEUE_STAT_CONNECTIONS:
        return q->n_links;
    case MAILSRV_QUEUE_STAT_HELD_ITEMS:
        return q->n_items;
    case MAILSRV_QUEUE_STAT_LANES:
        return q->n_lanes;
    case MAILSRV_QUEUE_STAT_DELIVERED:
    case MAILSRV_QUEUE_STAT_DEFERRED:
    case MAILSRV_QUEUE_STAT_FAILED:
    case MAILSRV_QUEUE_STAT_NOTICES:
        return q->stats[key];
    default:
        return 0;
    }
}
