/* Mail in the queue for addresses of ours: it is tried again here, and what became of it is told. */
#include "outbound.h"

#include "text/queue_record.h"

static struct outbound w;
static mailsrv_id pat, kim;

static mailsrv_id add(const char *name, const char *address)
{
    mailsrv_id id;
    assert_int_equal(mailsrv_memory_add_account(w.store, name, strlen(name), "", 0, &id), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_address(w.store, address, strlen(address), &id, 1), MAILSRV_OK);
    return id;
}

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    out_begin(&w);
    pat = w.pat;
    kim = add("kim", "kim@here.test");
    out_open(&w);
    return 0;
}

static mailsrv_asked *ask(int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    assert_int_equal(mailsrv_ask(w.engine, kind, NULL, arg, &asked), MAILSRV_OK);
    for (int i = 0; i < 100 && mailsrv_asked_answer(asked) == NULL; i++)
        mailsrv_engine_turn(w.engine, 1000);
    assert_int_equal(mailsrv_asked_answer(asked)->status, MAILSRV_OK);
    return asked;
}

enum { BODY_OCTETS = 40000 }; /* more than one READ */

/* An item as smtp/relay.c makes it. */
static void queue_item(enum queue_fate fate, const char *from, const char *to, uint16_t flags)
{
    static char text[BODY_OCTETS];
    memset(text, 'x', sizeof text);
    memcpy(text, "Subject: one\r\n\r\n", 16);
    memcpy(text + sizeof text - 2, "\r\n", 2);
    mailsrv_arg_body_begin first = { .size = sizeof first };
    mailsrv_asked *asked = ask(MAILSRV_OP_BODY_BEGIN, &first);
    uint64_t body = ((const mailsrv_body_begun *)mailsrv_asked_answer(asked)->value)->body;
    mailsrv_arg_body_write write = { .size = sizeof write, .body = body,
                                     .octets = { (const uint8_t *)text, sizeof text } };
    mailsrv_asked_free(ask(MAILSRV_OP_BODY_WRITE, &write));
    struct queue_record record = { .fate = fate, .flags = flags, .arrived_us = w.unix_us,
                                   .reverse_path = { from, strlen(from) }, .recipient = { to, strlen(to) } };
    char room[512];
    struct writer writer = { .p = room, .room = sizeof room };
    mailsrv__queue_record_write(&writer, &record);
    mailsrv_staged staged = { .size = sizeof staged, .body = body, .octets = sizeof text };
    mailsrv_target target = { .size = sizeof target, .kind = MAILSRV_TARGET_QUEUE, .due_us = w.unix_us,
                              .prefix = bytes_of("Received: by here.test\r\n"), .lane = bytes_of("here.test"),
                              .record = { (const uint8_t *)room, writer.n } };
    mailsrv_arg_body_commit commit = { .size = sizeof commit, .n_bodies = 1, .body_stride = sizeof staged,
                                       .n_targets = 1, .target_stride = sizeof target, .bodies = &staged,
                                       .targets = &target };
    mailsrv_asked_free(ask(MAILSRV_OP_BODY_COMMIT, &commit));
    mailsrv_asked_free(asked);
}

static void queue_local(const char *from, const char *to, uint16_t flags)
{
    queue_item(QUEUE_RETRY, from, to, (uint16_t)(flags | QUEUE_FLAG_LOCAL));
}

static void begins(const mailsrv_id *where, uint64_t index, const char *text, uint64_t octets)
{
    mailsrv_bytes piece;
    uint64_t at = 0;
    assert_int_equal(mailsrv_memory_message(w.store, where, index, 0, &piece), MAILSRV_OK);
    assert_true(piece.n >= strlen(text) || piece.n != 0);
    assert_memory_equal(piece.p, text, piece.n < strlen(text) ? piece.n : strlen(text));
    while (mailsrv_memory_message(w.store, where, index, at, &piece) == MAILSRV_OK && piece.n != 0)
        at += piece.n;
    if (octets != 0)
        assert_int_equal(at, octets);
}

static const char prefix[] = "Return-Path: <a@remote.test>\r\nDelivered-To: pat@here.test\r\nReceived: by here.test\r\n";

static void test_it_is_delivered_here(void **state)
{
    (void)state;
    queue_local("a@remote.test", "pat@here.test", 0);
    out_wait(&w, SECOND);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 1);
    begins(&pat, 0, prefix, sizeof prefix - 1 + BODY_OCTETS);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(w.n_connects, 0);
    out_wait(&w, HOUR);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 1);
}

/* A full mailbox: it waits, and goes there once there is room. */
static void test_it_waits_for_room(void **state)
{
    (void)state;
    mailsrv_queued_mail mail;
    mailsrv_memory_account_u64(w.store, &pat, MAILSRV_MEMORY_QUOTA, 10);
    queue_local("a@remote.test", "pat@here.test", 0);
    out_wait(&w, SECOND);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 0);
    assert_true(out_item(&w, "pat@here.test", &mail));
    assert_int_equal(mail.code, 452);
    assert_int_equal(mail.tries, 1);
    assert_memory_equal(mail.text.p, "4.2.2 ", 6);
    mailsrv_memory_account_u64(w.store, &pat, MAILSRV_MEMORY_QUOTA, UINT64_C(1) << 40);
    out_wait(&w, HOUR);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 1);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(w.n_connects, 0);
}

/* The address is gone: its sender, who is ours, is told. */
static void test_it_is_given_up(void **state)
{
    (void)state;
    queue_local("kim@here.test", "gone@here.test", 0);
    out_wait(&w, MINUTE);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(mailsrv_memory_count(w.store, &kim), 1);
    begins(&kim, 0, "Return-Path: <>\r\nDelivered-To: kim@here.test\r\nFrom: Mail Delivery System <MAILER-DAEMON@here.test>\r\n",
           0);
}

/* NOTIFY=SUCCESS is told of behind it. */
static void test_success_is_told(void **state)
{
    (void)state;
    queue_local("kim@here.test", "pat@here.test", QUEUE_FLAG_NOTIFY_SUCCESS);
    out_wait(&w, MINUTE);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 1);
    assert_int_equal(mailsrv_memory_count(w.store, &kim), 1);
    assert_int_equal(out_queued(&w), 0);
}

/* It was delivered when it came: of that nobody has said anything. */
static void test_success_is_told_later(void **state)
{
    (void)state;
    queue_item(QUEUE_SUCCESS, "pat@here.test", "kim@here.test", QUEUE_FLAG_NOTIFY_SUCCESS);
    out_wait(&w, MINUTE);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 1);
    assert_true(out_notice_says(&w, "Action: delivered\r\nStatus: 2.0.0\r\n"));
    assert_int_equal(out_queued(&w), 0);
}

/* Meanwhile its mail is forwarded: the copy goes out, with what was asked for. */
static void test_it_is_forwarded(void **state)
{
    (void)state;
    assert_int_equal(mailsrv_memory_add_forward(w.store, "away@here.test", 14, "a@remote.test", 13, NULL, 0),
                     MAILSRV_OK);
    queue_local("kim@here.test", "away@here.test", QUEUE_FLAG_NOTIFY_SUCCESS);
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, "a@remote.test"), 1);
    assert_int_equal(out_queued(&w), 0);
}

/* Far more than are delivered at once: one follows the other. */
static void test_many(void **state)
{
    (void)state;
    w.keeps = MAILSRV_OP_RESOLVE;
    for (int i = 0; i < 100; i++)
        queue_local("a@remote.test", "pat@here.test", 0);
    out_let_go(&w);
    out_wait(&w, SECOND);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 100);
    assert_int_equal(out_queued(&w), 0);
}

/* The mailboxes cannot be reached for a while: mail that goes out needs memory, too. */
static void test_not_all_memory_is_for_what_waits(void **state)
{
    (void)state;
    out_close(&w);
    w.setup.items_max = 64;
    out_open(&w);
    w.keeps = MAILSRV_OP_RESOLVE;
    for (int i = 0; i < 200; i++)
        queue_local("a@remote.test", "pat@here.test", 0);
    out_wait(&w, MINUTE);
    assert_int_equal(w.n_kept, 16);
    assert_true(out_stat(&w, MAILSRV_QUEUE_STAT_HELD_ITEMS) <= 16 + 64 / 4 + 1);
    out_commit(&w, "one.test", 100);
    out_wait(&w, MINUTE);
    assert_int_equal(out_delivered(&w, NULL), 100);
    out_let_go(&w);
    out_wait(&w, MINUTE);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 200);
    assert_int_equal(out_queued(&w), 0);
}

/* The clock is put back while those in the store wait for room: they are due still. */
static void put_back(int64_t by_us)
{
    uint64_t before = mailsrv_memory_count(w.store, &pat);
    out_close(&w);
    w.setup.items_max = 16;
    out_open(&w);
    w.keeps = MAILSRV_OP_RESOLVE;
    for (int i = 0; i < 60; i++)
        queue_local("a@remote.test", "pat@here.test", 0);
    out_run(&w);
    w.unix_us -= by_us;
    out_wait(&w, SECOND);
    out_let_go(&w);
    out_wait(&w, HOUR);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), before + 60);
    assert_int_equal(out_queued(&w), 0);
}

static void test_the_clock_is_put_back(void **state)
{
    (void)state;
    put_back(0);
    put_back(3 * HOUR);
    put_back(365 * 24 * HOUR);
}

/* Those that wait need not be delivered first. */
static void test_it_closes(void **state)
{
    (void)state;
    w.keeps = MAILSRV_OP_RESOLVE;
    for (int i = 0; i < 50; i++)
        queue_local("a@remote.test", "pat@here.test", 0);
    out_run(&w);
    assert_int_equal(w.n_kept, 16);
    mailsrv_queue_close(w.queue, NULL, NULL);
    out_let_go(&w);
    out_wait(&w, SECOND);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 16);
    assert_int_equal(out_queued(&w), 34);
    out_open(&w);
    out_wait(&w, MINUTE);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 50);
}

static void done(void *user, int32_t status, uint64_t n)
{
    assert_int_equal(status, MAILSRV_OK);
    *(uint64_t *)user = n;
}

/* Those that wait are dropped at once; those that are being delivered, when that is over. */
static void test_they_are_dropped(void **state)
{
    (void)state;
    const mailsrv_queue_match all = { .size = sizeof all };
    uint64_t n = 0;
    w.keeps = MAILSRV_OP_RESOLVE;
    for (int i = 0; i < 50; i++)
        queue_local("a@remote.test", "pat@here.test", 0);
    out_run(&w);
    assert_int_equal(mailsrv_queue_control(w.queue, &all, MAILSRV_QUEUE_DROP, (mailsrv_bytes){ NULL, 0 }, done, &n),
                     MAILSRV_OK);
    out_run(&w);
    assert_int_equal(out_queued(&w), 16);
    out_let_go(&w);
    out_run(&w);
    assert_int_equal(n, 50);
    assert_int_equal(mailsrv_memory_count(w.store, &pat), 16);
    assert_int_equal(out_queued(&w), 0);
}

/* Each allocation of a while fails: the mail is there once, and nothing is left. */
static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 60; n++) {
        uint64_t before = mailsrv_memory_count(w.store, &pat);
        queue_local("a@remote.test", "pat@here.test", 0);
        w.from.fail_first = w.from.fail_last = w.from.calls + n;
        out_wait(&w, HOUR);
        w.from.fail_first = w.from.fail_last = 0;
        out_wait(&w, 6 * HOUR);
        assert_int_equal(mailsrv_memory_count(w.store, &pat), before + 1);
        assert_int_equal(out_queued(&w), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_delivered_here, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_waits_for_room, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_given_up, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_success_is_told, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_success_is_told_later, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_forwarded, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_many, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_not_all_memory_is_for_what_waits, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_the_clock_is_put_back, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_it_closes, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_they_are_dropped, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
