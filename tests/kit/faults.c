/* The kit over a memory store that fails: the n-th operation, or the n-th allocation, for every n.  What a check then
 * finds is its own affair; nothing crashes, every operation is answered, and nothing is left over. */
#include "world.h"

#include <mailsrv/engine.h>

#include <stdio.h>
#include <stdlib.h>

#define N_MAX 2000u

struct books {
    uint64_t held;    /* octets */
    uint64_t fail_at; /* the n-th allocation from now fails; 0: none */
    uint64_t taken;   /* allocations of this check */
};

static void *take(void *user, size_t n)
{
    struct books *books = user;
    books->taken++;
    if (books->fail_at != 0 && --books->fail_at == 0)
        return NULL;
    books->held += n;
    return malloc(n);
}

static void give(void *user, void *p, size_t n)
{
    struct books *books = user;
    books->held -= n;
    free(p);
}

static struct books books;
static const mailsrv_allocator counted = { sizeof counted, 0, &books, take, give };
static uint64_t fail_op, late, ops_seen, left_open;
static unsigned failed_checks;

static void report(struct world *w, const char *name, int32_t outcome, const char *text)
{
    (void)w;
    (void)name;
    (void)text;
    failed_checks += outcome == MAILSRV_KIT_FAILED;
}

static int32_t open(void *user)
{
    struct world *w = user;
    uint64_t at = books.fail_at;
    books.fail_at = 0; /* the store is there; what it does afterwards fails */
    int32_t status = world_open(w);
    books.fail_at = at;
    if (status == MAILSRV_OK)
        mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_FAIL_NTH, fail_op);
    return status;
}

/* Engines are gone: no handle may be open, whatever failed. */
static void close_store(void *user)
{
    struct world *w = user;
    for (int32_t key = MAILSRV_MEMORY_STAT_BODIES; key <= MAILSRV_MEMORY_STAT_HELD; key++)
        left_open += mailsrv_memory_stat(w->store, key);
    if (mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_ANSWERED) > ops_seen)
        ops_seen = mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_ANSWERED);
    books.fail_at = 0;
    world_close(w);
}

static mailsrv_kit_setup failing_setup(struct world *w)
{
    mailsrv_kit_setup setup = world_setup(w);
    setup.open = open;
    setup.close = close_store;
    return setup;
}

static void run(const char *check, uint64_t nth_op, uint64_t nth_allocation)
{
    struct world w = { .report = report,
                       .allocator = &counted,
                       .knobs = { { MAILSRV_MEMORY_READ_HANDLES, 1 },
                                  { MAILSRV_MEMORY_LATE, late != 0 },
                                  { MAILSRV_MEMORY_SHUFFLE, late } } };
    uint32_t failed;
    mailsrv_kit_setup setup = failing_setup(&w);
    setup.only = check;
    fail_op = nth_op;
    books.fail_at = nth_allocation;
    mailsrv_kit_run(&setup, &failed);
    books.fail_at = 0;
}

/* Each check with each of its operations failing; returns how many runs that were. */
static unsigned every_op(const char *check)
{
    ops_seen = 0;
    run(check, 0, 0);
    uint64_t n = ops_seen < N_MAX ? ops_seen : N_MAX;
    for (uint64_t i = 1; i <= n; i++)
        run(check, i, 0);
    return (unsigned)n;
}

static unsigned every_allocation(const char *check)
{
    books.taken = 0;
    run(check, 0, 0);
    uint64_t n = books.taken < N_MAX ? books.taken : N_MAX;
    for (uint64_t i = 1; i <= n; i++)
        run(check, 0, i);
    return (unsigned)n;
}

/* A failed close closes, so not every failure is seen; but most are. */
static void every(const char *name, unsigned (*runs)(const char *check))
{
    const char *check;
    unsigned n = 0;
    failed_checks = 0;
    left_open = 0;
    for (uint32_t i = 0; (check = mailsrv_kit_check(i)) != NULL; i++)
        n += runs(check);
    printf("# %u runs\n", n);
    tap(failed_checks > n / 4, name, "the checks see it", "hardly a check failed");
    tap(left_open == 0, name, "every handle is closed", "handles are open");
    tap(books.held == 0, name, "all memory is given back", "memory is left");
}

int main(void)
{
    every("the n-th operation fails", every_op);
    every("the n-th allocation fails", every_allocation);
    late = 77; /* a seed */
    every("the n-th operation fails, late", every_op);
    every("the n-th allocation fails, late", every_allocation);
    return tap_end();
}
