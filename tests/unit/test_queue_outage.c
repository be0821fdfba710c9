/* Servers that do not answer, and what it costs: others nothing, the store little, memory no more than was set. */
#include "outbound.h"

static struct outbound w;

/* ---- The world ---- */

static int64_t back_us; /* when dead.test answers again */

static bool dead_is_down(struct outbound *world, const char *lane)
{
    return strcmp(lane, "dead.test") == 0 && world->unix_us < back_us;
}

static bool slow_is_stuck(struct outbound *world, const char *lane)
{
    (void)world;
    return strcmp(lane, "slow.test") == 0;
}

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    w.is_down = dead_is_down;
    back_us = INT64_MAX;
    out_begin(&w);
    return 0;
}

/* ---- Tests ---- */

static void test_it_is_tried_again_ever_later(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    int64_t before = 0, last = 0;
    out_open(&w);
    out_send(&w, "a@dead.test");
    for (uint32_t tries = 1; tries <= 12; tries++) {
        while (!out_item(&w, "a@dead.test", &mail) || mail.tries < tries)
            out_wait(&w, MINUTE);
        assert_int_equal(mail.tries, tries);
        int64_t wait = mail.due_us - mail.tried_us, usual = 5 * MINUTE;
        for (uint32_t i = 1; i < tries; i++)
            usual += usual / 2;
        if (usual > 2 * HOUR)
            usual = 2 * HOUR;
        assert_true(wait >= usual - usual / 5 - SECOND && wait <= usual + usual / 5 + SECOND);
        before = last;
        last = wait;
    }
    assert_true(before > HOUR);
    assert_true(memcmp(mail.text.p, "4.4.1 connection refused", 24) == 0);
}

/* RFC 5321 section 4.5.4.1: given up after four or five days. */
static void test_it_is_given_up(void **state)
{
    (void)state;
    out_open(&w);
    out_send(&w, "a@dead.test");
    out_wait(&w, 5 * 24 * HOUR - HOUR);
    assert_int_equal(out_queued(&w), 1);
    out_wait(&w, 4 * HOUR);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 1);
    mailsrv_queued_mail mail;
    assert_false(out_item(&w, "a@dead.test", &mail));
    assert_int_equal(out_notices(&w), 2); /* that it waits, after four hours, once; and that it is over */
}

/* T61: 10,000 for a dead destination: few connections to it, next to nothing written, others go out at once, and the first
 * success frees all of them. */
static void test_many_for_a_dead_server(void **state)
{
    (void)state;
    out_open(&w);
    out_commit(&w, "dead.test", 10000);
    out_wait(&w, 10 * SECOND);
    assert_true(w.n_connects <= 4);
    assert_true(w.n_updates <= 4);
    assert_true(out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS) <= 4);
    out_send(&w, "a@other.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "a@other.test"), 1);
    out_wait(&w, 4 * HOUR - MINUTE);
    assert_true(w.n_connects <= 20);
    assert_true(w.n_updates <= 20);
    out_send(&w, "b@other.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "b@other.test"), 1);
    back_us = w.unix_us;
    out_wait(&w, 2 * HOUR + 30 * MINUTE);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(out_delivered(&w, NULL), 10002);
    assert_int_equal(out_delivered(&w, "user9999@dead.test"), 1);
    assert_int_equal(out_delivered(&w, "user0@dead.test"), 1);
    assert_true(w.wires_peak <= 20);
}

/* Those that were put off while it was away are freed, too, whatever their time. */
static void test_the_first_success_frees_the_rest(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    out_open(&w);
    out_send(&w, "a@dead.test");
    out_wait(&w, 8 * HOUR);
    assert_true(out_item(&w, "a@dead.test", &mail));
    int64_t due = mail.due_us;
    back_us = w.unix_us;
    out_send(&w, "b@dead.test");
    out_wait(&w, due - w.unix_us + 5 * SECOND);
    assert_int_equal(out_delivered(&w, NULL), 2);
    assert_true(w.received[1].at_us - w.received[0].at_us <= SECOND);
}

/* 20,000 items, and memory for 256 of them. */
static void test_memory_is_bounded(void **state)
{
    (void)state;
    uint64_t peak = 0;
    w.setup.items_max = 256;
    out_open(&w);
    uint64_t before = w.from.octets;
    for (int i = 0; i < 20; i++) {
        char domain[16];
        snprintf(domain, sizeof domain, "d%d.test", i);
        out_commit(&w, i == 7 ? "dead.test" : domain, 1000);
    }
    for (int i = 0; i < 100 && out_delivered(&w, NULL) < 19000; i++) {
        out_wait(&w, SECOND);
        if (out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS) > peak)
            peak = out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS);
    }
    assert_int_equal(out_delivered(&w, NULL), 19000);
    assert_true(peak <= 256);
    assert_true(w.from.octets_peak < before + (16u << 20));
    back_us = w.unix_us;
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, NULL), 20000);
    assert_int_equal(out_queued(&w), 0);
}

/* Closed in the middle, and opened again on what is in the store: each goes out once, and the schedule is kept. */
static void test_a_restart_loses_nothing(void **state)
{
    (void)state;
    mailsrv_queued_mail before, after;
    out_open(&w);
    out_commit(&w, "some.test", 500);
    out_send(&w, "a@dead.test");
    out_wait(&w, 2 * HOUR);
    assert_true(out_item(&w, "a@dead.test", &before));
    out_commit(&w, "other.test", 500);
    mailsrv_engine_turn(w.engine, 3000);
    out_close(&w);
    out_open(&w);
    assert_true(out_item(&w, "a@dead.test", &after));
    assert_true(after.tries >= before.tries);
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, NULL), 1000);
    for (int i = 0; i < 500; i++) {
        char recipient[32];
        snprintf(recipient, sizeof recipient, "user%d@other.test", i);
        assert_int_equal(out_delivered(&w, recipient), 1);
    }
    assert_int_equal(out_queued(&w), 1);
}

/* Who keeps all connections waiting keeps some for himself: the rest is for others. */
static void test_a_slow_server_leaves_some_connections(void **state)
{
    (void)state;
    w.setup.connections_max = 4;
    out_open(&w);
    out_send(&w, "first@slow.test");
    out_run(&w);
    w.is_stuck = slow_is_stuck;
    out_commit(&w, "slow.test", 1000);
    mailsrv_queue_poke(w.queue);
    out_wait(&w, 10 * SECOND);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), 3);
    out_send(&w, "a@other.test b@third.test");
    out_wait(&w, 5 * SECOND);
    assert_int_equal(out_delivered(&w, NULL), 3);
    w.is_stuck = NULL;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 1003);
}

/* Who has never said a word has one connection, and has one again when it has failed. */
static void test_a_silent_server_keeps_one_connection(void **state)
{
    (void)state;
    w.is_stuck = slow_is_stuck;
    out_open(&w);
    out_commit(&w, "slow.test", 1000);
    for (int i = 0; i < 3 * 60; i++) {
        out_wait(&w, MINUTE);
        assert_true(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS) <= 1);
    }
    assert_true(w.n_connects > 3);
    w.is_stuck = NULL;
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 1000);
}

/* Who has a connection does not take another's that rests: it would be missed at once, and another one made. */
static void test_connections_that_rest_stay(void **state)
{
    (void)state;
    w.setup.connections_max = 4;
    out_open(&w);
    out_send(&w, "a@one.test b@two.test c@three.test d@four.test");
    out_run(&w);
    assert_int_equal(w.n_connects, 4);
    out_commit(&w, "one.test", 50);
    mailsrv_queue_poke(w.queue);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 54);
    assert_int_equal(w.n_connects, 4);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), 4);
    out_send(&w, "e@five.test"); /* which has none */
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 55);
    assert_int_equal(w.n_connects, 5);
}

/* The engine ends while everything is under way. */
static void test_the_engine_ends_under_it(void **state)
{
    (void)state;
    out_open(&w);
    out_commit(&w, "some.test", 300);
    for (int i = 0; i < 20; i++)
        mailsrv_engine_turn(w.engine, 50);
    assert_true(out_queued(&w) > 0);
}

enum { CUT = 300, CUTS = 30 };

/* All at once, and before anything else happens; what servers had been given whole is theirs.  How much of that nobody has
 * read yet, ever. */
static uint64_t cut_sessions(void)
{
    for (int i = 0; i < 100000 && mailsrv_engine_turn(w.servers, 1000) == MAILSRV_MORE; i++)
        ;
    for (struct wire *wire = w.wires; wire != NULL; wire = wire->next) {
        mailsrv_session_free(wire->client);
        wire->client = NULL;
    }
    return w.n_mails - out_stat(&w, MAILSRV_QUEUE_STAT_DELIVERED);
}

/* The host frees sessions in the middle: their mail is tried again, and nothing hangs.  It arrives, and arrives twice only
 * where a server had taken it and nobody has read that. */
static void test_sessions_are_cut(void **state)
{
    (void)state;
    uint64_t unheard = 0, unharmed = 0;
    char recipient[32];
    out_open(&w);
    for (uint32_t i = 0; i < CUT; i++) { /* a message for each: none goes with another */
        snprintf(recipient, sizeof recipient, "user%u@some.test", i);
        out_commit_to(&w, recipient);
    }
    for (int cut = 0; cut < CUTS; cut++) {
        w.is_stuck = out_everybody;
        for (int i = 0; i < 3 * 60 && out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS) == 0; i++)
            out_wait(&w, MINUTE);
        w.is_stuck = NULL;
        for (int i = 0; i < 10 + 3 * cut; i++)
            out_step(&w);
        const uint64_t before = unheard;
        unheard = cut_sessions();
        unharmed += unheard == before;
    }
    assert_true(unheard != 0 && unharmed != 0 && out_queued(&w) != 0); /* there was a middle */
    out_wait(&w, 12 * HOUR);
    assert_int_equal(out_queued(&w), 0);
    for (uint32_t i = 0; i < CUT; i++) {
        snprintf(recipient, sizeof recipient, "user%u@some.test", i);
        assert_true(out_delivered(&w, recipient) >= 1);
    }
    assert_int_equal(out_delivered(&w, NULL), CUT + unheard);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_DELIVERED), CUT);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    assert_int_equal(out_notices(&w), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_tried_again_ever_later, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_given_up, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_many_for_a_dead_server, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_first_success_frees_the_rest, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_bounded, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_restart_loses_nothing, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_slow_server_leaves_some_connections, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_silent_server_keeps_one_connection, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_connections_that_rest_stay, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_engine_ends_under_it, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_sessions_are_cut, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
