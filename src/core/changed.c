/* What was changed through this engine: its rooms are told at once, the host by the notice CHANGED, for which changes
 * are gathered by mailbox. */
#include "core/answer.h"
#include "core/room.h"
#include "text/writer.h"

static bool same(const mailsrv_arg_changed *a, const mailsrv_arg_changed *b)
{
    return a->names == b->names && memcmp(&a->account, &b->account, sizeof a->account) == 0 &&
           memcmp(&a->mailbox, &b->mailbox, sizeof a->mailbox) == 0;
}

/* One that is not known outlasts those that are: who has what is known of already would ask nothing. */
static uint64_t higher(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return 0;
    return a > b ? a : b;
}

static void gather(mailsrv_engine *e, const mailsrv_arg_changed *change)
{
    struct changes *changes = &e->changes;
    if (!e->servers[MAILSRV_NOTICE_CHANGED].served)
        return;
    for (uint32_t i = 0; i < changes->n; i++) {
        if (!same(&changes->v[i], change))
            continue;
        changes->v[i].modseq = higher(changes->v[i].modseq, change->modseq);
        return;
    }
    if (changes->n == CHANGES || changes->all) {
        changes->all = true; /* it stands for those that are gathered, too */
        changes->n = 0;
        return;
    }
    changes->v[changes->n++] = *change;
}

void mailsrv__changed_add(mailsrv_engine *e, const mailsrv_id *account, const mailsrv_id *mailbox, uint64_t modseq)
{
    mailsrv__rooms_notify(e, account, mailbox, modseq);
    gather(e, &(mailsrv_arg_changed){
                  .size = sizeof *e->changes.v, .account = *account, .mailbox = *mailbox, .modseq = modseq });
}

void mailsrv__changed_names(mailsrv_engine *e, const mailsrv_id *account, uint64_t modseq)
{
    gather(e, &(mailsrv_arg_changed){
                  .size = sizeof *e->changes.v, .names = 1, .account = *account, .modseq = modseq });
}

static void tell_queued(const struct op *op, const mailsrv_target *target, uint64_t number)
{
    char room[EVENT_TEXT_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_u64(&w, number);
    mailsrv__write_char(&w, ' ');
    mailsrv__write(&w, mailsrv__span(target->recipient));
    mailsrv__event(op->engine, MAILSRV_EVENT_QUEUED, op->pub.session_id, w.p, w.n);
}

static void queued(const struct op *op, const mailsrv_target *target, uint64_t number)
{
    const mailsrv_arg_body_commit *arg = op->pub.arg;
    const mailsrv_staged *body =
        (const void *)((const char *)arg->bodies + (size_t)target->body_index * arg->body_stride);
    const mailsrv_queue_item item = { .queue = number,
                                      .octets = target->prefix.n + body->octets,
                                      .record = target->record,
                                      .due_us = target->due_us,
                                      .lane = target->lane };
    for (struct room *room = op->engine->rooms; room != NULL; room = room->next)
        if (room->queued != NULL)
            room->queued(room, &item);
    tell_queued(op, target, number);
}

/* What its peer was told came to nothing is being deleted again: core/op.c. */
static bool is_undone(const struct op *op)
{
    return op->late && op->undo != NULL;
}

static void changed_by_commit(const struct op *op)
{
    const mailsrv_arg_body_commit *arg = op->pub.arg;
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        const mailsrv_target *target =
            (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
        if (target->kind == MAILSRV_TARGET_MAILBOX && op->results[i].status == MAILSRV_OK)
            mailsrv__changed_add(op->engine, &target->account, &target->mailbox, op->results[i].modseq);
        else if (op->results[i].status == MAILSRV_OK && op->results[i].queue != 0 && !is_undone(op))
            queued(op, target, op->results[i].queue);
    }
}

void mailsrv__changed_by(const struct op *op)
{
    const struct answers *answers = op->engine->answers;
    if (op->pub.kind != MAILSRV_OP_BODY_COMMIT && answers != NULL)
        answers->changed(op);
    else if (op->pub.kind == MAILSRV_OP_BODY_COMMIT && op->answer.status == MAILSRV_OK)
        changed_by_commit(op);
}

bool mailsrv__changed_waits(const mailsrv_engine *e)
{
    return e->changes.n != 0 || e->changes.all;
}

const mailsrv_op *mailsrv__changed_next(mailsrv_engine *e, struct notice *notice)
{
    struct changes *changes = &e->changes;
    if (!mailsrv__changed_waits(e))
        return NULL;
    notice->changed = (mailsrv_arg_changed){ .size = sizeof notice->changed };
    if (changes->all)
        changes->all = false;
    else
        notice->changed = changes->v[--changes->n];
    notice->op = (mailsrv_op){ .size = sizeof notice->op,
                               .kind = MAILSRV_NOTICE_CHANGED,
                               .account = notice->changed.account,
                               .arg = &notice->changed };
    return &notice->op;
}
