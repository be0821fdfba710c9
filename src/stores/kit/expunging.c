/* EXPUNGE: what goes, what stays, and what is said of it. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3)

static bool filled(struct kit *k, struct box *box, mailsrv_result *results, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!mailsrv__kit_deliver(k, 0, 0, 70 + i, 100, &results[i]))
            return false;
    return mailsrv__kit_open(k, 0, 0, box);
}

static bool expunge(struct kit *k, const struct box *box, uint32_t uid, uint64_t *modseq)
{
    int32_t status = mailsrv__kit_expunge(k, box, uid, uid, 0, modseq);
    return mailsrv__kit_expect_status(k, status, MAILSRV_OK, "EXPUNGE");
}

static void named_ones(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result results[3];
    uint64_t modseq;
    if (!filled(k, &box, results, 3) || !expunge(k, &box, results[1].uid, &modseq) ||
        !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_find(&list, results[1].uid) == NULL, "an expunged message is still there");
    mailsrv__kit_expect(k,
                        mailsrv__kit_find(&list, results[0].uid) != NULL &&
                            mailsrv__kit_find(&list, results[2].uid) != NULL,
                        "EXPUNGE took a message that it did not name");
}

static void only_deleted(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result results[2];
    uint64_t modseq;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.flags = MAILSRV_FLAG_DELETED;
    if (!mailsrv__kit_deliver(k, 0, 0, 73, 100, &results[0]) ||
        !mailsrv__kit_send(k, 0, &target, 73, 100, &results[1]) || !mailsrv__kit_open(k, 0, 0, &box))
        return;
    int32_t status = mailsrv__kit_expunge(k, &box, results[0].uid, results[1].uid, 1, &modseq);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "EXPUNGE with only_deleted") ||
        !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_find(&list, results[0].uid) != NULL, "only_deleted took one without \\Deleted");
    mailsrv__kit_expect(k, mailsrv__kit_find(&list, results[1].uid) == NULL, "only_deleted left one with \\Deleted");
}

static void twice(struct kit *k)
{
    struct box box;
    mailsrv_result result;
    uint64_t modseq;
    if (!filled(k, &box, &result, 1) || !expunge(k, &box, result.uid, &modseq))
        return;
    mailsrv__kit_expect(k, modseq != 0, "EXPUNGE of a message has no modseq");
    int32_t status = mailsrv__kit_expunge(k, &box, result.uid, result.uid, 0, &modseq);
    mailsrv__kit_expect_status(k, status, MAILSRV_OK, "EXPUNGE of what is gone");
    mailsrv__kit_expect(k, modseq == 0, "EXPUNGE of what is gone has a modseq");
}

static void modseq_above(struct kit *k)
{
    struct box box;
    mailsrv_result results[2];
    uint64_t modseq;
    if (filled(k, &box, results, 2) && expunge(k, &box, results[0].uid, &modseq))
        mailsrv__kit_expect(k, modseq > results[1].modseq && modseq > box.opened.modseq,
                            "the modseq of EXPUNGE is not above all before");
}

static void gone(struct kit *k)
{
    struct box box;
    mailsrv_result result;
    mailsrv_asked *question;
    uint64_t modseq;
    if (!filled(k, &box, &result, 1) || !expunge(k, &box, result.uid, &modseq))
        return;
    mailsrv_arg_read arg = { sizeof arg, result.uid, box.handle, 0, 0, 0, 100, 0 };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_READ, &box.account, &arg, &question);
    if (answer != NULL)
        mailsrv__kit_expect_status(k, answer->status, MAILSRV_GONE, "READ of an expunged message");
}

const struct check mailsrv__kit_expunging[] = {
    { "EXPUNGE takes what it names", POP3, named_ones },
    { "only_deleted spares the others", POP3, only_deleted },
    { "EXPUNGE of what is gone is no error", POP3, twice },
    { "EXPUNGE has a modseq above all before", POP3, modseq_above },
    { "an expunged message is GONE", POP3, gone },
    { NULL, 0, NULL },
};
