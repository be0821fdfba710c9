/* Answers that come late: the queue is closed while they are out, what they were for is gone, the store is away. */
#include "outbound.h"

static struct outbound w;

static const mailsrv_queue_match all = { .size = sizeof all };

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    w.setup.delay_notice_s = UINT32_MAX;
    out_begin(&w);
    return 0;
}

static void set_true(void *user)
{
    *(bool *)user = true;
}

/* ---- The queue is closed while an answer is out ---- */

/* Of which kind; does closing wait for it, because what it says must not be lost; what may come twice when it fails. */
static const struct outstanding {
    int32_t kind;
    bool waits, doubles;
} outstanding[] = {
    { MAILSRV_OP_QUEUE_SCAN, false, false },  { MAILSRV_OP_ROUTE, false, false },
    { MAILSRV_OP_DNS, false, false },         { MAILSRV_OP_CONNECT, false, false },
    { MAILSRV_OP_READ, true, false },         { MAILSRV_OP_RETRY, true, false },
    { MAILSRV_OP_QUEUE_UPDATE, true, false }, { MAILSRV_OP_QUEUE_DELETE, true, true },
    { MAILSRV_OP_BODY_BEGIN, true, false },   { MAILSRV_OP_BODY_WRITE, true, false },
    { MAILSRV_OP_BODY_COMMIT, true, false },  { MAILSRV_OP_RESOLVE, true, false },
};

/* One is delivered, one waits, one is refused: of each kind something is asked, and the one kind stays unanswered. */
static void ask_and_keep(int32_t kind)
{
    void *world;
    begin(&world);
    out_commit_to(&w, "ok@one.test");
    out_commit_to(&w, "later@two.test");
    out_commit_to(&w, "bad@three.test");
    w.keeps = kind;
    out_open(&w);
    out_wait(&w, 10 * SECOND);
    assert_true(w.n_kept > 0);
}

/* Nothing is lost, and nothing comes twice that need not. */
static void check_the_rest(bool doubles)
{
    uint32_t most = doubles ? 2 : 1;
    out_open(&w);
    out_wait(&w, 24 * HOUR);
    assert_in_range(out_delivered(&w, NULL), 1, most);
    assert_int_equal(out_delivered(&w, NULL), out_delivered(&w, "ok@one.test"));
    assert_in_range(out_notices(&w), 1, most);
    mailsrv_queued_mail mail;
    assert_true(out_item(&w, "later@two.test", &mail));
    assert_int_equal(out_queued(&w), 1);
}

static void closed_while_out(const struct outstanding *o, int32_t status)
{
    bool closed = false;
    ask_and_keep(o->kind);
    mailsrv_queue_close(w.queue, set_true, &closed);
    out_wait(&w, SECOND);
    assert_int_equal(closed, !o->waits);
    w.keeps = 0;
    out_answer(&w, status);
    out_wait(&w, MINUTE);
    assert_true(closed);
    check_the_rest(o->doubles && status != MAILSRV_OK);
    out_end(&w);
}

static void test_closed_while_an_answer_is_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof outstanding / sizeof outstanding[0]; i++) {
        closed_while_out(&outstanding[i], MAILSRV_OK);
        closed_while_out(&outstanding[i], MAILSRV_TEMP);
    }
}

/* The engine is asked to end, and does when they have come. */
static void test_the_engine_ends_while_an_answer_is_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof outstanding / sizeof outstanding[0]; i++) {
        ask_and_keep(outstanding[i].kind);
        w.keeps = 0;
        out_end(&w);
    }
}

/* ---- A connection that takes long ---- */

static void test_a_late_connection_is_used(void **state)
{
    (void)state;
    out_open(&w);
    w.keeps = MAILSRV_OP_CONNECT;
    out_send(&w, "a@one.test");
    out_wait(&w, HOUR);
    assert_int_equal(w.n_kept, 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), 1);
    out_answer(&w, MAILSRV_OK);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
}

/* Nobody wants it any more: the host is told so, and has nothing to free. */
static void test_a_connection_that_comes_after_the_end(void **state)
{
    (void)state;
    out_open(&w);
    w.keeps = MAILSRV_OP_CONNECT;
    out_send(&w, "a@one.test");
    out_run(&w);
    assert_int_equal(w.n_kept, 1);
    out_close(&w);
    mailsrv_session *session = NULL;
    const mailsrv_peer peer = { .size = sizeof peer, .address_octets = 4 };
    mailsrv_op_id id = w.kept[0]->id;
    w.n_kept = 0;
    assert_int_equal(mailsrv_client_new(w.engine, id, &peer, NULL, &session), MAILSRV_E_STALE);
    assert_null(session);
    assert_int_equal(mailsrv_client_new(w.engine, id, &peer, NULL, &session), MAILSRV_E_USAGE); /* it is answered */
    w.keeps = 0;
    out_open(&w);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
}

/* What it was for was dropped meanwhile: it closes in good order, and nothing is sent. */
static void test_a_connection_for_what_is_gone(void **state)
{
    (void)state;
    uint64_t n = 0;
    out_open(&w);
    w.keeps = MAILSRV_OP_CONNECT;
    out_send(&w, "a@one.test");
    assert_int_equal(out_control(&w, &all, MAILSRV_QUEUE_DROP, "", &n), MAILSRV_OK);
    assert_int_equal(n, 1);
    assert_int_equal(w.n_kept, 1);
    w.keeps = 0;
    out_answer(&w, MAILSRV_OK);
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, NULL), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), 0);
    assert_int_equal(out_queued(&w), 0);
}

/* ---- The store is away ---- */

/* For a day, then it comes back: nothing is lost or doubled, it is not asked all the time, memory does not grow. */
static void test_the_store_is_away(void **state)
{
    (void)state;
    out_open(&w);
    out_commit(&w, "one.test", 40);
    out_commit_to(&w, "later@two.test");
    out_wait(&w, SECOND);
    out_commit(&w, "three.test", 300);
    w.store_is_down = true;
    out_wait(&w, HOUR);
    uint32_t asked = w.n_scans + w.n_updates;
    uint64_t octets = w.from.octets;
    out_wait(&w, 23 * HOUR);
    uint64_t askers = out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS) + 2; /* each every 5 seconds: the look, the lane, the items */
    assert_true(w.n_scans + w.n_updates - asked <= askers * (23 * 3600 / 5 + 1));
    assert_true(w.from.octets <= octets);
    w.store_is_down = false;
    out_wait(&w, 2 * HOUR + 30 * MINUTE);
    for (uint32_t i = 0; i < 300; i++) {
        char recipient[TEXT_MAX];
        snprintf(recipient, sizeof recipient, "user%u@three.test", i);
        assert_int_equal(out_delivered(&w, recipient), 1);
    }
    assert_int_equal(out_delivered(&w, NULL), 340);
    assert_int_equal(out_queued(&w), 1);
}

/* It is closed while the store is away; later it finds all that was not written. */
static void test_closed_while_the_store_is_away(void **state)
{
    (void)state;
    out_open(&w);
    out_commit(&w, "one.test", 300);
    out_send(&w, "later@two.test bad@three.test");
    for (int i = 0; i < 40; i++)
        mailsrv_engine_turn(w.engine, 20);
    w.store_is_down = true;
    out_wait(&w, 20 * MINUTE);
    out_close(&w);
    uint64_t queued = out_queued(&w);
    assert_true(queued > 0);
    w.store_is_down = false;
    out_open(&w);
    out_wait(&w, 24 * HOUR);
    assert_int_equal(out_queued(&w), 1);
    assert_true(out_notices(&w) >= 1);
    for (uint32_t i = 0; i < 300; i++) {
        char recipient[TEXT_MAX];
        snprintf(recipient, sizeof recipient, "user%u@one.test", i);
        assert_in_range(out_delivered(&w, recipient), 1, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_while_an_answer_is_out),
        cmocka_unit_test(test_the_engine_ends_while_an_answer_is_out),
        cmocka_unit_test_setup_teardown(test_a_late_connection_is_used, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_connection_that_comes_after_the_end, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_connection_for_what_is_gone, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_store_is_away, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_closed_while_the_store_is_away, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
