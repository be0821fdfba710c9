/* BODY_COMMIT: results, and what they say. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3)

static bool same_id(const mailsrv_id *a, const mailsrv_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static void all_results(struct kit *k)
{
    struct staged body;
    mailsrv_result results[3];
    mailsrv_target targets[3] = { mailsrv__kit_to_inbox(k, 0), mailsrv__kit_to_inbox(k, 1),
                                  mailsrv__kit_to_inbox(k, 0) };
    if (!mailsrv__kit_stage(k, 0, 20, 500, PIECE_MAX, &body))
        return;
    int32_t status = mailsrv__kit_commit(k, &body, targets, 3, 0, results);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "BODY_COMMIT"))
        return;
    for (int i = 0; i < 3; i++)
        mailsrv__kit_expect_status(k, results[i].status, MAILSRV_OK, "a result of BODY_COMMIT");
}

static void order_of_results(struct kit *k)
{
    struct staged body;
    mailsrv_result results[3];
    mailsrv_target targets[3] = { mailsrv__kit_to_inbox(k, 0), mailsrv__kit_to_nowhere(k),
                                  mailsrv__kit_to_inbox(k, 1) };
    if (!mailsrv__kit_stage(k, 0, 21, 500, PIECE_MAX, &body))
        return;
    mailsrv__kit_commit(k, &body, targets, 3, 0, results);
    mailsrv__kit_expect_status(k, results[0].status, MAILSRV_OK, "the first of three results");
    mailsrv__kit_expect(k, results[1].status != MAILSRV_OK, "an account that nobody has was given a message");
    mailsrv__kit_expect_status(k, results[2].status, MAILSRV_OK, "the third of three results");
}

static void unknown_account(struct kit *k)
{
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_nowhere(k);
    if (mailsrv__kit_send(k, 0, &target, 22, 100, &result))
        mailsrv__kit_expect_status(k, result.status, MAILSRV_NONEXISTENT, "BODY_COMMIT to an account that nobody has");
}

static void atomic(struct kit *k)
{
    struct staged body;
    uint32_t n = 0;
    mailsrv_result results[2];
    mailsrv_target targets[2] = { mailsrv__kit_to_inbox(k, 0), mailsrv__kit_to_nowhere(k) };
    if (!mailsrv__kit_stage(k, 0, 23, 500, PIECE_MAX, &body))
        return;
    mailsrv__kit_commit(k, &body, targets, 2, 1, results);
    mailsrv__kit_expect(k, results[0].status != MAILSRV_OK && results[1].status != MAILSRV_OK,
                        "an atomic commit took one target and not the other");
    if (mailsrv__kit_count(k, 0, 0, &n))
        mailsrv__kit_expect(k, n == 0, "an atomic commit that failed left a message");
    targets[1] = mailsrv__kit_to_inbox(k, 0);
    mailsrv__kit_commit(k, &body, targets, 2, 1, results);
    mailsrv__kit_expect_status(k, results[0].status, MAILSRV_OK, "an atomic commit, the first result");
    mailsrv__kit_expect_status(k, results[1].status, MAILSRV_OK, "an atomic commit, the second result");
}

/* What failed goes to the queue from the same body, so it is committed twice. */
static void twice(struct kit *k)
{
    struct staged body;
    struct box box;
    struct list list;
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    struct expected message = { "", 24, 600 };
    if (!mailsrv__kit_stage(k, 0, 24, 600, PIECE_MAX, &body))
        return;
    for (int i = 0; i < 2; i++) {
        mailsrv__kit_commit(k, &body, &target, 1, 0, &result);
        if (!mailsrv__kit_expect_status(k, result.status, MAILSRV_OK, "BODY_COMMIT, twice from one body"))
            return;
    }
    mailsrv__kit_drop(k, body.question);
    if (!mailsrv__kit_open(k, 0, 0, &box) || !mailsrv__kit_list(k, &box, ROWS_MAX, &list) ||
        !mailsrv__kit_expect(k, list.n == 2, "two commits did not make two messages"))
        return;
    for (uint32_t i = 0; i < list.n; i++)
        mailsrv__kit_reads_all(k, &box, list.rows[i].uid, &message);
}

static void over_quota(struct kit *k)
{
    struct staged body;
    mailsrv_result results[2];
    uint32_t n = 0;
    mailsrv_target targets[2] = { mailsrv__kit_to_inbox(k, 0), mailsrv__kit_to_inbox(k, 1) };
    int32_t status = k->setup->quota(k->setup->user, 1, 100);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "setting a quota") ||
        !mailsrv__kit_stage(k, 0, 25, 500, PIECE_MAX, &body))
        return;
    mailsrv__kit_commit(k, &body, targets, 2, 0, results);
    mailsrv__kit_expect_status(k, results[0].status, MAILSRV_OK, "BODY_COMMIT to an account with room");
    mailsrv__kit_expect_status(k, results[1].status, MAILSRV_OVERQUOTA, "BODY_COMMIT to a full account");
    if ((k->setup->covers & MAILSRV_KIT_POP3) != 0 && mailsrv__kit_count(k, 0, 1, &n))
        mailsrv__kit_expect(k, n == 0, "a full account was given the message");
}

/* RFC 9051 section 2.3.1.1: ascending, and never used again. */
static void uids(struct kit *k)
{
    struct box box;
    mailsrv_result results[4];
    uint64_t modseq;
    for (int i = 0; i < 3; i++)
        if (!mailsrv__kit_deliver(k, 0, 0, 30, 100, &results[i]))
            return;
    mailsrv__kit_expect(k, results[0].uid != 0, "a UID is 0");
    mailsrv__kit_expect(k, results[0].uid < results[1].uid && results[1].uid < results[2].uid, "UIDs do not ascend");
    if (!mailsrv__kit_open(k, 0, 0, &box))
        return;
    int32_t status = mailsrv__kit_expunge(k, &box, results[2].uid, results[2].uid, 0, &modseq);
    mailsrv__kit_shut(k, &box);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OK, "EXPUNGE") &&
        mailsrv__kit_deliver(k, 0, 0, 30, 100, &results[3]))
        mailsrv__kit_expect(k, results[3].uid > results[2].uid, "the UID of an expunged message is given again");
}

static void modseqs(struct kit *k)
{
    mailsrv_result results[4];
    for (int i = 0; i < 4; i++)
        if (!mailsrv__kit_deliver(k, i % 2, 1, 31, 100, &results[i]))
            return;
    mailsrv__kit_expect(k, results[0].modseq != 0, "a modseq is 0");
    for (int i = 1; i < 4; i++)
        mailsrv__kit_expect(k, results[i - 1].modseq < results[i].modseq, "modseqs do not ascend");
}

static void emails(struct kit *k)
{
    static const mailsrv_id none;
    struct staged body;
    mailsrv_result results[3];
    mailsrv_target targets[2] = { mailsrv__kit_to_inbox(k, 0), mailsrv__kit_to_inbox(k, 1) };
    if (!mailsrv__kit_stage(k, 0, 32, 100, PIECE_MAX, &body))
        return;
    mailsrv__kit_commit(k, &body, targets, 2, 0, results);
    if (!mailsrv__kit_deliver(k, 0, 0, 32, 100, &results[2]))
        return;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < i; j++)
            mailsrv__kit_expect(k, !same_id(&results[i].email, &results[j].email), "two messages have one email id");
    mailsrv__kit_expect(k, !same_id(&results[0].email, &none), "an email id is zero");
}

static void results_are_rows(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result result;
    if (!mailsrv__kit_deliver(k, 0, 0, 33, 100, &result) || !mailsrv__kit_open(k, 0, 0, &box) ||
        !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    const mailsrv_row *row = mailsrv__kit_find(&list, result.uid);
    if (!mailsrv__kit_expect(k, row != NULL, "no row has the UID of the result"))
        return;
    mailsrv__kit_expect(k, row->modseq == result.modseq, "the row has another modseq than the result");
    mailsrv__kit_expect(k, same_id(&row->email, &result.email), "the row has another email id than the result");
    mailsrv__kit_expect(k, box.opened.uidvalidity == result.uidvalidity, "UIDVALIDITY is another than in the result");
}

static void prefixes(struct kit *k)
{
    static const char *const prefixes[2] = { "X-First: one\r\n", "X-Second: the other\r\n" };
    struct staged body;
    struct box box;
    struct list list;
    mailsrv_result results[2];
    mailsrv_target targets[2] = { mailsrv__kit_to_inbox(k, 0), mailsrv__kit_to_inbox(k, 1) };
    if (!mailsrv__kit_stage(k, 0, 34, 300, PIECE_MAX, &body))
        return;
    for (int i = 0; i < 2; i++)
        targets[i].prefix = mailsrv__kit_bytes(prefixes[i]);
    mailsrv__kit_commit(k, &body, targets, 2, 0, results);
    for (uint32_t i = 0; i < 2; i++) {
        struct expected message = { prefixes[i], 34, 300 };
        if (!mailsrv__kit_open(k, 0, i, &box) || !mailsrv__kit_list(k, &box, ROWS_MAX, &list) ||
            !mailsrv__kit_expect(k, list.n == 1, "a target has no message") ||
            !mailsrv__kit_reads_all(k, &box, list.rows[0].uid, &message))
            return;
        mailsrv__kit_shut(k, &box);
    }
}

static void flags_and_date(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.flags = MAILSRV_FLAG_SEEN | MAILSRV_FLAG_FLAGGED;
    target.internal_us = INT64_C(1234567890123456);
    if (!mailsrv__kit_send(k, 0, &target, 35, 100, &result) || !mailsrv__kit_open(k, 0, 0, &box) ||
        !mailsrv__kit_list(k, &box, ROWS_MAX, &list) ||
        !mailsrv__kit_expect(k, list.n == 1, "the message is not there"))
        return;
    mailsrv__kit_expect(k, list.rows[0].flags == target.flags, "the row has other flags");
    mailsrv__kit_expect(k, list.rows[0].internal_us == target.internal_us, "the row has another date of arrival");
}

static void import_uids(struct kit *k)
{
    struct box box;
    mailsrv_result results[3];
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    if (!mailsrv__kit_open(k, 0, 0, &box))
        return;
    target.uid = box.opened.uidnext + 10;
    if (!mailsrv__kit_send(k, 0, &target, 36, 100, &results[0]) ||
        !mailsrv__kit_expect_status(k, results[0].status, MAILSRV_OK, "BODY_COMMIT with a UID"))
        return;
    mailsrv__kit_expect(k, results[0].uid == target.uid, "an imported message has another UID");
    target.uid -= 5;
    if (!mailsrv__kit_send(k, 0, &target, 36, 100, &results[1]))
        return;
    mailsrv__kit_expect_status(k, results[1].status, MAILSRV_ALREADYEXISTS, "BODY_COMMIT with a UID below UIDNEXT");
    if (mailsrv__kit_deliver(k, 0, 0, 36, 100, &results[2]))
        mailsrv__kit_expect(k, results[2].uid > results[0].uid, "a UID is not above the imported one");
}

/* RFC 1939 section 7: a client knows its mail by these. */
static void import_uidl(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.uidl = mailsrv__kit_bytes("00001234.5678abcd");
    if (!mailsrv__kit_send(k, 0, &target, 37, 100, &result) || !mailsrv__kit_open(k, 0, 0, &box) ||
        !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, list.n == 1 && list.rows[0].uidl.n == target.uidl.n, "an imported UIDL is lost");
}

const struct check mailsrv__kit_commits[] = {
    { "every target has its result", MAILSRV_KIT_RECEIVE, all_results },
    { "results stand in the order of targets", MAILSRV_KIT_RECEIVE, order_of_results },
    { "an unknown account is nonexistent", MAILSRV_KIT_RECEIVE, unknown_account },
    { "an atomic commit is all or nothing", POP3 | MAILSRV_KIT_ATOMIC, atomic },
    { "a body can be committed twice", POP3, twice },
    { "a full account is over quota", MAILSRV_KIT_RECEIVE | NEEDS_QUOTA, over_quota },
    { "a UID is given once", POP3, uids },
    { "modseqs ascend", MAILSRV_KIT_RECEIVE, modseqs },
    { "email ids are unique", MAILSRV_KIT_RECEIVE, emails },
    { "results say what the rows say", POP3, results_are_rows },
    { "a prefix is its target's own", POP3, prefixes },
    { "flags and date are kept", POP3, flags_and_date },
    { "imported UIDs are kept", POP3 | MAILSRV_KIT_IMPORT, import_uids },
    { "imported UIDLs are kept", POP3 | MAILSRV_KIT_IMPORT, import_uidl },
    { NULL, 0, NULL },
};
