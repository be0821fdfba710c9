#include "liar.h"

#include <string.h>

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
    (void)liar;
    if (is_scan(t, 2))
        t->reply.value.queued.more = 0;
}

static enum go keeps_the_old(struct liar *liar, struct telling *t)
{
    (void)liar;
    return t->op.kind == MAILSRV_OP_QUEUE_UPDATE ? refuse(t, MAILSRV_OK) : GO_ON;
}

static enum go deletes_nothing(struct liar *liar, struct telling *t)
{
    (void)liar;
    return t->op.kind == MAILSRV_OP_QUEUE_DELETE ? refuse(t, MAILSRV_OK) : GO_ON;
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

const struct lie lies_queue[] = {
    { .check = "the queue gives back what it was given", .what = "less one octet", .after = cuts_records },
    { .check = "a page of the queue that is cut has a cursor", .what = "it has none", .after = cut_without_cursor },
    { .check = "a record is replaced", .what = "it is not", .before = keeps_the_old },
    { .check = "deleted items are gone", .what = "they stay", .before = deletes_nothing },
    { .check = "queue numbers are not given again", .what = "one is", .after = number_again },
    { .check = "the queue stands beside a mailbox", .what = "only one of them", .after = either_or },
    { 0 },
};
