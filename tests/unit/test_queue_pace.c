/* How fast the queue goes: when it tries again (T61), and how many connections it has to one site. */
#include "outbound.h"

static struct outbound w;

enum { MANY = 100, TRIES = 10, FIRST_LINKS = 4, LINKS = 20 };

static int begin(void **state)
{
    *state = &w;
    memset(&w, 0, sizeof w);
    out_begin(&w);
    out_open(&w);
    return 0;
}

/* Each a message of its own: none goes with another. */
static void commit_many(const char *user, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char recipient[TEXT_MAX];
        snprintf(recipient, sizeof recipient, "%s%u@some.test", user, i);
        out_commit_to(&w, recipient);
    }
}

/* ---- When ---- */

/* How long they wait after so many tries. */
struct waits {
    int64_t us[MANY];
    uint32_t n;
};

static struct waits waits[TRIES + 1];
static int64_t first_tried_us;

/* What has been tried since the last look. */
static void look(uint32_t seen[MANY])
{
    mailsrv_queue_item item;
    for (uint64_t i = 0; mailsrv_memory_queue_item(w.store, i, &item) == MAILSRV_OK; i++) {
        mailsrv_queued_mail mail = { .size = sizeof mail };
        assert_int_equal(mailsrv_queued_read(&item, &mail), MAILSRV_OK);
        const uint32_t which = (uint32_t)strtoul((const char *)mail.recipient.p + strlen("later"), NULL, 10);
        if (mail.tries == seen[which] || mail.tries > TRIES)
            continue;
        seen[which] = mail.tries;
        waits[mail.tries].us[waits[mail.tries].n++] = mail.due_us - mail.tried_us;
        if (mail.tries == 1 && first_tried_us == 0)
            first_tried_us = mail.tried_us;
        assert_true(mail.tries != 1 || mail.tried_us == first_tried_us);
    }
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* A fifth less to a fifth more, the edges and all between them: no tenth of that range is empty, hardly two are equal. */
static void are_spread(struct waits *all, int64_t usual)
{
    uint32_t tenths[10] = { 0 }, differ = 1;
    const int64_t least = usual - usual / 5, range = 2 * (usual / 5);
    assert_int_equal(all->n, MANY);
    qsort(all->us, MANY, sizeof *all->us, by_size);
    assert_true(all->us[0] >= least && all->us[MANY - 1] <= least + range);
    for (uint32_t i = 0; i < MANY; i++) {
        const int64_t at = (all->us[i] - least) * 10 / (range + 1);
        tenths[at]++;
        differ += i != 0 && all->us[i] != all->us[i - 1];
    }
    for (int i = 0; i < 10; i++)
        assert_true(tenths[i] != 0);
    assert_true(differ > MANY - 5);
}

/* T61: what failed at one moment does not come back at one moment, however often it is tried. */
static void test_what_failed_together_is_tried_again_apart(void **state)
{
    (void)state;
    uint32_t seen[MANY] = { 0 };
    int64_t usual = 5 * MINUTE;
    memset(waits, 0, sizeof waits);
    first_tried_us = 0;
    commit_many("later", MANY);
    for (int i = 0; i < 24 * 60 && waits[TRIES].n < MANY; i++) {
        out_wait(&w, MINUTE);
        look(seen);
    }
    for (uint32_t tries = 1; tries <= TRIES; tries++) {
        are_spread(&waits[tries], usual);
        usual = usual + usual / 2 < 2 * HOUR ? usual + usual / 2 : 2 * HOUR;
    }
    assert_true(usual == 2 * HOUR);
}

/* ---- How many connections ---- */

/* They stand still with so many connections, each of which has a message to send and has not begun to. */
static void grow_to(uint32_t links)
{
    for (int i = 0; i < 1000000 && out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS) < links; i++)
        out_step(&w);
    w.keeps = MAILSRV_OP_READ;
    out_run(&w);
    assert_int_equal(w.n_kept, links);
    w.is_stuck = out_everybody;
    out_let_go(&w);
    out_run(&w);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), links);
}

/* One who is not known yet gets one, and few at once when he has answered; each success brings one more, up to the most
 * there may be. */
static void test_connections_grow_with_success(void **state)
{
    (void)state;
    commit_many("user", 3 * MANY);
    w.is_stuck = out_everybody;
    out_run(&w);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), 1);
    w.is_stuck = NULL;
    w.keeps = MAILSRV_OP_READ;
    out_run(&w);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), FIRST_LINKS);
    out_let_go(&w);
    while (out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS) < LINKS && w.n_mails < 3 * MANY) {
        out_step(&w);
        assert_true(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS) <= FIRST_LINKS + out_stat(&w, MAILSRV_QUEUE_STAT_DELIVERED));
    }
    out_run(&w);
    assert_int_equal(w.wires_peak, LINKS);
    assert_int_equal(out_delivered(&w, NULL), 3 * MANY);
}

/* One that has sent nothing yet failed.  One that has is said to have ended in between: that counts for nothing. */
static void lose_one(bool is_new)
{
    struct wire *wire = w.wires;
    while (wire->server == NULL || (wire->octets == strlen("EHLO here.test\r\n")) != is_new) {
        wire = wire->next;
        assert_non_null(wire);
    }
    mailsrv_session_free(wire->server);
    wire->server = NULL;
    mailsrv_session_feed_eof(wire->client);
    out_run(&w);
}

/* So many fail while others work: another one is made only when there are fewer than `limit`. */
static void fail_some(uint32_t n, uint32_t limit)
{
    commit_many("user", 3 * MANY);
    grow_to(LINKS);
    const uint32_t connects = w.n_connects;
    for (uint32_t links = LINKS; links-- > limit;) {
        lose_one(LINKS - links <= n);
        assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), links);
        assert_int_equal(w.n_connects, connects);
    }
    lose_one(false);
    assert_int_equal(w.n_connects, connects + 1);
    assert_int_equal(out_stat(&w, MAILSRV_QUEUE_STAT_CONNECTIONS), limit);
    w.is_stuck = NULL;
    out_wait(&w, HOUR);
    assert_int_equal(out_queued(&w), 0);
    assert_int_equal(out_delivered(&w, NULL), 3 * MANY);
}

static void test_a_failure_halves_them(void **state)
{
    (void)state;
    fail_some(1, LINKS / 2);
}

static void test_another_failure_halves_them_again(void **state)
{
    (void)state;
    fail_some(2, LINKS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_failed_together_is_tried_again_apart, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_connections_grow_with_success, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_a_failure_halves_them, begin, out_teardown),
        cmocka_unit_test_setup_teardown(test_another_failure_halves_them_again, begin, out_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
