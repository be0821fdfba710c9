/* The queue. */
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
        size_t n_record;
        uint8_t record[RECORD_MAX];
    } items[ITEMS_MAX];
};

static bool take_page(struct kit *k, const mailsrv_queued *queued, struct items *out)
{
    for (uint32_t i = 0; i < queued->n; i++) {
        mailsrv_queue_item item;
        memcpy(&item, (const char *)queued->items + (size_t)i * queued->stride, sizeof item);
        if (!mailsrv__kit_expect(k, out->n < ITEMS_MAX && item.record.n <= RECORD_MAX,
                                 "QUEUE_SCAN gives more than was queued"))
            return false;
        struct item *to = &out->items[out->n++];
        to->queue = item.queue;
        to->octets = item.octets;
        to->n_record = item.record.n;
        if (item.record.n != 0)
            memcpy(to->record, item.record.p, item.record.n);
    }
    return true;
}

static bool scan(struct kit *k, uint32_t limit, struct items *out)
{
    mailsrv_arg_queue_scan arg;
    memset(&arg, 0, sizeof arg);
    memset(out, 0, sizeof *out);
    arg.size = sizeof arg;
    arg.limit = limit;
    uint32_t pages = 0;
    for (bool more = true; more;) {
        mailsrv_asked *question;
        if (!mailsrv__kit_expect(k, pages++ < PAGES_MAX, "the pages of QUEUE_SCAN never end"))
            return false;
        const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_QUEUE_SCAN, NULL, &arg, &question);
        if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "QUEUE_SCAN") ||
            !take_page(k, answer->value, out))
            return false;
        const mailsrv_queued *queued = answer->value;
        more = queued->more != 0;
        arg.cursor = queued->next;
        mailsrv__kit_drop(k, question);
    }
    return true;
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

static bool enqueue(struct kit *k, const char *record, mailsrv_result *result)
{
    mailsrv_target target = mailsrv__kit_to_queue(record);
    return mailsrv__kit_send(k, 0, &target, 110, 300, result) &&
           mailsrv__kit_expect_status(k, result->status, MAILSRV_OK, "BODY_COMMIT to the queue");
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
    mailsrv_asked *question;
    if (!enqueue(k, "before", &result))
        return;
    mailsrv_arg_queue_update arg = { .size = sizeof arg,
                                     .queue = result.queue,
                                     .record = mailsrv__kit_bytes("and after") };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_QUEUE_UPDATE, NULL, &arg, &question);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "QUEUE_UPDATE"))
        return;
    mailsrv__kit_drop(k, question);
    if (scan(k, ITEMS_MAX, &items))
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

const struct check mailsrv__kit_queue[] = {
    { "the queue gives back what it was given", NEEDS, gives_back },
    { "a page of the queue that is cut has a cursor", NEEDS, pages },
    { "a record is replaced", NEEDS, replaced },
    { "deleted items are gone", NEEDS, deleted },
    { "queue numbers are not given again", NEEDS, numbers },
    { "the queue stands beside a mailbox", NEEDS, beside_a_mailbox },
    { NULL, 0, NULL },
};
