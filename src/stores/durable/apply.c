/* Records: what a change did, so that it can be done again.  A record is entries, each a kind and what the kind needs;
 * it carries results (UIDs, modseqs, places), never questions.  What an entry speaks of may be missing, because its
 * own record was moved towards the end of the log: rows then have a place to go to, and what changes one row does
 * nothing. */
#include "durable.h"

#include <stdlib.h>

static uint64_t number(struct reader *from)
{
    return mailsrv__durable_get_number(from, 8);
}

static void at_least(uint64_t *last, uint64_t value)
{
    if (value > *last)
        *last = value;
}

/* Ids count in their last half, most significant octet first. */
void mailsrv__durable_id_was_given(struct index *x, const mailsrv_id *id)
{
    uint64_t count = 0;
    for (int i = 8; i < 16; i++)
        count = count << 8 | id->b[i];
    at_least(&x->state.last_id, count);
}

static bool account(struct index *x, struct reader *from)
{
    mailsrv_id id = mailsrv__durable_get_id(from), inbox = mailsrv__durable_get_id(from);
    uint32_t uidvalidity = (uint32_t)mailsrv__durable_get_number(from, 4);
    mailsrv_bytes name = mailsrv__durable_get_bytes(from);
    mailsrv__durable_id_was_given(x, &id);
    return !from->bad && mailsrv__durable_run(x, SQL_ACCOUNT_ADD, "dbd", &id, name, &inbox) &&
           mailsrv__durable_apply_inbox(x, &id, &inbox, uidvalidity);
}

static bool quota(struct index *x, struct reader *from)
{
    mailsrv_id id = mailsrv__durable_get_id(from);
    int64_t octets = (int64_t)number(from);
    return !from->bad && mailsrv__durable_run(x, SQL_ACCOUNT_QUOTA, "di", &id, octets);
}

#define MESSAGE_BODY 105 /* where an entry for a message names its body */

/* Is the next entry a message with that body?  It is counted with the body's row: to change a row that was just added,
 * for a moment an idle one, costs as much as to add it. */
static bool is_next_message(const struct reader *from, uint64_t id)
{
    if (from->n < MESSAGE_BODY + 8 || from->p[0] != ENTRY_MESSAGE)
        return false;
    struct reader at = { from->p + MESSAGE_BODY, 8, false };
    return number(&at) == id;
}

static bool body(struct index *x, struct reader *from)
{
    uint64_t id = number(from);
    int64_t segment = (int64_t)number(from), place = (int64_t)number(from), octets = (int64_t)number(from);
    mailsrv_bytes structure = mailsrv__durable_get_bytes(from);
    at_least(&x->state.last_body, id);
    x->counted = is_next_message(from, id) ? id : 0;
    return !from->bad && mailsrv__durable_run(x, SQL_BODY_ADD, "iiiibi", (int64_t)id, segment, place, octets, structure,
                                              (int64_t)(x->counted != 0));
}

int64_t mailsrv__durable_box(struct index *x, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    if (x->box != 0 && mailsrv__durable_same(&x->box_of, mailbox))
        return x->box;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MAILBOX_BOX, "d", mailbox);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    int64_t box = result == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    if (result == SQLITE_DONE && mailsrv__durable_run(x, SQL_MAILBOX_STUB, "dd", mailbox, account))
        box = sqlite3_last_insert_rowid(x->db);
    x->box_of = *mailbox;
    x->box = box;
    return box;
}

struct counts mailsrv__durable_counts(int by, uint32_t flags, int64_t octets)
{
    return (struct counts){ by, by * octets, (flags & MAILSRV_FLAG_SEEN) == 0 ? by : 0,
                            (flags & MAILSRV_FLAG_DELETED) != 0 ? by : 0 };
}

bool mailsrv__durable_count(struct index *x, int64_t box, const struct counts *counts, int64_t uidnext)
{
    return mailsrv__durable_run(x, SQL_MAILBOX_COUNT, "iiiiii", box, counts->messages, counts->octets, counts->unseen,
                                counts->deleted, uidnext);
}

bool mailsrv__durable_account_grew(struct index *x, const mailsrv_id *id, int64_t modseq, int64_t octets)
{
    return mailsrv__durable_run(x, SQL_ACCOUNT_GREW, "dii", id, modseq, octets) &&
           (sqlite3_changes(x->db) != 0 || mailsrv__durable_run(x, SQL_ACCOUNT_STUB, "dii", id, modseq, octets));
}

static bool body_grew(struct index *x, int64_t id)
{
    bool is_counted = x->counted != 0 && x->counted == (uint64_t)id;
    x->counted = 0;
    return is_counted || mailsrv__durable_body_grew(x, id);
}

/* A message came into a mailbox: its counts, and those of its account, follow at once, or with the end of the change in
 * parts that it belongs to. */
static bool grew(struct index *x, const mailsrv_id *owner, int64_t box, int64_t uid, int64_t modseq,
                 const struct counts *by)
{
    if (x->state.parts != 0) {
        if (!mailsrv__durable_run(x, SQL_PARTS_GREW, "iiiiiii", box, uid + 1, modseq, by->messages, by->octets,
                                  by->unseen, by->deleted))
            return false;
        if (sqlite3_changes(x->db) != 0)
            return true;
    }
    return mailsrv__durable_count(x, box, by, uid + 1) &&
           mailsrv__durable_account_grew(x, owner, modseq, by->octets);
}

/* `as_is`: it may be there from an older record. */
static bool message(struct index *x, struct reader *from, bool as_is)
{
    mailsrv_id owner = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t uid = (int64_t)mailsrv__durable_get_number(from, 4);
    int64_t flags = (int64_t)mailsrv__durable_get_number(from, 4);
    int64_t modseq = (int64_t)number(from), octets = (int64_t)number(from), internal = (int64_t)number(from);
    int64_t saved = (int64_t)number(from), id;
    mailsrv_id email = mailsrv__durable_get_id(from);
    uint64_t keywords[2];
    keywords[0] = number(from);
    keywords[1] = number(from);
    id = (int64_t)number(from);
    mailsrv_bytes prefix = mailsrv__durable_get_bytes(from), uidl = mailsrv__durable_get_bytes(from);
    mailsrv_bytes recipient = mailsrv__durable_get_bytes(from);
    int64_t box = !from->bad ? mailsrv__durable_box(x, &owner, &mailbox) : 0;
    struct counts by = mailsrv__durable_counts(1, (uint32_t)flags, octets);
    mailsrv__durable_id_was_given(x, &email);
    const struct message_mark mark = { (uint32_t)uid, (uint32_t)flags, (uint64_t)modseq,
                                       { keywords[0], keywords[1] }, 0 };
    if (box == 0 || (as_is && !mailsrv__durable_run(x, SQL_MESSAGE_AS_IS, "ii", box, uid)))
        return false;
    if (as_is && sqlite3_changes(x->db) != 0)
        return mailsrv__durable_mark_set(x, box, &mark);
    return mailsrv__durable_mark_add(x, box, &mark, as_is) &&
           mailsrv__durable_run(x, SQL_MESSAGE_ADD, "iiiiidbibb", box, uid, octets, internal, saved, &email, uidl, id,
                                prefix, recipient) &&
           body_grew(x, id) && grew(x, &owner, box, uid, modseq, &by);
}

bool mailsrv__durable_is_loose(struct loose *loose, uint64_t id)
{
    if (loose->n == loose->room) {
        size_t room = loose->room != 0 ? loose->room * 2 : 16;
        uint64_t *v = realloc(loose->v, room * sizeof *v);
        if (v == NULL)
            return true; /* the file goes at the next start */
        loose->v = v;
        loose->room = room;
    }
    loose->v[loose->n++] = id;
    return true;
}

static bool let_go(struct index *x, int64_t id)
{
    return mailsrv__durable_run(x, SQL_BODY_SHRANK, "i", id);
}

/* One body; SQLITE_DONE: there is none. */
static int find_idle(struct index *x, int64_t *id, bool *own_file)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_BODY_IDLE, "");
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result == SQLITE_ROW) {
        *id = sqlite3_column_int64(row, 0);
        *own_file = sqlite3_column_int64(row, 1) == 0;
    }
    sqlite3_reset(row);
    return result;
}

bool mailsrv__durable_drop_idle(struct index *x, struct loose *loose)
{
    int64_t id = 0;
    bool own_file = false;
    int result = find_idle(x, &id, &own_file);
    for (; result == SQLITE_ROW; result = find_idle(x, &id, &own_file)) {
        if (own_file)
            mailsrv__durable_is_loose(loose, (uint64_t)id);
        if (!mailsrv__durable_run(x, SQL_BODY_DROP, "i", id))
            return false;
    }
    return result == SQLITE_DONE;
}

bool mailsrv__durable_tomb(struct index *x, int64_t base, enum tomb kind, mailsrv_bytes mailbox, int64_t first,
                           int64_t last)
{
    return base == (int64_t)x->segment ||
           mailsrv__durable_run(x, SQL_TOMB_ADD, "iibii", base, (int64_t)kind, mailbox, first, last);
}

bool mailsrv__durable_drop_row(struct index *x, const struct row *at, struct counts *out)
{
    bool good;
    const struct message_mark *mark = mailsrv__durable_mark_find(x, at->box, (uint32_t)at->uid, &good);
    *out = (struct counts){ 0, 0, 0, 0 };
    if (mark == NULL && (!good || at->mailbox != NULL))
        return good;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MESSAGE_GET, "ii", at->box, at->uid);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result != SQLITE_ROW) {
        sqlite3_reset(row);
        return false;
    }
    *out = mailsrv__durable_counts(-1, mark != NULL ? mark->flags : 0, sqlite3_column_int64(row, 0));
    int64_t id = sqlite3_column_int64(row, 1), base = sqlite3_column_int64(row, 2);
    sqlite3_reset(row);
    return mailsrv__durable_mark_drop(x, at->box, (uint32_t)at->uid) &&
           mailsrv__durable_run(x, SQL_MESSAGE_DROP, "ii", at->box, at->uid) && let_go(x, id) &&
           (at->mailbox == NULL || mailsrv__durable_tomb(x, base, TOMB_MESSAGES, mailsrv__durable_id_bytes(at->mailbox),
                                                         at->uid, at->uid));
}

/* `owner` NULL: the account has forgotten it already. */
static bool drop_message(struct index *x, const mailsrv_id *owner, const struct row *row)
{
    struct counts by;
    return mailsrv__durable_drop_row(x, row, &by) && mailsrv__durable_count(x, row->box, &by, 0) &&
           (owner == NULL || mailsrv__durable_run(x, SQL_ACCOUNT_SHRANK, "di", owner, -by.octets));
}

bool mailsrv__durable_drop_run(struct index *x, const mailsrv_id *owner, const struct row *first, int64_t last)
{
    for (struct row row = *first; row.uid <= last; row.uid++)
        if (!drop_message(x, owner, &row))
            return false;
    return true;
}

static bool expunge(struct index *x, struct reader *from)
{
    mailsrv_id owner = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    uint64_t modseq = number(from), n = mailsrv__durable_get_number(from, 4);
    int64_t box = !from->bad ? mailsrv__durable_box(x, &owner, &mailbox) : 0;
    for (uint64_t i = 0; i < n; i++) {
        mailsrv_run run;
        run.first = (uint32_t)mailsrv__durable_get_number(from, 4);
        run.last = (uint32_t)mailsrv__durable_get_number(from, 4);
        const struct row first = { &mailbox, box, run.first };
        if (from->bad || !mailsrv__durable_drop_run(x, &owner, &first, run.last) ||
            !mailsrv__durable_vanish(x, box, modseq, run))
            return false;
    }
    return box != 0 && mailsrv__durable_account_grew(x, &owner, (int64_t)modseq, 0);
}

/* ---- Mailboxes that were deleted: their messages go a few at a time ---- */

#define DEATHS 200

static int find_dead(struct index *x, int64_t *box)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MAILBOX_DEAD, "");
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    *box = result == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    return result;
}

static int some_message(struct index *x, int64_t box, int64_t *uid)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MESSAGE_SOME, "i", box);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    *uid = result == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    return result;
}

bool mailsrv__durable_apply_death(struct index *x, bool *more)
{
    int64_t box, uid;
    int result = find_dead(x, &box);
    *more = result == SQLITE_ROW;
    if (!*more)
        return result == SQLITE_DONE;
    for (int i = 0; i < DEATHS && (result = some_message(x, box, &uid)) == SQLITE_ROW; i++)
        if (!drop_message(x, NULL, &(struct row){ NULL, box, uid }))
            return false;
    if (!mailsrv__durable_marks_store(x))
        return false;
    if (result != SQLITE_DONE)
        return result == SQLITE_ROW;
    mailsrv__durable_marks_forget(x);
    return mailsrv__durable_run(x, SQL_MARKS_END, "i", box) && mailsrv__durable_run(x, SQL_KEYWORD_DROP, "i", box) &&
           mailsrv__durable_run(x, SQL_VANISHED_DROP, "i", box) && mailsrv__durable_run(x, SQL_MAILBOX_DROP, "i", box);
}

/* ---- The queue ---- */

/* What an item is, and when it is due, which older records do not say. */
struct due {
    int64_t us;
    mailsrv_bytes lane;
};

static struct due get_due(struct reader *from)
{
    int64_t us = (int64_t)number(from);
    return (struct due){ us, mailsrv__durable_get_bytes(from) };
}

static bool queue(struct index *x, struct reader *from, enum entry entry)
{
    static const struct due none;
    bool as_is = entry == ENTRY_QUEUE_AS_IS || entry == ENTRY_DUE_AS_IS;
    uint64_t item = number(from);
    int64_t octets = (int64_t)number(from), id = (int64_t)number(from);
    mailsrv_bytes prefix = mailsrv__durable_get_bytes(from), record = mailsrv__durable_get_bytes(from);
    mailsrv_bytes recipient = mailsrv__durable_get_bytes(from), sender = mailsrv__durable_get_bytes(from);
    struct due due = entry == ENTRY_DUE || entry == ENTRY_DUE_AS_IS ? get_due(from) : none;
    at_least(&x->state.last_queue, item);
    if (from->bad ||
        (as_is && !mailsrv__durable_run(x, SQL_QUEUE_AS_IS, "ibib", (int64_t)item, record, due.us, due.lane)))
        return false;
    if (as_is && sqlite3_changes(x->db) != 0)
        return true;
    return mailsrv__durable_run(x, SQL_QUEUE_ADD, "iiibbbbib", (int64_t)item, octets, id, prefix, record, recipient,
                                sender, due.us, due.lane) &&
           body_grew(x, id);
}

static bool queue_update(struct index *x, struct reader *from, enum entry entry)
{
    static const struct due none;
    int64_t item = (int64_t)number(from);
    mailsrv_bytes record = mailsrv__durable_get_bytes(from);
    struct due due = entry == ENTRY_DUE_UPDATE ? get_due(from) : none;
    return !from->bad && mailsrv__durable_run(x, SQL_QUEUE_UPDATE, "ibib", item, record, due.us, due.lane);
}

bool mailsrv__durable_drop_item(struct index *x, int64_t item)
{
    static const mailsrv_bytes none;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_QUEUE_GET, "i", item);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    int64_t id = result == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    int64_t base = result == SQLITE_ROW ? sqlite3_column_int64(row, 1) : 0;
    sqlite3_reset(row);
    if (result != SQLITE_ROW)
        return result == SQLITE_DONE;
    return mailsrv__durable_run(x, SQL_QUEUE_DROP, "i", item) && let_go(x, id) &&
           mailsrv__durable_tomb(x, base, TOMB_ITEM, none, item, item);
}

static bool queue_delete(struct index *x, struct reader *from)
{
    int64_t item = (int64_t)number(from);
    return !from->bad && mailsrv__durable_drop_item(x, item);
}

/* Records that removed what only that segment had are needed no more. */
static bool retired(struct index *x, struct reader *from)
{
    int64_t segment = (int64_t)number(from);
    return !from->bad && mailsrv__durable_run(x, SQL_SEGMENT_RETIRE, "ii", segment, (int64_t)x->group) &&
           mailsrv__durable_run(x, SQL_TOMB_RETIRE, "i", segment) &&
           mailsrv__durable_run(x, SQL_WORD_RETIRE, "i", segment);
}

/* Rows may have been copied from it, which it has still. */
static bool retiring(struct index *x, struct reader *from)
{
    int64_t segment = (int64_t)number(from);
    return !from->bad && mailsrv__durable_run(x, SQL_SEGMENT_RETIRING, "i", segment);
}

static bool apply_as_is(struct index *x, enum entry entry, struct reader *from)
{
    switch (entry) {
    case ENTRY_RETIRED:
        return retired(x, from);
    case ENTRY_RETIRING:
        return retiring(x, from);
    case ENTRY_ACCOUNT_AS_IS:
        return mailsrv__durable_apply_account_as_is(x, from);
    case ENTRY_MAILBOX_AS_IS:
        return mailsrv__durable_apply_mailbox_as_is(x, from);
    case ENTRY_NAME_AS_IS:
        return mailsrv__durable_apply_name_as_is(x, from);
    case ENTRY_MESSAGE_AS_IS:
        return message(x, from, true);
    case ENTRY_QUEUE_AS_IS:
    case ENTRY_DUE_AS_IS:
        return queue(x, from, entry);
    case ENTRY_GONE:
        return mailsrv__durable_apply_gone(x, from);
    case ENTRY_PARTS_BEGIN:
    case ENTRY_PARTS_END:
    case ENTRY_PARTS_DROP:
        return mailsrv__durable_apply_parts(x, entry, from);
    default:
        return false;
    }
}

static bool apply_mailbox(struct index *x, enum entry entry, struct reader *from)
{
    switch (entry) {
    case ENTRY_RENUMBER:
        return mailsrv__durable_apply_renumber(x, from);
    case ENTRY_KEYWORD:
        return mailsrv__durable_apply_keyword(x, from);
    case ENTRY_FLAGS:
        return mailsrv__durable_apply_flags(x, from);
    case ENTRY_MAILBOX:
        return mailsrv__durable_apply_mailbox(x, from);
    case ENTRY_MAILBOX_DELETE:
        return mailsrv__durable_apply_mailbox_delete(x, from);
    case ENTRY_RENAME:
        return mailsrv__durable_apply_rename(x, from);
    case ENTRY_INBOX_MOVED:
        return mailsrv__durable_apply_inbox_moved(x, from);
    case ENTRY_SUBSCRIBE:
        return mailsrv__durable_apply_subscribe(x, from);
    default:
        return false;
    }
}

/* What an entry changes of accounts: of the one that it begins with, or who knows of which. */
static void mark_changed(struct index *x, enum entry entry, struct reader from)
{
    switch (entry) {
    case ENTRY_BODY:
    case ENTRY_QUEUE:
    case ENTRY_QUEUE_UPDATE:
    case ENTRY_QUEUE_DELETE:
    case ENTRY_QUEUE_AS_IS:
    case ENTRY_DUE:
    case ENTRY_DUE_UPDATE:
    case ENTRY_DUE_AS_IS:
    case ENTRY_RETIRED:
    case ENTRY_RETIRING:
        return;
    default:
        if (entry >= ENTRY_RETIRED && entry != ENTRY_MESSAGE_AS_IS) {
            mailsrv__durable_known_mark_all(&x->changed);
            return;
        }
        const mailsrv_id account = mailsrv__durable_get_id(&from);
        mailsrv__durable_known_mark(&x->changed, &account);
    }
}

/* Is a message no longer, or something else, where it was?  New ones, and flags, take nothing away. */
static bool removes(enum entry entry)
{
    switch (entry) {
    case ENTRY_EXPUNGE:
    case ENTRY_RENUMBER:
    case ENTRY_MAILBOX_DELETE:
    case ENTRY_RENAME:
    case ENTRY_INBOX_MOVED:
    case ENTRY_GONE:
    case ENTRY_PARTS_DROP:
        return true;
    default:
        return false;
    }
}

static bool apply_entry(struct index *x, struct reader *from)
{
    x->entry = from->p;
    x->from = from;
    enum entry entry = (enum entry)mailsrv__durable_get_number(from, 1);
    mark_changed(x, entry, *from);
    x->removes = x->removes || removes(entry);
    switch (entry) {
    case ENTRY_ACCOUNT:
        return account(x, from);
    case ENTRY_QUOTA:
        return quota(x, from);
    case ENTRY_BODY:
        return body(x, from);
    case ENTRY_MESSAGE:
        return message(x, from, false);
    case ENTRY_EXPUNGE:
        return expunge(x, from);
    case ENTRY_QUEUE:
    case ENTRY_DUE:
        return queue(x, from, entry);
    case ENTRY_QUEUE_UPDATE:
    case ENTRY_DUE_UPDATE:
        return queue_update(x, from, entry);
    case ENTRY_QUEUE_DELETE:
        return queue_delete(x, from);
    default:
        return entry < ENTRY_RETIRED ? apply_mailbox(x, entry, from) : apply_as_is(x, entry, from);
    }
}

bool mailsrv__durable_apply(struct index *x, mailsrv_bytes record)
{
    struct reader from = { record.p, record.n, false };
    x->counted = 0;
    while (from.n != 0)
        if (!apply_entry(x, &from))
            return false;
    return mailsrv__durable_marks_store(x);
}
