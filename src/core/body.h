/* A body on its way into the store: BEGIN, WRITE ... in chunks, COMMIT, CLOSE.
 *
 * A session stages one body at a time.  Two chunks at most: while one is being written the next one fills; with memory
 * for only one it goes more slowly, never wrong.  A smallest chunk is reserved with BEGIN.
 *
 *   mailsrv__body_ask      asks BODY_BEGIN in the running step         (answer: mailsrv__body_begun, in the next step)
 *   mailsrv__body_put      takes octets; fewer when there is no room   (then mailsrv__then_body)
 *   mailsrv__body_finish   no more octets: writes what is left         (then mailsrv__then_body until _settled)
 *   mailsrv__body_commit   asks BODY_COMMIT in the running step; the machine fills in the argument
 *   mailsrv__body_drop     closes it, committed or not, whatever is out; session->body is NULL afterwards
 */
#ifndef CORE_BODY_H
#define CORE_BODY_H

#include "core/ask.h"

/* False: no memory. */
bool mailsrv__body_ask(mailsrv_session *session, uint64_t octets_hint);

/* Reads the i-th answer as that of BODY_BEGIN: its status.  Unless it is MAILSRV_OK, session->body is NULL again. */
int32_t mailsrv__body_begun(mailsrv_session *session, unsigned i);

uint32_t mailsrv__body_features(const mailsrv_session *session);

/* Returns how many octets were taken.  After a failed WRITE all are taken and forgotten. */
size_t mailsrv__body_put(mailsrv_session *session, struct span octets);

bool mailsrv__body_has_room(const mailsrv_session *session);

/* How many octets mailsrv__body_put takes for certain.  0: none now (then mailsrv__then_body). */
size_t mailsrv__body_room(mailsrv_session *session);

void mailsrv__body_finish(mailsrv_session *session);

/* Is all of it written, or has it failed? */
bool mailsrv__body_settled(const mailsrv_session *session);

/* MAILSRV_OK, or what the first failed WRITE answered. */
int32_t mailsrv__body_status(const mailsrv_session *session);

/* The text of that answer; empty for none. */
struct span mailsrv__body_text(const mailsrv_session *session);

uint64_t mailsrv__body_octets(const mailsrv_session *session);

/* Its handle outside; 0: there is none (any more). */
uint64_t mailsrv__body_handle(const mailsrv_session *session);

/* Begins to ask BODY_COMMIT for `n_targets` targets, with room for `octets` of their bytes and for as many results.
 * `arg` has its bodies and counts filled in; the targets are zeroed but for size and body_index.  `n_queue` of them
 * are QUEUE targets: room is kept to delete their items should the answer come after the peer has been told 451.  The
 * structure is copied; without memory for it there is none. */
struct ask mailsrv__body_commit(mailsrv_session *session, uint32_t n_targets, uint32_t n_queue, size_t octets,
                                struct span structure);

void mailsrv__body_drop(mailsrv_session *session);

#endif
