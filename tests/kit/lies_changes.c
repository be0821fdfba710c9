#include "liar.h"

#include <string.h>

static bool is_changes(const struct telling *t, uint32_t limit)
{
    return t->op.kind == MAILSRV_OP_CHANGES && t->status == MAILSRV_OK &&
           (limit == 0 || ((const mailsrv_arg_changes *)t->op.arg)->limit == limit);
}

static void newest_left_out(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_changes(t, 50) && t->reply.value.changes.n != 0)
        t->reply.value.changes.n--;
}

static void old_row(struct liar *liar, struct telling *t)
{
    if (!is_changes(t, 51) || t->reply.value.changes.n != 0)
        return;
    store_of(liar)->page.rows[0] = (mailsrv_row){ .uid = 1, .modseq = 2 };
    t->reply.value.changes.rows = store_of(liar)->page.rows;
    t->reply.value.changes.n = 1;
}

static void forgets_without_a_word(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_changes(t, 52))
        t->reply.value.changes.n_vanished = 0;
}

static void cut_without_cursor(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_changes(t, 2))
        t->reply.value.changes.more = 0;
}

static void flags_of_before(struct liar *liar, struct telling *t)
{
    if (!is_changes(t, 53) || t->reply.value.changes.n == 0)
        return;
    store_of(liar)->page.rows[0].flags = 0;
}

static void always_recent(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_MBOX_OPEN && t->status == MAILSRV_OK)
        t->reply.value.mbox_opened.recent = 0;
}

static enum go adds_instead_of_setting(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_FLAGS)
        return GO_ON;
    liar->is.arg.flags = *(const mailsrv_arg_flags *)t->op.arg;
    if (liar->is.arg.flags.how == MAILSRV_FLAGS_SET)
        liar->is.arg.flags.how = MAILSRV_FLAGS_ADD;
    t->op.arg = &liar->is.arg.flags;
    return GO_ON;
}

static void modseq_for_nothing(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_FLAGS && t->status == MAILSRV_OK && t->reply.value.flagged.modseq == 0)
        t->reply.value.flagged.modseq = store_of(liar)->last_id + 1000;
}

static enum go whatever_changed_since(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_FLAGS)
        return GO_ON;
    liar->is.arg.flags = *(const mailsrv_arg_flags *)t->op.arg;
    liar->is.arg.flags.unchanged_since = UINT64_MAX;
    t->op.arg = &liar->is.arg.flags;
    return GO_ON;
}

static void keywords_lost(struct liar *liar, struct telling *t)
{
    if (is_changes(t, 54))
        for (uint32_t i = 0; i < t->reply.value.changes.n; i++)
            store_of(liar)->page.rows[i].keywords[0] = 0;
}

static void another_email(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_ROWS && t->reply.value.rows.n == 5)
        store_of(liar)->page.rows[4].email = (mailsrv_id){ { 7 } };
    (void)liar;
}

/* What does not fit is left out, and the rest is there though COPY was refused. */
static void copies_what_fits(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_COPY || t->status != MAILSRV_OVERQUOTA)
        return;
    liar->is.arg.copy = *(const mailsrv_arg_copy *)t->op.arg;
    liar->is.run = (mailsrv_run){ liar->is.arg.copy.uids[0].first, liar->is.arg.copy.uids[0].first };
    liar->is.arg.copy.uids = &liar->is.run;
    mailsrv_op op = t->op;
    struct reply reply;
    op.arg = &liar->is.arg.copy;
    mailsrv__memory_perform(store_of(liar), t->from, &op, &reply);
    mailsrv__memory_done(store_of(liar), &reply);
}

/* Of three messages, of which the first was not changed; NULL: it is another question. */
static mailsrv_marked *marked_of_three(struct telling *t)
{
    const mailsrv_arg_flags *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_FLAGS || arg->uids->last != arg->uids->first + 2 || t->reply.value.flagged.n_marked == 0)
        return NULL;
    return t->reply.scratch;
}

static void marked_is_more(struct liar *liar, struct telling *t)
{
    mailsrv_marked *marked = marked_of_three(t);
    (void)liar;
    if (marked != NULL)
        marked->uids.first--;
}

static void marked_as_they_were(struct liar *liar, struct telling *t)
{
    mailsrv_marked *marked = marked_of_three(t);
    (void)liar;
    if (marked != NULL)
        marked->flags = 0;
}

static void since_the_beginning(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (marked_of_three(t) != NULL)
        t->reply.value.flagged.since = 1;
}

const struct lie lies_changes[] = {
    { .check = "CHANGES tells new messages", .what = "but for the newest", .after = newest_left_out },
    { .check = "CHANGES tells nothing old", .what = "an old row", .after = old_row },
    { .check = "CHANGES tells what vanished, or its horizon", .what = "neither", .after = forgets_without_a_word },
    { .check = "a page of CHANGES that is cut has a cursor", .what = "it has none", .after = cut_without_cursor },
    { .check = "flags are seen by another engine", .what = "as they were", .after = flags_of_before },
    { .check = "a message is recent once", .what = "for ever", .after = always_recent },
    { .check = "FLAGS adds, removes and sets", .what = "setting adds", .before = adds_instead_of_setting },
    { .check = "FLAGS that changes nothing has no modseq", .what = "it has one", .after = modseq_for_nothing },
    { .check = "what FLAGS says that it changed is so", .what = "it says more", .after = marked_is_more },
    { .check = "what FLAGS says that it changed is so", .what = "as they were", .after = marked_as_they_were },
    { .check = "what FLAGS says that it changed is so", .what = "nothing came before", .after = since_the_beginning },
    { .check = "unchanged_since is obeyed", .what = "it is ignored", .before = whatever_changed_since },
    { .check = "keywords are names of a dictionary", .what = "rows lose them", .after = keywords_lost },
    { .check = "COPY copies", .what = "with another email", .after = another_email },
    { .check = "COPY is all or nothing", .what = "what fits is copied", .after = copies_what_fits },
    { 0 },
};
