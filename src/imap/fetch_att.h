/* What FETCH is asked for (RFC 9051 section 9, fetch-att; RFC 3501 section 9 for RFC822 and the macros). */
#ifndef IMAP_FETCH_ATT_H
#define IMAP_FETCH_ATT_H

#include "imap/parse.h"

/* What of a message, or of one of its parts. */
enum section { SECTION_ALL, SECTION_HEADER, SECTION_TEXT, SECTION_MIME, SECTION_FIELDS, SECTION_FIELDS_NOT };

enum att_kind {
    ATT_UID,
    ATT_FLAGS,
    ATT_INTERNALDATE,
    ATT_SIZE,
    ATT_MODSEQ,
    ATT_ENVELOPE,
    ATT_STRUCTURE,      /* BODY without a section */
    ATT_BODYSTRUCTURE,
    ATT_BODY
};

struct att {
    enum att_kind kind;
    /* BODY: octets of the message. */
    struct span name; /* as the response has it, without <origin>; static, or in the arena */
    enum section section;
    const uint32_t *part; /* its numbers; the message itself has none */
    uint32_t n_part;
    uint32_t n_fields;
    const struct span *fields; /* of SECTION_FIELDS and _NOT */
    bool is_partial;
    uint64_t first, most; /* partial: from octet `first` on, at most so many */
};

enum { ATTS_MAX = 24, PART_NUMBERS_MAX = 200, FIELD_NAMES_MAX = 200 };

/* In the order of asking, and so of answering; those of other kinds than ATT_BODY once. */
struct fetch_atts {
    struct att v[ATTS_MAX];
    uint32_t n;
    uint32_t kinds; /* a bit for each kind that is among them */
    bool sets_seen;
    bool structured; /* something needs the structure of the message */
};

static inline bool mailsrv__fetch_has(const struct fetch_atts *atts, enum att_kind kind)
{
    return (atts->kinds >> kind & 1) != 0;
}

static inline bool mailsrv__att_is_filtered(const struct att *att)
{
    return att->section == SECTION_FIELDS || att->section == SECTION_FIELDS_NOT;
}

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")" */
bool mailsrv__parse_fetch_atts(struct reader *r, struct fetch_atts *out);

/* UID FETCH answers UID whether it was asked for or not: first, then (RFC 9051 section 6.4.9). */
bool mailsrv__fetch_add_uid(struct reader *r, struct fetch_atts *out);

/* CHANGEDSINCE answers MODSEQ as well (RFC 7162 section 3.1.4.1). */
bool mailsrv__fetch_add_modseq(struct reader *r, struct fetch_atts *out);

#endif
