/* The queue on a clock of the test's own: an engine with a queue and a server over the memory store, and the world around
 * it: name servers, mail servers, senders, faults, crashes.  Everything follows from a seed.
 *
 *   clock.c     time, and what happens at which
 *   dice.c      chance
 *   world.c     the engine: its beginning, its end, its crashes; the loop
 *   door.c      operations on their way to the store and to the world: late, failing, lost in a crash
 *   pages.c     pages of the queue that are older than their answers
 *   names.c     DNS, and where mail goes
 *   peers.c     mail servers, and the wires to them
 *   talk.c      what they say
 *   senders.c   messages, and how they get into the queue
 *   orders.c    what an operator does, and what the host says of the next try
 *   ledger.c    what was accepted, what has arrived, who was told
 *   reasons.c   why something is given up
 *   notices.c   notices, read
 *   modes.c     worlds with a purpose of their own
 *
 * A world is over when every message was sent and the queue is empty; then the ledger says whether all is well. */
#ifndef SIMULATION_SIM_H
#define SIMULATION_SIM_H

#include "allocators.h"
#include "text.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <stdbool.h>
#include <stdint.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

enum { RCPTS_MAX = 5, ADDRESS_MAX = 64, LOCALS = 4, WIRE_RCPTS = 100, SMALL_SIZE = 10000 };

struct sim;

/* ---- dice.c ---- */
struct dice {
    uint64_t state;
};

uint64_t dice_mix(uint64_t a, uint64_t b); /* a number that follows from both */
uint64_t dice_roll(struct dice *dice);
uint32_t dice_below(struct dice *dice, uint32_t n); /* n is not 0 */
bool dice_falls(struct dice *dice, uint32_t of_1000);

/* ---- clock.c ---- */
struct event {
    int64_t at_us;
    uint64_t number; /* those of the same time happen in the order of their setting */
    size_t place;    /* in the heap, from 1; 0: it is not set */
    void (*happens)(struct event *event);
};

struct clock {
    int64_t now_us;
    struct event **events;
    size_t n, room;
    uint64_t numbers;
};

void clock_set(struct clock *clock, struct event *event, int64_t after_us);
void clock_clear(struct clock *clock, struct event *event);
int64_t clock_next(const struct clock *clock); /* INT64_MAX: nothing */
void clock_fire(struct clock *clock);          /* what is due */

/* ---- Messages ---- */

struct mail;

/* What was found of a recipient. */
struct addressee {
    struct mail *mail;
    char address[ADDRESS_MAX];
    uint32_t notify; /* MAILSRV_NOTIFY_... */
    bool refused;    /* by our server: it is no recipient */
    bool is_local;   /* a mailbox here */
    bool queued;     /* an item for it was committed */
    bool held;       /* by an operator, who was told so */
    uint32_t hold;   /* the last order of that sort that found it there */
    bool may_vanish; /* an operator has dropped it, perhaps */
    bool may_return; /* an operator or the host wants it given up, or there was a reason once */
    bool may_move;   /* the same, by the smarthost */
    bool is_refused; /* for good, by a server */
    bool given_up;   /* the queue has said so, and has it no more */
    uint32_t taken, failed, delayed, relayed; /* by a peer; notices */
    uint32_t excuses;  /* for one copy more, or one notice beside a copy */
    uint32_t notice_excuses;
    int64_t first_us;  /* when it was taken first */
    int64_t tried_us;  /* when it was put off last */
    uint32_t tries;
    int64_t soonest_us; /* of the time between two tries, less what the schedule says at least: the least of all */
};

struct mail {
    uint32_t number; /* from 1 */
    uint32_t n_rcpts;
    struct sim *sim;
    struct event arrives;
    char from[ADDRESS_MAX]; /* empty: the null reverse-path */
    struct addressee rcpts[RCPTS_MAX];
    uint32_t octets;
    bool eight_bit;
    bool by_session;
    bool asked, durable, acknowledged;
    int64_t came_us; /* by the time of day, at the earliest */
    uint32_t notices_queued, notices_ended; /* on their way to who sent it; taken by a peer, or given up */
    bool notices_may_vanish; /* as `may_vanish` */
    bool lent;          /* the queue has not said what became of it */
    struct buffer text; /* what it was lent */
    struct mail *next_lent;
};

/* ---- Peers ---- */

enum { PEER_NO_EHLO = 1, PEER_NO_PIPELINING = 2, PEER_NO_8BIT = 4, PEER_DSN = 8, PEER_CHUNKING = 16, PEER_SIZE = 32,
       PEER_FEW = 64, PEER_LMTP = 128, PEER_SMALL_SIZE = 256, PEER_UTF8 = 512, PEER_TLS = 1024, PEER_BAD_TLS = 2048,
       PEER_UNKNOWN = 4096, /* its certificate is not one that can be verified */
       PEER_AUTH = 8192 };

enum { HOST_WITH_LOGIN = 9 }; /* of domain 0: the smarthost that asks who we are */

enum mood { FINE, SICK, DOWN, SILENT, BUSY, FULL, CLOSED };

enum wire_place { AT_COMMAND, AT_DATA, AT_CHUNK, AT_END };

/* A connection of the queue to a peer. */
struct wire {
    struct wire *next;
    struct sim *sim;
    mailsrv_session *client; /* NULL: it is over */
    struct event wakes;
    uint32_t domain, traits;
    enum mood mood;
    enum wire_place place;
    bool pauses;   /* nothing moves before it wakes; without an event: never */
    bool ends;     /* once what it said has been read */
    bool last;     /* this chunk is */
    bool bad_data; /* what comes is not taken */
    uint64_t octets, cut_at; /* that came; behind which it is cut */
    uint64_t chunk_left;
    struct buffer in, out, text;
    size_t out_at;
    char rcpts[WIRE_RCPTS][ADDRESS_MAX];
    uint32_t n_rcpts;
    bool has_mail;
    bool extended; /* it has answered EHLO */
    bool is_plain; /* it has refused to: whatever comes over this wire does without extensions */
    bool is_utf8;  /* so is its transaction */
    bool secured, verified, logged_in;
};

/* ---- The world ---- */

struct sim_setup {
    uint64_t seed;
    uint32_t mails, domains;
    int64_t span_us;      /* that the mails arrive in */
    uint32_t crashes;     /* at random */
    uint64_t crash_at;    /* the operation at which it crashes; 0: none */
    bool crash_does;      /* what was out then was done */
    bool calm;            /* no faults of the store, nor of peers */
    bool full;            /* no server takes anything, for now */
    bool brief;           /* all is well after some hours, and no server is dead for ever */
    bool quiet;           /* it crashes only where nothing is under way */
    bool splits;          /* at each operation copies of the process go on, in which it crashes there */
    bool secures;         /* there is TLS, and a smarthost wants a login */
    bool asks;            /* the host says when to try again */
    uint32_t orders;      /* of the operator, at random */
    uint32_t jumps;       /* of the clock */
    bool full_box;        /* the mailbox of the last of those here takes nothing, for some days */
    uint32_t dead_mails;  /* more, to a domain that is dead, all at once */
    bool silent;          /* its server takes connections, and says nothing */
    bool lies;            /* what name servers say is another thing, now and then */
    uint32_t items_max, connections, per_site, recipients;
};

/* What was said of all mail for a domain, when last; 0: never. */
struct word {
    int64_t refused_us; /* by a server of it, for good */
    int64_t lied_us;    /* by a name server */
};

struct held;
struct submission;
struct order;
struct page;

struct sim {
    struct sim_setup setup;
    struct clock clock;
    struct dice door_dice, peer_dice, crash_dice, order_dice;
    struct counted memory;
    mailsrv_store *store;
    mailsrv_engine *engine; /* NULL: it has crashed, and is not yet there again */
    mailsrv_profile *client_profile, *server_profile;
    mailsrv_queue *queue;
    struct event boots, crash_comes, orders_event, jumps_event, box_event;
    int64_t skew_us; /* of the time of day */
    int64_t unix_us, unix_most_us; /* the same, when the engine was told; the latest */
    bool box_is_full;
    struct order *orders;
    uint32_t releases, n_orders;
    bool is_copy; /* of the process: it tells its verdict by its end */
    struct held *held;
    struct body *bodies;
    struct wire *wires;
    uint32_t n_wires;
    struct submission *submissions;
    struct mail *mails;
    struct mail *lent;
    struct word *words; /* of each domain, the dead one too */
    uint32_t n_mails, n_arrived;
    uint64_t ops;
    bool crashing, ending;
    uint32_t crashes;
    uint32_t boot;     /* how often it was begun */
    int64_t heals_us;  /* all is well from then on */
    uint64_t items_peak, memory_peak;
    const char *fault; /* what was wrong first; NULL: nothing */
    char where[300];
    uint64_t copies, notices, doubles;
};

/* ---- world.c ---- */
void sim_run(struct sim *sim, const struct sim_setup *setup); /* from its beginning to its end; `fault` says how it went */
void sim_free(struct sim *sim);
void sim_fault(struct sim *sim, const char *what, const char *where);
bool sim_expect(struct sim *sim, bool is_so, const char *what);
int64_t sim_unix(const struct sim *sim);
bool sim_heals(const struct sim *sim); /* no faults any more */

/* ---- door.c ---- */
void door_open(struct sim *sim); /* serves the engine */
void door_crash(struct sim *sim); /* some of what is out was done, the rest never */

/* ---- pages.c ---- */
struct page *page_of(struct sim *sim, const mailsrv_op *op); /* as it is now; NULL: of this none is made */
void page_answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op, const struct page *page);
void page_free(struct page *page); /* NULL is fine */

/* ---- names.c ---- */
void names_answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op);
void routes_answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op);
uint32_t domain_traits(const struct sim *sim, uint32_t domain); /* PEER_... */
uint32_t domain_secure(const struct sim *sim, uint32_t domain); /* what ROUTE says of it: MAILSRV_SECURE_... */
bool domain_is_nowhere(const struct sim *sim, uint32_t domain); /* no mail can ever go there */
bool domain_has_smarthost(const struct sim *sim, uint32_t domain); /* its mail goes by that of domain 0 */

/* ---- peers.c, talk.c ---- */
enum mood peer_mood(const struct sim *sim, uint32_t domain);
void peers_connect(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op);
bool peers_move(struct sim *sim); /* did anything? */
void peers_end(struct sim *sim);
void talk_begin(struct wire *wire);
void talk_hear(struct wire *wire); /* what is in `in` */
void wire_pause(struct wire *wire, int64_t us); /* INT64_MAX: for ever */

/* ---- orders.c ---- */
void orders_come(struct event *event); /* of `orders_event` */
void orders_go_on(struct sim *sim);    /* what has come since they were given is theirs, too */
void orders_end(struct sim *sim);      /* the engine is gone */
void retry_answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op);

/* ---- senders.c ---- */
void senders_begin(struct sim *sim);
bool senders_move(struct sim *sim);
void submissions_end(struct sim *sim);
void lent_end(struct sim *sim); /* the engine is gone */
void mail_text(const struct mail *mail, uint64_t seed, struct buffer *out);

/* ---- ledger.c ---- */
struct addressee *ledger_find(struct sim *sim, uint32_t number, struct text address);
uint32_t ledger_number(struct text message); /* of the mail; 0: it is none of the senders' */
void ledger_committed(struct sim *sim, const mailsrv_arg_body_commit *commit, struct text body);

/* A peer has it; `says` whether that is going to be heard. */
void ledger_taken(struct wire *wire, const char *address, bool says);
bool ledger_fits(const struct sim *sim, const mailsrv_target *target); /* what a COMMIT is to do is done */
void ledger_put_off(struct wire *wire, const char *address);
void ledger_crashed(struct sim *sim);
void ledger_clock_is_put_back(struct sim *sim);
void ledger_close(struct sim *sim);

/* ---- reasons.c ---- */
struct mail *reasons_sender(struct sim *sim, struct text address); /* whose address a notice goes to; NULL: nobody's */
void reasons_each(struct sim *sim, struct text address, void (*what)(struct sim *sim, struct addressee *a)); /* who has it */
void reasons_refused(struct wire *wire, const char *command); /* by 5yz; ".": the message */
void reasons_wire_ends(struct wire *wire);
void reasons_lied(struct sim *sim, uint32_t domain);
void reasons_check(struct sim *sim, struct addressee *a, struct text told); /* it is given up */
void reasons_events(struct sim *sim); /* what the engine tells */

/* ---- modes.c ---- */
bool modes_crash(uint64_t seed, uint64_t at, bool does);
bool modes_crashes(uint64_t seed, uint64_t mails);  /* at each operation of so many */
void modes_split(struct sim *sim); /* an operation comes */
bool modes_schedule(uint64_t seed);                 /* it is kept, whatever crashes */
bool modes_dead(uint64_t seed, uint32_t dead_mails, bool silent); /* a dead domain costs the others nothing */
bool show(const struct sim *sim, const char *what, uint64_t which);

/* ---- notices.c ---- */
void notice_asked(struct sim *sim, struct text message); /* it is to be committed */
void notice_committed(struct sim *sim, struct text message, const mailsrv_arg_body_commit *commit);

#endif
