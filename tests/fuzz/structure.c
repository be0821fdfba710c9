/* Structure blobs from outside: what is taken for whole can be read to its end, and what is not does no harm. */
#include "fuzz.h"

#include "message/structure.h"

static void read_parts(struct span blob, uint64_t octets, bool whole)
{
    struct structure s;
    struct part part;
    uint32_t n = 0;
    if (!mailsrv__structure_open(blob, &s))
        return;
    while (mailsrv__structure_next(&s, &part)) {
        struct span rest = part.fields;
        enum part_field field;
        struct part_value value;
        n++;
        CHECK(part.depth < STRUCTURE_DEPTH_MAX, "too deep");
        CHECK(!whole || (part.offset <= octets && part.header_octets <= octets - part.offset &&
                         part.body_octets <= octets - mailsrv__part_body(&part)), "a part behind the message's end");
        while (mailsrv__part_value_next(&part, &rest, &field, &value))
            CHECK(!whole || !value.in_message || value.offset + value.octets <= octets, "a value behind the end");
        CHECK(!whole || rest.n == 0, "a field that cannot be read");
    }
    CHECK(!whole || (n == s.n_parts && s.rest.n == 0), "a part that cannot be read");
}

static void find_parts(struct span blob, uint32_t *chance)
{
    struct structure s;
    struct part part;
    uint32_t numbers[4];
    for (size_t i = 0; i < 4; i++)
        numbers[i] = draw(chance, 4);
    for (uint32_t n = 0; n <= 4; n++)
        if (mailsrv__structure_open(blob, &s))
            mailsrv__structure_find(&s, numbers, n, &part);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS + 2)
        return 0;
    uint32_t chance = knobs(p);
    char *copy = exact((struct span){ (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS });
    struct span blob = { copy, n - KNOB_OCTETS };
    uint64_t octets = 0;
    struct span number = mailsrv__span_after(blob, 2);
    if (draw(&chance, 8) != 0)
        mailsrv__number_read(&number, &octets);
    read_parts(blob, octets, mailsrv__structure_is_whole(blob, octets));
    find_parts(blob, &chance);
    free(copy);
    return 0;
}
