/* Messages made 7-bit: any cutting gives the same octets; none is above 127, no encoded line is longer than 76; and read
 * again the message has the same parts, whose bodies, decoded, are the same octets. */
#include "fuzz.h"

#include "message/content.h"
#include "message/scanner.h"
#include "message/seven_bit.h"
#include "text/transfer.h"

static struct heap heap;

static void take_it(void *ctx, struct span piece)
{
    mailsrv__scanner_take(ctx, piece);
}

static struct span scan(struct scanner *scanner, struct span all)
{
    mailsrv__scanner_init(scanner, &heap, CLASS_BODIES);
    in_pieces(all, NULL, take_it, scanner);
    return mailsrv__scanner_end(scanner);
}

struct converting {
    struct seven_bit *s;
    struct bytes out;
};

static void look(void *ctx, struct span piece)
{
    mailsrv__seven_bit_look(((struct converting *)ctx)->s, piece);
}

static void convert(void *ctx, struct span piece)
{
    struct converting *c = ctx;
    struct span out;
    while (mailsrv__seven_bit_take(c->s, &piece, &out))
        bytes_add(&c->out, out);
    CHECK(piece.n == 0, "not all was taken");
}

/* False: it cannot be done. */
static bool seven_bit(struct span structure, struct span all, uint32_t *chance, struct bytes *out)
{
    struct converting c = { .s = (struct seven_bit *)must(malloc(sizeof *c.s)) };
    bool can_be = mailsrv__seven_bit_begin(c.s, structure);
    if (can_be)
        in_pieces(all, chance, look, &c);
    can_be = can_be && mailsrv__seven_bit_rewind(c.s);
    if (can_be) {
        struct span part;
        in_pieces(all, chance, convert, &c);
        while (mailsrv__seven_bit_end(c.s, &part))
            bytes_add(&c.out, part);
    }
    free(c.s);
    *out = c.out;
    return can_be;
}

static void add_body(const struct part *part, struct span all, struct bytes *out)
{
    char room[256];
    struct span rest, in = mailsrv__span_first(mailsrv__span_after(all, (size_t)mailsrv__part_body(part)),
                                               (size_t)part->body_octets);
    struct part_value value = mailsrv__part_value(part, FIELD_CONTENT_ENCODING);
    struct transfer t;
    mailsrv__transfer_begin(&t, mailsrv__transfer_kind(mailsrv__content_word(value.text, &rest)));
    while (in.n != 0) {
        struct writer w = { .p = room, .room = sizeof room };
        mailsrv__transfer_take(&t, &in, &w);
        bytes_add(out, mailsrv__written(&w));
    }
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__transfer_end(&t, &w);
    bytes_add(out, mailsrv__written(&w));
}

/* Kinds and decoded bodies of all parts that hold no others. */
static void list(struct span blob, struct span all, struct bytes *out)
{
    struct structure structure;
    struct part part;
    CHECK(mailsrv__structure_open(blob, &structure), "no structure");
    while (mailsrv__structure_next(&structure, &part)) {
        bytes_add_u64(out, part.kind);
        bytes_add_u64(out, part.depth);
        if (part.kind == PART_TEXT || part.kind == PART_OTHER)
            add_body(&part, all, out);
    }
}

static bool is_changed(struct span all)
{
    for (size_t i = 0; i < all.n; i++)
        if ((uint8_t)all.p[i] > 127)
            return true;
    return false;
}

/* Only lines that end with CRLF: what ends otherwise a reader of quoted-printable takes for something else. */
static bool has_lone_ends(struct span all)
{
    for (size_t i = 0; i < all.n; i++)
        if ((all.p[i] == '\n' && (i == 0 || all.p[i - 1] != '\r')) ||
            (all.p[i] == '\r' && (i + 1 == all.n || all.p[i + 1] != '\n')))
            return true;
    return false;
}

static void check_same(struct span structure, struct span all, struct span out)
{
    struct scanner again;
    struct bytes before = { 0 }, after = { 0 };
    list(structure, all, &before);
    list(scan(&again, out), out, &after);
    bytes_same(&before, &after, "read again, it is another message");
    mailsrv__scanner_fini(&again);
    bytes_free(&before);
    bytes_free(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    struct scanner scanner;
    struct bytes whole = { 0 }, cut = { 0 };
    mailsrv__heap_init(&heap, mailsrv__malloc(), UINT64_MAX);
    struct span structure = scan(&scanner, all);
    bool can_be = seven_bit(structure, all, NULL, &whole);
    CHECK(can_be == seven_bit(structure, all, &chance, &cut), "cut otherwise, it can be done, or cannot");
    bytes_same(&whole, &cut, "cut otherwise, it becomes another message");
    CHECK(!can_be || !is_changed(bytes_span(&whole)), "octets above 127 are left");
    if (can_be && !has_lone_ends(all))
        check_same(structure, all, bytes_span(&whole));
    mailsrv__scanner_fini(&scanner);
    bytes_free(&whole);
    bytes_free(&cut);
    CHECK(heap.used == 0, "memory is left");
    return 0;
}
