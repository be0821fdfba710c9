/* The log is kept from growing for ever.
 *
 * Of a segment that is under half live the writer copies what a new index would need towards the end of the log, a
 * little with each group: bodies, rows as they are now, and what says that rows are gone.  At last a record says that
 * the segment is retired: a new index is made without it.  Its file goes when that group is home. */
#include "durable.h"

#include <string.h>

#define STEP_OCTETS (256u << 10)
#define STEP_ROWS 200
#define SEGMENTS_FEW 64 /* so many are looked through after each group */
#define LOOKS 16        /* more: after so many groups */

/* ---- Copies: of one row, if there is one; MAILSRV_NONEXISTENT: there is none ---- */

static int32_t took(struct durable *d, sqlite3_stmt *row)
{
    sqlite3_reset(row);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t none(struct durable *d, sqlite3_stmt *row, int result)
{
    sqlite3_reset(row);
    return result == SQLITE_DONE ? MAILSRV_NONEXISTENT : mailsrv__durable_broken(d);
}

static sqlite3_stmt *ask(struct durable *d, enum sql which, int *result)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, which, "i", (int64_t)d->compacting);
    *result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    return row;
}

static sqlite3_stmt *ask_after(struct durable *d, enum sql which, int64_t last, int *result)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, which, "ii", (int64_t)d->compacting, last);
    *result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    return row;
}

static void put_number(struct durable *d, sqlite3_stmt *row, int column, int octets)
{
    mailsrv__durable_put_number(&d->record, (uint64_t)sqlite3_column_int64(row, column), octets);
}

static void put_bytes(struct durable *d, sqlite3_stmt *row, int column)
{
    mailsrv__durable_put_bytes(&d->record, mailsrv__durable_column_bytes(row, column));
}

static void put_id(struct durable *d, sqlite3_stmt *row, int column)
{
    mailsrv_id id = mailsrv__durable_column_id(row, column);
    mailsrv__durable_put_id(&d->record, &id);
}

/* A body of the log into the group; where its octets will be, in `*place`. */
static int32_t copy_octets(struct durable *d, uint64_t id, uint64_t octets, uint64_t *place)
{
    mailsrv_bytes body;
    int32_t status = mailsrv__durable_log_body(&d->log, &(struct place){ d->compacting, *place }, id, &body);
    if (status != MAILSRV_OK)
        return status;
    if (body.n != octets + 8)
        return MAILSRV_CORRUPT;
    *place = d->log.end.offset + mailsrv__durable_group_octets(&d->group) + FRAME_HEAD + 8;
    mailsrv__durable_put_frame(&d->log, &d->group.own, FRAME_BODY, body.p, body.n);
    return MAILSRV_OK;
}

static int32_t copy_body(struct durable *d)
{
    int result;
    sqlite3_stmt *row = ask(d, SQL_COPY_BODY, &result);
    if (result != SQLITE_ROW)
        return none(d, row, result);
    uint64_t id = (uint64_t)sqlite3_column_int64(row, 0), place = (uint64_t)sqlite3_column_int64(row, 1);
    uint64_t octets = (uint64_t)sqlite3_column_int64(row, 2);
    bool in_log = place != 0;
    int32_t status = in_log ? copy_octets(d, id, octets, &place) : MAILSRV_OK;
    if (status != MAILSRV_OK) {
        sqlite3_reset(row);
        return status;
    }
    mailsrv__durable_put_number(&d->record, ENTRY_BODY, 1);
    mailsrv__durable_put_number(&d->record, id, 8);
    mailsrv__durable_put_number(&d->record, in_log ? d->log.end.segment : 0, 8);
    mailsrv__durable_put_number(&d->record, place, 8);
    mailsrv__durable_put_number(&d->record, octets, 8);
    put_bytes(d, row, 3);
    return took(d, row);
}

static int32_t copy_message(struct durable *d)
{
    int result;
    bool good = false;
    sqlite3_stmt *row = ask(d, SQL_COPY_MESSAGE, &result);
    if (result != SQLITE_ROW)
        return none(d, row, result);
    const struct message_mark *mark = mailsrv__durable_mark_find(&d->writer, sqlite3_column_int64(row, 11),
                                                         (uint32_t)sqlite3_column_int64(row, 2), &good);
    if (mark == NULL)
        return none(d, row, SQLITE_CORRUPT);
    mailsrv__durable_put_number(&d->record, ENTRY_MESSAGE_AS_IS, 1);
    put_id(d, row, 0);
    put_id(d, row, 1);
    mailsrv__durable_put_number(&d->record, mark->uid, 4);
    mailsrv__durable_put_number(&d->record, mark->flags, 4);
    mailsrv__durable_put_number(&d->record, mark->modseq, 8);
    for (int i = 3; i < 6; i++)
        put_number(d, row, i, 8);
    put_id(d, row, 6);
    mailsrv__durable_put_number(&d->record, mark->keywords[0], 8);
    mailsrv__durable_put_number(&d->record, mark->keywords[1], 8);
    put_number(d, row, 7, 8);
    for (int i = 8; i < 11; i++)
        put_bytes(d, row, i);
    return took(d, row);
}

static void put_flags(struct buffer *to, const struct message_mark *mark)
{
    mailsrv__durable_put_number(to, mark->uid, 4);
    mailsrv__durable_put_number(to, mark->uid, 4);
    mailsrv__durable_put_number(to, mark->flags, 4);
    mailsrv__durable_put_number(to, mark->keywords[0], 8);
    mailsrv__durable_put_number(to, mark->keywords[1], 8);
}

/* Those of a chunk whose last word is in the segment; as many as have one modseq, which an entry has one of. */
static uint32_t put_marked(struct durable *d, sqlite3_stmt *row, int64_t key)
{
    struct walk walk;
    struct message_mark mark;
    uint32_t n = 0;
    uint64_t modseq = 0;
    size_t at = 0;
    uint32_t first = mailsrv__durable_chunk_uid(key);
    mailsrv__durable_walk(&walk, &d->writer, key >> KEY_BITS, first, first + CHUNK_ROWS - 1);
    while (mailsrv__durable_walk_next(&walk, &mark)) {
        if (mark.word != d->compacting || (n != 0 && mark.modseq != modseq))
            continue;
        if (n++ == 0) {
            modseq = mark.modseq;
            mailsrv__durable_put_number(&d->record, ENTRY_FLAGS, 1);
            put_id(d, row, 0);
            put_id(d, row, 1);
            mailsrv__durable_put_number(&d->record, modseq, 8);
            at = d->record.n;
            mailsrv__durable_put_number(&d->record, 0, 4);
        }
        put_flags(&d->record, &mark);
    }
    if (n != 0 && !d->record.failed)
        mailsrv__durable_set_number(d->record.p + at, n, 4);
    if (mailsrv__durable_walk_end(&walk) != MAILSRV_OK)
        mailsrv__durable_broken(d);
    return n;
}

/* Their flags alone: the whole records stay where they are, since tombs go by that. */
static int32_t copy_chunk(struct durable *d, int64_t key, uint32_t *n)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_COPY_MARKED, "i", key >> KEY_BITS);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    *n = result == SQLITE_ROW ? put_marked(d, row, key) : 0;
    sqlite3_reset(row);
    if (d->failed || (result != SQLITE_ROW && result != SQLITE_DONE))
        return mailsrv__durable_broken(d);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* A chunk that has none of them, or is of a deleted mailbox, is passed over, until one has some: what no record follows
 * is not kept. */
static int32_t copy_marked(struct durable *d)
{
    uint32_t n = 0;
    int32_t status = MAILSRV_OK;
    while (status == MAILSRV_OK && n == 0) {
        int result;
        sqlite3_stmt *row = ask(d, SQL_WORD_GET, &result);
        int64_t key = result == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
        if (result != SQLITE_ROW)
            return none(d, row, result);
        sqlite3_reset(row);
        status = copy_chunk(d, key, &n);
        if (status == MAILSRV_OK && n == 0 &&
            !mailsrv__durable_run(&d->writer, SQL_WORD_DROP, "ii", (int64_t)d->compacting, key))
            return mailsrv__durable_broken(d);
    }
    return status;
}

static int32_t copy_queue(struct durable *d)
{
    int result;
    sqlite3_stmt *row = ask(d, SQL_COPY_QUEUE, &result);
    if (result != SQLITE_ROW)
        return none(d, row, result);
    mailsrv__durable_put_number(&d->record, ENTRY_DUE_AS_IS, 1);
    for (int i = 0; i < 3; i++)
        put_number(d, row, i, 8);
    for (int i = 3; i < 7; i++)
        put_bytes(d, row, i);
    put_number(d, row, 7, 8);
    put_bytes(d, row, 8);
    return took(d, row);
}

static int32_t copy_queue_marked(struct durable *d)
{
    int result;
    sqlite3_stmt *row = ask(d, SQL_COPY_QUEUE_MARKED, &result);
    if (result != SQLITE_ROW)
        return none(d, row, result);
    mailsrv__durable_put_number(&d->record, ENTRY_DUE_UPDATE, 1);
    put_number(d, row, 0, 8);
    put_bytes(d, row, 1);
    put_number(d, row, 2, 8);
    put_bytes(d, row, 3);
    return took(d, row);
}

static int32_t put_keywords(struct durable *d, int64_t box)
{
    uint32_t n = 0;
    size_t at = d->record.n;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_COPY_KEYWORDS, "i", box);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    mailsrv__durable_put_number(&d->record, 0, 4);
    for (; result == SQLITE_ROW; result = sqlite3_step(row), n++) {
        put_number(d, row, 0, 1);
        put_bytes(d, row, 1);
    }
    sqlite3_reset(row);
    if (!d->record.failed)
        mailsrv__durable_set_number(d->record.p + at, n, 4);
    return result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t put_name(struct durable *d, sqlite3_stmt *row)
{
    mailsrv__durable_put_number(&d->record, ENTRY_NAME_AS_IS, 1);
    put_id(d, row, 0);
    put_bytes(d, row, 1);
    put_bytes(d, row, 2);
    put_number(d, row, 3, 8);
    put_number(d, row, 4, 4);
    put_number(d, row, 5, 4);
    return took(d, row);
}

/* Together with its name, which records of the mailbox may have changed. */
static int32_t copy_mailbox(struct durable *d)
{
    int result;
    sqlite3_stmt *row = ask_after(d, SQL_COPY_MAILBOX, d->copied_box, &result);
    if (result != SQLITE_ROW)
        return none(d, row, result);
    d->copied_box = sqlite3_column_int64(row, 5);
    mailsrv_id id = mailsrv__durable_column_id(row, 1);
    mailsrv__durable_put_number(&d->record, ENTRY_MAILBOX_AS_IS, 1);
    put_id(d, row, 0);
    put_id(d, row, 1);
    put_number(d, row, 2, 4);
    put_number(d, row, 3, 4);
    put_number(d, row, 4, 8);
    int32_t status = put_keywords(d, sqlite3_column_int64(row, 5));
    if (status == MAILSRV_OK)
        status = took(d, row);
    sqlite3_reset(row);
    if (status != MAILSRV_OK)
        return status;
    row = mailsrv__durable_ask(&d->writer, SQL_COPY_NAME_OF, "d", &id);
    result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result == SQLITE_ROW)
        return put_name(d, row);
    status = none(d, row, result);
    return status == MAILSRV_NONEXISTENT ? MAILSRV_OK : status;
}

static int32_t copy_name(struct durable *d)
{
    int result;
    sqlite3_stmt *row = ask_after(d, SQL_COPY_NAME, d->copied_name, &result);
    if (result != SQLITE_ROW)
        return none(d, row, result);
    d->copied_name = sqlite3_column_int64(row, 6);
    return put_name(d, row);
}

static int32_t copy_account(struct durable *d)
{
    static const uint8_t octets[] = { 8, 8, 4, 8, 4 };
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_COPY_ACCOUNT, "id", (int64_t)d->compacting,
                                             &d->copied_account);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result != SQLITE_ROW)
        return none(d, row, result);
    d->copied_account = mailsrv__durable_column_id(row, 0);
    mailsrv__durable_put_number(&d->record, ENTRY_ACCOUNT_AS_IS, 1);
    put_id(d, row, 0);
    put_id(d, row, 1);
    for (int i = 0; i < 5; i++)
        put_number(d, row, i + 2, octets[i]);
    put_bytes(d, row, 7);
    return took(d, row);
}

static int32_t put_tomb(struct durable *d, sqlite3_stmt *row, int result)
{
    if (result != SQLITE_ROW)
        return none(d, row, result);
    mailsrv_bytes key = mailsrv__durable_column_bytes(row, 2);
    mailsrv_id id = { { 0 } };
    if (key.n >= sizeof id)
        memcpy(&id, key.p, sizeof id);
    mailsrv__durable_put_number(&d->record, ENTRY_GONE, 1);
    put_number(d, row, 1, 1);
    put_number(d, row, 0, 8);
    mailsrv__durable_put_id(&d->record, &id);
    put_number(d, row, 3, 8);
    put_number(d, row, 4, 8);
    if (sqlite3_column_int64(row, 1) == TOMB_NAME)
        mailsrv__durable_put_bytes(&d->record, (mailsrv_bytes){ key.p + sizeof id, key.n - sizeof id });
    return took(d, row);
}

static int32_t copy_tomb(struct durable *d)
{
    int result;
    sqlite3_stmt *row = ask(d, SQL_COPY_TOMB, &result);
    return put_tomb(d, row, result);
}

/* A segment that was begun is retired before older ones, and what it says is gone is then said behind whatever gives
 * rows other UIDs or another mailbox: that would be said of others.  So it is said before. */
int32_t mailsrv__durable_compact_before_bulk(struct durable *d)
{
    int32_t status = MAILSRV_OK;
    while (status == MAILSRV_OK) {
        sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_COPY_TOMB_BEGUN, "");
        status = put_tomb(d, row, row != NULL ? sqlite3_step(row) : SQLITE_ERROR);
    }
    d->copied_box = 0; /* a mailbox that takes another's place may have a lower number */
    return status == MAILSRV_NONEXISTENT ? MAILSRV_OK : status;
}

/* ---- A step ---- */

static bool is_enough(const struct durable *d, size_t begin, uint32_t rows)
{
    return rows >= STEP_ROWS || d->group.own.n + d->record.n - begin >= STEP_OCTETS || d->record.failed ||
           d->group.own.failed;
}

/* Copies as much as one step may; `*rows`: how many. */
static int32_t copy_some(struct durable *d, uint32_t *rows)
{
    static int32_t (*const copies[])(struct durable *d) = {
        copy_body, copy_message, copy_marked, copy_queue, copy_queue_marked, copy_mailbox, copy_name, copy_account,
        copy_tomb,
    };
    size_t begin = d->group.own.n + d->record.n;
    int32_t status = MAILSRV_OK;
    for (size_t i = 0; i < sizeof copies / sizeof *copies && !is_enough(d, begin, *rows); i++) {
        while (!is_enough(d, begin, *rows) && (status = copies[i](d)) == MAILSRV_OK)
            ++*rows;
        if (status != MAILSRV_OK && status != MAILSRV_NONEXISTENT)
            return status;
    }
    return MAILSRV_OK;
}

/* Alone in its record, so that it is found without an index. */
static int32_t retire(struct durable *d)
{
    mailsrv__durable_put_number(&d->record, ENTRY_RETIRED, 1);
    mailsrv__durable_put_number(&d->record, d->compacting, 8);
    d->retires = d->compacting;
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* One segment is retired before another is begun, also by the next process: so a row that was copied and then removed
 * needs no tomb for the copy's sake, and the one in the old segment goes with that. */
static int32_t begin(struct durable *d)
{
    mailsrv__durable_put_number(&d->record, ENTRY_RETIRING, 1);
    mailsrv__durable_put_number(&d->record, d->compacting, 8);
    return mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

/* Without room on the disk only one that has nothing to be copied. */
static int32_t choose(struct durable *d)
{
    if (!d->looks || (d->log.sealed.n > SEGMENTS_FEW && ++d->skipped % LOOKS != 0))
        return MAILSRV_OK;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_SEGMENT_POOR, "");
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    bool fits = result == SQLITE_ROW && (d->has_reserve || sqlite3_column_int64(row, 1) <= 0);
    bool is_begun = fits && sqlite3_column_int64(row, 2) != 0;
    d->compacting = fits ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    d->looks = fits;
    sqlite3_reset(row);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return mailsrv__durable_broken(d);
    return fits && !is_begun ? begin(d) : MAILSRV_OK;
}

/* What a deleted mailbox still has is waited for, unless it cannot be removed now; it is not copied in any case. */
int32_t mailsrv__durable_compact(struct durable *d)
{
    uint32_t rows = 0;
    d->retires = 0;
    if ((d->has_dead && !d->rests) || d->is_spoiled || d->writer.state.parts != 0)
        return MAILSRV_OK;
    int32_t status = d->compacting == 0 ? choose(d) : MAILSRV_OK;
    if (status != MAILSRV_OK || d->compacting == 0)
        return status;
    bool is_new = d->record.n != 0;
    status = copy_some(d, &rows);
    d->is_spoiled = status == MAILSRV_CORRUPT; /* it stays as it is, until somebody looks at it */
    return status == MAILSRV_OK && rows == 0 && !is_new ? retire(d) : status;
}

void mailsrv__durable_compact_again(struct durable *d)
{
    static const mailsrv_id none_yet;
    d->compacting = d->retires = 0;
    d->copied_box = d->copied_name = 0;
    d->copied_account = none_yet;
    d->looks = true;
}

/* ---- Removing ---- */

void mailsrv__durable_compacted(struct durable *d)
{
    if (d->retires == 0)
        return;
    mailsrv__durable_log_retire(&d->log, d->retires, d->writer.committed.group);
    pthread_mutex_lock(&d->lock);
    d->wanted_home = d->writer.committed.group;
    d->figures.compactions++;
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_compact_again(d);
    mailsrv__durable_move(d, false);
}

/* A reader that has the file open reads it to its end. */
static bool remove_one(struct durable *d, const struct sealed *one)
{
    char path[PATH_MAX_OCTETS];
    mailsrv__durable_segment_path(d, one->number, path);
    int32_t status = d->files.unlink(d->files.user, path);
    mailsrv__durable_segment_file_forget(d);
    return (status == MAILSRV_OK || status == MAILSRV_NONEXISTENT) &&
           mailsrv__durable_run(&d->writer, SQL_SEGMENT_REMOVED, "i", (int64_t)one->number);
}

void mailsrv__durable_remove_retired(struct durable *d)
{
    struct sealed_list *list = &d->log.retired;
    pthread_mutex_lock(&d->lock);
    uint64_t home = d->home;
    bool waits = d->copies != 0;
    pthread_mutex_unlock(&d->lock);
    size_t left = 0;
    for (size_t i = 0; i < list->n; i++)
        if (waits || list->v[i].retired > home || !remove_one(d, &list->v[i]))
            list->v[left++] = list->v[i];
    list->n = left;
}

bool mailsrv__durable_tidies(const struct durable *d)
{
    if (d->behind || d->rests || d->has_dead || d->is_spoiled || d->writer.state.parts != 0)
        return false;
    for (size_t i = 0; i < d->log.retired.n && d->copies == 0; i++)
        if (d->log.retired.v[i].retired <= d->home)
            return true;
    return d->compacting != 0 || d->looks;
}
