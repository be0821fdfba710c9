/* Between the files of the scanner: scanner.c sees lines and levels, scan_fields.c the fields of a header, scan_parts.c
 * the parts that they make, and their memory. */
#ifndef MESSAGE_SCANNING_H
#define MESSAGE_SCANNING_H

#include "message/scanner.h"

/* ---- scanner.c ---- */

/* Takes lines of a body from the front, up to one that may be a delimiter: how many octets.  0: it is not at the
 * beginning of such a line; the scanner goes on with the line. */
size_t mailsrv__scan_body(struct scanner *s, struct span octets);

/* ---- scan_parts.c ---- */

/* False: there is no memory, and the scanner has failed. */
bool mailsrv__scan_room(struct scanner *s, struct growing *g, size_t more);
bool mailsrv__scan_add(struct scanner *s, struct growing *g, struct span octets);
bool mailsrv__scan_number(struct scanner *s, struct growing *g, uint64_t number);
void mailsrv__scan_free(struct scanner *s, struct growing *g);

/* It keeps no more fields. */
static inline bool mailsrv__scan_is_tight(const struct scanner *s)
{
    return s->fields.n >= FIELDS_OCTETS_MAX;
}

struct scanned_part {
    uint64_t offset, header_octets, body_octets, body_lines;
    uint32_t children;
    uint32_t fields_at, fields_n;
    uint8_t kind; /* as the blob has it */
};

static inline struct scanned_part *mailsrv__scan_part(const struct scanner *s, uint32_t i)
{
    return (struct scanned_part *)(void *)s->parts.p + i;
}

static inline struct level *mailsrv__scan_level(const struct scanner *s, uint32_t i)
{
    return (struct level *)(void *)s->levels.p + i;
}

/* The innermost part that has begun. */
static inline struct level *mailsrv__scan_top(const struct scanner *s)
{
    return mailsrv__scan_level(s, s->n_levels - 1);
}

/* Begins a part at that octet, within the innermost one. */
void mailsrv__scan_begin_part(struct scanner *s, uint64_t offset);

/* The innermost part's header ends at that octet.  In a message another one begins there. */
void mailsrv__scan_end_header(struct scanner *s, uint64_t end);

/* Parts within level `n_levels` end at that octet, in front of that many line ends. */
void mailsrv__scan_end_parts(struct scanner *s, uint32_t n_levels, uint64_t end, uint64_t lines);

/* The delimiter that `line` begins with (without its "--"): the level that it is of, and whether it is the last one.
 * n_levels: it is none. */
uint32_t mailsrv__scan_delimiter(const struct scanner *s, struct span line, bool *is_last);

void mailsrv__scan_write_blob(struct scanner *s);

/* ---- scan_fields.c ---- */

/* The number (enum part_field) of a field that is asked for, by its name in any case; 0: it is none. */
uint8_t mailsrv__scan_field(struct span name);

void mailsrv__scan_fields_begin(struct scanner *s);

/* Octets of one line of a header, the first of them at octet `at` of the message. */
void mailsrv__scan_fields_take(struct scanner *s, struct span octets, uint64_t at);

/* The header has ended: its last field, too. */
void mailsrv__scan_fields_end(struct scanner *s);

#endif
