#include "memory.h"

/* The message of those octets, with room for it in the mailbox. */
static int32_t make(struct memory *m, struct mailbox *mbox, const void *p, size_t n, struct message **out)
{
    mailsrv_bytes none = { NULL, 0 };
    struct body *body = mailsrv__memory_body_new(m);
    if (body == NULL)
        return MAILSRV_NOMEM;
    int32_t status = n != 0 ? mailsrv__memory_body_add(body, p, n) : MAILSRV_OK;
    if (status == MAILSRV_OK) {
        *out = mailsrv__memory_shelf_reserve(m, &mbox->shelf, 1) ? mailsrv__memory_message_new(m, body, none, none)
                                                                 : NULL;
        status = *out != NULL ? MAILSRV_OK : MAILSRV_NOMEM;
    }
    mailsrv__memory_body_unref(body);
    return status;
}

int32_t mailsrv_memory_append(mailsrv_store *store, const mailsrv_id *account, const void *p, size_t n)
{
    struct memory *m = mailsrv__memory(store);
    struct account *a = mailsrv__memory_account(m, account);
    if (a == NULL)
        return MAILSRV_NONEXISTENT;
    if (a->octets > a->quota || n > a->quota - a->octets)
        return MAILSRV_OVERQUOTA;
    struct message *message = NULL;
    int32_t status = make(m, &a->inbox, p, n, &message);
    if (status == MAILSRV_OK)
        mailsrv__memory_deliver(&a->inbox, message, 0);
    return status;
}

uint64_t mailsrv_memory_count(const mailsrv_store *store, const mailsrv_id *account)
{
    const struct memory *m = (const struct memory *)(const void *)store;
    for (const struct account *a = m->accounts; a != NULL; a = a->next)
        if (mailsrv__memory_same_id(&a->id, account))
            return a->inbox.shelf.n;
    return 0;
}

static struct message *message_at(mailsrv_store *store, const mailsrv_id *account, uint64_t index)
{
    struct account *a = mailsrv__memory_account(mailsrv__memory(store), account);
    return a != NULL && index < a->inbox.shelf.n ? a->inbox.shelf.v[index] : NULL;
}

int32_t mailsrv_memory_row(mailsrv_store *store, const mailsrv_id *account, uint64_t index, mailsrv_row *out)
{
    const struct message *message = message_at(store, account, index);
    if (message == NULL)
        return MAILSRV_NONEXISTENT;
    *out = message->row;
    return MAILSRV_OK;
}

int32_t mailsrv_memory_message(mailsrv_store *store, const mailsrv_id *account, uint64_t index, uint64_t offset,
                               mailsrv_bytes *out)
{
    struct message *message = message_at(store, account, index);
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
    const struct message *message = m->queue.v[index];
    *out = (mailsrv_queue_item){ message->queue, message->row.octets, { message->record, message->n_record } };
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
