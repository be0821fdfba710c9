/* Notices that are owed.  They wait a moment, so that what is told of one message is told in one. */
#include "queue/queue.h"

enum { OWED_WAIT_S = 2, TELLINGS_MAX = 4, RELAYED_TRIES = 3 };

/* A notice on its way, and whom it is about. */
struct telling {
    struct node node; /* of the queue's */
    struct task task;
    mailsrv_queue *queue;
    struct notice *notice;
    struct node items;
    int32_t status;
};

static enum notice_action action_of(const struct item *item)
{
    if (item->record.fate == QUEUE_SUCCESS)
        return (item->record.flags & QUEUE_FLAG_FORWARDED) != 0 ? NOTICE_EXPANDED : NOTICE_DELIVERED;
    return item->plan == PLAN_RELAYED ? NOTICE_RELAYED : item->plan == PLAN_DELAYED ? NOTICE_DELAYED : NOTICE_FAILED;
}

/* The record with what was said last. */
static struct queue_record record_of(const struct item *item)
{
    struct queue_record r = item->record;
    if (item->tried || item->reply.text != NULL) {
        r.code = item->reply.code;
        r.text = (struct span){ item->reply.text, item->reply.text_n };
        r.host = (struct span){ item->reply.text == NULL ? NULL : item->reply.text + item->reply.text_n,
                                item->reply.host_n };
    }
    if (item->tried) {
        r.tries++;
        r.tried_us = mailsrv__queue_unix(item->queue);
    }
    return r;
}

static void wait(mailsrv_queue *q)
{
    if (!mailsrv__timer_armed(&q->owed_timer))
        mailsrv__timer_set(q, &q->owed_timer, q->closing ? 0 : OWED_WAIT_S * SECOND_US);
}

bool mailsrv__owed(struct item *item)
{
    mailsrv_queue *q = item->queue;
    if (!mailsrv__notice_owed(&item->record, action_of(item)))
        return false;
    mailsrv__list_remove(&item->node);
    mailsrv__list_append(&q->owed, &item->node);
    wait(q);
    return true;
}

/* ---- What came of it ---- */

/* Of an item whose notice failed before: `changed` in write.c leaves the time of that. */
static int64_t owed_since(const struct queue_record *r)
{
    return r->tried_us > r->arrived_us ? r->tried_us : r->arrived_us;
}

/* It was due long ago, and nobody was there: the program was away, or the clock was put on. */
static bool was_forgotten(const struct item *item)
{
    const mailsrv_queue *q = item->queue;
    return item->due_us < mailsrv__queue_unix(q) - q->limits.retry_max_us;
}

/* Nobody could be told now.  What failed is owed a notice still when this program has ended; that something was
 * relayed, or waits, is told as far as it goes. */
static void not_told(struct item *item)
{
    mailsrv_queue *q = item->queue;
    if (item->plan == PLAN_DELAYED || (item->plan == PLAN_RELAYED && ++item->undone > RELAYED_TRIES)) {
        item->told = true;
        return;
    }
    if (item->plan == PLAN_RELAYED)
        return; /* again */
    item->change.owed_anew = item->change.owed_anew || was_forgotten(item);
    if (item->record.fate == QUEUE_BOUNCE && !item->change.owed_anew &&
        mailsrv__queue_unix(q) - owed_since(&item->record) > q->limits.expire_us) {
        item->told = true; /* not in all that time */
        return;
    }
    item->change.bounces = true;
    item->change.due_us = mailsrv__queue_unix(q) + mailsrv__schedule_wait(q, item->record.tries + 1);
    item->tried = true;
    if (item->reply.text == NULL)
        mailsrv__item_said(item, item->record.code, item->record.text, item->record.host);
    item->plan = PLAN_UPDATE;
}

static void was_told(struct item *item)
{
    item->told = true;
    if (item->plan == PLAN_DELAYED)
        item->change.flags_set |= QUEUE_FLAG_DELAYED;
}

static void event(mailsrv_queue *q, const struct item *item)
{
    static const struct span actions[] = { [NOTICE_FAILED] = { "failed", 6 },
                                           [NOTICE_DELAYED] = { "delayed", 7 },
                                           [NOTICE_RELAYED] = { "relayed", 7 },
                                           [NOTICE_DELIVERED] = { "delivered", 9 },
                                           [NOTICE_EXPANDED] = { "expanded", 8 } };
    char room[300];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write(&w, actions[action_of(item)]);
    mailsrv__write_char(&w, ' ');
    mailsrv__write_u64(&w, item->number);
    mailsrv__write_char(&w, ' ');
    mailsrv__write(&w, item->record.reverse_path);
    mailsrv__room_event(q->engine, MAILSRV_EVENT_NOTICE, mailsrv__written(&w));
}

static void telling_free(struct telling *telling)
{
    mailsrv_queue *q = telling->queue;
    mailsrv__list_remove(&telling->node);
    mailsrv__list_remove(&telling->task.node);
    mailsrv__notice_free(telling->notice);
    mailsrv__queue_give(q, telling, sizeof *telling);
    q->n_tellings--;
}

static void run_told(struct task *task)
{
    struct telling *telling = HOLDER(task, struct telling, task);
    mailsrv_queue *q = telling->queue;
    bool is_over = telling->status == MAILSRV_OK || telling->status == MAILSRV_NONEXISTENT; /* nobody is there */
    struct node *n;
    if (telling->status == MAILSRV_OK) {
        q->stats[MAILSRV_QUEUE_STAT_NOTICES]++;
        event(q, HOLDER(telling->items.next, struct item, node));
    }
    while ((n = mailsrv__list_pop(&telling->items)) != NULL) {
        struct item *item = HOLDER(n, struct item, node);
        if (is_over)
            was_told(item);
        else
            not_told(item);
        mailsrv__task_due(q, &item->task);
    }
    telling_free(telling);
    mailsrv__task_due(q, &q->teller);
}

static void done(void *user, int32_t status)
{
    struct telling *telling = user;
    telling->status = status;
    mailsrv__task_due(telling->queue, &telling->task);
}

/* ---- Telling ---- */

static bool same_message(const struct item *a, const struct item *b)
{
    const struct queue_record *r = &a->record, *s = &b->record;
    return a == b || (r->message.n != 0 && mailsrv__span_equal(r->message, s->message) &&
                      mailsrv__span_equal(r->reverse_path, s->reverse_path) &&
                      mailsrv__span_equal(r->envelope_id, s->envelope_id));
}

/* Moves those of the message of the first one; how many. */
static uint32_t gather(mailsrv_queue *q, struct node *to)
{
    const struct item *first = HOLDER(q->owed.next, struct item, node);
    uint32_t n = 0;
    struct node *after;
    for (struct node *at = q->owed.next; at != &q->owed && n < NOTICE_RECIPIENTS_MAX; at = after) {
        after = at->next;
        if (!same_message(first, HOLDER(at, struct item, node)))
            continue;
        mailsrv__list_remove(at);
        mailsrv__list_append(to, at);
        n++;
    }
    return n;
}

static void fill(const struct telling *telling, struct notice_recipient *recipients)
{
    for (const struct node *at = telling->items.next; at != &telling->items; at = at->next, recipients++) {
        const struct item *item = HOLDER(at, struct item, node);
        *recipients = (struct notice_recipient){ .record = record_of(item), .action = action_of(item) };
        recipients->expires_us = mailsrv__schedule_expires(telling->queue, &item->record);
    }
}

static struct notice_setup setup_of(const struct telling *telling)
{
    const mailsrv_queue *q = telling->queue;
    const struct item *first = HOLDER(telling->items.next, struct item, node);
    return (struct notice_setup){ .hostname = mailsrv__profile_text(q->profile, MAILSRV_PROFILE_HOSTNAME),
                                  .delimiter = '+', /* as the default of profiles that receive */
                                  .octets_max = q->limits.notice_octets,
                                  .now_us = mailsrv__queue_unix(q),
                                  .queue = first->number,
                                  .octets = first->octets };
}

/* False: there is no memory. */
static bool tell(struct telling *telling, uint32_t n)
{
    mailsrv_queue *q = telling->queue;
    struct notice_setup setup = setup_of(telling);
    struct notice_recipient *recipients = mailsrv__queue_take(q, n * sizeof *recipients);
    if (recipients == NULL)
        return false;
    fill(telling, recipients);
    telling->notice = mailsrv__notice_new(q->engine, &setup, recipients, n, done, telling);
    mailsrv__queue_give(q, recipients, n * sizeof *recipients);
    return telling->notice != NULL;
}

static struct telling *telling_new(mailsrv_queue *q)
{
    struct telling *telling = mailsrv__queue_take(q, sizeof *telling);
    if (telling == NULL)
        return NULL;
    telling->queue = q;
    mailsrv__list_init(&telling->items);
    mailsrv__task_init(&telling->task, run_told);
    mailsrv__list_append(&q->tellings, &telling->node);
    q->n_tellings++;
    return telling;
}

static void run_teller(struct task *task)
{
    mailsrv_queue *q = HOLDER(task, mailsrv_queue, teller);
    while (q->n_tellings < TELLINGS_MAX && !mailsrv__list_empty(&q->owed)) {
        struct telling *telling = telling_new(q);
        if (telling == NULL)
            break;
        if (tell(telling, gather(q, &telling->items)))
            continue;
        struct node *n;
        while ((n = mailsrv__list_pop(&telling->items)) != NULL)
            mailsrv__list_append(&q->owed, n);
        telling_free(telling);
        break;
    }
    if (q->n_tellings < TELLINGS_MAX && !mailsrv__list_empty(&q->owed))
        mailsrv__task_again(q, task);
}

static void fired(struct timer *timer)
{
    mailsrv_queue *q = HOLDER(timer, mailsrv_queue, owed_timer);
    mailsrv__task_due(q, &q->teller);
}

void mailsrv__owed_init(mailsrv_queue *q)
{
    mailsrv__list_init(&q->owed);
    mailsrv__list_init(&q->tellings);
    mailsrv__timer_init(&q->owed_timer, fired);
    mailsrv__task_init(&q->teller, run_teller);
}

void mailsrv__owed_close(mailsrv_queue *q)
{
    if (!mailsrv__list_empty(&q->owed))
        mailsrv__task_due(q, &q->teller);
}

void mailsrv__owed_free(mailsrv_queue *q)
{
    while (!mailsrv__list_empty(&q->tellings)) {
        struct telling *telling = HOLDER(q->tellings.next, struct telling, node);
        struct node *n;
        while ((n = mailsrv__list_pop(&telling->items)) != NULL)
            continue;
        telling_free(telling);
    }
    mailsrv__timer_remove(mailsrv__room_timers(q->engine), &q->owed_timer);
}
