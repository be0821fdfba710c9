/* mailsrv/ask.h - operations that the host asks itself, of whoever serves its engine.
 *
 * For what stands beside the protocols: a tool that imports or deletes, a test of a store (stores/kit.h).  The question
 * is queued like any other, and answered by the same handlers; nothing here calls back.
 *
 * Threads: as the engine.
 */
#ifndef MAILSRV_ASK_H
#define MAILSRV_ASK_H

#include <mailsrv/op.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mailsrv_asked mailsrv_asked; /* a question, and then its answer */

/* Asks an operation of `kind` for `account` (NULL: none).  `arg` is the struct that the kind names; it is copied, and
 * what it points to is borrowed until the answer, or, when the question is freed before, until the engine no longer
 * counts it as queued or out.  Fixes who serves what, as the first session does.
 *
 * Kinds that give a handle back cannot be asked: a handle is closed by freeing the question that it came with.
 * MAILSRV_OK; MAILSRV_NOMEM; MAILSRV_CANNOT: nobody serves this kind; MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_ask(mailsrv_engine *engine, int32_t kind, const mailsrv_id *account, const void *arg,
                                mailsrv_asked **out);

/* The answer, as the engine keeps it: what was not lent is copied, a COMMIT has a result for each target, `release` is
 * the engine's affair.  Valid until the question is freed.  NULL: there is none yet. */
MAILSRV_API const mailsrv_answer *mailsrv_asked_answer(const mailsrv_asked *asked);

/* Gives the question up, answered or not: lent bytes are released, and the handle that the answer gave, or will give,
 * is closed by an operation that needs no memory.  Every question is freed before its engine.  NULL is fine. */
MAILSRV_API void mailsrv_asked_free(mailsrv_asked *asked);

#ifdef __cplusplus
}
#endif

#endif
