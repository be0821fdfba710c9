/* A maildrop of 10,000 messages: what is listed, marked and removed is right across pieces and slices, no slice is
 * long, nobody else waits, and no memory is held for what a slow reader has not taken. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGES = 10000, LARGE_OCTETS = 1 << 20, UNITS_MAX = 300, PLENTY = 1 << 20, ERRORS_MAX = 19 };

struct client {
    mailsrv_session *session;
    char *out; /* NUL-ended */
    size_t n, room;
};

struct world {
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_profile *profile;
    mailsrv_id pat, kim;
    uint32_t uids_most, expunges;
};

static void *must(void *p)
{
    assert_non_null(p);
    return p;
}

static void append(struct world *w, const mailsrv_id *account, const char *text, size_t n)
{
    assert_int_equal(mailsrv_memory_append(w->store, account, text, n), MAILSRV_OK);
}

static void setup_store(struct world *w)
{
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &w->pat), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "kim", 3, "secret", 6, &w->kim), MAILSRV_OK);
    for (unsigned i = 1; i <= MESSAGES; i++) {
        char text[64];
        int n = snprintf(text, sizeof text, "Subject: %u\r\n", i);
        append(w, &w->pat, text, (size_t)n);
    }
    char *large = must(malloc(LARGE_OCTETS));
    memset(large, '.', LARGE_OCTETS);
    for (size_t i = 64; i < LARGE_OCTETS; i += 64)
        memcpy(large + i - 2, "\r\n", 2);
    append(w, &w->kim, large, LARGE_OCTETS);
    free(large);
}

static int setup(void **state)
{
    struct world *w = must(calloc(1, sizeof *w));
    setup_store(w);
    assert_int_equal(mailsrv_engine_new(NULL, &w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_pop3(), MAILSRV_FACE_POP3, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "pop.here.test", 13), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_AUTH_DELAY_MS, 0), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_AUTH_FAILURES_MAX, 1000), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    assert_int_equal(mailsrv_engine_turn(w->engine, PLENTY), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_LOCKS), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_MAILBOXES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_LENT), 0);
    assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_STEP_UNITS_PEAK) <= UNITS_MAX);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
    free(w);
    return 0;
}

/* ---- A client that reads at once ---- */

static void keep(struct client *c, const uint8_t *p, size_t n)
{
    if (c->n + n + 1 > c->room) {
        c->room = (c->n + n + 1) * 2;
        c->out = must(realloc(c->out, c->room));
    }
    memcpy(c->out + c->n, p, n);
    c->n += n;
    c->out[c->n] = '\0';
}

static bool take_output(struct client *c)
{
    mailsrv_out v[8];
    size_t count, i;
    assert_int_equal(mailsrv_session_output(c->session, v, 8, &count), MAILSRV_OK);
    for (i = 0; i < count; i++) {
        keep(c, v[i].p, v[i].n);
        assert_int_equal(mailsrv_session_sent(c->session, v[i].n), MAILSRV_OK);
    }
    return count != 0;
}

static void begin(struct world *w, struct client *c)
{
    *c = (struct client){ 0 };
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &c->session), MAILSRV_OK);
}

static void feed_some(struct client *c, const char **text, size_t *n)
{
    size_t taken;
    assert_int_equal(mailsrv_session_feed(c->session, (const uint8_t *)*text, *n, &taken), MAILSRV_OK);
    *text += taken;
    *n -= taken;
}

/* Says `text` and returns all that is said to it. */
static const char *say(struct world *w, struct client *c, const char *text)
{
    size_t n = strlen(text);
    c->n = 0;
    for (;;) {
        if (n != 0)
            feed_some(c, &text, &n);
        int32_t more = mailsrv_engine_turn(w->engine, 1000);
        if (!take_output(c) && more == MAILSRV_OK && n == 0)
            return c->out;
    }
}

static void end(struct client *c)
{
    assert_true((mailsrv_session_wants(c->session) & MAILSRV_WANT_CLOSE) != 0);
    mailsrv_session_free(c->session);
    free(c->out);
}

static void login(struct world *w, struct client *c)
{
    begin(w, c);
    say(w, c, "");
    assert_string_equal(say(w, c, "USER pat\r\nPASS secret\r\n"), "+OK\r\n+OK 10000 messages\r\n");
}

/* ---- */

static void test_list_numbers_all(void **state)
{
    struct world *w = *state;
    struct client c;
    login(w, &c);
    const char *at = strstr(say(w, &c, "LIST\r\n"), "\r\n");
    for (unsigned i = 1; i <= MESSAGES; i++) {
        char line[32];
        unsigned digits = i < 10 ? 1 : i < 100 ? 2 : i < 1000 ? 3 : i < 10000 ? 4 : 5;
        int n = snprintf(line, sizeof line, "\r\n%u %u\r\n", i, 11 + digits);
        assert_memory_equal(at, line, (size_t)n);
        at += n - 2;
    }
    assert_string_equal(at, "\r\n.\r\n");
    assert_string_equal(say(w, &c, "QUIT\r\n"), "+OK bye\r\n");
    end(&c);
}

static void test_ids_ascend_as_given(void **state)
{
    struct world *w = *state;
    struct client c;
    char before[27] = "", id[27];
    login(w, &c);
    const char *at = say(w, &c, "UIDL\r\n");
    assert_memory_equal(at, "+OK\r\n", 5);
    at += 5;
    for (unsigned i = 1; i <= MESSAGES; i++) {
        unsigned number;
        int n = 0;
        assert_int_equal(sscanf(at, "%u %26s%n", &number, id, &n), 2);
        assert_int_equal(number, i);
        assert_string_not_equal(id, before);
        memcpy(before, id, sizeof id);
        at += n + 2;
    }
    assert_string_equal(at, ".\r\n");
    assert_string_equal(say(w, &c, "QUIT\r\n"), "+OK bye\r\n");
    end(&c);
}

static char *many_commands(unsigned first, unsigned step, const char *last)
{
    char *text = must(malloc((size_t)MESSAGES * 12 + 16)), *at = text;
    for (unsigned i = first; i <= MESSAGES; i += step)
        at += sprintf(at, "DELE %u\r\n", i);
    strcpy(at, last);
    return text;
}

static void test_removes_what_is_marked_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct client c;
    login(w, &c);
    char *all = many_commands(1, 1, "STAT\r\nRSET\r\n");
    assert_non_null(strstr(say(w, &c, all), "+OK 0 0\r\n+OK\r\n"));
    free(all);
    char *third = many_commands(3, 3, "QUIT\r\n");
    assert_non_null(strstr(say(w, &c, third), "+OK bye\r\n"));
    free(third);
    end(&c);
    uint64_t left = mailsrv_memory_count(w->store, &w->pat);
    assert_int_equal(left, MESSAGES - MESSAGES / 3);
    for (uint64_t i = 0; i < left; i++) {
        mailsrv_row row = { 0 };
        assert_int_equal(mailsrv_memory_row(w->store, &w->pat, i, &row), MAILSRV_OK);
        assert_int_equal(row.uid, i / 2 * 3 + i % 2 + 1);
    }
}

/* EXPUNGE, counted, then answered by the store. */
static void count_expunge(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    const mailsrv_arg_expunge *arg = op->arg;
    uint32_t uids = 0;
    for (uint32_t i = 0; i < arg->n_uids; i++)
        uids += arg->uids[i].last - arg->uids[i].first + 1;
    if (uids > w->uids_most)
        w->uids_most = uids;
    w->expunges++;
    mailsrv_memory_handle(w->store, engine, op);
}

static void test_all_are_removed(void **state)
{
    struct world *w = *state;
    struct client c;
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_EXPUNGE, count_expunge, w), MAILSRV_OK);
    login(w, &c);
    char *all = many_commands(1, 1, "QUIT\r\n");
    assert_non_null(strstr(say(w, &c, all), "+OK bye\r\n"));
    free(all);
    end(&c);
    assert_int_equal(mailsrv_memory_count(w->store, &w->pat), 0);
    assert_int_equal(w->uids_most, 4096);
    assert_int_equal(w->expunges, 3);
}

static bool ends_with_dot(const struct client *c)
{
    return c->n >= 5 && memcmp(c->out + c->n - 5, "\r\n.\r\n", 5) == 0;
}

/* One slice for each run: whenever the large list has had one, the other session has its turn. */
static void test_nobody_else_waits(void **state)
{
    struct world *w = *state;
    struct client big, small;
    const char *list = "LIST\r\n";
    size_t n = 6;
    unsigned rounds = 0;
    login(w, &big);
    begin(w, &small);
    say(w, &small, "");
    big.n = 0;
    feed_some(&big, &list, &n);
    for (; !ends_with_dot(&big); rounds++) {
        const char *user = "USER kim\r\nPASS wrong\r\n";
        size_t left = strlen(user);
        small.n = 0;
        feed_some(&small, &user, &left);
        mailsrv_engine_run(w->engine, 1); /* asks */
        mailsrv_engine_dispatch(w->engine, 1);
        mailsrv_engine_run(w->engine, 1);
        mailsrv_engine_run(w->engine, 1);
        take_output(&small);
        take_output(&big);
        if (rounds < ERRORS_MAX)
            assert_string_equal(small.out, "+OK\r\n-ERR [AUTH] wrong user or password\r\n");
        if (rounds == ERRORS_MAX)
            break;
    }
    assert_int_equal(rounds, ERRORS_MAX);
    say(w, &big, "QUIT\r\n");
    mailsrv_session_free(small.session);
    free(small.out);
    end(&big);
}

static void test_allocations_are_small(void **state)
{
    struct world *w = *state;
    struct client c;
    login(w, &c);
    say(w, &c, "LIST\r\nUIDL\r\nDELE 1\r\n");
    assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_ALLOCATION_PEAK) <= 65536);
    assert_string_equal(say(w, &c, "QUIT\r\n"), "+OK bye\r\n");
    end(&c);
}

enum { WINDOW_OCTETS = 64 * 1024 }; /* as it is by default */

/* A listing that nobody reads stops at the window. */
static void listing_unread(struct world *w, const char *command)
{
    struct client c;
    size_t n = strlen(command);
    login(w, &c);
    uint64_t before = mailsrv_engine_stat(w->engine, MAILSRV_STAT_MEMORY);
    feed_some(&c, &command, &n);
    assert_int_equal(mailsrv_engine_turn(w->engine, PLENTY), MAILSRV_OK);
    assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_MEMORY) - before > WINDOW_OCTETS);
    assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_MEMORY) - before < WINDOW_OCTETS + 16 * 1024);
    mailsrv_session_free(c.session);
    free(c.out);
}

static void test_listing_stops_at_the_window(void **state)
{
    listing_unread(*state, "LIST\r\n");
}

static void test_ids_stop_at_the_window(void **state)
{
    listing_unread(*state, "UIDL\r\n");
}

/* A message is held by the store alone, however slowly it is read. */
static void test_slow_reader(void **state)
{
    struct world *w = *state;
    struct client c;
    begin(w, &c);
    say(w, &c, "");
    assert_string_equal(say(w, &c, "USER kim\r\nPASS secret\r\n"), "+OK\r\n+OK 1 messages\r\n");
    uint64_t before = mailsrv_engine_stat(w->engine, MAILSRV_STAT_MEMORY);
    const char *retr = "RETR 1\r\n";
    size_t n = 8;
    feed_some(&c, &retr, &n);
    for (unsigned i = 0; i < 200000; i++) {
        mailsrv_out out;
        size_t count;
        mailsrv_engine_turn(w->engine, 1000);
        assert_int_equal(mailsrv_session_output(c.session, &out, 1, &count), MAILSRV_OK);
        assert_int_equal(count, 1);
        assert_int_equal(mailsrv_session_sent(c.session, 1), MAILSRV_OK);
        assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_MEMORY) - before <= 128 * 1024);
    }
    mailsrv_session_free(c.session);
    free(c.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list_numbers_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_ascend_as_given, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removes_what_is_marked_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_are_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_else_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_allocations_are_small, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listing_stops_at_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_stop_at_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
