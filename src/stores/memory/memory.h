/* Inside the memory store.
 *
 * What is stored hangs on counted objects: a body is shared by every message made of it, a message by its mailbox and
 * by whoever reads it.  An operation is performed by a function that fills in a reply and touches no engine, so that
 * it can also be asked outside of one.
 */
#ifndef STORES_MEMORY_MEMORY_H
#define STORES_MEMORY_MEMORY_H

#include "stores/common/closes.h"

#include <mailsrv/stores/memory.h>

#include <stdbool.h>

#define PAGE_MAX 64 /* rows of an answer; the page lies in the store, so that no read needs memory */
#define BUCKETS 256 /* of the table of handles */

struct memory;
struct account;

struct chunk {
    struct chunk *next;
    size_t n, room;
    uint8_t octets[];
};

struct body {
    struct memory *memory;
    uint32_t refs;
    uint64_t octets;
    struct chunk *first, *last;
    uint8_t *structure; /* NULL: it has none */
    size_t n_structure;
    struct chunk *near; /* where the last read was, so that reading on is not walking again */
    uint64_t near_at;
};

/* A message of a mailbox, or an item of the queue. */
struct message {
    struct memory *memory;
    uint32_t refs;
    mailsrv_row row;
    uint64_t queue;
    struct body *body;
    uint8_t *record; /* QUEUE; its lane behind it */
    size_t n_record, n_lane;
    int64_t due_us; /* QUEUE */
    size_t n_prefix, n_uidl;
    uint8_t bytes[]; /* prefix, then uidl */
};

/* Messages in ascending order of UID or queue number, or of due time and queue number. */
struct shelf {
    struct message **v;
    size_t n, room;
    size_t planned; /* while a commit is staged: messages that it will add */
};

/* A UID that was expunged. */
struct vanished {
    uint32_t uid;
    uint64_t modseq;
};

/* The newest of them, oldest first; what was forgotten is not above the horizon. */
struct history {
    struct vanished *v;
    size_t n, room;
    uint64_t forgotten; /* entries that stood before v[0] */
    uint64_t horizon;
};

/* A name as it is kept: INBOX in capitals. */
struct path {
    size_t n;
    uint8_t octets[MAILSRV_MBOX_NAME_MAX];
};

/* A name of an account, and what is there now. */
struct name {
    uint64_t number; /* for cursors */
    uint64_t modseq; /* of the account, when it last changed; 0: it never was anything */
    struct mailbox *mailbox; /* NULL: none */
    uint32_t highest;        /* UIDVALIDITY that it bore */
    bool subscribed;
    bool forgotten; /* it is gone, and CHANGES does not tell it any more */
    size_t n;
    uint8_t octets[];
};

/* Counted: by its name while it has one, and by who has opened it. */
struct mailbox {
    struct account *account;
    struct name *name;
    uint32_t refs;
    bool gone;       /* it was removed */
    uint32_t uses;   /* MAILSRV_NAME_..., but for the subscription */
    uint32_t rights; /* MAILSRV_RIGHT_... */
    mailsrv_id id;
    struct shelf shelf;
    struct history history;
    mailsrv_bytes keywords[MAILSRV_KEYWORDS_MAX]; /* the dictionary */
    uint32_t n_keywords;
    uint32_t recent;
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint32_t planned_uidnext; /* while a commit is checked */
};

/* Keys of a password (mailsrv/auth.h). */
struct scram {
    uint32_t iterations; /* 0: there are none */
    size_t n_salt;
    uint8_t salt[MAILSRV_SCRAM_SALT_MAX], stored[32], server[32];
};

struct account {
    struct account *next;
    mailsrv_id id;
    struct mailbox *inbox;
    struct name **names; /* ascending */
    size_t n_names, room_names;
    uint64_t last_name; /* number */
    uint64_t n_mailboxes;
    uint64_t names_horizon;    /* names that went up to it are not all told */
    uint32_t last_uidvalidity; /* the highest that was given */
    uint64_t modseq;
    uint64_t octets, planned_octets;
    uint64_t quota;
    uint64_t lock; /* handle; 0: free */
    uint32_t shard;
    struct scram scram[2]; /* for SHA-1 and SHA-256 */
    size_t n_name, n_password;
    char text[]; /* name, then password */
};

struct address {
    struct address *next;
    size_t n;
    size_t n_destinations;
    mailsrv_destination *destinations;
    struct account *first; /* whose shard counts; NULL: the queue */
    char text[];
};

/* An engine that the store is bound to. */
struct binding {
    struct binding *next;
    struct memory *memory;
    mailsrv_engine *engine;
    mailsrv_ending ending;
};

struct handle {
    struct handle *next; /* of its bucket */
    const struct binding *owner;
    uint64_t number;
    enum handle_kind kind;
    uint32_t uidvalidity; /* MAILBOX: when it was opened */
    struct account *account;
    struct mailbox *mailbox;
    struct body *body;
    struct message *message; /* READ */
};

/* An operation that waits to be let go. */
struct held {
    struct held *next;
    const struct binding *from;
    const mailsrv_op *op;
};

struct memory {
    mailsrv_store store;
    mailsrv_allocator allocator;
    uint64_t allocated;
    struct account *accounts;
    struct address *addresses;
    struct binding *bindings;
    struct handle *handles[BUCKETS];
    struct shelf queue, due; /* the same items, by number and by due time */
    struct held *held, **held_end;
    uint64_t last_id, last_handle, last_queue;
    uint64_t octets, lent, n_held, answered;
    bool has_scram; /* an account has keys */
    uint64_t open[HANDLE_READ + 1];
    uint64_t knobs[MAILSRV_MEMORY_MODSEQS + 1];
    uint64_t shuffled; /* state of the shuffle */
    union {
        mailsrv_row rows[PAGE_MAX];
        mailsrv_queue_item items[PAGE_MAX];
        mailsrv_run runs[PAGE_MAX];
        mailsrv_mbox_entry entries[PAGE_MAX];
    } page;
};

/* The value of an answer, and what is to be given back when the engine has it. */
struct reply {
    union {
        mailsrv_resolved resolved;
        mailsrv_body_begun begun;
        mailsrv_committed committed;
        mailsrv_identity identity;
        mailsrv_scram_record scram_record;
        mailsrv_store_opened store_opened;
        mailsrv_locked locked;
        mailsrv_mbox_opened mbox_opened;
        mailsrv_mbox_listed mbox_listed;
        mailsrv_mbox_status mbox_status;
        mailsrv_mbox_created mbox_created;
        mailsrv_rows rows;
        mailsrv_read_bytes read_bytes;
        mailsrv_expunged expunged;
        mailsrv_changes changes;
        mailsrv_flagged flagged;
        mailsrv_copied copied;
        mailsrv_queued queued;
    } value;
    bool has_value;
    void *scratch; /* given back when the engine has the answer */
    size_t n_scratch;
    void (*release)(void *user);
    void *user;
};

/* ---- memory.c ---- */
struct memory *mailsrv__memory(mailsrv_store *store);
void *mailsrv__memory_take(struct memory *m, size_t n); /* zeroed; NULL: there is none */
void mailsrv__memory_give(struct memory *m, void *p, size_t n);
void mailsrv__memory_wipe(void *p, size_t n);
mailsrv_id mailsrv__memory_new_id(struct memory *m);
bool mailsrv__memory_same_id(const mailsrv_id *a, const mailsrv_id *b);
bool mailsrv__memory_no_id(const mailsrv_id *id);

/* ---- account.c ---- */
struct account *mailsrv__memory_account(struct memory *m, const mailsrv_id *id);
void mailsrv__memory_accounts_free(struct memory *m);
int32_t mailsrv__memory_resolve(struct memory *m, const mailsrv_op *op, struct reply *r);
int32_t mailsrv__memory_auth_verify(struct memory *m, const mailsrv_op *op, struct reply *r);
struct account *mailsrv__memory_by_name(struct memory *m, const void *name, size_t n);

/* ---- logins.c ---- */
int32_t mailsrv__memory_auth_scram_keys(struct memory *m, const mailsrv_op *op, struct reply *r);
int32_t mailsrv__memory_auth_external(struct memory *m, const mailsrv_op *op, struct reply *r);

/* ---- handle.c ---- */
/* NULL: no memory. */
struct handle *mailsrv__memory_handle_new(struct memory *m, const struct binding *owner, enum handle_kind kind);
struct handle *mailsrv__memory_handle_find(struct memory *m, uint64_t number, enum handle_kind kind);
/* `told`: MAILBOX, the highest UID that was told; 0: none. */
int32_t mailsrv__memory_handle_close(struct memory *m, uint64_t number, enum handle_kind kind, uint32_t told);
/* Closes all that an engine held; NULL: all there are. */
void mailsrv__memory_handles_end(struct memory *m, const struct binding *owner);
int32_t mailsrv__memory_store_open(struct memory *m, const struct binding *from, const mailsrv_op *op,
                                   struct reply *r);
int32_t mailsrv__memory_lock(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r);

/* ---- body.c ---- */
struct body *mailsrv__memory_body_new(struct memory *m);
void mailsrv__memory_body_unref(struct body *body);
int32_t mailsrv__memory_body_add(struct body *body, const uint8_t *p, size_t n);
/* The octets at `offset`, as many as lie together; empty at the end. */
void mailsrv__memory_body_structure(struct body *body, mailsrv_bytes structure);
mailsrv_bytes mailsrv__memory_body_at(struct body *body, uint64_t offset);
int32_t mailsrv__memory_body_begin(struct memory *m, const struct binding *from, struct reply *r);
int32_t mailsrv__memory_body_write(struct memory *m, const mailsrv_op *op);

/* ---- message.c ---- */
struct message *mailsrv__memory_message_new(struct memory *m, struct body *body, mailsrv_bytes prefix,
                                            mailsrv_bytes uidl);
void mailsrv__memory_message_unref(struct message *message);
mailsrv_bytes mailsrv__memory_message_at(struct message *message, uint64_t offset);
/* What the queue keeps with a message.  False: no memory. */
bool mailsrv__memory_set_record(struct message *message, mailsrv_bytes record, mailsrv_bytes lane);

bool mailsrv__memory_shelf_reserve(struct memory *m, struct shelf *shelf, size_t more);
void mailsrv__memory_shelf_free(struct memory *m, struct shelf *shelf);
/* The place of the first UID, or queue number, that is not below `least`. */
size_t mailsrv__memory_shelf_uid(const struct shelf *shelf, uint64_t least);
size_t mailsrv__memory_shelf_queue(const struct shelf *shelf, uint64_t least);
/* For the message at `at`, which there is room for; and the way back. */
void mailsrv__memory_shelf_put(struct shelf *shelf, size_t at, struct message *message);
void mailsrv__memory_shelf_drop(struct shelf *shelf, size_t at);

/* ---- read.c ---- */
int32_t mailsrv__memory_rows(struct memory *m, const mailsrv_op *op, struct reply *r);
int32_t mailsrv__memory_read(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r);

/* The mailbox that a handle is of; NULL where it was removed, or its UIDs no longer mean what they meant. */
struct mailbox *mailsrv__memory_of_handle(const struct handle *h);
/* The open mailbox of a handle; NULL where it was closed, too. */
struct mailbox *mailsrv__memory_opened(struct memory *m, uint64_t number);
/* What a cursor of this store says: where to go on, and whether the empty page before it was given. */
struct place {
    uint64_t from;
    bool empty_given;
    bool rows;      /* CHANGES: the vanished ones are told */
    uint32_t end;   /* CHANGES: UIDNEXT when it was asked */
    uint64_t upto;  /* CHANGES */
};
struct place mailsrv__memory_place(const mailsrv_cursor *cursor);
mailsrv_cursor mailsrv__memory_cursor(struct place place);
bool mailsrv__memory_is_start(const mailsrv_cursor *cursor);
/* Is this page to be an empty one? */
bool mailsrv__memory_empty_first(const struct memory *m, const struct place *place);
/* Rows of a page when `limit` were asked for. */
uint32_t mailsrv__memory_page(const struct memory *m, uint32_t limit);

/* ---- expunge.c ---- */
/* Is `uid` in one of the runs? */
bool mailsrv__memory_in_runs(const mailsrv_run *runs, uint32_t n, uint32_t uid);
int32_t mailsrv__memory_expunge(struct memory *m, const mailsrv_op *op, struct reply *r);
/* The modseq of the change; 0: nothing went. */
uint64_t mailsrv__memory_expunge_from(struct memory *m, struct mailbox *mbox, const mailsrv_arg_expunge *arg);

/* ---- name.c ---- */
bool mailsrv__memory_path(mailsrv_bytes name, struct path *out); /* false: it is no name */
bool mailsrv__memory_below(const struct name *name, const uint8_t *above, size_t n);
struct name *mailsrv__memory_name(const struct account *a, const struct path *path); /* NULL: nowhere */
/* Makes it if need be.  NULL: no memory. */
struct name *mailsrv__memory_name_made(struct memory *m, struct account *a, const struct path *path);
/* Mailbox or subscription may have gone from names: forgets those that are too many. */
void mailsrv__memory_names_changed(struct memory *m, struct account *a);
void mailsrv__memory_all_names_free(struct memory *m, struct account *a);
int32_t mailsrv__memory_mbox_list(struct memory *m, const mailsrv_op *op, struct reply *r);
int32_t mailsrv__memory_changes_of_names(struct memory *m, const mailsrv_arg_changes *arg, struct reply *r);

/* ---- mailbox.c ---- */
/* 0: there are no more. */
uint32_t mailsrv__memory_new_uidvalidity(struct account *a, int64_t unix_us);
/* Without name and UIDVALIDITY.  NULL: no memory. */
struct mailbox *mailsrv__memory_mailbox_new(struct memory *m, struct account *a);
void mailsrv__memory_give_name(struct mailbox *mbox, struct name *name, uint64_t modseq);
void mailsrv__memory_mailbox_unref(struct memory *m, struct mailbox *mbox);
/* Gives up its messages, and the name's reference. */
void mailsrv__memory_mailbox_end(struct memory *m, struct mailbox *mbox);
/* NULL: it is not there. */
struct mailbox *mailsrv__memory_mailbox(const struct account *a, const mailsrv_id *id);
struct mailbox *mailsrv__memory_mailbox_or_inbox(const struct account *a, const mailsrv_id *id); /* zero: INBOX */
int32_t mailsrv__memory_mbox_open(struct memory *m, const struct binding *from, const mailsrv_op *op,
                                  struct reply *r);
int32_t mailsrv__memory_mbox_status(struct memory *m, const mailsrv_op *op, struct reply *r);

/* ---- mailboxes.c ---- */
struct making {
    uint32_t attributes;  /* MAILSRV_NAME_... */
    uint32_t uidvalidity; /* imported; 0: a new one */
    int64_t unix_us;
    const struct mailbox *keywords_of; /* whose dictionary it begins with; NULL: an empty one */
};
int32_t mailsrv__memory_make_mailbox(struct memory *m, struct account *a, const struct path *path,
                                     const struct making *how, struct mailbox **out);
int32_t mailsrv__memory_remove_mailbox(struct memory *m, struct mailbox *mbox);
int32_t mailsrv__memory_mbox_create(struct memory *m, const mailsrv_op *op, struct reply *r);
int32_t mailsrv__memory_mbox_delete(struct memory *m, const mailsrv_op *op);
int32_t mailsrv__memory_mbox_subscribe(struct memory *m, const mailsrv_op *op);

/* ---- rename.c ---- */
int32_t mailsrv__memory_mbox_rename(struct memory *m, const mailsrv_op *op);

/* ---- direct.c ---- */
/* The INBOX of the account, or the mailbox, that has this id; NULL: there is none. */
struct mailbox *mailsrv__memory_where(const struct memory *m, const mailsrv_id *where);

/* ---- commit.c ---- */
int32_t mailsrv__memory_commit(struct memory *m, const mailsrv_op *op, struct reply *r);
/* Gives the next UID and modseq to a message for which there is room, and shows it. */
void mailsrv__memory_deliver(struct mailbox *mbox, struct message *message, uint32_t uid);

/* ---- keywords.c ---- */
/* The bits of names in a mailbox's dictionary, to which new ones are added.  False: some have no room, and no bit. */
bool mailsrv__memory_intern(struct memory *m, struct mailbox *mbox, const mailsrv_bytes *names, size_t n,
                            uint64_t bits[2]);
void mailsrv__memory_dictionary_free(struct memory *m, struct mailbox *mbox);
/* Into an empty one, so that bits mean the same.  False: no memory. */
bool mailsrv__memory_dictionary_copy(struct memory *m, struct mailbox *to, const struct mailbox *from);

/* ---- flags.c ---- */
int32_t mailsrv__memory_flags(struct memory *m, const mailsrv_op *op, struct reply *r);
int32_t mailsrv__memory_flags_of(struct memory *m, struct mailbox *mbox, const mailsrv_arg_flags *arg,
                                 struct reply *r);

/* ---- copy.c ---- */
int32_t mailsrv__memory_copy(struct memory *m, const mailsrv_op *op, struct reply *r);

/* ---- changes.c ---- */
/* Remembers that a message went with that modseq. */
void mailsrv__memory_vanish(struct memory *m, struct mailbox *mbox, uint32_t uid, uint64_t modseq);
void mailsrv__memory_forget(struct memory *m, struct mailbox *mbox); /* everything */
int32_t mailsrv__memory_changes(struct memory *m, const mailsrv_op *op, struct reply *r);

/* ---- queue.c ---- */
bool mailsrv__memory_queue_reserve(struct memory *m, size_t more); /* false: no memory */
mailsrv_queue_item mailsrv__memory_queue_item(const struct message *message);
struct message *mailsrv__memory_queued(const struct memory *m, uint64_t number); /* NULL: it is not there */
void mailsrv__memory_enqueue(struct memory *m, struct message *message);
int32_t mailsrv__memory_queue_scan(struct memory *m, const mailsrv_op *op, struct reply *r);
int32_t mailsrv__memory_queue_update(struct memory *m, const mailsrv_op *op);
int32_t mailsrv__memory_queue_delete(struct memory *m, const mailsrv_op *op);

/* ---- serve.c ---- */
extern const int32_t mailsrv__memory_kinds[]; /* that it answers; ended by 0 */
int32_t mailsrv__memory_bind(mailsrv_store *store, mailsrv_engine *engine);
/* Performs an operation: the status, and the reply; mailsrv__memory_done gives the reply's scratch back. */
int32_t mailsrv__memory_perform(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r);
void mailsrv__memory_done(struct memory *m, struct reply *r);

#endif
