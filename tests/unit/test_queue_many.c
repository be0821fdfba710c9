/* Another engine commits; there are very many destinations. */
#include "outbound.h"

static struct outbound w;

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    out_begin(&w);
    return 0;
}

/* ---- Another engine ---- */

static mailsrv_engine *second_engine(void)
{
    mailsrv_engine *engine;
    assert_int_equal(mailsrv_engine_new(NULL, &engine), MAILSRV_OK);
    assert_int_equal(mailsrv_store_bind(w.store, engine), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(engine, w.now_us, w.unix_us), MAILSRV_OK);
    return engine;
}

static void commit_by(mailsrv_engine *engine, const char *recipient)
{
    mailsrv_engine *own = w.engine;
    w.engine = engine;
    out_commit_to(&w, recipient);
    w.engine = own;
    mailsrv_engine_turn(engine, 1000); /* the body's end */
}

/* It is told of what another engine has committed, and then it goes at once; also when that one's clock is behind. */
static void test_another_engine_commits(void **state)
{
    (void)state;
    mailsrv_engine *second = second_engine();
    out_open(&w);
    out_send(&w, "a@one.test");
    out_wait(&w, MINUTE);
    commit_by(second, "b@one.test");
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, "b@one.test"), 0); /* nobody said anything */
    mailsrv_queue_poke(w.queue);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "b@one.test"), 1);
    w.unix_us -= 20 * SECOND;
    commit_by(second, "c@one.test");
    w.unix_us += 20 * SECOND;
    mailsrv_queue_poke(w.queue);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "c@one.test"), 1);
    assert_int_equal(mailsrv_engine_free(second, 0), MAILSRV_OK);
}

/* It commits while the queue looks: what the look did not see is looked for again. */
static void test_another_engine_commits_during_a_look(void **state)
{
    (void)state;
    mailsrv_engine *second = second_engine();
    w.keeps = MAILSRV_OP_QUEUE_SCAN;
    out_open(&w);
    out_run(&w);
    assert_int_equal(w.n_kept, 1);
    const mailsrv_op *op = w.kept[0];
    w.n_kept = 0;
    w.keeps = 0;
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_LATE, 1);
    mailsrv_memory_handle(w.store, w.engine, op);
    mailsrv_memory_answer(w.store, 1); /* there was nothing, and the queue does not know yet */
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_LATE, 0);
    commit_by(second, "a@one.test");
    mailsrv_queue_poke(w.queue);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(mailsrv_engine_free(second, 0), MAILSRV_OK);
}

/* ---- Many destinations ---- */

enum { DESTINATIONS = 17000, MEMORY_MIB = 24 }; /* more than there are lanes */

/* All of them dead, with more for each than the one that was tried: there are as many lanes as there may be, the store has
 * the rest, and memory is bounded. */
static void test_very_many_dead_destinations(void **state)
{
    (void)state;
    char domain[TEXT_MAX];
    w.is_down = out_everybody;
    out_open(&w);
    uint64_t before = w.from.octets;
    for (uint32_t i = 0; i < DESTINATIONS; i++) {
        snprintf(domain, sizeof domain, "d%u.test", i);
        out_commit(&w, domain, 2);
    }
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_LANES), 16384);
    assert_int_equal(out_queued(&w), 2 * DESTINATIONS);
    assert_true(out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS) <= 2048);
    assert_true(w.from.octets_peak < before + ((uint64_t)MEMORY_MIB << 20));
}

/* All of them dead, then all of them back: each gets what is his, once. */
static void test_very_many_destinations(void **state)
{
    (void)state;
    char recipient[TEXT_MAX];
    w.is_down = out_everybody;
    out_open(&w);
    uint64_t before = w.from.octets;
    for (uint32_t i = 0; i < DESTINATIONS; i++) {
        snprintf(recipient, sizeof recipient, "a@d%u.test", i);
        out_commit_to(&w, recipient);
    }
    assert_int_equal(out_queued(&w), DESTINATIONS);
    w.is_down = NULL;
    out_wait(&w, HOUR);
    assert_true(w.from.octets_peak < before + ((uint64_t)MEMORY_MIB << 20));
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(out_delivered(&w, NULL), DESTINATIONS);
    for (uint32_t i = 0; i < DESTINATIONS; i += 101) {
        snprintf(recipient, sizeof recipient, "a@d%u.test", i);
        assert_int_equal(out_delivered(&w, recipient), 1);
    }
    assert_true(out_stat(&w, MAILSRV_QUEUE_STAT_LANES) <= 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_another_engine_commits, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_another_engine_commits_during_a_look, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_very_many_dead_destinations, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_very_many_destinations, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
