#include "liar.h"

#include <string.h>

/* Each check's items have a record of its own. */
static bool are_items(const struct liar *liar, const char *record)
{
    const struct memory *m = store_of(liar);
    const struct message *first = m->queue.n != 0 ? m->queue.v[0] : NULL;
    return first != NULL && is_named((mailsrv_bytes){ first->record, first->n_record }, record);
}

static bool is_scan(const struct telling *t, uint32_t limit)
{
    return t->op.kind == MAILSRV_OP_QUEUE_SCAN && t->status == MAILSRV_OK &&
           ((const mailsrv_arg_queue_scan *)t->op.arg)->limit == limit;
}

static void cuts_records(struct liar *liar, struct telling *t)
{
    if (is_scan(t, 16) && t->reply.value.queued.n == 1 && store_of(liar)->page.items[0].record.n == 8)
        store_of(liar)->page.items[0].record.n--;
}

static void cut_without_cursor(struct liar *liar, struct telling *t)
{
    if (is_scan(t, 2) && are_items(liar, "one of five"))
        t->reply.value.queued.more = 0;
}

static enum go keeps_the_old(struct liar *liar, struct telling *t)
{
    return t->op.kind == MAILSRV_OP_QUEUE_UPDATE && are_items(liar, "before") ? refuse(t, MAILSRV_OK) : GO_ON;
}

static enum go deletes_nothing(struct liar *liar, struct telling *t)
{
    bool lies = t->op.kind == MAILSRV_OP_QUEUE_DELETE && are_items(liar, "goes") && store_of(liar)->queue.n == 2;
    return lies ? refuse(t, MAILSRV_OK) : GO_ON;
}

static void number_again(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_QUEUE_DELETE)
        liar->is.number = ((const mailsrv_arg_queue_delete *)t->op.arg)->queues[0];
    mailsrv_result *result = result_of(t, 0);
    if (result != NULL && result->queue != 0 && liar->is.number != 0)
        result->queue = liar->is.number;
}

static void either_or(struct liar *liar, struct telling *t)
{
    (void)liar;
    mailsrv_result *first = result_of(t, 0), *second = result_of(t, 1);
    if (first != NULL && second != NULL && first->queue == 0 && second->queue != 0)
        second->status = MAILSRV_CANNOT;
}

/* ---- Times and lanes ---- */

/* A scan of these, whose argument may be changed; NULL: it is none. */
static mailsrv_arg_queue_scan *scan_of(struct liar *liar, struct telling *t, const char *record)
{
    if (t->op.kind != MAILSRV_OP_QUEUE_SCAN || !are_items(liar, record))
        return NULL;
    liar->is.arg.queue_scan = *(const mailsrv_arg_queue_scan *)t->op.arg;
    t->op.arg = &liar->is.arg.queue_scan;
    return &liar->is.arg.queue_scan;
}

static mailsrv_arg_queue_update *update_of(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_QUEUE_UPDATE || !are_items(liar, "moves"))
        return NULL;
    liar->is.arg.queue_update = *(const mailsrv_arg_queue_update *)t->op.arg;
    t->op.arg = &liar->is.arg.queue_update;
    return &liar->is.arg.queue_update;
}

static enum go says_updated(struct liar *liar, struct telling *t)
{
    const mailsrv_arg_queue_update *arg = t->op.arg;
    bool is_gone = t->op.kind == MAILSRV_OP_QUEUE_UPDATE && mailsrv__memory_queued(store_of(liar), arg->queue) == NULL;
    return is_gone ? refuse(t, MAILSRV_OK) : GO_ON;
}

static void other_time(struct liar *liar, struct telling *t)
{
    mailsrv_queue_item *items = store_of(liar)->page.items;
    if (is_scan(t, 16) && t->reply.value.queued.n == 2 && items[1].due_us == INT64_MAX)
        items[1].due_us = 0;
}

static void no_lane(struct liar *liar, struct telling *t)
{
    mailsrv_queue_item *items = store_of(liar)->page.items;
    if (is_scan(t, 16) && t->reply.value.queued.n == 2 && items[1].due_us == INT64_MAX)
        items[0].lane.n = 0;
}

static enum go with_the_lower(struct liar *liar, struct telling *t)
{
    mailsrv_arg_queue_scan *arg = scan_of(liar, t, "by time");
    if (arg != NULL)
        arg->due_min_us--;
    return GO_ON;
}

static enum go without_the_upper(struct liar *liar, struct telling *t)
{
    mailsrv_arg_queue_scan *arg = scan_of(liar, t, "by time");
    if (arg != NULL)
        arg->due_max_us--;
    return GO_ON;
}

static enum go by_number(struct liar *liar, struct telling *t)
{
    mailsrv_arg_queue_scan *arg = scan_of(liar, t, "by time");
    if (arg != NULL)
        arg->order = MAILSRV_QUEUE_BY_NUMBER;
    return GO_ON;
}

/* A page goes on behind the time that the one before ended with. */
static enum go ends_a_time(struct liar *liar, struct telling *t)
{
    mailsrv_arg_queue_scan *arg = scan_of(liar, t, "by time");
    struct place place = arg != NULL ? mailsrv__memory_place(&arg->cursor) : (struct place){ 0 };
    if (place.from == 0)
        return GO_ON;
    place.from = UINT64_MAX;
    arg->cursor = mailsrv__memory_cursor(place);
    return GO_ON;
}

static enum go all_lanes(struct liar *liar, struct telling *t)
{
    mailsrv_arg_queue_scan *arg = scan_of(liar, t, "by lane");
    if (arg != NULL)
        arg->order = MAILSRV_QUEUE_BY_DUE;
    return GO_ON;
}

static enum go all_times(struct liar *liar, struct telling *t)
{
    mailsrv_arg_queue_scan *arg = scan_of(liar, t, "by lane");
    if (arg != NULL)
        arg->due_max_us = INT64_MAX;
    return GO_ON;
}

/* A page goes on behind so many as were given. */
static enum go by_count(struct liar *liar, struct telling *t)
{
    const struct shelf *due = &store_of(liar)->due;
    mailsrv_arg_queue_scan *arg = scan_of(liar, t, "stay");
    struct place place = arg != NULL ? mailsrv__memory_place(&arg->cursor) : (struct place){ 0 };
    if (arg == NULL)
        return GO_ON;
    uint32_t given = place.from != 0 ? liar->is.count : 1; /* one is not within the bounds */
    liar->is.count = given + arg->limit;
    if (place.from == 0 || given >= due->n)
        return GO_ON;
    place.from = due->v[given]->queue;
    place.upto = (uint64_t)due->v[given]->due_us;
    arg->cursor = mailsrv__memory_cursor(place);
    return GO_ON;
}

static enum go keeps_the_lane(struct liar *liar, struct telling *t)
{
    mailsrv_arg_queue_update *arg = update_of(liar, t);
    if (arg != NULL)
        arg->lane = (mailsrv_bytes){ (const uint8_t *)"a.test", 6 };
    return GO_ON;
}

static enum go keeps_the_time(struct liar *liar, struct telling *t)
{
    mailsrv_arg_queue_update *arg = update_of(liar, t);
    if (arg != NULL)
        arg->due_us = 90;
    return GO_ON;
}

/* ---- READ ---- */

/* The item of so many octets that is read or deleted; NULL: it is not. */
static struct message *item_of(const struct liar *liar, const struct telling *t, int32_t kind, uint64_t octets)
{
    if (t->op.kind != kind)
        return NULL;
    uint64_t queue = kind == MAILSRV_OP_READ ? ((const mailsrv_arg_read *)t->op.arg)->queue
                                             : ((const mailsrv_arg_queue_delete *)t->op.arg)->queues[0];
    struct message *message = mailsrv__memory_queued(store_of(liar), queue);
    return message != NULL && message->row.octets == octets ? message : NULL;
}

static void without_prefix(struct liar *liar, struct telling *t)
{
    const struct message *message = item_of(liar, t, MAILSRV_OP_READ, 5015);
    const mailsrv_arg_read *arg = t->op.arg;
    if (message != NULL && t->status == MAILSRV_OK && arg->offset < message->n_prefix)
        t->reply.value.read_bytes.octets.p = message->body->first->octets + arg->offset;
}

static void has_nothing(struct liar *liar, struct telling *t)
{
    (void)liar;
    const mailsrv_arg_read *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_READ || t->status != MAILSRV_GONE || arg->queue == 0 || arg->handle != 0)
        return;
    t->status = MAILSRV_OK;
    t->reply.has_value = true;
    t->reply.value.read_bytes.size = sizeof t->reply.value.read_bytes;
}

static enum go wipes_it(struct liar *liar, struct telling *t)
{
    struct message *message = item_of(liar, t, MAILSRV_OP_QUEUE_DELETE, 3015);
    if (message != NULL)
        message->bytes[3] ^= 1;
    return GO_ON;
}

const struct lie lies_queue[] = {
    { .check = "the queue gives back what it was given", .what = "less one octet", .after = cuts_records },
    { .check = "a page of the queue that is cut has a cursor", .what = "it has none", .after = cut_without_cursor },
    { .check = "a record is replaced", .what = "it is not", .before = keeps_the_old },
    { .check = "deleted items are gone", .what = "they stay", .before = deletes_nothing },
    { .check = "queue numbers are not given again", .what = "one is", .after = number_again },
    { .check = "the queue stands beside a mailbox", .what = "only one of them", .after = either_or },
    { .check = "a deleted item has no record to be replaced", .what = "it has one", .before = says_updated },
    { .check = "an item keeps its time and its lane", .what = "it has another time", .after = other_time },
    { .check = "an item keeps its time and its lane", .what = "it has no lane", .after = no_lane },
    { .check = "the queue is scanned by time", .what = "the lower bound is within", .before = with_the_lower },
    { .check = "the queue is scanned by time", .what = "the upper bound is not", .before = without_the_upper },
    { .check = "the queue is scanned by time", .what = "it is by number", .before = by_number },
    { .check = "the queue is scanned by time", .what = "a page ends a time", .before = ends_a_time },
    { .check = "the queue is scanned by lane", .what = "other lanes, too", .before = all_lanes },
    { .check = "the queue is scanned by lane", .what = "later ones, too", .before = all_times },
    { .check = "pages by time go on while items come and go", .what = "by their count", .before = by_count },
    { .check = "an update moves an item to another time and lane", .what = "not the lane", .before = keeps_the_lane },
    { .check = "an update moves an item to another time and lane", .what = "not the time", .before = keeps_the_time },
    { .check = "an item of the queue is read", .what = "without its prefix", .after = without_prefix },
    { .check = "a deleted item cannot be read", .what = "it is empty", .after = has_nothing },
    { .check = "an item is deleted while it is read", .what = "it is overwritten", .before = wipes_it },
    { 0 },
};
