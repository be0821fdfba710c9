/* Messages: any cutting gives the same structure, which is whole, and every octet of a part lies in the message; the
 * header's fields are those that a reader of the whole header finds. */
#include "fuzz.h"

#include "message/header.h"
#include "message/scanner.h"

static void take(void *ctx, struct span piece)
{
    mailsrv__scanner_take(ctx, piece);
}

static struct span scan(struct scanner *s, struct heap *heap, struct span all, uint32_t *chance)
{
    mailsrv__heap_init(heap, mailsrv__malloc(), UINT64_MAX);
    mailsrv__scanner_init(s, heap, CLASS_BODIES);
    in_pieces(all, chance, take, s);
    return mailsrv__scanner_end(s);
}

/* The blob's value, where it has one, is what stands there unfolded. */
static void check_value(const struct part *part, struct span all, enum part_field field, struct span name)
{
    struct part_value value = mailsrv__part_value(part, field);
    struct span header = { all.p + part->offset, (size_t)part->header_octets };
    struct header_field found;
    if (!value.there || value.in_message)
        return;
    while (mailsrv__header_next(&header, &found)) {
        if (!mailsrv__span_equal_nocase(found.name, name) || found.value.p == NULL)
            continue;
        char *room = must(malloc(found.value.n + 1));
        struct writer w = { .p = room, .room = found.value.n + 1 };
        mailsrv__unfold(found.value, &w);
        bool same = mailsrv__span_equal(mailsrv__written(&w), value.text);
        free(room);
        if (same)
            return;
    }
    CHECK(false, "a value that no field has");
}

static void check_parts(struct span blob, struct span all)
{
    struct structure s;
    struct part part;
    CHECK(mailsrv__structure_is_whole(blob, all.n), "a structure that is none");
    CHECK(mailsrv__structure_open(blob, &s), "no structure");
    while (mailsrv__structure_next(&s, &part)) {
        check_value(&part, all, FIELD_SUBJECT, SPAN("Subject"));
        check_value(&part, all, FIELD_CONTENT_TYPE, SPAN("Content-Type"));
    }
    CHECK(s.left == 0, "a part is missing");
}

static bool has_dots(struct span all)
{
    for (size_t i = 0; i < all.n; i++)
        if (all.p[i] == '.' && (i == 0 || all.p[i - 1] == '\n'))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct scanner whole, cut;
    struct heap heap, other;
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    struct span a = scan(&whole, &heap, all, NULL), b = scan(&cut, &other, all, &chance);
    CHECK(mailsrv__span_equal(a, b), "cut input gives another structure");
    check_parts(a, all);
    struct structure s;
    mailsrv__structure_open(a, &s);
    CHECK(s.dots == has_dots(all), "a line begins with a dot, or does not");
    mailsrv__scanner_fini(&whole);
    mailsrv__scanner_fini(&cut);
    CHECK(heap.used == 0 && other.used == 0, "memory is left");
    return 0;
}
