/* Asking operations, and handles that are closed whatever happens.
 *
 * A step asks one or more operations (mailsrv__ask), fills in their arguments, stores its next step with
 * mailsrv__then_answers, and finds the answers there with mailsrv__answer, in the order of asking.  The records are
 * freed when that next step has returned, unless it took an answer with mailsrv__take_lent.
 *
 * A kind that gives a handle (BODY_BEGIN, STORE_OPEN, LOCK, MBOX_OPEN, READ) is asked with its closing record
 * reserved, so that closing never needs memory.  struct handle keeps both.
 */
#ifndef CORE_ASK_H
#define CORE_ASK_H

#include "core/machine.h"

#include <mailsrv/op.h>

enum { RESULT_TEXT_OCTETS = 64 }; /* kept of the text of each result of a COMMIT */

/* An operation being asked.  `arg` is zeroed, its size filled in. */
struct ask {
    struct op *op; /* NULL: no memory, and nothing was asked */
    void *arg;
};

/* Begins to ask `kind`, with room for `octets` of bytes beside the argument.  It is queued at once, and taken by nobody
 * before the step returns.  op NULL: no memory. */
struct ask mailsrv__ask(mailsrv_session *session, int32_t kind, size_t octets);

typedef struct ask ask_fn(mailsrv_session *session, int32_t kind, size_t octets);

/* Asks beforehand what a later step will wait for: whoever answers works while this session says what it has.  One at a
 * time, of a kind that gives no handle; a command does not end before it was awaited.  op NULL: no memory, and nothing
 * was asked. */
struct ask mailsrv__ask_ahead(mailsrv_session *session, int32_t kind, size_t octets);

/* What was asked beforehand becomes the next one that the running step asks: it may be answered already. */
void mailsrv__ask_await(mailsrv_session *session);

/* Copies bytes into the room of `ask`. */
mailsrv_bytes mailsrv__ask_copy(struct ask *ask, struct span from);
void *mailsrv__ask_room(struct ask *ask, size_t octets); /* zeroed, aligned for any object */

/* How many octets mailsrv__ask_room uses for `octets`. */
size_t mailsrv__ask_octets(size_t octets);

/* The i-th answer of the step that was waited for.  Never NULL: what timed out, or could not be asked, has a static
 * answer with its status.  `value` is NULL unless the status is MAILSRV_OK. */
const mailsrv_answer *mailsrv__answer(const mailsrv_session *session, unsigned i);

/* Was the i-th one answered at all?  What timed out is still out. */
bool mailsrv__answer_came(const mailsrv_session *session, unsigned i);

/* Was the i-th one, a change, made though its answer is MAILSRV_NOMEM?  Only for the list in it there was no memory. */
bool mailsrv__answer_is_done(const mailsrv_session *session, unsigned i);

/* A handle that somebody outside gave. */
struct handle {
    uint64_t value;    /* 0: none */
    struct op *closer; /* its reserved closing operation; NULL: none */
};

/* Takes the handle `value` from the i-th answer, together with the closing record that was reserved for it. */
void mailsrv__handle_take(mailsrv_session *session, unsigned i, uint64_t value, struct handle *handle);

/* MBOX_OPEN: the highest UID that the session was told of, for when it is closed.  Nothing for an empty handle. */
void mailsrv__handle_told(struct handle *handle, uint32_t uid);

/* Closes it now: asks the closing operation, which nobody waits for.  Nothing for an empty handle.  While an operation
 * of this session is late it may be using the handle: then it is closed when the session leaves. */
void mailsrv__handle_close(mailsrv_session *session, struct handle *handle);

/* The same for one that is not empty, asked in the running step, which waits for it. */
void mailsrv__handle_ask_close(mailsrv_session *session, struct handle *handle);

/* For `leave`: closes `n` handles one after the other, each when the one before is answered, and the first when
 * everything that the session has out is answered.  Handles that outstanding questions will still give come first. */
void mailsrv__handles_leave(mailsrv_session *session, struct handle *const *handles, size_t n);

/* Keeps the lent bytes of the i-th answer beyond this step: for mailsrv__say_lent.  NULL: no memory. */
struct lent *mailsrv__take_lent(mailsrv_session *session, unsigned i);

/* Has a write of this session timed out for the peer and not been answered yet?  Then further writes get TEMP. */
bool mailsrv__write_is_late(const mailsrv_session *session);

#endif
