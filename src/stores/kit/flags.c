/* FLAGS and COPY. */
#include "kit.h"

#include <string.h>

#define IMAP (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_IMAP)

static bool filled(struct kit *k, struct box *box, mailsrv_result *results, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!mailsrv__kit_deliver(k, 0, 0, 120 + i, 100, &results[i]))
            return false;
    return mailsrv__kit_open(k, 0, 0, box);
}

static bool flag(struct kit *k, const struct box *box, uint32_t uid, int32_t how, uint32_t flags, struct flagged *out)
{
    int32_t status = mailsrv__kit_flag(k, box, (mailsrv_run){ uid, uid }, how, flags, NULL, UINT64_MAX, out);
    return mailsrv__kit_expect_status(k, status, MAILSRV_OK, "FLAGS");
}

static bool has(struct kit *k, const struct box *box, uint32_t uid, uint32_t flags, uint64_t modseq)
{
    struct list list;
    if (!mailsrv__kit_list(k, box, ROWS_MAX, &list))
        return false;
    const mailsrv_row *row = mailsrv__kit_find(&list, uid);
    return mailsrv__kit_expect(k, row != NULL && row->flags == flags, "a row has other flags than it was given") &&
           mailsrv__kit_expect(k, row->modseq == modseq, "a row has another modseq than its change");
}

static void changes(struct kit *k)
{
    const uint32_t seen = MAILSRV_FLAG_SEEN, deleted = MAILSRV_FLAG_DELETED, draft = MAILSRV_FLAG_DRAFT;
    struct box box;
    struct flagged flagged;
    mailsrv_result results[2];
    if (!filled(k, &box, results, 2))
        return;
    uint32_t uid = results[0].uid;
    if (flag(k, &box, uid, MAILSRV_FLAGS_ADD, seen | deleted, &flagged) &&
        mailsrv__kit_expect(k, flagged.modseq > results[1].modseq, "the modseq of FLAGS is not above all before") &&
        has(k, &box, uid, seen | deleted, flagged.modseq) &&
        flag(k, &box, uid, MAILSRV_FLAGS_REMOVE, seen | draft, &flagged) &&
        has(k, &box, uid, deleted, flagged.modseq) && flag(k, &box, uid, MAILSRV_FLAGS_SET, draft, &flagged) &&
        has(k, &box, uid, draft, flagged.modseq))
        has(k, &box, results[1].uid, 0, results[1].modseq);
}

static void nothing(struct kit *k)
{
    struct box box;
    struct flagged flagged, again;
    mailsrv_result result;
    if (!filled(k, &box, &result, 1) ||
        !flag(k, &box, result.uid, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_SEEN, &flagged) ||
        !flag(k, &box, result.uid, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_SEEN, &again))
        return;
    mailsrv__kit_expect(k, again.modseq == 0, "FLAGS that changes nothing has a modseq");
    has(k, &box, result.uid, MAILSRV_FLAG_SEEN, flagged.modseq);
}

/* What is told of it may be left out, but must be so: the second and third are changed, the first has the flag. */
static void told(struct kit *k)
{
    struct box box;
    struct flagged flagged;
    mailsrv_result results[3];
    if (!filled(k, &box, results, 3) ||
        !flag(k, &box, results[0].uid, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_SEEN, &flagged))
        return;
    const uint64_t before = flagged.modseq;
    const mailsrv_run all = { results[0].uid, results[2].uid };
    int32_t status = mailsrv__kit_flag(k, &box, all, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_SEEN, NULL, UINT64_MAX, &flagged);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "FLAGS") || flagged.n_marked == 0)
        return;
    const mailsrv_marked *marked = &flagged.first_marked;
    mailsrv__kit_expect(k, flagged.since == 0 || (flagged.since >= before && flagged.since < flagged.modseq),
                        "FLAGS says `since` a modseq before the last change, or not before its own");
    mailsrv__kit_expect(k, marked->uids.first == results[1].uid &&
                               (flagged.n_marked == 2 ? marked->uids.last : marked->uids.last - 1) == results[1].uid,
                        "FLAGS says of other messages that it changed them");
    mailsrv__kit_expect(k, marked->flags == MAILSRV_FLAG_SEEN && (marked->keywords[0] | marked->keywords[1]) == 0,
                        "FLAGS says other flags than the messages have now");
}

static void unchanged_since(struct kit *k)
{
    struct box box;
    struct flagged first, flagged;
    mailsrv_result results[2];
    if (!filled(k, &box, results, 2) ||
        !flag(k, &box, results[1].uid, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_SEEN, &first))
        return;
    mailsrv_run both = { results[0].uid, results[1].uid };
    int32_t status = mailsrv__kit_flag(k, &box, both, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_FLAGGED, NULL,
                                       results[1].modseq, &flagged);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "FLAGS with unchanged_since"))
        return;
    mailsrv__kit_expect(k, flagged.n_modified == 1 && flagged.modified[0].first == results[1].uid &&
                               flagged.modified[0].last == results[1].uid,
                        "a row that was changed meanwhile is not told as modified, or another one is");
    if (has(k, &box, results[0].uid, MAILSRV_FLAG_FLAGGED, flagged.modseq))
        has(k, &box, results[1].uid, MAILSRV_FLAG_SEEN, first.modseq);
}

static void keywords(struct kit *k)
{
    struct box box;
    struct flagged flagged;
    struct changes seen;
    mailsrv_result result;
    if (!filled(k, &box, &result, 1))
        return;
    mailsrv_run one = { result.uid, result.uid };
    int32_t first = mailsrv__kit_flag(k, &box, one, MAILSRV_FLAGS_ADD, 0, "$Forwarded", UINT64_MAX, &flagged);
    int32_t second = mailsrv__kit_flag(k, &box, one, MAILSRV_FLAGS_ADD, 0, "Work", UINT64_MAX, &flagged);
    int32_t third = mailsrv__kit_flag(k, &box, one, MAILSRV_FLAGS_REMOVE, 0, "$FORWARDED", UINT64_MAX, &flagged);
    if (!mailsrv__kit_expect_status(k, first, MAILSRV_OK, "FLAGS with a keyword") ||
        !mailsrv__kit_expect_status(k, second, MAILSRV_OK, "FLAGS with a keyword") ||
        !mailsrv__kit_expect_status(k, third, MAILSRV_OK, "FLAGS with a keyword in another case") ||
        !mailsrv__kit_changed(k, &box, result.modseq, 54, &seen))
        return;
    const mailsrv_row *row = mailsrv__kit_find(&seen.list, result.uid);
    mailsrv__kit_expect(k, seen.n_names == 2 && strcmp(seen.names[0], "$Forwarded") == 0 &&
                               strcmp(seen.names[1], "Work") == 0,
                        "the dictionary is not the names in the order of their first use");
    mailsrv__kit_expect(k, row != NULL && row->keywords[0] == 2 && row->keywords[1] == 0,
                        "a row has other keywords than it was given");
}

/* ---- COPY ---- */

static int32_t copy(struct kit *k, const struct box *box, const mailsrv_run *uids, uint32_t n, mailsrv_asked **question,
                    const mailsrv_copied **out)
{
    mailsrv_arg_copy arg;
    memset(&arg, 0, sizeof arg);
    arg.size = sizeof arg;
    arg.mbox = box->handle;
    arg.uids = uids;
    arg.n_uids = n;
    const mailsrv_answer *answer = mailsrv__kit_hear(k, box->engine, MAILSRV_OP_COPY, &box->account, &arg, question);
    if (answer == NULL)
        return MAILSRV_TEMP;
    *out = answer->value;
    return answer->status;
}

static bool names_copies(const mailsrv_copied *copied, const mailsrv_result results[3], uint32_t *first)
{
    if (copied->n_from != 2 || copied->n_to != 1 || copied->modseq <= results[2].modseq)
        return false;
    *first = copied->to[0].first;
    return copied->from[0].first == results[0].uid && copied->from[1].last == results[2].uid &&
           copied->to[0].last == *first + 1 && *first > results[2].uid;
}

static void copies(struct kit *k)
{
    struct box box;
    struct list list;
    struct flagged flagged;
    mailsrv_result results[3];
    mailsrv_asked *question;
    const mailsrv_copied *copied = NULL;
    uint32_t first = 0;
    if (!filled(k, &box, results, 3) ||
        !flag(k, &box, results[2].uid, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_FLAGGED, &flagged))
        return;
    mailsrv_run uids[2] = { { results[0].uid, results[0].uid }, { results[2].uid, results[2].uid + 1000 } };
    int32_t status = copy(k, &box, uids, 2, &question, &copied);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "COPY") ||
        !mailsrv__kit_expect(k, names_copies(copied, results, &first), "COPY names other messages than those copied") ||
        !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    const mailsrv_row *row = mailsrv__kit_find(&list, first + 1);
    const struct expected message = { "", 122, 100 };
    if (!mailsrv__kit_expect(k, list.n == 5 && row != NULL, "a copy is not there"))
        return;
    mailsrv__kit_expect(k, row->flags == MAILSRV_FLAG_FLAGGED, "a copy has other flags");
    mailsrv__kit_expect(k, memcmp(&row->email, &results[2].email, sizeof row->email) == 0, "a copy has another email");
    mailsrv__kit_reads_all(k, &box, first + 1, &message);
}

/* There is room for one copy, and two are wanted. */
static void all_or_nothing(struct kit *k)
{
    struct box box;
    mailsrv_result results[2];
    mailsrv_asked *question;
    const mailsrv_copied *copied;
    uint32_t n = 0;
    if (!filled(k, &box, results, 2))
        return;
    int32_t status = k->setup->quota(k->setup->user, 0, 350);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "the setup's quota"))
        return;
    mailsrv_run uids = { results[0].uid, results[1].uid };
    status = copy(k, &box, &uids, 1, &question, &copied);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OVERQUOTA, "COPY over quota") &&
        mailsrv__kit_count(k, 0, 0, &n))
        mailsrv__kit_expect(k, n == 2, "a COPY that was refused has copied something");
}

const struct check mailsrv__kit_flags[] = {
    { "FLAGS adds, removes and sets", IMAP, changes },
    { "FLAGS that changes nothing has no modseq", IMAP, nothing },
    { "what FLAGS says that it changed is so", IMAP, told },
    { "unchanged_since is obeyed", IMAP, unchanged_since },
    { "keywords are names of a dictionary", IMAP, keywords },
    { "COPY copies", IMAP, copies },
    { "COPY is all or nothing", IMAP | NEEDS_QUOTA, all_or_nothing },
    { NULL, 0, NULL },
};
