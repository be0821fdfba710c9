/* The image of a mailbox: what an engine holds of it, once for all sessions that look at it.
 *
 *   OPENING -> LOADING -> LIVE -> ENDED
 *
 * It gains and loses rows only by what CHANGES answers; where the store does not remember far enough, by comparing with
 * ROWS, which is also how it is loaded: the modseq first, then the rows, then the changes since.  All of it goes in
 * slices, through the work ring.  Asking and applying one CHANGES with all its pages is a *round*; rounds are numbered,
 * and who must see what happened before now waits for the end of one that begins after now.
 *
 * An image lives as long as views look at it; then its handles are closed.
 */
#ifndef MAILBOX_IMAGE_H
#define MAILBOX_IMAGE_H

#include "base/runs.h"
#include "core/room.h"
#include "mailbox/columns.h"
#include "mailbox/journal.h"
#include "mailbox/rules.h"

enum image_state { IMAGE_OPENING, IMAGE_LOADING, IMAGE_LIVE, IMAGE_ENDED };

enum { SILENT_MAX = 32 };

struct images;
struct silent;

struct image {
    struct node all;   /* in its room */
    struct node views; /* those that look at it */
    mailsrv_engine *engine;
    mailsrv_id account, mailbox;
    struct work work;
    enum image_state state;
    int32_t status;       /* ENDED: why */
    int32_t round_status; /* of the last round: MAILSRV_OK, or why it could not be finished */
    bool leaving;         /* no view looks at it any more */
    bool in_round;
    uint32_t finished, wished; /* rounds: finished, and the highest that somebody waits for */

    struct errand errand;
    bool (*take)(struct image *image, const mailsrv_answer *answer); /* what becomes of its answer */
    struct handle store, mbox;

    struct runs uids;
    struct columns columns;
    struct journal journal;
    mailsrv_bytes names[MAILSRV_KEYWORDS_MAX];
    uint32_t n_names;
    uint32_t uidvalidity;
    uint64_t upto; /* everything up to this modseq is in it */

    /* The round that goes on. */
    uint64_t since, next_upto;
    mailsrv_cursor cursor;
    bool comparing;      /* with ROWS */
    bool first_load;
    uint32_t compared;   /* UIDs up to this one */
    uint32_t at;         /* the place in the page that is being applied */
    mailsrv_run vanishing; /* what is left of the run there; first above last: nothing */

    struct silent *silents[SILENT_MAX]; /* silent changes that are not settled */
    uint32_t last_view;
};

/* The image of a mailbox, made if there is none, for one view more.  NULL: no memory. */
struct image *mailsrv__image_of(mailsrv_engine *engine, const mailsrv_id *account, const mailsrv_id *mailbox);

/* A view has left. */
void mailsrv__image_left(struct image *image);

/* Wishes for a round that begins after now; its number. */
uint32_t mailsrv__image_round(struct image *image);

/* ---- Rows ---- */
struct marks mailsrv__image_marks(const struct image *image, uint32_t uid); /* of a UID that is there */

/* ---- silent.c ---- */

/* A change of flags whose asker need not be told of it. */
struct silent {
    uint32_t view;
    int32_t how; /* MAILSRV_FLAGS_... */
    struct marks given;
    struct runs uids;
    uint64_t modseq; /* answered; 0: not yet */
};

/* Which of the silent changes give `now` when applied to `old`?  Bits for those that are out; `*origin` for one that is
 * answered with the modseq of `now`. */
uint32_t mailsrv__image_fits(const struct image *image, uint32_t uid, const struct marks *old, const struct marks *now,
                             uint32_t *origin);
/* Takes one away.  Nothing for NULL. */
void mailsrv__silent_free(struct image *image, uint32_t slot);
/* Takes those away whose rows have come, or that are `view`'s. */
void mailsrv__silents_tidy(struct image *image, uint32_t view);

#endif
