/* A COMMIT whose bodies have files of their own waits for their syncs before it gets in line, and the writer does not:
 * many megabytes of one message would keep all others from their syncs meanwhile.
 *
 * All that came during a sync share the sync of their names.  What fails here the writer finds broken, and says so.
 * Shards share bodies, and have a writer each, which syncs what its part of the COMMIT takes over (spread.c). */
#include "durable.h"

#define AT_ONCE 64 /* tasks */

static bool waits_for_sync(const struct body *body)
{
    return body != NULL && body->file != NULL && !body->synced;
}

bool mailsrv__durable_has_large(struct durable *d, const struct task *t)
{
    if (t->kind != MAILSRV_OP_BODY_COMMIT || d->family != NULL)
        return false;
    const mailsrv_arg_body_commit *arg = t->op->arg;
    for (uint32_t i = 0; i < arg->n_bodies; i++)
        if (waits_for_sync(mailsrv__durable_body_at(d, t, i)))
            return true;
    return false;
}

/* Whom it is done to, in the order in which they came. */
static void each_body(struct durable *d, const struct task *first, void (*what)(struct durable *d, struct body *body))
{
    for (const struct task *t = first; t != NULL; t = t->next) {
        const mailsrv_arg_body_commit *arg = t->op->arg;
        for (uint32_t i = 0; i < arg->n_bodies; i++) {
            struct body *body = mailsrv__durable_body_at(d, t, i);
            if (waits_for_sync(body))
                what(d, body);
        }
    }
}

static void sync_octets(struct durable *d, struct body *body)
{
    mailsrv__durable_body_sync_octets(d, body);
}

static void note(struct durable *d, struct body *body)
{
    (void)d;
    body->synced = !body->broken;
}

static void sync_all(struct durable *d, const struct task *first)
{
    each_body(d, first, sync_octets);
    each_body(d, first, mailsrv__durable_bodies_sync_names(d) == MAILSRV_OK ? note : mailsrv__durable_body_breaks);
}

/* With the lock. */
static void get_in_line(struct durable *d, struct task *first)
{
    struct task *next;
    for (struct task *t = first; t != NULL; t = next) {
        next = t->next;
        t->next = NULL;
        t->from->running--;
        mailsrv__durable_append(&d->writes, t);
    }
    pthread_cond_signal(&d->writes.work);
    pthread_cond_broadcast(&d->calm);
}

void *mailsrv__durable_sync_for_ever(void *user)
{
    struct durable *d = user;
    pthread_mutex_lock(&d->lock);
    while (!d->ending) {
        struct task *first = mailsrv__durable_take(&d->syncs, AT_ONCE);
        if (first == NULL) {
            pthread_cond_wait(&d->syncs.work, &d->lock);
            continue;
        }
        pthread_mutex_unlock(&d->lock);
        sync_all(d, first);
        pthread_mutex_lock(&d->lock);
        get_in_line(d, first);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}
