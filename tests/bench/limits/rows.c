/* What SQLite takes to note a message for many recipients: for each the four rows that no other recipient has, changed
 * by a statement each, ten messages to a transaction, as new messages share one in the durable store, of a log that is
 * not synced.  The tables are that store's (src/stores/durable/index.c) without triggers and indexes, nothing is asked,
 * and all pages are in memory. */
#include "limit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RECIPIENTS = 100, MESSAGES = 10, PREFIX_OCTETS = 212, CHUNK_ROWS = 64, MARK_OCTETS = 4, PATH_OCTETS = 4096 };
enum statement { BEGIN, COMMIT, ACCOUNT, MAILBOX, MESSAGE, MARKS, STATEMENTS };

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-262144;"
    "CREATE TABLE account(id BLOB PRIMARY KEY, name BLOB UNIQUE, modseq INTEGER, octets INTEGER, quota INTEGER,"
    " inbox BLOB) WITHOUT ROWID;"
    "CREATE TABLE mailbox(box INTEGER PRIMARY KEY, id BLOB UNIQUE, account BLOB, uidnext INTEGER, messages INTEGER,"
    " unseen INTEGER, octets INTEGER);"
    "CREATE TABLE message(key INTEGER PRIMARY KEY, octets INTEGER, internal INTEGER, saved INTEGER, email BLOB,"
    " body INTEGER, prefix BLOB);"
    "CREATE TABLE marks(key INTEGER PRIMARY KEY, rows BLOB);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
    " INSERT INTO account SELECT CAST(printf('%016d', i) AS BLOB), i, 1, 0, 0, zeroblob(16) FROM n;"
    "INSERT INTO mailbox SELECT NULL, id, id, 1, 0, 0, 0 FROM account;";

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN",
    [COMMIT] = "COMMIT",
    [ACCOUNT] = "UPDATE account SET modseq = modseq + 1, octets = octets + 102400 WHERE id = ?1",
    [MAILBOX] = ("UPDATE mailbox SET messages = messages + 1, octets = octets + 102400, unseen = unseen + 1,"
                 " uidnext = uidnext + 1 WHERE box = ?1"),
    [MESSAGE] = "INSERT INTO message VALUES((?1 << 32) + ?2, 102400, 1, 1, ?3, 1, ?4)",
    [MARKS] = "INSERT INTO marks VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET rows = ?2",
};

struct rows {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    int64_t uid; /* of the message in each mailbox */
};

static void run(struct rows *r, enum statement which)
{
    limits_must(sqlite3_step(r->statements[which]) == SQLITE_DONE, "sqlite3_step");
    limits_must(sqlite3_reset(r->statements[which]) == SQLITE_OK, "sqlite3_reset");
}

/* The marks of a chunk of a mailbox stand in one row, which grows with it. */
static void recipient(struct rows *r, int64_t box)
{
    static const char prefix[PREFIX_OCTETS], marks[CHUNK_ROWS * MARK_OCTETS];
    sqlite3_stmt **s = r->statements;
    char id[17];
    snprintf(id, sizeof id, "%016d", (int)box);
    sqlite3_bind_blob(s[ACCOUNT], 1, id, 16, SQLITE_STATIC);
    sqlite3_bind_int64(s[MAILBOX], 1, box);
    sqlite3_bind_int64(s[MESSAGE], 1, box);
    sqlite3_bind_int64(s[MESSAGE], 2, r->uid);
    sqlite3_bind_blob(s[MESSAGE], 3, id, 16, SQLITE_STATIC);
    sqlite3_bind_blob(s[MESSAGE], 4, prefix, sizeof prefix, SQLITE_STATIC);
    sqlite3_bind_int64(s[MARKS], 1, (box << 26) + r->uid / CHUNK_ROWS);
    sqlite3_bind_blob(s[MARKS], 2, marks, (int)(r->uid % CHUNK_ROWS + 1) * MARK_OCTETS, SQLITE_STATIC);
    for (enum statement which = ACCOUNT; which < STATEMENTS; which++)
        run(r, which);
}

static void transaction(struct rows *r)
{
    run(r, BEGIN);
    for (int i = 0; i < MESSAGES; i++) {
        r->uid++;
        for (int64_t box = 1; box <= RECIPIENTS; box++)
            recipient(r, box);
    }
    run(r, COMMIT);
}

static void measure(struct rows *r, double seconds)
{
    const double began = limits_now();
    uint64_t messages = 0;
    double took;
    do {
        transaction(r);
        messages += MESSAGES;
        took = limits_now() - began;
    } while (took < seconds);
    limits_tell((double)messages / took, "messages_to_%d_in_sqlite_per_second", RECIPIENTS);
}

void limits_rows(const struct limits *limits)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    struct rows r = { 0 };
    char path[PATH_OCTETS];
    snprintf(path, sizeof path, "%s/limits.db", limits->dir);
    unlink(path);
    limits_must(sqlite3_open(path, &r.db) == SQLITE_OK, path);
    limits_must(sqlite3_exec(r.db, schema, NULL, NULL, NULL) == SQLITE_OK, "the tables");
    for (int i = 0; i < STATEMENTS; i++)
        limits_must(sqlite3_prepare_v2(r.db, texts[i], -1, &r.statements[i], NULL) == SQLITE_OK, texts[i]);
    measure(&r, limits->seconds);
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(r.statements[i]);
    sqlite3_close(r.db);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s/limits.db%s", limits->dir, ends[i]);
        unlink(path);
    }
}
