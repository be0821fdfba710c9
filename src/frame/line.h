/* Lines of commands, cut out of input that arrives in any pieces.
 *
 * Only CRLF ends a line.  A CR or LF that stands alone, or a NUL, makes the line bad; it still runs to its CRLF, so
 * that nothing inside it is ever taken for a command (the smuggling of CVE-2023-51764 begins with a reader that sees a
 * line's end elsewhere).  A line that comes whole in one piece is not copied.
 */
#ifndef FRAME_LINE_H
#define FRAME_LINE_H

#include "base/span.h"
#include "frame/kept.h"

#include <stdbool.h>

enum framed {
    FRAMED_MORE,     /* the line has not ended yet */
    FRAMED_LINE,     /* here it is */
    FRAMED_BAD,      /* a line with a lone CR or LF, or a NUL */
    FRAMED_TOO_LONG, /* longer than allowed */
    FRAMED_NO_MEMORY /* there was no room to keep its beginning */
};

struct line_frame {
    struct kept kept; /* what came before this piece */
    size_t n;
    enum framed fate; /* FRAMED_LINE, or what the line will be when it ends */
    bool cr;          /* the last octet was a CR */
};

/* Where the beginning of a line is kept. */
struct line_room {
    struct heap *heap;
    struct purse *purse; /* or NULL */
    size_t octets_max;   /* of a line, CRLF included */
};

/* Takes input up to the end of a line.  FRAMED_LINE: `*line` is the line without its CRLF, valid until the next call
 * of take or done. */
enum framed mailsrv__line_take(struct line_frame *frame, const struct line_room *room, struct input *in,
                               struct span *line);

/* The line has been run: forgets it, wiping what was kept if it held a secret. */
void mailsrv__line_done(struct line_frame *frame, const struct line_room *room, bool wipe);

/* Is a line begun and not ended? */
static inline bool mailsrv__line_begun(const struct line_frame *frame)
{
    return frame->n != 0 || frame->cr || (frame->fate != FRAMED_MORE && frame->fate != FRAMED_LINE);
}

#endif
