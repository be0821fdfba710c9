/* What a write to a store changed: core/changed.c. */
#include "core/answer.h"
#include "core/room.h"

static void changed_up_to(const struct op *op, const mailsrv_id *mailbox, uint64_t modseq)
{
    if (modseq != 0)
        mailsrv__changed_add(op->engine, &op->pub.account, mailbox, modseq);
}

/* Rooms that have all that happened before need not ask; to those that do not it is a change like any other. */
static void flagged(const struct op *op)
{
    const mailsrv_id *mailbox = &((const mailsrv_arg_flags *)op->pub.arg)->mailbox;
    const mailsrv_flagged *value = &op->value.flagged;
    for (struct room *room = op->engine->rooms; room != NULL && value->n_marked != 0; room = room->next)
        if (room->flagged != NULL)
            room->flagged(room, &op->pub.account, mailbox, value);
    changed_up_to(op, mailbox, value->modseq);
}

/* It was done, though there may have been no memory for the list in its answer. */
static bool was_done(const struct op *op)
{
    bool has_list = op->pub.kind == MAILSRV_OP_FLAGS || op->pub.kind == MAILSRV_OP_COPY ||
                    op->pub.kind == MAILSRV_OP_MOVE;
    return op->answer.status == MAILSRV_OK || (has_list && op->value_given);
}

void mailsrv__store_changed(const struct op *op)
{
    mailsrv_engine *e = op->engine;
    if (!was_done(op))
        return;
    switch (op->pub.kind) {
    case MAILSRV_OP_EXPUNGE:
        changed_up_to(op, &((const mailsrv_arg_expunge *)op->pub.arg)->mailbox, op->value.expunged.modseq);
        break;
    case MAILSRV_OP_FLAGS:
        flagged(op);
        break;
    case MAILSRV_OP_COPY:
        changed_up_to(op, &((const mailsrv_arg_copy *)op->pub.arg)->to, op->value.copied.modseq);
        break;
    case MAILSRV_OP_MOVE:
        changed_up_to(op, &((const mailsrv_arg_copy *)op->pub.arg)->to, op->value.copied.modseq);
        changed_up_to(op, &((const mailsrv_arg_copy *)op->pub.arg)->mailbox, op->value.copied.modseq);
        break;
    case MAILSRV_OP_MBOX_CREATE:
        mailsrv__changed_names(e, &op->pub.account, op->value.mbox_created.modseq);
        break;
    case MAILSRV_OP_MBOX_DELETE: /* who looks at it must learn that it is gone */
        mailsrv__changed_add(e, &op->pub.account, &((const mailsrv_arg_mbox_delete *)op->pub.arg)->mailbox, 0);
        mailsrv__changed_names(e, &op->pub.account, 0);
        break;
    case MAILSRV_OP_MBOX_RENAME: /* INBOX loses its messages; another may get a new UIDVALIDITY, and those below, too */
        mailsrv__changed_add(e, &op->pub.account, &(mailsrv_id){ { 0 } }, 0); /* which they are is not known here */
        mailsrv__changed_names(e, &op->pub.account, 0);
        break;
    case MAILSRV_OP_MBOX_SUBSCRIBE:
        mailsrv__changed_names(e, &op->pub.account, 0);
        break;
    default:
        break;
    }
}
