/* The kit over the memory store, with its knobs in every position. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct setting {
    const char *name;
    struct knob knobs[KNOBS_MAX];
} settings[] = {
    { "as it is", { { 0, 0 } } },
    { "copied", { { MAILSRV_MEMORY_READ_LENDS, 0 } } },
    { "an octet at a time", { { MAILSRV_MEMORY_READ_OCTETS, 1 } } },
    { "seven octets, with handles", { { MAILSRV_MEMORY_READ_OCTETS, 7 }, { MAILSRV_MEMORY_READ_HANDLES, 1 } } },
    { "short pages", { { MAILSRV_MEMORY_PAGE_ROWS, 3 } } },
    { "pages of one", { { MAILSRV_MEMORY_PAGE_ROWS, 1 } } },
    { "late", { { MAILSRV_MEMORY_LATE, 1 } } },
    { "no history", { { MAILSRV_MEMORY_HISTORY, 0 } } },
    { "little history", { { MAILSRV_MEMORY_HISTORY, 1 } } },
    { "all", { { MAILSRV_MEMORY_LATE, 1 }, { MAILSRV_MEMORY_SHUFFLE, 77 }, { MAILSRV_MEMORY_PAGE_ROWS, 2 },
               { MAILSRV_MEMORY_READ_HANDLES, 1 }, { MAILSRV_MEMORY_READ_LENDS, 0 },
               { MAILSRV_MEMORY_READ_OCTETS, 3 } } },
};

static void tell(struct world *w, const char *name, int32_t outcome, const char *text)
{
    if (outcome != MAILSRV_KIT_SKIPPED)
        tap(outcome == MAILSRV_KIT_PASSED, w->more, name, text);
}

static void run(struct world *w, const mailsrv_kit_setup *setup)
{
    uint32_t failed = 0;
    int32_t status = mailsrv_kit_run(setup, &failed);
    tap(status == MAILSRV_OK, w->more, "the kit ran", mailsrv_strerror(status));
}

static void in_every_setting(void)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        char name[64];
        struct world w = { .report = tell, .more = name };
        memcpy(w.knobs, settings[i].knobs, sizeof w.knobs);
        snprintf(name, sizeof name, "%s", settings[i].name);
        mailsrv_kit_setup setup = world_setup(&w);
        run(&w, &setup);
    }
}

static void shuffled(uint64_t seed)
{
    for (uint64_t i = 1; i <= 10; i++) {
        char name[64];
        struct world w = { .report = tell, .more = name };
        w.knobs[0] = (struct knob){ MAILSRV_MEMORY_LATE, 1 };
        w.knobs[1] = (struct knob){ MAILSRV_MEMORY_SHUFFLE, seed * 100 + i };
        snprintf(name, sizeof name, "shuffled by %llu", (unsigned long long)w.knobs[1].value);
        mailsrv_kit_setup setup = world_setup(&w);
        run(&w, &setup);
    }
}

/* Half a store is tested on that half, and the other half is said to be skipped. */
static void count_skipped(struct world *w, const char *name, int32_t outcome, const char *text)
{
    unsigned *skipped = w->more;
    *skipped += outcome == MAILSRV_KIT_SKIPPED;
    if (outcome == MAILSRV_KIT_FAILED)
        tap(0, "half a store", name, text);
}

static void half_a_store(void)
{
    unsigned skipped = 0;
    uint32_t failed = 0;
    struct world w = { .report = count_skipped, .more = &skipped };
    w.knobs[0] = (struct knob){ MAILSRV_MEMORY_TAKES_QUEUE, 0 };
    w.knobs[1] = (struct knob){ MAILSRV_MEMORY_ATOMIC, 0 };
    mailsrv_kit_setup setup = world_setup(&w);
    setup.covers = MAILSRV_KIT_RECEIVE;
    setup.handles = NULL;
    tap(mailsrv_kit_run(&setup, &failed) == MAILSRV_OK && failed == 0, "half a store", "what it covers passes", "");
    tap(skipped > 20, "half a store", "the rest is skipped", "");
    setup.only = "no such check";
    tap(mailsrv_kit_run(&setup, &failed) == MAILSRV_NONEXISTENT, "half a store", "an unknown check", "");
}

int main(void)
{
    const char *seed = getenv("MAILSRV_SEED");
    in_every_setting();
    shuffled(seed != NULL ? strtoull(seed, NULL, 10) % 1000000 : 1);
    half_a_store();
    return tap_end();
}
