/* What MAIL begins and the end of a message ends: the sender, the recipients, and the targets that they lead to.
 *
 * Targets that name one mailbox twice are one, with the first's prefix: it belongs to the recipient who led there
 * first, and the others refer to it.  All memory is the session's.
 */
#ifndef SMTP_TRANSACTION_H
#define SMTP_TRANSACTION_H

#include "core/machine.h"
#include "core/tap.h"
#include "frame/dots.h"
#include "message/header_editor.h"
#include "smtp/header.h"

#include <mailsrv/policy.h>

enum {
    TARGETS_OF_RECIPIENT_MAX = 64, /* above, it becomes one QUEUE target */
    TARGETS_MAX = 1024, /* of a transaction: what is done with all of them at once stays within a slice */
    TARGET_BUCKETS = 32
};

/* Text that is kept for as long as what it was said of. */
struct noted {
    struct noted *next;
    size_t n; /* octets, just behind this struct */
};

enum fate {
    FATE_USUAL,    /* where RESOLVE says */
    FATE_DISCARD,  /* nowhere */
    FATE_ELSEWHERE /* to one place, in the place of all others */
};

/* What POLICY has said of a session, a transaction or a recipient, beside refusing it. */
struct standing {
    struct noted *fields;   /* header fields to be added, the first that came first */
    struct noted *address;  /* FATE_ELSEWHERE: in the recipient's place; NULL: his own */
    mailsrv_destination to; /* FATE_ELSEWHERE */
    uint32_t shard;         /* of `to` */
    uint8_t fate;
    bool accepted; /* nothing more is asked about it */
    bool relay_ok;
};

void mailsrv__standing_free(mailsrv_session *session, struct standing *standing);

/* Adds header fields.  False: no memory. */
bool mailsrv__standing_add(mailsrv_session *session, struct standing *standing, struct span fields);

/* Takes a verdict that refuses nothing.  False: no memory. */
bool mailsrv__standing_take(mailsrv_session *session, struct standing *standing, const mailsrv_verdict *verdict);

/* NULL: no memory. */
struct noted *mailsrv__note(mailsrv_session *session, struct span text);

static inline struct span mailsrv__noted(const struct noted *noted)
{
    return noted == NULL ? (struct span){ NULL, 0 } : (struct span){ (const char *)(noted + 1), noted->n };
}

struct target {
    mailsrv_destination to;
    struct target *chained; /* the next in its bucket */
    int32_t status;         /* the result of the COMMIT */
    struct span text;       /* and its text, of the answer that the transaction keeps */
};

struct recipient {
    struct recipient *next;
    size_t octets;       /* of this allocation, with all that follows the struct */
    struct span address; /* as it was sent, without <> */
    struct noted *fields; /* to be added for him */
    struct noted *original; /* ORCPT= */
    uint16_t notify;        /* NOTIFY=: QUEUE_FLAG_NOTIFY_... */
    uint16_t number;        /* of those that were accepted, from 1 */
    const char *refusal;    /* he gets nothing of it, and why; NULL: he does */
    uint32_t shard;
    bool is_long; /* too many targets: one for the queue instead */
    bool is_placed; /* by POLICY */
    uint32_t n, n_own;
    struct target **targets; /* all of them */
    struct target *own;      /* those that he led to first */
    char *text;              /* where the next text of a destination goes, behind the address */
};

struct transaction {
    struct span reverse_path; /* without <>, just behind this struct */
    uint64_t size_hint;       /* what SIZE= said; 0: nothing */
    struct recipient *first, *last;
    uint32_t n_recipients, n_targets, n_queue;
    uint32_t n_requeued;       /* targets of the second COMMIT */
    struct span asked;         /* the address that RCPT is asking about; NULL: none */
    struct standing standing;  /* of the message */
    struct standing asked_standing;  /* of the recipient that RCPT is asking about */
    struct target elsewhere;   /* the only one, if POLICY sends the message elsewhere */
    struct recipient *offered; /* where it leads, until that is accepted or declined */
    struct target *buckets[TARGET_BUCKETS];
    void *reserve; /* memory that the COMMIT will need; given back just before it is asked */
    size_t reserve_octets, commit_octets;
    size_t reply_octets;       /* of all replies behind the message */
    struct lent *answer;       /* of the COMMIT, while its texts are needed; NULL: none */
    struct recipient *replied; /* LMTP: who is told next */
    bool begin_was_asked;      /* beside the RESOLVE that is out */
    bool chunked;              /* the first BDAT has come */
    bool utf8;                 /* MAIL had SMTPUTF8 */
    bool eight_bit;            /* MAIL had BODY=8BITMIME */
    uint16_t ret;              /* RET=: QUEUE_FLAG_RET_... */
    struct noted *envelope_id; /* ENVID= */
    uint16_t asked_notify;     /* of the recipient that RCPT is asking about, as in struct recipient */
    struct noted *asked_original;
    bool for_postmaster;       /* RESOLVE is asked about the profile's postmaster in the place of `asked` */

    /* The message on its way. */
    const char *refusal;      /* it will be refused with this line; NULL: not so far */
    struct span refusal_text; /* instead of the line's own; of the body or of a tap */
    bool refused_by_policy;   /* about the header: what is wrong with the octets outranks it, whenever that comes */
    struct dots dots;
    struct header_editor editor;
    struct missing_field missing[2]; /* that the editor adds; their texts are in `fixups` */
    struct noted *fixups;
    struct kept_header header;
    bool header_was_asked; /* POLICY was, about the header */
    uint32_t n_senders;    /* of the field From that were looked at */
    bool fate_is_late;     /* HEADERS or EOM said where the message goes */
    struct noted *refusal_note; /* the octets of refusal_text; NULL: they are somebody else's */
    struct taps *taps;
    struct span waiting; /* octets of the editor that the body had no room for */
    uint64_t octets;     /* that came, without doubled dots */
};

/* NULL: no memory. */
struct transaction *mailsrv__transaction_new(mailsrv_session *session, struct span reverse_path);

/* NULL is fine. */
void mailsrv__transaction_free(mailsrv_session *session, struct transaction *t);

/* Keeps the address of a RCPT, in the place of the last one.  False: no memory. */
bool mailsrv__transaction_ask(mailsrv_session *session, struct transaction *t, struct span address);

/* Offers it as a recipient; he is in the transaction when he has been accepted.  Without a destination he is one whose
 * mail goes nowhere.  False: no memory. */
bool mailsrv__transaction_offer(mailsrv_session *session, struct transaction *t, const mailsrv_resolved *resolved);

/* The same for one place that POLICY named, or for none. */
bool mailsrv__transaction_offer_fate(mailsrv_session *session, struct transaction *t, const struct standing *fate);

void mailsrv__transaction_accept(struct transaction *t);
void mailsrv__transaction_decline(mailsrv_session *session, struct transaction *t);

/* Targets of the offered recipient that are the queue. */
uint32_t mailsrv__transaction_offered_queue(const struct transaction *t);

/* `least`, doubled until it holds `octets`. */
static inline size_t mailsrv__doubled(size_t least, size_t octets)
{
    while (least < octets)
        least *= 2;
    return least;
}

/* Holds memory for a COMMIT that needs `octets`.  False: there is none; what was held is held again, if possible. */
bool mailsrv__transaction_reserve(mailsrv_session *session, struct transaction *t, size_t octets);
void mailsrv__transaction_unreserve(mailsrv_session *session, struct transaction *t);

#endif
