/* mailsrv/stores/memory.h - a store that keeps everything in memory, with knobs that make it behave badly.
 *
 * It answers the kinds of the tiers Receive, POP3 and IMAP, those of the queue, and AUTH_EXTERNAL, where the name that
 * the host knows is an account's.  A body is kept once, however many targets it was committed to.  Nothing outlives the
 * process: for tests, for programs that read what arrived themselves, and as the example of a whole store.
 *
 * The store is a mailsrv_store: bind it with mailsrv_store_bind, free it with mailsrv_store_free after its engines.
 * When an engine ends, every handle that was given to it is closed, locks included.
 *
 * Threads: one at a time for the store and all engines that it is bound to.
 */
#ifndef MAILSRV_STORES_MEMORY_H
#define MAILSRV_STORES_MEMORY_H

#include <mailsrv/auth.h>
#include <mailsrv/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `allocator` NULL: malloc.  It is copied, and its `user` outlives the store.  MAILSRV_OK, MAILSRV_NOMEM, or
 * MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_memory_new(const mailsrv_allocator *allocator, mailsrv_store **out);

/* Adds an account with an empty INBOX; `name` is what the user logs in with, as it stands.  The password is compared in
 * constant time and wiped when the store is freed.  MAILSRV_OK, MAILSRV_NOMEM, MAILSRV_ALREADYEXISTS, or
 * MAILSRV_E_USAGE: an empty name. */
MAILSRV_API int32_t mailsrv_memory_add_account(mailsrv_store *store, const char *name, size_t n, const char *password,
                                               size_t n_password, mailsrv_id *out);

/* Gives an account keys for SCRAM with MAILSRV_HASH_SHA1 or MAILSRV_HASH_SHA256, as mailsrv_scram_keys makes them;
 * `record->account` is not looked at.  Before bind, which serves AUTH_SCRAM_KEYS only where an account has some.
 * MAILSRV_OK, MAILSRV_NONEXISTENT, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_memory_set_scram(mailsrv_store *store, const mailsrv_id *account, int32_t hash,
                                             const mailsrv_scram_record *record);

/* Adds an address (`pat@here.test`; `postmaster` for the one without a domain; a local part that needs quotes is given
 * without them) that leads to the INBOXes of `accounts`, or, with none, to the queue.  Both its parts are compared
 * without case.  An account's name is no address by itself.
 * MAILSRV_OK, MAILSRV_NOMEM, MAILSRV_ALREADYEXISTS, MAILSRV_NONEXISTENT: no such account, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_memory_add_address(mailsrv_store *store, const char *address, size_t n,
                                               const mailsrv_id *accounts, size_t n_accounts);

/* Has mail for an address, which is there or is added, forwarded to another one, beside where it goes already;
 * `owner` not NULL: as a list whose owner that is (MAILSRV_TO_LIST).  MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_memory_add_forward(mailsrv_store *store, const char *address, size_t n, const char *to,
                                               size_t n_to, const char *owner, size_t n_owner);

/* The account of that name.  MAILSRV_OK or MAILSRV_NONEXISTENT. */
MAILSRV_API int32_t mailsrv_memory_find_account(mailsrv_store *store, const char *name, size_t n, mailsrv_id *out);

/* ---- Knobs ---- */

/* Features that BODY_BEGIN answers, and COMMIT goes by: 1 (default) or 0. */
#define MAILSRV_MEMORY_TAKES_QUEUE 1
#define MAILSRV_MEMORY_ATOMIC 2
/* 1: operations are held, and done and answered when mailsrv_memory_answer lets them go.  Default 0. */
#define MAILSRV_MEMORY_LATE 3
/* A seed: what is held is let go in a shuffled order; 0 (default): in the order of asking. */
#define MAILSRV_MEMORY_SHUFFLE 4
/* The n-th operation from now fails with FAIL_STATUS: it has no effect, but for those that give a handle back.
 * 0 (default): none. */
#define MAILSRV_MEMORY_FAIL_NTH 5
/* A status without its sign, 200 to 999; default 400, which is MAILSRV_TEMP. */
#define MAILSRV_MEMORY_FAIL_STATUS 6
/* Pages hold at most so many rows or items, and an empty one that says `more` stands before each; 0 (default): as many
 * as were asked for, within reason. */
#define MAILSRV_MEMORY_PAGE_ROWS 7
/* A READ answers at most so many octets; 0 (default): as many as lie together. */
#define MAILSRV_MEMORY_READ_OCTETS 8
/* 1 (default): READ lends the store's memory, with a release; 0: the octets are copied by the engine. */
#define MAILSRV_MEMORY_READ_LENDS 9
/* 1: the first answer to a READ of a message gives a handle; 0 (default): it does not. */
#define MAILSRV_MEMORY_READ_HANDLES 10
/* Octets of all bodies and prefixes, staged, stored and queued; more is MAILSRV_FULL.  Default 2^63. */
#define MAILSRV_MEMORY_OCTETS_MAX 11
/* Part of every id and UIDVALIDITY given from now on.  Set it to the time of day in seconds where clients come back
 * after a restart, or they take new messages for old ones.  Default 1; 1 to 2^32 - 1; before the first account. */
#define MAILSRV_MEMORY_EPOCH 12
/* Kinds that bind leaves to others, as bits: 1 << kind.  Default 0; before bind. */
#define MAILSRV_MEMORY_WITHOUT 13
/* UIDs that a mailbox remembers after they were expunged, and names that an account remembers after they were gone;
 * what was forgotten moves the horizon of CHANGES.  0: there is no history, and the horizon is always now.  Default
 * 2^64 - 1. */
#define MAILSRV_MEMORY_HISTORY 14
/* Names of keywords that a mailbox takes, at most; default MAILSRV_KEYWORDS_MAX. */
#define MAILSRV_MEMORY_KEYWORDS 15
/* Mailboxes that an account has, at most; more is MAILSRV_LIMIT.  Default 2^32 - 1. */
#define MAILSRV_MEMORY_MAILBOXES 16
/* What RESOLVE says of a domain that no address has: 0 (default): MAILSRV_NOPERM; 1: mail for it goes to the queue,
 * whoever asks. */
#define MAILSRV_MEMORY_RELAY 17
/* 1: no mailbox takes mail that needs SMTPUTF8; 0 (default): all do. */
#define MAILSRV_MEMORY_ASCII 18
/* 0: mailboxes say MAILSRV_MBOX_NOMODSEQ; 1 (default): they do not. */
#define MAILSRV_MEMORY_MODSEQS 19

/* MAILSRV_OK, MAILSRV_E_UNKNOWN_KEY, MAILSRV_E_VALUE, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_memory_set_u64(mailsrv_store *store, int32_t key, uint64_t value);

/* Of an account: octets that its mailboxes may hold; more is MAILSRV_OVERQUOTA.  Default 2^63. */
#define MAILSRV_MEMORY_QUOTA 40
/* Of an account: what RESOLVE says; a COMMIT with `atomic` over several shards is refused.  Default 0. */
#define MAILSRV_MEMORY_SHARD 41
/* Of a mailbox, whose id stands for the account's, which means its INBOX: UIDNEXT, to see what happens at its end: not
 * below what it is, and below 2^32. */
#define MAILSRV_MEMORY_UIDNEXT 42
/* Of a mailbox, as well: MAILSRV_RIGHT_... that its account has; what is not among them is refused.  Default all. */
#define MAILSRV_MEMORY_RIGHTS 43

/* As mailsrv_memory_set_u64; MAILSRV_NONEXISTENT: no such account or mailbox. */
MAILSRV_API int32_t mailsrv_memory_account_u64(mailsrv_store *store, const mailsrv_id *account, int32_t key,
                                               uint64_t value);

/* The key of a knob by its name in lower case ("read_octets"), NUL-ended; 0: there is none.  Any thread. */
MAILSRV_API int32_t mailsrv_memory_key(const char *name);

/* Lets at most `n` held operations go and returns how many went.  For an engine's own thread; not inside a handler. */
MAILSRV_API size_t mailsrv_memory_answer(mailsrv_store *store, size_t n);

/* Keys of mailsrv_memory_stat. */
#define MAILSRV_MEMORY_STAT_BODIES 1        /* handles of staged bodies, open now */
#define MAILSRV_MEMORY_STAT_STORES 2        /* of stores */
#define MAILSRV_MEMORY_STAT_MAILBOXES 3     /* of mailboxes */
#define MAILSRV_MEMORY_STAT_LOCKS 4         /* of locks */
#define MAILSRV_MEMORY_STAT_READS 5         /* of readings */
#define MAILSRV_MEMORY_STAT_LENT 6          /* answers whose bytes were not yet released */
#define MAILSRV_MEMORY_STAT_HELD 7          /* operations held now */
#define MAILSRV_MEMORY_STAT_ANSWERED 8      /* operations answered, ever */
#define MAILSRV_MEMORY_STAT_MESSAGES 9      /* in all mailboxes now */
#define MAILSRV_MEMORY_STAT_QUEUED 10       /* items in the queue now */
#define MAILSRV_MEMORY_STAT_OCTETS 11       /* of all bodies and prefixes */
#define MAILSRV_MEMORY_STAT_ALLOCATED 12    /* octets taken from the allocator and not given back */
/* An unknown key is 0. */
MAILSRV_API uint64_t mailsrv_memory_stat(const mailsrv_store *store, int32_t key);

/* ---- For hosts that hand operations over themselves ---- */

/* Answers `op` as the bound store would; `user` is the store, which must be bound to this engine.  A mailsrv_handler:
 * for a host that pulls, or that looks at operations before it passes them on. */
MAILSRV_API void mailsrv_memory_handle(void *user, mailsrv_engine *engine, const mailsrv_op *op);

/* ---- Without an engine ----
 *
 * Engines are not told of what is changed so: mailsrv_notify does that.  `where` is a mailbox, or an account, which
 * means its INBOX. */

/* Adds a mailbox with MAILSRV_NAME_... attributes.  MAILSRV_OK, MAILSRV_NOMEM, MAILSRV_ALREADYEXISTS, MAILSRV_LIMIT,
 * MAILSRV_NONEXISTENT: no such account, or MAILSRV_E_USAGE: that is no name. */
MAILSRV_API int32_t mailsrv_memory_add_mailbox(mailsrv_store *store, const mailsrv_id *account, const char *name,
                                               size_t n, uint32_t attributes, mailsrv_id *out);

/* The mailbox of that name.  MAILSRV_OK or MAILSRV_NONEXISTENT. */
MAILSRV_API int32_t mailsrv_memory_find_mailbox(mailsrv_store *store, const mailsrv_id *account, const char *name,
                                                size_t n, mailsrv_id *out);

/* Removes it with its messages, as MBOX_DELETE does.  MAILSRV_OK; MAILSRV_NONEXISTENT; MAILSRV_CANNOT: INBOX;
 * MAILSRV_NOPERM. */
MAILSRV_API int32_t mailsrv_memory_remove_mailbox(mailsrv_store *store, const mailsrv_id *mailbox);

/* Puts a message there.  MAILSRV_OK, MAILSRV_NOMEM, MAILSRV_FULL, MAILSRV_OVERQUOTA, or MAILSRV_NONEXISTENT. */
MAILSRV_API int32_t mailsrv_memory_append(mailsrv_store *store, const mailsrv_id *where, const void *p, size_t n);

/* Changes flags, `how` being MAILSRV_FLAGS_...; UIDs that are not there are no error.  MAILSRV_OK, MAILSRV_NOMEM, or
 * MAILSRV_NONEXISTENT: no such mailbox. */
MAILSRV_API int32_t mailsrv_memory_flag(mailsrv_store *store, const mailsrv_id *where, mailsrv_run uids, int32_t how,
                                        uint32_t flags);

/* Removes messages; UIDs that are not there are no error.  MAILSRV_OK or MAILSRV_NONEXISTENT: no such mailbox. */
MAILSRV_API int32_t mailsrv_memory_expunge(mailsrv_store *store, const mailsrv_id *where, mailsrv_run uids);

/* Messages there now; 0 also where there is no such mailbox. */
MAILSRV_API uint64_t mailsrv_memory_count(const mailsrv_store *store, const mailsrv_id *where);

/* The row of the `index`-th message, from 0; filled in whole.  MAILSRV_OK or MAILSRV_NONEXISTENT. */
MAILSRV_API int32_t mailsrv_memory_row(mailsrv_store *store, const mailsrv_id *where, uint64_t index,
                                       mailsrv_row *out);

/* The octets of that message from `offset` on, as many as lie together: at its end none.  Borrowed until the message
 * is expunged.  MAILSRV_OK or MAILSRV_NONEXISTENT. */
MAILSRV_API int32_t mailsrv_memory_message(mailsrv_store *store, const mailsrv_id *where, uint64_t index,
                                           uint64_t offset, mailsrv_bytes *out);

/* The `index`-th item of the queue, from 0; borrowed until it is updated or deleted.  MAILSRV_OK or
 * MAILSRV_NONEXISTENT. */
MAILSRV_API int32_t mailsrv_memory_queue_item(mailsrv_store *store, uint64_t index, mailsrv_queue_item *out);

/* As mailsrv_memory_message, for the `index`-th item of the queue; borrowed until that is deleted. */
MAILSRV_API int32_t mailsrv_memory_queue_message(mailsrv_store *store, uint64_t index, uint64_t offset,
                                                 mailsrv_bytes *out);

#ifdef __cplusplus
}
#endif

#endif
