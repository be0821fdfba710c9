/* Images that nobody looks at are kept; room is made before rows are asked for; and what is given up when memory ends,
 * in its order. */
#include "mail.h"

enum { PLENTY = 64 << 20 };

/* Questions that are passed on to the store, counted; those for pages must not ask for more than there is room for. */
struct tap {
    mailsrv_store *store;
    const struct view *view; /* that loads; NULL: any number of rows is fine */
    uint32_t rows, changes;
    uint32_t limit; /* of the last page */
    bool too_many;
};

static void look(struct tap *tap, uint32_t limit)
{
    tap->limit = limit;
    if (tap->view != NULL && limit > mailsrv__columns_free(&tap->view->image->columns))
        tap->too_many = true;
}

static void pass_on(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct tap *tap = user;
    if (op->kind == MAILSRV_OP_ROWS) {
        tap->rows++;
        look(tap, ((const mailsrv_arg_rows *)op->arg)->limit);
    } else {
        tap->changes++;
        look(tap, ((const mailsrv_arg_changes *)op->arg)->limit);
    }
    mailsrv_memory_handle(tap->store, engine, op);
}

static void listen(struct world *w, struct tap *tap)
{
    *tap = (struct tap){ .store = w->store };
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_ROWS, pass_on, tap), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_CHANGES, pass_on, tap), MAILSRV_OK);
}

static uint64_t memory(const struct world *w)
{
    return mailsrv_engine_stat(w->engine, MAILSRV_STAT_MEMORY);
}

/* ---- Kept ---- */

/* It holds no handle, and comes back for what has changed, whatever its size. */
static void test_a_kept_image_is_brought_up_to_date(void **state)
{
    struct world w;
    struct view view;
    struct tap tap;
    (void)state;
    mail_begin(&w, 5000, PLENTY);
    listen(&w, &tap);
    mail_find_inbox(&w);
    uint64_t before = memory(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    mailsrv__view_close(&view);
    mail_turns(&w);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_MAILBOXES), 0);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_STORES), 0);
    assert_true(memory(&w) - before > 5000 * 9);
    mail_expunge(&w, (mailsrv_run){ 11, 20 });
    mail_append(&w, 3);
    tap = (struct tap){ .store = w.store };
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    assert_int_equal(tap.rows, 0);
    assert_in_range(tap.changes, 1, 2);
    assert_int_equal(mailsrv__view_exists(&view), 4993);
    assert_int_equal(mailsrv__view_number(&view, 21), 11);
    assert_int_equal(mailsrv__view_uidnext(&view), 5004);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* Nobody waits for it any more, and it is loaded to its end: who comes again finds it. */
static void test_a_load_goes_on(void **state)
{
    struct world w;
    struct view view;
    struct tap tap;
    (void)state;
    mail_begin(&w, 5000, PLENTY);
    listen(&w, &tap);
    mail_find_inbox(&w);
    struct place pat = { w.account, w.inbox };
    assert_int_equal(mailsrv__view_open(&view, w.engine, &pat.account, &pat.inbox, mail_woken), MAILSRV_OK);
    mailsrv_engine_turn(w.engine, 300);
    mailsrv__view_close(&view);
    mail_turns(&w);
    assert_true(tap.rows > 18);
    tap.rows = 0;
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    assert_int_equal(tap.rows, 0);
    assert_int_equal(mailsrv__view_exists(&view), 5000);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* Messages and UIDs of another UIDVALIDITY are others. */
static void test_a_kept_image_of_another_uidvalidity(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    mail_begin(&w, 30, PLENTY);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    uint32_t validity = mailsrv__view_uidvalidity(&view);
    mailsrv__view_close(&view);
    mail_turns(&w);
    mailsrv_memory_account_u64(w.store, &w.account, MAILSRV_MEMORY_UIDNEXT, UINT32_MAX);
    mail_append(&w, 2);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    assert_true(mailsrv__view_uidvalidity(&view) > validity);
    assert_int_equal(mailsrv__view_exists(&view), 32);
    assert_int_equal(mailsrv__view_uid(&view, 32), view.max_uid);
    assert_true(view.max_uid < 100);
    mailsrv__view_close(&view);
    mail_end(&w);
}

struct deleting {
    mailsrv_store *store;
    bool gone;
};

static void open_or_not(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct deleting *deleting = user;
    if (deleting->gone)
        mailsrv_op_answer_status(engine, op->id, MAILSRV_NONEXISTENT);
    else
        mailsrv_memory_handle(deleting->store, engine, op);
}

/* The mailbox was deleted meanwhile: whoever comes is told, and nothing of it stays. */
static void test_a_kept_image_of_a_mailbox_that_is_gone(void **state)
{
    struct world w;
    struct view view;
    struct deleting user = { NULL, false };
    (void)state;
    mail_begin(&w, 5000, PLENTY);
    user.store = w.store;
    assert_int_equal(mailsrv_engine_serve(w.engine, MAILSRV_OP_MBOX_OPEN, open_or_not, &user), MAILSRV_OK);
    mail_find_inbox(&w);
    uint64_t before = memory(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    mailsrv__view_close(&view);
    user.gone = true;
    mail_turns(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_NONEXISTENT);
    mail_turns(&w);
    assert_true(memory(&w) - before < 6000); /* the table of images */
    mail_end(&w);
}

/* Who selects sees what happened before, also where another looks already and nobody poked. */
static void test_select_sees_what_happened_before(void **state)
{
    struct world w;
    struct view first, second;
    (void)state;
    mail_begin(&w, 3, PLENTY);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &first), MAILSRV_OK);
    mail_append(&w, 2);
    assert_int_equal(mail_open(&w, &second), MAILSRV_OK);
    assert_int_equal(mailsrv__view_exists(&second), 5);
    assert_int_equal(mailsrv__view_exists(&first), 3);
    mailsrv__view_close(&first);
    mailsrv__view_close(&second);
    mail_end(&w);
}

/* ---- Room ---- */

/* Of three mailboxes two fit: the one that was left longest ago goes; then, for anything else, the other. */
static void test_the_oldest_goes_first(void **state)
{
    struct world w;
    struct view view;
    struct tap tap;
    (void)state;
    mail_begin(&w, 9000, 300000);
    struct place max = mail_add(&w, "max", 9000), eve = mail_add(&w, "eve", 9000);
    listen(&w, &tap);
    mail_find_inbox(&w);
    mail_find(&w, "max", &max);
    mail_find(&w, "eve", &eve);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    mailsrv__view_close(&view);
    mail_turns(&w);
    assert_int_equal(mail_open_at(&w, &view, &max), MAILSRV_OK);
    mailsrv__view_close(&view);
    mail_turns(&w);
    assert_int_equal(mail_open_at(&w, &view, &eve), MAILSRV_OK);
    assert_int_equal(mailsrv__view_exists(&view), 9000);
    mailsrv__view_close(&view);
    mail_turns(&w);
    tap.rows = 0;
    assert_int_equal(mail_open_at(&w, &view, &max), MAILSRV_OK);
    assert_int_equal(tap.rows, 0);
    mailsrv__view_close(&view);
    mail_turns(&w);
    struct heap *heap = mailsrv__room_heap(w.engine);
    size_t n = (size_t)(heap->max - heap->used) + 1; /* more than is left */
    void *p = mailsrv__heap_take(heap, CLASS_BODIES, NULL, n);
    assert_non_null(p);
    mailsrv__heap_give(heap, CLASS_BODIES, NULL, p, n);
    tap.rows = 0;
    assert_int_equal(mail_open_at(&w, &view, &max), MAILSRV_OK);
    assert_int_equal(tap.rows, 0);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* While somebody looks at the others there is no room: those who wait learn it before a row was asked for. */
static void test_no_room_beside_those_that_are_looked_at(void **state)
{
    struct world w;
    struct view first, second, third;
    struct tap tap;
    (void)state;
    mail_begin(&w, 9000, 300000);
    struct place max = mail_add(&w, "max", 9000), eve = mail_add(&w, "eve", 9000);
    listen(&w, &tap);
    mail_find_inbox(&w);
    mail_find(&w, "max", &max);
    mail_find(&w, "eve", &eve);
    assert_int_equal(mail_open(&w, &first), MAILSRV_OK);
    assert_int_equal(mail_open_at(&w, &second, &max), MAILSRV_OK);
    tap.rows = 0;
    uint64_t before = memory(&w);
    assert_int_equal(mail_open_at(&w, &third, &eve), MAILSRV_LIMIT);
    mail_turns(&w);
    assert_int_equal(tap.rows, 0);
    assert_int_equal(memory(&w), before);
    assert_int_equal(mailsrv__view_status(&first), MAILSRV_OK);
    assert_int_equal(mailsrv__view_status(&second), MAILSRV_OK);
    mailsrv__view_close(&first);
    mail_turns(&w);
    assert_int_equal(mail_open_at(&w, &third, &eve), MAILSRV_OK);
    mailsrv__view_close(&second);
    mailsrv__view_close(&third);
    mail_end(&w);
}

/* No page asks for more rows than there is room for; small mailboxes ask for small ones. */
static void test_pages_ask_for_what_there_is_room_for(void **state)
{
    static const uint32_t sizes[] = { 0, 1, 10, 255, 4096, 5000 };
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct world w;
        struct view view;
        struct tap tap;
        mail_begin(&w, sizes[i], PLENTY);
        listen(&w, &tap);
        mail_find_inbox(&w);
        tap.view = &view;
        assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
        assert_int_equal(mailsrv__view_exists(&view), sizes[i]);
        mail_append(&w, 1000);
        mailsrv__view_sync(&view);
        mail_turns(&w);
        assert_int_equal(view.image->columns.n, sizes[i] + 1000);
        assert_false(tap.too_many);
        assert_true(sizes[i] > 10 || tap.changes > 4);
        assert_int_equal(tap.limit, 256);
        mailsrv__view_close(&view);
        mail_end(&w);
    }
}

static void test_the_share_is_a_key(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    mailsrv_config *config = mail_config(&w, 1000000);
    assert_int_equal(mailsrv_config_set_u64(config, MAILSRV_CONFIG_IMAGES_PERCENT, 0), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_config_set_u64(config, MAILSRV_CONFIG_IMAGES_PERCENT, 91), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_config_set_u64(config, MAILSRV_CONFIG_IMAGES_PERCENT, 4), MAILSRV_OK);
    mail_begin_with(&w, 5000, config);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_LIMIT);
    mail_end(&w);
    config = mail_config(&w, 1000000);
    assert_int_equal(mailsrv_config_set_u64(config, MAILSRV_CONFIG_IMAGES_PERCENT, 6), MAILSRV_OK);
    mail_begin_with(&w, 5000, config);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* ---- Sizes and dates ---- */

static void wait_for_sizes(struct world *w, struct view *view)
{
    assert_int_equal(mailsrv__view_has(view, GROUP_SIZES), MAILSRV_MORE);
    mailsrv__view_want(view, GROUP_SIZES);
    mail_turns(w);
    assert_int_equal(mailsrv__view_has(view, GROUP_SIZES), MAILSRV_OK);
}

/* Loaded when they are wanted first, and once; what comes later brings them along. */
static void test_sizes_are_loaded_when_wanted(void **state)
{
    struct world w;
    struct view view;
    struct sizes sizes;
    struct tap tap;
    mailsrv_row row;
    (void)state;
    mail_begin(&w, 5000, PLENTY);
    listen(&w, &tap);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    assert_false(mailsrv__view_sizes(&view, 1, &sizes));
    uint64_t before = memory(&w);
    wait_for_sizes(&w, &view);
    assert_true(memory(&w) - before >= 5000 * 16);
    for (uint32_t uid = 1; uid <= 5000; uid++) {
        mailsrv_memory_row(w.store, &w.account, uid - 1, &row);
        assert_true(mailsrv__view_sizes(&view, uid, &sizes));
        assert_int_equal(sizes.octets, row.octets);
        assert_int_equal(sizes.internal_us, row.internal_us);
    }
    assert_int_equal(mailsrv_memory_append(w.store, &w.account, "longer", 6), MAILSRV_OK);
    tap.rows = 0;
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_false(mailsrv__view_sizes(&view, 5001, &sizes)); /* it was not told of */
    mailsrv__view_select(&view);
    assert_true(mailsrv__view_sizes(&view, 5001, &sizes));
    assert_int_equal(sizes.octets, 6);
    mail_expunge(&w, (mailsrv_run){ 7, 7 });
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_false(mailsrv__view_sizes(&view, 7, &sizes));
    assert_int_equal(tap.rows, 0);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* In the middle of a page, wherever that is: what was taken of it before is taken again. */
static void test_sizes_that_are_dropped_and_wanted_again(void **state)
{
    struct world w;
    struct view view;
    struct sizes sizes;
    unsigned dropped = 0;
    (void)state;
    mail_begin(&w, 600, PLENTY);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    for (uint32_t units = 1; units < 700; units += 7) {
        mailsrv__view_want(&view, GROUP_SIZES);
        mailsrv_engine_turn(w.engine, units);
        dropped += mailsrv__view_has(&view, GROUP_SIZES) == MAILSRV_MORE;
        mailsrv__group_drop(view.image, MAILSRV_OK);
        wait_for_sizes(&w, &view);
        for (uint32_t uid = 1; uid <= 600; uid++)
            assert_true(mailsrv__view_sizes(&view, uid, &sizes));
        mailsrv__group_drop(view.image, MAILSRV_OK);
    }
    assert_true(dropped > 50);
    mailsrv__view_close(&view);
    mail_end(&w);
}

static void test_sizes_that_the_store_cannot_tell(void **state)
{
    struct world w;
    struct view view;
    struct sizes sizes;
    (void)state;
    mail_begin(&w, 600, PLENTY);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_FAIL_NTH, 2);
    mailsrv__view_want(&view, GROUP_SIZES);
    mail_turns(&w);
    assert_int_equal(mailsrv__view_has(&view, GROUP_SIZES), MAILSRV_TEMP);
    assert_false(mailsrv__view_sizes(&view, 1, &sizes));
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_OK);
    mailsrv__view_want(&view, GROUP_SIZES);
    mail_turns(&w);
    assert_int_equal(mailsrv__view_has(&view, GROUP_SIZES), MAILSRV_OK);
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* ---- Giving up ---- */

/* From now on images get no more, and the room that is there is filled. */
static void use_up(struct world *w, struct view *view)
{
    struct heap *heap = mailsrv__room_heap(w->engine);
    heap->max_by[CLASS_IMAGES] = heap->used_by[CLASS_IMAGES];
    mail_append(w, mailsrv__columns_free(&view->image->columns));
    mailsrv__view_sync(view);
    mail_turns(w);
    assert_int_equal(mailsrv__columns_free(&view->image->columns), 0);
}

static void grow(struct world *w, struct view *view)
{
    mail_append(w, 20);
    mailsrv__view_sync(view);
    mail_turns(w);
    assert_true(mailsrv__view_synced(view));
}

static void flag(struct world *w, uint32_t uid)
{
    mailsrv_run run = { uid, uid };
    struct box box = mail_open_box(w);
    mailsrv_arg_flags arg = { .size = sizeof arg, .how = MAILSRV_FLAGS_ADD, .mbox = box.handle, .mailbox = w->inbox,
                              .uids = &run, .n_uids = 1, .flags = MAILSRV_FLAG_SEEN, .unchanged_since = UINT64_MAX };
    mail_change(w, MAILSRV_OP_FLAGS, &arg);
    mail_shut_box(w, &box);
}

static void sees(struct world *w, struct view *view, uint32_t uid)
{
    flag(w, uid);
    mailsrv__view_sync(view);
    mail_turns(w);
}

static void tells_only(struct view *view, uint32_t uid)
{
    struct told told;
    assert_true(mailsrv__view_tell(view, TELLS_ALL));
    assert_true(mail_next(view, &told));
    assert_int_equal(told.kind, TOLD_FETCH);
    assert_int_equal(told.uid, uid);
    assert_false(mail_next(view, &told));
}

/* A session that said all flags is told what has changed since, by the journal as by the rows. */
static void test_what_was_said_is_not_told(void **state)
{
    struct world w;
    struct view view;
    (void)state;
    mail_begin(&w, 600, PLENTY);
    mail_find_inbox(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    for (int i = 0; i < 2; i++) {
        sees(&w, &view, 5 + 4 * (uint32_t)i);
        struct view_now now = mailsrv__view_now(&view);
        sees(&w, &view, 7 + 4 * (uint32_t)i);
        if (i == 1)
            mailsrv__journal_drop(&view.image->journal);
        mailsrv__view_said_all(&view, now);
        assert_true(view.told == now.modseq);
        tells_only(&view, 7 + 4 * (uint32_t)i);
        mailsrv__view_said_all(&view, now); /* older than what it was told */
        assert_true(view.told > now.modseq);
    }
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* First the sizes, then the journal, then itself; each time it lives on from what that gave. */
static void test_the_order_of_giving_up(void **state)
{
    struct world w;
    struct view view, other;
    struct told told;
    (void)state;
    mail_begin(&w, 2000, PLENTY);
    struct place max = mail_add(&w, "max", 50);
    mail_find_inbox(&w);
    mail_find(&w, "max", &max);
    assert_int_equal(mail_open_at(&w, &other, &max), MAILSRV_OK);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    wait_for_sizes(&w, &view);
    flag(&w, 5);
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_non_null(view.image->journal.v);
    use_up(&w, &view);
    grow(&w, &view);
    assert_int_equal(mailsrv__view_has(&view, GROUP_SIZES), MAILSRV_NOMEM);
    assert_non_null(view.image->journal.v);
    use_up(&w, &view);
    grow(&w, &view);
    assert_null(view.image->journal.v);
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_OK);
    assert_true(mailsrv__view_tell(&view, TELLS_ALL));
    assert_true(mail_next(&view, &told));
    assert_int_equal(told.kind, TOLD_EXISTS);
    assert_true(mail_next(&view, &told)); /* by its row */
    assert_int_equal(told.kind, TOLD_FETCH);
    assert_int_equal(told.uid, 5);
    assert_string_equal(mail_event(&w, MAILSRV_EVENT_OUT_OF_MEMORY).text, "");
    use_up(&w, &view);
    uint64_t octets = mailsrv__image_octets(view.image);
    grow(&w, &view);
    assert_int_equal(mailsrv__view_status(&view), MAILSRV_NOMEM);
    char hex[33], text[121];
    for (size_t i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", w.inbox.b[i]);
    snprintf(text, sizeof text, "the image of mailbox %s, of %llu octets, cannot grow", hex,
             (unsigned long long)octets);
    assert_string_equal(mail_event(&w, MAILSRV_EVENT_OUT_OF_MEMORY).text, text);
    mailsrv__view_sync(&other);
    mail_turns(&w);
    assert_int_equal(mailsrv__view_status(&other), MAILSRV_OK);
    assert_int_equal(mailsrv__view_round(&other), MAILSRV_OK);
    uint64_t before = memory(&w);
    mailsrv__view_close(&view);
    mail_turns(&w);
    assert_true(before - memory(&w) >= octets);
    mailsrv__view_close(&other);
    mail_end(&w);
}

/* One that is kept goes before anything of a live one does. */
static void test_kept_images_go_before_columns(void **state)
{
    struct world w;
    struct view view, other;
    (void)state;
    mail_begin(&w, 2000, PLENTY);
    struct place max = mail_add(&w, "max", 12000);
    mail_find_inbox(&w);
    mail_find(&w, "max", &max);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    wait_for_sizes(&w, &view);
    assert_int_equal(mail_open_at(&w, &other, &max), MAILSRV_OK);
    mailsrv__view_close(&other);
    mail_turns(&w);
    struct heap *heap = mailsrv__room_heap(w.engine);
    heap->max_by[CLASS_IMAGES] = heap->used_by[CLASS_IMAGES];
    mail_append(&w, 1000);
    mailsrv__view_sync(&view);
    mail_turns(&w);
    assert_int_equal(view.image->columns.n, 3000);
    assert_int_equal(mailsrv__view_has(&view, GROUP_SIZES), MAILSRV_OK);
    assert_true(heap->max_by[CLASS_IMAGES] - heap->used_by[CLASS_IMAGES] > 50000); /* what was kept is gone */
    mailsrv__view_close(&view);
    mail_end(&w);
}

/* What searches keep goes before anything else does, what was used longest ago first; and it grows at nobody's cost but
 * that of what others keep. */
static void test_texts_go_first(void **state)
{
    struct world w;
    struct view view, other, kept;
    (void)state;
    mail_begin(&w, 2000, PLENTY);
    struct place max = mail_add(&w, "max", 10), tim = mail_add(&w, "tim", 10);
    mail_find_inbox(&w);
    mail_find(&w, "max", &max);
    mail_find(&w, "tim", &tim);
    assert_int_equal(mail_open_at(&w, &kept, &tim), MAILSRV_OK);
    mailsrv__view_close(&kept);
    mail_turns(&w);
    assert_int_equal(mail_open(&w, &view), MAILSRV_OK);
    assert_int_equal(mail_open_at(&w, &other, &max), MAILSRV_OK);
    struct heap *heap = mailsrv__room_heap(w.engine);
    const uint64_t before = memory(&w);
    heap->max_by[CLASS_TEXTS] = 8000;
    mailsrv__view_keep_text(&other, 1, 1, TEXT_THERE, SPAN("a"));
    assert_non_null(other.image->texts);
    for (uint32_t uid = 1; uid < 2000; uid++)
        mailsrv__view_keep_text(&view, 1, uid, TEXT_THERE, SPAN("what is said"));
    assert_null(other.image->texts);
    assert_non_null(view.image->texts);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_TEXTS_OCTETS) > 4000);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_TEXTS_OCTETS) <= 8000);
    assert_true(heap->give_back(heap->user));
    assert_null(view.image->texts);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_TEXTS_OCTETS), 0);
    assert_int_equal(memory(&w), before); /* the kept image is still there */
    assert_true(heap->give_back(heap->user));
    assert_true(memory(&w) < before);
    assert_false(heap->give_back(heap->user));
    mailsrv__view_close(&view);
    mailsrv__view_close(&other);
    mail_end(&w);
}

/* Each allocation fails in turn while an image is left, kept, opened again, and asked for sizes. */
static void scenario(struct world *w)
{
    struct view view;
    struct sizes sizes;
    for (int i = 0; i < 2; i++) {
        if (mail_open(w, &view) != MAILSRV_OK)
            continue;
        mailsrv__view_want(&view, GROUP_SIZES);
        mail_append(w, 3);
        mailsrv__view_sync(&view);
        mail_turns(w);
        assert_true(mailsrv__view_synced(&view));
        if (mailsrv__view_has(&view, GROUP_SIZES) == MAILSRV_OK)
            for (uint32_t uid = 0; (uid = mailsrv__view_after(&view, uid)) != 0;)
                assert_true(mailsrv__view_sizes(&view, uid, &sizes));
        mailsrv__view_close(&view);
        mail_turns(w);
    }
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    bool failed = true;
    uint64_t n = 0;
    for (; failed; n++) {
        struct world w;
        mail_begin(&w, 40, PLENTY);
        mail_find_inbox(&w);
        w.from.failed = false;
        w.from.fail_first = w.from.fail_last = w.from.calls + 1 + n;
        scenario(&w);
        failed = w.from.failed;
        mail_end(&w);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kept_image_is_brought_up_to_date),
        cmocka_unit_test(test_a_load_goes_on),
        cmocka_unit_test(test_a_kept_image_of_another_uidvalidity),
        cmocka_unit_test(test_a_kept_image_of_a_mailbox_that_is_gone),
        cmocka_unit_test(test_select_sees_what_happened_before),
        cmocka_unit_test(test_the_oldest_goes_first),
        cmocka_unit_test(test_no_room_beside_those_that_are_looked_at),
        cmocka_unit_test(test_pages_ask_for_what_there_is_room_for),
        cmocka_unit_test(test_the_share_is_a_key),
        cmocka_unit_test(test_sizes_are_loaded_when_wanted),
        cmocka_unit_test(test_sizes_that_are_dropped_and_wanted_again),
        cmocka_unit_test(test_sizes_that_the_store_cannot_tell),
        cmocka_unit_test(test_the_order_of_giving_up),
        cmocka_unit_test(test_texts_go_first), cmocka_unit_test(test_what_was_said_is_not_told),
        cmocka_unit_test(test_kept_images_go_before_columns),
        cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
