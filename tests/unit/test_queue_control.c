/* What an operator does, and mail of the host itself. */
#include "outbound.h"

static struct outbound w;
static bool down;
static int32_t again; /* the action by which a test has mail tried */

static bool is_down(struct outbound *world, const char *lane)
{
    (void)world;
    (void)lane;
    return down;
}

static int begin_with(uint64_t late)
{
    memset(&w, 0, sizeof w);
    w.late = late;
    w.is_down = is_down;
    down = true;
    again = MAILSRV_QUEUE_RETRY;
    out_begin(&w);
    out_open(&w);
    return 0;
}

static int begin(void **state)
{
    *state = &w;
    return begin_with(0);
}

/* To where it goes already: it is due then, as by RETRY. */
static int begin_rerouting(void **state)
{
    *state = &w;
    begin_with(0);
    again = MAILSRV_QUEUE_REROUTE;
    return 0;
}

/* With a store that answers late: on another thread, say. */
static int begin_late(void **state)
{
    *state = &w;
    return begin_with(11);
}

static const mailsrv_queue_match all = { .size = sizeof all };

static uint64_t control(const mailsrv_queue_match *match, int32_t action)
{
    uint64_t n = UINT64_MAX;
    assert_int_equal(out_control(&w, match, action, "", &n), MAILSRV_OK);
    return n;
}

/* ---- Controls ---- */

static void test_hold_and_release(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    mailsrv_queue_match one = { .size = sizeof one, .recipient = bytes_of("A@one.test") };
    out_send(&w, "a@one.test b@one.test");
    out_wait(&w, MINUTE);
    assert_int_equal(control(&one, MAILSRV_QUEUE_HOLD), 1);
    assert_int_equal(control(&one, MAILSRV_QUEUE_HOLD), 0);
    assert_true(out_item(&w, "a@one.test", &mail));
    assert_int_equal(mail.flags & MAILSRV_QUEUED_HELD, MAILSRV_QUEUED_HELD);
    down = false;
    out_wait(&w, 24 * HOUR);
    assert_int_equal(out_delivered(&w, "b@one.test"), 1);
    assert_int_equal(out_delivered(&w, "a@one.test"), 0);
    assert_int_equal(control(&all, MAILSRV_QUEUE_RETRY), 0); /* not what is held */
    mailsrv_queue_match held = { .size = sizeof held, .flags = MAILSRV_QUEUED_HELD };
    assert_int_equal(control(&held, MAILSRV_QUEUE_RELEASE), 1);
    out_wait(&w, SECOND);
    assert_int_equal(out_delivered(&w, "a@one.test"), 1);
    assert_int_equal(out_queued(&w), 0);
}

static void test_retry_forgets_the_back_off(void **state)
{
    (void)state;
    out_commit(&w, "one.test", 300);
    out_wait(&w, 6 * HOUR);
    down = false;
    control(&all, MAILSRV_QUEUE_RETRY);
    out_wait(&w, 10 * SECOND);
    assert_int_equal(out_delivered(&w, NULL), 300);
}

static void test_drop_by_lane_and_sender(void **state)
{
    (void)state;
    out_commit(&w, "one.test", 150);
    out_commit(&w, "two.test", 150);
    out_wait(&w, MINUTE);
    mailsrv_queue_match lane = { .size = sizeof lane, .lane = bytes_of("one.test") };
    assert_int_equal(control(&lane, MAILSRV_QUEUE_DROP), 150);
    assert_int_equal(out_queued(&w), 150);
    mailsrv_queue_match nobody = { .size = sizeof nobody, .reverse_path = bytes_of("<>") };
    assert_int_equal(control(&nobody, MAILSRV_QUEUE_DROP), 0);
    mailsrv_queue_match pat = { .size = sizeof pat, .reverse_path = bytes_of("pat@here.test") };
    assert_int_equal(control(&pat, MAILSRV_QUEUE_DROP), 150);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 0);
}

static void test_return_by_number(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    out_send(&w, "a@one.test b@one.test");
    out_wait(&w, MINUTE);
    assert_true(out_item(&w, "b@one.test", &mail));
    uint64_t number = mail.queue;
    mailsrv_queue_match match = { .size = sizeof match, .queues = &number, .n_queues = 1 };
    assert_int_equal(control(&match, MAILSRV_QUEUE_RETURN), 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_FAILED), 1);
    assert_false(out_item(&w, "b@one.test", &mail));
    assert_true(out_item(&w, "a@one.test", &mail));
}

static int32_t route(struct outbound *world, const mailsrv_arg_route *arg, mailsrv_route *out)
{
    (void)world;
    down = arg->route.n == 0;
    if (arg->route.n != 0) {
        out->kind = MAILSRV_ROUTE_HOST;
        out->host = bytes_of("relay.test");
    }
    return MAILSRV_OK;
}

static void test_reroute(void **state)
{
    (void)state;
    uint64_t n = 0;
    w.route = route;
    out_commit(&w, "one.test", 120);
    out_wait(&w, MINUTE);
    assert_int_equal(out_control(&w, &all, MAILSRV_QUEUE_REROUTE, "other", &n), MAILSRV_OK);
    assert_int_equal(n, 120);
    out_wait(&w, 10 * SECOND);
    assert_int_equal(out_delivered(&w, NULL), 120);
}

/* What is being sent is done first, and then what was wanted. */
static void test_what_is_being_sent(void **state)
{
    (void)state;
    down = false;
    out_send(&w, "later@one.test ok@one.test");
    while (out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS) == 0)
        mailsrv_engine_turn(w.engine, 20);
    assert_int_equal(control(&all, MAILSRV_QUEUE_DROP), 2);
    assert_int_equal(out_queued(&w), 0);
    assert_true(out_delivered(&w, "ok@one.test") <= 1);
}

struct order {
    int32_t status;
    uint64_t n;
    bool done;
};

static void order_done(void *user, int32_t status, uint64_t n)
{
    *(struct order *)user = (struct order){ status, n, true };
}

/* The store looks at its pages late, and the items are written while it does: then they are what they are now. */
static void test_what_is_written_meanwhile(void **state)
{
    (void)state;
    struct order order = { 0 };
    out_wait(&w, SECOND);
    w.keeps = MAILSRV_OP_QUEUE_SCAN;
    assert_int_equal(mailsrv_queue_control(w.queue, &all, MAILSRV_QUEUE_HOLD, (mailsrv_bytes){ NULL, 0 }, order_done,
                                           &order),
                     MAILSRV_OK);
    out_run(&w);
    out_send(&w, "a@one.test b@one.test c@two.test");
    out_wait(&w, MINUTE);
    assert_false(order.done);
    assert_int_equal(w.n_kept, 1);
    w.keeps = 0;
    out_answer(&w, MAILSRV_OK);
    out_wait(&w, MINUTE);
    assert_true(order.done);
    assert_int_equal(order.status, MAILSRV_OK);
    assert_int_equal(order.n, 3);
    for (int i = 0; i < 3; i++) {
        mailsrv_queued_mail mail;
        assert_true(out_item(&w, (const char *[]){ "a@one.test", "b@one.test", "c@two.test" }[i], &mail));
        assert_int_equal(mail.flags & MAILSRV_QUEUED_HELD, MAILSRV_QUEUED_HELD);
    }
}

/* An item that is being written is waited for, and no longer. */
static void test_no_longer_than_the_writing(void **state)
{
    (void)state;
    struct order order = { 0 };
    w.keeps = MAILSRV_OP_QUEUE_UPDATE;
    out_send(&w, "a@one.test");
    out_wait(&w, SECOND);
    assert_int_equal(w.n_kept, 1);
    assert_int_equal(mailsrv_queue_control(w.queue, &all, MAILSRV_QUEUE_HOLD, (mailsrv_bytes){ NULL, 0 }, order_done,
                                           &order),
                     MAILSRV_OK);
    out_wait(&w, SECOND);
    assert_false(order.done);
    w.keeps = 0;
    out_answer(&w, MAILSRV_OK);
    out_run(&w);
    assert_true(order.done);
    assert_int_equal(order.n, 1);
}

struct outcome {
    uint32_t calls;
    int32_t status;
    uint64_t n;
};

static void count(void *user, int32_t status, uint64_t n)
{
    struct outcome *outcome = user;
    *outcome = (struct outcome){ outcome->calls + 1, status, n };
}

static void begin_to_hold_all(struct outcome *outcome)
{
    const mailsrv_bytes none = { NULL, 0 };
    assert_int_equal(mailsrv_queue_control(w.queue, &all, MAILSRV_QUEUE_HOLD, none, count, outcome), MAILSRV_OK);
    out_run(&w);
    assert_int_equal(outcome->calls, 0);
}

/* It is put off just now: it is held behind that. */
static void test_what_is_being_written(void **state)
{
    (void)state;
    struct outcome outcome = { 0 };
    mailsrv_queued_mail mail;
    w.keeps = MAILSRV_OP_QUEUE_UPDATE;
    out_send(&w, "a@one.test");
    out_wait(&w, MINUTE);
    assert_int_equal(w.n_kept, 1);
    begin_to_hold_all(&outcome);
    out_let_go(&w);
    out_wait(&w, MINUTE);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.status, MAILSRV_OK);
    assert_int_equal(outcome.n, 1);
    assert_true(out_item(&w, "a@one.test", &mail));
    assert_int_equal(mail.flags & MAILSRV_QUEUED_HELD, MAILSRV_QUEUED_HELD);
}

/* More match than there is room for, and all of them are written at once. */
static void test_more_than_there_is_room_for(void **state)
{
    (void)state;
    struct outcome outcome = { 0 };
    out_close(&w);
    w.setup.items_max = 16;
    out_open(&w);
    out_commit(&w, "one.test", 300);
    out_wait(&w, MINUTE);
    w.keeps = MAILSRV_OP_QUEUE_UPDATE;
    begin_to_hold_all(&outcome);
    assert_true(w.n_kept >= 64);
    out_let_go(&w);
    out_wait(&w, 10 * MINUTE);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.n, 300);
    assert_true(out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS) <= 16);
}

/* Whatever is done with an item just then, it is held: also if it was put off since it was found. */
static void test_hold_at_every_moment(void **state)
{
    mailsrv_queued_mail mail = { .tries = 0 };
    for (int steps = 0; mail.tries == 0; steps += 3) {
        out_end(&w);
        begin(state);
        down = false;
        mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_LATE, 2);
        out_send(&w, "later@one.test later2@one.test");
        for (int i = 0; i < steps; i++)
            out_step(&w);
        assert_true(out_item(&w, "later2@one.test", &mail));
        assert_int_equal(control(&all, MAILSRV_QUEUE_HOLD), 2);
        for (int i = 0; i < 2; i++) {
            mailsrv_queued_mail held;
            assert_true(out_item(&w, i == 0 ? "later@one.test" : "later2@one.test", &held));
            assert_int_equal(held.flags & MAILSRV_QUEUED_HELD, MAILSRV_QUEUED_HELD);
            assert_true(held.due_us == INT64_MAX);
        }
    }
}

/* ---- What the row says no more ---- */

static void begin_order(int32_t action, struct outcome *outcome)
{
    const mailsrv_bytes none = { NULL, 0 };
    assert_int_equal(mailsrv_queue_control(w.queue, &all, action, none, count, outcome), MAILSRV_OK);
    out_run(&w);
}

/* An order is being written, and the opposite is given behind it: that holds. */
static void give_both(int32_t first, int32_t then, bool ends_held)
{
    struct outcome outcomes[2] = { { 0 } };
    mailsrv_queued_mail mail;
    out_send(&w, "a@one.test");
    out_wait(&w, MINUTE);
    if (ends_held)
        control(&all, MAILSRV_QUEUE_HOLD);
    w.keeps = MAILSRV_OP_QUEUE_UPDATE;
    begin_order(first, &outcomes[0]);
    assert_int_equal(w.n_kept, 1);
    begin_order(then, &outcomes[1]);
    out_let_go(&w);
    out_wait(&w, SECOND);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].n, 1);
    }
    assert_true(out_item(&w, "a@one.test", &mail));
    assert_int_equal((mail.flags & MAILSRV_QUEUED_HELD) != 0, ends_held);
}

static void test_hold_behind_release(void **state)
{
    (void)state;
    give_both(MAILSRV_QUEUE_RELEASE, MAILSRV_QUEUE_HOLD, true);
}

static void test_release_behind_hold(void **state)
{
    (void)state;
    give_both(MAILSRV_QUEUE_HOLD, MAILSRV_QUEUE_RELEASE, false);
}

static void was_tried(uint32_t tries)
{
    mailsrv_queued_mail mail;
    assert_true(out_item(&w, "later@one.test", &mail));
    assert_int_equal(mail.tries, tries);
}

static bool falls_silent(struct outbound *world, const char *lane)
{
    (void)lane;
    return !down && world->wires != NULL && world->wires->octets > 20; /* EHLO was answered */
}

/* It is being sent, and that fails: it is sent once more, at once, and no more often. */
static void test_retry_what_is_out(void **state)
{
    (void)state;
    struct outcome outcome = { 0 };
    down = false;
    w.is_stuck = falls_silent;
    out_send(&w, "later@one.test");
    out_run(&w);
    assert_int_equal(w.n_wires, 1);
    begin_order(again, &outcome);
    w.is_stuck = NULL;
    out_wait(&w, 10 * SECOND);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.n, 1);
    was_tried(2);
}

/* What is begun while the store looks for the page is the try that was asked for. */
static void test_retry_what_begins_behind_it(void **state)
{
    (void)state;
    struct outcome outcome = { 0 };
    down = false;
    out_wait(&w, SECOND);
    w.keeps = MAILSRV_OP_QUEUE_SCAN;
    begin_order(again, &outcome);
    w.is_stuck = falls_silent;
    out_send(&w, "later@one.test");
    out_run(&w);
    assert_int_equal(w.n_wires, 1);
    out_let_go(&w);
    out_run(&w);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.n, 0);
    w.is_stuck = NULL;
    out_wait(&w, 10 * SECOND);
    was_tried(1);
}

/* The host is being asked when to try again. */
static void test_retry_what_is_put_off(void **state)
{
    (void)state;
    struct outcome outcome = { 0 };
    down = false;
    w.keeps = MAILSRV_OP_RETRY;
    out_send(&w, "later@one.test");
    out_run(&w);
    assert_int_equal(w.n_kept, 1);
    begin_order(again, &outcome);
    out_let_go(&w);
    out_wait(&w, 10 * SECOND);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.n, 1);
    was_tried(2);
}

/* It was put off, and no time has passed since. */
static void test_retry_just_then(void **state)
{
    (void)state;
    struct outcome outcome = { 0 };
    down = false;
    out_send(&w, "later@one.test");
    out_run(&w);
    was_tried(1);
    begin_order(again, &outcome);
    out_wait(&w, 10 * SECOND);
    assert_int_equal(outcome.n, 1);
    was_tried(2);
}

/* Not what is held, nor what is due. */
static void test_reroute_what_need_not_wait(void **state)
{
    (void)state;
    uint64_t n = 0;
    out_send(&w, "a@one.test");
    assert_int_equal(control(&all, MAILSRV_QUEUE_HOLD), 1);
    uint32_t before = w.n_connects;
    assert_int_equal(control(&all, MAILSRV_QUEUE_REROUTE), 0);
    assert_int_equal(out_control(&w, &all, MAILSRV_QUEUE_REROUTE, "other", &n), MAILSRV_OK);
    assert_int_equal(n, 1);
    out_wait(&w, HOUR);
    assert_int_equal(w.n_connects, before);
    w.keeps = MAILSRV_OP_ROUTE;
    assert_int_equal(control(&all, MAILSRV_QUEUE_RELEASE), 1);
    assert_int_equal(out_control(&w, &all, MAILSRV_QUEUE_REROUTE, "other", &n), MAILSRV_OK);
    assert_int_equal(n, 0);
}

/* Nobody answers there: each order has it tried once, however many wait for it. */
static void test_retry_what_stays_dead(void **state)
{
    (void)state;
    out_commit(&w, "one.test", 300);
    out_wait(&w, 6 * HOUR);
    for (int i = 0; i < 3; i++) {
        uint32_t before = w.n_connects;
        control(&all, MAILSRV_QUEUE_RETRY);
        assert_int_equal(w.n_connects, before + 1);
    }
}

static void never(void *user, int32_t status, uint64_t n)
{
    (void)user;
    (void)status;
    (void)n;
    fail();
}

static void test_what_cannot_be_done(void **state)
{
    (void)state;
    const mailsrv_queue_match small = { .size = 4 };
    const mailsrv_bytes none = { NULL, 0 }, large = { (const uint8_t *)"x", 65 };
    assert_int_equal(mailsrv_queue_control(NULL, &all, MAILSRV_QUEUE_HOLD, none, never, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_queue_control(w.queue, &small, MAILSRV_QUEUE_HOLD, none, never, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_queue_control(w.queue, &all, 0, none, never, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_queue_control(w.queue, &all, 7, none, never, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_queue_control(w.queue, &all, MAILSRV_QUEUE_REROUTE, large, never, NULL), MAILSRV_E_USAGE);
}

/* What is listed by a match is what would be controlled. */
static void test_what_fits(void **state)
{
    (void)state;
    const uint64_t other = 4711;
    mailsrv_queued_mail mail;
    out_send(&w, "a@one.test");
    out_wait(&w, MINUTE);
    assert_true(out_item(&w, "a@one.test", &mail));
    const struct {
        mailsrv_queue_match match;
        int32_t fits;
    } cases[] = {
        { { .size = sizeof all }, 1 },
        { { .size = sizeof all, .lane = bytes_of("ONE.test") }, 1 },
        { { .size = sizeof all, .lane = bytes_of("two.test") }, 0 },
        { { .size = sizeof all, .reverse_path = bytes_of("pat@here.test"), .recipient = bytes_of("a@one.test") }, 1 },
        { { .size = sizeof all, .reverse_path = bytes_of("<>") }, 0 },
        { { .size = sizeof all, .recipient = bytes_of("b@one.test") }, 0 },
        { { .size = sizeof all, .queues = &mail.queue, .n_queues = 1 }, 1 },
        { { .size = sizeof all, .queues = &other, .n_queues = 1 }, 0 },
        { { .size = sizeof all, .flags = MAILSRV_QUEUED_HELD }, 0 },
        { { .size = sizeof all, .n_queues = 1 }, MAILSRV_E_USAGE },
        { { .size = 4 }, MAILSRV_E_USAGE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(mailsrv_queued_fits(&mail, &cases[i].match), cases[i].fits);
    assert_int_equal(mailsrv_queued_fits(NULL, &all), MAILSRV_E_USAGE);
    mail.reverse_path.n = 0;
    assert_int_equal(mailsrv_queued_fits(&mail, &cases[4].match), 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) { /* what was read of it is the store's, and old then */
        if (cases[i].fits < 0)
            continue;
        assert_int_equal(control(&cases[i].match, MAILSRV_QUEUE_HOLD), cases[i].fits);
        assert_int_equal(control(&all, MAILSRV_QUEUE_RELEASE), cases[i].fits);
    }
}

/* ---- Sending ---- */

static int32_t send(const char *from, const char *to, const char *message)
{
    const mailsrv_queue_recipient recipient = { .size = sizeof recipient, .address = bytes_of(to) };
    const mailsrv_queue_mail mail = { .size = sizeof mail, .reverse_path = bytes_of(from), .recipients = &recipient,
                                      .n_recipients = 1, .message = bytes_of(message) };
    return mailsrv_queue_send(w.queue, &mail, NULL, NULL);
}

static void test_what_is_no_mail(void **state)
{
    (void)state;
    assert_int_equal(send("a@here.test", "b@one.test", "a: b\n\nc\n"), MAILSRV_E_VALUE);
    assert_int_equal(send("a@here.test", "b@one.test", "a: b\r\r\n"), MAILSRV_E_VALUE);
    assert_int_equal(send("a@here.test", "b@one.test", "a: b\r"), MAILSRV_E_VALUE);
    assert_int_equal(send("a@here.test", "b@one.test", "\n"), MAILSRV_E_VALUE);
    assert_int_equal(send("a@here.test", "b", "a: b\r\n"), MAILSRV_E_VALUE);
    assert_int_equal(send("a@here.test", "b@one.test>\r\nDATA", "a: b\r\n"), MAILSRV_E_VALUE);
    assert_int_equal(send("a", "b@one.test", "a: b\r\n"), MAILSRV_E_VALUE);
    assert_int_equal(send("a@here.test", "b@one.test", ""), MAILSRV_E_USAGE);
    assert_int_equal(send("", "b@one.test", "a: b\r\n"), MAILSRV_OK);
    assert_int_equal(send("a@here.test", "\"odd user\"@one.test", "a: b\r\n"), MAILSRV_OK);
    out_wait(&w, SECOND);
    assert_int_equal(out_queued(&w), 2);
}

static int32_t send_with(mailsrv_bytes original, mailsrv_bytes envelope_id)
{
    const mailsrv_queue_recipient recipient = { .size = sizeof recipient, .address = bytes_of("b@one.test"),
                                                .original = original };
    const mailsrv_queue_mail mail = { .size = sizeof mail, .recipients = &recipient, .n_recipients = 1,
                                      .envelope_id = envelope_id, .message = bytes_of("a: b\r\n") };
    return mailsrv_queue_send(w.queue, &mail, NULL, NULL);
}

/* `prefix`, then as many letters as make it `n` octets. */
static mailsrv_bytes long_text(const char *prefix, size_t n)
{
    static char room[600];
    memset(room, 'x', sizeof room);
    memcpy(room, prefix, strlen(prefix));
    return (mailsrv_bytes){ (const uint8_t *)room, n };
}

/* RFC 3461 sections 4.2 and 4.4: a server that has DSN would refuse the mail for good. */
static void test_what_is_no_xtext(void **state)
{
    (void)state;
    static const char *const bad[] = { "a=b", "a b", "a\r\nb", "+", "+2", "a+b", "+2b", "+0A", "+7F", "+C3+BC", "\xC3\xBC" };
    static const char *const no_originals[] = { "b@one.test", ";b@one.test", "rfc822;", "rfc_822;b@one.test" };
    const mailsrv_bytes none = { NULL, 0 }, nowhere = { NULL, 1 };
    char original[TEXT_MAX];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(original, sizeof original, "rfc822;%s", bad[i]);
        assert_int_equal(send_with(bytes_of(original), none), MAILSRV_E_VALUE);
        assert_int_equal(send_with(none, bytes_of(bad[i])), MAILSRV_E_VALUE);
    }
    for (size_t i = 0; i < sizeof no_originals / sizeof no_originals[0]; i++)
        assert_int_equal(send_with(bytes_of(no_originals[i]), none), MAILSRV_E_VALUE);
    assert_int_equal(send_with(long_text("rfc822;", 501), none), MAILSRV_E_VALUE);
    assert_int_equal(send_with(none, long_text("", 101)), MAILSRV_E_VALUE);
    assert_int_equal(send_with(nowhere, none), MAILSRV_E_VALUE);
    assert_int_equal(send_with(none, nowhere), MAILSRV_E_VALUE);
    assert_int_equal(send_with(long_text("rfc822;", 500), none), MAILSRV_OK);
    assert_int_equal(send_with(none, long_text("", 100)), MAILSRV_OK);
    assert_int_equal(send_with(bytes_of("UTF-8;a+2Bb+20c@one.test"), bytes_of("~!+3D")), MAILSRV_OK);
    out_wait(&w, SECOND);
    assert_int_equal(out_queued(&w), 3);
}

static void test_what_a_message_needs(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    assert_int_equal(send("a@here.test", "eight@one.test", "a: b\r\n\r\n\xC3\xA9\r\n"), MAILSRV_OK);
    assert_int_equal(send("a@here.test", "utf8@one.test", "a: \xC3\xA9\r\n\r\nc\r\n"), MAILSRV_OK);
    assert_int_equal(send("a@here.test", "none@ONE.test", "a: b\r\n\r\nc\r\n"), MAILSRV_OK);
    out_wait(&w, SECOND);
    assert_true(out_item(&w, "eight@one.test", &mail));
    assert_int_equal(mail.flags & (MAILSRV_QUEUED_8BIT | MAILSRV_QUEUED_UTF8), MAILSRV_QUEUED_8BIT);
    assert_true(out_item(&w, "utf8@one.test", &mail));
    assert_int_equal(mail.flags & MAILSRV_QUEUED_UTF8, MAILSRV_QUEUED_UTF8);
    assert_true(out_item(&w, "none@ONE.test", &mail));
    assert_int_equal(mail.flags & (MAILSRV_QUEUED_8BIT | MAILSRV_QUEUED_UTF8), 0);
    assert_int_equal(mail.lane.n, 8);
    assert_memory_equal(mail.lane.p, "one.test", 8);
}

/* RFC 6531 section 3.6: who can get it without SMTPUTF8 does, whoever else it is for. */
static void test_what_a_recipient_needs(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    out_send(&w, "plain@one.test \xC3\xBC@one.test");
    assert_true(out_item(&w, "plain@one.test", &mail));
    assert_int_equal(mail.flags & MAILSRV_QUEUED_UTF8, 0);
    assert_true(out_item(&w, "\xC3\xBC@one.test", &mail));
    assert_int_equal(mail.flags & MAILSRV_QUEUED_UTF8, MAILSRV_QUEUED_UTF8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hold_and_release, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_forgets_the_back_off, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_drop_by_lane_and_sender, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_return_by_number, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_reroute, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_being_sent, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_being_written, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_more_than_there_is_room_for, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_hold_at_every_moment, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_hold_behind_release, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_release_behind_hold, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_what_is_out, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_what_is_out, begin_rerouting, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_what_begins_behind_it, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_what_begins_behind_it, begin_rerouting, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_what_is_put_off, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_what_is_put_off, begin_rerouting, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_just_then, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_just_then, begin_rerouting, out_teardown),
        cmocka_unit_test_setup_teardown(test_reroute_what_need_not_wait, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_what_stays_dead, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_what_stays_dead, begin_late, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_done, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_no_longer_than_the_writing, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_fits, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_hold_and_release, begin_late, out_teardown),
        cmocka_unit_test_setup_teardown(test_retry_forgets_the_back_off, begin_late, out_teardown),
        cmocka_unit_test_setup_teardown(test_drop_by_lane_and_sender, begin_late, out_teardown),
        cmocka_unit_test_setup_teardown(test_return_by_number, begin_late, out_teardown),
        cmocka_unit_test_setup_teardown(test_reroute, begin_late, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_written_meanwhile, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_mail, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_xtext, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_a_message_needs, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_what_a_recipient_needs, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
