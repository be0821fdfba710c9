/* The record of an operation, from asking to the last byte that its answer lent: for the files of core/ alone.
 *
 *   RESERVED -> QUEUED -> TAKEN -> ANSWERED -> freed
 *
 * A session's operation that outlives it, or its patience, is an orphan: `session` is NULL, and what its answer owes
 * is done without it (a handle that it gave is closed, queue items that it made too late are deleted).
 */
#ifndef CORE_OP_H
#define CORE_OP_H

#include "core/ask.h"
#include "core/engine.h"
#include "core/machine.h"

#include <mailsrv/auth.h>
#include <mailsrv/policy.h>
#include <mailsrv/queue.h>

enum op_state { OP_RESERVED, OP_QUEUED, OP_TAKEN, OP_ANSWERED };

union op_value {
    mailsrv_resolved resolved;
    mailsrv_body_begun body_begun;
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
    mailsrv_verdict verdict;
    mailsrv_route route;
    mailsrv_dns_reply dns_reply;
    mailsrv_credential credential;
    mailsrv_retry retry;
};

struct op {
    mailsrv_op pub;
    struct node link;   /* queued: its queue; to be told as cancelled: the engine's `cancels` */
    struct node late_link; /* timed out: the session's `late` */
    struct op *chained; /* in its bucket */
    mailsrv_engine *engine;
    mailsrv_session *session; /* who waits; NULL: nobody */
    struct op *then;          /* what is asked when nobody waits for this one and it is answered: a chain of closers.
                               * Of a kind that gives a handle the first one closes that handle */
    struct op *gate; /* what is asked when this one, with all that follows it, and `gate->holds` others are done */
    uint32_t holds;
    struct op *undo;          /* COMMIT: deletes its queue items if the peer was told otherwise */
    enum op_state state;
    int64_t asked_us; /* where it is counted */
    bool late;     /* it timed out for its peer */
    bool is_chunk; /* a WRITE of session->body, not of the running step */
    bool value_given; /* it was MAILSRV_OK, and its value is here, but for lists that found no memory */
    bool kept;     /* asked by the host, which frees it: ask.h */
    struct errand *errand; /* whose it is, where no session waits: core/room.h; NULL: none's */
    size_t octets; /* of this record, room included */
    uint8_t *room; /* what is left of the room for bytes beside the argument */
    size_t room_left;
    void *buffer; /* WRITE: the chunk that it writes */
    size_t buffer_octets;
    struct lent lent;
    mailsrv_answer answer;
    union op_value value;
    void *copied; /* of the answer's bytes */
    size_t copied_octets;
    void *text;
    size_t text_octets;
    mailsrv_result *results; /* COMMIT: reserved */
    void *structure;         /* COMMIT: charged to no session */
    size_t structure_octets;
    uint8_t *results_text;
};

/* A record with an argument and `octets` of room, charged to the session, if any.  NULL: no memory. */
struct op *mailsrv__op_new(mailsrv_engine *engine, mailsrv_session *session, int32_t kind, size_t octets);

/* The same, and of a kind that gives a handle with the record behind it that will close it, reserved. */
struct op *mailsrv__op_new_with_closer(mailsrv_engine *engine, mailsrv_session *session, int32_t kind, size_t octets);

void *mailsrv__op_room(struct op *op, size_t octets);

/* Queues a reserved record under a new id. */
void mailsrv__op_submit(struct op *op);

/* An answered record becomes a reserved one again, for the same kind. */
void mailsrv__op_renew(struct op *op);

/* Nobody waits any more.  The record is no longer the caller's. */
void mailsrv__op_orphan(struct op *op);

/* Frees a reserved or answered record when nothing refers to its bytes any more; NULL is fine. */
void mailsrv__op_free(struct op *op);

/* `op` is answered and an orphan: closes, deletes, frees. */
void mailsrv__op_finish_orphan(struct op *op);

/* A session's answer became a refusal here: closes the handle that came with it, if any. */
void mailsrv__op_close_unseen(struct op *op);

/* Appends `chain` to what follows `op`. */
void mailsrv__op_then(struct op *op, struct op *chain);

/* The queued or taken operation of that id; NULL: there is none. */
struct op *mailsrv__op_find(const mailsrv_engine *engine, mailsrv_op_id id);
void mailsrv__op_forget(struct op *op); /* takes it out of its bucket */

/* Gives up everything that is queued or out: the engine ends. */
void mailsrv__ops_abandon(mailsrv_engine *engine);

/* Is anything there for a handler? */
bool mailsrv__ops_waiting(const mailsrv_engine *engine);

/* Hands one queued operation or notice to its handler.  False: there is none. */
bool mailsrv__ops_handle_one(mailsrv_engine *engine);

/* ---- answer.c ---- */

/* Copies an answer that mailsrv_op_answer has checked into the record. */
void mailsrv__answer_store(struct op *op, const mailsrv_answer *answer);

/* Tells who waits for `op` that it is answered; for an orphan, does what its answer owes. */
void mailsrv__op_tell(struct op *op);

/* The static answer of a status. */
const mailsrv_answer *mailsrv__answer_of(int32_t status);

/* ---- verdict.c ---- */

/* Does what POLICY answered keep to its bounds? */
bool mailsrv__verdict_is_whole(const mailsrv_verdict *verdict);

/* ---- changed.c ---- */

/* Gathers what an answered write changed, for the notice CHANGED. */
void mailsrv__changed_by(const struct op *op);

/* Is there a notice of a change? */
bool mailsrv__changed_waits(const mailsrv_engine *engine);

/* The next one; NULL: there is none. */
const mailsrv_op *mailsrv__changed_next(mailsrv_engine *engine, struct notice *notice);

/* ---- body.c ---- */

/* A BODY_COMMIT of one staged body: the argument has all but the reverse-path and what its targets are, which are
 * zeroed but for their size; with room for `octets` of their bytes and for the results.  NULL: no memory. */
struct op *mailsrv__commit_new(mailsrv_engine *engine, mailsrv_session *session, const mailsrv_staged *body,
                               uint32_t n_targets, size_t octets);

/* ---- ask.c ---- */

/* Asks a record in the running step; NULL: it could not be made for want of memory. */
struct ask mailsrv__ask_record(mailsrv_session *session, struct op *op);

/* The closing record of a handle, no longer charged to the session; NULL: it has none. */
struct op *mailsrv__handle_let_go(struct handle *handle);

/* ---- step.c ---- */

/* Something that this session waits for may have come. */
void mailsrv__session_wake(mailsrv_session *session);

#endif
