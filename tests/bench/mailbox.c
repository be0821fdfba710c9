/* A mailbox of very many messages: how long SELECT waits for it, first and again; what a unit of work takes. */
#include "host.h"

#include "large.h"
#include "mailbox/view.h"

enum { BIG, TURN_UNITS = 1000 };

static uint32_t messages;
static uint64_t units; /* spent since it was set to 0, nearly */
static int64_t now_us;
static unsigned checks;

static void turn(mailsrv_engine *engine)
{
    now_us += 1000;
    mailsrv_engine_advance(engine, now_us, now_us);
    mailsrv_engine_turn(engine, TURN_UNITS);
    units += TURN_UNITS;
}

static void woken(struct view *view)
{
    (void)view;
}

static void report(const char *what, double n, const char *unit, double since)
{
    double took = seconds() - since;
    printf("# summary: mailbox of %u: %s: %.0f ms, %.1f million %s a second\n", messages, what, took * 1000,
           n / took / 1e6, unit);
    printf("ok %u - %s\n", ++checks, what);
}

static void select_it(mailsrv_engine *engine, struct view *view, const char *what)
{
    const mailsrv_id account = { { 7 } }, mailbox = large_id(BIG);
    double since = seconds();
    units = 0;
    check(mailsrv__view_open(view, engine, &account, &mailbox, woken) == MAILSRV_OK, "no view");
    while (mailsrv__view_status(view) == MAILSRV_MORE)
        turn(engine);
    check(mailsrv__view_status(view) == MAILSRV_OK, "the mailbox cannot be loaded");
    mailsrv__view_select(view);
    report(what, (double)units, "units", since);
}

static void sync_it(mailsrv_engine *engine, struct view *view, const char *what)
{
    double since = seconds();
    units = 0;
    mailsrv__view_sync(view);
    while (!mailsrv__view_synced(view))
        turn(engine);
    report(what, (double)units, "units", since);
}

static void want_sizes(mailsrv_engine *engine, struct view *view)
{
    double since = seconds();
    units = 0;
    mailsrv__view_want(view, GROUP_SIZES);
    while (mailsrv__view_has(view, GROUP_SIZES) == MAILSRV_MORE)
        turn(engine);
    check(mailsrv__view_has(view, GROUP_SIZES) == MAILSRV_OK, "sizes are missing");
    report("sizes and dates of all", (double)units, "units", since);
}

/* What SEARCH does with each message: its number, its marks. */
static void look_at_all(struct view *view)
{
    struct marks marks;
    uint32_t n = 0, seen = 0;
    double since = seconds();
    for (uint32_t uid = 0; (uid = mailsrv__view_after(view, uid)) != 0; n++)
        seen += mailsrv__view_marks(view, uid, &marks) && (marks.flags & MAILSRV_FLAG_SEEN) != 0;
    check(n == mailsrv__view_exists(view) && seen == n, "messages are missing");
    report("marks of all, one after the other", n, "messages", since);
}

static void tell_all(struct view *view, enum told_kind kind, uint32_t n, const char *what)
{
    struct told told;
    uint32_t left = UINT32_MAX, found = 0;
    double since = seconds();
    check(mailsrv__view_tell(view, TELLS_ALL), "nothing can be told");
    while (mailsrv__view_next(view, &left, &told))
        found += told.kind == kind;
    check(found == n, "something was not told");
    report(what, UINT32_MAX - left, "units", since);
}

static void bench(struct large *store, mailsrv_engine *engine)
{
    struct view view, other;
    select_it(engine, &view, "SELECT, first");
    printf("# summary: mailbox of %u: memory of the engine: %.1f octets a message\n", messages,
           (double)mailsrv_engine_stat(engine, MAILSRV_STAT_MEMORY) / messages);
    select_it(engine, &other, "SELECT beside another");
    large_flag_all(store, BIG, MAILSRV_FLAG_SEEN);
    sync_it(engine, &view, "flags of all have changed");
    tell_all(&view, TOLD_FETCH, messages, "flags of all are told");
    look_at_all(&view);
    want_sizes(engine, &view);
    large_expunge_every(store, BIG, 10);
    sync_it(engine, &view, "every tenth has gone");
    tell_all(&view, TOLD_EXPUNGE, messages / 10, "their EXPUNGEs are told");
    mailsrv__view_close(&view);
    mailsrv__view_close(&other);
    while (mailsrv_engine_next_deadline(engine) <= now_us)
        turn(engine);
    select_it(engine, &view, "SELECT again, of a kept image with holes");
    mailsrv__view_close(&view);
    while (mailsrv_engine_next_deadline(engine) <= now_us)
        turn(engine);
}

int main(void)
{
    static struct large store;
    mailsrv_config *config;
    mailsrv_engine *engine;
    messages = (uint32_t)count_of("BENCH_ROWS", 1000000);
    const uint32_t n[] = { messages, 0 };
    large_init(&store, n);
    check(mailsrv_config_new(NULL, &config) == MAILSRV_OK, "no config");
    mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, (uint64_t)messages * 64 + (8 << 20));
    check(mailsrv_engine_new(config, &engine) == MAILSRV_OK, "no engine");
    mailsrv_config_free(config);
    check(large_bind(&store, engine) == MAILSRV_OK, "no store");
    bench(&store, engine);
    check(mailsrv_engine_free(engine, 0) == MAILSRV_OK, "the engine is busy");
    large_fini(&store);
    printf("1..%u\n", checks);
    return 0;
}
