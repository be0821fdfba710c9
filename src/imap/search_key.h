/* What SEARCH looks for (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4). */
#ifndef IMAP_SEARCH_KEY_H
#define IMAP_SEARCH_KEY_H

#include "imap/messages.h"
#include "message/seek.h"

enum { KEYS_MAX = 1000, KEY_DEPTH_MAX = 64 };

enum key_kind {
    KEY_AND, /* all of those below it; none is ALL */
    KEY_OR,
    KEY_NOT,
    KEY_FLAGS, /* one of these flags, or keywords */
    KEY_RECENT,
    KEY_NUMBERS,
    KEY_UIDS,
    KEY_LARGER,
    KEY_SMALLER,
    KEY_BEFORE,
    KEY_ON,
    KEY_SINCE,
    KEY_MODSEQ,
    KEY_TEXT /* what only the message's own octets tell */
};

struct key {
    enum key_kind kind;
    struct key *first, *next; /* AND, OR, NOT: those below it; the next one beside it */
    uint32_t flags;
    uint64_t keywords[2];
    struct set set;
    uint64_t octets; /* or a modseq */
    int32_t days;
    uint32_t condition; /* TEXT: which one */
};

/* What is asked of the text of messages. */
struct condition {
    struct sought sought;
    struct condition *next;
};

struct search_program {
    struct key all;  /* KEY_AND */
    uint32_t n;      /* keys */
    struct condition *conditions; /* in the order of their numbers; NULL: the text of messages is not needed */
    uint32_t n_conditions;
    uint32_t fields; /* MAILSRV_ROW_... that rows are needed for; 0: none */
    bool numbers;    /* it names messages by number */
    bool modseq;     /* MODSEQ is among them: the result says the highest */
    bool bad_charset;
    bool ascii; /* it is US-ASCII: other octets are an error */
};

/* search-program = ["CHARSET" SP charset SP] search-key *(SP search-key) */
bool mailsrv__parse_search_program(struct imap *p, struct reader *r, struct search_program *out);

enum match { MATCH_NO, MATCH_YES, MATCH_UNKNOWN };

/* What is known of a message. */
struct candidate {
    struct member member;
    bool recent;
    bool has_marks, has_row;
    struct marks marks;
    uint64_t octets;
    int64_t internal_us;
    struct seek_told told;   /* of the conditions, by its structure or what was kept of it */
    uint32_t to_keep;        /* fields of which nothing is kept: a bit for each of the search's */
    bool decided;            /* it matches by what is known: no row is needed */
    const struct seek *seek; /* that looks into its text; NULL: nothing is known of that */
};

/* Does it match?  MATCH_UNKNOWN: what is not known of it decides. */
enum match mailsrv__search_matches(const struct search_program *program, const struct candidate *candidate);

#endif
