/* Commands of IMAP, cut out of input that arrives in any pieces: lines, and literals that are counted (RFC 9051
 * section 4.3, RFC 7888).
 *
 * A command is kept as it came, in one run of octets: its lines with their CRLF, and the octets of those literals that
 * are kept.  Of a literal that is streamed only the announcement is kept: its octets go to whoever asked for them.
 *
 * What is wrong with a command is a flag beside the place in it: framing goes on to where the command ends, and no
 * octet of it is ever taken for another command.  An announcement counts wherever it stands, within a quoted string as
 * well: what its sender thinks of it is not known, but what he sends next is.
 */
#ifndef FRAME_LITERAL_H
#define FRAME_LITERAL_H

#include "base/span.h"
#include "frame/kept.h"

enum cut {
    CUT_MORE,    /* it goes on in input that is not here yet */
    CUT_LITERAL, /* a literal is announced, `left` octets: say what becomes of it, then go on cutting */
    CUT_OCTETS,  /* of a streamed literal: take up to `left` octets of the input, and say mailsrv__literal_took */
    CUT_COMMAND  /* the command has ended: mailsrv__literal_text, unless `bad`; then mailsrv__literal_done */
};

enum literal_bad {
    LITERAL_GOOD,
    LITERAL_OCTET,     /* a CR or LF that stands alone, or a NUL */
    LITERAL_TOO_LONG,  /* more octets than a command may have */
    LITERAL_NO_MEMORY,
    LITERAL_REFUSED,   /* by whoever was asked what becomes of a literal */
    LITERAL_ENDLESS    /* its {n+} announced more than is swallowed: the next command is not worth waiting for */
};

enum literal_place { IN_LINE, AT_LITERAL, IN_KEPT, IN_STREAMED, IN_SWALLOWED, AT_END };

/* So much of a command is kept whatever is wrong with it, if there is memory. */
enum { LITERAL_BEGINNING = 128 };

struct literal_frame {
    struct kept kept;
    size_t n; /* octets of it */
    uint64_t octets; /* of the command, streamed and swallowed literals not counted */
    size_t streamed_at; /* where in `kept` the announcement of the streamed literal ends; 0: there is none */
    uint64_t left;      /* octets of the literal that are still to come */
    uint64_t number;    /* of the announcement that is being read */
    uint64_t swallowed; /* octets of the command that were, or are being, read to no purpose */
    uint8_t place, announce, bad;
    bool cr;      /* the last octet of the line was a CR */
    bool nonsync; /* {n+}: its octets come without being asked for */
    uint8_t asked; /* literals of the command that had to be asked for; 255: or more */
};

/* Where a command is kept, and how much of it. */
struct literal_room {
    struct heap *heap;
    struct purse *purse;   /* or NULL */
    size_t octets_max;     /* of a command, streamed literals not counted; LITERAL_BEGINNING or more */
    uint64_t swallows_max; /* octets of {n+} in a command that are read to no purpose */
};

/* Takes input up to something that whoever runs the commands must know of. */
enum cut mailsrv__literal_take(struct literal_frame *frame, const struct literal_room *room, struct input *in);

/* After CUT_LITERAL, one of these. */

/* Keeps its octets with the command.  False: there is no room: as mailsrv__literal_refuse. */
bool mailsrv__literal_keep(struct literal_frame *frame, const struct literal_room *room);

/* Its octets are given out as CUT_OCTETS; one of each command at most. */
void mailsrv__literal_stream(struct literal_frame *frame);

/* The command is bad.  Octets that were to be asked for never come: it has ended, and the next cut is CUT_COMMAND.
 * Those of a {n+}, and what follows them, are swallowed up to there. */
void mailsrv__literal_refuse(struct literal_frame *frame, const struct literal_room *room, enum literal_bad why);

/* Of one that must be asked for: it is not, since the command is wrong as far as it goes.  It has ended. */
void mailsrv__literal_cut_short(struct literal_frame *frame);

/* `n` octets of CUT_OCTETS were taken from the input. */
void mailsrv__literal_took(struct literal_frame *frame, size_t n);

/* What is kept, up to now. */
static inline struct span mailsrv__literal_text(const struct literal_frame *frame)
{
    return (struct span){ frame->kept.p, frame->n };
}

/* The command is done with: forgets it, wiped. */
void mailsrv__literal_done(struct literal_frame *frame, const struct literal_room *room);

/* Is a command begun and not ended? */
static inline bool mailsrv__literal_begun(const struct literal_frame *frame)
{
    return frame->octets != 0 || frame->cr || frame->bad != LITERAL_GOOD || frame->place != IN_LINE;
}

#endif
