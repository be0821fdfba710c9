/* Two pages of rows on their way: FETCH and SEARCH ask for the next one while they work on the present one. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Of each command: a little more than two pages. */
enum { PAGE = 64, MESSAGES = 150, SEARCH_PAGE = 128, SEARCH_MESSAGES = 300 };

struct world {
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_profile *profile;
    mailsrv_session *session;
    uint32_t messages;
    char heard[65536]; /* since the last command, NUL-ended */
    size_t n;
};

static void turn(struct world *w)
{
    while (mailsrv_engine_turn(w->engine, 1000) == MAILSRV_MORE)
        continue;
}

static void run(struct world *w)
{
    mailsrv_out v[8];
    size_t count = 0;
    do {
        turn(w);
        assert_int_equal(mailsrv_session_output(w->session, v, 8, &count), MAILSRV_OK);
        for (size_t i = 0; i < count; i++) {
            assert_true(w->n + v[i].n < sizeof w->heard);
            memcpy(w->heard + w->n, v[i].p, v[i].n);
            w->n += v[i].n;
            assert_int_equal(mailsrv_session_sent(w->session, v[i].n), MAILSRV_OK);
        }
    } while (count != 0);
    w->heard[w->n] = '\0';
}

static void say(struct world *w, const char *text)
{
    size_t taken = 0;
    w->n = 0;
    assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)text, strlen(text), &taken), MAILSRV_OK);
    assert_int_equal(taken, strlen(text));
    run(w);
}

/* ---- The store is in memory, but the test answers for rows ---- */

static const mailsrv_op *next_rows(struct world *w)
{
    const mailsrv_op *op = NULL;
    assert_int_equal(mailsrv_engine_next_op(w->engine, &op), MAILSRV_OK);
    assert_int_equal(op->kind, MAILSRV_OP_ROWS);
    return op;
}

static void no_rows(struct world *w)
{
    const mailsrv_op *op = NULL;
    assert_int_equal(mailsrv_engine_next_op(w->engine, &op), MAILSRV_E_CLOSED);
}

static uint32_t first_of(const mailsrv_op *op)
{
    return ((const mailsrv_arg_rows *)op->arg)->uids[0].first;
}

static size_t write_text(char *to, size_t room, uint32_t uid)
{
    return (size_t)snprintf(to, room, "Subject: %u\r\n\r\n", uid);
}

static void answer_rows(struct world *w, const mailsrv_op *op)
{
    const mailsrv_arg_rows *arg = op->arg;
    mailsrv_op_id id = op->id;
    mailsrv_rows_builder *builder;
    char text[32];
    assert_int_equal(mailsrv_rows_new(w->engine, &builder), MAILSRV_OK);
    for (uint32_t i = 0; i < arg->n_uids; i++)
        for (uint32_t uid = arg->uids[i].first; uid <= w->messages && uid <= arg->uids[i].last; uid++) {
            const mailsrv_row row = { .uid = uid, .modseq = uid, .octets = write_text(text, sizeof text, uid) };
            assert_int_equal(mailsrv_rows_add(builder, &row, sizeof row), MAILSRV_OK);
        }
    assert_int_equal(mailsrv_rows_answer(builder, id, NULL), MAILSRV_OK);
}

/* Up to where a command waits for the rows of its first page. */
static void begin(struct world *w, uint32_t messages, const char *command)
{
    mailsrv_id pat;
    char text[32];
    *w = (struct world){ .messages = messages };
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &pat), MAILSRV_OK);
    for (uint32_t i = 1; i <= messages; i++)
        assert_int_equal(mailsrv_memory_append(w->store, &pat, text, write_text(text, sizeof text, i)), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(NULL, &w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_ROWS, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "imap.here.test", 14), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &w->session), MAILSRV_OK);
    say(w, "a LOGIN pat secret\r\n");
    say(w, "b EXAMINE INBOX\r\n");
    answer_rows(w, next_rows(w));
    run(w);
    assert_non_null(strstr(w->heard, "\r\nb OK"));
    no_rows(w);
    say(w, command);
}

static void end(struct world *w)
{
    mailsrv_session_free(w->session);
    turn(w);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_MAILBOXES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_READS), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
}

/* What a FETCH of headers says of the messages from `first` to `last`, and what follows. */
static void expect_messages(const struct world *w, uint32_t first, uint32_t last, const char *then)
{
    const char *at = w->heard;
    for (uint32_t i = first; i <= last; i++) {
        char text[32], line[96];
        size_t octets = write_text(text, sizeof text, i);
        int n = snprintf(line, sizeof line, "* %u FETCH (BODY[HEADER] {%zu}\r\n%s)\r\n", i, octets, text);
        assert_memory_equal(at, line, (size_t)n);
        at += n;
    }
    assert_memory_equal(at, then, strlen(then));
    assert_true(then[0] != '\0' || at == w->heard + w->n);
}

/* ---- FETCH ---- */

static void test_fetch_has_two_pages_on_their_way(void **state)
{
    struct world w;
    (void)state;
    begin(&w, MESSAGES, "c FETCH 1:* BODY.PEEK[HEADER]\r\n");
    answer_rows(&w, next_rows(&w));
    no_rows(&w);
    run(&w);
    expect_messages(&w, 1, PAGE, "");
    const mailsrv_op *second = next_rows(&w);
    assert_int_equal(first_of(second), PAGE + 1);
    no_rows(&w);
    answer_rows(&w, second);
    run(&w);
    expect_messages(&w, 1, 2 * PAGE, "");
    answer_rows(&w, next_rows(&w));
    run(&w);
    expect_messages(&w, 1, MESSAGES, "c OK ");
    no_rows(&w);
    end(&w);
}

static void test_fetch_gets_no_second_page(void **state)
{
    struct world w;
    (void)state;
    begin(&w, MESSAGES, "c FETCH 1:* BODY.PEEK[HEADER]\r\n");
    answer_rows(&w, next_rows(&w));
    run(&w);
    mailsrv_op_answer_status(w.engine, next_rows(&w)->id, MAILSRV_TEMP);
    run(&w);
    expect_messages(&w, 1, PAGE, "c NO ");
    no_rows(&w);
    end(&w);
}

/* The mailbox is not closed under a question about it. */
static void test_fetch_is_left_with_a_page_on_its_way(void **state)
{
    struct world w;
    (void)state;
    begin(&w, MESSAGES, "c FETCH 1:* BODY.PEEK[HEADER]\r\n");
    answer_rows(&w, next_rows(&w));
    run(&w);
    const mailsrv_op *second = next_rows(&w);
    mailsrv_session_free(w.session);
    w.session = NULL;
    turn(&w);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_MAILBOXES), 1);
    answer_rows(&w, second);
    end(&w);
}

/* The end of a command that failed waits for what was asked. */
static void test_fetch_fails_with_a_page_on_its_way(void **state)
{
    struct world w;
    (void)state;
    begin(&w, MESSAGES, "c FETCH 1:* BODY.PEEK[HEADER]\r\n");
    answer_rows(&w, next_rows(&w));
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_FAIL_STATUS, (uint64_t)-MAILSRV_TEMP);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_FAIL_NTH, 1);
    run(&w);
    assert_string_equal(w.heard, "");
    answer_rows(&w, next_rows(&w));
    run(&w);
    assert_memory_equal(w.heard, "c NO ", 5);
    no_rows(&w);
    end(&w);
}

/* ---- SEARCH ---- */

static void test_search_has_two_pages_on_their_way(void **state)
{
    struct world w;
    (void)state;
    begin(&w, SEARCH_MESSAGES, "c SEARCH HEADER Subject 9\r\n");
    const mailsrv_op *first = next_rows(&w), *second = next_rows(&w);
    assert_int_equal(first_of(first), 1);
    assert_int_equal(first_of(second), SEARCH_PAGE + 1);
    no_rows(&w);
    answer_rows(&w, first);
    run(&w);
    const mailsrv_op *third = next_rows(&w);
    assert_int_equal(first_of(third), 2 * SEARCH_PAGE + 1);
    answer_rows(&w, third);
    run(&w);
    answer_rows(&w, second);
    run(&w);
    assert_string_equal(w.heard, "* SEARCH 9 19 29 39 49 59 69 79 89 90 91 92 93 94 95 96 97 98 99 109 119 129 139 149 159 169 179"
                                 " 189 190 191 192 193 194 195 196 197 198 199 209 219 229 239 249 259 269 279 289 290 291 292"
                                 " 293 294 295 296 297 298 299\r\nc OK SEARCH completed\r\n");
    end(&w);
}

/* Structures find no memory: the messages are read instead, also those whose rows were asked for already. */
static void test_search_without_structures(void **state)
{
    struct world w;
    (void)state;
    begin(&w, SEARCH_MESSAGES, "c SEARCH HEADER Subject 149\r\n");
    const mailsrv_op *first = next_rows(&w), *second = next_rows(&w);
    mailsrv_op_answer_status(w.engine, second->id, MAILSRV_NOMEM);
    mailsrv_op_answer_status(w.engine, first->id, MAILSRV_NOMEM);
    run(&w);
    for (int i = 0; i < 3; i++) {
        answer_rows(&w, next_rows(&w));
        run(&w);
    }
    assert_string_equal(w.heard, "* SEARCH 149\r\nc OK SEARCH completed\r\n");
    no_rows(&w);
    end(&w);
}

static void test_search_fails_with_a_page_on_its_way(void **state)
{
    struct world w;
    (void)state;
    begin(&w, SEARCH_MESSAGES, "c SEARCH HEADER Subject 9\r\n");
    const mailsrv_op *first = next_rows(&w), *second = next_rows(&w);
    mailsrv_op_answer_status(w.engine, first->id, MAILSRV_TEMP);
    run(&w);
    assert_string_equal(w.heard, "");
    answer_rows(&w, second);
    run(&w);
    assert_memory_equal(w.heard, "c NO ", 5);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_has_two_pages_on_their_way),
        cmocka_unit_test(test_fetch_gets_no_second_page),
        cmocka_unit_test(test_fetch_is_left_with_a_page_on_its_way),
        cmocka_unit_test(test_fetch_fails_with_a_page_on_its_way),
        cmocka_unit_test(test_search_has_two_pages_on_their_way),
        cmocka_unit_test(test_search_without_structures),
        cmocka_unit_test(test_search_fails_with_a_page_on_its_way),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
