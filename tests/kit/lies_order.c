#include "liar.h"

#include <string.h>

/* Leaves the row with that UID out of a page. */
static void leave_out(struct liar *liar, struct telling *t, uint32_t uid)
{
    mailsrv_row *rows = store_of(liar)->page.rows;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->reply.value.rows.n; i++)
        if (rows[i].uid != uid)
            rows[kept++] = rows[i];
    t->reply.value.rows.n = kept;
}

/* ---- Two commits, and the later one is seen first: the first waits, unseen, until nothing else happens. ---- */

static enum go holds_the_first(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_BODY_COMMIT || liar->is.held.engine != NULL)
        return GO_ON;
    t->status = mailsrv__memory_perform(store_of(liar), t->from, &t->op, &t->reply);
    liar->is.uid = result_of(t, 0) != NULL ? result_of(t, 0)->uid : 0;
    liar->is.held = *t;
    return SAY_NOTHING;
}

static void hides_the_first(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_ROWS && liar->is.held.engine != NULL && liar->is.uid != 0)
        leave_out(liar, t, liar->is.uid);
}

static int32_t lets_the_first_go(struct liar *liar)
{
    if (liar->is.held.engine == NULL)
        return 0;
    struct telling t = liar->is.held;
    liar->is.held.engine = NULL;
    tell(liar, &t);
    return 1;
}

/* ---- Rows as they were when the mailbox was first looked at ---- */

static void old_rows(struct liar *liar, struct telling *t)
{
    const mailsrv_arg_rows *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_ROWS)
        return;
    uint32_t uidnext = mailsrv__memory_handle_find(store_of(liar), arg->mbox, HANDLE_MAILBOX)->account->inbox->uidnext;
    if (liar->is.handle != arg->mbox) {
        liar->is.handle = arg->mbox;
        liar->is.uid = uidnext;
    }
    for (uint32_t uid = liar->is.uid; uid < uidnext; uid++)
        leave_out(liar, t, uid);
}

/* ---- A commit is answered, and another engine does not see it yet ---- */

static void answered_too_early(struct liar *liar, struct telling *t)
{
    if (result_of(t, 0) != NULL && name_in(liar, "INBOX")->mailbox->account->n_mailboxes == 1) {
        liar->is.engine = t->engine;
        liar->is.uid = result_of(t, 0)->uid;
    }
    if (t->op.kind == MAILSRV_OP_ROWS && t->engine != liar->is.engine && liar->is.uid == 1)
        leave_out(liar, t, 1);
}

/* ---- What one engine expunged another still shows ---- */

static void expunged_late(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_EXPUNGE)
        liar->is.engine = t->engine;
    if (t->op.kind != MAILSRV_OP_ROWS)
        return;
    mailsrv_rows *rows = &t->reply.value.rows;
    if (liar->is.engine == NULL) {
        liar->is.count = rows->n;
        liar->is.row = store_of(liar)->page.rows[0];
    } else if (liar->is.engine != t->engine && liar->is.count == 1) {
        store_of(liar)->page.rows[0] = liar->is.row;
        rows->n = 1;
    }
}

/* ---- Nothing was on the disk ---- */

static int32_t opens_empty(struct liar *liar)
{
    if (name_in(liar, "INBOX")->mailbox->account->n_mailboxes != 1)
        return MAILSRV_OK; /* it is mailboxes that are looked for */
    world_close(&liar->world);
    return world_open(&liar->world);
}

const struct lie lies_order[] = {
    { .check = "messages appear in order", .what = "the later one first", .before = holds_the_first,
      .after = hides_the_first, .drive = lets_the_first_go },
    { .check = "a mailbox shows what was stored since", .what = "it is as it was", .after = old_rows },
    { .check = "a commit is seen by another engine", .what = "it was answered before", .after = answered_too_early },
    { .check = "an expunge is seen by another engine", .what = "not yet", .after = expunged_late },
    { .check = "what was acknowledged survives", .what = "it was never written", .reopen = opens_empty },
    { 0 },
};
