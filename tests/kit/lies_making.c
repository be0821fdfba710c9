/* Lies about the making and removing of mailboxes. */
#include "liar.h"

#include <string.h>

static bool is_create(const struct telling *t, const char *name)
{
    return t->op.kind == MAILSRV_OP_MBOX_CREATE && is_named(((const mailsrv_arg_mbox_create *)t->op.arg)->name, name);
}

/* Is it the removal of the first account's mailbox of that name? */
static bool is_delete(const struct liar *liar, const struct telling *t, const char *text)
{
    const struct name *name = name_in(liar, text);
    return t->op.kind == MAILSRV_OP_MBOX_DELETE && name != NULL && name->mailbox != NULL &&
           mailsrv__memory_same_id(&((const mailsrv_arg_mbox_delete *)t->op.arg)->mailbox, &name->mailbox->id);
}

static bool is_open(const struct telling *t, const char *name)
{
    return t->op.kind == MAILSRV_OP_MBOX_OPEN && is_named(((const mailsrv_arg_mbox_open *)t->op.arg)->name, name);
}

static void another_uidvalidity(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_open(t, "opens/a"))
        t->reply.value.mbox_opened.uidvalidity++;
}

/* Says that a mailbox was made. */
static void says_made(struct telling *t)
{
    t->status = MAILSRV_OK;
    t->reply.has_value = true;
    t->reply.value.mbox_created = (mailsrv_mbox_created){ sizeof(mailsrv_mbox_created), 77, { { 7 } }, 77 };
}

static void made_twice(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_create(t, "taken") && t->status == MAILSRV_ALREADYEXISTS)
        says_made(t);
}

static void another_inbox(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_create(t, "inbox"))
        says_made(t);
}

static enum go without_case(struct liar *liar, struct telling *t)
{
    if (!is_open(t, "CASE"))
        return GO_ON;
    liar->is.arg.mbox_open = *(const mailsrv_arg_mbox_open *)t->op.arg;
    liar->is.arg.mbox_open.name = (mailsrv_bytes){ (const uint8_t *)"case", 4 };
    t->op.arg = &liar->is.arg.mbox_open;
    return GO_ON;
}

static enum go inbox_with_case(struct liar *liar, struct telling *t)
{
    (void)liar;
    return is_open(t, "INBOX/case") ? refuse(t, MAILSRV_NONEXISTENT) : GO_ON;
}

static void takes_controls(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_create(t, "a\tb"))
        says_made(t);
}

static void takes_long_ones(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_MBOX_CREATE &&
        ((const mailsrv_arg_mbox_create *)t->op.arg)->name.n > MAILSRV_MBOX_NAME_MAX)
        says_made(t);
}

static void id_again(struct liar *liar, struct telling *t)
{
    if (!is_create(t, "again"))
        return;
    if (liar->is.flag)
        t->reply.value.mbox_created.mailbox = liar->is.id;
    liar->is.id = t->reply.value.mbox_created.mailbox;
    liar->is.flag = 1;
}

static void uidvalidity_again(struct liar *liar, struct telling *t)
{
    if (!is_create(t, "grows/a"))
        return;
    if (liar->is.flag)
        t->reply.value.mbox_created.uidvalidity = (uint32_t)liar->is.number;
    liar->is.number = t->reply.value.mbox_created.uidvalidity;
    liar->is.flag = 1;
}

static void counts_from_one(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_create(t, "grows/b"))
        t->reply.value.mbox_created.uidvalidity = 1;
}

/* ---- MBOX_DELETE ---- */

static enum go keeps_it(struct liar *liar, struct telling *t)
{
    return is_delete(liar, t, "gone") ? refuse(t, MAILSRV_OK) : GO_ON;
}

static void gone_is_fine(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_MBOX_DELETE && t->status == MAILSRV_NONEXISTENT)
        t->status = MAILSRV_OK;
}

/* A handle of a mailbox that is gone answers as the new one of its name. */
static void handle_lives_on(struct liar *liar, struct telling *t)
{
    const mailsrv_arg_changes *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_CHANGES || t->status != MAILSRV_NONEXISTENT)
        return;
    const struct handle *h = mailsrv__memory_handle_find(store_of(liar), arg->mbox, HANDLE_MAILBOX);
    if (h == NULL || !h->mailbox->gone)
        return;
    t->status = MAILSRV_OK;
    t->reply.has_value = true;
    t->reply.value.changes = (mailsrv_changes){ .size = sizeof(mailsrv_changes),
                                                .stride = sizeof(mailsrv_row),
                                                .upto = h->account->modseq,
                                                .horizon = h->account->modseq };
}

static void inbox_goes(struct liar *liar, struct telling *t)
{
    if (is_delete(liar, t, "INBOX"))
        t->status = MAILSRV_OK;
}

static enum go with_those_below(struct liar *liar, struct telling *t)
{
    if (is_delete(liar, t, "upper"))
        mailsrv__memory_remove_mailbox(store_of(liar), name_in(liar, "upper/lower")->mailbox);
    return GO_ON;
}

/* ---- Import ---- */

static uint32_t imports(const struct telling *t)
{
    return is_create(t, "imported") ? ((const mailsrv_arg_mbox_create *)t->op.arg)->uidvalidity : 0;
}

static enum go a_new_one(struct liar *liar, struct telling *t)
{
    if (imports(t) == 0)
        return GO_ON;
    liar->is.arg.mbox_create = *(const mailsrv_arg_mbox_create *)t->op.arg;
    liar->is.arg.mbox_create.uidvalidity = 0;
    t->op.arg = &liar->is.arg.mbox_create;
    return GO_ON;
}

static void imported_twice(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (imports(t) == 77 && t->status == MAILSRV_ALREADYEXISTS)
        says_made(t);
}

/* ---- By whom it is seen ---- */

static void seen_here_only(struct liar *liar, struct telling *t)
{
    mailsrv_mbox_entry *entries = store_of(liar)->page.entries;
    mailsrv_mbox_listed *listed = &t->reply.value.mbox_listed;
    if (is_create(t, "everywhere"))
        liar->is.engine = t->engine;
    if (t->op.kind != MAILSRV_OP_MBOX_LIST || liar->is.engine == NULL || liar->is.engine == t->engine)
        return;
    for (uint32_t i = 0; i < listed->n; i++)
        if (is_named(entries[i].name, "everywhere"))
            entries[i] = entries[--listed->n];
}

static int32_t loses_mailboxes(struct liar *liar)
{
    struct account *a = name_in(liar, "INBOX")->mailbox->account;
    for (size_t i = 0; i < a->n_names; i++)
        if (a->names[i]->mailbox != NULL && a->names[i]->mailbox != a->inbox)
            mailsrv__memory_remove_mailbox(store_of(liar), a->names[i]->mailbox);
    return MAILSRV_OK;
}

static int32_t loses_subscriptions(struct liar *liar)
{
    struct account *a = name_in(liar, "INBOX")->mailbox->account;
    for (size_t i = 0; i < a->n_names; i++)
        a->names[i]->subscribed = false;
    return MAILSRV_OK;
}

static int32_t counts_anew(struct liar *liar)
{
    struct account *a = name_in(liar, "INBOX")->mailbox->account;
    a->last_uidvalidity -= a->n_mailboxes != 1;
    return MAILSRV_OK;
}

const struct lie lies_making[] = {
    { .check = "a mailbox that was made opens", .what = "with another UIDVALIDITY", .after = another_uidvalidity },
    { .check = "a name is taken once", .what = "as often as one likes", .after = made_twice },
    { .check = "a name is taken once", .what = "but for INBOX", .after = another_inbox },
    { .check = "names are compared octet by octet", .what = "without case", .before = without_case },
    { .check = "names are compared octet by octet", .what = "INBOX, too", .before = inbox_with_case },
    { .check = "what is no name is refused", .what = "controls are taken", .after = takes_controls },
    { .check = "what is no name is refused", .what = "long ones are taken", .after = takes_long_ones },
    { .check = "an id is given once", .what = "again with its name", .after = id_again },
    { .check = "UIDVALIDITY grows", .what = "it is the name's", .after = uidvalidity_again },
    { .check = "UIDVALIDITY grows", .what = "it begins at 1", .after = counts_from_one },
    { .check = "UIDVALIDITY is imported", .what = "a new one is given", .before = a_new_one },
    { .check = "UIDVALIDITY is imported", .what = "as often as one likes", .after = imported_twice },
    { .check = "a deleted mailbox is gone", .what = "it is still there", .before = keeps_it },
    { .check = "a deleted mailbox is gone", .what = "and can be deleted again", .after = gone_is_fine },
    { .check = "a mailbox may go while it is open", .what = "its handle lives on", .after = handle_lives_on },
    { .check = "INBOX is not deleted", .what = "it is said to be", .after = inbox_goes },
    { .check = "what lies below a deleted mailbox stays", .what = "it goes, too", .before = with_those_below },
    { .check = "mailboxes are seen by another engine", .what = "not yet", .after = seen_here_only },
    { .check = "mailboxes survive", .what = "they do not", .reopen = loses_mailboxes },
    { .check = "mailboxes survive", .what = "without subscriptions", .reopen = loses_subscriptions },
    { .check = "mailboxes survive", .what = "a UIDVALIDITY is given again", .reopen = counts_anew },
    { 0 },
};
