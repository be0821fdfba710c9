/* A mailbox of a million messages: loading, flags over all, expunging a tenth and telling it go in slices while another
 * session has its turn, counted in units; and no allocation is above 64 KiB.  A mailbox of 10,000 in a static block. */
#include "mailbox/view.h"

#include "allocators.h"
#include "large.h"

#include <mailsrv/ask.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BIG, SMALL, SMALL_MESSAGES = 5, ALLOCATION_MAX = 65536, SLICE_MAX = 400 };
enum { TURN_UNITS = 2000, UIDS_OF_ONE = 4096 };

static uint32_t n_messages(void)
{
    const char *value = getenv("LARGE_MESSAGES");
    return value == NULL ? 1000000 : (uint32_t)strtoul(value, NULL, 10);
}

/* ---- An allocator that has nothing above 64 KiB ---- */

static uint64_t octets_live, too_large;

static void *take(void *user, size_t n)
{
    (void)user;
    too_large += n > ALLOCATION_MAX;
    void *p = n > ALLOCATION_MAX ? NULL : malloc(n);
    octets_live += p == NULL ? 0 : n;
    return p;
}

static void give(void *user, void *p, size_t n)
{
    (void)user;
    octets_live -= n;
    free(p);
}

/* ---- The world: a large mailbox, a small one, and somebody who always has work ---- */

struct world {
    struct large store;
    mailsrv_engine *engine;
    struct work busy;
    uint64_t turns; /* of `busy` */
    int64_t now_us;
};

static struct world world;

static int work(struct work *busy, uint32_t units)
{
    (void)busy;
    (void)units;
    world.turns++;
    return 1;
}

static void begin(uint32_t messages, const mailsrv_allocator *from, uint64_t memory_max)
{
    const uint32_t n[] = { messages, SMALL_MESSAGES };
    mailsrv_config *config;
    memset(&world, 0, sizeof world);
    large_init(&world.store, n);
    assert_int_equal(mailsrv_config_new(from, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, memory_max), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &world.engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(large_bind(&world.store, world.engine), MAILSRV_OK);
    world.busy.run = work;
    mailsrv__list_init(&world.busy.ring);
}

/* One turn of the host's loop.  Whoever has work beside the mailboxes has his share of it. */
static void turn(void)
{
    uint64_t before = world.turns;
    world.now_us += 1000;
    mailsrv_engine_advance(world.engine, world.now_us, world.now_us);
    mailsrv_engine_turn(world.engine, TURN_UNITS);
    if (!mailsrv__list_empty(&world.busy.ring))
        assert_true(world.turns - before >= TURN_UNITS / SLICE_MAX / 2);
}

static void settle(void)
{
    mailsrv__list_remove(&world.busy.ring);
    while (mailsrv_engine_next_deadline(world.engine) <= world.now_us)
        turn();
}

static void end(void)
{
    settle();
    assert_int_equal(world.store.open, 0);
    for (int i = 0; i < LARGE_BOXES; i++)
        assert_int_equal(world.store.boxes[i].open, 0);
    assert_int_equal(mailsrv_engine_free(world.engine, 0), MAILSRV_OK);
    large_fini(&world.store);
}

static void woken(struct view *view)
{
    (void)view;
}

static void open_at(struct view *view, uint32_t box)
{
    const mailsrv_id account = { { 7 } }, mailbox = large_id(box);
    assert_int_equal(mailsrv__view_open(view, world.engine, &account, &mailbox, woken), MAILSRV_OK);
}

static void select_it(struct view *view)
{
    while (mailsrv__view_status(view) == MAILSRV_MORE)
        turn();
    assert_int_equal(mailsrv__view_status(view), MAILSRV_OK);
    mailsrv__view_select(view);
}

/* While the large one is at work, somebody at the small one gets from his command to the end of telling in few turns. */
static void small_command(struct view *small)
{
    struct told told;
    int turns = 0;
    uint32_t n = 0, units = TURN_UNITS;
    large_flag_all(&world.store, SMALL, (uint8_t)(1 + world.turns % 2));
    large_flag_all(&world.store, SMALL, (uint8_t)(4 + world.turns % 2));
    mailsrv__view_sync(small);
    for (; !mailsrv__view_synced(small); turns++)
        turn();
    assert_true(turns <= 6);
    assert_true(mailsrv__view_tell(small, TELLS_ALL));
    while (mailsrv__view_next(small, &units, &told))
        n += told.kind == TOLD_FETCH;
    assert_int_equal(n, SMALL_MESSAGES);
}

/* Waits for `view` in turns, with a command at the small mailbox now and then. */
static uint64_t wait_for(struct view *view, struct view *small)
{
    uint64_t turns = 0;
    mailsrv__view_sync(view);
    for (; !mailsrv__view_synced(view); turns++) {
        turn();
        if (turns % 64 == 0)
            small_command(small);
    }
    return turns;
}

static void check_slices(void)
{
    assert_true(mailsrv_engine_stat(world.engine, MAILSRV_STAT_STEP_UNITS_PEAK) <= SLICE_MAX);
    assert_int_equal(too_large, 0);
}

/* ---- A million ---- */

static void load(struct view *big, struct view *small)
{
    uint64_t turns = 0, n = n_messages();
    open_at(small, SMALL);
    select_it(small);
    mailsrv__room_work(world.engine, &world.busy);
    open_at(big, BIG);
    for (; mailsrv__view_status(big) == MAILSRV_MORE; turns++) {
        turn();
        if (turns % 64 == 0)
            small_command(small);
    }
    assert_int_equal(mailsrv__view_status(big), MAILSRV_OK);
    mailsrv__view_select(big);
    assert_int_equal(mailsrv__view_exists(big), n);
    assert_true(turns >= n / TURN_UNITS);
}

/* All that is told to `view`, 256 units at a time, with a turn of the others in between. */
static uint32_t tell_all(struct view *view, enum told_kind kind, uint32_t (*number_of)(uint32_t i))
{
    struct told told;
    uint32_t n = 0, slices = 0;
    assert_true(mailsrv__view_tell(view, TELLS_ALL));
    for (; mailsrv__view_is_telling(view); slices++) {
        uint32_t units = 256;
        while (mailsrv__view_next(view, &units, &told)) {
            if (told.kind != kind)
                continue;
            n++;
            if (told.number != number_of(n))
                fail();
        }
        if (slices % 16 == 0)
            turn();
    }
    assert_true(slices >= n / 256);
    return n;
}

static uint32_t itself(uint32_t i)
{
    return i;
}

static void flags_over_all(struct view *big, struct view *other, struct view *small)
{
    large_flag_all(&world.store, BIG, MAILSRV_FLAG_SEEN);
    assert_true(wait_for(big, small) >= n_messages() / TURN_UNITS);
    uint64_t before = octets_live;
    assert_int_equal(tell_all(big, TOLD_FETCH, itself), n_messages());
    assert_int_equal(tell_all(other, TOLD_FETCH, itself), n_messages());
    assert_true(octets_live <= before + ALLOCATION_MAX);
}

/* The i-th of every tenth, when those before it are gone. */
static uint32_t every_tenth(uint32_t i)
{
    return 10 * i - (i - 1);
}

static void expunge_a_tenth(struct view *big, struct view *other, struct view *small)
{
    uint32_t n = n_messages() / 10;
    large_expunge_every(&world.store, BIG, 10);
    assert_true(wait_for(big, small) >= n / TURN_UNITS);
    assert_int_equal(mailsrv__view_exists(big), n_messages());
    assert_int_equal(tell_all(big, TOLD_EXPUNGE, every_tenth), n);
    assert_int_equal(tell_all(other, TOLD_EXPUNGE, every_tenth), n);
    assert_int_equal(mailsrv__view_exists(big), n_messages() - n);
    assert_int_equal(mailsrv__view_uid(big, 10), 11);
}

static void sizes_of_all(struct view *big, struct view *small)
{
    struct sizes sizes;
    uint64_t turns = 0;
    mailsrv__view_want(big, GROUP_SIZES);
    for (; mailsrv__view_has(big, GROUP_SIZES) == MAILSRV_MORE; turns++) {
        turn();
        if (turns % 64 == 0)
            small_command(small);
    }
    assert_int_equal(mailsrv__view_has(big, GROUP_SIZES), MAILSRV_OK);
    assert_true(turns >= n_messages() / TURN_UNITS / 2);
    for (uint32_t uid = 0; (uid = mailsrv__view_after(big, uid)) != 0;)
        if (!mailsrv__view_sizes(big, uid, &sizes) || sizes.octets != large_octets(uid))
            fail();
}

static void test_a_million_messages(void **state)
{
    const mailsrv_allocator from = { sizeof from, 0, NULL, take, give };
    struct view big, other, small;
    (void)state;
    octets_live = too_large = 0;
    begin(n_messages(), &from, UINT64_C(128) << 20);
    load(&big, &small);
    assert_true(octets_live < UINT64_C(10) * n_messages() + 400000);
    open_at(&other, BIG);
    select_it(&other);
    flags_over_all(&big, &other, &small);
    expunge_a_tenth(&big, &other, &small);
    sizes_of_all(&big, &small);
    check_slices();
    uint64_t rows = world.store.asked[MAILSRV_OP_ROWS];
    mailsrv__view_close(&big);
    mailsrv__view_close(&other);
    settle();
    assert_int_equal(world.store.boxes[BIG].open, 0); /* it is kept without a handle */
    open_at(&big, BIG);
    select_it(&big);
    assert_int_equal(mailsrv__view_exists(&big), n_messages() - n_messages() / 10);
    assert_int_equal(world.store.asked[MAILSRV_OP_ROWS], rows);
    mailsrv__view_close(&big);
    mailsrv__view_close(&small);
    end();
    assert_int_equal(octets_live, 0);
}

/* Wanted while a round is out whose pages do not bring them: at every point of it. */
static void test_sizes_wanted_in_a_round(void **state)
{
    (void)state;
    for (uint32_t units = 1; units < 800; units += 27) {
        struct view view;
        struct sizes sizes;
        begin(600, NULL, UINT64_C(64) << 20);
        open_at(&view, BIG);
        select_it(&view);
        large_append(&world.store, BIG, 600);
        mailsrv__view_sync(&view);
        mailsrv_engine_turn(world.engine, units);
        mailsrv__view_want(&view, GROUP_SIZES);
        mailsrv_engine_turn(world.engine, units * 2);
        large_append(&world.store, BIG, 300);
        mailsrv__view_sync(&view);
        settle();
        mailsrv__view_select(&view);
        assert_int_equal(mailsrv__view_has(&view, GROUP_SIZES), MAILSRV_OK);
        for (uint32_t uid = 1; uid <= 1500; uid++)
            if (!mailsrv__view_sizes(&view, uid, &sizes) || sizes.octets != large_octets(uid))
                fail();
        mailsrv__view_close(&view);
        end();
    }
}

/* ---- Ten thousand in two mebibytes ---- */

static const mailsrv_asked *ask(int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    const mailsrv_id account = { { 7 } };
    assert_int_equal(mailsrv_ask(world.engine, kind, &account, arg, &asked), MAILSRV_OK);
    for (int i = 0; mailsrv_asked_answer(asked) == NULL && i < 100; i++)
        turn();
    assert_int_equal(mailsrv_asked_answer(asked)->status, MAILSRV_OK);
    mailsrv_asked_free(asked);
    return asked;
}

static void change_ten_thousand(struct view *view, struct view *other)
{
    for (uint32_t first = 1; first < 10000; first += UIDS_OF_ONE) {
        const mailsrv_run run = { first, first + UIDS_OF_ONE - 1 };
        const mailsrv_arg_flags arg = { .size = sizeof arg, .how = MAILSRV_FLAGS_ADD, .mbox = BIG + 1, .uids = &run,
                                        .mailbox = large_id(BIG), .n_uids = 1, .flags = MAILSRV_FLAG_FLAGGED,
                                        .unchanged_since = UINT64_MAX };
        ask(MAILSRV_OP_FLAGS, &arg);
    }
    mailsrv__view_sync(view);
    settle();
    assert_int_equal(tell_all(view, TOLD_FETCH, itself), 10000);
    assert_int_equal(tell_all(other, TOLD_FETCH, itself), 10000);
}

static void test_ten_thousand_in_a_static_block(void **state)
{
    static _Alignas(16) uint8_t memory[2 << 20];
    mailsrv_allocator from = { .size = sizeof from };
    struct view view, other;
    (void)state;
    assert_int_equal(mailsrv_block_allocator(memory, sizeof memory, &from), MAILSRV_OK);
    begin(10000, &from, sizeof memory);
    uint64_t caught = guard_caught();
    guard_up();
    open_at(&view, BIG);
    select_it(&view);
    open_at(&other, BIG);
    select_it(&other);
    mailsrv__view_want(&view, GROUP_SIZES);
    settle();
    change_ten_thousand(&view, &other);
    large_expunge_every(&world.store, BIG, 10);
    mailsrv__view_sync(&view);
    settle();
    assert_int_equal(tell_all(&view, TOLD_EXPUNGE, every_tenth), 1000);
    assert_int_equal(tell_all(&other, TOLD_EXPUNGE, every_tenth), 1000);
    assert_int_equal(mailsrv__view_exists(&view), 9000);
    assert_int_equal(mailsrv__view_has(&view, GROUP_SIZES), MAILSRV_OK);
    assert_true(mailsrv_engine_stat(world.engine, MAILSRV_STAT_ALLOCATION_PEAK) <= ALLOCATION_MAX);
    mailsrv__view_close(&view);
    mailsrv__view_close(&other);
    settle();
    guard_down();
    assert_int_equal(guard_caught(), caught);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_million_messages),
        cmocka_unit_test(test_sizes_wanted_in_a_round),
        cmocka_unit_test(test_ten_thousand_in_a_static_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
