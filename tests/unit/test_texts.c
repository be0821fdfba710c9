/* What searches keep, beside a plain array, from a seed: walks and single looks, entries out of order, its share of
 * memory, and what has vanished. */
#include "mailbox/texts.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 20000, FIELD = 3, OTHER = TEXT_FIELDS - 1, MANY = 1000000 };

struct entry {
    uint32_t uid;
    enum text_state state;
    size_t n;
};

static struct entry model[MOST];
static uint32_t n_model;
static char letters[KEPT_OCTETS_MAX + 1];
static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    return (uint32_t)draw(&random_state, n);
}

struct bench {
    struct heap heap;
    struct texts texts;
};

static void set_up(struct bench *b, uint64_t most)
{
    mailsrv__heap_init(&b->heap, mailsrv__malloc(), UINT64_MAX);
    b->heap.max_by[CLASS_TEXTS] = most;
    mailsrv__texts_init(&b->texts, &b->heap, 7);
    n_model = 0;
    random_state = 88172645463325252u;
    for (size_t i = 0; i < sizeof letters; i++)
        letters[i] = (char)('a' + i % 23);
}

static void tear_down(struct bench *b)
{
    mailsrv__texts_clear(&b->texts);
    assert_int_equal(b->heap.used, 0);
}

/* The text of a UID begins with another letter than that of its neighbours. */
static struct span letters_of(uint32_t uid, size_t n)
{
    return (struct span){ letters + uid % 23, n };
}

static void look(struct bench *b, const struct entry *e, struct text_place *place)
{
    struct span text = { NULL, 0 };
    assert_int_equal(mailsrv__texts_find(&b->texts, FIELD, e->uid, place, &text), e->state);
    if (e->state != TEXT_THERE)
        return;
    assert_int_equal(text.n, e->n);
    assert_memory_equal(text.p, letters_of(e->uid, e->n).p, e->n);
}

/* From the first on, each `step`-th of them, and the UIDs between them; and some by themselves. */
static void look_at_all(struct bench *b, uint32_t step)
{
    struct text_place place = { 0, 0, 0 };
    uint32_t before = 0;
    for (uint32_t i = 0; i < n_model; i += step) {
        struct entry none = { model[i].uid - 1, TEXT_UNKNOWN, 0 };
        if (step == 1 && none.uid > before)
            look(b, &none, &place);
        look(b, &model[i], &place);
        before = model[i].uid;
    }
    for (uint32_t i = 0; n_model != 0 && i < 100; i++) {
        struct text_place nowhere = { 0, 0, 0 };
        look(b, &model[below(n_model)], &nowhere);
    }
}

static struct entry any_entry(uint32_t uid)
{
    static const enum text_state states[] = { TEXT_THERE, TEXT_THERE, TEXT_THERE, TEXT_ABSENT, TEXT_ELSEWHERE };
    struct entry e = { uid, states[below(5)], 0 };
    if (e.state == TEXT_THERE)
        e.n = below(20) == 0 ? below(KEPT_OCTETS_MAX - 23) : below(60);
    return e;
}

static bool keep(struct bench *b, const struct entry *e, uint32_t exists)
{
    return mailsrv__texts_keep(&b->texts, FIELD, e->uid, e->state, letters_of(e->uid, e->n), exists);
}

static void add(struct bench *b, uint32_t n, uint32_t gap)
{
    for (uint32_t i = 0; i < n && n_model < MOST; i++) {
        uint32_t last = n_model == 0 ? 0 : model[n_model - 1].uid;
        model[n_model] = any_entry(last + 1 + below(gap));
        assert_true(keep(b, &model[n_model++], MANY));
    }
}

static void test_walks(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, UINT64_MAX);
    for (int round = 0; round < 8; round++) {
        add(&b, 1000, round % 2 == 0 ? 1 : 9);
        look_at_all(&b, 1);
        look_at_all(&b, 1 + below(300));
    }
    assert_true(b.heap.allocation_peak <= 16 * 1024 + 64);
    struct text_place place = { 0, 0, 0 };
    struct span text;
    assert_int_equal(mailsrv__texts_find(&b.texts, OTHER, model[0].uid, &place, &text), TEXT_UNKNOWN);
    tear_down(&b);
}

/* A walk that goes on behind what was kept when it began finds what was kept since. */
static void test_a_walk_that_keeps(void **state)
{
    struct bench b;
    struct text_place place = { 0, 0, 0 };
    (void)state;
    set_up(&b, UINT64_MAX);
    for (int i = 0; i < 2000; i++) {
        struct entry next = { n_model == 0 ? 1 : model[n_model - 1].uid + 1, TEXT_UNKNOWN, 0 };
        look(&b, &next, &place);
        add(&b, 1 + below(40), 1);
        look(&b, &model[n_model - 1], &place);
    }
    look_at_all(&b, 1);
    tear_down(&b);
}

/* What is kept already stays; what was passed over makes it begin anew, and no place of before is taken for one of now. */
static void test_out_of_order(void **state)
{
    struct bench b;
    struct text_place place = { 0, 0, 0 };
    (void)state;
    set_up(&b, UINT64_MAX);
    for (int round = 0; round < 3; round++) {
        add(&b, 3000, 2);
        if (round != 0)
            look(&b, &model[2000 + round], &place);
        look(&b, &model[2500], &place);
        struct entry same = model[1000], passed = { model[1000].uid, TEXT_THERE, 20 };
        assert_true(keep(&b, &same, MANY));
        look_at_all(&b, 1);
        for (uint32_t i = 1000; model[i].uid == passed.uid; i++)
            passed.uid++;
        assert_true(keep(&b, &passed, MANY));
        model[0] = passed;
        n_model = 1;
        look_at_all(&b, 1);
    }
    tear_down(&b);
}

static void test_too_long(void **state)
{
    struct bench b;
    struct text_place place = { 0, 0, 0 };
    (void)state;
    set_up(&b, UINT64_MAX);
    assert_true(mailsrv__texts_keep(&b.texts, FIELD, 5, TEXT_THERE, (struct span){ letters, KEPT_OCTETS_MAX + 1 }, 1));
    look(&b, &(struct entry){ 5, TEXT_ELSEWHERE, 0 }, &place);
    tear_down(&b);
}

/* Where its share ends it keeps what it has, and asks nobody for more. */
static bool give_nothing(void *user)
{
    (void)user;
    fail_msg("something is to be given back for it");
    return false;
}

static void test_its_share(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, 100000);
    b.heap.give_back = give_nothing;
    do
        model[n_model] = any_entry(n_model + 1);
    while (keep(&b, &model[n_model], MANY) && ++n_model < MOST);
    assert_true(n_model > 500 && n_model < MOST);
    assert_true(b.heap.used <= 100000);
    look_at_all(&b, 1);
    tear_down(&b);
}

/* Of a mailbox whose messages go as fast as they come it does not grow. */
static void test_what_has_vanished(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, UINT64_MAX);
    for (uint32_t uid = 1; uid < 100000; uid++) {
        struct entry e = { uid, TEXT_THERE, 40 };
        assert_true(keep(&b, &e, 10));
    }
    assert_true(b.heap.peak < 64 * 1024);
    tear_down(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks),     cmocka_unit_test(test_a_walk_that_keeps), cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_too_long),  cmocka_unit_test(test_its_share),         cmocka_unit_test(test_what_has_vanished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
