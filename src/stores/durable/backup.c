/* A copy of a store that goes on being used.
 *
 * Nothing is removed meanwhile.  Between two groups the writer says what the log is made of then, and pins the index as
 * it is then: so both say the same.  The index is copied in one step; a segment that has ended is never written to, so
 * another name for it will do; the last one is copied up to its end, since no later one says where that is.
 *
 * A file `unfinished` stands in the directory from before the first file until after the last; then a file `copied`
 * says what it is (restored.c). */
#include "durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (64u << 10)
#define TOLD_EACH (1u << 20) /* octets, from one word of progress to the next */

/* What the log is made of between two groups, and the index as it is then. */
struct snapshot {
    struct index source;
    struct sealed_list segments; /* the last one, too */
};

/* The copy of one shard; or the directory of several, which has no store itself. */
struct backup {
    struct work *work;
    struct durable *d;
    struct durable *target; /* a directory and its files, no more */
    struct snapshot at;
    void *lock;
    uint32_t shards; /* of the directory of several; 0: it is one */
    bool is_ours;    /* what is in the directory */
};

/* Of the whole. */
struct work {
    uint32_t n;           /* shards */
    struct backup **each; /* of them, and behind them of the directory of several */
    uint64_t done, all, told;
    int32_t (*progress)(void *user, uint64_t octets, uint64_t octets_all);
    void *user;
    char from[PATH_MAX_OCTETS], to[PATH_MAX_OCTETS];
    uint8_t piece[PIECE];
};

/* ---- By the writer, between two groups ---- */

static int32_t add_segment(struct sealed_list *list, const struct sealed *one)
{
    struct sealed *v = realloc(list->v, (list->n + 1) * sizeof *v);
    if (v == NULL)
        return MAILSRV_NOMEM;
    list->v = v;
    v[list->n++] = *one;
    return MAILSRV_OK;
}

static int32_t note_segments(const struct log *log, struct sealed_list *out)
{
    const struct sealed last = { log->end.segment, log->begins, log->end.offset, 0 };
    if (log->sealed.n != 0) {
        out->v = malloc(log->sealed.n * sizeof *out->v);
        if (out->v == NULL)
            return MAILSRV_NOMEM;
        memcpy(out->v, log->sealed.v, log->sealed.n * sizeof *out->v);
        out->n = log->sealed.n;
    }
    return log->file != NULL && last.end != last.begins ? add_segment(out, &last) : MAILSRV_OK;
}

/* What is planned of this group nobody sees yet, neither here nor there. */
int32_t mailsrv__durable_snapshot(struct durable *d, struct task *t)
{
    struct snapshot *at = t->progress;
    int32_t status = note_segments(&d->log, &at->segments);
    if (status == MAILSRV_OK &&
        sqlite3_exec(at->source.db, "BEGIN; SELECT seq FROM state", NULL, NULL, NULL) != SQLITE_OK)
        status = mailsrv__durable_failure(&at->source);
    return status;
}

/* ---- Nothing is removed meanwhile ---- */

/* Those that are still staged could be named again: they go at the next start. */
void mailsrv__durable_drop_file(struct durable *d, uint64_t body)
{
    char path[PATH_MAX_OCTETS];
    if (mailsrv__durable_is_staged(d, body))
        return;
    pthread_mutex_lock(&d->lock);
    bool waits = d->copies != 0;
    if (waits)
        mailsrv__durable_is_loose(&d->postponed, body);
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_body_path(d, body, path);
    if (!waits)
        d->files.unlink(d->files.user, path);
}

static void stop_deletions(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    d->copies++;
    pthread_mutex_unlock(&d->lock);
}

static void go_on_deleting(struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    struct loose postponed = { NULL, 0, 0 };
    pthread_mutex_lock(&d->lock);
    if (--d->copies == 0) {
        postponed = d->postponed;
        d->postponed = (struct loose){ NULL, 0, 0 };
    }
    pthread_cond_signal(&d->writes.work);
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < postponed.n; i++) {
        mailsrv__durable_body_path(d, postponed.v[i], path);
        d->files.unlink(d->files.user, path);
    }
    free(postponed.v);
}

/* ---- Files ---- */

static int32_t tell(struct work *w, uint64_t octets)
{
    w->done += octets;
    if (w->progress == NULL || (w->done - w->told < TOLD_EACH && w->done != w->all))
        return MAILSRV_OK;
    w->told = w->done;
    return w->progress(w->user, w->done, w->all);
}

static int32_t copy_pieces(struct backup *b, void *from, void *to, uint64_t octets)
{
    const mailsrv_durable_files *files = &b->d->files;
    int32_t status = MAILSRV_OK;
    for (uint64_t at = 0; at < octets && status == MAILSRV_OK;) {
        size_t n = octets - at < PIECE ? (size_t)(octets - at) : PIECE, got = 0;
        status = files->read(files->user, from, b->work->piece, n, at, &got);
        if (status == MAILSRV_OK && got < n)
            status = MAILSRV_CORRUPT;
        if (status == MAILSRV_OK)
            status = files->write(files->user, to, b->work->piece, n, at);
        if (status == MAILSRV_OK)
            status = tell(b->work, n);
        at += n;
    }
    return status == MAILSRV_OK ? files->sync(files->user, to) : status;
}

/* From and to the paths that are set. */
static int32_t copy_file(struct backup *b, uint64_t octets)
{
    const mailsrv_durable_files *files = &b->d->files;
    void *source, *target;
    int32_t status = files->open(files->user, b->work->from, 0, &source);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? MAILSRV_CORRUPT : status;
    status = files->open(files->user, b->work->to,
                         MAILSRV_DURABLE_WRITE | MAILSRV_DURABLE_CREATE | MAILSRV_DURABLE_EMPTY, &target);
    if (status == MAILSRV_OK) {
        status = copy_pieces(b, source, target, octets);
        files->close(files->user, target);
    }
    files->close(files->user, source);
    return status;
}

/* One that is never written to again, and has been synced: under another name, or, where that cannot be, copied. */
static int32_t link_file(struct backup *b, uint64_t octets)
{
    const mailsrv_durable_files *files = &b->d->files;
    if (files->link != NULL && files->link(files->user, b->work->from, b->work->to) == MAILSRV_OK)
        return tell(b->work, octets);
    return copy_file(b, octets);
}

static int32_t make_file(struct durable *t, const char *name)
{
    char path[PATH_MAX_OCTETS];
    void *file;
    snprintf(path, sizeof path, "%s/%s", t->directory, name);
    int32_t status = t->files.open(t->files.user, path, MAILSRV_DURABLE_WRITE | MAILSRV_DURABLE_CREATE, &file);
    if (status != MAILSRV_OK)
        return status;
    t->files.close(t->files.user, file);
    return t->files.sync_directory(t->files.user, t->directory);
}

static int32_t remove_file(struct durable *t, const char *name)
{
    char path[PATH_MAX_OCTETS];
    snprintf(path, sizeof path, "%s/%s", t->directory, name);
    int32_t status = t->files.unlink(t->files.user, path);
    return status == MAILSRV_OK ? t->files.sync_directory(t->files.user, t->directory) : status;
}

/* ---- The directory ---- */

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void look_below(void *context, const char *name)
{
    *(bool *)context = *(bool *)context || !is_dots(name);
}

static void look_at(void *context, const char *name)
{
    if (strcmp(name, "lock") != 0 && strcmp(name, "bodies") != 0)
        look_below(context, name);
}

/* Those of shards are looked at when it is their turn. */
static void look_at_shards(void *context, const char *name)
{
    if (strcmp(name, "lock") != 0 && mailsrv__durable_shard_number(name) == SHARDS_MAX)
        look_below(context, name);
}

/* An earlier copying that failed has left what is no file. */
static int32_t must_be_empty(const struct backup *b)
{
    struct durable *t = b->target;
    char path[PATH_MAX_OCTETS];
    bool has_some = false;
    int32_t status = t->files.list(t->files.user, t->directory, b->shards != 0 ? look_at_shards : look_at, &has_some);
    snprintf(path, sizeof path, "%s/bodies", t->directory);
    int32_t below = status == MAILSRV_OK ? t->files.list(t->files.user, path, look_below, &has_some) : status;
    if (status == MAILSRV_OK && below != MAILSRV_NONEXISTENT)
        status = below;
    return status == MAILSRV_OK && has_some ? MAILSRV_ALREADYEXISTS : status;
}

/* Where a directory's own name is. */
static int32_t sync_above(struct durable *t)
{
    char path[PATH_MAX_OCTETS];
    size_t n = strlen(t->directory);
    memcpy(path, t->directory, n + 1);
    while (n > 0 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    path[n] = '\0';
    return t->files.sync_directory(t->files.user, n != 0 ? path : ".");
}

static int32_t take_directory(struct backup *b)
{
    struct durable *t = b->target;
    char *path = b->work->to;
    int32_t status = t->files.make_directory(t->files.user, t->directory);
    if (status != MAILSRV_OK)
        return status;
    snprintf(path, PATH_MAX_OCTETS, "%s/lock", t->directory);
    status = t->files.lock(t->files.user, path, &b->lock);
    if (status != MAILSRV_OK) {
        b->lock = NULL;
        return status;
    }
    status = must_be_empty(b);
    if (status != MAILSRV_OK)
        return status;
    b->is_ours = true;
    status = make_file(t, DURABLE_UNFINISHED);
    if (status == MAILSRV_OK)
        status = sync_above(t);
    snprintf(path, PATH_MAX_OCTETS, "%s/bodies", t->directory);
    if (status == MAILSRV_OK && b->shards == 0)
        status = t->files.make_directory(t->files.user, path);
    return status == MAILSRV_OK && b->shards == 0 ? mailsrv__durable_vfs_open(&t->vfs, t) : status;
}

struct remains {
    struct durable *t;
    const char *below;
};

static void remove_one(void *context, const char *name)
{
    struct remains *r = context;
    char path[PATH_MAX_OCTETS];
    if (is_dots(name) || strcmp(name, "lock") == 0 || strcmp(name, DURABLE_UNFINISHED) == 0)
        return;
    if ((size_t)snprintf(path, sizeof path, "%s%s/%s", r->t->directory, r->below, name) < sizeof path)
        r->t->files.unlink(r->t->files.user, path);
}

/* What has failed is no copy: it goes, as far as that can be, and last what says so. */
static void remove_all(const struct backup *b)
{
    struct durable *t = b->target;
    char *path = b->work->to;
    struct remains in = { t, "" }, below = { t, "/bodies" };
    snprintf(path, PATH_MAX_OCTETS, "%s%s", t->directory, b->shards == 0 ? "/bodies" : "");
    if ((b->shards != 0 || t->files.list(t->files.user, path, remove_one, &below) == MAILSRV_OK) &&
        t->files.list(t->files.user, t->directory, remove_one, &in) == MAILSRV_OK &&
        t->files.sync_directory(t->files.user, path) == MAILSRV_OK &&
        t->files.sync_directory(t->files.user, t->directory) == MAILSRV_OK)
        remove_file(t, DURABLE_UNFINISHED);
}

/* ---- What is copied ---- */

static int32_t number_of(sqlite3 *db, const char *text, uint64_t *out)
{
    sqlite3_stmt *row = NULL;
    int result = sqlite3_prepare_v2(db, text, -1, &row, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(row);
    *out += result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    sqlite3_finalize(row);
    return result == SQLITE_ROW ? MAILSRV_OK : MAILSRV_TEMP;
}

#define INDEX_OCTETS "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
#define IN_FILES " FROM body WHERE place = 0 AND base <> 0"

static int32_t sum_up(struct backup *b)
{
    sqlite3 *db = b->at.source.db;
    for (size_t i = 0; i < b->at.segments.n; i++)
        b->work->all += b->at.segments.v[i].end;
    if (number_of(db, INDEX_OCTETS, &b->work->all) != MAILSRV_OK ||
        number_of(db, "SELECT coalesce(sum(octets), 0)" IN_FILES, &b->work->all) != MAILSRV_OK)
        return mailsrv__durable_failure(&b->at.source);
    return MAILSRV_OK;
}

/* SQLite's journal would be for a database that had something in it. */
static int32_t back_up(struct backup *b, struct index *to)
{
    uint64_t octets = 0;
    if (sqlite3_exec(to->db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL) != SQLITE_OK)
        return mailsrv__durable_failure(to);
    sqlite3_backup *copy = sqlite3_backup_init(to->db, "main", b->at.source.db, "main");
    if (copy == NULL)
        return mailsrv__durable_failure(to);
    sqlite3_backup_step(copy, -1);
    if (sqlite3_backup_finish(copy) != SQLITE_OK)
        return mailsrv__durable_failure(to);
    int32_t status = number_of(b->at.source.db, INDEX_OCTETS, &octets);
    return status == MAILSRV_OK ? tell(b->work, octets) : status;
}

static int32_t copy_index(struct backup *b)
{
    struct durable *t = b->target;
    char path[PATH_MAX_OCTETS];
    void *file;
    struct index *to = &t->writer;
    snprintf(path, sizeof path, "%s/index.db", t->directory);
    int how = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int32_t status = sqlite3_open_v2(path, &to->db, how, t->vfs.name) == SQLITE_OK ? back_up(b, to)
                     : to->db != NULL                                              ? mailsrv__durable_failure(to)
                                                                                   : MAILSRV_NOMEM;
    mailsrv__durable_index_close(to);
    mailsrv__durable_index_close(&b->at.source); /* the index's log can end again */
    if (status == MAILSRV_OK)
        status = t->files.open(t->files.user, path, MAILSRV_DURABLE_WRITE, &file);
    if (status != MAILSRV_OK)
        return status;
    status = t->files.sync(t->files.user, file);
    t->files.close(t->files.user, file);
    return status;
}

static int32_t copy_segments(struct backup *b)
{
    const struct sealed_list *list = &b->at.segments;
    int32_t status = MAILSRV_OK;
    for (size_t i = 0; i < list->n && status == MAILSRV_OK; i++) {
        mailsrv__durable_segment_path(b->d, list->v[i].number, b->work->from);
        mailsrv__durable_segment_path(b->target, list->v[i].number, b->work->to);
        status = i + 1 < list->n ? link_file(b, list->v[i].end) : copy_file(b, list->v[i].end);
    }
    return status;
}

static int32_t copy_body(struct backup *b, uint64_t number, uint64_t octets)
{
    mailsrv__durable_body_path(b->d, number, b->work->from);
    mailsrv__durable_body_path(b->target, number, b->work->to);
    return link_file(b, octets);
}

/* The index of the copy says which. */
static int32_t copy_bodies(struct backup *b)
{
    struct index *x = &b->target->writer;
    char path[PATH_MAX_OCTETS];
    sqlite3_stmt *row = NULL;
    int result = SQLITE_ERROR;
    int32_t status = mailsrv__durable_index_look(x, b->target);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? MAILSRV_CORRUPT : status;
    if (sqlite3_prepare_v2(x->db, "SELECT id, octets" IN_FILES, -1, &row, NULL) == SQLITE_OK)
        for (result = sqlite3_step(row); result == SQLITE_ROW && status == MAILSRV_OK; result = sqlite3_step(row))
            status = copy_body(b, (uint64_t)sqlite3_column_int64(row, 0), (uint64_t)sqlite3_column_int64(row, 1));
    sqlite3_finalize(row);
    if (status == MAILSRV_OK && result != SQLITE_DONE)
        status = mailsrv__durable_failure(x);
    mailsrv__durable_index_close(x);
    snprintf(path, sizeof path, "%s/bodies", b->target->directory);
    return status == MAILSRV_OK ? b->d->files.sync_directory(b->d->files.user, path) : status;
}

/* ---- All of it ---- */

static int32_t pin(struct backup *b)
{
    struct task t = { .kind = KIND_SNAPSHOT, .progress = &b->at };
    int32_t status = mailsrv__durable_index_open(&b->at.source, b->d, false);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_call(b->d, &t);
    return status == MAILSRV_OK ? sum_up(b) : status;
}

static int32_t copy_files(struct backup *b)
{
    int32_t status = copy_segments(b);
    if (status == MAILSRV_OK)
        status = copy_bodies(b);
    if (status == MAILSRV_OK)
        status = make_file(b->target, DURABLE_COPIED); /* with its sync: everything that was named before */
    return status == MAILSRV_OK ? remove_file(b->target, DURABLE_UNFINISHED) : status;
}

/* What of a directory of several is no shard's. */
static int32_t end_directory(struct backup *b)
{
    int32_t status = mailsrv__durable_table_write(b->d->family, b->target);
    return status == MAILSRV_OK ? remove_file(b->target, DURABLE_UNFINISHED) : status;
}

static int32_t for_each(struct work *w, int32_t status, int32_t (*step)(struct backup *b))
{
    for (uint32_t i = 0; i < w->n && status == MAILSRV_OK; i++)
        status = step(w->each[i]);
    return status;
}

/* All shards are pinned before one is copied, and all indexes are copied before the rest: they can go on soon. */
static int32_t copy_all(struct work *w)
{
    int32_t status = for_each(w, MAILSRV_OK, pin);
    if (status == MAILSRV_OK && w->progress != NULL)
        status = w->progress(w->user, 0, w->all);
    status = for_each(w, for_each(w, status, copy_index), copy_files);
    return status == MAILSRV_OK && w->n > 1 ? end_directory(w->each[w->n]) : status;
}

static int32_t run(struct work *w)
{
    int32_t status = w->n > 1 ? take_directory(w->each[w->n]) : MAILSRV_OK;
    status = for_each(w, status, take_directory);
    if (status != MAILSRV_OK)
        return status;
    for (uint32_t i = 0; i < w->n; i++)
        stop_deletions(w->each[i]->d);
    status = copy_all(w);
    for (uint32_t i = 0; i < w->n; i++) {
        mailsrv__durable_index_close(&w->each[i]->at.source);
        go_on_deleting(w->each[i]->d);
    }
    return status;
}

static struct backup *new_backup(struct work *w, struct durable *d, const char *directory)
{
    struct backup *b = calloc(1, sizeof *b);
    struct durable *target = calloc(1, sizeof *target);
    if (b == NULL || target == NULL) {
        free(b);
        free(target);
        return NULL;
    }
    memcpy(target->directory, directory, strlen(directory) + 1);
    target->files = d->files;
    b->work = w;
    b->d = d;
    b->target = target;
    return b;
}

static void free_backup(struct backup *b, bool failed)
{
    mailsrv__durable_index_close(&b->target->writer);
    mailsrv__durable_vfs_close(&b->target->vfs);
    if (failed && b->is_ours)
        remove_all(b);
    if (b->lock != NULL)
        b->d->files.unlock(b->d->files.user, b->lock);
    free(b->at.segments.v);
    free(b->target);
    free(b);
}

/* False: no memory. */
static bool begin(struct work *w, struct durable *d, const char *directory)
{
    char path[PATH_MAX_OCTETS] = "", name[4] = "";
    w->n = mailsrv__durable_shards(d);
    w->each = calloc(w->n + (size_t)1, sizeof(struct backup *));
    for (uint32_t i = 0; w->each != NULL && i < w->n; i++) {
        if (w->n > 1)
            mailsrv__durable_shard_name(i, name);
        snprintf(path, sizeof path, "%s%s", directory, name);
        w->each[i] = new_backup(w, mailsrv__durable_shard(d, i), path);
        if (w->each[i] == NULL)
            return false;
    }
    if (w->each == NULL || w->n == 1)
        return w->each != NULL;
    w->each[w->n] = new_backup(w, d, directory);
    if (w->each[w->n] != NULL)
        w->each[w->n]->shards = w->n;
    return w->each[w->n] != NULL;
}

/* The directory of several last: it says that there is no whole copy. */
static void end(struct work *w, bool failed)
{
    for (uint32_t i = 0; w->each != NULL && i < w->n + 1; i++)
        if (w->each[i] != NULL)
            free_backup(w->each[i], failed);
    free(w->each);
    free(w);
}

int32_t mailsrv__durable_backup(struct durable *d, const char *directory,
                                int32_t (*progress)(void *user, uint64_t octets, uint64_t octets_all), void *user)
{
    struct work *w = calloc(1, sizeof *w);
    if (w == NULL)
        return MAILSRV_NOMEM;
    w->progress = progress;
    w->user = user;
    int32_t status = begin(w, d, directory) ? run(w) : MAILSRV_NOMEM;
    end(w, status != MAILSRV_OK);
    return status;
}
