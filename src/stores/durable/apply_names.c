/* The records of mailboxes and their names. */
#include "durable.h"

#include <string.h>

static const mailsrv_bytes inbox_name = { (const uint8_t *)"INBOX", 5 };
static const mailsrv_bytes nothing = { NULL, 0 };

static int64_t number(struct reader *from)
{
    return (int64_t)mailsrv__durable_get_number(from, 8);
}

static uint32_t word(struct reader *from)
{
    return (uint32_t)mailsrv__durable_get_number(from, 4);
}

static bool saw(struct index *x, const mailsrv_id *account, int64_t modseq)
{
    return mailsrv__durable_account_grew(x, account, modseq, 0);
}

/* What a name is from now on; `mailbox` NULL: none has it. */
static bool set_name(struct index *x, const mailsrv_id *account, mailsrv_bytes name, const mailsrv_id *mailbox,
                     int64_t modseq, uint32_t attributes, uint32_t uidvalidity)
{
    mailsrv_bytes id = mailbox != NULL ? (mailsrv_bytes){ mailbox->b, sizeof mailbox->b } : nothing;
    return mailsrv__durable_name_is_known(x, account, name) &&
           mailsrv__durable_run(x, SQL_NAME_SET, "dbbiii", account, name, id, modseq, (int64_t)attributes,
                                (int64_t)uidvalidity);
}

/* ---- Names that are forgotten ---- */

/* What they are called among the tombs; without octets: that is no name. */
static mailsrv_bytes tomb_of(const mailsrv_id *account, mailsrv_bytes text, uint8_t out[16 + MAILSRV_MBOX_NAME_MAX])
{
    if (text.n == 0 || text.n > MAILSRV_MBOX_NAME_MAX)
        return nothing;
    memcpy(out, account->b, 16);
    memcpy(out + 16, text.p, text.n);
    return (mailsrv_bytes){ out, 16 + text.n };
}

bool mailsrv__durable_name_is_known(struct index *x, const mailsrv_id *account, mailsrv_bytes text)
{
    uint8_t key[16 + MAILSRV_MBOX_NAME_MAX];
    mailsrv_bytes tomb = tomb_of(account, text, key);
    return tomb.n != 0 && mailsrv__durable_run(x, SQL_TOMB_NAME_DROP, "b", tomb);
}

bool mailsrv__durable_apply_name_gone(struct index *x, const struct gone_name *gone)
{
    uint8_t key[16 + MAILSRV_MBOX_NAME_MAX];
    struct name name;
    mailsrv_bytes tomb = tomb_of(&gone->account, gone->text, key);
    int32_t status = tomb.n != 0 ? mailsrv__durable_name(x, &gone->account, gone->text, &name) : MAILSRV_TEMP;
    if (status == MAILSRV_OK && !mailsrv__durable_run(x, SQL_NAME_DROP, "i", name.number))
        return false;
    return (status == MAILSRV_OK || status == MAILSRV_NONEXISTENT) &&
           mailsrv__durable_run(x, SQL_ACCOUNT_FORGOT, "dii", &gone->account, gone->modseq, gone->uidvalidity) &&
           mailsrv__durable_tomb(x, 0, TOMB_NAME, tomb, gone->modseq, gone->uidvalidity);
}

/* ---- Records ---- */

static bool add_mailbox(struct index *x, const mailsrv_id *account, const mailsrv_id *mailbox, uint32_t uidvalidity)
{
    mailsrv__durable_id_was_given(x, mailbox);
    return mailsrv__durable_run(x, SQL_MAILBOX_ADD, "ddiii", mailbox, account, (int64_t)uidvalidity, (int64_t)1,
                                (int64_t)0) &&
           mailsrv__durable_run(x, SQL_ACCOUNT_UIDVALIDITY, "di", account, (int64_t)uidvalidity);
}

bool mailsrv__durable_apply_inbox(struct index *x, const mailsrv_id *account, const mailsrv_id *inbox,
                                  uint32_t uidvalidity)
{
    return add_mailbox(x, account, inbox, uidvalidity) &&
           set_name(x, account, inbox_name, inbox, 1, 0, uidvalidity);
}

bool mailsrv__durable_apply_mailbox(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    uint32_t uidvalidity = word(from);
    int64_t modseq = number(from);
    uint32_t attributes = word(from);
    mailsrv_bytes name = mailsrv__durable_get_bytes(from);
    return !from->bad && saw(x, &account, modseq) && add_mailbox(x, &account, &mailbox, uidvalidity) &&
           set_name(x, &account, name, &mailbox, modseq, attributes, uidvalidity);
}

/* The name of a mailbox has none from now on.  Its subscription stays; what it was used for goes with the mailbox, in
 * `*attributes`. */
static bool leave_name(struct index *x, const mailsrv_id *account, const mailsrv_id *mailbox, int64_t modseq,
                       uint32_t *attributes)
{
    struct name name;
    int32_t status = mailsrv__durable_name_of(x, mailbox, &name);
    *attributes = 0;
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT;
    *attributes = name.attributes & ~MAILSRV_NAME_SUBSCRIBED;
    return set_name(x, account, mailsrv__durable_name_text(&name), NULL, modseq,
                    name.attributes & MAILSRV_NAME_SUBSCRIBED, 0);
}

/* The mailbox has that name from now on. */
static bool take_name(struct index *x, const mailsrv_id *account, mailsrv_bytes text, const mailsrv_id *mailbox,
                      int64_t modseq, uint32_t attributes, uint32_t uidvalidity)
{
    struct name name;
    int32_t status = mailsrv__durable_name(x, account, text, &name);
    if (status != MAILSRV_OK && status != MAILSRV_NONEXISTENT)
        return false;
    attributes |= name.attributes & MAILSRV_NAME_SUBSCRIBED;
    return set_name(x, account, text, mailbox, modseq, attributes, uidvalidity);
}

/* Its messages go a few at a time; the account is rid of them at once. */
bool mailsrv__durable_apply_mailbox_delete(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t modseq = number(from);
    uint32_t attributes;
    struct mailbox mbox;
    if (from->bad)
        return false;
    int32_t status = mailsrv__durable_mailbox(x, &mailbox, &mbox);
    if (status != MAILSRV_OK && status != MAILSRV_NONEXISTENT)
        return false;
    if (status == MAILSRV_OK && (!mailsrv__durable_run(x, SQL_ACCOUNT_SHRANK, "di", &account, (int64_t)mbox.octets) ||
                                 !mailsrv__durable_tomb(x, 0, TOMB_MAILBOX, mailsrv__durable_id_bytes(&mailbox), 0,
                                                        0) ||
                                 !mailsrv__durable_run(x, SQL_MAILBOX_DIED, "d", &mailbox)))
        return false;
    return leave_name(x, &account, &mailbox, modseq, &attributes) && saw(x, &account, modseq);
}

bool mailsrv__durable_apply_rename(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t modseq = number(from);
    uint32_t uidvalidity = word(from), attributes;
    mailsrv_bytes name = mailsrv__durable_get_bytes(from);
    return !from->bad && saw(x, &account, modseq) && leave_name(x, &account, &mailbox, modseq, &attributes) &&
           mailsrv__durable_run(x, SQL_MAILBOX_UIDVALIDITY, "di", &mailbox, (int64_t)uidvalidity) &&
           mailsrv__durable_run(x, SQL_ACCOUNT_UIDVALIDITY, "di", &account, (int64_t)uidvalidity) &&
           take_name(x, &account, name, &mailbox, modseq, attributes, uidvalidity);
}

/* A new INBOX in the place of the old one, whose UIDs have all vanished. */
static bool renew_inbox(struct index *x, const mailsrv_id *account, const mailsrv_id *inbox, const struct mailbox *old,
                        int64_t modseq)
{
    if (!mailsrv__durable_run(x, SQL_MAILBOX_ADD, "ddiii", inbox, account, (int64_t)old->uidvalidity,
                              (int64_t)old->uidnext, (int64_t)old->horizon))
        return false;
    int64_t box = mailsrv__durable_box(x, account, inbox);
    return box != 0 && mailsrv__durable_run(x, SQL_KEYWORD_COPY, "ii", old->box, box) &&
           mailsrv__durable_run(x, SQL_MAILBOX_BASE, "ii", box, old->box) && /* as long as the other's is there */
           (old->uidnext == 1 ||
            mailsrv__durable_vanish(x, box, (uint64_t)modseq, (mailsrv_run){ 1, old->uidnext - 1 }));
}

/* The messages stay where they are in the index, and what holds them gets another id.  They appear there now. */
bool mailsrv__durable_apply_inbox_moved(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from), inbox = mailsrv__durable_get_id(from);
    mailsrv_id mailbox = mailsrv__durable_get_id(from);
    int64_t modseq = number(from);
    uint32_t uidvalidity = word(from);
    mailsrv_bytes name = mailsrv__durable_get_bytes(from);
    struct mailbox old;
    mailsrv__durable_id_was_given(x, &mailbox);
    if (from->bad || mailsrv__durable_box(x, &account, &inbox) == 0 ||
        mailsrv__durable_mailbox(x, &inbox, &old) != MAILSRV_OK)
        return false;
    return mailsrv__durable_run(x, SQL_SEGMENT_BULK, "") &&
           mailsrv__durable_run(x, SQL_MAILBOX_BECAME, "idii", old.box, &mailbox, (int64_t)uidvalidity, modseq) &&
           mailsrv__durable_marks_became(x, old.box, (uint64_t)modseq) &&
           renew_inbox(x, &account, &inbox, &old, modseq) &&
           mailsrv__durable_run(x, SQL_ACCOUNT_UIDVALIDITY, "di", &account, (int64_t)uidvalidity) &&
           take_name(x, &account, name, &mailbox, modseq, 0, uidvalidity) && saw(x, &account, modseq);
}

bool mailsrv__durable_apply_subscribe(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from);
    int64_t modseq = number(from);
    uint32_t on = (uint32_t)mailsrv__durable_get_number(from, 1);
    mailsrv_bytes text = mailsrv__durable_get_bytes(from);
    struct name name;
    int32_t status = from->bad ? MAILSRV_TEMP : mailsrv__durable_name(x, &account, text, &name);
    if (status != MAILSRV_OK && status != MAILSRV_NONEXISTENT)
        return false;
    uint32_t attributes = (name.attributes & ~MAILSRV_NAME_SUBSCRIBED) | (on != 0 ? MAILSRV_NAME_SUBSCRIBED : 0);
    return set_name(x, &account, text, mailsrv__durable_no_id(&name.mailbox) ? NULL : &name.mailbox, modseq, attributes,
                    0) &&
           saw(x, &account, modseq);
}
