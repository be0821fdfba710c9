/* A view: what one session has been told of a mailbox, and so what its numbers mean.
 *
 * Its members are the UIDs of the image, and those that have gone from it without having been told (`gone`), up to the
 * highest UID that was told (`max_uid`); the number of a message is its rank among them.  Nothing changes that but
 * telling: EXISTS moves max_uid, EXPUNGE or VANISHED empties `gone`.
 *
 *   open      joins or makes the image;          `wake` is called when anything comes of it
 *   select    once it is live: what is there now counts as told
 *   sync      asks for what happened before now; until mailsrv__view_synced
 *   tell      begins to tell; what it covers is fixed by that
 *   next      the next thing to be told, as far as units go
 *
 * `wake` only sets fields and puts work into the ring.
 *
 * The image has a handle of its own, opened to look only.  What a session asks itself (FLAGS, EXPUNGE, COPY, READ,
 * ROWS) goes over a handle that the session opened: by name, before its view, which wants the id that the answer has;
 * for writing in SELECT, which moves the mark of what is recent, to look in EXAMINE, which does not.  So a session's
 * questions may outlive its view, and MBOX_CLOSE gives the mark back for what it was not told.
 *
 * Between commands a session that is slow to ask may have a great many expunges coming to it.  So it says when it does
 * not need its numbers (rest), and before a command whether they can be used (use): beyond 16 KiB of it what is gone is
 * forgotten while it rests, and found out again from the history of the store.
 */
#ifndef MAILBOX_VIEW_H
#define MAILBOX_VIEW_H

#include "mailbox/image.h"

/* What may be told: RFC 9051 section 7.5.1. */
enum tells {
    TELLS_FLAGS, /* EXISTS, FETCH, FLAGS: numbers stay what they are */
    TELLS_ALL    /* EXPUNGE and VANISHED as well */
};

enum told_kind { TOLD_EXPUNGE, TOLD_VANISHED, TOLD_EXISTS, TOLD_NAMES, TOLD_FETCH, TOLD_HIGHEST };

struct told {
    enum told_kind kind;
    uint32_t number;    /* EXPUNGE, FETCH: of the message; EXISTS: how many there are */
    uint32_t uid;       /* FETCH */
    mailsrv_run uids;   /* VANISHED */
    struct marks marks; /* FETCH */
    bool modseq_alone;  /* FETCH: one's own silent change, told only for its modseq (RFC 7162 section 3.1.3) */
    uint64_t highest;   /* HIGHEST: HIGHESTMODSEQ */
};

enum phase { PHASE_NOTHING, PHASE_GONE, PHASE_EXISTS, PHASE_NAMES, PHASE_JOURNAL, PHASE_ROWS, PHASE_HIGHEST };

struct view {
    struct node link; /* in its image */
    struct image *image;
    void (*wake)(struct view *view);
    uint32_t number; /* of its image; never 0 */
    uint32_t max_uid;
    struct runs gone;
    uint32_t gone_told, n_gone_told; /* UIDs of it up to this one are told, so many: they go in one pass */
    uint32_t n_forgotten;            /* so many are gone, and `gone` is empty */
    bool resting, forgot;
    uint64_t gone_since;     /* with the first of `gone`: everything up to this modseq came before it */
    uint64_t told;           /* flags up to this modseq are told */
    uint64_t cursor;         /* the journal's next entry to be told */
    uint32_t n_names;        /* told */
    uint32_t wanted;         /* the round that is waited for */
    bool opening;            /* until it selects */
    uint32_t writing;        /* changes of its own that are out: nothing is told meanwhile */
    uint64_t own;            /* modseq of its own newest change: nothing is told before the image has it */
    bool condstore, qresync; /* enabled: the session sets them */
    bool lost;               /* what is gone is not known any more: the session must end */

    /* While it tells. */
    enum phase phase;
    bool tells_all, told_modseq;
    uint64_t upto, end; /* modseq, and number of a journal entry, that this telling goes up to */
    uint32_t last, uid; /* highest UID of it; the place among rows */
};

/* MAILSRV_OK or MAILSRV_NOMEM. */
int32_t mailsrv__view_open(struct view *view, mailsrv_engine *engine, const mailsrv_id *account,
                           const mailsrv_id *mailbox, void (*wake)(struct view *view));
void mailsrv__view_close(struct view *view);

/* MAILSRV_MORE: the image is being loaded, or what happened before the view was opened is being asked for.
 * MAILSRV_OK: it is live.  MAILSRV_LIMIT, while it is loaded: there is no room for it.  Else it has ended with that
 * status, or there was no memory for what has gone (MAILSRV_NOMEM): nothing more can be told, and the session says
 * BYE (MAILSRV_NONEXISTENT: the mailbox, or its UIDVALIDITY, is no more). */
int32_t mailsrv__view_status(const struct view *view);

/* Of an image that is live: from now on, what is there is what was told. */
void mailsrv__view_select(struct view *view);

void mailsrv__view_sync(struct view *view);
bool mailsrv__view_synced(const struct view *view);

/* How the last round ended: MAILSRV_OK, or why what happened is not known to the end. */
int32_t mailsrv__view_round(const struct view *view);

/* ---- The mailbox ---- */
uint32_t mailsrv__view_uidvalidity(const struct view *view);
uint32_t mailsrv__view_uidnext(const struct view *view);  /* above those that were told, and no others */
uint32_t mailsrv__view_features(const struct view *view); /* MAILSRV_MBOX_... */
uint32_t mailsrv__view_rights(const struct view *view);   /* MAILSRV_RIGHT_..., as the image opened it: to look */

/* The dictionary: the i-th name, from 0, is bit i of the keywords.  Lent until the next step of the image. */
uint32_t mailsrv__view_names(const struct view *view);
mailsrv_bytes mailsrv__view_name(const struct view *view, uint32_t i);

/* ---- Messages ---- */

/* The first member above `uid`, gone or not; 0: there is none.  Numbers ascend by one with it. */
uint32_t mailsrv__view_after(const struct view *view, uint32_t uid);

/* False: it is gone, or no member. */
bool mailsrv__view_marks(const struct view *view, uint32_t uid, struct marks *out);

/* What the image has only when somebody wants it: the sizes and dates of all messages, for SEARCH and for FETCH of
 * many.  Wanted by one view it is there for all of them, kept up to date, and given up first when memory ends. */
enum group { GROUP_SIZES };

/* Loads it, unless it is there. */
void mailsrv__view_want(struct view *view, enum group group);

/* MAILSRV_OK: it is there.  MAILSRV_MORE: it is being loaded (`wake` is called), or nobody wanted it yet.  Else why it
 * is not there, until it is wanted again: MAILSRV_NOMEM, it found no room, and the session reads by ROWS what it
 * needs. */
int32_t mailsrv__view_has(const struct view *view, enum group group);

/* False: not known, for the message has gone or the group is not there. */
bool mailsrv__view_sizes(const struct view *view, uint32_t uid, struct sizes *out);

/* ---- Text of fields, as searches compare it: texts.h ---- */

/* UIDs ascend with `place`. */
enum text_state mailsrv__view_text(const struct view *view, uint32_t field, uint32_t uid, struct text_place *place,
                                   struct span *out);
/* Of a member of which nothing is kept: another that is asked for the same finds it, or not. */
void mailsrv__view_keep_text(struct view *view, uint32_t field, uint32_t uid, enum text_state state, struct span text);

/* ---- Resting and using ---- */

/* No numbers are needed until mailsrv__view_use: between commands; not in IDLE, where it is told.  What is being told
 * is told first. */
void mailsrv__view_rest(struct view *view);

/* They are needed.  False: what is gone is being found out again (`wake` is called; ask again), or it cannot be
 * (mailsrv__view_status). */
bool mailsrv__view_use(struct view *view);

/* ---- Numbers: of a view that is in use ---- */
uint32_t mailsrv__view_exists(const struct view *view);
uint32_t mailsrv__view_uid(const struct view *view, uint32_t number); /* 1 to exists */
uint32_t mailsrv__view_number(const struct view *view, uint32_t uid); /* 0: no member */
bool mailsrv__view_is_gone(const struct view *view, uint32_t uid);    /* of a member */

/* The value of HIGHESTMODSEQ: everything up to it is told, expunges included (RFC 7162 section 3.2). */
uint64_t mailsrv__view_highest(const struct view *view);

/* ---- One's own changes ---- */

/* Before FLAGS is asked for STORE.SILENT; names that are in no dictionary yet make it an ordinary change.  What is
 * given to mailsrv__view_wrote. */
struct silent_ask {
    int32_t how; /* MAILSRV_FLAGS_... */
    uint32_t flags;
    uint64_t keywords[2];
    const mailsrv_run *uids;
    uint32_t n_uids;
};
uint32_t mailsrv__view_silent(struct view *view, const struct silent_ask *ask);

/* Before any other change is asked. */
uint32_t mailsrv__view_writes(struct view *view);

/* It is answered: with that modseq, 0 for none. */
void mailsrv__view_wrote(struct view *view, uint32_t write, uint64_t modseq);

/* Has the image all that had happened to the mailbox by that answer to FLAGS, its own change included? */
bool mailsrv__view_has_all(const struct view *view, const mailsrv_flagged *flagged);

/* The bit of a name in the dictionary; false: it is not there. */
bool mailsrv__view_keyword(const struct view *view, mailsrv_bytes name, uint64_t bits[2]);

/* ---- Telling ---- */

/* What a session may say of flags by itself: all that the image has now. */
struct view_now {
    uint64_t modseq, entries;
};
struct view_now mailsrv__view_now(const struct view *view);

/* Since then it has said the flags of each member: what had happened by then is not told once more. */
void mailsrv__view_said_all(struct view *view, struct view_now then);

/* False: not now, for a change of its own is out, or has not reached the image (its round could not be finished: sync
 * again); or never again (mailsrv__view_status). */
bool mailsrv__view_tell(struct view *view, enum tells tells);

/* Looks at what comes next, at one thing for each of `*units`, which fall.  False: that was all, or they are spent. */
bool mailsrv__view_next(struct view *view, uint32_t *units, struct told *out);

static inline bool mailsrv__view_is_telling(const struct view *view)
{
    return view->phase != PHASE_NOTHING;
}

/* ---- For the image ---- */

/* UIDs of the image have gone; the question that brought it was about changes since `since`. */
void mailsrv__view_lose(struct view *view, const mailsrv_run *hits, size_t n, uint64_t since);

/* Forgets what is gone. */
void mailsrv__view_forget(struct view *view);

/* More of what is gone was found out; false: no memory.  And that was all: is it what was forgotten? */
bool mailsrv__view_recall(struct view *view, const mailsrv_run *runs, size_t n);
void mailsrv__view_recalled(struct view *view, bool all);

/* UIDs that are told leave `gone`.  False: no memory. */
bool mailsrv__view_settle(struct view *view);

#endif
