/* mailsrv/store.h - the contract between the library and what keeps the mail.
 *
 * A store answers operations (op.h).  It comes in tiers: with *Receive* (RESOLVE, BODY_BEGIN, BODY_WRITE, BODY_COMMIT,
 * BODY_CLOSE) mail can be taken in; *POP3* adds reading, *IMAP* mailboxes, flags, copies and changes.  All protocol
 * semantics live above it, once.
 *
 *   Order.     Within an account, changes become visible in the order of their modseq: an answer up to M holds
 *              everything up to M, and whatever appears later is above M.  UIDs of a mailbox follow the same order.
 *   Durable.   COMMIT, EXPUNGE, FLAGS, COPY and what changes names are answered MAILSRV_OK when they will survive a
 *              crash.
 *   Whole.     A message is there whole or not at all.
 *   Handles.   Every handle that a store gives (a body, a store, a mailbox, a lock, a reading) is closed once.
 *   UIDs.      1 to 2^32 - 1, ascending, given at commit, never given twice in a mailbox with one UIDVALIDITY.
 *   Names.     Mailboxes are found by ids, which stay when a name changes and are never given twice.  A name never bears
 *              a UIDVALIDITY that is not above all that it bore.
 *   Reads.     What a COMMIT, EXPUNGE, FLAGS, COPY or a change of names answered is seen by every later operation.
 *   Changes.   Each change of a row, or of a name, gives it a modseq above all before it in its account, and CHANGES
 *              tells it.
 *   Keywords.  Arguments name them, rows count them: a mailbox has a dictionary of names, to which names are only ever
 *              added.  The first spelling stays; they are compared without case.  A COMMIT or COPY leaves out the names
 *              for which there is no room: no message is refused for a label.
 *   Races.     `unchanged_since` and `only_deleted` are decided in the store, because engines race.
 *   Paging.    By opaque cursor: a page may be short or empty, the last one says so.
 *
 * Threads: as the engine.  A store that works on others answers by letters (engine.h), or is one for the pool
 * (stores/pool.h).
 *
 * docs/writing-a-store.md goes through it; the conformance kit (stores/kit.h) checks it.
 */
#ifndef MAILSRV_STORE_H
#define MAILSRV_STORE_H

#include <mailsrv/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of a message (RFC 9051 section 2.3.2). */
#define MAILSRV_FLAG_SEEN 1u
#define MAILSRV_FLAG_ANSWERED 2u
#define MAILSRV_FLAG_FLAGGED 4u
#define MAILSRV_FLAG_DELETED 8u
#define MAILSRV_FLAG_DRAFT 16u

/* Fields of a row, for mailsrv_arg_rows.fields and mailsrv_arg_changes.fields.  What was not asked for may be zero. */
#define MAILSRV_ROW_FLAGS 1u
#define MAILSRV_ROW_MODSEQ 2u
#define MAILSRV_ROW_OCTETS 4u
#define MAILSRV_ROW_INTERNALDATE 8u
#define MAILSRV_ROW_EMAILID 16u /* email, and uidl where there is one */
#define MAILSRV_ROW_KEYWORDS 32u
#define MAILSRV_ROW_SAVEDATE 64u
#define MAILSRV_ROW_STRUCTURE 128u /* structure and prefix_octets, in ROWS alone; copies have that of their original */

/* A page of ROWS ends where its structures would be more octets than this; it holds one row, however large. */
#define MAILSRV_ROWS_STRUCTURE_MAX 65536u

/* A ready-made store.  One object may serve several engines; its own header says from which threads. */
typedef struct mailsrv_store mailsrv_store;

/* Makes `store` answer every kind that it knows, for `engine`, by mailsrv_engine_serve: before the engine's first
 * session.  Kinds bound afterwards to another handler are that handler's.  The store outlives the engine.
 * MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_store_bind(mailsrv_store *store, mailsrv_engine *engine);

/* A mailbox has been changed from outside of this engine: by another engine, another process, or the store by itself.
 * Zero is that of the notice CHANGED: any.  There is none for an account's names: an engine holds nothing of them, each
 * LIST asks.
 * A poke, no more: what the engine holds of it is brought up to date by asking CHANGES.  `modseq_hint` is the highest
 * that is known of; what is at it already asks nothing; 0: not known.  MAILSRV_OK or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_notify(mailsrv_engine *engine, const mailsrv_id *mailbox, uint64_t modseq_hint);

/* Ends a store; no engine that it is bound to may live.  NULL is fine. */
MAILSRV_API void mailsrv_store_free(mailsrv_store *store);

/* For who makes a store that others bind: it begins with this struct, which begins with its size. */
struct mailsrv_store {
    uint32_t size;
    uint32_t reserved;
    int32_t (*bind)(mailsrv_store *store, mailsrv_engine *engine);
    void (*end)(mailsrv_store *store);
};

#ifdef __cplusplus
}
#endif

#endif
