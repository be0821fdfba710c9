/* mailsrv/stores/kit.h - a conformance kit: does a store keep the contract of store.h?
 *
 * The kit makes engines, has the store bound to them, asks operations (ask.h) and looks at what comes back.  Each check
 * has a name, begins with an empty store, and says what it saw.  What a store does not cover is skipped, so that one
 * with half of the kinds is tested on that half.
 *
 * Threads: one; a store that answers from other threads does so by letters, as always, and `drive` waits for them.
 */
#ifndef MAILSRV_STORES_KIT_H
#define MAILSRV_STORES_KIT_H

#include <mailsrv/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a store covers.  Tiers: */
#define MAILSRV_KIT_RECEIVE 1u
#define MAILSRV_KIT_POP3 2u
#define MAILSRV_KIT_QUEUE 4u
#define MAILSRV_KIT_IMAP 8u
/* Features: */
#define MAILSRV_KIT_ATOMIC 16u       /* BODY_BEGIN answers MAILSRV_BODY_ATOMIC */
#define MAILSRV_KIT_IMPORT 32u       /* targets with a UID and a UIDL of their own */
#define MAILSRV_KIT_READS_STAGED 64u /* READ of a body that is staged */
#define MAILSRV_KIT_LOCKS 128u       /* LOCK and UNLOCK */
#define MAILSRV_KIT_STRUCTURE 256u   /* structures are kept, and ROWS gives them */
#define MAILSRV_KIT_MOVE 512u        /* MOVE */

/* An account that is there from the start: an address that leads to its INBOX and nowhere else, without quotes, and,
 * for the tier POP3, what its user logs in with. */
typedef struct mailsrv_kit_account {
    mailsrv_bytes address;
    mailsrv_bytes user;
    mailsrv_bytes password;
} mailsrv_kit_account;

/* What became of a check. */
#define MAILSRV_KIT_PASSED 0
#define MAILSRV_KIT_FAILED 1
#define MAILSRV_KIT_SKIPPED 2

/* What is tested, and how it is made: borrowed until mailsrv_kit_run returns. */
typedef struct mailsrv_kit_setup {
    uint32_t size;
    uint32_t covers; /* MAILSRV_KIT_... */
    void *user;      /* for the functions below */
    /* Makes the store: empty, with its two accounts.  MAILSRV_OK, or the check fails. */
    int32_t (*open)(void *user);
    /* Binds it to an engine; called for two engines.  MAILSRV_OK, or the check fails. */
    int32_t (*bind)(void *user, mailsrv_engine *engine);
    /* Ends it; its engines are gone.  What it kept on disk goes too. */
    void (*close)(void *user);
    /* An answer is waited for: lets the store do something, waits for its wake if need be.  1; or 0 when nothing will
     * come any more, nor look at what was asked.  NULL: the store answers at once, or not at all. */
    int32_t (*drive)(void *user);
    /* Optional.  Engines are gone: ends the store as a crash would, and opens it again with what it had promised to
     * keep.  MAILSRV_OK, or the check fails. */
    int32_t (*reopen)(void *user);
    /* Optional.  How many handles the store has given that were not closed. */
    uint64_t (*handles)(void *user);
    /* Optional.  Account 0 or 1 may hold so many octets from now on.  MAILSRV_OK, or the check fails. */
    int32_t (*quota)(void *user, uint32_t account, uint64_t octets);
    /* What became of a check; the strings are valid for the call. */
    void (*report)(void *user, const char *name, int32_t outcome, const char *text);
    const char *only; /* the one check to run; NULL: all */
    mailsrv_kit_account accounts[2];
    mailsrv_bytes unknown_address; /* one that leads nowhere */
    uint64_t octets_max;           /* a body of more is refused; 0: there is no such number */
    const mailsrv_allocator *allocator; /* for the kit and its engines; NULL: malloc */
} mailsrv_kit_setup;

/* Runs the checks and says in `*failed` how many failed.  MAILSRV_OK, MAILSRV_NOMEM, MAILSRV_NONEXISTENT: there is no
 * check named `only`, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_kit_run(const mailsrv_kit_setup *setup, uint32_t *failed);

/* The name of the `index`-th check, NUL-ended and static; NULL: there are no more.  Any thread. */
MAILSRV_API const char *mailsrv_kit_check(uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
