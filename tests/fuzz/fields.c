/* Values of header fields: address lists, content types with their parameters.  What is read stands in the room, ends,
 * and with less room is only cut. */
#include "fuzz.h"

#include "message/addresses.h"
#include "message/content.h"

static bool is_in(struct span text, const struct writer *room)
{
    return text.n == 0 || (text.p >= room->p && text.p + text.n <= room->p + room->n);
}

static void check_list(struct span all, size_t octets)
{
    struct address_list list = mailsrv__address_list(all);
    struct list_address a;
    struct writer room = { .p = must(malloc(octets + 1)), .room = octets };
    size_t n = 0, groups = 0;
    while (mailsrv__address_next(&list, &room, &a)) {
        CHECK(++n <= 2 * all.n + 1, "more addresses than octets");
        CHECK(is_in(a.name, &room) && is_in(a.route, &room) && is_in(a.local, &room) && is_in(a.domain, &room),
              "a text that is not in the room");
        CHECK(octets < all.n || !room.full, "the room is too small");
        groups += a.kind == ENTRY_GROUP ? 1 : 0;
        CHECK(a.kind != ENTRY_GROUP_END || groups != 0, "the end of a group that did not begin");
        groups -= a.kind == ENTRY_GROUP_END ? 1 : 0;
        CHECK(groups < 2, "a group within a group");
    }
    CHECK(groups == 0 && list.lx.rest.n == 0, "a group without an end, or a rest");
    free(room.p);
}

static void check_parameters(struct span text, size_t octets)
{
    struct parameters ps;
    struct span name, value;
    struct writer room = { .p = must(malloc(octets + 1)), .room = octets };
    uint32_t n = 0;
    mailsrv__parameters_begin(&ps, text);
    while (mailsrv__parameter_next(&ps, &room, &name, &value)) {
        CHECK(++n <= PARAMETERS_MAX, "too many");
        CHECK(is_in(name, &room) && is_in(value, &room), "a text that is not in the room");
        CHECK(octets < 3 * text.n || !room.full, "the room is too small");
    }
    free(room.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    char *copy = exact((struct span){ (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS });
    struct span all = { copy, n - KNOB_OCTETS }, rest;
    struct content_type type;
    size_t small = draw(&chance, 40);
    check_list(all, all.n);
    check_list(all, small);
    if (mailsrv__content_type(all, &type))
        CHECK(type.type.n != 0 && type.subtype.n != 0, "a type without a name");
    check_parameters(type.parameters, 3 * type.parameters.n);
    mailsrv__content_word(all, &rest);
    check_parameters(rest, small);
    free(copy);
    return 0;
}
