/* Inside the durable store: what only reads. */
#ifndef STORES_DURABLE_READ_H
#define STORES_DURABLE_READ_H

#include "plans.h"

#define PAGE_MAX 64            /* rows of an answer */
#define PAGE_OF_SHAPES_MAX 128 /* of structures that are looked up in one walk */
#define PAGE_OF_ROWS_MAX 256   /* that have no structures */
#define PAGE_OF_MARKS_MAX 1024 /* that have what marks have, and no more */
#define FIELDS_OF_MARKS (MAILSRV_ROW_FLAGS | MAILSRV_ROW_MODSEQ | MAILSRV_ROW_KEYWORDS)
#define READ_MAX 65536u /* octets of an answer */

/* ---- read.c: by the reader ---- */
void mailsrv__durable_read(struct durable *d, struct task *t);
/* On the engine's thread: a READ whose octets are in memory, of a message that is known, or by a handle of which no
 * earlier READ waits, in whose place it would be checked; false: it is the reader's. */
bool mailsrv__durable_read_now(struct binding *b, const mailsrv_arg_read *arg, mailsrv_read_bytes *value,
                               mailsrv_answer *answer);
/* The open mailbox of a handle, while its UIDs mean what they meant. */
int32_t mailsrv__durable_is_open(struct durable *d, uint64_t number, const struct handle **out, struct mailbox *mbox);
/* The cursor of a page that goes on with a number. */
mailsrv_cursor mailsrv__durable_cursor_at(uint64_t number);
/* A copy that lives as long as the task; false: no memory. */
bool mailsrv__durable_keep(struct task *t, mailsrv_bytes *bytes);
/* How many rows a page has at most. */
uint32_t mailsrv__durable_page(uint32_t limit, uint32_t fields);
void mailsrv__durable_take_mark(const struct message_mark *mark, mailsrv_row *out);
/* The columns of a row, as all statements of rows have them, beside its mark. */
bool mailsrv__durable_take_row(struct task *t, sqlite3_stmt *row, mailsrv_row *out);
/* What a statement that ended with `result` means. */
int32_t mailsrv__durable_ended(struct index *x, int result);

/* ---- open.c, list.c, changes.c: by the reader, inside of one transaction ---- */
int32_t mailsrv__durable_store_open(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_open(struct durable *d, struct task *t);
/* With the lock: a new handle becomes one of that mailbox, and what is answered, but for its keywords. */
void mailsrv__durable_opens_as(struct durable *d, struct handle *h, const struct known_mailbox *is, bool to_write,
                               mailsrv_mbox_opened *out);
int32_t mailsrv__durable_mbox_status(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_list(struct durable *d, struct task *t);
int32_t mailsrv__durable_changes(struct durable *d, struct task *t);
int32_t mailsrv__durable_name_changes(struct durable *d, struct task *t);

/* ---- queue.c: by the reader, inside of one transaction ---- */
int32_t mailsrv__durable_queue_scan(struct durable *d, struct task *t);

/* ---- shapes.c: ROWS for who lists messages with their structures ---- */
/* Is nothing wanted but octets, dates and structures? */
bool mailsrv__durable_are_shapes(uint32_t fields);
/* Rows of one run, until the page is full, or has MAILSRV_ROWS_STRUCTURE_MAX of structures; `structures` counts. */
int32_t mailsrv__durable_shapes(struct durable *d, struct task *t, int64_t box, mailsrv_run run, size_t *structures);

#endif
