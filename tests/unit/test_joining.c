/* The durable store's groups: who waits for whom, and for how long. */
#include "stores/durable/durable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void syncs(struct joining *j, int n, uint64_t us)
{
    for (int i = 0; i < n; i++)
        mailsrv__durable_joining_synced(j, us);
}

static void test_slow_disk(void **state)
{
    struct joining j = { 0 };
    (void)state;
    syncs(&j, 100, 1600);
    mailsrv__durable_joining_answered(&j, 3, 2, 1000000);
    assert_in_range(mailsrv__durable_joining_until(&j, 2), 1000700, 1000800); /* half of a sync */
    assert_int_equal(mailsrv__durable_joining_until(&j, 5), 0);               /* all are there */
    syncs(&j, 100, 100000);
    assert_int_equal(mailsrv__durable_joining_until(&j, 2), 1002000); /* and no longer */
}

static void test_nobody_waits(void **state)
{
    struct joining j = { 0 };
    (void)state;
    syncs(&j, 100, 100);
    mailsrv__durable_joining_answered(&j, 3, 2, 1000000);
    assert_int_equal(mailsrv__durable_joining_until(&j, 2), 0); /* on a fast disk */
    syncs(&j, 100, 1600);
    mailsrv__durable_joining_answered(&j, 1, 0, 1000000);
    assert_int_equal(mailsrv__durable_joining_until(&j, 1), 0); /* who writes alone */
    mailsrv__durable_joining_answered(&j, 32, 32, 1000000);
    assert_int_equal(mailsrv__durable_joining_until(&j, 16), 0); /* for more than many */
    assert_int_not_equal(mailsrv__durable_joining_until(&j, 15), 0);
}

/* Of eight four were there; how many groups do not wait afterwards? */
static unsigned rests_behind(struct joining *j, size_t after, uint64_t waited_us)
{
    unsigned rests = 0;
    mailsrv__durable_joining_answered(j, 8, 0, 1000000);
    mailsrv__durable_joining_judge(j, 4, after, waited_us);
    while (mailsrv__durable_joining_until(j, 4) == 0)
        rests++;
    return rests;
}

static void test_in_vain(void **state)
{
    struct joining j = { 0 };
    (void)state;
    syncs(&j, 100, 1600);
    assert_int_equal(rests_behind(&j, 8, 1000), 0);
    assert_int_equal(rests_behind(&j, 6, 500), 0);
    assert_int_equal(rests_behind(&j, 6, 550), 2); /* two more, and longer by a third */
    assert_int_equal(rests_behind(&j, 4, 800), 4);
    for (int i = 0; i < 10; i++)
        rests_behind(&j, 4, 800);
    assert_int_equal(rests_behind(&j, 4, 800), 64);
    assert_int_equal(rests_behind(&j, 8, 800), 0);
    assert_int_equal(rests_behind(&j, 4, 800), 2);
}

/* ---- The writer ---- */

#define FAR_US 3600000000

static const mailsrv_arg_body_commit of_nothing = { .size = sizeof of_nothing };
static const mailsrv_op commit = { .size = sizeof commit, .kind = MAILSRV_OP_BODY_COMMIT, .arg = &of_nothing };

static void begin(struct durable *d)
{
    pthread_condattr_t steady;
    *d = (struct durable){ .joining = { .sync_us = 1600, .expected = 2 } };
    d->writes.last = &d->writes.first;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&d->writes.work, &steady);
    pthread_condattr_destroy(&steady);
}

static void end(struct durable *d)
{
    pthread_cond_destroy(&d->writes.work);
    pthread_mutex_destroy(&d->lock);
}

static void join(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    mailsrv__durable_join(d);
    pthread_mutex_unlock(&d->lock);
}

static void *comes(void *user)
{
    static struct task second = { .kind = MAILSRV_OP_BODY_COMMIT, .op = &commit };
    mailsrv__durable_wait_in_line(user, &second);
    return NULL;
}

/* With an hour's patience: so no timing decides. */
static void test_joined(void **state)
{
    static struct durable d;
    struct task first = { .kind = MAILSRV_OP_BODY_COMMIT, .op = &commit };
    pthread_t other;
    (void)state;
    begin(&d);
    mailsrv__durable_wait_in_line(&d, &first);
    d.joining.answered_us = mailsrv__durable_now_us() + FAR_US;
    pthread_mutex_lock(&d.lock); /* until it waits */
    assert_int_equal(pthread_create(&other, NULL, comes, &d), 0);
    mailsrv__durable_join(&d);
    pthread_mutex_unlock(&d.lock);
    assert_int_equal(d.writes.n, 2);
    assert_int_equal(d.writes.enough, 0);
    pthread_join(other, NULL);
    end(&d);
}

static void test_too_late(void **state)
{
    static struct durable d;
    struct task first = { .kind = MAILSRV_OP_BODY_COMMIT, .op = &commit };
    (void)state;
    begin(&d);
    mailsrv__durable_wait_in_line(&d, &first);
    join(&d); /* the last answer was given long ago */
    assert_int_equal(d.writes.n, 1);
    d.joining = (struct joining){ .sync_us = 1600, .expected = 2, .answered_us = mailsrv__durable_now_us() + FAR_US };
    d.has_dead = true; /* there is something to do meanwhile */
    join(&d);
    assert_int_equal(d.writes.n, 1);
    end(&d);
}

static void test_patience(void **state)
{
    struct joining j = { 0 };
    (void)state;
    assert_int_equal(mailsrv__durable_joining_patience(&j), 0); /* nothing is synced */
    syncs(&j, 100, 400);
    assert_in_range(mailsrv__durable_joining_patience(&j), 780, 800);
    syncs(&j, 100, 100000);
    assert_int_equal(mailsrv__durable_joining_patience(&j), 2000);
}

/* What nobody waits for stays until somebody comes who is waited for; many of it go by themselves. */
static void test_led(void **state)
{
    static struct durable d;
    static struct task many[15];
    struct task first = { .kind = MAILSRV_OP_QUEUE_DELETE }, second = { .kind = MAILSRV_OP_BODY_COMMIT, .op = &commit };
    (void)state;
    begin(&d);
    d.joining = (struct joining){ .sync_us = 500 };
    mailsrv__durable_wait_in_line(&d, &first);
    const uint64_t before_us = mailsrv__durable_now_us();
    join(&d);
    assert_true(mailsrv__durable_now_us() - before_us >= 1000); /* nobody came */
    d.has_dead = true;
    join(&d); /* there is something to do meanwhile */
    d.has_dead = false;
    d.joining.sync_us = 0;
    mailsrv__durable_wait_in_line(&d, &second);
    join(&d);
    assert_int_equal(d.writes.n, 2);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        many[i].kind = MAILSRV_OP_QUEUE_UPDATE;
        mailsrv__durable_wait_in_line(&d, &many[i]);
    }
    join(&d);
    end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_disk), cmocka_unit_test(test_nobody_waits), cmocka_unit_test(test_in_vain),
        cmocka_unit_test(test_joined),    cmocka_unit_test(test_too_late),  cmocka_unit_test(test_patience),
        cmocka_unit_test(test_led),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
