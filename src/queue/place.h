/* Where mail that the queue has goes here: RESOLVE says it, and a COMMIT puts a staged body there, into mailboxes of
 * ours or into the queue again. */
#ifndef QUEUE_PLACE_H
#define QUEUE_PLACE_H

#include "core/room.h"
#include "text/queue_record.h"

struct placing {
    mailsrv_engine *engine;
    struct span recipient; /* whose mail it is */
    struct span hostname;  /* ours */
    char delimiter;        /* of details in local parts; 0: none */
    int64_t now_us;        /* in microseconds since 1970 */
    uint64_t body, octets; /* as it is staged */
    struct queue_record record; /* of an item for it, but for the recipient: reverse-path, flags ... */
};

/* Can RESOLVE be asked?  Else it goes into the queue. */
bool mailsrv__place_can_ask(const struct placing *placing);

/* Asks RESOLVE.  op NULL: no memory. */
struct ask mailsrv__place_ask(const struct placing *placing, struct errand *errand);

/* Asks the COMMIT to these destinations; NULL: to the queue, for the recipient himself. */
struct ask mailsrv__place_commit(const struct placing *placing, struct errand *errand,
                                 const mailsrv_resolved *resolved);

/* Is one of them the queue? */
bool mailsrv__place_queues(const mailsrv_resolved *resolved);

enum { PLACES_MAX = 64 }; /* more are not answered (op.h, RESOLVE) */

#endif
