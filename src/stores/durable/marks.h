/* Inside the durable store: what can change of a message, in little.
 *
 * Flags, keywords and modseq of the messages with up to 64 UIDs that stand together are one row of the index: a
 * *chunk*.  So a mailbox of a million messages is looked through in some 16,000 rows of a few hundred octets, and a
 * change of many flags writes few.
 *
 * Two modseqs of a chunk say what has changed without an index of all messages by their modseq, so that a message that
 * comes costs nothing there.  `altered` is the highest that a row of it got later than by coming, and is indexed where
 * there is one.  `first` is not below the modseq with which any message of an earlier chunk came, since UIDs are given
 * in the order of modseqs.  So all that changed above a modseq is in the chunks from the last one on whose `first` is
 * not above it, and in those before that whose `altered` is.
 *
 * `word` is the segment of the last record that changed a message's flags; 0: none did since its whole record.  A chunk
 * that has such a word has a row for that segment in the table `word`; it may stay there for a while when the word is
 * gone. */
#ifndef STORES_DURABLE_MARKS_H
#define STORES_DURABLE_MARKS_H

#include <mailsrv/base.h>

#include <sqlite3.h>
#include <stdbool.h>

#define CHUNK_BITS 6
#define CHUNK_ROWS (1 << CHUNK_BITS)
#define MARK_OCTETS_MAX 42 /* in a chunk */
#define KEY_BITS (32 - CHUNK_BITS)
#define WORDS_COUNTED 4

struct index;

/* Rows that got other marks: how many, and how many of them were without \Seen and with \Deleted before. */
struct marked {
    int64_t rows, unseen, deleted;
};

struct message_mark {
    uint32_t uid, flags;
    uint64_t modseq;
    uint64_t keywords[2];
    uint64_t word;
};

/* The chunk that was looked at last by the writer, with what was changed of it since. */
struct chunk {
    int64_t key; /* of its row: the mailbox and the upper bits of its UIDs; 0: none */
    int64_t first, altered, stored_altered;
    bool is_stored, is_changed;
    bool is_worded; /* rows have words of the segment that is applied, which the table may not know */
    uint32_t n;
    struct message_mark v[CHUNK_ROWS];
    struct {
        uint64_t segment;
        int64_t by;
    } counted[WORDS_COUNTED]; /* words that came and went, and are not yet counted in their segments */
    uint8_t octets[CHUNK_ROWS * MARK_OCTETS_MAX];
};

static inline int64_t mailsrv__durable_chunk_key(int64_t box, int64_t uid)
{
    return box << KEY_BITS | uid >> CHUNK_BITS;
}

/* The first UID of a chunk. */
static inline uint32_t mailsrv__durable_chunk_uid(int64_t key)
{
    return (uint32_t)(key & ((INT64_C(1) << KEY_BITS) - 1)) << CHUNK_BITS;
}

/* ---- By the writer, while a record is applied.  False: the index failed. ---- */

/* One that comes; `late`: not as the youngest of its mailbox, but because its record was moved in the log. */
bool mailsrv__durable_mark_add(struct index *x, int64_t box, const struct message_mark *mark, bool late);
/* The one of a UID, until the next call; NULL: it is not there, or `*good` is false. */
const struct message_mark *mailsrv__durable_mark_find(struct index *x, int64_t box, uint32_t uid, bool *good);
/* Another one in the place of that with its UID, which is there. */
bool mailsrv__durable_mark_set(struct index *x, int64_t box, const struct message_mark *mark);
/* All of a run that are there get the same, whose UID does not count; they are added to `marked`. */
bool mailsrv__durable_mark_run(struct index *x, int64_t box, mailsrv_run uids, const struct message_mark *mark,
                               struct marked *marked);
/* It goes, if it is there. */
bool mailsrv__durable_mark_drop(struct index *x, int64_t box, uint32_t uid);
/* All of a mailbox get that modseq. */
bool mailsrv__durable_marks_became(struct index *x, int64_t box, uint64_t modseq);
/* What was changed goes into the index: at the end of each record, and before anybody looks by a walk. */
bool mailsrv__durable_marks_store(struct index *x);
/* The index was rolled back. */
void mailsrv__durable_marks_forget(struct index *x);

/* ---- A walk through those of a mailbox, by their UIDs; one at a time with each statement ---- */
struct walk {
    struct index *x;
    sqlite3_stmt *row;      /* NULL: there is one chunk */
    const uint8_t *p, *end; /* what is left of a chunk */
    const uint8_t *before;  /* the row that was taken last */
    uint32_t uid;           /* of it */
    uint32_t base;          /* its first UID */
    uint32_t first, last;
    int result;
};

void mailsrv__durable_walk(struct walk *walk, struct index *x, int64_t box, uint32_t first, uint32_t last);
/* Over one that somebody has. */
void mailsrv__durable_walk_chunk(struct walk *walk, mailsrv_bytes rows, int64_t key);
/* The next one; false: there is none, or the index failed. */
bool mailsrv__durable_walk_next(struct walk *walk, struct message_mark *out);
/* Passes over those behind it whose UIDs follow at once and that have the same, as far as is cheap to see: the last
 * UID. */
uint32_t mailsrv__durable_walk_alike(struct walk *walk);
/* Ends it, wherever it is: MAILSRV_OK, or how it failed. */
int32_t mailsrv__durable_walk_end(struct walk *walk);

/* SQL functions, for who sums up or checks. */
bool mailsrv__durable_mark_functions(struct index *x);

#endif
