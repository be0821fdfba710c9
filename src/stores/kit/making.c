/* MBOX_CREATE and MBOX_DELETE: names, ids and UIDVALIDITY. */
#include "kit.h"

#include <string.h>

#define IMAP (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_IMAP)

static int32_t make_as(struct kit *k, const struct box *box, const char *name)
{
    mailsrv_mbox_created made;
    return mailsrv__kit_create(k, box, mailsrv__kit_bytes(name), 0, &made);
}

static bool remove_it(struct kit *k, const struct box *box, const mailsrv_id *mailbox)
{
    return mailsrv__kit_expect_status(k, mailsrv__kit_delete(k, box, mailbox), MAILSRV_OK, "MBOX_DELETE");
}

static void made_opens(struct kit *k)
{
    struct box box;
    uint64_t store;
    mailsrv_mbox_created made;
    mailsrv_mbox_opened by_name, by_id;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_make(k, &box, "opens/a", &made))
        return;
    int32_t name = mailsrv__kit_opens(k, &box, NULL, "opens/a", &by_name);
    int32_t id = mailsrv__kit_opens(k, &box, &made.mailbox, NULL, &by_id);
    if (!mailsrv__kit_expect_status(k, name, MAILSRV_OK, "MBOX_OPEN of a new mailbox by name") ||
        !mailsrv__kit_expect_status(k, id, MAILSRV_OK, "MBOX_OPEN of a new mailbox by id"))
        return;
    mailsrv__kit_expect(
        k, mailsrv__kit_same_id(&by_name.mailbox, &made.mailbox) && mailsrv__kit_same_id(&by_id.mailbox, &made.mailbox),
        "MBOX_OPEN opens another mailbox than was made");
    mailsrv__kit_expect(k, by_name.uidvalidity == made.uidvalidity, "MBOX_OPEN tells another UIDVALIDITY");
    mailsrv__kit_expect(k, by_name.exists == 0 && by_name.recent == 0, "a new mailbox is not empty");
    mailsrv__kit_expect(k, by_name.modseq >= made.modseq, "MBOX_OPEN tells a modseq below the mailbox's making");
}

static void taken(struct kit *k)
{
    struct box box;
    uint64_t store;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_make(k, &box, "taken", NULL))
        return;
    mailsrv__kit_expect_status(k, make_as(k, &box, "taken"), MAILSRV_ALREADYEXISTS, "MBOX_CREATE of a taken name");
    mailsrv__kit_expect_status(k, make_as(k, &box, "inbox"), MAILSRV_ALREADYEXISTS, "MBOX_CREATE of INBOX");
}

/* INBOX alone has no case, also as the first level (op.h). */
static void octet_by_octet(struct kit *k)
{
    struct box box;
    uint64_t store;
    mailsrv_mbox_created lower, upper, below;
    mailsrv_mbox_opened out;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_make(k, &box, "case", &lower) ||
        !mailsrv__kit_make(k, &box, "CASE", &upper) || !mailsrv__kit_make(k, &box, "iNbOx/case", &below))
        return;
    int32_t status = mailsrv__kit_opens(k, &box, NULL, "CASE", &out);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_OPEN of a name in capitals"))
        mailsrv__kit_expect(k, mailsrv__kit_same_id(&out.mailbox, &upper.mailbox), "two names are one mailbox");
    status = mailsrv__kit_opens(k, &box, NULL, "INBOX/case", &out);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_OPEN of a name below INBOX in another case"))
        mailsrv__kit_expect(k, mailsrv__kit_same_id(&out.mailbox, &below.mailbox), "another mailbox is opened");
    status = mailsrv__kit_opens(k, &box, NULL, "INBOX/CASE", &out);
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "MBOX_OPEN of a second level in another case");
}

static void no_name(struct kit *k)
{
    static const char *const wrong[] = { "", "/a", "a/", "a//b", "a\tb", "a\x7f" };
    struct box box;
    uint64_t store;
    mailsrv_mbox_created made;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store))
        return;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        mailsrv__kit_expect_status(k, make_as(k, &box, wrong[i]), MAILSRV_CANNOT, "MBOX_CREATE of what is no name");
    memset(k->piece, 'n', MAILSRV_MBOX_NAME_MAX + 1);
    mailsrv_bytes long_one = { k->piece, MAILSRV_MBOX_NAME_MAX + 1 };
    int32_t status = mailsrv__kit_create(k, &box, long_one, 0, &made);
    mailsrv__kit_expect_status(k, status, MAILSRV_CANNOT, "MBOX_CREATE of a name that is too long");
    long_one.n = MAILSRV_MBOX_NAME_MAX;
    status = mailsrv__kit_create(k, &box, long_one, 0, &made);
    mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_CREATE of the longest name");
}

static void new_each_time(struct kit *k)
{
    struct box box;
    uint64_t store;
    mailsrv_mbox_created first, second;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_make(k, &box, "again", &first) ||
        !remove_it(k, &box, &first.mailbox) || !mailsrv__kit_make(k, &box, "again", &second))
        return;
    mailsrv__kit_expect(k, !mailsrv__kit_same_id(&first.mailbox, &second.mailbox),
                        "a mailbox has the id of one that was deleted");
}

static void uidvalidity_grows(struct kit *k)
{
    static const char *const names[] = { "grows/a", "grows/b", "grows/a" };
    struct box box;
    mailsrv_mbox_created made;
    uint32_t last = (uint32_t)(KIT_NOW / 1000000) - 1;
    if (!mailsrv__kit_open(k, 0, 0, &box))
        return;
    for (int i = 0; i < 3; i++) {
        if (!mailsrv__kit_make(k, &box, names[i], &made))
            return;
        mailsrv__kit_expect(k, made.uidvalidity > last,
                            "UIDVALIDITY is not above all before, or below the seconds of the making");
        last = made.uidvalidity;
        if (i != 1 && !remove_it(k, &box, &made.mailbox))
            return;
    }
    mailsrv__kit_expect(k, last > box.opened.uidvalidity, "UIDVALIDITY is not above that of INBOX");
}

/* As it was elsewhere, unless its name bore that or more here; what is made afterwards has a new one again. */
static void uidvalidity_imported(struct kit *k)
{
    struct box box;
    mailsrv_mbox_created made, fresh;
    mailsrv_mbox_status is;
    if (!mailsrv__kit_open(k, 0, 0, &box))
        return;
    int32_t status = mailsrv__kit_import_box(k, &box, "imported", 77, &made);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_CREATE with a UIDVALIDITY"))
        return;
    status = mailsrv__kit_status(k, &box, &made.mailbox, NULL, &is);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_STATUS of what was imported"))
        mailsrv__kit_expect(k, made.uidvalidity == 77 && is.uidvalidity == 77, "a mailbox has another UIDVALIDITY");
    if (!remove_it(k, &box, &made.mailbox))
        return;
    status = mailsrv__kit_import_box(k, &box, "imported", 77, &fresh);
    mailsrv__kit_expect_status(k, status, MAILSRV_ALREADYEXISTS, "MBOX_CREATE with a UIDVALIDITY that its name bore");
    if (mailsrv__kit_make(k, &box, "imported", &fresh))
        mailsrv__kit_expect(k, fresh.uidvalidity > box.opened.uidvalidity, "a new UIDVALIDITY is not above all");
    status = mailsrv__kit_import_box(k, &box, "imported", UINT32_MAX / 2, &fresh);
    mailsrv__kit_expect_status(k, status, MAILSRV_ALREADYEXISTS, "MBOX_CREATE with a UIDVALIDITY of a taken name");
}

/* ---- MBOX_DELETE ---- */

static void deleted_is_gone(struct kit *k)
{
    struct box box;
    uint64_t store;
    struct names names;
    mailsrv_mbox_created made;
    mailsrv_mbox_opened out;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_make(k, &box, "gone", &made) ||
        !remove_it(k, &box, &made.mailbox) || !mailsrv__kit_names(k, &box, ROWS_MAX, &names))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_name(&names, "gone") == NULL, "MBOX_LIST gives a deleted mailbox");
    int32_t status = mailsrv__kit_opens(k, &box, NULL, "gone", &out);
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "MBOX_OPEN of a deleted mailbox by name");
    status = mailsrv__kit_opens(k, &box, &made.mailbox, NULL, &out);
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "MBOX_OPEN of a deleted mailbox by id");
    status = mailsrv__kit_delete(k, &box, &made.mailbox);
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "MBOX_DELETE of a deleted mailbox");
}

/* CHANGES and READ of a mailbox that went while it was open. */
static void asked_of_the_gone(struct kit *k, const struct box *box, uint32_t uid)
{
    mailsrv_asked *question;
    mailsrv_arg_changes changes;
    memset(&changes, 0, sizeof changes);
    changes.size = sizeof changes;
    changes.mbox = box->handle;
    changes.limit = 10;
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, box->engine, MAILSRV_OP_CHANGES, &box->account, &changes, &question);
    if (answer == NULL ||
        !mailsrv__kit_expect_status(k, answer->status, MAILSRV_NONEXISTENT, "CHANGES of a deleted mailbox"))
        return;
    mailsrv_arg_read read = { sizeof read, uid, box->handle, 0, 0, 0, 100, 0 };
    answer = mailsrv__kit_hear(k, box->engine, MAILSRV_OP_READ, &box->account, &read, &question);
    if (answer != NULL)
        mailsrv__kit_expect_status(k, answer->status, MAILSRV_GONE, "READ in a deleted mailbox");
}

static void deleted_while_open(struct kit *k)
{
    struct box box, there;
    uint64_t store;
    mailsrv_mbox_created made;
    mailsrv_result result;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_make(k, &box, "open", &made) ||
        !mailsrv__kit_put(k, &made.mailbox, 140, &result) || !mailsrv__kit_open_named(k, 1, 0, "open", &there) ||
        !remove_it(k, &box, &made.mailbox))
        return;
    asked_of_the_gone(k, &there, result.uid);
    /* A mailbox of that name is another one. */
    if (mailsrv__kit_make(k, &box, "open", &made))
        asked_of_the_gone(k, &there, result.uid);
}

static void inbox_stays(struct kit *k)
{
    struct box box;
    uint32_t n = 0;
    if (!mailsrv__kit_deliver(k, 0, 0, 141, 100, NULL) || !mailsrv__kit_open(k, 0, 0, &box))
        return;
    int32_t status = mailsrv__kit_delete(k, &box, &box.opened.mailbox);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_CANNOT, "MBOX_DELETE of INBOX") &&
        mailsrv__kit_count(k, 0, 0, &n))
        mailsrv__kit_expect(k, n == 1, "INBOX was emptied");
}

static void below_stays(struct kit *k)
{
    struct box box;
    uint64_t store;
    mailsrv_mbox_created above, below;
    mailsrv_mbox_opened out;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_make(k, &box, "upper", &above) ||
        !mailsrv__kit_make(k, &box, "upper/lower", &below) || !remove_it(k, &box, &above.mailbox))
        return;
    int32_t status = mailsrv__kit_opens(k, &box, &below.mailbox, NULL, &out);
    mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_OPEN below a deleted mailbox");
}

/* ---- Seen by others, and afterwards ---- */

static void seen_elsewhere(struct kit *k)
{
    struct box here, there;
    uint64_t store;
    struct names names;
    mailsrv_mbox_created made;
    if (!mailsrv__kit_open_store(k, 0, 0, &here, &store) || !mailsrv__kit_open_store(k, 1, 0, &there, &store) ||
        !mailsrv__kit_make(k, &here, "everywhere", &made) || !mailsrv__kit_names(k, &there, 64, &names))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_name(&names, "everywhere") != NULL,
                        "another engine does not see a mailbox whose making was answered");
    mailsrv__kit_shut(k, &there);
    if (!mailsrv__kit_open_store(k, 1, 1, &there, &store) || !mailsrv__kit_names(k, &there, 64, &names))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_name(&names, "everywhere") == NULL, "another account has the mailbox");
}

static void made_and_deleted(struct kit *k, struct box *box, mailsrv_mbox_created made[2])
{
    mailsrv_result result;
    uint64_t store;
    if (mailsrv__kit_open_store(k, 0, 0, box, &store) && mailsrv__kit_make(k, box, "kept", &made[0]) &&
        mailsrv__kit_make(k, box, "dropped", &made[1]) && mailsrv__kit_put(k, &made[0].mailbox, 142, &result) &&
        remove_it(k, box, &made[1].mailbox))
        mailsrv__kit_subscribe(k, box, "kept/wanted", 1);
}

static void survives(struct kit *k)
{
    struct box box;
    uint64_t store;
    struct names names;
    mailsrv_mbox_created made[2], later;
    mailsrv_mbox_status status;
    made_and_deleted(k, &box, made);
    mailsrv__kit_end_engines(k);
    if (k->failed || !mailsrv__kit_expect_status(k, k->setup->reopen(k->setup->user), MAILSRV_OK, "reopening") ||
        !mailsrv__kit_begin_engines(k) || !mailsrv__kit_open_store(k, 0, 0, &box, &store) ||
        !mailsrv__kit_names(k, &box, ROWS_MAX, &names))
        return;
    const struct entry *kept = mailsrv__kit_name(&names, "kept"), *wanted = mailsrv__kit_name(&names, "kept/wanted");
    mailsrv__kit_expect(k, kept != NULL && mailsrv__kit_same_id(&kept->mailbox, &made[0].mailbox),
                        "a mailbox whose making was answered is not there after reopening");
    mailsrv__kit_expect(k, wanted != NULL && wanted->attributes == MAILSRV_NAME_SUBSCRIBED,
                        "a subscription that was answered is not there after reopening");
    mailsrv__kit_expect(k, mailsrv__kit_name(&names, "dropped") == NULL, "a deleted mailbox is there after reopening");
    mailsrv__kit_status(k, &box, &made[0].mailbox, NULL, &status);
    mailsrv__kit_expect(k, status.exists == 1 && status.uidvalidity == made[0].uidvalidity,
                        "a mailbox has other messages or another UIDVALIDITY after reopening");
    if (mailsrv__kit_make(k, &box, "dropped", &later))
        mailsrv__kit_expect(
            k, later.uidvalidity > made[1].uidvalidity && !mailsrv__kit_same_id(&later.mailbox, &made[1].mailbox),
            "an id or a UIDVALIDITY is given again after reopening");
}

const struct check mailsrv__kit_making[] = {
    { "a mailbox that was made opens", IMAP, made_opens },
    { "a name is taken once", IMAP, taken },
    { "names are compared octet by octet", IMAP, octet_by_octet },
    { "what is no name is refused", IMAP, no_name },
    { "an id is given once", IMAP, new_each_time },
    { "UIDVALIDITY grows", IMAP, uidvalidity_grows },
    { "UIDVALIDITY is imported", IMAP, uidvalidity_imported },
    { "a deleted mailbox is gone", IMAP, deleted_is_gone },
    { "a mailbox may go while it is open", IMAP, deleted_while_open },
    { "INBOX is not deleted", IMAP, inbox_stays },
    { "what lies below a deleted mailbox stays", IMAP, below_stays },
    { "mailboxes are seen by another engine", IMAP, seen_elsewhere },
    { "mailboxes survive", IMAP | NEEDS_REOPEN, survives },
    { NULL, 0, NULL },
};
