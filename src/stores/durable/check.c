/* Looking whether everything is as it must be, without changing anything: every frame of the log, and what the index
 * says of it and of itself. */
#include "durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    struct durable *d;
    void (*report)(void *user, const char *text);
    void *user;
    uint64_t found;
};

static void say(struct check *c, const char *what, const char *which)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %s", what, which);
    c->report(c->user, text);
    c->found++;
}

static void say_number(struct check *c, const char *what, uint64_t number)
{
    char which[24];
    snprintf(which, sizeof which, "%llu", (unsigned long long)number);
    say(c, what, which);
}

/* ---- The log ---- */

static bool no_change(void *user, const struct frame *frame, const struct place *end)
{
    (void)user;
    (void)frame;
    (void)end;
    return true;
}

static int32_t check_segment(struct check *c, uint64_t number)
{
    int32_t status = mailsrv__durable_log_replay_one(&c->d->log, number, no_change, NULL);
    if (status == MAILSRV_CORRUPT)
        say_number(c, "a segment that is missing, or has a broken frame", number);
    return status == MAILSRV_CORRUPT ? MAILSRV_OK : status;
}

static int32_t check_log(struct check *c)
{
    struct log *log = &c->d->log;
    int32_t status = mailsrv__durable_log_look(log);
    if (status == MAILSRV_CORRUPT)
        say_number(c, "a segment that is missing, or has a broken frame", log->end.segment);
    if (status != MAILSRV_OK)
        return status;
    for (size_t i = 0; i < log->sealed.n && status == MAILSRV_OK; i++)
        status = check_segment(c, log->sealed.v[i].number);
    return status;
}

/* ---- The index by itself: each question names what is not as it must be ---- */

static const struct question {
    const char *what, *text;
} questions[] = {
    { "a broken page of the index", "SELECT integrity_check FROM pragma_integrity_check"
                                    " WHERE integrity_check <> 'ok'" },
    { "a message without a body", "SELECT hex(mailbox.id) || '/' || (key & 4294967295) FROM message JOIN mailbox"
                                  " ON box = key >> 32 LEFT JOIN body ON body.id = message.body"
                                  " WHERE coalesce(body.base, 0) = 0" },
    { "a queue item without a body", "SELECT number FROM queue LEFT JOIN body ON body.id = queue.body"
                                     " WHERE coalesce(body.base, 0) = 0" },
    { "a body that counts its messages wrong",
      "SELECT id FROM body LEFT JOIN (SELECT body, count(*) AS n FROM"
      " (SELECT body FROM message UNION ALL SELECT body FROM queue) GROUP BY body) AS r ON r.body = body.id"
      " WHERE refs <> coalesce(n, 0) OR refs = 0" },
    { "a UID that is not below UIDNEXT", "SELECT hex(mailbox.id) || '/' || (key & 4294967295) FROM message JOIN"
                                         " mailbox ON box = key >> 32 WHERE (key & 4294967295 >= uidnext"
                                         " AND box NOT IN (SELECT box FROM parts)) OR key & 4294967295 < 1" },
    { "messages without marks, or marks without messages",
      "WITH both(key, n, uids) AS (SELECT key >> 6, 1, key & 4294967295 FROM message"
      " UNION ALL SELECT key, -marks(key, rows, 0, 4294967296), -marks(key, rows, 3, 4294967296) FROM marks)"
      " SELECT key FROM both GROUP BY key HAVING sum(n) <> 0 OR sum(uids) <> 0" },
    { "a change of flags that cannot be found",
      "SELECT 'one' WHERE (SELECT coalesce(sum(words(rows, 0)), 0) FROM marks) <>"
      " (SELECT coalesce(sum(words(rows, segment)), 0) FROM word JOIN marks USING(key))" },
    { "a UIDNEXT that is none", "SELECT hex(id) FROM mailbox WHERE uidnext < 1 OR uidnext > 4294967295" },
    { "a UIDVALIDITY above those that were given",
      "SELECT hex(mailbox.id) FROM mailbox JOIN account ON account.id = mailbox.account"
      " WHERE mailbox.uidvalidity > account.uidvalidity" },
    { "a modseq above the account's",
      "SELECT hex(mailbox.id) FROM marks JOIN mailbox ON box = key >> 26 JOIN account ON account.id = mailbox.account"
      " WHERE (marks(key, rows, 4, 4294967296) > account.modseq OR altered > account.modseq)"
      " AND box NOT IN (SELECT box FROM parts)" },
    { "a mailbox that counts its messages wrong",
      "SELECT hex(id) FROM mailbox LEFT JOIN (SELECT box, count(*) AS n, sum(message.octets) AS size FROM message"
      " JOIN mailbox ON box = key >> 32 WHERE key & 4294967295 < uidnext GROUP BY box) AS s USING(box)"
      " LEFT JOIN (SELECT key >> 26 AS box, sum(marks(key, rows, 1, uidnext)) AS u,"
      " sum(marks(key, rows, 2, uidnext)) AS d FROM marks JOIN mailbox"
      " ON box = key >> 26 GROUP BY key >> 26) AS m USING(box) WHERE length(account) > 0 AND"
      " (messages <> coalesce(n, 0) OR octets <> coalesce(size, 0) OR unseen <> coalesce(u, 0)"
      " OR deleted <> coalesce(d, 0))" },
    { "an account that counts its octets wrong",
      "SELECT hex(id) FROM account WHERE octets <> (SELECT coalesce(sum(octets), 0) FROM mailbox"
      " WHERE mailbox.account = account.id)" },
    { "a mailbox of no account", "SELECT hex(id) FROM mailbox WHERE length(account) > 0"
                                 " AND account NOT IN (SELECT id FROM account)" },
    { "a name of a mailbox that is not there", "SELECT hex(name) FROM name WHERE length(mailbox) > 0"
                                               " AND mailbox NOT IN (SELECT id FROM mailbox)" },
    { "a name that is known, and said to be gone",
      "SELECT hex(name) FROM name JOIN tomb ON tomb.base = 0 AND tomb.kind = 5"
      " AND tomb.mailbox = CAST(account || name AS BLOB)" },
    { "a number that was not given", "SELECT id FROM body, state WHERE id > last_body UNION ALL"
                                     " SELECT number FROM queue, state WHERE number > last_queue" },
    { "a segment whose live octets are counted wrong",
      "WITH record(segment, octets) AS (SELECT base, (place > 0) * octets + length(structure) + 97 FROM body"
      " UNION ALL SELECT base, weight FROM message"
      " UNION ALL SELECT segment, words(rows, segment) * 64 FROM word JOIN marks USING(key)"
      " UNION ALL SELECT base, weight FROM queue UNION ALL SELECT word, word_weight FROM queue WHERE word <> base"
      " UNION ALL SELECT base, weight FROM account UNION ALL SELECT base, weight FROM mailbox"
      " UNION ALL SELECT base, weight FROM name UNION ALL SELECT segment, 64 FROM tomb),"
      " sums AS (SELECT segment, sum(octets) AS sum FROM record GROUP BY segment)"
      " SELECT number FROM segment LEFT JOIN sums ON sums.segment = number"
      " WHERE retired = 0 AND live <> coalesce(sum, 0)" },
};

static int32_t ask(struct check *c, const struct question *q)
{
    sqlite3 *db = c->d->writer.db;
    sqlite3_stmt *row = NULL;
    int result = sqlite3_prepare_v2(db, q->text, -1, &row, NULL);
    if (result == SQLITE_OK)
        for (result = sqlite3_step(row); result == SQLITE_ROW; result = sqlite3_step(row))
            say(c, q->what, (const char *)sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    if (result == SQLITE_CORRUPT)
        say(c, "the index cannot be read", q->what);
    return result == SQLITE_DONE || result == SQLITE_CORRUPT ? MAILSRV_OK : mailsrv__durable_failure(&c->d->writer);
}

/* ---- What the index says of files ---- */

static int32_t check_file(struct check *c, uint64_t id, uint64_t octets)
{
    const mailsrv_durable_files *files = &c->d->files;
    char path[PATH_MAX_OCTETS];
    void *file;
    uint64_t length = 0;
    mailsrv__durable_body_path(c->d, id, path);
    int32_t status = files->open(files->user, path, 0, &file);
    if (status == MAILSRV_OK) {
        status = files->length(files->user, file, &length);
        files->close(files->user, file);
    }
    if (status == MAILSRV_NONEXISTENT || (status == MAILSRV_OK && length != octets)) {
        say_number(c, "a body whose file is missing, or has another length", id);
        status = MAILSRV_OK;
    }
    return status;
}

static int32_t check_body(struct check *c, sqlite3_stmt *row)
{
    uint64_t id = (uint64_t)sqlite3_column_int64(row, 0), octets = (uint64_t)sqlite3_column_int64(row, 3);
    const struct place place = { (uint64_t)sqlite3_column_int64(row, 1), (uint64_t)sqlite3_column_int64(row, 2) };
    mailsrv_bytes body = { NULL, 0 };
    if (place.offset == 0)
        return check_file(c, id, octets);
    bool known = mailsrv__durable_log_find(&c->d->log, place.segment) != NULL;
    int32_t status = known ? mailsrv__durable_log_body(&c->d->log, &place, id, &body) : MAILSRV_CORRUPT;
    if (status == MAILSRV_CORRUPT || (status == MAILSRV_OK && body.n != octets + 8)) {
        say_number(c, "a body that is not where the index says", id);
        status = MAILSRV_OK;
    }
    return status;
}

static int32_t check_bodies(struct check *c)
{
    sqlite3_stmt *row = NULL;
    int32_t status = MAILSRV_OK;
    int result = sqlite3_prepare_v2(c->d->writer.db, "SELECT id, base, place, octets FROM body WHERE base <> 0", -1,
                                    &row, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(row);
    for (; result == SQLITE_ROW && status == MAILSRV_OK; result = sqlite3_step(row))
        status = check_body(c, row);
    sqlite3_finalize(row);
    if (status == MAILSRV_OK && result != SQLITE_DONE && result != SQLITE_CORRUPT)
        status = mailsrv__durable_failure(&c->d->writer);
    return status;
}

/* ---- Files that nobody names ---- */

static void look_at_body(void *context, const char *name)
{
    struct check *c = context;
    uint64_t number = mailsrv__durable_body_number(name);
    if (number == 0)
        return;
    sqlite3_stmt *row = mailsrv__durable_ask(&c->d->writer, SQL_BODY_GET, "i", (int64_t)number);
    if (row != NULL && sqlite3_step(row) == SQLITE_DONE)
        say(c, "a body that nothing names", name);
    sqlite3_reset(row);
}

/* Is it retired, and only waits to be removed?  What the last segment says the index may not have seen. */
static bool waits(struct check *c, uint64_t number)
{
    const struct sealed_list *list = &c->d->log.retired;
    bool is_retired = false, is_removed = false;
    sqlite3_stmt *row = mailsrv__durable_ask(&c->d->writer, SQL_SEGMENT_WAITS, "i", (int64_t)number);
    if (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        is_retired = sqlite3_column_int64(row, 0) != 0;
        is_removed = sqlite3_column_int64(row, 1) != 0;
    }
    sqlite3_reset(row);
    for (size_t i = 0; i < list->n; i++)
        is_retired = is_retired || list->v[i].number == number;
    return is_retired && !is_removed;
}

static void look_at_segment(void *context, const char *name)
{
    struct check *c = context;
    uint64_t number = mailsrv__durable_segment_number(name);
    if (number != 0 && mailsrv__durable_log_find(&c->d->log, number) == NULL && !waits(c, number))
        say(c, "a segment that the log is not made of", name);
}

static int32_t check_names(struct check *c)
{
    const mailsrv_durable_files *files = &c->d->files;
    char path[PATH_MAX_OCTETS];
    int32_t status = files->list(files->user, c->d->directory, look_at_segment, c);
    snprintf(path, sizeof path, "%s/bodies", c->d->directory);
    return status == MAILSRV_OK ? files->list(files->user, path, look_at_body, c) : status;
}

/* ---- All of it ---- */

static int32_t check_index(struct check *c)
{
    int32_t status = MAILSRV_OK;
    for (size_t i = 0; i < sizeof questions / sizeof *questions && status == MAILSRV_OK; i++)
        status = ask(c, &questions[i]);
    if (status == MAILSRV_OK)
        status = check_bodies(c);
    return status == MAILSRV_OK ? check_names(c) : status;
}

int32_t mailsrv__durable_check(struct durable *d, void (*report)(void *user, const char *text), void *user)
{
    struct check c = { d, report, user, 0 };
    bool is_copy;
    int32_t status = mailsrv__durable_is_copy(d, &is_copy);
    if (status == MAILSRV_CORRUPT)
        say(&c, "a copy that was not made to its end", DURABLE_UNFINISHED);
    if (status == MAILSRV_OK)
        status = check_log(&c);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_index_look(&d->writer, d);
    if (status == MAILSRV_NONEXISTENT) /* it is made anew when the store is opened */
        status = MAILSRV_OK;
    else if (status == MAILSRV_OK)
        status = check_index(&c);
    else if (status == MAILSRV_CORRUPT && c.found == 0)
        say(&c, "the index cannot be read", "index.db");
    return status == MAILSRV_OK && c.found != 0 ? MAILSRV_CORRUPT : status;
}
