/* What a test, or a program, does without an engine. */
#include "memory.h"

#include <string.h>

/* The message of those octets, with room for it in the mailbox. */
static int32_t make(struct memory *m, struct mailbox *mbox, const void *p, size_t n, struct message **out)
{
    mailsrv_bytes none = { NULL, 0 };
    struct body *body = mailsrv__memory_body_new(m);
    if (body == NULL)
        return MAILSRV_NOMEM;
    int32_t status = n != 0 ? mailsrv__memory_body_add(body, p, n) : MAILSRV_OK;
    if (status == MAILSRV_OK) {
        *out =
            mailsrv__memory_shelf_reserve(m, &mbox->shelf, 1) ? mailsrv__memory_message_new(m, body, none, none) : NULL;
        status = *out != NULL ? MAILSRV_OK : MAILSRV_NOMEM;
    }
    mailsrv__memory_body_unref(body);
    return status;
}

/* Ids are given once in a store, so that one says by itself whether it is an account's or a mailbox's. */
struct mailbox *mailsrv__memory_where(const struct memory *m, const mailsrv_id *where)
{
    struct mailbox *found = NULL;
    for (const struct account *a = m->accounts; found == NULL && a != NULL; a = a->next)
        found = mailsrv__memory_same_id(&a->id, where) ? a->inbox : mailsrv__memory_mailbox(a, where);
    return found;
}

int32_t mailsrv_memory_append(mailsrv_store *store, const mailsrv_id *where, const void *p, size_t n)
{
    struct memory *m = mailsrv__memory(store);
    struct mailbox *mbox = mailsrv__memory_where(m, where);
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    const struct account *a = mbox->account;
    if (a->octets > a->quota || n > a->quota - a->octets)
        return MAILSRV_OVERQUOTA;
    struct message *message = NULL;
    int32_t status = make(m, mbox, p, n, &message);
    if (status == MAILSRV_OK)
        mailsrv__memory_deliver(mbox, message, 0);
    return status;
}

int32_t mailsrv_memory_flag(mailsrv_store *store, const mailsrv_id *where, mailsrv_run uids, int32_t how,
                            uint32_t flags)
{
    struct memory *m = mailsrv__memory(store);
    struct mailbox *mbox = mailsrv__memory_where(m, where);
    mailsrv_arg_flags arg = { .size = sizeof arg,
                              .how = how,
                              .uids = &uids,
                              .n_uids = 1,
                              .flags = flags,
                              .unchanged_since = UINT64_MAX };
    struct reply r;
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    memset(&r, 0, sizeof r);
    int32_t status = mailsrv__memory_flags_of(m, mbox, &arg, &r);
    mailsrv__memory_done(m, &r);
    return status;
}

int32_t mailsrv_memory_expunge(mailsrv_store *store, const mailsrv_id *where, mailsrv_run uids)
{
    struct memory *m = mailsrv__memory(store);
    struct mailbox *mbox = mailsrv__memory_where(m, where);
    mailsrv_arg_expunge arg = { .size = sizeof arg, .uids = &uids, .n_uids = 1 };
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    mailsrv__memory_expunge_from(m, mbox, &arg);
    return MAILSRV_OK;
}

/* ---- Mailboxes ---- */

int32_t mailsrv_memory_add_mailbox(mailsrv_store *store, const mailsrv_id *account, const char *name, size_t n,
                                   uint32_t attributes, mailsrv_id *out)
{
    struct memory *m = mailsrv__memory(store);
    struct account *a = mailsrv__memory_account(m, account);
    struct making how = { attributes, 0, 0, NULL };
    struct path path;
    struct mailbox *mbox;
    if (a == NULL)
        return MAILSRV_NONEXISTENT;
    if (!mailsrv__memory_path((mailsrv_bytes){ (const uint8_t *)name, n }, &path))
        return MAILSRV_E_USAGE;
    int32_t status = mailsrv__memory_make_mailbox(m, a, &path, &how, &mbox);
    if (status == MAILSRV_OK && out != NULL)
        *out = mbox->id;
    return status;
}

int32_t mailsrv_memory_find_mailbox(mailsrv_store *store, const mailsrv_id *account, const char *name, size_t n,
                                    mailsrv_id *out)
{
    const struct account *a = mailsrv__memory_account(mailsrv__memory(store), account);
    struct path path;
    if (a == NULL || !mailsrv__memory_path((mailsrv_bytes){ (const uint8_t *)name, n }, &path))
        return MAILSRV_NONEXISTENT;
    const struct name *found = mailsrv__memory_name(a, &path);
    if (found == NULL || found->mailbox == NULL)
        return MAILSRV_NONEXISTENT;
    *out = found->mailbox->id;
    return MAILSRV_OK;
}

int32_t mailsrv_memory_remove_mailbox(mailsrv_store *store, const mailsrv_id *mailbox)
{
    struct memory *m = mailsrv__memory(store);
    struct mailbox *mbox = mailsrv__memory_where(m, mailbox);
    return mbox != NULL ? mailsrv__memory_remove_mailbox(m, mbox) : MAILSRV_NONEXISTENT;
}

/* ---- Looking in ---- */

uint64_t mailsrv_memory_count(const mailsrv_store *store, const mailsrv_id *where)
{
    const struct mailbox *mbox = mailsrv__memory_where((const struct memory *)(const void *)store, where);
    return mbox != NULL ? mbox->shelf.n : 0;
}

static struct message *message_at(mailsrv_store *store, const mailsrv_id *where, uint64_t index)
{
    const struct mailbox *mbox = mailsrv__memory_where(mailsrv__memory(store), where);
    return mbox != NULL && index < mbox->shelf.n ? mbox->shelf.v[index] : NULL;
}

int32_t mailsrv_memory_row(mailsrv_store *store, const mailsrv_id *where, uint64_t index, mailsrv_row *out)
{
    const struct message *message = message_at(store, where, index);
    if (message == NULL)
        return MAILSRV_NONEXISTENT;
    *out = message->row;
    return MAILSRV_OK;
}

int32_t mailsrv_memory_message(mailsrv_store *store, const mailsrv_id *where, uint64_t index, uint64_t offset,
                               mailsrv_bytes *out)
{
    struct message *message = message_at(store, where, index);
    if (message == NULL)
        return MAILSRV_NONEXISTENT;
    *out = mailsrv__memory_message_at(message, offset);
    return MAILSRV_OK;
}

int32_t mailsrv_memory_queue_item(mailsrv_store *store, uint64_t index, mailsrv_queue_item *out)
{
    const struct memory *m = mailsrv__memory(store);
    if (index >= m->queue.n)
        return MAILSRV_NONEXISTENT;
    *out = mailsrv__memory_queue_item(m->queue.v[index]);
    return MAILSRV_OK;
}

int32_t mailsrv_memory_queue_message(mailsrv_store *store, uint64_t index, uint64_t offset, mailsrv_bytes *out)
{
    struct memory *m = mailsrv__memory(store);
    if (index >= m->queue.n)
        return MAILSRV_NONEXISTENT;
    *out = mailsrv__memory_message_at(m->queue.v[index], offset);
    return MAILSRV_OK;
}
