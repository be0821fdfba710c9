/* The engine's own struct: for the files of core/ alone. */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "base/heap.h"
#include "base/list.h"
#include "core/kind.h"
#include "core/timer.h"
#include "core/work.h"

#include <mailsrv/engine.h>
#include <mailsrv/op.h>
#include <mailsrv/tls.h>

#include <stdbool.h>

struct ledger;
struct op;
struct room;

enum { OP_BUCKETS = 64 };

/* Operations by id and by their place on the way: queued, taken, answered. */
struct op_table {
    struct op *buckets[OP_BUCKETS]; /* queued and taken ones */
    struct node handled;            /* queued, for handlers */
    struct node pulled;             /* queued, for next_op */
    struct node cancels;            /* taken ones that nobody waits for, not yet told */
    uint64_t last_id;
    uint64_t n_queued, n_out, n_timed_out;
};

struct server {
    mailsrv_handler handler; /* NULL: pulled */
    void *user;
    bool served;
};

/* Mailboxes that changed, until the notice is taken. */
enum { CHANGES = 32 };

struct changes {
    mailsrv_arg_changed v[CHANGES];
    uint32_t n;
    bool all; /* more than fit: any mailbox may have changed */
};

/* A notice that was handed out. */
struct notice {
    mailsrv_op op;
    mailsrv_arg_cancel cancel;
    mailsrv_arg_changed changed;
};

struct event_slot {
    mailsrv_event event;
    uint8_t text[EVENT_TEXT_MAX];
};

struct events {
    struct event_slot *slots;
    uint32_t room, first, n;
    uint64_t dropped;
    struct event_slot last; /* the one handed out */
};

struct mailsrv_engine {
    struct heap heap;
    struct timers timers;
    struct node sessions, ready, ring;
    struct op_table ops;
    struct server servers[KIND_NUMBERS];
    struct changes changes;
    struct notice pulled_notice, handled_notice;
    struct events events;
    mailsrv_port *ports;
    mailsrv_ending *endings;
    struct room *rooms; /* core/room.h */
    struct ledger *ledger; /* core/ledger.h; NULL: nothing is counted */
    const struct tap *tap; /* beside those of the profiles: core/tap.h; NULL: none */
    const struct answers *answers; /* of kinds that somebody asks: core/answer.h; NULL: nobody */
    mailsrv_crypto crypto;
    uint8_t secret[32]; /* core/crypto.h */
    uint64_t tls_started, tls_failed, tls_octets;
    int64_t unix_us;
    uint64_t last_session_id, n_sessions, n_messages, n_letters;
    uint64_t n_deliveries; /* counted by the ledger */
    uint64_t n_asked; /* questions of the host, not yet freed */
    uint32_t slice_max, slice_spent; /* units of the slice that runs */
    uint32_t slice_peak;
    bool advanced;      /* the time has been told */
    bool had_a_session; /* servers are fixed */
    bool closed;
    bool has_secret;
    bool outside; /* a handler or a letter runs: no advance, run, turn, dispatch, free */
    bool running; /* the same for a slice, for what calls back from inside one */
};

/* Puts work into the ring, unless it is there. */
void mailsrv__ring_put(mailsrv_engine *engine, struct work *work);

/* Reads the letters of all ports. */
void mailsrv__ports_read(mailsrv_engine *engine);

/* The engine ends: later posts are refused, letters in the ports go back to their posters. */
void mailsrv__ports_close(mailsrv_engine *engine);

/* The engine ends: its rooms give up what they hold. */
void mailsrv__rooms_end(mailsrv_engine *engine);

bool mailsrv__events_init(mailsrv_engine *engine, uint32_t room);
void mailsrv__events_fini(mailsrv_engine *engine);
void mailsrv__event(mailsrv_engine *engine, int32_t what, uint64_t session_id, const char *text, size_t n);

#endif
