/* Inside the durable store: what only reads. */
#ifndef STORES_DURABLE_READ_H
#define STORES_DURABLE_READ_H

#include "plans.h"

#define PAGE_MAX 64     /* rows of an answer */
#define PAGE_OF_MARKS_MAX 256 /* that have what marks have, and no more */
#define FIELDS_OF_MARKS (MAILSRV_ROW_FLAGS | MAILSRV_ROW_MODSEQ | MAILSRV_ROW_KEYWORDS)
#define READ_MAX 65536u /* octets of an answer */

/* ---- read.c: by the reader ---- */
void mailsrv__durable_read(struct durable *d, struct task *t);
/* On the engine's thread: a READ by a handle, where its octets are in memory and no earlier one of the handle waits, in
 * whose place it would be checked; false: it is the reader's. */
bool mailsrv__durable_read_now(struct durable *d, const mailsrv_arg_read *arg, mailsrv_read_bytes *value,
                               mailsrv_answer *answer);
/* The open mailbox of a handle, while its UIDs mean what they meant. */
int32_t mailsrv__durable_is_open(struct durable *d, uint64_t number, const struct handle **out, struct mailbox *mbox);
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

#endif
