/* What hangs on an engine beside its sessions: a room, with its own objects, work and questions.  The core names none;
 * a room puts its table on the engine when it is first needed.
 *
 * An errand is a question that belongs to no session.  What its answer calls only sets fields and puts work into the
 * ring, so nothing recurses.
 */
#ifndef CORE_ROOM_H
#define CORE_ROOM_H

#include "core/ask.h"
#include "core/timer.h"
#include "core/work.h"

/* ---- Rooms ---- */

struct room {
    struct room *next;
    const char *name; /* static: rooms are told apart by its address */
    /* A mailbox was changed, by this engine or from outside.  `account` NULL: any; `mailbox` zero: the account's
     * INBOX; `modseq_hint` 0: not known. */
    void (*notify)(struct room *room, const mailsrv_id *account, const mailsrv_id *mailbox, uint64_t modseq_hint);
    /* Flags were changed through this engine, and the store says which, and that nothing else happened since a modseq;
     * notify follows all the same. */
    void (*flagged)(struct room *room, const mailsrv_id *account, const mailsrv_id *mailbox,
                    const mailsrv_flagged *flagged);
    /* A COMMIT of this engine has put an item into the queue; its bytes are alive for the call. */
    void (*queued)(struct room *room, const mailsrv_queue_item *item);
    /* The engine ends: gives up everything, itself included.  Nobody will answer any more. */
    void (*end)(struct room *room);
};

/* The room of that name; NULL: it was not added yet. */
struct room *mailsrv__room_find(const mailsrv_engine *engine, const char *name);
void mailsrv__room_add(mailsrv_engine *engine, struct room *room);

/* Tells all rooms. */
void mailsrv__rooms_notify(mailsrv_engine *engine, const mailsrv_id *account, const mailsrv_id *mailbox,
                           uint64_t modseq_hint);

/* The i-th run of changed rows, whose struct may be larger than the one known here. */
static inline const mailsrv_marked *mailsrv__marked_at(const mailsrv_flagged *flagged, uint32_t i)
{
    return (const mailsrv_marked *)(const void *)((const char *)flagged->marked + (size_t)i * flagged->stride);
}

/* ---- What a room sees of its engine ---- */

struct heap *mailsrv__room_heap(mailsrv_engine *engine);
void mailsrv__room_work(mailsrv_engine *engine, struct work *work); /* puts it into the ring, unless it is there */
void mailsrv__room_spend(mailsrv_engine *engine, uint32_t units);
bool mailsrv__room_may_go_on(const mailsrv_engine *engine); /* are units of the slice left? */
struct timers *mailsrv__room_timers(mailsrv_engine *engine);
int64_t mailsrv__room_unix_us(const mailsrv_engine *engine); /* of the last advance */
bool mailsrv__room_served(const mailsrv_engine *engine, int32_t kind);
/* A room asks from now on, and who serves what is fixed; false: before the first advance. */
bool mailsrv__room_begin(mailsrv_engine *engine, const struct answers *answers);
bool mailsrv__room_random(const mailsrv_engine *engine, void *out, size_t n); /* false: nobody gave any */
void mailsrv__room_event(mailsrv_engine *engine, int32_t what, struct span text);

/* Is it sealed, and of this machine? */
bool mailsrv__profile_is_of(const mailsrv_profile *profile, const mailsrv_machine *machine);
mailsrv_profile *mailsrv__profile_hold(mailsrv_profile *profile); /* mailsrv_profile_unref */
struct span mailsrv__profile_text(const mailsrv_profile *profile, int32_t key);
uint64_t mailsrv__profile_u64(const mailsrv_profile *profile, int32_t key);

/* ---- Errands ---- */

struct errand {
    struct op *op; /* NULL: nothing is asked */
    void (*answered)(struct errand *errand);
};

/* Begins to ask `kind` for `account`, with room for `octets` of bytes beside the argument; as mailsrv__ask.  op NULL:
 * no memory. */
struct ask mailsrv__errand_ask(mailsrv_engine *engine, struct errand *errand, int32_t kind, const mailsrv_id *account,
                               size_t octets);

/* The same for BODY_COMMIT of one staged body to `n_targets` targets, with room for `octets` of their bytes.  The
 * argument is filled in but for the reverse-path and the targets, which are zeroed but for their size. */
struct ask mailsrv__errand_commit(mailsrv_engine *engine, struct errand *errand, const mailsrv_staged *body,
                                  uint32_t n_targets, size_t octets);

const void *mailsrv__errand_arg(const struct errand *errand);

/* NULL: not yet answered. */
const mailsrv_answer *mailsrv__errand_answer(const struct errand *errand);

/* The errand whose question of this kind `id` is.  MAILSRV_OK; MAILSRV_E_STALE: it is out, and nobody waits for it any
 * more; MAILSRV_E_USAGE: no such question is out. */
int32_t mailsrv__errand_find(const mailsrv_engine *engine, mailsrv_op_id id, int32_t kind, struct errand **out);

/* Takes the handle `value` from the answer, with the record that will close it. */
void mailsrv__errand_take_handle(struct errand *errand, uint64_t value, struct handle *handle);

/* Gives the question up, answered or not; a handle that it brings and nobody took is closed.  Nothing for an empty
 * one. */
void mailsrv__errand_drop(struct errand *errand);

/* Gives up a question, and closes handles that it may be using once it is answered.  Nothing for empty ones. */
void mailsrv__errand_drop_with(struct errand *errand, struct handle *const *handles, size_t n);

/* Asks the closing of handles, one after the other; nobody waits for it.  Nothing for empty ones. */
void mailsrv__handles_drop(struct handle *const *handles, size_t n);

#endif
