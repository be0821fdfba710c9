/* Columns of an image beside a plain array, from a seed; keywords cost memory only where they are; and memory ends. */
#include "mailbox/columns.h"

#include "allocators.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 20000 };

static struct marks model[ROWS];
static struct sizes model_sizes[ROWS]; /* of no octets: not known */
static uint32_t n_model;
static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    return (uint32_t)draw(&random_state, n);
}

static struct marks make(uint64_t modseq)
{
    struct marks marks = { modseq, { 0, 0 }, (uint8_t)below(32) };
    if (below(1000) == 0)
        marks.keywords[below(2)] = UINT64_C(1) << below(64);
    return marks;
}

static void same(const struct columns *columns)
{
    assert_int_equal(columns->n, n_model);
    for (uint32_t i = 0; i < n_model; i++) {
        struct marks marks = mailsrv__columns_get(columns, i);
        assert_int_equal(marks.modseq, model[i].modseq);
        assert_int_equal(marks.flags, model[i].flags);
        assert_memory_equal(marks.keywords, model[i].keywords, sizeof marks.keywords);
        struct sizes sizes;
        assert_int_equal(mailsrv__columns_sizes(columns, i, &sizes), model_sizes[i].octets != 0);
        if (model_sizes[i].octets != 0)
            assert_memory_equal(&sizes, &model_sizes[i], sizeof sizes);
    }
}

/* Some blocks, from a place on: of single rows, or long ones. */
static void removes(struct columns *columns)
{
    struct stretch blocks[100];
    static const uint32_t gaps[] = { 3, 40, 5000 }, lengths[] = { 1, 20, 6000 };
    uint32_t gap = gaps[below(3)], length = lengths[below(3)], at = below(n_model);
    size_t n = 0, most = 1 + below(below(2) == 0 ? 100 : 2);
    for (; n < most && at < n_model; n++) {
        uint32_t rows = 1 + below(length);
        blocks[n] = (struct stretch){ at, rows < n_model - at ? rows : n_model - at };
        at += blocks[n].n + below(gap); /* they may touch */
    }
    mailsrv__columns_remove(columns, blocks, n);
    while (n-- != 0) {
        uint32_t from = blocks[n].index + blocks[n].n;
        memmove(model + blocks[n].index, model + from, (n_model - from) * sizeof *model);
        memmove(model_sizes + blocks[n].index, model_sizes + from, (n_model - from) * sizeof *model_sizes);
        n_model -= blocks[n].n;
    }
}

/* Sizes of some rows, as they are loaded; or of none any more. */
static void size_some(struct columns *columns)
{
    if (below(40) == 0) {
        mailsrv__columns_drop_sizes(columns);
        memset(model_sizes, 0, sizeof model_sizes);
    }
    for (uint32_t i = below(300); i != 0 && n_model != 0; i--) {
        uint32_t at = below(n_model);
        model_sizes[at] = (struct sizes){ 1 + below(1000000), (int64_t)below(1000) - 500 };
        assert_true(mailsrv__columns_set_sizes(columns, at, &model_sizes[at]));
    }
}

/* Once there is room, appending needs no memory. */
static void reserve_some(struct columns *columns, struct counted *from)
{
    uint32_t n = 1 + below(6000);
    while (mailsrv__columns_free(columns) < n)
        assert_true(mailsrv__columns_reserve(columns, n));
    uint64_t calls = from->calls;
    for (uint32_t i = below(n); i != 0 && n_model < ROWS; i--) {
        model[n_model] = (struct marks){ .modseq = 5 };
        model_sizes[n_model] = (struct sizes){ 0, 0 };
        assert_true(mailsrv__columns_append(columns, &model[n_model++]));
    }
    assert_int_equal(from->calls, calls);
}

static bool is_alike(const struct marks *a, const struct marks *b)
{
    return a->modseq == b->modseq && a->flags == b->flags && a->keywords[0] == b->keywords[0] &&
           a->keywords[1] == b->keywords[1];
}

/* All of a run get the same, and are seen to have it as far as a piece goes. */
static void fill_some(struct columns *columns, uint64_t modseq)
{
    const uint32_t at = below(n_model), n = 1 + below(n_model - at);
    const struct marks marks = make(modseq);
    assert_true(mailsrv__columns_fill(columns, at, n, &marks));
    for (uint32_t i = at; i < at + n; i++)
        model[i] = marks;
    uint32_t alike = mailsrv__columns_alike(columns, at, n_model - at);
    assert_in_range(alike, 1, n_model - at);
    for (uint32_t i = at; i < at + alike; i++)
        assert_true(is_alike(&model[i], &marks));
    assert_in_range(mailsrv__columns_alike(columns, at, 3), 1, 3);
}

static void test_as_the_array(void **state)
{
    struct counted from;
    struct heap heap;
    struct columns columns;
    (void)state;
    random_state = random_seed();
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, UINT64_C(1) << 30);
    mailsrv__columns_init(&columns, &heap);
    n_model = 0;
    for (uint32_t step = 1; step < 200; step++) {
        for (uint32_t i = below(400); i != 0 && n_model < ROWS; i--) {
            model[n_model] = make(step);
            model_sizes[n_model] = (struct sizes){ 0, 0 };
            assert_true(mailsrv__columns_append(&columns, &model[n_model++]));
        }
        for (uint32_t i = below(100); i != 0 && n_model != 0; i--) {
            uint32_t at = below(n_model);
            model[at] = make(step + 1000);
            assert_true(mailsrv__columns_set(&columns, at, &model[at]));
        }
        if (below(4) == 0 && n_model != 0)
            fill_some(&columns, step + 2000);
        if (below(3) == 0 && n_model != 0)
            removes(&columns);
        if (below(4) == 0)
            size_some(&columns);
        if (below(10) == 0)
            reserve_some(&columns, &from);
        if (step % 10 == 0)
            same(&columns);
    }
    same(&columns);
    assert_true(heap.allocation_peak <= 65536);
    assert_int_equal(mailsrv__columns_octets(&columns), heap.used);
    mailsrv__columns_clear(&columns);
    assert_int_equal(from.live, 0);
}

/* What is left of many pieces moves together. */
static void test_pieces_are_joined(void **state)
{
    struct counted from;
    struct heap heap;
    struct columns columns;
    struct marks marks = { 1, { 0, 0 }, 0 };
    (void)state;
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, UINT64_C(1) << 30);
    mailsrv__columns_init(&columns, &heap);
    for (uint32_t i = 0; i < 4096 * 8; i++) {
        marks.modseq = i;
        assert_true(mailsrv__columns_append(&columns, &marks));
    }
    for (uint32_t i = 0; i < 4096; i++)
        mailsrv__columns_remove(&columns, &(struct stretch){ i + 1, 7 }, 1);
    assert_int_equal(columns.n, 4096);
    for (uint32_t i = 0; i < 4096; i++)
        assert_int_equal(mailsrv__columns_get(&columns, i).modseq, 8 * i);
    assert_true(heap.used < 3 * 4096 * 9);
    mailsrv__columns_clear(&columns);
    assert_int_equal(from.live, 0);
}

/* Nine octets a row; a word more in one piece when one row has a keyword. */
static void test_keywords_cost_where_they_are(void **state)
{
    struct counted from;
    struct heap heap;
    struct columns columns;
    struct marks marks = { 1, { 0, 0 }, 0 };
    (void)state;
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, UINT64_C(1) << 30);
    mailsrv__columns_init(&columns, &heap);
    for (int i = 0; i < 4096 * 3; i++)
        assert_true(mailsrv__columns_append(&columns, &marks));
    uint64_t before = heap.used;
    assert_true(before < 4096 * 3 * 9 + 1000);
    marks.keywords[1] = 1;
    assert_true(mailsrv__columns_set(&columns, 5000, &marks));
    assert_int_equal(heap.used - before, 4096 * 8);
    mailsrv__columns_clear(&columns);
    assert_int_equal(from.live, 0);
}

/* What finds no memory has not happened. */
static void test_without_memory(void **state)
{
    struct counted from;
    struct heap heap;
    struct columns columns;
    struct marks marks = { 1, { 1, 0 }, 0 };
    uint32_t refused = 0;
    (void)state;
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, UINT64_C(1) << 30);
    mailsrv__columns_init(&columns, &heap);
    for (uint32_t i = 0; i < 5000;) {
        from.fail_first = from.fail_last = from.calls + 1 + (refused + i) % 7;
        if (mailsrv__columns_append(&columns, &marks))
            i++;
        else
            refused++;
        assert_int_equal(columns.n, i);
    }
    assert_true(refused > 5);
    mailsrv__columns_clear(&columns);
    assert_int_equal(from.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_array),
        cmocka_unit_test(test_pieces_are_joined),
        cmocka_unit_test(test_keywords_cost_where_they_are),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
