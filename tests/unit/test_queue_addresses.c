/* Servers with several addresses, of which some do not take mail (RFC 5321 section 5.1). */
#include "outbound.h"

enum { MAIL_OCTETS = 60, WHOLE_OCTETS = 100 }; /* a client that has said so many is within its transaction, or at its end */
enum { TOO_LARGE_OCTETS = 70000 };

static struct outbound w;

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    w.addresses = 3;
    w.good_from = 2;
    out_begin(&w);
    out_open(&w);
    return 0;
}

static void send_large(size_t octets)
{
    char *large = calloc(1, octets + 1);
    memset(large, 'x', octets);
    memcpy(large, "Subject: one\r\n\r\n", 16);
    for (size_t i = 80; i < octets; i += 80)
        memcpy(large + i, "\r\n", 2);
    w.message = large;
    out_send(&w, "large@one.test");
    w.message = NULL;
    free(large);
}

static uint32_t tries_of(const char *recipient)
{
    mailsrv_queued_mail mail;
    return out_item(&w, recipient, &mail) ? mail.tries : 0;
}

/* The preferred one hangs up when it is given something: the next one takes it, and what comes then goes there at once; until
 * the first one is tried again. */
static void test_it_hangs_up(void **state)
{
    (void)state;
    w.hang_up_octets = MAIL_OCTETS;
    out_send(&w, "a@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(w.connects_to[1], 1);
    assert_int_equal(w.connects_to[2], 1);
    out_wait(&w, MINUTE);
    out_send(&w, "b@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "b@one.test"), 1);
    assert_int_equal(w.connects_to[1], 1);
    w.hang_up_octets = 0;
    out_wait(&w, 10 * MINUTE);
    out_send(&w, "c@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "c@one.test"), 1);
    assert_int_equal(w.connects_to[1], 2);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_DEFERRED), 0);
}

/* It puts off what it is given: the next one takes that, by a connection for it alone.  Behind a few it is not asked first
 * any more. */
static void test_it_puts_off(void **state)
{
    char recipient[TEXT_MAX];
    (void)state;
    w.puts_off = true;
    for (uint32_t i = 1; i <= 5; i++) {
        snprintf(recipient, sizeof recipient, "a%u@one.test", i);
        out_send(&w, recipient);
        out_wait(&w, 5 * SECOND);
        assert_int_equal(out_delivered(&w, recipient), 1);
        assert_int_equal(w.connects_to[1], i < 3 ? i : 3);
        assert_int_equal(w.connects_to[2], i);
    }
    assert_int_equal(w.connects_to[3], 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_DEFERRED), 0);
}

/* Recipients of one message fare differently: one is refused, one is put off everywhere, one is taken. */
static void test_each_recipient(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    out_send(&w, "a@one.test bad@one.test later@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 1);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    out_wait(&w, MINUTE);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 1);
    assert_true(out_item(&w, "later@one.test", &mail));
    assert_int_equal(mail.tries, 1);
    assert_int_equal(mail.code, 451);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_DEFERRED), 1);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(w.connects_to[i], 1);
}

/* All hang up: that is a failure of the site, and one try of what was to be sent. */
static void test_all_hang_up(void **state)
{
    (void)state;
    w.hang_up_octets = MAIL_OCTETS;
    w.good_from = 0;
    out_send(&w, "a@one.test");
    out_send(&w, "b@one.test");
    out_wait(&w, MINUTE);
    assert_int_equal(tries_of("a@one.test"), 1);
    assert_true(tries_of("b@one.test") <= 1);
    for (uint32_t i = 1; i <= 3; i++)
        assert_in_range(w.connects_to[i], 1, 2);
    w.hang_up_octets = 0;
    out_wait(&w, 10 * MINUTE);
    assert_int_equal(out_delivered(&w, NULL), 2);
    assert_int_equal(out_queued(&w), 0);
}

/* It hangs up when it has the whole message: that may have been taken, and is not given to the next one at once; but it is
 * when this goes on, though addresses are looked up again before each try. */
static void test_nobody_knows_whether_it_was_taken(void **state)
{
    (void)state;
    w.hang_up_octets = WHOLE_OCTETS;
    w.ttl_s = 300;
    out_send(&w, "a@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 0);
    assert_int_equal(w.connects_to[1], 1);
    assert_int_equal(w.connects_to[2], 0);
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, NULL), 1);
}

/* The first one puts it off, and the second one takes none so large: it is not returned, for the first one may take it. */
static void test_the_next_one_is_not_able_to(void **state)
{
    (void)state;
    w.puts_off = true;
    w.lesser_at = 2;
    w.dead_from = 3;
    send_large(TOO_LARGE_OCTETS);
    out_wait(&w, MINUTE);
    assert_int_equal(w.connects_to[1], 1);
    assert_int_equal(w.connects_to[2], 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
    w.puts_off = false;
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "large@one.test"), 1);
}

/* The first one puts off two, of which the second one takes one at a time: the other is tried at once. */
static void test_the_next_one_takes_one_at_a_time(void **state)
{
    (void)state;
    w.addresses = 2;
    w.puts_off = true;
    out_send(&w, "a@one.test next@one.test");
    out_wait(&w, 5 * SECOND);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(out_delivered(&w, "next@one.test"), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_DEFERRED), 0);
}

/* The second one says nothing: that is waited for once, and then it is passed over for a while. */
static void test_the_next_one_stalls(void **state)
{
    (void)state;
    w.puts_off = true;
    w.stuck_at = 2;
    w.good_from = 3;
    out_send(&w, "a@one.test");
    out_wait(&w, 6 * MINUTE);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    for (uint32_t i = 0; i < 4; i++) {
        out_send(&w, "b@one.test");
        out_wait(&w, 5 * SECOND);
        assert_int_equal(out_delivered(&w, "b@one.test"), i + 1);
    }
    assert_int_equal(w.connects_to[2], 1);
}

/* The exchangers behind the first one are dead: it is not asked less for that it puts some mail off. */
static void test_others_are_dead(void **state)
{
    char recipient[TEXT_MAX];
    (void)state;
    w.good_from = 1;
    w.dead_from = 2;
    for (uint32_t i = 0; i < 60; i++) {
        snprintf(recipient, sizeof recipient, "later%u@one.test", i);
        out_send(&w, recipient);
        snprintf(recipient, sizeof recipient, "a%u@one.test", i);
        out_send(&w, recipient);
        out_wait(&w, 5 * SECOND);
        assert_int_equal(out_delivered(&w, recipient), 1);
    }
    assert_true(out_stat(&w, MAILSRV_QUEUE_STAT_DEFERRED) >= 60);
    assert_true(w.connects_to[2] <= 4);
}

/* What the first one hangs up at waits for a connection to the second one. */
static void send_on_the_way(void)
{
    w.hang_up_octets = MAIL_OCTETS;
    w.keeps = MAILSRV_OP_CONNECT;
    out_send(&w, "a@one.test");
    out_run(&w);
    out_answer(&w, MAILSRV_OK);
    out_run(&w);
    assert_int_equal(w.n_kept, 1);
}

/* The queue closes on the way from one address to the next: the try is written down, and nothing is lost. */
static void test_it_closes_on_the_way(void **state)
{
    (void)state;
    send_on_the_way();
    out_close(&w);
    assert_int_equal(tries_of("a@one.test"), 1);
    out_let_go(&w);
    out_open(&w);
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(out_queued(&w), 0);
}

/* What was answered counts no more, on that way: it goes by what is answered now. */
static void test_a_refresh_on_the_way(void **state)
{
    (void)state;
    send_on_the_way();
    mailsrv_queue_refresh(w.queue);
    uint32_t questions = w.n_questions;
    out_let_go(&w);
    out_wait(&w, MINUTE);
    assert_true(w.n_questions > questions);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(out_queued(&w), 0);
}

/* An operator drops it on that way: it is not given to the next one. */
static void test_it_is_dropped_on_the_way(void **state)
{
    const mailsrv_queue_match all = { .size = sizeof all };
    (void)state;
    send_on_the_way();
    assert_int_equal(mailsrv_queue_control(w.queue, &all, MAILSRV_QUEUE_DROP, bytes_of(""), NULL, NULL), MAILSRV_OK);
    out_run(&w);
    out_let_go(&w);
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, NULL), 0);
    assert_int_equal(out_queued(&w), 0);
}

/* ---- One message ---- */

enum { LARGE_OCTETS = 30000, HANGS_UP_OCTETS = 20000 };

static void begin_with_large(uint32_t n)
{
    w.addresses = 0;
    w.good_from = 0;
    w.hang_up_octets = HANGS_UP_OCTETS;
    for (uint32_t i = 0; i < n; i++)
        send_large(LARGE_OCTETS);
}

/* The server has one address, and hangs up in the middle of one message: it takes the others, which do not wait for that one;
 * nor is that one tried whenever one of them was taken. */
static void test_one_message_makes_it_hang_up(void **state)
{
    (void)state;
    begin_with_large(1);
    uint32_t n = 0;
    for (; n < 48 * 12; n++) {
        out_send(&w, "small@one.test");
        out_wait(&w, 5 * MINUTE);
    }
    assert_true(out_delivered(&w, "small@one.test") >= n - 2);
    assert_true(tries_of("large@one.test") > 20);
    assert_true(tries_of("large@one.test") < 60);
}

/* Nor does the other mail wait long where there are some of that sort. */
static void test_some_messages_make_it_hang_up(void **state)
{
    (void)state;
    begin_with_large(4);
    uint32_t n = 0;
    for (; n < 12 * 30; n++) {
        out_send(&w, "small@one.test");
        out_wait(&w, 2 * MINUTE);
        assert_true(out_delivered(&w, "small@one.test") + 15 >= n);
    }
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "small@one.test"), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_hangs_up, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_puts_off, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_each_recipient, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_all_hang_up, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_closes_on_the_way, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_refresh_on_the_way, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_nobody_knows_whether_it_was_taken, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_next_one_is_not_able_to, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_next_one_takes_one_at_a_time, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_next_one_stalls, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_others_are_dead, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_dropped_on_the_way, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_one_message_makes_it_hang_up, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_some_messages_make_it_hang_up, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
