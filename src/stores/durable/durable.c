#include "durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEGMENT_OCTETS (64u << 20)
#define MEMORY_OCTETS (64u << 20)
#define RESERVE_OCTETS (8u << 20)
#define CHECKPOINT_PAGES 4000
#define HISTORY_MAX 10000
#define SHARD_NAME 3 /* octets that the name of one is longer */
#define FILES_MIN offsetof(mailsrv_durable_files, read_now)
#define FILES_BEFORE_LINK offsetof(mailsrv_durable_files, link)

static struct durable *of(mailsrv_store *store)
{
    return (struct durable *)(void *)store;
}

static void end_one(struct durable *d)
{
    mailsrv__durable_stop(d);
    mailsrv__durable_handles_end(d, NULL);
    mailsrv__durable_segment_file_forget(d);
    mailsrv__durable_index_close(&d->mover);
    mailsrv__durable_index_close(&d->reader);
    if (d->n_threads == THREADS)
        mailsrv__durable_move_at_end(d);
    mailsrv__durable_index_close(&d->writer);
    mailsrv__durable_log_close(&d->log);
    mailsrv__durable_vfs_close(&d->vfs);
    if (d->process_lock != NULL)
        d->files.unlock(d->files.user, d->process_lock);
    free(d->group.own.p);
    free(d->group.lent);
    free(d->record.p);
    free(d->loose.v);
    mailsrv__durable_recents_free(d);
    mailsrv__durable_known_free(d);
    pthread_cond_destroy(&d->writes.work);
    pthread_cond_destroy(&d->reads.work);
    pthread_cond_destroy(&d->syncs.work);
    pthread_cond_destroy(&d->calm);
    pthread_cond_destroy(&d->move);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static void end(mailsrv_store *store)
{
    struct durable *d = of(store);
    if (d->family != NULL)
        mailsrv__durable_family_end(d->family, end_one);
    else
        end_one(d);
}

static uint64_t or_else(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

/* As far as the caller's version of the table reaches. */
static size_t octets_of(const mailsrv_durable_files *files)
{
    return files->size >= sizeof *files        ? sizeof *files
           : files->size >= FILES_BEFORE_LINK ? FILES_BEFORE_LINK
                                              : FILES_MIN;
}

static struct durable *new_store(const mailsrv_durable_setup *setup)
{
    struct durable *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->store.size = sizeof d->store;
    d->store.bind = mailsrv__durable_bind;
    d->store.end = end;
    memcpy(d->directory, setup->directory, strlen(setup->directory) + 1);
    d->files.size = sizeof d->files;
    if (setup->files == NULL)
        mailsrv_durable_system_files(&d->files);
    else
        memcpy(&d->files, setup->files, octets_of(setup->files));
    d->segment_octets = or_else(setup->segment_octets, SEGMENT_OCTETS);
    d->memory_octets = or_else(setup->memory_octets, MEMORY_OCTETS);
    d->index_octets = or_else(setup->index_octets, d->memory_octets);
    d->body_octets_max = or_else(setup->body_octets_max, UINT64_MAX);
    d->reserve_octets = or_else(setup->reserve_octets, RESERVE_OCTETS);
    d->checkpoint_pages = setup->checkpoint_pages != 0 ? setup->checkpoint_pages : CHECKPOINT_PAGES;
    d->writer.history_max = setup->history_max != 0 ? setup->history_max : HISTORY_MAX;
    d->log.d = d;
    d->writes.last = &d->writes.first;
    d->reads.last = &d->reads.first;
    d->syncs.last = &d->syncs.first;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->calm, NULL);
    pthread_cond_init(&d->move, NULL);
    pthread_condattr_t steady; /* until when the writer waits does not move with the time of day */
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&d->writes.work, &steady);
    pthread_condattr_destroy(&steady);
    pthread_cond_init(&d->reads.work, NULL);
    pthread_cond_init(&d->syncs.work, NULL);
    return d;
}

static int gathered(void *user, sqlite3 *db, const char *name, int pages)
{
    struct durable *d = user;
    (void)db;
    (void)name;
    d->pages = pages;
    return SQLITE_OK;
}

static int32_t take_lock(struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    snprintf(path, sizeof path, "%s/lock", d->directory);
    int32_t status = d->files.lock(d->files.user, path, &d->process_lock);
    if (status != MAILSRV_OK)
        d->process_lock = NULL;
    return status;
}

static int32_t take_directory(struct durable *d, bool *is_copy)
{
    char path[PATH_MAX_OCTETS];
    int32_t status = d->process_lock == NULL ? take_lock(d) : MAILSRV_OK;
    if (status == MAILSRV_OK)
        status = mailsrv__durable_is_copy(d, is_copy);
    if (status != MAILSRV_OK)
        return status;
    snprintf(path, sizeof path, "%s/bodies", d->directory);
    return d->files.make_directory(d->files.user, path);
}

/* Takes a file away for good. */
static int32_t remove_file(struct durable *d, const char *name)
{
    char path[PATH_MAX_OCTETS];
    snprintf(path, sizeof path, "%s/%s", d->directory, name);
    int32_t status = d->files.unlink(d->files.user, path);
    if (status != MAILSRV_OK && status != MAILSRV_NONEXISTENT)
        return status;
    return d->files.sync_directory(d->files.user, d->directory);
}

/* Its log goes first, so that no other index meets it; and then the index, so that it meets no other log. */
static int32_t make_index_anew(struct durable *d)
{
    mailsrv__durable_index_close(&d->writer);
    int32_t status = remove_file(d, "index.db-wal");
    if (status == MAILSRV_OK)
        status = remove_file(d, "index.db");
    return status == MAILSRV_OK ? mailsrv__durable_index_open(&d->writer, d, true) : status;
}

static void look_for_log(void *context, const char *name)
{
    *(bool *)context = *(bool *)context || mailsrv__durable_segment_number(name) != 0;
}

/* An index of an older format is made anew.  One that was being made anew, and was not done, is begun again: part of
 * the log may have gone since.  So is one without a log: the power went when it was made first, before anything was
 * promised. */
static int32_t open_index(struct durable *d)
{
    bool has_log = false;
    uint32_t history_max = d->writer.history_max;
    int32_t status = mailsrv__durable_index_open(&d->writer, d, true);
    bool is_begun = status == MAILSRV_OK && !d->writer.state.whole && d->writer.state.group != 0;
    if (status == MAILSRV_CORRUPT && d->files.list(d->files.user, d->directory, look_for_log, &has_log) == MAILSRV_OK)
        is_begun = !has_log;
    if (is_begun || status == MAILSRV_NONEXISTENT)
        status = make_index_anew(d);
    d->writer.history_max = history_max;
    return status;
}

/* The index is opened first, so that the one sync of the directory that the log makes is also for the index's names.
 * Nothing of the log is shown before that. */
static int32_t open_all(struct durable *d)
{
    bool is_copy = false;
    int32_t status = take_directory(d, &is_copy);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_vfs_open(&d->vfs, d);
    if (status == MAILSRV_OK)
        status = open_index(d);
    if (status != MAILSRV_OK)
        return status;
    sqlite3_wal_hook(d->writer.db, gathered, d);
    d->log.group = d->writer.state.group;
    status = mailsrv__durable_log_open(&d->log, &d->writer.state.place);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_catch_up(d);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_log_settle(&d->log);
    if (status == MAILSRV_OK)
        status = is_copy ? mailsrv__durable_log_renew(&d->log) : mailsrv__durable_log_begin(&d->log);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_index_open(&d->reader, d, false);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_index_open(&d->mover, d, false);
    if (status != MAILSRV_OK)
        return status;
    d->last_staged = d->writer.state.last_body;
    d->has_dead = true; /* perhaps */
    mailsrv__durable_bodies_clean(d);
    mailsrv__durable_reserve_make(d);
    d->segments = d->log.sealed.n + d->log.retired.n + 1;
    d->looks = d->is_busy = true; /* perhaps */
    if (!mailsrv__durable_start(d))
        return MAILSRV_TEMP;
    return is_copy ? mailsrv__durable_renew_all(d) : MAILSRV_OK;
}

static bool is_usable(const mailsrv_durable_setup *setup)
{
    return setup != NULL && setup->size >= sizeof *setup && setup->directory != NULL &&
           strlen(setup->directory) + SHARD_NAME < sizeof((struct durable *)NULL)->directory &&
           setup->shards <= SHARDS_MAX &&
           (setup->segment_octets == 0 || setup->segment_octets >= 4096) &&
           (setup->files == NULL || setup->files->size >= FILES_MIN);
}

/* Of each shard, the first of which there is already. */
static int32_t open_shards(struct durable *d, const mailsrv_durable_setup *setup)
{
    struct family *f = d->family;
    int32_t status = MAILSRV_OK;
    for (uint32_t i = 0; i < f->n && status == MAILSRV_OK; i++) {
        struct durable *one = i == 0 ? d : new_store(setup);
        if (one == NULL)
            return MAILSRV_NOMEM;
        mailsrv__durable_becomes_shard(one, f, i);
        status = open_all(one);
    }
    return status;
}

/* What a copy that has no end has is not looked at. */
static int32_t open_store(struct durable *d, const mailsrv_durable_setup *setup)
{
    bool is_copy;
    int32_t status = take_lock(d);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_is_copy(d, &is_copy);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_family_find(d, setup->shards, true);
    if (status != MAILSRV_OK)
        return status;
    return d->family != NULL ? open_shards(d, setup) : open_all(d);
}

int32_t mailsrv_durable_open(const mailsrv_durable_setup *setup, mailsrv_store **out)
{
    if (out == NULL || !is_usable(setup))
        return MAILSRV_E_USAGE;
    struct durable *d = new_store(setup);
    if (d == NULL)
        return MAILSRV_NOMEM;
    int32_t status = open_store(d, setup);
    if (status != MAILSRV_OK) {
        end(&d->store);
        return status;
    }
    *out = &d->store;
    return MAILSRV_OK;
}

static int32_t check_one(struct durable *d, void (*report)(void *user, const char *text), void *user)
{
    int32_t status = mailsrv__durable_vfs_open(&d->vfs, d);
    return status == MAILSRV_OK ? mailsrv__durable_check(d, report, user) : status;
}

/* Whatever is wrong with one, the others are looked at. */
static int32_t check_shards(struct durable *d, const mailsrv_durable_setup *setup,
                            void (*report)(void *user, const char *text), void *user)
{
    struct family *f = d->family;
    bool is_copy;
    int32_t all = mailsrv__durable_is_copy(d, &is_copy);
    if (all == MAILSRV_CORRUPT)
        report(user, "a copy that was not made to its end: " DURABLE_UNFINISHED);
    for (uint32_t i = 0; i < f->n; i++) {
        struct durable *one = i == 0 ? d : new_store(setup);
        if (one == NULL)
            return MAILSRV_NOMEM;
        mailsrv__durable_becomes_shard(one, f, i);
        int32_t status = take_lock(one);
        if (status == MAILSRV_OK)
            status = check_one(one, report, user);
        if (status == MAILSRV_NONEXISTENT) {
            report(user, "a shard that is missing");
            status = MAILSRV_CORRUPT;
        }
        all = all == MAILSRV_OK || all == MAILSRV_CORRUPT ? (status != MAILSRV_OK ? status : all) : all;
    }
    return all;
}

int32_t mailsrv_durable_check(const mailsrv_durable_setup *setup, void (*report)(void *user, const char *text),
                              void *user)
{
    if (report == NULL || !is_usable(setup))
        return MAILSRV_E_USAGE;
    struct durable *d = new_store(setup);
    if (d == NULL)
        return MAILSRV_NOMEM;
    int32_t status = take_lock(d);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_family_find(d, 0, false);
    if (status == MAILSRV_OK)
        status = d->family != NULL ? check_shards(d, setup, report, user) : check_one(d, report, user);
    end(&d->store);
    return status;
}

int32_t mailsrv_durable_copy(mailsrv_store *store, const char *directory,
                             int32_t (*progress)(void *user, uint64_t octets, uint64_t octets_all), void *user)
{
    if (store == NULL || directory == NULL || directory[0] == '\0' ||
        strlen(directory) + SHARD_NAME >= sizeof((struct durable *)NULL)->directory)
        return MAILSRV_E_USAGE;
    return mailsrv__durable_backup(of(store), directory, progress, user);
}

/* What is bound for the length of a call: the library hears of it as of every store, and makes structures of what comes
 * in. */
struct bell {
    mailsrv_store store;
    struct durable *durable;
    void (*wake)(void *user);
    void *user;
};

static int32_t bind_bell(mailsrv_store *store, mailsrv_engine *engine)
{
    const struct bell *bell = (const struct bell *)(const void *)store;
    return mailsrv__durable_bind_with(bell->durable, engine, bell->wake, bell->user);
}

int32_t mailsrv_durable_bind(mailsrv_store *store, mailsrv_engine *engine, void (*wake)(void *user), void *user)
{
    struct bell bell = { .store = { .size = sizeof bell.store, .bind = bind_bell }, .wake = wake, .user = user };
    if (store == NULL)
        return MAILSRV_E_USAGE;
    bell.durable = of(store);
    return mailsrv_store_bind(&bell.store, engine);
}

int32_t mailsrv_durable_add_account(mailsrv_store *store, const char *name, size_t n, mailsrv_id *out)
{
    struct task t = { .kind = KIND_ADD_ACCOUNT, .name = { (const uint8_t *)name, n } };
    if (name == NULL || n == 0 || n > 255)
        return MAILSRV_E_USAGE;
    int32_t status = mailsrv__durable_call(mailsrv__durable_shard_of_name(of(store), t.name), &t);
    if (status == MAILSRV_OK && out != NULL)
        *out = t.account;
    return status;
}

int32_t mailsrv_durable_find_account(mailsrv_store *store, const char *name, size_t n, mailsrv_id *out)
{
    struct task t = { .kind = KIND_FIND_ACCOUNT, .name = { (const uint8_t *)name, n } };
    int32_t status = mailsrv__durable_call(mailsrv__durable_shard_of_name(of(store), t.name), &t);
    if (status == MAILSRV_OK)
        *out = t.account;
    return status;
}

int32_t mailsrv_durable_set_quota(mailsrv_store *store, const mailsrv_id *account, uint64_t octets)
{
    struct task t = { .kind = KIND_QUOTA, .account = *account, .number = octets < INT64_MAX ? octets : INT64_MAX };
    return mailsrv__durable_call(mailsrv__durable_shard_of(of(store), account), &t);
}

uint32_t mailsrv_durable_shard(mailsrv_store *store, const mailsrv_id *account)
{
    return mailsrv__durable_shard_of(of(store), account)->shard;
}
