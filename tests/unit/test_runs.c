/* Run sets against a model that has a bit for each UID, from a seed; and in memory that ends. */
#include "base/runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { UIDS = 30000, STEPS = 3000, LIST = 300 };

static uint64_t state;

static uint32_t random_below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 11) % n);
}

/* ---- An allocator that fails at the n-th time ---- */

static uint64_t left = UINT64_MAX;
static bool failed;

static void *failing_alloc(void *user, size_t n)
{
    (void)user;
    failed = left == 0;
    left -= left != UINT64_MAX && !failed;
    return failed ? NULL : malloc(n);
}

static void failing_release(void *user, void *p, size_t n)
{
    (void)user;
    (void)n;
    free(p);
}

static const mailsrv_allocator failing = { sizeof failing, 0, NULL, failing_alloc, failing_release };

static void begin(struct heap *heap, struct runs *runs)
{
    left = UINT64_MAX;
    mailsrv__heap_init(heap, &failing, UINT64_C(1) << 32);
    mailsrv__runs_init(runs, heap, CLASS_IMAGES);
}

static void end(struct heap *heap, struct runs *runs)
{
    mailsrv__runs_clear(runs);
    assert_int_equal(heap->used, 0);
}

/* ---- The model ---- */

static bool model[UIDS + 1];

static void mark(const mailsrv_run *list, size_t n, bool there)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t uid = list[i].first; uid <= list[i].last; uid++)
            model[uid] = there;
}

static void same_runs(const struct runs *runs)
{
    uint32_t from = 1;
    mailsrv_run run;
    while (mailsrv__runs_next(runs, from, &run)) {
        for (uint32_t uid = from; uid < run.first; uid++)
            assert_false(model[uid]);
        for (uint32_t uid = run.first; uid <= run.last; uid++)
            assert_true(model[uid]);
        assert_true(run.last == UIDS || !model[run.last + 1]);
        from = run.last + 1;
    }
    for (uint32_t uid = from; uid <= UIDS; uid++)
        assert_false(model[uid]);
}

static void same(const struct runs *runs)
{
    uint32_t count = 0, last = 0;
    for (uint32_t uid = 1; uid <= UIDS; uid++) {
        assert_int_equal(mailsrv__runs_has(runs, uid), model[uid]);
        count += model[uid];
        assert_int_equal(mailsrv__runs_rank(runs, uid), count);
        if (!model[uid])
            continue;
        last = uid;
        assert_int_equal(mailsrv__runs_select(runs, count), uid);
    }
    assert_int_equal(runs->count, count);
    assert_int_equal(mailsrv__runs_last(runs), last);
    same_runs(runs);
}

/* Some runs, ascending: of single UIDs, or long ones. */
static size_t make_list(mailsrv_run list[LIST])
{
    static const uint32_t gaps[] = { 3, 30, 2000 }, lengths[] = { 1, 4, 700 };
    uint32_t gap = gaps[random_below(3)], length = lengths[random_below(3)], at = 1 + random_below(UIDS);
    size_t most = random_below(4) == 0 ? LIST : 3, n = 0;
    if (most == LIST)
        at = 1 + random_below(UIDS / 4);
    while (n < most && at <= UIDS) {
        uint32_t last = at + random_below(length);
        list[n++] = (mailsrv_run){ at, last < UIDS ? last : UIDS };
        at = last + 1 + random_below(gap);
    }
    return n;
}

static void change(struct runs *runs, const mailsrv_run *list, size_t n)
{
    bool adds = random_below(2) == 0;
    bool done = adds ? mailsrv__runs_add(runs, list, n) : mailsrv__runs_remove(runs, list, n);
    if (done)
        mark(list, n, adds);
    assert_true(done || failed);
}

static void test_as_the_model(void **unused)
{
    (void)unused;
    struct heap heap;
    struct runs runs;
    mailsrv_run list[LIST];
    const char *seed = getenv("MAILSRV_SEED");
    state = (seed == NULL ? 1 : strtoull(seed, NULL, 10)) * 2 + 1;
    print_message("seed %llu\n", (unsigned long long)(state / 2));
    begin(&heap, &runs);
    memset(model, 0, sizeof model);
    for (int i = 0; i < STEPS; i++) {
        left = random_below(4) == 0 ? random_below(4) : UINT64_MAX;
        change(&runs, list, make_list(list));
        if (i % 50 == 0)
            same(&runs);
        same_runs(&runs);
    }
    same(&runs);
    end(&heap, &runs);
}

/* Every other UID of 20,000: several pieces; then all holes close. */
static void test_holes_close(void **unused)
{
    (void)unused;
    struct heap heap;
    struct runs runs;
    begin(&heap, &runs);
    memset(model, 0, sizeof model);
    for (uint32_t uid = 1; uid < 20000; uid += 2) {
        mailsrv_run run = { uid, uid };
        assert_true(mailsrv__runs_add(&runs, &run, 1));
        mark(&run, 1, true);
    }
    same(&runs);
    assert_true(runs.n_pieces > 1);
    for (uint32_t uid = 2; uid < 20000; uid += 2) {
        mailsrv_run run = { uid, uid };
        assert_true(mailsrv__runs_add(&runs, &run, 1));
        mark(&run, 1, true);
    }
    same(&runs);
    assert_true(heap.used < 1000);
    end(&heap, &runs);
}

/* The longest UID, and a run of all of them. */
static void test_the_ends(void **unused)
{
    (void)unused;
    struct heap heap;
    struct runs runs;
    mailsrv_run all = { 1, UINT32_MAX }, top = { UINT32_MAX, UINT32_MAX }, out;
    begin(&heap, &runs);
    assert_false(mailsrv__runs_next(&runs, 1, &out));
    assert_true(mailsrv__runs_add(&runs, &all, 1));
    assert_int_equal(runs.count, UINT32_MAX);
    assert_true(mailsrv__runs_add(&runs, &top, 1));
    assert_int_equal(mailsrv__runs_select(&runs, UINT32_MAX), UINT32_MAX);
    assert_true(mailsrv__runs_remove(&runs, &top, 1));
    assert_int_equal(mailsrv__runs_last(&runs), UINT32_MAX - 1);
    assert_int_equal(mailsrv__runs_rank(&runs, UINT32_MAX), UINT32_MAX - 1);
    assert_true(mailsrv__runs_remove(&runs, &all, 1));
    assert_int_equal(runs.count, 0);
    end(&heap, &runs);
}

/* A million holes: no allocation above 64 KiB. */
static void test_no_large_allocation(void **unused)
{
    (void)unused;
    enum { N = 1000 };
    static mailsrv_run list[N];
    struct heap heap;
    struct runs runs;
    begin(&heap, &runs);
    for (uint32_t i = 0; i < 1000; i++) {
        for (uint32_t j = 0; j < N; j++)
            list[j] = (mailsrv_run){ (i * N + j) * 2 + 1, (i * N + j) * 2 + 1 };
        assert_true(mailsrv__runs_add(&runs, list, N));
    }
    assert_int_equal(runs.count, 1000000);
    assert_int_equal(mailsrv__runs_select(&runs, 500000), 999999);
    assert_true(heap.allocation_peak <= 65536);
    end(&heap, &runs);
}

/* What finds no memory has not happened. */
static void test_without_memory(void **unused)
{
    (void)unused;
    struct heap heap;
    struct runs runs;
    mailsrv_run list[] = { { 1, 9 }, { 20, 29 } }, middle = { 5, 24 };
    begin(&heap, &runs);
    for (uint64_t n = 0; n < 2; n++) {
        left = n;
        assert_false(mailsrv__runs_add(&runs, list, 2));
        assert_int_equal(heap.used, 0);
    }
    left = UINT64_MAX;
    assert_true(mailsrv__runs_add(&runs, list, 2));
    left = 1;
    assert_false(mailsrv__runs_remove(&runs, &middle, 1));
    assert_int_equal(runs.count, 19);
    assert_true(mailsrv__runs_has(&runs, 5));
    end(&heap, &runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_model),        cmocka_unit_test(test_holes_close),
        cmocka_unit_test(test_the_ends),            cmocka_unit_test(test_no_large_allocation),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
