/* Lies about MBOX_RENAME, and about COMMIT and COPY into other mailboxes than INBOX. */
#include "liar.h"

#include <string.h>

static bool is_rename(const struct telling *t, const char *to)
{
    return t->op.kind == MAILSRV_OP_MBOX_RENAME && is_named(((const mailsrv_arg_mbox_rename *)t->op.arg)->name, to);
}

/* Gives the mailbox of one name another one. */
static void put(const struct liar *liar, const char *from, const char *to)
{
    struct name *old = name_in(liar, from);
    struct account *a = old->mailbox->account;
    struct path path;
    mailsrv__memory_path((mailsrv_bytes){ (const uint8_t *)to, strlen(to) }, &path);
    mailsrv__memory_give_name(old->mailbox, mailsrv__memory_name_made(store_of(liar), a, &path), a->modseq);
    old->mailbox = NULL;
}

static void new_uidvalidity(struct liar *liar, struct telling *t)
{
    if (is_rename(t, "keeps/b"))
        name_in(liar, "keeps/b")->mailbox->uidvalidity++;
}

static void two_levels(struct liar *liar, struct telling *t)
{
    if (is_rename(t, "wood"))
        put(liar, "wood/b/c", "tree/b/c");
}

static void by_prefix(struct liar *liar, struct telling *t)
{
    if (is_rename(t, "wood"))
        put(liar, "treeish", "woodish");
}

/* Only its own name is looked at. */
static void looks_at_one(struct liar *liar, struct telling *t)
{
    if (!is_rename(t, "to") || t->status != MAILSRV_ALREADYEXISTS)
        return;
    put(liar, "from", "to");
    t->status = MAILSRV_OK;
}

static void below_itself(struct liar *liar, struct telling *t)
{
    if (!is_rename(t, "self/a"))
        return;
    put(liar, "self", "self/a");
    t->status = MAILSRV_OK;
}

static void subscription_goes_along(struct liar *liar, struct telling *t)
{
    if (!is_rename(t, "sub/b"))
        return;
    name_in(liar, "sub/a")->subscribed = false;
    name_in(liar, "sub/b")->subscribed = true;
}

static enum go notes_uidvalidity(struct liar *liar, struct telling *t)
{
    if (is_rename(t, "bore/b"))
        liar->is.number = name_in(liar, "bore/a")->mailbox->uidvalidity;
    return GO_ON;
}

static void keeps_uidvalidity(struct liar *liar, struct telling *t)
{
    if (is_rename(t, "bore/b"))
        name_in(liar, "bore/b")->mailbox->uidvalidity = (uint32_t)liar->is.number;
}

static void moves_those_below(struct liar *liar, struct telling *t)
{
    if (is_rename(t, "moved"))
        put(liar, "INBOX/below", "moved/below");
}

/* The new mailbox is INBOX's old one, and INBOX a new one. */
static void exchanges_ids(struct liar *liar, struct telling *t)
{
    if (!is_rename(t, "moved"))
        return;
    struct mailbox *inbox = name_in(liar, "INBOX")->mailbox, *moved = name_in(liar, "moved")->mailbox;
    mailsrv_id id = inbox->id;
    inbox->id = moved->id;
    moved->id = id;
}

/* The modseq that the message had before. */
static void keeps_modseqs(struct liar *liar, struct telling *t)
{
    if (is_rename(t, "moved"))
        name_in(liar, "moved")->mailbox->shelf.v[0]->row.modseq -= 1;
}

/* ---- COMMIT ---- */

/* Puts INBOX in the place of a target's mailbox. */
static enum go into_inbox(struct liar *liar, struct telling *t, const mailsrv_id *instead_of)
{
    if (t->op.kind != MAILSRV_OP_BODY_COMMIT || instead_of == NULL ||
        !mailsrv__memory_same_id(&target_of(t, 0)->mailbox, instead_of))
        return GO_ON;
    liar->is.targets[0] = *target_of(t, 0);
    memset(&liar->is.targets[0].mailbox, 0, sizeof liar->is.targets[0].mailbox);
    liar->is.arg.commit = *(const mailsrv_arg_body_commit *)t->op.arg;
    liar->is.arg.commit.targets = liar->is.targets;
    t->op.arg = &liar->is.arg.commit;
    return GO_ON;
}

static const mailsrv_id nobody = { { 0xfe, 0xed } };

static enum go all_into_inbox(struct liar *liar, struct telling *t)
{
    const struct name *name = name_in(liar, "into");
    return into_inbox(liar, t, name != NULL ? &name->mailbox->id : NULL);
}

static enum go lost_into_inbox(struct liar *liar, struct telling *t)
{
    return into_inbox(liar, t, &nobody);
}

/* ---- COPY ---- */

/* The row of the copy that was just made in a mailbox of that name; NULL: none was. */
static mailsrv_row *copy_in(const struct liar *liar, const struct telling *t, const char *text)
{
    const struct name *name = name_in(liar, text);
    if (t->op.kind != MAILSRV_OP_COPY || t->status != MAILSRV_OK || name == NULL)
        return NULL;
    return &name->mailbox->shelf.v[name->mailbox->shelf.n - 1]->row;
}

static void arrives_now(struct liar *liar, struct telling *t)
{
    mailsrv_row *row = copy_in(liar, t, "copies");
    if (row != NULL)
        row->internal_us = row->saved_us;
}

static void bits_as_they_are(struct liar *liar, struct telling *t)
{
    mailsrv_row *row = copy_in(liar, t, "keywords");
    if (row != NULL)
        row->keywords[0] = 1;
}

static void saved_before(struct liar *liar, struct telling *t)
{
    mailsrv_row *row = copy_in(liar, t, "saved");
    if (row != NULL)
        row->saved_us = name_in(liar, "INBOX")->mailbox->shelf.v[0]->row.saved_us;
}

static enum go copies_into_inbox(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_COPY || !mailsrv__memory_same_id(&((const mailsrv_arg_copy *)t->op.arg)->to, &nobody))
        return GO_ON;
    liar->is.arg.copy = *(const mailsrv_arg_copy *)t->op.arg;
    memset(&liar->is.arg.copy.to, 0, sizeof liar->is.arg.copy.to);
    t->op.arg = &liar->is.arg.copy;
    return GO_ON;
}

/* What is moved stays. */
static enum go copies_only(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_MOVE)
        t->op.kind = MAILSRV_OP_COPY;
    return GO_ON;
}

const struct lie lies_renaming[] = {
    { .check = "MOVE moves, in one change", .what = "it copies", .before = copies_only },
    { .check = "RENAME keeps id, UIDVALIDITY and messages", .what = "but for UIDVALIDITY", .after = new_uidvalidity },
    { .check = "RENAME takes what lies below", .what = "one level down", .after = two_levels },
    { .check = "RENAME takes what lies below", .what = "and what begins like it", .after = by_prefix },
    { .check = "RENAME to a taken name is refused", .what = "those below are not looked at", .after = looks_at_one },
    { .check = "RENAME below itself is refused", .what = "it is done", .after = below_itself },
    { .check = "subscriptions stay with names", .what = "they go along", .after = subscription_goes_along },
    { .check = "a name bears ascending UIDVALIDITYs",
      .what = "the mailbox keeps its own",
      .before = notes_uidvalidity,
      .after = keeps_uidvalidity },
    { .check = "RENAME of INBOX moves its messages", .what = "and those below", .after = moves_those_below },
    { .check = "RENAME of INBOX moves its messages", .what = "and its id", .after = exchanges_ids },
    { .check = "RENAME of INBOX moves its messages", .what = "with their modseqs", .after = keeps_modseqs },
    { .check = "COMMIT into another mailbox", .what = "all goes into INBOX", .before = all_into_inbox },
    { .check = "COMMIT to no mailbox is nonexistent", .what = "it goes into INBOX", .before = lost_into_inbox },
    { .check = "COPY into another mailbox", .what = "with a new date", .after = arrives_now },
    { .check = "COPY translates keywords", .what = "bits are copied", .after = bits_as_they_are },
    { .check = "COPY to no mailbox is nonexistent", .what = "it goes into INBOX", .before = copies_into_inbox },
    { .check = "dates of saving are told", .what = "the copy has the first one's", .after = saved_before },
    { 0 },
};
