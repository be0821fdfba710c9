/* Chunks: their octets, the one that the writer has before it, and walks.
 *
 * A row of a chunk is an octet with the lower bits of its UID, and whether it has keywords and a word; then flags and
 * modseq as numbers of seven bits an octet, the lowest first; then, where it has them, keywords (8 and 8) and the word,
 * such a number. */
#include "durable.h"

#include <string.h>

#define HAS_KEYWORDS 0x40u
#define HAS_WORD 0x80u
#define WHOLE_LEAST 4  /* so many whole chunks, and one statement changes all of them */
#define WORD_OCTETS 64 /* of the log, that a change of one message's flags is counted for */

/* ---- Octets ---- */

static uint8_t *put_short(uint8_t *p, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *p++ = (uint8_t)(value | 0x80);
    *p++ = (uint8_t)value;
    return p;
}

static const uint8_t *get_short(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; p != end && shift < 64; shift += 7) {
        value |= (uint64_t)(*p & 0x7f) << shift;
        if (*p++ < 0x80) {
            *out = value;
            return p;
        }
    }
    return NULL;
}

static uint8_t *put_mark(uint8_t *p, const struct message_mark *mark)
{
    bool has_keywords = (mark->keywords[0] | mark->keywords[1]) != 0;
    *p++ = (uint8_t)((mark->uid & (CHUNK_ROWS - 1)) | (has_keywords ? HAS_KEYWORDS : 0) |
                     (mark->word != 0 ? HAS_WORD : 0));
    p = put_short(p, mark->flags);
    p = put_short(p, mark->modseq);
    if (has_keywords) {
        mailsrv__durable_set_number(p, mark->keywords[0], 8);
        mailsrv__durable_set_number(p + 8, mark->keywords[1], 8);
        p += 16;
    }
    return mark->word != 0 ? put_short(p, mark->word) : p;
}

/* Behind the row that was taken; NULL: it is none. */
static const uint8_t *get_mark(const uint8_t *p, const uint8_t *end, uint32_t base, struct message_mark *out)
{
    uint64_t flags = 0;
    uint8_t head = *p++;
    *out = (struct message_mark){ .uid = base | (head & (CHUNK_ROWS - 1)) };
    p = get_short(p, end, &flags);
    p = p != NULL ? get_short(p, end, &out->modseq) : NULL;
    out->flags = (uint32_t)flags;
    if (p != NULL && (head & HAS_KEYWORDS) != 0) {
        struct reader from = { p, (size_t)(end - p), false };
        for (int i = 0; i < 2; i++)
            out->keywords[i] = mailsrv__durable_get_number(&from, 8);
        p = from.bad ? NULL : from.p;
    }
    return p != NULL && (head & HAS_WORD) != 0 ? get_short(p, end, &out->word) : p;
}

/* ---- The chunk before the writer ---- */

static bool count_word(struct index *x, uint64_t segment, int64_t by)
{
    return mailsrv__durable_run(x, SQL_SEGMENT_COUNT, "ii", (int64_t)segment, by * WORD_OCTETS);
}

/* A word comes or goes; the sums are written with the chunk. */
static bool word(struct index *x, uint64_t segment, int64_t by)
{
    struct chunk *c = &x->chunk;
    if (segment == 0)
        return true;
    for (int i = 0; i < WORDS_COUNTED; i++) {
        if (c->counted[i].segment != 0 && c->counted[i].segment != segment)
            continue;
        c->counted[i].segment = segment;
        c->counted[i].by += by;
        return true;
    }
    return count_word(x, segment, by);
}

static bool store_words(struct index *x)
{
    struct chunk *c = &x->chunk;
    for (int i = 0; i < WORDS_COUNTED; i++) {
        uint64_t segment = c->counted[i].segment;
        int64_t by = c->counted[i].by;
        c->counted[i].segment = 0;
        c->counted[i].by = 0;
        if (by != 0 && !count_word(x, segment, by))
            return false;
    }
    bool is_worded = c->is_worded;
    c->is_worded = false;
    return !is_worded || mailsrv__durable_run(x, SQL_WORD_ADD, "ii", (int64_t)x->segment, c->key);
}

static bool store_rows(struct index *x)
{
    struct chunk *c = &x->chunk;
    uint8_t *end = c->octets;
    for (uint32_t i = 0; i < c->n; i++)
        end = put_mark(end, &c->v[i]);
    const mailsrv_bytes rows = { c->octets, (size_t)(end - c->octets) };
    if (c->n == 0)
        return !c->is_stored || mailsrv__durable_run(x, SQL_MARKS_DROP, "i", c->key);
    if (c->is_stored && c->altered == c->stored_altered)
        return mailsrv__durable_run(x, SQL_MARKS_ROWS, "ib", c->key, rows);
    return mailsrv__durable_run(x, SQL_MARKS_PUT, "iiib", c->key, c->first, c->altered, rows);
}

bool mailsrv__durable_marks_store(struct index *x)
{
    struct chunk *c = &x->chunk;
    if (!c->is_changed)
        return true;
    bool good = store_words(x) && store_rows(x);
    c->is_changed = false;
    c->is_stored = c->n != 0;
    c->stored_altered = c->altered;
    if (!good || c->n == 0) /* what comes there is perhaps of another mailbox, which got the number of this one */
        c->key = 0;
    return good;
}

void mailsrv__durable_marks_forget(struct index *x)
{
    x->chunk.key = 0;
    x->chunk.is_changed = x->chunk.is_worded = false;
    memset(x->chunk.counted, 0, sizeof x->chunk.counted);
}

static bool take_rows(struct chunk *c, mailsrv_bytes rows)
{
    const uint8_t *p = rows.p, *end = rows.n != 0 ? rows.p + rows.n : rows.p;
    c->n = 0;
    while (p != NULL && p != end && c->n < CHUNK_ROWS)
        p = get_mark(p, end, mailsrv__durable_chunk_uid(c->key), &c->v[c->n++]);
    return p == end;
}

static bool load(struct index *x, int64_t key)
{
    struct chunk *c = &x->chunk;
    if (c->key == key)
        return true;
    if (!mailsrv__durable_marks_store(x))
        return false;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MARKS_GET, "i", key);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    bool good = result == SQLITE_DONE;
    c->key = key;
    c->n = 0;
    c->first = c->altered = 0;
    c->is_stored = result == SQLITE_ROW;
    if (c->is_stored) {
        c->first = sqlite3_column_int64(row, 0);
        c->altered = sqlite3_column_int64(row, 1);
        good = take_rows(c, mailsrv__durable_column_bytes(row, 2));
    }
    c->stored_altered = c->altered;
    sqlite3_reset(row);
    if (!good)
        c->key = 0;
    return good;
}

/* Where a UID is, or belongs: there are no more before it than UIDs of the chunk are below it. */
static uint32_t place_of(const struct chunk *c, uint32_t uid)
{
    uint32_t below = uid & (CHUNK_ROWS - 1), i = below < c->n ? below : c->n;
    while (i != 0 && c->v[i - 1].uid >= uid)
        i--;
    return i;
}

static bool has(const struct chunk *c, uint32_t i, uint32_t uid)
{
    return i < c->n && c->v[i].uid == uid;
}

static void alter(struct chunk *c, uint64_t modseq)
{
    if ((int64_t)modseq > c->altered)
        c->altered = (int64_t)modseq;
}

const struct message_mark *mailsrv__durable_mark_find(struct index *x, int64_t box, uint32_t uid, bool *good)
{
    *good = load(x, mailsrv__durable_chunk_key(box, uid));
    uint32_t i = *good ? place_of(&x->chunk, uid) : 0;
    return *good && has(&x->chunk, i, uid) ? &x->chunk.v[i] : NULL;
}

bool mailsrv__durable_mark_add(struct index *x, int64_t box, const struct message_mark *mark, bool late)
{
    struct chunk *c = &x->chunk;
    if (!load(x, mailsrv__durable_chunk_key(box, mark->uid)))
        return false;
    uint32_t i = place_of(c, mark->uid);
    if (has(c, i, mark->uid))
        return false;
    memmove(&c->v[i + 1], &c->v[i], (c->n - i) * sizeof *c->v);
    c->v[i] = *mark;
    if (c->n++ == 0)
        c->first = (int64_t)mark->modseq;
    if (late)
        alter(c, mark->modseq);
    c->is_changed = true;
    return mark->word == 0 || (word(x, mark->word, 1) &&
                               mailsrv__durable_run(x, SQL_WORD_ADD, "ii", (int64_t)mark->word, c->key));
}

static bool has_word(const struct chunk *c, uint64_t segment)
{
    uint32_t i = 0;
    while (i < c->n && c->v[i].word != segment)
        i++;
    return i < c->n;
}

/* The table has a chunk for each word of its rows. */
static bool set_row(struct index *x, uint32_t i, const struct message_mark *mark)
{
    struct chunk *c = &x->chunk;
    uint64_t before = c->v[i].word;
    if (c->v[i].modseq != mark->modseq)
        alter(c, mark->modseq);
    c->is_worded = c->is_worded || (mark->word != before && mark->word != 0 && !has_word(c, mark->word));
    c->v[i] = *mark;
    c->is_changed = true;
    return before == mark->word || (word(x, before, -1) && word(x, mark->word, 1));
}

bool mailsrv__durable_mark_set(struct index *x, int64_t box, const struct message_mark *mark)
{
    struct chunk *c = &x->chunk;
    if (!load(x, mailsrv__durable_chunk_key(box, mark->uid)))
        return false;
    uint32_t i = place_of(c, mark->uid);
    return has(c, i, mark->uid) && set_row(x, i, mark);
}

/* ---- A run of them ---- */

static void count(struct marked *marked, uint32_t flags, uint32_t n)
{
    marked->rows += n;
    marked->unseen += (flags & MAILSRV_FLAG_SEEN) == 0 ? n : 0;
    marked->deleted += (flags & MAILSRV_FLAG_DELETED) != 0 ? n : 0;
}

static bool mark_some(struct index *x, int64_t key, mailsrv_run uids, const struct message_mark *mark,
                      struct marked *marked)
{
    struct message_mark now = *mark;
    if (!load(x, key))
        return false;
    for (uint32_t i = 0; i < x->chunk.n; i++) {
        now.uid = x->chunk.v[i].uid;
        if (now.uid < uids.first || now.uid > uids.last)
            continue;
        count(marked, x->chunk.v[i].flags, 1);
        if (!set_row(x, i, &now))
            return false;
    }
    return true;
}

/* Whole chunks, which one statement goes through: that is half of what a statement for each of them costs.  What
 * remarked() makes of each is here. */
struct remark {
    uint8_t row[MARK_OCTETS_MAX]; /* as each becomes, with the lower bits of its UID missing in the first octet */
    size_t octets;
    uint64_t word;
    struct marked *marked;
    bool is_worded; /* there is a chunk that had no such word */
};

/* What so many rows from one on become, behind `to`; they were alike. */
static bool remark(struct index *x, const struct message_mark *before, uint32_t n, uint8_t *to)
{
    const struct remark *r = x->remark;
    count(r->marked, before->flags, n);
    for (uint32_t i = 0; i < n; i++, to += r->octets) {
        memcpy(to, r->row, sizeof r->row); /* more than it is: the next one goes over that */
        *to |= (uint8_t)((before->uid + i) % CHUNK_ROWS);
    }
    return before->word == r->word || (word(x, before->word, -(int64_t)n) && word(x, r->word, n));
}

/* remarked(rows): those of a chunk, all of which become the same. */
static void remarked(sqlite3_context *context, int n, sqlite3_value **values)
{
    struct index *x = sqlite3_user_data(context);
    struct remark *r = x->remark;
    const mailsrv_bytes rows = { sqlite3_value_blob(values[0]), (size_t)sqlite3_value_bytes(values[0]) };
    struct walk walk;
    struct message_mark mark;
    uint32_t first = 0, done = 0; /* each is above the one before, so there are no more than a chunk has */
    bool had_word = false, good = rows.p != NULL;
    (void)n;
    mailsrv__durable_walk_chunk(&walk, rows, 0);
    while (good && mailsrv__durable_walk_next(&walk, &mark)) {
        const uint32_t last = mailsrv__durable_walk_alike(&walk);
        good = mark.uid >= first && last < CHUNK_ROWS &&
               remark(x, &mark, last - mark.uid + 1, x->chunk.octets + done * r->octets);
        had_word = had_word || mark.word == r->word;
        done += last - mark.uid + 1;
        first = last + 1;
    }
    r->is_worded = r->is_worded || !had_word;
    if (good && mailsrv__durable_walk_end(&walk) == MAILSRV_OK)
        sqlite3_result_blob(context, x->chunk.octets, (int)(done * r->octets), SQLITE_TRANSIENT);
    else
        sqlite3_result_error_code(context, SQLITE_CORRUPT);
}

static bool mark_whole(struct index *x, int64_t from, int64_t to, const struct message_mark *mark,
                       struct marked *marked)
{
    struct remark r = { .word = mark->word, .marked = marked };
    struct message_mark row = *mark;
    row.uid = 0;
    r.octets = (size_t)(put_mark(r.row, &row) - r.row);
    if (!mailsrv__durable_marks_store(x))
        return false;
    x->chunk.key = 0;
    x->remark = &r;
    bool good = mailsrv__durable_run(x, SQL_MARKS_REMARK, "iii", from, to, (int64_t)mark->modseq) && store_words(x);
    x->remark = NULL;
    return good && (!r.is_worded || mark->word == 0 ||
                    mailsrv__durable_run(x, SQL_WORD_REMARK, "iii", from, to, (int64_t)mark->word));
}

bool mailsrv__durable_mark_run(struct index *x, int64_t box, mailsrv_run uids, const struct message_mark *mark,
                               struct marked *marked)
{
    const int64_t last = mailsrv__durable_chunk_key(box, uids.last);
    const int64_t whole = mailsrv__durable_chunk_key(box, (int64_t)uids.first + CHUNK_ROWS - 1);
    const int64_t whole_end = mailsrv__durable_chunk_key(box, (int64_t)uids.last + 1);
    const bool many = whole_end - whole >= WHOLE_LEAST;
    for (int64_t key = mailsrv__durable_chunk_key(box, uids.first); key <= last; key++) {
        bool goes = many && key == whole;
        if (goes ? !mark_whole(x, whole, whole_end - 1, mark, marked) : !mark_some(x, key, uids, mark, marked))
            return false;
        key = goes ? whole_end - 1 : key;
    }
    return true;
}

bool mailsrv__durable_mark_drop(struct index *x, int64_t box, uint32_t uid)
{
    struct chunk *c = &x->chunk;
    if (!load(x, mailsrv__durable_chunk_key(box, uid)))
        return false;
    uint32_t i = place_of(c, uid);
    if (!has(c, i, uid))
        return true;
    uint64_t before = c->v[i].word;
    c->n--;
    memmove(&c->v[i], &c->v[i + 1], (c->n - i) * sizeof *c->v);
    c->is_changed = true;
    return word(x, before, -1);
}

/* The first chunk of a mailbox from a key on; 0: there is none, or the index failed. */
static int64_t next_key(struct index *x, int64_t box, int64_t from, bool *good)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MARKS_RANGE, "ii", from,
                                             mailsrv__durable_chunk_key(box, UINT32_MAX));
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    int64_t key = result == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    *good = result == SQLITE_ROW || result == SQLITE_DONE;
    return key;
}

bool mailsrv__durable_marks_became(struct index *x, int64_t box, uint64_t modseq)
{
    bool good = mailsrv__durable_marks_store(x);
    int64_t key = good ? next_key(x, box, mailsrv__durable_chunk_key(box, 0), &good) : 0;
    while (key != 0 && good) {
        good = load(x, key);
        for (uint32_t i = 0; i < x->chunk.n && good; i++)
            x->chunk.v[i].modseq = modseq;
        alter(&x->chunk, modseq);
        x->chunk.is_changed = true;
        good = good && mailsrv__durable_marks_store(x);
        key = good ? next_key(x, box, key + 1, &good) : 0;
    }
    return good;
}

/* ---- Walks ---- */

void mailsrv__durable_walk(struct walk *walk, struct index *x, int64_t box, uint32_t first, uint32_t last)
{
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_MARKS_RANGE, "ii", mailsrv__durable_chunk_key(box, first),
                                             mailsrv__durable_chunk_key(box, last));
    *walk = (struct walk){ .x = x, .row = row, .first = first, .last = last,
                           .result = row != NULL ? SQLITE_ROW : SQLITE_ERROR };
}

static void enter(struct walk *walk, mailsrv_bytes rows, int64_t key)
{
    walk->base = mailsrv__durable_chunk_uid(key);
    walk->p = rows.p;
    walk->end = rows.n != 0 ? rows.p + rows.n : rows.p;
}

void mailsrv__durable_walk_chunk(struct walk *walk, mailsrv_bytes rows, int64_t key)
{
    *walk = (struct walk){ .last = UINT32_MAX, .result = SQLITE_ROW };
    enter(walk, rows, key);
}

static bool next_chunk(struct walk *walk)
{
    if (walk->result == SQLITE_ROW)
        walk->result = walk->row != NULL ? sqlite3_step(walk->row) : SQLITE_DONE;
    if (walk->result != SQLITE_ROW)
        return false;
    enter(walk, mailsrv__durable_column_bytes(walk->row, 1), sqlite3_column_int64(walk->row, 0));
    return true;
}

bool mailsrv__durable_walk_next(struct walk *walk, struct message_mark *out)
{
    do {
        while (walk->p == walk->end)
            if (!next_chunk(walk))
                return false;
        walk->before = walk->p;
        walk->p = get_mark(walk->p, walk->end, walk->base, out);
        if (walk->p == NULL) {
            walk->result = SQLITE_CORRUPT;
            walk->p = walk->end;
        }
    } while (walk->result != SQLITE_ROW || out->uid < walk->first);
    walk->uid = out->uid;
    return out->uid <= walk->last;
}

/* The same octets are the same row, but for the lower bits of the UID in the first of them. */
uint32_t mailsrv__durable_walk_alike(struct walk *walk)
{
    const size_t n = (size_t)(walk->p - walk->before);
    while (walk->uid < walk->last && walk->uid % CHUNK_ROWS != CHUNK_ROWS - 1 && (size_t)(walk->end - walk->p) >= n &&
           *walk->p == *walk->before + 1 && memcmp(walk->p + 1, walk->before + 1, n - 1) == 0) {
        walk->before = walk->p;
        walk->p += n;
        walk->uid++;
    }
    return walk->uid;
}

int32_t mailsrv__durable_walk_end(struct walk *walk)
{
    int32_t status = MAILSRV_OK;
    if (walk->result == SQLITE_CORRUPT)
        status = MAILSRV_CORRUPT;
    else if (walk->result != SQLITE_ROW && walk->result != SQLITE_DONE)
        status = mailsrv__durable_failure(walk->x);
    sqlite3_reset(walk->row);
    return status;
}

/* ---- What SQL can ask of a chunk ---- */

enum sum { SUM_ROWS, SUM_UNSEEN, SUM_DELETED, SUM_UIDS, SUM_MODSEQ };

static int64_t added(enum sum what, const struct message_mark *mark, int64_t before)
{
    switch (what) {
    case SUM_UNSEEN:
        return before + ((mark->flags & MAILSRV_FLAG_SEEN) == 0);
    case SUM_DELETED:
        return before + ((mark->flags & MAILSRV_FLAG_DELETED) != 0);
    case SUM_UIDS:
        return before + mark->uid;
    case SUM_MODSEQ:
        return before > (int64_t)mark->modseq ? before : (int64_t)mark->modseq;
    default:
        return before + 1;
    }
}

/* marks(key, rows, what, below): of the rows with UIDs below one; -1: it is no chunk. */
static void marks_sum(sqlite3_context *context, int n, sqlite3_value **values)
{
    const uint8_t *p = sqlite3_value_blob(values[1]), *end = p != NULL ? p + sqlite3_value_bytes(values[1]) : NULL;
    enum sum what = (enum sum)sqlite3_value_int(values[2]);
    int64_t below = sqlite3_value_int64(values[3]), sum = 0;
    struct message_mark mark;
    (void)n;
    while (p != NULL && p != end) {
        p = get_mark(p, end, mailsrv__durable_chunk_uid(sqlite3_value_int64(values[0])), &mark);
        if (p != NULL && mark.uid < below)
            sum = added(what, &mark, sum);
    }
    sqlite3_result_int64(context, p != NULL ? sum : -1);
}

/* words(rows, segment): so many have their last word there; 0: so many have one anywhere. */
static void words_sum(sqlite3_context *context, int n, sqlite3_value **values)
{
    const uint8_t *p = sqlite3_value_blob(values[0]), *end = p != NULL ? p + sqlite3_value_bytes(values[0]) : NULL;
    uint64_t segment = (uint64_t)sqlite3_value_int64(values[1]);
    int64_t sum = 0;
    struct message_mark mark;
    (void)n;
    while (p != NULL && p != end) {
        p = get_mark(p, end, 0, &mark);
        sum += p != NULL && mark.word != 0 && (segment == 0 || mark.word == segment);
    }
    sqlite3_result_int64(context, sum);
}

bool mailsrv__durable_mark_functions(struct index *x)
{
    const int how = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    return sqlite3_create_function(x->db, "marks", 4, how, NULL, marks_sum, NULL, NULL) == SQLITE_OK &&
           sqlite3_create_function(x->db, "remarked", 1, SQLITE_UTF8, x, remarked, NULL, NULL) == SQLITE_OK &&
           sqlite3_create_function(x->db, "words", 2, how, NULL, words_sum, NULL, NULL) == SQLITE_OK;
}
