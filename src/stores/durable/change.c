/* The changes that are no COMMIT. */
#include "durable.h"

#include <string.h>
#include <time.h>

bool mailsrv__durable_take_effect(struct durable *d)
{
    struct buffer *r = &d->record;
    if (r->failed) /* there was no memory: the change is undone as a whole */
        return true;
    bool good = mailsrv__durable_apply(&d->writer, (mailsrv_bytes){ r->p + d->applied, r->n - d->applied }, &d->loose);
    d->applied = r->n;
    if (good && r->n >= RECORD_MAX) {
        mailsrv__durable_put_frame(&d->log, &d->group, FRAME_BEGUN, r->p, r->n);
        d->begun = true;
        r->n = d->applied = 0;
    }
    return good;
}

int32_t mailsrv__durable_broken(struct durable *d)
{
    d->failed = true;
    return mailsrv__durable_failure(&d->writer);
}

/* What the store is, then a count, most significant octet first. */
mailsrv_id mailsrv__durable_new_id(struct durable *d)
{
    mailsrv_id id;
    uint64_t count = ++d->writer.state.last_id;
    memcpy(id.b, d->log.tag, sizeof d->log.tag);
    for (int i = 15; i >= 8; i--, count >>= 8)
        id.b[i] = (uint8_t)count;
    return id;
}

uint32_t mailsrv__durable_new_uidvalidity(uint32_t last)
{
    uint32_t now = (uint32_t)time(NULL);
    return now > last ? now : last + 1;
}

int32_t mailsrv__durable_account(struct index *x, const mailsrv_id *id, struct account *out)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_ACCOUNT_GET, "d", id);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result == SQLITE_ROW) {
        out->modseq = (uint64_t)sqlite3_column_int64(row, 0);
        out->octets = (uint64_t)sqlite3_column_int64(row, 1);
        out->quota = (uint64_t)sqlite3_column_int64(row, 2);
        out->inbox = mailsrv__durable_column_id(row, 3);
    }
    int32_t status = result == SQLITE_ROW    ? MAILSRV_OK
                     : result == SQLITE_DONE ? MAILSRV_NONEXISTENT
                                             : mailsrv__durable_failure(x);
    sqlite3_reset(row);
    return status;
}

int32_t mailsrv__durable_mailbox(struct index *x, const mailsrv_id *id, struct mailbox *out)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MAILBOX_GET, "d", id);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result == SQLITE_ROW) {
        out->uidvalidity = (uint32_t)sqlite3_column_int64(row, 0);
        out->uidnext = (uint32_t)sqlite3_column_int64(row, 1);
        out->messages = (uint64_t)sqlite3_column_int64(row, 2);
        out->account = mailsrv__durable_column_id(row, 3);
    }
    int32_t status = result == SQLITE_ROW    ? MAILSRV_OK
                     : result == SQLITE_DONE ? MAILSRV_NONEXISTENT
                                             : mailsrv__durable_failure(x);
    sqlite3_reset(row);
    return status;
}

/* ---- Accounts ---- */

static int32_t add_account(struct durable *d, struct task *t)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_ACCOUNT_BY_NAME, "b", t->name);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    sqlite3_reset(row);
    if (result == SQLITE_ROW)
        return MAILSRV_ALREADYEXISTS;
    if (result != SQLITE_DONE)
        return mailsrv__durable_broken(d);
    t->account = mailsrv__durable_new_id(d);
    mailsrv_id inbox = mailsrv__durable_new_id(d);
    mailsrv__durable_put_number(&d->record, ENTRY_ACCOUNT, 1);
    mailsrv__durable_put_id(&d->record, &t->account);
    mailsrv__durable_put_id(&d->record, &inbox);
    mailsrv__durable_put_number(&d->record, mailsrv__durable_new_uidvalidity(0), 4);
    mailsrv__durable_put_bytes(&d->record, t->name);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t set_quota(struct durable *d, struct task *t)
{
    struct account a;
    int32_t status = mailsrv__durable_account(&d->writer, &t->account, &a);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? status : mailsrv__durable_broken(d);
    mailsrv__durable_put_number(&d->record, ENTRY_QUOTA, 1);
    mailsrv__durable_put_id(&d->record, &t->account);
    mailsrv__durable_put_number(&d->record, t->number, 8);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* ---- EXPUNGE ---- */

/* Adds the UIDs of a run that are there, and are to go; false: the index failed. */
static bool choose(struct durable *d, const mailsrv_id *mailbox, const mailsrv_run *run, bool only_deleted,
                   uint32_t *n)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_MESSAGE_UIDS, "dii", mailbox, (int64_t)run->first,
                                             (int64_t)run->last);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; result == SQLITE_ROW; result = sqlite3_step(row)) {
        if (only_deleted && (sqlite3_column_int64(row, 1) & MAILSRV_FLAG_DELETED) == 0)
            continue;
        mailsrv__durable_put_number(&d->record, (uint64_t)sqlite3_column_int64(row, 0), 4);
        ++*n;
    }
    sqlite3_reset(row);
    return result == SQLITE_DONE;
}

static int32_t expunge_from(struct durable *d, const mailsrv_arg_expunge *arg, const struct handle *h, uint64_t modseq,
                            uint32_t *n)
{
    mailsrv__durable_put_number(&d->record, ENTRY_EXPUNGE, 1);
    mailsrv__durable_put_id(&d->record, &h->account);
    mailsrv__durable_put_id(&d->record, &h->mailbox);
    mailsrv__durable_put_number(&d->record, modseq, 8);
    size_t at = d->record.n;
    mailsrv__durable_put_number(&d->record, 0, 4);
    for (uint32_t i = 0; i < arg->n_uids; i++)
        if (!choose(d, &h->mailbox, &arg->uids[i], arg->only_deleted != 0, n))
            return mailsrv__durable_broken(d);
    if (*n == 0)
        d->record.n = 0;
    if (*n == 0 || d->record.failed)
        return MAILSRV_OK;
    mailsrv__durable_set_number(d->record.p + at, *n, 4);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t expunge(struct durable *d, struct task *t)
{
    const mailsrv_arg_expunge *arg = t->op->arg;
    const struct handle *h = mailsrv__durable_handle_find(d, arg->mbox, HANDLE_MAILBOX);
    struct mailbox mbox;
    struct account a;
    uint32_t n = 0;
    if (h == NULL)
        return MAILSRV_CANNOT;
    int32_t status = mailsrv__durable_mailbox(&d->writer, &h->mailbox, &mbox);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_account(&d->writer, &h->account, &a);
    if (status != MAILSRV_OK)
        return mailsrv__durable_broken(d);
    if (mbox.uidvalidity != h->uidvalidity) /* its UIDs no longer mean what they meant */
        return MAILSRV_NONEXISTENT;
    status = expunge_from(d, arg, h, a.modseq + 1, &n);
    t->value.expunged = (mailsrv_expunged){ sizeof t->value.expunged, 0, n != 0 ? a.modseq + 1 : 0 };
    t->answer.value = &t->value.expunged;
    return status;
}

/* ---- The queue ---- */

static int32_t is_queued(struct durable *d, uint64_t number)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_QUEUE_GET, "i", (int64_t)number);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    sqlite3_reset(row);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return mailsrv__durable_broken(d);
    return result == SQLITE_ROW ? MAILSRV_OK : MAILSRV_NONEXISTENT;
}

static int32_t queue_update(struct durable *d, const struct task *t)
{
    const mailsrv_arg_queue_update *arg = t->op->arg;
    int32_t status = is_queued(d, arg->queue);
    if (status != MAILSRV_OK)
        return status;
    mailsrv__durable_put_number(&d->record, ENTRY_QUEUE_UPDATE, 1);
    mailsrv__durable_put_number(&d->record, arg->queue, 8);
    mailsrv__durable_put_bytes(&d->record, arg->record);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t queue_delete(struct durable *d, const struct task *t)
{
    const mailsrv_arg_queue_delete *arg = t->op->arg;
    for (uint32_t i = 0; i < arg->n; i++) {
        int32_t status = is_queued(d, arg->queues[i]);
        if (status == MAILSRV_NONEXISTENT)
            continue;
        if (status != MAILSRV_OK)
            return status;
        mailsrv__durable_put_number(&d->record, ENTRY_QUEUE_DELETE, 1);
        mailsrv__durable_put_number(&d->record, arg->queues[i], 8);
        if (!mailsrv__durable_take_effect(d))
            return mailsrv__durable_broken(d);
    }
    return MAILSRV_OK;
}

int32_t mailsrv__durable_change(struct durable *d, struct task *t)
{
    switch (t->kind) {
    case KIND_ADD_ACCOUNT:
        return add_account(d, t);
    case KIND_QUOTA:
        return set_quota(d, t);
    case MAILSRV_OP_BODY_COMMIT:
        return mailsrv__durable_commit(d, t);
    case MAILSRV_OP_EXPUNGE:
        return expunge(d, t);
    case MAILSRV_OP_QUEUE_UPDATE:
        return queue_update(d, t);
    case MAILSRV_OP_QUEUE_DELETE:
        return queue_delete(d, t);
    default:
        return MAILSRV_CANNOT;
    }
}
