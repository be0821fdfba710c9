/* A log of which a part is compacted: a store over the simulated disk, with segments so small that a body fills one,
 * and with the gate in its log. */
#ifndef TESTS_POWER_LOG_CASE_H
#define TESTS_POWER_LOG_CASE_H

#include "disk.h"
#include "gate.h"
#include "mail_inside.h"

#define SEGMENT 120000u /* octets of groups, after which a segment ends */
#define HEAVY 140000u   /* octets of a body that fills one */
#define LARGE 150000u   /* and of one that has a file of its own: its WRITE is to be waited for */

struct log_case {
    struct disk *disk;
    mailsrv_durable_files files;
    struct mail mail;
    int found; /* by the check */
    char first[200];
};

extern const mailsrv_id case_inbox; /* zero: by its name */

struct log_case *case_begin(void);
void case_end(struct log_case *f, const char *name);
void case_open(struct log_case *f);
void case_close(struct log_case *f);
/* Whatever the check finds is said as a failure of that name. */
void case_check(struct log_case *f, const char *name, const char *when);
void case_lose_index(struct log_case *f);
void case_rest(struct log_case *f); /* until the store does nothing by itself any more */
bool case_has_segment(struct log_case *f, unsigned number);

/* ---- Mail ---- */
struct sent {
    mailsrv_staged staged;
    mailsrv_target target;
    mailsrv_arg_body_commit arg;
    mailsrv_asked *body, *write, *commit;
};

void case_turn(struct log_case *f);
/* A body in memory is answered in the turn, whatever the writer does. */
void case_stage(struct log_case *f, struct sent *s, int account, size_t octets);
void case_commit(struct log_case *f, struct sent *s, int account);
void case_send(struct log_case *f, struct sent *s, int account, const mailsrv_id *mailbox, size_t octets,
               uint32_t uid);
mailsrv_result case_take(struct log_case *f, struct sent *s); /* waits for all */
mailsrv_result case_deliver(struct log_case *f, int account, const mailsrv_id *mailbox, size_t octets, uint32_t uid);
void case_copy_all(struct log_case *f, const mailsrv_id *id);
void case_expunge(struct log_case *f, const mailsrv_id *id, const mailsrv_run *runs, uint32_t n);
/* In the other account's INBOX. */
mailsrv_asked *case_ask_expunge(struct log_case *f, const struct opened *opened, const mailsrv_run *run);
/* What fills a segment, in the other account's INBOX, goes. */
void case_lighten(struct log_case *f, const mailsrv_result *heavy);

/* ---- Mailboxes ---- */
mailsrv_bytes case_bytes(const char *text);
mailsrv_id case_create(struct log_case *f, const char *name);
int32_t case_delete(struct log_case *f, const mailsrv_id *id);
int32_t case_rename(struct log_case *f, const mailsrv_id *id, const char *name);
void case_subscribe(struct log_case *f, const struct opened *store, const char *name, uint32_t on);
void case_subscribe_one(struct log_case *f, const char *name, uint32_t on);
mailsrv_mbox_opened case_box(struct log_case *f, const mailsrv_id *id);

struct listed {
    char name[32];
    mailsrv_id mailbox;
    uint32_t attributes;
};

struct list {
    struct listed v[20];
    uint32_t n;
};

struct list case_list(struct log_case *f);
mailsrv_id case_id(struct log_case *f, const char *name);
bool case_is_list(const struct list *a, const struct list *b, char text[160]);

/* ---- In the middle of a compaction ---- */
/* What is heavy goes, and with the next group copies begin; the one behind that is `last`. */
void case_in_the_middle(struct log_case *f, const mailsrv_result *heavy, void (*last)(struct log_case *f, void *user),
                        void *user);

/* ---- gone.c ---- */
void gone_cases(void);

#endif
