/* Making, removing, renaming and subscribing of mailboxes: everything that needs memory first, then all at once. */
#include "memory.h"

#include <string.h>

#define SPECIAL_USES                                                                                                   \
    (MAILSRV_NAME_ALL | MAILSRV_NAME_ARCHIVE | MAILSRV_NAME_DRAFTS | MAILSRV_NAME_FLAGGED | MAILSRV_NAME_JUNK |        \
     MAILSRV_NAME_SENT | MAILSRV_NAME_TRASH)

static struct account *account_of(struct memory *m, uint64_t store)
{
    const struct handle *h = mailsrv__memory_handle_find(m, store, HANDLE_STORE);
    return h != NULL ? h->account : NULL;
}

int32_t mailsrv__memory_make_mailbox(struct memory *m, struct account *a, const struct path *path,
                                     const struct making *how, struct mailbox **out)
{
    struct name *name = mailsrv__memory_name(a, path);
    if (name != NULL && name->mailbox != NULL)
        return MAILSRV_ALREADYEXISTS;
    if (a->n_mailboxes >= m->knobs[MAILSRV_MEMORY_MAILBOXES] || a->last_uidvalidity == UINT32_MAX)
        return MAILSRV_LIMIT;
    if (how->uidvalidity != 0 && name != NULL && how->uidvalidity <= name->highest)
        return MAILSRV_ALREADYEXISTS;
    name = mailsrv__memory_name_made(m, a, path);
    struct mailbox *mbox = name != NULL ? mailsrv__memory_mailbox_new(m, a) : NULL;
    if (mbox == NULL)
        return MAILSRV_NOMEM;
    if (how->keywords_of != NULL && !mailsrv__memory_dictionary_copy(m, mbox, how->keywords_of)) {
        mailsrv__memory_mailbox_end(m, mbox);
        return MAILSRV_NOMEM;
    }
    mbox->uidvalidity =
        how->uidvalidity != 0 ? how->uidvalidity : mailsrv__memory_new_uidvalidity(a, how->unix_us);
    if (a->last_uidvalidity < mbox->uidvalidity)
        a->last_uidvalidity = mbox->uidvalidity;
    mbox->uses = how->attributes & SPECIAL_USES;
    name->subscribed = name->subscribed || (how->attributes & MAILSRV_NAME_SUBSCRIBED) != 0;
    mailsrv__memory_give_name(mbox, name, ++a->modseq);
    a->n_mailboxes++;
    *out = mbox;
    return MAILSRV_OK;
}

/* INBOX has been there from the beginning; no client knows a UID of it. */
static int32_t import_inbox(struct account *a, uint32_t uidvalidity)
{
    struct mailbox *inbox = a->inbox;
    if (inbox->uidnext != 1)
        return MAILSRV_ALREADYEXISTS;
    inbox->uidvalidity = inbox->name->highest = uidvalidity;
    if (a->last_uidvalidity < uidvalidity)
        a->last_uidvalidity = uidvalidity;
    return MAILSRV_OK;
}

static bool is_inbox(struct account *a, const struct path *path)
{
    struct name *name = mailsrv__memory_name(a, path);
    return name != NULL && name->mailbox == a->inbox;
}

int32_t mailsrv__memory_mbox_create(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_mbox_create *arg = op->arg;
    struct account *a = account_of(m, arg->store);
    struct making how = { arg->attributes, arg->uidvalidity, arg->unix_us, NULL };
    struct path path;
    struct mailbox *mbox = a != NULL ? a->inbox : NULL;
    int32_t status;
    if (a == NULL || !mailsrv__memory_path(arg->name, &path))
        return MAILSRV_CANNOT;
    if (arg->uidvalidity != 0 && is_inbox(a, &path))
        status = import_inbox(a, arg->uidvalidity);
    else
        status = mailsrv__memory_make_mailbox(m, a, &path, &how, &mbox);
    if (status != MAILSRV_OK)
        return status;
    r->has_value = true;
    r->value.mbox_created =
        (mailsrv_mbox_created){ sizeof r->value.mbox_created, mbox->uidvalidity, mbox->id, a->modseq };
    return MAILSRV_OK;
}

int32_t mailsrv__memory_remove_mailbox(struct memory *m, struct mailbox *mbox)
{
    struct account *a = mbox->account;
    struct name *name = mbox->name;
    if (mbox == a->inbox)
        return MAILSRV_CANNOT;
    if ((mbox->rights & MAILSRV_RIGHT_DELETE_BOX) == 0)
        return MAILSRV_NOPERM;
    name->mailbox = NULL;
    name->modseq = ++a->modseq;
    a->n_mailboxes--;
    mailsrv__memory_mailbox_end(m, mbox);
    mailsrv__memory_names_changed(m, a);
    return MAILSRV_OK;
}

int32_t mailsrv__memory_mbox_delete(struct memory *m, const mailsrv_op *op)
{
    const mailsrv_arg_mbox_delete *arg = op->arg;
    struct account *a = account_of(m, arg->store);
    if (a == NULL)
        return MAILSRV_CANNOT;
    struct mailbox *mbox = mailsrv__memory_mailbox(a, &arg->mailbox);
    return mbox != NULL ? mailsrv__memory_remove_mailbox(m, mbox) : MAILSRV_NONEXISTENT;
}

int32_t mailsrv__memory_mbox_subscribe(struct memory *m, const mailsrv_op *op)
{
    const mailsrv_arg_mbox_subscribe *arg = op->arg;
    struct account *a = account_of(m, arg->store);
    struct path path;
    if (a == NULL || !mailsrv__memory_path(arg->name, &path))
        return MAILSRV_CANNOT;
    struct name *name = arg->on ? mailsrv__memory_name_made(m, a, &path) : mailsrv__memory_name(a, &path);
    if (name == NULL)
        return arg->on ? MAILSRV_NOMEM : MAILSRV_OK;
    if (name->subscribed == (arg->on != 0))
        return MAILSRV_OK;
    name->subscribed = arg->on != 0;
    name->modseq = ++a->modseq;
    name->forgotten = false;
    mailsrv__memory_names_changed(m, a);
    return MAILSRV_OK;
}
