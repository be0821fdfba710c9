/* Records that the writer makes to be rid of old segments: rows as they are now, and what is gone.  They come behind
 * whatever older records say, some of which may be there still and some not. */
#include "durable.h"

static int64_t number(struct reader *from)
{
    return (int64_t)mailsrv__durable_get_number(from, 8);
}

static int64_t word(struct reader *from)
{
    return (int64_t)mailsrv__durable_get_number(from, 4);
}

bool mailsrv__durable_apply_account_as_is(struct index *x, struct reader *from)
{
    mailsrv_id id = mailsrv__durable_get_id(from), inbox = mailsrv__durable_get_id(from);
    int64_t modseq = number(from), quota = number(from), uidvalidity = word(from);
    int64_t forgotten = number(from), forgotten_uidvalidity = word(from);
    mailsrv_bytes name = mailsrv__durable_get_bytes(from);
    return !from->bad && mailsrv__durable_run(x, SQL_ACCOUNT_AS_IS, "ddiiiiib", &id, &inbox, modseq, quota,
                                              uidvalidity, forgotten, forgotten_uidvalidity, name);
}

bool mailsrv__durable_apply_mailbox_as_is(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t uidvalidity = word(from), uidnext = word(from), horizon = number(from), n = word(from);
    const struct reader keywords = *from;
    for (int64_t i = 0; i < n && !from->bad; i++) {
        mailsrv__durable_get_number(from, 1);
        mailsrv__durable_get_bytes(from);
    }
    if (from->bad || !mailsrv__durable_run(x, SQL_MAILBOX_AS_IS, "ddiii", &account, &mailbox, uidvalidity, uidnext,
                                           horizon))
        return false;
    int64_t box = mailsrv__durable_box(x, &account, &mailbox);
    struct reader again = keywords;
    for (int64_t i = 0; i < n && box != 0; i++) {
        int64_t at = (int64_t)mailsrv__durable_get_number(&again, 1);
        mailsrv_bytes name = mailsrv__durable_get_bytes(&again);
        if (!mailsrv__durable_run(x, SQL_KEYWORD_ADD, "iib", box, at, name))
            return false;
    }
    return box != 0;
}

bool mailsrv__durable_apply_name_as_is(struct index *x, struct reader *from)
{
    mailsrv_id account = mailsrv__durable_get_id(from);
    mailsrv_bytes name = mailsrv__durable_get_bytes(from), mailbox = mailsrv__durable_get_bytes(from);
    int64_t modseq = number(from), attributes = word(from), uidvalidity = word(from);
    /* Where the record that took the mailbox away from another name is not there any more, it has that as well. */
    return !from->bad && mailsrv__durable_run(x, SQL_NAME_ALONE, "bb", mailbox, name) &&
           mailsrv__durable_name_is_known(x, &account, name) &&
           mailsrv__durable_run(x, SQL_NAME_AS_IS, "dbbiii", &account, name, mailbox, modseq, attributes, uidvalidity);
}

/* ---- What is gone ---- */

static bool messages_gone(struct index *x, const mailsrv_id *mailbox, int64_t first, int64_t last)
{
    struct mailbox mbox;
    int32_t status = mailsrv__durable_mailbox(x, mailbox, &mbox);
    const struct row from = { mailbox, mbox.box, first };
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT;
    return mailsrv__durable_drop_run(x, &mbox.account, &from, last);
}

bool mailsrv__durable_apply_gone(struct index *x, struct reader *from)
{
    enum tomb kind = (enum tomb)mailsrv__durable_get_number(from, 1);
    int64_t base = number(from);
    mailsrv_id mailbox = mailsrv__durable_get_id(from);
    int64_t first = number(from), last = number(from);
    mailsrv_bytes id = kind != TOMB_ITEM ? mailsrv__durable_id_bytes(&mailbox) : (mailsrv_bytes){ NULL, 0 };
    if (kind == TOMB_NAME) {
        const struct gone_name gone = { mailbox, mailsrv__durable_get_bytes(from), first, last };
        return !from->bad && mailsrv__durable_apply_name_gone(x, &gone);
    }
    if (from->bad || !mailsrv__durable_tomb(x, base, kind, id, first, last))
        return false;
    switch (kind) {
    case TOMB_MESSAGES:
        return messages_gone(x, &mailbox, first, last);
    case TOMB_MAILBOX:
        return mailsrv__durable_run(x, SQL_MAILBOX_DIED, "d", &mailbox);
    case TOMB_PARTS:
        return mailsrv__durable_parts_close(x, &mailbox);
    case TOMB_ITEM:
        return mailsrv__durable_drop_item(x, first);
    default:
        return false;
    }
}
