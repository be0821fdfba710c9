/* The structure blob: what a message is made of, small enough to be kept beside its row.
 *
 *   octet   version: 1; any other is scanned again
 *   octet   flags: 1, a line begins with a dot; 2, of the fields named here the message's own header has no more than
 *           are kept: none came again that counts once, and none was left out
 *   number  octets of the message
 *   number  parts
 *   then each part, in the order in which they begin, each before its children:
 *     octet   kind: 0 another type, 1 text, 2 multipart, 3 message; 16 is added where it is opaque: past a bound
 *     number  children (a message has one)
 *     number  octet of the message at which it begins, with its header
 *     number  octets of its header, with the empty line
 *     number  octets of its body
 *     number  line ends in its body
 *     number  octets of its fields; then each of them, in the order in which they come; an address field may come again
 *     (RFC 5322 section 4.5.3):
 *       octet   which one
 *       number  twice its octets, then these, unfolded; or
 *       number  twice its octets as they stand in the message, plus 1; then
 *       number  where, from the part's beginning on
 *
 * A number is little-endian, seven bits an octet, and the octet with the last has its eighth bit clear; it has no
 * octets that it does not need.
 *
 * The message is the body that a store keeps: a target's prefix stands before it, and shifts every octet.
 */
#ifndef MESSAGE_STRUCTURE_H
#define MESSAGE_STRUCTURE_H

#include "base/span.h"

enum {
    STRUCTURE_VERSION = 1,
    STRUCTURE_DEPTH_MAX = 100, /* a part that lies deeper is none: what holds it is opaque */
    STRUCTURE_PARTS_MAX = 4096,
    STRUCTURE_VALUE_MAX = 1024 /* a longer one stays in the message */
};

enum { STRUCTURE_DOTS = 1, STRUCTURE_HAS_ALL = 2 };

enum part_kind { PART_OTHER, PART_TEXT, PART_MULTIPART, PART_MESSAGE, PART_OPAQUE = 16 };

/* Numbers of the format. */
enum part_field {
    FIELD_DATE = 1,
    FIELD_SUBJECT,
    FIELD_FROM,
    FIELD_SENDER,
    FIELD_REPLY_TO,
    FIELD_TO,
    FIELD_CC,
    FIELD_BCC,
    FIELD_IN_REPLY_TO,
    FIELD_MESSAGE_ID,
    FIELD_CONTENT_TYPE,
    FIELD_CONTENT_ENCODING,
    FIELD_CONTENT_ID,
    FIELD_CONTENT_DESCRIPTION,
    FIELD_CONTENT_MD5,
    FIELD_CONTENT_DISPOSITION,
    FIELD_CONTENT_LANGUAGE,
    FIELD_CONTENT_LOCATION,
    FIELDS_END
};

struct part {
    enum part_kind kind; /* without PART_OPAQUE */
    bool opaque;
    uint32_t depth; /* of the message 0 */
    uint32_t children;
    uint64_t offset, header_octets, body_octets, body_lines;
    struct span fields;
};

static inline uint64_t mailsrv__part_body(const struct part *part)
{
    return part->offset + part->header_octets;
}

static inline bool mailsrv__is_address_field(enum part_field field)
{
    return field >= FIELD_FROM && field <= FIELD_BCC;
}

/* A field's value, or where it stands. */
struct part_value {
    bool there;
    bool in_message; /* then `offset` of the message, and `octets` */
    struct span text;
    uint64_t offset, octets;
};

/* Parts that are read from the front; a copy keeps its place. */
struct structure {
    struct span rest;
    uint64_t octets;
    uint32_t n_parts, left;
    bool dots;                             /* a line begins with a dot */
    bool has_all;                          /* its own header has no more of these fields than are kept */
    uint32_t depth;                        /* of the next part */
    uint16_t due[STRUCTURE_DEPTH_MAX + 1]; /* children that are still to come, at each depth */
};

/* False: another version, or no structure.  The parts have not been looked at: see mailsrv__structure_is_whole. */
bool mailsrv__structure_open(struct span blob, struct structure *out);

/* The next part.  False: there is no more, or what follows is none. */
bool mailsrv__structure_next(struct structure *s, struct part *out);

/* Is all of it as a scanner could have made it, of a message with so many octets?  What comes from outside is asked so
 * once; then the others above find what they expect. */
bool mailsrv__structure_is_whole(struct span blob, uint64_t octets);

/* The first of that field; not `there`: the part has none. */
struct part_value mailsrv__part_value(const struct part *part, enum part_field field);

/* Where the first of each field stands, for who wants many of a part. */
struct part_fields {
    struct span of;                      /* `fields` of the part; empty: of none */
    uint32_t there, again;               /* a bit for each field that the part has, and has more than once */
    struct part_value first[FIELDS_END]; /* only where it is there */
};

void mailsrv__part_fields(const struct part *part, struct part_fields *out);

static inline struct part_value mailsrv__part_fields_value(const struct part_fields *fields, enum part_field field)
{
    return (fields->there >> field & 1) != 0 ? fields->first[field] : (struct part_value){ .there = false };
}

/* Fields one after the other, from `part->fields` on: takes the next from the front of `*rest`.  False: there is no
 * more. */
bool mailsrv__part_value_next(const struct part *part, struct span *rest, enum part_field *field,
                              struct part_value *out);

/* Goes to part "2.1" of a message (RFC 9051 section 6.4.5): the numbers of a section, `n` of them.  `s` has just been
 * opened.  False: there is none. */
bool mailsrv__structure_find(struct structure *s, const uint32_t *numbers, uint32_t n, struct part *out);

/* ---- Numbers, for the scanner, too ---- */

enum { NUMBER_OCTETS_MAX = 10 };

size_t mailsrv__number_write(char *to, uint64_t number);

bool mailsrv__number_read_long(struct span *from, uint64_t *out);

/* False: it is none.  Most have one octet. */
static inline bool mailsrv__number_read(struct span *from, uint64_t *out)
{
    if (from->n == 0 || (uint8_t)from->p[0] >= 0x80)
        return mailsrv__number_read_long(from, out);
    *out = (uint8_t)from->p[0];
    from->p++;
    from->n--;
    return true;
}

#endif
