#include "disk.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512
#define NAME_MAX_OCTETS 128

/* A write, or (without octets) a truncation, that no sync has covered. */
struct change {
    struct change *next;
    bool truncates;
    bool lost; /* its sync failed: none covers it any more */
    uint64_t offset;
    size_t n;
    uint8_t octets[];
};

struct content {
    uint8_t *p;
    size_t n, room;
};

struct file {
    struct file *next;
    struct content seen, synced;
    struct change *changes, **last;
};

struct name {
    struct name *next;
    char path[NAME_MAX_OCTETS];
    struct file *seen, *synced; /* NULL: it is not there */
    bool locked;
};

/* A making or (without a file) an unlinking that no sync of the directory has covered. */
struct naming {
    struct naming *next;
    struct name *name;
    struct file *file;
};

struct open_file {
    struct disk *disk;
    struct file *file;
    struct name *name;
};

struct disk {
    pthread_mutex_t lock;
    uint64_t random;
    struct file *files;
    struct name *names;
    struct naming *namings, **last;
    struct plan plan;
    uint64_t calls, writes, n_syncs, octets;
    bool dead, failed, failed_to_read, opening, has_no_links;
    bool left_out[SYNC_ALL];
    uint64_t syncs[SYNC_ALL];
    uint64_t segments_gone, reads, reads_now;
};

static void *must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

static uint64_t next_random(struct disk *d)
{
    uint64_t x = d->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t disk_random(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    uint64_t x = next_random(d);
    pthread_mutex_unlock(&d->lock);
    return x;
}

/* ---- Contents ---- */

static void resize(struct content *c, size_t n)
{
    if (n > c->room) {
        c->room = n * 2;
        c->p = must(realloc(c->p, c->room));
    }
    if (n > c->n)
        memset(c->p + c->n, 0, n - c->n);
    c->n = n;
}

static void put(struct content *c, const void *p, size_t n, uint64_t offset)
{
    if (n == 0)
        return;
    if (offset + n > c->n)
        resize(c, (size_t)offset + n);
    memcpy(c->p + offset, p, n);
}

static void apply(struct content *c, const struct change *change)
{
    if (change->truncates)
        resize(c, (size_t)change->offset);
    else
        put(c, change->octets, change->n, change->offset);
}

static void remember(struct file *f, bool truncates, const void *p, size_t n, uint64_t offset)
{
    struct change *change = must(calloc(1, sizeof *change + n));
    change->truncates = truncates;
    change->offset = offset;
    change->n = n;
    if (n != 0)
        memcpy(change->octets, p, n);
    *f->last = change;
    f->last = &change->next;
    apply(&f->seen, change);
}

/* What a sync covers reaches the disk; what an earlier one lost does not. */
static void settle(struct file *f)
{
    struct change **at = &f->changes;
    while (*at != NULL) {
        struct change *change = *at;
        if (change->lost) {
            at = &change->next;
            continue;
        }
        apply(&f->synced, change);
        *at = change->next;
        free(change);
    }
    f->last = at;
}

/* ---- Names ---- */

static struct name *name_of(struct disk *d, const char *path, bool make)
{
    struct name *name = d->names;
    while (name != NULL && strcmp(name->path, path) != 0)
        name = name->next;
    if (name != NULL || !make)
        return name;
    name = must(calloc(1, sizeof *name));
    if (strlen(path) >= sizeof name->path)
        abort();
    strcpy(name->path, path);
    name->next = d->names;
    d->names = name;
    return name;
}

static bool is_in(const char *path, const char *directory)
{
    size_t n = strlen(directory);
    return strncmp(path, directory, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

static void rename_to(struct disk *d, struct name *name, struct file *file)
{
    struct naming *naming = must(calloc(1, sizeof *naming));
    naming->name = name;
    naming->file = file;
    *d->last = naming;
    d->last = &naming->next;
    name->seen = file;
}

static struct file *new_file(struct disk *d)
{
    struct file *f = must(calloc(1, sizeof *f));
    f->last = &f->changes;
    f->next = d->files;
    d->files = f;
    return f;
}

/* ---- What goes wrong ---- */

/* A call that changes something; false: the power has gone. */
static bool counts(struct disk *d)
{
    d->calls++;
    if (d->plan.dies_at != 0 && d->calls >= d->plan.dies_at)
        d->dead = true;
    return !d->dead;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

static bool is_seen(struct disk *d, const char *path)
{
    const struct name *name = name_of(d, path, false);
    return name != NULL && name->seen != NULL;
}

/* Of files in a copy, while it is made; SYNC_ALL: it is not. */
static enum sync copy_sync_of(struct disk *d, const char *path)
{
    if (strncmp(path, "/vault/copy/", 12) != 0)
        return SYNC_ALL;
    if (d->opening && ends_with(path, ".log") && is_seen(d, "/vault/copy/copied"))
        return SYNC_COPY_RENEWED;
    if (!is_seen(d, "/vault/copy/unfinished"))
        return SYNC_ALL;
    return strstr(path, "/bodies/") != NULL ? SYNC_COPY_BODY
           : ends_with(path, ".log")        ? SYNC_COPY_LOG
                                            : SYNC_COPY_INDEX;
}

static bool is_being_unlinked(const struct disk *d, const char *path)
{
    for (const struct naming *n = d->namings; n != NULL; n = n->next)
        if (n->file == NULL && strcmp(n->name->path, path) == 0)
            return true;
    return false;
}

static enum sync directory_sync_of(struct disk *d, const char *path)
{
    bool is_begun = is_seen(d, "/vault/copy/unfinished"), is_made = is_seen(d, "/vault/copy/copied");
    if (strcmp(path, "/vault") == 0)
        return SYNC_COPY_ABOVE;
    if (strcmp(path, "/vault/copy/bodies") == 0 && is_begun)
        return SYNC_COPY_BODY_NAMES;
    if (strcmp(path, "/vault/copy") == 0 && is_begun)
        return is_made ? SYNC_COPY_NAMES : SYNC_COPY_BEGUN;
    if (strcmp(path, "/vault/copy") == 0 && is_being_unlinked(d, "/vault/copy/unfinished"))
        return SYNC_COPY_ENDED;
    if (strcmp(path, "/vault/copy") == 0 && is_being_unlinked(d, "/vault/copy/copied"))
        return SYNC_COPY_OPENED;
    return ends_with(path, "/bodies") ? SYNC_BODY_NAME : d->opening ? SYNC_NAMES_OPENED : SYNC_NAMES;
}

static enum sync sync_of(struct disk *d, const char *path)
{
    enum sync of_copy = copy_sync_of(d, path);
    if (of_copy != SYNC_ALL)
        return of_copy;
    if (strstr(path, "/bodies/") != NULL)
        return SYNC_BODY;
    if (ends_with(path, ".log"))
        return d->opening ? SYNC_LOG_OPENED : SYNC_LOG;
    return ends_with(path, "-wal") ? SYNC_INDEX_LOG : SYNC_INDEX;
}

/* ---- The table ---- */

static int32_t open_file(void *user, const char *path, uint32_t flags, void **out)
{
    struct disk *d = user;
    int32_t status = MAILSRV_OK;
    pthread_mutex_lock(&d->lock);
    struct name *name = name_of(d, path, true);
    if (d->dead)
        status = MAILSRV_TEMP;
    else if (name->seen == NULL && (flags & MAILSRV_DURABLE_CREATE) == 0)
        status = MAILSRV_NONEXISTENT;
    else if (name->seen == NULL && !counts(d))
        status = MAILSRV_TEMP;
    if (status == MAILSRV_OK) {
        if (name->seen == NULL)
            rename_to(d, name, new_file(d));
        struct open_file *file = must(calloc(1, sizeof *file));
        *file = (struct open_file){ d, name->seen, name };
        if ((flags & MAILSRV_DURABLE_EMPTY) != 0 && name->seen->seen.n != 0)
            remember(name->seen, true, NULL, 0, 0);
        *out = file;
    }
    pthread_mutex_unlock(&d->lock);
    return status;
}

static void close_file(void *user, void *file)
{
    (void)user;
    free(file);
}

static int32_t read_file(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    struct disk *d = user;
    pthread_mutex_lock(&d->lock);
    const struct content *c = &((struct open_file *)file)->file->seen;
    size_t left = offset < c->n ? c->n - (size_t)offset : 0;
    *got = left < n ? left : n;
    if (*got != 0)
        memcpy(p, c->p + offset, *got);
    bool fails = ++d->reads == d->plan.read_fails;
    d->failed = d->failed || fails;
    d->failed_to_read = d->failed_to_read || fails;
    int32_t status = d->dead || fails ? MAILSRV_TEMP : MAILSRV_OK;
    pthread_mutex_unlock(&d->lock);
    return status;
}

/* Every third time the octets are not in memory. */
static int32_t read_file_now(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    struct disk *d = user;
    pthread_mutex_lock(&d->lock);
    bool is_there = ++d->reads_now % 3 != 0 && !d->dead;
    pthread_mutex_unlock(&d->lock);
    return is_there ? read_file(user, file, p, n, offset, got) : MAILSRV_MORE;
}

/* So much of a write has room: what lies within the file needs none. */
static size_t has_room(const struct disk *d, const struct file *f, size_t n, uint64_t offset)
{
    const uint64_t free = d->plan.octets_max > d->octets ? d->plan.octets_max - d->octets : 0;
    const uint64_t fits = f->seen.n + free > offset ? f->seen.n + free - offset : 0;
    return d->plan.octets_max == 0 || fits > n ? n : (size_t)fits;
}

/* How much of a write is done, and what it says. */
static int32_t write_as_planned(struct disk *d, const struct file *f, size_t *n, uint64_t offset)
{
    int32_t status = MAILSRV_OK;
    const bool was_dead = d->dead;
    size_t most = *n;
    if (!counts(d))
        status = MAILSRV_TEMP;
    else if (++d->writes == d->plan.write_fails)
        status = MAILSRV_TEMP;
    else if ((most = has_room(d, f, *n, offset)) != *n)
        status = MAILSRV_FULL;
    if (status != MAILSRV_OK) {
        d->failed = d->failed || !d->dead;
        *n = was_dead ? 0 : (size_t)(next_random(d) % (most + 1));
    }
    return status;
}

/* With the lock. */
static void change(struct disk *d, struct file *f, bool truncates, const void *p, size_t n, uint64_t offset)
{
    const uint64_t before = f->seen.n;
    remember(f, truncates, p, n, offset);
    d->octets += f->seen.n - before;
}

static int32_t write_file(void *user, void *file, const void *p, size_t n, uint64_t offset)
{
    struct disk *d = user;
    struct file *f = ((struct open_file *)file)->file;
    pthread_mutex_lock(&d->lock);
    int32_t status = write_as_planned(d, f, &n, offset);
    if (n != 0)
        change(d, f, false, p, n, offset);
    pthread_mutex_unlock(&d->lock);
    return status;
}

static int32_t truncate_file(void *user, void *file, uint64_t octets)
{
    struct disk *d = user;
    pthread_mutex_lock(&d->lock);
    int32_t status = counts(d) ? MAILSRV_OK : MAILSRV_TEMP;
    if (status == MAILSRV_OK)
        change(d, ((struct open_file *)file)->file, true, NULL, 0, octets);
    pthread_mutex_unlock(&d->lock);
    return status;
}

static int32_t length_of_file(void *user, void *file, uint64_t *out)
{
    struct disk *d = user;
    pthread_mutex_lock(&d->lock);
    *out = ((struct open_file *)file)->file->seen.n;
    int32_t status = d->dead ? MAILSRV_TEMP : MAILSRV_OK;
    pthread_mutex_unlock(&d->lock);
    return status;
}

/* A sync that fails leaves pages that look clean and are not on the disk (as Linux does), but for those of the index,
 * which can be made anew. */
static void lose(struct disk *d, struct file *f, enum sync which)
{
    for (struct change *c = f->changes; c != NULL && which != SYNC_INDEX && which != SYNC_INDEX_LOG; c = c->next)
        c->lost = c->lost || next_random(d) % 2 == 0;
}

static void dies_as_planned(struct disk *d, enum sync which)
{
    d->syncs[which]++;
    d->dead = d->dead || d->plan.dies_in == which + 1;
}

static int32_t sync_file(void *user, void *file)
{
    struct disk *d = user;
    const struct open_file *o = file;
    int32_t status = MAILSRV_TEMP;
    pthread_mutex_lock(&d->lock);
    enum sync which = sync_of(d, o->name->path);
    dies_as_planned(d, which);
    if (counts(d) && ++d->n_syncs == d->plan.sync_fails) {
        d->failed = true;
        lose(d, o->file, which);
    } else if (!d->dead) {
        status = MAILSRV_OK;
        if (!d->left_out[which])
            settle(o->file);
    }
    pthread_mutex_unlock(&d->lock);
    return status;
}

static int names_of(const struct disk *d, const struct file *file)
{
    int n = 0;
    for (const struct name *name = d->names; name != NULL; name = name->next)
        n += name->seen == file;
    return n;
}

static int32_t link_file(void *user, const char *path, const char *other)
{
    struct disk *d = user;
    int32_t status = MAILSRV_OK;
    pthread_mutex_lock(&d->lock);
    const struct name *name = name_of(d, path, false);
    if (d->has_no_links || d->dead)
        status = MAILSRV_TEMP;
    else if (name == NULL || name->seen == NULL)
        status = MAILSRV_NONEXISTENT;
    else if (!counts(d))
        status = MAILSRV_TEMP;
    if (status == MAILSRV_OK)
        rename_to(d, name_of(d, other, true), name->seen);
    pthread_mutex_unlock(&d->lock);
    return status;
}

static int32_t unlink_file(void *user, const char *path)
{
    struct disk *d = user;
    int32_t status = MAILSRV_OK;
    pthread_mutex_lock(&d->lock);
    struct name *name = name_of(d, path, false);
    if (name == NULL || name->seen == NULL)
        status = d->dead ? MAILSRV_TEMP : MAILSRV_NONEXISTENT;
    else if (!counts(d))
        status = MAILSRV_TEMP;
    if (status == MAILSRV_OK) {
        d->octets -= names_of(d, name->seen) == 1 ? name->seen->seen.n : 0;
        d->segments_gone += ends_with(path, ".log") && !d->opening;
        rename_to(d, name, NULL);
    }
    pthread_mutex_unlock(&d->lock);
    return status;
}

/* A directory is a file without octets. */
static int32_t make_directory(void *user, const char *path)
{
    void *file;
    int32_t status = open_file(user, path, MAILSRV_DURABLE_CREATE, &file);
    if (status == MAILSRV_OK)
        close_file(user, file);
    return status;
}

static void settle_names(struct disk *d, const char *directory)
{
    struct naming **at = &d->namings;
    while (*at != NULL) {
        struct naming *naming = *at;
        if (!is_in(naming->name->path, directory)) {
            at = &naming->next;
            continue;
        }
        naming->name->synced = naming->file;
        *at = naming->next;
        free(naming);
    }
    d->last = at;
}

static int32_t sync_directory(void *user, const char *path)
{
    struct disk *d = user;
    int32_t status = MAILSRV_TEMP;
    pthread_mutex_lock(&d->lock);
    enum sync which = directory_sync_of(d, path);
    dies_as_planned(d, which);
    if (counts(d) && ++d->n_syncs == d->plan.sync_fails) {
        d->failed = true;
    } else if (!d->dead) {
        status = MAILSRV_OK;
        if (!d->left_out[which])
            settle_names(d, path);
    }
    pthread_mutex_unlock(&d->lock);
    return status;
}

static int32_t list_directory(void *user, const char *path, void (*each)(void *context, const char *name),
                              void *context)
{
    struct disk *d = user;
    size_t n = 0, skip = strlen(path) + 1;
    char(*found)[NAME_MAX_OCTETS] = NULL;
    pthread_mutex_lock(&d->lock);
    bool dead = d->dead;
    for (const struct name *name = d->names; name != NULL; name = name->next) {
        if (name->seen == NULL || !is_in(name->path, path))
            continue;
        found = must(realloc(found, (n + 1) * sizeof *found));
        strcpy(found[n++], name->path + skip);
    }
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < n && !dead; i++)
        each(context, found[i]);
    free(found);
    return dead ? MAILSRV_TEMP : MAILSRV_OK;
}

static int32_t lock(void *user, const char *path, void **out)
{
    struct disk *d = user;
    pthread_mutex_lock(&d->lock);
    struct name *name = name_of(d, path, true);
    int32_t status = name->locked ? MAILSRV_INUSE : MAILSRV_OK;
    name->locked = true;
    *out = name;
    pthread_mutex_unlock(&d->lock);
    return status;
}

static void unlock(void *user, void *held)
{
    struct disk *d = user;
    pthread_mutex_lock(&d->lock);
    ((struct name *)held)->locked = false;
    pthread_mutex_unlock(&d->lock);
}

mailsrv_durable_files disk_files(struct disk *disk)
{
    return (mailsrv_durable_files){
        .size = sizeof(mailsrv_durable_files),
        .user = disk,
        .open = open_file,
        .close = close_file,
        .read = read_file,
        .write = write_file,
        .truncate = truncate_file,
        .length = length_of_file,
        .sync = sync_file,
        .unlink = unlink_file,
        .make_directory = make_directory,
        .sync_directory = sync_directory,
        .list = list_directory,
        .lock = lock,
        .unlock = unlock,
        .read_now = read_file_now,
        .link = link_file,
    };
}

void disk_has_links(struct disk *d, bool has_links)
{
    d->has_no_links = !has_links;
}

bool disk_has_name(struct disk *d, const char *path)
{
    pthread_mutex_lock(&d->lock);
    bool seen = is_seen(d, path);
    pthread_mutex_unlock(&d->lock);
    return seen;
}

/* ---- The power goes ---- */

/* How much of what no sync covers is on the disk: nothing, everything, or each by chance. */
enum fate { FATE_NOTHING, FATE_EVERYTHING, FATE_EACH, FATE_SECTORS };

static bool reaches(struct disk *d, enum fate fate)
{
    return fate == FATE_EVERYTHING || (fate != FATE_NOTHING && next_random(d) % 2 == 0);
}

/* Sector by sector; the last one may be torn. */
static void tear(struct disk *d, struct content *c, const struct change *change)
{
    for (size_t at = 0; at < change->n;) {
        size_t n = SECTOR - (size_t)((change->offset + at) % SECTOR);
        n = n < change->n - at ? n : change->n - at;
        if (next_random(d) % 4 != 0)
            put(c, change->octets + at, at + n == change->n ? (size_t)(next_random(d) % (n + 1)) : n,
                change->offset + at);
        at += n;
    }
}

static void cut_file(struct disk *d, struct file *f)
{
    enum fate fate = (enum fate)(next_random(d) % 4);
    struct change *next;
    for (struct change *c = f->changes; c != NULL; c = next) {
        next = c->next;
        if (fate == FATE_SECTORS && !c->truncates)
            tear(d, &f->synced, c);
        else if (reaches(d, fate))
            apply(&f->synced, c);
        free(c);
    }
    f->changes = NULL;
    f->last = &f->changes;
    resize(&f->seen, f->synced.n);
    if (f->synced.n != 0)
        memcpy(f->seen.p, f->synced.p, f->synced.n);
}

static void cut_names(struct disk *d)
{
    enum fate fate = (enum fate)(next_random(d) % 3);
    struct naming *next;
    for (struct naming *n = d->namings; n != NULL; n = next) {
        next = n->next;
        if (reaches(d, fate))
            n->name->synced = n->file;
        free(n);
    }
    d->namings = NULL;
    d->last = &d->namings;
}

/* What was in a directory that is not there any more is gone; one that nobody made always is. */
static bool is_homeless(struct disk *d, const struct name *name)
{
    char path[NAME_MAX_OCTETS];
    strcpy(path, name->path);
    for (char *end = strrchr(path, '/'); end != NULL && end != path; end = strrchr(path, '/')) {
        *end = '\0';
        const struct name *home = name_of(d, path, false);
        if (home != NULL && home->synced == NULL)
            return true;
    }
    return false;
}

static void wake_up(struct disk *d)
{
    d->dead = false;
    for (struct name *n = d->names; n != NULL; n = n->next)
        n->locked = false;
}

void disk_cut(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    cut_names(d);
    for (struct file *f = d->files; f != NULL; f = f->next)
        cut_file(d, f);
    d->octets = 0;
    for (struct name *n = d->names; n != NULL; n = n->next) {
        n->seen = n->synced = is_homeless(d, n) ? NULL : n->synced;
        d->octets += n->seen != NULL ? n->seen->seen.n : 0;
    }
    wake_up(d);
    pthread_mutex_unlock(&d->lock);
}

void disk_revive(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    wake_up(d);
    pthread_mutex_unlock(&d->lock);
}

void disk_plan(struct disk *d, const struct plan *plan)
{
    pthread_mutex_lock(&d->lock);
    d->plan = *plan;
    d->calls = d->writes = d->n_syncs = d->reads = 0;
    d->failed = d->failed_to_read = false;
    pthread_mutex_unlock(&d->lock);
}

void disk_leave_out(struct disk *d, enum sync sync)
{
    d->left_out[sync] = true;
}

void disk_opening(struct disk *d, bool opening)
{
    pthread_mutex_lock(&d->lock);
    d->opening = opening;
    pthread_mutex_unlock(&d->lock);
}

bool disk_is_dead(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    bool dead = d->dead;
    pthread_mutex_unlock(&d->lock);
    return dead;
}

bool disk_has_failed(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    bool failed = d->failed;
    pthread_mutex_unlock(&d->lock);
    return failed;
}

bool disk_has_failed_to_read(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    bool failed = d->failed_to_read;
    pthread_mutex_unlock(&d->lock);
    return failed;
}

uint64_t disk_segments_gone(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    uint64_t n = d->segments_gone;
    pthread_mutex_unlock(&d->lock);
    return n;
}

uint64_t disk_syncs(struct disk *d, enum sync sync)
{
    pthread_mutex_lock(&d->lock);
    uint64_t n = d->syncs[sync];
    pthread_mutex_unlock(&d->lock);
    return n;
}

struct disk *disk_new(uint64_t seed)
{
    struct disk *d = must(calloc(1, sizeof *d));
    d->random = seed;
    d->last = &d->namings;
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

static void free_changes(struct file *f)
{
    struct change *next;
    for (struct change *c = f->changes; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
}

void disk_free(struct disk *d)
{
    struct file *next_file;
    for (struct file *f = d->files; f != NULL; f = next_file) {
        next_file = f->next;
        free_changes(f);
        free(f->seen.p);
        free(f->synced.p);
        free(f);
    }
    struct name *next_name;
    for (struct name *n = d->names; n != NULL; n = next_name) {
        next_name = n->next;
        free(n);
    }
    struct naming *next_naming;
    for (struct naming *n = d->namings; n != NULL; n = next_naming) {
        next_naming = n->next;
        free(n);
    }
    pthread_mutex_destroy(&d->lock);
    free(d);
}
