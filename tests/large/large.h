/* A store of the tests' own: mailboxes of very many messages that have no text.  It answers at once, allocates nothing
 * once it is made, and is served from plain arrays. */
#ifndef LARGE_H
#define LARGE_H

#include <mailsrv/store.h>

#include <stdbool.h>

enum { LARGE_BOXES = 2, LARGE_SPARE = 4096 };

struct large_box {
    uint32_t n;       /* UIDs 1 to n were given */
    uint64_t *modseq; /* by UID: of the row, or of its end */
    uint8_t *flags;
    bool *gone;
    uint64_t upto;
    uint32_t open; /* handles */
};

struct large {
    struct large_box boxes[LARGE_BOXES];
    uint32_t open; /* handles of stores */
    uint64_t asked[64]; /* operations, by kind */
};

void large_init(struct large *large, const uint32_t messages[LARGE_BOXES]);
void large_fini(struct large *large);
int32_t large_bind(struct large *large, mailsrv_engine *engine);

/* Of a mailbox; its handle, for operations from outside, is `box` + 1. */
mailsrv_id large_id(uint32_t box);

/* Changes from outside, each with one modseq. */
void large_append(struct large *large, uint32_t box, uint32_t n); /* LARGE_SPARE in all */
void large_flag_all(struct large *large, uint32_t box, uint8_t flags);
void large_expunge_every(struct large *large, uint32_t box, uint32_t n); /* the UIDs n, 2n, 3n ... */

/* What its row says. */
uint64_t large_octets(uint32_t uid);

#endif
