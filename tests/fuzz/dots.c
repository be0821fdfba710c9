/* A message behind DATA: any cutting gives the same octets, the same end, and those that the plain rules give. */
#include "fuzz.h"

#include "frame/dots.h"

struct reader {
    struct dots dots;
    struct bytes message;
    uint32_t *chance;
    uint64_t taken;
    bool ended;
};

static size_t most(struct reader *r)
{
    return r->chance == NULL || draw(r->chance, 2) == 0 ? SIZE_MAX : 1 + draw(r->chance, 8);
}

static void take(void *ctx, struct span piece)
{
    struct reader *r = ctx;
    struct input in = { (const uint8_t *)piece.p, piece.n };
    while (in.n != 0 && !r->ended) {
        struct span part;
        size_t before = in.n, limit = most(r);
        r->ended = mailsrv__dots_take(&r->dots, &in, limit, &part);
        CHECK(part.n <= limit, "more than was wanted");
        CHECK(in.n < before || part.n != 0 || r->ended, "no step forward");
        CHECK(!r->ended || part.n == 0, "octets with the end");
        bytes_add(&r->message, part);
    }
    r->taken += piece.n - in.n;
}

/* RFC 5321 sections 4.1.1.4 and 4.5.2, octet by octet. */
static void read_plainly(struct span all, struct reader *r)
{
    bool line_start = true, bare = false;
    size_t i = 0;
    while (i < all.n) {
        if (line_start && all.p[i] == '.') {
            struct span rest = mailsrv__span_after(all, i);
            if (mailsrv__span_equal(mailsrv__span_first(rest, 3), SPAN(".\r\n"))) {
                r->ended = true;
                i += 3;
                break;
            }
            if (rest.n == 1 || (rest.n == 2 && rest.p[1] == '\r')) {
                i = all.n; /* not to be decided yet */
                break;
            }
            i++;
        }
        bool lf = all.p[i] == '\n', behind_cr = r->message.n != 0 && r->message.p[r->message.n - 1] == '\r';
        bare = bare || lf != behind_cr;
        line_start = lf && behind_cr;
        bytes_add(&r->message, (struct span){ all.p + i, 1 });
        i++;
    }
    r->dots.ends.bare = bare;
    r->dots.ends.cr = r->message.n != 0 && r->message.p[r->message.n - 1] == '\r';
    r->taken = i;
}

static void same(struct reader *a, struct reader *b, const char *what)
{
    bytes_same(&a->message, &b->message, what);
    CHECK(a->ended == b->ended && a->taken == b->taken, "another end");
    mailsrv__line_ends_end(&a->dots.ends);
    mailsrv__line_ends_end(&b->dots.ends);
    CHECK(a->dots.ends.bare == b->dots.ends.bare, "a CR or LF that stands alone was overlooked, or seen where none is");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    struct reader plain = { .taken = 0 }, whole = { .taken = 0 }, cut = { .chance = &chance };
    read_plainly(all, &plain);
    in_pieces(all, NULL, take, &whole);
    in_pieces(all, &chance, take, &cut);
    same(&whole, &plain, "the message is not that of the rules");
    same(&cut, &plain, "cut input gives another message");
    bytes_free(&plain.message);
    bytes_free(&whole.message);
    bytes_free(&cut.message);
    return 0;
}
