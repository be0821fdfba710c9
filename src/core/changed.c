/* What was changed through this engine, gathered by mailbox until the notice CHANGED is taken. */
#include "core/op.h"

static bool same(const mailsrv_arg_changed *c, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    return memcmp(&c->account, account, sizeof *account) == 0 && memcmp(&c->mailbox, mailbox, sizeof *mailbox) == 0;
}

static void add(struct changes *changes, const mailsrv_id *account, const mailsrv_id *mailbox, uint64_t modseq)
{
    for (uint32_t i = 0; i < changes->n; i++) {
        if (!same(&changes->v[i], account, mailbox))
            continue;
        if (changes->v[i].modseq < modseq)
            changes->v[i].modseq = modseq;
        return;
    }
    if (changes->n == CHANGES || changes->all) {
        changes->all = true; /* it stands for those that are gathered, too */
        changes->n = 0;
        return;
    }
    changes->v[changes->n++] = (mailsrv_arg_changed){
        .size = sizeof *changes->v, .account = *account, .mailbox = *mailbox, .modseq = modseq
    };
}

static void changed_by_commit(struct changes *changes, const struct op *op)
{
    const mailsrv_arg_body_commit *arg = op->pub.arg;
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        const mailsrv_target *target =
            (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
        if (target->kind == MAILSRV_TARGET_MAILBOX && op->results[i].status == MAILSRV_OK)
            add(changes, &target->account, &target->mailbox, op->results[i].modseq);
    }
}

static void changed_up_to(const struct op *op, const mailsrv_id *mailbox, uint64_t modseq)
{
    if (modseq != 0)
        add(&op->engine->changes, &op->pub.account, mailbox, modseq);
}

void mailsrv__changed_by(const struct op *op)
{
    mailsrv_engine *e = op->engine;
    if (!e->servers[MAILSRV_NOTICE_CHANGED].served || op->answer.status != MAILSRV_OK)
        return;
    if (op->pub.kind == MAILSRV_OP_BODY_COMMIT)
        changed_by_commit(&e->changes, op);
    else if (op->pub.kind == MAILSRV_OP_EXPUNGE)
        changed_up_to(op, &(mailsrv_id){ { 0 } }, op->value.expunged.modseq);
    else if (op->pub.kind == MAILSRV_OP_FLAGS)
        changed_up_to(op, &(mailsrv_id){ { 0 } }, op->value.flagged.modseq);
    else if (op->pub.kind == MAILSRV_OP_COPY)
        changed_up_to(op, &((const mailsrv_arg_copy *)op->pub.arg)->to, op->value.copied.modseq);
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
