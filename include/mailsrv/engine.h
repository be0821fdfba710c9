/* mailsrv/engine.h - what the sessions of one thread share: clock, timers, operations, work, memory.
 *
 * The loop of a host, whatever it waits with:
 *
 *     advance(now) -> feed what was read -> turn(units) -> for each next_ready: output and sent, wants
 *                  -> sleep until next_deadline, a socket, or a port's wake
 *
 * The order of advance and feed does not matter.  A turn runs long work in slices and hands operations (op.h) to the
 * handlers; a host that pulls operations calls run and next_op itself.
 *
 * Time.  The library reads no clock.  A timer that is armed between two advances counts from the next one, which arms
 * before it fires: a host that feeds before it advances kills no live session.  Until then next_deadline counts it
 * from the last advance: early at worst, and then nothing fires, and it counts from there.  A host that advances once
 * more before it sleeps has none that comes late by as much as it is long.
 *
 * Calls back.  Handlers run inside dispatch and turn, a letter's `deliver` inside advance (and engine_free).  Nothing
 * of the library is held then: they may call everything but advance, run, turn, dispatch and engine_free, which answer
 * MAILSRV_E_USAGE.  Allocators and `release` may be called at any time and must not call the library; a `release` that
 * must, posts a letter.
 *
 * Threads.  An engine belongs to one thread at a time; two engines share nothing.  mailsrv_port_post() is the only call
 * allowed from another thread.
 */
#ifndef MAILSRV_ENGINE_H
#define MAILSRV_ENGINE_H

#include <mailsrv/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mailsrv_config mailsrv_config; /* what an engine is made from */
typedef struct mailsrv_engine mailsrv_engine; /* what the sessions of one thread share; ended by mailsrv_engine_free */
struct mailsrv_session;
struct mailsrv_op;

/* ---- Config: read by engine_new, may be freed after it, and made into several engines. ---- */

/* Keys of mailsrv_config_set_u64. */
#define MAILSRV_CONFIG_MEMORY_MAX 1 /* octets that the engine may hold; default 64 MiB, at least 128 KiB */
#define MAILSRV_CONFIG_EVENTS_MAX 2 /* events kept until read; default 64, 0 to 65,536 */
/* Of MEMORY_MAX, how much what the engine knows of mailboxes may take: per cent; default 75, 1 to 90. */
#define MAILSRV_CONFIG_IMAGES_PERCENT 3
/* How much of it what searches have read of header fields may take, so that the next one does not ask the store; it is
 * the first that is given up: per cent; default 10, 0 to 90. */
#define MAILSRV_CONFIG_TEXTS_PERCENT 4

/* Makes a config with every key at its default.  `allocator` NULL: malloc.  It is copied, and becomes the engine's; its
 * `user` lives longer than the config and every engine made from it.  MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_config_new(const mailsrv_allocator *allocator, mailsrv_config **out);

/* MAILSRV_OK, MAILSRV_E_UNKNOWN_KEY, or MAILSRV_E_VALUE. */
MAILSRV_API int32_t mailsrv_config_set_u64(mailsrv_config *config, int32_t key, uint64_t value);

/* NULL is fine. */
MAILSRV_API void mailsrv_config_free(mailsrv_config *config);

/* ---- Engine ---- */

/* Makes an engine; `config` NULL: all defaults.  MAILSRV_OK or MAILSRV_NOMEM. */
MAILSRV_API int32_t mailsrv_engine_new(const mailsrv_config *config, mailsrv_engine **out);

/* No new sessions from now on; those that live are shut down politely (session.h).  Operations still come and are
 * still owed an answer.  MAILSRV_OK, also the second time. */
MAILSRV_API int32_t mailsrv_engine_close(mailsrv_engine *engine);

/* The host's word that no answer will come any more: the operations that are out are given up, with all they lent. */
#define MAILSRV_ABANDON 1u

/* Ends the engine.  MAILSRV_E_BUSY, and nothing happened, while a session or a question (ask.h) lives or, without
 * MAILSRV_ABANDON, while an operation is queued or out (handles are closed by operations, so run and answer until this
 * succeeds).  Ports are closed; letters not yet read are delivered with a NULL engine, which makes them their poster's
 * again.  NULL is fine. */
MAILSRV_API int32_t mailsrv_engine_free(mailsrv_engine *engine, uint32_t flags);

/* Tells the time: `mono_us` of a clock that never goes back, and `unix_us`, the time of day in microseconds since
 * 1970-01-01 UTC.  Letters of ports are read, timers armed, timers fired.  A `mono_us` before the last one counts as
 * the last one.  MAILSRV_OK; MAILSRV_E_USAGE inside a call back, or for negative times. */
MAILSRV_API int32_t mailsrv_engine_advance(mailsrv_engine *engine, int64_t mono_us, int64_t unix_us);

/* When to call next, on the clock of `mono_us`: INT64_MAX for never, not after now while work waits.  A queued
 * operation of a pulled kind is work of the host, not of the engine, and does not count. */
MAILSRV_API int64_t mailsrv_engine_next_deadline(const mailsrv_engine *engine);

/* Run and dispatch by turns, until neither has work or `units` are spent: a store that answers at once costs no turn
 * of the host's loop.  A unit aims at a microsecond; an operation handed to a handler counts 8.
 * MAILSRV_OK, MAILSRV_MORE when work is left, MAILSRV_E_USAGE inside a call back. */
MAILSRV_API int32_t mailsrv_engine_turn(mailsrv_engine *engine, uint32_t units);

/* Goes on with work that waits: each session (image, queue) in the ring gets at most 256 units, then the next one; the
 * place is kept between calls.  Calls no handler.  Results as engine_turn. */
MAILSRV_API int32_t mailsrv_engine_run(mailsrv_engine *engine, uint32_t units);

/* Hands at most `max` queued operations to their handlers.  MAILSRV_MORE when some are left. */
MAILSRV_API int32_t mailsrv_engine_dispatch(mailsrv_engine *engine, size_t max);

/* Takes the next queued operation of a pulled kind.  It is the host's to answer, by mailsrv_op_answer (op.h), and
 * stays valid until then.  MAILSRV_OK, or MAILSRV_E_CLOSED with `*out` NULL when none is queued. */
MAILSRV_API int32_t mailsrv_engine_next_op(mailsrv_engine *engine, const struct mailsrv_op **out);

/* A handler of one kind of operation.  It answers with mailsrv_op_answer, inside or later. */
typedef void (*mailsrv_handler)(void *user, mailsrv_engine *engine, const struct mailsrv_op *op);

/* Says who answers operations of `kind`: `handler`, or, NULL, the host by next_op.  Before the first session only.  A
 * kind that was never served is never asked: what needs it is hidden or refused.  The last word on a kind counts.
 * MAILSRV_OK; MAILSRV_E_USAGE after the first session; MAILSRV_E_UNKNOWN_KEY: no such kind here. */
MAILSRV_API int32_t mailsrv_engine_serve(mailsrv_engine *engine, int32_t kind, mailsrv_handler handler, void *user);

/* The allocator that the engine was made with, for handlers that want their memory from the same place.  What is taken
 * from it is not charged to the engine.  Filled in as far as out->size reaches.  MAILSRV_OK or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_engine_allocator(const mailsrv_engine *engine, mailsrv_allocator *out);

/* A wish to be told when the engine is freed: memory of who asks. */
typedef struct mailsrv_ending {
    struct mailsrv_ending *next; /* the library's */
    void (*ended)(struct mailsrv_ending *ending);
} mailsrv_ending;

/* `ending->ended` is called once, inside a mailsrv_engine_free that succeeds, last come first; `ending` may be freed
 * there.  Letters have been returned by then, lent bytes released; operations that are out under MAILSRV_ABANDON stay
 * readable until every `ended` has returned, so that threads can be waited for there.  It must not call the library for
 * this engine.  MAILSRV_OK or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_engine_at_end(mailsrv_engine *engine, mailsrv_ending *ending);

/* Takes the next session with something new: output where none was, a bit of wants risen, or its end.  Edge-triggered:
 * a session comes once for each.  MAILSRV_OK, or MAILSRV_E_CLOSED with `*out` NULL when there is none. */
MAILSRV_API int32_t mailsrv_engine_next_ready(mailsrv_engine *engine, struct mailsrv_session **out);

/* ---- Statistics and events ---- */

/* Keys of mailsrv_engine_stat.  Octets and counts; an unknown key is 0.  Memory is of seven classes: of the engine itself,
 * of sessions, output, operations, bodies, images and texts.  Commands and operations one by one, and times: stats.h. */
#define MAILSRV_STAT_MEMORY 1           /* octets held now */
#define MAILSRV_STAT_MEMORY_PEAK 2      /* the most ever held */
#define MAILSRV_STAT_SESSIONS 3         /* sessions alive */
#define MAILSRV_STAT_OPS_QUEUED 4       /* operations not yet taken */
#define MAILSRV_STAT_OPS_OUT 5          /* operations taken and not yet answered */
#define MAILSRV_STAT_OPS_OCTETS 6       /* memory of operations */
#define MAILSRV_STAT_OPS_TIMED_OUT 7    /* operations that outlasted their peer's patience, ever */
#define MAILSRV_STAT_STEP_UNITS_PEAK 8  /* the longest slice ever, in units */
#define MAILSRV_STAT_MESSAGES 9         /* messages accepted, ever */
#define MAILSRV_STAT_EVENTS_DROPPED 10  /* events that found the ring full, ever */
#define MAILSRV_STAT_ALLOCATION_PEAK 11 /* the largest single allocation ever asked for */
#define MAILSRV_STAT_LETTERS 12         /* letters delivered, ever */
#define MAILSRV_STAT_IMAGES_OCTETS 13   /* memory of mailbox images, those kept for the next session included */
#define MAILSRV_STAT_SESSIONS_OCTETS 14 /* memory of sessions, without their output and bodies */
#define MAILSRV_STAT_OUTPUT_OCTETS 15   /* memory of what waits to be sent; what a store lent is not in it */
#define MAILSRV_STAT_BODIES_OCTETS 16   /* memory of messages on their way into a store */
#define MAILSRV_STAT_ENGINE_OCTETS 17   /* memory of the engine itself: events, and what stats.h counts */
#define MAILSRV_STAT_DELIVERIES 18      /* copies put into mailboxes, ever; 0 without mailsrv_engine_count (stats.h) */
#define MAILSRV_STAT_TEXTS_OCTETS 19    /* memory of header fields that searches have read, for the next search */
#define MAILSRV_STAT_TLS_STARTED 20     /* handshakes that succeeded, ever */
#define MAILSRV_STAT_TLS_FAILED 21      /* handshakes that failed, ever */
#define MAILSRV_STAT_TLS_OCTETS 22      /* memory that providers of TLS hold for sessions, as they report it */
MAILSRV_API uint64_t mailsrv_engine_stat(const mailsrv_engine *engine, int32_t key);

/* What an event says. */
#define MAILSRV_EVENT_SESSION_BEGAN 1
#define MAILSRV_EVENT_SESSION_ENDED 2     /* text: why */
#define MAILSRV_EVENT_MESSAGE_ACCEPTED 3  /* text: sender, octets, recipients; or APPEND, octets */
#define MAILSRV_EVENT_MESSAGE_REFUSED 4   /* text: the reply */
#define MAILSRV_EVENT_RECIPIENT_REFUSED 5 /* text: the reply and the address */
#define MAILSRV_EVENT_LOGIN 6             /* text: the user */
#define MAILSRV_EVENT_LOGIN_FAILED 7      /* text: the user */
#define MAILSRV_EVENT_OP_TIMED_OUT 8      /* text: the kind */
#define MAILSRV_EVENT_OUT_OF_MEMORY 9     /* text: what was refused for it */
#define MAILSRV_EVENT_STORE_FAILED 10     /* a handler answered what it must not; text: kind and fault */

/* The queue (queue.h). */
#define MAILSRV_EVENT_QUEUED 30   /* a COMMIT of this engine has put an item into it; text: number, recipient */
#define MAILSRV_EVENT_SENT 31     /* a server has taken it; text: number, recipient, host, reply */
#define MAILSRV_EVENT_DEFERRED 32 /* it waits; text: number, recipient, host, why */
#define MAILSRV_EVENT_FAILED 33   /* it is given up; text: number, recipient, host, why */
#define MAILSRV_EVENT_NOTICE 34   /* its sender is told; text: what of, the number, whom */
/* TLS. */
#define MAILSRV_EVENT_TLS_STARTED 20      /* text: version, cipher */
#define MAILSRV_EVENT_TLS_FAILED 21       /* text: why */
#define MAILSRV_EVENT_TLS_CUT 22          /* the connection ended without the peer's close_notify */

/* One event.  No secret is ever in it. */
typedef struct mailsrv_event {
    uint32_t size;
    int32_t what;        /* MAILSRV_EVENT_... */
    uint64_t session_id; /* 0: of no session */
    int64_t unix_us;
    mailsrv_bytes text; /* at most 120 octets, printable ASCII */
} mailsrv_event;

/* Takes the oldest event; it is valid until the next call.  MAILSRV_OK, or MAILSRV_E_CLOSED with `*out` NULL. */
MAILSRV_API int32_t mailsrv_engine_next_event(mailsrv_engine *engine, const mailsrv_event **out);

/* ---- Other threads ---- */

/* A door into an engine for other threads.  The host's memory: it outlives the engine, and is never copied or moved. */
typedef struct mailsrv_port {
    void *opaque[8];
} mailsrv_port;

/* A letter: memory of the poster, so that posting allocates nothing.  It belongs to the library from a successful post
 * until `deliver` is called, which happens exactly once: inside mailsrv_engine_advance, on the engine's thread; or
 * inside mailsrv_engine_free, with `engine` NULL.  The letter may be freed or posted again there. */
typedef struct mailsrv_letter {
    struct mailsrv_letter *next; /* the library's */
    void (*deliver)(mailsrv_engine *engine, struct mailsrv_letter *letter);
} mailsrv_letter;

/* Opens `port` for an engine, on the engine's thread.  `wake` is called, on the posting thread, when the first letter
 * arrives at an empty port: it makes the host's loop come by advance soon.  It may be called until the last posting
 * thread has ended, also after the engine: what `user` points to lives as long as the port.  `wake` may be NULL.
 * MAILSRV_OK or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_port_open(mailsrv_port *port, mailsrv_engine *engine, void (*wake)(void *user), void *user);

/* Posts a letter.  Any thread, any time after port_open, also while the engine is freed and after it.  MAILSRV_OK: it
 * will be delivered once.  MAILSRV_E_CLOSED: the engine has ended, and the letter stays the caller's. */
MAILSRV_API int32_t mailsrv_port_post(mailsrv_port *port, mailsrv_letter *letter);

#ifdef __cplusplus
}
#endif

#endif
