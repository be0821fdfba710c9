/* The files of SQLite, by the table of functions.  One process has the directory, so the locks of the connections, and
 * the memory that they share, need not be in files. */
#include "durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 4096

struct vfs_file {
    sqlite3_file base;
    struct vfs *vfs;
    void *file;
    int level; /* SQLITE_LOCK_... */
    uint16_t shared, exclusive; /* locks of the shared memory that this one has, as bits */
    bool maps;
    struct gathered gathered; /* of SQLite's log */
};

static struct vfs_file *of(sqlite3_file *file)
{
    return (struct vfs_file *)(void *)file;
}

static const mailsrv_durable_files *files_of(const struct vfs_file *f)
{
    return &f->vfs->d->files;
}

static int code(int32_t status, int otherwise)
{
    return status == MAILSRV_OK ? SQLITE_OK : status == MAILSRV_FULL ? SQLITE_FULL : otherwise;
}

static int write_now(void *file, const void *p, size_t n, uint64_t offset)
{
    const struct vfs_file *f = file;
    return code(files_of(f)->write(files_of(f)->user, f->file, p, n, offset), SQLITE_IOERR_WRITE);
}

/* What is asked of the file must know all of it. */
static int settle(sqlite3_file *file)
{
    return mailsrv__durable_gathered_write(&of(file)->gathered);
}

static int file_close(sqlite3_file *file)
{
    struct vfs_file *f = of(file);
    settle(file);
    free(f->gathered.p);
    files_of(f)->close(files_of(f)->user, f->file);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *p, int n, sqlite3_int64 offset)
{
    struct vfs_file *f = of(file);
    size_t got = 0;
    int result = settle(file);
    if (result != SQLITE_OK)
        return result == SQLITE_FULL ? IOERR_FULL : SQLITE_IOERR_READ;
    if (files_of(f)->read(files_of(f)->user, f->file, p, (size_t)n, (uint64_t)offset, &got) != MAILSRV_OK)
        return SQLITE_IOERR_READ;
    if (got == (size_t)n)
        return SQLITE_OK;
    memset((char *)p + got, 0, (size_t)n - got);
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 offset)
{
    struct vfs_file *f = of(file);
    return f->gathered.write != NULL ? mailsrv__durable_gather(&f->gathered, p, (size_t)n, (uint64_t)offset)
                                     : write_now(f, p, (size_t)n, (uint64_t)offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 octets)
{
    struct vfs_file *f = of(file);
    int result = settle(file);
    if (result != SQLITE_OK)
        return result;
    return code(files_of(f)->truncate(files_of(f)->user, f->file, (uint64_t)octets), SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct vfs_file *f = of(file);
    (void)flags;
    int result = settle(file);
    if (result != SQLITE_OK)
        return result;
    return code(files_of(f)->sync(files_of(f)->user, f->file), SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    struct vfs_file *f = of(file);
    uint64_t octets = 0;
    int result = settle(file);
    if (result != SQLITE_OK)
        return result;
    int32_t status = files_of(f)->length(files_of(f)->user, f->file, &octets);
    *out = (sqlite3_int64)octets;
    return code(status, SQLITE_IOERR_FSTAT);
}

/* ---- Locks of the database ---- */

static int take(struct vfs *vfs, struct vfs_file *f, int level)
{
    if (level == SQLITE_LOCK_SHARED) {
        if (vfs->exclusive)
            return SQLITE_BUSY;
        vfs->n_shared++;
    } else if (level == SQLITE_LOCK_RESERVED) {
        if (vfs->reserved)
            return SQLITE_BUSY;
        vfs->reserved = true;
    } else {
        if (vfs->n_shared > 1 || vfs->exclusive || (vfs->reserved && f->level < SQLITE_LOCK_RESERVED))
            return SQLITE_BUSY;
        vfs->reserved = vfs->exclusive = true;
    }
    f->level = level;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
    struct vfs_file *f = of(file);
    pthread_mutex_lock(&f->vfs->lock);
    int result = level > f->level ? take(f->vfs, f, level) : SQLITE_OK;
    pthread_mutex_unlock(&f->vfs->lock);
    return result;
}

static int file_unlock(sqlite3_file *file, int level)
{
    struct vfs_file *f = of(file);
    struct vfs *vfs = f->vfs;
    pthread_mutex_lock(&vfs->lock);
    if (f->level > level) {
        if (f->level >= SQLITE_LOCK_RESERVED)
            vfs->reserved = false;
        if (f->level == SQLITE_LOCK_EXCLUSIVE)
            vfs->exclusive = false;
        if (level == SQLITE_LOCK_NONE)
            vfs->n_shared--;
        f->level = level;
    }
    pthread_mutex_unlock(&vfs->lock);
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *file, int *out)
{
    struct vfs_file *f = of(file);
    pthread_mutex_lock(&f->vfs->lock);
    *out = f->vfs->reserved;
    pthread_mutex_unlock(&f->vfs->lock);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int what, void *arg)
{
    (void)file;
    (void)what;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *file)
{
    (void)file;
    return SECTOR;
}

/* A write does not harm the octets beside it. */
static int characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- The memory that connections share ---- */

static bool add_region(struct vfs *vfs, int size)
{
    void **more = realloc(vfs->regions, sizeof(void *) * (size_t)(vfs->n_regions + 1));
    if (more == NULL)
        return false;
    vfs->regions = more;
    more[vfs->n_regions] = calloc(1, (size_t)size);
    if (more[vfs->n_regions] == NULL)
        return false;
    vfs->n_regions++;
    return true;
}

static int shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    struct vfs_file *f = of(file);
    struct vfs *vfs = f->vfs;
    bool good = true;
    pthread_mutex_lock(&vfs->lock);
    if (!f->maps)
        vfs->opened++;
    f->maps = true;
    while (extend && good && vfs->n_regions <= region)
        good = add_region(vfs, size);
    *out = vfs->n_regions > region ? vfs->regions[region] : NULL;
    pthread_mutex_unlock(&vfs->lock);
    return good ? SQLITE_OK : SQLITE_NOMEM;
}

static void shm_release(struct vfs *vfs, struct vfs_file *f, int i)
{
    uint16_t bit = (uint16_t)(1u << i);
    if ((f->shared & bit) != 0)
        vfs->shm_shared[i]--;
    if ((f->exclusive & bit) != 0)
        vfs->shm_exclusive[i] = false;
    f->shared &= (uint16_t)~bit;
    f->exclusive &= (uint16_t)~bit;
}

static bool shm_is_free(const struct vfs *vfs, const struct vfs_file *f, int i, bool exclusive)
{
    uint16_t bit = (uint16_t)(1u << i);
    uint32_t others = vfs->shm_shared[i] - ((f->shared & bit) != 0);
    return !(vfs->shm_exclusive[i] && (f->exclusive & bit) == 0) && !(exclusive && others != 0);
}

static void shm_take(struct vfs *vfs, struct vfs_file *f, int i, bool exclusive)
{
    uint16_t bit = (uint16_t)(1u << i);
    if (exclusive) {
        vfs->shm_exclusive[i] = true;
        f->exclusive |= bit;
    } else if ((f->shared & bit) == 0) {
        vfs->shm_shared[i]++;
        f->shared |= bit;
    }
}

static int shm_lock(sqlite3_file *file, int first, int n, int flags)
{
    struct vfs_file *f = of(file);
    struct vfs *vfs = f->vfs;
    bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0, free_for_us = true;
    pthread_mutex_lock(&vfs->lock);
    for (int i = first; i < first + n; i++) {
        if ((flags & SQLITE_SHM_UNLOCK) != 0)
            shm_release(vfs, f, i);
        else
            free_for_us = free_for_us && shm_is_free(vfs, f, i, exclusive);
    }
    for (int i = first; (flags & SQLITE_SHM_LOCK) != 0 && free_for_us && i < first + n; i++)
        shm_take(vfs, f, i, exclusive);
    pthread_mutex_unlock(&vfs->lock);
    return free_for_us ? SQLITE_OK : SQLITE_BUSY;
}

static void shm_barrier(sqlite3_file *file)
{
    struct vfs_file *f = of(file);
    pthread_mutex_lock(&f->vfs->lock);
    pthread_mutex_unlock(&f->vfs->lock);
}

static void drop_regions(struct vfs *vfs)
{
    for (int i = 0; i < vfs->n_regions; i++)
        free(vfs->regions[i]);
    free(vfs->regions);
    vfs->regions = NULL;
    vfs->n_regions = 0;
}

static int shm_unmap(sqlite3_file *file, int remove)
{
    struct vfs_file *f = of(file);
    struct vfs *vfs = f->vfs;
    (void)remove;
    pthread_mutex_lock(&vfs->lock);
    for (int i = 0; i < SQLITE_SHM_NLOCK; i++)
        shm_release(vfs, f, i);
    if (f->maps && --vfs->opened == 0)
        drop_regions(vfs);
    f->maps = false;
    pthread_mutex_unlock(&vfs->lock);
    return SQLITE_OK;
}

/* ---- The file system ---- */

static int vfs_open(sqlite3_vfs *base, const char *path, sqlite3_file *file, int flags, int *flags_out)
{
    static const sqlite3_io_methods methods = {
        2,           file_close,    file_read,    file_write,  file_truncate,   file_sync, file_size, file_lock,
        file_unlock, file_reserved, file_control, sector_size, characteristics, shm_map,   shm_lock,  shm_barrier,
        shm_unmap,   NULL,          NULL,
    };
    struct vfs_file *f = of(file);
    struct vfs *vfs = (struct vfs *)(void *)base;
    if (flags_out != NULL)
        *flags_out = flags;
    if (path == NULL) {
        mailsrv__durable_scratch_open(file);
        return SQLITE_OK;
    }
    memset(f, 0, sizeof *f);
    f->vfs = vfs;
    uint32_t how = (flags & SQLITE_OPEN_READONLY) != 0 ? 0 : MAILSRV_DURABLE_WRITE;
    if ((flags & SQLITE_OPEN_CREATE) != 0)
        how |= MAILSRV_DURABLE_CREATE;
    if (files_of(f)->open(files_of(f)->user, path, how, &f->file) != MAILSRV_OK)
        return SQLITE_CANTOPEN;
    f->base.pMethods = &methods;
    if ((flags & SQLITE_OPEN_WAL) != 0)
        f->gathered = (struct gathered){ .write = write_now, .file = f };
    return SQLITE_OK;
}

/* The only file that SQLite takes away here is the journal of the moment when the database, still empty, becomes one
 * with a write-ahead log; the log's own opening syncs the directory after that, before anything is promised. */
static int vfs_delete(sqlite3_vfs *base, const char *path, int sync)
{
    struct vfs *vfs = (struct vfs *)(void *)base;
    (void)sync;
    int32_t status = vfs->d->files.unlink(vfs->d->files.user, path);
    return status == MAILSRV_NONEXISTENT ? SQLITE_IOERR_DELETE_NOENT : code(status, SQLITE_IOERR_DELETE);
}

static int vfs_access(sqlite3_vfs *base, const char *path, int flags, int *out)
{
    struct vfs *vfs = (struct vfs *)(void *)base;
    const mailsrv_durable_files *files = &vfs->d->files;
    void *file;
    uint64_t octets = 0;
    (void)flags;
    int32_t status = files->open(files->user, path, 0, &file);
    *out = status == MAILSRV_OK;
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? SQLITE_OK : SQLITE_IOERR_ACCESS;
    status = files->length(files->user, file, &octets);
    files->close(files->user, file);
    *out = octets != 0; /* an empty journal is none */
    return code(status, SQLITE_IOERR_ACCESS);
}

static int vfs_path(sqlite3_vfs *base, const char *path, int n, char *out)
{
    size_t octets = strlen(path) + 1;
    (void)base;
    if (octets > (size_t)n)
        return SQLITE_CANTOPEN;
    memcpy(out, path, octets);
    return SQLITE_OK;
}

int32_t mailsrv__durable_vfs_open(struct vfs *vfs, struct durable *d)
{
    sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    if (system == NULL)
        return MAILSRV_TEMP;
    vfs->d = d;
    vfs->base = *system; /* time and random numbers */
    vfs->base.iVersion = 2;
    int octets = mailsrv__durable_scratch_octets();
    vfs->base.szOsFile = octets > (int)sizeof(struct vfs_file) ? octets : (int)sizeof(struct vfs_file);
    vfs->base.mxPathname = PATH_MAX_OCTETS;
    vfs->base.pNext = NULL;
    snprintf(vfs->name, sizeof vfs->name, "mailsrv-%p", (void *)vfs);
    vfs->base.zName = vfs->name;
    vfs->base.xOpen = vfs_open;
    vfs->base.xDelete = vfs_delete;
    vfs->base.xAccess = vfs_access;
    vfs->base.xFullPathname = vfs_path;
    pthread_mutex_init(&vfs->lock, NULL);
    return sqlite3_vfs_register(&vfs->base, 0) == SQLITE_OK ? MAILSRV_OK : MAILSRV_NOMEM;
}

void mailsrv__durable_vfs_close(struct vfs *vfs)
{
    if (vfs->d == NULL)
        return;
    sqlite3_vfs_unregister(&vfs->base);
    drop_regions(vfs);
    pthread_mutex_destroy(&vfs->lock);
}
