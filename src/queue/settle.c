/* What becomes of an item: it was delivered, it waits, it is given up.  One step at a time, each waiting for its
 * answer:
 *
 *     DEFER -> RETRY is asked -> DELAYED, UPDATE or GIVE_UP         failed for now
 *     GIVE_UP, RELAYED -> a notice, if one is owed -> DELETE
 *     DELAYED -> a notice -> UPDATE
 *     LOCAL -> delivered here, in its turn -> RELAYED, DEFER or GIVE_UP
 */
#include "queue/local.h"
#include "queue/queue.h"

enum { UNDONE_MAX = 5 };

/* ---- What a server said ---- */

static void count(struct item *item, enum smtp_fate fate)
{
    static const int32_t events[] = { [SMTP_DELIVERED] = MAILSRV_EVENT_SENT,
                                      [SMTP_RELAYED] = MAILSRV_EVENT_SENT,
                                      [SMTP_LATER] = MAILSRV_EVENT_DEFERRED,
                                      [SMTP_UNSURE] = MAILSRV_EVENT_DEFERRED,
                                      [SMTP_HINDERED] = MAILSRV_EVENT_DEFERRED };
    bool taken = fate == SMTP_DELIVERED || fate == SMTP_RELAYED;
    if (fate == SMTP_REFUSED || fate == SMTP_UNABLE)
        return; /* it is told when it is given up */
    item->queue->stats[taken ? MAILSRV_QUEUE_STAT_DELIVERED : MAILSRV_QUEUE_STAT_DEFERRED]++;
    mailsrv__queue_event(item->queue, events[fate], item);
}

void mailsrv__settle_told(struct item *item, enum smtp_fate fate, const struct smtp_reply *reply, struct span host)
{
    static const enum item_plan plans[] = { [SMTP_DELIVERED] = PLAN_DELETE, [SMTP_RELAYED] = PLAN_RELAYED,
                                            [SMTP_LATER] = PLAN_DEFER, [SMTP_UNSURE] = PLAN_DEFER,
                                            [SMTP_HINDERED] = PLAN_DEFER, [SMTP_REFUSED] = PLAN_GIVE_UP,
                                            [SMTP_UNABLE] = PLAN_GIVE_UP };
    mailsrv__lane_leave(item);
    item->delivered = fate == SMTP_DELIVERED || fate == SMTP_RELAYED;
    item->tried = true;
    item->put_off = false;
    mailsrv__item_said(item, reply->code, reply->text, host);
    count(item, fate);
    mailsrv__settle(item, plans[fate]);
}

void mailsrv__settle_put_off(struct item *item)
{
    mailsrv__lane_leave(item);
    item->tried = true;
    item->put_off = false;
    count(item, SMTP_LATER);
    mailsrv__settle(item, PLAN_DEFER);
}

void mailsrv__settle_undone(struct item *item, bool in_vain, struct span host)
{
    static const struct smtp_reply never = { 0, SPAN("4.5.3 the server does not get to it") };
    struct lane *lane = item->lane;
    item->undone = in_vain ? (uint8_t)(item->undone + 1) : 0;
    if (item->undone > UNDONE_MAX || item->control != NULL) {
        mailsrv__settle_told(item, SMTP_LATER, &never, host);
        return;
    }
    item->put_off = false;
    mailsrv__lane_leave(item);
    mailsrv__lane_put(lane, item, true);
}

void mailsrv__settle(struct item *item, enum item_plan plan)
{
    item->plan = (uint8_t)plan;
    mailsrv__task_due(item->queue, &item->task);
}

/* ---- It failed for now ---- */

static void take_verdict(struct item *item, const mailsrv_retry *retry)
{
    int32_t verdict = retry == NULL ? MAILSRV_RETRY_DEFAULT : retry->verdict;
    struct item_change *change = &item->change;
    if (verdict == MAILSRV_RETRY_WAIT)
        change->due_us = retry->due_us == INT64_MAX ? INT64_MAX - 1 : retry->due_us; /* that would be held */
    if (verdict != MAILSRV_RETRY_ROUTE || mailsrv__span_equal(mailsrv__span(retry->route), item->record.route))
        return; /* that way has failed */
    change->reroutes = true;
    change->route_n = (uint8_t)retry->route.n;
    if (retry->route.n != 0)
        memcpy(change->route, retry->route.p, retry->route.n);
    change->due_us = mailsrv__queue_unix(item->queue);
}

static void defer(struct item *item)
{
    bool tells = mailsrv__schedule_tells(item->queue, &item->record);
    mailsrv__settle(item, tells && !item->told ? PLAN_DELAYED : PLAN_UPDATE);
}

static struct span said(const struct item *item, struct span *host)
{
    *host = item->reply.text == NULL ? (struct span){ NULL, 0 }
                                     : (struct span){ item->reply.text + item->reply.text_n, item->reply.host_n };
    return (struct span){ item->reply.text, item->reply.text_n };
}

static bool ask_retry(struct item *item)
{
    const struct queue_record *r = &item->record;
    struct span host, text = said(item, &host);
    size_t octets = mailsrv__ask_octets(r->reverse_path.n) + mailsrv__ask_octets(r->recipient.n) +
                    mailsrv__ask_octets(text.n) + mailsrv__ask_octets(host.n);
    struct ask ask = mailsrv__queue_ask(item->queue, &item->errand, MAILSRV_OP_RETRY, octets);
    if (ask.op == NULL)
        return false;
    mailsrv_arg_retry *arg = ask.arg;
    arg->tries = r->tries + 1;
    arg->queue = item->number;
    arg->arrived_us = r->arrived_us;
    arg->due_us = item->change.due_us;
    arg->expires_us = mailsrv__schedule_expires(item->queue, r);
    arg->code = item->reply.code;
    arg->reverse_path = mailsrv__ask_copy(&ask, r->reverse_path);
    arg->recipient = mailsrv__ask_copy(&ask, r->recipient);
    arg->text = mailsrv__ask_copy(&ask, text);
    arg->host = mailsrv__ask_copy(&ask, host);
    item->asked = ASKED_RETRY;
    return true;
}

static void retry_answered(struct item *item, const mailsrv_answer *answer)
{
    const mailsrv_retry *retry = answer->value;
    bool gives_up = retry != NULL && retry->verdict == MAILSRV_RETRY_GIVE_UP;
    if (!gives_up)
        take_verdict(item, retry);
    mailsrv__errand_drop(&item->errand);
    item->asked = ASKED_NOTHING;
    if (item->control != NULL) /* an operator's word counts more */
        mailsrv__control_apply(item->control, item);
    else if (gives_up)
        mailsrv__settle(item, PLAN_GIVE_UP);
    else
        defer(item);
}

static void begin_deferring(struct item *item)
{
    mailsrv_queue *q = item->queue;
    int64_t due_us = mailsrv__queue_unix(q) + mailsrv__schedule_wait(q, item->record.tries + 1);
    if (item->control != NULL) { /* what was done to it meanwhile */
        mailsrv__control_apply(item->control, item);
        return;
    }
    if (mailsrv__schedule_is_over(q, &item->record)) {
        mailsrv__settle(item, PLAN_GIVE_UP);
        return;
    }
    if (item->change.due_us < due_us) /* else whatever holds it up lasts longer */
        item->change.due_us = due_us;
    if (!mailsrv__room_served(q->engine, MAILSRV_OP_RETRY))
        defer(item);
    else if (!ask_retry(item))
        mailsrv__task_again(q, &item->task);
}

/* ---- Notices, then the end ---- */

static void give_up(struct item *item)
{
    mailsrv_queue *q = item->queue;
    if (!item->told && mailsrv__owed(item))
        return;
    if (item->plan == PLAN_GIVE_UP) {
        q->stats[MAILSRV_QUEUE_STAT_FAILED]++;
        mailsrv__queue_event(q, MAILSRV_EVENT_FAILED, item);
    }
    mailsrv__settle(item, PLAN_DELETE);
}

static void delayed(struct item *item)
{
    if (!item->told && mailsrv__owed(item))
        return;
    mailsrv__settle(item, PLAN_UPDATE);
}

/* ---- It is ours ---- */

void mailsrv__settle_no_more(struct item *item)
{
    if (item->local == NULL)
        return;
    mailsrv__local_free(item->local);
    item->local = NULL;
    item->queue->n_local--;
    mailsrv__task_due(item->queue, &item->queue->porter);
}

/* What was asked for by NOTIFY=SUCCESS is told here, unless another server will. */
static void was_local(void *user, const struct local_result *result)
{
    struct item *item = user;
    uint16_t code = result->code;
    bool handed_on = result->handed_on;
    item->delivered = code < 400;
    item->tried = true;
    mailsrv__item_said(item, code, result->text, (struct span){ NULL, 0 });
    mailsrv__settle_no_more(item); /* the text has gone with it */
    count(item, code < 400 ? SMTP_DELIVERED : code < 500 ? SMTP_LATER : SMTP_REFUSED);
    if (code >= 400) {
        mailsrv__settle(item, code < 500 ? PLAN_DEFER : PLAN_GIVE_UP);
        return;
    }
    item->record.fate = QUEUE_SUCCESS;
    mailsrv__settle(item, handed_on ? PLAN_DELETE : PLAN_RELAYED);
}

static bool begin_local(struct item *item)
{
    mailsrv_queue *q = item->queue;
    struct local_setup setup = { .hostname = mailsrv__profile_text(q->profile, MAILSRV_PROFILE_HOSTNAME),
                                 .delimiter = '+', /* as the default of profiles that receive */
                                 .now_us = mailsrv__queue_unix(q),
                                 .queue = item->number };
    item->local = mailsrv__local_new(q->engine, &setup, &item->record, was_local, item);
    if (item->local == NULL)
        return false;
    item->begun = q->scans;
    q->n_local++;
    return true;
}

bool mailsrv__settle_withdraw(struct item *item)
{
    if (item->state != ITEM_SETTLES || item->plan != PLAN_LOCAL || item->local != NULL)
        return false;
    mailsrv__list_remove(&item->node);
    item->queue->n_locals--;
    return true;
}

void mailsrv__settle_local(struct item *item)
{
    mailsrv_queue *q = item->queue;
    item->plan = PLAN_LOCAL;
    mailsrv__list_append(&q->locals, &item->node);
    q->n_locals++;
    mailsrv__task_due(q, &q->porter);
}

/* However many they are, most of the memory is for mail that goes elsewhere. */
static uint32_t locals_max(const mailsrv_queue *q)
{
    return q->limits.items / 4 + 1;
}

bool mailsrv__locals_room(mailsrv_queue *q, int64_t due_us)
{
    bool has = q->n_locals < locals_max(q);
    q->locals_more = q->locals_more || !has;
    q->locals_far = q->locals_far || (!has && due_us > mailsrv__queue_unix(q));
    return has;
}

/* Those that wait when the queue closes are the store's. */
static void run_porter(struct task *task)
{
    mailsrv_queue *q = HOLDER(task, mailsrv_queue, porter);
    while (!mailsrv__list_empty(&q->locals) && (q->n_local < LOCAL_MAX || q->closing)) {
        struct item *item = HOLDER(q->locals.next, struct item, node);
        if (!q->closing && !begin_local(item)) {
            mailsrv__task_again(q, task);
            return;
        }
        mailsrv__list_remove(&item->node);
        q->n_locals--;
        if (q->closing)
            mailsrv__item_forget(item);
    }
    if (!q->locals_more || q->closing || q->n_locals > locals_max(q) / 4)
        return;
    if (q->locals_far)
        mailsrv__look_far(q);
    q->locals_more = q->locals_far = false;
    mailsrv__look_from_start(q, mailsrv__queue_unix(q));
}

void mailsrv__locals_init(mailsrv_queue *q)
{
    mailsrv__task_init(&q->porter, run_porter);
    mailsrv__list_init(&q->locals);
}

void mailsrv__settle_run(struct task *task)
{
    struct item *item = HOLDER(task, struct item, task);
    const mailsrv_answer *answer = mailsrv__errand_answer(&item->errand);
    if (item->state != ITEM_SETTLES || item->plan == PLAN_LOCAL || (item->errand.op != NULL && answer == NULL))
        return;
    if (answer != NULL && item->asked == ASKED_RETRY)
        retry_answered(item, answer);
    else if (item->plan == PLAN_DEFER)
        begin_deferring(item);
    else if (item->plan == PLAN_UPDATE)
        mailsrv__write_update(item);
    else if (item->plan == PLAN_DELETE)
        mailsrv__write_delete(item);
    else if (item->plan == PLAN_DELAYED)
        delayed(item);
    else
        give_up(item);
}

/* ---- The store has it as it is to be ---- */

/* Where it goes from now on.  NULL: no memory, or there are too many. */
static struct lane *lane_of(const struct item *item)
{
    const struct item_change *change = &item->change;
    struct span name = { item->blob + item->blob_n, item->lane_n };
    struct span route = change->reroutes ? (struct span){ change->route, change->route_n } : item->record.route;
    return mailsrv__lane_get(item->queue, name, route, item->record.reverse_path);
}

void mailsrv__settled(struct item *item)
{
    mailsrv_queue *q = item->queue;
    const struct item_change *change = &item->change;
    bool stays = item->plan == PLAN_UPDATE && change->due_us != INT64_MAX;
    if (item->control != NULL)
        mailsrv__control_done(item);
    struct lane *lane = stays && change->due_us <= mailsrv__queue_unix(q) && !q->closing ? lane_of(item) : NULL;
    if (lane != NULL && !mailsrv__lane_is_held_up(lane))
        mailsrv__lane_more(lane);
    else if (stays) /* of what is held up the look knows whether it needs that server */
        mailsrv__look_at(q, change->due_us);
    mailsrv__item_forget(item);
}

void mailsrv__settled_not(struct item *item)
{
    if (item->control != NULL)
        mailsrv__control_done(item);
    mailsrv__item_forget(item);
}
