/* A FETCH that runs: between fetch.c and fetch_read.c. */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "imap/fetch_att.h"
#include "imap/messages.h"

enum {
    PAGE_MESSAGES = 128, /* whose rows are asked for together */
    PAGE_BODIES = 32,    /* and the same where their octets are wanted, too */
    LANES = 3,           /* messages that are read side by side, and ranges */
    LANE_CHUNKS = 2      /* ranges of one of them */
};

/* A message of the page. */
struct message {
    uint32_t uid, number;
    uint64_t octets;
    int64_t internal_us;
    bool there; /* its row came */
    bool unseen; /* it is to become \Seen, or has */
};

/* A range that was read. */
struct chunk {
    struct lent *lent; /* NULL: it is not there, or failed */
    struct span octets;
    uint64_t offset, asked;
    struct failure failure; /* why it was not read */
    bool used;
};

/* A message whose octets are being read.  Its handle is `reading` of the same index. */
struct lane {
    uint32_t message; /* of the page */
    bool used;
    bool opened; /* it was answered once */
    struct chunk chunks[LANE_CHUNKS];
};

/* What goes out of the message whose turn it is. */
struct sending {
    uint32_t item;       /* of the attributes */
    uint64_t at, end;    /* octets of it that are still to be said; only if resolved */
    uint64_t header_end; /* where the body of the message begins; only if header_known */
    uint64_t scanned;    /* there is no end of the header before it */
    uint8_t line;        /* how the line began that it stands in */
    bool header_known, resolved;
    bool ready;     /* what comes first of its octets is there: it is worth a response */
    bool failed;    /* what was not said of it is left out */
    bool begun;     /* "* n FETCH (" is out */
    bool announced; /* the length of the literal is out: a promise */
};

struct fetch {
    struct fetch_atts atts;
    struct set set;
    struct walk walk;
    struct message page[PAGE_MESSAGES];
    uint32_t n_page, now; /* messages in it, and whose turn it is */
    mailsrv_cursor cursor;
    struct lane lanes[LANES];
    struct handle reading[LANES];
    struct chunk *asked[LANES]; /* in the order of asking */
    uint8_t asked_lane[LANES];
    uint32_t n_asked;
    struct sending sending;
    struct uids uids;            /* of the page: whose rows are asked for, then those that are to become \Seen */
    uint32_t write;              /* of the view, while that is asked */
    bool flags_asked;            /* in this step */
    uint64_t seen_at;            /* the unseen of the page are \Seen from this modseq on; 0: they are not */
    bool short_reads;            /* the store gives less than it is asked for: nothing is read behind that */
    bool gone;                   /* something that was asked for is not there any more */
    struct failure failure;      /* why it was not all answered */
    struct failure seen_failure; /* why \Seen was not set */
};

static inline struct fetch *mailsrv__fetch_of(struct imap *p)
{
    return p->command.own;
}

/* ---- fetch.c ---- */

/* Goes on with the message whose turn it is, and those behind it. */
enum step mailsrv__fetch_go_on(mailsrv_session *session);

/* Says what stands before an attribute: the beginning of the response, or a space.  MAILSRV_OK; MAILSRV_GONE: the
 * message was expunged meanwhile, and nothing is said of it; MAILSRV_NOMEM: the step returns STEP_CLOSE. */
int32_t mailsrv__fetch_say_next(struct imap *p);

/* Asks that messages of the page become \Seen, in the running step, unless there are none or that was asked. */
void mailsrv__fetch_ask_seen(struct imap *p);
void mailsrv__fetch_seen_answered(struct imap *p, unsigned i);

/* ---- fetch_read.c ---- */

/* Sees to it that what an attribute begins with is there.  STEP_NEXT: it is, or the message has `failed`. */
enum step mailsrv__fetch_prepare(struct imap *p, const struct att *att);

/* Says the octets of an attribute.  STEP_NEXT: done, or the message has `failed`. */
enum step mailsrv__fetch_send(struct imap *p, const struct att *att);

/* The first attribute that takes octets of the message; NULL: none does. */
const struct att *mailsrv__fetch_first_body(const struct fetch_atts *atts);

/* Forgets what was read of a message. */
void mailsrv__fetch_drop_lane(struct imap *p, uint32_t message);

#endif
