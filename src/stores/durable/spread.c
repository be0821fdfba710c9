/* Operations of a store with several shards: each goes to the shard that has its handle or account.  A COMMIT whose
 * targets are in several is asked of each, with the targets that are there; bodies are staged in the first, and every
 * other that is to have one gets it from there.  All of this is on the engine's thread, but for bodies in files, which
 * the writer of a shard takes over. */
#include "durable.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (64u << 10)

/* A COMMIT that is made in parts. */
struct split {
    atomic_uint parts; /* that are not gone */
    uint32_t waiting;  /* for the answers of so many */
    mailsrv_op_id id;
    uint32_t n;
    mailsrv_result results[];
};

struct part {
    struct split *split;
    struct durable *d;
    mailsrv_op op;
    mailsrv_arg_body_commit arg;
    mailsrv_target *targets;
    uint32_t *places; /* of its targets in the whole */
    struct body **bodies;
};

static const mailsrv_staged *staged_at(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const void *)((const char *)arg->bodies + (size_t)i * arg->body_stride);
}

/* ---- Which shard ---- */

static uint32_t of_handle(const struct family *f, uint64_t handle)
{
    return (uint32_t)(handle % f->n);
}

/* The queue's home, and that of staged bodies, is the first. */
static uint32_t of_target(struct durable *home, const mailsrv_target *target)
{
    return target->kind == MAILSRV_TARGET_MAILBOX ? mailsrv__durable_shard_of(home, &target->account)->shard : 0;
}

static uint64_t read_handle(const mailsrv_arg_read *arg)
{
    return arg->handle != 0 ? arg->handle : arg->mbox != 0 ? arg->mbox : arg->body;
}

static uint64_t changes_handle(const mailsrv_arg_changes *arg)
{
    return arg->mbox != 0 ? arg->mbox : arg->store;
}

uint64_t mailsrv__durable_handle_of(const mailsrv_op *op)
{
    if (mailsrv__stores_closes(op->kind) != 0)
        return ((const mailsrv_arg_close *)op->arg)->handle;
    switch (op->kind) {
    case MAILSRV_OP_LOCK:
        return ((const mailsrv_arg_lock *)op->arg)->store;
    case MAILSRV_OP_MBOX_OPEN:
        return ((const mailsrv_arg_mbox_open *)op->arg)->store;
    case MAILSRV_OP_MBOX_LIST:
        return ((const mailsrv_arg_mbox_list *)op->arg)->store;
    case MAILSRV_OP_MBOX_STATUS:
        return ((const mailsrv_arg_mbox_status *)op->arg)->store;
    case MAILSRV_OP_MBOX_CREATE:
        return ((const mailsrv_arg_mbox_create *)op->arg)->store;
    case MAILSRV_OP_MBOX_DELETE:
        return ((const mailsrv_arg_mbox_delete *)op->arg)->store;
    case MAILSRV_OP_MBOX_RENAME:
        return ((const mailsrv_arg_mbox_rename *)op->arg)->store;
    case MAILSRV_OP_MBOX_SUBSCRIBE:
        return ((const mailsrv_arg_mbox_subscribe *)op->arg)->store;
    case MAILSRV_OP_ROWS:
        return ((const mailsrv_arg_rows *)op->arg)->mbox;
    case MAILSRV_OP_READ:
        return read_handle(op->arg);
    case MAILSRV_OP_EXPUNGE:
        return ((const mailsrv_arg_expunge *)op->arg)->mbox;
    case MAILSRV_OP_CHANGES:
        return changes_handle(op->arg);
    case MAILSRV_OP_FLAGS:
        return ((const mailsrv_arg_flags *)op->arg)->mbox;
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return ((const mailsrv_arg_copy *)op->arg)->mbox;
    default:
        return 0;
    }
}

/* ---- Bodies that another shard has staged ---- */

static struct body *borrow(struct durable *d, struct body *origin)
{
    struct body *body = mailsrv__durable_body_new(d);
    if (body == NULL)
        return NULL;
    body->origin = origin;
    body->octets = origin->octets;
    body->p = origin->p;
    return body;
}

struct scratch {
    char from[PATH_MAX_OCTETS], to[PATH_MAX_OCTETS];
    uint8_t piece[PIECE];
};

static int32_t copy_octets(struct durable *d, struct body *body, struct scratch *s)
{
    for (uint64_t at = 0; at < body->octets;) {
        size_t n = body->octets - at < PIECE ? (size_t)(body->octets - at) : PIECE, got = 0;
        int32_t status = d->files.read(d->files.user, body->origin->file, s->piece, n, at, &got);
        if (status == MAILSRV_OK && got < n)
            status = MAILSRV_CORRUPT;
        if (status == MAILSRV_OK)
            status = d->files.write(d->files.user, body->file, s->piece, n, at);
        if (status != MAILSRV_OK)
            return status;
        at += n;
    }
    return MAILSRV_OK;
}

/* Under another name, or, where that cannot be, copied; to be synced. */
static int32_t take_file(struct durable *d, struct body *body, struct scratch *s)
{
    mailsrv__durable_body_path(d->family->shards[0], body->origin->number, s->from);
    mailsrv__durable_body_path(d, body->number, s->to);
    bool linked = d->files.link != NULL && d->files.link(d->files.user, s->from, s->to) == MAILSRV_OK;
    uint32_t how = MAILSRV_DURABLE_WRITE | (linked ? 0 : MAILSRV_DURABLE_CREATE | MAILSRV_DURABLE_EMPTY);
    int32_t status = d->files.open(d->files.user, s->to, how, &body->file);
    if (status != MAILSRV_OK) {
        body->file = NULL;
        if (linked)
            d->files.unlink(d->files.user, s->to);
        return status;
    }
    status = linked ? MAILSRV_OK : copy_octets(d, body, s);
    body->broken = status != MAILSRV_OK;
    return status;
}

int32_t mailsrv__durable_body_take_over(struct durable *d, struct body *body)
{
    if (body->origin == NULL || body->file != NULL || body->origin->file == NULL)
        return MAILSRV_OK;
    struct scratch *s = malloc(sizeof *s);
    int32_t status = s != NULL ? take_file(d, body, s) : MAILSRV_NOMEM;
    free(s);
    return status;
}

/* ---- A COMMIT in parts ---- */

/* Those of the first shard's part are the handles', which may be closed by now. */
void mailsrv__durable_part_free(struct part *part)
{
    for (uint32_t i = 0; part->bodies != NULL && part->d->shard != 0 && i < part->arg.n_bodies; i++)
        if (part->bodies[i] != NULL && part->bodies[i]->origin != NULL)
            mailsrv__durable_body_free(part->d, part->bodies[i]);
    if (part->split != NULL && atomic_fetch_sub(&part->split->parts, 1) == 1)
        free(part->split);
}

struct body *mailsrv__durable_part_body(const struct part *part, uint32_t i)
{
    return part->bodies[i];
}

static void take_results(struct split *s, const struct task *t)
{
    const struct part *part = t->part;
    const mailsrv_committed *value = t->answer.status == MAILSRV_OK ? t->answer.value : NULL;
    for (uint32_t i = 0; i < part->arg.n_targets; i++) {
        mailsrv_result *to = &s->results[part->places[i]];
        if (value != NULL)
            *to = value->results[i];
        else
            to->status = t->answer.status;
    }
}

static void part_delivered(mailsrv_engine *engine, mailsrv_letter *letter)
{
    struct task *t = (struct task *)(void *)((char *)letter - offsetof(struct task, letter));
    struct split *s = t->part->split;
    if (engine != NULL) {
        take_results(s, t);
        mailsrv_committed value = { sizeof value, s->n, sizeof *s->results, 0, s->results };
        const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &value };
        if (--s->waiting == 0)
            mailsrv_op_answer(engine, s->id, &answer);
    }
    mailsrv__durable_task_free(t);
}

/* The targets that are in its shard. */
static void take_targets(struct part *part, struct durable *home, const mailsrv_arg_body_commit *arg)
{
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        if (of_target(home, mailsrv__durable_target_at(arg, i)) != part->d->shard)
            continue;
        size_t n = arg->target_stride < sizeof(mailsrv_target) ? arg->target_stride : sizeof(mailsrv_target);
        memcpy(&part->targets[part->arg.n_targets], mailsrv__durable_target_at(arg, i), n);
        part->places[part->arg.n_targets++] = i;
    }
}

/* The bodies that its targets name, as its own. */
static bool take_bodies(struct part *part, struct durable *home, const mailsrv_arg_body_commit *arg)
{
    for (uint32_t i = 0; i < arg->n_bodies; i++)
        part->bodies[i] = mailsrv__durable_handle_find(home, staged_at(arg, i)->body, HANDLE_BODY)->body;
    for (uint32_t i = 0; i < part->arg.n_targets && part->d != home; i++) {
        uint32_t at = part->targets[i].body_index;
        if (at < arg->n_bodies && part->bodies[at]->origin == NULL)
            part->bodies[at] = borrow(part->d, part->bodies[at]);
        if (at < arg->n_bodies && part->bodies[at] == NULL)
            return false;
    }
    return true;
}

static struct task *new_part(struct binding *b, const mailsrv_op *op, struct split *s)
{
    const mailsrv_arg_body_commit *arg = op->arg;
    struct durable *home = b->d->family->shards[0];
    struct task *t = calloc(1, sizeof *t);
    struct part *part = t != NULL ? mailsrv__durable_room(t, sizeof *part) : NULL;
    if (part == NULL) {
        free(t);
        return NULL;
    }
    *part = (struct part){ .d = b->d, .op = *op, .arg = *arg };
    t->part = part;
    part->op.arg = &part->arg;
    part->targets = mailsrv__durable_room(t, arg->n_targets * sizeof *part->targets);
    part->places = mailsrv__durable_room(t, arg->n_targets * sizeof *part->places);
    part->bodies = mailsrv__durable_room(t, (arg->n_bodies + (size_t)1) * sizeof(struct body *));
    part->arg.targets = part->targets;
    part->arg.target_stride = sizeof *part->targets;
    part->arg.n_targets = 0;
    bool good = part->targets != NULL && part->places != NULL && part->bodies != NULL;
    if (good)
        take_targets(part, home, arg);
    if (!good || !take_bodies(part, home, arg)) {
        mailsrv__durable_task_free(t);
        return NULL;
    }
    part->split = s;
    atomic_fetch_add(&s->parts, 1);
    mailsrv__durable_task_begins(t, b, &part->op, part_delivered);
    return t;
}

static bool are_whole(struct durable *home, const mailsrv_arg_body_commit *arg)
{
    for (uint32_t i = 0; i < arg->n_bodies; i++) {
        const struct handle *h = mailsrv__durable_handle_find(home, staged_at(arg, i)->body, HANDLE_BODY);
        if (h == NULL || h->body->octets != staged_at(arg, i)->octets)
            return false;
    }
    return true;
}

/* All or none of the parts is asked. */
static int32_t ask_parts(struct binding *home, const mailsrv_op *op, uint64_t shards, struct split *s)
{
    struct task *parts = NULL, *next;
    bool good = true;
    for (uint32_t i = 0; i < home->d->family->n && good; i++) {
        if ((shards >> i & 1) == 0)
            continue;
        struct task *t = new_part(home->family[i], op, s);
        good = t != NULL;
        if (!good)
            continue;
        t->next = parts;
        parts = t;
        s->waiting++;
    }
    for (struct task *t = parts; t != NULL; t = next) {
        next = t->next;
        t->next = NULL;
        if (good)
            mailsrv__durable_wait_in_line(t->from->d, t);
        else
            mailsrv__durable_task_free(t);
    }
    return good ? MAILSRV_OK : MAILSRV_NOMEM;
}

/* All or nothing is a promise within one shard. */
static int32_t commit(struct binding *home, const mailsrv_op *op, uint64_t shards)
{
    const mailsrv_arg_body_commit *arg = op->arg;
    bool is_one = (shards & (shards - 1)) == 0;
    if (!are_whole(home->d, arg) || (arg->atomic && !is_one))
        return MAILSRV_CANNOT;
    struct split *s = calloc(1, sizeof *s + arg->n_targets * sizeof *s->results);
    if (s == NULL)
        return MAILSRV_NOMEM;
    s->id = op->id;
    s->n = arg->n_targets;
    atomic_store(&s->parts, 1); /* until all are asked */
    int32_t status = ask_parts(home, op, shards, s);
    if (atomic_fetch_sub(&s->parts, 1) == 1)
        free(s);
    return status;
}

static uint64_t shards_of(struct durable *home, const mailsrv_arg_body_commit *arg)
{
    uint64_t shards = 0;
    for (uint32_t i = 0; i < arg->n_targets; i++)
        shards |= UINT64_C(1) << of_target(home, mailsrv__durable_target_at(arg, i));
    return shards;
}

void mailsrv__durable_spread(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct binding *home = user;
    uint64_t shards = op->kind == MAILSRV_OP_BODY_COMMIT ? shards_of(home->d, op->arg) : 1;
    uint32_t i = op->kind == MAILSRV_OP_STORE_OPEN ? mailsrv__durable_shard_of(home->d, &op->account)->shard
                 : op->id != 0                     ? of_handle(home->d->family, mailsrv__durable_handle_of(op))
                                                   : 0;
    if (shards <= 1) {
        mailsrv__durable_handle(home->family[i], engine, op);
        return;
    }
    mailsrv_answer answer = { .size = sizeof answer, .status = commit(home, op, shards) };
    if (answer.status != MAILSRV_OK)
        mailsrv_op_answer(engine, op->id, &answer);
}
