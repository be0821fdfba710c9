/* Inside the durable store.
 *
 *   asked (engine's thread) -> writes or reads (a queue) -> running (a thread) -> posted -> delivered (engine's thread)
 *
 * A COMMIT of a body that has a file gets into writes by way of syncs, another queue and thread.
 *
 * The writer takes what waits as one group.  Each change of it is planned against the index inside a transaction,
 * becomes a record, and that record is applied there at once; then the log is written and synced, the transaction is
 * committed, and only then can anybody see it or be told; who waits for no more than new messages is told before
 * (unseen.c).  After a crash the records that the index has not seen are applied by the same function.
 */
#ifndef STORES_DURABLE_DURABLE_H
#define STORES_DURABLE_DURABLE_H

#include "read.h"
#include "vfs.h"

#include <mailsrv/stats.h>

enum { THREADS = 4 };

/* Since the store was opened. */
struct figures {
    uint64_t groups, changes;
    uint64_t syncs, sync_us, sync_most_us;
    uint64_t octets; /* appended to the log */
    uint64_t compactions;
    uint64_t in_group[MAILSRV_BUCKETS]; /* by the number of changes */
    uint64_t in_sync[MAILSRV_BUCKETS];  /* by microseconds */
};

/* Who writes at the same time as others, and is waited for. */
struct joining {
    uint64_t sync_us;     /* that the sync of a group takes: a mean, in which older ones fade */
    uint64_t answered_us; /* when the last group was */
    size_t expected;      /* so many in the next one */
    uint32_t misses;      /* how often it was of no use, one after the other */
    uint32_t rests;       /* groups that nobody waits for */
};

/* Groups that were answered, and that nobody sees before their transaction has ended. */
struct unseen {
    struct changed_accounts accounts; /* of these the index shows less than there is, or may do so in a moment */
    struct changed_accounts mailboxes; /* by their ids */
    uint64_t rows;   /* that were answered; 0: none were */
    uint64_t octets; /* that the transaction takes on the disk at most */
    uint32_t eager;  /* so many groups are to be seen at once */
    bool is_wanted;  /* a reader waits for the end */
    bool is_lost;    /* the index cannot take them now */
};

struct durable {
    mailsrv_store store;
    struct family *family; /* NULL: there is one shard */
    uint32_t shard;
    char directory[PATH_MAX_OCTETS - 64];
    mailsrv_durable_files files;
    uint64_t segment_octets, memory_octets, index_octets, body_octets_max, reserve_octets;
    uint32_t checkpoint_pages;
    void *process_lock;
    struct vfs vfs;
    struct index writer, reader, mover; /* each of its thread; the reader's also of who has `is_reading` set */
    struct log log;

    /* The writer's. */
    struct group group;   /* frames of the group that is made */
    struct buffer record; /* of the change that is planned */
    size_t applied;       /* octets of it that the index has */
    uint64_t records;     /* octets of those of the group */
    struct loose loose;
    struct task *unfinished; /* in parts, or waiting for one that is; in the order of asking */
    bool failed; /* the index did, in this group */
    bool begun;  /* the change that is planned has frames in the group */
    bool is_too_bold; /* a change is to be undone that the index cannot undo alone */
    bool undo;   /* the change that is planned is not to be kept, though it has an answer */
    bool behind; /* the log has what the index could not take */
    bool has_reserve;
    bool looks;          /* there may be a segment to compact */
    bool is_spoiled;     /* a segment that was begun cannot be read: no other is compacted before it */
    bool rests;          /* what was planned without being asked has failed: not at once again */
    uint32_t skipped, unlooked; /* groups after which none was looked for */
    uint64_t compacting; /* a segment; 0: none */
    int64_t copied_box, copied_name; /* of the segment that is compacted, those up to here are copied */
    mailsrv_id copied_account;
    uint64_t retires;    /* the segment that the group which is planned retires; 0: none */
    uint64_t told;       /* the index knows how long the segments below are */
    bool has_dead; /* mailboxes that were deleted, and still have messages */
    int pages;   /* in the log of the index */
    uint64_t moved, moved_size; /* so many of them, and of the index in all, when a checkpoint was asked for last */

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t calm;  /* a task was posted, or a call is done */
    struct queue writes, reads, syncs;
    bool is_reading; /* somebody is at the reader's index */
    struct joining joining;
    struct unseen unseen;
    struct task *held; /* whose changes are durable and not yet visible */
    struct binding *bindings;
    struct handle *handles[BUCKETS], *boxes[BUCKETS];
    struct recent *recents[BUCKETS];
    struct known known;
    uint64_t last_handle, last_staged, n_handles;
    uint64_t staged_octets, segments, read_now;
    struct figures figures;
    uint64_t removals;          /* how often something was removed or moved */
    struct segment_file *kept; /* NULL: none is */
    uint64_t segments_gone;    /* how often one was not to be kept any more */
    bool is_busy; /* the writer goes on tidying */
    uint32_t copies;        /* that are being made: nothing is removed */
    struct loose postponed; /* files that go after that */
    uint64_t indexed;     /* the last group that the index has */
    uint64_t home;        /* the last group that it would have after a loss of power */
    uint64_t wanted_home; /* what somebody waits to be home */
    uint64_t moves;       /* checkpoints that have ended */
    bool wants_move, is_moving;
    pthread_cond_t move;
    bool ending;
    pthread_t threads[THREADS];
    int n_threads;
};

/* ---- reserve.c ---- */
/* False: the disk is full. */
bool mailsrv__durable_reserve_make(struct durable *d);
/* Gives its room back; false: there is none. */
bool mailsrv__durable_reserve_use(struct durable *d);

/* ---- group.c ---- */
/* Makes a group of the tasks, and answers them. */
void mailsrv__durable_group(struct durable *d, struct task *first);
/* Brings the index up to the end of the log. */
int32_t mailsrv__durable_catch_up(struct durable *d);
/* Removes some of what deleted mailboxes held, in a transaction of its own. */
void mailsrv__durable_sweep(struct durable *d);

/* The transaction that is still open ends: all that was answered can be seen.  False: the index cannot take it now. */
bool mailsrv__durable_settle(struct durable *d);

/* ---- unseen.c ---- */
/* By the writer: may these, all COMMITs, be answered before the index shows them?  `records`: octets of theirs. */
bool mailsrv__durable_unseen_may_add(struct durable *d, const struct task *first, uint64_t records);
/* Before a group is answered, or its transaction ends: what is known of the accounts that it changes is no more so. */
void mailsrv__durable_unseen_changes(struct durable *d, const struct changed_accounts *changed);
void mailsrv__durable_unseen_ends(struct durable *d);  /* the index shows all */
void mailsrv__durable_unseen_fails(struct durable *d); /* what was answered is in the log alone */
bool mailsrv__durable_unseen_is_wanted(struct durable *d);
/* By the reader, before it looks at the index for a task: until that shows all that was answered.  MAILSRV_TEMP: it
 * cannot, now. */
int32_t mailsrv__durable_unseen_wait(struct durable *d, const struct task *t);

/* ---- checkpoint.c ---- */
/* The index has all up to the last group. */
void mailsrv__durable_indexed(struct durable *d);
/* Asks for a checkpoint; `wait`: until one that begins from now on has ended. */
void mailsrv__durable_move(struct durable *d, bool wait);
bool mailsrv__durable_is_moving(struct durable *d);
/* A store that was served is closed, its threads and other connections are gone. */
void mailsrv__durable_move_at_end(struct durable *d);
void *mailsrv__durable_move_for_ever(void *d); /* the thread */

/* ---- compact.c ---- */
/* Plans to copy some of what is live of a segment that is mostly dead; at last that nothing in it is needed. */
int32_t mailsrv__durable_compact(struct durable *d);
/* By plans whose record speaks of many rows by what they were called before (SQL_SEGMENT_BULK), first of all. */
int32_t mailsrv__durable_compact_before_bulk(struct durable *d);
/* What was planned came to nothing. */
void mailsrv__durable_compact_again(struct durable *d);
/* The group that was planned is in the index. */
void mailsrv__durable_compacted(struct durable *d);
/* Removes the segments whose time has come. */
void mailsrv__durable_remove_retired(struct durable *d);
/* With the lock: is there something to do without being asked? */
bool mailsrv__durable_tidies(const struct durable *d);

/* ---- joining.c ---- */
void mailsrv__durable_joining_synced(struct joining *j, uint64_t us);
/* A group of so many changes is about to be answered, and others wait. */
void mailsrv__durable_joining_answered(struct joining *j, uint64_t changes, size_t waiting, uint64_t now_us);
/* Until when the next group waits for those that are expected; 0: it does not. */
uint64_t mailsrv__durable_joining_until(struct joining *j, size_t waiting);
/* It has waited: was it worth it? */
void mailsrv__durable_joining_judge(struct joining *j, size_t before, size_t after, uint64_t waited_us);
/* Microseconds that what nobody waits for gives others to come. */
uint64_t mailsrv__durable_joining_patience(const struct joining *j);
/* With the lock, by the writer, who has something to write: waits for more. */
void mailsrv__durable_join(struct durable *d);

/* ---- figures.c ---- */
uint64_t mailsrv__durable_now_us(void); /* of a clock that is never set */
/* Syncs a file of the log or of a body, and counts it; `appended`: octets that are in the log by that. */
int32_t mailsrv__durable_sync(struct durable *d, void *file, uint64_t appended);
/* With the lock. */
void mailsrv__durable_count_group(struct durable *d, uint64_t changes);

/* ---- check.c ---- */
int32_t mailsrv__durable_check(struct durable *d, void (*report)(void *user, const char *text), void *user);

/* ---- backup.c: a copy of a store that is open ---- */
#define DURABLE_UNFINISHED "unfinished" /* a file that a directory has while it is no whole copy */
#define DURABLE_COPIED "copied"         /* one that it has until it is opened first */
int32_t mailsrv__durable_backup(struct durable *d, const char *directory,
                                int32_t (*progress)(void *user, uint64_t octets, uint64_t octets_all), void *user);
/* By the writer: what there is between two groups, for t->progress. */
int32_t mailsrv__durable_snapshot(struct durable *d, struct task *t);
/* The file of a body that nothing refers to any more goes, now or when no copy is made. */
void mailsrv__durable_drop_file(struct durable *d, uint64_t body);

/* ---- restored.c: the first opening of a copy ---- */
/* Is it one?  MAILSRV_CORRUPT: it is none that was made to its end. */
int32_t mailsrv__durable_is_copy(struct durable *d, bool *out);
/* By the writer: some accounts behind t->account get new UIDVALIDITYs; t->number: they were the last. */
int32_t mailsrv__durable_renew(struct durable *d, struct task *t);
/* For a store that is started and that nobody has yet: all do, and it is a store like others. */
int32_t mailsrv__durable_renew_all(struct durable *d);

/* ---- shards.c ---- */
#define DURABLE_SHARDS "shards" /* the file of a store with several that says so */
/* The bucket of an account by its id, which is that of its name. */
uint8_t mailsrv__durable_bucket(const void *p, size_t n);
struct durable *mailsrv__durable_shard_of(struct durable *d, const mailsrv_id *account);
struct durable *mailsrv__durable_shard_of_name(struct durable *d, mailsrv_bytes name);
uint32_t mailsrv__durable_shards(const struct durable *d); /* how many */
struct durable *mailsrv__durable_shard(struct durable *d, uint32_t i);
void mailsrv__durable_shard_name(uint32_t i, char out[4]); /* "/00" */
uint32_t mailsrv__durable_shard_number(const char *name); /* SHARDS_MAX: it is no shard's */
/* Which shards there are in a directory whose lock d has; where there are several, d->family.  `makes`: where there is
 * nothing, so many as are wanted; 0: one. */
int32_t mailsrv__durable_family_find(struct durable *d, uint32_t wanted, bool makes);
void mailsrv__durable_becomes_shard(struct durable *d, struct family *f, uint32_t i);
int32_t mailsrv__durable_table_write(const struct family *f, struct durable *d); /* into d->directory, durably */
void mailsrv__durable_family_end(struct family *f, void (*end_one)(struct durable *d));

/* ---- spread.c: operations of a store with several shards ---- */
/* The handler of a store; `user` is the binding of its first shard. */
void mailsrv__durable_spread(void *user, mailsrv_engine *engine, const mailsrv_op *op);
struct body *mailsrv__durable_part_body(const struct part *part, uint32_t i);
/* The handle that says where an operation belongs; 0: the first shard, which has all that is no account's. */
uint64_t mailsrv__durable_handle_of(const mailsrv_op *op);
/* By free_task. */
void mailsrv__durable_part_free(struct part *part);
/* By the writer: what another shard has staged in a file becomes a file of this one's, to be synced. */
int32_t mailsrv__durable_body_take_over(struct durable *d, struct body *body);

/* ---- notify.c ---- */
/* Marks what tasks have changed, and pokes the engines that others have changed something for. */
void mailsrv__durable_tell(struct durable *d, const struct task *first);
/* With the lock, which it gives back in between: whoever has just opened a mailbox is told that it was changed since it
 * was looked at. */
void mailsrv__durable_tell_opener(struct durable *d, struct handle *h);
void mailsrv__durable_poked(mailsrv_engine *engine, mailsrv_letter *letter); /* the letter's `deliver` */

/* ---- large.c ---- */
bool mailsrv__durable_has_large(struct durable *d, const struct task *t); /* is to be synced before it gets in line */
void *mailsrv__durable_sync_for_ever(void *d); /* the thread */

/* ---- serve.c ---- */
int32_t mailsrv__durable_bind(mailsrv_store *store, mailsrv_engine *engine);
int32_t mailsrv__durable_bind_with(struct durable *d, mailsrv_engine *engine, void (*wake)(void *user), void *user);
bool mailsrv__durable_start(struct durable *d);
void mailsrv__durable_stop(struct durable *d);
/* The handler of one shard. */
void mailsrv__durable_handle(void *binding, mailsrv_engine *engine, const mailsrv_op *op);
void mailsrv__durable_task_begins(struct task *t, struct binding *b, const mailsrv_op *op,
                                  void (*deliver)(mailsrv_engine *engine, mailsrv_letter *letter));
void mailsrv__durable_task_free(struct task *t);
void mailsrv__durable_wait_in_line(struct durable *d, struct task *t);
/* With the lock: at the end of a queue, and at most `max` from its beginning, which run from now on. */
void mailsrv__durable_append(struct queue *queue, struct task *t);
struct task *mailsrv__durable_take(struct queue *queue, size_t max);
/* Gives a task of a thread back to who asked. */
void mailsrv__durable_post(struct durable *d, struct task *t);
/* Asks as a call, and waits; the status. */
int32_t mailsrv__durable_call(struct durable *d, struct task *t);

#endif
