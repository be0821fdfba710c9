/* Inside the durable store: what the writer makes of a task. */
#ifndef STORES_DURABLE_PLANS_H
#define STORES_DURABLE_PLANS_H

#include "handles.h"
#include "records.h"
#include "task.h"

#define RECORD_MAX (1u << 20)   /* a record of more goes on in another frame */
#define CHANGE_MAX (256u << 20) /* octets of a change in one group */

/* ---- commit.c, change.c: plans, by the writer ---- */
int32_t mailsrv__durable_commit(struct durable *d, struct task *t);
/* A body of a COMMIT, on any thread; NULL: there is none, or it is not as long as the asker believes. */
struct body *mailsrv__durable_body_at(struct durable *d, const struct task *t, uint32_t i);
const mailsrv_target *mailsrv__durable_target_at(const mailsrv_arg_body_commit *arg, uint32_t i);
int32_t mailsrv__durable_change(struct durable *d, struct task *t); /* every other kind */
/* Applies what was added to the record. */
bool mailsrv__durable_take_effect(struct durable *d);
/* The index failed: so does the group. */
int32_t mailsrv__durable_broken(struct durable *d);
mailsrv_id mailsrv__durable_new_id(struct durable *d);
bool mailsrv__durable_same(const mailsrv_id *a, const mailsrv_id *b);
bool mailsrv__durable_no_id(const mailsrv_id *id);
/* Notes that a task changes a mailbox. */
void mailsrv__durable_touch(struct task *t, const mailsrv_id *mailbox, uint64_t modseq);

struct account {
    uint64_t modseq, octets, quota;
    mailsrv_id inbox;
    uint32_t uidvalidity;           /* the highest that was given */
    uint64_t forgotten;             /* names that are gone since then are all known */
    uint32_t forgotten_uidvalidity; /* the highest of names that were forgotten */
};

struct mailbox {
    int64_t box; /* its number in the index: messages go by it */
    mailsrv_id account; /* zero: it was deleted */
    uint32_t uidvalidity, uidnext;
    uint64_t messages, unseen, deleted, octets;
    uint64_t horizon; /* what vanished since then is all known */
};

/* MAILSRV_OK, MAILSRV_NONEXISTENT, or a failure of the index. */
int32_t mailsrv__durable_account(struct index *x, const mailsrv_id *id, struct account *out);
int32_t mailsrv__durable_mailbox(struct index *x, const mailsrv_id *id, struct mailbox *out);
/* A new UIDVALIDITY of an account: the second, or the next one; 0: there are no more. */
uint32_t mailsrv__durable_new_uidvalidity(const struct account *a, int64_t unix_us);
/* For a plan: the mailbox of a handle with its account, while its UIDs mean what they meant. */
int32_t mailsrv__durable_opened(struct durable *d, uint64_t number, const struct handle **h, struct account *a,
                                struct mailbox *mbox);
/* UIDNEXT has come to the end: a new UIDVALIDITY, and UIDs from 1. */
int32_t mailsrv__durable_renumber(struct durable *d, const mailsrv_id *mailbox, struct mailbox *mbox,
                                  int64_t unix_us);
/* The same, with that UIDVALIDITY. */
int32_t mailsrv__durable_renumber_as(struct durable *d, const mailsrv_id *mailbox, struct mailbox *mbox,
                                     uint32_t uidvalidity);
/* Runs that grow by one UID after the other. */
struct runs {
    mailsrv_run *v;
    size_t n, room;
};
bool mailsrv__durable_runs_add(struct task *t, struct runs *runs, uint32_t uid);

/* ---- change.c ---- */
int32_t mailsrv__durable_expunge_all(struct durable *d, const struct handle *h, uint64_t modseq,
                                     const struct runs *gone);

/* ---- keywords.c ---- */
/* The bits of names in a mailbox's dictionary; those that it has not are added where `adds` says so.  `*all` false:
 * some have no room, and no bit. */
int32_t mailsrv__durable_intern(struct durable *d, const mailsrv_id *account, const mailsrv_id *mailbox, int64_t box,
                                const mailsrv_bytes *names, size_t n, bool adds, uint64_t bits[2], bool *all);
/* The dictionary from a number on, as memory of the task. */
int32_t mailsrv__durable_dictionary(struct index *x, struct task *t, int64_t box, uint32_t first, mailsrv_bytes **out,
                                    uint32_t *n);

/* ---- flags.c, copy.c, mailboxes.c: plans ---- */
int32_t mailsrv__durable_flags(struct durable *d, struct task *t);
int32_t mailsrv__durable_copy(struct durable *d, struct task *t); /* MOVE as well */
int32_t mailsrv__durable_mbox_create(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_delete(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_rename(struct durable *d, struct task *t);
int32_t mailsrv__durable_mbox_subscribe(struct durable *d, struct task *t);

/* ---- names.c ---- */
#define NAMES_MAX 10000 /* of an account that have a mailbox or are subscribed */
#define GONE_MAX 1000   /* of an account, that are remembered though they have neither */

struct name {
    int64_t number;
    mailsrv_id mailbox; /* zero: none */
    uint64_t modseq;
    uint32_t attributes;
    uint32_t uidvalidity; /* the highest that it bore */
    size_t n;
    uint8_t text[MAILSRV_MBOX_NAME_MAX];
};

/* A name as it is kept: with "INBOX" in capitals as its first level.  False: it cannot be one. */
bool mailsrv__durable_canonical(mailsrv_bytes name, uint8_t out[MAILSRV_MBOX_NAME_MAX]);
/* MAILSRV_OK, MAILSRV_NONEXISTENT: nobody knows it; or a failure of the index. */
int32_t mailsrv__durable_name(struct index *x, const mailsrv_id *account, mailsrv_bytes name, struct name *out);
int32_t mailsrv__durable_name_of(struct index *x, const mailsrv_id *mailbox, struct name *out);
int32_t mailsrv__durable_name_numbered(struct index *x, int64_t number, struct name *out);
int32_t mailsrv__durable_oldest_gone(struct index *x, const mailsrv_id *account, struct name *out);
mailsrv_bytes mailsrv__durable_name_text(const struct name *name);
void mailsrv__durable_name_take(sqlite3_stmt *row, struct name *out); /* a row of a statement of names */

/* ---- parts.c: changes that add more rows to a mailbox than one group should hold ----
 *
 * Such a change is made in parts, one in each group, while the changes of other accounts go on and those of its own
 * wait.  mailsrv__durable_change answers MAILSRV_MORE after each part but the last, and is called again in the next
 * group, with task->is_in_parts; what it has to know then it keeps in task->progress.  The first part begins with
 * mailsrv__durable_parts_begin and the last one ends with mailsrv__durable_parts_end.  What a group holds in between
 * is a few thousand rows.
 *
 * Rows of a part have the UIDs from the mailbox's UIDNEXT on, and modseqs above the account's.  Neither these two nor
 * the counts of the mailbox and the account move before the end: so a row whose UID is not below its mailbox's UIDNEXT
 * is not there yet, and every statement that reads rows leaves it out.  Other entries of a part (names, keywords) are
 * seen at once.  The plan counts UIDs, modseqs and the quota by itself.
 *
 * A change whose group fails, or that refuses in the middle, is answered then, and the next groups begin with dropping
 * its parts, a few thousand rows each; so do the first ones after a start.  What changes its account waits until they
 * are gone. */
int32_t mailsrv__durable_parts_begin(struct durable *d, struct task *t, const mailsrv_id *account,
                                     const mailsrv_id *mailbox);
int32_t mailsrv__durable_parts_end(struct durable *d, struct task *t);
/* Plans that some of what is left of changes without an end goes; `first` are those that go on. */
int32_t mailsrv__durable_parts_drop(struct durable *d, const struct task *first);
/* Must it wait for one of those before it, or for what is left of one?  Its plan may then not begin. */
bool mailsrv__durable_parts_wait(struct durable *d, const struct task *first, const struct task *t);
/* By apply.c. */
bool mailsrv__durable_parts_close(struct index *x, const mailsrv_id *mailbox);
bool mailsrv__durable_apply_parts(struct index *x, enum entry kind, struct reader *from);

#endif
