/* What has gone and was not told yet: bounded while a view rests, found out again when it is used. */
#include "mail.h"

#include "imap/walk.h"

enum { PLENTY = 64 << 20, MESSAGES = 8000 };

/* Every other message, from outside. */
static void expunge_every_other(struct world *w, uint32_t first, uint32_t last)
{
    static mailsrv_run runs[2048];
    while (first <= last) {
        struct box box = mail_open_box(w);
        mailsrv_arg_expunge arg = {
            .size = sizeof arg, .mbox = box.handle, .mailbox = w->inbox, .uids = runs, .n_uids = 0
        };
        for (; arg.n_uids < 2048 && first <= last; first += 2)
            runs[arg.n_uids++] = (mailsrv_run){ first, first };
        mail_change(w, MAILSRV_OP_EXPUNGE, &arg);
        mail_shut_box(w, &box);
    }
}

/* The same by another engine, of which this one learns nothing. */
static void expunge_elsewhere(struct world *w, uint32_t first, uint32_t last)
{
    struct world other = *w;
    assert_int_equal(mailsrv_engine_new(NULL, &other.engine), MAILSRV_OK);
    assert_int_equal(mailsrv_store_bind(w->store, other.engine), MAILSRV_OK);
    expunge_every_other(&other, first, last);
    assert_int_equal(mailsrv_engine_free(other.engine, 0), MAILSRV_OK);
}

static void begin(struct world *w, struct view *view)
{
    mail_begin(w, MESSAGES, PLENTY);
    mail_find_inbox(w);
    assert_int_equal(mail_open(w, view), MAILSRV_OK);
}

static void use(struct world *w, struct view *view)
{
    assert_false(mailsrv__view_use(view));
    mail_turns(w);
    assert_true(mailsrv__view_use(view));
}

/* Every other message is told, with the number that it has then. */
static void tell_all(struct view *view, uint32_t n)
{
    struct told told;
    assert_true(mailsrv__view_tell(view, TELLS_ALL));
    for (uint32_t i = 1; i <= n; i++) {
        assert_true(mail_next(view, &told));
        assert_int_equal(told.kind, TOLD_EXPUNGE);
        assert_int_equal(told.number, i);
    }
    assert_false(mail_next(view, &told));
    assert_int_equal(mailsrv__view_exists(view), MESSAGES - n);
}

static void test_it_is_bounded_while_the_view_rests(void **state)
{
    struct world w;
    struct view view, awake;
    (void)state;
    begin(&w, &view);
    assert_int_equal(mail_open(&w, &awake), MAILSRV_OK);
    uint64_t before = mailsrv__view_highest(&view);
    mailsrv__view_rest(&view);
    expunge_every_other(&w, 1, MESSAGES);
    mail_turns(&w);
    assert_true(view.forgot);
    assert_int_equal(view.gone.count, 0);
    assert_int_equal(awake.gone.count, MESSAGES / 2);
    assert_int_equal(mailsrv__view_exists(&view), MESSAGES);
    assert_int_equal(mailsrv__view_highest(&view), before);
    assert_false(mailsrv__view_tell(&view, TELLS_ALL));
    use(&w, &view);
    for (uint32_t uid = 0, number = 1; (uid = mailsrv__view_after(&view, uid)) != 0; number++) {
        assert_int_equal(uid, number);
        assert_int_equal(mailsrv__view_number(&view, uid), number);
        assert_int_equal(mailsrv__view_uid(&view, number), uid);
        assert_int_equal(mailsrv__view_is_gone(&view, uid), uid % 2);
    }
    tell_all(&view, MESSAGES / 2);
    assert_true(mailsrv__view_highest(&view) > before);
    mailsrv__view_rest(&view);
    assert_false(view.forgot);
    mailsrv__view_close(&view);
    mailsrv__view_close(&awake);
    mail_end(&w);
}

/* A command that tells no expunges leaves them for the next one. */
static void test_forgotten_again(void **state)
{
    struct world w;
    struct view view;
    struct told told;
    (void)state;
    begin(&w, &view);
    mailsrv__view_rest(&view);
    expunge_every_other(&w, 1, MESSAGES / 2);
    mail_turns(&w);
    use(&w, &view);
    assert_true(mailsrv__view_tell(&view, TELLS_FLAGS));
    assert_false(mail_next(&view, &told));
    mailsrv__view_rest(&view);
    assert_true(view.forgot);
    expunge_every_other(&w, MESSAGES / 2 + 1, MESSAGES);
    mail_turns(&w);
    assert_int_equal(mailsrv__view_exists(&view), MESSAGES);
    use(&w, &view);
    tell_all(&view, MESSAGES / 2);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* The store's answer holds what the image was not told of yet: that is still there. */
static void test_the_image_is_behind(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    begin(&w, &view);
    mailsrv__view_rest(&view);
    expunge_every_other(&w, 1, MESSAGES / 2);
    mail_turns(&w);
    expunge_elsewhere(&w, MESSAGES / 2 + 1, MESSAGES);
    use(&w, &view);
    assert_int_equal(view.gone.count, MESSAGES / 4);
    assert_int_equal(mailsrv__view_exists(&view), MESSAGES);
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_int_equal(view.gone.count, MESSAGES / 2);
    tell_all(&view, MESSAGES / 2);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* What came and went while the view rested was never a member. */
static void test_what_was_never_told_is_not_gone(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    begin(&w, &view);
    mailsrv__view_rest(&view);
    expunge_every_other(&w, 1, MESSAGES);
    mail_append(&w, 2);
    mailsrv__view_sync(&view);
    mail_turns(&w);
    mail_expunge(&w, (mailsrv_run){ MESSAGES + 1, MESSAGES + 1 });
    mail_turns(&w);
    use(&w, &view);
    assert_int_equal(mailsrv__view_exists(&view), MESSAGES);
    assert_int_equal(view.gone.count, MESSAGES / 2);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* A round that failed behind its first page left `upto` where it was, and what that page brought was told: the answer
 * since then holds more than what is missing, and nobody can say what.  The session ends rather than be told wrong. */
static void test_it_is_not_the_same_number(void **state)
{
    struct world w;
    struct view view;
    struct told told;
    (void)state;
    begin(&w, &view);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_PAGE_ROWS, 1);
    expunge_elsewhere(&w, 1, 1);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_FAIL_NTH, 3); /* behind an empty page and the one that has it */
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_int_not_equal(mailsrv__view_round(&view), MAILSRV_OK);
    assert_int_equal(view.gone.count, 1);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_PAGE_ROWS, 0);
    assert_true(mailsrv__view_tell(&view, TELLS_ALL));
    assert_true(mail_next(&view, &told));
    assert_int_equal(told.kind, TOLD_EXPUNGE);
    assert_false(mail_next(&view, &told));
    mailsrv__view_rest(&view);
    expunge_every_other(&w, 3, MESSAGES);
    mail_turns(&w);
    assert_false(mailsrv__view_use(&view));
    mail_turns(&w);
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_NOMEM);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* Where the store does not remember that far the session must end; others go on. */
static void test_the_store_forgot_as_well(void **state)
{
    struct world w;
    struct view view, awake;
    (void)state;
    begin(&w, &view);
    assert_int_equal(mail_open(&w, &awake), MAILSRV_OK);
    mailsrv__view_rest(&view);
    expunge_every_other(&w, 1, MESSAGES / 2);
    mail_turns(&w);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_HISTORY, 3);
    expunge_every_other(&w, MESSAGES / 2 + 1, MESSAGES / 2 + 10);
    assert_false(mailsrv__view_use(&view));
    mail_turns(&w);
    assert_false(mailsrv__view_use(&view));
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_NOMEM);
    assert_int_equal(mailsrv__view_status(&awake), MAILSRV_OK);
    mailsrv__view_close(&view);
    mailsrv__view_close(&awake);
    mail_end(&w);
}

/* A question that fails, and a view that leaves while it is out. */
static void test_it_cannot_be_asked(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    begin(&w, &view);
    mailsrv__view_rest(&view);
    expunge_every_other(&w, 1, MESSAGES);
    mail_turns(&w);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_FAIL_NTH, 2);
    assert_false(mailsrv__view_use(&view));
    mail_turns(&w);
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_NOMEM);
    mailsrv__view_close(&view);
    mail_end(&w);
    begin(&w, &view);
    mailsrv__view_rest(&view);
    expunge_every_other(&w, 1, MESSAGES);
    mail_turns(&w);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_LATE, 1);
    assert_false(mailsrv__view_use(&view));
    mail_turns(&w);
    mailsrv__view_close(&view);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_LATE, 0);
    mailsrv_memory_answer(w.store, 10);
    mail_end(&w);
}

static void flag_from_outside(struct world *w, uint32_t uid)
{
    struct box box = mail_open_box(w);
    mailsrv_run run = { uid, uid };
    mailsrv_arg_flags arg = { .size = sizeof arg, .mbox = box.handle, .mailbox = w->inbox, .uids = &run, .n_uids = 1,
                              .how = MAILSRV_FLAGS_ADD, .flags = MAILSRV_FLAG_FLAGGED, .unchanged_since = UINT64_MAX };
    mail_change(w, MAILSRV_OP_FLAGS, &arg);
    mail_shut_box(w, &box);
    mail_turns(w);
}

/* Without all that is gone they would be those of other messages. */
static void assert_no_number_is_used(struct view *view)
{
    mailsrv_run run = { 1000, 1010 };
    struct set set = { &run, 1 };
    struct walk walk;
    struct member member;
    struct told told;
    assert_true(mailsrv__view_is_telling(view));
    assert_false(mail_next(view, &told));
    mailsrv__walk_begin(&walk, view, &set, false);
    assert_int_equal(mailsrv__walk_next(&walk, &member), WALK_END);
}

/* Memory ends while something vanishes: one that rests forgets, one that is in use is cut off, and the image, whose own
 * holes close, lives. */
static void test_memory_ends(void **state)
{
    struct world w;
    struct view resting, used;
    (void)state;
    begin(&w, &resting);
    expunge_every_other(&w, 1, 1000);
    tell_all(&resting, 500);
    assert_int_equal(mail_open(&w, &used), MAILSRV_OK);
    mailsrv__view_rest(&resting);
    flag_from_outside(&w, MESSAGES);
    assert_true(mailsrv__view_tell(&used, TELLS_FLAGS));
    struct heap *heap = mailsrv__room_heap(w.engine);
    uint64_t journal = mailsrv__journal_octets(&used.image->journal); /* which is given up first */
    heap->max_by[CLASS_IMAGES] = heap->used_by[CLASS_IMAGES] - journal + 10000;
    expunge_every_other(&w, 2, 1000);
    mail_turns(&w);
    assert_int_equal(mailsrv__view_status(&used), MAILSRV_NOMEM);
    assert_no_number_is_used(&used);
    assert_int_equal(mailsrv__view_status(&resting), MAILSRV_OK);
    mailsrv__view_close(&used);
    heap->max_by[CLASS_IMAGES] = heap->max;
    mailsrv__view_sync(&resting);
    if (!mailsrv__view_use(&resting))
        mail_turns(&w);
    assert_true(mailsrv__view_use(&resting));
    assert_int_equal(resting.gone.count, 500);
    assert_int_equal(mailsrv__view_exists(&resting), MESSAGES - 500);
    mailsrv__view_close(&resting);
    mail_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_bounded_while_the_view_rests),
        cmocka_unit_test(test_forgotten_again),
        cmocka_unit_test(test_the_image_is_behind),
        cmocka_unit_test(test_what_was_never_told_is_not_gone),
        cmocka_unit_test(test_it_is_not_the_same_number),
        cmocka_unit_test(test_the_store_forgot_as_well),
        cmocka_unit_test(test_it_cannot_be_asked),
        cmocka_unit_test(test_memory_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
