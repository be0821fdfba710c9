/* What became of items, written: one QUEUE_UPDATE for each, QUEUE_DELETE of many. */
#include "queue/queue.h"

enum { DELETE_ITEMS = 256 };

/* ---- QUEUE_UPDATE ---- */

/* The record as it is to be.  What a later version of this library has put behind it stays there. */
static struct queue_record changed(const struct item *item)
{
    const struct item_change *change = &item->change;
    const struct item_reply *reply = &item->reply;
    struct queue_record r = item->record;
    int64_t now = mailsrv__queue_unix(item->queue);
    r.flags = (uint16_t)((r.flags | change->flags_set) & ~change->flags_cleared);
    if (change->bounces)
        r.fate = QUEUE_BOUNCE;
    r.arrived_us = mailsrv__schedule_arrived(item->queue, &r);
    bool is_owed = item->record.fate == QUEUE_BOUNCE; /* since `tried_us` */
    if (change->owed_anew || (item->tried && !is_owed) || r.tried_us > now) /* by a clock that has been put back */
        r.tried_us = now;
    if (item->tried) {
        r.tries += r.tries != UINT32_MAX;
        r.code = reply->code;
        r.text = (struct span){ reply->text, reply->text_n };
        r.host = (struct span){ reply->text == NULL ? NULL : reply->text + reply->text_n, reply->host_n };
    }
    if (change->reroutes)
        r.route = (struct span){ change->route, change->route_n };
    return r;
}

static bool ask_update(struct item *item)
{
    struct queue_record r = changed(item);
    struct span rest = mailsrv__span_after((struct span){ item->blob, item->blob_n },
                                           mailsrv__queue_record_octets(&item->record));
    size_t octets = mailsrv__queue_record_octets(&r) + rest.n;
    struct ask ask = mailsrv__queue_ask(item->queue, &item->errand, MAILSRV_OP_QUEUE_UPDATE,
                                        mailsrv__ask_octets(octets) + mailsrv__ask_octets(item->lane_n));
    if (ask.op == NULL)
        return false;
    struct writer w = { .p = mailsrv__ask_room(&ask, octets), .room = octets };
    mailsrv__queue_record_write(&w, &r);
    mailsrv__write(&w, rest);
    mailsrv_arg_queue_update *arg = ask.arg;
    arg->queue = item->number;
    arg->record = mailsrv__bytes(mailsrv__written(&w));
    arg->due_us = item->change.due_us;
    arg->lane = mailsrv__ask_copy(&ask, (struct span){ item->blob + item->blob_n, item->lane_n });
    item->asked = ASKED_UPDATE;
    return true;
}

void mailsrv__write_update(struct item *item)
{
    mailsrv_queue *q = item->queue;
    const mailsrv_answer *answer = mailsrv__errand_answer(&item->errand);
    int32_t status = answer == NULL ? MAILSRV_TEMP : answer->status;
    if (item->errand.op == NULL) {
        if (!ask_update(item))
            mailsrv__task_again(q, &item->task);
        return;
    }
    mailsrv__errand_drop(&item->errand);
    item->asked = ASKED_NOTHING;
    if (status == MAILSRV_OK)
        mailsrv__settled(item);
    else if (status == MAILSRV_NONEXISTENT || q->closing) /* the store has it as it was: it is tried again some day */
        mailsrv__settled_not(item);
    else
        mailsrv__task_again(q, &item->task);
}

/* ---- QUEUE_DELETE ---- */

void mailsrv__write_delete(struct item *item)
{
    mailsrv_queue *q = item->queue;
    mailsrv__list_remove(&item->node);
    mailsrv__list_append(&q->erase, &item->node);
    if (q->erasing.op == NULL)
        mailsrv__task_due(q, &q->eraser);
}

static void erased(mailsrv_queue *q, int32_t status)
{
    struct node *n;
    bool again = status != MAILSRV_OK && !q->closing;
    mailsrv__errand_drop(&q->erasing);
    while ((n = mailsrv__list_pop(&q->erased)) != NULL) {
        struct item *item = HOLDER(n, struct item, node);
        if (again)
            mailsrv__list_append(&q->erase, n);
        else
            mailsrv__settled(item);
    }
    if (again)
        mailsrv__task_again(q, &q->eraser);
    else if (!mailsrv__list_empty(&q->erase))
        mailsrv__task_due(q, &q->eraser);
}

static void run_eraser(struct task *task)
{
    mailsrv_queue *q = HOLDER(task, mailsrv_queue, eraser);
    const mailsrv_answer *answer = mailsrv__errand_answer(&q->erasing);
    if (answer != NULL) {
        erased(q, answer->status);
        return;
    }
    if (q->erasing.op != NULL || mailsrv__list_empty(&q->erase))
        return;
    struct ask ask = mailsrv__queue_ask(q, &q->erasing, MAILSRV_OP_QUEUE_DELETE, DELETE_ITEMS * sizeof(uint64_t));
    if (ask.op == NULL) {
        mailsrv__task_again(q, &q->eraser);
        return;
    }
    mailsrv_arg_queue_delete *arg = ask.arg;
    uint64_t *queues = mailsrv__ask_room(&ask, DELETE_ITEMS * sizeof(uint64_t));
    arg->queues = queues;
    while (arg->n < DELETE_ITEMS && !mailsrv__list_empty(&q->erase)) {
        struct node *n = mailsrv__list_pop(&q->erase);
        mailsrv__list_append(&q->erased, n);
        queues[arg->n++] = HOLDER(n, struct item, node)->number;
    }
}

static void answered(struct errand *errand)
{
    mailsrv_queue *q = HOLDER(errand, mailsrv_queue, erasing);
    mailsrv__task_due(q, &q->eraser);
}

void mailsrv__write_init(mailsrv_queue *q)
{
    mailsrv__task_init(&q->eraser, run_eraser);
    mailsrv__list_init(&q->erase);
    mailsrv__list_init(&q->erased);
    q->erasing.answered = answered;
}
