/* The allocator over one block. */
#include <mailsrv/base.h>

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OCTETS = 16384, PIECES = 64, STEPS = 20000, BOOKS = 64 };

static uint8_t *new_block(mailsrv_allocator *a)
{
    uint8_t *block = malloc(OCTETS);
    assert_non_null(block);
    assert_int_equal(mailsrv_block_allocator(block, OCTETS, a), MAILSRV_OK);
    return block;
}

static void *take(const mailsrv_allocator *a, size_t n)
{
    return a->alloc(a->user, n);
}

static void give(const mailsrv_allocator *a, void *p, size_t n)
{
    a->release(a->user, p, n);
}

static bool is_in_one_piece(const mailsrv_allocator *a)
{
    void *p = take(a, OCTETS - BOOKS);
    if (p != NULL)
        give(a, p, OCTETS - BOOKS);
    return p != NULL;
}

static void test_wrong_blocks_are_refused(void **state)
{
    mailsrv_allocator a = { 0 };
    uint8_t block[1024];
    (void)state;
    assert_int_equal(mailsrv_block_allocator(NULL, OCTETS, &a), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_block_allocator(block, 1023, &a), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_block_allocator(block, 1024, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_block_allocator(block, 1024, &a), MAILSRV_OK);
    assert_int_equal(a.size, sizeof a);
    assert_non_null(take(&a, 900));
}

static void test_memory_is_aligned_and_inside(void **state)
{
    uint8_t *block = malloc(OCTETS + 16);
    (void)state;
    for (size_t shift = 0; shift < 16; shift++) {
        mailsrv_allocator a;
        assert_int_equal(mailsrv_block_allocator(block + shift, OCTETS, &a), MAILSRV_OK);
        for (size_t n = 1; n < 200; n += 13) {
            uint8_t *p = take(&a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            assert_true(p >= block + shift && p + n <= block + shift + OCTETS);
            memset(p, 0xEE, n);
        }
    }
    free(block);
}

static void test_it_runs_out_and_recovers(void **state)
{
    mailsrv_allocator a;
    uint8_t *block = new_block(&a);
    void *v[OCTETS / 16];
    size_t n = 0;
    (void)state;
    assert_null(take(&a, OCTETS));
    assert_null(take(&a, SIZE_MAX));
    assert_null(take(&a, SIZE_MAX - 20));
    while ((v[n] = take(&a, 100)) != NULL)
        n++;
    assert_in_range(n, OCTETS / 112 - 2, OCTETS / 100);
    assert_null(take(&a, 100));
    give(&a, v[n / 2], 100);
    void *again = take(&a, 100);
    assert_ptr_equal(again, v[n / 2]);
    while (n-- != 0)
        give(&a, v[n], 100);
    assert_true(is_in_one_piece(&a));
    free(block);
}

static void test_neighbours_are_joined(void **state)
{
    static const size_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        mailsrv_allocator a;
        uint8_t *block = new_block(&a);
        static const size_t sizes[3] = { 400, 101, 999 };
        void *v[3] = { take(&a, sizes[0]), take(&a, sizes[1]), take(&a, sizes[2]) };
        for (size_t k = 0; k < 3; k++) {
            assert_false(is_in_one_piece(&a));
            give(&a, v[orders[i][k]], sizes[orders[i][k]]);
        }
        assert_true(is_in_one_piece(&a));
        free(block);
    }
}

/* Against a model: what is out keeps its octets, whatever else is taken and given. */
struct piece {
    uint8_t *p;
    size_t n;
    uint8_t mark;
};

static void check(const struct piece *piece)
{
    for (size_t i = 0; i < piece->n; i++)
        assert_int_equal(piece->p[i], piece->mark);
}

static bool overlaps(const struct piece *pieces, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < PIECES; i++)
        if (pieces[i].p != NULL && p < pieces[i].p + pieces[i].n && pieces[i].p < p + n)
            return true;
    return false;
}

static void test_random_steps_agree_with_a_model(void **state)
{
    mailsrv_allocator a;
    uint8_t *block = new_block(&a);
    struct piece pieces[PIECES] = { { 0 } };
    uint64_t seed = random_seed();
    unsigned refused = 0;
    (void)state;
    for (unsigned i = 0; i < STEPS; i++) {
        struct piece *piece = &pieces[draw(&seed, PIECES)];
        if (piece->p != NULL) {
            check(piece);
            give(&a, piece->p, piece->n);
            piece->p = NULL;
            continue;
        }
        size_t n = 1 + (size_t)draw(&seed, draw(&seed, 8) == 0 ? 4000 : 300);
        uint8_t *p = take(&a, n);
        refused += p == NULL;
        if (p == NULL)
            continue;
        assert_false(overlaps(pieces, p, n));
        *piece = (struct piece){ p, n, (uint8_t)i };
        memset(p, piece->mark, n);
    }
    assert_true(refused != 0);
    for (size_t i = 0; i < PIECES; i++)
        if (pieces[i].p != NULL) {
            check(&pieces[i]);
            give(&a, pieces[i].p, pieces[i].n);
        }
    assert_true(is_in_one_piece(&a));
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_blocks_are_refused),        cmocka_unit_test(test_memory_is_aligned_and_inside),
        cmocka_unit_test(test_it_runs_out_and_recovers),        cmocka_unit_test(test_neighbours_are_joined),
        cmocka_unit_test(test_random_steps_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
