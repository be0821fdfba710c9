/* Telling engines what others have changed.  A change marks the handles of its mailbox; an engine with marked handles
 * gets one letter, in whose delivery it is told of each.  So a poke needs no memory, and is never lost. */
#include "durable.h"

#include <stddef.h>

#define TOLD_AT_ONCE 32

/* With the lock.  `by`: whose engine has told its own of it; NULL: nobody's has. */
static void mark(struct durable *d, const struct touched *touched, const struct binding *by)
{
    struct handle *h = NULL;
    while ((h = mailsrv__durable_handle_next(d, &touched->mailbox, h)) != NULL) {
        if (h->owner == by)
            continue;
        h->is_changed = true;
        h->modseq = touched->modseq;
        ((struct binding *)(uintptr_t)h->owner)->is_changed = true;
    }
}

/* With the lock: an engine whose letter is to be posted; it stays until that is done. */
static struct binding *next_to_poke(struct durable *d)
{
    struct binding *b = d->bindings;
    while (b != NULL && (!b->is_changed || b->poked))
        b = b->next;
    if (b != NULL) {
        b->is_changed = false;
        b->poked = true;
        b->running++;
    }
    return b;
}

static void forget_recent(struct durable *d, const struct task *t)
{
    const mailsrv_arg_mbox_delete *arg = t->op->arg;
    mailsrv__durable_recent_forget(d, &arg->mailbox);
}

/* With the lock, which it has again at the end. */
static void poke_all(struct durable *d)
{
    for (struct binding *b = next_to_poke(d); b != NULL; b = next_to_poke(d)) {
        pthread_mutex_unlock(&d->lock);
        mailsrv_port_post(&b->port, &b->poke); /* where the engine has ended, nobody needs to know */
        pthread_mutex_lock(&d->lock);
        b->running--;
        pthread_cond_broadcast(&d->calm);
    }
}

void mailsrv__durable_tell(struct durable *d, const struct task *first)
{
    for (const struct task *t = first; t != NULL; t = t->next)
        if (t->kind == MAILSRV_OP_MBOX_DELETE && t->answer.status == MAILSRV_OK)
            forget_recent(d, t);
    pthread_mutex_lock(&d->lock);
    for (const struct task *t = first; t != NULL; t = t->next)
        for (const struct touched *touched = t->touched; touched != NULL; touched = touched->next)
            if (t->answer.status == MAILSRV_OK)
                mark(d, touched, t->kind != MAILSRV_OP_MBOX_RENAME ? t->from : NULL); /* it knows of one mailbox */
    poke_all(d);
    pthread_mutex_unlock(&d->lock);
}

void mailsrv__durable_tell_opener(struct durable *d, struct handle *h)
{
    h->is_changed = true;
    h->modseq = 0; /* nobody knows which */
    ((struct binding *)(uintptr_t)h->owner)->is_changed = true;
    poke_all(d);
}

struct change {
    mailsrv_id mailbox;
    uint64_t modseq;
};

/* Takes marks of an engine away from a bucket; how many. */
static size_t take(struct binding *b, size_t bucket, struct change out[TOLD_AT_ONCE])
{
    size_t n = 0;
    pthread_mutex_lock(&b->d->lock);
    for (struct handle *h = b->d->boxes[bucket]; h != NULL && n < TOLD_AT_ONCE; h = h->next_of_box) {
        if (h->owner != b || !h->is_changed)
            continue;
        h->is_changed = false;
        out[n++] = (struct change){ h->mailbox, h->modseq };
    }
    pthread_mutex_unlock(&b->d->lock);
    return n;
}

void mailsrv__durable_poked(mailsrv_engine *engine, mailsrv_letter *letter)
{
    struct binding *b = (struct binding *)(void *)((char *)letter - offsetof(struct binding, poke));
    struct change changes[TOLD_AT_ONCE];
    if (engine == NULL)
        return;
    pthread_mutex_lock(&b->d->lock);
    b->poked = false;
    pthread_mutex_unlock(&b->d->lock);
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        for (size_t n = TOLD_AT_ONCE; n == TOLD_AT_ONCE;) {
            n = take(b, bucket, changes);
            for (size_t i = 0; i < n; i++)
                mailsrv_notify(engine, &changes[i].mailbox, changes[i].modseq);
        }
}
