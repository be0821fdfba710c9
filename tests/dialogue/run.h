/* One run of a dialogue: the plan of it, and a host in memory with an engine and a session. */
#ifndef DIALOGUE_RUN_H
#define DIALOGUE_RUN_H

#include "allocators.h"
#include "dialogue.h"
#include "fake_tls.h"
#include "imap.h"
#include "ledger.h"
#include "match.h"

#include <mailsrv/stats.h>
#include <mailsrv/stores/memory.h>

enum sending { SEND_AT_ONCE, SEND_ONE_OCTET, SEND_LATE };
enum order { ADVANCE_FIRST, FEED_FIRST };
enum answering { ANSWER_AT_ONCE, ANSWER_LATE, ANSWER_LATE_REVERSED };
enum memory { MEMORY_COUNTED, MEMORY_BLOCK };

enum fault {
    FAULT_NONE,
    FAULT_ALLOCATION, /* the nth finds no memory */
    FAULT_DROUGHT,    /* nor does any after it */
    FAULT_STATUS,     /* the nth operation is answered `status` */
    FAULT_CANCEL,     /* the session is freed while it is out */
    FAULT_NEVER,      /* it is never answered */
    FAULT_TARDY       /* it is answered when its peer's patience is over */
};

enum ending {
    END_AS_WRITTEN,
    END_FREED,         /* mailsrv_session_free after `end_at` octets of input, when all is at rest */
    END_FREED_AT_ONCE, /* without a run between */
    END_EOF,           /* half-closed there */
    END_SHUTDOWN       /* shut down politely there */
};

/* What a host may do wrong, for the tests of the driver: each must be noticed. */
enum sabotage {
    SABOTAGE_NONE,
    SABOTAGE_LOSE_LINE,     /* the first line of the server does not arrive */
    SABOTAGE_MOVE_OUTPUT,   /* lent output changes before it is sent */
    SABOTAGE_LOSE_CLOSE,    /* the store is not told of a close */
    SABOTAGE_LOSE_MESSAGE,  /* a commit is answered OK, and the store never hears of it */
    SABOTAGE_ANSWER_TWICE,  /* an operation that gives a handle is performed twice */
    SABOTAGE_CHANGE_RECORD, /* the argument of an operation is written into */
    SABOTAGE_KEEP_LENT,     /* lent bytes are not given back */
    SABOTAGE_LEAK,          /* memory of the engine is not given back */
    N_SABOTAGES
};

/* Who does TLS, from the first octet on, or after STARTTLS where the dialogue has that. */
enum tls_by { TLS_BY_NOBODY, TLS_BY_LIBRARY, TLS_BY_HOST };

enum { CUTS_MAX = 24 };

struct plan {
    bool bytewise;         /* input byte by byte */
    size_t cuts[CUTS_MAX]; /* places in the input, ascending, at which it is cut */
    size_t n_cuts;
    bool eager; /* pieces follow one another without a run between */
    enum sending sending;
    enum order order;
    enum answering answering;
    enum memory memory;
    bool bound;     /* handlers and turn, instead of run and next_op */
    uint32_t units; /* of each run or turn; 0: plenty */
    enum tls_by tls;
    bool jobs;           /* the handshake is done by operations */
    size_t wire_piece;   /* ciphertext is fed in pieces of so many octets; 0: as it comes */
    unsigned tls_fails;  /* the n-th call of the provider fails, from 1 */
    bool cut_off;        /* the client ends without a close_notify */
    enum fault fault;
    uint64_t nth; /* from 1 */
    int32_t status;
    bool by_result; /* a COMMIT is answered OK, and each of its results has the status */
    bool quits;     /* after a refusal the client says QUIT, instead of going on as if nothing were */
    enum ending ending;
    size_t end_at;
    enum sabotage sabotage;
    bool traced; /* what is said and asked is printed */
};

/* Bytes lent with an answer of the driver's own. */
struct lease {
    struct lease *next;
    unsigned released;
};

enum { TOUCHED_MAX = 8 };

struct run {
    const struct dialogue *d;
    const struct plan *plan;
    const struct buffer *reference; /* the whole transcript of the plain run; NULL: this is it */

    struct counted heap, store_heap;
    struct buffer *encoded; /* what PLAIN and LOGIN make of the passwords, in base64 */
    size_t n_encoded;
    uint8_t randoms; /* calls of the engine's random numbers */
    struct block block;
    mailsrv_config *config;
    mailsrv_profile *profile;
    mailsrv_engine *engine;
    mailsrv_session *session;
    mailsrv_store *store;
    uint64_t memory_before; /* of the engine, without a session */
    uint64_t guard_before;
    int64_t mono_us, unix_us;

    struct buffer in; /* what the client has sent so far */
    size_t in_pos;    /* what the session has taken of it */
    bool eof_due, eof_fed;
    uint32_t wants;        /* as far as the edges told */
    struct buffer out;     /* what arrived at the client */
    uint64_t out_octets;   /* what was sent to it */
    size_t out_pos;        /* what the script has looked at */
    mailsrv_out slices[4]; /* lent and not yet sent: what they were */
    size_t n_slices;
    struct buffer slice_bytes;

    enum tls_by tls_by;        /* of this run */
    struct fake fake;          /* the library's side */
    struct fake_client client; /* the other one */
    struct buffer wire;        /* what it sends */
    size_t wire_pos;           /* what the session has taken of it */
    size_t clear_pos;          /* of in_pos, what was fed in the clear */
    bool has_closed;           /* close_notify is in the wire */
    bool host_may_begin;       /* the client has begun the handshake that the host does */
    bool host_began;           /* it is done */

    struct ledger ledger;
    struct played_courier *courier; /* of a client; NULL: it is none */
    bool was_begun;                 /* there was a session */
    bool talks_alone;               /* a client has begun TLS with a server that does not */
    struct lease *leases;
    size_t commits_stored;        /* COMMITs after which the store held more */
    size_t changes, changes_told; /* of mailboxes, and by notices */
    size_t writes;                /* answered by the store */
    size_t n_withheld;            /* REPLY_WITHHELD and out */
    size_t n_never;
    void *leaked; /* by sabotage */

    size_t at;         /* the step of the script */
    size_t answers_at; /* the step before which no A: is left */
    bool *done;        /* for each step: its operation, or its line, came already */
    struct captures captures;
    struct said said;                /* IMAP: where the client is */
    mailsrv_id touched[TOUCHED_MAX]; /* mailboxes of which the engine was not told yet */
    size_t n_touched;
    bool discards;      /* POLICY said so: what is acknowledged need not be stored */
    bool fault_is_sender;
    bool fault_fired;   /* from now on a refusal is in its right */
    int32_t fault_kind; /* of the operation */
    bool fault_is_queue;
    bool fault_is_late; /* of an operation that the script answers later */
    bool diverged;
    bool slept;         /* the clock has moved beside the script: dates are others */
    bool stopped;       /* the script is not gone on with */
    size_t out_at_stop; /* octets that had arrived then */
    struct buffer why;  /* what went wrong; empty: nothing */
};

/* ---- host.c ---- */

/* Sets everything up to the session.  False: there was no memory, as planned, or it is wrong. */
bool host_begin(struct run *run);

/* Feeds `n` octets; how many were taken. */
size_t host_feed(struct run *run, const void *p, size_t n);

/* Goes on until nothing moves any more. */
void host_pump(struct run *run);

/* Ends the session and the engine, and looks whether anything is left. */
void host_end(struct run *run);

/* Ends the session alone. */
void host_free_session(struct run *run);

/* ---- host_tls.c ---- */

/* Gives the profile its provider, or leaves TLS to the host.  False: there was no memory, or it is wrong. */
bool tls_set_up(struct run *run);

/* The client begins its handshake. */
void tls_begin(struct run *run);

/* A session that is a client says `first`: does that begin a handshake, and does the script's server take part? */
void tls_heard(struct run *run, uint8_t first, bool server_does);

/* Feeds the next piece of ciphertext. */
bool tls_feed(struct run *run, size_t end);

/* The client says that it will send no more.  True: that is to be fed before the end. */
bool tls_says_closed(struct run *run);

/* The host does its part, if that is wanted. */
bool tls_host(struct run *run);

/* Could nothing be said, because TLS has failed, or has not begun? */
bool tls_is_gone(const struct run *run);

/* When all is over. */
void tls_check(struct run *run);

/* Is the client under the library's TLS? */
static inline bool tls_is_on(const struct run *run)
{
    return run->client.is_active;
}

/* Moves the clock to where the engine wants to be called next.  False: it never does. */
bool host_sleep(struct run *run);

/* ---- operations.c ---- */
void operations_take(struct run *run, const mailsrv_op *op);
/* Answers one that waits for its turn.  False: there is none. */
bool operations_answer_late(struct run *run);
/* Answers the oldest one of `reply` as `step` says, or, NULL, as the store does.  False: there is none. */
bool operations_answer_kept(struct run *run, enum reply reply, const struct step *step);
/* Answers all that are still to be answered. */
void operations_settle(struct run *run);

/* ---- verdicts.c ---- */
/* Answers a POLICY as `entry` says; the library's own rules hold where it says nothing. */
int32_t verdict_answer(struct run *run, const struct entry *entry);

/* ---- script.c ---- */
/* How an operation is to be answered: fills in `entry`. */
void script_claim(struct run *run, struct entry *entry);
/* The answer that the script has next for what is kept; NULL: none. */
const struct step *script_next_answer(struct run *run);
void script_run(struct run *run);
/* Is the next step the beginning of TLS? */
bool script_begins_tls(const struct run *run);
/* Somebody was not answered: his patience, or his peer's, comes to its end.  Until there are so many octets; 0: until
 * there is a line. */
void script_wait(struct run *run, size_t octets);

/* ---- oracle.c ---- */
/* The script expected something else than `line`. */
void oracle_unexpected(struct run *run, struct text line, struct text expected);
/* The session ended, or is silent, where the script expected a line. */
void oracle_silent(struct run *run, struct text expected);
/* When all is over: of the transcript, of what is in the store. */
void oracle_transcript(struct run *run);
void oracle_stored(struct run *run);

/* ---- oracle_imap.c ---- */
/* After a fault, the script expected something else than what begins with `line`: is it in its right? */
bool imap_may_say(struct run *run, struct text line, struct text expected);
/* Nothing came, or the session ended, where the script expected something. */
bool imap_may_be_silent(const struct run *run, struct text expected);

/* ---- boxes.c ---- */
/* A mailbox of the store, as files name it: `pat` for the INBOX, `pat/Sent`. */
struct box {
    mailsrv_id account, id;
    struct text name;
};
bool box_find(struct run *run, struct text reference, struct box *out);
uint64_t box_count(struct run *run, const struct box *box);
/* Reads a message out of the store; `index` from 0.  False: there is none. */
bool box_message(struct run *run, const struct box *box, uint64_t index, struct buffer *out);
/* Adds a message with the flags, keywords and date of `words`. */
bool box_append(struct run *run, const struct box *box, struct text message, struct text words);
bool box_create(struct run *run, struct text account, struct text name);
/* What an X: says. */
void box_act(struct run *run, const struct step *step);
/* What an R: says of a row. */
void box_check_row(struct run *run, const struct step *step);

/* ---- run.c ---- */
/* Runs a dialogue as planned.  `out` gets the transcript; the result is the number of operations taken. */
struct outcome {
    bool good;
    bool diverged;
    bool allocation_failed;
    bool commits; /* a COMMIT was asked */
    bool tls_failed; /* the provider, as planned */
    uint64_t operations;
    uint64_t allocations;
};
struct outcome run_dialogue(const struct dialogue *d, const struct plan *plan, const struct buffer *reference,
                            struct buffer *transcript, struct buffer *why);

/* Notes what is wrong, the first time. */
void run_wrong(struct run *run, const char *what);
void run_wrong_text(struct run *run, const char *what, struct text text);

/* Has the session ended, as far as its host was told? */
bool run_closes(const struct run *run);

/* Has a fault happened, so that a refusal is in its right? */
static inline bool run_excused(const struct run *run)
{
    bool tls_failed = run->plan->tls_fails != 0 && run->fake.calls >= run->plan->tls_fails;
    return run->fault_fired || run->heap.failed || tls_failed;
}

/* Is something wrong already, so that going on tells nothing more? */
static inline bool run_is_wrong(const struct run *run)
{
    return run->why.n != 0;
}

/* The line of the file that is being played. */
unsigned run_line(const struct run *run);

#endif
