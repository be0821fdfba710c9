#include "liar.h"

#include <string.h>

/* ---- Users ---- */

static void everybody_is_kim(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_AUTH_VERIFY && t->status == MAILSRV_OK)
        t->reply.value.identity.account = liar->world.accounts[1];
}

static void no_password_will_do(struct liar *liar, struct telling *t)
{
    const mailsrv_arg_auth_verify *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_AUTH_VERIFY || t->status != MAILSRV_DENIED || arg->password.n != 0)
        return;
    t->status = MAILSRV_OK;
    t->reply.has_value = true;
    t->reply.value.identity = (mailsrv_identity){ sizeof(mailsrv_identity), 0, liar->world.accounts[0] };
}

static void tells_who_exists(struct liar *liar, struct telling *t)
{
    const mailsrv_arg_auth_verify *arg = t->op.arg;
    mailsrv_id id;
    if (t->op.kind == MAILSRV_OP_AUTH_VERIFY &&
        mailsrv_memory_find_account(liar->world.store, (const char *)arg->user.p, arg->user.n, &id) != MAILSRV_OK)
        t->status = MAILSRV_NONEXISTENT;
}

/* ---- Mailboxes ---- */

static enum go inbox_in_capitals(struct liar *liar, struct telling *t)
{
    (void)liar;
    const mailsrv_arg_mbox_open *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_MBOX_OPEN || arg->name.n != 5 || (arg->name.p[4] | 0x20) != 'x' ||
        is_named(arg->name, "INBOX"))
        return GO_ON;
    return refuse(t, MAILSRV_NONEXISTENT);
}

static enum go not_by_id(struct liar *liar, struct telling *t)
{
    const mailsrv_arg_mbox_open *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_MBOX_OPEN ||
        !mailsrv__memory_same_id(&arg->mailbox, &name_in(liar, "INBOX")->mailbox->id))
        return GO_ON;
    return refuse(t, MAILSRV_NONEXISTENT);
}

static enum go all_is_inbox(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_MBOX_OPEN ||
        !is_named(((const mailsrv_arg_mbox_open *)t->op.arg)->name, "No such mailbox"))
        return GO_ON;
    liar->is.arg.mbox_open = *(const mailsrv_arg_mbox_open *)t->op.arg;
    liar->is.arg.mbox_open.name = (mailsrv_bytes){ (const uint8_t *)"INBOX", 5 };
    t->op.arg = &liar->is.arg.mbox_open;
    return GO_ON;
}

static void counts_one_more(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_MBOX_OPEN && t->status == MAILSRV_OK && t->reply.value.mbox_opened.exists == 3)
        t->reply.value.mbox_opened.exists++;
}

static void uidnext_is_taken(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_MBOX_OPEN && t->status == MAILSRV_OK && t->reply.value.mbox_opened.exists == 3)
        t->reply.value.mbox_opened.uidnext--;
}

/* ---- Rows ---- */

static bool is_rows(const struct telling *t, uint32_t limit)
{
    return t->op.kind == MAILSRV_OP_ROWS && t->status == MAILSRV_OK &&
           ((const mailsrv_arg_rows *)t->op.arg)->limit == limit;
}

static void rows_mixed(struct liar *liar, struct telling *t)
{
    if (!is_rows(t, 40))
        return;
    mailsrv_row *rows = store_of(liar)->page.rows;
    mailsrv_row first = rows[0];
    rows[0] = rows[t->reply.value.rows.n - 1];
    rows[t->reply.value.rows.n - 1] = first;
}

static void cut_without_cursor(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_rows(t, 2))
        t->reply.value.rows.more = 0;
}

static void pages_without_end(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (!is_rows(t, 1) || t->reply.value.rows.more != 0)
        return;
    t->reply.value.rows.more = 1;
    t->reply.value.rows.next = mailsrv__memory_cursor((struct place){ .from = UINT32_MAX });
}

static enum go first_run_only(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_ROWS)
        return GO_ON;
    liar->is.arg.rows = *(const mailsrv_arg_rows *)t->op.arg;
    liar->is.arg.rows.n_uids = 1;
    t->op.arg = &liar->is.arg.rows;
    return GO_ON;
}

static void rows_from_nowhere(struct liar *liar, struct telling *t)
{
    const mailsrv_arg_rows *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_ROWS || t->reply.value.rows.n != 0 || arg->uids[0].first == 1)
        return;
    store_of(liar)->page.rows[0] = (mailsrv_row){ .uid = arg->uids[0].first };
    t->reply.value.rows.n = 1;
}

static void one_octet_less(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_ROWS)
        return;
    for (uint32_t i = 0; i < t->reply.value.rows.n; i++)
        if (store_of(liar)->page.rows[i].octets > 500)
            store_of(liar)->page.rows[i].octets--;
}

/* ---- Locks ---- */

static void locks_for_all(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind != MAILSRV_OP_LOCK || t->status != MAILSRV_INUSE)
        return;
    t->status = MAILSRV_OK;
    t->reply.has_value = true;
    t->reply.value.locked = (mailsrv_locked){ sizeof(mailsrv_locked), 0, 888888 };
}

static enum go locked_for_ever(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_UNLOCK)
        liar->is.flag = 1;
    return t->op.kind == MAILSRV_OP_LOCK && liar->is.flag ? refuse(t, MAILSRV_INUSE) : GO_ON;
}

static enum go one_lock_for_all(struct liar *liar, struct telling *t)
{
    return t->op.kind == MAILSRV_OP_LOCK && store_of(liar)->open[HANDLE_LOCK] != 0 ? refuse(t, MAILSRV_INUSE) : GO_ON;
}

static enum go locked_against_mail(struct liar *liar, struct telling *t)
{
    bool locked = store_of(liar)->open[HANDLE_LOCK] != 0;
    return t->op.kind == MAILSRV_OP_BODY_COMMIT && locked ? refuse(t, MAILSRV_INUSE) : GO_ON;
}

const struct lie lies_mailbox[] = {
    { .check = "the right password is right", .what = "for another account", .after = everybody_is_kim },
    { .check = "a wrong password is denied", .what = "an empty one is not", .after = no_password_will_do },
    { .check = "an unknown user is denied", .what = "he is said not to exist", .after = tells_who_exists },
    { .check = "INBOX has no case", .what = "it has", .before = inbox_in_capitals },
    { .check = "a mailbox opens by its id", .what = "it does not", .before = not_by_id },
    { .check = "an unknown mailbox is nonexistent", .what = "it is INBOX", .before = all_is_inbox },
    { .check = "opening tells what is there", .what = "one more", .after = counts_one_more },
    { .check = "opening tells what is there", .what = "a UIDNEXT that is taken", .after = uidnext_is_taken },
    { .check = "rows ascend", .what = "two are exchanged", .after = rows_mixed },
    { .check = "a page that is cut has a cursor", .what = "it has none", .after = cut_without_cursor },
    { .check = "pages end", .what = "they go on for ever", .after = pages_without_end },
    { .check = "rows are those asked for", .what = "only those of the first run", .before = first_run_only },
    { .check = "no rows where no messages are", .what = "there is one", .after = rows_from_nowhere },
    { .check = "sizes are prefix and body", .what = "less one", .after = one_octet_less },
    { .check = "a lock keeps others out", .what = "there is one for each", .after = locks_for_all },
    { .check = "unlocking lets others in", .what = "it stays locked", .before = locked_for_ever },
    { .check = "a lock is one account's", .what = "it is everybody's", .before = one_lock_for_all },
    { .check = "a lock lets mail in", .what = "it keeps mail out", .before = locked_against_mail },
    { 0 },
};
