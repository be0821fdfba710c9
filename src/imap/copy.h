/* COPY and MOVE: what their files share.
 *
 *   copy.c   finds the messages and the mailbox, has them copied or moved, and says COPYUID
 *   move.c   MOVE, where the store does not do it at once: COPY, then EXPUNGE of just what was copied
 */
#ifndef IMAP_COPY_H
#define IMAP_COPY_H

#include "imap/messages.h"

/* Where a walk through the UIDs of an answer has come to. */
struct place {
    uint32_t run, uid; /* of the run; 0: its first */
};

struct copy {
    struct set set; /* what is named; then the UIDs of that */
    struct span name;
    mailsrv_id to;
    uint32_t at;       /* of the runs: where looking at them goes on */
    uint32_t n_uids;   /* of the runs: those that stand for UIDs already */
    uint32_t gone;     /* the highest UID that has gone and was looked at */
    uint32_t write;    /* of the view */
    bool writes;       /* into the selected mailbox */
    struct lent *lent; /* of the answer; NULL: none is kept */
    const mailsrv_copied *copied;
    bool says_to; /* COPYUID: the second set has begun */
    /* MOVE. */
    bool moves;
    bool in_steps; /* the store cannot do it at once */
    struct place from, back; /* which are expunged next; of the copies: those that would be expunged again */
    struct uids uids;
    struct handle target; /* where the copies are, while they are expunged again */
    struct failure failure;
};

static inline struct copy *mailsrv__copy_of(const struct imap *p)
{
    return p->command.own;
}

/* ---- copy.c ---- */
enum step mailsrv__copy_ask(struct imap *p);
enum step mailsrv__copy_say_uids(mailsrv_session *session);

/* ---- move.c ---- */

/* Is this a MOVE that the store is asked for? */
bool mailsrv__move_is_at_once(const struct imap *p);

/* MOVE, or the COPY in its place, is answered. */
enum step mailsrv__move_copied(struct imap *p);

#endif
