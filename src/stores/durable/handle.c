#include "durable.h"

#include <stdlib.h>
#include <string.h>

static struct handle **bucket(struct durable *d, uint64_t number)
{
    return &d->handles[number / mailsrv__durable_shards(d) % BUCKETS];
}

struct handle *mailsrv__durable_handle_new(struct durable *d, const struct binding *owner, enum handle_kind kind)
{
    struct handle *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->owner = owner;
    h->kind = kind;
    pthread_mutex_lock(&d->lock);
    h->number = ++d->last_handle * mailsrv__durable_shards(d) + d->shard;
    struct handle **at = bucket(d, h->number);
    h->next = *at;
    *at = h;
    d->n_handles++;
    pthread_mutex_unlock(&d->lock);
    return h;
}

/* With the lock. */
static struct handle *find(struct durable *d, uint64_t number)
{
    struct handle *h = *bucket(d, number);
    while (h != NULL && h->number != number)
        h = h->next;
    return h;
}

struct handle *mailsrv__durable_handle_find(struct durable *d, uint64_t number, enum handle_kind kind)
{
    pthread_mutex_lock(&d->lock);
    struct handle *h = find(d, number);
    pthread_mutex_unlock(&d->lock);
    return h != NULL && h->kind == kind ? h : NULL;
}

void mailsrv__durable_handle_account(struct durable *d, uint64_t number, mailsrv_id *out)
{
    pthread_mutex_lock(&d->lock);
    const struct handle *h = find(d, number);
    *out = h != NULL ? h->account : (mailsrv_id){ { 0 } };
    pthread_mutex_unlock(&d->lock);
}

static struct handle **bucket_of(struct durable *d, const mailsrv_id *mailbox)
{
    return &d->boxes[mailbox->b[15] % BUCKETS];
}

struct handle *mailsrv__durable_handle_next(struct durable *d, const mailsrv_id *mailbox, const struct handle *before)
{
    struct handle *h = before != NULL ? before->next_of_box : *bucket_of(d, mailbox);
    while (h != NULL && !mailsrv__durable_same(&h->mailbox, mailbox))
        h = h->next_of_box;
    return h;
}

void mailsrv__durable_handle_opens(struct durable *d, struct handle *h)
{
    struct handle **at = bucket_of(d, &h->mailbox);
    h->next_of_box = *at;
    *at = h;
}

/* With the lock.  One that never came to be of a mailbox is in no bucket. */
static void leave_box(struct durable *d, const struct handle *h)
{
    struct handle **at = bucket_of(d, &h->mailbox);
    while (*at != NULL && *at != h)
        at = &(*at)->next_of_box;
    if (*at != NULL)
        *at = h->next_of_box;
}

static void free_handle(struct durable *d, struct handle *h)
{
    if (h->body != NULL)
        mailsrv__durable_body_free(d, h->body);
    mailsrv__durable_message_free(d, h->message);
    mailsrv__durable_ahead_free(d, h->ahead);
    free(h);
}

int32_t mailsrv__durable_handle_close(struct durable *d, uint64_t number, enum handle_kind kind, uint32_t told)
{
    pthread_mutex_lock(&d->lock);
    struct handle **at = bucket(d, number);
    while (*at != NULL && ((*at)->number != number || (*at)->kind != kind))
        at = &(*at)->next;
    struct handle *h = *at;
    if (h != NULL) {
        *at = h->next;
        d->n_handles--;
        if (kind == HANDLE_MAILBOX) {
            leave_box(d, h);
            mailsrv__durable_recent(d, &h->mailbox, h->uidvalidity, told);
        }
    }
    pthread_mutex_unlock(&d->lock);
    if (h == NULL)
        return MAILSRV_CANNOT;
    free_handle(d, h);
    return MAILSRV_OK;
}

/* Takes the first handle of an engine out; NULL: there is none. */
static struct handle *take_one(struct durable *d, const struct binding *owner)
{
    struct handle *found = NULL;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < BUCKETS && found == NULL; i++) {
        struct handle **at = &d->handles[i];
        while (*at != NULL && (*at)->owner != owner)
            at = &(*at)->next;
        found = *at;
        if (found != NULL) {
            *at = found->next;
            leave_box(d, found);
        }
    }
    d->n_handles -= found != NULL;
    pthread_mutex_unlock(&d->lock);
    return found;
}

void mailsrv__durable_handles_end(struct durable *d, const struct binding *owner)
{
    for (struct handle *h = take_one(d, owner); h != NULL; h = take_one(d, owner))
        free_handle(d, h);
}

bool mailsrv__durable_is_staged(struct durable *d, uint64_t body)
{
    bool found = false;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < BUCKETS && !found; i++)
        for (const struct handle *h = d->handles[i]; h != NULL && !found; h = h->next)
            found = h->kind == HANDLE_BODY && h->body != NULL && h->body->number == body;
    pthread_mutex_unlock(&d->lock);
    return found;
}

bool mailsrv__durable_lock(struct durable *d, struct handle *mine, const mailsrv_id *account)
{
    bool taken = false;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < BUCKETS && !taken; i++)
        for (const struct handle *h = d->handles[i]; h != NULL && !taken; h = h->next)
            taken = h != mine && h->kind == HANDLE_LOCK && memcmp(&h->account, account, sizeof *account) == 0;
    if (!taken)
        mine->account = *account;
    pthread_mutex_unlock(&d->lock);
    return !taken;
}
