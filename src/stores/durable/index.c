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
    " last_id INTEGER, last_queue INTEGER);"
    "CREATE TABLE account(id BLOB PRIMARY KEY, name BLOB UNIQUE, modseq INTEGER, octets INTEGER, quota INTEGER,"
    " inbox BLOB) WITHOUT ROWID;"
    "CREATE TABLE mailbox(id BLOB PRIMARY KEY, account BLOB, uidvalidity INTEGER, uidnext INTEGER, messages INTEGER)"
    " WITHOUT ROWID;"
    "CREATE TABLE body(id INTEGER PRIMARY KEY, segment INTEGER, place INTEGER, octets INTEGER, refs INTEGER,"
    " structure BLOB);"
    "CREATE TABLE message(mailbox BLOB, uid INTEGER, flags INTEGER, modseq INTEGER, octets INTEGER, internal INTEGER,"
    " email BLOB, uidl BLOB, body INTEGER, prefix BLOB, keywords BLOB, recipient BLOB, PRIMARY KEY(mailbox, uid))"
    " WITHOUT ROWID;"
    "CREATE INDEX message_uidl ON message(mailbox, uidl) WHERE length(uidl) > 0;"
    "CREATE TABLE queue(number INTEGER PRIMARY KEY, octets INTEGER, body INTEGER, prefix BLOB, record BLOB,"
    " recipient BLOB, sender BLOB);"
    "CREATE TABLE parts(mailbox BLOB PRIMARY KEY, account BLOB, uidnext INTEGER, modseq INTEGER,"
    " messages INTEGER, octets INTEGER) WITHOUT ROWID;"
    "INSERT INTO state VALUES(1, 0, 0, 0, 0, 0, 0);"
    "PRAGMA user_version = 1;"
    "COMMIT";

static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVE] = "SAVEPOINT change",
    [SQL_BACK] = "ROLLBACK TO change",
    [SQL_RELEASE] = "RELEASE change",
    [SQL_STATE_SET] = "INSERT OR REPLACE INTO state VALUES(1, ?, ?, ?, ?, ?, ?)",
    [SQL_STATE_GET] = "SELECT seq, segment, place, last_body, last_id, last_queue FROM state",
    [SQL_ACCOUNT_ADD] = "INSERT INTO account VALUES(?, ?, 1, 0, 9223372036854775807, ?)",
    [SQL_ACCOUNT_BY_NAME] = "SELECT id FROM account WHERE name = ?",
    [SQL_ACCOUNT_GET] = "SELECT modseq, octets, quota, inbox FROM account WHERE id = ?",
    [SQL_ACCOUNT_GREW] = "UPDATE account SET modseq = ?2, octets = octets + ?3 WHERE id = ?1",
    [SQL_ACCOUNT_SHRANK] = "UPDATE account SET octets = octets - ?2 WHERE id = ?1",
    [SQL_ACCOUNT_QUOTA] = "UPDATE account SET quota = ?2 WHERE id = ?1",
    [SQL_MAILBOX_ADD] = "INSERT INTO mailbox VALUES(?, ?, ?, 1, 0)",
    [SQL_MAILBOX_GET] = "SELECT uidvalidity, uidnext, messages, account FROM mailbox WHERE id = ?",
    [SQL_MAILBOX_GREW] = "UPDATE mailbox SET uidnext = ?2 + 1, messages = messages + ?3 WHERE id = ?1",
    [SQL_MAILBOX_SHRANK] = "UPDATE mailbox SET messages = messages - 1 WHERE id = ?",
    [SQL_MAILBOX_RENUMBERED] = "UPDATE mailbox SET uidvalidity = ?2, uidnext = ?3 WHERE id = ?1",
    [SQL_MESSAGE_ADD] = "INSERT INTO message VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_MESSAGE_GET] = "SELECT flags, octets, body FROM message WHERE mailbox = ? AND uid = ?",
    [SQL_MESSAGE_DROP] = "DELETE FROM message WHERE mailbox = ? AND uid = ?",
    [SQL_MESSAGE_UIDL] = "SELECT 1 FROM message WHERE mailbox = ? AND uidl = ? AND length(uidl) > 0",
    [SQL_MESSAGE_RANGE] = "SELECT uid, flags, modseq, octets, internal, email, uidl FROM message"
                          " WHERE mailbox = ?1 AND uid >= ?2 AND uid <= ?3"
                          " AND uid < (SELECT uidnext FROM mailbox WHERE id = ?1) ORDER BY uid",
    [SQL_MESSAGE_PLACE] = "SELECT message.prefix, body.segment, body.place, body.octets, body.id FROM message"
                          " JOIN body ON body.id = message.body WHERE mailbox = ?1 AND uid = ?2"
                          " AND uid < (SELECT uidnext FROM mailbox WHERE id = ?1)",
    [SQL_MESSAGE_UIDS] = "SELECT uid, flags FROM message WHERE mailbox = ? AND uid >= ? AND uid <= ? ORDER BY uid",
    [SQL_MESSAGE_RENUMBER] = "UPDATE message SET uid = ?3 WHERE mailbox = ?1 AND uid = ?2",
    [SQL_BODY_ADD] = "INSERT OR REPLACE INTO body VALUES(?, ?, ?, ?, 0, ?)",
    [SQL_BODY_GET] = "SELECT refs, segment FROM body WHERE id = ?",
    [SQL_BODY_GREW] = "UPDATE body SET refs = refs + 1 WHERE id = ?",
    [SQL_BODY_SHRANK] = "UPDATE body SET refs = refs - 1 WHERE id = ?",
    [SQL_BODY_DROP] = "DELETE FROM body WHERE id = ?",
    [SQL_QUEUE_ADD] = "INSERT INTO queue VALUES(?, ?, ?, ?, ?, ?, ?)",
    [SQL_QUEUE_GET] = "SELECT body FROM queue WHERE number = ?",
    [SQL_QUEUE_UPDATE] = "UPDATE queue SET record = ?2 WHERE number = ?1",
    [SQL_QUEUE_DROP] = "DELETE FROM queue WHERE number = ?",
    [SQL_PARTS_ADD] = "INSERT OR REPLACE INTO parts VALUES(?1, ?2, ?3, ?4, 0, 0)",
    [SQL_PARTS_GREW] = "UPDATE parts SET uidnext = ?2 + 1, modseq = max(modseq, ?3), messages = messages + 1,"
                       " octets = octets + ?4 WHERE mailbox = ?1",
    [SQL_PARTS_GET] = "SELECT account, uidnext, modseq, messages, octets FROM parts WHERE mailbox = ?",
    [SQL_PARTS_ALL] = "SELECT mailbox, account FROM parts",
    [SQL_PARTS_DROP] = "DELETE FROM parts WHERE mailbox = ?",
    [SQL_PARTS_COUNT] = "SELECT count(*) FROM parts",
    [SQL_QUEUE_RANGE] = "SELECT number, octets, record FROM queue WHERE number >= ? ORDER BY number LIMIT ?",
};

int32_t mailsrv__durable_failure(struct index *x)
{
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

static sqlite3_stmt *prepared(struct index *x, enum sql which)
{
    sqlite3_stmt **at = &x->statements[which];
    if (*at == NULL && sqlite3_prepare_v3(x->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT, at, NULL) != SQLITE_OK)
        return NULL;
    sqlite3_reset(*at);
    return *at;
}

static int bind(sqlite3_stmt *statement, int i, char type, va_list *args)
{
    if (type == 'i')
        return sqlite3_bind_int64(statement, i, va_arg(*args, int64_t));
    if (type == 'd')
        return sqlite3_bind_blob(statement, i, va_arg(*args, const mailsrv_id *)->b, 16, SQLITE_TRANSIENT);
    mailsrv_bytes bytes = va_arg(*args, mailsrv_bytes);
    return sqlite3_bind_blob64(statement, i, bytes.n != 0 ? (const void *)bytes.p : "", bytes.n, SQLITE_TRANSIENT);
}

static sqlite3_stmt *ask(struct index *x, enum sql which, const char *types, va_list *args)
{
    sqlite3_stmt *statement = prepared(x, which);
    for (int i = 0; statement != NULL && types[i] != '\0'; i++)
        if (bind(statement, i + 1, types[i], args) != SQLITE_OK)
            return NULL;
    return statement;
}

sqlite3_stmt *mailsrv__durable_ask(struct index *x, enum sql which, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = ask(x, which, types, &args);
    va_end(args);
    return statement;
}

bool mailsrv__durable_run(struct index *x, enum sql which, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = ask(x, which, types, &args);
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
                       &x->state.last_body, &x->state.last_id, &x->state.last_queue };
    for (int i = 0; i < 6; i++)
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
}

bool mailsrv__durable_state_store(struct index *x)
{
    const struct state *s = &x->state;
    return mailsrv__durable_run(x, SQL_STATE_SET, "iiiiii", (int64_t)s->group, (int64_t)s->place.segment,
                                (int64_t)s->place.offset, (int64_t)s->last_body, (int64_t)s->last_id,
                                (int64_t)s->last_queue);
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

static int32_t prepare(struct index *x, bool writes)
{
    int found = 0;
    if (sqlite3_exec(x->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
                            "PRAGMA temp_store=MEMORY", NULL, NULL, NULL) != SQLITE_OK ||
        version(x, &found) != SQLITE_OK)
        return mailsrv__durable_failure(x);
    if (found != 0 && found != FORMAT)
        return MAILSRV_CANNOT;
    if (found == 0 && (!writes || sqlite3_exec(x->db, schema, NULL, NULL, NULL) != SQLITE_OK))
        return mailsrv__durable_failure(x);
    return load_state(x) ? MAILSRV_OK : mailsrv__durable_failure(x);
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
    return prepare(x, writes);
}

void mailsrv__durable_index_close(struct index *x)
{
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(x->statements[i]);
    sqlite3_close(x->db);
    memset(x, 0, sizeof *x);
}
