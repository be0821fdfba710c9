/* mailsrv/message.h - messages by themselves: what one is made of, its header fields, addresses, and parameters.
 *
 * Nothing here needs an engine.  What is read is taken as it comes: a message that breaks every rule has a structure,
 * and a field that cannot be read is empty, or read as far as it makes sense; nothing is read behind its end.
 *
 * A scanner reads a message that streams past, in pieces of any size, and gives its structure: a block of bytes that says
 * what parts it has, where each stands, and what the fields say that describe them (RFC 2045, RFC 2046, RFC 5322).  The
 * sessions of an engine make one of each message that comes in, if a ready-made store is bound or a session reads; a
 * store keeps it beside the message (mailsrv_staged.structure, MAILSRV_ROW_STRUCTURE).  Its bytes are the same on every
 * machine; one that a later version of the library made may be unreadable to an earlier one, and is then made anew.
 *
 * Threads: a scanner belongs to one thread at a time; everything else may be called from any.
 */
#ifndef MAILSRV_MESSAGE_H
#define MAILSRV_MESSAGE_H

#include <mailsrv/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The scanner ---- */

typedef struct mailsrv_scanner mailsrv_scanner; /* one message on its way through, until mailsrv_scanner_free */

/* A scanner at the beginning of a message.  `allocator` NULL: malloc; it takes 2 MiB at most, and mostly less than 4 KiB.
 * MAILSRV_OK, MAILSRV_NOMEM or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_scanner_new(const mailsrv_allocator *allocator, mailsrv_scanner **out);

/* The next octets of the message, borrowed for the call.  MAILSRV_OK; MAILSRV_E_CLOSED: it has ended;
 * MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_scanner_feed(mailsrv_scanner *scanner, const uint8_t *p, size_t n);

/* The message has ended: says its structure, which lives until the scanner is freed.
 *
 * Parts are at most 4,096, 100 levels deep; what lies beyond is in a part that is `opaque`.
 * MAILSRV_OK; MAILSRV_NOMEM: there was no memory on the way; MAILSRV_E_CLOSED: it was ended before;
 * MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_scanner_end(mailsrv_scanner *scanner, mailsrv_bytes *structure);

/* NULL is fine. */
MAILSRV_API void mailsrv_scanner_free(mailsrv_scanner *scanner);

/* ---- Structures ---- */

/* Kinds of parts. */
#define MAILSRV_PART_OTHER 0     /* of any other type */
#define MAILSRV_PART_TEXT 1      /* text/..., or a part that says nothing else */
#define MAILSRV_PART_MULTIPART 2 /* its children are its parts; it may have none */
#define MAILSRV_PART_MESSAGE 3   /* message/rfc822: its child is that message */

/* A part: of the message, which is the first, or of a part before it. */
typedef struct mailsrv_part {
    uint32_t size;
    int32_t kind;     /* MAILSRV_PART_... */
    uint32_t depth;   /* of the message 0, of its parts 1 ... */
    uint32_t children;
    uint64_t offset;        /* where it begins in the message, with its header */
    uint64_t header_octets; /* with the empty line; the body stands behind it */
    uint64_t body_octets;
    uint64_t body_lines;  /* line ends in its body */
    uint32_t opaque;      /* 1: it holds what was not looked at, because of a bound */
    uint32_t reserved;
    mailsrv_bytes fields; /* for mailsrv_part_field */
} mailsrv_part;

/* Called for each part, in the order in which they begin; `part` lives for the call.  Other than 0: no more. */
typedef int32_t (*mailsrv_on_part)(void *user, const mailsrv_part *part);

/* Goes through the parts of a structure, of a message with so many octets.  MAILSRV_OK; MAILSRV_CORRUPT: it is none, or
 * of another version or message, and nothing was called; MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_structure_walk(mailsrv_bytes structure, uint64_t octets, mailsrv_on_part on_part,
                                           void *user);

/* Fields that a structure has: of the message, and of a message within it, */
#define MAILSRV_FIELD_DATE 1
#define MAILSRV_FIELD_SUBJECT 2
#define MAILSRV_FIELD_FROM 3
#define MAILSRV_FIELD_SENDER 4
#define MAILSRV_FIELD_REPLY_TO 5
#define MAILSRV_FIELD_TO 6
#define MAILSRV_FIELD_CC 7
#define MAILSRV_FIELD_BCC 8
#define MAILSRV_FIELD_IN_REPLY_TO 9
#define MAILSRV_FIELD_MESSAGE_ID 10
/* and of each part. */
#define MAILSRV_FIELD_CONTENT_TYPE 11
#define MAILSRV_FIELD_CONTENT_TRANSFER_ENCODING 12
#define MAILSRV_FIELD_CONTENT_ID 13
#define MAILSRV_FIELD_CONTENT_DESCRIPTION 14
#define MAILSRV_FIELD_CONTENT_MD5 15
#define MAILSRV_FIELD_CONTENT_DISPOSITION 16
#define MAILSRV_FIELD_CONTENT_LANGUAGE 17
#define MAILSRV_FIELD_CONTENT_LOCATION 18

/* What a field of a part says.  The text is borrowed from the structure that the part came from. */
typedef struct mailsrv_part_value {
    uint32_t size;
    uint32_t in_message; /* 1: it is too long to be kept: it stands in the message, folded, at `offset` */
    mailsrv_bytes text;  /* else this is it, unfolded; of the structure */
    uint64_t offset;
    uint64_t octets;
} mailsrv_part_value;

/* The `index`-th field of that name, counted from 0: only address fields come more than once (RFC 5322 section 4.5.3).
 * MAILSRV_OK; MAILSRV_NONEXISTENT: there are no more; MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_part_field(const mailsrv_part *part, int32_t field, uint32_t index,
                                       mailsrv_part_value *out);

/* ---- Header fields ---- */

/* A field; all three are borrowed from the header that it was taken from. */
typedef struct mailsrv_field {
    uint32_t size;
    uint32_t reserved;
    mailsrv_bytes name;  /* without the blanks before its colon */
    mailsrv_bytes value; /* behind the colon, folded, without its last line end; p NULL: the line has no colon */
    mailsrv_bytes all;   /* with everything */
} mailsrv_field;

/* Takes the next field from the front of `*header`.  MAILSRV_MORE: there is one; MAILSRV_OK: the header has ended, and
 * `*header` is what follows its empty line; MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_field_next(mailsrv_bytes *header, mailsrv_field *out);

/* Writes a value without its line ends, and without blanks at both ends, and says in `*n` how long it is; as many octets
 * of room as it has are enough.  MAILSRV_OK; MAILSRV_LIMIT: it was cut; MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_unfold(mailsrv_bytes value, uint8_t *room, size_t octets, size_t *n);

/* ---- Addresses ---- */

/* A list that is read from the front: set size and rest, and leave the others 0. */
typedef struct mailsrv_addresses {
    uint32_t size;
    uint32_t in_group;
    mailsrv_bytes rest;
} mailsrv_addresses;

/* Kinds of addresses. */
#define MAILSRV_ADDRESS_MAILBOX 0   /* an address by itself or in a group */
#define MAILSRV_ADDRESS_GROUP 1     /* a group begins, whose name is `local` */
#define MAILSRV_ADDRESS_GROUP_END 2 /* and ends */

/* A text that is not there has p NULL; the others stand in the room, unquoted and in one piece. */
typedef struct mailsrv_address {
    uint32_t size;
    int32_t kind;         /* MAILSRV_ADDRESS_... */
    mailsrv_bytes name;   /* the display name; encoded words (RFC 2047) stay as they are */
    mailsrv_bytes route;  /* of old: "@a.example,@b.example" */
    mailsrv_bytes local;
    mailsrv_bytes domain; /* a literal with its brackets */
    uint32_t broken;      /* 1: it begins with "<" and does not go on as it must */
    uint32_t reserved;
} mailsrv_address;

/* The next address of a field's value.  As many octets of room as the value has are enough.  MAILSRV_MORE: there is one;
 * MAILSRV_OK: there is no more; MAILSRV_LIMIT: there is one, and it was cut; MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_address_next(mailsrv_addresses *list, uint8_t *room, size_t octets, mailsrv_address *out);

/* ---- Content-Type, Content-Disposition ---- */

/* What a value is made of; all three are borrowed from it. */
typedef struct mailsrv_content {
    uint32_t size;
    uint32_t reserved;
    mailsrv_bytes type;       /* or the disposition; of the value */
    mailsrv_bytes subtype;    /* empty: there is none */
    mailsrv_bytes parameters; /* for mailsrv_parameter */
} mailsrv_content;

/* Reads the value of such a field.  MAILSRV_OK; MAILSRV_CORRUPT: there is no type; MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_content_read(mailsrv_bytes value, mailsrv_content *out);

/* The `index`-th parameter, counted from 0, unquoted; one in sections is put together, and where it has a charset its
 * name ends with "*" (RFC 2231 sections 3 and 4).  Three times the octets of the parameters are always enough room.
 * MAILSRV_OK; MAILSRV_NONEXISTENT: there are no more; MAILSRV_LIMIT: it was cut; MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_parameter(mailsrv_bytes parameters, uint32_t index, uint8_t *room, size_t octets,
                                      mailsrv_bytes *name, mailsrv_bytes *value);

#ifdef __cplusplus
}
#endif

#endif
