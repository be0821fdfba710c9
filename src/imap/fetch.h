/* A FETCH that runs: between fetch.c, fetch_read.c, fetch_part.c and fetch_shape.c. */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "imap/fetch_att.h"
#include "imap/messages.h"
#include "message/addresses.h"
#include "message/header_filter.h"
#include "message/structure.h"

enum {
    PAGE_MESSAGES = 128, /* whose rows are asked for together; what the store answers of them is said at once */
    PAGE_SHAPES = 64,    /* where what they are made of or their octets are wanted, too: then two pages have room */
    LANES = 3,           /* messages that are read side by side, and ranges */
    LANE_CHUNKS = 2      /* ranges of one of them */
};

/* A message of the page. */
struct message {
    uint32_t uid, number;
    uint64_t octets;
    int64_t internal_us;
    struct span structure; /* that came with its row, of the answer's own octets; empty: none did */
    uint64_t prefix; /* octets that stand before what that is of */
    uint64_t modseq;
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
    bool announced; /* the length of the literal is out, or the beginning of a structure: a promise */
    bool missing;   /* there is no such part */
    /* Fields of a header: it is read once to count, and once to say. */
    struct header_filter filter;
    bool counting, counted;
    uint64_t count_at, count;
    uint64_t skip, left; /* octets of them that are not said, and that are still to be said */
    /* What the message is made of. */
    bool structured;
    struct span blob;
    uint64_t prefix;
    struct scanner *scanner; /* that reads it, or has read it; NULL: it came with the row */
    uint64_t scan_at;
};

/* A value that is said. */
struct source {
    struct part part;
    enum part_field field;
    struct span rest;        /* fields behind it */
    struct part_value value; /* of which the first `taken` octets have been read */
    uint64_t taken;
    struct span text; /* what has been read */
    bool begun, loaded;
};

enum { LONG_VALUE_MAX = 32 * 1024 }; /* of a value that is read from the message: what is behind that is left out */

/* What was said of a value lately: of the messages of a mailbox most have one of a few content types, and many the same
 * recipients. */
enum { RECENT_OCTETS = 252, RECENT_TYPES = 8, RECENT_LISTS = 16 };
enum { RECENT_ENCODING = 0xFF }; /* the tag of one; of a type it is what the part is, of a list 0 */
struct recent {
    uint8_t tag, n_value, n_text; /* n_value 0: nothing */
    char octets[RECENT_OCTETS];   /* of the value, then what was said */
};

/* ENVELOPE, BODY or BODYSTRUCTURE of the message whose turn it is. */
struct shape {
    uint32_t uid; /* of the message; 0: of none yet */
    struct recent types[RECENT_TYPES], lists[RECENT_LISTS];
    struct span said_of; /* the value of the list that is said, where all of it is one; else empty */
    size_t said_at; /* where the type or the list that is said begins in what is written, */
    uint32_t said_flushes; /* if nothing of that was flushed since */
    struct structure walk;
    struct part parts[STRUCTURE_DEPTH_MAX]; /* that have begun */
    uint32_t left[STRUCTURE_DEPTH_MAX];     /* children of each that have not */
    uint32_t depth;
    uint8_t at, field; /* what comes next of it, and of an envelope */
    bool extended, first;
    struct source source;
    struct part_fields fields; /* of the part that is said */
    struct address_list list;
    struct span from; /* what the list of From was said as; empty: that is not known any more */
    char from_room[256];
    char *room; /* for long values; NULL: there was none yet */
    char small_room[3 * STRUCTURE_VALUE_MAX + 8];
};

enum { PEN_ROOM = 2048 };

struct fetch {
    struct pen pen; /* all that is said goes through it, but octets that a store lent */
    char pen_room[PEN_ROOM];
    struct fetch_atts atts;
    struct set set;
    struct walk walk;
    struct message page[PAGE_MESSAGES];
    uint32_t n_page, n_rows, now; /* messages in it, those whose rows were answered, and whose turn it is */
    uint32_t n_ahead; /* of the next page, behind those of this one */
    uint32_t looked;  /* steps of the walk that looked for them */
    bool asked_ahead; /* for their rows */
    struct lent *rows;    /* the last that were answered, with structures; NULL: none are needed any more */
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
    struct shape *shape;         /* NULL: none was asked for */
    bool no_structures;          /* there was no memory for them: each message is read instead */
    uint64_t since;              /* CHANGEDSINCE; 0: whenever */
    struct vanished *vanished;   /* NULL: it was not asked for */
    struct span set_text;        /* what `set` was read from, and what follows */
    struct set known;            /* for VANISHED: the set again, its "*" without an upper end */
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

/* Octets of the message whose turn it is, from `at` on, `end` being the end of those that are wanted.  STEP_NEXT: there
 * are some, or the message has `failed`. */
enum step mailsrv__fetch_octets(struct imap *p, uint64_t at, uint64_t end, struct span *out);

/* What the message whose turn it is cannot be read for. */
enum step mailsrv__fetch_fails(struct imap *p, const struct failure *failure);

/* Sees to it that what an attribute begins with is there.  STEP_NEXT: it is, or the message has `failed`. */
enum step mailsrv__fetch_prepare(struct imap *p, const struct att *att);

/* Says the octets of an attribute.  STEP_NEXT: done, or the message has `failed`. */
enum step mailsrv__fetch_send(struct imap *p, const struct att *att);

/* The first attribute that takes octets of the message; NULL: none does. */
const struct att *mailsrv__fetch_first_body(const struct fetch_atts *atts);

/* Forgets what was read of a message. */
void mailsrv__fetch_drop_lane(struct imap *p, uint32_t message);

/* ---- fetch_part.c ---- */

/* Where the octets of a section stand; partial or not.  UNKNOWN: first the structure, or the end of the header, must be
 * known. */
enum range { RANGE_FOUND, RANGE_NONE, RANGE_UNKNOWN };
enum range mailsrv__fetch_range(const struct att *att, const struct message *m, const struct sending *s,
                                uint64_t *first, uint64_t *last);

/* Takes the structure that came with a row, if it is one. */
void mailsrv__fetch_take_structure(struct imap *p, struct message *m, const mailsrv_row *row);
void mailsrv__fetch_drop_scanner(struct imap *p);

/* Sees to it that the structure of the message whose turn it is is there; where none came with its row the message is
 * read.  STEP_NEXT: it is, or the message has `failed`. */
enum step mailsrv__fetch_structure(struct imap *p);

/* ---- fetch_shape.c ---- */

/* Says ENVELOPE, BODY or BODYSTRUCTURE; the structure is there. */
enum step mailsrv__fetch_shape(struct imap *p, enum att_kind kind);

/* Gives back the room for long values. */
void mailsrv__shape_fini(struct imap *p);

#endif
