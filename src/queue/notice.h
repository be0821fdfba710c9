/* Notices: what the sender of a message is told of its way (RFC 3461, RFC 3464).
 *
 * A notice is a message of the queue's own, of one message and of one or more of its recipients.  It is made of their
 * records and of the original, which is read from the store, and is committed where mail for the reverse-path goes: to
 * mailboxes of ours, or into the queue.  Then, and only then, what it is about may be forgotten.
 *
 *     owed? -> new -> READ the original, RESOLVE the reverse-path, BODY_BEGIN, WRITE ..., COMMIT -> done -> free
 *
 * Nothing of it is seen before its COMMIT.  What fails for now, for want of memory too, is done again from the start.
 */
#ifndef QUEUE_NOTICE_H
#define QUEUE_NOTICE_H

#include "core/room.h"
#include "text/queue_record.h"

/* What became of a recipient (RFC 3464 section 2.3.3). */
enum notice_action {
    NOTICE_FAILED,
    NOTICE_DELAYED,
    NOTICE_RELAYED,  /* to a server that has no DSN */
    NOTICE_DELIVERED, /* into a mailbox of ours: QUEUE_SUCCESS */
    NOTICE_EXPANDED   /* sent on to several addresses: QUEUE_SUCCESS with QUEUE_FLAG_FORWARDED */
};

/* Is the sender to be told of it?  Never for a null reverse-path, nor where NOTIFY says otherwise (RFC 3461 sections
 * 4.1 and 6.2); NOTICE_DELAYED once: not where QUEUE_FLAG_DELAYED is set. */
bool mailsrv__notice_owed(const struct queue_record *record, enum notice_action action);

struct notice_recipient {
    struct queue_record record;
    enum notice_action action;
    int64_t expires_us; /* NOTICE_DELAYED: when it is given up, in microseconds since 1970; 0: not said */
};

enum { NOTICE_RECIPIENTS_MAX = 1000 };

struct notice_setup {
    struct span hostname;  /* ours */
    char delimiter;        /* of details in local parts, for RESOLVE; 0: none */
    uint32_t octets_max;   /* of an original that is sent back whole; of a longer one its header is */
    int64_t now_us;        /* in microseconds since 1970 */
    uint64_t queue;        /* the item whose original is read; it stays there until the notice is done */
    uint64_t octets;       /* of the original; 0: not known */
};

struct notice;

/* Begins one.  All recipients are of one message: reverse-path, envelope id, RET and time of arrival are those of the
 * first one, and each is owed it.  Everything is copied.  NULL: no memory.
 *
 * `done` is called once, from the engine's ring, and may free the notice.  MAILSRV_OK: it is durable;
 * MAILSRV_NONEXISTENT: there is nobody who could be told, now or later; anything else: later, by a new one. */
struct notice *mailsrv__notice_new(mailsrv_engine *engine, const struct notice_setup *setup,
                                   const struct notice_recipient *recipients, uint32_t n,
                                   void (*done)(void *user, int32_t status), void *user);

/* Gives it up, if it is not done: `done` is not called.  A COMMIT that is out may still come to be.  Also at the
 * engine's end.  NULL is fine. */
void mailsrv__notice_free(struct notice *notice);

#endif
