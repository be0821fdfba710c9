/* COMMIT: each target is planned against the index as it is with the targets before it. */
#include "durable.h"

#include <string.h>

struct commit {
    struct durable *d;
    const mailsrv_arg_body_commit *arg;
    mailsrv_result *results;
    bool *logged; /* of each body: this change refers to it */
};

static const mailsrv_staged *staged_at(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const void *)((const char *)arg->bodies + (size_t)i * arg->body_stride);
}

static const mailsrv_target *target_at(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
}

/* NULL: there is none, or it is not as long as the asker believes. */
static struct body *body_at(struct durable *d, const mailsrv_arg_body_commit *arg, uint32_t i)
{
    const mailsrv_staged *staged = staged_at(arg, i);
    const struct handle *h = mailsrv__durable_handle_find(d, staged->body, HANDLE_BODY);
    return h != NULL && h->body->octets == staged->octets ? h->body : NULL;
}

static struct place write_body(struct durable *d, const struct body *body)
{
    struct buffer *octets = &d->record;
    size_t before = octets->n;
    struct place place = { d->log.end.segment, d->log.end.offset + d->group.n + FRAME_HEAD + 8 };
    mailsrv__durable_put_number(octets, body->number, 8);
    mailsrv__durable_put(octets, body->p, (size_t)body->octets);
    if (!octets->failed)
        mailsrv__durable_put_frame(&d->log, &d->group, FRAME_BODY, octets->p + before, octets->n - before);
    octets->n = before;
    return place;
}

/* Is it in the index, because it was committed before? */
static int32_t is_known(struct durable *d, const struct body *body, bool *out)
{
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
    struct body *body = body_at(d, c->arg, i);
    struct place place = { 0, 0 };
    bool known;
    if (c->logged[i])
        return MAILSRV_OK;
    int32_t status = body->file != NULL ? mailsrv__durable_body_sync(d, body) : MAILSRV_OK;
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
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* UIDNEXT has come to the end of what a UID can be: a new UIDVALIDITY, and UIDs from 1 (RFC 9051 section 2.3.1.1). */
static int32_t renumber(struct durable *d, const mailsrv_id *id, struct mailbox *mbox)
{
    mailsrv__durable_put_number(&d->record, ENTRY_RENUMBER, 1);
    mailsrv__durable_put_id(&d->record, id);
    mailsrv__durable_put_number(&d->record, mailsrv__durable_new_uidvalidity(mbox->uidvalidity), 4);
    if (!mailsrv__durable_take_effect(d) || mailsrv__durable_mailbox(&d->writer, id, mbox) != MAILSRV_OK)
        return mailsrv__durable_broken(d);
    return MAILSRV_OK;
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

/* An imported UIDL is 1 to 70 octets of printable ASCII without space and names one message only (RFC 1939 section 7);
 * one that is not so is left out. */
static mailsrv_bytes good_uidl(struct durable *d, const mailsrv_id *mailbox, mailsrv_bytes uidl)
{
    static const mailsrv_bytes none;
    if (uidl.n == 0 || uidl.n > 70)
        return none;
    for (size_t i = 0; i < uidl.n; i++)
        if (uidl.p[i] < 0x21 || uidl.p[i] > 0x7e)
            return none;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_MESSAGE_UIDL, "db", mailbox, uidl);
    bool taken = row == NULL || sqlite3_step(row) != SQLITE_DONE;
    sqlite3_reset(row);
    return taken ? none : uidl;
}

static void put_keywords(struct buffer *to, const mailsrv_target *target)
{
    size_t octets = 0;
    for (size_t i = 0; i < target->n_keywords; i++)
        octets += 4 + target->keywords[i].n;
    mailsrv__durable_put_number(to, octets, 4);
    for (size_t i = 0; i < target->n_keywords; i++)
        mailsrv__durable_put_bytes(to, target->keywords[i]);
}

static int32_t put_message(struct commit *c, const mailsrv_target *target, const mailsrv_id *mailbox,
                           const struct body *body, mailsrv_result *r)
{
    struct durable *d = c->d;
    struct buffer *to = &d->record;
    mailsrv_bytes uidl = good_uidl(d, mailbox, target->uidl);
    r->email = mailsrv__durable_new_id(d);
    mailsrv__durable_put_number(to, ENTRY_MESSAGE, 1);
    mailsrv__durable_put_id(to, &target->account);
    mailsrv__durable_put_id(to, mailbox);
    mailsrv__durable_put_number(to, r->uid, 4);
    mailsrv__durable_put_number(to, target->flags, 4);
    mailsrv__durable_put_number(to, r->modseq, 8);
    mailsrv__durable_put_number(to, target->prefix.n + body->octets, 8);
    mailsrv__durable_put_number(to, (uint64_t)target->internal_us, 8);
    mailsrv__durable_put_id(to, &r->email);
    mailsrv__durable_put_number(to, body->number, 8);
    mailsrv__durable_put_bytes(to, target->prefix);
    mailsrv__durable_put_bytes(to, uidl);
    mailsrv__durable_put_bytes(to, target->recipient);
    put_keywords(to, target);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t to_mailbox(struct commit *c, const mailsrv_target *target, const struct body *body, mailsrv_result *r)
{
    static const mailsrv_id none;
    struct durable *d = c->d;
    struct account a;
    struct mailbox mbox;
    int32_t status = mailsrv__durable_account(&d->writer, &target->account, &a);
    if (status == MAILSRV_OK && memcmp(&target->mailbox, &none, sizeof none) != 0 &&
        memcmp(&target->mailbox, &a.inbox, sizeof none) != 0)
        return MAILSRV_NONEXISTENT;
    if (status == MAILSRV_OK)
        status = mailsrv__durable_mailbox(&d->writer, &a.inbox, &mbox);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? status : mailsrv__durable_broken(d);
    status = check(target, &a, &mbox, target->prefix.n + body->octets);
    if (status == MAILSRV_OK)
        status = log_body(c, target->body_index);
    if (status == MAILSRV_OK && target->uid == 0 && mbox.uidnext == UINT32_MAX)
        status = renumber(d, &a.inbox, &mbox);
    if (status != MAILSRV_OK)
        return status;
    r->uidvalidity = mbox.uidvalidity;
    r->uid = target->uid != 0 ? target->uid : mbox.uidnext;
    r->modseq = a.modseq + 1;
    return put_message(c, target, &a.inbox, body, r);
}

static int32_t to_queue(struct commit *c, const mailsrv_target *target, const struct body *body, mailsrv_result *r)
{
    struct durable *d = c->d;
    int32_t status = log_body(c, target->body_index);
    if (status != MAILSRV_OK)
        return status;
    r->queue = d->writer.state.last_queue + 1;
    mailsrv__durable_put_number(&d->record, ENTRY_QUEUE, 1);
    mailsrv__durable_put_number(&d->record, r->queue, 8);
    mailsrv__durable_put_number(&d->record, target->prefix.n + body->octets, 8);
    mailsrv__durable_put_number(&d->record, body->number, 8);
    mailsrv__durable_put_bytes(&d->record, target->prefix);
    mailsrv__durable_put_bytes(&d->record, target->record);
    mailsrv__durable_put_bytes(&d->record, target->recipient);
    mailsrv__durable_put_bytes(&d->record, c->arg->reverse_path);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t to_target(struct commit *c, uint32_t i)
{
    const mailsrv_target *target = target_at(c->arg, i);
    if (target->body_index >= c->arg->n_bodies)
        return MAILSRV_CANNOT;
    const struct body *body = body_at(c->d, c->arg, target->body_index);
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
        if (body_at(d, arg, i) == NULL)
            return MAILSRV_CANNOT;
    if (arg->n_targets == 0)
        return MAILSRV_CANNOT;
    mailsrv_result *results = mailsrv__durable_room(t, arg->n_targets * sizeof *results);
    bool *logged = mailsrv__durable_room(t, (size_t)arg->n_bodies + 1);
    if (results == NULL || logged == NULL)
        return MAILSRV_NOMEM;
    struct commit c = { d, arg, results, logged };
    for (uint32_t i = 0; i < arg->n_targets && !d->failed; i++) {
        results[i].status = to_target(&c, i);
        failed += results[i].status != MAILSRV_OK;
    }
    if (failed != 0 && arg->atomic)
        undo(&c);
    t->value.committed = (mailsrv_committed){ sizeof t->value.committed, arg->n_targets, sizeof *results, 0, results };
    t->answer.value = &t->value.committed;
    return MAILSRV_OK;
}
