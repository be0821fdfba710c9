#include "memory.h"

#include <string.h>

static struct handle **bucket(struct memory *m, uint64_t number)
{
    return &m->handles[number % BUCKETS];
}

struct handle *mailsrv__memory_handle_new(struct memory *m, const struct binding *owner, enum handle_kind kind)
{
    struct handle *h = mailsrv__memory_take(m, sizeof *h);
    if (h == NULL)
        return NULL;
    h->owner = owner;
    h->kind = kind;
    h->number = ++m->last_handle;
    struct handle **at = bucket(m, h->number);
    h->next = *at;
    *at = h;
    m->open[kind]++;
    return h;
}

struct handle *mailsrv__memory_handle_find(struct memory *m, uint64_t number, enum handle_kind kind)
{
    struct handle *h = *bucket(m, number);
    while (h != NULL && h->number != number)
        h = h->next;
    return h != NULL && h->kind == kind ? h : NULL;
}

/* Takes the handle out of its bucket and gives up what it holds. */
static void end_handle(struct memory *m, struct handle **at)
{
    struct handle *h = *at;
    *at = h->next;
    m->open[h->kind]--;
    if (h->kind == HANDLE_LOCK)
        h->account->lock = 0;
    if (h->mailbox != NULL)
        mailsrv__memory_mailbox_unref(m, h->mailbox);
    if (h->body != NULL)
        mailsrv__memory_body_unref(h->body);
    if (h->message != NULL)
        mailsrv__memory_message_unref(h->message);
    mailsrv__memory_give(m, h, sizeof *h);
}

/* Messages up to `told` were shown to somebody. */
static void note_told(const struct handle *h, uint32_t told)
{
    struct mailbox *mbox = mailsrv__memory_of_handle(h);
    if (mbox != NULL && told > mbox->recent)
        mbox->recent = told;
}

int32_t mailsrv__memory_handle_close(struct memory *m, uint64_t number, enum handle_kind kind, uint32_t told)
{
    struct handle **at = bucket(m, number);
    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    if (*at == NULL || (*at)->kind != kind)
        return MAILSRV_CANNOT;
    note_told(*at, told);
    end_handle(m, at);
    return MAILSRV_OK;
}

void mailsrv__memory_handles_end(struct memory *m, const struct binding *owner)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct handle **at = &m->handles[i];
        while (*at != NULL) {
            if (owner == NULL || (*at)->owner == owner)
                end_handle(m, at);
            else
                at = &(*at)->next;
        }
    }
}

int32_t mailsrv__memory_store_open(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    struct account *a = mailsrv__memory_account(m, &op->account);
    if (a == NULL)
        return MAILSRV_NONEXISTENT;
    struct handle *h = mailsrv__memory_handle_new(m, from, HANDLE_STORE);
    if (h == NULL)
        return MAILSRV_NOMEM;
    h->account = a;
    r->has_value = true;
    r->value.store_opened.size = sizeof r->value.store_opened;
    r->value.store_opened.store = h->number;
    return MAILSRV_OK;
}

int32_t mailsrv__memory_lock(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_lock *arg = op->arg;
    struct handle *store = mailsrv__memory_handle_find(m, arg->store, HANDLE_STORE);
    if (store == NULL)
        return MAILSRV_CANNOT;
    if (store->account->lock != 0)
        return MAILSRV_INUSE;
    struct handle *h = mailsrv__memory_handle_new(m, from, HANDLE_LOCK);
    if (h == NULL)
        return MAILSRV_NOMEM;
    h->account = store->account;
    h->account->lock = h->number;
    r->has_value = true;
    r->value.locked.size = sizeof r->value.locked;
    r->value.locked.lock = h->number;
    return MAILSRV_OK;
}
