/* What the index knows of the segments: which there are, and how much of each is live.
 *
 * A row has in `base` the segment of its whole record, in `word` (or `touched`; of a message, its mark's) that of the
 * last one that changed it, and in `weight` the octets of the former; an item of the queue has those of the latter in
 * `word_weight`.  A change of a message or item says all that can
 * change of it, so that only the last one counts; of an account, a mailbox or a name all from the first to the last do.
 * Triggers keep the sums, whatever statement changes the row, and marks.c those of marks.  A record that removed a row
 * is live, too, while the segment is there that has the row's: it is a row of `tomb`. */
#include "durable.h"

const char mailsrv__durable_segment_schema[] =
    "CREATE TABLE segment(number INTEGER PRIMARY KEY, live INTEGER, octets INTEGER, bulk INTEGER,"
    " retiring INTEGER, retired INTEGER);"
    "CREATE TABLE tomb(base INTEGER, kind INTEGER, mailbox BLOB, first INTEGER, last INTEGER, segment INTEGER,"
    " PRIMARY KEY(base, kind, mailbox, first)) WITHOUT ROWID;"
    "CREATE INDEX tomb_segment ON tomb(segment);"
    "CREATE INDEX body_base ON body(base);"
    "CREATE INDEX body_idle ON body(id) WHERE refs = 0;"
    "CREATE INDEX message_base ON message(base, body);" /* bodies, so that a new one comes behind the last */
    "CREATE INDEX queue_base ON queue(base);"
    "CREATE INDEX queue_word ON queue(word) WHERE word <> base;"
#define LIVE(sign, octets, number) "UPDATE segment SET live = live " sign " " octets " WHERE number = " number ";"
#define BODY(row) "((" row ".place > 0) * " row ".octets + length(" row ".structure) + 97)"
    "CREATE TRIGGER body_added AFTER INSERT ON body BEGIN " LIVE("+", BODY("NEW"), "NEW.base") "END;"
    "CREATE TRIGGER body_moved AFTER UPDATE OF base, place, octets, structure ON body BEGIN "
        LIVE("-", BODY("OLD"), "OLD.base") LIVE("+", BODY("NEW"), "NEW.base") "END;"
    "CREATE TRIGGER body_gone AFTER DELETE ON body BEGIN " LIVE("-", BODY("OLD"), "OLD.base") "END;"
#define WORD(sign, row) \
    "UPDATE segment SET live = live " sign " " row ".word_weight" \
    " WHERE number = " row ".word AND " row ".word <> " row ".base;"
    "CREATE TRIGGER queue_added AFTER INSERT ON queue BEGIN " LIVE("+", "NEW.weight", "NEW.base") "END;"
    "CREATE TRIGGER queue_moved AFTER UPDATE OF base ON queue BEGIN "
        LIVE("-", "OLD.weight", "OLD.base") LIVE("+", "NEW.weight", "NEW.base") "END;"
    "CREATE TRIGGER queue_said AFTER UPDATE OF word ON queue BEGIN " WORD("-", "OLD") WORD("+", "NEW") "END;"
    "CREATE TRIGGER queue_gone AFTER DELETE ON queue BEGIN "
        LIVE("-", "OLD.weight", "OLD.base") WORD("-", "OLD") "END;"
#define OWNER(table) \
    "CREATE TRIGGER " table "_added AFTER INSERT ON " table " BEGIN " LIVE("+", "NEW.weight", "NEW.base") "END;" \
    "CREATE TRIGGER " table "_moved AFTER UPDATE OF base, weight ON " table " BEGIN " \
        LIVE("-", "OLD.weight", "OLD.base") LIVE("+", "NEW.weight", "NEW.base") "END;" \
    "CREATE TRIGGER " table "_gone AFTER DELETE ON " table " BEGIN " LIVE("-", "OLD.weight", "OLD.base") "END;"
    OWNER("message")
    OWNER("account")
    OWNER("mailbox")
    OWNER("name")
    "CREATE TRIGGER keyword_added AFTER INSERT ON keyword BEGIN UPDATE mailbox SET touched = segment()"
    " WHERE box = NEW.box; END;"
    "CREATE TRIGGER tomb_added AFTER INSERT ON tomb BEGIN " LIVE("+", "64", "NEW.segment") "END;"
    "CREATE TRIGGER tomb_moved AFTER UPDATE ON tomb BEGIN "
        LIVE("-", "64", "OLD.segment") LIVE("+", "64", "NEW.segment") "END;"
    "CREATE TRIGGER tomb_gone AFTER DELETE ON tomb BEGIN " LIVE("-", "64", "OLD.segment") "END;";

static void segment_now(sqlite3_context *context, int n, sqlite3_value **values)
{
    const struct index *x = sqlite3_user_data(context);
    (void)n;
    (void)values;
    sqlite3_result_int64(context, (int64_t)x->segment);
}

static void weight_now(sqlite3_context *context, int n, sqlite3_value **values)
{
    const struct index *x = sqlite3_user_data(context);
    (void)n;
    (void)values;
    sqlite3_result_int64(context, FRAME_HEAD + (x->from != NULL ? x->from->p - x->entry : 0));
}

bool mailsrv__durable_segment_functions(struct index *x)
{
    return sqlite3_create_function(x->db, "segment", 0, SQLITE_UTF8, x, segment_now, NULL, NULL) == SQLITE_OK &&
           sqlite3_create_function(x->db, "weight", 0, SQLITE_UTF8, x, weight_now, NULL, NULL) == SQLITE_OK;
}

bool mailsrv__durable_segment_applies(struct index *x, uint64_t number, uint64_t group)
{
    bool is_new = x->segment != number;
    x->segment = number;
    x->group = group;
    return !is_new || mailsrv__durable_run(x, SQL_SEGMENT_APPLIES, "i", (int64_t)number);
}

bool mailsrv__durable_segment_ends(struct index *x, const struct sealed *one)
{
    return mailsrv__durable_run(x, SQL_SEGMENT_ENDS, "ii", (int64_t)one->number, (int64_t)(one->end - one->begins));
}

/* With the first group of a segment, which does not name those that were removed before, these can be forgotten. */
bool mailsrv__durable_segments_end(struct durable *d, uint64_t from)
{
    const struct sealed_list *list = &d->log.sealed;
    if (d->log.file != NULL && d->log.end.offset == d->log.begins &&
        !mailsrv__durable_run(&d->writer, SQL_SEGMENT_FORGET, ""))
        return false;
    for (size_t i = list->n; i > 0 && list->v[i - 1].number >= from; i--)
        if (!mailsrv__durable_run(&d->writer, SQL_SEGMENT_APPLIES, "i", (int64_t)list->v[i - 1].number) ||
            !mailsrv__durable_segment_ends(&d->writer, &list->v[i - 1]))
            return false;
    return true;
}

static bool is_complete(const struct log *log)
{
    for (size_t i = 0; i < log->sealed.n; i++)
        if (log->sealed.v[i].number != i + 1)
            return false;
    return log->sealed.n == 0 ? log->end.segment <= 1 : log->end.segment <= log->sealed.n + 1;
}

bool mailsrv__durable_segments_remade(struct durable *d)
{
    static const char text[] =
        "UPDATE mailbox SET account = x'' WHERE uidvalidity = 0;" /* only what belonged to it was there */
        "UPDATE mailbox SET messages = 0, octets = 0, unseen = 0, deleted = 0, runs = 0, horizon ="
        " (SELECT modseq FROM account WHERE account.id = mailbox.account) WHERE length(account) > 0;"
        "UPDATE mailbox SET messages = sum.messages, octets = sum.octets"
        " FROM (SELECT box, count(*) AS messages, sum(message.octets) AS octets FROM message"
        " JOIN mailbox ON box = key >> 32"
        " WHERE key & 4294967295 < uidnext GROUP BY box) AS sum WHERE sum.box = mailbox.box;"
        "UPDATE mailbox SET unseen = sum.unseen, deleted = sum.deleted FROM (SELECT box,"
        " sum(marks(key, rows, 1, uidnext)) AS unseen, sum(marks(key, rows, 2, uidnext)) AS deleted FROM marks"
        " JOIN mailbox ON box = key >> 26 GROUP BY box) AS sum WHERE sum.box = mailbox.box AND length(account) > 0;"
        "UPDATE account SET forgotten = modseq, octets = (SELECT coalesce(sum(octets), 0) FROM mailbox"
        " WHERE mailbox.account = account.id);"
        "DELETE FROM vanished;";
    return is_complete(&d->log) || sqlite3_exec(d->writer.db, text, NULL, NULL, NULL) == SQLITE_OK;
}

int32_t mailsrv__durable_segments_load(struct durable *d)
{
    struct index *x = &d->writer;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_SEGMENT_ALL, "");
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    d->log.retired.n = 0;
    for (; result == SQLITE_ROW; result = sqlite3_step(row))
        mailsrv__durable_log_retire(&d->log, (uint64_t)sqlite3_column_int64(row, 0),
                                    (uint64_t)sqlite3_column_int64(row, 1));
    int32_t status = result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_failure(x);
    sqlite3_reset(row);
    pthread_mutex_lock(&d->lock);
    d->wanted_home = d->log.retired.n != 0 ? d->indexed : d->wanted_home;
    pthread_mutex_unlock(&d->lock);
    return status;
}
