/* The image of a mailbox: what an engine holds of it, once for all sessions that look at it.
 *
 *   OPENING -> LOADING -> LIVE -> IDLE -> OPENING ...;  ENDED
 *
 * It gains and loses rows only by what CHANGES answers, and learns of its own changes of flags by their answers, where
 * nothing else happened since what it knows; where the store does not remember far enough, by comparing
 * with ROWS, which is also how it is loaded: the modseq first, then the rows, then the changes since.  All of it goes
 * in slices, through the work ring.  Asking and applying one CHANGES with all its pages is a *round*; rounds are
 * numbered, and who must see what happened before now waits for the end of one that begins after now.
 *
 * When nobody looks at it any more it is kept, IDLE, until memory is needed, the oldest first.  It holds no handle
 * then: a kept image costs the store nothing, and the engine can end without asking anything.  The next view opens the
 * mailbox again and asks for the changes since; with another UIDVALIDITY it is loaded anew.
 *
 *   image.c    its life, from one question to the next
 *   images.c   those of an engine: finding, keeping, giving back
 *   round.c    rounds: comparing and changes
 *   rows.c     rows come and go; what is given up when memory ends
 *   group.c    columns that are loaded when somebody asks for them
 *   recall.c   finding out again what is gone for a view
 *   silent.c   changes whose asker is not told of them
 *   texts.c    what searches keep
 */
#ifndef MAILBOX_IMAGE_H
#define MAILBOX_IMAGE_H

#include "base/runs.h"
#include "core/room.h"
#include "mailbox/columns.h"
#include "mailbox/journal.h"
#include "mailbox/rules.h"
#include "mailbox/texts.h"

#include <mailsrv/store.h>

enum image_state { IMAGE_OPENING, IMAGE_LOADING, IMAGE_LIVE, IMAGE_IDLE, IMAGE_ENDED };

enum { SILENT_MAX = 32, PAGE_ROWS = 256, NAMES_OCTETS = MAILSRV_KEYWORDS_MAX * sizeof(mailsrv_bytes) };

struct image;
struct images;
struct silent;
struct view;

/* What becomes of an answer, one step: is there more to do now? */
typedef bool take_fn(struct image *image, const mailsrv_answer *answer);

struct image {
    struct node all, bucket; /* in its room */
    struct node views;       /* those that look at it */
    struct images *room;
    mailsrv_engine *engine;
    mailsrv_id account, mailbox;
    struct work work;
    enum image_state state;
    int32_t status;       /* ENDED: why */
    int32_t round_status; /* of the last round: MAILSRV_OK, or why it could not be finished */
    bool in_round, poked;
    uint32_t finished, wished; /* rounds: finished, and the highest that somebody waits for */

    struct errand errand;
    take_fn *take; /* its answer */
    struct handle store, mbox;

    struct runs uids;
    struct columns columns;
    struct journal journal;
    mailsrv_bytes *names; /* room for MAILSRV_KEYWORDS_MAX, once there is one */
    uint32_t n_names;
    uint32_t uidvalidity, uidnext; /* as the mailbox was opened; 0: it never was */
    uint32_t features, rights;
    uint64_t upto; /* everything up to this modseq is in it */

    /* The first load. */
    bool first_load;
    uint64_t expected; /* rows that are to come */

    /* The round that goes on. */
    uint64_t since, next_upto;
    mailsrv_cursor cursor;
    uint32_t compared;     /* UIDs up to this one */
    uint32_t at;           /* the place in the page that is being applied */
    mailsrv_run vanishing; /* what is left of the run there; first above last: nothing */

    /* Sizes and dates. */
    bool group_wanted, group_there;
    int32_t group_status; /* not wanted any more: why */
    mailsrv_cursor group_cursor;

    struct view *recalling; /* whose gone messages are being found out again; NULL: nobody's */
    mailsrv_cursor recall_cursor;

    struct silent *silents[SILENT_MAX]; /* silent changes that are not settled */
    uint32_t n_silents;
    uint32_t last_view;

    struct texts *texts;    /* NULL: no search has kept any */
    struct node with_texts; /* in its room, in the order in which these were used */
    uint32_t texts_made;    /* shelves, before them */
};

/* ---- images.c ---- */

/* The image of a mailbox, made if there is none, opened again if it was idle; NULL: no memory. */
struct image *mailsrv__image_of(mailsrv_engine *engine, const mailsrv_id *account, const mailsrv_id *mailbox);

/* Keeps text of a field, for which what was used longest ago of other images is given up; or does not. */
void mailsrv__image_keep_text(struct image *image, uint32_t field, uint32_t uid, enum text_state state,
                              struct span text);
void mailsrv__image_drop_texts(struct image *image);

/* It becomes the youngest of those that are kept. */
void mailsrv__image_kept(struct image *image);

/* ---- image.c ---- */

/* In memory that is zeroed. */
void mailsrv__image_init(struct image *image, struct images *room, mailsrv_engine *engine);
void mailsrv__image_free(struct image *image);

/* Of one that is new, or idle. */
void mailsrv__image_open(struct image *image);

/* A view has left. */
void mailsrv__image_left(struct image *image);

/* Wishes for a round that begins after now; its number. */
uint32_t mailsrv__image_round(struct image *image);

/* Something has happened: wishes for a round.  Who is in the ring already goes first, for it may wish for one, too. */
void mailsrv__image_poke(struct image *image);

/* The views are told; nothing is asked any more. */
void mailsrv__image_end(struct image *image, int32_t status);

void mailsrv__image_wake_views(struct image *image);
void mailsrv__image_goes_on(struct image *image);

/* Asks `kind`, with room for `octets`; the answer goes to `take`.  op NULL: no memory. */
struct ask mailsrv__image_ask(struct image *image, int32_t kind, size_t octets, take_fn *take);

static inline struct heap *mailsrv__image_heap(const struct image *image)
{
    return mailsrv__room_heap(image->engine);
}

static inline bool mailsrv__image_is_watched(const struct image *image)
{
    return image->views.next != &image->views;
}

/* ---- round.c ---- */
void mailsrv__round_begin(struct image *image);
void mailsrv__round_load(struct image *image, uint64_t modseq); /* the first one: ROWS, and what came meanwhile */
void mailsrv__round_fail(struct image *image, int32_t status);

/* Takes the names of the dictionary from number `first` on.  False: no memory. */
bool mailsrv__image_take_names(struct image *image, const mailsrv_bytes *names, uint32_t first, uint32_t n);

/* ---- rows.c ---- */
struct marks mailsrv__image_marks(const struct image *image, uint32_t uid); /* of a UID that is there */

/* False: no memory; what was not applied may be applied again. */
bool mailsrv__image_apply(struct image *image, const mailsrv_row *row);

/* What an answer to FLAGS says that it changed, where the image has all that happened before; else nothing, and the
 * round that follows brings it. */
void mailsrv__image_flagged(struct image *image, const mailsrv_flagged *flagged);

/* Some UIDs vanish: of image->vanishing, then of the `n` runs behind it, of which `*taken` were begun; what is left of
 * the last one is image->vanishing.  False: no memory, and nothing happened. */
bool mailsrv__image_vanish_some(struct image *image, const mailsrv_run *runs, uint32_t n, uint32_t *taken);

/* Gives something up that can be done without: columns that are there only to be fast, then the journal.  False: there
 * is nothing more. */
bool mailsrv__image_spare(struct image *image);

/* It must grow and cannot: spares, or ends. */
void mailsrv__image_starve(struct image *image);

/* Octets that it takes. */
uint64_t mailsrv__image_octets(const struct image *image);

/* ---- group.c ---- */
void mailsrv__group_want(struct image *image);
void mailsrv__group_drop(struct image *image, int32_t status);
void mailsrv__group_ask(struct image *image); /* the next page */
void mailsrv__group_set(struct image *image, uint32_t index, const mailsrv_row *row);

/* Fields of a row that the image keeps. */
uint32_t mailsrv__image_fields(const struct image *image);

/* ---- recall.c ---- */

/* Asks for what is gone for a view that forgot it and is used.  False: there is none. */
bool mailsrv__recall_begin(struct image *image);

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
