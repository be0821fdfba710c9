/* Inside the durable store: the files of SQLite. */
#ifndef STORES_DURABLE_VFS_H
#define STORES_DURABLE_VFS_H

#include <mailsrv/store.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A read failed since what was to be written before it found no room.  SQLite undoes the whole transaction after any
 * SQLITE_IOERR of a read, but after SQLITE_FULL perhaps only the statement, and frames of earlier ones are lost. */
#define IOERR_FULL (SQLITE_IOERR | 255 << 8)

struct durable;

/* ---- vfs.c: the files of SQLite ---- */
struct vfs {
    sqlite3_vfs base;
    struct durable *d;
    char name[40];
    pthread_mutex_t lock; /* of all below: what the connections have in common */
    uint32_t opened;      /* connections */
    uint32_t n_shared;
    bool reserved, exclusive;
    void **regions;
    int n_regions;
    uint32_t shm_shared[SQLITE_SHM_NLOCK];
    bool shm_exclusive[SQLITE_SHM_NLOCK];
};

int32_t mailsrv__durable_vfs_open(struct vfs *vfs, struct durable *d);
void mailsrv__durable_vfs_close(struct vfs *vfs);

/* ---- gather.c: writes to SQLite's log, many at once ---- */
struct gathered {
    int (*write)(void *file, const void *p, size_t n, uint64_t offset); /* NULL: nothing is gathered */
    void *file;
    uint8_t *p; /* the last octets before the end, which are not written yet; NULL: there never were any */
    size_t n;
    uint64_t end; /* of what was appended */
    bool is_last; /* the frame whose head came last ends a transaction */
};

int mailsrv__durable_gather(struct gathered *g, const void *p, size_t n, uint64_t offset); /* a code of SQLite */
int mailsrv__durable_gathered_write(struct gathered *g); /* all that there is; whoever reads must see it */

/* ---- scratch.c: files of SQLite without a name ---- */
int mailsrv__durable_scratch_octets(void); /* of one, as SQLite has room for */
void mailsrv__durable_scratch_open(sqlite3_file *file);

#endif
