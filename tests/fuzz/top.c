/* The first lines of a message: any cutting takes the same octets, and those that the plain rules take. */
#include "fuzz.h"

#include "frame/stuff.h"

struct reader {
    struct top top;
    size_t taken;
    bool stopped;
};

static void take(void *ctx, struct span piece)
{
    struct reader *r = ctx;
    size_t n = mailsrv__top_take(&r->top, piece);
    CHECK(n <= piece.n, "more than there is");
    CHECK(n == piece.n || mailsrv__top_done(&r->top), "less than there is, and not done");
    CHECK(!r->stopped || n == 0, "more after the end");
    r->stopped = r->stopped || n < piece.n;
    r->taken += n;
}

/* The header to its empty line, then so many lines; a line ends at LF, an empty one holds at most a CR. */
static size_t take_plainly(struct span all, uint64_t lines)
{
    size_t begin = 0;
    bool in_body = false;
    for (size_t i = 0; i < all.n && !(in_body && lines == 0); i++) {
        if (all.p[i] != '\n')
            continue;
        size_t n = i - begin;
        if (in_body)
            lines--;
        else
            in_body = n == 0 || (n == 1 && all.p[begin] == '\r');
        begin = i + 1;
    }
    return in_body && lines == 0 ? begin : all.n;
}

static size_t take_by_machine(struct span all, uint64_t lines, uint32_t *chance)
{
    struct reader r = { .taken = 0 };
    mailsrv__top_init(&r.top, lines);
    in_pieces(all, chance, take, &r);
    return r.taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    uint64_t lines = draw(&chance, 4) == 0 ? UINT64_MAX : draw(&chance, 5);
    size_t plain = take_plainly(all, lines);
    CHECK(take_by_machine(all, lines, NULL) == plain, "not so many octets");
    CHECK(take_by_machine(all, lines, &chance) == plain, "cut input gives another number of octets");
    return 0;
}
