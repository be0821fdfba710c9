/* An image over the memory store: loading in slices, sharing, ending, and memory that ends. */
#include "mail.h"

/* ---- Tests ---- */

static void test_large_mailbox_in_slices(void **state)
{
    struct world w;
    struct view first, second;
    struct told told;
    (void)state;
    mail_begin(&w, 20000, UINT64_C(64) << 20);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &first), MAILSRV_OK);
    assert_int_equal(mailsrv__view_exists(&first), 20000);
    uint64_t before = mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY);
    assert_int_equal(mail_open(&w, &second), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY), before); /* the image is there already */
    mail_expunge(&w, (mailsrv_run){ 5001, 15000 });
    mailsrv__view_sync(&second);
    mail_turns(&w);
    assert_int_equal(mailsrv__view_exists(&second), 20000);
    second.qresync = true;
    assert_true(mailsrv__view_tell(&second, TELLS_ALL));
    assert_true(mail_next(&second, &told));
    assert_int_equal(told.kind, TOLD_VANISHED);
    assert_int_equal(told.uids.first, 5001);
    assert_int_equal(told.uids.last, 15000);
    assert_false(mail_next(&second, &told));
    assert_int_equal(mailsrv__view_exists(&second), 10000);
    assert_int_equal(mailsrv__view_uid(&second, 5001), 15001);
    assert_int_equal(mailsrv__view_number(&first, 15001), 15001);
    assert_true(mailsrv__view_is_gone(&first, 5001));
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_STEP_UNITS_PEAK) <= 300);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_ALLOCATION_PEAK) <= 65536);
    mailsrv__view_close(&first);
    mailsrv__view_close(&second);
    mail_end(&w);
}

/* 3,000 expunges, each with the number 1, a hundred in a slice. */
static void test_telling_goes_in_slices(void **state)
{
    struct world w;
    struct view view;
    struct told told;
    uint32_t n = 0, slices = 0;
    (void)state;
    mail_begin(&w, 3000, UINT64_C(64) << 20);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    mail_expunge(&w, (mailsrv_run){ 1, 3000 });
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_true(mailsrv__view_tell(&view, TELLS_ALL));
    while (mailsrv__view_is_telling(&view)) {
        uint32_t units = 100;
        while (mailsrv__view_next(&view, &units, &told))
            n += told.kind == TOLD_EXPUNGE && told.number == 1;
        slices++;
    }
    assert_int_equal(n, 3000);
    assert_true(slices >= 30);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* VANISHED begins at UID 1, and 0 is no UID (RFC 9051 section 9). */
static void test_the_first_uid_vanishes(void **state)
{
    struct world w;
    struct view view;
    struct told told;
    (void)state;
    mail_begin(&w, 3, UINT64_C(64) << 20);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    view.qresync = true;
    mail_expunge(&w, (mailsrv_run){ 1, 1 });
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_true(mailsrv__view_tell(&view, TELLS_FLAGS));
    assert_false(mail_next(&view, &told));
    assert_int_equal(mailsrv__view_exists(&view), 3);
    assert_true(mailsrv__view_highest(&view) < view.image->upto);
    assert_true(mailsrv__view_tell(&view, TELLS_ALL));
    assert_true(mail_next(&view, &told));
    assert_int_equal(told.uids.first, 1);
    assert_int_equal(told.uids.last, 1);
    assert_false(mail_next(&view, &told));
    assert_int_equal(mailsrv__view_highest(&view), view.image->upto);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* Another UIDVALIDITY ends the image; the next view gets a new one. */
static void test_new_uidvalidity_ends_it(void **state)
{
    struct world w;
    struct view view, after;
    (void)state;
    mail_begin(&w, 3, UINT64_C(64) << 20);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    mailsrv_memory_account_u64(w.store, &w.account, MAILSRV_MEMORY_UIDNEXT, UINT32_MAX);
    assert_int_equal(mailsrv_memory_append(w.store, &w.account, "x", 1), MAILSRV_OK);
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_OK);
    assert_int_equal(mailsrv_notify(w.engine, &w.inbox, 0), MAILSRV_OK);
    mail_turns(&w);
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_NONEXISTENT);
    assert_false(mailsrv__view_tell(&view, TELLS_ALL));
    assert_int_equal(mail_open(&w, &after), MAILSRV_OK);
    assert_int_equal(mailsrv__view_exists(&after), 4);
    mailsrv__view_close(&after);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* A poke that tells nothing new asks nothing; one that does, or does not say, asks. */
static void test_a_poke(void **state)
{
    struct world w;
    struct view view;
    mailsrv_id other = { { 9 } };
    (void)state;
    mail_begin(&w, 3, UINT64_C(64) << 20);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    uint64_t answered = mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_ANSWERED);
    mailsrv_notify(w.engine, &w.inbox, view.image->upto);
    mailsrv_notify(w.engine, &other, 0);
    mail_turns(&w);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_ANSWERED), answered);
    mailsrv_notify(w.engine, &w.inbox, view.image->upto + 1);
    mail_turns(&w);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_ANSWERED), answered + 1);
    assert_int_equal(mailsrv_notify(NULL, &w.inbox, 0), MAILSRV_E_USAGE);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* What this engine changed reaches its image by itself, for those in IDLE: of flags by the answer, without a round; of
 * all else in one round, also when the session that asked wishes for one. */
static void test_changes_of_this_engine(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    mail_begin(&w, 3, UINT64_C(64) << 20);
    mail_find_inbox(&w);
    struct box box = mail_open_box(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    mailsrv_run run = { 2, 2 };
    mailsrv_arg_flags flags = { .size = sizeof flags, .how = MAILSRV_FLAGS_ADD, .mbox = box.handle,
                                .mailbox = w.inbox, .uids = &run, .n_uids = 1, .flags = MAILSRV_FLAG_SEEN,
                                .unchanged_since = UINT64_MAX };
    uint64_t upto = view.image->upto;
    uint32_t finished = view.image->finished;
    mail_change(&w, MAILSRV_OP_FLAGS, &flags);
    assert_int_equal(view.image->upto, upto + 1);
    assert_int_equal(view.image->finished, finished);
    assert_int_equal(mailsrv__image_marks(view.image, 2).flags, MAILSRV_FLAG_SEEN);
    assert_int_equal(mailsrv__image_marks(view.image, 2).modseq, upto + 1);
    mailsrv_arg_copy copy = {
        .size = sizeof copy, .n_uids = 1, .mbox = box.handle, .uids = &run
    }; /* to INBOX, without its id */
    mail_change(&w, MAILSRV_OP_COPY, &copy);
    assert_int_equal(view.image->uids.count, 4);
    assert_int_equal(view.image->finished, finished + 1);
    mailsrv__view_close(&view);
    mail_shut_box(&w, &box);
    mail_end(&w);
}

/* Flags and copies are told to the host's other engines, as expunges are. */
static void test_changes_are_noticed(void **state)
{
    struct world w;
    const mailsrv_op *op;
    mailsrv_run run = { 1, 2 };
    (void)state;
    mail_begin(&w, 3, UINT64_C(64) << 20); /* the last one has modseq 4 */
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_NOTICE_CHANGED, NULL, NULL), MAILSRV_OK);
    mail_find_inbox(&w);
    struct box box = mail_open_box(&w);
    mailsrv_arg_flags flags = { .size = sizeof flags, .how = MAILSRV_FLAGS_ADD, .mbox = box.handle, .uids = &run,
                                .n_uids = 1, .flags = MAILSRV_FLAG_SEEN, .unchanged_since = UINT64_MAX };
    mail_change(&w, MAILSRV_OP_FLAGS, &flags);
    assert_int_equal(mailsrv_engine_next_op(w.engine, &op), MAILSRV_OK);
    assert_int_equal(((const mailsrv_arg_changed *)op->arg)->modseq, 5);
    mail_change(&w, MAILSRV_OP_FLAGS, &flags); /* nothing changes */
    assert_int_equal(mailsrv_engine_next_op(w.engine, &op), MAILSRV_E_CLOSED);
    mailsrv_arg_copy copy = { .size = sizeof copy, .n_uids = 1, .mbox = box.handle, .uids = &run, .to = w.inbox };
    mail_change(&w, MAILSRV_OP_COPY, &copy);
    assert_int_equal(mailsrv_engine_next_op(w.engine, &op), MAILSRV_OK);
    assert_int_equal(((const mailsrv_arg_changed *)op->arg)->modseq, 6);
    assert_memory_equal(&((const mailsrv_arg_changed *)op->arg)->mailbox, &w.inbox, sizeof w.inbox);
    mail_shut_box(&w, &box);
    mail_end(&w);
}

/* 300 changes of one message, more than the journal holds: told once, as the row is. */
static void test_a_view_falls_off_the_journal(void **state)
{
    struct world w;
    struct view view, lazy;
    struct told told;
    mailsrv_run run = { 2, 2 };
    (void)state;
    mail_begin(&w, 3, UINT64_C(64) << 20);
    mail_find_inbox(&w);
    struct box box = mail_open_box(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    assert_int_equal(mail_open(&w, &lazy), MAILSRV_OK);
    for (uint32_t i = 0; i < 300; i++) {
        mailsrv_arg_flags arg = { .size = sizeof arg, .how = MAILSRV_FLAGS_SET, .mbox = box.handle, .uids = &run,
                                  .n_uids = 1, .flags = 1 + i % 2, .unchanged_since = UINT64_MAX };
        mail_change(&w, MAILSRV_OP_FLAGS, &arg);
        mailsrv__view_sync(&view);
        mail_turns(&w);
        assert_true(mailsrv__view_tell(&view, TELLS_FLAGS));
        assert_true(mail_next(&view, &told));
        assert_int_equal(told.marks.flags, 1 + i % 2);
        assert_false(mail_next(&view, &told));
    }
    assert_true(mailsrv__view_tell(&lazy, TELLS_FLAGS));
    assert_true(mail_next(&lazy, &told));
    assert_int_equal(told.kind, TOLD_FETCH);
    assert_int_equal(told.number, 2);
    assert_int_equal(told.marks.flags, 2);
    assert_false(mail_next(&lazy, &told));
    assert_true(mailsrv__view_tell(&lazy, TELLS_FLAGS));
    assert_false(mail_next(&lazy, &told));
    mailsrv__view_close(&lazy);
    mailsrv__view_close(&view);
    mail_shut_box(&w, &box);
    mail_end(&w);
}

/* A page that says `more` with the cursor that was asked with. */
static void stands_still(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_rows *arg = op->arg;
    mailsrv_rows rows = { .size = sizeof rows, .stride = sizeof *rows.rows, .more = 1, .next = arg->cursor };
    mailsrv_answer answer = { .size = sizeof answer, .value = &rows };
    (void)user;
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_OK);
}

static void test_a_cursor_that_stands_still(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    mail_begin(&w, 3, UINT64_C(64) << 20);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_ROWS, stands_still, NULL), MAILSRV_OK);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_CORRUPT);
    mail_end(&w);
}

/* Images have three quarters of the engine's memory: what cannot fit is refused before the first row. */
static void test_too_large_for_the_engine(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    mail_begin(&w, 20000, 200000);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_LIMIT);
    mail_end(&w);
}

/* A live image that cannot grow says so, and goes; it takes nobody along. */
static void test_it_cannot_grow(void **state)
{
    struct world w;
    struct view view;
    const mailsrv_event *event;
    int32_t what = 0;
    (void)state;
    mail_begin(&w, 9000, 200000);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    for (uint32_t i = 0; i < 12000; i++)
        assert_int_equal(mailsrv_memory_append(w.store, &w.account, "x", 1), MAILSRV_OK);
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_true(mailsrv__view_synced(&view));
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_NOMEM);
    while (mailsrv_engine_next_event(w.engine, &event) == MAILSRV_OK)
        what = event->what;
    assert_int_equal(what, MAILSRV_EVENT_OUT_OF_MEMORY);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* One scenario with each allocation failing in turn: it is told, or refused, and nothing is left behind. */
static void scenario(struct world *w)
{
    struct view view;
    struct told told;
    if (mail_open(w, &view) != MAILSRV_OK)
        return;
    mailsrv_memory_append(w->store, &w->account, "x", 1);
    mailsrv__view_sync(&view);
    mail_turns(w);
    assert_true(mailsrv__view_synced(&view));
    if (mailsrv__view_tell(&view, TELLS_ALL))
        while (mail_next(&view, &told))
            assert_int_equal(told.kind, TOLD_EXISTS);
    mailsrv__view_close(&view);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    bool failed = true;
    uint64_t n = 0;
    for (; failed; n++) {
        struct world w;
        mail_begin(&w, 40, UINT64_C(64) << 20);
        mail_find_inbox(&w);
        w.from.failed = false;
        w.from.fail_first = w.from.fail_last = w.from.calls + 1 + n;
        scenario(&w);
        failed = w.from.failed;
        mail_end(&w);
    }
    assert_true(n > 10);
}

/* An engine is given up while an image loads, and while one leaves: nothing of it stays. */
static void test_an_engine_is_given_up(void **state)
{
    (void)state;
    for (uint32_t answers = 0; answers < 12; answers++) {
        struct world w;
        struct view view;
        mail_begin(&w, 600, UINT64_C(64) << 20);
        mail_find_inbox(&w);
        mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_LATE, 1);
        assert_int_equal(mailsrv__view_open(&view, w.engine, &w.account, &w.inbox, mail_woken), MAILSRV_OK);
        mail_turns(&w);
        for (uint32_t i = 0; i < answers; i++) {
            mailsrv_memory_answer(w.store, 1);
            mail_turns(&w);
        }
        mailsrv__view_close(&view);
        assert_int_equal(mailsrv_engine_free(w.engine, MAILSRV_ABANDON), MAILSRV_OK);
        assert_int_equal(w.from.live, 0);
        assert_null(w.from.fault);
        mailsrv_store_free(w.store);
    }
}

/* The highest UID that there can be is no member where nothing stands there (RFC 9051 section 2.3.1.1);
 * and UIDNEXT stands above what was told, not above a message that is still to be told. */
static void test_the_ends_of_uids(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    mail_begin(&w, 3, 64 << 20);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    view.max_uid = UINT32_MAX;
    assert_int_equal(mailsrv__view_after(&view, 2), 3);
    assert_int_equal(mailsrv__view_after(&view, 3), 0);
    view.max_uid = 3;
    assert_int_equal(mailsrv__view_uidnext(&view), 4);
    mail_append(&w, 2);
    mail_turns(&w);
    assert_int_equal(mailsrv__view_uidnext(&view), 4);
    view.max_uid = 5;
    assert_int_equal(mailsrv__view_uidnext(&view), 6);
    mailsrv__view_close(&view);
    mail_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_mailbox_in_slices),  cmocka_unit_test(test_telling_goes_in_slices),
        cmocka_unit_test(test_the_first_uid_vanishes),   cmocka_unit_test(test_new_uidvalidity_ends_it),
        cmocka_unit_test(test_a_poke),                   cmocka_unit_test(test_changes_are_noticed),
        cmocka_unit_test(test_changes_of_this_engine),
        cmocka_unit_test(test_too_large_for_the_engine),
        cmocka_unit_test(test_it_cannot_grow),           cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_an_engine_is_given_up),    cmocka_unit_test(test_a_view_falls_off_the_journal),
        cmocka_unit_test(test_a_cursor_that_stands_still),
        cmocka_unit_test(test_the_ends_of_uids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
