/* Transfer encodings of bodies, decoded as they stream past (RFC 2045 section 6).
 *
 * What is broken is taken as far as it makes sense: it never fails.
 */
#ifndef TEXT_TRANSFER_H
#define TEXT_TRANSFER_H

#include "text/writer.h"

enum transfer_kind { TRANSFER_PLAIN, TRANSFER_QUOTED_PRINTABLE, TRANSFER_BASE64 };

enum {
    TRANSFER_BLANKS_MAX = 80, /* of blanks at the end of a line so many go; lines are of 76 characters */
    TRANSFER_ROOM_MIN = TRANSFER_BLANKS_MAX + 4
};

struct transfer {
    enum transfer_kind kind;
    uint8_t at; /* quoted-printable: within an escape */
    char digit; /* its first one */
    uint8_t n_blanks;
    uint8_t n_bits; /* base64 */
    uint32_t bits;
    char blanks[TRANSFER_BLANKS_MAX]; /* held back: they stand at the end of a line, or do not */
};

/* The kind that a Content-Transfer-Encoding names, in any case; TRANSFER_PLAIN for every other word. */
enum transfer_kind mailsrv__transfer_kind(struct span word);

void mailsrv__transfer_begin(struct transfer *t, enum transfer_kind kind);

/* Decodes from the front of `*in`, until that is empty or `out` has less room than TRANSFER_ROOM_MIN. */
void mailsrv__transfer_take(struct transfer *t, struct span *in, struct writer *out);

/* The body has ended: what was held back, in TRANSFER_ROOM_MIN of `out`. */
void mailsrv__transfer_end(struct transfer *t, struct writer *out);

/* The value of a hexadecimal digit, in either case; 16: it is none. */
unsigned mailsrv__hex_digit(char c);

#endif
