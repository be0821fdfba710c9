/* COMMIT, COPY and MOVE into another mailbox than INBOX. */
#include "kit.h"

#include <string.h>

#define IMAP (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_IMAP)
#define COPY_NOW (KIT_NOW + 5000000)

static bool made(struct kit *k, const char *name, mailsrv_mbox_created *out)
{
    struct box box;
    uint64_t store;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_make(k, &box, name, out))
        return false;
    mailsrv__kit_shut(k, &box);
    return true;
}

/* Both mailboxes have the same UID: each message is read, and goes, in its own alone. */
static void commits(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_mbox_created there;
    mailsrv_result in_inbox, result;
    uint64_t modseq;
    uint32_t n = 0;
    const struct expected message = { "", 161, 100 };
    if (!made(k, "into", &there) || !mailsrv__kit_deliver(k, 0, 0, 160, 100, &in_inbox) ||
        !mailsrv__kit_put(k, &there.mailbox, 161, &result) || !mailsrv__kit_open_named(k, 1, 0, "into", &box) ||
        !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, result.uidvalidity == there.uidvalidity, "COMMIT answers another UIDVALIDITY");
    if (!mailsrv__kit_expect(k, list.n == 1 && list.rows[0].uid == result.uid,
                             "the mailbox has not what it was given") ||
        !mailsrv__kit_reads_all(k, &box, result.uid, &message))
        return;
    mailsrv__kit_expunge(k, &box, result.uid, result.uid, 0, &modseq);
    if (mailsrv__kit_count(k, 0, 0, &n))
        mailsrv__kit_expect(k, n == 1, "INBOX has another's messages, or lost one to another's EXPUNGE");
}

static void commits_to_nothing(struct kit *k)
{
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.mailbox = (mailsrv_id){ { 0xfe, 0xed } };
    if (mailsrv__kit_send(k, 0, &target, 162, 100, &result))
        mailsrv__kit_expect_status(k, result.status, MAILSRV_NONEXISTENT, "BODY_COMMIT to a mailbox that is not there");
}

/* ---- COPY ---- */

static int32_t copy(struct kit *k, const struct box *box, uint32_t uid, const mailsrv_id *to, uint32_t *uidvalidity,
                    uint32_t *copy_uid)
{
    mailsrv_asked *question;
    mailsrv_run run = { uid, uid };
    mailsrv_arg_copy arg = { sizeof arg, 1, box->handle, &run, *to, COPY_NOW, { { 0 } } };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, box->engine, MAILSRV_OP_COPY, &box->account, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    if (status == MAILSRV_OK) {
        const mailsrv_copied *copied = answer->value;
        *uidvalidity = copied->uidvalidity;
        *copy_uid = copied->n_to != 0 ? copied->to[0].first : 0;
    }
    mailsrv__kit_drop(k, question);
    return status;
}

/* A message of INBOX that has a keyword, and a mailbox whose dictionary begins with another one. */
static bool prepared(struct kit *k, const char *name, struct box *box, struct box *there, mailsrv_result *result)
{
    mailsrv_mbox_created to;
    mailsrv_result other;
    struct flagged flagged;
    if (!made(k, name, &to) || !mailsrv__kit_deliver(k, 0, 0, 163, 100, result) ||
        !mailsrv__kit_put(k, &to.mailbox, 164, &other) || !mailsrv__kit_open(k, 0, 0, box) ||
        !mailsrv__kit_open_named(k, 1, 0, name, there))
        return false;
    mailsrv_run first = { other.uid, other.uid }, one = { result->uid, result->uid };
    int32_t before = mailsrv__kit_flag(k, there, first, MAILSRV_FLAGS_ADD, 0, "Before", UINT64_MAX, &flagged);
    int32_t status =
        mailsrv__kit_flag(k, box, one, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_ANSWERED, "Work", UINT64_MAX, &flagged);
    return mailsrv__kit_expect_status(k, before, MAILSRV_OK, "FLAGS with a keyword") &&
           mailsrv__kit_expect_status(k, status, MAILSRV_OK, "FLAGS with a keyword");
}

static void copies(struct kit *k)
{
    struct box box, there;
    struct list list;
    mailsrv_result result;
    uint32_t uidvalidity = 0, uid = 0, n = 0;
    const struct expected message = { "", 163, 100 };
    if (!prepared(k, "copies", &box, &there, &result))
        return;
    int32_t status = copy(k, &box, result.uid, &there.opened.mailbox, &uidvalidity, &uid);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "COPY into another mailbox") ||
        !mailsrv__kit_list(k, &there, ROWS_MAX, &list))
        return;
    const mailsrv_row *row = mailsrv__kit_find(&list, uid);
    if (!mailsrv__kit_expect(k, list.n == 2 && row != NULL && uidvalidity == there.opened.uidvalidity,
                             "COPY names another message than the mailbox has, or another UIDVALIDITY"))
        return;
    mailsrv__kit_expect(k,
                        row->flags == MAILSRV_FLAG_ANSWERED && row->octets == 100 && row->internal_us == KIT_ARRIVED &&
                            mailsrv__kit_same_id(&row->email, &result.email),
                        "a copy has other flags, another size, date or email");
    if (mailsrv__kit_reads_all(k, &there, uid, &message) && mailsrv__kit_count(k, 0, 0, &n))
        mailsrv__kit_expect(k, n == 1, "COPY has changed the mailbox that it copies from");
}

/* Bits are numbers of one mailbox's dictionary. */
static void keywords(struct kit *k)
{
    struct box box, there;
    struct changes changes;
    mailsrv_result result;
    uint32_t uidvalidity = 0, uid = 0;
    if (!prepared(k, "keywords", &box, &there, &result))
        return;
    int32_t status = copy(k, &box, result.uid, &there.opened.mailbox, &uidvalidity, &uid);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "COPY into another mailbox") ||
        !mailsrv__kit_changed(k, &there, 0, 55, &changes))
        return;
    const mailsrv_row *row = mailsrv__kit_find(&changes.list, uid);
    mailsrv__kit_expect(
        k, changes.n_names == 2 && strcmp(changes.names[1], "Work") == 0 && row != NULL && row->keywords[0] == 2,
        "a copy has not the keywords of its mailbox's own dictionary");
}

static void copies_to_nothing(struct kit *k)
{
    static const mailsrv_id nobody = { { 0xfe, 0xed } };
    struct box box;
    mailsrv_result result;
    uint32_t uidvalidity, uid;
    if (!mailsrv__kit_deliver(k, 0, 0, 165, 100, &result) || !mailsrv__kit_open(k, 0, 0, &box))
        return;
    int32_t status = copy(k, &box, result.uid, &nobody, &uidvalidity, &uid);
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "COPY to a mailbox that is not there");
}

/* ---- MOVE ---- */

struct moved {
    uint32_t uid;
    uint64_t modseq; /* 0: nothing was */
};

static struct moved move(struct kit *k, const struct box *box, mailsrv_run run, const mailsrv_id *to)
{
    mailsrv_asked *question;
    struct moved result = { 0, 0 };
    mailsrv_arg_copy arg = { sizeof arg, 1, box->handle, &run, *to, COPY_NOW, box->opened.mailbox };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, box->engine, MAILSRV_OP_MOVE, &box->account, &arg, &question);
    if (answer != NULL && mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "MOVE into another mailbox")) {
        const mailsrv_copied *value = answer->value;
        if (value->n_from == 1 && value->n_to == 1 && value->from[0].first == run.first)
            result = (struct moved){ value->to[0].first, value->modseq };
        mailsrv__kit_expect(k, result.modseq != 0, "MOVE names other messages than those that it moved");
    }
    mailsrv__kit_drop(k, question);
    return result;
}

/* Both mailboxes have changed with the modseq that was answered: what was seen before it is whole without it. */
static bool tells_moved(struct kit *k, const struct box *box, const struct box *there, uint64_t modseq, uint32_t gone,
                        uint32_t uid)
{
    struct changes here, other;
    if (!mailsrv__kit_changed(k, box, modseq - 1, 54, &here) || !mailsrv__kit_changed(k, there, modseq - 1, 54, &other))
        return false;
    const mailsrv_row *row = mailsrv__kit_find(&other.list, uid);
    bool vanished = here.horizon > modseq - 1 || mailsrv__kit_vanished(&here, gone);
    return row != NULL && row->modseq == modseq && vanished && mailsrv__kit_find(&here.list, gone) == NULL;
}

static void moves(struct kit *k)
{
    struct box box, there;
    struct list list;
    mailsrv_result result, stays;
    const struct expected message = { "", 163, 100 };
    if (!prepared(k, "moves", &box, &there, &result) || !mailsrv__kit_deliver(k, 0, 0, 166, 100, &stays))
        return;
    mailsrv_run run = { result.uid, result.uid };
    struct moved moved = move(k, &box, run, &there.opened.mailbox);
    if (moved.modseq == 0 || !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, list.n == 1 && list.rows[0].uid == stays.uid, "MOVE left there what it moved, or took more");
    if (!mailsrv__kit_list(k, &there, ROWS_MAX, &list))
        return;
    const mailsrv_row *row = mailsrv__kit_find(&list, moved.uid);
    mailsrv__kit_expect(k,
                        list.n == 2 && row != NULL && row->flags == MAILSRV_FLAG_ANSWERED &&
                            mailsrv__kit_same_id(&row->email, &result.email),
                        "what was moved is not there, or has other flags or another email");
    mailsrv__kit_expect(k, tells_moved(k, &box, &there, moved.modseq, result.uid, moved.uid),
                        "what was moved has not changed both mailboxes with one modseq");
    mailsrv__kit_reads_all(k, &there, moved.uid, &message);
}

/* A message is saved when it comes into its mailbox (RFC 8514 section 3). */
static void dates_of_saving(struct kit *k)
{
    struct box box, there;
    struct list from, to;
    mailsrv_result result;
    uint32_t uidvalidity = 0, uid = 0;
    if (!prepared(k, "saved", &box, &there, &result))
        return;
    int32_t status = copy(k, &box, result.uid, &there.opened.mailbox, &uidvalidity, &uid);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "COPY into another mailbox") ||
        !mailsrv__kit_list(k, &box, 41, &from) || !mailsrv__kit_list(k, &there, 41, &to))
        return;
    const mailsrv_row *original = mailsrv__kit_find(&from, result.uid), *row = mailsrv__kit_find(&to, uid);
    mailsrv__kit_expect(k, original != NULL && original->saved_us == KIT_NOW,
                        "a message's date of saving is not that of its COMMIT");
    mailsrv__kit_expect(k, row != NULL && row->saved_us == COPY_NOW, "a copy's date of saving is not that of its COPY");
}

const struct check mailsrv__kit_elsewhere[] = {
    { "COMMIT into another mailbox", IMAP, commits },
    { "COMMIT to no mailbox is nonexistent", IMAP, commits_to_nothing },
    { "COPY into another mailbox", IMAP, copies },
    { "COPY translates keywords", IMAP, keywords },
    { "COPY to no mailbox is nonexistent", IMAP, copies_to_nothing },
    { "dates of saving are told", IMAP, dates_of_saving },
    { "MOVE moves, in one change", IMAP | MAILSRV_KIT_MOVE, moves },
    { NULL, 0, NULL },
};
