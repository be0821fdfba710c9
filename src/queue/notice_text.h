/* The text of a notice (RFC 3464, RFC 6522; RFC 6533 where something in it is not ASCII), piece by piece.
 *
 * What others have said stands in it without their control octets, and folded: no line of it is longer than 998 octets,
 * and none begins anything else. */
#ifndef QUEUE_NOTICE_TEXT_H
#define QUEUE_NOTICE_TEXT_H

#include "queue/notice.h"

enum { NOTICE_PIECE_OCTETS_MAX = 4096, NOTICE_BOUNDARY_OCTETS_MAX = 48 };

struct notice_text {
    const struct notice_setup *setup;
    const struct notice_recipient *recipients;
    uint32_t n;
    struct span original; /* what goes along; empty: nothing */
    bool whole;           /* it is all of it; else the header */
    char boundary[NOTICE_BOUNDARY_OCTETS_MAX];
    size_t boundary_n;
    bool utf8;      /* an address, or the header of the original, is not ASCII */
    bool eight_bit; /* what goes along has octets above 127 */
};

/* With all but the last four fields set. */
void mailsrv__notice_prepare(struct notice_text *text);

/* How many pieces there are.  The original stands before the last one. */
uint32_t mailsrv__notice_pieces(const struct notice_text *text);

/* Writes the i-th piece: at most NOTICE_PIECE_OCTETS_MAX octets. */
void mailsrv__notice_piece(const struct notice_text *text, uint32_t i, struct writer *w);

/* May the original be sent back whole (RFC 3461 section 4.3)?  Only with a failure. */
bool mailsrv__notice_wants_whole(const struct notice_recipient *recipients, uint32_t n);

#endif
