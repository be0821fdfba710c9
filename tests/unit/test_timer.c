/* Timers: armed by the next advance, lazily put back, against a model. */
#include "core/timer.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TIMERS = 40, STEPS = 20000 };

struct alarm {
    struct timer timer;
    struct timers *timers;
    int fired;
    int64_t again_us; /* armed anew when it fires; 0: not */
};

static int order[16];
static int n_order;

static void fire(struct timer *timer)
{
    struct alarm *a = HOLDER(timer, struct alarm, timer);
    a->fired++;
    if (n_order < 16)
        order[n_order++] = (int)a->again_us;
}

static void fire_again(struct timer *timer)
{
    struct alarm *a = HOLDER(timer, struct alarm, timer);
    a->fired++;
    mailsrv__timer_arm(a->timers, timer, a->again_us);
}

static void begin(struct timers *timers, struct alarm *a, size_t n, int64_t now)
{
    mailsrv__timers_init(timers);
    mailsrv__timers_advance(timers, now);
    for (size_t i = 0; i < n; i++) {
        a[i] = (struct alarm){ .timers = timers };
        mailsrv__timer_init(&a[i].timer, fire);
    }
    n_order = 0;
}

static void test_no_timer_no_deadline(void **state)
{
    struct timers t;
    (void)state;
    mailsrv__timers_init(&t);
    assert_true(mailsrv__timers_next(&t) == INT64_MAX);
    mailsrv__timers_advance(&t, 5);
    assert_true(mailsrv__timers_next(&t) == INT64_MAX);
}

/* Armed between two advances it counts from the next one; until then from the last: early at worst. */
static void test_an_advance_arms_before_it_fires(void **state)
{
    struct timers t;
    struct alarm a;
    (void)state;
    begin(&t, &a, 1, 1000);
    mailsrv__timer_arm(&t, &a.timer, 50);
    assert_true(mailsrv__timer_armed(&a.timer));
    assert_int_equal(mailsrv__timers_next(&t), 1050);
    mailsrv__timers_advance(&t, 9000);
    assert_int_equal(a.fired, 0);
    assert_int_equal(mailsrv__timers_next(&t), 9050);
    mailsrv__timers_advance(&t, 9049);
    assert_int_equal(a.fired, 0);
    mailsrv__timers_advance(&t, 9050);
    assert_int_equal(a.fired, 1);
    assert_false(mailsrv__timer_armed(&a.timer));
    assert_true(mailsrv__timers_next(&t) == INT64_MAX);
    mailsrv__timers_advance(&t, 99999);
    assert_int_equal(a.fired, 1);
}

static void test_arming_again_moves_it(void **state)
{
    struct timers t;
    struct alarm a;
    (void)state;
    begin(&t, &a, 1, 0);
    mailsrv__timer_arm(&t, &a.timer, 100);
    mailsrv__timers_advance(&t, 0);
    mailsrv__timer_arm(&t, &a.timer, 100); /* lazily: the key in the heap is still 100 */
    mailsrv__timers_advance(&t, 60);
    mailsrv__timers_advance(&t, 159);
    assert_int_equal(a.fired, 0);
    assert_int_equal(mailsrv__timers_next(&t), 160);
    mailsrv__timers_advance(&t, 160);
    assert_int_equal(a.fired, 1);
}

static void test_arming_again_may_be_earlier(void **state)
{
    struct timers t;
    struct alarm a;
    (void)state;
    begin(&t, &a, 1, 0);
    mailsrv__timer_arm(&t, &a.timer, 100);
    mailsrv__timers_advance(&t, 0);
    mailsrv__timer_arm(&t, &a.timer, 5);
    mailsrv__timers_advance(&t, 10);
    assert_int_equal(mailsrv__timers_next(&t), 15);
    mailsrv__timers_advance(&t, 14);
    assert_int_equal(a.fired, 0);
    mailsrv__timers_advance(&t, 15);
    assert_int_equal(a.fired, 1);
    mailsrv__timers_advance(&t, 200);
    assert_int_equal(a.fired, 1);
}

static void test_the_last_arming_counts(void **state)
{
    struct timers t;
    struct alarm a;
    (void)state;
    begin(&t, &a, 1, 0);
    mailsrv__timer_arm(&t, &a.timer, 5);
    mailsrv__timer_arm(&t, &a.timer, 100);
    mailsrv__timers_advance(&t, 0);
    mailsrv__timers_advance(&t, 99);
    assert_int_equal(a.fired, 0);
    mailsrv__timers_advance(&t, 100);
    assert_int_equal(a.fired, 1);
}

static void test_disarmed_it_does_not_fire(void **state)
{
    struct timers t;
    struct alarm a[2];
    (void)state;
    begin(&t, a, 2, 0);
    mailsrv__timer_arm(&t, &a[0].timer, 10);
    mailsrv__timer_disarm(&a[0].timer); /* before it was armed at all */
    mailsrv__timer_arm(&t, &a[1].timer, 10);
    mailsrv__timers_advance(&t, 0);
    mailsrv__timer_disarm(&a[1].timer);
    assert_false(mailsrv__timer_armed(&a[0].timer));
    assert_false(mailsrv__timer_armed(&a[1].timer));
    mailsrv__timers_advance(&t, 50);
    assert_int_equal(a[0].fired + a[1].fired, 0);
    mailsrv__timer_arm(&t, &a[1].timer, 10);
    mailsrv__timer_remove(&t, &a[1].timer);
    mailsrv__timers_advance(&t, 50);
    mailsrv__timers_advance(&t, 500);
    assert_int_equal(a[1].fired, 0);
    assert_true(mailsrv__timers_next(&t) == INT64_MAX);
}

static void test_they_fire_in_order(void **state)
{
    struct timers t;
    struct alarm a[6];
    static const int64_t after[] = { 60, 10, 50, 20, 40, 30 };
    (void)state;
    begin(&t, a, 6, 0);
    for (size_t i = 0; i < 6; i++) {
        a[i].again_us = after[i];
        mailsrv__timer_arm(&t, &a[i].timer, after[i]);
    }
    mailsrv__timers_advance(&t, 0);
    mailsrv__timers_advance(&t, 100);
    assert_int_equal(n_order, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(order[i], (i + 1) * 10);
}

static void test_one_that_arms_itself_waits_for_the_next_advance(void **state)
{
    struct timers t;
    struct alarm a;
    (void)state;
    begin(&t, &a, 1, 0);
    mailsrv__timer_init(&a.timer, fire_again);
    a.again_us = 10;
    mailsrv__timer_arm(&t, &a.timer, 10);
    mailsrv__timers_advance(&t, 0);
    mailsrv__timers_advance(&t, 1000);
    assert_int_equal(a.fired, 1);
    assert_int_equal(mailsrv__timers_next(&t), 1010);
    mailsrv__timers_advance(&t, 1010); /* arms it: from here */
    assert_int_equal(a.fired, 1);
    mailsrv__timers_advance(&t, 1020);
    assert_int_equal(a.fired, 2);
    mailsrv__timer_remove(&t, &a.timer);
}

static void test_for_ever_is_far_away(void **state)
{
    struct timers t;
    struct alarm a;
    (void)state;
    begin(&t, &a, 1, INT64_C(1) << 60);
    mailsrv__timer_arm(&t, &a.timer, INT64_MAX);
    mailsrv__timers_advance(&t, INT64_C(1) << 61);
    assert_int_equal(a.fired, 0);
    mailsrv__timer_remove(&t, &a.timer);
}

/* ---- The model: an array, and nothing lazy ---- */

struct model {
    int64_t due;   /* INT64_MAX: not armed */
    int64_t after; /* armed by the next advance; -1: not */
    int fired;
};

static void model_advance(struct model *m, int64_t now)
{
    for (size_t i = 0; i < TIMERS; i++) {
        if (m[i].after >= 0) {
            m[i].due = now + m[i].after;
            m[i].after = -1;
        }
        if (m[i].due > now)
            continue;
        m[i].due = INT64_MAX;
        m[i].fired++;
    }
}

static void test_random_steps_agree_with_a_model(void **state)
{
    struct timers t;
    struct alarm a[TIMERS];
    struct model m[TIMERS];
    uint64_t seed = random_seed();
    int64_t now = 0;
    (void)state;
    begin(&t, a, TIMERS, 0);
    for (size_t i = 0; i < TIMERS; i++)
        m[i] = (struct model){ INT64_MAX, -1, 0 };
    for (unsigned step = 0; step < STEPS; step++) {
        size_t i = (size_t)draw(&seed, TIMERS);
        switch (draw(&seed, 4)) {
        case 0:
            now += (int64_t)draw(&seed, 60);
            mailsrv__timers_advance(&t, now);
            model_advance(m, now);
            break;
        case 1:
            mailsrv__timer_disarm(&a[i].timer);
            m[i].due = INT64_MAX;
            m[i].after = -1;
            break;
        case 2:
            if (draw(&seed, 8) == 0) {
                mailsrv__timer_remove(&t, &a[i].timer);
                m[i].due = INT64_MAX;
                m[i].after = -1;
            }
            break;
        default:
            m[i].after = (int64_t)draw(&seed, 200);
            mailsrv__timer_arm(&t, &a[i].timer, m[i].after);
            break;
        }
        int64_t next = mailsrv__timers_next(&t);
        for (size_t k = 0; k < TIMERS; k++) {
            assert_int_equal(a[k].fired, m[k].fired);
            assert_int_equal(mailsrv__timer_armed(&a[k].timer), m[k].due != INT64_MAX || m[k].after >= 0);
            assert_true(next <= m[k].due); /* nobody sleeps through one */
            assert_true(m[k].after < 0 || next <= now + m[k].after);
        }
    }
    for (size_t i = 0; i < TIMERS; i++)
        mailsrv__timer_remove(&t, &a[i].timer);
    assert_true(mailsrv__timers_next(&t) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_timer_no_deadline),
        cmocka_unit_test(test_an_advance_arms_before_it_fires),
        cmocka_unit_test(test_arming_again_moves_it),
        cmocka_unit_test(test_arming_again_may_be_earlier),
        cmocka_unit_test(test_the_last_arming_counts),
        cmocka_unit_test(test_disarmed_it_does_not_fire),
        cmocka_unit_test(test_they_fire_in_order),
        cmocka_unit_test(test_one_that_arms_itself_waits_for_the_next_advance),
        cmocka_unit_test(test_for_ever_is_far_away),
        cmocka_unit_test(test_random_steps_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
