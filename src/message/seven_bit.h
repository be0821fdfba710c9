/* A message with octets above 127 becomes one without, for a server that has no 8BITMIME (RFC 6152 section 3): the
 * bodies of parts are encoded (RFC 2045 section 6), and their headers say so.
 *
 * What is in it must be known before: a structure (message/structure.h), and then the octets, seen once.  After that it
 * streams past again, in pieces of any size, and is handed out as it is to be sent.  Nothing is done to a message that
 * is signed, or that has such octets where none can be encoded: in a header, between parts, in a body that is encoded
 * already.
 */
#ifndef MESSAGE_SEVEN_BIT_H
#define MESSAGE_SEVEN_BIT_H

#include "message/header_editor.h"
#include "message/structure.h"

enum { SEVEN_BIT_PARTS_MAX = 256, SEVEN_BIT_LINE = 57 /* octets that base64 makes a line of 76 of */ };

enum seven_bit_way { WAY_AS_IT_IS, WAY_QUOTED, WAY_BASE64 };

struct seven_bit_part {
    uint64_t begins, body, ends; /* of the message's octets; a multipart or message ends where its body begins */
    enum seven_bit_way way;      /* how its body would be encoded; WAY_AS_IT_IS: it cannot be */
    bool is_container;
    bool needs; /* it has octets above 127 */
};

struct seven_bit {
    struct seven_bit_part parts[SEVEN_BIT_PARTS_MAX];
    uint32_t n_parts;
    uint32_t part;      /* that has begun, or is the next to begin */
    uint32_t n_headers; /* that have begun: of parts before it, and perhaps of it */
    uint64_t at;
    char tail[4];    /* of the header that was looked at last */
    uint8_t in_line; /* where in a line of it */
    bool is_odd;     /* it has a line that is no field, nor goes on with one */
    bool is_stuck;   /* an octet above 127 stands where none can be encoded */
    bool in_header;  /* of the part: it is being edited */
    uint8_t column;  /* quoted-printable: of the line */
    char held;       /* CR or a blank, which may end a line; 0: none */
    bool has_line;   /* base64: a line was handed out */
    uint8_t line_n;
    uint8_t line[SEVEN_BIT_LINE];
    size_t out_n;
    char out[96];
    struct missing_field add[3];
    struct header_editor editor;
};

/* False: such a message is left alone. */
bool mailsrv__seven_bit_begin(struct seven_bit *s, struct span structure);

/* The octets, as they are. */
void mailsrv__seven_bit_look(struct seven_bit *s, struct span octets);

/* All were seen, and come again.  False: it cannot be done. */
bool mailsrv__seven_bit_rewind(struct seven_bit *s);

/* Takes from the front of `*in` and hands out the next part, which is valid until the next call; it may be empty.
 * False: `*in` is empty, and there is no part. */
bool mailsrv__seven_bit_take(struct seven_bit *s, struct span *in, struct span *out);

/* The message has ended: hands out what is left, until false. */
bool mailsrv__seven_bit_end(struct seven_bit *s, struct span *out);

#endif
