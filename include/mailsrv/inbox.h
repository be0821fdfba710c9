/* mailsrv/inbox.h - receive mail in one call.
 *
 * mailsrv_inbox serves the *Receive* kinds in memory and hands over each message with its envelope; what the function
 * returns is the reply to the peer.  It is built on public calls alone, and is the shortest way from nothing to a
 * receiving program.
 *
 * Threads: as the engine.
 */
#ifndef MAILSRV_INBOX_H
#define MAILSRV_INBOX_H

#include <mailsrv/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who sent a message, and for whom it is.  Valid for the call that gets it. */
typedef struct mailsrv_envelope {
    uint32_t size;
    uint32_t n_recipients;
    mailsrv_bytes reverse_path;      /* without <>; empty: the null reverse-path */
    const mailsrv_bytes *recipients; /* as they were sent, without <> */
    uint64_t session_id;
} mailsrv_envelope;

/* Gets a message: the trace fields, then the bytes as they came.  Runs inside dispatch or turn.  What it returns holds
 * for all recipients: MAILSRV_OK when the message is safe, MAILSRV_TEMP for "try again", MAILSRV_CANNOT for "never",
 * or any other status of an answer.  The bytes are borrowed for the call. */
typedef int32_t (*mailsrv_on_message)(void *user, const mailsrv_envelope *envelope, mailsrv_bytes message);

/* Serves RESOLVE (every address is taken) and the BODY kinds of `engine`, with at most `octets_max` octets of messages
 * in its memory at a time; more is answered MAILSRV_FULL.  A host that wants to refuse addresses serves RESOLVE itself
 * afterwards.  Before the first session.  MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_inbox(mailsrv_engine *engine, uint64_t octets_max, mailsrv_on_message on_message,
                                  void *user);

#ifdef __cplusplus
}
#endif

#endif
