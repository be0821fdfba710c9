/* mailsrv/op.h - operations: all that the library needs from outside, and how they are answered.
 *
 * Each operation that the host has taken (by a handler, or by mailsrv_engine_next_op) is answered exactly once, by
 * mailsrv_op_answer: now, later, in any order; also when nobody waits for it any more.  One that was not yet taken may
 * vanish silently.  The record and every byte its argument points to belong to the operation, never change, and live
 * until the answer; secrets in them are wiped then.
 *
 * The engine keeps order, handlers need not: of one body, and of one session's writes, one operation is out at a time.
 * What a COMMIT, EXPUNGE, FLAGS, COPY or a change of mailboxes answered is seen by every later operation of every
 * engine.
 *
 * A notice is an operation with id 0: nothing is owed, and it lives until the next mailsrv_engine_next_op or the
 * handler's return.
 *
 * A peer is not kept waiting for ever: an operation that outlasts the profile's patience is answered to him as if it
 * were MAILSRV_TEMP.  It is still owed its answer, and still charged to the engine.
 *
 * Threads: as the engine.  A handler that answers from another thread posts a letter (engine.h).
 */
#ifndef MAILSRV_OP_H
#define MAILSRV_OP_H

#include <mailsrv/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t mailsrv_op_id; /* never reused; 0 is a notice */

/* A question.  It lives until it is answered; a notice as long as is said above. */
typedef struct mailsrv_op {
    uint32_t size;
    int32_t kind; /* MAILSRV_OP_... */
    mailsrv_op_id id;
    uint64_t session_id; /* whose it is; 0: no session's */
    mailsrv_id account;  /* whose mail it concerns; zero where none is known yet */
    void *host;          /* the host's own pointer of that session, never read; NULL: no session's */
    const void *arg;     /* the struct that the kind names */
} mailsrv_op;

/* An answer is data.  With `release` NULL everything that `value` points to is copied before mailsrv_op_answer
 * returns; else it is lent, and `release(user)` is called exactly once, at any time until the engine is freed. */
typedef struct mailsrv_answer {
    uint32_t size;
    int32_t status;     /* MAILSRV_OK, or MAILSRV_NOMEM, or a status of the classes -4xx and -5xx; any other is TEMP */
    mailsrv_bytes text; /* for the peer, where the protocol has room: at most 200 printable octets; copied; optional */
    const void *value;  /* the struct that the kind names; NULL where it names none or status is not MAILSRV_OK */
    void (*release)(void *user);
    void *user;
} mailsrv_answer;

/* A place in an answer of many pages. */
typedef struct mailsrv_cursor {
    uint8_t b[32]; /* opaque to the library; all zero: from the start */
} mailsrv_cursor;

/* Settles an operation.  Runs no protocol code: what follows from it comes with the next run or turn.
 *
 * MAILSRV_OK: settled (where lent rows had to be copied and there was no memory, it is settled as MAILSRV_NOMEM).
 * MAILSRV_E_STALE: it was settled before; `release` has been called.
 * MAILSRV_E_USAGE: no such operation was ever taken, or a struct is too small, or a value is missing: nothing happened
 * and it is still open. */
MAILSRV_API int32_t mailsrv_op_answer(mailsrv_engine *engine, mailsrv_op_id id, const mailsrv_answer *answer);

/* The same without a value: for refusals, and for the kinds that have none.  Results as mailsrv_op_answer. */
MAILSRV_API int32_t mailsrv_op_answer_status(mailsrv_engine *engine, mailsrv_op_id id, int32_t status);

/* The name of a kind ("BODY_WRITE"), NUL-ended and static; "unknown" for any other number.  Any thread. */
MAILSRV_API const char *mailsrv_op_name(int32_t kind);

/* ---- Kinds.  Tier "Receive". ---- */
#define MAILSRV_OP_RESOLVE 1
#define MAILSRV_OP_BODY_BEGIN 2
#define MAILSRV_OP_BODY_WRITE 3
#define MAILSRV_OP_BODY_COMMIT 4
#define MAILSRV_OP_BODY_CLOSE 5
/* Tier "POP3" adds these. */
#define MAILSRV_OP_AUTH_VERIFY 10
#define MAILSRV_OP_AUTH_SCRAM_KEYS 11 /* auth.h */
#define MAILSRV_OP_STORE_OPEN 12
#define MAILSRV_OP_STORE_CLOSE 13
#define MAILSRV_OP_MBOX_OPEN 14
#define MAILSRV_OP_MBOX_CLOSE 15
#define MAILSRV_OP_ROWS 16
#define MAILSRV_OP_READ 17
#define MAILSRV_OP_READ_CLOSE 18
#define MAILSRV_OP_EXPUNGE 19
#define MAILSRV_OP_LOCK 20
#define MAILSRV_OP_UNLOCK 21
/* Tier "IMAP" adds these. */
#define MAILSRV_OP_CHANGES 22
#define MAILSRV_OP_FLAGS 23
#define MAILSRV_OP_COPY 24
#define MAILSRV_OP_MBOX_LIST 25
#define MAILSRV_OP_MBOX_STATUS 26
#define MAILSRV_OP_MBOX_CREATE 27
#define MAILSRV_OP_MBOX_DELETE 28
#define MAILSRV_OP_MBOX_RENAME 29
#define MAILSRV_OP_MBOX_SUBSCRIBE 30
/* Logins without a password. */
#define MAILSRV_OP_AUTH_EXTERNAL 31 /* auth.h */
/* IMAP's MOVE at once; without it COPY and EXPUNGE do it. */
#define MAILSRV_OP_MOVE 33
/* The host's own rules for mail, in policy.h. */
#define MAILSRV_OP_POLICY 37
/* The queue. */
#define MAILSRV_OP_QUEUE_SCAN 40
#define MAILSRV_OP_QUEUE_UPDATE 41
#define MAILSRV_OP_QUEUE_DELETE 42
/* What the queue needs of the world, in queue.h. */
#define MAILSRV_OP_ROUTE 43
#define MAILSRV_OP_DNS 44
#define MAILSRV_OP_CONNECT 45
#define MAILSRV_OP_CREDENTIAL 46
#define MAILSRV_OP_RETRY 47
/* Work for another thread. */
#define MAILSRV_OP_JOB 50
/* Notices. */
#define MAILSRV_NOTICE_CANCEL 60
#define MAILSRV_NOTICE_CHANGED 61

/* ---- RESOLVE: where does mail for this address go? ----
 *
 * Answer: MAILSRV_OK with a mailsrv_resolved; MAILSRV_NONEXISTENT: no such recipient here; MAILSRV_NOPERM: the domain
 * is not ours, and this peer may not have mail for it relayed; or any other.  Not served: every recipient is refused.
 *
 * With MAILSRV_RESOLVE_SENDER it is about a sender: may `submitter` send mail as this address?  He may where mail for
 * the address goes to a mailbox of his, among others: the same answer as for a recipient says so.  Any other answer
 * refuses the sender. */
#define MAILSRV_RESOLVE_SENDER 1u /* the address is that of a sender, of the envelope or of the field From */
#define MAILSRV_RESOLVE_RELAY 2u  /* the peer may have mail relayed: he has logged in, or a RELAY_OK said so */
#define MAILSRV_RESOLVE_UTF8 4u   /* the message may need SMTPUTF8 (RFC 6531) on its way */

typedef struct mailsrv_arg_resolve {
    uint32_t size;
    uint32_t flags; /* MAILSRV_RESOLVE_... */
    mailsrv_bytes address;      /* as it was sent, quotes included, without <>: "odd user"@remote.test */
    mailsrv_bytes local_part;   /* unquoted */
    mailsrv_bytes domain;       /* as it was sent; empty for <postmaster>; a literal with its [] */
    mailsrv_bytes reverse_path; /* of the sender, without <>; empty: the null reverse-path */
    mailsrv_bytes user;   /* the local part, unquoted, up to the profile's delimiter of details; else all of it */
    mailsrv_bytes detail; /* what stands behind the delimiter; empty: nothing */
    mailsrv_id submitter; /* the account that the peer has logged in to; zero: he has not */
} mailsrv_arg_resolve;

#define MAILSRV_TARGET_MAILBOX 1
#define MAILSRV_TARGET_QUEUE 2

/* QUEUE: the address is ours and its owner has mail forwarded.  A destination QUEUE without it is relaying, and refused
 * to a peer of MAILSRV_FACE_MX who may not (MAILSRV_RESOLVE_RELAY). */
#define MAILSRV_TO_FORWARD 1u
#define MAILSRV_TO_ASCII 2u /* no message that needs SMTPUTF8 can be delivered there */
/* QUEUE, with FORWARD: the address is that of a list: `reverse_path`, its owner's, takes the place of the sender's (RFC
 * 5321 section 3.9.2), and the message has been delivered when the list has it (RFC 3461 section 5.2.7.1). */
#define MAILSRV_TO_LIST 4u

/* One place that mail for an address goes to. */
typedef struct mailsrv_destination {
    int32_t kind;   /* MAILSRV_TARGET_... */
    uint32_t flags; /* MAILSRV_TO_... */
    mailsrv_id account; /* MAILBOX */
    mailsrv_id mailbox; /* MAILBOX; zero: the account's INBOX */
    mailsrv_bytes address;      /* FORWARD: where it is forwarded to, without <>; empty: the recipient's own */
    mailsrv_bytes reverse_path; /* LIST: without <>; empty: the null reverse-path */
} mailsrv_destination;

typedef struct mailsrv_resolved {
    uint32_t size;
    uint32_t shard; /* destinations of one shard can be committed together, all or nothing */
    uint32_t n;     /* at least 1; above 64 the recipient becomes one QUEUE target */
    uint32_t stride;
    const mailsrv_destination *destinations;
} mailsrv_resolved;

/* ---- BODY_BEGIN: stages a body.  Answer: mailsrv_body_begun. ---- */
typedef struct mailsrv_arg_body_begin {
    uint32_t size;
    uint32_t reserved;
    uint64_t octets_hint; /* what the peer said; 0: nothing */
} mailsrv_arg_body_begin;

#define MAILSRV_BODY_TAKES_QUEUE 1u /* QUEUE targets can be committed beside mailboxes */
#define MAILSRV_BODY_ATOMIC 2u      /* a COMMIT with `atomic` is all or nothing */

typedef struct mailsrv_body_begun {
    uint32_t size;
    uint32_t features; /* MAILSRV_BODY_... */
    uint64_t body;     /* a handle, not 0; closed once by BODY_CLOSE, whatever else happens */
} mailsrv_body_begun;

/* ---- BODY_WRITE: the next octets, in order, without gaps.  No value. ---- */
typedef struct mailsrv_arg_body_write {
    uint32_t size;
    uint32_t reserved;
    uint64_t body;
    uint64_t offset;
    mailsrv_bytes octets; /* 1 or more */
} mailsrv_arg_body_write;

/* ---- BODY_COMMIT: gives staged bodies to targets, durably.  Answer: mailsrv_committed.
 *
 * Status MAILSRV_OK means that the results count; anything else holds for every target.  A body may be committed again
 * until it is closed.  Success is answered when what is stored survives a power cut, or as much as the store promises. */
typedef struct mailsrv_staged {
    uint32_t size;
    uint32_t reserved;
    uint64_t body;
    uint64_t octets; /* all that was written */
    mailsrv_bytes structure; /* of the body (message.h), kept with it for MAILSRV_ROW_STRUCTURE; empty: none was made */
} mailsrv_staged;

typedef struct mailsrv_target {
    uint32_t size;
    int32_t kind;        /* MAILSRV_TARGET_... */
    uint32_t body_index; /* of `bodies` */
    uint32_t flags;      /* MAILSRV_FLAG_... (store.h) */
    mailsrv_id account;  /* MAILBOX */
    mailsrv_id mailbox;  /* MAILBOX; zero: the account's INBOX */
    int64_t internal_us; /* the date of arrival, in microseconds since 1970 */
    mailsrv_bytes prefix;    /* header fields that stand before the body in this target */
    mailsrv_bytes recipient; /* the address that led here, as mailsrv_arg_resolve had it; empty: none did */
    mailsrv_bytes record;    /* QUEUE: kept with the item, opaque */
    const mailsrv_bytes *keywords; /* names */
    size_t n_keywords;
    uint32_t uid;       /* for import: at least UIDNEXT; 0: assign */
    uint32_t reserved;
    mailsrv_bytes uidl; /* for import; empty: none */
    int64_t due_us;     /* QUEUE: when it is to be looked at, in microseconds since 1970; INT64_MAX: not by itself */
    mailsrv_bytes lane; /* QUEUE: what its way out is called, 255 octets at most */
} mailsrv_target;

typedef struct mailsrv_arg_body_commit {
    uint32_t size;
    uint32_t atomic; /* 1: all targets or none */
    uint32_t n_bodies;
    uint32_t body_stride;
    uint32_t n_targets;
    uint32_t target_stride;
    const mailsrv_staged *bodies;
    const mailsrv_target *targets;
    mailsrv_bytes reverse_path; /* of the sender, without <>; empty: the null reverse-path */
    int64_t saved_us;           /* now, in microseconds since 1970: the date of saving of what is stored */
} mailsrv_arg_body_commit;

typedef struct mailsrv_result {
    int32_t status; /* as mailsrv_answer.status */
    uint32_t uidvalidity;
    uint32_t uid;
    uint32_t reserved;
    uint64_t modseq;
    uint64_t queue;     /* QUEUE: the item's number */
    mailsrv_id email;   /* MAILBOX: a new one for each target */
    mailsrv_bytes text; /* as mailsrv_answer.text; all together are cut to 64 octets for each target */
} mailsrv_result;

typedef struct mailsrv_committed {
    uint32_t size;
    uint32_t n; /* results, in the order of the targets; one that is missing is TEMP */
    uint32_t stride;
    uint32_t reserved;
    const mailsrv_result *results;
} mailsrv_committed;

/* ---- BODY_CLOSE, READ_CLOSE, MBOX_CLOSE, UNLOCK, STORE_CLOSE: gives a handle back.  No value; the status of the
 * answer is not looked at.  A body that was not committed is discarded. ---- */
typedef struct mailsrv_arg_close {
    uint32_t size;
    uint32_t told; /* MBOX_CLOSE: the highest UID that the session was told of; 0: none */
    uint64_t handle;
} mailsrv_arg_close;

/* ---- AUTH_VERIFY: is this the password of this user?
 *
 * Answer: MAILSRV_OK with a mailsrv_identity; MAILSRV_DENIED, the credentials are wrong, also where there is no such
 * user; MAILSRV_TEMP, nobody can say now.  It should take as long for a user who does not exist as for a wrong password:
 * what the peer is told is the same.  Not served: no login with a password is offered.
 *
 * Name and password are as they were sent; from the mechanism PLAIN they are UTF-8 without NUL (RFC 4616). ---- */
typedef struct mailsrv_arg_auth_verify {
    uint32_t size;
    uint32_t secured; /* 1: nobody on the way can read along */
    mailsrv_bytes user;
    mailsrv_bytes password;  /* wiped when the operation is settled */
    mailsrv_bytes identity;  /* whom the user wants to act as, and is not himself; empty: himself (RFC 4422 section 3.4.1) */
    mailsrv_bytes mechanism; /* "PLAIN", "LOGIN"; "USER": POP3's USER and PASS */
    mailsrv_bytes service;   /* "smtp", "lmtp", "pop", "imap" */
    mailsrv_bytes peer;      /* his address: 4 or 16 octets in network order; empty: not an internet address */
} mailsrv_arg_auth_verify;

typedef struct mailsrv_identity {
    uint32_t size;
    uint32_t acts_as;   /* 1: `account` is that of `identity` in the question.  Where one was asked for, 0 is DENIED: a
                         * handler that does not know of it lets nobody in as somebody else */
    mailsrv_id account;
} mailsrv_identity;

/* ---- STORE_OPEN: the store of the operation's account.  Answer: mailsrv_store_opened. ---- */
typedef struct mailsrv_arg_store_open {
    uint32_t size;
    uint32_t reserved;
} mailsrv_arg_store_open;

typedef struct mailsrv_store_opened {
    uint32_t size;
    uint32_t features; /* none yet; 0 */
    uint64_t store;    /* a handle, not 0; closed once by STORE_CLOSE */
} mailsrv_store_opened;

/* ---- LOCK: the account's POP3 lock (RFC 1939 section 3), in memory, gone with the process.  It keeps out other LOCKs
 * only.  Answer: mailsrv_locked, or MAILSRV_INUSE.  Not served: nothing is locked. ---- */
typedef struct mailsrv_arg_lock {
    uint32_t size;
    uint32_t reserved;
    uint64_t store;
} mailsrv_arg_lock;

typedef struct mailsrv_locked {
    uint32_t size;
    uint32_t reserved;
    uint64_t lock; /* a handle, not 0; closed once by UNLOCK */
} mailsrv_locked;

/* Names of keywords that a mailbox has at most. */
#define MAILSRV_KEYWORDS_MAX 128

/* What a mailbox can do. */
#define MAILSRV_MBOX_HISTORY 1u  /* CHANGES tells what vanished; else its horizon is always now */
#define MAILSRV_MBOX_KEYWORDS 2u /* FLAGS takes keywords */
#define MAILSRV_MBOX_NOMODSEQ 4u /* modseqs do not outlive the process: peers are not told of them */

/* What the account may do with a mailbox (RFC 4314 section 2.1).  The store refuses what is not among it with
 * MAILSRV_NOPERM; who announces it knows it from here. */
#define MAILSRV_RIGHT_LOOKUP 1u      /* l */
#define MAILSRV_RIGHT_READ 2u        /* r */
#define MAILSRV_RIGHT_SEEN 4u        /* s */
#define MAILSRV_RIGHT_WRITE 8u       /* w: flags but \Seen and \Deleted */
#define MAILSRV_RIGHT_INSERT 16u     /* i */
#define MAILSRV_RIGHT_POST 32u       /* p */
#define MAILSRV_RIGHT_CREATE 64u     /* k */
#define MAILSRV_RIGHT_DELETE_BOX 128u /* x */
#define MAILSRV_RIGHT_DELETE 256u    /* t: the flag \Deleted */
#define MAILSRV_RIGHT_EXPUNGE 512u   /* e */
#define MAILSRV_RIGHT_ADMIN 1024u    /* a */
#define MAILSRV_RIGHTS_ALL 2047u

/* ---- MBOX_OPEN: a mailbox, by id or by name.  Answer: mailsrv_mbox_opened.
 *
 * `recent` is a mark for each mailbox: messages above it were shown to no session yet.  Opening for writing answers it
 * and moves it to the end; MBOX_CLOSE moves it to `told`, unless it is there already; opening to look only reads it.
 * It may be kept in memory alone, and be lost in a crash. ---- */
typedef struct mailsrv_arg_mbox_open {
    uint32_t size;
    uint32_t for_writing; /* 1: messages will be expunged or their flags changed */
    uint64_t store;
    mailsrv_id mailbox; /* zero: by name */
    mailsrv_bytes name; /* "INBOX", in any case, is there from the account's first use on */
} mailsrv_arg_mbox_open;

typedef struct mailsrv_mbox_opened {
    uint32_t size;
    uint32_t uidvalidity;
    uint64_t mbox; /* a handle, not 0; closed once by MBOX_CLOSE */
    mailsrv_id mailbox;
    uint64_t exists; /* messages now: a hint for memory */
    uint64_t modseq; /* everything up to it is visible */
    uint32_t uidnext;
    uint32_t recent;     /* a UID; 0: no message was shown yet */
    uint32_t features;   /* MAILSRV_MBOX_... */
    uint32_t n_keywords; /* MAILSRV_KEYWORDS_MAX at most */
    const mailsrv_bytes *keywords; /* the dictionary: the i-th name is bit i of a row's keywords */
    uint32_t rights;     /* MAILSRV_RIGHT_... */
    uint32_t reserved;
} mailsrv_mbox_opened;

/* ---- The account's mailboxes.
 *
 * A name is UTF-8, 1 to 255 octets without controls, its levels divided by "/"; no level is empty.  "INBOX" is compared
 * without case, also as the first level; every other name octet by octet.  What is no name cannot be made, renamed to
 * or subscribed: MAILSRV_CANNOT.  A mailbox needs none above it.  An id is never given to another mailbox, and stays
 * through RENAME.
 *
 * UIDVALIDITY of a new mailbox is above every one that the account has given.  The account remembers for each name the
 * highest that it bore: a mailbox that is renamed to a name that bore its own or a higher one gets a new one. ---- */

#define MAILSRV_MBOX_NAME_MAX 255 /* octets of a name */

/* What an entry of a name says. */
#define MAILSRV_NAME_SUBSCRIBED 1u
#define MAILSRV_NAME_ALL 2u /* the special uses of RFC 6154 section 2 */
#define MAILSRV_NAME_ARCHIVE 4u
#define MAILSRV_NAME_DRAFTS 8u
#define MAILSRV_NAME_FLAGGED 16u
#define MAILSRV_NAME_JUNK 32u
#define MAILSRV_NAME_SENT 64u
#define MAILSRV_NAME_TRASH 128u

/* A name, and what is there now. */
typedef struct mailsrv_mbox_entry {
    mailsrv_bytes name;
    mailsrv_id mailbox;  /* zero: no mailbox has this name */
    uint64_t modseq;     /* of the account, when this entry last changed */
    uint32_t attributes; /* MAILSRV_NAME_...; a name without a mailbox may be subscribed */
    uint32_t reserved;
} mailsrv_mbox_entry;

/* MBOX_LIST: every name that has a mailbox or is subscribed, ascending by octets, in pages.  Answer:
 * mailsrv_mbox_listed. */
typedef struct mailsrv_arg_mbox_list {
    uint32_t size;
    uint32_t limit; /* entries, at most */
    uint64_t store;
    mailsrv_cursor cursor;
} mailsrv_arg_mbox_list;

typedef struct mailsrv_mbox_listed {
    uint32_t size;
    uint32_t stride;
    uint32_t n;
    uint32_t more; /* 1: ask again with `next`.  A page may hold nothing and still say so. */
    mailsrv_cursor next;
    const mailsrv_mbox_entry *entries;
} mailsrv_mbox_listed;

/* MBOX_STATUS: a mailbox, by id or by name, without opening it.  Answer: mailsrv_mbox_status; MAILSRV_NONEXISTENT. */
typedef struct mailsrv_arg_mbox_status {
    uint32_t size;
    uint32_t reserved;
    uint64_t store;
    mailsrv_id mailbox; /* zero: by name */
    mailsrv_bytes name;
} mailsrv_arg_mbox_status;

typedef struct mailsrv_mbox_status {
    uint32_t size;
    uint32_t uidvalidity;
    mailsrv_id mailbox;
    uint64_t exists;
    uint64_t unseen;  /* without \Seen */
    uint64_t deleted; /* with \Deleted */
    uint64_t octets;  /* of all messages */
    uint64_t modseq;  /* everything up to it is visible */
    uint32_t uidnext;
    uint32_t recent;   /* the mark, as mailsrv_mbox_opened has it; it is not moved */
    uint32_t features; /* MAILSRV_MBOX_... */
    uint32_t rights;   /* MAILSRV_RIGHT_... */
} mailsrv_mbox_status;

/* MBOX_CREATE: makes a mailbox, durably.  Answer: mailsrv_mbox_created; MAILSRV_ALREADYEXISTS; MAILSRV_LIMIT.
 *
 * With a `uidvalidity` it is imported, and has the one that it had elsewhere, so that clients that moved with it fetch
 * nothing anew; MAILSRV_ALREADYEXISTS also where its name bore that one or a higher one here.  INBOX is imported so while
 * it has never held a message: it keeps its id. */
typedef struct mailsrv_arg_mbox_create {
    uint32_t size;
    uint32_t attributes; /* special uses; MAILSRV_NAME_SUBSCRIBED: subscribes as well */
    uint64_t store;
    mailsrv_bytes name;
    int64_t unix_us; /* now: UIDVALIDITY is at least its seconds */
    uint32_t uidvalidity; /* for import; 0: a new one */
    uint32_t reserved;
} mailsrv_arg_mbox_create;

typedef struct mailsrv_mbox_created {
    uint32_t size;
    uint32_t uidvalidity;
    mailsrv_id mailbox;
    uint64_t modseq; /* of the account */
} mailsrv_mbox_created;

/* MBOX_DELETE: removes a mailbox with its messages, durably.  No value; MAILSRV_NONEXISTENT; MAILSRV_CANNOT: INBOX.  The
 * name's subscription stays, and so do mailboxes below it. */
typedef struct mailsrv_arg_mbox_delete {
    uint32_t size;
    uint32_t reserved;
    uint64_t store;
    mailsrv_id mailbox;
} mailsrv_arg_mbox_delete;

/* MBOX_RENAME: gives a mailbox another name, and every name that lies below its own with it, durably and at once.  No
 * value; MAILSRV_NONEXISTENT; MAILSRV_ALREADYEXISTS: one of the new names has a mailbox; MAILSRV_CANNOT: the new name
 * lies below the old one, or one would be too long.  Subscriptions stay with the names.  Of INBOX the messages are
 * moved into a new mailbox of that name; INBOX keeps its id and is empty, and what lies below it stays (RFC 9051
 * section 6.3.6). */
typedef struct mailsrv_arg_mbox_rename {
    uint32_t size;
    uint32_t reserved;
    uint64_t store;
    mailsrv_id mailbox;
    mailsrv_bytes name;
    int64_t unix_us; /* now, as in MBOX_CREATE */
} mailsrv_arg_mbox_rename;

/* MBOX_SUBSCRIBE: says whether a name is subscribed, durably; no mailbox needs to have it.  No value. */
typedef struct mailsrv_arg_mbox_subscribe {
    uint32_t size;
    uint32_t on; /* 1: subscribed; 0: not */
    uint64_t store;
    mailsrv_bytes name;
} mailsrv_arg_mbox_subscribe;

/* ---- ROWS: the rows of some UIDs, ascending, in pages.  Answer: mailsrv_rows.  UIDs that are not there are left
 * out. ---- */
typedef struct mailsrv_arg_rows {
    uint32_t size;
    uint32_t fields; /* MAILSRV_ROW_... (store.h): what is wanted beside the UID */
    uint64_t mbox;
    const mailsrv_run *uids;
    uint32_t n_uids;
    uint32_t limit; /* rows, at most */
    mailsrv_cursor cursor;
} mailsrv_arg_rows;

typedef struct mailsrv_row {
    uint32_t uid;
    uint32_t flags;
    uint64_t modseq;
    uint64_t octets; /* prefix and body: what READ gives */
    int64_t internal_us;
    mailsrv_id email;
    mailsrv_bytes uidl; /* imported with the message; empty: none */
    uint64_t keywords[2]; /* a bit for each name of the mailbox's dictionary: name i is bit i % 64 of word i / 64 */
    int64_t saved_us;     /* when it came into this mailbox */
    mailsrv_bytes structure; /* of the body, as its COMMIT had it; empty: it had none */
    uint64_t prefix_octets;  /* of `octets`: those that stand before the body */
} mailsrv_row;

typedef struct mailsrv_rows {
    uint32_t size;
    uint32_t stride;
    uint32_t n;
    uint32_t more; /* 1: ask again with `next`.  A page may hold no row and still say so. */
    mailsrv_cursor next;
    const mailsrv_row *rows;
} mailsrv_rows;

/* ---- READ: a range of a message, of a staged body, or of an item of the queue (its prefix and then the body).  Answer:
 * mailsrv_read_bytes: 1 octet or more of what was asked; at the end of the message none.  MAILSRV_GONE: it was
 * expunged. ---- */
typedef struct mailsrv_arg_read {
    uint32_t size;
    uint32_t uid;    /* with `mbox` */
    uint64_t mbox;   /* 0: a staged body, or an item of the queue */
    uint64_t body;   /* with `mbox` 0 */
    uint64_t handle; /* of the first answer; 0 in the first question and where that gave none */
    uint64_t offset;
    uint64_t octets; /* at most so many; 1 or more */
    uint64_t queue;  /* with `mbox` and `body` 0: the number of an item; MAILSRV_GONE: it was deleted */
} mailsrv_arg_read;

typedef struct mailsrv_read_bytes {
    uint32_t size;
    uint32_t reserved;
    uint64_t handle; /* in the first answer: for the reads that follow, closed once by READ_CLOSE; 0: none */
    mailsrv_bytes octets;
} mailsrv_read_bytes;

/* ---- EXPUNGE: removes messages, durably.  Answer: mailsrv_expunged.  UIDs that are not there are no error. ---- */
typedef struct mailsrv_arg_expunge {
    uint32_t size;
    uint32_t only_deleted; /* 1: only those that have \Deleted */
    uint64_t mbox;
    const mailsrv_run *uids; /* 4,096 UIDs at most */
    uint32_t n_uids;
    uint32_t reserved;
    mailsrv_id mailbox; /* that `mbox` is of, for the notice CHANGED */
} mailsrv_arg_expunge;

typedef struct mailsrv_expunged {
    uint32_t size;
    uint32_t reserved;
    uint64_t modseq; /* of the change; 0: nothing was removed */
} mailsrv_expunged;

/* ---- CHANGES: what became of a mailbox since a modseq, in pages.  Answer: mailsrv_changes.  MAILSRV_NONEXISTENT: the
 * mailbox is gone, or has another UIDVALIDITY.
 *
 * With `mbox` 0 it is about the account's names: `entries` has each that was made, renamed, removed or subscribed in
 * between, as it is now (without a mailbox and subscription it is gone); rows and vanished UIDs are none.
 *
 * All pages of one question belong to one `upto`.  Together they hold every message that appeared or changed above
 * `since` and up to `upto`, as its row is now, and every UID that vanished in between.  A row that was changed again
 * after `upto` comes as it is, with its higher modseq; a message that appeared after `upto` waits for the next
 * question.  Applying a page twice does nothing more than applying it once.
 *
 * The store forgets what vanished long ago.  When `since` is below `horizon` the UIDs that vanished are not all there,
 * and the asker compares with ROWS instead; a store that keeps no history answers `upto` as its horizon. */
typedef struct mailsrv_arg_changes {
    uint32_t size;
    uint32_t fields; /* MAILSRV_ROW_... (store.h): what is wanted beside the UID */
    uint64_t mbox;
    uint64_t since;
    uint32_t limit;      /* rows, runs of vanished UIDs, and entries, at most of each */
    uint32_t n_keywords; /* names of the dictionary that the asker has */
    mailsrv_cursor cursor;
    uint64_t store; /* with `mbox` 0: whose names */
} mailsrv_arg_changes;

typedef struct mailsrv_changes {
    uint32_t size;
    uint32_t stride; /* of rows */
    uint32_t n;
    uint32_t more; /* 1: ask again with `next`.  A page may hold nothing and still say so. */
    mailsrv_cursor next;
    uint64_t upto;
    uint64_t horizon;
    const mailsrv_row *rows; /* their UIDs ascend, from page to page, too */
    const mailsrv_run *vanished;   /* of this page a set, whatever their order was */
    const mailsrv_bytes *keywords; /* names of the dictionary, from number arg.n_keywords on */
    uint32_t n_vanished;
    uint32_t n_keywords;
    const mailsrv_mbox_entry *entries; /* their names ascend, from page to page, too */
    uint32_t n_entries;
    uint32_t entry_stride;
} mailsrv_changes;

/* ---- FLAGS: changes flags and keywords, durably and at once.  Answer: mailsrv_flagged.  UIDs that are not there are
 * no error.  What is changed gets one modseq; a row that has the wanted flags already is not changed.  MAILSRV_LIMIT:
 * the dictionary is full, and nothing was changed. ---- */
#define MAILSRV_FLAGS_SET 0 /* those given and no others */
#define MAILSRV_FLAGS_ADD 1
#define MAILSRV_FLAGS_REMOVE 2

typedef struct mailsrv_arg_flags {
    uint32_t size;
    int32_t how; /* MAILSRV_FLAGS_... */
    uint64_t mbox;
    const mailsrv_run *uids;       /* 16,384 UIDs at most */
    const mailsrv_bytes *keywords; /* names; compared without case */
    uint32_t n_uids;
    uint32_t n_keywords;
    uint32_t flags;           /* MAILSRV_FLAG_... (store.h) */
    uint32_t reserved;
    uint64_t unchanged_since; /* rows with a higher modseq are left alone; UINT64_MAX: whatever their modseq */
    mailsrv_id mailbox;       /* that `mbox` is of, for the notice CHANGED */
} mailsrv_arg_flags;

/* Rows that were changed, and what they have now. */
typedef struct mailsrv_marked {
    mailsrv_run uids; /* each of them is there, and was changed */
    uint32_t flags;
    uint32_t reserved;
    uint64_t keywords[2]; /* as those of mailsrv_row */
} mailsrv_marked;

/* A store that says `since` and `marked` saves the question for CHANGES behind every change of flags; one that leaves
 * them 0 is asked. */
typedef struct mailsrv_flagged {
    uint32_t size;
    uint32_t n_modified;
    uint64_t modseq;             /* of the change; 0: nothing was changed */
    const mailsrv_run *modified; /* UIDs that were left alone because of unchanged_since */
    uint64_t since;              /* after this modseq nothing happened to the mailbox but this change; 0: not said */
    const mailsrv_marked *marked; /* all that were changed: UIDs ascend; none: not said */
    uint32_t n_marked;
    uint32_t stride; /* of marked */
} mailsrv_flagged;

/* ---- COPY: copies messages into a mailbox of the same account, durably, all or nothing, however many they are.
 * Answer: mailsrv_copied.  UIDs that are not there are no error.  Flags, keywords, dates and `email` come along; the
 * copies' UIDs ascend in the order of the UIDs that they were made from.  MAILSRV_NONEXISTENT: no such mailbox. ---- */
typedef struct mailsrv_arg_copy {
    uint32_t size;
    uint32_t n_uids;
    uint64_t mbox; /* from here */
    const mailsrv_run *uids;
    mailsrv_id to; /* a mailbox; zero: the account's INBOX */
    int64_t saved_us; /* now: the copies' date of saving */
    mailsrv_id mailbox; /* that `mbox` is of, for the notice CHANGED of MOVE */
} mailsrv_arg_copy;

typedef struct mailsrv_copied {
    uint32_t size;
    uint32_t uidvalidity; /* of the mailbox that has the copies */
    uint64_t modseq;      /* 0: nothing was copied */
    uint32_t n_from;
    uint32_t n_to;
    const mailsrv_run *from; /* what was there to be copied */
    const mailsrv_run *to;   /* as many UIDs */
} mailsrv_copied;

/* ---- MOVE: as COPY, and what was copied is removed from where it was, in one change: both or neither, however it ends.
 * Argument: mailsrv_arg_copy.  Answer: mailsrv_copied, its modseq that of both.  No quota is in its way.
 * MAILSRV_CANNOT: not in one change; the library does it by COPY and EXPUNGE. ---- */

/* ---- The queue.  It is served when all three kinds are, and BODY_BEGIN answers MAILSRV_BODY_TAKES_QUEUE. ---- */

/* QUEUE_SCAN: items, in pages.  Answer: mailsrv_queued.
 *
 * An item that is there all the time is on exactly one page; one that comes, goes or gets another `due_us` or `lane`
 * meanwhile may be missing. */
#define MAILSRV_QUEUE_BY_NUMBER 0u /* all of them, by number */
#define MAILSRV_QUEUE_BY_DUE 1u    /* those whose due_us is above due_min_us and at most due_max_us, by due_us, number */
#define MAILSRV_QUEUE_BY_LANE 2u   /* of those, those of `lane`, in the same order */
typedef struct mailsrv_arg_queue_scan {
    uint32_t size;
    uint32_t limit;
    mailsrv_cursor cursor;
    uint32_t order; /* MAILSRV_QUEUE_BY_... */
    uint32_t reserved;
    int64_t due_min_us;
    int64_t due_max_us;
    mailsrv_bytes lane;
} mailsrv_arg_queue_scan;

typedef struct mailsrv_queue_item {
    uint64_t queue;
    uint64_t octets;
    mailsrv_bytes record;
    int64_t due_us;
    mailsrv_bytes lane;
} mailsrv_queue_item;

typedef struct mailsrv_queued {
    uint32_t size;
    uint32_t stride;
    uint32_t n;
    uint32_t more;
    mailsrv_cursor next;
    const mailsrv_queue_item *items;
} mailsrv_queued;

/* QUEUE_UPDATE: replaces an item's record, its time and its lane, durably.  No value.  MAILSRV_NONEXISTENT: it was
 * deleted. */
typedef struct mailsrv_arg_queue_update {
    uint32_t size;
    uint32_t reserved;
    uint64_t queue;
    mailsrv_bytes record;
    int64_t due_us;
    mailsrv_bytes lane;
} mailsrv_arg_queue_update;

/* QUEUE_DELETE: removes items, durably.  No value; numbers that are not there are no error. */
typedef struct mailsrv_arg_queue_delete {
    uint32_t size;
    uint32_t n;
    const uint64_t *queues;
} mailsrv_arg_queue_delete;

/* ---- JOB: work of the library itself that may run on another thread, so that it keeps nobody else waiting. ----
 *
 * Who serves it calls `run(work)` once, on any thread, and answers MAILSRV_OK when that has returned; no value.  What it
 * works on is left alone meanwhile, also when its session has gone.  Not served: the engine runs it itself. */
#define MAILSRV_JOB_HANDSHAKE 1 /* a part of the handshake of TLS */
typedef struct mailsrv_arg_job {
    uint32_t size;
    int32_t what; /* MAILSRV_JOB_... */
    void (*run)(void *work);
    void *work;
} mailsrv_arg_job;

/* ---- CANCEL, a notice: nobody waits for operation `id` any more.  A hint: it is still owed its answer.  Writes,
 * commits, expunges, copies, changes of flags and closings are never cancelled. ---- */
typedef struct mailsrv_arg_cancel {
    uint32_t size;
    int32_t kind; /* of the operation */
    mailsrv_op_id id;
} mailsrv_arg_cancel;

/* ---- CHANGED, a notice: a mailbox, or an account's names, have been changed through this engine; for the host's other
 * engines and processes (mailsrv_notify in store.h).  Changes of one mailbox are gathered; more mailboxes than the engine
 * keeps apart are one notice without account and mailbox, which means any. ---- */
typedef struct mailsrv_arg_changed {
    uint32_t size;
    uint32_t names;     /* 1: mailboxes of `account` were made, renamed, removed or subscribed; `mailbox` says nothing */
    mailsrv_id account; /* zero, with `mailbox`: any */
    mailsrv_id mailbox; /* zero: the account's INBOX, or, after a RENAME, any of its mailboxes */
    uint64_t modseq;    /* the highest that is known of; 0: not known */
} mailsrv_arg_changed;

/* ---- Answers with rows, built row by row: for bindings and stores that have no array at hand. ---- */

typedef struct mailsrv_rows_builder mailsrv_rows_builder; /* an answer to ROWS that is being made */

/* MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE.  The memory is the engine's; it is freed by rows_answer or
 * rows_free. */
MAILSRV_API int32_t mailsrv_rows_new(mailsrv_engine *engine, mailsrv_rows_builder **out);

/* Adds a copy of `row`, `row_octets` being the caller's sizeof of it.  MAILSRV_OK or MAILSRV_NOMEM. */
MAILSRV_API int32_t mailsrv_rows_add(mailsrv_rows_builder *rows, const mailsrv_row *row, size_t row_octets);

/* Answers a ROWS operation with what was added; `next` NULL: there is no more.  Frees the builder in every case.
 * Results as mailsrv_op_answer. */
MAILSRV_API int32_t mailsrv_rows_answer(mailsrv_rows_builder *rows, mailsrv_op_id id, const mailsrv_cursor *next);

/* NULL is fine. */
MAILSRV_API void mailsrv_rows_free(mailsrv_rows_builder *rows);

#ifdef __cplusplus
}
#endif

#endif
