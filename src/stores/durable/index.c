/* The index: SQLite, with a write-ahead log and synchronous=NORMAL, so that after a loss of power it is as it was some
 * time before, and what the log has above that is applied again. */
#include "durable.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUSY_MS 5000 /* another connection is about to be done */

static const char schema[] =
    "BEGIN;"
    "CREATE TABLE state(one INTEGER PRIMARY KEY, seq INTEGER, segment INTEGER, place INTEGER, last_body INTEGER,"
    " last_id INTEGER, last_queue INTEGER, whole INTEGER);"
    "CREATE TABLE account(id BLOB PRIMARY KEY, name BLOB UNIQUE, modseq INTEGER, octets INTEGER, quota INTEGER,"
    " inbox BLOB, uidvalidity INTEGER, forgotten INTEGER, forgotten_uidvalidity INTEGER,"
    " base INTEGER, touched INTEGER, weight INTEGER) WITHOUT ROWID;"
    "CREATE TABLE mailbox(box INTEGER PRIMARY KEY, id BLOB UNIQUE, account BLOB, uidvalidity INTEGER, uidnext INTEGER,"
    " messages INTEGER, unseen INTEGER, deleted INTEGER, octets INTEGER, runs INTEGER, horizon INTEGER,"
    " base INTEGER, touched INTEGER, weight INTEGER);"
    "CREATE INDEX mailbox_dead ON mailbox(box) WHERE length(account) = 0;"
    "CREATE TABLE name(number INTEGER PRIMARY KEY, account BLOB, name BLOB, mailbox BLOB, modseq INTEGER,"
    " attributes INTEGER, uidvalidity INTEGER, base INTEGER, touched INTEGER, weight INTEGER, UNIQUE(account, name));"
    "CREATE INDEX name_mailbox ON name(mailbox) WHERE length(mailbox) > 0;"
    "CREATE INDEX name_gone ON name(account, modseq) WHERE length(mailbox) = 0 AND attributes & 1 = 0;"
    "CREATE TABLE keyword(box INTEGER, number INTEGER, name BLOB, PRIMARY KEY(box, number)) WITHOUT ROWID;"
    "CREATE TABLE vanished(box INTEGER, modseq INTEGER, first INTEGER, last INTEGER, PRIMARY KEY(box, modseq, first))"
    " WITHOUT ROWID;"
    "CREATE TABLE body(id INTEGER PRIMARY KEY, base INTEGER, place INTEGER, octets INTEGER, refs INTEGER,"
    " structure BLOB);"
    /* The key of a message is its mailbox's box, and its UID in the lower 32 bits. */
    "CREATE TABLE message(key INTEGER PRIMARY KEY, octets INTEGER, internal INTEGER, saved INTEGER, email BLOB,"
    " uidl BLOB, body INTEGER, prefix BLOB, recipient BLOB, base INTEGER, weight INTEGER);"
    "CREATE TABLE marks(key INTEGER PRIMARY KEY, first INTEGER, altered INTEGER, rows BLOB);"
    "CREATE INDEX marks_altered ON marks(key >> 26, altered) WHERE altered > 0;"
    "CREATE TABLE word(segment INTEGER, key INTEGER, PRIMARY KEY(segment, key)) WITHOUT ROWID;"
    "CREATE INDEX message_uidl ON message(key >> 32, uidl) WHERE length(uidl) > 0;"
    "CREATE TABLE queue(number INTEGER PRIMARY KEY, octets INTEGER, body INTEGER, prefix BLOB, record BLOB,"
    " recipient BLOB, sender BLOB, due INTEGER, lane BLOB, base INTEGER, word INTEGER, weight INTEGER,"
    " word_weight INTEGER);"
    "CREATE INDEX queue_due ON queue(due);" /* and number, as in each index */
    "CREATE INDEX queue_lane ON queue(lane, due);"
    "CREATE TABLE parts(box INTEGER PRIMARY KEY, mailbox BLOB, account BLOB, uidnext INTEGER, modseq INTEGER,"
    " messages INTEGER, octets INTEGER, unseen INTEGER, deleted INTEGER, base INTEGER);"
    "INSERT INTO state VALUES(1, 0, 0, 0, 0, 0, 0, 0);"
    "PRAGMA user_version = 3;"; /* INDEX_FORMAT */

#define UID "key & 4294967295"
#define AT "WHERE key = (?1 << 32) + ?2"
#define FROM_TO "WHERE key >= (?1 << 32) + ?2 AND key <= (?1 << 32) + ?3 ORDER BY key"
#define ROW "SELECT " UID ", octets, internal, email, uidl, saved FROM message "
#define NAME "SELECT number, mailbox, modseq, attributes, uidvalidity, name FROM name "
#define HERE "segment(), segment(), weight())" /* of a whole record */
#define IS_HERE "base = segment(), touched = segment(), weight = weight()"
#define IS_GONE "length(mailbox) = 0 AND attributes & 1 = 0"
#define COPY_MESSAGE                                                                                                  \
    "SELECT account, id, " UID ", message.octets, internal, saved, email, body, prefix, uidl, recipient, mailbox.box"  \
    " FROM message JOIN mailbox ON mailbox.box = key >> 32 "
#define COPY_QUEUE "SELECT number, octets, body, prefix, record, recipient, sender, due, lane FROM queue "
#define ITEM(from) "SELECT number, octets, record, due, lane FROM queue " from
#define COPY_NAME "SELECT account, name, mailbox, modseq, attributes, uidvalidity, number FROM name "

static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_LOOK] = "BEGIN",
    [SQL_PAGES] = "PRAGMA page_count",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVE] = "SAVEPOINT change",
    [SQL_BACK] = "ROLLBACK TO change",
    [SQL_RELEASE] = "RELEASE change",
    [SQL_STATE_SET] = "INSERT OR REPLACE INTO state VALUES(1, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_STATE_GET] = "SELECT seq, segment, place, last_body, last_id, last_queue, whole FROM state",
    /* OR FAIL: what fails undoes the whole transaction, and a statement that can be undone alone costs a copy of every
     * page that it changes. */
    /* A record may come before those of what it belongs to, which were moved to the end of the log: then there is
     * something in their place until they come. */
    [SQL_ACCOUNT_ADD] = "INSERT INTO account VALUES(?1, ?2, 1, 0, 9223372036854775807, ?3, 0, 0, 0, " HERE
                        " ON CONFLICT(id) DO UPDATE SET name = ?2, inbox = ?3, " IS_HERE,
    [SQL_ACCOUNT_BY_NAME] = "SELECT id FROM account WHERE name = ?",
    [SQL_ACCOUNT_GET] = "SELECT modseq, octets, quota, inbox, uidvalidity, forgotten, forgotten_uidvalidity"
                        " FROM account WHERE id = ?",
    [SQL_ACCOUNT_AFTER] = "SELECT id FROM account WHERE id > ? ORDER BY id LIMIT 1",
    [SQL_ACCOUNT_GREW] = "UPDATE account SET modseq = max(modseq, ?2), octets = octets + ?3, touched = segment()"
                         " WHERE id = ?1",
    [SQL_ACCOUNT_STUB] = "INSERT INTO account VALUES(?1, NULL, ?2, ?3, 9223372036854775807, x'', 0, 0, 0, 0,"
                         " segment(), 0)",
    [SQL_ACCOUNT_SHRANK] = "UPDATE account SET octets = octets - ?2 WHERE id = ?1",
    [SQL_ACCOUNT_QUOTA] = "UPDATE account SET quota = ?2, touched = segment() WHERE id = ?1",
    [SQL_ACCOUNT_UIDVALIDITY] = "UPDATE account SET uidvalidity = max(uidvalidity, ?2), touched = segment()"
                                " WHERE id = ?1",
    [SQL_ACCOUNT_FORGOT] = "UPDATE account SET forgotten = max(forgotten, ?2),"
                           " forgotten_uidvalidity = max(forgotten_uidvalidity, ?3), touched = segment()"
                           " WHERE id = ?1",
    [SQL_MAILBOX_ADD] = "INSERT INTO mailbox VALUES(NULL, ?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, ?5, " HERE
                        " ON CONFLICT(id) DO UPDATE SET account = ?2, uidvalidity = ?3, uidnext = max(uidnext, ?4),"
                        " horizon = max(horizon, ?5), " IS_HERE,
    [SQL_MAILBOX_BASE] = "UPDATE mailbox SET base = (SELECT base FROM mailbox WHERE box = ?2) WHERE box = ?1",
    [SQL_MAILBOX_STUB] = "INSERT INTO mailbox VALUES(NULL, ?, ?, 0, 1, 0, 0, 0, 0, 0, 0, 0, segment(), 0)",
    [SQL_MAILBOX_BOX] = "SELECT box FROM mailbox WHERE id = ?",
    [SQL_MAILBOX_GET] = "SELECT box, account, uidvalidity, uidnext, messages, unseen, deleted, octets, horizon, runs"
                        " FROM mailbox WHERE id = ?",
    [SQL_MAILBOX_COUNT] = "UPDATE mailbox SET messages = messages + ?2, octets = octets + ?3, unseen = unseen + ?4,"
                          " deleted = deleted + ?5, uidnext = max(uidnext, ?6), touched = segment()"
                          " WHERE box = ?1",
    [SQL_MAILBOX_RENUMBERED] = "UPDATE mailbox SET uidvalidity = ?2, uidnext = ?3, runs = 0, touched = segment(),"
                               " horizon = (SELECT modseq FROM account WHERE account.id = mailbox.account)"
                               " WHERE box = ?1",
    [SQL_MAILBOX_UIDVALIDITY] = "UPDATE mailbox SET uidvalidity = ?2, touched = segment() WHERE id = ?1",
    [SQL_MAILBOX_RUNS] = "SELECT runs FROM mailbox WHERE box = ?",
    [SQL_MAILBOX_HISTORY] = "UPDATE mailbox SET runs = runs + ?2, horizon = max(horizon, ?3) WHERE box = ?1",
    [SQL_MAILBOX_BECAME] = "UPDATE mailbox SET id = ?2, uidvalidity = ?3, horizon = max(horizon, ?4),"
                           " touched = segment() WHERE box = ?1",
    [SQL_MAILBOX_DIED] = "UPDATE mailbox SET account = x'' WHERE id = ?",
    [SQL_MAILBOX_DEAD] = "SELECT box FROM mailbox WHERE length(account) = 0 LIMIT 1",
    [SQL_MAILBOX_DROP] = "DELETE FROM mailbox WHERE box = ?",
    [SQL_NAME_SET] = "INSERT INTO name VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, " HERE
                     " ON CONFLICT(account, name) DO UPDATE SET mailbox = ?3, modseq = ?4, attributes = ?5,"
                     " uidvalidity = max(uidvalidity, ?6), touched = segment()",
    [SQL_NAME_GET] = NAME "WHERE account = ? AND name = ?",
    [SQL_NAME_OF] = NAME "WHERE mailbox = ? AND length(mailbox) > 0",
    [SQL_NAME_ALL] = NAME "WHERE account = ? AND length(mailbox) > 0",
    [SQL_NAME_BORE] = "UPDATE name SET uidvalidity = max(uidvalidity, ?2), touched = segment()"
                      " WHERE mailbox = ?1 AND length(mailbox) > 0",
    [SQL_NAME_COUNT] = "SELECT count(*) FROM name WHERE account = ?",
    [SQL_NAME_BELOW] = NAME "WHERE account = ? AND name > ? AND name < ? AND length(mailbox) > 0"
                       " ORDER BY length(name), name",
    [SQL_NAME_RANGE] = NAME "WHERE account = ? AND name > ? AND NOT (" IS_GONE ") ORDER BY name LIMIT ?",
    [SQL_NAME_CHANGED] = NAME "WHERE account = ? AND name > ? AND modseq > ? ORDER BY name LIMIT ?",
    [SQL_NAME_NUMBER] = NAME "WHERE number = ?",
    [SQL_NAME_GONE] = "SELECT count(*) FROM name WHERE account = ? AND " IS_GONE,
    [SQL_NAME_OLDEST_GONE] = NAME "WHERE account = ? AND " IS_GONE " ORDER BY modseq LIMIT 1",
    [SQL_NAME_DROP] = "DELETE FROM name WHERE number = ?",
    [SQL_KEYWORD_ADD] = "INSERT OR REPLACE INTO keyword VALUES(?, ?, ?)",
    [SQL_KEYWORD_RANGE] = "SELECT name FROM keyword WHERE box = ? AND number >= ? ORDER BY number",
    [SQL_KEYWORD_COPY] = "INSERT INTO keyword SELECT ?2, number, name FROM keyword WHERE box = ?1",
    [SQL_KEYWORD_DROP] = "DELETE FROM keyword WHERE box = ?",
    [SQL_VANISHED_ADD] = "INSERT OR REPLACE INTO vanished VALUES(?, ?, ?, ?)",
    [SQL_VANISHED_OLDEST] = "SELECT modseq FROM vanished WHERE box = ? ORDER BY modseq LIMIT 1",
    [SQL_VANISHED_FORGET] = "DELETE FROM vanished WHERE box = ? AND modseq = ?",
    [SQL_VANISHED_RANGE] = "SELECT modseq, first, last FROM vanished WHERE box = ?1 AND modseq >= ?2"
                           " AND (modseq > ?2 OR first > ?3) AND modseq <= ?4 ORDER BY modseq, first LIMIT ?5",
    [SQL_VANISHED_DROP] = "DELETE FROM vanished WHERE box = ?",
    [SQL_MESSAGE_ADD] = "INSERT OR FAIL INTO message VALUES((?1 << 32) + ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
                        " segment(), weight())",
    [SQL_MESSAGE_GET] = "SELECT octets, body, base FROM message " AT,
    [SQL_MESSAGE_DROP] = "DELETE FROM message " AT,
    [SQL_MESSAGE_UIDL] = "SELECT 1 FROM message WHERE key >> 32 = ? AND uidl = ? AND length(uidl) > 0",
    [SQL_MESSAGE_RANGE] = ROW FROM_TO,
    [SQL_MESSAGE_ROW] = ROW AT,
    [SQL_MESSAGE_STRUCTURE] = "SELECT body.structure, length(message.prefix) FROM message JOIN body ON body.id ="
                              " message.body " AT,
    [SQL_MESSAGE_SHAPES] = "SELECT key, message.octets, internal, body.octets, structure FROM message"
                           " LEFT JOIN body ON body.id = message.body " FROM_TO,
    [SQL_MESSAGE_PLACE] = "SELECT message.prefix, (body.place > 0) * body.base, body.place, body.octets, body.id"
                          " FROM message"
                          " JOIN body ON body.id = message.body " AT,
    [SQL_MESSAGE_PLACES] = "SELECT message.prefix, (body.place > 0) * body.base, body.place, body.octets, body.id,"
                           " " UID " FROM message JOIN body ON body.id = message.body WHERE key > (?1 << 32) + ?2"
                           " AND key < (?1 << 32) + ?3 ORDER BY key LIMIT ?4",
    [SQL_MESSAGE_WHOLE] = "SELECT " UID ", octets, internal, email, body, prefix, uidl, recipient"
                          " FROM message " FROM_TO,
    [SQL_MESSAGE_SOME] = "SELECT " UID " FROM message WHERE key > ?1 << 32 AND key < (?1 + 1) << 32 LIMIT 1",
    [SQL_MESSAGE_RENUMBER] = "UPDATE message SET key = (?1 << 32) + ?3 " AT,
    [SQL_MARKS_GET] = "SELECT first, altered, rows FROM marks WHERE key = ?",
    [SQL_MARKS_RANGE] = "SELECT key, rows FROM marks WHERE key >= ? AND key <= ? ORDER BY key",
    [SQL_MARKS_PUT] = "INSERT INTO marks VALUES(?1, ?2, ?3, ?4) ON CONFLICT(key) DO UPDATE"
                      " SET first = ?2, altered = ?3, rows = ?4",
    [SQL_MARKS_ROWS] = "UPDATE marks SET rows = ?2 WHERE key = ?1",
    [SQL_MARKS_REMARK] = "UPDATE OR FAIL marks SET altered = max(altered, ?3), rows = remarked(rows)"
                         " WHERE key >= ?1 AND key <= ?2",
    [SQL_MARKS_DROP] = "DELETE FROM marks WHERE key = ?",
    [SQL_MARKS_END] = "DELETE FROM marks WHERE key >= ?1 << 26 AND key < (?1 + 1) << 26",
    [SQL_MARKS_OLDER] = "SELECT key FROM marks WHERE key >= ? AND key <= ? AND first <= ? ORDER BY key DESC LIMIT 1",
    [SQL_MARKS_COUNT_ALTERED] = "SELECT count(*) FROM (SELECT 1 FROM marks INDEXED BY marks_altered"
                                " WHERE key >> 26 = ?1 AND altered > ?2 AND altered > 0 LIMIT ?3)",
    [SQL_MARKS_ALTERED] = "SELECT key, rows, altered FROM marks INDEXED BY marks_altered WHERE key >> 26 = ?1"
                          " AND altered > ?2 AND altered > 0 AND key >= ?3 AND key < ?4 ORDER BY key",
    [SQL_MARKS_SCAN] = "SELECT key, rows, altered FROM marks WHERE key >= ? AND key <= ? ORDER BY key",
    [SQL_WORD_ADD] = "INSERT OR IGNORE INTO word VALUES(?, ?)",
    [SQL_WORD_REMARK] = "INSERT OR IGNORE INTO word SELECT ?3, key FROM marks WHERE key >= ?1 AND key <= ?2",
    [SQL_WORD_GET] = "SELECT key FROM word WHERE segment = ? LIMIT 1",
    [SQL_WORD_DROP] = "DELETE FROM word WHERE segment = ? AND key = ?",
    [SQL_WORD_RETIRE] = "DELETE FROM word WHERE segment = ?",
    [SQL_BODY_ADD] = "INSERT INTO body VALUES(?1, segment(), ?3, ?4, ?6, ?5) ON CONFLICT(id) DO UPDATE"
                     " SET base = segment(), place = ?3, octets = ?4, structure = ?5, refs = refs + ?6",
    [SQL_BODY_GET] = "SELECT refs, place FROM body WHERE id = ?",
    [SQL_BODY_GREW] = "UPDATE body SET refs = refs + ?2 WHERE id = ?1",
    [SQL_BODY_STUB] = "INSERT INTO body VALUES(?1, 0, 0, 0, ?2, x'')",
    [SQL_BODY_SHRANK] = "UPDATE body SET refs = refs - 1 WHERE id = ?",
    [SQL_BODY_DROP] = "DELETE FROM body WHERE id = ?",
    [SQL_QUEUE_ADD] = "INSERT OR FAIL INTO queue VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, segment(), segment(), weight(), 0)",
    [SQL_QUEUE_GET] = "SELECT body, base FROM queue WHERE number = ?",
    [SQL_QUEUE_UPDATE] = "UPDATE queue SET record = ?2, due = ?3, lane = ?4, word = segment(), word_weight = weight()"
                         " WHERE number = ?1",
    [SQL_QUEUE_DROP] = "DELETE FROM queue WHERE number = ?",
    [SQL_SEGMENT_APPLIES] = "INSERT OR IGNORE INTO segment VALUES(?, 0, -1, 0, 0, 0)",
    [SQL_SEGMENT_COUNT] = "UPDATE segment SET live = live + ?2 WHERE number = ?1",
    [SQL_SEGMENT_ENDS] = "UPDATE segment SET octets = ?2 WHERE number = ?1 AND retired = 0",
    [SQL_SEGMENT_BULK] = "UPDATE segment SET bulk = 1 WHERE number = segment()",
    [SQL_SEGMENT_RETIRE] = "INSERT INTO segment VALUES(?1, 0, 0, 0, 1, ?2)"
                           " ON CONFLICT(number) DO UPDATE SET retired = ?2",
    [SQL_SEGMENT_RETIRING] = "UPDATE segment SET retiring = 1 WHERE number = ?",
    [SQL_SEGMENT_ALL] = "SELECT number, retired FROM segment WHERE retired <> 0",
    [SQL_SEGMENT_WAITS] = "SELECT retired <> 0, octets = -2 FROM segment WHERE number = ?",
    [SQL_SEGMENT_REMOVED] = "UPDATE segment SET octets = -2 WHERE number = ?",
    [SQL_SEGMENT_FORGET] = "DELETE FROM segment WHERE retired <> 0 AND octets = -2",
    /* One that was begun, or is under half live.  Those up to the last that moves many rows at once go in their order,
     * and the first of them also when all together are under half live. */
    [SQL_SEGMENT_POOR] =
        "WITH whole AS (SELECT number, live, octets, bulk, retiring FROM segment WHERE retired = 0),"
        " edge AS (SELECT coalesce(max(number), 0) AS last FROM whole WHERE bulk = 1)"
        " SELECT number, live, retiring FROM whole, edge WHERE octets >= 0 AND"
        " (retiring = 1 OR ((live * 2 < octets OR live <= 0) AND (number > last OR"
        " number = (SELECT min(number) FROM whole)))"
        " OR (number <= last AND number = (SELECT min(number) FROM whole) AND"
        " (SELECT sum(live) * 2 < sum(octets) FROM whole WHERE number <= last)))"
        " ORDER BY retiring DESC, live LIMIT 1",
    [SQL_TOMB_ADD] = "INSERT INTO tomb VALUES(?1, ?2, ?3, ?4, ?5, segment()) ON CONFLICT(base, kind, mailbox, first)"
                     " DO UPDATE SET last = ?5, segment = segment()",
    [SQL_TOMB_RETIRE] = "DELETE FROM tomb WHERE base = ?1 OR segment = ?1",
    [SQL_TOMB_NAME_DROP] = "DELETE FROM tomb WHERE base = 0 AND kind = 5 AND mailbox = ?",
    [SQL_COPY_BODY] = "SELECT id, place, octets, structure FROM body WHERE base = ? ORDER BY place LIMIT 1",
    [SQL_COPY_MESSAGE] = COPY_MESSAGE "WHERE message.base = ? AND length(account) > 0 LIMIT 1",
    [SQL_COPY_MARKED] = "SELECT account, id FROM mailbox WHERE box = ? AND length(account) > 0",
    [SQL_COPY_QUEUE] = COPY_QUEUE "WHERE base = ? LIMIT 1",
    [SQL_COPY_QUEUE_MARKED] = "SELECT number, record, due, lane FROM queue WHERE word = ? AND word <> base LIMIT 1",
    [SQL_COPY_MAILBOX] = "SELECT account, id, uidvalidity, uidnext, horizon, box FROM mailbox"
                         " WHERE box > ?2 AND base <= ?1 AND touched >= ?1 AND length(account) > 0"
                         " ORDER BY box LIMIT 1",
    [SQL_COPY_KEYWORDS] = "SELECT number, name FROM keyword WHERE box = ? ORDER BY number",
    [SQL_COPY_NAME] = COPY_NAME "WHERE number > ?2 AND base <= ?1 AND touched >= ?1 ORDER BY number LIMIT 1",
    [SQL_COPY_NAME_OF] = COPY_NAME "WHERE mailbox = ? AND length(mailbox) > 0",
    [SQL_COPY_ACCOUNT] = "SELECT id, inbox, modseq, quota, uidvalidity, forgotten, forgotten_uidvalidity, name"
                         " FROM account WHERE id > ?2 AND base <= ?1 AND touched >= ?1 ORDER BY id LIMIT 1",
    [SQL_COPY_TOMB] = "SELECT base, kind, mailbox, first, last FROM tomb WHERE segment = ?1 AND (base <> 0"
                      " OR ?1 <> (SELECT min(number) FROM segment WHERE retired = 0)) LIMIT 1",
    [SQL_COPY_TOMB_BEGUN] = "SELECT base, kind, mailbox, first, last FROM tomb WHERE segment IN"
                            " (SELECT number FROM segment WHERE retiring = 1 AND retired = 0) AND (base <> 0"
                            " OR segment <> (SELECT min(number) FROM segment WHERE retired = 0)) LIMIT 1",
    [SQL_ACCOUNT_AS_IS] = "INSERT INTO account VALUES(?1, ?8, ?3, 0, ?4, ?2, ?5, ?6, ?7, " HERE
                          " ON CONFLICT(id) DO UPDATE SET name = ?8, modseq = max(modseq, ?3), quota = ?4, inbox = ?2,"
                          " uidvalidity = ?5, forgotten = max(forgotten, ?6), forgotten_uidvalidity ="
                          " max(forgotten_uidvalidity, ?7), base = segment(), touched = segment(), weight = weight()",
    [SQL_MAILBOX_AS_IS] = "INSERT INTO mailbox VALUES(NULL, ?2, ?1, ?3, ?4, 0, 0, 0, 0, 0, ?5, segment(), segment(),"
                          " weight()) ON CONFLICT(id) DO UPDATE SET account = ?1, uidvalidity = ?3,"
                          " uidnext = max(uidnext, ?4), horizon = ?5, base = segment(), touched = segment(),"
                          " weight = weight()",
    [SQL_NAME_AS_IS] = "INSERT INTO name VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, " HERE
                       " ON CONFLICT(account, name) DO UPDATE SET mailbox = ?3, modseq = ?4, attributes = ?5,"
                       " uidvalidity = ?6, " IS_HERE,
    [SQL_NAME_ALONE] = "UPDATE name SET mailbox = x'', attributes = attributes & 1, touched = segment()"
                       " WHERE mailbox = ?1 AND length(mailbox) > 0 AND name <> ?2",
    [SQL_MESSAGE_AS_IS] = "UPDATE message SET base = segment(), weight = weight() " AT,
    [SQL_QUEUE_AS_IS] = "UPDATE queue SET record = ?2, due = ?3, lane = ?4, base = segment(), word = segment(),"
                        " weight = weight()"
                        " WHERE number = ?1",
    [SQL_BODY_IDLE] = "SELECT id, place FROM body WHERE refs = 0 LIMIT 1",
    [SQL_PARTS_ADD] = "INSERT OR REPLACE INTO parts VALUES(?, ?, ?, ?, ?, 0, 0, 0, 0, segment())",
    [SQL_PARTS_GREW] = "UPDATE parts SET uidnext = ?2, modseq = max(modseq, ?3), messages = messages + ?4,"
                       " octets = octets + ?5, unseen = unseen + ?6, deleted = deleted + ?7 WHERE box = ?1",
    [SQL_PARTS_GET] = "SELECT account, box, uidnext, modseq, messages, octets, unseen, deleted, base FROM parts"
                      " WHERE mailbox = ?",
    [SQL_PARTS_ALL] = "SELECT mailbox, account FROM parts",
    [SQL_PARTS_DROP] = "DELETE FROM parts WHERE mailbox = ?",
    [SQL_PARTS_COUNT] = "SELECT count(*) FROM parts",
    [SQL_QUEUE_PLACE] = "SELECT queue.prefix, (body.place > 0) * body.base, body.place, body.octets, body.id FROM queue"
                        " JOIN body ON body.id = queue.body WHERE number = ?",
    /* Behind a time and a number; and the rest of that time, which a comparison of both would look for from its
     * beginning on. */
    [SQL_QUEUE_RANGE] = ITEM("WHERE number > ?2 ORDER BY number LIMIT ?4"),
    [SQL_QUEUE_DUE] = ITEM("INDEXED BY queue_due WHERE due > ?1 AND due <= ?3 ORDER BY due, number LIMIT ?4"),
    [SQL_QUEUE_DUE_SAME] = ITEM("INDEXED BY queue_due WHERE due = ?1 AND number > ?2 ORDER BY number LIMIT ?4"),
    [SQL_QUEUE_LANE] = ITEM("INDEXED BY queue_lane WHERE lane = ?5 AND due > ?1 AND due <= ?3"
                            " ORDER BY due, number LIMIT ?4"),
    [SQL_QUEUE_LANE_SAME] = ITEM("INDEXED BY queue_lane WHERE lane = ?5 AND due = ?1 AND number > ?2"
                                 " ORDER BY number LIMIT ?4"),
};

int32_t mailsrv__durable_failure(struct index *x)
{
    if (sqlite3_extended_errcode(x->db) == IOERR_FULL)
        return MAILSRV_FULL;
    switch (sqlite3_errcode(x->db)) {
    case SQLITE_FULL:
        return MAILSRV_FULL;
    case SQLITE_NOMEM:
        return MAILSRV_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return MAILSRV_CORRUPT;
    default:
        return MAILSRV_TEMP;
    }
}

static bool moves_boxes(enum sql which)
{
    return which == SQL_BACK || which == SQL_MAILBOX_BECAME || which == SQL_MAILBOX_DROP;
}

/* Of those who look at bodies, or after which nothing is to be owed. */
static bool wants_bodies_counted(enum sql which)
{
    return which == SQL_BODY_ADD || which == SQL_BODY_GET || which == SQL_BODY_SHRANK || which == SQL_BODY_IDLE ||
           which == SQL_BODY_DROP || which == SQL_COPY_BODY || which == SQL_SAVE || which == SQL_RELEASE ||
           which == SQL_COMMIT;
}

static bool count_body(struct index *x)
{
    const int64_t by = x->grown_by;
    x->grown_by = 0;
    return by == 0 || (mailsrv__durable_run(x, SQL_BODY_GREW, "ii", x->grown, by) &&
                       (sqlite3_changes(x->db) != 0 || mailsrv__durable_run(x, SQL_BODY_STUB, "ii", x->grown, by)));
}

bool mailsrv__durable_body_grew(struct index *x, int64_t id)
{
    if (x->grown != id && !count_body(x))
        return false;
    x->grown = id;
    x->grown_by++;
    return true;
}

static sqlite3_stmt *prepared(struct index *x, enum sql which)
{
    if (moves_boxes(which))
        x->box = 0;
    if (which == SQL_BACK) /* a savepoint has no debts from before it */
        x->grown_by = 0;
    if (x->grown_by != 0 && wants_bodies_counted(which) && !count_body(x))
        return NULL;
    sqlite3_stmt **at = &x->statements[which];
    if (*at == NULL && sqlite3_prepare_v3(x->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT, at, NULL) != SQLITE_OK)
        return NULL;
    sqlite3_reset(*at);
    return *at;
}

/* `lives`: SQLITE_STATIC where the octets stay until the statement has run, else SQLITE_TRANSIENT. */
static int bind(sqlite3_stmt *statement, int i, char type, va_list *args, sqlite3_destructor_type lives)
{
    if (type == 'i')
        return sqlite3_bind_int64(statement, i, va_arg(*args, int64_t));
    if (type == 'd')
        return sqlite3_bind_blob(statement, i, va_arg(*args, const mailsrv_id *)->b, 16, lives);
    mailsrv_bytes bytes = va_arg(*args, mailsrv_bytes);
    return sqlite3_bind_blob64(statement, i, bytes.n != 0 ? (const void *)bytes.p : "", bytes.n, lives);
}

static sqlite3_stmt *ask(struct index *x, enum sql which, const char *types, va_list *args,
                         sqlite3_destructor_type lives)
{
    sqlite3_stmt *statement = prepared(x, which);
    for (int i = 0; statement != NULL && types[i] != '\0'; i++)
        if (bind(statement, i + 1, types[i], args, lives) != SQLITE_OK)
            return NULL;
    return statement;
}

sqlite3_stmt *mailsrv__durable_ask(struct index *x, enum sql which, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = ask(x, which, types, &args, SQLITE_TRANSIENT);
    va_end(args);
    return statement;
}

bool mailsrv__durable_run(struct index *x, enum sql which, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = ask(x, which, types, &args, SQLITE_STATIC); /* each run binds all anew */
    va_end(args);
    if (statement == NULL)
        return false;
    bool done = sqlite3_step(statement) == SQLITE_DONE;
    return sqlite3_reset(statement) == SQLITE_OK && done;
}

mailsrv_bytes mailsrv__durable_column_bytes(sqlite3_stmt *row, int column)
{
    const void *p = sqlite3_column_blob(row, column);
    return (mailsrv_bytes){ p, p != NULL ? (size_t)sqlite3_column_bytes(row, column) : 0 };
}

mailsrv_id mailsrv__durable_column_id(sqlite3_stmt *row, int column)
{
    mailsrv_id id = { { 0 } };
    mailsrv_bytes bytes = mailsrv__durable_column_bytes(row, column);
    if (bytes.n == sizeof id.b)
        memcpy(id.b, bytes.p, sizeof id.b);
    return id;
}

static bool load_state(struct index *x)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_STATE_GET, "");
    if (row == NULL || sqlite3_step(row) != SQLITE_ROW)
        return false;
    uint64_t *to[] = { &x->state.group, &x->state.place.segment, &x->state.place.offset,
                       &x->state.last_body, &x->state.last_id, &x->state.last_queue, &x->state.whole };
    for (int i = 0; i < 7; i++)
        *to[i] = (uint64_t)sqlite3_column_int64(row, i);
    sqlite3_reset(row);
    row = mailsrv__durable_ask(x, SQL_PARTS_COUNT, "");
    if (row == NULL || sqlite3_step(row) != SQLITE_ROW)
        return false;
    x->state.parts = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_reset(row);
    x->committed = x->state;
    return true;
}

bool mailsrv__durable_index_commit(struct index *x)
{
    if (!mailsrv__durable_run(x, SQL_COMMIT, ""))
        return false;
    x->committed = x->state;
    return true;
}

void mailsrv__durable_index_roll_back(struct index *x)
{
    if (sqlite3_get_autocommit(x->db) == 0) /* SQLite may have done it by itself */
        mailsrv__durable_run(x, SQL_ROLLBACK, "");
    x->state = x->committed;
    mailsrv__durable_marks_forget(x);
    x->grown_by = 0;
    x->segment = 0; /* the row of it may have been the transaction's */
    x->box = 0;
}

bool mailsrv__durable_state_store(struct index *x)
{
    const struct state *s = &x->state;
    return mailsrv__durable_run(x, SQL_STATE_SET, "iiiiiii", (int64_t)s->group, (int64_t)s->place.segment,
                                (int64_t)s->place.offset, (int64_t)s->last_body, (int64_t)s->last_id,
                                (int64_t)s->last_queue, (int64_t)s->whole);
}

static int version(struct index *x, int *out)
{
    sqlite3_stmt *row = NULL;
    int result = sqlite3_prepare_v2(x->db, "PRAGMA user_version", -1, &row, NULL);
    if (result == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        *out = sqlite3_column_int(row, 0);
    else
        result = SQLITE_ERROR;
    sqlite3_finalize(row);
    return result;
}

static bool make(struct index *x)
{
    return sqlite3_exec(x->db, schema, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_exec(x->db, mailsrv__durable_segment_schema, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_exec(x->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
}

/* How many of its pages a connection keeps at most. */
static bool keep_pages(struct index *x, uint64_t octets)
{
    char text[48];
    snprintf(text, sizeof text, "PRAGMA cache_size=-%llu", (unsigned long long)(octets / 1024 + 1));
    return sqlite3_exec(x->db, text, NULL, NULL, NULL) == SQLITE_OK;
}

static int32_t prepare(struct index *x, bool writes)
{
    int found = 0;
    if (sqlite3_exec(x->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
                            "PRAGMA temp_store=FILE", NULL, NULL, NULL) != SQLITE_OK ||
        version(x, &found) != SQLITE_OK)
        return mailsrv__durable_failure(x);
    if (found > INDEX_FORMAT)
        return MAILSRV_CANNOT;
    if (found != 0 && found < INDEX_FORMAT)
        return MAILSRV_NONEXISTENT;
    if (found == 0 && (!writes || !make(x)))
        return mailsrv__durable_failure(x);
    bool good = load_state(x) && mailsrv__durable_segment_functions(x) && mailsrv__durable_mark_functions(x);
    return good ? MAILSRV_OK : mailsrv__durable_failure(x);
}

int32_t mailsrv__durable_index_open(struct index *x, struct durable *d, bool writes)
{
    char path[PATH_MAX_OCTETS];
    snprintf(path, sizeof path, "%s/index.db", d->directory);
    int how = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writes ? SQLITE_OPEN_CREATE : 0);
    if (sqlite3_open_v2(path, &x->db, how, d->vfs.name) != SQLITE_OK)
        return x->db != NULL ? mailsrv__durable_failure(x) : MAILSRV_NOMEM;
    sqlite3_busy_timeout(x->db, BUSY_MS);
    sqlite3_db_config(x->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (!keep_pages(x, writes ? d->index_octets : d->index_octets / 4))
        return mailsrv__durable_failure(x);
    return prepare(x, writes);
}

int32_t mailsrv__durable_index_look(struct index *x, struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    void *file;
    int found = 0;
    snprintf(path, sizeof path, "%s/index.db", d->directory);
    int32_t status = d->files.open(d->files.user, path, 0, &file);
    if (status != MAILSRV_OK)
        return status;
    d->files.close(d->files.user, file);
    if (sqlite3_open_v2(path, &x->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, d->vfs.name) != SQLITE_OK)
        return x->db != NULL ? mailsrv__durable_failure(x) : MAILSRV_NOMEM;
    sqlite3_db_config(x->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (version(x, &found) != SQLITE_OK)
        return mailsrv__durable_failure(x);
    if (found > INDEX_FORMAT)
        return MAILSRV_CANNOT;
    if (found < INDEX_FORMAT)
        return MAILSRV_NONEXISTENT;
    return mailsrv__durable_mark_functions(x) ? MAILSRV_OK : MAILSRV_NOMEM;
}

void mailsrv__durable_index_close(struct index *x)
{
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(x->statements[i]);
    sqlite3_close(x->db);
    memset(x, 0, sizeof *x);
}
