/* COMMIT: each target is planned against the index as it is with the targets before it. */
#include "durable.h"

#include <string.h>

struct commit {
    struct durable *d;
    const mailsrv_arg_body_commit *arg;
    struct task *task;
    mailsrv_result *results;
    bool *logged; /* of each body: this change refers to it */
};

static const mailsrv_staged *staged_at(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const void *)((const char *)arg->bodies + (size_t)i * arg->body_stride);
}

const mailsrv_target *mailsrv__durable_target_at(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
}

struct body *mailsrv__durable_body_at(struct durable *d, const struct task *t, uint32_t i)
{
    const mailsrv_staged *staged = staged_at(t->op->arg, i);
    if (t->part != NULL)
        return mailsrv__durable_part_body(t->part, i);
    const struct handle *h = mailsrv__durable_handle_find(d, staged->body, HANDLE_BODY);
    return h != NULL && h->body->octets == staged->octets ? h->body : NULL;
}

static struct place write_body(struct durable *d, const struct body *body)
{
    const uint64_t at = d->log.end.offset + mailsrv__durable_group_octets(&d->group);
    mailsrv__durable_put_body(&d->log, &d->group, body->number, (mailsrv_bytes){ body->p, (size_t)body->octets });
    return (struct place){ d->log.end.segment, at + FRAME_HEAD + 8 };
}

/* Is it in the index, because it was committed before? */
static int32_t is_known(struct durable *d, const struct body *body, bool *out)
{
    *out = false;
    if (!body->kept)
        return MAILSRV_OK;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_BODY_GET, "i", (int64_t)body->number);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    *out = result == SQLITE_ROW;
    sqlite3_reset(row);
    return result == SQLITE_ROW || result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* Into the log, or its file synced: once, before the first target that refers to it. */
static int32_t log_body(struct commit *c, uint32_t i)
{
    struct durable *d = c->d;
    struct body *body = mailsrv__durable_body_at(d, c->task, i);
    struct place place = { 0, 0 };
    bool known;
    if (c->logged[i])
        return MAILSRV_OK;
    int32_t status = mailsrv__durable_body_take_over(d, body);
    if (status == MAILSRV_OK && body->file != NULL)
        status = mailsrv__durable_body_sync(d, body);
    if (status == MAILSRV_OK)
        status = is_known(d, body, &known);
    if (status != MAILSRV_OK)
        return status;
    c->logged[i] = true;
    if (known)
        return MAILSRV_OK;
    body->kept = true;
    if (body->file == NULL)
        place = write_body(d, body);
    mailsrv__durable_put_number(&d->record, ENTRY_BODY, 1);
    mailsrv__durable_put_number(&d->record, body->number, 8);
    mailsrv__durable_put_number(&d->record, place.segment, 8);
    mailsrv__durable_put_number(&d->record, place.offset, 8);
    mailsrv__durable_put_number(&d->record, body->octets, 8);
    mailsrv__durable_put_bytes(&d->record, staged_at(c->arg, i)->structure);
    return MAILSRV_OK; /* it takes effect with the target, or at the end */
}

static int32_t check(const mailsrv_target *target, const struct account *a, const struct mailbox *mbox,
                     uint64_t octets)
{
    if (target->uid == UINT32_MAX)
        return MAILSRV_LIMIT;
    if (target->uid != 0 && target->uid < mbox->uidnext)
        return MAILSRV_ALREADYEXISTS;
    return a->octets > a->quota || octets > a->quota - a->octets ? MAILSRV_OVERQUOTA : MAILSRV_OK;
}

static bool is_uidl(mailsrv_bytes uidl)
{
    for (size_t i = 0; i < uidl.n; i++)
        if (uidl.p[i] < 0x21 || uidl.p[i] > 0x7e)
            return false;
    return uidl.n != 0 && uidl.n <= 70;
}

/* An imported UIDL is 1 to 70 octets of printable ASCII without space and names one message only (RFC 1939 section 7);
 * one that is not so is left out. */
static int32_t good_uidl(struct durable *d, int64_t box, mailsrv_bytes *uidl)
{
    int result = SQLITE_ROW; /* it names another */
    if (is_uidl(*uidl)) {
        sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_MESSAGE_UIDL, "ib", box, *uidl);
        result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
        sqlite3_reset(row);
    }
    if (result == SQLITE_ROW)
        *uidl = (mailsrv_bytes){ NULL, 0 };
    return result == SQLITE_ROW || result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* Names for which there is no room are left out: no message is refused for a label. */
static int32_t put_message(struct commit *c, const mailsrv_target *target, const mailsrv_id *mailbox,
                           const struct mailbox *mbox, const struct body *body, mailsrv_result *r)
{
    struct durable *d = c->d;
    struct buffer *to = &d->record;
    uint64_t keywords[2];
    bool all;
    int32_t status = mailsrv__durable_intern(d, &target->account, mailbox, mbox->box, target->keywords,
                                             target->n_keywords, true, keywords, &all);
    mailsrv_bytes uidl = target->uidl;
    if (status == MAILSRV_OK)
        status = good_uidl(d, mbox->box, &uidl);
    if (status != MAILSRV_OK)
        return status;
    r->email = mailsrv__durable_new_id(d);
    mailsrv__durable_put_number(to, ENTRY_MESSAGE, 1);
    mailsrv__durable_put_id(to, &target->account);
    mailsrv__durable_put_id(to, mailbox);
    mailsrv__durable_put_number(to, r->uid, 4);
    mailsrv__durable_put_number(to, target->flags, 4);
    mailsrv__durable_put_number(to, r->modseq, 8);
    mailsrv__durable_put_number(to, target->prefix.n + body->octets, 8);
    mailsrv__durable_put_number(to, (uint64_t)target->internal_us, 8);
    mailsrv__durable_put_number(to, (uint64_t)c->arg->saved_us, 8);
    mailsrv__durable_put_id(to, &r->email);
    mailsrv__durable_put_number(to, keywords[0], 8);
    mailsrv__durable_put_number(to, keywords[1], 8);
    mailsrv__durable_put_number(to, body->number, 8);
    mailsrv__durable_put_bytes(to, target->prefix);
    mailsrv__durable_put_bytes(to, uidl);
    mailsrv__durable_put_bytes(to, target->recipient);
    mailsrv__durable_touch(c->task, mailbox, r->modseq);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* The mailbox that a target names, with its account. */
static int32_t find(struct durable *d, const mailsrv_target *target, mailsrv_id *id, struct account *a,
                    struct mailbox *mbox)
{
    int32_t status = mailsrv__durable_account(&d->writer, &target->account, a);
    *id = mailsrv__durable_no_id(&target->mailbox) ? a->inbox : target->mailbox;
    if (status == MAILSRV_OK)
        status = mailsrv__durable_mailbox(&d->writer, id, mbox);
    if (status == MAILSRV_OK && !mailsrv__durable_same(&mbox->account, &target->account))
        status = MAILSRV_NONEXISTENT;
    return status == MAILSRV_OK || status == MAILSRV_NONEXISTENT ? status : mailsrv__durable_broken(d);
}

static int32_t to_mailbox(struct commit *c, const mailsrv_target *target, const struct body *body, mailsrv_result *r)
{
    struct durable *d = c->d;
    mailsrv_id id;
    struct account a = { 0 };
    struct mailbox mbox;
    int32_t status = find(d, target, &id, &a, &mbox);
    if (status == MAILSRV_OK)
        status = check(target, &a, &mbox, target->prefix.n + body->octets);
    if (status == MAILSRV_OK)
        status = log_body(c, target->body_index);
    if (status == MAILSRV_OK && target->uid == 0 && mbox.uidnext == UINT32_MAX)
        status = mailsrv__durable_renumber(d, &id, &mbox, c->arg->saved_us);
    if (status != MAILSRV_OK)
        return status;
    r->uidvalidity = mbox.uidvalidity;
    r->uid = target->uid != 0 ? target->uid : mbox.uidnext;
    r->modseq = a.modseq + 1;
    return put_message(c, target, &id, &mbox, body, r);
}

static int32_t to_queue(struct commit *c, const mailsrv_target *target, const struct body *body, mailsrv_result *r)
{
    struct durable *d = c->d;
    int32_t status = log_body(c, target->body_index);
    if (status != MAILSRV_OK)
        return status;
    r->queue = d->writer.state.last_queue + 1;
    mailsrv__durable_put_number(&d->record, ENTRY_DUE, 1);
    mailsrv__durable_put_number(&d->record, r->queue, 8);
    mailsrv__durable_put_number(&d->record, target->prefix.n + body->octets, 8);
    mailsrv__durable_put_number(&d->record, body->number, 8);
    mailsrv__durable_put_bytes(&d->record, target->prefix);
    mailsrv__durable_put_bytes(&d->record, target->record);
    mailsrv__durable_put_bytes(&d->record, target->recipient);
    mailsrv__durable_put_bytes(&d->record, c->arg->reverse_path);
    mailsrv__durable_put_number(&d->record, (uint64_t)target->due_us, 8);
    mailsrv__durable_put_bytes(&d->record, target->lane);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t to_target(struct commit *c, uint32_t i)
{
    const mailsrv_target *target = mailsrv__durable_target_at(c->arg, i);
    if (target->body_index >= c->arg->n_bodies)
        return MAILSRV_CANNOT;
    const struct body *body = mailsrv__durable_body_at(c->d, c->task, target->body_index);
    if (target->kind == MAILSRV_TARGET_MAILBOX)
        return to_mailbox(c, target, body, &c->results[i]);
    return target->kind == MAILSRV_TARGET_QUEUE ? to_queue(c, target, body, &c->results[i]) : MAILSRV_CANNOT;
}

/* What failed keeps its status; the others could be stored another time. */
static void undo(struct commit *c)
{
    c->d->undo = true;
    for (uint32_t i = 0; i < c->arg->n_targets; i++)
        if (c->results[i].status == MAILSRV_OK)
            c->results[i] = (mailsrv_result){ .status = MAILSRV_TEMP };
}

int32_t mailsrv__durable_commit(struct durable *d, struct task *t)
{
    const mailsrv_arg_body_commit *arg = t->op->arg;
    uint32_t failed = 0;
    for (uint32_t i = 0; i < arg->n_bodies; i++)
        if (mailsrv__durable_body_at(d, t, i) == NULL)
            return MAILSRV_CANNOT;
    if (arg->n_targets == 0)
        return MAILSRV_CANNOT;
    mailsrv_result *results = mailsrv__durable_room(t, arg->n_targets * sizeof *results);
    bool *logged = mailsrv__durable_room(t, (size_t)arg->n_bodies + 1);
    if (results == NULL || logged == NULL)
        return MAILSRV_NOMEM;
    struct commit c = { d, arg, t, results, logged };
    for (uint32_t i = 0; i < arg->n_targets && !d->failed; i++) {
        results[i].status = to_target(&c, i);
        failed += results[i].status != MAILSRV_OK;
    }
    if (!d->failed && !mailsrv__durable_take_effect(d))
        return mailsrv__durable_broken(d);
    if (failed != 0 && arg->atomic)
        undo(&c);
    t->value.committed = (mailsrv_committed){ sizeof t->value.committed, arg->n_targets, sizeof *results, 0, results };
    t->answer.value = &t->value.committed;
    return MAILSRV_OK;
}
