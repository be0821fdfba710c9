/* The members of a view that a set names, one after the other, in ascending order.
 *
 * Numbers and UIDs of members mean the same until something is told, so that a walk goes on where it stood after any
 * wait within its command.
 */
#ifndef IMAP_WALK_H
#define IMAP_WALK_H

#include "imap/parse.h"
#include "mailbox/view.h"

bool mailsrv__set_has(const struct set *set, uint32_t number);

struct member {
    uint32_t uid, number;
    bool gone; /* it was expunged, and that was not told yet */
};

struct walk {
    const struct view *view;
    const struct set *set;
    bool by_uid;     /* what the set names */
    uint32_t i;      /* of its runs */
    uint32_t last;   /* UID of the member before; 0: the run was not entered yet */
    uint32_t number; /* of it */
};

enum walked { WALK_MEMBER, WALK_NOTHING, WALK_END };

void mailsrv__walk_begin(struct walk *walk, const struct view *view, const struct set *set, bool by_uid);

/* A bounded step: WALK_NOTHING found no member, and the next may. */
enum walked mailsrv__walk_next(struct walk *walk, struct member *out);

/* Behind a WALK_MEMBER, and only until something is waited for: the last UID up to which each follows the one before,
 * all of them members that the set names and that are there.  So many of those are passed over. */
uint32_t mailsrv__walk_together(const struct walk *walk);
void mailsrv__walk_skip(struct walk *walk, uint32_t n);

/* The UIDs that stand for a run of the set: all members in them are named.  first above last: none. */
mailsrv_run mailsrv__walk_uids(const struct view *view, mailsrv_run run, bool by_uid);

#endif
