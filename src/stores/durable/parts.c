/* Changes in parts: begun, ended, or dropped. */
#include "durable.h"

#include <string.h>

#define DROP_ROWS 2000 /* in a group, of changes that have no end */

/* What the parts of one change add up to, and which mailbox is to have it. */
struct sum {
    mailsrv_id account;
    int64_t box, uidnext, modseq, base;
    struct counts counts;
};

/* MAILSRV_NONEXISTENT: nothing is being added to that mailbox. */
static int32_t sum_of(struct index *x, const mailsrv_id *mailbox, struct sum *out)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_PARTS_GET, "d", mailbox);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result == SQLITE_ROW) {
        out->account = mailsrv__durable_column_id(row, 0);
        struct counts *counts = &out->counts;
        int64_t *to[] = { &out->box,         &out->uidnext,    &out->modseq,    &counts->messages,
                          &counts->octets, &counts->unseen, &counts->deleted, &out->base };
        for (int i = 0; i < 8; i++)
            *to[i] = sqlite3_column_int64(row, i + 1);
    }
    int32_t status = mailsrv__durable_ended(x, result);
    sqlite3_reset(row);
    return status;
}

/* ---- Planning ---- */

int32_t mailsrv__durable_parts_begin(struct durable *d, struct task *t, const mailsrv_id *account,
                                     const mailsrv_id *mailbox)
{
    mailsrv__durable_put_number(&d->record, ENTRY_PARTS_BEGIN, 1);
    mailsrv__durable_put_id(&d->record, account);
    mailsrv__durable_put_id(&d->record, mailbox);
    t->account = *account;
    t->target = *mailbox;
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

int32_t mailsrv__durable_parts_end(struct durable *d, struct task *t)
{
    mailsrv__durable_put_number(&d->record, ENTRY_PARTS_END, 1);
    mailsrv__durable_put_id(&d->record, &t->target);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* ---- What is left ---- */

static bool delivers_to(const mailsrv_arg_body_commit *arg, const mailsrv_id *account)
{
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        const mailsrv_target *target = (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
        if (target->kind == MAILSRV_TARGET_MAILBOX && memcmp(&target->account, account, sizeof *account) == 0)
            return true;
    }
    return false;
}

/* The queue is nobody's, and a copy may have parts without an end; every other change concerns the account that it is
 * asked for, or, without one, any. */
static bool changes(const struct task *t, const mailsrv_id *account)
{
    static const mailsrv_id nobody;
    if (t->kind == MAILSRV_OP_BODY_COMMIT)
        return delivers_to(t->op->arg, account);
    return t->kind != KIND_ADD_ACCOUNT && t->kind != KIND_SNAPSHOT && t->kind != MAILSRV_OP_QUEUE_UPDATE &&
           t->kind != MAILSRV_OP_QUEUE_DELETE &&
           (memcmp(&t->account, account, sizeof *account) == 0 || memcmp(&t->account, &nobody, sizeof nobody) == 0);
}

static bool goes_on(const struct task *first, const mailsrv_id *mailbox)
{
    for (const struct task *t = first; t != NULL; t = t->next)
        if (t->is_in_parts && memcmp(&t->target, mailbox, sizeof *mailbox) == 0)
            return true;
    return false;
}

/* One that has no end and does not go on, or of these one that a task would change the account of;
 * MAILSRV_NONEXISTENT: there is none. */
static int32_t find_left(struct index *x, const struct task *first, const struct task *t, mailsrv_id *mailbox,
                         mailsrv_id *account)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_PARTS_ALL, "");
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; result == SQLITE_ROW; result = sqlite3_step(row)) {
        *mailbox = mailsrv__durable_column_id(row, 0);
        *account = mailsrv__durable_column_id(row, 1);
        if (!goes_on(first, mailbox) && (t == NULL || changes(t, account)))
            break;
    }
    int32_t status = mailsrv__durable_ended(x, result);
    sqlite3_reset(row);
    return status;
}

/* Where the lowest so many rows of a mailbox from a UID on end: the UID behind; 0: there are no more than these. */
static int32_t some_rows(struct index *x, int64_t box, uint32_t first, uint32_t *left, uint32_t *behind)
{
    struct walk walk;
    struct message_mark mark;
    bool any;
    mailsrv__durable_walk(&walk, x, box, first, UINT32_MAX);
    while ((any = mailsrv__durable_walk_next(&walk, &mark)) && *left != 0)
        --*left;
    *behind = any ? mark.uid : 0;
    return mailsrv__durable_walk_end(&walk);
}

/* At most `*left` rows; with the last of them it ends, and its UIDs and modseqs are spent. */
static int32_t drop_some(struct durable *d, const mailsrv_id *mailbox, uint32_t *left)
{
    struct mailbox mbox;
    struct sum sum;
    uint32_t behind;
    if (sum_of(&d->writer, mailbox, &sum) != MAILSRV_OK ||
        mailsrv__durable_mailbox(&d->writer, mailbox, &mbox) != MAILSRV_OK ||
        some_rows(&d->writer, mbox.box, mbox.uidnext, left, &behind) != MAILSRV_OK)
        return mailsrv__durable_broken(d);
    mailsrv__durable_put_number(&d->record, ENTRY_PARTS_DROP, 1);
    mailsrv__durable_put_id(&d->record, &sum.account);
    mailsrv__durable_put_id(&d->record, mailbox);
    mailsrv__durable_put_number(&d->record, mbox.uidnext, 4);
    mailsrv__durable_put_number(&d->record, behind != 0 ? behind : (uint64_t)sum.uidnext, 4);
    mailsrv__durable_put_number(&d->record, behind != 0 ? 0 : (uint64_t)sum.modseq, 8);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

int32_t mailsrv__durable_parts_drop(struct durable *d, const struct task *first)
{
    mailsrv_id mailbox, account;
    uint32_t left = DROP_ROWS;
    int32_t status = MAILSRV_OK;
    while (status == MAILSRV_OK && d->writer.state.parts != 0 && left != 0) {
        status = find_left(&d->writer, first, NULL, &mailbox, &account);
        if (status == MAILSRV_OK)
            status = drop_some(d, &mailbox, &left);
    }
    return status == MAILSRV_NONEXISTENT ? MAILSRV_OK : status;
}

/* ---- Waiting ---- */

bool mailsrv__durable_parts_wait(struct durable *d, const struct task *first, const struct task *t)
{
    if (d->writer.state.parts == 0 || t->is_in_parts)
        return false;
    for (const struct task *other = first; other != t; other = other->next)
        if (other->is_in_parts && changes(t, &other->account))
            return true;
    mailsrv_id mailbox, account;
    int32_t status = find_left(&d->writer, first, t, &mailbox, &account);
    if (status != MAILSRV_OK && status != MAILSRV_NONEXISTENT)
        mailsrv__durable_broken(d);
    return status != MAILSRV_NONEXISTENT;
}

/* ---- Applying ---- */

static bool begin(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    struct account a = { .modseq = 0 };
    struct mailbox mbox;
    if (from->bad || mailsrv__durable_box(x, &account, &mailbox) == 0 ||
        mailsrv__durable_mailbox(x, &mailbox, &mbox) != MAILSRV_OK)
        return false;
    int32_t status = mailsrv__durable_account(x, &account, &a);
    x->state.parts++;
    return (status == MAILSRV_OK || status == MAILSRV_NONEXISTENT) &&
           mailsrv__durable_run(x, SQL_PARTS_ADD, "iddii", mbox.box, &mailbox, &account, (int64_t)mbox.uidnext,
                                (int64_t)a.modseq);
}

/* What has begun them is not to be left without an end. */
static bool close(struct index *x, const mailsrv_id *mailbox, const struct sum *sum)
{
    x->state.parts--;
    return mailsrv__durable_run(x, SQL_PARTS_DROP, "d", mailbox) &&
           mailsrv__durable_tomb(x, sum->base, TOMB_PARTS, mailsrv__durable_id_bytes(mailbox), 0, 0);
}

/* Not, where the segment with their beginning is no more. */
bool mailsrv__durable_parts_close(struct index *x, const mailsrv_id *mailbox)
{
    struct sum sum;
    int32_t status = sum_of(x, mailbox, &sum);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT;
    return close(x, mailbox, &sum) && mailsrv__durable_count(x, sum.box, &sum.counts, sum.uidnext) &&
           mailsrv__durable_account_grew(x, &sum.account, sum.modseq, sum.counts.octets);
}

static bool end(struct index *x, struct reader *from)
{
    mailsrv_id mailbox = mailsrv__durable_get_id(from);
    return !from->bad && mailsrv__durable_parts_close(x, &mailbox);
}

static bool drop(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t first = (int64_t)mailsrv__durable_get_number(from, 4);
    int64_t uidnext = (int64_t)mailsrv__durable_get_number(from, 4);
    int64_t modseq = (int64_t)mailsrv__durable_get_number(from, 8);
    struct counts counts; /* which never counted */
    struct sum sum;
    int64_t box = !from->bad ? mailsrv__durable_box(x, &account, &mailbox) : 0;
    bool good = box != 0;
    for (int64_t uid = first; good && uid < uidnext; uid++)
        good = mailsrv__durable_drop_row(x, &(struct row){ &mailbox, box, uid }, &counts);
    if (modseq == 0) /* there are more */
        return good;
    counts = (struct counts){ 0, 0, 0, 0 };
    int32_t status = good ? sum_of(x, &mailbox, &sum) : MAILSRV_TEMP;
    if (status == MAILSRV_OK && !close(x, &mailbox, &sum))
        return false;
    return (status == MAILSRV_OK || status == MAILSRV_NONEXISTENT) &&
           mailsrv__durable_count(x, box, &counts, uidnext) &&
           mailsrv__durable_account_grew(x, &account, modseq, 0);
}

bool mailsrv__durable_apply_parts(struct index *x, enum entry kind, struct reader *from)
{
    return kind == ENTRY_PARTS_BEGIN ? begin(x, from) : kind == ENTRY_PARTS_END ? end(x, from) : drop(x, from);
}
