/* SASLprep: what was prepared is UTF-8, not longer, without controls, and prepared again it is the same. */
#include "fuzz.h"

#include "sasl/sasl.h"
#include "sasl/prepare.h"

static bool prepare(struct span text, char *room, struct writer *w)
{
    *w = (struct writer){ .p = room, .room = text.n };
    return mailsrv__sasl_prepare(text, w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *copy = exact((struct span){ (const char *)p, n });
    char *room = exact((struct span){ copy, n }), *room_again = exact((struct span){ copy, n });
    struct span all = { copy, n };
    struct writer w, again;
    bool good = prepare(all, room, &w);
    CHECK(w.n <= n, "longer than it was");
    CHECK(mailsrv__sasl_is_name(all) == (good && w.n != 0), "a name is none, or none is one");
    if (good) {
        CHECK(prepare(mailsrv__written(&w), room_again, &again), "what was prepared is forbidden");
        CHECK(mailsrv__span_equal(mailsrv__written(&w), mailsrv__written(&again)), "prepared twice it is another");
        for (struct span rest = mailsrv__written(&w); rest.n != 0;) {
            uint32_t c = mailsrv__utf8_take(&rest);
            CHECK(c >= ' ' && c != 0x7F && c != UTF8_BAD, "a control, or no UTF-8");
        }
    }
    free(room_again);
    free(room);
    free(copy);
    return 0;
}
