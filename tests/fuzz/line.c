/* Lines of commands: any cutting gives the same lines, and those that the plain rules give. */
#include "fuzz.h"

#include "frame/line.h"

struct reader {
    struct heap heap;
    struct line_frame frame;
    struct line_room room;
    struct bytes seen; /* of each line: its fate, its octets, their number */
};

static void see(struct bytes *seen, enum framed fate, struct span line)
{
    bytes_add_u64(seen, (uint64_t)fate);
    bytes_add(seen, line);
    bytes_add_u64(seen, line.n);
}

static void take(void *ctx, struct span piece)
{
    struct reader *r = ctx;
    struct input in = { (const uint8_t *)piece.p, piece.n };
    while (in.n != 0) {
        struct span line = { NULL, 0 };
        size_t before = in.n;
        enum framed fate = mailsrv__line_take(&r->frame, &r->room, &in, &line);
        CHECK(in.n < before, "nothing was taken");
        CHECK((fate == FRAMED_MORE) == (in.n == 0 && mailsrv__line_begun(&r->frame)) || fate != FRAMED_MORE,
              "more is wanted while there is more");
        if (fate == FRAMED_MORE)
            continue;
        see(&r->seen, fate, line);
        mailsrv__line_done(&r->frame, &r->room, true);
    }
}

static void read_lines(struct span all, size_t octets_max, uint32_t *chance, struct bytes *seen)
{
    struct reader r = { .room = { .octets_max = octets_max } };
    mailsrv__heap_init(&r.heap, mailsrv__malloc(), 1 << 20);
    r.room.heap = &r.heap;
    in_pieces(all, chance, take, &r);
    CHECK(r.heap.used <= 2 * octets_max + 128, "more is kept than a line");
    mailsrv__line_done(&r.frame, &r.room, true);
    CHECK(r.heap.used == 0, "something is kept of no line");
    *seen = r.seen;
}

/* The rules, without a state: a line ends at CRLF; a CR, LF or NUL elsewhere in it is bad. */
static void read_plainly(struct span all, size_t octets_max, struct bytes *seen)
{
    size_t begin = 0;
    bool bad = false;
    for (size_t i = 0; i < all.n; i++) {
        bool ends = all.p[i] == '\n' && i > begin && all.p[i - 1] == '\r';
        bool cr_stands_alone = i > begin && all.p[i - 1] == '\r' && !ends;
        bad = bad || cr_stands_alone || all.p[i] == 0 || (all.p[i] == '\n' && !ends);
        if (!ends)
            continue;
        size_t n = i + 1 - begin;
        if (n > octets_max)
            see(seen, FRAMED_TOO_LONG, (struct span){ NULL, 0 });
        else if (bad)
            see(seen, FRAMED_BAD, (struct span){ NULL, 0 });
        else
            see(seen, FRAMED_LINE, (struct span){ all.p + begin, n - 2 });
        begin = i + 1;
        bad = false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    size_t octets_max = 2 + draw(&chance, 64);
    struct bytes whole = { 0 }, cut = { 0 }, plain = { 0 };
    read_plainly(all, octets_max, &plain);
    read_lines(all, octets_max, NULL, &whole);
    read_lines(all, octets_max, &chance, &cut);
    bytes_same(&whole, &plain, "the lines are not those of the rules");
    bytes_same(&cut, &plain, "cut input gives other lines");
    bytes_free(&whole);
    bytes_free(&cut);
    bytes_free(&plain);
    return 0;
}
