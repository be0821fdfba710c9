#include "core/op.h"

#include "core/ledger.h"
#include "core/tls.h"

enum { ALIGNMENT = 16 };

static size_t aligned(size_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t mailsrv__ask_octets(size_t octets)
{
    return aligned(octets);
}

struct op *mailsrv__op_new(mailsrv_engine *e, mailsrv_session *s, int32_t number, size_t octets)
{
    const struct kind *kind = mailsrv__kind(number);
    size_t before_room = aligned(sizeof(struct op)) + aligned(kind->arg_octets);
    if (octets > SIZE_MAX / 2)
        return NULL;
    size_t all = before_room + aligned(octets);
    struct op *op = mailsrv__heap_take(&e->heap, CLASS_OPERATIONS, s == NULL ? NULL : &s->purse, all);
    if (op == NULL)
        return NULL;
    uint8_t *arg = (uint8_t *)op + aligned(sizeof(struct op));
    op->engine = e;
    op->session = s;
    op->octets = all;
    op->room = (uint8_t *)op + before_room;
    op->room_left = all - before_room;
    op->pub = (mailsrv_op){ .size = sizeof op->pub, .kind = number, .arg = arg };
    if (s != NULL) {
        op->pub.session_id = s->id;
        op->pub.account = s->account;
        op->pub.host = s->host;
    }
    *(uint32_t *)(void *)arg = kind->arg_octets;
    op->lent.op = op;
    op->lent.refs = 1;
    mailsrv__list_init(&op->link);
    mailsrv__list_init(&op->late_link);
    return op;
}

struct op *mailsrv__op_new_with_closer(mailsrv_engine *e, mailsrv_session *s, int32_t number, size_t octets)
{
    const struct kind *kind = mailsrv__kind(number);
    struct op *op = mailsrv__op_new(e, s, number, octets);
    if (op == NULL || (kind->flags & KIND_GIVES) == 0)
        return op;
    op->then = mailsrv__op_new(e, s, kind->closer, 0);
    if (op->then == NULL) {
        mailsrv__op_free(op);
        return NULL;
    }
    return op;
}

void *mailsrv__op_room(struct op *op, size_t octets)
{
    void *p = op->room;
    op->room += aligned(octets);
    op->room_left -= aligned(octets);
    return p;
}

/* ---- The table ---- */

static struct op **bucket(mailsrv_engine *e, mailsrv_op_id id)
{
    return &e->ops.buckets[id % OP_BUCKETS];
}

struct op *mailsrv__op_find(const mailsrv_engine *e, mailsrv_op_id id)
{
    struct op *op = e->ops.buckets[id % OP_BUCKETS];
    while (op != NULL && op->pub.id != id)
        op = op->chained;
    return op;
}

void mailsrv__op_forget(struct op *op)
{
    struct op **at = bucket(op->engine, op->pub.id);
    while (*at != op)
        at = &(*at)->chained;
    *at = op->chained;
    op->chained = NULL;
}

/* Nobody answers this kind: it is settled without being asked. */
static void refuse(struct op *op)
{
    op->state = OP_ANSWERED;
    op->answer = *mailsrv__answer_of(MAILSRV_TEMP);
    mailsrv__op_tell(op);
}

void mailsrv__op_submit(struct op *op)
{
    mailsrv_engine *e = op->engine;
    const struct server *server = &e->servers[op->pub.kind];
    if (!server->served) {
        refuse(op);
        return;
    }
    op->pub.id = ++e->ops.last_id;
    if (op->session == NULL)
        op->pub.host = NULL; /* what it points to may have gone with the session */
    op->state = OP_QUEUED;
    e->ops.n_queued++;
    if (e->ledger != NULL)
        e->ledger->asked(op);
    struct op **at = bucket(e, op->pub.id);
    op->chained = *at;
    *at = op;
    mailsrv__list_append(server->handler != NULL ? &e->ops.handled : &e->ops.pulled, &op->link);
}

/* ---- Taking ---- */

static void taken(struct op *op)
{
    op->state = OP_TAKEN;
    op->engine->ops.n_queued--;
    op->engine->ops.n_out++;
}

static const mailsrv_op *next_cancel(mailsrv_engine *e, struct notice *notice)
{
    struct node *n = mailsrv__list_pop(&e->ops.cancels);
    if (n == NULL)
        return NULL;
    const struct op *op = HOLDER(n, struct op, link);
    notice->cancel = (mailsrv_arg_cancel){ sizeof notice->cancel, op->pub.kind, op->pub.id };
    notice->op = (mailsrv_op){ .size = sizeof notice->op,
                               .kind = MAILSRV_NOTICE_CANCEL,
                               .account = op->pub.account,
                               .arg = &notice->cancel };
    return &notice->op;
}

static bool is_handled(const mailsrv_engine *e, int32_t kind)
{
    return e->servers[kind].handler != NULL;
}

/* The next notice for handlers, or the next one for who pulls. */
static const mailsrv_op *next_notice_for(mailsrv_engine *e, bool handlers)
{
    struct notice *notice = handlers ? &e->handled_notice : &e->pulled_notice;
    const mailsrv_op *next = NULL;
    if (is_handled(e, MAILSRV_NOTICE_CANCEL) == handlers)
        next = next_cancel(e, notice);
    if (next == NULL && is_handled(e, MAILSRV_NOTICE_CHANGED) == handlers)
        next = mailsrv__changed_next(e, notice);
    return next;
}

int32_t mailsrv_engine_next_op(mailsrv_engine *e, const mailsrv_op **out)
{
    if (e == NULL || out == NULL)
        return MAILSRV_E_USAGE;
    *out = next_notice_for(e, false);
    struct node *n = *out == NULL ? mailsrv__list_pop(&e->ops.pulled) : NULL;
    if (n != NULL) {
        struct op *op = HOLDER(n, struct op, link);
        taken(op);
        *out = &op->pub;
    }
    return *out == NULL ? MAILSRV_E_CLOSED : MAILSRV_OK;
}

bool mailsrv__ops_waiting(const mailsrv_engine *e)
{
    return !mailsrv__list_empty(&e->ops.handled) ||
           (is_handled(e, MAILSRV_NOTICE_CANCEL) && !mailsrv__list_empty(&e->ops.cancels)) ||
           (is_handled(e, MAILSRV_NOTICE_CHANGED) && mailsrv__changed_waits(e));
}

static void call(mailsrv_engine *e, const mailsrv_op *op)
{
    const struct server *server = &e->servers[op->kind];
    e->outside = true;
    server->handler(server->user, e, op);
    e->outside = false;
}

bool mailsrv__ops_handle_one(mailsrv_engine *e)
{
    const mailsrv_op *notice = next_notice_for(e, true);
    if (notice != NULL) {
        call(e, notice);
        return true;
    }
    struct node *n = mailsrv__list_pop(&e->ops.handled);
    if (n == NULL)
        return false;
    struct op *op = HOLDER(n, struct op, link);
    taken(op);
    call(e, &op->pub);
    return true;
}

/* ---- The end of an operation ---- */

static void charge_leaves(struct op *op)
{
    struct purse *purse = &op->session->purse;
    mailsrv__purse_leave(purse, op->octets + op->buffer_octets);
    if (op->copied != NULL)
        mailsrv__purse_leave(purse, op->copied_octets);
    if (op->text != NULL)
        mailsrv__purse_leave(purse, op->text_octets);
    op->session = NULL;
}

void mailsrv__op_then(struct op *op, struct op *chain)
{
    struct op **at = &op->then;
    while (*at != NULL)
        at = &(*at)->then;
    *at = chain;
}

static void drop_answer(struct op *op)
{
    struct purse *purse = op->session == NULL ? NULL : &op->session->purse;
    struct heap *heap = &op->engine->heap;
    if (op->lent.release != NULL)
        op->lent.release(op->lent.user);
    if (op->copied != NULL && (mailsrv__kind(op->pub.kind)->flags & KIND_SECRET) != 0)
        mailsrv__wipe(op->copied, op->copied_octets);
    mailsrv__heap_give(heap, CLASS_OPERATIONS, purse, op->copied, op->copied_octets);
    mailsrv__heap_give(heap, CLASS_OPERATIONS, purse, op->text, op->text_octets);
    op->lent.release = NULL;
    op->copied = op->text = NULL;
    op->copied_octets = op->text_octets = 0;
}

void mailsrv__op_free(struct op *op)
{
    if (op == NULL || --op->lent.refs != 0)
        return;
    struct purse *purse = op->session == NULL ? NULL : &op->session->purse;
    struct heap *heap = &op->engine->heap;
    if (op->pub.kind == MAILSRV_OP_JOB)
        mailsrv__job_end(op);
    for (struct op *next = op->then; next != NULL;) {
        struct op *after = next->then;
        next->then = NULL;
        mailsrv__op_free(next);
        next = after;
    }
    mailsrv__op_free(op->undo);
    if (op->gate != NULL && --op->gate->holds == 0)
        mailsrv__op_free(op->gate);
    drop_answer(op);
    mailsrv__heap_give(heap, CLASS_BODIES, purse, op->buffer, op->buffer_octets);
    mailsrv__heap_give(heap, CLASS_BODIES, NULL, op->structure, op->structure_octets);
    if ((mailsrv__kind(op->pub.kind)->flags & KIND_SECRET) != 0)
        mailsrv__wipe(op + 1, op->octets - sizeof *op);
    mailsrv__heap_give(heap, CLASS_OPERATIONS, purse, op, op->octets);
}

void mailsrv__op_renew(struct op *op)
{
    drop_answer(op);
    op->state = OP_RESERVED;
    op->answer = (mailsrv_answer){ 0 };
}

/* `op` is done: asks `next`, on which the rest of its chain hangs already; with none left, its gate opens. */
static void ask_next(struct op *op, struct op *next)
{
    struct op *gate = op->gate;
    op->gate = NULL;
    if (next != NULL) {
        next->gate = gate;
        mailsrv__op_submit(next);
    } else if (gate != NULL && --gate->holds == 0) {
        mailsrv__op_submit(gate);
    }
}

/* The first of what follows a kind that gives a handle closes that handle, if there is one. */
static void close_given(struct op *op)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    struct op *closer = op->then;
    op->then = NULL;
    if (closer == NULL) {
        ask_next(op, NULL);
        return;
    }
    uint64_t handle = 0; /* also of an answer that became NOMEM here: it was given */
    memcpy(&handle, (const char *)&op->value + kind->handle_at, sizeof handle);
    if (op->state == OP_ANSWERED && handle != 0) {
        ((mailsrv_arg_close *)(void *)(uintptr_t)closer->pub.arg)->handle = handle;
        ask_next(op, closer);
        return;
    }
    struct op *next = closer->then;
    closer->then = NULL;
    mailsrv__op_free(closer);
    ask_next(op, next);
}

/* The session will not see the handle in this answer, for want of memory for what came with it. */
void mailsrv__op_close_unseen(struct op *op)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    struct op *closer = op->then;
    uint64_t handle = 0;
    if (op->session == NULL || closer == NULL || (kind->flags & KIND_GIVES) == 0)
        return; /* what is no session's closes its handle at its end */
    memcpy(&handle, (const char *)&op->value + kind->handle_at, sizeof handle);
    if (handle == 0)
        return;
    op->then = NULL;
    mailsrv__purse_leave(&closer->session->purse, closer->octets);
    closer->session = NULL;
    ((mailsrv_arg_close *)(void *)(uintptr_t)closer->pub.arg)->handle = handle;
    mailsrv__op_submit(closer);
}

/* A COMMIT that came after its peer had been told 451: the peer keeps the message and will send it again, so what was
 * put into the queue is deleted, or it would go out twice (RFC 5321 section 4.2.5). */
static bool undo_queued(struct op *op)
{
    struct op *undo = op->undo;
    if (undo == NULL || !op->late || op->answer.status != MAILSRV_OK)
        return false;
    mailsrv_arg_queue_delete *arg = (mailsrv_arg_queue_delete *)(void *)(uintptr_t)undo->pub.arg;
    uint64_t *queues = (uint64_t *)(void *)(uintptr_t)arg->queues;
    arg->n = 0;
    for (uint32_t i = 0; i < op->value.committed.n; i++)
        if (op->results[i].status == MAILSRV_OK && op->results[i].queue != 0)
            queues[arg->n++] = op->results[i].queue;
    if (arg->n == 0)
        return false;
    undo->then = op->then;
    op->then = op->undo = NULL;
    ask_next(op, undo);
    return true;
}

void mailsrv__op_finish_orphan(struct op *op)
{
    if ((mailsrv__kind(op->pub.kind)->flags & KIND_GIVES) != 0) {
        close_given(op);
    } else if (!undo_queued(op)) {
        struct op *next = op->then;
        op->then = NULL;
        ask_next(op, next);
    }
    mailsrv__op_free(op);
}

static void vanish(struct op *op)
{
    mailsrv__list_remove(&op->link);
    mailsrv__op_forget(op);
    op->engine->ops.n_queued--;
    if (op->engine->ledger != NULL)
        op->engine->ledger->vanished(op);
    mailsrv__op_finish_orphan(op);
}

void mailsrv__op_orphan(struct op *op)
{
    uint16_t flags = mailsrv__kind(op->pub.kind)->flags;
    if (op->state == OP_QUEUED)
        op->pub.host = NULL;
    if (op->session != NULL)
        charge_leaves(op);
    if (op->undo != NULL && op->undo->session != NULL)
        charge_leaves(op->undo);
    for (struct op *next = op->then; next != NULL; next = next->then)
        if (next->session != NULL)
            charge_leaves(next);
    if (op->state == OP_ANSWERED)
        mailsrv__op_finish_orphan(op);
    else if (op->state == OP_QUEUED && (flags & KIND_STAYS) == 0)
        vanish(op);
    else if (op->state == OP_TAKEN && (flags & (KIND_WRITES | KIND_STAYS)) == 0 &&
             op->engine->servers[MAILSRV_NOTICE_CANCEL].served)
        mailsrv__list_append(&op->engine->ops.cancels, &op->link);
}

static void abandon(struct op *op)
{
    mailsrv__list_remove(&op->link);
    mailsrv__op_forget(op);
    mailsrv__op_free(op);
}

void mailsrv__ops_abandon(mailsrv_engine *e)
{
    for (size_t i = 0; i < OP_BUCKETS; i++)
        while (e->ops.buckets[i] != NULL)
            abandon(e->ops.buckets[i]);
}
