/* POP3 over a store that says what it should not, or says it in an unusual form. */
#include <mailsrv/mailsrv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

enum { PLENTY = 1 << 20, ROWS_MAX = 8 };

/* A row as a store of a later version has it. */
struct later_row {
    mailsrv_row row;
    uint64_t more;
};

struct world {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    mailsrv_session *session;
    char out[4096]; /* NUL-ended */
    struct later_row rows[ROWS_MAX];
    uint32_t n_rows;
    const char *message; /* what READ gives, whatever the row says */
    bool lends;
    bool stands_still; /* ROWS: no row, more to come, and the cursor that it was asked with */
    unsigned released, open;
};

/* ---- The store ---- */

static void release(void *user)
{
    ((struct world *)user)->released++;
}

static void answer(struct world *w, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .value = value, .release = w->lends ? release : NULL, .user = w };
    assert_int_equal(mailsrv_op_answer(w->engine, op->id, &a), MAILSRV_OK);
}

static void verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    (void)engine;
    const mailsrv_identity identity = { .size = sizeof identity, .account = { { 1 } } };
    answer(user, op, &identity);
}

static void open_store(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    (void)engine;
    const mailsrv_store_opened opened = { .size = sizeof opened, .store = 1 };
    w->open++;
    answer(w, op, &opened);
}

static void open_mbox(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    (void)engine;
    const mailsrv_mbox_opened opened = { .size = sizeof opened, .mbox = 2, .exists = w->n_rows };
    w->open++;
    answer(w, op, &opened);
}

static void close_handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    ((struct world *)user)->open--;
    mailsrv_op_answer_status(engine, op->id, MAILSRV_OK);
}

static void give_rows(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    (void)engine;
    const mailsrv_arg_rows *arg = op->arg;
    uint32_t first = 0, n = 0;
    while (first < w->n_rows && w->rows[first].row.uid < arg->uids[0].first)
        first++;
    while (first + n < w->n_rows && w->rows[first + n].row.uid <= arg->uids[0].last)
        n++;
    mailsrv_rows rows = { .size = sizeof rows, .stride = sizeof *w->rows, .n = n, .rows = &w->rows[first].row };
    if (w->stands_still) {
        rows.n = 0;
        rows.more = 1;
        rows.next = arg->cursor;
    }
    answer(w, op, &rows);
}

static void give_octets(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    (void)engine;
    const mailsrv_arg_read *arg = op->arg;
    size_t all = strlen(w->message);
    size_t from = arg->offset < all ? (size_t)arg->offset : all;
    size_t n = all - from < arg->octets ? all - from : (size_t)arg->octets;
    const mailsrv_read_bytes bytes = { .size = sizeof bytes, .octets = { (const uint8_t *)w->message + from, n } };
    answer(w, op, &bytes);
}

static const struct {
    int32_t kind;
    mailsrv_handler handler;
} kinds[] = {
    { MAILSRV_OP_AUTH_VERIFY, verify },       { MAILSRV_OP_STORE_OPEN, open_store },
    { MAILSRV_OP_STORE_CLOSE, close_handle }, { MAILSRV_OP_MBOX_OPEN, open_mbox },
    { MAILSRV_OP_MBOX_CLOSE, close_handle },  { MAILSRV_OP_ROWS, give_rows },
    { MAILSRV_OP_READ, give_octets },
};

/* ---- The world ---- */

static int setup(void **state)
{
    static struct world world;
    struct world *w = &world;
    memset(w, 0, sizeof *w);
    assert_int_equal(mailsrv_engine_new(NULL, &w->engine), MAILSRV_OK);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, kinds[i].kind, kinds[i].handler, w), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_pop3(), MAILSRV_FACE_POP3, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "pop.here.test", 13), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &w->session), MAILSRV_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    mailsrv_session_free(w->session);
    assert_int_equal(mailsrv_engine_turn(w->engine, PLENTY), MAILSRV_OK);
    assert_int_equal(w->open, 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_profile_unref(w->profile);
    return 0;
}

static void add_row(struct world *w, uint32_t uid, uint64_t octets, const char *uidl)
{
    struct later_row *row = &w->rows[w->n_rows++];
    row->more = UINT64_MAX;
    row->row = (mailsrv_row){ .uid = uid, .octets = octets, .email = { { (uint8_t)uid } } };
    row->row.uidl = (mailsrv_bytes){ (const uint8_t *)uidl, strlen(uidl) };
}

static void take_output(struct world *w)
{
    mailsrv_out out;
    size_t count, n = 0;
    for (;;) {
        mailsrv_engine_turn(w->engine, PLENTY);
        mailsrv_session_output(w->session, &out, 1, &count);
        if (count == 0)
            break;
        assert_true(n + out.n < sizeof w->out);
        memcpy(w->out + n, out.p, out.n);
        n += out.n;
        mailsrv_session_sent(w->session, out.n);
    }
    w->out[n] = '\0';
}

static const char *say(struct world *w, const char *text)
{
    size_t n = strlen(text), taken;
    take_output(w);
    assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)text, n, &taken), MAILSRV_OK);
    assert_int_equal(taken, n);
    take_output(w);
    return w->out;
}

static const char *login(struct world *w)
{
    say(w, "USER pat\r\n");
    return say(w, "PASS x\r\n");
}

static bool has_ended(const struct world *w)
{
    return (mailsrv_session_wants(w->session) & MAILSRV_WANT_CLOSE) != 0;
}

/* ---- A cursor that stands still would keep a session for ever ---- */

static void test_login_ends_where_the_cursor_stands(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 1, "");
    w->stands_still = true;
    assert_memory_equal(login(w), "-ERR [SYS/PERM]", 15);
    w->stands_still = false;
    assert_string_equal(login(w), "+OK 1 messages\r\n");
}

static void test_uidl_ends_where_the_cursor_stands(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 1, "");
    login(w);
    w->stands_still = true;
    assert_memory_equal(say(w, "UIDL\r\n"), "-ERR [SYS/PERM]", 15);
    assert_memory_equal(say(w, "UIDL 1\r\n"), "-ERR [SYS/PERM]", 15);
    assert_string_equal(say(w, "NOOP\r\n"), "+OK\r\n");
}

/* ---- UIDL ---- */

#define TEN "0123456789"
#define SEVENTY TEN TEN TEN TEN TEN TEN TEN

static void add_ids(struct world *w)
{
    add_row(w, 3, 1, "!imported~");
    add_row(w, 5, 1, "");
    add_row(w, 8, 1, SEVENTY);
    add_row(w, 9, 1, SEVENTY "0");
    add_row(w, 10, 1, "two words");
    add_row(w, 11, 1, "r\xe9sum\xe9");
}

/* RFC 1939 section 7: 1 to 70 octets of 0x21 to 0x7E; an imported id that is none gives way to EMAILID. */
static void check_ids(struct world *w)
{
    add_ids(w);
    assert_string_equal(login(w), "+OK 6 messages\r\n");
    assert_string_equal(say(w, "UIDL\r\n"), "+OK\r\n"
                                           "1 !imported~\r\n"
                                           "2 auaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
                                           "3 " SEVENTY "\r\n"
                                           "4 beaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
                                           "5 biaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
                                           "6 bmaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
                                           ".\r\n");
    assert_string_equal(say(w, "UIDL 3\r\n"), "+OK 3 " SEVENTY "\r\n");
    assert_string_equal(say(w, "UIDL 4\r\n"), "+OK 4 beaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
}

static void test_imported_ids(void **state)
{
    check_ids(*state);
}

static void test_imported_ids_lent(void **state)
{
    struct world *w = *state;
    w->lends = true;
    check_ids(w);
    assert_true(w->released >= 6);
}

/* Somebody else expunged it: it has no line, and numbers stay. */
static void test_row_gone_from_the_ids(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 1, "one");
    add_row(w, 2, 1, "two");
    add_row(w, 3, 1, "three");
    login(w);
    w->rows[1] = w->rows[2];
    w->n_rows = 2;
    assert_string_equal(say(w, "UIDL\r\n"), "+OK\r\n1 one\r\n3 three\r\n.\r\n");
    assert_string_equal(say(w, "UIDL 2\r\n"), "-ERR no such message\r\n");
    assert_string_equal(say(w, "UIDL 3\r\n"), "+OK 3 three\r\n");
}

/* A row that nobody asked for is not told. */
static void test_row_of_nobody_in_the_ids(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 1, "one");
    add_row(w, 5, 1, "five");
    login(w);
    w->rows[2] = w->rows[1];
    w->rows[1].row.uid = 4;
    w->n_rows = 3;
    assert_string_equal(say(w, "UIDL\r\n"), "+OK\r\n1 one\r\n2 five\r\n.\r\n");
}

/* ---- Rows that cannot be true ---- */

static void test_uid_twice(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 1, "");
    add_row(w, 1, 1, "");
    assert_string_equal(login(w), "-ERR [SYS/PERM] cannot be done\r\n");
    assert_int_equal(w->open, 0);
}

static void test_uids_descend(void **state)
{
    struct world *w = *state;
    add_row(w, 2, 1, "");
    add_row(w, 1, 1, "");
    assert_string_equal(login(w), "-ERR [SYS/PERM] cannot be done\r\n");
}

static void test_sizes_beyond_counting(void **state)
{
    struct world *w = *state;
    add_row(w, 1, UINT64_MAX, "");
    assert_string_equal(login(w), "+OK 1 messages\r\n");
    assert_string_equal(say(w, "STAT\r\n"), "+OK 1 18446744073709551615\r\n");
    say(w, "QUIT\r\n");
    assert_int_equal(w->open, 0);
    add_row(w, 2, 1, "");
    mailsrv_session_free(w->session);
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &w->session), MAILSRV_OK);
    assert_string_equal(login(w), "-ERR [SYS/PERM] cannot be done\r\n");
}

/* ---- Messages that are not as long as their row says ---- */

static void test_message_ends_early(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 10, "");
    w->message = "12345";
    login(w);
    assert_string_equal(say(w, "RETR 1\r\n"), "+OK 10 octets\r\n12345");
    assert_true(has_ended(w));
}

static void test_message_is_not_there(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 10, "");
    w->message = "";
    login(w);
    assert_string_equal(say(w, "RETR 1\r\n"), "-ERR [SYS/PERM] cannot be done\r\n");
    assert_false(has_ended(w));
}

static void test_empty_message_is_not_empty(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 0, "");
    w->message = "x";
    login(w);
    assert_string_equal(say(w, "RETR 1\r\n"), "-ERR [SYS/PERM] cannot be done\r\n");
}

/* No more than the size that was told is ever asked for. */
static void test_message_grew(void **state)
{
    struct world *w = *state;
    add_row(w, 1, 3, "");
    w->message = "a\r\nb\r\n";
    login(w);
    assert_string_equal(say(w, "RETR 1\r\n"), "+OK 3 octets\r\na\r\n.\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_login_ends_where_the_cursor_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uidl_ends_where_the_cursor_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_imported_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_imported_ids_lent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_row_gone_from_the_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_row_of_nobody_in_the_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uid_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uids_descend, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sizes_beyond_counting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_message_ends_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_message_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_message_is_not_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_message_grew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
