/* Chunks behind BDAT: exactly so many octets, however they are cut, and what stands alone among them is seen. */
#include "fuzz.h"

#include "frame/dots.h"

struct reader {
    struct counted counted;
    struct bytes message;
    uint32_t *chance;
    bool ended;
};

static void take(void *ctx, struct span piece)
{
    struct reader *r = ctx;
    struct input in = { (const uint8_t *)piece.p, piece.n };
    while (in.n != 0 && !r->ended) {
        struct span part;
        size_t before = in.n, limit = r->chance == NULL ? SIZE_MAX : 1 + draw(r->chance, 8);
        r->ended = mailsrv__counted_take(&r->counted, &in, limit, &part);
        CHECK(part.n <= limit && part.n == before - in.n, "another number of octets");
        bytes_add(&r->message, part);
    }
}

static bool has_bare(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool lf_is_next = i + 1 < s.n && s.p[i + 1] == '\n';
        if ((s.p[i] == '\r' && !lf_is_next) || (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')))
            return true;
    }
    return false;
}

static void check(struct span all, uint64_t octets, uint32_t *chance)
{
    struct reader r = { .counted = { .left = octets }, .chance = chance };
    struct span chunk = octets < all.n ? mailsrv__span_first(all, (size_t)octets) : all;
    r.ended = octets == 0;
    in_pieces(all, chance, take, &r);
    CHECK(mailsrv__span_equal(bytes_span(&r.message), chunk), "another chunk");
    CHECK(r.ended == (all.n >= octets), "another end");
    mailsrv__line_ends_end(&r.counted.ends);
    CHECK(r.counted.ends.bare == has_bare(chunk), "a CR or LF that stands alone was overlooked, or seen where none is");
    bytes_free(&r.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    uint64_t octets = draw(&chance, (uint32_t)all.n + 3);
    check(all, octets, NULL);
    check(all, octets, &chance);
    return 0;
}
