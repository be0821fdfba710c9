/* Inside the durable store: the index. */
#ifndef STORES_DURABLE_INDEX_H
#define STORES_DURABLE_INDEX_H

#include "known.h"
#include "log.h"
#include "marks.h"

#include <sqlite3.h>

#define INDEX_FORMAT 3 /* one of an older format is made anew */

/* ---- index.c: the index, and its statements ---- */
enum sql {
    SQL_BEGIN,
    SQL_LOOK,
    SQL_PAGES,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVE,
    SQL_BACK,
    SQL_RELEASE,
    SQL_STATE_SET,
    SQL_STATE_GET,
    SQL_ACCOUNT_ADD,
    SQL_ACCOUNT_BY_NAME,
    SQL_ACCOUNT_GET,
    SQL_ACCOUNT_AFTER,
    SQL_ACCOUNT_GREW,
    SQL_ACCOUNT_STUB,
    SQL_ACCOUNT_SHRANK,
    SQL_ACCOUNT_QUOTA,
    SQL_ACCOUNT_UIDVALIDITY,
    SQL_ACCOUNT_FORGOT,
    SQL_MAILBOX_ADD,
    SQL_MAILBOX_BASE,
    SQL_MAILBOX_STUB,
    SQL_MAILBOX_BOX,
    SQL_MAILBOX_GET,
    SQL_MAILBOX_COUNT,
    SQL_MAILBOX_RENUMBERED,
    SQL_MAILBOX_UIDVALIDITY,
    SQL_MAILBOX_RUNS,
    SQL_MAILBOX_HISTORY,
    SQL_MAILBOX_BECAME,
    SQL_MAILBOX_DIED,
    SQL_MAILBOX_DEAD,
    SQL_MAILBOX_DROP,
    SQL_NAME_SET,
    SQL_NAME_GET,
    SQL_NAME_OF,
    SQL_NAME_ALL,
    SQL_NAME_BORE,
    SQL_NAME_COUNT,
    SQL_NAME_BELOW,
    SQL_NAME_RANGE,
    SQL_NAME_CHANGED,
    SQL_NAME_NUMBER,
    SQL_NAME_GONE,
    SQL_NAME_OLDEST_GONE,
    SQL_NAME_DROP,
    SQL_KEYWORD_ADD,
    SQL_KEYWORD_RANGE,
    SQL_KEYWORD_COPY,
    SQL_KEYWORD_DROP,
    SQL_VANISHED_ADD,
    SQL_VANISHED_OLDEST,
    SQL_VANISHED_FORGET,
    SQL_VANISHED_RANGE,
    SQL_VANISHED_DROP,
    SQL_MESSAGE_ADD,
    SQL_MESSAGE_GET,
    SQL_MESSAGE_DROP,
    SQL_MESSAGE_UIDL,
    SQL_MESSAGE_STRUCTURE,
    SQL_MESSAGE_SHAPES,
    SQL_MESSAGE_RANGE,
    SQL_MESSAGE_ROW,
    SQL_MESSAGE_PLACE,
    SQL_MESSAGE_PLACES,
    SQL_MESSAGE_WHOLE,
    SQL_MESSAGE_SOME,
    SQL_MESSAGE_RENUMBER,
    SQL_MARKS_GET,
    SQL_MARKS_RANGE,
    SQL_MARKS_PUT,
    SQL_MARKS_ROWS,
    SQL_MARKS_REMARK,
    SQL_MARKS_DROP,
    SQL_MARKS_END,
    SQL_MARKS_OLDER,
    SQL_MARKS_COUNT_ALTERED,
    SQL_MARKS_ALTERED,
    SQL_MARKS_SCAN,
    SQL_WORD_ADD,
    SQL_WORD_REMARK,
    SQL_WORD_GET,
    SQL_WORD_DROP,
    SQL_WORD_RETIRE,
    SQL_BODY_ADD,
    SQL_BODY_GET,
    SQL_BODY_GREW,
    SQL_BODY_STUB,
    SQL_BODY_SHRANK,
    SQL_BODY_DROP,
    SQL_QUEUE_ADD,
    SQL_QUEUE_GET,
    SQL_QUEUE_UPDATE,
    SQL_QUEUE_DROP,
    SQL_QUEUE_PLACE,
    SQL_QUEUE_RANGE,
    SQL_QUEUE_DUE,
    SQL_QUEUE_DUE_SAME,
    SQL_QUEUE_LANE,
    SQL_QUEUE_LANE_SAME,
    SQL_SEGMENT_APPLIES,
    SQL_SEGMENT_COUNT,
    SQL_SEGMENT_ENDS,
    SQL_SEGMENT_BULK,
    SQL_SEGMENT_RETIRE,
    SQL_SEGMENT_RETIRING,
    SQL_SEGMENT_ALL,
    SQL_SEGMENT_WAITS,
    SQL_SEGMENT_REMOVED,
    SQL_SEGMENT_FORGET,
    SQL_SEGMENT_POOR,
    SQL_TOMB_ADD,
    SQL_TOMB_RETIRE,
    SQL_TOMB_NAME_DROP,
    SQL_COPY_BODY,
    SQL_COPY_MESSAGE,
    SQL_COPY_MARKED,
    SQL_COPY_QUEUE,
    SQL_COPY_QUEUE_MARKED,
    SQL_COPY_MAILBOX,
    SQL_COPY_KEYWORDS,
    SQL_COPY_NAME,
    SQL_COPY_NAME_OF,
    SQL_COPY_ACCOUNT,
    SQL_COPY_TOMB,
    SQL_COPY_TOMB_BEGUN,
    SQL_ACCOUNT_AS_IS,
    SQL_MAILBOX_AS_IS,
    SQL_NAME_AS_IS,
    SQL_NAME_ALONE,
    SQL_MESSAGE_AS_IS,
    SQL_QUEUE_AS_IS,
    SQL_BODY_IDLE,
    SQL_PARTS_ADD,
    SQL_PARTS_GREW,
    SQL_PARTS_GET,
    SQL_PARTS_ALL,
    SQL_PARTS_DROP,
    SQL_PARTS_COUNT,
    SQL_COUNT,
};

/* How far the index has come, and the last numbers that were given. */
struct state {
    uint64_t group;
    struct place place;
    uint64_t last_body, last_id, last_queue;
    uint64_t whole; /* 0: it is being made anew, and has not all yet */
    uint64_t parts; /* changes in parts that have no end yet */
};

struct index {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    struct state state;     /* with what the open transaction has changed */
    struct state committed; /* kept here, because what cannot be written may not be to be read either */
    uint64_t segment;       /* of the record that is applied */
    uint64_t group;
    const uint8_t *entry; /* where the one that is applied begins */
    const struct reader *from;
    struct changed_accounts changed; /* by what was applied; the writer's */
    bool removes;           /* what was applied took messages away, or gave them other UIDs; the writer's */
    struct chunk chunk;     /* the writer's */
    struct remark *remark;  /* marks.c */
    uint64_t counted;       /* the body whose row counts the message of the next entry already; 0: none does */
    int64_t grown;          /* the body whose row does not count `grown_by` messages yet; the writer's */
    int64_t grown_by;
    mailsrv_id box_of;      /* the mailbox whose number was asked for last */
    int64_t box;            /* that number; 0: it is to be asked for */
    uint32_t history_max;   /* runs of UIDs that vanished, of a mailbox */
};

/* MAILSRV_NONEXISTENT: it is of an older format. */
int32_t mailsrv__durable_index_open(struct index *x, struct durable *d, bool writes);
/* For who only looks; MAILSRV_NONEXISTENT: there is none that this release would not make anew. */
int32_t mailsrv__durable_index_look(struct index *x, struct durable *d);
void mailsrv__durable_index_close(struct index *x);
/* A statement with its arguments, to be stepped; `types` has a letter for each: i an int64_t, d a mailsrv_id *, b a
 * mailsrv_bytes.  NULL: it failed. */
sqlite3_stmt *mailsrv__durable_ask(struct index *x, enum sql which, const char *types, ...);
/* Runs one that gives no rows; false: it failed. */
bool mailsrv__durable_run(struct index *x, enum sql which, const char *types, ...);
/* The status for what SQLite said last. */
int32_t mailsrv__durable_failure(struct index *x);
bool mailsrv__durable_state_store(struct index *x);
/* Counts one more message with a body: in its row when another is counted, or a statement asks for bodies, or ends what
 * was begun.  A message to many is one change of that row. */
bool mailsrv__durable_body_grew(struct index *x, int64_t id);
bool mailsrv__durable_index_commit(struct index *x);
void mailsrv__durable_index_roll_back(struct index *x);
mailsrv_bytes mailsrv__durable_column_bytes(sqlite3_stmt *row, int column);
mailsrv_id mailsrv__durable_column_id(sqlite3_stmt *row, int column);

/* ---- segments.c: what the index knows of segments ---- */
/* Of a new index, behind its own. */
extern const char mailsrv__durable_segment_schema[];
/* The statements of the index ask it where the record is that is applied (the functions segment() and weight()). */
bool mailsrv__durable_segment_functions(struct index *x);
/* Records of a segment are applied from now on. */
bool mailsrv__durable_segment_applies(struct index *x, uint64_t number, uint64_t group);
/* A segment has ended, with so many octets of groups. */
bool mailsrv__durable_segment_ends(struct index *x, const struct sealed *one);
/* Those of the log that have ended, from one on, have so many octets. */
bool mailsrv__durable_segments_end(struct durable *d, uint64_t from);
/* The segments that are retired, from the index to the log. */
int32_t mailsrv__durable_segments_load(struct durable *d);
/* What was made of a log that is not all there any more: counts are taken from the rows, and of what vanished nothing
 * is known. */
bool mailsrv__durable_segments_remade(struct durable *d);

#endif
