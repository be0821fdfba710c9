/* CHANGES: what appeared, what changed, what vanished; and the mark of what is recent. */
#include "kit.h"

#include <string.h>

#define IMAP (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_IMAP)

/* `n` messages, and the mailbox opened before them. */
static bool filled(struct kit *k, struct box *box, mailsrv_result *results, uint32_t n)
{
    if (!mailsrv__kit_open(k, 0, 0, box))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!mailsrv__kit_deliver(k, 0, 0, 110 + i, 100, &results[i]))
            return false;
    return true;
}

static void new_ones(struct kit *k)
{
    struct box box;
    struct changes changes;
    mailsrv_result results[2];
    if (!filled(k, &box, results, 2) || !mailsrv__kit_changed(k, &box, box.opened.modseq, 50, &changes))
        return;
    for (int i = 0; i < 2; i++) {
        const mailsrv_row *row = mailsrv__kit_find(&changes.list, results[i].uid);
        if (!mailsrv__kit_expect(k, row != NULL, "a new message is not among the changes"))
            return;
        mailsrv__kit_expect(k, row->modseq == results[i].modseq && row->modseq <= changes.upto,
                            "a new message has another modseq than its commit, or one above the end");
    }
}

static void nothing_old(struct kit *k)
{
    struct box box;
    struct changes changes;
    mailsrv_result results[2];
    if (!filled(k, &box, results, 2) || !mailsrv__kit_changed(k, &box, results[1].modseq, 51, &changes))
        return;
    mailsrv__kit_expect(k, changes.list.n == 0, "CHANGES gives a row that has not changed");
    mailsrv__kit_expect(k, changes.upto >= results[1].modseq, "CHANGES ends below what was answered");
}

/* What vanished is told, or the horizon says that it is not. */
static void vanished(struct kit *k)
{
    struct box box;
    struct changes changes;
    mailsrv_result results[3];
    uint64_t modseq;
    if (!filled(k, &box, results, 3))
        return;
    int32_t status = mailsrv__kit_expunge(k, &box, results[0].uid, results[0].uid, 0, &modseq);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "EXPUNGE") ||
        !mailsrv__kit_changed(k, &box, results[2].modseq, 52, &changes))
        return;
    mailsrv__kit_expect(k, changes.horizon > results[2].modseq || mailsrv__kit_vanished(&changes, results[0].uid),
                        "neither is the vanished UID told, nor does the horizon say so");
    mailsrv__kit_expect(k, !mailsrv__kit_vanished(&changes, results[1].uid), "a UID vanished that is there");
}

static void cut(struct kit *k)
{
    struct box box;
    struct changes changes;
    mailsrv_result results[5];
    if (!filled(k, &box, results, 5) || !mailsrv__kit_changed(k, &box, box.opened.modseq, 2, &changes))
        return;
    mailsrv__kit_expect(k, changes.list.n == 5, "changes are missing behind the end of a page");
    for (uint32_t i = 1; i < changes.list.n; i++)
        mailsrv__kit_expect(k, changes.list.rows[i - 1].uid < changes.list.rows[i].uid,
                            "the UIDs of CHANGES do not ascend");
}

static void elsewhere(struct kit *k)
{
    struct box box, there;
    struct changes changes;
    struct flagged flagged;
    mailsrv_result result;
    if (!filled(k, &box, &result, 1) || !mailsrv__kit_open(k, 1, 0, &there))
        return;
    int32_t status = mailsrv__kit_flag(k, &box, (mailsrv_run){ result.uid, result.uid }, MAILSRV_FLAGS_ADD,
                                       MAILSRV_FLAG_SEEN, NULL, UINT64_MAX, &flagged);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "FLAGS") ||
        !mailsrv__kit_changed(k, &there, result.modseq, 53, &changes))
        return;
    const mailsrv_row *row = mailsrv__kit_find(&changes.list, result.uid);
    mailsrv__kit_expect(k, row != NULL && row->flags == MAILSRV_FLAG_SEEN && row->modseq == flagged.modseq,
                        "another engine does not see flags whose change was answered");
}

static void recent(struct kit *k)
{
    struct box first, second;
    mailsrv_result result;
    if (!mailsrv__kit_deliver(k, 0, 0, 119, 100, &result) || !mailsrv__kit_open(k, 0, 0, &first))
        return;
    mailsrv__kit_expect(k, first.opened.recent < result.uid, "a new message is not recent");
    if (mailsrv__kit_open(k, 1, 0, &second))
        mailsrv__kit_expect(k, second.opened.recent >= result.uid, "a message is recent twice");
}

const struct check mailsrv__kit_changes[] = {
    { "CHANGES tells new messages", IMAP, new_ones },
    { "CHANGES tells nothing old", IMAP, nothing_old },
    { "CHANGES tells what vanished, or its horizon", IMAP, vanished },
    { "a page of CHANGES that is cut has a cursor", IMAP, cut },
    { "flags are seen by another engine", IMAP, elsewhere },
    { "a message is recent once", IMAP, recent },
    { NULL, 0, NULL },
};
