/* Lies about lists of names, MBOX_STATUS and subscriptions. */
#include "liar.h"

#include <string.h>

static bool is_list(const struct telling *t, uint32_t limit)
{
    return t->op.kind == MAILSRV_OP_MBOX_LIST && t->status == MAILSRV_OK &&
           ((const mailsrv_arg_mbox_list *)t->op.arg)->limit == limit;
}

/* With a `since`: the first question only asks where it ends. */
static bool is_changes(const struct telling *t, uint32_t limit)
{
    const mailsrv_arg_changes *arg = t->op.arg;
    return t->op.kind == MAILSRV_OP_CHANGES && t->status == MAILSRV_OK && arg->mbox == 0 && arg->limit == limit &&
           arg->since != 0;
}

static void last_left_out(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_list(t, 60) && t->reply.value.mbox_listed.n != 0)
        t->reply.value.mbox_listed.n--;
}

static void two_exchanged(struct liar *liar, struct telling *t)
{
    if (!is_list(t, 60) || t->reply.value.mbox_listed.n < 2)
        return;
    mailsrv_mbox_entry *entries = store_of(liar)->page.entries, first = entries[0];
    entries[0] = entries[1];
    entries[1] = first;
}

static void cut_without_cursor(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_list(t, 2))
        t->reply.value.mbox_listed.more = 0;
}

/* ---- MBOX_STATUS ---- */

static void deleted_are_gone(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_MBOX_STATUS && t->status == MAILSRV_OK)
        t->reply.value.mbox_status.exists -= t->reply.value.mbox_status.deleted;
}

static void another_by_id(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_MBOX_STATUS && t->reply.value.mbox_status.deleted != 0 &&
        !mailsrv__memory_no_id(&((const mailsrv_arg_mbox_status *)t->op.arg)->mailbox))
        t->reply.value.mbox_status.uidvalidity++;
}

static enum go it_is_inbox(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_MBOX_STATUS ||
        !is_named(((const mailsrv_arg_mbox_status *)t->op.arg)->name, "No such status"))
        return GO_ON;
    liar->is.arg.mbox_status = *(const mailsrv_arg_mbox_status *)t->op.arg;
    liar->is.arg.mbox_status.name = (mailsrv_bytes){ (const uint8_t *)"INBOX", 5 };
    t->op.arg = &liar->is.arg.mbox_status;
    return GO_ON;
}

static void seen_by_looking(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_MBOX_STATUS && t->status == MAILSRV_OK &&
        is_named(((const mailsrv_arg_mbox_status *)t->op.arg)->name, "INBOX"))
        name_in(liar, "INBOX")->mailbox->recent = t->reply.value.mbox_status.uidnext - 1;
}

/* ---- Subscriptions ---- */

static enum go only_what_is_there(struct liar *liar, struct telling *t)
{
    (void)liar;
    return t->op.kind == MAILSRV_OP_MBOX_SUBSCRIBE &&
                   is_named(((const mailsrv_arg_mbox_subscribe *)t->op.arg)->name, "alone/x")
               ? refuse(t, MAILSRV_NONEXISTENT)
               : GO_ON;
}

static enum go unsubscribes(struct liar *liar, struct telling *t)
{
    struct name *name = name_in(liar, "stays");
    if (t->op.kind == MAILSRV_OP_MBOX_DELETE && name != NULL)
        name->subscribed = false;
    return GO_ON;
}

/* ---- CHANGES ---- */

static void gone_without_a_word(struct liar *liar, struct telling *t)
{
    mailsrv_mbox_entry *entries = store_of(liar)->page.entries;
    uint32_t kept = 0;
    if (!is_changes(t, 61))
        return;
    for (uint32_t i = 0; i < t->reply.value.changes.n_entries; i++)
        if (!mailsrv__memory_no_id(&entries[i].mailbox) || entries[i].attributes != 0)
            entries[kept++] = entries[i];
    t->reply.value.changes.n_entries = kept;
}

static void subscription_without_a_word(struct liar *liar, struct telling *t)
{
    mailsrv_mbox_entry *entries = store_of(liar)->page.entries;
    if (is_changes(t, 61))
        for (uint32_t i = 0; i < t->reply.value.changes.n_entries; i++)
            entries[i].attributes = 0;
}

static void changes_cut(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_changes(t, 3))
        t->reply.value.changes.more = 0;
}

static void inbox_changes(struct liar *liar, struct telling *t)
{
    if (!is_changes(t, 63) || t->reply.value.changes.n_entries != 0)
        return;
    store_of(liar)->page.entries[0] = (mailsrv_mbox_entry){ .name = { (const uint8_t *)"INBOX", 5 } };
    t->reply.value.changes.n_entries = 1;
}

const struct lie lies_listing[] = {
    { .check = "MBOX_LIST gives every name", .what = "but for the last", .after = last_left_out },
    { .check = "MBOX_LIST gives every name", .what = "two are exchanged", .after = two_exchanged },
    { .check = "a page of MBOX_LIST that is cut has a cursor", .what = "it has none", .after = cut_without_cursor },
    { .check = "MBOX_STATUS agrees with the rows", .what = "deleted ones do not count", .after = deleted_are_gone },
    { .check = "MBOX_STATUS agrees with the rows", .what = "but not by id", .after = another_by_id },
    { .check = "MBOX_STATUS of no mailbox is nonexistent", .what = "it is INBOX's", .before = it_is_inbox },
    { .check = "MBOX_STATUS moves no mark", .what = "nothing is recent after it", .after = seen_by_looking },
    { .check = "a subscription needs no mailbox", .what = "it does", .before = only_what_is_there },
    { .check = "a subscription outlives its mailbox", .what = "it goes, too", .before = unsubscribes },
    { .check = "CHANGES of names tells what became of them",
      .what = "but for those that went",
      .after = gone_without_a_word },
    { .check = "CHANGES of names tells what became of them",
      .what = "but for subscriptions",
      .after = subscription_without_a_word },
    { .check = "a page of CHANGES of names that is cut has a cursor", .what = "it has none", .after = changes_cut },
    { .check = "CHANGES of names tells no mail", .what = "INBOX has changed", .after = inbox_changes },
    { 0 },
};
