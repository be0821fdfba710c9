/* The commands about messages: what table.c names, and what their files share.
 *
 *   fetch.c        FETCH: which messages, what is answered for each, how it ends
 *   fetch_att.c    what it is asked for
 *   fetch_read.c   the octets of its messages, read ahead and said in order
 *   store.c        STORE
 *   expunge.c      EXPUNGE, UID EXPUNGE, and what CLOSE removes
 *   copy.c         COPY
 *   move.c         MOVE
 *   search.c       SEARCH: which messages, in slices
 *   search_key.c   what it looks for: grammar and matching
 *   search_say.c   its response
 *   search_text.c  the text of messages, read ahead and looked into
 *   append.c       APPEND
 *   walk.c         the members of a view that a set names
 *   uids.c         UIDs that are gathered for one operation, and what else they share
 */
#ifndef IMAP_MESSAGES_H
#define IMAP_MESSAGES_H

#include "imap/imap.h"
#include "imap/walk.h"

/* ---- What table.c names ---- */
bool mailsrv__imap_parse_fetch(struct imap *p, struct reader *r);
enum step mailsrv__imap_fetch(struct imap *p);
void mailsrv__imap_fetch_fini(struct imap *p);
bool mailsrv__imap_parse_store(struct imap *p, struct reader *r);
enum step mailsrv__imap_store(struct imap *p);
bool mailsrv__imap_parse_expunge(struct imap *p, struct reader *r);
enum step mailsrv__imap_expunge(struct imap *p);
bool mailsrv__imap_parse_copy(struct imap *p, struct reader *r);
enum step mailsrv__imap_copy(struct imap *p);
void mailsrv__imap_copy_fini(struct imap *p);
enum step mailsrv__imap_move(struct imap *p);
bool mailsrv__imap_can_move(const struct imap *p);
bool mailsrv__imap_parse_search(struct imap *p, struct reader *r);
enum step mailsrv__imap_search(struct imap *p);
void mailsrv__imap_search_fini(struct imap *p);
bool mailsrv__imap_parse_append(struct imap *p, struct reader *r);
enum step mailsrv__imap_append(struct imap *p);
void mailsrv__imap_append_fini(struct imap *p);
extern const struct streams mailsrv__imap_append_streams;

/* CLOSE: removes what is marked as \Deleted, tells nothing, and goes on with `then`, which finds the status.  Takes
 * `own` of the command. */
enum step mailsrv__imap_expunge_all(struct imap *p, step_fn *then);
int32_t mailsrv__imap_expunge_status(const struct imap *p);

/* ---- What they share ---- */

/* A sequence set, whatever the form of the command. */
bool mailsrv__imap_parse_numbers(struct imap *p, struct reader *r, bool by_uid, struct set *out);

/* UIDs for one operation; FLAGS takes more of them than what reads or removes messages. */
enum { UIDS_MAX = 4096, FLAGS_UIDS_MAX = 16384, UID_RUNS_MAX = 512 };
struct uids {
    mailsrv_run runs[UID_RUNS_MAX];
    uint32_t n_runs, n_uids;
};

/* Adds one above those that are there.  False: it belongs to the next operation. */
bool mailsrv__uids_add(struct uids *uids, uint32_t uid);

/* The same of a run, for FLAGS; how many of it, from the first on, do not belong to the next operation. */
uint32_t mailsrv__uids_add_run(struct uids *uids, mailsrv_run run);

/* Copies them into the room of `ask`, which takes this much of it. */
static inline size_t mailsrv__uids_octets(const struct uids *uids)
{
    return mailsrv__ask_octets(uids->n_runs * sizeof *uids->runs);
}
const mailsrv_run *mailsrv__uids_copy(const struct uids *uids, struct ask *ask);

/* Asks ROWS of them in the selected mailbox, now or beforehand; `wanted` says which fields, how many, from where on.
 * False: no memory. */
bool mailsrv__imap_ask_rows(struct imap *p, ask_fn *how, const struct uids *uids, const mailsrv_arg_rows *wanted);

/* Room for names of keywords, and their copies, as of UIDs. */
size_t mailsrv__keywords_octets(const struct flags *flags);
const mailsrv_bytes *mailsrv__keywords_copy(const struct flags *flags, struct ask *ask);

/* What an answer refused, kept until the command ends: the first refusal counts. */
enum { REFUSAL_OCTETS = 120 };
struct failure {
    int32_t status; /* MAILSRV_OK: none */
    size_t n;
    char text[REFUSAL_OCTETS];
};
void mailsrv__failure_keep(struct failure *failure, int32_t status, struct span text);
enum step mailsrv__failure_end(struct imap *p, const struct failure *failure);

/* Octets that one READ asks for: all ranges that are read at once, and the window, fit into the session's memory beside
 * what else that holds. */
enum { RANGE_MOST = 32768 };
uint64_t mailsrv__imap_range_octets(const mailsrv_session *session);

/* Some of the messages that were named by number are gone (RFC 2180 section 4.1.2, RFC 5530 section 3). */
enum step mailsrv__imap_expunge_issued(struct imap *p);

/* Names of keywords that were not told yet are left out: they are told, and the flags again, at the command's end.
 * False: the message is gone. */
bool mailsrv__imap_told_marks(const struct imap *p, uint32_t uid, struct marks *out);

/* The same of marks of the image. */
void mailsrv__imap_leave_untold(const struct imap *p, struct marks *marks);

/* The i-th row of a page, whose struct may be larger than the one known here. */
static inline const mailsrv_row *mailsrv__imap_page_row(const mailsrv_rows *rows, uint32_t i)
{
    return (const mailsrv_row *)(const void *)((const char *)rows->rows + (size_t)i * rows->stride);
}

/* May the page behind this one be asked for?  A store whose cursor stands still would keep the session for ever. */
static inline bool mailsrv__imap_page_goes_on(const mailsrv_rows *rows, const mailsrv_cursor *cursor)
{
    return rows->n != 0 || memcmp(&rows->next, cursor, sizeof *cursor) != 0;
}

#endif
