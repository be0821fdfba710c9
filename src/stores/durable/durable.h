/* Inside the durable store.
 *
 *   asked (engine's thread) -> writes or reads (a queue) -> running (a thread) -> posted -> delivered (engine's thread)
 *
 * The writer takes what waits as one group.  Each change of it is planned against the index inside a transaction,
 * becomes a record, and that record is applied there at once; then the log is written and synced, the transaction is
 * committed, and only then can anybody see it or be told.  After a crash the records that the index has not seen are
 * applied by the same function.
 */
#ifndef STORES_DURABLE_DURABLE_H
#define STORES_DURABLE_DURABLE_H

#include "stores/common/closes.h"

#include <mailsrv/stores/durable.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>

#define FORMAT 1
#define INLINE_MAX (256u * 1024) /* a body of more has a file of its own */
#define FRAME_MAX (16u << 20)    /* octets of a frame behind its head */
#define RECORD_MAX (1u << 20)    /* a record of more goes on in another frame */
#define CHANGE_MAX (256u << 20)  /* octets of a change in one group */
#define FRAME_HEAD 24
#define PATH_MAX_OCTETS 1024
#define PAGE_MAX 64     /* rows of an answer */
#define READ_MAX 65536u /* octets of an answer */
#define BUCKETS 256     /* of the table of handles */
#define SHARDS_MAX 64
#define BUCKETS_OF_ACCOUNTS 256

struct durable;

/* ---- bytes.c: numbers as they are in files, and memory that grows ---- */
struct buffer {
    uint8_t *p;
    size_t n, room;
    bool failed; /* there was no memory: what it holds is not whole */
};

void mailsrv__durable_put(struct buffer *to, const void *p, size_t n);
void mailsrv__durable_put_number(struct buffer *to, uint64_t value, int octets);
void mailsrv__durable_put_bytes(struct buffer *to, mailsrv_bytes bytes); /* a length, then the octets */
void mailsrv__durable_put_id(struct buffer *to, const mailsrv_id *id);
void mailsrv__durable_set_number(uint8_t *to, uint64_t value, int octets);

struct reader {
    const uint8_t *p;
    size_t n;
    bool bad; /* it ended too soon */
};

uint64_t mailsrv__durable_get_number(struct reader *from, int octets);
mailsrv_bytes mailsrv__durable_get_bytes(struct reader *from);
mailsrv_id mailsrv__durable_get_id(struct reader *from);

/* ---- crc.c ---- */
/* CRC-32C of what comes behind octets that had the CRC `before`; 0: behind nothing. */
uint32_t mailsrv__durable_crc(uint32_t before, const uint8_t *p, size_t n);

/* ---- log.c: segments and frames ---- */
enum frame_kind {
    FRAME_SEGMENT = 1,
    FRAME_BODY,
    FRAME_CHANGE,
    FRAME_BEGUN, /* entries of a change that goes on in a later frame of the group */
};

struct frame {
    enum frame_kind kind;
    uint64_t group;
    mailsrv_bytes octets; /* of the log's own memory, until the next one is read */
    uint64_t end;         /* where the next one begins */
};

struct place {
    uint64_t segment, offset;
};

/* A segment that has ended. */
struct sealed {
    uint64_t number;
    uint64_t begins, end; /* of its groups */
    uint64_t retired;     /* the group that says that nothing in it is needed any more; 0: none */
};

struct sealed_list {
    struct sealed *v; /* their numbers ascend */
    size_t n, room;
};

/* The last numbers that a store has given. */
struct given {
    uint64_t body, id, queue;
};

struct log {
    struct durable *d;
    void *file; /* of the segment that is written; NULL: a new one must begin first */
    struct place end;
    uint64_t begins;       /* of the groups of the segment that is written */
    struct place before;   /* the end of the segment before */
    bool first_is_durable; /* the first frame of the segment that is written */
    uint64_t group; /* the last number that was given */
    uint8_t tag[8]; /* of this store, in every id that it gives */
    struct sealed_list sealed;  /* those that the log is made of, but for the one that is written */
    struct sealed_list retired; /* those that wait to be removed */
    struct given given;         /* before the last segment that was found */
    bool only_looks;
    struct buffer piece;
};

/* Finds the end of the log, from a place up to which the index has it; makes it durable.  A store without a log is a
 * new one. */
int32_t mailsrv__durable_log_open(struct log *log, const struct place *known);
/* For who only looks: which segments the log is made of, the last one among them.  MAILSRV_CORRUPT: that has no good
 * first frame. */
int32_t mailsrv__durable_log_look(struct log *log);
uint64_t mailsrv__durable_segment_number(const char *name); /* 0: it is no segment's */
/* NULL: it is not of the log. */
struct sealed *mailsrv__durable_log_find(struct log *log, uint64_t number);
/* The log is no longer made of that segment: a group says so. */
void mailsrv__durable_log_retire(struct log *log, uint64_t number, uint64_t group);
/* Is every segment there that the log is made of?  Files that are no longer of it go. */
int32_t mailsrv__durable_log_settle(struct log *log);
/* The one entry of a record that says that a segment is retired; 0: it says something else. */
uint64_t mailsrv__durable_retires(mailsrv_bytes record);
/* Of a copy that is opened first: ids that it gives have a tag of their own from now on, durably. */
int32_t mailsrv__durable_log_renew(struct log *log);
/* Begins a segment, or goes on with the one that was just begun. */
int32_t mailsrv__durable_log_begin(struct log *log);
/* Writes a group at the end, and syncs.  What fails closes the segment: it will never be read behind its end. */
int32_t mailsrv__durable_log_append(struct log *log, const struct buffer *group);
void mailsrv__durable_log_close(struct log *log);
/* A frame of the segment that is written. */
void mailsrv__durable_put_frame(const struct log *log, struct buffer *to, enum frame_kind kind, const void *p,
                                size_t n);
void mailsrv__durable_segment_path(const struct durable *d, uint64_t number, char out[PATH_MAX_OCTETS]);
/* The octets of a frame with a body, whose octets are at a place: its number and its own; of the log's own memory. */
int32_t mailsrv__durable_log_body(struct log *log, const struct place *at, uint64_t id, mailsrv_bytes *out);
/* Hands every change of the log from a place on, or, without one, of what the log is made of, to `each`; stops where
 * that says false. */
int32_t mailsrv__durable_log_replay(struct log *log, const struct place *from,
                                    bool (*each)(void *user, const struct frame *frame, const struct place *end),
                                    void *user);

int32_t mailsrv__durable_log_replay_one(struct log *log, uint64_t number,
                                        bool (*each)(void *user, const struct frame *frame, const struct place *end),
                                        void *user);

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

/* ---- scratch.c: files of SQLite without a name ---- */
int mailsrv__durable_scratch_octets(void); /* of one, as SQLite has room for */
void mailsrv__durable_scratch_open(sqlite3_file *file);

/* ---- index.c: the index, and its statements ---- */
enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVE,
    SQL_BACK,
    SQL_RELEASE,
    SQL_STATE_SET,
    SQL_STATE_GET,
    SQL_ACCOUNT_ADD,
    SQL_ACCOUNT_BY_NAME,
    SQL_ACCOUNT_GET,
    SQL_ACCOUNT_AFTER,
    SQL_ACCOUNT_GREW,
    SQL_ACCOUNT_SHRANK,
    SQL_ACCOUNT_QUOTA,
    SQL_ACCOUNT_UIDVALIDITY,
    SQL_ACCOUNT_FORGOT,
    SQL_MAILBOX_ADD,
    SQL_MAILBOX_BASE,
    SQL_MAILBOX_STUB,
    SQL_MAILBOX_BOX,
    SQL_MAILBOX_GET,
    SQL_MAILBOX_COUNT,
    SQL_MAILBOX_RENUMBERED,
    SQL_MAILBOX_UIDVALIDITY,
    SQL_MAILBOX_RUNS,
    SQL_MAILBOX_HISTORY,
    SQL_MAILBOX_BECAME,
    SQL_MAILBOX_DIED,
    SQL_MAILBOX_DEAD,
    SQL_MAILBOX_DROP,
    SQL_NAME_SET,
    SQL_NAME_GET,
    SQL_NAME_OF,
    SQL_NAME_ALL,
    SQL_NAME_BORE,
    SQL_NAME_COUNT,
    SQL_NAME_BELOW,
    SQL_NAME_RANGE,
    SQL_NAME_CHANGED,
    SQL_NAME_NUMBER,
    SQL_NAME_GONE,
    SQL_NAME_OLDEST_GONE,
    SQL_NAME_DROP,
    SQL_KEYWORD_ADD,
    SQL_KEYWORD_RANGE,
    SQL_KEYWORD_COPY,
    SQL_KEYWORD_DROP,
    SQL_VANISHED_ADD,
    SQL_VANISHED_OLDEST,
    SQL_VANISHED_FORGET,
    SQL_VANISHED_RANGE,
    SQL_VANISHED_DROP,
    SQL_MESSAGE_ADD,
    SQL_MESSAGE_GET,
    SQL_MESSAGE_DROP,
    SQL_MESSAGE_UIDL,
    SQL_MESSAGE_STRUCTURE,
    SQL_MESSAGE_RANGE,
    SQL_MESSAGE_CHANGED,
    SQL_MESSAGE_SCAN,
    SQL_MESSAGE_COUNT_CHANGED,
    SQL_MESSAGE_PLACE,
    SQL_MESSAGE_UIDS,
    SQL_MESSAGE_MARKS,
    SQL_MESSAGE_MARK,
    SQL_MESSAGE_WHOLE,
    SQL_MESSAGE_SOME,
    SQL_MESSAGE_RENUMBER,
    SQL_MESSAGE_BECAME,
    SQL_BODY_ADD,
    SQL_BODY_GET,
    SQL_BODY_GREW,
    SQL_BODY_SHRANK,
    SQL_BODY_DROP,
    SQL_QUEUE_ADD,
    SQL_QUEUE_GET,
    SQL_QUEUE_UPDATE,
    SQL_QUEUE_DROP,
    SQL_QUEUE_RANGE,
    SQL_SEGMENT_APPLIES,
    SQL_SEGMENT_ENDS,
    SQL_SEGMENT_BULK,
    SQL_SEGMENT_RETIRE,
    SQL_SEGMENT_RETIRING,
    SQL_SEGMENT_ALL,
    SQL_SEGMENT_WAITS,
    SQL_SEGMENT_REMOVED,
    SQL_SEGMENT_FORGET,
    SQL_SEGMENT_POOR,
    SQL_TOMB_ADD,
    SQL_TOMB_RETIRE,
    SQL_TOMB_NAME_DROP,
    SQL_COPY_BODY,
    SQL_COPY_MESSAGE,
    SQL_COPY_MARKED,
    SQL_COPY_QUEUE,
    SQL_COPY_QUEUE_MARKED,
    SQL_COPY_MAILBOX,
    SQL_COPY_KEYWORDS,
    SQL_COPY_NAME,
    SQL_COPY_NAME_OF,
    SQL_COPY_ACCOUNT,
    SQL_COPY_TOMB,
    SQL_COPY_TOMB_BEGUN,
    SQL_ACCOUNT_AS_IS,
    SQL_MAILBOX_AS_IS,
    SQL_NAME_AS_IS,
    SQL_NAME_ALONE,
    SQL_MESSAGE_AS_IS,
    SQL_QUEUE_AS_IS,
    SQL_BODY_IDLE,
    SQL_PARTS_ADD,
    SQL_PARTS_GREW,
    SQL_PARTS_GET,
    SQL_PARTS_ALL,
    SQL_PARTS_DROP,
    SQL_PARTS_COUNT,
    SQL_COUNT,
};

/* How far the index has come, and the last numbers that were given. */
struct state {
    uint64_t group;
    struct place place;
    uint64_t last_body, last_id, last_queue;
    uint64_t whole; /* 0: it is being made anew, and has not all yet */
    uint64_t parts; /* changes in parts that have no end yet */
};

struct index {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    struct state state;     /* with what the open transaction has changed */
    struct state committed; /* kept here, because what cannot be written may not be to be read either */
    uint64_t segment;       /* of the record that is applied */
    uint64_t group;
    const uint8_t *entry; /* where the one that is applied begins */
    const struct reader *from;
    uint32_t history_max;   /* runs of UIDs that vanished, of a mailbox */
};

int32_t mailsrv__durable_index_open(struct index *x, struct durable *d, bool writes);
/* For who only looks; MAILSRV_NONEXISTENT: there is none. */
int32_t mailsrv__durable_index_look(struct index *x, struct durable *d);
void mailsrv__durable_index_close(struct index *x);
/* A statement with its arguments, to be stepped; `types` has a letter for each: i an int64_t, d a mailsrv_id *, b a
 * mailsrv_bytes.  NULL: it failed. */
sqlite3_stmt *mailsrv__durable_ask(struct index *x, enum sql which, const char *types, ...);
/* Runs one that gives no rows; false: it failed. */
bool mailsrv__durable_run(struct index *x, enum sql which, const char *types, ...);
/* The status for what SQLite said last. */
int32_t mailsrv__durable_failure(struct index *x);
bool mailsrv__durable_state_store(struct index *x);
bool mailsrv__durable_index_commit(struct index *x);
void mailsrv__durable_index_roll_back(struct index *x);
mailsrv_bytes mailsrv__durable_column_bytes(sqlite3_stmt *row, int column);
mailsrv_id mailsrv__durable_column_id(sqlite3_stmt *row, int column);

/* ---- segments.c: what the index knows of segments ---- */
/* Of a new index, behind its own. */
extern const char mailsrv__durable_segment_schema[];
/* The statements of the index ask it where the record is that is applied (the functions segment() and weight()). */
bool mailsrv__durable_segment_functions(struct index *x);
/* Records of a segment are applied from now on. */
bool mailsrv__durable_segment_applies(struct index *x, uint64_t number, uint64_t group);
/* A segment has ended, with so many octets of groups. */
bool mailsrv__durable_segment_ends(struct index *x, const struct sealed *one);
/* Those of the log that have ended, from one on, have so many octets. */
bool mailsrv__durable_segments_end(struct durable *d, uint64_t from);
/* The segments that are retired, from the index to the log. */
int32_t mailsrv__durable_segments_load(struct durable *d);
/* What was made of a log that is not all there any more: counts are taken from the rows, and of what vanished nothing
 * is known. */
bool mailsrv__durable_segments_remade(struct durable *d);

/* ---- as_is.c: the records of rows as they are, whatever became of older ones ---- */
bool mailsrv__durable_apply_account_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_mailbox_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_name_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_message_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_queue_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_gone(struct index *x, struct reader *from);

/* ---- apply.c: records ---- */
enum entry {
    ENTRY_ACCOUNT = 1,
    ENTRY_QUOTA,
    ENTRY_BODY,
    ENTRY_MESSAGE,
    ENTRY_EXPUNGE,
    ENTRY_RENUMBER,
    ENTRY_QUEUE,
    ENTRY_QUEUE_UPDATE,
    ENTRY_QUEUE_DELETE,
    ENTRY_KEYWORD,
    ENTRY_FLAGS,
    ENTRY_MAILBOX,
    ENTRY_MAILBOX_DELETE,
    ENTRY_RENAME,
    ENTRY_INBOX_MOVED,
    ENTRY_SUBSCRIBE,
    ENTRY_RETIRED = 32,
    ENTRY_RETIRING,
    ENTRY_ACCOUNT_AS_IS,
    ENTRY_MAILBOX_AS_IS,
    ENTRY_NAME_AS_IS,
    ENTRY_MESSAGE_AS_IS,
    ENTRY_QUEUE_AS_IS,
    ENTRY_GONE,
    ENTRY_PARTS_BEGIN = 48,
    ENTRY_PARTS_END,
    ENTRY_PARTS_DROP,
};

/* Files whose last reference went. */
struct loose {
    uint64_t *v;
    size_t n, room;
};

bool mailsrv__durable_is_loose(struct loose *loose, uint64_t id);

/* What a record has removed, and an older one would bring back, of the segment `base`, or, 0, of any.  That of a name
 * goes when the name is known again: what it is then is said anew. */
enum tomb { TOMB_MESSAGES = 1, TOMB_MAILBOX, TOMB_PARTS, TOMB_ITEM, TOMB_NAME };

bool mailsrv__durable_tomb(struct index *x, int64_t base, enum tomb kind, mailsrv_bytes mailbox, int64_t first,
                           int64_t last);
mailsrv_bytes mailsrv__durable_id_bytes(const mailsrv_id *id);
/* Bodies that nothing refers to any more go; their files, into `loose`. */
bool mailsrv__durable_drop_idle(struct index *x, struct loose *loose);
/* Applies a record, whole entries; false: the index failed, or it is no record. */
bool mailsrv__durable_apply(struct index *x, mailsrv_bytes record);
/* Removes some messages of mailboxes that were deleted, at last the mailbox; `*more`: there may be others. */
bool mailsrv__durable_apply_death(struct index *x, bool *more);
/* The number of a mailbox in the index, where it gets one if need be; 0: the index failed. */
int64_t mailsrv__durable_box(struct index *x, const mailsrv_id *account, const mailsrv_id *mailbox);
/* What is counted of a mailbox, or of how it changes. */
struct counts {
    int64_t messages, octets, unseen, deleted;
};

struct counts mailsrv__durable_counts(int by, uint32_t flags, int64_t octets); /* `by` messages, 1 or -1, like that */
/* Adds to the counts of a mailbox; UIDNEXT is at least the one given. */
bool mailsrv__durable_count(struct index *x, int64_t box, const struct counts *counts, int64_t uidnext);
/* Where the row of a message is, and under which mailbox records know it. */
struct row {
    const mailsrv_id *mailbox; /* as records name it; NULL: it needs no tomb */
    int64_t box, uid;
};

/* Drops the row of a message, where it is there, and says by what the counts, which are the caller's, change. */
bool mailsrv__durable_drop_row(struct index *x, const struct row *at, struct counts *out);
/* Drops messages from one to a last UID, with what they count; `owner` NULL: but for the account. */
bool mailsrv__durable_drop_run(struct index *x, const mailsrv_id *owner, const struct row *first, int64_t last);
bool mailsrv__durable_drop_item(struct index *x, int64_t item);

/* ---- apply_names.c: the records of mailboxes and their names ---- */
bool mailsrv__durable_apply_inbox(struct index *x, const mailsrv_id *account, const mailsrv_id *inbox,
                                  uint32_t uidvalidity);
bool mailsrv__durable_apply_mailbox(struct index *x, struct reader *from);
bool mailsrv__durable_apply_mailbox_delete(struct index *x, struct reader *from);
bool mailsrv__durable_apply_rename(struct index *x, struct reader *from);
bool mailsrv__durable_apply_inbox_moved(struct index *x, struct reader *from);
bool mailsrv__durable_apply_subscribe(struct index *x, struct reader *from);
/* A name that is forgotten: how it is called where things are gone, and that it is. */
struct gone_name {
    mailsrv_id account;
    mailsrv_bytes text;
    int64_t modseq, uidvalidity; /* that it had */
};
bool mailsrv__durable_apply_name_gone(struct index *x, const struct gone_name *gone);
/* It is known, again: nothing says that it is gone. */
bool mailsrv__durable_name_is_known(struct index *x, const mailsrv_id *account, mailsrv_bytes text);

/* ---- apply_messages.c: the records of keywords, flags, and what vanished ---- */
bool mailsrv__durable_apply_keyword(struct index *x, struct reader *from);
bool mailsrv__durable_apply_flags(struct index *x, struct reader *from);
bool mailsrv__durable_apply_renumber(struct index *x, struct reader *from);
bool mailsrv__durable_vanish(struct index *x, int64_t box, uint64_t modseq, mailsrv_run run);
/* Ids count in their last half: this one was given. */
void mailsrv__durable_id_was_given(struct index *x, const mailsrv_id *id);

/* ---- body.c: staged bodies ---- */
struct body {
    uint64_t number;
    uint64_t octets;
    uint8_t *p;  /* in memory */
    size_t room; /* of the store's memory */
    void *file;  /* a file of its own */
    bool synced; /* the file, and its name */
    bool broken; /* a write or sync failed: it is nobody's any more */
    struct body *origin; /* that another shard has staged, whose octets it has; NULL: its own */
    bool kept;   /* the file stays when the body is closed */
};

struct body *mailsrv__durable_body_new(struct durable *d);
void mailsrv__durable_body_free(struct durable *d, struct body *body);
/* Is there room in memory?  Then the octets are added. */
bool mailsrv__durable_body_add(struct durable *d, struct body *body, mailsrv_bytes octets);
/* Into a file of its own. */
int32_t mailsrv__durable_body_spill(struct durable *d, struct body *body, mailsrv_bytes octets);
int32_t mailsrv__durable_body_sync(struct durable *d, struct body *body);
void mailsrv__durable_body_path(const struct durable *d, uint64_t number, char out[PATH_MAX_OCTETS]);
uint64_t mailsrv__durable_body_number(const char *name); /* 0: it is no body's */
void mailsrv__durable_bodies_clean(struct durable *d); /* files that nothing names go */

/* ---- handle.c ---- */
/* Where a message is. */
struct message {
    uint64_t octets; /* of prefix and body */
    uint64_t at;     /* of the body in its file */
    void *file;
    bool has_crc;       /* its body is in a frame of the log */
    bool is_broken;     /* which is not as it was written */
    uint32_t frame_crc; /* as it must be */
    uint32_t crc;       /* of the frame up to the octets below */
    uint64_t carried;   /* of the body, from its beginning */
    size_t n_prefix;
    uint8_t prefix[];
};

struct handle {
    struct handle *next;         /* of its bucket */
    struct handle *next_of_box;  /* MAILBOX: of the bucket of its mailbox */
    const struct binding *owner;
    uint64_t number;
    enum handle_kind kind;
    mailsrv_id account;
    mailsrv_id mailbox;
    uint32_t uidvalidity; /* MAILBOX: when it was opened */
    bool is_changed;      /* MAILBOX: by somebody else, which its engine is to be told */
    uint64_t modseq;      /* of that change */
    struct body *body;
    struct message *message; /* READ; the reader's while reads of it wait, else its engine's */
    uint32_t waiting;        /* READ: reads that the reader has, counted on the engine's thread */
};

struct handle *mailsrv__durable_handle_new(struct durable *d, const struct binding *owner, enum handle_kind kind);
/* It stays until it is closed, which nobody does while it is used. */
struct handle *mailsrv__durable_handle_find(struct durable *d, uint64_t number, enum handle_kind kind);
/* `told`: MAILBOX, the highest UID that was told; 0: none. */
int32_t mailsrv__durable_handle_close(struct durable *d, uint64_t number, enum handle_kind kind, uint32_t told);
/* Makes a new handle one of an open mailbox. */
void mailsrv__durable_handle_opens(struct durable *d, struct handle *h);
void mailsrv__durable_handles_end(struct durable *d, const struct binding *owner);
bool mailsrv__durable_is_staged(struct durable *d, uint64_t body); /* is that body open? */
/* Takes the lock of an account for a handle that is new; false: somebody has it. */
bool mailsrv__durable_lock(struct durable *d, struct handle *h, const mailsrv_id *account);

/* ---- recent.c: the marks of what was shown to somebody, in memory ---- */
struct recent {
    struct recent *next; /* of its bucket */
    mailsrv_id mailbox;
    uint32_t uidvalidity, uid;
};

/* With the lock: there is a mark from now on. */
void mailsrv__durable_recent_begin(struct durable *d, const mailsrv_id *mailbox, uint32_t uidvalidity);
/* With the lock.  The mark of a mailbox, moved up to `uid` if there is one; as it was before. */
uint32_t mailsrv__durable_recent(struct durable *d, const mailsrv_id *mailbox, uint32_t uidvalidity, uint32_t uid);
void mailsrv__durable_recent_forget(struct durable *d, const mailsrv_id *mailbox);
void mailsrv__durable_recents_free(struct durable *d);

/* ---- Tasks ---- */
enum { KIND_ADD_ACCOUNT = -1, KIND_QUOTA = -2, KIND_FIND_ACCOUNT = -3, KIND_SNAPSHOT = -4, KIND_RENEW = -5 };

struct part;

struct room {
    struct room *next;
    _Alignas(max_align_t) uint8_t bytes[];
};

/* A mailbox that a task has changed. */
struct touched {
    struct touched *next;
    mailsrv_id mailbox;
    uint64_t modseq;
};

/* An operation on its way, or a call that waits. */
struct task {
    mailsrv_letter letter;
    struct task *next;
    struct binding *from; /* NULL: a call of the host */
    int32_t kind;
    const mailsrv_op *op;
    mailsrv_op_id id;
    bool done; /* a call */
    mailsrv_bytes name;
    mailsrv_id account;
    uint64_t number;
    mailsrv_answer answer;
    union {
        mailsrv_body_begun begun;
        mailsrv_committed committed;
        mailsrv_store_opened store_opened;
        mailsrv_locked locked;
        mailsrv_mbox_opened mbox_opened;
        mailsrv_rows rows;
        mailsrv_read_bytes read_bytes;
        mailsrv_expunged expunged;
        mailsrv_queued queued;
        mailsrv_changes changes;
        mailsrv_flagged flagged;
        mailsrv_copied copied;
        mailsrv_mbox_listed listed;
        mailsrv_mbox_status mbox_status;
        mailsrv_mbox_created created;
    } value;
    struct touched *touched;
    struct room *rooms;
    bool is_in_parts;  /* the log has parts of it, and not its end */
    bool waits;        /* for another's end: it was not planned */
    mailsrv_id target; /* the mailbox that its parts add to */
    void *progress;    /* what its plan keeps from part to part, in rooms */
    struct part *part; /* of a COMMIT in several shards; NULL: it is none */
};

void *mailsrv__durable_room(struct task *task, size_t n); /* zeroed, until the answer is delivered; NULL: none */

struct queue {
    struct task *first, **last;
    pthread_cond_t work;
};

/* An engine that the store is bound to. */
struct binding {
    struct binding *next;
    struct durable *d;
    mailsrv_engine *engine;
    mailsrv_port port;
    mailsrv_ending ending;
    uint32_t running;    /* its tasks that a thread has, and its poke that is posted just now */
    mailsrv_letter poke; /* mailboxes that it has open were changed by others */
    bool is_changed;     /* some of its handles are */
    bool poked;          /* the letter is out */
    struct binding **family; /* of the first shard of several: those of all; NULL: there is one */
};

/* The shards of a store that has several. */
struct family {
    uint32_t n;
    uint8_t table[BUCKETS_OF_ACCOUNTS]; /* the shard of each bucket */
    char directory[PATH_MAX_OCTETS - 64];
    mailsrv_durable_files files;
    void *lock;             /* of that directory */
    pthread_mutex_t bodies; /* held while a large body is synced, which several shards may have */
    struct durable *shards[SHARDS_MAX];
};

struct durable {
    mailsrv_store store;
    struct family *family; /* NULL: there is one shard */
    uint32_t shard;
    char directory[PATH_MAX_OCTETS - 64];
    mailsrv_durable_files files;
    uint64_t segment_octets, memory_octets, body_octets_max, reserve_octets;
    uint32_t checkpoint_pages;
    void *process_lock;
    struct vfs vfs;
    struct index writer, reader, mover; /* each of its thread */
    struct log log;

    /* The writer's. */
    struct buffer group;  /* frames of the group that is made */
    struct buffer record; /* of the change that is planned */
    size_t applied;       /* octets of it that the index has */
    struct loose loose;
    struct task *unfinished; /* in parts, or waiting for one that is; in the order of asking */
    bool failed; /* the index did, in this group */
    bool begun;  /* the change that is planned has frames in the group */
    bool undo;   /* the change that is planned is not to be kept, though it has an answer */
    bool behind; /* the log has what the index could not take */
    bool has_reserve;
    bool looks;          /* there may be a segment to compact */
    bool is_spoiled;     /* a segment that was begun cannot be read: no other is compacted before it */
    bool rests;          /* what was planned without being asked has failed: not at once again */
    uint32_t skipped;    /* groups after which none was looked for */
    uint64_t compacting; /* a segment; 0: none */
    int64_t copied_box, copied_name; /* of the segment that is compacted, those up to here are copied */
    mailsrv_id copied_account;
    uint64_t retires;    /* the segment that the group which is planned retires; 0: none */
    uint64_t told;       /* the index knows how long the segments below are */
    bool has_dead; /* mailboxes that were deleted, and still have messages */
    int pages;   /* of the index, to be moved by a checkpoint */

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t calm;  /* a task was posted, or a call is done */
    struct queue writes, reads;
    struct task *held; /* whose changes are durable and not yet visible */
    struct binding *bindings;
    struct handle *handles[BUCKETS], *boxes[BUCKETS];
    struct recent *recents[BUCKETS];
    uint64_t last_handle, last_staged, n_handles;
    uint64_t staged_octets, groups, changes, segments, read_now;
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
    pthread_t threads[3];
    int n_threads;
};

/* ---- commit.c, change.c: plans, by the writer ---- */
int32_t mailsrv__durable_commit(struct durable *d, struct task *t);
int32_t mailsrv__durable_change(struct durable *d, struct task *t); /* every other kind */
/* Applies what was added to the record. */
bool mailsrv__durable_take_effect(struct durable *d);
/* The index failed: so does the group. */
int32_t mailsrv__durable_broken(struct durable *d);
mailsrv_id mailsrv__durable_new_id(struct durable *d);
bool mailsrv__durable_same(const mailsrv_id *a, const mailsrv_id *b);
bool mailsrv__durable_no_id(const mailsrv_id *id);
/* Notes that a task changes a mailbox. */
void mailsrv__durable_touch(struct task *t, const mailsrv_id *mailbox, uint64_t modseq);

struct account {
    uint64_t modseq, octets, quota;
    mailsrv_id inbox;
    uint32_t uidvalidity;           /* the highest that was given */
    uint64_t forgotten;             /* names that are gone since then are all known */
    uint32_t forgotten_uidvalidity; /* the highest of names that were forgotten */
};

struct mailbox {
    int64_t box; /* its number in the index: messages go by it */
    mailsrv_id account; /* zero: it was deleted */
    uint32_t uidvalidity, uidnext;
    uint64_t messages, unseen, deleted, octets;
    uint64_t horizon; /* what vanished since then is all known */
};

/* MAILSRV_OK, MAILSRV_NONEXISTENT, or a failure of the index. */
int32_t mailsrv__durable_account(struct index *x, const mailsrv_id *id, struct account *out);
int32_t mailsrv__durable_mailbox(struct index *x, const mailsrv_id *id, struct mailbox *out);
/* A new UIDVALIDITY of an account: the second, or the next one; 0: there are no more. */
uint32_t mailsrv__durable_new_uidvalidity(const struct account *a, int64_t unix_us);
/* For a plan: the mailbox of a handle with its account, while its UIDs mean what they meant. */
int32_t mailsrv__durable_opened(struct durable *d, uint64_t number, const struct handle **h, struct account *a,
                                struct mailbox *mbox);
/* UIDNEXT has come to the end: a new UIDVALIDITY, and UIDs from 1. */
int32_t mailsrv__durable_renumber(struct durable *d, const mailsrv_id *mailbox, struct mailbox *mbox,
                                  int64_t unix_us);
/* The same, with that UIDVALIDITY. */
int32_t mailsrv__durable_renumber_as(struct durable *d, const mailsrv_id *mailbox, struct mailbox *mbox,
                                     uint32_t uidvalidity);
/* Runs that grow by one UID after the other. */
struct runs {
    mailsrv_run *v;
    size_t n, room;
};
bool mailsrv__durable_runs_add(struct task *t, struct runs *runs, uint32_t uid);

/* ---- keywords.c ---- */
/* The bits of names in a mailbox's dictionary; those that it has not are added where `adds` says so.  `*all` false:
 * some have no room, and no bit. */
int32_t mailsrv__durable_intern(struct durable *d, const mailsrv_id *account, const mailsrv_id *mailbox, int64_t box,
                                const mailsrv_bytes *names, size_t n, bool adds, uint64_t bits[2], bool *all);
/* The dictionary from a number on, as memory of the task. */
int32_t mailsrv__durable_dictionary(struct index *x, struct task *t, int64_t box, uint32_t first, mailsrv_bytes **out,
                                    uint32_t *n);

/* ---- flags.c, copy.c, mailboxes.c: plans ---- */
int32_t mailsrv__durable_flags(struct durable *d, struct task *t);
int32_t mailsrv__durable_copy(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_create(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_delete(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_rename(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_subscribe(struct durable *d, struct task *t);

/* ---- names.c ---- */
#define NAMES_MAX 10000 /* of an account that have a mailbox or are subscribed */
#define GONE_MAX 1000   /* of an account, that are remembered though they have neither */

struct name {
    int64_t number;
    mailsrv_id mailbox; /* zero: none */
    uint64_t modseq;
    uint32_t attributes;
    uint32_t uidvalidity; /* the highest that it bore */
    size_t n;
    uint8_t text[MAILSRV_MBOX_NAME_MAX];
};

/* A name as it is kept: with "INBOX" in capitals as its first level.  False: it cannot be one. */
bool mailsrv__durable_canonical(mailsrv_bytes name, uint8_t out[MAILSRV_MBOX_NAME_MAX]);
/* MAILSRV_OK, MAILSRV_NONEXISTENT: nobody knows it; or a failure of the index. */
int32_t mailsrv__durable_name(struct index *x, const mailsrv_id *account, mailsrv_bytes name, struct name *out);
int32_t mailsrv__durable_name_of(struct index *x, const mailsrv_id *mailbox, struct name *out);
int32_t mailsrv__durable_name_numbered(struct index *x, int64_t number, struct name *out);
int32_t mailsrv__durable_oldest_gone(struct index *x, const mailsrv_id *account, struct name *out);
mailsrv_bytes mailsrv__durable_name_text(const struct name *name);
void mailsrv__durable_name_take(sqlite3_stmt *row, struct name *out); /* a row of a statement of names */

/* ---- parts.c: changes that add more rows to a mailbox than one group should hold ----
 *
 * Such a change is made in parts, one in each group, while the changes of other accounts go on and those of its own
 * wait.  mailsrv__durable_change answers MAILSRV_MORE after each part but the last, and is called again in the next
 * group, with task->is_in_parts; what it has to know then it keeps in task->progress.  The first part begins with
 * mailsrv__durable_parts_begin and the last one ends with mailsrv__durable_parts_end.  What a group holds in between
 * is a few thousand rows.
 *
 * Rows of a part have the UIDs from the mailbox's UIDNEXT on, and modseqs above the account's.  Neither these two nor
 * the counts of the mailbox and the account move before the end: so a row whose UID is not below its mailbox's UIDNEXT
 * is not there yet, and every statement that reads rows leaves it out.  Other entries of a part (names, keywords) are
 * seen at once.  The plan counts UIDs, modseqs and the quota by itself.
 *
 * A change whose group fails, or that refuses in the middle, is answered then, and the next groups begin with dropping
 * its parts, a few thousand rows each; so do the first ones after a start.  What changes its account waits until they
 * are gone. */
int32_t mailsrv__durable_parts_begin(struct durable *d, struct task *t, const mailsrv_id *account,
                                     const mailsrv_id *mailbox);
int32_t mailsrv__durable_parts_end(struct durable *d, struct task *t);
/* Plans that some of what is left of changes without an end goes; `first` are those that go on. */
int32_t mailsrv__durable_parts_drop(struct durable *d, const struct task *first);
/* Must it wait for one of those before it, or for what is left of one?  Its plan may then not begin. */
bool mailsrv__durable_parts_wait(struct durable *d, const struct task *first, const struct task *t);
/* By apply.c. */
bool mailsrv__durable_parts_close(struct index *x, const mailsrv_id *mailbox);
bool mailsrv__durable_apply_parts(struct index *x, enum entry kind, struct reader *from);

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

/* ---- checkpoint.c ---- */
/* The index has all up to the last group. */
void mailsrv__durable_indexed(struct durable *d);
/* Asks for a checkpoint; `wait`: until one that begins from now on has ended. */
void mailsrv__durable_move(struct durable *d, bool wait);
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
/* By free_task. */
void mailsrv__durable_part_free(struct part *part);
/* By the writer: what another shard has staged in a file becomes a file of this one's, to be synced. */
int32_t mailsrv__durable_body_take_over(struct durable *d, struct body *body);

/* ---- message.c ---- */
/* Where a message is, as the index knows it now. */
int32_t mailsrv__durable_message_find(struct durable *d, int64_t box, uint32_t uid, struct message **out);
void mailsrv__durable_message_free(struct durable *d, struct message *message);

struct range {
    uint64_t offset;
    uint8_t *p;
    size_t n; /* no further than the message's end */
};

/* Fills `p` from a message; MAILSRV_CORRUPT: its file is too short, or what was read from its body's beginning to its
 * end is not what was written.  `now`: MAILSRV_MORE where that would wait for the disk. */
int32_t mailsrv__durable_message_copy(struct durable *d, struct message *message, bool now,
                                      const struct range *range);

/* ---- read.c: by the reader ---- */
void mailsrv__durable_read(struct durable *d, struct task *t);
/* On the engine's thread: a READ by a handle, where its octets are in memory and no earlier one of the handle waits, in
 * whose place it would be checked; false: it is the reader's. */
bool mailsrv__durable_read_now(struct durable *d, const mailsrv_arg_read *arg, mailsrv_read_bytes *value,
                               mailsrv_answer *answer);
/* The open mailbox of a handle, while its UIDs mean what they meant. */
int32_t mailsrv__durable_is_open(struct durable *d, uint64_t number, const struct handle **out, struct mailbox *mbox);
/* A copy that lives as long as the task; false: no memory. */
bool mailsrv__durable_keep(struct task *t, mailsrv_bytes *bytes);
/* The columns of a row, as all statements of rows have them. */
bool mailsrv__durable_take_row(struct task *t, sqlite3_stmt *row, mailsrv_row *out);
/* What a statement that ended with `result` means. */
int32_t mailsrv__durable_ended(struct index *x, int result);

/* ---- open.c, list.c, changes.c: by the reader, inside of one transaction ---- */
int32_t mailsrv__durable_store_open(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_open(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_status(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_list(struct durable *d, struct task *t);
int32_t mailsrv__durable_changes(struct durable *d, struct task *t);
int32_t mailsrv__durable_name_changes(struct durable *d, struct task *t);

/* ---- notify.c ---- */
/* Marks what tasks have changed, and pokes the engines that others have changed something for. */
void mailsrv__durable_tell(struct durable *d, const struct task *first);
void mailsrv__durable_poked(mailsrv_engine *engine, mailsrv_letter *letter); /* the letter's `deliver` */

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
/* Gives a task of a thread back to who asked. */
void mailsrv__durable_post(struct durable *d, struct task *t);
/* Asks as a call, and waits; the status. */
int32_t mailsrv__durable_call(struct durable *d, struct task *t);

#endif
