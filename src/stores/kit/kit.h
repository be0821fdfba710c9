/* Inside the conformance kit.
 *
 * A check is a straight story: it asks, waits, looks.  The first thing that is not as it should be is kept as the
 * check's text; every helper then says false, and the check returns.  Whatever is still open afterwards is closed by
 * the engines' end.
 */
#ifndef STORES_KIT_KIT_H
#define STORES_KIT_KIT_H

#include <mailsrv/ask.h>
#include <mailsrv/stores/kit.h>

#include <stdbool.h>

#define ENGINES 2
#define QUESTIONS_MAX 64
#define ROWS_MAX 64
#define PIECE_MAX 4096
#define TEXT_MAX 200
#define STRUCTURE_MAX (MAILSRV_ROWS_STRUCTURE_MAX + 1000)

/* What a check needs, beside tiers and features. */
#define NEEDS_REOPEN (1u << 16)
#define NEEDS_HANDLES (1u << 17)
#define NEEDS_QUOTA (1u << 18)
#define NEEDS_LIMIT (1u << 19)

struct kit {
    const mailsrv_kit_setup *setup;
    mailsrv_allocator allocator;
    mailsrv_engine *engines[ENGINES];
    mailsrv_asked *questions[QUESTIONS_MAX]; /* not yet freed */
    int64_t now_us;
    mailsrv_destination inboxes[2]; /* where the addresses lead */
    bool opened; /* the store is there, to be closed */
    bool failed;
    char text[TEXT_MAX];
    uint8_t piece[PIECE_MAX];
    uint8_t structure[STRUCTURE_MAX];
};

struct check {
    const char *name;
    uint32_t needs;
    void (*run)(struct kit *k);
};

/* Octets that can be told from all others: the i-th octet of a body with that seed. */
uint8_t mailsrv__kit_octet(uint32_t seed, uint64_t i);

/* ---- kit.c ---- */
/* Keeps the text of the first failure; returns `good`. */
bool mailsrv__kit_expect(struct kit *k, bool good, const char *text);
/* The same for a status that is not the expected one; the text names both. */
bool mailsrv__kit_expect_status(struct kit *k, int32_t status, int32_t expected, const char *what);

/* ---- world.c: engines, questions, waiting ---- */
bool mailsrv__kit_begin(struct kit *k); /* opens the store, makes the engines, asks where the addresses lead */
void mailsrv__kit_end(struct kit *k);
bool mailsrv__kit_begin_engines(struct kit *k);
void mailsrv__kit_end_engines(struct kit *k);
/* NULL: the check has failed. */
mailsrv_asked *mailsrv__kit_ask(struct kit *k, int engine, int32_t kind, const mailsrv_id *account, const void *arg);
/* One round of every engine. */
void mailsrv__kit_turn(struct kit *k);
/* Waits for the answer; NULL: none came, and the check has failed. */
const mailsrv_answer *mailsrv__kit_wait(struct kit *k, mailsrv_asked *question);
/* Asks and waits. */
const mailsrv_answer *mailsrv__kit_hear(struct kit *k, int engine, int32_t kind, const mailsrv_id *account,
                                        const void *arg, mailsrv_asked **question);
/* Gives a question up, and what its answer opened; waits until that is closed.  NULL is fine. */
void mailsrv__kit_drop(struct kit *k, mailsrv_asked *question);
/* Waits until nothing is owed an answer; false: something is. */
bool mailsrv__kit_quiet(struct kit *k);

/* ---- mail.c: bodies and what becomes of them ---- */
struct staged {
    int engine;
    mailsrv_asked *question;
    uint64_t handle, octets;
    uint32_t features;
    mailsrv_bytes structure; /* for its COMMIT; empty at first */
};

/* Writes a body in pieces of `piece` octets at most. */
bool mailsrv__kit_stage(struct kit *k, int engine, uint32_t seed, uint64_t octets, uint32_t piece, struct staged *out);
/* One WRITE; the status. */
int32_t mailsrv__kit_write(struct kit *k, struct staged *body, uint32_t seed, uint32_t n);
bool mailsrv__kit_begin_body(struct kit *k, int engine, uint64_t hint, struct staged *out);
mailsrv_target mailsrv__kit_to_inbox(const struct kit *k, uint32_t account);
mailsrv_target mailsrv__kit_to_nowhere(const struct kit *k); /* an account that nobody has */
mailsrv_target mailsrv__kit_to_queue(const char *record);
mailsrv_bytes mailsrv__kit_bytes(const char *text);

struct commit {
    mailsrv_asked *question;
    mailsrv_arg_body_commit arg;
    mailsrv_staged staged;
};
/* Asks a COMMIT without waiting; `*commit` and `targets` stay where they are until it is dropped. */
bool mailsrv__kit_ask_commit(struct kit *k, const struct staged *body, const mailsrv_target *targets, uint32_t n,
                             uint32_t atomic, struct commit *commit);
/* Commits and copies the results; the answer's status, which is MAILSRV_OK when the results count. */
int32_t mailsrv__kit_commit(struct kit *k, const struct staged *body, const mailsrv_target *targets, uint32_t n,
                            uint32_t atomic, mailsrv_result *results);
/* Stages, commits to one target, closes; the target's result, whose status is left to be looked at. */
bool mailsrv__kit_send(struct kit *k, int engine, const mailsrv_target *target, uint32_t seed, uint64_t octets,
                       mailsrv_result *result);
/* The same to an account's INBOX, and it must have been taken. */
bool mailsrv__kit_deliver(struct kit *k, int engine, uint32_t account, uint32_t seed, uint64_t octets,
                          mailsrv_result *result);

/* ---- box.c: mailboxes ---- */
struct box {
    int engine;
    mailsrv_id account;
    mailsrv_asked *store, *mbox;
    uint64_t in; /* the store's handle */
    uint64_t handle;
    mailsrv_mbox_opened opened;
};

bool mailsrv__kit_open(struct kit *k, int engine, uint32_t account, struct box *out); /* INBOX */
bool mailsrv__kit_open_named(struct kit *k, int engine, uint32_t account, const char *name, struct box *out);
void mailsrv__kit_shut(struct kit *k, struct box *box);
/* Opens a store alone. */
bool mailsrv__kit_open_store(struct kit *k, int engine, uint32_t account, struct box *out, uint64_t *store);

struct list {
    uint32_t n;
    mailsrv_row rows[ROWS_MAX]; /* their uidl is not kept */
    uint32_t pages;
};
/* All rows of `runs`, page by page. */
bool mailsrv__kit_rows(struct kit *k, const struct box *box, const mailsrv_run *runs, uint32_t n_runs, uint32_t limit,
                       struct list *out);
/* All rows of the mailbox. */
bool mailsrv__kit_list(struct kit *k, const struct box *box, uint32_t limit, struct list *out);
const mailsrv_row *mailsrv__kit_find(const struct list *list, uint32_t uid);
/* The messages that an account has, as a fresh opening on that engine sees it. */
bool mailsrv__kit_count(struct kit *k, int engine, uint32_t account, uint32_t *out);

/* Reads [offset, offset + n) with questions of at most `step` octets, and compares: prefix, then the body of `seed`. */
struct expected {
    const char *prefix;
    uint32_t seed;
    uint64_t octets; /* of the body */
};
bool mailsrv__kit_reads(struct kit *k, const struct box *box, uint32_t uid, const struct expected *message,
                        uint64_t offset, uint64_t n, uint64_t step);
/* Reads the whole of it. */
bool mailsrv__kit_reads_all(struct kit *k, const struct box *box, uint32_t uid, const struct expected *message);
bool mailsrv__kit_is(const struct expected *message, uint64_t offset, mailsrv_bytes octets);
int32_t mailsrv__kit_expunge(struct kit *k, const struct box *box, uint32_t first, uint32_t last,
                             uint32_t only_deleted, uint64_t *modseq);

/* ---- changing.c: changes of flags, and what they are told as ---- */
struct changes {
    struct list list; /* rows */
    mailsrv_run vanished[ROWS_MAX];
    uint32_t n_vanished;
    uint64_t upto, horizon;
    char names[4][32]; /* of the dictionary, NUL-ended */
    uint32_t n_names;
};
/* CHANGES, page by page: each is handed to `take`, until that says false. */
bool mailsrv__kit_pages(struct kit *k, const struct box *box, mailsrv_arg_changes *arg,
                        bool (*take)(struct kit *k, const mailsrv_changes *page, void *out), void *out);
/* All changes of the mailbox since a modseq, page by page. */
bool mailsrv__kit_changed(struct kit *k, const struct box *box, uint64_t since, uint32_t limit, struct changes *out);
bool mailsrv__kit_vanished(const struct changes *changes, uint32_t uid);

struct flagged {
    uint64_t modseq;
    mailsrv_run modified[ROWS_MAX];
    uint32_t n_modified;
    uint64_t since;
    uint32_t n_marked;
    mailsrv_marked first_marked;
};
/* `keyword` NULL: none. */
int32_t mailsrv__kit_flag(struct kit *k, const struct box *box, mailsrv_run uids, int32_t how, uint32_t flags,
                          const char *keyword, uint64_t unchanged_since, struct flagged *out);

/* ---- names.c: an account's mailboxes, by the store that a box has open ---- */
#define KIT_ARRIVED INT64_C(1750000000000000) /* the date of arrival */
#define KIT_NOW INT64_C(1750000009000000)     /* when things are made and stored */

struct entry {
    char name[40]; /* NUL-ended */
    mailsrv_id mailbox;
    uint64_t modseq;
    uint32_t attributes;
};

struct names {
    uint32_t n, pages;
    uint64_t upto, horizon; /* of CHANGES */
    struct entry v[ROWS_MAX];
};
/* All names, page by page. */
bool mailsrv__kit_names(struct kit *k, const struct box *box, uint32_t limit, struct names *out);
/* All names that changed since a modseq, page by page. */
bool mailsrv__kit_names_changed(struct kit *k, const struct box *box, uint64_t since, uint32_t limit,
                                struct names *out);
const struct entry *mailsrv__kit_name(const struct names *names, const char *name); /* NULL: it is not there */
bool mailsrv__kit_same_id(const mailsrv_id *a, const mailsrv_id *b);
bool mailsrv__kit_no_id(const mailsrv_id *id);

int32_t mailsrv__kit_create(struct kit *k, const struct box *box, mailsrv_bytes name, uint32_t attributes,
                            mailsrv_mbox_created *out);
/* With the UIDVALIDITY that it had elsewhere. */
int32_t mailsrv__kit_import_box(struct kit *k, const struct box *box, const char *name, uint32_t uidvalidity,
                                mailsrv_mbox_created *out);
/* It must have been made. */
bool mailsrv__kit_make(struct kit *k, const struct box *box, const char *name, mailsrv_mbox_created *out);
int32_t mailsrv__kit_delete(struct kit *k, const struct box *box, const mailsrv_id *mailbox);
int32_t mailsrv__kit_rename(struct kit *k, const struct box *box, const mailsrv_id *mailbox, const char *name);
int32_t mailsrv__kit_subscribe(struct kit *k, const struct box *box, const char *name, uint32_t on);
/* By id; by name where that is NULL. */
int32_t mailsrv__kit_status(struct kit *k, const struct box *box, const mailsrv_id *mailbox, const char *name,
                            mailsrv_mbox_status *out);
/* The status of MBOX_OPEN, which is not kept open. */
int32_t mailsrv__kit_opens(struct kit *k, const struct box *box, const mailsrv_id *mailbox, const char *name,
                           mailsrv_mbox_opened *out);
/* Delivers to a mailbox of account 0, and it must have been taken. */
bool mailsrv__kit_put(struct kit *k, const mailsrv_id *mailbox, uint32_t seed, mailsrv_result *result);

/* ---- The checks, each ended by one without a name ---- */
extern const struct check mailsrv__kit_receive[];
extern const struct check mailsrv__kit_commits[];
extern const struct check mailsrv__kit_mailboxes[];
extern const struct check mailsrv__kit_rows_checks[];
extern const struct check mailsrv__kit_reading[];
extern const struct check mailsrv__kit_expunging[];
extern const struct check mailsrv__kit_locks[];
extern const struct check mailsrv__kit_order[];
extern const struct check mailsrv__kit_answers[];
extern const struct check mailsrv__kit_queue[];
extern const struct check mailsrv__kit_changes[];
extern const struct check mailsrv__kit_flags[];
extern const struct check mailsrv__kit_listing[];
extern const struct check mailsrv__kit_making[];
extern const struct check mailsrv__kit_renaming[];
extern const struct check mailsrv__kit_elsewhere[];
extern const struct check mailsrv__kit_structures[];

#endif
