/* What a ClientHello offers, read as it passes by in any pieces, is what it offers when it lies there whole. */
#include "fuzz.h"
#include "tls/mbedtls/provider.h"

struct flat {
    const uint8_t *p;
    size_t n;
};

static void take(void *ctx, struct span piece)
{
    mailsrv__mbedtls_hello(ctx, (const uint8_t *)piece.p, piece.n);
}

/* The octets of the handshake, without the headers of their records. */
static struct flat without_headers(struct span all, uint8_t *room)
{
    struct flat flat = { room, 0 };
    const uint8_t *p = (const uint8_t *)all.p;
    size_t at = 0;
    while (all.n - at >= 5 && p[at] == 22) {
        size_t octets = (size_t)p[at + 3] << 8 | p[at + 4];
        at += 5;
        if (octets > all.n - at)
            octets = all.n - at;
        memcpy(room + flat.n, p + at, octets);
        flat.n += octets;
        at += octets;
    }
    return flat;
}

/* Skips `n` octets.  False: there are not so many. */
static bool skip(struct flat *f, size_t n)
{
    bool good = n <= f->n;
    f->p += good ? n : f->n;
    f->n -= good ? n : f->n;
    return good;
}

static bool number(struct flat *f, size_t width, size_t *out)
{
    *out = 0;
    if (f->n < width)
        return false;
    for (size_t i = 0; i < width; i++)
        *out = *out << 8 | f->p[i];
    return skip(f, width);
}

/* ClientHello (RFC 5246 section 7.4.1.2), its extensions (section 7.4.1.4). */
static bool offers(struct flat f)
{
    size_t n, kind, left;
    if (!number(&f, 1, &n) || n != 1 || !number(&f, 3, &n) || n > 16380 || !skip(&f, 34) || !number(&f, 1, &n) ||
        !skip(&f, n) || !number(&f, 2, &n) || !skip(&f, n) || !number(&f, 1, &n) || !skip(&f, n) ||
        !number(&f, 2, &left))
        return false;
    bool found = false;
    while (left != 0 && number(&f, 2, &kind) && number(&f, 2, &n)) {
        found = found || kind == 23;
        skip(&f, n);
        left = n + 4 < left ? left - n - 4 : 0;
    }
    return found;
}

/* Inputs are mostly no TLS: a beginning that is right lets chance get further. */
static size_t begin(uint8_t *p, uint32_t *chance)
{
    static const uint8_t right[] = { 22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3 };
    if (draw(chance, 4) == 0)
        return 0;
    memcpy(p, right, sizeof right);
    memset(p + sizeof right, 0, 40);
    p[43] = 0; /* session */
    p[45] = 2; /* suites */
    p[48] = 1; /* compression */
    p[50] = 0;
    p[51] = (uint8_t)draw(chance, 40);
    return 52;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static uint8_t all[70000], room[70000];
    struct hello hello = { 0 }, once = { 0 };
    if (n < KNOB_OCTETS || n > 65536)
        return 0;
    uint32_t chance = knobs(p);
    size_t at = begin(all, &chance);
    memcpy(all + at, p + KNOB_OCTETS, n - KNOB_OCTETS);
    struct span input = { (const char *)all, at + n - KNOB_OCTETS };
    in_pieces(input, &chance, take, &hello);
    take(&once, input);
    CHECK(hello.offers_ems == once.offers_ems, "cut otherwise it offers something else");
    CHECK(hello.is_wrong == once.is_wrong, "cut otherwise it is another thing");
    CHECK(!once.is_wrong || !once.offers_ems, "what is none offers something");
    CHECK(once.offers_ems == offers(without_headers(input, room)), "what is offered is not what was read");
    return 0;
}
