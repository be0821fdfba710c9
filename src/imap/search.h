/* A SEARCH that runs: between search.c, search_say.c and search_text.c. */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H

#include "imap/search_key.h"

/* Members that may match, whose rows are asked for together.  Where there are more of them, and size or date decides,
 * the image loads the sizes and dates of all messages; it is asked for rows where it has no memory for that. */
enum { CANDIDATES = 128 };

/* RFC 4731 section 3.1: what RETURN asks for. */
enum { RETURN_MIN = 1 << 0, RETURN_MAX = 1 << 1, RETURN_ALL = 1 << 2, RETURN_COUNT = 1 << 3 };

enum {
    READERS = 3,      /* candidates whose octets are read side by side */
    READER_RANGES = 2 /* of the one whose turn it is; of those behind it only the first */
};

/* A range of a candidate. */
struct text_range {
    struct lent *lent; /* NULL: it is not there, or failed */
    struct span octets;
    uint64_t offset, asked;
    struct failure failure; /* why it was not read */
    bool used;
};

/* A candidate whose octets are being read.  Its handle is `handles` of the same index. */
struct text_reader {
    uint32_t candidate;
    bool used;
    bool opened; /* it was answered once */
    struct text_range ranges[READER_RANGES];
};

/* The text of the candidates. */
struct looking {
    struct seek *seek; /* NULL: nothing of it is asked for */
    uint32_t n_fields; /* whose text is kept from one search to the next */
    uint8_t fields[TEXT_FIELDS];
    struct text_place places[TEXT_FIELDS]; /* of each */
    bool in_header;    /* and nothing behind the header */
    uint32_t piece_octets; /* looked at in one go */
    bool begun;        /* with the candidate whose turn it is, */
    uint64_t at;       /* of which so many octets were looked at */
    bool short_reads;  /* the store gives less than it is asked for: nothing is read behind that */
    struct text_reader readers[READERS];
    struct handle handles[READERS];
    struct text_range *asked[READERS + READER_RANGES - 1]; /* in the order of asking */
    uint8_t asked_reader[READERS + READER_RANGES - 1];
    uint32_t n_asked;
};

struct search {
    struct search_program program;
    uint8_t returns; /* RETURN_...; 0: an ordinary result */
    uint32_t first, last, found; /* of what was found: the lowest, the highest, how many */
    mailsrv_run run;             /* of it, that is to be said; first 0: none */
    bool said_run;
    uint64_t first_modseq, last_modseq, highest;
    mailsrv_run all_uids;
    struct set all;
    struct walk walk;
    struct candidate candidates[2 * CANDIDATES];
    uint32_t n, now; /* candidates, and the one whose turn it is */
    uint32_t n_ahead; /* those that are looked at next, behind them */
    uint32_t looked;  /* steps of the walk that looked for them */
    bool asked_ahead; /* for their rows, with structures */
    bool asked_structures; /* for those of the candidates, too */
    struct uids uids;
    mailsrv_cursor cursor;
    bool ended;        /* the walk */
    bool begun;        /* "* SEARCH" is out */
    bool gone;         /* a message that may have matched is not there any more */
    bool wanted_sizes; /* once is enough */
    struct looking looking;
    struct failure failure; /* that ended it */
    struct failure damage;  /* of messages that cannot be read: the others were looked at */
};

static inline struct search *mailsrv__search_of(struct imap *p)
{
    return p->command.own;
}

/* ---- search.c ---- */

/* Looks at the candidates, from the one on whose turn it is. */
enum step mailsrv__search_judge(mailsrv_session *session);

/* Does it match, as far as is known? */
enum match mailsrv__search_match(struct imap *p, const struct candidate *c);

/* ---- search_say.c: the response.  False: no memory; the step returns STEP_CLOSE. ---- */
bool mailsrv__search_say_hit(struct imap *p, const struct candidate *c);
bool mailsrv__search_say_end(struct imap *p); /* where it failed, what is not said yet is left out */

/* ---- search_kept.c ---- */
void mailsrv__search_kept_begin(struct imap *p);

/* What other searches have kept of a candidate tells of it. */
void mailsrv__search_kept(struct imap *p, struct candidate *c);

/* What the structure that came with its row tells, so that its text need not be read; it is kept. */
void mailsrv__search_structure(struct imap *p, struct candidate *c, const mailsrv_row *row);

/* ---- search_text.c ---- */

/* Takes what looking into text needs.  MAILSRV_OK; MAILSRV_LIMIT; MAILSRV_NOMEM. */
int32_t mailsrv__search_text_begin(struct imap *p);

/* Looks into the text of the candidate whose turn it is, until it is known whether it matches.  STEP_NEXT: it is, or
 * `failure` of the search says why not.  MATCH_UNKNOWN: it cannot be read any more, or not at all. */
enum step mailsrv__search_text(struct imap *p, enum match *out);

#endif
