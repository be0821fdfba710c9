/* What the store counts: syncs and how long they took, groups and how many changes were in them, what waits. */
#include "durable.h"

#include <mailsrv/stats.h>

#include <time.h>

uint64_t mailsrv__durable_now_us(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int32_t mailsrv__durable_sync(struct durable *d, void *file, uint64_t appended)
{
    struct figures *f = &d->figures;
    uint64_t began_us = mailsrv__durable_now_us();
    int32_t status = d->files.sync(d->files.user, file);
    uint64_t us = mailsrv__durable_now_us() - began_us;
    pthread_mutex_lock(&d->lock);
    f->syncs++;
    f->sync_us += us;
    if (us > f->sync_most_us)
        f->sync_most_us = us;
    f->in_sync[mailsrv_bucket(us)]++;
    if (status == MAILSRV_OK)
        f->octets += appended;
    if (appended != 0)
        mailsrv__durable_joining_synced(&d->joining, us);
    pthread_mutex_unlock(&d->lock);
    return status;
}

void mailsrv__durable_count_group(struct durable *d, uint64_t changes)
{
    d->figures.groups++;
    d->figures.changes += changes;
    d->figures.in_group[mailsrv_bucket(changes)]++;
    mailsrv__durable_joining_answered(&d->joining, changes, d->writes.n, mailsrv__durable_now_us());
}

static uint64_t length(const struct task *first)
{
    uint64_t n = 0;
    for (const struct task *t = first; t != NULL; t = t->next)
        n++;
    return n;
}

/* With the lock. */
static uint64_t value_of(const struct durable *d, int32_t key)
{
    switch (key) {
    case MAILSRV_DURABLE_STAT_HANDLES:
        return d->n_handles;
    case MAILSRV_DURABLE_STAT_GROUPS:
        return d->figures.groups;
    case MAILSRV_DURABLE_STAT_CHANGES:
        return d->figures.changes;
    case MAILSRV_DURABLE_STAT_STAGED:
        return d->staged_octets;
    case MAILSRV_DURABLE_STAT_HELD:
        return length(d->held);
    case MAILSRV_DURABLE_STAT_SEGMENTS:
        return d->segments;
    case MAILSRV_DURABLE_STAT_BUSY:
        return d->is_busy || d->wants_move || d->is_moving;
    case MAILSRV_DURABLE_STAT_READ_NOW:
        return d->read_now;
    case MAILSRV_DURABLE_STAT_SYNCS:
        return d->figures.syncs;
    case MAILSRV_DURABLE_STAT_SYNC_US:
        return d->figures.sync_us;
    case MAILSRV_DURABLE_STAT_SYNC_MOST_US:
        return d->figures.sync_most_us;
    case MAILSRV_DURABLE_STAT_LOG_OCTETS:
        return d->figures.octets;
    case MAILSRV_DURABLE_STAT_WRITES_WAITING:
        return d->writes.n + d->syncs.n;
    case MAILSRV_DURABLE_STAT_READS_WAITING:
        return d->reads.n;
    case MAILSRV_DURABLE_STAT_CHECKPOINTS:
        return d->moves;
    case MAILSRV_DURABLE_STAT_COMPACTIONS:
        return d->figures.compactions;
    default:
        return 0;
    }
}

static uint64_t locked_value_of(struct durable *d, int32_t key)
{
    pthread_mutex_lock(&d->lock);
    uint64_t value = value_of(d, key);
    pthread_mutex_unlock(&d->lock);
    return value;
}

/* The sum over all shards; of what is no amount, the largest. */
uint64_t mailsrv_durable_stat(mailsrv_store *store, int32_t key)
{
    struct durable *d = (struct durable *)(void *)store;
    bool is_amount = key != MAILSRV_DURABLE_STAT_BUSY && key != MAILSRV_DURABLE_STAT_SYNC_MOST_US;
    uint64_t all = 0;
    for (uint32_t i = 0; i < mailsrv__durable_shards(d); i++) {
        uint64_t one = locked_value_of(mailsrv__durable_shard(d, i), key);
        all = is_amount ? all + one : one > all ? one : all;
    }
    return all;
}

uint64_t mailsrv_durable_bucket(mailsrv_store *store, int32_t histogram, uint32_t bucket)
{
    struct durable *d = (struct durable *)(void *)store;
    bool is_known = histogram == MAILSRV_DURABLE_GROUP_SIZES || histogram == MAILSRV_DURABLE_SYNC_TIMES;
    uint64_t all = 0;
    for (uint32_t i = 0; i < mailsrv__durable_shards(d) && is_known && bucket < MAILSRV_BUCKETS; i++) {
        struct durable *shard = mailsrv__durable_shard(d, i);
        pthread_mutex_lock(&shard->lock);
        all += (histogram == MAILSRV_DURABLE_GROUP_SIZES ? shard->figures.in_group : shard->figures.in_sync)[bucket];
        pthread_mutex_unlock(&shard->lock);
    }
    return all;
}
