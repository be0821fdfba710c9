/* What was changed through this engine: its rooms are told at once, the host by the notice CHANGED, for which changes
 * are gathered by mailbox. */
#include "core/op.h"
#include "core/room.h"

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

static void add(mailsrv_engine *e, const mailsrv_id *account, const mailsrv_id *mailbox, uint64_t modseq)
{
    mailsrv__rooms_notify(e, account, mailbox, modseq);
    gather(e, &(mailsrv_arg_changed){
                  .size = sizeof *e->changes.v, .account = *account, .mailbox = *mailbox, .modseq = modseq });
}

static void add_names(mailsrv_engine *e, const mailsrv_id *account, uint64_t modseq)
{
    gather(e, &(mailsrv_arg_changed){
                  .size = sizeof *e->changes.v, .names = 1, .account = *account, .modseq = modseq });
}

static void changed_by_commit(const struct op *op)
{
    const mailsrv_arg_body_commit *arg = op->pub.arg;
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        const mailsrv_target *target =
            (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
        if (target->kind == MAILSRV_TARGET_MAILBOX && op->results[i].status == MAILSRV_OK)
            add(op->engine, &target->account, &target->mailbox, op->results[i].modseq);
    }
}

static void changed_up_to(const struct op *op, const mailsrv_id *mailbox, uint64_t modseq)
{
    if (modseq != 0)
        add(op->engine, &op->pub.account, mailbox, modseq);
}

/* It was done, though there may have been no memory for the list in its answer. */
static bool was_done(const struct op *op)
{
    bool has_list = op->pub.kind == MAILSRV_OP_FLAGS || op->pub.kind == MAILSRV_OP_COPY ||
                    op->pub.kind == MAILSRV_OP_MOVE;
    return op->answer.status == MAILSRV_OK || (has_list && op->value_given);
}

void mailsrv__changed_by(const struct op *op)
{
    mailsrv_engine *e = op->engine;
    if (!was_done(op))
        return;
    switch (op->pub.kind) {
    case MAILSRV_OP_BODY_COMMIT:
        changed_by_commit(op);
        break;
    case MAILSRV_OP_EXPUNGE:
        changed_up_to(op, &((const mailsrv_arg_expunge *)op->pub.arg)->mailbox, op->value.expunged.modseq);
        break;
    case MAILSRV_OP_FLAGS:
        changed_up_to(op, &((const mailsrv_arg_flags *)op->pub.arg)->mailbox, op->value.flagged.modseq);
        break;
    case MAILSRV_OP_COPY:
        changed_up_to(op, &((const mailsrv_arg_copy *)op->pub.arg)->to, op->value.copied.modseq);
        break;
    case MAILSRV_OP_MOVE:
        changed_up_to(op, &((const mailsrv_arg_copy *)op->pub.arg)->to, op->value.copied.modseq);
        changed_up_to(op, &((const mailsrv_arg_copy *)op->pub.arg)->mailbox, op->value.copied.modseq);
        break;
    case MAILSRV_OP_MBOX_CREATE:
        add_names(e, &op->pub.account, op->value.mbox_created.modseq);
        break;
    case MAILSRV_OP_MBOX_DELETE: /* who looks at it must learn that it is gone */
        add(e, &op->pub.account, &((const mailsrv_arg_mbox_delete *)op->pub.arg)->mailbox, 0);
        add_names(e, &op->pub.account, 0);
        break;
    case MAILSRV_OP_MBOX_RENAME: /* INBOX loses its messages; another may get a new UIDVALIDITY, and those below, too */
        add(e, &op->pub.account, &(mailsrv_id){ { 0 } }, 0); /* which they are is not known here */
        add_names(e, &op->pub.account, 0);
        break;
    case MAILSRV_OP_MBOX_SUBSCRIBE:
        add_names(e, &op->pub.account, 0);
        break;
    default:
        break;
    }
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
