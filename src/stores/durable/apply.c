/* Records: what a change did, so that it can be done again.  A record is entries, each a kind and what the kind needs;
 * it carries results (UIDs, modseqs, places), never questions. */
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
static void id_was_given(struct index *x, const mailsrv_id *id)
{
    uint64_t count = 0;
    for (int i = 8; i < 16; i++)
        count = count << 8 | id->b[i];
    at_least(&x->state.last_id, count);
}

static bool account(struct index *x, struct reader *from)
{
    mailsrv_id id = mailsrv__durable_get_id(from), inbox = mailsrv__durable_get_id(from);
    int64_t uidvalidity = (int64_t)mailsrv__durable_get_number(from, 4);
    mailsrv_bytes name = mailsrv__durable_get_bytes(from);
    id_was_given(x, &id);
    id_was_given(x, &inbox);
    return !from->bad && mailsrv__durable_run(x, SQL_ACCOUNT_ADD, "dbd", &id, name, &inbox) &&
           mailsrv__durable_run(x, SQL_MAILBOX_ADD, "ddi", &inbox, &id, uidvalidity);
}

static bool quota(struct index *x, struct reader *from)
{
    mailsrv_id id = mailsrv__durable_get_id(from);
    int64_t octets = (int64_t)number(from);
    return !from->bad && mailsrv__durable_run(x, SQL_ACCOUNT_QUOTA, "di", &id, octets);
}

static bool body(struct index *x, struct reader *from)
{
    uint64_t id = number(from);
    int64_t segment = (int64_t)number(from), place = (int64_t)number(from), octets = (int64_t)number(from);
    mailsrv_bytes structure = mailsrv__durable_get_bytes(from);
    at_least(&x->state.last_body, id);
    return !from->bad &&
           mailsrv__durable_run(x, SQL_BODY_ADD, "iiiib", (int64_t)id, segment, place, octets, structure);
}

bool mailsrv__durable_grew(struct index *x, const mailsrv_id *owner, const mailsrv_id *mailbox, int64_t uid,
                           int64_t modseq, int64_t octets)
{
    if (x->state.parts != 0) {
        if (!mailsrv__durable_run(x, SQL_PARTS_GREW, "diii", mailbox, uid, modseq, octets))
            return false;
        if (sqlite3_changes(x->db) != 0)
            return true;
    }
    return mailsrv__durable_run(x, SQL_MAILBOX_GREW, "dii", mailbox, uid, (int64_t)1) &&
           mailsrv__durable_run(x, SQL_ACCOUNT_GREW, "dii", owner, modseq, octets);
}

static bool message(struct index *x, struct reader *from)
{
    mailsrv_id owner = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t uid = (int64_t)mailsrv__durable_get_number(from, 4);
    int64_t flags = (int64_t)mailsrv__durable_get_number(from, 4);
    int64_t modseq = (int64_t)number(from), octets = (int64_t)number(from), internal = (int64_t)number(from);
    mailsrv_id email = mailsrv__durable_get_id(from);
    int64_t id = (int64_t)number(from);
    mailsrv_bytes prefix = mailsrv__durable_get_bytes(from), uidl = mailsrv__durable_get_bytes(from);
    mailsrv_bytes recipient = mailsrv__durable_get_bytes(from), keywords = mailsrv__durable_get_bytes(from);
    id_was_given(x, &email);
    return !from->bad &&
           mailsrv__durable_run(x, SQL_MESSAGE_ADD, "diiiiidbibbb", &mailbox, uid, flags, modseq, octets, internal,
                                &email, uidl, id, prefix, keywords, recipient) &&
           mailsrv__durable_run(x, SQL_BODY_GREW, "i", id) &&
           mailsrv__durable_grew(x, &owner, &mailbox, uid, modseq, octets);
}

static bool is_loose(struct loose *loose, int64_t id)
{
    if (loose->n == loose->room) {
        size_t room = loose->room != 0 ? loose->room * 2 : 16;
        uint64_t *v = realloc(loose->v, room * sizeof *v);
        if (v == NULL)
            return true; /* the file goes at the next start */
        loose->v = v;
        loose->room = room;
    }
    loose->v[loose->n++] = (uint64_t)id;
    return true;
}

static bool let_go(struct index *x, int64_t id, struct loose *loose)
{
    if (!mailsrv__durable_run(x, SQL_BODY_SHRANK, "i", id))
        return false;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_BODY_GET, "i", id);
    if (row == NULL || sqlite3_step(row) != SQLITE_ROW)
        return false;
    bool last = sqlite3_column_int64(row, 0) == 0, own_file = sqlite3_column_int64(row, 1) == 0;
    sqlite3_reset(row);
    if (last && own_file)
        is_loose(loose, id);
    return !last || mailsrv__durable_run(x, SQL_BODY_DROP, "i", id);
}

bool mailsrv__durable_drop_row(struct index *x, const mailsrv_id *mailbox, int64_t uid, struct loose *loose,
                               int64_t *octets)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MESSAGE_GET, "di", mailbox, uid);
    if (row == NULL || sqlite3_step(row) != SQLITE_ROW)
        return false;
    int64_t id = sqlite3_column_int64(row, 2);
    *octets = sqlite3_column_int64(row, 1);
    sqlite3_reset(row);
    return mailsrv__durable_run(x, SQL_MESSAGE_DROP, "di", mailbox, uid) && let_go(x, id, loose);
}

static bool drop_message(struct index *x, const mailsrv_id *owner, const mailsrv_id *mailbox, int64_t uid,
                         struct loose *loose)
{
    int64_t octets;
    return mailsrv__durable_drop_row(x, mailbox, uid, loose, &octets) &&
           mailsrv__durable_run(x, SQL_MAILBOX_SHRANK, "d", mailbox) &&
           mailsrv__durable_run(x, SQL_ACCOUNT_SHRANK, "di", owner, octets);
}

static bool expunge(struct index *x, struct reader *from, struct loose *loose)
{
    mailsrv_id owner = mailsrv__durable_get_id(from), mailbox = mailsrv__durable_get_id(from);
    int64_t modseq = (int64_t)number(from);
    uint64_t n = mailsrv__durable_get_number(from, 4);
    for (uint64_t i = 0; i < n; i++) {
        int64_t uid = (int64_t)mailsrv__durable_get_number(from, 4);
        if (from->bad || !drop_message(x, &owner, &mailbox, uid, loose))
            return false;
    }
    return mailsrv__durable_run(x, SQL_ACCOUNT_GREW, "dii", &owner, modseq, (int64_t)0);
}

/* The UIDs from 1 on, in their order: no new one is above its old one, so none meets another. */
static bool renumber(struct index *x, struct reader *from)
{
    mailsrv_id mailbox = mailsrv__durable_get_id(from);
    int64_t uidvalidity = (int64_t)mailsrv__durable_get_number(from, 4), last = 0, next = 1;
    for (bool more = !from->bad; more;) {
        sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MESSAGE_UIDS, "dii", &mailbox, last + 1, (int64_t)UINT32_MAX);
        if (row == NULL)
            return false;
        int result = sqlite3_step(row);
        more = result == SQLITE_ROW;
        last = more ? sqlite3_column_int64(row, 0) : last;
        sqlite3_reset(row);
        if (!more && result != SQLITE_DONE)
            return false;
        if (more && !mailsrv__durable_run(x, SQL_MESSAGE_RENUMBER, "dii", &mailbox, last, next))
            return false;
        next += more;
    }
    return !from->bad && mailsrv__durable_run(x, SQL_MAILBOX_RENUMBERED, "dii", &mailbox, uidvalidity, next);
}

static bool queue(struct index *x, struct reader *from)
{
    uint64_t item = number(from);
    int64_t octets = (int64_t)number(from), id = (int64_t)number(from);
    mailsrv_bytes prefix = mailsrv__durable_get_bytes(from), record = mailsrv__durable_get_bytes(from);
    mailsrv_bytes recipient = mailsrv__durable_get_bytes(from), sender = mailsrv__durable_get_bytes(from);
    at_least(&x->state.last_queue, item);
    return !from->bad &&
           mailsrv__durable_run(x, SQL_QUEUE_ADD, "iiibbbb", (int64_t)item, octets, id, prefix, record, recipient,
                                sender) &&
           mailsrv__durable_run(x, SQL_BODY_GREW, "i", id);
}

static bool queue_update(struct index *x, struct reader *from)
{
    int64_t item = (int64_t)number(from);
    mailsrv_bytes record = mailsrv__durable_get_bytes(from);
    return !from->bad && mailsrv__durable_run(x, SQL_QUEUE_UPDATE, "ib", item, record);
}

static bool queue_delete(struct index *x, struct reader *from, struct loose *loose)
{
    int64_t item = (int64_t)number(from);
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_QUEUE_GET, "i", item);
    if (from->bad || row == NULL || sqlite3_step(row) != SQLITE_ROW)
        return false;
    int64_t id = sqlite3_column_int64(row, 0);
    sqlite3_reset(row);
    return mailsrv__durable_run(x, SQL_QUEUE_DROP, "i", item) && let_go(x, id, loose);
}

static bool apply_entry(struct index *x, struct reader *from, struct loose *loose)
{
    enum entry kind = (enum entry)mailsrv__durable_get_number(from, 1);
    switch (kind) {
    case ENTRY_ACCOUNT:
        return account(x, from);
    case ENTRY_QUOTA:
        return quota(x, from);
    case ENTRY_BODY:
        return body(x, from);
    case ENTRY_MESSAGE:
        return message(x, from);
    case ENTRY_EXPUNGE:
        return expunge(x, from, loose);
    case ENTRY_RENUMBER:
        return renumber(x, from);
    case ENTRY_QUEUE:
        return queue(x, from);
    case ENTRY_QUEUE_UPDATE:
        return queue_update(x, from);
    case ENTRY_QUEUE_DELETE:
        return queue_delete(x, from, loose);
    case ENTRY_PARTS_BEGIN:
    case ENTRY_PARTS_END:
    case ENTRY_PARTS_DROP:
        return mailsrv__durable_apply_parts(x, kind, from, loose);
    default:
        return false;
    }
}

bool mailsrv__durable_apply(struct index *x, mailsrv_bytes record, struct loose *loose)
{
    struct reader from = { record.p, record.n, false };
    while (from.n != 0)
        if (!apply_entry(x, &from, loose))
            return false;
    return true;
}
