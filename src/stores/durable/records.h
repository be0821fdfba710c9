/* Inside the durable store: records, and what they do to the index. */
#ifndef STORES_DURABLE_RECORDS_H
#define STORES_DURABLE_RECORDS_H

#include "index.h"

/* ---- as_is.c: the records of rows as they are, whatever became of older ones ---- */
bool mailsrv__durable_apply_account_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_mailbox_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_name_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_message_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_queue_as_is(struct index *x, struct reader *from);
bool mailsrv__durable_apply_gone(struct index *x, struct reader *from);

/* ---- apply.c: records ---- */
enum entry {
    ENTRY_ACCOUNT = 1,
    ENTRY_QUOTA,
    ENTRY_BODY,
    ENTRY_MESSAGE,
    ENTRY_EXPUNGE,
    ENTRY_RENUMBER,
    ENTRY_QUEUE,
    ENTRY_QUEUE_UPDATE,
    ENTRY_QUEUE_DELETE,
    ENTRY_KEYWORD,
    ENTRY_FLAGS,
    ENTRY_MAILBOX,
    ENTRY_MAILBOX_DELETE,
    ENTRY_RENAME,
    ENTRY_INBOX_MOVED,
    ENTRY_SUBSCRIBE,
    ENTRY_DUE, /* an item of the queue, with its time and its lane, which older ones have not */
    ENTRY_DUE_UPDATE,
    ENTRY_RETIRED = 32,
    ENTRY_RETIRING,
    ENTRY_ACCOUNT_AS_IS,
    ENTRY_MAILBOX_AS_IS,
    ENTRY_NAME_AS_IS,
    ENTRY_MESSAGE_AS_IS,
    ENTRY_QUEUE_AS_IS,
    ENTRY_GONE,
    ENTRY_DUE_AS_IS,
    ENTRY_PARTS_BEGIN = 48,
    ENTRY_PARTS_END,
    ENTRY_PARTS_DROP,
};

/* Files whose last reference went. */
struct loose {
    uint64_t *v;
    size_t n, room;
};

bool mailsrv__durable_is_loose(struct loose *loose, uint64_t id);

/* What a record has removed, and an older one would bring back, of the segment `base`, or, 0, of any.  That of a name
 * goes when the name is known again: what it is then is said anew. */
enum tomb { TOMB_MESSAGES = 1, TOMB_MAILBOX, TOMB_PARTS, TOMB_ITEM, TOMB_NAME };

bool mailsrv__durable_tomb(struct index *x, int64_t base, enum tomb kind, mailsrv_bytes mailbox, int64_t first,
                           int64_t last);
mailsrv_bytes mailsrv__durable_id_bytes(const mailsrv_id *id);
/* Bodies that nothing refers to any more go; their files, into `loose`. */
bool mailsrv__durable_drop_idle(struct index *x, struct loose *loose);
/* Applies a record, whole entries; false: the index failed, or it is no record. */
bool mailsrv__durable_apply(struct index *x, mailsrv_bytes record);
/* Removes some messages of mailboxes that were deleted, at last the mailbox; `*more`: there may be others. */
bool mailsrv__durable_apply_death(struct index *x, bool *more);
/* The number of a mailbox in the index, where it gets one if need be; 0: the index failed. */
int64_t mailsrv__durable_box(struct index *x, const mailsrv_id *account, const mailsrv_id *mailbox);
/* What is counted of a mailbox, or of how it changes. */
struct counts {
    int64_t messages, octets, unseen, deleted;
};

struct counts mailsrv__durable_counts(int by, uint32_t flags, int64_t octets); /* `by` messages, 1 or -1, like that */
/* An account's modseq, and its octets. */
bool mailsrv__durable_account_grew(struct index *x, const mailsrv_id *id, int64_t modseq, int64_t octets);
/* Adds to the counts of a mailbox; UIDNEXT is at least the one given. */
bool mailsrv__durable_count(struct index *x, int64_t box, const struct counts *counts, int64_t uidnext);
/* Where the row of a message is, and under which mailbox records know it. */
struct row {
    const mailsrv_id *mailbox; /* as records name it; NULL: it needs no tomb */
    int64_t box, uid;
};

/* Drops the row of a message, where it is there, and says by what the counts, which are the caller's, change.  One that
 * has no mark, of an index that is not as it was written, is there only for who needs no tomb. */
bool mailsrv__durable_drop_row(struct index *x, const struct row *at, struct counts *out);
/* Drops messages from one to a last UID, with what they count; `owner` NULL: but for the account. */
bool mailsrv__durable_drop_run(struct index *x, const mailsrv_id *owner, const struct row *first, int64_t last);
bool mailsrv__durable_drop_item(struct index *x, int64_t item);

/* ---- apply_names.c: the records of mailboxes and their names ---- */
bool mailsrv__durable_apply_inbox(struct index *x, const mailsrv_id *account, const mailsrv_id *inbox,
                                  uint32_t uidvalidity);
bool mailsrv__durable_apply_mailbox(struct index *x, struct reader *from);
bool mailsrv__durable_apply_mailbox_delete(struct index *x, struct reader *from);
bool mailsrv__durable_apply_rename(struct index *x, struct reader *from);
bool mailsrv__durable_apply_inbox_moved(struct index *x, struct reader *from);
bool mailsrv__durable_apply_subscribe(struct index *x, struct reader *from);
/* A name that is forgotten: how it is called where things are gone, and that it is. */
struct gone_name {
    mailsrv_id account;
    mailsrv_bytes text;
    int64_t modseq, uidvalidity; /* that it had */
};
bool mailsrv__durable_apply_name_gone(struct index *x, const struct gone_name *gone);
/* It is known, again: nothing says that it is gone. */
bool mailsrv__durable_name_is_known(struct index *x, const mailsrv_id *account, mailsrv_bytes text);

/* ---- apply_messages.c: the records of keywords, flags, and what vanished ---- */
bool mailsrv__durable_apply_keyword(struct index *x, struct reader *from);
bool mailsrv__durable_apply_flags(struct index *x, struct reader *from);
bool mailsrv__durable_apply_renumber(struct index *x, struct reader *from);
bool mailsrv__durable_vanish(struct index *x, int64_t box, uint64_t modseq, mailsrv_run run);
/* Ids count in their last half: this one was given. */
void mailsrv__durable_id_was_given(struct index *x, const mailsrv_id *id);

#endif
