#include "frame/literal.h"

#include "base/word.h"

/* How far an announcement has been read. */
enum { NO_ANNOUNCE, AFTER_BRACE, AFTER_DIGIT, AFTER_PLUS, AFTER_SYNC, AFTER_NONSYNC };

/* ---- What is kept ---- */

static bool grow(struct literal_frame *f, const struct literal_room *room, size_t needed)
{
    return mailsrv__kept_grow(&f->kept, room->heap, room->purse, f->n, needed);
}

/* Whatever the pieces it came in, a command that is wrong twice is wrong in the same way. */
static void go_bad(struct literal_frame *f, enum literal_bad why)
{
    if (f->bad == LITERAL_GOOD || (f->bad == LITERAL_OCTET && why == LITERAL_TOO_LONG))
        f->bad = (uint8_t)why;
}

static bool append(struct literal_frame *f, const struct literal_room *room, struct span piece)
{
    if (!grow(f, room, f->n + piece.n))
        return false;
    memcpy(f->kept.p + f->n, piece.p, piece.n);
    f->n += piece.n;
    return true;
}

/* Of a bad command only the beginning is kept, for its tag; where that was lost, nothing. */
static void keep(struct literal_frame *f, const struct literal_room *room, struct span piece)
{
    bool whole = f->n == f->octets;
    f->octets = f->octets > UINT64_MAX - piece.n ? UINT64_MAX : f->octets + piece.n;
    if (f->octets > room->octets_max)
        go_bad(f, LITERAL_TOO_LONG);
    if (f->bad == LITERAL_GOOD && !append(f, room, piece))
        go_bad(f, LITERAL_NO_MEMORY);
    else if (f->bad != LITERAL_GOOD && whole && f->n < LITERAL_BEGINNING)
        append(f, room, mailsrv__span_first(piece, LITERAL_BEGINNING - f->n));
}

/* ---- Lines ---- */

/* A number that does not fit stays above everything. */
static void add_digit(struct literal_frame *f, uint8_t c)
{
    f->number = f->number > UINT64_MAX / 10 - 1 ? UINT64_MAX : f->number * 10 + (uint64_t)(c - '0');
}

/* literal = "{" number64 ["+"] "}" CRLF   RFC 9051 section 9; digits only (RFC 7888 section 8) */
static void follow(struct literal_frame *f, uint8_t c)
{
    bool digit = c >= '0' && c <= '9';
    if (c == '{') {
        f->announce = AFTER_BRACE;
        f->number = 0;
    } else if (digit && (f->announce == AFTER_BRACE || f->announce == AFTER_DIGIT)) {
        f->announce = AFTER_DIGIT;
        add_digit(f, c);
    } else if (c == '+' && f->announce == AFTER_DIGIT) {
        f->announce = AFTER_PLUS;
    } else if (c == '}' && (f->announce == AFTER_DIGIT || f->announce == AFTER_PLUS)) {
        f->announce = f->announce == AFTER_PLUS ? AFTER_NONSYNC : AFTER_SYNC;
    } else {
        f->announce = NO_ANNOUNCE;
    }
}

/* What ends a line, or makes it bad, is below this. */
enum { PLAIN_FROM = '\r' + 1 };

/* Where the line ends in this input: just behind its CRLF, or 0. */
static size_t find_end(struct literal_frame *f, const struct input *in)
{
    bool is_plain = !f->cr && f->announce == NO_ANNOUNCE; /* until a literal may be announced */
    size_t i = is_plain ? mailsrv__skip_words((const char *)in->p, in->n, PLAIN_FROM, '{') : 0;
    for (; i < in->n; i++) {
        uint8_t c = in->p[i];
        if (f->cr && c == '\n') {
            f->cr = false;
            return i + 1;
        }
        if (f->cr) /* it stood alone: what was announced before it is no announcement */
            f->announce = NO_ANNOUNCE;
        if (f->cr || c == '\n' || c == 0)
            go_bad(f, LITERAL_OCTET);
        f->cr = c == '\r';
        if (!f->cr)
            follow(f, c);
    }
    return 0;
}

/* ---- Literals ---- */

/* What is swallowed must end: all of it, for a command may announce literal after literal. */
static void swallow(struct literal_frame *f, const struct literal_room *room)
{
    if (f->swallowed > room->swallows_max || f->left > room->swallows_max - f->swallowed) {
        f->bad = LITERAL_ENDLESS;
        f->place = AT_END;
    } else {
        f->swallowed += f->left;
        f->place = IN_SWALLOWED;
    }
}

void mailsrv__literal_refuse(struct literal_frame *f, const struct literal_room *room, enum literal_bad why)
{
    go_bad(f, why);
    if (f->nonsync)
        swallow(f, room);
    else
        f->place = AT_END;
}

bool mailsrv__literal_keep(struct literal_frame *f, const struct literal_room *room)
{
    if (f->left > room->octets_max - f->octets) {
        mailsrv__literal_refuse(f, room, LITERAL_TOO_LONG);
        return false;
    }
    if (!grow(f, room, f->n + (size_t)f->left)) {
        mailsrv__literal_refuse(f, room, LITERAL_NO_MEMORY);
        return false;
    }
    f->place = IN_KEPT;
    return true;
}

void mailsrv__literal_stream(struct literal_frame *f)
{
    f->streamed_at = f->n;
    f->place = IN_STREAMED;
}

void mailsrv__literal_cut_short(struct literal_frame *f)
{
    f->place = AT_END;
}

void mailsrv__literal_took(struct literal_frame *f, size_t n)
{
    f->left -= n;
}

/* CHAR8 = %x01-ff: a literal holds no NUL (RFC 9051 section 9). */
static void take_kept(struct literal_frame *f, const struct literal_room *room, struct span piece)
{
    if (memchr(piece.p, 0, piece.n) != NULL)
        go_bad(f, LITERAL_OCTET);
    keep(f, room, piece);
}

static void take_octets(struct literal_frame *f, const struct literal_room *room, struct input *in)
{
    size_t n = in->n < f->left ? in->n : (size_t)f->left;
    if (f->place == IN_KEPT && n != 0)
        take_kept(f, room, (struct span){ (const char *)in->p, n });
    mailsrv__input_skip(in, n);
    f->left -= n;
}

/* ---- The whole ---- */

static void end_line(struct literal_frame *f, const struct literal_room *room)
{
    bool announced = f->announce >= AFTER_SYNC;
    f->nonsync = f->announce == AFTER_NONSYNC;
    f->announce = NO_ANNOUNCE;
    f->place = announced ? AT_LITERAL : AT_END;
    if (!announced)
        return;
    f->left = f->number;
    f->asked = (uint8_t)(f->asked + (!f->nonsync && f->asked != UINT8_MAX));
    if (f->bad != LITERAL_GOOD)
        mailsrv__literal_refuse(f, room, (enum literal_bad)f->bad);
}

static void take_line(struct literal_frame *f, const struct literal_room *room, struct input *in)
{
    size_t end = find_end(f, in);
    struct span piece = { (const char *)in->p, end == 0 ? in->n : end };
    keep(f, room, piece);
    mailsrv__input_skip(in, piece.n);
    if (end != 0)
        end_line(f, room);
}

static bool is_in_octets(const struct literal_frame *f)
{
    return f->place == IN_KEPT || f->place == IN_STREAMED || f->place == IN_SWALLOWED;
}

enum cut mailsrv__literal_take(struct literal_frame *f, const struct literal_room *room, struct input *in)
{
    for (;;) {
        if (is_in_octets(f) && f->left == 0)
            f->place = IN_LINE;
        if (f->place == AT_END)
            return CUT_COMMAND;
        if (f->place == AT_LITERAL)
            return CUT_LITERAL;
        if (in->n == 0)
            return CUT_MORE;
        if (f->place == IN_STREAMED)
            return CUT_OCTETS;
        if (f->place == IN_LINE)
            take_line(f, room, in);
        else
            take_octets(f, room, in);
    }
}

void mailsrv__literal_done(struct literal_frame *f, const struct literal_room *room)
{
    mailsrv__kept_free(&f->kept, room->heap, room->purse, true);
    *f = (struct literal_frame){ 0 };
}
