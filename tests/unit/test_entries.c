/* Answers that list names of mailboxes: checked whole, copied whole. */
#include "world.h"

#include <mailsrv/ask.h>

#include <string.h>

#define LIMIT 3

/* Both answers that have entries, as one. */
struct listed {
    const mailsrv_mbox_entry *entries;
    uint32_t n, stride;
};

/* Asks `kind`; the operation is taken. */
static const mailsrv_op *ask(struct world *w, int32_t kind, mailsrv_asked **asked)
{
    mailsrv_arg_mbox_list list = { .size = sizeof list, .limit = LIMIT, .store = 1 };
    mailsrv_arg_changes changes = { .size = sizeof changes, .limit = LIMIT, .store = 1 };
    const void *arg = kind == MAILSRV_OP_MBOX_LIST ? (const void *)&list : &changes;
    assert_int_equal(mailsrv_ask(w->engine, kind, NULL, arg, asked), MAILSRV_OK);
    return next_op(w, kind);
}

static int32_t say_it(struct world *w, const mailsrv_op *op, const struct listed *listed)
{
    static const mailsrv_row row = { .uid = 9 };
    static const mailsrv_run run = { 3, 4 };
    static const mailsrv_bytes word = { (const uint8_t *)"Work", 4 };
    mailsrv_mbox_listed list = { .size = sizeof list,
                                 .entries = listed->entries,
                                 .n = listed->n,
                                 .stride = listed->stride };
    mailsrv_changes changes = { .size = sizeof changes,
                                .rows = &row,
                                .n = 1,
                                .stride = sizeof row,
                                .vanished = &run,
                                .n_vanished = 1,
                                .keywords = &word,
                                .n_keywords = 1,
                                .entries = listed->entries,
                                .n_entries = listed->n,
                                .entry_stride = listed->stride };
    const mailsrv_answer a = { .size = sizeof a,
                               .status = MAILSRV_OK,
                               .value = op->kind == MAILSRV_OP_MBOX_LIST ? (const void *)&list : &changes };
    return mailsrv_op_answer(w->engine, op->id, &a);
}

static struct listed heard(const mailsrv_asked *asked, int32_t kind)
{
    const mailsrv_answer *a = mailsrv_asked_answer(asked);
    assert_non_null(a);
    assert_int_equal(a->status, MAILSRV_OK);
    const mailsrv_mbox_listed *list = a->value;
    const mailsrv_changes *changes = a->value;
    if (kind == MAILSRV_OP_MBOX_LIST)
        return (struct listed){ list->entries, list->n, list->stride };
    assert_int_equal(changes->rows[0].uid, 9);
    assert_int_equal(changes->vanished[0].last, 4);
    assert_memory_equal(changes->keywords[0].p, "Work", 4);
    return (struct listed){ changes->entries, changes->n_entries, changes->entry_stride };
}

static const int32_t kinds[] = { MAILSRV_OP_MBOX_LIST, MAILSRV_OP_CHANGES };

/* Of a newer library, whose entries are longer. */
struct longer {
    mailsrv_mbox_entry entry;
    uint64_t more;
};

static void check_copies(const struct listed *copies)
{
    assert_int_equal(copies->n, 2);
    assert_int_equal(copies->stride, sizeof(mailsrv_mbox_entry));
    assert_int_equal(copies->entries[0].name.n, 5);
    assert_memory_equal(copies->entries[0].name.p, "INBOX", 5);
    assert_int_equal(copies->entries[1].name.n, 3);
    assert_memory_equal(copies->entries[1].name.p, "a/b", 3);
    assert_int_equal(copies->entries[1].modseq, 8);
    assert_int_equal(copies->entries[1].attributes, MAILSRV_NAME_SENT);
    assert_int_equal(copies->entries[1].mailbox.b[15], 7);
}

static void test_entries_are_copied_with_their_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct world w;
        mailsrv_asked *asked;
        char names[] = "INBOXa/b";
        struct longer v[2] = { { { .name = { (uint8_t *)names, 5 } }, 1 },
                               { { .name = { (uint8_t *)names + 5, 3 },
                                   .mailbox = { { [15] = 7 } },
                                   .modseq = 8,
                                   .attributes = MAILSRV_NAME_SENT },
                                 2 } };
        world_begin(&w);
        const mailsrv_op *op = ask(&w, kinds[i], &asked);
        assert_int_equal(say_it(&w, op, &(struct listed){ &v[0].entry, 2, sizeof *v }), MAILSRV_OK);
        memset(names, 'x', sizeof names);
        memset(v, 0xee, sizeof v);
        struct listed copies = heard(asked, kinds[i]);
        check_copies(&copies);
        mailsrv_asked_free(asked);
        world_end(&w);
    }
}

static void test_no_entries_are_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct world w;
        mailsrv_asked *asked;
        world_begin(&w);
        const mailsrv_op *op = ask(&w, kinds[i], &asked);
        assert_int_equal(say_it(&w, op, &(struct listed){ NULL, 0, 0 }), MAILSRV_OK);
        assert_int_equal(heard(asked, kinds[i]).n, 0);
        mailsrv_asked_free(asked);
        world_end(&w);
    }
}

static void test_entries_that_are_none_are_refused(void **state)
{
    static uint8_t text[MAILSRV_MBOX_NAME_MAX + 1] = "a";
    static const mailsrv_mbox_entry good[LIMIT + 1] = { { .name = { text, 1 } },
                                                        { .name = { text, 1 } },
                                                        { .name = { text, 1 } },
                                                        { .name = { text, 1 } } };
    static const mailsrv_mbox_entry empty = { .name = { text, 0 } }, nowhere = { .name = { NULL, 1 } },
                                    too_long = { .name = { text, MAILSRV_MBOX_NAME_MAX + 1 } },
                                    longest = { .name = { text, MAILSRV_MBOX_NAME_MAX } };
    static const struct listed wrong[] = {
        { good, LIMIT + 1, sizeof *good }, /* more than were asked for */
        { NULL, 1, sizeof *good },         /* not there */
        { good, 2, sizeof *good - 8 },     /* too small */
        { &empty, 1, sizeof empty },       /* no name */
        { &nowhere, 1, sizeof nowhere },   /* a name without octets */
        { &too_long, 1, sizeof too_long },
    };
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct world w;
        mailsrv_asked *asked;
        world_begin(&w);
        const mailsrv_op *op = ask(&w, kinds[i], &asked);
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++)
            assert_int_equal(say_it(&w, op, &wrong[j]), MAILSRV_E_USAGE);
        assert_int_equal(say_it(&w, op, &(struct listed){ &longest, 1, sizeof longest }), MAILSRV_OK);
        assert_int_equal(heard(asked, kinds[i]).entries[0].name.n, MAILSRV_MBOX_NAME_MAX);
        mailsrv_asked_free(asked);
        world_end(&w);
    }
}

static void test_entries_without_memory_are_nomem(void **state)
{
    static const mailsrv_mbox_entry entry = { .name = { (const uint8_t *)"a", 1 } };
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct world w;
        mailsrv_asked *asked;
        world_begin(&w);
        const mailsrv_op *op = ask(&w, kinds[i], &asked);
        w.heap.fail_first = w.heap.fail_last = w.heap.calls + 1;
        assert_int_equal(say_it(&w, op, &(struct listed){ &entry, 1, sizeof entry }), MAILSRV_OK);
        assert_int_equal(mailsrv_asked_answer(asked)->status, MAILSRV_NOMEM);
        mailsrv_asked_free(asked);
        world_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_copied_with_their_names),
        cmocka_unit_test(test_no_entries_are_an_answer),
        cmocka_unit_test(test_entries_that_are_none_are_refused),
        cmocka_unit_test(test_entries_without_memory_are_nomem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
