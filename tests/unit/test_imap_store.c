/* IMAP over a store that answers what it must not, and how many questions a command asks. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PLENTY = 1 << 20, KINDS = 64 };

/* How READ, ROWS, COPY and CHANGES lie. */
enum lie {
    NO_LIE,
    READ_NOTHING,
    READ_FAILS,
    READ_WAITS,
    ROWS_STAND_STILL,
    ROWS_OF_OTHERS,
    ROWS_POINT_ON,
    COPIES_MANY,
    CHANGES_FAIL,
    CHANGES_WAIT /* once something was expunged */
};

struct world {
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_profile *profile;
    mailsrv_session *session, *other;
    mailsrv_id pat;
    enum lie lie;
    const mailsrv_op *held; /* a READ or CHANGES that is not answered yet */
    uint32_t asked[KINDS];
    char heard[262144]; /* NUL-ended */
    size_t heard_n;
};

static void answer(mailsrv_engine *engine, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .value = value };
    assert_int_equal(mailsrv_op_answer(engine, op->id, &a), MAILSRV_OK);
}

/* The last page: it has every row that was asked for, and a place behind it that leads nowhere. */
static void point_on(mailsrv_engine *engine, const mailsrv_op *op)
{
    static mailsrv_row page[256];
    const mailsrv_arg_rows *arg = op->arg;
    const mailsrv_cursor start = { { 0 } };
    mailsrv_rows rows = { .size = sizeof rows, .stride = sizeof *page, .rows = page, .next = { { 1, 2, 3 } } };
    assert_memory_equal(&arg->cursor, &start, sizeof start);
    for (uint32_t i = 0; i < arg->n_uids; i++)
        for (uint32_t uid = arg->uids[i].first; uid <= arg->uids[i].last; uid++)
            page[rows.n++] = (mailsrv_row){ .uid = uid, .octets = 5 };
    answer(engine, op, &rows);
}

static bool lies_in_read(struct world *w, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_read_bytes nothing = { .size = sizeof nothing };
    if (w->lie == READ_NOTHING)
        answer(engine, op, &nothing);
    else if (w->lie == READ_FAILS)
        assert_int_equal(mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP), MAILSRV_OK);
    else if (w->lie == READ_WAITS)
        w->held = op;
    else
        return false;
    return true;
}

static bool lies_in_rows(struct world *w, mailsrv_engine *engine, const mailsrv_op *op)
{
    static const mailsrv_row other = { .uid = 1000, .octets = 5 };
    mailsrv_rows rows = { .size = sizeof rows, .stride = sizeof other, .rows = &other };
    rows.more = w->lie == ROWS_STAND_STILL;
    rows.n = w->lie == ROWS_OF_OTHERS;
    if (w->lie == ROWS_STAND_STILL || w->lie == ROWS_OF_OTHERS)
        answer(engine, op, &rows);
    else if (w->lie == ROWS_POINT_ON)
        point_on(engine, op);
    else
        return false;
    return true;
}

/* More runs than a session has memory for. */
static void copy_many(mailsrv_engine *engine, const mailsrv_op *op)
{
    enum { RUNS = 50000 };
    static mailsrv_run runs[RUNS];
    const mailsrv_copied copied = { .size = sizeof copied,
                                    .n_from = RUNS,
                                    .n_to = RUNS,
                                    .uidvalidity = 1,
                                    .from = runs,
                                    .to = runs,
                                    .modseq = 7 };
    for (uint32_t i = 0; i < RUNS; i++)
        runs[i] = (mailsrv_run){ 2 * i + 1, 2 * i + 1 };
    answer(engine, op, &copied);
}

static bool lies_in_changes(struct world *w, mailsrv_engine *engine, const mailsrv_op *op)
{
    w->asked[op->kind]++;
    if (w->lie == CHANGES_FAIL)
        assert_int_equal(mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP), MAILSRV_OK);
    if (w->lie == CHANGES_WAIT && w->asked[MAILSRV_OP_EXPUNGE] != 0) {
        w->held = op;
        return true;
    }
    return w->lie == CHANGES_FAIL;
}

static bool lies(struct world *w, mailsrv_engine *engine, const mailsrv_op *op)
{
    if (op->kind == MAILSRV_OP_CHANGES)
        return lies_in_changes(w, engine, op);
    if (op->session_id == 0) /* an image asks */
        return false;
    if (op->kind == MAILSRV_OP_READ)
        return lies_in_read(w, engine, op);
    if (op->kind == MAILSRV_OP_COPY && w->lie == COPIES_MANY) {
        copy_many(engine, op);
        return true;
    }
    return op->kind == MAILSRV_OP_ROWS && lies_in_rows(w, engine, op);
}

/* Everything is counted, and mostly answered by the store. */
static void handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    w->asked[op->kind] += op->session_id != 0;
    if (!lies(w, engine, op))
        mailsrv_memory_handle(w->store, engine, op);
}

static void run(struct world *w, mailsrv_session *session)
{
    mailsrv_out v[8];
    size_t count;
    do {
        assert_int_equal(mailsrv_engine_turn(w->engine, PLENTY), MAILSRV_OK);
        assert_int_equal(mailsrv_session_output(session, v, 8, &count), MAILSRV_OK);
        for (size_t i = 0; i < count; i++) {
            assert_true(w->heard_n + v[i].n < sizeof w->heard);
            memcpy(w->heard + w->heard_n, v[i].p, v[i].n);
            w->heard_n += v[i].n;
            assert_int_equal(mailsrv_session_sent(session, v[i].n), MAILSRV_OK);
        }
    } while (count != 0);
    w->heard[w->heard_n] = '\0';
}

/* Says `text`, one command, and returns all that is said to it. */
static const char *say_to(struct world *w, mailsrv_session *session, const char *text)
{
    size_t taken;
    memset(w->asked, 0, sizeof w->asked);
    w->heard_n = 0;
    assert_int_equal(mailsrv_session_feed(session, (const uint8_t *)text, strlen(text), &taken), MAILSRV_OK);
    assert_int_equal(taken, strlen(text));
    run(w, session);
    return w->heard;
}

static const char *say(struct world *w, const char *text)
{
    return say_to(w, w->session, text);
}

static void fill(struct world *w, uint32_t n)
{
    for (uint32_t i = 1; i <= n; i++) {
        char text[64];
        int octets = snprintf(text, sizeof text, "Subject: %u\r\n\r\nbody\r\n", i);
        assert_int_equal(mailsrv_memory_append(w->store, &w->pat, text, (size_t)octets), MAILSRV_OK);
    }
}

static mailsrv_session *login(struct world *w)
{
    mailsrv_session *session;
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &session), MAILSRV_OK);
    run(w, session);
    say_to(w, session, "in LOGIN pat secret\r\n");
    assert_non_null(strstr(say_to(w, session, "a SELECT INBOX\r\n"), "a OK"));
    return session;
}

static struct world *begin(uint32_t messages)
{
    static struct world world;
    struct world *w = &world;
    memset(w, 0, sizeof *w);
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &w->pat), MAILSRV_OK);
    fill(w, messages);
    assert_int_equal(mailsrv_engine_new(NULL, &w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    static const int32_t counted[] = { MAILSRV_OP_READ, MAILSRV_OP_ROWS, MAILSRV_OP_FLAGS, MAILSRV_OP_EXPUNGE,
                                       MAILSRV_OP_COPY, MAILSRV_OP_CHANGES };
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, counted[i], handle, w), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "imap.here.test", 14), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
    w->session = login(w);
    return w;
}

static void end(struct world *w)
{
    mailsrv_session_free(w->session);
    mailsrv_session_free(w->other);
    mailsrv_engine_turn(w->engine, PLENTY);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_READS), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_MAILBOXES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_LENT), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
}

/* ---- */

static void test_read_that_is_not_as_its_row_says(void **state)
{
    struct world *w = begin(2);
    (void)state;
    w->lie = READ_NOTHING;
    assert_memory_equal(say(w, "b FETCH 1 BODY.PEEK[]\r\n"), "b NO [CORRUPTION]", 17);
    assert_memory_equal(say(w, "c FETCH 1:2 BODY.PEEK[TEXT]\r\n"), "c NO [CORRUPTION]", 17);
    assert_memory_equal(say(w, "d UID FETCH 2 BODY.PEEK[HEADER]\r\n"), "d NO [CORRUPTION]", 17);
    w->lie = NO_LIE;
    assert_string_equal(say(w, "f FETCH 2 BODY.PEEK[TEXT]\r\n"),
                        "* 2 FETCH (BODY[TEXT] {6}\r\nbody\r\n)\r\nf OK FETCH completed\r\n");
    end(w);
}

static void test_pages_that_lead_nowhere(void **state)
{
    struct world *w = begin(2);
    (void)state;
    w->lie = ROWS_STAND_STILL;
    assert_memory_equal(say(w, "b FETCH 1 RFC822.SIZE\r\n"), "b NO [CORRUPTION]", 17);
    assert_memory_equal(say(w, "c SEARCH LARGER 1\r\n"), "c NO [CORRUPTION]", 17);
    w->lie = ROWS_OF_OTHERS;
    assert_memory_equal(say(w, "d FETCH 1 RFC822.SIZE\r\n"), "d NO [EXPUNGEISSUED]", 20);
    assert_memory_equal(say(w, "e SEARCH LARGER 1\r\n"), "* SEARCH\r\ne OK [EXPUNGEISSUED]", 30);
    end(w);
}

/* Several pages, each of several answers. */
static void test_pages(void **state)
{
    enum { MESSAGES = 400 };
    struct world *w = begin(MESSAGES);
    (void)state;
    assert_int_equal(mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_PAGE_ROWS, 50), MAILSRV_OK);
    const char *at = say(w, "b FETCH 1:* RFC822.SIZE\r\n");
    for (uint32_t i = 1; i <= MESSAGES; i++) {
        char line[64];
        unsigned size = i < 10 ? 20 : i < 100 ? 21 : 22;
        int n = snprintf(line, sizeof line, "* %u FETCH (RFC822.SIZE %u)\r\n", i, size);
        assert_memory_equal(at, line, (size_t)n);
        at += n;
    }
    assert_string_equal(at, "b OK FETCH completed\r\n");
    at = say(w, "c SEARCH SMALLER 22\r\n");
    assert_memory_equal(at, "* SEARCH 1 2 3", 14);
    assert_non_null(strstr(at, " 98 99\r\nc OK SEARCH completed\r\n"));
    end(w);
}

/* Sizes and dates are loaded once for many messages, and not for a few. */
static void test_questions_of_search(void **state)
{
    enum { MESSAGES = 400 };
    struct world *w = begin(MESSAGES);
    (void)state;
    assert_non_null(strstr(say(w, "b SEARCH UID 7:12 SMALLER 21\r\n"), "* SEARCH 7 8 9\r\n"));
    assert_int_equal(w->asked[MAILSRV_OP_ROWS], 1);
    say(w, "c FETCH 7 RFC822.SIZE\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_ROWS], 1);
    w->lie = ROWS_STAND_STILL; /* of a session: the image's are right */
    assert_string_equal(say(w, "d SEARCH SMALLER 21\r\n"), "* SEARCH 1 2 3 4 5 6 7 8 9\r\nd OK SEARCH completed\r\n");
    say(w, "e UID SEARCH NOT BEFORE 1-Jan-1970\r\n");
    assert_non_null(strstr(w->heard, " 399 400\r\ne OK"));
    say(w, "f FETCH 1:* (RFC822.SIZE INTERNALDATE)\r\n");
    assert_non_null(strstr(w->heard, "* 400 FETCH (RFC822.SIZE 22 INTERNALDATE"));
    assert_int_equal(w->asked[MAILSRV_OP_ROWS], 0);
    fill(w, 1);
    say(w, "g NOOP\r\n");
    assert_non_null(strstr(say(w, "h SEARCH 10:* SMALLER 21\r\n"), "* SEARCH 401\r\n"));
    assert_int_equal(w->asked[MAILSRV_OP_ROWS], 0);
    end(w);
}

static void test_questions_of_fetch(void **state)
{
    struct world *w = begin(3);
    (void)state;
    say(w, "b FETCH 1:3 (UID FLAGS)\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_ROWS], 0);
    say(w, "c FETCH 1:3 (BODY[HEADER] BODY[TEXT] BODY[]<0.4>)\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_ROWS], 1);
    assert_int_equal(w->asked[MAILSRV_OP_READ], 3); /* a small message is read once, whatever parts are wanted */
    assert_int_equal(w->asked[MAILSRV_OP_FLAGS], 1);
    say(w, "d FETCH 1:3 BODY[TEXT]\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_FLAGS], 0); /* they are \Seen */
    say(w, "e FETCH 1:3 BODY[]<100.1>\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_READ], 0);
    end(w);
}

/* Two that IDLE and whose own changes are not known yet: what one of them asks again must not make the other ask again
 * for ever, and later they are told. */
static void test_idle_while_changes_fail(void **state)
{
    struct world *w = begin(2);
    (void)state;
    w->other = login(w);
    w->lie = CHANGES_FAIL;
    say(w, "b STORE 1 +FLAGS.SILENT (\\Seen)\r\n");
    say_to(w, w->other, "b STORE 2 +FLAGS.SILENT (\\Seen)\r\n");
    say(w, "c IDLE\r\n");
    say_to(w, w->other, "c IDLE\r\n");
    assert_in_range(w->asked[MAILSRV_OP_CHANGES], 1, 6);
    w->lie = NO_LIE;
    fill(w, 1);
    assert_int_equal(mailsrv_notify(w->engine, &(mailsrv_id){ { 0 } }, 0), MAILSRV_OK);
    w->heard_n = 0;
    run(w, w->session);
    assert_non_null(strstr(w->heard, "* 3 EXISTS\r\n"));
    w->heard_n = 0;
    run(w, w->other);
    assert_non_null(strstr(w->heard, "* 3 EXISTS\r\n"));
    assert_non_null(strstr(say(w, "DONE\r\n"), "c OK"));
    end(w);
}

/* The host shuts down while a peer in IDLE is slow to read what is told. */
static void test_shutdown_while_idle_is_told(void **state)
{
    enum { MESSAGES = 3000 };
    struct world *w = begin(MESSAGES);
    mailsrv_out v[1];
    size_t count;
    (void)state;
    w->other = login(w);
    say(w, "b IDLE\r\n");
    say_to(w, w->other, "b STORE 1:* +FLAGS.SILENT (\\Flagged)\r\n");
    assert_int_equal(mailsrv_engine_turn(w->engine, PLENTY), MAILSRV_OK);
    assert_int_equal(mailsrv_session_output(w->session, v, 1, &count), MAILSRV_OK);
    assert_int_equal(count, 1); /* it waits for its window */
    assert_int_equal(mailsrv_session_shutdown(w->session), MAILSRV_OK);
    w->heard_n = 0;
    run(w, w->session);
    assert_non_null(strstr(w->heard, "* 3000 FETCH"));
    assert_non_null(strstr(w->heard, "* BYE shutting down\r\n"));
    end(w);
}

static void test_questions_of_changes(void **state)
{
    struct world *w = begin(17000);
    (void)state;
    say(w, "b STORE 1:* +FLAGS.SILENT (\\Seen)\r\n");
    assert_string_equal(w->heard, "b OK STORE completed\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_FLAGS], 2); /* 16,384 each */
    say(w, "c UID EXPUNGE 1:*\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_EXPUNGE], 0); /* nothing is marked */
    say(w, "d STORE 1:5000 +FLAGS.SILENT (\\Deleted)\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_FLAGS], 1);
    assert_int_equal(w->asked[MAILSRV_OP_CHANGES], 0); /* the answer says what was changed */
    say(w, "e UID EXPUNGE 1:4500\r\n");
    assert_int_equal(w->asked[MAILSRV_OP_EXPUNGE], 2); /* 4,096 each */
    assert_int_equal(mailsrv_memory_count(w->store, &w->pat), 12500);
    end(w);
}

static void test_each_page_begins_at_its_start(void **state)
{
    struct world *w = begin(300);
    (void)state;
    w->lie = ROWS_POINT_ON;
    assert_non_null(strstr(say(w, "b FETCH 1:* RFC822.SIZE\r\n"), "* 300 FETCH (RFC822.SIZE 5)\r\nb OK"));
    assert_non_null(strstr(say(w, "c SEARCH LARGER 4\r\n"), " 299 300\r\nc OK"));
    end(w);
}

/* Who cannot be read now is not asked for again and again. */
static void test_a_store_that_fails_is_left_alone(void **state)
{
    struct world *w = begin(200);
    (void)state;
    w->lie = READ_FAILS;
    assert_memory_equal(say(w, "b FETCH 1:* BODY.PEEK[]\r\n"), "b NO [UNAVAILABLE]", 18);
    assert_true(w->asked[MAILSRV_OP_READ] <= 3);
    assert_true(w->asked[MAILSRV_OP_ROWS] <= 2); /* the next page was asked for beforehand */
    end(w);
}

/* The octets are there, but meanwhile the session has learnt that the message is not. */
static void test_gone_while_its_octets_come(void **state)
{
    struct world *w = begin(1);
    mailsrv_read_bytes bytes = { .size = sizeof bytes,
                                 .octets = { (const uint8_t *)"Subject: 1\r\n\r\nbody\r\n", 20 } };
    (void)state;
    w->other = login(w);
    w->lie = READ_WAITS;
    assert_string_equal(say(w, "b FETCH 1 (UID BODY.PEEK[])\r\n"), "");
    assert_non_null(w->held);
    say_to(w, w->other, "b STORE 1 +FLAGS.SILENT (\\Deleted)\r\n");
    assert_string_equal(say_to(w, w->other, "c EXPUNGE\r\n"), "* 1 EXPUNGE\r\nc OK EXPUNGE completed\r\n");
    answer(w->engine, w->held, &bytes);
    w->heard_n = 0;
    run(w, w->session);
    assert_memory_equal(w->heard, "b NO [EXPUNGEISSUED]", 20);
    end(w);
}

/* A name that this session was not told of stands in no FETCH before it was. */
/* The store has made the copies: NO would be answered by another COPY. */
static void test_copies_without_memory_for_their_uids(void **state)
{
    struct world *w = begin(1);
    (void)state;
    w->lie = COPIES_MANY;
    assert_memory_equal(say(w, "b COPY 1 INBOX\r\n"), "b OK copied", 11);
    assert_int_equal(w->asked[MAILSRV_OP_COPY], 1);
    w->lie = NO_LIE;
    assert_non_null(strstr(say(w, "c COPY 1 INBOX\r\n"), "c OK [COPYUID "));
    end(w);
}

/* RFC 9051 section 6.4.3: no OK before the untagged EXPUNGEs, however late it is. */
static void test_what_is_expunged_is_told_late(void **state)
{
    const int64_t late_us = INT64_C(600) * 1000000;
    struct world *w = begin(2);
    (void)state;
    say(w, "b STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\n");
    w->lie = CHANGES_WAIT;
    assert_string_equal(say(w, "c EXPUNGE\r\n"), "");
    assert_non_null(w->held);
    assert_int_equal(mailsrv_engine_advance(w->engine, 2, 2), MAILSRV_OK); /* patience counts from here */
    assert_int_equal(mailsrv_engine_advance(w->engine, late_us, late_us), MAILSRV_OK);
    run(w, w->session);
    assert_memory_equal(w->heard, "c NO [UNAVAILABLE]", 18);
    w->lie = NO_LIE;
    mailsrv_memory_handle(w->store, w->engine, w->held);
    assert_memory_equal(say(w, "d NOOP\r\n"), "* 1 EXPUNGE\r\n* 1 EXPUNGE\r\nd OK", 30);
    end(w);
}

static void test_names_come_before_flags(void **state)
{
    struct world *w = begin(1);
    (void)state;
    w->other = login(w);
    say_to(w, w->other, "b STORE 1 +FLAGS (Later)\r\n");
    const char *at = say(w, "b FETCH 1 FLAGS\r\n");
    assert_memory_equal(at, "* 1 FETCH (FLAGS (\\Recent))\r\n* FLAGS (", 38);
    assert_non_null(strstr(at, "* 1 FETCH (UID 1 FLAGS (Later \\Recent))\r\nb OK"));
    assert_string_equal(say(w, "c FETCH 1 FLAGS\r\n"),
                        "* 1 FETCH (FLAGS (Later \\Recent))\r\nc OK FETCH completed\r\n");
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_that_is_not_as_its_row_says),
        cmocka_unit_test(test_pages_that_lead_nowhere),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_each_page_begins_at_its_start),
        cmocka_unit_test(test_a_store_that_fails_is_left_alone),
        cmocka_unit_test(test_gone_while_its_octets_come),
        cmocka_unit_test(test_names_come_before_flags),
        cmocka_unit_test(test_what_is_expunged_is_told_late),
        cmocka_unit_test(test_copies_without_memory_for_their_uids),
        cmocka_unit_test(test_questions_of_fetch),
        cmocka_unit_test(test_questions_of_search),
        cmocka_unit_test(test_idle_while_changes_fail),
        cmocka_unit_test(test_shutdown_while_idle_is_told),
        cmocka_unit_test(test_questions_of_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
