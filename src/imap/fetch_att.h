/* What FETCH is asked for (RFC 9051 section 9, fetch-att; RFC 3501 section 9 for RFC822 and the macros). */
#ifndef IMAP_FETCH_ATT_H
#define IMAP_FETCH_ATT_H

#include "imap/parse.h"

enum { ATT_UID = 1 << 0, ATT_FLAGS = 1 << 1, ATT_INTERNALDATE = 1 << 2, ATT_SIZE = 1 << 3 };

/* A part of the message's octets. */
struct body_att {
    struct span name; /* as the response has it, without <origin>; static */
    enum section section;
    bool is_partial;
    uint64_t first, most; /* partial: from octet `first` on, at most so many */
};

enum { BODY_ATTS_MAX = 16 };

struct fetch_atts {
    uint32_t plain; /* ATT_... */
    uint32_t n_bodies;
    struct body_att bodies[BODY_ATTS_MAX];
    bool sets_seen;
    bool unserved; /* something is among them that takes a scanner of MIME */
};

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")" */
bool mailsrv__parse_fetch_atts(struct reader *r, struct fetch_atts *out);

#endif
