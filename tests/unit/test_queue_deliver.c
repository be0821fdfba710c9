/* Mail on its way out: delivered, put off, given up, in whatever mixture. */
#include "outbound.h"

static struct outbound w;

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    out_begin(&w);
    out_open(&w);
    return 0;
}

static void test_it_is_delivered_once(void **state)
{
    (void)state;
    out_send(&w, "a@remote.test");
    out_wait(&w, 5 * SECOND);
    assert_int_equal(out_delivered(&w, "a@remote.test"), 1);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_DELIVERED), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS), 0);
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, NULL), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), 0);
}

/* RFC 5321 section 4.5.4.1: recipients at one server are of one transaction; and no connection is opened that would have
 * nothing to send. */
static void test_recipients_of_one_domain_share_a_transaction(void **state)
{
    (void)state;
    out_send(&w, "a@remote.test b@REMOTE.test c@other.test d@remote.test e@remote.test");
    out_wait(&w, 5 * SECOND);
    assert_int_equal(out_delivered(&w, NULL), 5);
    assert_int_equal(w.n_mails, 2);
    assert_int_equal(w.n_connects, 2);
    assert_int_equal(out_queued(&w), 0);
}

static void test_a_connection_serves_the_next_message(void **state)
{
    (void)state;
    out_send(&w, "a@remote.test");
    out_wait(&w, SECOND);
    out_send(&w, "b@remote.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 2);
    assert_int_equal(w.n_connects, 1);
}

/* T54: one is refused, the other one taken: he gets it once, whatever becomes of the first. */
static void test_of_two_recipients_one_is_refused(void **state)
{
    (void)state;
    out_send(&w, "ok@remote.test bad@remote.test");
    out_wait(&w, 10 * SECOND);
    assert_int_equal(out_delivered(&w, "ok@remote.test"), 1);
    assert_int_equal(out_delivered(&w, "bad@remote.test"), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_NOTICES), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 1);
    assert_int_equal(out_notices(&w), 1);
    out_wait(&w, 24 * HOUR);
    assert_int_equal(out_delivered(&w, "ok@remote.test"), 1);
    mailsrv_queued_mail mail;
    assert_false(out_item(&w, "bad@remote.test", &mail));
    assert_int_equal(out_notices(&w), 1);
}

/* Several recipients of one message that fail together are told in one notice, whatever their domains. */
static void test_one_notice_for_a_message(void **state)
{
    (void)state;
    out_send(&w, "bad1@one.test bad2@two.test bad3@one.test ok@two.test");
    out_wait(&w, 10 * SECOND);
    assert_int_equal(out_notices(&w), 1);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 3);
}

static void test_what_is_put_off_waits_alone(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    out_send(&w, "grey@remote.test ok@remote.test");
    out_wait(&w, 10 * SECOND);
    assert_int_equal(out_delivered(&w, "ok@remote.test"), 1);
    assert_true(out_item(&w, "grey@remote.test", &mail));
    assert_int_equal(mail.tries, 1);
    assert_int_equal(mail.code, 451);
    assert_true(mail.text.n != 0 && mail.host.n != 0);
    assert_true(mail.due_us > w.unix_us + 3 * MINUTE && mail.due_us < w.unix_us + 7 * MINUTE);
    /* and holds up nobody else (greylisting is no outage) */
    out_send(&w, "late@remote.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "late@remote.test"), 1);
    out_wait(&w, HOUR);
    assert_int_equal(out_delivered(&w, "grey@remote.test"), 1);
    assert_int_equal(out_queued(&w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_delivered_once, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_recipients_of_one_domain_share_a_transaction, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_connection_serves_the_next_message, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_of_two_recipients_one_is_refused, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_one_notice_for_a_message, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_put_off_waits_alone, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
