/* The records of keywords, flags and UIDs, and the history of what vanished. */
#include "durable.h"

static int64_t number(struct reader *from)
{
    return (int64_t)mailsrv__durable_get_number(from, 8);
}

static uint32_t word(struct reader *from)
{
    return (uint32_t)mailsrv__durable_get_number(from, 4);
}

bool mailsrv__durable_apply_keyword(struct index *x, struct reader *from)
{
    mailsrv_id owner = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t at = (int64_t)mailsrv__durable_get_number(from, 1);
    mailsrv_bytes name = mailsrv__durable_get_bytes(from);
    int64_t box = !from->bad ? mailsrv__durable_box(x, &owner, &mailbox) : 0;
    return box != 0 && mailsrv__durable_run(x, SQL_KEYWORD_ADD, "iib", box, at, name);
}

/* ---- Flags ---- */

/* By what the counts of a mailbox change when flags do. */
static void count(struct counts *by, const struct marked *marked, uint32_t now)
{
    by->unseen += ((now & MAILSRV_FLAG_SEEN) == 0 ? marked->rows : 0) - marked->unseen;
    by->deleted += ((now & MAILSRV_FLAG_DELETED) != 0 ? marked->rows : 0) - marked->deleted;
}

static bool mark_run(struct index *x, int64_t box, uint64_t modseq, struct reader *from, struct counts *by)
{
    mailsrv_run uids = { word(from), 0 };
    uids.last = word(from);
    struct message_mark now = { .flags = word(from), .modseq = modseq, .word = x->segment };
    struct marked marked = { 0, 0, 0 };
    now.keywords[0] = (uint64_t)number(from);
    now.keywords[1] = (uint64_t)number(from);
    if (from->bad || !mailsrv__durable_mark_run(x, box, uids, &now, &marked))
        return false;
    count(by, &marked, now.flags);
    return true;
}

bool mailsrv__durable_apply_flags(struct index *x, struct reader *from)
{
    mailsrv_id owner = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t modseq = number(from);
    uint32_t n = word(from);
    struct counts by = { 0, 0, 0, 0 };
    int64_t box = !from->bad ? mailsrv__durable_box(x, &owner, &mailbox) : 0;
    for (uint32_t i = 0; i < n; i++)
        if (box == 0 || !mark_run(x, box, (uint64_t)modseq, from, &by))
            return false;
    return box != 0 && mailsrv__durable_count(x, box, &by, 0) &&
           mailsrv__durable_account_grew(x, &owner, modseq, 0);
}

/* ---- UIDs from 1 on ---- */

/* The UID that the first of an entry gets; 0: the index failed.  One that gives the mailbox the UIDVALIDITY that it has
 * goes on behind the entry before. */
static int64_t first_renumbered(struct index *x, const mailsrv_id *mailbox, int64_t uidvalidity)
{
    struct mailbox mbox;
    if (mailsrv__durable_mailbox(x, mailbox, &mbox) != MAILSRV_OK)
        return 0;
    return mbox.uidvalidity == uidvalidity ? mbox.uidnext : 1;
}

static bool renumber_one(struct index *x, int64_t box, uint32_t uid, uint32_t now)
{
    bool good;
    const struct message_mark *found = mailsrv__durable_mark_find(x, box, uid, &good);
    if (found == NULL)
        return good;
    struct message_mark mark = *found;
    mark.uid = now;
    return mailsrv__durable_mark_drop(x, box, uid) && mailsrv__durable_mark_add(x, box, &mark, true) &&
           mailsrv__durable_run(x, SQL_MESSAGE_RENUMBER, "iii", box, (int64_t)uid, (int64_t)now);
}

/* No new UID is above its old one, so none meets another. */
bool mailsrv__durable_apply_renumber(struct index *x, struct reader *from)
{
    mailsrv_id owner = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t uidvalidity = word(from);
    uint32_t n = word(from);
    int64_t box = !from->bad ? mailsrv__durable_box(x, &owner, &mailbox) : 0;
    int64_t next = box != 0 ? first_renumbered(x, &mailbox, uidvalidity) : 0;
    if (next == 0)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t first = word(from), last = word(from);
        for (int64_t uid = first; uid <= last && !from->bad; uid++, next++)
            if (uid != next && !renumber_one(x, box, (uint32_t)uid, (uint32_t)next))
                return false;
    }
    return !from->bad && mailsrv__durable_run(x, SQL_SEGMENT_BULK, "") &&
           mailsrv__durable_run(x, SQL_VANISHED_DROP, "i", box) &&
           mailsrv__durable_run(x, SQL_MAILBOX_RENUMBERED, "iii", box, uidvalidity, next) &&
           mailsrv__durable_run(x, SQL_NAME_BORE, "di", &mailbox, uidvalidity) &&
           mailsrv__durable_run(x, SQL_ACCOUNT_UIDVALIDITY, "di", &owner, uidvalidity);
}

/* ---- What vanished ---- */

static int64_t first_column(struct index *x, enum sql which, int64_t box)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, which, "i", box);
    int64_t value = row != NULL && sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int64(row, 0) : -1;
    sqlite3_reset(row);
    return value;
}

/* All that one change removed is forgotten together: the horizon is its modseq. */
static bool forget_oldest(struct index *x, int64_t box)
{
    int64_t modseq = first_column(x, SQL_VANISHED_OLDEST, box);
    return modseq >= 0 && mailsrv__durable_run(x, SQL_VANISHED_FORGET, "ii", box, modseq) &&
           mailsrv__durable_run(x, SQL_MAILBOX_HISTORY, "iii", box, -(int64_t)sqlite3_changes(x->db), modseq);
}

bool mailsrv__durable_vanish(struct index *x, int64_t box, uint64_t modseq, mailsrv_run run)
{
    bool good = mailsrv__durable_run(x, SQL_VANISHED_ADD, "iiii", box, (int64_t)modseq, (int64_t)run.first,
                                     (int64_t)run.last) &&
                mailsrv__durable_run(x, SQL_MAILBOX_HISTORY, "iii", box, (int64_t)1, (int64_t)0);
    int64_t runs = good ? first_column(x, SQL_MAILBOX_RUNS, box) : -1;
    while (runs > (int64_t)x->history_max)
        runs = forget_oldest(x, box) ? first_column(x, SQL_MAILBOX_RUNS, box) : -1;
    return runs >= 0;
}
