/* Dot-stuffing outward: any cutting gives the same octets; a reader of SMTP gets the message back; and no reader, be it
 * ever so lenient about line ends, finds the end of the message before the end. */
#include "fuzz.h"

#include "frame/dots.h"
#include "frame/stuff.h"

struct writer_ {
    struct stuff stuff;
    struct bytes out;
};

static void take(void *ctx, struct span piece)
{
    struct writer_ *w = ctx;
    struct stuffed part;
    size_t before = piece.n;
    while (mailsrv__stuff_take(&w->stuff, &piece, &part)) {
        CHECK(part.octets.n == before - piece.n && part.octets.n != 0, "another number of octets");
        before = piece.n;
        if (part.dot)
            bytes_add(&w->out, SPAN("."));
        bytes_add(&w->out, part.octets);
    }
}

static void write_stuffed(struct span all, uint32_t *chance, struct bytes *out)
{
    struct writer_ w = { .out = { 0 } };
    mailsrv__stuff_init(&w.stuff);
    in_pieces(all, chance, take, &w);
    bytes_add(&w.out, mailsrv__stuff_end(&w.stuff));
    *out = w.out;
}

static bool ends_line(char c)
{
    return c == '\r' || c == '\n';
}

/* Where a reader that takes any CR or LF for a line's end sees a line that is only a dot. */
static size_t lenient_end(struct span out)
{
    for (size_t i = 0; i + 1 < out.n; i++)
        if (out.p[i] == '.' && (i == 0 || ends_line(out.p[i - 1])) && ends_line(out.p[i + 1]))
            return i;
    return out.n;
}

/* Without its dots that were added behind a lone CR or LF, which no reader of SMTP takes out again. */
static void check_read_back(struct span all, struct span out)
{
    struct dots dots = { 0 };
    struct bytes back = { 0 }, expected = { 0 };
    struct input in = { (const uint8_t *)out.p, out.n };
    bool ended = false;
    while (!ended) {
        struct span part;
        CHECK(in.n != 0, "a message without an end");
        ended = mailsrv__dots_take(&dots, &in, SIZE_MAX, &part);
        bytes_add(&back, part);
    }
    CHECK(in.n == 0, "an end in the middle");
    for (size_t i = 0; i < all.n; i++) {
        bool behind_crlf = i == 0 || (i > 1 && all.p[i - 1] == '\n' && all.p[i - 2] == '\r');
        if (all.p[i] == '.' && i > 0 && ends_line(all.p[i - 1]) && !behind_crlf)
            bytes_add(&expected, SPAN("."));
        bytes_add(&expected, (struct span){ all.p + i, 1 });
    }
    if (all.n != 0 && !(all.n > 1 && all.p[all.n - 1] == '\n' && all.p[all.n - 2] == '\r'))
        bytes_add(&expected, SPAN("\r\n"));
    bytes_same(&back, &expected, "the message does not come back");
    bytes_free(&back);
    bytes_free(&expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    struct bytes whole, cut;
    write_stuffed(all, NULL, &whole);
    write_stuffed(all, &chance, &cut);
    bytes_same(&whole, &cut, "cut input gives another output");
    CHECK(lenient_end(bytes_span(&whole)) + 3 == whole.n, "a lenient reader sees another end");
    check_read_back(all, bytes_span(&whole));
    bytes_free(&whole);
    bytes_free(&cut);
    return 0;
}
