/* Where mail goes depends on who sends it: two senders, one domain, two ways. */
#include "outbound.h"

static struct outbound w;
static const char *silent; /* whose name is not found now; NULL: all are */

static uint32_t dns(struct outbound *world, const char *name)
{
    (void)world;
    return silent != NULL && strcmp(name, silent) == 0 ? DNS_SILENT : 0;
}

static bool is(mailsrv_bytes text, const char *wanted)
{
    return text.n == strlen(wanted) && (text.n == 0 || memcmp(text.p, wanted, text.n) == 0);
}

static int32_t by_sender(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    out->kind = MAILSRV_ROUTE_HOST;
    out->host = bytes_of("notices.test");
    if (is(arg->reverse_path, "pat@here.test"))
        out->host = bytes_of("pats.test");
    else if (is(arg->reverse_path, "kim@here.test"))
        out->host = bytes_of("kims.test");
    else
        assert_true(arg->reverse_path.n == 0);
    out->name = out->host;
    return MAILSRV_OK;
}

static int begin(uint32_t flags)
{
    memset(&w, 0, sizeof w);
    w.dns = dns;
    w.route = by_sender;
    w.setup.flags = flags;
    silent = NULL;
    out_begin(&w);
    out_open(&w);
    return 0;
}

static int begin_by_sender(void **state)
{
    *state = &w;
    return begin(MAILSRV_QUEUE_ROUTES_BY_SENDER);
}

static int begin_by_domain(void **state)
{
    *state = &w;
    return begin(0);
}

static void send_from(const char *sender, const char *recipients)
{
    w.sender = sender;
    out_send(&w, recipients);
}

static void send_all(void)
{
    send_from("kim@here.test", "a@one.test b@one.test");
    send_from("pat@here.test", "c@one.test");
    send_from("", "d@one.test");
}

/* By pats.test and notices.test, while kims.test is not there. */
static void only_kims_wait(void)
{
    assert_int_equal(out_delivered(&w, "c@one.test"), 1);
    assert_int_equal(out_delivered(&w, "d@one.test"), 1);
    assert_int_equal(out_delivered(&w, NULL), 2);
}

static void all_arrived(uint32_t n)
{
    out_wait(&w, 3 * HOUR);
    assert_int_equal(out_delivered(&w, NULL), n);
    assert_int_equal(out_queued(&w), 0);
}

static void test_each_by_his_own_way(void **state)
{
    (void)state;
    silent = "kims.test";
    send_all();
    out_wait(&w, SECOND);
    only_kims_wait();
    assert_int_equal(w.n_routes, 3); /* once for each */
    send_from("pat@here.test", "e@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "e@one.test"), 1);
    assert_int_equal(w.n_routes, 3);
    silent = NULL;
    all_arrived(5);
}

/* What is found in the store, more than memory has of a lane. */
static void test_each_out_of_the_store(void **state)
{
    (void)state;
    out_close(&w);
    w.sender = "kim@here.test";
    out_commit(&w, "one.test", 300);
    w.sender = "pat@here.test";
    out_commit(&w, "one.test", 300);
    w.sender = "";
    out_commit_to(&w, "d@one.test");
    silent = "kims.test";
    out_open(&w);
    out_wait(&w, 30 * SECOND);
    assert_int_equal(out_delivered(&w, NULL), 301);
    assert_int_equal(out_delivered(&w, "d@one.test"), 1);
    assert_int_equal(out_delivered(&w, "user0@one.test"), 1);
    assert_int_equal(w.n_routes, 3);
    silent = NULL;
    all_arrived(601);
}

/* A way that is there again is a reason to try what waited for it, and nothing else. */
static void test_ways_fail_alone(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    silent = "kims.test";
    w.setup.first_retry_s = 24 * 3600;
    w.setup.retry_max_s = 24 * 3600;
    out_close(&w);
    out_open(&w);
    send_from("kim@here.test", "a@one.test");
    out_wait(&w, SECOND);
    send_from("pat@here.test", "later@one.test");
    out_wait(&w, SECOND);
    assert_true(out_item(&w, "later@one.test", &mail) && mail.tries == 1);
    silent = NULL;
    mailsrv_queue_refresh(w.queue);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_true(out_item(&w, "later@one.test", &mail) && mail.tries == 1);
}

/* What an operator has tried again is what matches, and its way alone. */
static void test_an_operator_tries_again(void **state)
{
    (void)state;
    const mailsrv_queue_match kims = { .size = sizeof kims, .reverse_path = bytes_of("kim@here.test") };
    uint64_t n = 0;
    silent = "kims.test";
    send_all();
    out_wait(&w, SECOND);
    only_kims_wait();
    silent = NULL;
    assert_int_equal(out_control(&w, &kims, MAILSRV_QUEUE_RETRY, "", &n), MAILSRV_OK);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 4);
}

static int32_t cannot_say(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    return is(arg->reverse_path, "kim@here.test") ? MAILSRV_TEMP : by_sender(world, arg, out);
}

/* Nobody knows the way of one: he alone waits. */
static void test_one_has_no_way(void **state)
{
    (void)state;
    w.route = cannot_say;
    send_all();
    out_wait(&w, SECOND);
    only_kims_wait();
    w.route = by_sender;
    all_arrived(4);
}

/* The host's routes are others: by sender now, and then no more. */
static void test_that_it_depends_is_new(void **state)
{
    (void)state;
    silent = "kims.test";
    send_all();
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, NULL), 0); /* all by the first one's way */
    mailsrv_queue_set_flags(w.queue, MAILSRV_QUEUE_ROUTES_BY_SENDER);
    out_wait(&w, SECOND);
    only_kims_wait();
    mailsrv_queue_set_flags(w.queue, 0);
    send_from("pat@here.test", "e@one.test");
    out_wait(&w, SECOND);
    silent = NULL;
    all_arrived(5);
}

/* ROUTE is being asked for all senders when each gets a way of his own: what it says is nobody's. */
static void test_that_it_depends_is_new_while_asked(void **state)
{
    (void)state;
    w.keeps = MAILSRV_OP_ROUTE;
    silent = "kims.test";
    send_all();
    out_wait(&w, SECOND);
    assert_int_equal(w.n_kept, 1);
    mailsrv_queue_set_flags(w.queue, MAILSRV_QUEUE_ROUTES_BY_SENDER);
    out_let_go(&w);
    out_wait(&w, SECOND);
    only_kims_wait();
    silent = NULL;
    all_arrived(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_by_his_own_way, begin_by_sender, out_teardown),
        cmocka_unit_test_setup_teardown(test_each_out_of_the_store, begin_by_sender, out_teardown),
        cmocka_unit_test_setup_teardown(test_ways_fail_alone, begin_by_sender, out_teardown),
        cmocka_unit_test_setup_teardown(test_an_operator_tries_again, begin_by_sender, out_teardown),
        cmocka_unit_test_setup_teardown(test_one_has_no_way, begin_by_sender, out_teardown),
        cmocka_unit_test_setup_teardown(test_that_it_depends_is_new, begin_by_domain, out_teardown),
        cmocka_unit_test_setup_teardown(test_that_it_depends_is_new_while_asked, begin_by_domain, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
