/* What is seen, by whom, and in what order. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3)
#define SIDE_BY_SIDE 4

struct watch {
    uint32_t uids[ROWS_MAX]; /* seen so far */
    uint32_t n;
    uint32_t uid;
    uint64_t modseq; /* the highest of each seen so far */
};

static bool seen(const struct watch *watch, uint32_t uid)
{
    for (uint32_t i = 0; i < watch->n; i++)
        if (watch->uids[i] == uid)
            return true;
    return false;
}

/* What was not there before is above all that was. */
static bool look(struct kit *k, const struct box *box, struct watch *watch)
{
    struct list list;
    if (!mailsrv__kit_list(k, box, ROWS_MAX, &list))
        return false;
    uint32_t uid = watch->uid;
    uint64_t modseq = watch->modseq;
    for (uint32_t i = 0; i < list.n; i++) {
        const mailsrv_row *row = &list.rows[i];
        if (!seen(watch, row->uid)) {
            if (!mailsrv__kit_expect(k, row->uid > watch->uid && row->modseq > watch->modseq,
                                     "a message appeared below one that was seen before"))
                return false;
            watch->uids[watch->n++] = row->uid;
        }
        uid = row->uid > uid ? row->uid : uid;
        modseq = row->modseq > modseq ? row->modseq : modseq;
    }
    watch->uid = uid;
    watch->modseq = modseq;
    return true;
}

static bool all_answered(const struct commit *commits)
{
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        if (mailsrv_asked_answer(commits[i].question) == NULL)
            return false;
    return true;
}

/* Several commits are out at once; the mailbox is looked at whenever something may have come of one. */
static void in_order(struct kit *k)
{
    struct staged bodies[SIDE_BY_SIDE];
    struct commit commits[SIDE_BY_SIDE];
    struct watch watch;
    struct box box;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    memset(&watch, 0, sizeof watch);
    for (uint32_t i = 0; i < SIDE_BY_SIDE; i++)
        if (!mailsrv__kit_stage(k, (int)i % 2, 90 + i, 100, PIECE_MAX, &bodies[i]))
            return;
    if (!mailsrv__kit_open(k, 0, 0, &box))
        return;
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        if (!mailsrv__kit_ask_commit(k, &bodies[i], &target, 1, 0, &commits[i]))
            return;
    mailsrv__kit_turn(k);
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        if (!look(k, &box, &watch) || mailsrv__kit_wait(k, commits[i].question) == NULL)
            return;
    if (look(k, &box, &watch))
        mailsrv__kit_expect(k, all_answered(commits) && watch.n == SIDE_BY_SIDE, "messages are missing");
}

/* A mailbox that was opened before sees what was stored since. */
static void own_writes(struct kit *k)
{
    struct box box;
    struct list list;
    if (!mailsrv__kit_open(k, 0, 0, &box) || !mailsrv__kit_list(k, &box, ROWS_MAX, &list) ||
        !mailsrv__kit_deliver(k, 0, 0, 94, 100, NULL) || !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, list.n == 1, "a mailbox does not show what was stored since it was opened");
}

static void other_engines(struct kit *k)
{
    uint32_t n = 0;
    if (mailsrv__kit_deliver(k, 0, 0, 95, 100, NULL) && mailsrv__kit_count(k, 1, 0, &n))
        mailsrv__kit_expect(k, n == 1, "another engine does not see a message whose commit was answered");
}

static void expunged_elsewhere(struct kit *k)
{
    struct box here, there;
    struct list list;
    mailsrv_result result;
    uint64_t modseq;
    if (!mailsrv__kit_deliver(k, 0, 0, 96, 100, &result) || !mailsrv__kit_open(k, 0, 0, &here) ||
        !mailsrv__kit_open(k, 1, 0, &there) || !mailsrv__kit_list(k, &there, ROWS_MAX, &list))
        return;
    int32_t status = mailsrv__kit_expunge(k, &here, result.uid, result.uid, 0, &modseq);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "EXPUNGE") ||
        !mailsrv__kit_list(k, &there, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, list.n == 0, "another engine still sees an expunged message");
}

static bool reopen(struct kit *k)
{
    mailsrv__kit_end_engines(k);
    int32_t status = k->setup->reopen(k->setup->user);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OK, "reopening the store"))
        return mailsrv__kit_begin_engines(k);
    return false;
}

/* Acknowledged means kept: what was stored is there, what was expunged is not. */
static void survives(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result results[2];
    uint64_t modseq;
    const struct expected message = { "", 98, 5000 };
    if (!mailsrv__kit_deliver(k, 0, 0, 97, 100, &results[0]) ||
        !mailsrv__kit_deliver(k, 0, 0, message.seed, message.octets, &results[1]) ||
        !mailsrv__kit_open(k, 0, 0, &box))
        return;
    int32_t status = mailsrv__kit_expunge(k, &box, results[0].uid, results[0].uid, 0, &modseq);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "EXPUNGE") || !reopen(k) ||
        !mailsrv__kit_open(k, 0, 0, &box) || !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_find(&list, results[0].uid) == NULL, "an expunged message came back");
    if (mailsrv__kit_expect(k, mailsrv__kit_find(&list, results[1].uid) != NULL, "a message was lost"))
        mailsrv__kit_reads_all(k, &box, results[1].uid, &message);
    mailsrv__kit_expect(k, box.opened.uidvalidity == results[1].uidvalidity, "UIDVALIDITY has changed");
}

const struct check mailsrv__kit_order[] = {
    { "messages appear in order", POP3, in_order },
    { "a mailbox shows what was stored since", POP3, own_writes },
    { "a commit is seen by another engine", POP3, other_engines },
    { "an expunge is seen by another engine", POP3, expunged_elsewhere },
    { "what was acknowledged survives", POP3 | NEEDS_REOPEN, survives },
    { NULL, 0, NULL },
};
