/* What the tests of mailbox/ share: an engine over the memory store, one mailbox for each account. */
#ifndef UNIT_MAIL_H
#define UNIT_MAIL_H

#include "mailbox/view.h"

#include "allocators.h"

#include <mailsrv/ask.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    mailsrv_store *store;
    mailsrv_engine *engine;
    mailsrv_id account, inbox; /* of pat */
    struct counted from;       /* the engine's memory */
    int64_t now_us;
};

/* pat has so many messages; the engine so much memory. */
void mail_begin(struct world *w, uint32_t messages, uint64_t memory_max);
void mail_begin_with(struct world *w, uint32_t messages, mailsrv_config *config); /* which is freed */
mailsrv_config *mail_config(struct world *w, uint64_t memory_max);
void mail_end(struct world *w);

/* Turns until there is nothing to do. */
void mail_turns(struct world *w);

/* The INBOX's id is what its address leads to; before the first view. */
void mail_find_inbox(struct world *w);

/* Another account, with so many messages; its INBOX. */
struct place {
    mailsrv_id account, inbox;
};
struct place mail_add(struct world *w, const char *name, uint32_t messages); /* before mail_find_inbox */
void mail_find(struct world *w, const char *name, struct place *place);

/* Does nothing. */
void mail_woken(struct view *view);

/* Waits, and selects; a view that comes to nothing is closed. */
int32_t mail_open(struct world *w, struct view *view);
int32_t mail_open_at(struct world *w, struct view *view, const struct place *place);

/* A mailbox of the test's own, for changes from outside. */
struct box {
    mailsrv_asked *store, *mbox;
    uint64_t handle;
};

struct box mail_open_box(struct world *w);
void mail_shut_box(struct world *w, struct box *box);
void mail_change(struct world *w, int32_t kind, const void *arg);
void mail_expunge(struct world *w, mailsrv_run run);
void mail_append(struct world *w, uint32_t n);

bool mail_next(struct view *view, struct told *told);

/* The newest event of that kind; an empty text: there was none. */
struct mail_event {
    char text[121];
};
struct mail_event mail_event(struct world *w, int32_t what);

#endif
