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
};

struct disk;

/* What goes wrong, counted in calls that change something; 0: nothing. */
struct plan {
    uint64_t dies_at;     /* the power goes in the n-th call: from then on all fail */
    uint64_t write_fails; /* the n-th write fails, half done */
    uint64_t sync_fails;  /* the n-th sync fails: what it was to cover may be lost for ever */
    uint64_t octets_max;  /* the disk is full with so many */
};

struct disk *disk_new(uint64_t seed);
void disk_free(struct disk *disk);
mailsrv_durable_files disk_files(struct disk *disk);
void disk_plan(struct disk *disk, const struct plan *plan);
/* From now on that sync does nothing and says that it did. */
void disk_leave_out(struct disk *disk, enum sync sync);
void disk_opening(struct disk *disk, bool opening); /* a store is being opened */
bool disk_is_dead(struct disk *disk);
bool disk_has_failed(struct disk *disk); /* a write or sync has, since the plan was made */
/* The machine comes back after a loss of power. */
void disk_cut(struct disk *disk);
/* Only the process died: all that it wrote is to be seen. */
void disk_revive(struct disk *disk);
uint64_t disk_segments_gone(struct disk *disk); /* files of the log that were removed */
uint64_t disk_syncs(struct disk *disk, enum sync sync);
uint64_t disk_random(struct disk *disk); /* the next number from the seed */

#endif
