/* The changes that are no COMMIT. */
#include "durable.h"

#include <string.h>
#include <time.h>

bool mailsrv__durable_take_effect(struct durable *d)
{
    struct buffer *r = &d->record;
    if (r->failed || r->n == d->applied) /* there was no memory: the change is undone as a whole; or nothing is new */
        return true;
    bool good = mailsrv__durable_apply(&d->writer, (mailsrv_bytes){ r->p + d->applied, r->n - d->applied });
    d->applied = r->n;
    if (good && r->n >= RECORD_MAX) {
        mailsrv__durable_put_frame(&d->log, &d->group.own, FRAME_BEGUN, r->p, r->n);
        d->records += r->n;
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

bool mailsrv__durable_same(const mailsrv_id *a, const mailsrv_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool mailsrv__durable_no_id(const mailsrv_id *id)
{
    static const mailsrv_id none;
    return mailsrv__durable_same(id, &none);
}

/* A poke that finds no memory is left out. */
void mailsrv__durable_touch(struct task *t, const mailsrv_id *mailbox, uint64_t modseq)
{
    struct touched *touched = t->touched;
    while (touched != NULL && !mailsrv__durable_same(&touched->mailbox, mailbox))
        touched = touched->next;
    if (touched == NULL) {
        touched = mailsrv__durable_room(t, sizeof *touched);
        if (touched == NULL)
            return;
        touched->mailbox = *mailbox;
        touched->next = t->touched;
        t->touched = touched;
    }
    touched->modseq = modseq;
}

bool mailsrv__durable_runs_add(struct task *t, struct runs *runs, uint32_t uid)
{
    if (runs->n != 0 && runs->v[runs->n - 1].last == uid - 1) {
        runs->v[runs->n - 1].last = uid;
        return true;
    }
    if (runs->n == runs->room) {
        size_t room = runs->room != 0 ? runs->room * 2 : 16;
        mailsrv_run *v = mailsrv__durable_room(t, room * sizeof *v);
        if (v == NULL)
            return false;
        if (runs->n != 0)
            memcpy(v, runs->v, runs->n * sizeof *v);
        runs->v = v;
        runs->room = room;
    }
    runs->v[runs->n++] = (mailsrv_run){ uid, uid };
    return true;
}

uint32_t mailsrv__durable_new_uidvalidity(const struct account *a, int64_t unix_us)
{
    int64_t now = unix_us / 1000000;
    if (now > (int64_t)a->uidvalidity && now <= UINT32_MAX)
        return (uint32_t)now;
    return a->uidvalidity + 1; /* 0 at the end of time */
}

int32_t mailsrv__durable_ended(struct index *x, int result)
{
    if (result == SQLITE_ROW)
        return MAILSRV_OK;
    return result == SQLITE_DONE ? MAILSRV_NONEXISTENT : mailsrv__durable_failure(x);
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
        out->uidvalidity = (uint32_t)sqlite3_column_int64(row, 4);
        out->forgotten = (uint64_t)sqlite3_column_int64(row, 5);
        out->forgotten_uidvalidity = (uint32_t)sqlite3_column_int64(row, 6);
    }
    int32_t status = mailsrv__durable_ended(x, result);
    sqlite3_reset(row);
    return status;
}

int32_t mailsrv__durable_mailbox(struct index *x, const mailsrv_id *id, struct mailbox *out)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MAILBOX_GET, "d", id);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result == SQLITE_ROW) {
        out->box = sqlite3_column_int64(row, 0);
        out->account = mailsrv__durable_column_id(row, 1);
        out->uidvalidity = (uint32_t)sqlite3_column_int64(row, 2);
        out->uidnext = (uint32_t)sqlite3_column_int64(row, 3);
        out->messages = (uint64_t)sqlite3_column_int64(row, 4);
        out->unseen = (uint64_t)sqlite3_column_int64(row, 5);
        out->deleted = (uint64_t)sqlite3_column_int64(row, 6);
        out->octets = (uint64_t)sqlite3_column_int64(row, 7);
        out->horizon = (uint64_t)sqlite3_column_int64(row, 8);
        x->box_of = *id; /* a record that is made of it now names it, too */
        x->box = out->box;
    }
    int32_t status = mailsrv__durable_ended(x, result);
    sqlite3_reset(row);
    return status;
}

int32_t mailsrv__durable_opened(struct durable *d, uint64_t number, const struct handle **h, struct account *a,
                                struct mailbox *mbox)
{
    *h = mailsrv__durable_handle_find(d, number, HANDLE_MAILBOX);
    if (*h == NULL)
        return MAILSRV_CANNOT;
    int32_t status = mailsrv__durable_mailbox(&d->writer, &(*h)->mailbox, mbox);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_account(&d->writer, &(*h)->account, a);
    if (status != MAILSRV_OK && status != MAILSRV_NONEXISTENT)
        return mailsrv__durable_broken(d);
    if (status == MAILSRV_OK &&
        (!mailsrv__durable_same(&mbox->account, &(*h)->account) || mbox->uidvalidity != (*h)->uidvalidity))
        status = MAILSRV_NONEXISTENT; /* it is gone, or its UIDs no longer mean what they meant */
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
    do /* its id is in the bucket of its name, so that both say where it is */
        t->account = mailsrv__durable_new_id(d);
    while (mailsrv__durable_bucket(t->account.b, sizeof t->account.b) != mailsrv__durable_bucket(t->name.p, t->name.n));
    mailsrv_id inbox = mailsrv__durable_new_id(d);
    mailsrv__durable_put_number(&d->record, ENTRY_ACCOUNT, 1);
    mailsrv__durable_put_id(&d->record, &t->account);
    mailsrv__durable_put_id(&d->record, &inbox);
    mailsrv__durable_put_number(&d->record, (uint32_t)time(NULL), 4);
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

/* Adds the UIDs of a run that are there, and are to go. */
static int32_t choose(struct durable *d, struct task *t, int64_t box, const mailsrv_run *run, struct runs *gone)
{
    const mailsrv_arg_expunge *arg = t->op->arg;
    bool good = true;
    struct walk walk;
    struct message_mark mark;
    mailsrv__durable_walk(&walk, &d->writer, box, run->first, run->last);
    while (good && mailsrv__durable_walk_next(&walk, &mark))
        if (arg->only_deleted == 0 || (mark.flags & MAILSRV_FLAG_DELETED) != 0)
            good = mailsrv__durable_runs_add(t, gone, mark.uid);
    if (mailsrv__durable_walk_end(&walk) != MAILSRV_OK)
        return mailsrv__durable_broken(d);
    return good ? MAILSRV_OK : MAILSRV_NOMEM;
}

#define ENTRY_RUNS 4096 /* of an entry, so that no record has more than a frame holds */

static void put_expunge(struct buffer *to, const struct handle *h, uint64_t modseq, const mailsrv_run *runs, size_t n)
{
    mailsrv__durable_put_number(to, ENTRY_EXPUNGE, 1);
    mailsrv__durable_put_id(to, &h->account);
    mailsrv__durable_put_id(to, &h->mailbox);
    mailsrv__durable_put_number(to, modseq, 8);
    mailsrv__durable_put_number(to, n, 4);
    for (size_t i = 0; i < n; i++) {
        mailsrv__durable_put_number(to, runs[i].first, 4);
        mailsrv__durable_put_number(to, runs[i].last, 4);
    }
}

int32_t mailsrv__durable_expunge_all(struct durable *d, const struct handle *h, uint64_t modseq,
                                     const struct runs *gone)
{
    for (size_t i = 0; i < gone->n; i += ENTRY_RUNS) {
        put_expunge(&d->record, h, modseq, &gone->v[i], gone->n - i < ENTRY_RUNS ? gone->n - i : ENTRY_RUNS);
        if (!mailsrv__durable_take_effect(d))
            return mailsrv__durable_broken(d);
    }
    return MAILSRV_OK;
}

static int32_t expunge(struct durable *d, struct task *t)
{
    const mailsrv_arg_expunge *arg = t->op->arg;
    const struct handle *h;
    struct mailbox mbox;
    struct account a;
    struct runs gone = { NULL, 0, 0 };
    int32_t status = mailsrv__durable_opened(d, arg->mbox, &h, &a, &mbox);
    for (uint32_t i = 0; i < arg->n_uids && status == MAILSRV_OK; i++)
        status = choose(d, t, mbox.box, &arg->uids[i], &gone);
    if (status != MAILSRV_OK)
        return status;
    uint64_t modseq = gone.n != 0 ? a.modseq + 1 : 0;
    t->value.expunged = (mailsrv_expunged){ sizeof t->value.expunged, 0, modseq };
    t->answer.value = &t->value.expunged;
    if (gone.n == 0)
        return MAILSRV_OK;
    mailsrv__durable_touch(t, &h->mailbox, modseq);
    return mailsrv__durable_expunge_all(d, h, modseq, &gone);
}

/* ---- UIDs at their end (RFC 9051 section 2.3.1.1) ---- */

/* The runs of UIDs that are there from one on, so many as an entry has: `*n` of them.  `*from` is then where the next
 * entry begins; 0: there is none. */
static bool put_uids(struct durable *d, int64_t box, uint32_t *from, uint32_t *n)
{
    struct buffer *to = &d->record;
    uint32_t last = 0;
    struct walk walk;
    struct message_mark mark;
    mailsrv__durable_walk(&walk, &d->writer, box, *from, UINT32_MAX);
    *from = 0;
    while (*from == 0 && mailsrv__durable_walk_next(&walk, &mark)) {
        if (*n != 0 && mark.uid == last + 1 && !to->failed) {
            mailsrv__durable_set_number(to->p + to->n - 4, mark.uid, 4);
        } else if (*n == ENTRY_RUNS) {
            *from = mark.uid;
        } else {
            mailsrv__durable_put_number(to, mark.uid, 4);
            mailsrv__durable_put_number(to, mark.uid, 4);
            ++*n;
        }
        last = mark.uid;
    }
    return mailsrv__durable_walk_end(&walk) == MAILSRV_OK;
}

/* One entry; the status. */
static int32_t renumber_some(struct durable *d, const mailsrv_id *mailbox, const struct mailbox *mbox,
                             uint32_t uidvalidity, uint32_t *from)
{
    uint32_t n = 0;
    mailsrv__durable_put_number(&d->record, ENTRY_RENUMBER, 1);
    mailsrv__durable_put_id(&d->record, &mbox->account);
    mailsrv__durable_put_id(&d->record, mailbox);
    mailsrv__durable_put_number(&d->record, uidvalidity, 4);
    size_t at = d->record.n;
    mailsrv__durable_put_number(&d->record, 0, 4);
    if (!put_uids(d, mbox->box, from, &n))
        return mailsrv__durable_broken(d);
    if (d->record.failed || d->group.own.failed)
        return MAILSRV_NOMEM;
    mailsrv__durable_set_number(d->record.p + at, n, 4);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

int32_t mailsrv__durable_renumber_as(struct durable *d, const mailsrv_id *mailbox, struct mailbox *mbox,
                                     uint32_t uidvalidity)
{
    uint32_t from = 1;
    int32_t status = mailsrv__durable_compact_before_bulk(d);
    while (status == MAILSRV_OK && from != 0)
        status = renumber_some(d, mailbox, mbox, uidvalidity, &from);
    if (status == MAILSRV_OK && mailsrv__durable_mailbox(&d->writer, mailbox, mbox) != MAILSRV_OK)
        status = mailsrv__durable_broken(d);
    return status;
}

int32_t mailsrv__durable_renumber(struct durable *d, const mailsrv_id *mailbox, struct mailbox *mbox, int64_t unix_us)
{
    struct account a = { 0 };
    if (mailsrv__durable_account(&d->writer, &mbox->account, &a) != MAILSRV_OK)
        return mailsrv__durable_broken(d);
    uint32_t uidvalidity = mailsrv__durable_new_uidvalidity(&a, unix_us);
    return uidvalidity != 0 ? mailsrv__durable_renumber_as(d, mailbox, mbox, uidvalidity) : MAILSRV_LIMIT;
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
    mailsrv__durable_put_number(&d->record, ENTRY_DUE_UPDATE, 1);
    mailsrv__durable_put_number(&d->record, arg->queue, 8);
    mailsrv__durable_put_bytes(&d->record, arg->record);
    mailsrv__durable_put_number(&d->record, (uint64_t)arg->due_us, 8);
    mailsrv__durable_put_bytes(&d->record, arg->lane);
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
    case KIND_SNAPSHOT:
        return mailsrv__durable_snapshot(d, t);
    case KIND_RENEW:
        return mailsrv__durable_renew(d, t);
    case MAILSRV_OP_BODY_COMMIT:
        return mailsrv__durable_commit(d, t);
    case MAILSRV_OP_EXPUNGE:
        return expunge(d, t);
    case MAILSRV_OP_FLAGS:
        return mailsrv__durable_flags(d, t);
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return mailsrv__durable_copy(d, t);
    case MAILSRV_OP_MBOX_CREATE:
        return mailsrv__durable_mbox_create(d, t);
    case MAILSRV_OP_MBOX_DELETE:
        return mailsrv__durable_mbox_delete(d, t);
    case MAILSRV_OP_MBOX_RENAME:
        return mailsrv__durable_mbox_rename(d, t);
    case MAILSRV_OP_MBOX_SUBSCRIBE:
        return mailsrv__durable_mbox_subscribe(d, t);
    case MAILSRV_OP_QUEUE_UPDATE:
        return queue_update(d, t);
    case MAILSRV_OP_QUEUE_DELETE:
        return queue_delete(d, t);
    default:
        return MAILSRV_CANNOT;
    }
}
