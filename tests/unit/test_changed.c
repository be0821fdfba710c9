/* Notices of what was changed through an engine. */
#include "world.h"

#include <mailsrv/ask.h>

#include <string.h>

enum { GATHERED_AT_LEAST = 4, MANY = 1000 };

static void begin(struct world *w)
{
    world_begin(w);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_NOTICE_CHANGED, NULL, NULL), MAILSRV_OK);
}

static mailsrv_id account_of(uint32_t number)
{
    mailsrv_id id = { { 1 } };
    memcpy(id.b + 4, &number, sizeof number);
    return id;
}

/* An EXPUNGE of the host's own, answered with this modseq. */
static void change(struct world *w, uint32_t number, int32_t status, uint64_t modseq)
{
    mailsrv_asked *asked;
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = 1 };
    mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = modseq };
    mailsrv_id account = account_of(number);
    const mailsrv_op *op = NULL;
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_EXPUNGE, &account, &arg, &asked), MAILSRV_OK);
    while (op == NULL || op->kind != MAILSRV_OP_EXPUNGE)
        assert_int_equal(mailsrv_engine_next_op(w->engine, &op), MAILSRV_OK);
    answer(w, op, status, status == MAILSRV_OK ? &expunged : NULL);
    mailsrv_asked_free(asked);
}

/* Adds a change without taking notices that wait: the question is asked before them. */
static void changes(struct world *w, uint32_t n)
{
    static mailsrv_asked *asked[MANY];
    static const mailsrv_op *ops[MANY];
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = 1 };
    mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = 9 };
    for (uint32_t i = 0; i < n; i++) {
        mailsrv_id account = account_of(i);
        assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_EXPUNGE, &account, &arg, &asked[i]), MAILSRV_OK);
    }
    for (uint32_t i = 0; i < n; i++)
        ops[i] = next_op(w, MAILSRV_OP_EXPUNGE);
    for (uint32_t i = 0; i < n; i++) {
        answer(w, ops[i], MAILSRV_OK, &expunged);
        mailsrv_asked_free(asked[i]);
    }
}

static const mailsrv_arg_changed *next_notice(struct world *w)
{
    const mailsrv_op *op = next_op(w, MAILSRV_NOTICE_CHANGED);
    assert_int_equal(op->id, 0);
    return op->arg;
}

static void test_a_change_is_told(void **state)
{
    struct world w;
    mailsrv_id account = account_of(7);
    (void)state;
    begin(&w);
    no_op(&w);
    change(&w, 7, MAILSRV_OK, 5);
    const mailsrv_arg_changed *changed = next_notice(&w);
    assert_memory_equal(&changed->account, &account, sizeof account);
    assert_int_equal(changed->modseq, 5);
    no_op(&w);
    world_end(&w);
}

static void test_what_changed_nothing_is_not_told(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    change(&w, 7, MAILSRV_OK, 0);
    change(&w, 7, MAILSRV_TEMP, 0);
    no_op(&w);
    world_end(&w);
}

static void test_nobody_is_told_who_did_not_ask(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    change(&w, 7, MAILSRV_OK, 5);
    no_op(&w);
    world_end(&w);
}

/* Changes of one mailbox are gathered: one notice, with the highest. */
static void test_changes_of_one_mailbox_are_gathered(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    mailsrv_asked *asked[3];
    const mailsrv_op *op[3];
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = 1 };
    mailsrv_id account = account_of(7);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mailsrv_ask(w.engine, MAILSRV_OP_EXPUNGE, &account, &arg, &asked[i]), MAILSRV_OK);
    for (int i = 0; i < 3; i++)
        op[i] = next_op(&w, MAILSRV_OP_EXPUNGE);
    for (int i = 0; i < 3; i++) {
        mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = i == 1 ? 20 : 10 };
        answer(&w, op[i], MAILSRV_OK, &expunged);
        mailsrv_asked_free(asked[i]);
    }
    assert_int_equal(next_notice(&w)->modseq, 20);
    no_op(&w);
    world_end(&w);
}

/* Each write is told as what it changed. */
static const mailsrv_id box = { { 3 } }, any = { { 0 } };

union value {
    mailsrv_expunged expunged;
    mailsrv_flagged flagged;
    mailsrv_copied copied;
    mailsrv_mbox_created created;
};

static const struct told {
    int32_t kind;
    union {
        mailsrv_arg_expunge expunge;
        mailsrv_arg_flags flags;
        mailsrv_arg_copy copy;
        mailsrv_arg_mbox_create create;
        mailsrv_arg_mbox_delete remove;
        mailsrv_arg_mbox_rename rename;
        mailsrv_arg_mbox_subscribe subscribe;
    } arg;
    union value value;
    bool has_value;
    bool box, names; /* the notices that it is told by */
    bool any;        /* the first is about no mailbox by its id: those below the renamed one are others */
    uint64_t modseq;
} writes[] = {
    { .kind = MAILSRV_OP_EXPUNGE, .arg.expunge = { .size = sizeof(mailsrv_arg_expunge), .mbox = 1, .mailbox = { { 3 } } },
      .value.expunged = { sizeof(mailsrv_expunged), 0, 5 }, .has_value = true, .box = true, .modseq = 5 },
    { .kind = MAILSRV_OP_FLAGS, .arg.flags = { .size = sizeof(mailsrv_arg_flags), .mbox = 1, .mailbox = { { 3 } } },
      .value.flagged = { .size = sizeof(mailsrv_flagged), .modseq = 6 }, .has_value = true, .box = true, .modseq = 6 },
    { .kind = MAILSRV_OP_COPY, .arg.copy = { .size = sizeof(mailsrv_arg_copy), .mbox = 1, .to = { { 3 } } },
      .value.copied = { .size = sizeof(mailsrv_copied), .modseq = 7 }, .has_value = true, .box = true, .modseq = 7 },
    { .kind = MAILSRV_OP_MBOX_CREATE, .arg.create = { .size = sizeof(mailsrv_arg_mbox_create), .store = 1 },
      .value.created = { .size = sizeof(mailsrv_mbox_created), .modseq = 8 }, .has_value = true, .names = true,
      .modseq = 8 },
    { .kind = MAILSRV_OP_MBOX_DELETE, .arg.remove = { sizeof(mailsrv_arg_mbox_delete), 0, 1, { { 3 } } }, .box = true,
      .names = true },
    { .kind = MAILSRV_OP_MBOX_RENAME, .arg.rename = { .size = sizeof(mailsrv_arg_mbox_rename), .mailbox = { { 3 } } },
      .box = true, .names = true, .any = true },
    { .kind = MAILSRV_OP_MBOX_SUBSCRIBE, .arg.subscribe = { .size = sizeof(mailsrv_arg_mbox_subscribe) },
      .names = true },
};

static void write_once(struct world *w, const struct told *told, int32_t status)
{
    mailsrv_asked *asked;
    mailsrv_id account = account_of(7);
    assert_int_equal(mailsrv_ask(w->engine, told->kind, &account, &told->arg, &asked), MAILSRV_OK);
    bool with_value = told->has_value && status == MAILSRV_OK;
    answer(w, next_op(w, told->kind), status, with_value ? &told->value : NULL);
    mailsrv_asked_free(asked);
}

/* The notice about the names, or about the mailbox, in whatever order they come; NULL: there is none. */
struct notices {
    mailsrv_arg_changed names, box;
    bool has_names, has_box;
};

static struct notices all_notices(struct world *w)
{
    struct notices found = { .has_names = false };
    const mailsrv_op *op;
    while (mailsrv_engine_next_op(w->engine, &op) == MAILSRV_OK && op != NULL) {
        const mailsrv_arg_changed *changed = op->arg;
        bool *has = changed->names ? &found.has_names : &found.has_box;
        assert_int_equal(op->kind, MAILSRV_NOTICE_CHANGED);
        assert_false(*has);
        *has = true;
        *(changed->names ? &found.names : &found.box) = *changed;
    }
    return found;
}

static void check_notice(const mailsrv_arg_changed *changed, const mailsrv_id *mailbox, uint64_t modseq)
{
    mailsrv_id account = account_of(7);
    assert_int_equal(changed->size, sizeof *changed);
    assert_memory_equal(&changed->account, &account, sizeof account);
    assert_memory_equal(&changed->mailbox, mailbox, sizeof *mailbox);
    assert_int_equal(changed->modseq, modseq);
}

static void test_each_write_is_told_as_what_it_changed(void **state)
{
    static const mailsrv_id none;
    (void)state;
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        struct world w;
        begin(&w);
        write_once(&w, &writes[i], MAILSRV_NOPERM);
        no_op(&w);
        write_once(&w, &writes[i], MAILSRV_OK);
        struct notices found = all_notices(&w);
        assert_int_equal(found.has_box, writes[i].box);
        assert_int_equal(found.has_names, writes[i].names);
        if (writes[i].box)
            check_notice(&found.box, writes[i].any ? &any : &box, writes[i].modseq);
        if (writes[i].names)
            check_notice(&found.names, &none, writes[i].modseq);
        world_end(&w);
    }
}

/* Two questions are asked before the first is answered, so that no notice is taken in between. */
static struct notices after(struct world *w, const struct told *first, const struct told *second)
{
    const struct told *told[2] = { first, second };
    mailsrv_id account = account_of(7);
    mailsrv_asked *asked[2];
    const mailsrv_op *op[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(mailsrv_ask(w->engine, told[i]->kind, &account, &told[i]->arg, &asked[i]), MAILSRV_OK);
    for (int i = 0; i < 2; i++)
        op[i] = next_op(w, told[i]->kind);
    for (int i = 0; i < 2; i++) {
        answer(w, op[i], MAILSRV_OK, told[i]->has_value ? &told[i]->value : NULL);
        mailsrv_asked_free(asked[i]);
    }
    return all_notices(w);
}

/* An account's names and its INBOX are two things, both without a mailbox's id. */
static void test_names_are_gathered_apart_from_inbox(void **state)
{
    static const mailsrv_id none;
    struct world w;
    struct told expunge = writes[0];
    (void)state;
    memset(&expunge.arg.expunge.mailbox, 0, sizeof expunge.arg.expunge.mailbox);
    begin(&w);
    struct notices found = after(&w, &writes[3], &expunge);
    assert_true(found.has_names && found.has_box);
    check_notice(&found.names, &none, 8);
    check_notice(&found.box, &none, 5);
    world_end(&w);
}

/* Who has what is known of already asks nothing: so a change whose modseq is not known leaves none that is. */
static void test_what_is_not_known_stays_so(void **state)
{
    (void)state;
    for (int turned = 0; turned < 2; turned++) {
        struct world w;
        begin(&w);
        struct notices found = after(&w, &writes[turned ? 4 : 1], &writes[turned ? 1 : 4]); /* FLAGS and DELETE */
        assert_true(found.has_box && found.has_names);
        check_notice(&found.box, &box, 0);
        found = after(&w, &writes[turned ? 6 : 3], &writes[turned ? 3 : 6]); /* CREATE and SUBSCRIBE */
        assert_true(found.has_names && !found.has_box);
        assert_int_equal(found.names.modseq, 0);
        world_end(&w);
    }
}

static void test_some_mailboxes_are_kept_apart(void **state)
{
    struct world w;
    mailsrv_id none = { { 0 } };
    (void)state;
    begin(&w);
    changes(&w, GATHERED_AT_LEAST);
    for (int i = 0; i < GATHERED_AT_LEAST; i++)
        assert_memory_not_equal(&next_notice(&w)->account, &none, sizeof none);
    no_op(&w);
    world_end(&w);
}

/* More than the engine keeps apart are one notice that means any; then it begins anew. */
static void test_too_many_are_one_that_means_any(void **state)
{
    struct world w;
    mailsrv_id none = { { 0 } };
    (void)state;
    begin(&w);
    changes(&w, MANY);
    const mailsrv_arg_changed *changed = next_notice(&w);
    assert_memory_equal(&changed->account, &none, sizeof none);
    assert_memory_equal(&changed->mailbox, &none, sizeof none);
    no_op(&w);
    change(&w, 7, MAILSRV_OK, 5);
    assert_memory_not_equal(&next_notice(&w)->account, &none, sizeof none);
    no_op(&w);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_is_told),
        cmocka_unit_test(test_what_changed_nothing_is_not_told),
        cmocka_unit_test(test_nobody_is_told_who_did_not_ask),
        cmocka_unit_test(test_changes_of_one_mailbox_are_gathered),
        cmocka_unit_test(test_each_write_is_told_as_what_it_changed),
        cmocka_unit_test(test_names_are_gathered_apart_from_inbox),
        cmocka_unit_test(test_what_is_not_known_stays_so),
        cmocka_unit_test(test_some_mailboxes_are_kept_apart),
        cmocka_unit_test(test_too_many_are_one_that_means_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
