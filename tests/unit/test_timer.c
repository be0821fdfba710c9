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

/* ---- Stories of one timer ---- */

enum what { END, ARM, DISARM, REMOVE, ADVANCE };

#define NONE INT64_MAX
#define ANY (-1) /* what is next is not said: early at worst */

static const struct story {
    const char *name;
    int64_t begin_us;
    struct {
        enum what what;
        int64_t us;
        int fired; /* by then */
        int64_t next;
    } steps[10];
} stories[] = {
    /* Armed between two advances it counts from the next one; until then from the last. */
    { "an advance arms before it fires",
      1000,
      { { ARM, 50, 0, 1050 },
        { ADVANCE, 9000, 0, 9050 },
        { ADVANCE, 9049, 0, 9050 },
        { ADVANCE, 9050, 1, NONE },
        { ADVANCE, 99999, 1, NONE } } },
    /* Lazily: the key in the heap is still 100. */
    { "arming again moves it",
      0,
      { { ARM, 100, 0, 100 },
        { ADVANCE, 0, 0, 100 },
        { ARM, 100, 0, ANY },
        { ADVANCE, 60, 0, ANY },
        { ADVANCE, 159, 0, 160 },
        { ADVANCE, 160, 1, NONE } } },
    { "arming again may be earlier",
      0,
      { { ARM, 100, 0, 100 },
        { ADVANCE, 0, 0, 100 },
        { ARM, 5, 0, ANY },
        { ADVANCE, 10, 0, 15 },
        { ADVANCE, 14, 0, 15 },
        { ADVANCE, 15, 1, ANY },
        { ADVANCE, 200, 1, NONE } } },
    { "the last arming counts",
      0,
      { { ARM, 5, 0, 5 },
        { ARM, 100, 0, ANY },
        { ADVANCE, 0, 0, ANY },
        { ADVANCE, 99, 0, 100 },
        { ADVANCE, 100, 1, NONE } } },
    { "disarmed before it was armed at all",
      0,
      { { ARM, 10, 0, 10 }, { DISARM, 0, 0, ANY }, { ADVANCE, 0, 0, ANY }, { ADVANCE, 50, 0, NONE } } },
    { "disarmed it does not fire",
      0,
      { { ARM, 10, 0, 10 },
        { ADVANCE, 0, 0, 10 },
        { DISARM, 0, 0, ANY },
        { ADVANCE, 50, 0, NONE },
        { ARM, 10, 0, 60 },
        { REMOVE, 0, 0, ANY },
        { ADVANCE, 50, 0, ANY },
        { ADVANCE, 500, 0, NONE } } },
    { "for ever is far away", INT64_C(1) << 60, { { ARM, INT64_MAX, 0, ANY }, { ADVANCE, INT64_C(1) << 61, 0, ANY } } },
};

static void take_step(struct timers *t, struct alarm *a, enum what what, int64_t us)
{
    if (what == ARM)
        mailsrv__timer_arm(t, &a->timer, us);
    else if (what == DISARM)
        mailsrv__timer_disarm(&a->timer);
    else if (what == REMOVE)
        mailsrv__timer_remove(t, &a->timer);
    else
        mailsrv__timers_advance(t, us);
    if (what != ADVANCE)
        assert_int_equal(mailsrv__timer_armed(&a->timer), what == ARM);
}

static void test_stories_of_one_timer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        const struct story *story = &stories[i];
        struct timers t;
        struct alarm a;
        begin(&t, &a, 1, story->begin_us);
        for (size_t k = 0; story->steps[k].what != END; k++) {
            take_step(&t, &a, story->steps[k].what, story->steps[k].us);
            int64_t next = mailsrv__timers_next(&t);
            if (a.fired != story->steps[k].fired)
                fail_msg("%s: fired %d times after step %zu", story->name, a.fired, k);
            if (story->steps[k].next != ANY && next != story->steps[k].next)
                fail_msg("%s: next %lld after step %zu", story->name, (long long)next, k);
        }
        mailsrv__timer_remove(&t, &a.timer);
    }
}

/* ---- Several ---- */

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
        cmocka_unit_test(test_stories_of_one_timer),
        cmocka_unit_test(test_they_fire_in_order),
        cmocka_unit_test(test_one_that_arms_itself_waits_for_the_next_advance),
        cmocka_unit_test(test_random_steps_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
