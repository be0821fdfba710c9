#include "frame/line.h"

#include "base/word.h"

/* Keeps a piece of a line that will be run; the octets of one that will not are only counted. */
static void keep(struct line_frame *f, const struct line_room *room, struct span piece)
{
    if (f->fate == FRAMED_LINE && !mailsrv__kept_grow(&f->kept, room->heap, room->purse, f->n, f->n + piece.n))
        f->fate = FRAMED_NO_MEMORY;
    if (f->fate == FRAMED_LINE)
        memcpy(f->kept.p + f->n, piece.p, piece.n);
    f->n += piece.n;
}

/* What ends a line, or makes it bad, is below this. */
enum { PLAIN_FROM = '\r' + 1 };

/* Where the line ends in this input: just behind its CRLF, or 0.  Sets what is wrong with it. */
static size_t find_end(struct line_frame *f, const struct input *in)
{
    size_t i = f->cr ? 0 : mailsrv__skip_words((const char *)in->p, in->n, PLAIN_FROM, 0);
    for (; i < in->n; i++) {
        uint8_t c = in->p[i];
        if (f->cr && c == '\n') {
            f->cr = false;
            return i + 1;
        }
        if ((f->cr || c == '\n' || c == 0) && f->fate == FRAMED_LINE)
            f->fate = FRAMED_BAD;
        f->cr = c == '\r';
    }
    return 0;
}

enum framed mailsrv__line_take(struct line_frame *f, const struct line_room *room, struct input *in, struct span *line)
{
    if (f->fate == FRAMED_MORE)
        f->fate = FRAMED_LINE;
    size_t end = find_end(f, in);
    struct span piece = { (const char *)in->p, end == 0 ? in->n : end };
    if (piece.n > room->octets_max || f->n > room->octets_max - piece.n)
        f->fate = FRAMED_TOO_LONG;

    bool whole = end != 0 && f->n == 0;
    if (whole)
        *line = piece;
    else if (piece.n != 0)
        keep(f, room, piece);
    mailsrv__input_skip(in, piece.n);
    if (end == 0) {
        if (f->n > room->octets_max)
            f->n = room->octets_max; /* a count that only says "too long" must not run over */
        return FRAMED_MORE;
    }
    if (!whole)
        *line = (struct span){ f->kept.p, f->n };
    if (f->fate == FRAMED_LINE)
        line->n -= 2;
    else
        *line = (struct span){ NULL, 0 };
    return f->fate;
}

void mailsrv__line_done(struct line_frame *f, const struct line_room *room, bool wipe)
{
    mailsrv__kept_free(&f->kept, room->heap, room->purse, wipe);
    *f = (struct line_frame){ 0 };
}
