/* Inside the durable store: staged bodies, messages that are read, and the handles of all that is open. */
#ifndef STORES_DURABLE_HANDLES_H
#define STORES_DURABLE_HANDLES_H

#include "log.h"
#include "stores/common/closes.h"

#include <mailsrv/store.h>

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

#endif
