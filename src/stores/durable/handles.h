/* Inside the durable store: staged bodies, messages that are read, and the handles of all that is open. */
#ifndef STORES_DURABLE_HANDLES_H
#define STORES_DURABLE_HANDLES_H

#include "log.h"
#include "stores/common/closes.h"

#include <mailsrv/store.h>

#include <sqlite3.h>
#include <stdbool.h>

/* A body of more has a file of its own.  With its session, also under TLS, it takes less than 256 KiB of memory. */
#define INLINE_MAX (144u * 1024)
#define BUCKETS 256              /* of the table of handles */

struct durable;
struct binding;

/* ---- body.c: staged bodies ---- */
struct body {
    uint64_t number;
    uint64_t octets;
    uint8_t *p;  /* in memory */
    size_t room; /* of the store's memory */
    void *file;  /* a file of its own */
    bool synced; /* the file, and its name */
    bool is_large; /* whoever sends it said so: it goes into its file at once */
    bool broken; /* a write or sync failed: it is nobody's any more */
    struct body *origin; /* that another shard has staged, whose octets it has; NULL: its own */
    bool kept;   /* a change that named it was planned: its file stays when it is closed */
};

struct body *mailsrv__durable_body_new(struct durable *d);
void mailsrv__durable_body_free(struct durable *d, struct body *body);
/* Is there room in memory?  Then the octets are added. */
bool mailsrv__durable_body_add(struct durable *d, struct body *body, mailsrv_bytes octets);
/* Into a file of its own. */
int32_t mailsrv__durable_body_spill(struct durable *d, struct body *body, mailsrv_bytes octets);
/* Both of what follows, unless it has been done. */
int32_t mailsrv__durable_body_sync(struct durable *d, struct body *body);
int32_t mailsrv__durable_body_sync_octets(struct durable *d, struct body *body);
int32_t mailsrv__durable_bodies_sync_names(struct durable *d); /* of all files of bodies that are there */
void mailsrv__durable_body_breaks(struct durable *d, struct body *body);
void mailsrv__durable_body_path(const struct durable *d, uint64_t number, char out[PATH_MAX_OCTETS]);
uint64_t mailsrv__durable_body_number(const char *name); /* 0: it is no body's */
void mailsrv__durable_bodies_clean(struct durable *d); /* files that nothing names go */

/* ---- segment_file.c: the segment that messages were read from last, which the next is likely to be in ---- */
struct segment_file {
    uint64_t number;
    uint32_t refs; /* with the lock */
    void *file;
};

/* NULL: it is not open. */
struct segment_file *mailsrv__durable_segment_file(struct durable *d, uint64_t number);
int32_t mailsrv__durable_segment_file_open(struct durable *d, uint64_t number, struct segment_file **out);
void mailsrv__durable_segment_file_drop(struct durable *d, struct segment_file *one);
/* Is not kept any more: some segment has just gone, or there are to be no files. */
void mailsrv__durable_segment_file_forget(struct durable *d);

/* ---- handle.c ---- */
/* Where a message is. */
struct message {
    uint64_t octets; /* of prefix and body */
    uint64_t body;   /* its number */
    uint64_t at;     /* of the body in its file */
    struct segment_file *of; /* that has the file; NULL: the message has one of its own */
    void *file;
    bool waits_for_head; /* its body is in a frame of the log, of which nothing was read yet */
    bool has_crc;       /* that was read */
    bool is_broken;     /* which is not as it was written */
    uint32_t frame_crc; /* as it must be */
    uint32_t crc;       /* of the frame up to the octets below */
    uint64_t carried;   /* of the body, from its beginning */
    size_t n_prefix;
    uint8_t prefix[];
};

struct ahead;

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
    struct ahead *ahead;  /* MAILBOX: where the messages are that will be read next; NULL: nothing was read */
    struct message *message; /* READ; the reader's while reads of it wait, else its engine's */
    uint32_t waiting;        /* READ: reads that the reader has, counted on the engine's thread */
};

struct handle *mailsrv__durable_handle_new(struct durable *d, const struct binding *owner, enum handle_kind kind);
/* It stays until it is closed, which nobody does while it is used. */
struct handle *mailsrv__durable_handle_find(struct durable *d, uint64_t number, enum handle_kind kind);
/* Whose mail it concerns; nobody's: zero. */
void mailsrv__durable_handle_account(struct durable *d, uint64_t number, mailsrv_id *out);
/* `told`: MAILBOX, the highest UID that was told; 0: none. */
int32_t mailsrv__durable_handle_close(struct durable *d, uint64_t number, enum handle_kind kind, uint32_t told);
/* With the lock: makes a new handle one of an open mailbox. */
void mailsrv__durable_handle_opens(struct durable *d, struct handle *h);
/* With the lock: the handle of a mailbox behind `before`, or its first one where that is NULL.  NULL: there is none. */
struct handle *mailsrv__durable_handle_next(struct durable *d, const mailsrv_id *mailbox, const struct handle *before);
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
/* With the lock: as it was before somebody opens the mailbox; a UIDNEXT: for writing, and it moves up to there. */
uint32_t mailsrv__durable_recent_seen(struct durable *d, const mailsrv_id *mailbox, uint32_t uidvalidity,
                                      uint32_t uidnext);
void mailsrv__durable_recent_forget(struct durable *d, const mailsrv_id *mailbox);
void mailsrv__durable_recents_free(struct durable *d);

/* ---- message.c ---- */
/* A message that was looked up, and whose file is not open yet. */
struct whereabouts {
    struct message *message;
    struct place place; /* segment 0: a file of its own */
};

/* Where the message is, as the index knows it now, with its file open.  `number`: its UID; with `box` 0 that of an item
 * of the queue. */
int32_t mailsrv__durable_message_find(struct durable *d, int64_t box, uint64_t number, struct message **out);
/* Opens what was found before; `now`: MAILSRV_MORE where that would wait for the disk.  But for that, and for
 * MAILSRV_OK, it is freed. */
int32_t mailsrv__durable_message_open(struct durable *d, struct whereabouts *found, bool now);
void mailsrv__durable_message_free(struct durable *d, struct message *message);
/* From a row: prefix, segment, place, octets, body.  False: no memory. */
bool mailsrv__durable_message_found(sqlite3_stmt *row, struct whereabouts *out);

/* ---- ahead.c: messages that are looked up before they are read ----
 *
 * Who reads the messages of a mailbox one after the other has them looked up some at a time; those that are then known
 * need no question to the index, so that they are read on the engine's thread, if the system has them in memory.
 * Before they run out the reader looks up the next ones, while the engine goes on with those that are left.  What is
 * known holds until anything is removed or moved. */
struct ahead *mailsrv__durable_ahead_new(const struct handle *h);
void mailsrv__durable_ahead_free(struct durable *d, struct ahead *ahead); /* once the reader does not look any more */
/* Takes what is known of a message; false: nothing.  `runs_out`, unless it is NULL: the reader is to look further,
 * which ends with mailsrv__durable_ahead_looked. */
bool mailsrv__durable_ahead_take(struct durable *d, struct ahead *ahead, uint32_t uid, struct whereabouts *out,
                                 bool *runs_out);
/* By the reader: looks further, and has looked. */
void mailsrv__durable_ahead_look_on(struct durable *d, struct ahead *ahead);
/* With the lock: nobody looks any more. */
void mailsrv__durable_ahead_looked(struct ahead *ahead);
/* By the reader: is it worth while to look further, behind this message? */
bool mailsrv__durable_ahead_wants(struct durable *d, struct ahead *ahead, uint32_t uid);
/* By the reader: looks up those from behind `uid` to before `end`, as they are since `removals`. */
void mailsrv__durable_ahead_look(struct durable *d, struct ahead *ahead, int64_t box, uint32_t uid, uint32_t end,
                                 uint64_t removals);
uint64_t mailsrv__durable_removals(struct durable *d);
/* By the writer, when it can be seen: a message was removed, or is somewhere else. */
void mailsrv__durable_removed(struct durable *d);

struct range {
    uint64_t offset;
    uint8_t *p;
    size_t n; /* no further than the message's end */
};

/* Fills `p` from a message; MAILSRV_CORRUPT: its file is too short, or what was read from its body's beginning to its
 * end is not what was written.  `now`: MAILSRV_MORE where that would wait for the disk. */
int32_t mailsrv__durable_message_copy(struct durable *d, struct message *message, bool now,
                                      const struct range *range);

#endif
