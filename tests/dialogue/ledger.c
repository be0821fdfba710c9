#include "ledger.h"

#include "words.h"

#include <stdlib.h>

bool kind_writes(int32_t kind)
{
    return kind == MAILSRV_OP_BODY_WRITE || kind == MAILSRV_OP_BODY_COMMIT || kind == MAILSRV_OP_EXPUNGE ||
           kind == MAILSRV_OP_FLAGS || kind == MAILSRV_OP_COPY || kind == MAILSRV_OP_MOVE ||
           (kind >= MAILSRV_OP_MBOX_CREATE && kind <= MAILSRV_OP_MBOX_SUBSCRIBE);
}

bool kind_loads(int32_t kind)
{
    return kind == MAILSRV_OP_STORE_OPEN || kind == MAILSRV_OP_MBOX_OPEN || kind == MAILSRV_OP_ROWS ||
           kind == MAILSRV_OP_CHANGES;
}

bool kind_closes(int32_t kind)
{
    return kind == MAILSRV_OP_BODY_CLOSE || kind == MAILSRV_OP_STORE_CLOSE || kind == MAILSRV_OP_MBOX_CLOSE ||
           kind == MAILSRV_OP_READ_CLOSE || kind == MAILSRV_OP_UNLOCK;
}

/* The array with room for one more. */
static void *reserve(void *array, size_t n, size_t *room, size_t octets)
{
    if (n < *room)
        return array;
    *room = n * 2 + 8;
    void *p = dialogue_take(*room * octets);
    if (n != 0)
        memcpy(p, array, n * octets);
    free(array);
    return p;
}

/* ---- Handles ---- */

static const mailsrv_staged *first_body(const mailsrv_op *op)
{
    return ((const mailsrv_arg_body_commit *)op->arg)->bodies;
}

static struct closed used_store(uint64_t handle)
{
    return (struct closed){ MAILSRV_OP_STORE_CLOSE, handle };
}

static struct closed used_mailbox(uint64_t handle)
{
    return (struct closed){ MAILSRV_OP_MBOX_CLOSE, handle };
}

/* Of those kinds that are about an account's names. */
static struct closed handle_of_names(const mailsrv_op *op)
{
    switch (op->kind) {
    case MAILSRV_OP_MBOX_LIST:
        return used_store(((const mailsrv_arg_mbox_list *)op->arg)->store);
    case MAILSRV_OP_MBOX_STATUS:
        return used_store(((const mailsrv_arg_mbox_status *)op->arg)->store);
    case MAILSRV_OP_MBOX_CREATE:
        return used_store(((const mailsrv_arg_mbox_create *)op->arg)->store);
    case MAILSRV_OP_MBOX_DELETE:
        return used_store(((const mailsrv_arg_mbox_delete *)op->arg)->store);
    case MAILSRV_OP_MBOX_RENAME:
        return used_store(((const mailsrv_arg_mbox_rename *)op->arg)->store);
    case MAILSRV_OP_MBOX_SUBSCRIBE:
        return used_store(((const mailsrv_arg_mbox_subscribe *)op->arg)->store);
    default:
        return (struct closed){ 0, 0 };
    }
}

static struct closed handle_of_changes(const mailsrv_arg_changes *arg)
{
    return arg->mbox != 0 ? used_mailbox(arg->mbox) : used_store(arg->store);
}

/* The handle that an operation uses, and the kind that closes such a one. */
static struct closed used_handle(const mailsrv_op *op)
{
    switch (op->kind) {
    case MAILSRV_OP_BODY_WRITE:
        return (struct closed){ MAILSRV_OP_BODY_CLOSE, ((const mailsrv_arg_body_write *)op->arg)->body };
    case MAILSRV_OP_BODY_COMMIT:
        return (struct closed){ MAILSRV_OP_BODY_CLOSE, first_body(op)->body };
    case MAILSRV_OP_LOCK:
        return used_store(((const mailsrv_arg_lock *)op->arg)->store);
    case MAILSRV_OP_MBOX_OPEN:
        return used_store(((const mailsrv_arg_mbox_open *)op->arg)->store);
    case MAILSRV_OP_ROWS:
        return used_mailbox(((const mailsrv_arg_rows *)op->arg)->mbox);
    case MAILSRV_OP_READ:
        return used_mailbox(((const mailsrv_arg_read *)op->arg)->mbox);
    case MAILSRV_OP_EXPUNGE:
        return used_mailbox(((const mailsrv_arg_expunge *)op->arg)->mbox);
    case MAILSRV_OP_FLAGS:
        return used_mailbox(((const mailsrv_arg_flags *)op->arg)->mbox);
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return used_mailbox(((const mailsrv_arg_copy *)op->arg)->mbox);
    case MAILSRV_OP_CHANGES:
        return handle_of_changes(op->arg);
    default:
        break;
    }
    if (kind_closes(op->kind))
        return (struct closed){ op->kind, ((const mailsrv_arg_close *)op->arg)->handle };
    return handle_of_names(op);
}

static bool was_closed(const struct ledger *l, const struct closed *used)
{
    for (size_t i = 0; i < l->n_closed; i++)
        if (l->closed[i].closer == used->closer && l->closed[i].handle == used->handle)
            return true;
    return false;
}

static const char *check_handle(struct ledger *l, const mailsrv_op *op, const struct closed *used)
{
    if (used->closer == 0)
        return NULL;
    if (used->handle == 0)
        return "a handle is 0";
    if (was_closed(l, used))
        return kind_closes(op->kind) ? "a handle is closed twice" : "a handle is used after it was closed";
    if (kind_closes(op->kind)) {
        l->closed = reserve(l->closed, l->n_closed, &l->room_closed, sizeof *l->closed);
        l->closed[l->n_closed++] = *used;
    }
    return NULL;
}

/* ---- Order ---- */

static const char *check_order(const struct ledger *l, const mailsrv_op *op, const struct closed *used)
{
    for (size_t i = 0; i < l->n_out; i++) {
        const struct entry *other = &l->out[i];
        if (used->closer == MAILSRV_OP_BODY_CLOSE && other->handle == used->handle &&
            (other->kind == MAILSRV_OP_BODY_WRITE || other->kind == MAILSRV_OP_BODY_COMMIT ||
             other->kind == MAILSRV_OP_BODY_CLOSE))
            return "two operations of one body are out";
        if (kind_writes(op->kind) && kind_writes(other->kind) && other->session_id == op->session_id)
            return "two writes of one session are out";
        if (kind_closes(op->kind) && other->handle == used->handle && other->kind != op->kind &&
            used->closer == MAILSRV_OP_MBOX_CLOSE)
            return "a mailbox is closed while it is used";
    }
    return NULL;
}

static struct staged *find_staged(struct ledger *l, uint64_t body)
{
    for (size_t i = l->n_staged; i-- != 0;)
        if (l->staged[i].body == body)
            return &l->staged[i];
    l->staged = reserve(l->staged, l->n_staged, &l->room_staged, sizeof *l->staged);
    l->staged[l->n_staged] = (struct staged){ .body = body };
    return &l->staged[l->n_staged++];
}

static const char *check_octets(struct ledger *l, const mailsrv_op *op)
{
    if (op->kind == MAILSRV_OP_BODY_WRITE) {
        const mailsrv_arg_body_write *arg = op->arg;
        struct staged *staged = find_staged(l, arg->body);
        if (arg->octets.n == 0)
            return "a write without octets";
        if (arg->offset != staged->octets)
            return "a write that does not go on where the one before ended";
        staged->octets += arg->octets.n;
    } else if (op->kind == MAILSRV_OP_BODY_COMMIT) {
        const mailsrv_staged *body = first_body(op);
        if (body->octets != find_staged(l, body->body)->octets)
            return "a commit of more or fewer octets than were written";
    }
    return NULL;
}

static bool is_queue_commit(const mailsrv_op *op)
{
    const mailsrv_arg_body_commit *arg = op->arg;
    return op->kind == MAILSRV_OP_BODY_COMMIT && arg->n_targets != 0 && arg->targets->kind == MAILSRV_TARGET_QUEUE;
}

static bool is_sender_check(const mailsrv_op *op)
{
    return op->kind == MAILSRV_OP_RESOLVE &&
           (((const mailsrv_arg_resolve *)op->arg)->flags & MAILSRV_RESOLVE_SENDER) != 0;
}

const char *ledger_take(struct ledger *l, const mailsrv_op *op, uint64_t unserved, struct entry *out)
{
    if (op->id <= l->last_id)
        return "an id that is not new";
    l->last_id = op->id;
    if (op->kind < 1 || op->kind > 63 || ((unserved >> op->kind) & 1) != 0)
        return "a kind that nobody serves was asked";
    if (op->size < sizeof *op || op->arg == NULL || *(const uint32_t *)op->arg < sizeof(mailsrv_arg_store_open))
        return "a struct without its size";
    struct closed used = used_handle(op);
    const char *why = op->kind == MAILSRV_OP_READ && used.handle == 0 ? NULL : check_handle(l, op, &used);
    if (why == NULL)
        why = check_order(l, op, &used);
    if (why == NULL)
        why = check_octets(l, op);
    l->kinds |= UINT64_C(1) << op->kind;
    *out = (struct entry){
        .op = op,
        .id = op->id,
        .kind = op->kind,
        .session_id = op->session_id,
        .digest = op_digest(op),
        .handle = used.handle,
        .ordinal = ++l->taken,
        .is_queue = is_queue_commit(op),
        .is_sender = is_sender_check(op),
    };
    return why;
}

const char *ledger_notice(const struct ledger *l, const mailsrv_op *op)
{
    const mailsrv_arg_cancel *arg = op->arg;
    if (op->kind == MAILSRV_NOTICE_CHANGED)
        return NULL;
    if (op->kind != MAILSRV_NOTICE_CANCEL)
        return "a notice of an unknown kind";
    for (size_t i = 0; i < l->n_out; i++) {
        if (l->out[i].id != arg->id)
            continue;
        if (l->out[i].kind != arg->kind)
            return "a cancel that names the wrong kind";
        return kind_writes(arg->kind) ? "a write is cancelled" : NULL;
    }
    return "a cancel of what is not out";
}

const char *ledger_unchanged(const struct entry *entry)
{
    return op_digest(entry->op) == entry->digest ? NULL : "the record of an operation changed while it was out";
}

void ledger_add(struct ledger *l, const struct entry *entry)
{
    l->out = reserve(l->out, l->n_out, &l->room_out, sizeof *l->out);
    l->out[l->n_out++] = *entry;
}

void ledger_remove(struct ledger *l, size_t at)
{
    memmove(&l->out[at], &l->out[at + 1], (l->n_out - at - 1) * sizeof *l->out);
    l->n_out--;
    l->answered++;
}

void ledger_free(struct ledger *l)
{
    free(l->out);
    free(l->staged);
    free(l->closed);
    *l = (struct ledger){ 0 };
}
