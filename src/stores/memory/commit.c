#include "memory.h"

#include <string.h>

/* One target on its way: everything that needs memory is done before anything is shown. */
struct staging {
    struct message *message; /* NULL: it failed */
    struct mailbox *mbox;    /* NULL: the queue */
};

struct commit {
    struct memory *m;
    const mailsrv_arg_body_commit *arg;
    mailsrv_result *results;
    struct staging *staging;
};

static const mailsrv_staged *staged_at(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const void *)((const char *)arg->bodies + (size_t)i * arg->body_stride);
}

static const mailsrv_target *target_at(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
}

/* UIDNEXT has come to the end of what a UID can be: a new UIDVALIDITY, and UIDs from 1 (RFC 9051 section 2.3.1.1). */
static void renumber(struct memory *m, struct mailbox *mbox)
{
    mbox->uidvalidity = mailsrv__memory_new_uidvalidity(mbox->account, 0);
    mbox->name->highest = mbox->uidvalidity;
    for (size_t i = 0; i < mbox->shelf.n; i++)
        mbox->shelf.v[i]->row.uid = (uint32_t)i + 1;
    mbox->uidnext = (uint32_t)mbox->shelf.n + 1;
    mbox->recent = 0;
    mailsrv__memory_forget(m, mbox);
}

/* An imported UIDL is 1 to 70 octets of printable ASCII without space and names one message only (RFC 1939 section 7);
 * one that is not so is left out. */
static bool good_uidl(const struct shelf *shelf, mailsrv_bytes uidl)
{
    if (uidl.n > 70)
        return false;
    for (size_t i = 0; i < uidl.n; i++)
        if (uidl.p[i] < 0x21 || uidl.p[i] > 0x7e)
            return false;
    for (size_t i = 0; i < shelf->n; i++)
        if (shelf->v[i]->row.uidl.n == uidl.n && memcmp(shelf->v[i]->row.uidl.p, uidl.p, uidl.n) == 0)
            return false;
    return true;
}

void mailsrv__memory_deliver(struct mailbox *mbox, struct message *message, uint32_t uid)
{
    struct account *account = mbox->account;
    if (uid == 0 && mbox->uidnext == UINT32_MAX)
        renumber(message->memory, mbox);
    message->row.uid = uid != 0 ? uid : mbox->uidnext;
    mbox->uidnext = message->row.uid + 1;
    message->row.modseq = ++account->modseq;
    message->row.email = mailsrv__memory_new_id(message->memory);
    if (message->row.uidl.n != 0 && !good_uidl(&mbox->shelf, message->row.uidl))
        message->row.uidl.n = 0;
    account->octets += message->row.octets;
    mbox->shelf.v[mbox->shelf.n++] = message;
}

/* The mailbox that a target names; NULL: there is none. */
static struct mailbox *mailbox_of(struct memory *m, const mailsrv_target *target)
{
    struct account *a = mailsrv__memory_account(m, &target->account);
    return a != NULL ? mailsrv__memory_mailbox_or_inbox(a, &target->mailbox) : NULL;
}

static bool fits(const struct memory *m, uint64_t octets)
{
    uint64_t most = m->knobs[MAILSRV_MEMORY_OCTETS_MAX];
    return m->octets <= most && octets <= most - m->octets;
}

/* May this target be given so much, with what the targets before it were given? */
static int32_t plan_mailbox(struct mailbox *mbox, const mailsrv_target *target, uint64_t octets)
{
    struct account *a = mbox->account;
    uint32_t right = target->recipient.n != 0 ? MAILSRV_RIGHT_POST : MAILSRV_RIGHT_INSERT; /* RFC 4314 section 4 */
    if ((mbox->rights & right) == 0)
        return MAILSRV_NOPERM;
    if (target->uid == UINT32_MAX || (mbox->planned_uidnext == UINT32_MAX && a->last_uidvalidity == UINT32_MAX))
        return MAILSRV_LIMIT;
    if (target->uid != 0 && target->uid < mbox->planned_uidnext)
        return MAILSRV_ALREADYEXISTS;
    if (a->planned_octets > a->quota || octets > a->quota - a->planned_octets)
        return MAILSRV_OVERQUOTA;
    a->planned_octets += octets;
    if (target->uid != 0)
        mbox->planned_uidnext = target->uid + 1;
    else if (mbox->planned_uidnext != UINT32_MAX)
        mbox->planned_uidnext++;
    return MAILSRV_OK;
}

/* Room for a message more than the targets before it will add. */
static bool reserve(struct memory *m, struct shelf *shelf)
{
    if (shelf == &m->queue ? !mailsrv__memory_queue_reserve(m, shelf->planned + 1)
                           : !mailsrv__memory_shelf_reserve(m, shelf, shelf->planned + 1))
        return false;
    shelf->planned++;
    return true;
}

/* Makes the message of a target and room for it on its shelf. */
static int32_t make(struct memory *m, struct body *body, const mailsrv_target *target, struct shelf *shelf,
                    struct message **out)
{
    struct message *message = mailsrv__memory_message_new(m, body, target->prefix, target->uidl);
    if (message == NULL)
        return MAILSRV_NOMEM;
    if (!mailsrv__memory_set_record(message, target->record, target->lane) || !reserve(m, shelf)) {
        mailsrv__memory_message_unref(message);
        return MAILSRV_NOMEM;
    }
    message->due_us = target->due_us;
    message->row.flags = target->flags;
    message->row.internal_us = target->internal_us;
    *out = message;
    return MAILSRV_OK;
}

static int32_t stage(struct commit *c, const mailsrv_target *target, struct staging *to)
{
    struct memory *m = c->m;
    if (target->body_index >= c->arg->n_bodies)
        return MAILSRV_CANNOT;
    uint64_t number = staged_at(c->arg, target->body_index)->body;
    struct body *body = mailsrv__memory_handle_find(m, number, HANDLE_BODY)->body;
    uint64_t octets = target->prefix.n + body->octets;
    mailsrv__memory_body_structure(body, staged_at(c->arg, target->body_index)->structure);
    if (target->kind == MAILSRV_TARGET_MAILBOX) {
        to->mbox = mailbox_of(m, target);
        if (to->mbox == NULL)
            return MAILSRV_NONEXISTENT;
        int32_t status = plan_mailbox(to->mbox, target, octets);
        if (status != MAILSRV_OK)
            return status;
    } else if (target->kind != MAILSRV_TARGET_QUEUE || m->knobs[MAILSRV_MEMORY_TAKES_QUEUE] == 0) {
        return MAILSRV_CANNOT;
    }
    if (!fits(m, target->prefix.n))
        return MAILSRV_FULL;
    int32_t status = make(m, body, target, to->mbox != NULL ? &to->mbox->shelf : &m->queue, &to->message);
    if (status == MAILSRV_OK)
        to->message->row.saved_us = c->arg->saved_us;
    return status;
}

/* Are the bodies there, each as long as the asker believes? */
static bool bodies_are_whole(struct memory *m, const mailsrv_arg_body_commit *arg)
{
    for (uint32_t i = 0; i < arg->n_bodies; i++) {
        const mailsrv_staged *staged = staged_at(arg, i);
        const struct handle *h = mailsrv__memory_handle_find(m, staged->body, HANDLE_BODY);
        if (h == NULL || h->body->octets != staged->octets)
            return false;
    }
    return true;
}

/* All or nothing is a promise within one shard. */
static bool in_one_shard(struct memory *m, const mailsrv_arg_body_commit *arg)
{
    const struct account *first = NULL;
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        const struct account *a = mailsrv__memory_account(m, &target_at(arg, i)->account);
        if (first == NULL)
            first = a;
        else if (a != NULL && a->shard != first->shard)
            return false;
    }
    return true;
}

static void begin_plan(const struct commit *c)
{
    c->m->queue.planned = 0;
    for (uint32_t i = 0; i < c->arg->n_targets; i++) {
        struct mailbox *mbox = mailbox_of(c->m, target_at(c->arg, i));
        if (mbox == NULL)
            continue;
        mbox->account->planned_octets = mbox->account->octets;
        mbox->planned_uidnext = mbox->uidnext;
        mbox->shelf.planned = 0;
    }
}

/* Returns how many failed. */
static uint32_t stage_all(struct commit *c)
{
    uint32_t failed = 0;
    begin_plan(c);
    for (uint32_t i = 0; i < c->arg->n_targets; i++) {
        c->results[i].status = stage(c, target_at(c->arg, i), &c->staging[i]);
        failed += c->results[i].status != MAILSRV_OK;
    }
    return failed;
}

/* What failed keeps its status; the others could be stored another time. */
static void undo(struct commit *c)
{
    for (uint32_t i = 0; i < c->arg->n_targets; i++) {
        if (c->staging[i].message == NULL)
            continue;
        mailsrv__memory_message_unref(c->staging[i].message);
        c->results[i].status = MAILSRV_TEMP;
    }
}

/* Names for which there is no room are left out: no message is refused for a label. */
static void deliver_target(struct memory *m, const struct staging *s, const mailsrv_target *target)
{
    mailsrv__memory_intern(m, s->mbox, target->keywords, target->n_keywords, s->message->row.keywords);
    mailsrv__memory_deliver(s->mbox, s->message, target->uid);
}

static void show(struct commit *c)
{
    for (uint32_t i = 0; i < c->arg->n_targets; i++) {
        const struct staging *s = &c->staging[i];
        if (s->message != NULL && s->mbox != NULL)
            deliver_target(c->m, s, target_at(c->arg, i));
        else if (s->message != NULL)
            mailsrv__memory_enqueue(c->m, s->message);
    }
}

static void tell(struct commit *c)
{
    for (uint32_t i = 0; i < c->arg->n_targets; i++) {
        const struct staging *s = &c->staging[i];
        if (s->message == NULL)
            continue;
        c->results[i].queue = s->message->queue;
        if (s->mbox == NULL)
            continue;
        c->results[i].uidvalidity = s->mbox->uidvalidity;
        c->results[i].uid = s->message->row.uid;
        c->results[i].modseq = s->message->row.modseq;
        c->results[i].email = s->message->row.email;
    }
}

int32_t mailsrv__memory_commit(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_body_commit *arg = op->arg;
    if (!bodies_are_whole(m, arg) || arg->n_targets == 0)
        return MAILSRV_CANNOT;
    if (arg->atomic && (m->knobs[MAILSRV_MEMORY_ATOMIC] == 0 || !in_one_shard(m, arg)))
        return MAILSRV_CANNOT;
    r->n_scratch = arg->n_targets * (sizeof(mailsrv_result) + sizeof(struct staging));
    r->scratch = mailsrv__memory_take(m, r->n_scratch);
    if (r->scratch == NULL)
        return MAILSRV_NOMEM;
    mailsrv_result *results = r->scratch;
    struct commit c = { m, arg, results, (struct staging *)(void *)(results + arg->n_targets) };
    if (stage_all(&c) != 0 && arg->atomic) {
        undo(&c);
    } else {
        show(&c);
        tell(&c);
    }
    r->has_value = true;
    r->value.committed.size = sizeof r->value.committed;
    r->value.committed.n = arg->n_targets;
    r->value.committed.stride = sizeof *results;
    r->value.committed.results = results;
    return MAILSRV_OK;
}
