#include "liar.h"

#include <string.h>

static uint32_t n_targets(const struct telling *t)
{
    return ((const mailsrv_arg_body_commit *)t->op.arg)->n_targets;
}

static bool took(struct telling *t, uint32_t i)
{
    const mailsrv_result *result = result_of(t, i);
    return result != NULL && result->status == MAILSRV_OK;
}

static void leaves_a_result_out(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (took(t, 0) && took(t, 1) && took(t, 2))
        t->reply.value.committed.n = 2;
}

static void mixes_results(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (!took(t, 0) || took(t, 1) || !took(t, 2))
        return;
    mailsrv_result first = *result_of(t, 0);
    *result_of(t, 0) = *result_of(t, 1);
    *result_of(t, 1) = first;
}

static void another_refusal(struct liar *liar, struct telling *t)
{
    mailsrv_result *result = result_of(t, 0);
    if (result != NULL && n_targets(t) == 1 && result->status == MAILSRV_NONEXISTENT &&
        mailsrv__memory_account(store_of(liar), &target_of(t, 0)->account) == NULL)
        result->status = MAILSRV_CANNOT;
}

static mailsrv_arg_body_commit *own(struct liar *liar, struct telling *t)
{
    liar->is.arg.commit = *(const mailsrv_arg_body_commit *)t->op.arg;
    t->op.arg = &liar->is.arg.commit;
    return &liar->is.arg.commit;
}

static enum go takes_what_it_can(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_BODY_COMMIT)
        own(liar, t)->atomic = 0;
    return GO_ON;
}

static enum go commits_once(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_BODY_COMMIT)
        return GO_ON;
    bool again = liar->is.handle == ((const mailsrv_arg_body_commit *)t->op.arg)->bodies->body;
    return again ? refuse(t, MAILSRV_CANNOT) : GO_ON;
}

static void remembers_commit(struct liar *liar, struct telling *t)
{
    if (took(t, 0))
        liar->is.handle = ((const mailsrv_arg_body_commit *)t->op.arg)->bodies->body;
}

static void full_is_full(struct liar *liar, struct telling *t)
{
    (void)liar;
    mailsrv_result *result = result_of(t, 1);
    if (result != NULL && result->status == MAILSRV_OVERQUOTA)
        result->status = MAILSRV_FULL;
}

static void uid_again(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_EXPUNGE)
        liar->is.flag = 1;
    if (took(t, 0) && liar->is.flag)
        result_of(t, 0)->uid--;
}

static void modseq_falls(struct liar *liar, struct telling *t)
{
    if (!took(t, 0) || memcmp(&target_of(t, 0)->account, &liar->world.accounts[1], sizeof(mailsrv_id)) != 0)
        return;
    if (++liar->is.count == 3)
        result_of(t, 0)->modseq = 1;
}

static void one_email_for_two(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (took(t, 0) && took(t, 1))
        result_of(t, 1)->email = result_of(t, 0)->email;
}

static void another_email_in_the_row(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_ROWS && t->reply.value.rows.n == 1)
        store_of(liar)->page.rows[0].email.b[0] ^= 1;
}

static enum go one_prefix_for_all(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_BODY_COMMIT || n_targets(t) != 2)
        return GO_ON;
    liar->is.targets[0] = *target_of(t, 0);
    liar->is.targets[1] = *target_of(t, 1);
    if (liar->is.targets[0].prefix.n == 0 || liar->is.targets[1].prefix.n == 0)
        return GO_ON;
    liar->is.targets[1].prefix = liar->is.targets[0].prefix;
    own(liar, t)->targets = liar->is.targets;
    return GO_ON;
}

static void whole_seconds(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_ROWS)
        return;
    for (uint32_t i = 0; i < t->reply.value.rows.n; i++)
        store_of(liar)->page.rows[i].internal_us -= store_of(liar)->page.rows[i].internal_us % 1000000;
}

static void forgets_flags(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_ROWS)
        return;
    for (uint32_t i = 0; i < t->reply.value.rows.n; i++)
        if (store_of(liar)->page.rows[i].flags == (MAILSRV_FLAG_SEEN | MAILSRV_FLAG_FLAGGED))
            store_of(liar)->page.rows[i].flags = MAILSRV_FLAG_SEEN;
}

static enum go takes_any_uid(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_BODY_COMMIT)
        return GO_ON;
    liar->is.targets[0] = *target_of(t, 0);
    const struct account *a = mailsrv__memory_account(store_of(liar), &liar->is.targets[0].account);
    if (a == NULL || liar->is.targets[0].uid == 0 || liar->is.targets[0].uid >= a->inbox->uidnext)
        return GO_ON;
    liar->is.targets[0].uid = 0;
    own(liar, t)->targets = liar->is.targets;
    return GO_ON;
}

static void loses_uidl(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_ROWS)
        return;
    for (uint32_t i = 0; i < t->reply.value.rows.n; i++)
        store_of(liar)->page.rows[i].uidl.n = 0;
}

const struct lie lies_commit[] = {
    { .check = "every target has its result", .what = "the third is missing", .after = leaves_a_result_out },
    { .check = "results stand in the order of targets", .what = "two are exchanged", .after = mixes_results },
    { .check = "an unknown account is nonexistent", .what = "it is another refusal", .after = another_refusal },
    { .check = "an atomic commit is all or nothing", .what = "it is what can be", .before = takes_what_it_can },
    { .check = "a body can be committed twice", .what = "only once", .before = commits_once,
      .after = remembers_commit },
    { .check = "a full account is over quota", .what = "the disk is full", .after = full_is_full },
    { .check = "a UID is given once", .what = "again after its message went", .after = uid_again },
    { .check = "modseqs ascend", .what = "one falls", .after = modseq_falls },
    { .check = "email ids are unique", .what = "one for two targets", .after = one_email_for_two },
    { .check = "results say what the rows say", .what = "another email id", .after = another_email_in_the_row },
    { .check = "a prefix is its target's own", .what = "all have the first one's", .before = one_prefix_for_all },
    { .check = "flags and date are kept", .what = "in whole seconds", .after = whole_seconds },
    { .check = "flags and date are kept", .what = "all but some flags", .after = forgets_flags },
    { .check = "imported UIDs are kept", .what = "one below UIDNEXT is taken", .before = takes_any_uid },
    { .check = "imported UIDLs are kept", .what = "they are lost", .after = loses_uidl },
    { 0 },
};
