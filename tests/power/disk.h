/* A disk in memory that loses what no sync covers.
 *
 * Every file has what a process sees and what has been synced; every directory has its names in both ways.  When the
 * power goes, of the writes and truncations since a file's last sync any subset has reached the disk, each write in
 * sectors of which any may be missing and the last one torn; and of the makings and unlinkings since a directory's last
 * sync any subset.  All that is random comes from a seed.
 */
#ifndef TESTS_POWER_DISK_H
#define TESTS_POWER_DISK_H

#include <mailsrv/stores/durable.h>

#include <stdbool.h>

/* The syncs of the store, each of which can be left out. */
enum sync {
    SYNC_LOG,          /* a group */
    SYNC_LOG_OPENED,   /* the end of the log as it was found */
    SYNC_NAMES,        /* a new segment's name */
    SYNC_NAMES_OPENED, /* the names as they were found, and the index's */
    SYNC_BODY,         /* a large body */
    SYNC_BODY_NAME,    /* its name */
    SYNC_INDEX,        /* the index, by SQLite */
    SYNC_INDEX_LOG,    /* the index's own log, by SQLite */
    SYNC_COUNT,
    /* Those of a copy that is made in /vault/copy. */
    SYNC_COPY_BEGUN = SYNC_COUNT, /* the name that says that it is none yet */
    SYNC_COPY_ABOVE,              /* the directory's own name */
    SYNC_COPY_LOG,                /* a segment that was copied */
    SYNC_COPY_BODY,               /* a large body that was */
    SYNC_COPY_INDEX,              /* the index */
    SYNC_COPY_BODY_NAMES,         /* names of large bodies */
    SYNC_COPY_NAMES,              /* all other names */
    SYNC_COPY_ENDED,              /* that the first name is gone */
    SYNC_COPY_RENEWED,            /* when it is opened first: the segment that begins */
    SYNC_COPY_OPENED,             /* that it is a store like others */
    SYNC_ALL,
};

struct disk;

/* What goes wrong, counted in calls that change something; 0: nothing. */
struct plan {
    uint64_t dies_at;     /* the power goes in the n-th call: from then on all fail */
    uint64_t write_fails; /* the n-th write fails, half done */
    uint64_t sync_fails;  /* the n-th sync fails: what it was to cover may be lost for ever */
    uint64_t octets_max;  /* the disk is full with so many */
    uint32_t dies_in;     /* the power goes in the first sync of that kind, a number of `enum sync` and one more */
    uint64_t read_fails;  /* the n-th read fails */
};

struct disk *disk_new(uint64_t seed);
void disk_free(struct disk *disk);
mailsrv_durable_files disk_files(struct disk *disk);
void disk_has_links(struct disk *disk, bool has_links); /* at first it has */
bool disk_has_name(struct disk *disk, const char *path);
void disk_plan(struct disk *disk, const struct plan *plan);
/* From now on that sync does nothing and says that it did. */
void disk_leave_out(struct disk *disk, enum sync sync);
void disk_opening(struct disk *disk, bool opening); /* a store is being opened */
bool disk_is_dead(struct disk *disk);
bool disk_has_failed(struct disk *disk); /* a write, sync or read has, since the plan was made */
bool disk_has_failed_to_read(struct disk *disk);
/* The machine comes back after a loss of power. */
void disk_cut(struct disk *disk);
/* Only the process died: all that it wrote is to be seen. */
void disk_revive(struct disk *disk);
uint64_t disk_segments_gone(struct disk *disk); /* files of the log that were removed */
uint64_t disk_syncs(struct disk *disk, enum sync sync);
uint64_t disk_random(struct disk *disk); /* the next number from the seed */

#endif
