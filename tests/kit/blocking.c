/* The kit over a store that blocks, by the pool of threads: the memory store behind a lock, as if it were a disk. */
#include "stores/memory/memory.h"
#include "world.h"

#include <mailsrv/stores/pool.h>

#include <pthread.h>
#include <string.h>
#include <time.h>

#define PATIENCE_S 20 /* for what never comes; nothing that works takes so long */

struct blocking {
    struct world world; /* first: the kit's `user` */
    mailsrv_pool *pool;
    uint32_t threads;
    pthread_mutex_t lock; /* of the store */
    pthread_mutex_t bell; /* of `rung` */
    pthread_cond_t ring;
    unsigned rung;
};

static void wake(void *user)
{
    struct blocking *b = user;
    pthread_mutex_lock(&b->bell);
    b->rung++;
    pthread_cond_signal(&b->ring);
    pthread_mutex_unlock(&b->bell);
}

/* Copies what a reply points to into the job's room: the store's own memory changes when the lock is free again. */
static bool copy(mailsrv_job *job, const void **p, size_t n)
{
    if (n == 0)
        return true;
    void *room = mailsrv_job_room(job, n);
    if (room != NULL)
        memcpy(room, *p, n);
    *p = room;
    return room != NULL;
}

static bool copy_rows(mailsrv_job *job, const mailsrv_row **rows, uint32_t n)
{
    if (!copy(job, (const void **)rows, n * sizeof **rows))
        return false;
    mailsrv_row *row = (mailsrv_row *)(uintptr_t)*rows;
    for (uint32_t i = 0; i < n; i++)
        if (!copy(job, (const void **)&row[i].uidl.p, row[i].uidl.n))
            return false;
    return true;
}

static bool copy_names(mailsrv_job *job, const mailsrv_bytes **names, uint32_t n)
{
    if (!copy(job, (const void **)names, n * sizeof **names))
        return false;
    mailsrv_bytes *name = (mailsrv_bytes *)(uintptr_t)*names;
    for (uint32_t i = 0; i < n; i++)
        if (!copy(job, (const void **)&name[i].p, name[i].n))
            return false;
    return true;
}

static bool copy_runs(mailsrv_job *job, const mailsrv_run **runs, uint32_t n)
{
    return copy(job, (const void **)runs, n * sizeof **runs);
}

static bool copy_entries(mailsrv_job *job, const mailsrv_mbox_entry **entries, uint32_t n)
{
    if (!copy(job, (const void **)entries, n * sizeof **entries))
        return false;
    mailsrv_mbox_entry *entry = (mailsrv_mbox_entry *)(uintptr_t)*entries;
    for (uint32_t i = 0; i < n; i++)
        if (!copy(job, (const void **)&entry[i].name.p, entry[i].name.n))
            return false;
    return true;
}

static bool copy_changes(mailsrv_job *job, mailsrv_changes *v)
{
    return copy_rows(job, &v->rows, v->n) && copy_runs(job, &v->vanished, v->n_vanished) &&
           copy_names(job, &v->keywords, v->n_keywords) && copy_entries(job, &v->entries, v->n_entries);
}

static bool copy_copied(mailsrv_job *job, mailsrv_copied *v)
{
    return copy_runs(job, &v->from, v->n_from) && copy_runs(job, &v->to, v->n_to);
}

static bool copy_items(mailsrv_job *job, mailsrv_queued *queued)
{
    if (!copy(job, (const void **)&queued->items, queued->n * sizeof *queued->items))
        return false;
    mailsrv_queue_item *item = (mailsrv_queue_item *)(uintptr_t)queued->items;
    for (uint32_t i = 0; i < queued->n; i++)
        if (!copy(job, (const void **)&item[i].record.p, item[i].record.n))
            return false;
    return true;
}

static bool copy_value(mailsrv_job *job, int32_t kind, struct reply *r)
{
    switch (kind) {
    case MAILSRV_OP_RESOLVE:
        return copy(job, (const void **)&r->value.resolved.destinations,
                    r->value.resolved.n * sizeof(mailsrv_destination));
    case MAILSRV_OP_BODY_COMMIT:
        return copy(job, (const void **)&r->value.committed.results,
                    r->value.committed.n * sizeof(mailsrv_result));
    case MAILSRV_OP_ROWS:
        return copy_rows(job, &r->value.rows.rows, r->value.rows.n);
    case MAILSRV_OP_MBOX_OPEN:
        return copy_names(job, &r->value.mbox_opened.keywords, r->value.mbox_opened.n_keywords);
    case MAILSRV_OP_MBOX_LIST:
        return copy_entries(job, &r->value.mbox_listed.entries, r->value.mbox_listed.n);
    case MAILSRV_OP_CHANGES:
        return copy_changes(job, &r->value.changes);
    case MAILSRV_OP_FLAGS:
        return copy_runs(job, &r->value.flagged.modified, r->value.flagged.n_modified) &&
               copy(job, (const void **)&r->value.flagged.marked, r->value.flagged.n_marked * sizeof(mailsrv_marked));
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return copy_copied(job, &r->value.copied);
    case MAILSRV_OP_QUEUE_SCAN:
        return copy_items(job, &r->value.queued);
    case MAILSRV_OP_READ:
        return copy(job, (const void **)&r->value.read_bytes.octets.p, r->value.read_bytes.octets.n);
    default:
        return true;
    }
}

static void run(void *user, mailsrv_job *job, const mailsrv_op *op, mailsrv_answer *answer)
{
    struct blocking *b = user;
    struct memory *m = mailsrv__memory(b->world.store);
    struct reply *r = mailsrv_job_room(job, sizeof *r);
    if (r == NULL)
        return;
    pthread_mutex_lock(&b->lock);
    answer->status = mailsrv__memory_perform(m, NULL, op, r);
    if (answer->status == MAILSRV_OK && r->has_value)
        answer->value = copy_value(job, op->kind, r) ? &r->value : NULL;
    if (r->release != NULL)
        r->release(r->user);
    mailsrv__memory_done(m, r);
    pthread_mutex_unlock(&b->lock);
}

static int32_t open(void *user)
{
    struct blocking *b = user;
    int32_t status = world_open(&b->world);
    return status == MAILSRV_OK ? mailsrv_pool_new(NULL, b->threads, &b->pool) : status;
}

static int32_t bind(void *user, mailsrv_engine *engine)
{
    struct blocking *b = user;
    int32_t status = mailsrv_pool_bind(b->pool, engine, wake, b);
    for (const int32_t *kind = mailsrv__memory_kinds; status == MAILSRV_OK && *kind != 0; kind++)
        status = mailsrv_pool_serve(b->pool, engine, *kind, run, b);
    return status;
}

static void close_store(void *user)
{
    struct blocking *b = user;
    mailsrv_pool_free(b->pool);
    world_close(&b->world);
}

/* Sleeps until the pool has something for an engine. */
static int32_t drive(void *user)
{
    struct blocking *b = user;
    struct timespec until;
    int waited = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&b->bell);
    while (b->rung == 0 && waited == 0)
        waited = pthread_cond_timedwait(&b->ring, &b->bell, &until);
    b->rung = 0;
    pthread_mutex_unlock(&b->bell);
    return waited == 0;
}

static void report(struct world *w, const char *name, int32_t outcome, const char *text)
{
    if (outcome != MAILSRV_KIT_SKIPPED)
        tap(outcome == MAILSRV_KIT_PASSED, w->more, name, text);
}

static void with_threads(uint32_t threads, const char *name)
{
    struct blocking b = { .world = { .report = report }, .threads = threads };
    char more[64];
    uint32_t failed = 0;
    memcpy(more, name, strlen(name) + 1);
    b.world.more = more;
    pthread_mutex_init(&b.lock, NULL);
    pthread_mutex_init(&b.bell, NULL);
    pthread_cond_init(&b.ring, NULL);
    mailsrv_kit_setup setup = world_setup(&b.world);
    setup.open = open;
    setup.bind = bind;
    setup.close = close_store;
    setup.drive = drive;
    int32_t status = mailsrv_kit_run(&setup, &failed);
    tap(status == MAILSRV_OK, name, "the kit ran", mailsrv_strerror(status));
}

int main(void)
{
    with_threads(1, "one thread");
    with_threads(4, "four threads");
    return tap_end();
}
