/* mailsrv/stores/pool.h - threads for a store that blocks.
 *
 * A blocking function answers one kind of operation: it may read files, ask a database, wait.  The pool calls it on a
 * thread of its own and brings what it answered back to the engine by a letter, so that a slow disk stops nobody.
 *
 *     mailsrv_pool_new(NULL, 4, &pool);
 *     mailsrv_pool_bind(pool, engine, wake_my_loop, loop);
 *     mailsrv_pool_serve(pool, engine, MAILSRV_OP_BODY_COMMIT, commit, store);
 *
 * Functions run side by side, also for one engine.  The engine asks only one write of a body, and one write of a
 * session, at a time; whatever else a store must keep apart it keeps apart by locks of its own.
 *
 * Threads: a pool may be shared by engines of several threads; what concerns an engine is called on its thread.
 */
#ifndef MAILSRV_STORES_POOL_H
#define MAILSRV_STORES_POOL_H

#include <mailsrv/op.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mailsrv_pool mailsrv_pool; /* threads, until mailsrv_pool_free */
typedef struct mailsrv_job mailsrv_job; /* one call of a blocking function */

/* Answers `op` by filling in `*answer`, which comes with its size, MAILSRV_TEMP, and nothing else.  Runs on a thread of
 * the pool; `op` and what its argument points to stay as they are until it returns.
 *
 * What `answer->value` points to lies in memory that lives until the engine has it: the store's own, or the room of the
 * job.  `answer->release` is called on the engine's thread, or, when the engine has gone meanwhile, on any.  Where
 * there was no memory for a job the function runs on the engine's thread, so that no handle stays open for it. */
typedef void (*mailsrv_blocking)(void *user, mailsrv_job *job, const mailsrv_op *op, mailsrv_answer *answer);

/* Memory for a value: zeroed, aligned for any object, given back when the engine has the answer.  Called inside a
 * blocking function, for its job.  NULL: there is none. */
MAILSRV_API void *mailsrv_job_room(mailsrv_job *job, size_t n);

/* Starts `threads` threads, 1 to 256.  `allocator` NULL: malloc; it must be thread-safe, is copied, and its `user`
 * outlives the pool.  MAILSRV_OK, MAILSRV_NOMEM, MAILSRV_LIMIT: the system has no more threads, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_pool_new(const mailsrv_allocator *allocator, uint32_t threads, mailsrv_pool **out);

/* Lets the pool answer for `engine`, before the engine's first session.  `wake` is called on a thread of the pool when
 * the host is to call mailsrv_engine_advance soon (mailsrv_port_open in engine.h); what `user` points to lives as long
 * as the pool.  MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE.
 *
 * When the engine is freed with MAILSRV_ABANDON, jobs that have not begun never do, and mailsrv_engine_free waits for
 * those that run. */
MAILSRV_API int32_t mailsrv_pool_bind(mailsrv_pool *pool, mailsrv_engine *engine, void (*wake)(void *user),
                                      void *user);

/* `run(user, ...)` answers operations of `kind`, which is no notice, for an engine that the pool is bound to.
 * MAILSRV_OK, MAILSRV_NOMEM, or what mailsrv_engine_serve says. */
MAILSRV_API int32_t mailsrv_pool_serve(mailsrv_pool *pool, mailsrv_engine *engine, int32_t kind, mailsrv_blocking run,
                                       void *user);

/* Keys of mailsrv_pool_stat. */
#define MAILSRV_POOL_STAT_WAITING 1 /* jobs that no thread has taken yet */
#define MAILSRV_POOL_STAT_RUNNING 2 /* functions that run */
#define MAILSRV_POOL_STAT_DONE 3    /* functions that have returned on a thread of the pool, ever */
/* Any thread; an unknown key is 0. */
MAILSRV_API uint64_t mailsrv_pool_stat(mailsrv_pool *pool, int32_t key);

/* Ends the threads and the pool; its engines have been freed before.  NULL is fine. */
MAILSRV_API void mailsrv_pool_free(mailsrv_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
