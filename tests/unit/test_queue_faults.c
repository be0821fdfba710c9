/* Everything that may fail fails once: mail is late then, never lost, and nothing is stuck. */
#include "outbound.h"

static struct outbound w;

static void begin(void)
{
    memset(&w, 0, sizeof w);
    out_begin(&w);
}

/* Some mail of each sort, sent and waited for; one recipient is refused, one is put off at first. */
static bool run_through(void)
{
    mailsrv_queue_setup *setup = &w.setup;
    setup->size = sizeof *setup;
    setup->profile = w.profile;
    setup->seed = 3;
    if (mailsrv_queue_open(w.engine, setup, &w.queue) != MAILSRV_OK)
        return false;
    out_commit(&w, "one.test", 30);
    out_commit(&w, "two.test", 3);
    out_wait(&w, 24 * HOUR);
    return true;
}

static void check(void)
{
    assert_int_equal(out_queued(&w), 0);
    assert_true(w.n_received >= 33);
    for (uint32_t i = 0; i < 30; i++) {
        char recipient[TEXT_MAX];
        snprintf(recipient, sizeof recipient, "user%u@one.test", i);
        assert_int_equal(out_delivered(&w, recipient), 1);
    }
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), 0);
}

/* The n-th allocation since the mail was committed finds no memory; and all from the n-th on, for a while. */
static void memory_fails(uint64_t n, uint64_t times)
{
    begin();
    out_open(&w);
    out_commit(&w, "one.test", 30);
    out_commit(&w, "two.test", 3);
    w.from.fail_first = w.from.calls + n;
    w.from.fail_last = w.from.fail_first + times - 1;
    out_wait(&w, MINUTE);
    bool failed = w.from.failed;
    w.from.fail_first = w.from.fail_last = 0;
    out_wait(&w, 24 * HOUR);
    check();
    out_end(&w);
    assert_true(failed || n > 100);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 400; n++)
        memory_fails(n, 1);
}

static void test_memory_is_short_for_a_while(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 200; n += 3)
        memory_fails(n, 20 + n % 17);
}

/* What DNS said finds no memory: it is asked again, but not at once. */
static void test_a_way_finds_no_memory(void **state)
{
    (void)state;
    uint32_t again = 0;
    for (uint64_t n = 1; n <= 200; n++) {
        begin();
        out_open(&w);
        w.keeps = MAILSRV_OP_ROUTE;
        out_commit(&w, "one.test", 1);
        w.from.fail_first = w.from.fail_last = w.from.calls + n;
        out_let_go(&w);
        out_run(&w);
        w.from.fail_first = w.from.fail_last = 0;
        assert_true(w.n_questions <= 3); /* MX, A, AAAA */
        out_wait(&w, 10 * SECOND);
        again += w.n_questions > 3;
        out_wait(&w, HOUR);
        assert_int_equal(out_delivered(&w, NULL), 1);
        out_end(&w);
    }
    assert_true(again != 0);
}

/* Nothing of one size finds memory: if that is an item's, there is some for questions, and nobody asks again at once. */
static bool size_fails(size_t least, size_t most)
{
    begin();
    out_open(&w);
    w.keeps = MAILSRV_OP_CONNECT;
    out_send(&w, "a@one.test");
    mailsrv_queue_set_flags(w.queue, MAILSRV_QUEUE_ROUTES_BY_SENDER); /* the store alone has it */
    w.from.fail_least = least;
    w.from.fail_most = most;
    uint32_t scans = w.n_scans;
    for (int i = 0; i < 1000; i++)
        out_step(&w);
    assert_true(w.n_scans - scans <= 2);
    bool failed = w.from.failed;
    w.from.fail_least = w.from.fail_most = 0;
    out_let_go(&w);
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    out_end(&w);
    return failed;
}

static void test_each_size_finds_no_memory(void **state)
{
    enum { STEP = 16 };
    (void)state;
    unsigned failed = 0;
    for (size_t least = STEP; least < 2048; least += STEP)
        failed += size_fails(least, least + STEP - 1);
    assert_true(failed > 1);
}

static void test_opening_finds_no_memory(void **state)
{
    (void)state;
    bool opened = false;
    for (uint64_t n = 1; !opened; n++) {
        begin();
        w.from.fail_first = w.from.fail_last = w.from.calls + n;
        mailsrv_queue_setup setup = { .size = sizeof setup, .profile = w.profile, .seed = 3 };
        int32_t status = mailsrv_queue_open(w.engine, &setup, &w.queue);
        w.from.fail_first = w.from.fail_last = 0;
        opened = status == MAILSRV_OK;
        if (!opened)
            assert_int_equal(status, MAILSRV_NOMEM);
        assert_true(n < 10);
        out_end(&w);
    }
}

/* Each question to the store fails once.  Deleting is asked again, and nobody gets anything twice. */
static void test_each_operation_fails(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 60; n++) {
        begin();
        w.fail_nth = n;
        assert_true(run_through());
        check();
        out_end(&w);
    }
}

static bool nobody_answers(struct outbound *world, const char *lane)
{
    (void)world;
    (void)lane;
    return true;
}

/* It is long too old when it is released, and its sender cannot be told at first. */
static void test_what_was_held_for_long_comes_back(void **state)
{
    (void)state;
    const mailsrv_queue_match all = { .size = sizeof all };
    for (uint32_t n = 1; n <= 12; n++) {
        uint64_t done = 0;
        begin();
        w.is_down = nobody_answers;
        out_open(&w);
        out_send(&w, "a@one.test");
        assert_int_equal(out_control(&w, &all, MAILSRV_QUEUE_HOLD, "", &done), MAILSRV_OK);
        out_wait(&w, 30 * 24 * HOUR);
        assert_int_equal(out_notices(&w), 0);
        w.fail_nth = n;
        if (out_control(&w, &all, MAILSRV_QUEUE_RELEASE, "", &done) != MAILSRV_OK)
            assert_int_equal(out_control(&w, &all, MAILSRV_QUEUE_RELEASE, "", &done), MAILSRV_OK);
        out_wait(&w, 24 * HOUR);
        assert_int_equal(out_notices(&w), 1);
        assert_int_equal(out_queued(&w), 0);
        out_end(&w);
    }
}

/* ---- What is wrong with the engine ---- */

static void test_what_cannot_be_opened(void **state)
{
    (void)state;
    mailsrv_queue *second = NULL;
    begin();
    out_open(&w);
    assert_int_equal(mailsrv_queue_open(w.engine, &w.setup, &second), MAILSRV_INUSE);
    mailsrv_queue_setup setup = w.setup;
    setup.profile = w.server_profile;
    assert_int_equal(mailsrv_queue_open(w.servers, &setup, &second), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_queue_open(w.servers, &w.setup, &second), MAILSRV_CANNOT); /* no queue there */
    mailsrv_queue_close(NULL, NULL, NULL);
    out_close(&w);
    const mailsrv_bytes name = bytes_of("mx.here.test");
    setup = w.setup;
    setup.own = &name;
    setup.n_own = 1;
    assert_int_equal(mailsrv_queue_open(w.engine, &setup, &second), MAILSRV_E_VALUE);
    assert_null(second);
    out_open(&w);
    out_end(&w);
}

static void test_nobody_waits_for_a_connection(void **state)
{
    (void)state;
    mailsrv_session *session = NULL;
    begin();
    out_open(&w);
    assert_int_equal(mailsrv_client_new(w.engine, 4711, NULL, NULL, &session), MAILSRV_E_USAGE);
    assert_null(session);
    out_end(&w);
}

static void set_clock(int64_t by_us)
{
    w.unix_us += by_us;
    out_wait(&w, MINUTE);
}

/* What was put off while the clock was wrong is found when it is right again. */
static void test_the_clock_is_put_back_and_forth(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    begin();
    out_open(&w);
    out_send(&w, "later@one.test");
    set_clock(6 * HOUR);
    set_clock(-6 * HOUR);
    out_send(&w, "laterstill@two.test");
    set_clock(6 * HOUR);
    out_wait(&w, HOUR);
    assert_true(out_item(&w, "laterstill@two.test", &mail));
    assert_true(mail.tries > 1);
    out_end(&w);
}

static bool names_fail;

static uint32_t dns(struct outbound *world, const char *name)
{
    (void)world;
    (void)name;
    return names_fail ? 2 : 0;
}

/* What was due when its lane could not send is due no more when it can. */
static void test_the_clock_is_put_back_meanwhile(void **state)
{
    (void)state;
    begin();
    w.dns = dns;
    names_fail = true;
    out_open(&w);
    out_commit(&w, "one.test", 5);
    out_wait(&w, 10 * SECOND);
    names_fail = false;
    set_clock(-6 * HOUR);
    out_wait(&w, 7 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), 5);
    out_end(&w);
}

/* The same seed, the same times; another one, others. */
static void test_a_seed_makes_it_repeatable(void **state)
{
    (void)state;
    static const uint64_t seeds[] = { 7, 7, 8 };
    int64_t due[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        mailsrv_queued_mail mail;
        begin();
        w.setup.seed = seeds[i];
        out_open(&w);
        out_send(&w, "later@one.test");
        out_wait(&w, HOUR);
        assert_true(out_item(&w, "later@one.test", &mail));
        due[i] = mail.due_us;
        out_end(&w);
    }
    assert_true(due[0] == due[1]);
    assert_true(due[0] != due[2]);
}

/* Longer than what is read at once. */
static void send_a_long_one(const char *recipients)
{
    static char text[100000];
    for (size_t i = 0; i + 66 < sizeof text; i += 66)
        snprintf(text + i, sizeof text - i, i == 0 ? "Subject: %055d\r\n" : "%064d\r\n", 0);
    w.message = text;
    w.keeps = MAILSRV_OP_READ;
    out_send(&w, recipients);
    out_run(&w);
    w.message = NULL;
}

/* A message that cannot be read to its end says nothing about the server: what else goes there does not wait. */
static void test_a_message_is_not_read_to_its_end(void **state)
{
    (void)state;
    begin();
    out_open(&w);
    send_a_long_one("long@one.test");
    assert_int_equal(w.n_kept, 1);
    out_answer(&w, MAILSRV_OK);
    out_run(&w);
    assert_int_equal(w.n_kept, 1);
    out_answer(&w, MAILSRV_TEMP);
    w.keeps = 0;
    out_run(&w);
    out_send(&w, "short@one.test");
    out_run(&w);
    assert_int_equal(out_delivered(&w, "short@one.test"), 1);
    assert_int_equal(out_delivered(&w, "long@one.test"), 0);
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "long@one.test"), 1);
    out_end(&w);
}

/* The first recipient is refused, and its item is gone: the message is read by another's. */
static void test_a_message_is_read_by_an_item_that_is_there(void **state)
{
    (void)state;
    mailsrv_queued_mail good = { .size = sizeof good };
    begin();
    out_open(&w);
    send_a_long_one("bad@one.test good@one.test");
    assert_true(out_item(&w, "good@one.test", &good));
    assert_true(((const mailsrv_arg_read *)w.kept[0]->arg)->queue != good.queue);
    out_answer(&w, MAILSRV_OK);
    out_run(&w);
    assert_int_equal(((const mailsrv_arg_read *)w.kept[0]->arg)->queue, good.queue);
    out_let_go(&w);
    out_run(&w);
    assert_int_equal(out_delivered(&w, "good@one.test"), 1);
    out_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails),       cmocka_unit_test(test_memory_is_short_for_a_while),
        cmocka_unit_test(test_opening_finds_no_memory),     cmocka_unit_test(test_each_operation_fails),
        cmocka_unit_test(test_a_way_finds_no_memory),       cmocka_unit_test(test_each_size_finds_no_memory),
        cmocka_unit_test(test_what_cannot_be_opened),       cmocka_unit_test(test_nobody_waits_for_a_connection),
        cmocka_unit_test(test_a_seed_makes_it_repeatable),  cmocka_unit_test(test_what_was_held_for_long_comes_back),
        cmocka_unit_test(test_the_clock_is_put_back_and_forth), cmocka_unit_test(test_the_clock_is_put_back_meanwhile),
        cmocka_unit_test(test_a_message_is_not_read_to_its_end),
        cmocka_unit_test(test_a_message_is_read_by_an_item_that_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
