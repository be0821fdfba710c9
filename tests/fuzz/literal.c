/* Commands with literals: any cutting gives the same commands, and those that the plain rules give. */
#include "fuzz.h"

#include "frame/literal.h"

enum { SWALLOWS_MAX = 40 };
enum fate { KEEP, STREAM, REFUSE, CUT_SHORT };

/* What becomes of a literal, out of its size alone. */
static enum fate fate_of(uint64_t octets, bool nonsync, bool streamed_one)
{
    switch (octets % 7) {
    case 5:
        return streamed_one ? KEEP : STREAM;
    case 6:
        return REFUSE;
    case 4:
        return nonsync ? KEEP : CUT_SHORT;
    default:
        return KEEP;
    }
}

/* Of a bad command only the beginning of its first line is certain. */
static void see_command(struct bytes *seen, enum literal_bad bad, struct span text, size_t streamed_at)
{
    bytes_add_u64(seen, (uint64_t)bad);
    if (bad != LITERAL_GOOD) {
        const char *end = text.n == 0 ? NULL : memchr(text.p, '\n', text.n);
        text = mailsrv__span_first(text, end == NULL ? LITERAL_BEGINNING : (size_t)(end - text.p) + 1);
        text = mailsrv__span_first(text, LITERAL_BEGINNING);
        streamed_at = 0;
    }
    bytes_add(seen, text);
    bytes_add_u64(seen, text.n);
    bytes_add_u64(seen, streamed_at);
}

/* ---- The framer ---- */

struct reader {
    struct heap heap;
    struct literal_frame frame;
    struct literal_room room;
    struct bytes seen;
    bool ended;
};

static void decide(struct reader *r)
{
    struct literal_frame *f = &r->frame;
    switch (fate_of(f->left, f->nonsync, f->streamed_at != 0)) {
    case KEEP:
        mailsrv__literal_keep(f, &r->room);
        break;
    case STREAM:
        mailsrv__literal_stream(f);
        break;
    case REFUSE:
        mailsrv__literal_refuse(f, &r->room, LITERAL_REFUSED);
        break;
    default:
        mailsrv__literal_cut_short(f);
    }
}

static void take_octets(struct reader *r, struct input *in)
{
    size_t n = in->n < r->frame.left ? in->n : (size_t)r->frame.left;
    CHECK(n != 0, "octets that are none");
    bytes_add(&r->seen, (struct span){ (const char *)in->p, n });
    mailsrv__input_skip(in, n);
    mailsrv__literal_took(&r->frame, n);
}

static void end_command(struct reader *r)
{
    r->ended = r->frame.bad == LITERAL_ENDLESS;
    see_command(&r->seen, (enum literal_bad)r->frame.bad, mailsrv__literal_text(&r->frame), r->frame.streamed_at);
    mailsrv__literal_done(&r->frame, &r->room);
    CHECK(r->heap.used == 0, "something is kept of no command");
}

static void take(void *ctx, struct span piece)
{
    struct reader *r = ctx;
    struct input in = { (const uint8_t *)piece.p, piece.n };
    while (!r->ended) {
        enum cut cut = mailsrv__literal_take(&r->frame, &r->room, &in);
        CHECK(r->heap.used <= 2 * r->room.octets_max, "more is kept than a command");
        if (cut == CUT_MORE)
            break;
        if (cut == CUT_LITERAL)
            decide(r);
        else if (cut == CUT_OCTETS)
            take_octets(r, &in);
        else
            end_command(r);
    }
    CHECK(r->ended || in.n == 0, "more is wanted while there is more");
}

static void read_commands(struct span all, size_t octets_max, uint32_t *chance, struct bytes *seen)
{
    struct reader r = { .room = { .octets_max = octets_max, .swallows_max = SWALLOWS_MAX } };
    mailsrv__heap_init(&r.heap, mailsrv__malloc(), 1 << 20);
    r.room.heap = &r.heap;
    in_pieces(all, chance, take, &r);
    bytes_add_u64(&r.seen, mailsrv__literal_begun(&r.frame));
    mailsrv__literal_done(&r.frame, &r.room);
    CHECK(r.heap.used == 0, "something is kept of no command");
    *seen = r.seen;
}

/* ---- The rules, over the whole of it ---- */

struct plain {
    struct span all;
    size_t at, octets_max;
    struct bytes *seen;
    /* of the command */
    struct bytes kept;
    struct span first_line;
    size_t octets, streamed_at;
    uint64_t swallowed;
    enum literal_bad bad;
};

enum went { WENT_ON, WENT_TO_END, WENT_OUT };

static void is_bad(struct plain *p, enum literal_bad why)
{
    if (p->bad == LITERAL_GOOD || (p->bad == LITERAL_OCTET && why == LITERAL_TOO_LONG))
        p->bad = why;
}

static void count(struct plain *p, struct span octets)
{
    p->octets += octets.n;
    if (p->octets > p->octets_max)
        is_bad(p, LITERAL_TOO_LONG);
    if (p->bad == LITERAL_GOOD)
        bytes_add(&p->kept, octets);
}

/* A line with its CRLF.  False: it has no end. */
static bool take_line(struct plain *p, struct span *line)
{
    size_t begin = p->at;
    bool bad = false;
    for (size_t i = begin; i < p->all.n; i++) {
        bool after_cr = i > begin && p->all.p[i - 1] == '\r';
        bool ends = p->all.p[i] == '\n' && after_cr;
        if (ends) {
            *line = (struct span){ p->all.p + begin, i + 1 - begin };
            p->at = i + 1;
            if (bad)
                is_bad(p, LITERAL_OCTET);
            return true;
        }
        bad = bad || after_cr || p->all.p[i] == '\n' || p->all.p[i] == 0;
    }
    return false;
}

/* "{" 1*DIGIT ["+"] "}" CRLF at the end of a line */
static bool announces(struct span line, uint64_t *octets, bool *nonsync)
{
    const char *p = line.p + line.n - 2;
    if (line.n < 5 || *--p != '}')
        return false;
    *nonsync = p[-1] == '+';
    const char *end = *nonsync ? p - 1 : p, *first = end;
    while (first > line.p && first[-1] >= '0' && first[-1] <= '9')
        first--;
    if (first == end || first == line.p || first[-1] != '{')
        return false;
    *octets = 0;
    for (; first < end; first++)
        *octets = *octets > UINT64_MAX / 10 - 1 ? UINT64_MAX : *octets * 10 + (uint64_t)(*first - '0');
    return true;
}

/* Are so many octets there? */
static bool take_all(struct plain *p, uint64_t octets, struct span *out)
{
    size_t left = p->all.n - p->at;
    *out = (struct span){ p->all.p + p->at, octets < left ? (size_t)octets : left };
    p->at += out->n;
    return out->n == octets;
}

static enum went swallow(struct plain *p, uint64_t octets, bool nonsync)
{
    struct span literal;
    if (!nonsync)
        return WENT_TO_END;
    if (octets > SWALLOWS_MAX - p->swallowed) {
        p->bad = LITERAL_ENDLESS;
        return WENT_TO_END;
    }
    p->swallowed += octets;
    return take_all(p, octets, &literal) ? WENT_ON : WENT_OUT;
}

static enum went keep(struct plain *p, uint64_t octets, bool nonsync)
{
    struct span literal;
    if (octets > p->octets_max - p->octets) {
        is_bad(p, LITERAL_TOO_LONG);
        return swallow(p, octets, nonsync);
    }
    bool whole = take_all(p, octets, &literal);
    if (literal.n != 0 && memchr(literal.p, 0, literal.n) != NULL)
        is_bad(p, LITERAL_OCTET);
    count(p, literal);
    return whole ? WENT_ON : WENT_OUT;
}

static enum went take_literal(struct plain *p, uint64_t octets, bool nonsync)
{
    struct span literal;
    if (p->bad != LITERAL_GOOD)
        return swallow(p, octets, nonsync);
    switch (fate_of(octets, nonsync, p->streamed_at != 0)) {
    case KEEP:
        return keep(p, octets, nonsync);
    case STREAM:
        p->streamed_at = p->kept.n;
        bool whole = take_all(p, octets, &literal);
        bytes_add(p->seen, literal);
        return whole ? WENT_ON : WENT_OUT;
    case REFUSE:
        is_bad(p, LITERAL_REFUSED);
        return swallow(p, octets, nonsync);
    default:
        return WENT_TO_END;
    }
}

static enum went take_part(struct plain *p)
{
    struct span line;
    uint64_t octets;
    bool nonsync;
    if (!take_line(p, &line))
        return WENT_OUT;
    if (p->first_line.p == NULL)
        p->first_line = line;
    count(p, line);
    return announces(line, &octets, &nonsync) ? take_literal(p, octets, nonsync) : WENT_TO_END;
}

static bool take_command(struct plain *p)
{
    enum went went;
    p->kept.n = p->octets = p->streamed_at = 0;
    p->swallowed = 0;
    p->first_line = (struct span){ NULL, 0 };
    p->bad = LITERAL_GOOD;
    while ((went = take_part(p)) == WENT_ON)
        continue;
    if (went == WENT_OUT)
        return false;
    see_command(p->seen, p->bad, p->bad == LITERAL_GOOD ? bytes_span(&p->kept) : p->first_line, p->streamed_at);
    return p->bad != LITERAL_ENDLESS;
}

static void read_plainly(struct span all, size_t octets_max, struct bytes *seen)
{
    struct plain p = { .all = all, .octets_max = octets_max, .seen = seen };
    size_t begin;
    bool more;
    do {
        begin = p.at;
        more = take_command(&p);
    } while (more && p.at < all.n);
    bool begun = !more && p.bad != LITERAL_ENDLESS && begin < all.n;
    bytes_add_u64(seen, begun);
    bytes_free(&p.kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n <= KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    size_t octets_max = LITERAL_BEGINNING + draw(&chance, 128);
    struct bytes whole = { 0 }, cut = { 0 }, plain = { 0 };
    read_plainly(all, octets_max, &plain);
    read_commands(all, octets_max, NULL, &whole);
    read_commands(all, octets_max, &chance, &cut);
    bytes_same(&whole, &cut, "cut input gives other commands");
    bytes_same(&whole, &plain, "the commands are not those of the rules");
    bytes_free(&whole);
    bytes_free(&cut);
    bytes_free(&plain);
    return 0;
}
