/* What FETCH is asked for (RFC 9051 section 9, fetch-att; RFC 3501 section 9 for RFC822 and the macros). */
#ifndef IMAP_FETCH_ATT_H
#define IMAP_FETCH_ATT_H

#include "imap/parse.h"

/* Sections that are served. */
enum section { SECTION_ALL, SECTION_HEADER, SECTION_TEXT };

enum att_kind { ATT_UID, ATT_FLAGS, ATT_INTERNALDATE, ATT_SIZE, ATT_BODY };

struct att {
    enum att_kind kind;
    /* BODY: a part of the message's octets. */
    struct span name; /* as the response has it, without <origin>; static */
    enum section section;
    bool is_partial;
    uint64_t first, most; /* partial: from octet `first` on, at most so many */
};

enum { ATTS_MAX = 24 };

/* In the order of asking, and so of answering; those of the first four kinds once. */
struct fetch_atts {
    struct att v[ATTS_MAX];
    uint32_t n;
    uint32_t kinds; /* a bit for each kind that is among them */
    bool sets_seen;
    bool unserved; /* something was asked for that takes a scanner of MIME */
};

static inline bool mailsrv__fetch_has(const struct fetch_atts *atts, enum att_kind kind)
{
    return (atts->kinds >> kind & 1) != 0;
}

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")" */
bool mailsrv__parse_fetch_atts(struct reader *r, struct fetch_atts *out);

/* UID FETCH answers UID whether it was asked for or not: first, then (RFC 9051 section 6.4.9). */
bool mailsrv__fetch_add_uid(struct reader *r, struct fetch_atts *out);

#endif
