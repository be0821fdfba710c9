/* mailsrv/stores/durable.h - the store that keeps its word: a log, one sync, and an index that follows.
 *
 * A directory holds segments of a log, into which every change is written before it is answered, and an index (SQLite)
 * that is made from the log and can be made from it again.  What was answered MAILSRV_OK survives the death of the
 * process and the loss of power; docs/store-format.md describes the files and what they promise.
 *
 * It answers the kinds of the tiers Receive, POP3 and IMAP and those of the queue, but for RESOLVE and AUTH_VERIFY: who
 * has which address and password is the host's affair, who binds his own handlers for both.  An account has every right
 * to its mailboxes, and begins with its INBOX.
 *
 * The store has four threads of its own: one writes, in the order in which changes were asked, and all that waits is
 * synced at once; one syncs messages of more than 144 KiB, which have files of their own, before their COMMIT gets in
 * that order; one reads; one moves what the index gathered to its place.  Answers come back to each engine by letters,
 * and so does word of what the other engines have changed in mailboxes that it has open (mailsrv_notify in store.h).  A
 * READ that goes on by its handle, and most that follow one of the message before, are answered at once where the
 * system has their octets in memory.
 *
 * A store may have several shards: each is a directory with a log, an index and four threads, and has the accounts of
 * its own.  Then writes of one account do not wait for those of all others, and disks or cores share the work; but a
 * message to accounts in two shards is stored twice, a COMMIT to both is all or nothing only in each, and its writer
 * syncs a large one.  The queue is in the first.
 *
 * A message of up to 144 KiB is checked while it is read from its beginning to its end, in that order, by one handle:
 * with octets that are not those that were stored the last READ is answered MAILSRV_CORRUPT.
 *
 * Threads: any, for the store; what concerns an engine is called on its thread.  Memory is malloc's.
 */
#ifndef MAILSRV_STORES_DURABLE_H
#define MAILSRV_STORES_DURABLE_H

#include <mailsrv/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The files of a store, as functions: for a simulated disk, or another way to reach a real one.
 *
 * Paths are NUL-ended.  They are called from the store's threads and from those that call the store, several at a time;
 * one file is written by one thread at a time.  What they return is MAILSRV_OK, MAILSRV_FULL: the disk is full,
 * MAILSRV_NONEXISTENT: no such file, or MAILSRV_TEMP: anything else. ---- */

/* Flags of `open`. */
#define MAILSRV_DURABLE_WRITE 1u  /* to be written as well as read */
#define MAILSRV_DURABLE_CREATE 2u /* made where it is not there */
#define MAILSRV_DURABLE_EMPTY 4u  /* emptied where it is there */

/* The functions.  What `user` points to, and they themselves, live as long as the store. */
typedef struct mailsrv_durable_files {
    uint32_t size;
    uint32_t reserved;
    void *user; /* the first argument of each */
    int32_t (*open)(void *user, const char *path, uint32_t flags, void **out);
    void (*close)(void *user, void *file);
    /* Fills `p` as far as the file reaches, and says in `*got` how far that was. */
    int32_t (*read)(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got);
    int32_t (*write)(void *user, void *file, const void *p, size_t n, uint64_t offset); /* all of it, or a failure */
    int32_t (*truncate)(void *user, void *file, uint64_t octets);
    int32_t (*length)(void *user, void *file, uint64_t *out);
    int32_t (*sync)(void *user, void *file); /* its octets and its length survive from now on */
    int32_t (*unlink)(void *user, const char *path);
    int32_t (*make_directory)(void *user, const char *path); /* MAILSRV_OK also where it is there */
    int32_t (*sync_directory)(void *user, const char *path); /* its names survive from now on */
    int32_t (*list)(void *user, const char *path, void (*each)(void *context, const char *name), void *context);
    /* Takes the lock that keeps other processes out, and goes with this one; MAILSRV_INUSE. */
    int32_t (*lock)(void *user, const char *path, void **out);
    void (*unlock)(void *user, void *lock);
    /* As `read`, on an engine's thread: MAILSRV_MORE where that would wait for a disk, or fails; then `read` is called,
     * on a thread of the store.  NULL, or not there by `size`: it always is.  Who changes `read` changes it too. */
    int32_t (*read_now)(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got);
    /* Another name for a file, in another directory; it is there until the last of its names goes, and what was synced
     * under one is so under all.  Whatever it returns but MAILSRV_OK: the octets are copied.  NULL, or not there by
     * `size`: they always are. */
    int32_t (*link)(void *user, const char *path, const char *other);
} mailsrv_durable_files;

/* The table over the system's own files, for who changes some of it.  Filled in as far as out->size reaches.
 * MAILSRV_OK or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_durable_system_files(mailsrv_durable_files *out);

/* What a store is opened with; copied. */
typedef struct mailsrv_durable_setup {
    uint32_t size;
    uint32_t checkpoint_pages;          /* of the index, before what was gathered is moved to its place; 0: 4,000 */
    const char *directory;              /* NUL-ended; it is there */
    const mailsrv_durable_files *files; /* copied; NULL: the system's */
    uint64_t segment_octets;  /* a segment of the log ends when it has more; 0: 64 MiB; at least 4,096 */
    uint64_t memory_octets;   /* of staged bodies; what has no room is kept in a file; 0: 64 MiB */
    uint64_t body_octets_max; /* a body of more is MAILSRV_TOOBIG; 0: there is no such number */
    uint64_t reserve_octets;  /* of a file that gives way when the disk is full, so that EXPUNGE and the queue go on;
                               * 0: 8 MiB */
    uint32_t history_max;     /* runs of UIDs that vanished, remembered of each mailbox; 0: 10,000 */
    uint32_t shards;          /* so many directories, each with a log, an index and threads, 64 at most; what stands
                               * above is of each.  Where there is no store yet: 0 is 1.  Else 0, or as many as it was
                               * made with */
    uint64_t index_octets;    /* of the index, kept in memory to write; to read, a quarter as much.  More spares reads of its
                               * file where mail goes to very many mailboxes; 0: as memory_octets */
} mailsrv_durable_setup;

/* Opens the store of a directory, or makes one where the directory is empty: mends the end of the log, and brings the
 * index up to it.  MAILSRV_OK; MAILSRV_NOMEM; MAILSRV_INUSE: another process, or store, has it; MAILSRV_CORRUPT: what
 * was promised is not there, or was never made to its end (a copy), or the index is broken (without index.db and
 * index.db-wal it is made anew); MAILSRV_FULL; MAILSRV_NONEXISTENT: no such directory; MAILSRV_CANNOT: of a format that
 * this version does not know, or of another number of shards; MAILSRV_TEMP; or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_durable_open(const mailsrv_durable_setup *setup, mailsrv_store **out);

/* Looks whether all that a store keeps is as it must be, without changing anything: the CRC of each frame of the log, that
 * each row has its body and each body its octets, that counts agree and numbers were given, and that there is no file
 * that nobody names.  What is not so is told to `report` in a line of text, NUL-ended, of the call's own memory.  The
 * store must not be open.  Of `setup` the directory and the files count.  Waits, long: everything is read.
 *
 * MAILSRV_OK: nothing was reported, or there is no store yet; MAILSRV_CORRUPT: something was; MAILSRV_INUSE;
 * MAILSRV_NOMEM; MAILSRV_CANNOT; MAILSRV_TEMP: not all could be read; or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_durable_check(const mailsrv_durable_setup *setup,
                                          void (*report)(void *user, const char *text), void *user);

/* Makes a copy of a store that is open, and goes on being used, in a directory of its own: a store that opens by
 * itself, with everything that was answered before the call.  What comes later may be there, each change whole or not
 * at all.  Files that are never written to again get another name there (`link` of mailsrv_durable_files), and are
 * copied where that cannot be; so the copy is best made on the same file system, and carried away from there.
 *
 * The last component of `directory`, NUL-ended, is made where it is not there; else it must be empty.  The store's own
 * table of files reaches it.  While it is made nothing is removed from the disk, of the store either; changes and reads
 * go on.  What it needs of memory does not grow with the store but for 24 octets for each segment of the log, and 8 for
 * each large body that is to be removed afterwards.
 *
 * `progress`, unless NULL, is called by the caller's thread with the octets that are done and all there are, at first
 * with 0, at last with both the same.  Whatever it returns but MAILSRV_OK ends the copying, and is what the call
 * returns.  It may call the store.
 *
 * A copy is told from its original by a file `copied` (of several shards one in each): the first mailsrv_durable_open
 * of it gives every mailbox a new UIDVALIDITY, because the original may have given UIDs and modseqs since that would
 * come again (RFC 9051 section 2.3.1.1), and removes the file.  Messages keep their UIDs, and what POP3 knows them by.
 * Where the original is never served again (the store moves to another machine, say), remove the file before: then
 * clients notice nothing.  A copy that was made otherwise, by a snapshot of the file system, say, is one as soon as an
 * empty file of that name is in it.  Items of the queue that the original has sent since are sent again.
 *
 * Waits, long; on any thread but one that an engine needs to go on.  The store must not be freed meanwhile.
 * MAILSRV_OK: the copy is whole, and durable; MAILSRV_ALREADYEXISTS: there is something in the directory;
 * MAILSRV_INUSE: another copy is made there, or it is an open store's; MAILSRV_NONEXISTENT: what it is to be made in
 * is not there; MAILSRV_FULL; MAILSRV_NOMEM; MAILSRV_CORRUPT: the store is damaged; MAILSRV_TEMP; what `progress`
 * returned; or MAILSRV_E_USAGE.  After a failure what was made is removed, but for the directory, its `bodies` and
 * `lock`; what cannot be, and what a process that dies leaves, has a file `unfinished`, and is MAILSRV_CORRUPT to
 * mailsrv_durable_open. */
MAILSRV_API int32_t mailsrv_durable_copy(mailsrv_store *store, const char *directory,
                                         int32_t (*progress)(void *user, uint64_t octets, uint64_t octets_all),
                                         void *user);

/* As mailsrv_store_bind, and `wake` is called when the host is to call mailsrv_engine_advance soon
 * (mailsrv_port_open in engine.h), on a thread of the store; what its `user` points to lives as long as the store.
 * MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE.
 *
 * When the engine is freed with MAILSRV_ABANDON, what has not begun never does, and mailsrv_engine_free waits for what
 * has.  Handles that were given to the engine are closed, locks included. */
MAILSRV_API int32_t mailsrv_durable_bind(mailsrv_store *store, mailsrv_engine *engine, void (*wake)(void *user),
                                         void *user);

/* Adds an account with an empty INBOX, durably; `name` is whatever the host will find it by, 1 to 255 octets.  Waits.
 * MAILSRV_OK; MAILSRV_ALREADYEXISTS; or as the answer to a COMMIT: with MAILSRV_TEMP it may be there all the same. */
MAILSRV_API int32_t mailsrv_durable_add_account(mailsrv_store *store, const char *name, size_t n, mailsrv_id *out);

/* The account of that name.  Waits.  MAILSRV_OK, MAILSRV_NONEXISTENT, MAILSRV_NOMEM or MAILSRV_TEMP. */
MAILSRV_API int32_t mailsrv_durable_find_account(mailsrv_store *store, const char *name, size_t n, mailsrv_id *out);

/* An account may hold so many octets from now on, durably; at first 2^63.  Waits.  MAILSRV_OK; MAILSRV_NONEXISTENT; or
 * as the answer to a COMMIT: with MAILSRV_TEMP it may hold all the same. */
MAILSRV_API int32_t mailsrv_durable_set_quota(mailsrv_store *store, const mailsrv_id *account, uint64_t octets);

/* The shard of an account: for `shard` in the answer to RESOLVE (op.h), since a COMMIT with `atomic` over several
 * shards is refused with MAILSRV_CANNOT.  It never changes.  One that is no account's is in some shard, too.  Any
 * thread. */
MAILSRV_API uint32_t mailsrv_durable_shard(mailsrv_store *store, const mailsrv_id *account);

/* Keys of mailsrv_durable_stat. */
#define MAILSRV_DURABLE_STAT_HANDLES 1 /* given and not yet closed */
#define MAILSRV_DURABLE_STAT_GROUPS 2  /* synced since the store was opened */
#define MAILSRV_DURABLE_STAT_CHANGES 3 /* in those groups */
#define MAILSRV_DURABLE_STAT_STAGED 4  /* octets of bodies that wait in memory */
#define MAILSRV_DURABLE_STAT_HELD 5    /* changes that are durable and wait for the index, which cannot take them now */
#define MAILSRV_DURABLE_STAT_SEGMENTS 6 /* of the log, with those that are about to go */
#define MAILSRV_DURABLE_STAT_BUSY 7    /* 1: the store goes on by itself, to give room back or move the index */
#define MAILSRV_DURABLE_STAT_READ_NOW 8 /* READs that were answered at once: the system had their octets */
#define MAILSRV_DURABLE_STAT_SYNCS 9         /* of the log and of bodies in files, since the store was opened */
#define MAILSRV_DURABLE_STAT_SYNC_US 10      /* microseconds of all of them together */
#define MAILSRV_DURABLE_STAT_SYNC_MOST_US 11 /* of the longest */
#define MAILSRV_DURABLE_STAT_LOG_OCTETS 12   /* appended to the log since then */
#define MAILSRV_DURABLE_STAT_WRITES_WAITING 13 /* for the next group */
#define MAILSRV_DURABLE_STAT_READS_WAITING 14
#define MAILSRV_DURABLE_STAT_CHECKPOINTS 15 /* of the index, since the store was opened */
#define MAILSRV_DURABLE_STAT_COMPACTIONS 16 /* segments of the log that were copied and went, since then */
/* Over all shards: the sum, or the longest.  Any thread; an unknown key is 0. */
MAILSRV_API uint64_t mailsrv_durable_stat(mailsrv_store *store, int32_t key);

/* Histograms of mailsrv_durable_bucket. */
#define MAILSRV_DURABLE_GROUP_SIZES 1 /* of groups, by how many changes were in them; 0: the store's own were alone */
#define MAILSRV_DURABLE_SYNC_TIMES 2  /* of syncs, by their microseconds */
/* How many of them are in a bucket (mailsrv_bucket_limit in stats.h), since the store was opened, over all shards.  Any
 * thread; an unknown histogram or bucket is 0. */
MAILSRV_API uint64_t mailsrv_durable_bucket(mailsrv_store *store, int32_t histogram, uint32_t bucket);

#ifdef __cplusplus
}
#endif

#endif
