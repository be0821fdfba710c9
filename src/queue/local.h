/* Mail in the queue for an address of ours: one that a mailbox did not take for now.  It is not sent to ourselves, but
 * put where RESOLVE says it goes:
 *
 *     RESOLVE -> BODY_BEGIN -> READ, WRITE ... -> COMMIT -> done
 */
#ifndef QUEUE_LOCAL_H
#define QUEUE_LOCAL_H

#include "core/room.h"
#include "text/queue_record.h"

/* What came of it, as a server would have said it. */
struct local_result {
    uint16_t code;    /* 250, 4yz or 5yz */
    struct span text; /* with the enhanced code; alive for the call */
    bool handed_on;   /* to one address elsewhere, and what NOTIFY asked for with it */
};

struct local_setup {
    struct span hostname; /* ours */
    char delimiter;       /* as in notice.h */
    int64_t now_us;
    uint64_t queue; /* the item */
};

struct local;

/* `record`, and what it points to, lives until it is done or freed; `hostname` too.  NULL: no memory.  `done` is called
 * once, from the engine's ring, and may free it. */
struct local *mailsrv__local_new(mailsrv_engine *engine, const struct local_setup *setup,
                                 const struct queue_record *record,
                                 void (*done)(void *user, const struct local_result *result), void *user);

/* Gives it up; a COMMIT that is out may still come to be.  NULL is fine. */
void mailsrv__local_free(struct local *local);

#endif
