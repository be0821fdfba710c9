/* MBOX_LIST, MBOX_STATUS, MBOX_SUBSCRIBE, and CHANGES of an account's names. */
#include "kit.h"

#include <string.h>

#define IMAP (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_IMAP)

/* The account's store, and mailboxes with these names in it. */
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

static bool subscribe(struct kit *k, const struct box *box, const char *name, uint32_t on)
{
    return mailsrv__kit_expect_status(k, mailsrv__kit_subscribe(k, box, name, on), MAILSRV_OK, "MBOX_SUBSCRIBE");
}

static bool ascend(struct kit *k, const struct names *names)
{
    bool good = true;
    for (uint32_t i = 1; i < names->n; i++)
        good = good && strcmp(names->v[i - 1].name, names->v[i].name) < 0;
    return mailsrv__kit_expect(k, good, "names do not ascend");
}

static void lists(struct kit *k)
{
    static const char *const made[] = { "b", "a/c", "a" };
    struct box box;
    struct names names;
    mailsrv_mbox_created created[3], sent;
    if (!filled(k, &box, made, 3, created))
        return;
    int32_t status = mailsrv__kit_create(k, &box, mailsrv__kit_bytes("Sent"), MAILSRV_NAME_SENT, &sent);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_CREATE with a special use") ||
        !mailsrv__kit_names(k, &box, 60, &names) || !ascend(k, &names))
        return;
    mailsrv__kit_expect(k, names.n == 5 && mailsrv__kit_name(&names, "INBOX") != NULL,
                        "MBOX_LIST gives other names than there are");
    for (int i = 0; i < 3; i++) {
        const struct entry *entry = mailsrv__kit_name(&names, made[i]);
        mailsrv__kit_expect(k, entry != NULL && mailsrv__kit_same_id(&entry->mailbox, &created[i].mailbox),
                            "a name that was made is not there, or with another mailbox");
    }
    const struct entry *entry = mailsrv__kit_name(&names, "Sent");
    mailsrv__kit_expect(k, entry != NULL && entry->attributes == MAILSRV_NAME_SENT, "a special use is lost");
}

static const char *const five[] = { "cut/e", "cut/d", "cut/c", "cut/b", "cut/a" };

static void list_cut(struct kit *k)
{
    struct box box;
    struct names names;
    mailsrv_mbox_created made[5];
    if (filled(k, &box, five, 5, made) && mailsrv__kit_names(k, &box, 2, &names) && ascend(k, &names))
        mailsrv__kit_expect(k, names.n == 6, "names are missing behind the end of a page");
}

/* ---- MBOX_STATUS ---- */

struct sums {
    uint64_t unseen, deleted, octets, modseq;
};

static struct sums sums_of(const struct list *list)
{
    struct sums sums = { 0, 0, 0, 0 };
    for (uint32_t i = 0; i < list->n; i++) {
        sums.unseen += (list->rows[i].flags & MAILSRV_FLAG_SEEN) == 0;
        sums.deleted += (list->rows[i].flags & MAILSRV_FLAG_DELETED) != 0;
        sums.octets += list->rows[i].octets;
        if (sums.modseq < list->rows[i].modseq)
            sums.modseq = list->rows[i].modseq;
    }
    return sums;
}

static void agree(struct kit *k, const mailsrv_mbox_status *status, const struct box *box, const struct list *list)
{
    struct sums sums = sums_of(list);
    mailsrv__kit_expect(k,
                        status->exists == list->n && status->unseen == sums.unseen && status->deleted == sums.deleted &&
                            status->octets == sums.octets,
                        "MBOX_STATUS counts other messages than there are");
    mailsrv__kit_expect(k, status->modseq >= sums.modseq, "MBOX_STATUS tells a modseq below a row's");
    mailsrv__kit_expect(k, status->uidnext > list->rows[list->n - 1].uid, "MBOX_STATUS tells a UIDNEXT that is taken");
    mailsrv__kit_expect(k,
                        mailsrv__kit_same_id(&status->mailbox, &box->opened.mailbox) &&
                            status->uidvalidity == box->opened.uidvalidity &&
                            status->features == box->opened.features && status->rights == box->opened.rights,
                        "MBOX_STATUS and MBOX_OPEN tell two mailboxes");
}

static void status_agrees(struct kit *k)
{
    struct box box;
    struct list list;
    struct flagged flagged;
    mailsrv_mbox_status by_name, by_id;
    mailsrv_result results[3];
    for (int i = 0; i < 3; i++)
        if (!mailsrv__kit_deliver(k, 0, 0, 130, 100 + (uint64_t)i, &results[i]))
            return;
    if (!mailsrv__kit_open(k, 0, 0, &box))
        return;
    mailsrv_run two = { results[1].uid, results[2].uid }, one = { results[2].uid, results[2].uid };
    mailsrv__kit_flag(k, &box, two, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_SEEN, NULL, UINT64_MAX, &flagged);
    mailsrv__kit_flag(k, &box, one, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_DELETED, NULL, UINT64_MAX, &flagged);
    int32_t name = mailsrv__kit_status(k, &box, NULL, "inbox", &by_name);
    int32_t id = mailsrv__kit_status(k, &box, &box.opened.mailbox, NULL, &by_id);
    if (!mailsrv__kit_expect_status(k, name, MAILSRV_OK, "MBOX_STATUS by name") ||
        !mailsrv__kit_expect_status(k, id, MAILSRV_OK, "MBOX_STATUS by id") ||
        !mailsrv__kit_list(k, &box, ROWS_MAX, &list) || !mailsrv__kit_expect(k, list.n == 3, "a message is not there"))
        return;
    agree(k, &by_name, &box, &list);
    agree(k, &by_id, &box, &list);
}

static void status_of_nothing(struct kit *k)
{
    struct box box;
    uint64_t store;
    mailsrv_mbox_status out;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store))
        return;
    int32_t status = mailsrv__kit_status(k, &box, NULL, "No such status", &out);
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "MBOX_STATUS of a mailbox that is not there");
}

/* The mark of what is recent is not moved by looking from outside. */
static void status_moves_nothing(struct kit *k)
{
    struct box box;
    mailsrv_result result;
    mailsrv_mbox_status status;
    uint64_t store;
    if (!mailsrv__kit_deliver(k, 0, 0, 131, 100, &result) || !mailsrv__kit_open_store(k, 0, 0, &box, &store))
        return;
    mailsrv__kit_status(k, &box, NULL, "INBOX", &status);
    mailsrv__kit_expect(k, status.recent < result.uid, "MBOX_STATUS does not tell a new message as recent");
    if (mailsrv__kit_open(k, 0, 0, &box))
        mailsrv__kit_expect(k, box.opened.recent < result.uid, "MBOX_STATUS has moved the mark of what is recent");
}

/* ---- Subscriptions ---- */

static void subscription_alone(struct kit *k)
{
    struct box box;
    struct names names;
    uint64_t store;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !subscribe(k, &box, "alone/x", 1) ||
        !mailsrv__kit_names(k, &box, ROWS_MAX, &names))
        return;
    const struct entry *entry = mailsrv__kit_name(&names, "alone/x");
    if (!mailsrv__kit_expect(
            k, entry != NULL && entry->attributes == MAILSRV_NAME_SUBSCRIBED && mailsrv__kit_no_id(&entry->mailbox),
            "a name that is only subscribed is not told so") ||
        !subscribe(k, &box, "alone/x", 0) || !mailsrv__kit_names(k, &box, ROWS_MAX, &names))
        return;
    mailsrv__kit_expect(k, mailsrv__kit_name(&names, "alone/x") == NULL, "a name is told that nothing is left of");
}

static void subscription_stays(struct kit *k)
{
    struct box box;
    struct names names;
    uint64_t store;
    mailsrv_mbox_created made;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store))
        return;
    int32_t status = mailsrv__kit_create(k, &box, mailsrv__kit_bytes("stays"), MAILSRV_NAME_SUBSCRIBED, &made);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_CREATE with a subscription") ||
        !mailsrv__kit_names(k, &box, ROWS_MAX, &names))
        return;
    const struct entry *entry = mailsrv__kit_name(&names, "stays");
    if (!mailsrv__kit_expect(k, entry != NULL && entry->attributes == MAILSRV_NAME_SUBSCRIBED,
                             "MBOX_CREATE does not subscribe"))
        return;
    status = mailsrv__kit_delete(k, &box, &made.mailbox);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_DELETE") ||
        !mailsrv__kit_names(k, &box, ROWS_MAX, &names))
        return;
    entry = mailsrv__kit_name(&names, "stays");
    mailsrv__kit_expect(
        k, entry != NULL && entry->attributes == MAILSRV_NAME_SUBSCRIBED && mailsrv__kit_no_id(&entry->mailbox),
        "a subscription goes with its mailbox");
}

/* ---- CHANGES of names ---- */

/* Is this name told as gone?  Or does the horizon say that such things are not told? */
static bool told_as_gone(const struct names *changes, const char *name, uint64_t since)
{
    const struct entry *entry = mailsrv__kit_name(changes, name);
    if (entry == NULL)
        return changes->horizon > since;
    return mailsrv__kit_no_id(&entry->mailbox) && entry->attributes == 0;
}

static void tells_changes(struct kit *k)
{
    static const char *const first[] = { "told/kept", "told/old", "told/gone" };
    struct box box;
    struct names all, changes;
    mailsrv_mbox_created made[3], later;
    if (!filled(k, &box, first, 3, made) || !mailsrv__kit_names_changed(k, &box, 0, 61, &all))
        return;
    uint64_t since = all.upto;
    mailsrv__kit_rename(k, &box, &made[1].mailbox, "told/new");
    mailsrv__kit_delete(k, &box, &made[2].mailbox);
    if (!mailsrv__kit_make(k, &box, "told/made", &later) || !subscribe(k, &box, "told/wanted", 1) ||
        !mailsrv__kit_names_changed(k, &box, since, 61, &changes))
        return;
    const struct entry *renamed = mailsrv__kit_name(&changes, "told/new");
    const struct entry *created = mailsrv__kit_name(&changes, "told/made");
    const struct entry *wanted = mailsrv__kit_name(&changes, "told/wanted");
    mailsrv__kit_expect(k, renamed != NULL && mailsrv__kit_same_id(&renamed->mailbox, &made[1].mailbox),
                        "a mailbox's new name is not among the changes");
    mailsrv__kit_expect(k,
                        created != NULL && created->modseq == later.modseq && created->modseq > since &&
                            created->modseq <= changes.upto,
                        "a new mailbox is not among the changes, or with another modseq");
    mailsrv__kit_expect(k, wanted != NULL && wanted->attributes == MAILSRV_NAME_SUBSCRIBED,
                        "a subscription is not among the changes");
    mailsrv__kit_expect(k, told_as_gone(&changes, "told/old", since) && told_as_gone(&changes, "told/gone", since),
                        "neither is a name told that went, nor does the horizon say so");
    mailsrv__kit_expect(k, mailsrv__kit_name(&changes, "told/kept") == NULL, "a name is told that has not changed");
    ascend(k, &changes);
}

static void changes_cut(struct kit *k)
{
    struct box box;
    struct names before, changes;
    uint64_t store;
    mailsrv_mbox_created made;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_names_changed(k, &box, 0, 62, &before))
        return;
    for (int i = 0; i < 5; i++)
        if (!mailsrv__kit_make(k, &box, five[i], &made))
            return;
    if (mailsrv__kit_names_changed(k, &box, before.upto, 3, &changes) && ascend(k, &changes))
        mailsrv__kit_expect(k, changes.n == 5, "changes of names are missing behind the end of a page");
}

/* Mail is no change of a name. */
static void mail_is_none(struct kit *k)
{
    struct box box;
    struct names before, changes;
    uint64_t store;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store) || !mailsrv__kit_names_changed(k, &box, 0, 63, &before) ||
        !mailsrv__kit_deliver(k, 0, 0, 132, 100, NULL) ||
        !mailsrv__kit_names_changed(k, &box, before.upto, 63, &changes))
        return;
    mailsrv__kit_expect(k, changes.n == 0, "a message is told as a change of a name");
    mailsrv__kit_expect(k, changes.upto >= before.upto, "CHANGES of names ends below where it ended before");
}

const struct check mailsrv__kit_listing[] = {
    { "MBOX_LIST gives every name", IMAP, lists },
    { "a page of MBOX_LIST that is cut has a cursor", IMAP, list_cut },
    { "MBOX_STATUS agrees with the rows", IMAP, status_agrees },
    { "MBOX_STATUS of no mailbox is nonexistent", IMAP, status_of_nothing },
    { "MBOX_STATUS moves no mark", IMAP, status_moves_nothing },
    { "a subscription needs no mailbox", IMAP, subscription_alone },
    { "a subscription outlives its mailbox", IMAP, subscription_stays },
    { "CHANGES of names tells what became of them", IMAP, tells_changes },
    { "a page of CHANGES of names that is cut has a cursor", IMAP, changes_cut },
    { "CHANGES of names tells no mail", IMAP, mail_is_none },
    { NULL, 0, NULL },
};
