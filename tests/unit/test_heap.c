/* The engine's memory: books, classes, ceilings; and the list and statuses of base/. */
#include "base/heap.h"
#include "base/list.h"

#include "allocators.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_memory_is_zeroed_and_counted(void **state)
{
    struct counted from;
    struct heap heap;
    struct purse purse = { .max = 1000 };
    (void)state;
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, 4096);
    uint8_t *p = mailsrv__heap_take(&heap, CLASS_OUTPUT, &purse, 100);
    assert_non_null(p);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    assert_int_equal(heap.used, 100);
    assert_int_equal(heap.used_by[CLASS_OUTPUT], 100);
    assert_int_equal(purse.used, 100);
    mailsrv__heap_give(&heap, CLASS_OUTPUT, &purse, p, 100);
    assert_int_equal(heap.used, 0);
    assert_int_equal(heap.used_by[CLASS_OUTPUT], 0);
    assert_int_equal(heap.peak, 100);
    assert_int_equal(heap.allocation_peak, 100);
    assert_int_equal(purse.used, 0);
    assert_int_equal(purse.peak, 100);
    assert_int_equal(from.live, 0);
    assert_null(from.fault);
}

/* Room is counted the same, and is as the allocator left it: nobody has written zeros there. */
static void test_room_is_not_zeroed(void **state)
{
    struct counted from;
    struct heap heap;
    struct purse purse = { .max = 1000 };
    (void)state;
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, 4096);
    uint8_t *p = mailsrv__heap_room(&heap, CLASS_OUTPUT, &purse, 100);
    assert_non_null(p);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(p[i], COUNTED_JUNK);
    assert_int_equal(heap.used_by[CLASS_OUTPUT], 100);
    assert_int_equal(purse.used, 100);
    assert_null(mailsrv__heap_room(&heap, CLASS_OUTPUT, &purse, 901));
    mailsrv__heap_give(&heap, CLASS_OUTPUT, &purse, p, 100);
    assert_int_equal(heap.used, 0);
    assert_int_equal(purse.used, 0);
    assert_int_equal(from.live, 0);
    assert_null(from.fault);
}

struct keeper {
    struct heap *heap;
    void *kept[3];
    int asked;
};

static bool give_back(void *user)
{
    struct keeper *keeper = user;
    keeper->asked++;
    for (int i = 0; i < 3; i++) {
        if (keeper->kept[i] == NULL)
            continue;
        mailsrv__heap_give(keeper->heap, CLASS_IMAGES, NULL, keeper->kept[i], 300);
        keeper->kept[i] = NULL;
        return true;
    }
    return false;
}

/* What is kept in case it is wanted again goes, as much of it as is needed; not for what could never fit. */
static void test_what_is_kept_is_given_back(void **state)
{
    struct counted from;
    struct heap heap;
    struct keeper keeper = { .heap = &heap };
    struct purse purse = { .max = 100 };
    (void)state;
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, 1000);
    for (int i = 0; i < 3; i++)
        keeper.kept[i] = mailsrv__heap_take(&heap, CLASS_IMAGES, NULL, 300);
    heap.give_back = give_back;
    heap.user = &keeper;
    assert_null(mailsrv__heap_take(&heap, CLASS_OUTPUT, NULL, 1001));
    assert_null(mailsrv__heap_take(&heap, CLASS_OUTPUT, &purse, 101));
    assert_int_equal(keeper.asked, 0);
    void *p = mailsrv__heap_take(&heap, CLASS_OUTPUT, NULL, 500);
    assert_non_null(p);
    assert_int_equal(keeper.asked, 2);
    from.fail_first = from.fail_last = from.calls + 1; /* the allocator itself has none */
    void *q = mailsrv__heap_take(&heap, CLASS_OUTPUT, NULL, 100);
    assert_non_null(q);
    assert_int_equal(keeper.asked, 3);
    assert_null(mailsrv__heap_take(&heap, CLASS_OUTPUT, NULL, 500));
    assert_int_equal(keeper.asked, 4);
    mailsrv__heap_give(&heap, CLASS_OUTPUT, NULL, p, 500);
    mailsrv__heap_give(&heap, CLASS_OUTPUT, NULL, q, 100);
    assert_int_equal(from.live, 0);
}

static void test_each_ceiling_holds(void **state)
{
    struct counted from;
    struct heap heap;
    struct purse purse = { .max = 300 };
    (void)state;
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, 1000);
    heap.max_by[CLASS_BODIES] = 200;
    void *body = mailsrv__heap_take(&heap, CLASS_BODIES, NULL, 200);
    assert_non_null(body);
    assert_null(mailsrv__heap_take(&heap, CLASS_BODIES, NULL, 1));
    void *mine = mailsrv__heap_take(&heap, CLASS_OUTPUT, &purse, 300);
    assert_non_null(mine);
    assert_null(mailsrv__heap_take(&heap, CLASS_OUTPUT, &purse, 1));
    void *rest = mailsrv__heap_take(&heap, CLASS_OUTPUT, NULL, 500);
    assert_non_null(rest);
    assert_null(mailsrv__heap_take(&heap, CLASS_ENGINE, NULL, 1));
    assert_null(mailsrv__heap_take(&heap, CLASS_ENGINE, NULL, SIZE_MAX));
    assert_int_equal(from.calls, 3); /* what is above a ceiling is not even asked for */
    mailsrv__heap_give(&heap, CLASS_BODIES, NULL, body, 200);
    mailsrv__heap_give(&heap, CLASS_OUTPUT, &purse, mine, 300);
    mailsrv__heap_give(&heap, CLASS_OUTPUT, NULL, rest, 500);
    assert_int_equal(from.live, 0);
}

static void test_what_leaves_its_purse_stays_charged(void **state)
{
    struct counted from;
    struct heap heap;
    struct purse purse = { .max = 300 };
    (void)state;
    counted_init(&from);
    mailsrv__heap_init(&heap, &from.allocator, 1000);
    void *p = mailsrv__heap_take(&heap, CLASS_OPERATIONS, &purse, 50);
    mailsrv__purse_leave(&purse, 50);
    assert_int_equal(purse.used, 0);
    assert_int_equal(heap.used_by[CLASS_OPERATIONS], 50);
    mailsrv__heap_give(&heap, CLASS_OPERATIONS, NULL, p, 50);
    assert_int_equal(heap.used, 0);
    mailsrv__heap_give(&heap, CLASS_OPERATIONS, NULL, NULL, 50);
    assert_int_equal(heap.used, 0);
}

static void test_no_memory_is_charged_where_there_was_none(void **state)
{
    struct counted from;
    struct heap heap;
    struct purse purse = { .max = 300 };
    (void)state;
    counted_init(&from);
    from.fail_first = from.fail_last = 1;
    mailsrv__heap_init(&heap, &from.allocator, 1000);
    assert_null(mailsrv__heap_take(&heap, CLASS_OUTPUT, &purse, 10));
    assert_int_equal(heap.used, 0);
    assert_int_equal(heap.peak, 0);
    assert_int_equal(purse.used, 0);
}

static void test_malloc_stands_for_none(void **state)
{
    struct heap heap;
    (void)state;
    mailsrv__heap_init(&heap, mailsrv__malloc(), 1000);
    char *p = mailsrv__heap_take(&heap, CLASS_ENGINE, NULL, 10);
    assert_non_null(p);
    memcpy(p, "secret", 7);
    mailsrv__wipe(p, 7);
    assert_int_equal(p[0], 0);
    assert_int_equal(p[5], 0);
    mailsrv__heap_give(&heap, CLASS_ENGINE, NULL, p, 10);
}

struct item {
    int value;
    struct node node;
};

static void test_a_list_keeps_its_order(void **state)
{
    struct node list;
    struct item items[4] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 } };
    (void)state;
    mailsrv__list_init(&list);
    assert_true(mailsrv__list_empty(&list));
    assert_null(mailsrv__list_pop(&list));
    for (size_t i = 0; i < 4; i++) {
        mailsrv__list_init(&items[i].node);
        mailsrv__list_append(&list, &items[i].node);
    }
    mailsrv__list_remove(&items[1].node);
    mailsrv__list_remove(&items[1].node); /* in no list: nothing happens */
    assert_true(mailsrv__list_empty(&items[1].node));
    static const int left[] = { 1, 3, 4 };
    for (size_t i = 0; i < 3; i++) {
        struct node *n = mailsrv__list_pop(&list);
        assert_int_equal(HOLDER(n, struct item, node)->value, left[i]);
        assert_true(mailsrv__list_empty(n));
    }
    assert_true(mailsrv__list_empty(&list));
}

static void test_every_status_has_a_text(void **state)
{
    static const int32_t statuses[] = {
        MAILSRV_OK,
        MAILSRV_MORE,
        MAILSRV_E_USAGE,
        MAILSRV_E_UNKNOWN_KEY,
        MAILSRV_E_VALUE,
        MAILSRV_E_CLOSED,
        MAILSRV_E_STALE,
        MAILSRV_E_BUSY,
        MAILSRV_NOMEM,
        MAILSRV_TEMP,
        MAILSRV_FULL,
        MAILSRV_LIMIT,
        MAILSRV_OVERQUOTA,
        MAILSRV_INUSE,
        MAILSRV_CORRUPT,
        MAILSRV_DENIED,
        MAILSRV_TOOBIG,
        MAILSRV_NONEXISTENT,
        MAILSRV_NOPERM,
        MAILSRV_CANNOT,
        MAILSRV_ALREADYEXISTS,
        MAILSRV_GONE,
    };
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        assert_string_not_equal(mailsrv_strerror(statuses[i]), "unknown status");
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(mailsrv_strerror(statuses[i]), mailsrv_strerror(statuses[k]));
    }
    static const int32_t others[] = { 2, -1, -99, -300, -507, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_string_equal(mailsrv_strerror(others[i]), "unknown status");
    assert_int_equal(mailsrv_version(), MAILSRV_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zeroed_and_counted),
        cmocka_unit_test(test_room_is_not_zeroed),
        cmocka_unit_test(test_each_ceiling_holds), cmocka_unit_test(test_what_is_kept_is_given_back),
        cmocka_unit_test(test_what_leaves_its_purse_stays_charged),
        cmocka_unit_test(test_no_memory_is_charged_where_there_was_none),
        cmocka_unit_test(test_malloc_stands_for_none),
        cmocka_unit_test(test_a_list_keeps_its_order),
        cmocka_unit_test(test_every_status_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
