/* MBOX_RENAME. */
#include "kit.h"

#include <string.h>

#define IMAP (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_IMAP)

static bool filled(struct kit *k, struct box *box, const char *const *names, uint32_t n, mailsrv_mbox_created *made)
{
    uint64_t store;
    if (!mailsrv__kit_open_store(k, 0, 0, box, &store))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!mailsrv__kit_make(k, box, names[i], &made[i]))
            return false;
    return true;
}

static bool rename_to(struct kit *k, const struct box *box, const mailsrv_id *mailbox, const char *name)
{
    return mailsrv__kit_expect_status(k, mailsrv__kit_rename(k, box, mailbox, name), MAILSRV_OK, "MBOX_RENAME");
}

/* Does that name have this mailbox?  NULL: none. */
static bool has(struct kit *k, const struct names *names, const char *name, const mailsrv_id *mailbox)
{
    const struct entry *entry = mailsrv__kit_name(names, name);
    bool good = mailbox == NULL ? entry == NULL || mailsrv__kit_no_id(&entry->mailbox)
                                : entry != NULL && mailsrv__kit_same_id(&entry->mailbox, mailbox);
    return mailsrv__kit_expect(k, good, "a name has another mailbox than it should have");
}

static void keeps(struct kit *k)
{
    static const char *const names[] = { "keeps/a" };
    struct box box, open, again;
    struct list list;
    struct changes changes;
    mailsrv_mbox_created made;
    mailsrv_result result;
    const struct expected message = { "", 150, 100 };
    if (!filled(k, &box, names, 1, &made) || !mailsrv__kit_put(k, &made.mailbox, 150, &result) ||
        !mailsrv__kit_open_named(k, 0, 0, "keeps/a", &open) || !rename_to(k, &box, &made.mailbox, "keeps/b") ||
        !mailsrv__kit_open_named(k, 1, 0, "keeps/b", &again) || !mailsrv__kit_list(k, &again, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_same_id(&again.opened.mailbox, &made.mailbox), "RENAME gives another id");
    mailsrv__kit_expect(k, again.opened.uidvalidity == made.uidvalidity,
                        "RENAME gives another UIDVALIDITY though the name is new");
    if (mailsrv__kit_expect(k, list.n == 1 && list.rows[0].uid == result.uid, "RENAME loses or changes a message") &&
        mailsrv__kit_reads_all(k, &open, result.uid, &message))
        mailsrv__kit_changed(k, &open, 0, ROWS_MAX, &changes);
}

static void takes_those_below(struct kit *k)
{
    static const char *const names[] = { "tree", "tree/b", "tree/b/c", "treeish", "tree-b" };
    struct box box;
    struct names seen;
    mailsrv_mbox_created made[5];
    if (!filled(k, &box, names, 5, made) || !rename_to(k, &box, &made[0].mailbox, "wood") ||
        !mailsrv__kit_names(k, &box, ROWS_MAX, &seen))
        return;
    if (has(k, &seen, "wood", &made[0].mailbox) && has(k, &seen, "wood/b", &made[1].mailbox) &&
        has(k, &seen, "wood/b/c", &made[2].mailbox) && has(k, &seen, "treeish", &made[3].mailbox) &&
        has(k, &seen, "tree-b", &made[4].mailbox) && has(k, &seen, "tree", NULL) && has(k, &seen, "tree/b", NULL))
        has(k, &seen, "tree/b/c", NULL);
}

/* One of the new names has a mailbox: nothing is renamed. */
static void taken(struct kit *k)
{
    static const char *const names[] = { "from", "from/a", "to/a" };
    struct box box;
    struct names seen;
    mailsrv_mbox_created made[3];
    if (!filled(k, &box, names, 3, made))
        return;
    int32_t below = mailsrv__kit_rename(k, &box, &made[0].mailbox, "to");
    int32_t itself = mailsrv__kit_rename(k, &box, &made[0].mailbox, "to/a");
    int32_t inbox = mailsrv__kit_rename(k, &box, &made[0].mailbox, "inbox");
    if (mailsrv__kit_expect_status(k, below, MAILSRV_ALREADYEXISTS, "MBOX_RENAME where a name below is taken") &&
        mailsrv__kit_expect_status(k, itself, MAILSRV_ALREADYEXISTS, "MBOX_RENAME to a taken name") &&
        mailsrv__kit_expect_status(k, inbox, MAILSRV_ALREADYEXISTS, "MBOX_RENAME to INBOX") &&
        mailsrv__kit_names(k, &box, ROWS_MAX, &seen) && has(k, &seen, "from", &made[0].mailbox) &&
        has(k, &seen, "from/a", &made[1].mailbox))
        has(k, &seen, "to/a", &made[2].mailbox);
}

static void below_itself(struct kit *k)
{
    static const char *const names[] = { "self" };
    struct box box;
    mailsrv_mbox_created made;
    if (!filled(k, &box, names, 1, &made))
        return;
    int32_t status = mailsrv__kit_rename(k, &box, &made.mailbox, "self/a");
    mailsrv__kit_expect_status(k, status, MAILSRV_CANNOT, "MBOX_RENAME to a name below its own");
    status = mailsrv__kit_rename(k, &box, &made.mailbox, "self//a");
    mailsrv__kit_expect_status(k, status, MAILSRV_CANNOT, "MBOX_RENAME to what is no name");
    mailsrv_id nobody = { { 0xfe, 0xed } };
    status = mailsrv__kit_rename(k, &box, &nobody, "self/b");
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "MBOX_RENAME of a mailbox that is not there");
}

static bool subscribed(struct kit *k, const struct names *names, const char *name, bool should)
{
    const struct entry *entry = mailsrv__kit_name(names, name);
    bool is = entry != NULL && (entry->attributes & MAILSRV_NAME_SUBSCRIBED) != 0;
    return mailsrv__kit_expect(k, is == should, "a subscription has not stayed with its name");
}

static void subscriptions_stay(struct kit *k)
{
    static const char *const names[] = { "sub/a" };
    struct box box;
    struct names seen;
    mailsrv_mbox_created made;
    if (!filled(k, &box, names, 1, &made))
        return;
    mailsrv__kit_subscribe(k, &box, "sub/a", 1);
    if (rename_to(k, &box, &made.mailbox, "sub/b") && mailsrv__kit_names(k, &box, ROWS_MAX, &seen) &&
        subscribed(k, &seen, "sub/a", true))
        subscribed(k, &seen, "sub/b", false);
}

/* ---- UIDVALIDITY, by name (RFC 9051 section 2.3.1.1) ---- */

static void highest_by_name(struct kit *k)
{
    static const char *const names[] = { "bore/a", "bore/b" };
    struct box box, open;
    mailsrv_mbox_created made[2];
    mailsrv_mbox_opened out;
    mailsrv_asked *question;
    if (!filled(k, &box, names, 2, made) || !mailsrv__kit_open_named(k, 0, 0, "bore/a", &open) ||
        !mailsrv__kit_expect_status(k, mailsrv__kit_delete(k, &box, &made[1].mailbox), MAILSRV_OK, "MBOX_DELETE") ||
        !rename_to(k, &box, &made[0].mailbox, "bore/b"))
        return;
    mailsrv__kit_opens(k, &box, NULL, "bore/b", &out);
    mailsrv__kit_expect(k, mailsrv__kit_same_id(&out.mailbox, &made[0].mailbox), "RENAME gives another id");
    mailsrv__kit_expect(k, out.uidvalidity > made[1].uidvalidity,
                        "a name bears a UIDVALIDITY that is not above all that it bore");
    mailsrv_arg_changes arg;
    memset(&arg, 0, sizeof arg);
    arg.size = sizeof arg;
    arg.mbox = open.handle;
    arg.limit = 10;
    const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_CHANGES, &open.account, &arg, &question);
    if (answer != NULL)
        mailsrv__kit_expect_status(k, answer->status, MAILSRV_NONEXISTENT, "CHANGES after another UIDVALIDITY");
}

/* ---- INBOX (RFC 9051 section 6.3.6) ---- */

static void moved(struct kit *k, const struct box *inbox, const mailsrv_result *result)
{
    struct box now, there;
    struct list list;
    struct changes changes;
    const struct expected message = { "", 151, 100 };
    if (!mailsrv__kit_open_named(k, 0, 0, "moved", &there) || !mailsrv__kit_list(k, &there, ROWS_MAX, &list) ||
        !mailsrv__kit_expect(k, list.n == 1, "the messages of INBOX are not in the new mailbox"))
        return;
    mailsrv__kit_expect(k, !mailsrv__kit_same_id(&there.opened.mailbox, &inbox->opened.mailbox),
                        "the new mailbox has INBOX's id");
    mailsrv__kit_expect(k, list.rows[0].flags == MAILSRV_FLAG_FLAGGED,
                        "a message of INBOX has other flags in the new mailbox");
    mailsrv__kit_expect(k, list.rows[0].modseq <= there.opened.modseq, "a row is above the modseq of its mailbox");
    mailsrv__kit_expect(k, list.rows[0].modseq > result->modseq,
                        "a message that RENAME of INBOX moved appears with a modseq that was given before");
    if (!mailsrv__kit_reads_all(k, &there, list.rows[0].uid, &message) || !mailsrv__kit_open(k, 1, 0, &now) ||
        !mailsrv__kit_list(k, &now, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k,
                        mailsrv__kit_same_id(&now.opened.mailbox, &inbox->opened.mailbox) && list.n == 0 &&
                            now.opened.uidvalidity == inbox->opened.uidvalidity && now.opened.uidnext > result->uid,
                        "INBOX is not what it was, but empty");
    if (mailsrv__kit_changed(k, inbox, result->modseq, ROWS_MAX, &changes))
        mailsrv__kit_expect(k, changes.horizon > result->modseq || mailsrv__kit_vanished(&changes, result->uid),
                            "neither is it told that INBOX's messages vanished, nor does the horizon say so");
}

static void inbox(struct kit *k)
{
    static const char *const names[] = { "INBOX/below" };
    struct box box, inbox;
    struct names seen;
    mailsrv_mbox_created made;
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.flags = MAILSRV_FLAG_FLAGGED;
    if (!filled(k, &box, names, 1, &made) || !mailsrv__kit_send(k, 0, &target, 151, 100, &result) ||
        !mailsrv__kit_expect_status(k, result.status, MAILSRV_OK, "BODY_COMMIT to INBOX") ||
        !mailsrv__kit_open(k, 0, 0, &inbox) ||
        !mailsrv__kit_expect_status(k, mailsrv__kit_rename(k, &box, &inbox.opened.mailbox, "inbox/moved"),
                                    MAILSRV_CANNOT, "MBOX_RENAME of INBOX to a name below it") ||
        !rename_to(k, &box, &inbox.opened.mailbox, "moved"))
        return;
    moved(k, &inbox, &result);
    if (mailsrv__kit_names(k, &box, ROWS_MAX, &seen) && has(k, &seen, "INBOX/below", &made.mailbox))
        has(k, &seen, "moved/below", NULL);
}

const struct check mailsrv__kit_renaming[] = {
    { "RENAME keeps id, UIDVALIDITY and messages", IMAP, keeps },
    { "RENAME takes what lies below", IMAP, takes_those_below },
    { "RENAME to a taken name is refused", IMAP, taken },
    { "RENAME below itself is refused", IMAP, below_itself },
    { "subscriptions stay with names", IMAP, subscriptions_stay },
    { "a name bears ascending UIDVALIDITYs", IMAP, highest_by_name },
    { "RENAME of INBOX moves its messages", IMAP, inbox },
    { NULL, 0, NULL },
};
