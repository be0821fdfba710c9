/* The queue: what it keeps, in which orders it gives it, and that an item can be read. */
#include "kit.h"

#include <string.h>

#define NEEDS (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_QUEUE)
#define ITEMS_MAX 16
#define RECORD_MAX 40
#define PAGES_MAX 1000u

struct items {
    uint32_t n;
    struct item {
        uint64_t queue, octets;
        int64_t due_us;
        size_t n_record, n_lane;
        uint8_t record[RECORD_MAX], lane[RECORD_MAX];
    } items[ITEMS_MAX];
};

static bool take_page(struct kit *k, const mailsrv_queued *queued, struct items *out)
{
    for (uint32_t i = 0; i < queued->n; i++) {
        mailsrv_queue_item item;
        memcpy(&item, (const char *)queued->items + (size_t)i * queued->stride, sizeof item);
        if (!mailsrv__kit_expect(k, out->n < ITEMS_MAX && item.record.n <= RECORD_MAX && item.lane.n <= RECORD_MAX,
                                 "QUEUE_SCAN gives more than was queued"))
            return false;
        struct item *to = &out->items[out->n++];
        to->queue = item.queue;
        to->octets = item.octets;
        to->n_record = item.record.n;
        if (item.record.n != 0)
            memcpy(to->record, item.record.p, item.record.n);
        to->due_us = item.due_us;
        to->n_lane = item.lane.n;
        if (item.lane.n != 0)
            memcpy(to->lane, item.lane.p, item.lane.n);
    }
    return true;
}

/* Adds one page that has items, or the last one; `*more`: `arg` asks for what follows. */
static bool scan_page(struct kit *k, mailsrv_arg_queue_scan *arg, struct items *out, bool *more)
{
    uint32_t before = out->n, pages = 0;
    for (*more = true; *more && out->n == before;) {
        mailsrv_asked *question;
        if (!mailsrv__kit_expect(k, pages++ < PAGES_MAX, "the pages of QUEUE_SCAN never end"))
            return false;
        const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_QUEUE_SCAN, NULL, arg, &question);
        if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "QUEUE_SCAN") ||
            !take_page(k, answer->value, out))
            return false;
        const mailsrv_queued *queued = answer->value;
        *more = queued->more != 0;
        arg->cursor = queued->next;
        mailsrv__kit_drop(k, question);
    }
    return true;
}

static bool scan_as(struct kit *k, mailsrv_arg_queue_scan arg, struct items *out)
{
    bool more = true;
    memset(out, 0, sizeof *out);
    for (uint32_t pages = 0; more; pages++)
        if (!mailsrv__kit_expect(k, pages < PAGES_MAX, "the pages of QUEUE_SCAN never end") ||
            !scan_page(k, &arg, out, &more))
            return false;
    return true;
}

static mailsrv_arg_queue_scan in_order(uint32_t order, int64_t due_min_us, int64_t due_max_us, const char *lane)
{
    mailsrv_arg_queue_scan arg;
    memset(&arg, 0, sizeof arg);
    arg.size = sizeof arg;
    arg.limit = 2;
    arg.order = order;
    arg.due_min_us = due_min_us;
    arg.due_max_us = due_max_us;
    arg.lane = mailsrv__kit_bytes(lane);
    return arg;
}

static bool scan(struct kit *k, uint32_t limit, struct items *out)
{
    mailsrv_arg_queue_scan arg = in_order(MAILSRV_QUEUE_BY_NUMBER, 0, 0, "");
    arg.limit = limit;
    return scan_as(k, arg, out);
}

static const struct item *find(const struct items *items, uint64_t queue)
{
    for (uint32_t i = 0; i < items->n; i++)
        if (items->items[i].queue == queue)
            return &items->items[i];
    return NULL;
}

static bool has_record(const struct item *item, const char *record)
{
    return item != NULL && item->n_record == strlen(record) && memcmp(item->record, record, item->n_record) == 0;
}

static bool has_lane(const struct item *item, const char *lane)
{
    return item != NULL && item->n_lane == strlen(lane) && memcmp(item->lane, lane, item->n_lane) == 0;
}

static bool enqueue_at(struct kit *k, const char *record, int64_t due_us, const char *lane, mailsrv_result *result)
{
    mailsrv_target target = mailsrv__kit_to_queue(record);
    target.due_us = due_us;
    target.lane = mailsrv__kit_bytes(lane);
    return mailsrv__kit_send(k, 0, &target, 110, 300, result) &&
           mailsrv__kit_expect_status(k, result->status, MAILSRV_OK, "BODY_COMMIT to the queue");
}

static bool enqueue(struct kit *k, const char *record, mailsrv_result *result)
{
    return enqueue_at(k, record, KIT_NOW, "lane.test", result);
}

static int32_t update_item(struct kit *k, uint64_t queue, const char *record, int64_t due_us, const char *lane)
{
    mailsrv_asked *question;
    mailsrv_arg_queue_update arg = { .size = sizeof arg,
                                     .queue = queue,
                                     .record = mailsrv__kit_bytes(record),
                                     .due_us = due_us,
                                     .lane = mailsrv__kit_bytes(lane) };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_QUEUE_UPDATE, NULL, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    mailsrv__kit_drop(k, question);
    return status;
}

static int32_t delete_items(struct kit *k, const uint64_t *queues, uint32_t n)
{
    mailsrv_asked *question;
    mailsrv_arg_queue_delete arg = { sizeof arg, n, queues };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_QUEUE_DELETE, NULL, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    mailsrv__kit_drop(k, question);
    return status;
}

static void gives_back(struct kit *k)
{
    mailsrv_result result;
    struct items items;
    if (!enqueue(k, "a record", &result) || !scan(k, ITEMS_MAX, &items))
        return;
    const struct item *item = find(&items, result.queue);
    mailsrv__kit_expect(k, result.queue != 0 && item != NULL, "the queue does not have what was put into it");
    mailsrv__kit_expect(k, has_record(item, "a record"), "an item has another record");
    mailsrv__kit_expect(k, item != NULL && item->octets == 300, "an item has another size");
}

static void pages(struct kit *k)
{
    mailsrv_result result;
    struct items items;
    for (int i = 0; i < 5; i++)
        if (!enqueue(k, "one of five", &result))
            return;
    if (scan(k, 2, &items))
        mailsrv__kit_expect(k, items.n == 5, "items are missing behind the end of a page");
}

static void replaced(struct kit *k)
{
    mailsrv_result result;
    struct items items;
    if (!enqueue(k, "before", &result))
        return;
    int32_t status = update_item(k, result.queue, "and after", KIT_NOW, "lane.test");
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OK, "QUEUE_UPDATE") && scan(k, ITEMS_MAX, &items))
        mailsrv__kit_expect(k, has_record(find(&items, result.queue), "and after"), "QUEUE_UPDATE changed nothing");
}

static void deleted(struct kit *k)
{
    mailsrv_result results[2];
    struct items items;
    if (!enqueue(k, "goes", &results[0]) || !enqueue(k, "stays", &results[1]))
        return;
    uint64_t queues[2] = { results[0].queue, results[1].queue + 1000 };
    if (!mailsrv__kit_expect_status(k, delete_items(k, queues, 2), MAILSRV_OK, "QUEUE_DELETE") ||
        !scan(k, ITEMS_MAX, &items))
        return;
    mailsrv__kit_expect(k, find(&items, results[0].queue) == NULL, "a deleted item is still there");
    mailsrv__kit_expect(k, find(&items, results[1].queue) != NULL, "QUEUE_DELETE took an item that it did not name");
}

static void numbers(struct kit *k)
{
    mailsrv_result results[3];
    if (!enqueue(k, "one", &results[0]) || !enqueue(k, "two", &results[1]))
        return;
    mailsrv__kit_expect(k, results[0].queue != results[1].queue, "two items have one number");
    if (mailsrv__kit_expect_status(k, delete_items(k, &results[1].queue, 1), MAILSRV_OK, "QUEUE_DELETE") &&
        enqueue(k, "three", &results[2]))
        mailsrv__kit_expect(k, results[2].queue != results[1].queue && results[2].queue != results[0].queue,
                            "the number of a deleted item is given again");
}

static void beside_a_mailbox(struct kit *k)
{
    struct staged body;
    struct items items;
    mailsrv_result results[2];
    mailsrv_target targets[2] = { mailsrv__kit_to_inbox(k, 0), mailsrv__kit_to_queue("beside") };
    if (!mailsrv__kit_stage(k, 0, 111, 300, PIECE_MAX, &body))
        return;
    mailsrv__kit_commit(k, &body, targets, 2, 0, results);
    mailsrv__kit_expect_status(k, results[0].status, MAILSRV_OK, "BODY_COMMIT to a mailbox beside the queue");
    mailsrv__kit_expect_status(k, results[1].status, MAILSRV_OK, "BODY_COMMIT to the queue beside a mailbox");
    if (scan(k, ITEMS_MAX, &items))
        mailsrv__kit_expect(k, items.n == 1, "the queue does not have what was put into it beside a mailbox");
}

static void updated_when_gone(struct kit *k)
{
    mailsrv_result result;
    if (!enqueue(k, "goes", &result) ||
        !mailsrv__kit_expect_status(k, delete_items(k, &result.queue, 1), MAILSRV_OK, "QUEUE_DELETE"))
        return;
    mailsrv__kit_expect_status(k, update_item(k, result.queue, "after", KIT_NOW, ""), MAILSRV_NONEXISTENT,
                               "QUEUE_UPDATE of a deleted item");
}

/* ---- Times and lanes ---- */

static void keeps_due_and_lane(struct kit *k)
{
    mailsrv_result results[2];
    struct items items;
    if (!enqueue_at(k, "one", INT64_MIN + 1, "one.test", &results[0]) ||
        !enqueue_at(k, "two", INT64_MAX, "", &results[1]) || !scan(k, ITEMS_MAX, &items))
        return;
    const struct item *one = find(&items, results[0].queue), *two = find(&items, results[1].queue);
    mailsrv__kit_expect(k, one != NULL && one->due_us == INT64_MIN + 1 && two != NULL && two->due_us == INT64_MAX,
                        "an item has another time");
    mailsrv__kit_expect(k, has_lane(one, "one.test") && has_lane(two, ""), "an item has another lane");
}

/* Items whose times are not in the order of their numbers; two are due together, and some lie on the bounds. */
#define SOME_ITEMS 8
static const struct {
    int64_t due_us;
    const char *lane;
} some_items[SOME_ITEMS] = {
    { 70, "a.test" }, { -10, "a.test" }, { 20, "b.test" }, { -5, "a.test" },
    { 20, "a.test" }, { 20, "a.test" },  { 90, "a.test" }, { 91, "a.test" },
};
static const uint32_t by_due[] = { 3, 2, 4, 5, 0, 6 }, of_lane[] = { 3, 4, 5, 0, 6 };

static bool enqueue_some(struct kit *k, const char *record, mailsrv_result results[SOME_ITEMS])
{
    for (int i = 0; i < SOME_ITEMS; i++)
        if (!enqueue_at(k, record, some_items[i].due_us, some_items[i].lane, &results[i]))
            return false;
    return true;
}

/* Are they those, in that order? */
static bool are(const struct items *items, const mailsrv_result *results, const uint32_t *which, uint32_t n)
{
    bool same = items->n == n;
    for (uint32_t i = 0; same && i < n; i++)
        same = items->items[i].queue == results[which[i]].queue;
    return same;
}

static void orders_by_due(struct kit *k)
{
    mailsrv_result results[SOME_ITEMS];
    struct items items;
    if (enqueue_some(k, "by time", results) && scan_as(k, in_order(MAILSRV_QUEUE_BY_DUE, -10, 90, ""), &items))
        mailsrv__kit_expect(k, are(&items, results, by_due, 6),
                            "QUEUE_SCAN by time does not give those within its bounds, by time and number");
}

static void orders_by_lane(struct kit *k)
{
    mailsrv_result results[SOME_ITEMS];
    struct items items;
    if (enqueue_some(k, "by lane", results) && scan_as(k, in_order(MAILSRV_QUEUE_BY_LANE, -10, 90, "a.test"), &items))
        mailsrv__kit_expect(k, are(&items, results, of_lane, 5),
                            "QUEUE_SCAN by lane does not give those of the lane within its bounds, in order");
}

/* The last item of a page goes, and two come that stand before it: all others are on exactly one page. */
static void goes_on(struct kit *k)
{
    mailsrv_result results[SOME_ITEMS], other;
    struct items items;
    bool more = true;
    mailsrv_arg_queue_scan arg = in_order(MAILSRV_QUEUE_BY_DUE, -10, 90, "");
    memset(&items, 0, sizeof items);
    if (!enqueue_some(k, "stay", results) || !scan_page(k, &arg, &items, &more) ||
        !mailsrv__kit_expect(k, more && items.n != 0, "a page by time that is cut has no cursor"))
        return;
    mailsrv__kit_expect_status(k, delete_items(k, &items.items[items.n - 1].queue, 1), MAILSRV_OK, "QUEUE_DELETE");
    if (!enqueue_at(k, "comes", -7, "a.test", &other) || !enqueue_at(k, "comes", -6, "a.test", &other))
        return;
    while (more)
        if (!scan_page(k, &arg, &items, &more))
            return;
    mailsrv__kit_expect(k, are(&items, results, by_due, 6),
                        "while items come and go, one that stays is on no page by time, or on two");
}

static void moves(struct kit *k)
{
    mailsrv_result results[SOME_ITEMS];
    struct items items;
    if (!enqueue_some(k, "moves", results))
        return;
    int32_t status = update_item(k, results[6].queue, "moved", 10, "b.test");
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "QUEUE_UPDATE") ||
        !scan_as(k, in_order(MAILSRV_QUEUE_BY_LANE, -10, 90, "b.test"), &items))
        return;
    static const uint32_t now[] = { 6, 2 };
    mailsrv__kit_expect(k, are(&items, results, now, 2), "an item is not where QUEUE_UPDATE has moved it to");
    if (scan_as(k, in_order(MAILSRV_QUEUE_BY_LANE, -10, 90, "a.test"), &items))
        mailsrv__kit_expect(k, are(&items, results, of_lane, 4), "an item is where QUEUE_UPDATE has moved it from");
}

/* ---- READ ---- */

static const char prefix[] = "X-Kit: queued\r\n";

static bool enqueue_to_read(struct kit *k, const struct expected *message, mailsrv_result *result)
{
    mailsrv_target target = mailsrv__kit_to_queue("to be read");
    target.prefix = mailsrv__kit_bytes(message->prefix);
    return mailsrv__kit_send(k, 0, &target, message->seed, message->octets, result) &&
           mailsrv__kit_expect_status(k, result->status, MAILSRV_OK, "BODY_COMMIT to the queue");
}

static const mailsrv_answer *read_item(struct kit *k, uint64_t queue, uint64_t handle, uint64_t offset, uint64_t n,
                                       mailsrv_asked **question)
{
    mailsrv_arg_read arg = { .size = sizeof arg, .handle = handle, .offset = offset, .octets = n, .queue = queue };
    return mailsrv__kit_hear(k, 0, MAILSRV_OP_READ, NULL, &arg, question);
}

/* One question, without a handle; how many octets came, 0 when it failed. */
static uint64_t read_some(struct kit *k, uint64_t queue, const struct expected *message, uint64_t offset, uint64_t n)
{
    mailsrv_asked *question;
    const mailsrv_answer *answer = read_item(k, queue, 0, offset, n, &question);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ of an item"))
        return 0;
    mailsrv_bytes octets = ((const mailsrv_read_bytes *)answer->value)->octets;
    uint64_t got = octets.n;
    mailsrv__kit_expect(k, got != 0 && got <= n && mailsrv__kit_is(message, offset, octets),
                        "READ of an item gives other octets");
    mailsrv__kit_drop(k, question);
    return k->failed ? 0 : got;
}

static void read_whole(struct kit *k)
{
    static const uint64_t offsets[] = { 0, 1, 14, 15, 16, 700, 5000 };
    const struct expected message = { prefix, 112, 5000 };
    mailsrv_result result;
    if (!enqueue_to_read(k, &message, &result))
        return;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        if (read_some(k, result.queue, &message, offsets[i], 10) == 0)
            return;
    uint64_t all = sizeof prefix - 1 + message.octets, got = 1;
    for (uint64_t at = 0; at < all && got != 0; at += got)
        got = read_some(k, result.queue, &message, at, all - at);
}

static void read_when_gone(struct kit *k)
{
    const struct expected message = { prefix, 113, 100 };
    mailsrv_result result;
    mailsrv_asked *question;
    if (!enqueue_to_read(k, &message, &result) ||
        !mailsrv__kit_expect_status(k, delete_items(k, &result.queue, 1), MAILSRV_OK, "QUEUE_DELETE"))
        return;
    const mailsrv_answer *answer = read_item(k, result.queue, 0, 0, 100, &question);
    if (answer != NULL)
        mailsrv__kit_expect_status(k, answer->status, MAILSRV_GONE, "READ of a deleted item");
}

/* By its handle the reading goes on, or ends with MAILSRV_GONE; what came before stays as it is. */
static void deleted_while_read(struct kit *k)
{
    const struct expected message = { prefix, 114, 3000 };
    mailsrv_result result;
    mailsrv_asked *first, *next;
    if (!enqueue_to_read(k, &message, &result))
        return;
    const mailsrv_answer *answer = read_item(k, result.queue, 0, 0, 1000, &first);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ of an item"))
        return;
    const mailsrv_read_bytes read = *(const mailsrv_read_bytes *)answer->value;
    mailsrv__kit_expect_status(k, delete_items(k, &result.queue, 1), MAILSRV_OK, "QUEUE_DELETE of what is read");
    if (!enqueue(k, "another", &result))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_is(&message, 0, read.octets), "octets of an item changed while they were lent");
    if (read.handle == 0 || k->failed)
        return;
    answer = read_item(k, result.queue, read.handle, read.octets.n, 1000, &next);
    if (answer == NULL || answer->status == MAILSRV_GONE)
        return;
    if (mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ of a deleted item by its handle"))
        mailsrv__kit_expect(k, mailsrv__kit_is(&message, read.octets.n,
                                               ((const mailsrv_read_bytes *)answer->value)->octets),
                            "READ of a deleted item by its handle gives other octets");
    mailsrv__kit_drop(k, next);
}

const struct check mailsrv__kit_queue[] = {
    { "the queue gives back what it was given", NEEDS, gives_back },
    { "a page of the queue that is cut has a cursor", NEEDS, pages },
    { "a record is replaced", NEEDS, replaced },
    { "deleted items are gone", NEEDS, deleted },
    { "queue numbers are not given again", NEEDS, numbers },
    { "the queue stands beside a mailbox", NEEDS, beside_a_mailbox },
    { "a deleted item has no record to be replaced", NEEDS, updated_when_gone },
    { "an item keeps its time and its lane", NEEDS, keeps_due_and_lane },
    { "the queue is scanned by time", NEEDS, orders_by_due },
    { "the queue is scanned by lane", NEEDS, orders_by_lane },
    { "pages by time go on while items come and go", NEEDS, goes_on },
    { "an update moves an item to another time and lane", NEEDS, moves },
    { "an item of the queue is read", NEEDS, read_whole },
    { "a deleted item cannot be read", NEEDS, read_when_gone },
    { "an item is deleted while it is read", NEEDS, deleted_while_read },
    { NULL, 0, NULL },
};
