/* The books of a host: which operations it took, which it answered, and whether the engine keeps the order that it
 * promises (mailsrv/op.h): of one body, and of one session's writes, one operation is out at a time; a body's octets
 * come without gaps; a handle is closed once and never used again; a notice owes nothing. */
#ifndef DIALOGUE_LEDGER_H
#define DIALOGUE_LEDGER_H

#include "dialogue.h"

struct entry {
    const mailsrv_op *op; /* while it is out */
    mailsrv_op_id id;
    int32_t kind;
    uint64_t session_id;
    uint64_t digest;
    uint64_t handle; /* that it is about; 0: none */
    size_t ordinal;  /* from 1 */
    enum reply reply;
    int32_t status; /* with REPLY_STATUS, and where an answer that is kept fails */
    int32_t verdict; /* with REPLY_VERDICT; what belongs to it is in `text` */
    struct text text;
    bool is_queue; /* a COMMIT with QUEUE targets */
    bool is_sender; /* a RESOLVE about one */
    unsigned answers;
};

struct staged {
    uint64_t body, octets;
};

struct closed {
    int32_t closer; /* the kind that closes it */
    uint64_t handle;
};

struct ledger {
    struct entry *out; /* taken and not yet answered, oldest first */
    size_t n_out, room_out;
    struct staged *staged;
    size_t n_staged, room_staged;
    struct closed *closed;
    size_t n_closed, room_closed;
    mailsrv_op_id last_id;
    size_t taken, answered;
    uint64_t kinds; /* taken so far, as bits */
};

/* Each returns what is wrong, or NULL. */
const char *ledger_take(struct ledger *ledger, const mailsrv_op *op, uint64_t unserved, struct entry *out);
const char *ledger_notice(const struct ledger *ledger, const mailsrv_op *op);
/* Before the answer: is the record as it was? */
const char *ledger_unchanged(const struct entry *entry);

void ledger_add(struct ledger *ledger, const struct entry *entry);
void ledger_remove(struct ledger *ledger, size_t at);
void ledger_free(struct ledger *ledger);

/* Is it a kind that changes the store, of which a session has one out at a time? */
bool kind_writes(int32_t kind);
/* Is it a kind that an image of a mailbox asks, for all its sessions? */
bool kind_loads(int32_t kind);
/* Is it a kind that gives a handle back? */
bool kind_closes(int32_t kind);

#endif
