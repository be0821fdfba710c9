/* What the tests of queue/ share: an engine with a queue over the memory store, and the world outside of it: name servers,
 * and mail servers, which are sessions of ours on another engine.  Time is the test's. */
#ifndef UNIT_OUTBOUND_H
#define UNIT_OUTBOUND_H

#include "allocators.h"

#include <mailsrv/ask.h>
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

enum { RECEIVED_MAX = 40000, TEXT_MAX = 64, KEPT_MAX = 256, ADDRESSES_MAX = 4 };

/* Somebody was delivered something. */
struct received {
    char recipient[TEXT_MAX];
    int64_t at_us;
    uint64_t session;
};

/* A connection between a client's session and a server's. */
struct wire {
    mailsrv_session *client, *server; /* NULL: that end is over */
    char lane[TEXT_MAX];
    uint8_t address; /* its last octet: 10.0.0.1, ... */
    size_t octets; /* that the client said */
    struct wire *next;
};

struct outbound {
    struct counted from; /* the memory of the queue's engine */
    mailsrv_store *store;
    mailsrv_engine *engine, *servers;
    mailsrv_profile *profile, *server_profile, *lesser_profile;
    mailsrv_id pat; /* whose address all mail is sent from */
    mailsrv_queue *queue;
    mailsrv_queue_setup setup;
    int64_t now_us, unix_us;
    struct wire *wires;
    uint32_t n_wires, wires_peak;

    /* Set by a test; NULL: all is well. */
    bool (*is_down)(struct outbound *w, const char *lane);  /* nobody answers there */
    bool (*is_stuck)(struct outbound *w, const char *lane); /* somebody does, and then says nothing */
    uint32_t (*dns)(struct outbound *w, const char *name);  /* an RCODE, or DNS_SILENT, DNS_NULL_MX */
    int32_t (*retry)(struct outbound *w, const mailsrv_arg_retry *arg, mailsrv_retry *out);
    int32_t (*route)(struct outbound *w, const mailsrv_arg_route *arg, mailsrv_route *out);
    void *user;
    const char *sender; /* of what is sent; NULL: pat@here.test */
    const char *message; /* that is sent; NULL: a short one */
    bool no_route, no_retry;
    enum out_tls { TLS_NONE, TLS_WORKS, TLS_FAILS } tls; /* by the hosts of both sides; set before out_begin */
    bool no_offer; /* servers do not offer TLS; set before out_begin */
    bool is_signed;    /* replies of DNS are trusted, and authentic */
    bool has_records;  /* each server has a TLSA record */
    uint32_t verified; /* by what servers' certificates are the right ones: MAILSRV_TLS_BY_... */
    uint32_t memory_max_mib; /* 0: as usual */
    size_t hang_up_octets;   /* servers hang up when a client has said so many; 0: never */
    uint32_t addresses;      /* exchangers of each domain, of which the first is preferred; 0: the domain itself */
    uint32_t ttl_s;          /* of what DNS says; 0: an hour */
    uint32_t good_from;      /* the first address that neither hangs up nor puts off; 0: hanging up is for all */
    uint32_t dead_from;      /* the first address where nobody answers; 0: none */
    uint32_t stuck_at;       /* an address where nobody says anything; 0: none */
    uint32_t lesser_at;      /* an address whose server takes no more than 64 KiB; 0: none */
    bool puts_off;           /* 451 to all recipients */
    uint32_t fail_nth;       /* the n-th operation of the store from now fails; 0: none */
    bool store_is_down;      /* it answers that it cannot now */
    uint64_t late;           /* a seed: the store answers when nothing else can be done, in any order; 0: at once */
    int32_t keeps;           /* operations of this kind stay unanswered until out_answer; 0: none */

    /* What happened. */
    uint32_t connects_to[ADDRESSES_MAX + 1];
    bool has_taken; /* a recipient, since somebody connected */
    uint32_t n_connects, n_questions, n_routes, n_mails, n_updates, n_scans, n_handshakes;
    uint32_t wanted; /* by what the last handshake's had to be; n_wanted records */
    uint32_t n_wanted;
    char wanted_name[TEXT_MAX];
    struct received *received;
    uint32_t n_received;
    const mailsrv_op *kept[KEPT_MAX];
    uint32_t n_kept;
};

enum { DNS_SILENT = 100, DNS_NULL_MX };

/* Recipients whose local part begins with "bad" are refused (550), with "later" put off (451), with "grey" put off until
 * 10 minutes after the first try of anybody, with "next" not taken (452 4.5.3) with others by a server that puts off nothing. */
void out_begin(struct outbound *w);
void out_open(struct outbound *w);
void out_close(struct outbound *w); /* waits for it */
void out_end(struct outbound *w);   /* what was kept is answered first; nothing may be left */
int out_teardown(void **state);     /* the same of the world that the state of a test points to */

/* What was kept is done, and nothing is kept any more. */
void out_let_go(struct outbound *w);

/* Runs until there is nothing to do, without time passing. */
void out_run(struct outbound *w);

/* A part of that, as small as it can be. */
void out_step(struct outbound *w);

/* Lets time pass, and does what is due on the way. */
void out_wait(struct outbound *w, int64_t us);

/* For `is_down` and `is_stuck`: everybody is. */
bool out_everybody(struct outbound *w, const char *lane);

/* Answers what was kept: MAILSRV_OK, as it would have been answered at once; else with this. */
void out_answer(struct outbound *w, int32_t status);

/* Puts mail for recipients, separated by blanks, into the queue, by mailsrv_queue_send; it is durable. */
void out_send(struct outbound *w, const char *recipients);

/* Commits an item for each number below `n`, "user<i>@domain", straight to the store, due now. */
void out_commit(struct outbound *w, const char *domain, uint32_t n);
void out_commit_to(struct outbound *w, const char *recipient); /* one, in the same way */

uint32_t out_delivered(const struct outbound *w, const char *recipient); /* how often; NULL: all */
uint64_t out_notices(const struct outbound *w); /* in the mailbox of who sends */
bool out_notice_says(const struct outbound *w, const char *text); /* the last one of them */
uint64_t out_queued(const struct outbound *w);
uint64_t out_stat(const struct outbound *w, int32_t key); /* MAILSRV_QUEUE_STAT_... */

/* The item of the queue with that recipient; false: there is none. */
bool out_item(const struct outbound *w, const char *recipient, mailsrv_queued_mail *out);
int32_t out_control(struct outbound *w, const mailsrv_queue_match *match, int32_t action, const char *route, uint64_t *n);

static inline mailsrv_bytes bytes_of(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

#endif
