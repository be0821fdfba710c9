/* Inside the durable store: what is asked, and who asks. */
#ifndef STORES_DURABLE_TASK_H
#define STORES_DURABLE_TASK_H

#include "log.h"

#include <mailsrv/engine.h>
#include <mailsrv/stores/durable.h>

#include <pthread.h>
#include <stddef.h>

#define SHARDS_MAX 64
#define BUCKETS_OF_ACCOUNTS 256

/* ---- Tasks ---- */
enum { KIND_ADD_ACCOUNT = -1, KIND_QUOTA = -2, KIND_FIND_ACCOUNT = -3, KIND_SNAPSHOT = -4, KIND_RENEW = -5,
       KIND_LOOK_AHEAD = -6 };

struct ahead;
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
    struct ahead *ahead; /* LOOK_AHEAD, which nobody waits for; NULL: it is another kind */
};

void *mailsrv__durable_room(struct task *task, size_t n); /* zeroed, until the answer is delivered; NULL: none */
void *mailsrv__durable_room_to_fill(struct task *task, size_t n); /* the same, with anything in it */
/* What the answer points to in such room, and all else there, lives until the answer is released. */
void mailsrv__durable_lend(struct task *task);

struct queue {
    struct task *first, **last;
    size_t n;
    size_t enough; /* with fewer nobody is woken up */
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

#endif
