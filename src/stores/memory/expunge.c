#include "memory.h"

bool mailsrv__memory_in_runs(const mailsrv_run *runs, uint32_t n, uint32_t uid)
{
    for (uint32_t i = 0; i < n; i++)
        if (uid >= runs[i].first && uid <= runs[i].last)
            return true;
    return false;
}

static bool goes(const mailsrv_row *row, const mailsrv_arg_expunge *arg)
{
    return mailsrv__memory_in_runs(arg->uids, arg->n_uids, row->uid) &&
           (!arg->only_deleted || (row->flags & MAILSRV_FLAG_DELETED) != 0);
}

uint64_t mailsrv__memory_expunge_from(struct memory *m, struct mailbox *mbox, const mailsrv_arg_expunge *arg)
{
    struct shelf *shelf = &mbox->shelf;
    size_t kept = 0, before = shelf->n;
    uint64_t modseq = mbox->account->modseq + 1;
    for (size_t i = 0; i < before; i++) {
        struct message *message = shelf->v[i];
        if (!goes(&message->row, arg)) {
            shelf->v[kept++] = message;
            continue;
        }
        mailsrv__memory_vanish(m, mbox, message->row.uid, modseq);
        mbox->account->octets -= message->row.octets;
        mailsrv__memory_message_unref(message);
    }
    shelf->n = kept;
    return kept != before ? mbox->account->modseq = modseq : 0;
}

int32_t mailsrv__memory_expunge(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_expunge *arg = op->arg;
    struct mailbox *mbox = mailsrv__memory_opened(m, arg->mbox);
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    if ((mbox->rights & MAILSRV_RIGHT_EXPUNGE) == 0)
        return MAILSRV_NOPERM;
    r->has_value = true;
    r->value.expunged.size = sizeof r->value.expunged;
    r->value.expunged.modseq = mailsrv__memory_expunge_from(m, mbox, arg);
    return MAILSRV_OK;
}
