/* An image over the memory store: loading in slices, sharing, ending, and memory that ends. */
#include "mailbox/view.h"

#include "allocators.h"

#include <mailsrv/ask.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    mailsrv_store *store;
    mailsrv_engine *engine;
    mailsrv_id account, inbox;
    struct counted from;
    int64_t now_us;
};

static void woken(struct view *view)
{
    (void)view;
}

static void turns(struct world *w)
{
    for (int i = 0; i < 20000; i++) {
        w->now_us += 1000;
        mailsrv_engine_advance(w->engine, w->now_us, w->now_us);
        if (mailsrv_engine_turn(w->engine, 1000) != MAILSRV_MORE)
            return;
    }
    fail();
}

static void begin(struct world *w, uint32_t messages, uint64_t memory_max)
{
    mailsrv_config *config;
    memset(w, 0, sizeof *w);
    counted_init(&w->from);
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "", 0, &w->account), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_address(w->store, "pat@here.test", 13, &w->account, 1), MAILSRV_OK);
    for (uint32_t i = 0; i < messages; i++)
        assert_int_equal(mailsrv_memory_append(w->store, &w->account, "x", 1), MAILSRV_OK);
    assert_int_equal(mailsrv_config_new(&w->from.allocator, &config), MAILSRV_OK);
    mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, memory_max);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
}

/* The INBOX's id is what its address leads to. */
static void find_inbox(struct world *w)
{
    mailsrv_asked *asked;
    mailsrv_arg_resolve arg = { .size = sizeof arg, .local_part = { (const uint8_t *)"pat", 3 },
                                .domain = { (const uint8_t *)"here.test", 9 } };
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_RESOLVE, NULL, &arg, &asked), MAILSRV_OK);
    turns(w);
    w->inbox = ((const mailsrv_resolved *)mailsrv_asked_answer(asked)->value)->destinations[0].mailbox;
    mailsrv_asked_free(asked);
}

static void end(struct world *w)
{
    turns(w);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_MAILBOXES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_STORES), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    assert_int_equal(w->from.live, 0);
    assert_null(w->from.fault);
    mailsrv_store_free(w->store);
}

static int32_t open_view(struct world *w, struct view *view)
{
    int32_t status = mailsrv__view_open(view, w->engine, &w->account, &w->inbox, woken);
    if (status != MAILSRV_OK)
        return status;
    turns(w);
    status = mailsrv__view_status(view);
    if (status == MAILSRV_OK)
        mailsrv__view_select(view);
    else
        mailsrv__view_close(view);
    return status;
}

/* A mailbox of the test's own, for changes from outside. */
struct box {
    mailsrv_asked *store, *mbox;
    uint64_t handle;
};

static struct box open_box(struct world *w)
{
    struct box box;
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_STORE_OPEN, &w->account, &arg, &box.store), MAILSRV_OK);
    turns(w);
    mailsrv_arg_mbox_open open = { .size = sizeof open, .mailbox = w->inbox };
    open.store = ((const mailsrv_store_opened *)mailsrv_asked_answer(box.store)->value)->store;
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_MBOX_OPEN, &w->account, &open, &box.mbox), MAILSRV_OK);
    turns(w);
    box.handle = ((const mailsrv_mbox_opened *)mailsrv_asked_answer(box.mbox)->value)->mbox;
    return box;
}

static void shut_box(struct world *w, struct box *box)
{
    mailsrv_asked_free(box->mbox);
    turns(w);
    mailsrv_asked_free(box->store);
    turns(w);
}

static void change(struct world *w, int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    assert_int_equal(mailsrv_ask(w->engine, kind, &w->account, arg, &asked), MAILSRV_OK);
    turns(w);
    assert_int_equal(mailsrv_asked_answer(asked)->status, MAILSRV_OK);
    mailsrv_asked_free(asked);
}

static void expunge(struct world *w, mailsrv_run run)
{
    struct box box = open_box(w);
    mailsrv_arg_expunge arg = { sizeof arg, 0, box.handle, &run, 1, 0, { { 0 } } };
    change(w, MAILSRV_OP_EXPUNGE, &arg);
    shut_box(w, &box);
}

static bool next(struct view *view, struct told *told)
{
    uint32_t units = UINT32_MAX;
    return mailsrv__view_next(view, &units, told);
}

/* ---- Tests ---- */

static void test_large_mailbox_in_slices(void **state)
{
    struct world w;
    struct view first, second;
    struct told told;
    (void)state;
    begin(&w, 20000, UINT64_C(64) << 20);
    find_inbox(&w);
    assert_int_equal(open_view(&w, &first), MAILSRV_OK);
    assert_int_equal(mailsrv__view_exists(&first), 20000);
    uint64_t before = mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY);
    assert_int_equal(open_view(&w, &second), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY), before); /* the image is there already */
    expunge(&w, (mailsrv_run){ 5001, 15000 });
    mailsrv__view_sync(&second);
    turns(&w);
    assert_int_equal(mailsrv__view_exists(&second), 20000);
    second.qresync = true;
    assert_true(mailsrv__view_tell(&second, TELLS_ALL));
    assert_true(next(&second, &told));
    assert_int_equal(told.kind, TOLD_VANISHED);
    assert_int_equal(told.uids.first, 5001);
    assert_int_equal(told.uids.last, 15000);
    assert_false(next(&second, &told));
    assert_int_equal(mailsrv__view_exists(&second), 10000);
    assert_int_equal(mailsrv__view_uid(&second, 5001), 15001);
    assert_int_equal(mailsrv__view_number(&first, 15001), 15001);
    assert_true(mailsrv__view_is_gone(&first, 5001));
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_STEP_UNITS_PEAK) <= 300);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_ALLOCATION_PEAK) <= 65536);
    mailsrv__view_close(&first);
    mailsrv__view_close(&second);
    end(&w);
}

/* 3,000 expunges, each with the number 1, a hundred in a slice. */
static void test_telling_goes_in_slices(void **state)
{
    struct world w;
    struct view view;
    struct told told;
    uint32_t n = 0, slices = 0;
    (void)state;
    begin(&w, 3000, UINT64_C(64) << 20);
    find_inbox(&w);
    assert_int_equal(open_view(&w, &view), MAILSRV_OK);
    expunge(&w, (mailsrv_run){ 1, 3000 });
    mailsrv__view_sync(&view);
    turns(&w);
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
    end(&w);
}

/* VANISHED begins at UID 1, and 0 is no UID (RFC 9051 section 9). */
static void test_the_first_uid_vanishes(void **state)
{
    struct world w;
    struct view view;
    struct told told;
    (void)state;
    begin(&w, 3, UINT64_C(64) << 20);
    find_inbox(&w);
    assert_int_equal(open_view(&w, &view), MAILSRV_OK);
    view.qresync = true;
    expunge(&w, (mailsrv_run){ 1, 1 });
    mailsrv__view_sync(&view);
    turns(&w);
    assert_true(mailsrv__view_tell(&view, TELLS_FLAGS));
    assert_false(next(&view, &told));
    assert_int_equal(mailsrv__view_exists(&view), 3);
    assert_true(mailsrv__view_highest(&view) < view.image->upto);
    assert_true(mailsrv__view_tell(&view, TELLS_ALL));
    assert_true(next(&view, &told));
    assert_int_equal(told.uids.first, 1);
    assert_int_equal(told.uids.last, 1);
    assert_false(next(&view, &told));
    assert_int_equal(mailsrv__view_highest(&view), view.image->upto);
    mailsrv__view_close(&view);
    end(&w);
}

/* Another UIDVALIDITY ends the image; the next view gets a new one. */
static void test_new_uidvalidity_ends_it(void **state)
{
    struct world w;
    struct view view, after;
    (void)state;
    begin(&w, 3, UINT64_C(64) << 20);
    find_inbox(&w);
    assert_int_equal(open_view(&w, &view), MAILSRV_OK);
    mailsrv_memory_account_u64(w.store, &w.account, MAILSRV_MEMORY_UIDNEXT, UINT32_MAX);
    assert_int_equal(mailsrv_memory_append(w.store, &w.account, "x", 1), MAILSRV_OK);
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_OK);
    assert_int_equal(mailsrv_notify(w.engine, &w.inbox, 0), MAILSRV_OK);
    turns(&w);
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_NONEXISTENT);
    assert_false(mailsrv__view_tell(&view, TELLS_ALL));
    assert_int_equal(open_view(&w, &after), MAILSRV_OK);
    assert_int_equal(mailsrv__view_exists(&after), 4);
    mailsrv__view_close(&after);
    mailsrv__view_close(&view);
    end(&w);
}

/* A poke that tells nothing new asks nothing; one that does, or does not say, asks. */
static void test_a_poke(void **state)
{
    struct world w;
    struct view view;
    mailsrv_id other = { { 9 } };
    (void)state;
    begin(&w, 3, UINT64_C(64) << 20);
    find_inbox(&w);
    assert_int_equal(open_view(&w, &view), MAILSRV_OK);
    uint64_t answered = mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_ANSWERED);
    mailsrv_notify(w.engine, &w.inbox, view.image->upto);
    mailsrv_notify(w.engine, &other, 0);
    turns(&w);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_ANSWERED), answered);
    mailsrv_notify(w.engine, &w.inbox, view.image->upto + 1);
    turns(&w);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_ANSWERED), answered + 1);
    assert_int_equal(mailsrv_notify(NULL, &w.inbox, 0), MAILSRV_E_USAGE);
    mailsrv__view_close(&view);
    end(&w);
}

/* Flags and copies are told to the host's other engines, as expunges are. */
static void test_changes_are_noticed(void **state)
{
    struct world w;
    const mailsrv_op *op;
    mailsrv_run run = { 1, 2 };
    (void)state;
    begin(&w, 3, UINT64_C(64) << 20); /* the last one has modseq 4 */
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_NOTICE_CHANGED, NULL, NULL), MAILSRV_OK);
    find_inbox(&w);
    struct box box = open_box(&w);
    mailsrv_arg_flags flags = { .size = sizeof flags, .how = MAILSRV_FLAGS_ADD, .mbox = box.handle, .uids = &run,
                                .n_uids = 1, .flags = MAILSRV_FLAG_SEEN, .unchanged_since = UINT64_MAX };
    change(&w, MAILSRV_OP_FLAGS, &flags);
    assert_int_equal(mailsrv_engine_next_op(w.engine, &op), MAILSRV_OK);
    assert_int_equal(((const mailsrv_arg_changed *)op->arg)->modseq, 5);
    change(&w, MAILSRV_OP_FLAGS, &flags); /* nothing changes */
    assert_int_equal(mailsrv_engine_next_op(w.engine, &op), MAILSRV_E_CLOSED);
    mailsrv_arg_copy copy = { .size = sizeof copy, .n_uids = 1, .mbox = box.handle, .uids = &run, .to = w.inbox };
    change(&w, MAILSRV_OP_COPY, &copy);
    assert_int_equal(mailsrv_engine_next_op(w.engine, &op), MAILSRV_OK);
    assert_int_equal(((const mailsrv_arg_changed *)op->arg)->modseq, 6);
    assert_memory_equal(&((const mailsrv_arg_changed *)op->arg)->mailbox, &w.inbox, sizeof w.inbox);
    shut_box(&w, &box);
    end(&w);
}

/* 300 changes of one message, more than the journal holds: told once, as the row is. */
static void test_a_view_falls_off_the_journal(void **state)
{
    struct world w;
    struct view view, lazy;
    struct told told;
    mailsrv_run run = { 2, 2 };
    (void)state;
    begin(&w, 3, UINT64_C(64) << 20);
    find_inbox(&w);
    struct box box = open_box(&w);
    assert_int_equal(open_view(&w, &view), MAILSRV_OK);
    assert_int_equal(open_view(&w, &lazy), MAILSRV_OK);
    for (uint32_t i = 0; i < 300; i++) {
        mailsrv_arg_flags arg = { .size = sizeof arg, .how = MAILSRV_FLAGS_SET, .mbox = box.handle, .uids = &run,
                                  .n_uids = 1, .flags = 1 + i % 2, .unchanged_since = UINT64_MAX };
        change(&w, MAILSRV_OP_FLAGS, &arg);
        mailsrv__view_sync(&view);
        turns(&w);
        assert_true(mailsrv__view_tell(&view, TELLS_FLAGS));
        assert_true(next(&view, &told));
        assert_int_equal(told.marks.flags, 1 + i % 2);
        assert_false(next(&view, &told));
    }
    assert_true(mailsrv__view_tell(&lazy, TELLS_FLAGS));
    assert_true(next(&lazy, &told));
    assert_int_equal(told.kind, TOLD_FETCH);
    assert_int_equal(told.number, 2);
    assert_int_equal(told.marks.flags, 2);
    assert_false(next(&lazy, &told));
    assert_true(mailsrv__view_tell(&lazy, TELLS_FLAGS));
    assert_false(next(&lazy, &told));
    mailsrv__view_close(&lazy);
    mailsrv__view_close(&view);
    shut_box(&w, &box);
    end(&w);
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
    begin(&w, 3, UINT64_C(64) << 20);
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_ROWS, stands_still, NULL), MAILSRV_OK);
    find_inbox(&w);
    assert_int_equal(open_view(&w, &view), MAILSRV_CORRUPT);
    end(&w);
}

/* Images have three quarters of the engine's memory: what cannot fit is refused before the first row. */
static void test_too_large_for_the_engine(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    begin(&w, 20000, 200000);
    find_inbox(&w);
    assert_int_equal(open_view(&w, &view), MAILSRV_LIMIT);
    end(&w);
}

/* A live image that cannot grow says so, and goes; it takes nobody along. */
static void test_it_cannot_grow(void **state)
{
    struct world w;
    struct view view;
    const mailsrv_event *event;
    int32_t what = 0;
    (void)state;
    begin(&w, 9000, 200000);
    find_inbox(&w);
    assert_int_equal(open_view(&w, &view), MAILSRV_OK);
    for (uint32_t i = 0; i < 12000; i++)
        assert_int_equal(mailsrv_memory_append(w.store, &w.account, "x", 1), MAILSRV_OK);
    mailsrv__view_sync(&view);
    turns(&w);
    assert_true(mailsrv__view_synced(&view));
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_NOMEM);
    while (mailsrv_engine_next_event(w.engine, &event) == MAILSRV_OK)
        what = event->what;
    assert_int_equal(what, MAILSRV_EVENT_OUT_OF_MEMORY);
    mailsrv__view_close(&view);
    end(&w);
}

/* One scenario with each allocation failing in turn: it is told, or refused, and nothing is left behind. */
static void scenario(struct world *w)
{
    struct view view;
    struct told told;
    if (open_view(w, &view) != MAILSRV_OK)
        return;
    mailsrv_memory_append(w->store, &w->account, "x", 1);
    mailsrv__view_sync(&view);
    turns(w);
    assert_true(mailsrv__view_synced(&view));
    if (mailsrv__view_tell(&view, TELLS_ALL))
        while (next(&view, &told))
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
        begin(&w, 40, UINT64_C(64) << 20);
        find_inbox(&w);
        w.from.failed = false;
        w.from.fail_first = w.from.fail_last = w.from.calls + 1 + n;
        scenario(&w);
        failed = w.from.failed;
        end(&w);
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
        begin(&w, 600, UINT64_C(64) << 20);
        find_inbox(&w);
        mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_LATE, 1);
        assert_int_equal(mailsrv__view_open(&view, w.engine, &w.account, &w.inbox, woken), MAILSRV_OK);
        turns(&w);
        for (uint32_t i = 0; i < answers; i++) {
            mailsrv_memory_answer(w.store, 1);
            turns(&w);
        }
        mailsrv__view_close(&view);
        assert_int_equal(mailsrv_engine_free(w.engine, MAILSRV_ABANDON), MAILSRV_OK);
        assert_int_equal(w.from.live, 0);
        assert_null(w.from.fault);
        mailsrv_store_free(w.store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_mailbox_in_slices),  cmocka_unit_test(test_telling_goes_in_slices),
        cmocka_unit_test(test_the_first_uid_vanishes),   cmocka_unit_test(test_new_uidvalidity_ends_it),
        cmocka_unit_test(test_a_poke),                   cmocka_unit_test(test_changes_are_noticed),
        cmocka_unit_test(test_too_large_for_the_engine),
        cmocka_unit_test(test_it_cannot_grow),           cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_an_engine_is_given_up),    cmocka_unit_test(test_a_view_falls_off_the_journal),
        cmocka_unit_test(test_a_cursor_that_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
