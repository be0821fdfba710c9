/* Mail that is asked for, and what must have become of it.
 *
 * The model knows of each message whether its commit was answered (it must be there), was not (it may be, whole), or
 * whether it is gone; the same of mailboxes, of changes of flags and names, and of queue items.  Looking at a store that
 * was opened again settles what was open.
 */
#ifndef TESTS_POWER_MAIL_H
#define TESTS_POWER_MAIL_H

#include "shore.h"

#include <stdbool.h>

#define MESSAGES_MAX 400
#define BOXES_MAX 12 /* of an account, ever */
#define ENGINES 2
#define KEYWORDS 6
#define LANES 3

enum fate_of { NEVER_WAS = 0, THERE, PERHAPS, PERHAPS_GONE, GONE };

struct marks {
    uint32_t flags;
    uint32_t keywords; /* a bit for each of the test's names */
};

struct message {
    enum fate_of state;
    uint32_t number; /* what its octets are made of */
    uint32_t uid;    /* 0: not known yet */
    uint64_t modseq;
    size_t octets;
    struct marks marks;
    struct marks perhaps; /* what a change that was not answered makes of it */
    bool is_changing;
    bool is_moved; /* by a RENAME of INBOX: its modseq must be above that which is known */
    bool was_there, was_there_before; /* when we looked last, and the time before */
    uint32_t copy;  /* the number of the COPY or MOVE that made it; 0: none */
    uint32_t move;  /* the number of a MOVE that was not answered, and has taken it perhaps; 0: none */
};

struct box {
    enum fate_of state;
    mailsrv_id id; /* zero: INBOX, or not known yet */
    char name[16];
    char name_perhaps[16]; /* "": none */
    bool is_inbox_moved;   /* by a RENAME of INBOX, which was not answered */
    bool subscribed, subscribed_perhaps;
    struct message messages[MESSAGES_MAX];
    size_t n;
    uint32_t uid_max, uidvalidity;
    uint64_t looked_at, looked_before; /* the modseqs up to which we looked */
};

struct account {
    struct box boxes[BOXES_MAX]; /* the first is INBOX */
    size_t n;
    uint64_t modseq_max;
    uint32_t uidvalidity_max;
};

struct item {
    enum fate_of state;
    uint64_t queue; /* 0: not known yet */
    uint32_t number, version, version_perhaps;
    size_t octets;
};

/* All that is known. */
struct known {
    struct account accounts[2];
    struct item items[MESSAGES_MAX];
    size_t n_items;
    uint64_t queue_max;
};

struct mail {
    struct shore shore;
    mailsrv_engine *engines[ENGINES];
    int64_t now_us;
    struct known known;
    uint32_t last_number; /* of messages, mailboxes and copies */
    uint32_t answered;    /* changes that were answered OK */
    bool is_stuck;        /* what was asked is durable and will not be answered */
    bool must_look;       /* where many messages are is not known */
    char wrong[160];      /* the first thing that is not as it must be; "": nothing */
};

/* Makes two engines for a store that is open; false: it is wrong. */
bool mail_begin(struct mail *m);
void mail_end(struct mail *m);
/* Each asks one change and waits; which, to whom and how large comes from a random number. */
void mail_deliver(struct mail *m, uint64_t random);
void mail_deliver_side_by_side(struct mail *m, uint64_t random);
void mail_requeue(struct mail *m, uint64_t random);
void mail_expunge(struct mail *m, uint64_t random);
void mail_flag(struct mail *m, uint64_t random);
void mail_copy(struct mail *m, uint64_t random);
void mail_move(struct mail *m, uint64_t random);
void mail_mailbox(struct mail *m, uint64_t random); /* makes, renames, subscribes or deletes one */
/* One of these, by chance. */
void mail_change(struct mail *m, uint64_t random);
/* Is everything there that must be, and nothing else? */
void mail_check(struct mail *m);
/* A sum over all that can be read. */
uint64_t mail_sum(struct mail *m);

#endif
