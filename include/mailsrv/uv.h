/* mailsrv/uv.h - an engine driven by a loop of libuv (1.40 or later): listeners, connections, the clock, wakes.
 *
 * A driver joins one engine to one loop.  It tells the engine the time, gives it its turns, and moves octets between
 * sockets and sessions; whatever is said is the engine's.  A whole host:
 *
 *     mailsrv_engine_new, mailsrv_store_bind or own handlers        as with any loop
 *     mailsrv_uv_new(loop, engine, NULL, &driver)                   the engine is the driver's from here on
 *     mailsrv_uv_listen(driver, &setup, &listener)                  once for each address
 *     uv_run(loop, UV_RUN_DEFAULT)
 *
 * and to end, from any call back: mailsrv_uv_close, and when it has told that all is closed and uv_run has returned,
 * mailsrv_store_free and mailsrv_uv_free, in this order.
 *
 * A store or a handler that answers from other threads by letters (engine.h) wakes the loop by mailsrv_uv_wake, which is
 * a `wake` for mailsrv_port_open and mailsrv_durable_bind, with the driver as its `user`.  A handler that answers from
 * another call back of the same loop (uv_queue_work, a timer) calls mailsrv_op_answer there and no more: what follows
 * from it is said in the same round of the loop.
 *
 * libuv writes to sockets whose peer may have gone: the host ignores SIGPIPE.
 *
 * Threads: everything here is called on the loop's thread, but for mailsrv_uv_wake.  Memory is malloc's.
 */
#ifndef MAILSRV_UV_H
#define MAILSRV_UV_H

#include <mailsrv/session.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uv_loop_s uv_loop_s; /* uv_loop_t of <uv.h>, which is not needed here */

typedef struct mailsrv_uv mailsrv_uv; /* a driver */
typedef struct mailsrv_uv_listener mailsrv_uv_listener; /* an address on which it listens; the driver's */
typedef struct mailsrv_uv_connection mailsrv_uv_connection; /* a peer, from on_begin to on_end; the driver's */

/* ---- The driver ---- */

/* Copied by mailsrv_uv_new; what `user` points to lives as long as the driver. */
typedef struct mailsrv_uv_setup {
    uint32_t size;
    uint32_t turn_units; /* of engine_turn in one round of the loop; 0: 10,000, about 10 ms */
    /* Called for each event of the engine, as mailsrv_engine_next_event hands it out, after each round.  It may call
     * what a handler may.  NULL: events stay in the ring for the host. */
    void (*on_event)(void *user, const mailsrv_event *event);
    void *user;
} mailsrv_uv_setup;

/* Joins `engine` to `loop`; `setup` NULL: all defaults.  The first thing done is mailsrv_engine_advance.  The engine is
 * the driver's from here on, who frees it when all is closed: the host neither advances nor turns nor frees it, makes no
 * sessions and asks for no ready ones, but may call everything else.  JOB is the driver's to answer, on libuv's pool of
 * threads.  The loop is the host's, and outlives the driver's closing; the driver keeps it running until then.
 * MAILSRV_OK; or MAILSRV_NOMEM, MAILSRV_E_USAGE, MAILSRV_TEMP (libuv said no), and the engine is still the host's. */
MAILSRV_API int32_t mailsrv_uv_new(uv_loop_s *loop, mailsrv_engine *engine, const mailsrv_uv_setup *setup,
                                   mailsrv_uv **out);

/* Makes the loop of a driver come round soon.  Any thread, any time until mailsrv_uv_free, also while it is closed and
 * after it.  `driver` is a mailsrv_uv. */
MAILSRV_API void mailsrv_uv_wake(void *driver);

/* Closes everything, politely: listeners at once, sessions as mailsrv_session_shutdown does (421, BYE), after the
 * command in progress; those that are left after `grace_ms` are cut.  Then every answer that is still owed is waited
 * for (and every question of the host's, ask.h), and the engine is freed.  `closed` is called once, from the loop, when neither the loop nor the engine holds
 * anything of the driver any more, which may be freed there or later; NULL: nobody is told.
 *
 * A second call shortens the grace: of both, the one that ends first counts; its `closed` is not looked at.  May be
 * called from anywhere on the loop's thread, also inside a handler.  MAILSRV_OK. */
MAILSRV_API int32_t mailsrv_uv_close(mailsrv_uv *driver, uint32_t grace_ms, void (*closed)(void *user), void *user);

/* Frees a driver that is closed, after whatever may still call mailsrv_uv_wake for it has ended.  NULL is fine.
 * MAILSRV_OK, or MAILSRV_E_BUSY: it is not closed, and nothing happened. */
MAILSRV_API int32_t mailsrv_uv_free(mailsrv_uv *driver);

/* ---- Listeners ---- */

/* `socket` is a descriptor of a stream socket, of the internet or local, that is bound: who had it from elsewhere, or
 * bound it before giving up the right to, listens on it.  The listener has it from MAILSRV_OK on, and closes it. */
#define MAILSRV_UV_LISTEN_SOCKET 1u

/* Copied by mailsrv_uv_listen; what `user` points to lives as long as the driver. */
typedef struct mailsrv_uv_listener_setup {
    uint32_t size;
    uint32_t connections_max; /* at once; who comes beyond them waits in the backlog until one ends; 0: 1,000 */
    const char *address;      /* NUL-ended, in numbers: "127.0.0.1", "::1"; or the path of a local socket to be made,
                               * "/run/lmtp", where nothing is yet; NULL with MAILSRV_UV_LISTEN_SOCKET */
    uint16_t port;            /* 0: a free one, which mailsrv_uv_listener_port tells */
    uint16_t backlog;         /* 0: 128 */
    uint32_t flags;           /* MAILSRV_UV_LISTEN_... */
    mailsrv_profile *profile; /* sealed; the caller's, who keeps his reference until the listener is closed */
    /* A peer has come, and his session is made; nothing has been said.  What it returns: MAILSRV_OK, or anything else,
     * and the connection is closed without a word.  It may call what a handler may, but free no session.  NULL: all
     * are served. */
    int32_t (*on_begin)(void *user, mailsrv_uv_connection *connection);
    /* The session of a connection that was taken is about to be freed; operations of it may still be out, and carry
     * the connection's pointer, which must not be followed any more.  NULL: nobody is told. */
    void (*on_end)(void *user, mailsrv_uv_connection *connection);
    void *user;
    int32_t socket;           /* with MAILSRV_UV_LISTEN_SOCKET */
    uint32_t connections_per_peer; /* at once from one IPv4 address, or one /64 of IPv6; who comes beyond them is closed
                                    * without a word; 0: as many as come */
} mailsrv_uv_listener_setup;

/* Listens.  `out` may be NULL.  The listener belongs to the driver, and lives until mailsrv_uv_listener_close or
 * mailsrv_uv_close; the address is copied.
 * MAILSRV_OK; MAILSRV_NOMEM; MAILSRV_E_USAGE; MAILSRV_E_CLOSED: the driver is closing; MAILSRV_E_VALUE: no address in
 * numbers, no path, or no such socket; MAILSRV_INUSE: somebody listens there; MAILSRV_NOPERM: this port is not for this user;
 * MAILSRV_NONEXISTENT: this machine does not have that address; or MAILSRV_TEMP. */
MAILSRV_API int32_t mailsrv_uv_listen(mailsrv_uv *driver, const mailsrv_uv_listener_setup *setup,
                                      mailsrv_uv_listener **out);

/* The port on which it listens. */
MAILSRV_API uint16_t mailsrv_uv_listener_port(const mailsrv_uv_listener *listener);

/* Its connections now. */
MAILSRV_API uint32_t mailsrv_uv_listener_connections(const mailsrv_uv_listener *listener);

/* Takes no more connections; those that it has go on, `on_end` included.  The pointer is not valid any more.  NULL is
 * fine. */
MAILSRV_API void mailsrv_uv_listener_close(mailsrv_uv_listener *listener);

/* ---- Outwards: what a queue (queue.h) needs of the world ---- */

/* Copied by mailsrv_uv_go_out, texts included; what `user` points to lives as long as the driver. */
#define MAILSRV_UV_OUT_NO_DNS 1u      /* DNS is somebody else's to serve */
#define MAILSRV_UV_OUT_DNS_TRUSTED 2u /* the name servers validate (DNSSEC), and the way to them is safe: their AD bit is
                                       * asked for, and answers are `trusted` (mailsrv_dns_reply): a queue then goes by
                                       * what servers publish of their TLS (RFC 7672) */
typedef struct mailsrv_uv_out_setup {
    uint32_t size;
    uint32_t flags;          /* MAILSRV_UV_OUT_... */
    const char *dns_servers; /* NUL-ended: "127.0.0.1:5353,[::1]:53"; NULL: those of the system */
    uint32_t dns_timeout_ms; /* of the first try; each one after it takes longer; 0: 3 s */
    uint32_t dns_tries;      /* of each server; 0: 3 */
    const char *source_v4;   /* the address to connect from, in numbers; NULL: any */
    const char *source_v6;
    /* As of a listener (mailsrv_uv_listener_setup), of each connection that was made. */
    int32_t (*on_begin)(void *user, mailsrv_uv_connection *connection);
    void (*on_end)(void *user, mailsrv_uv_connection *connection);
    void *user;
} mailsrv_uv_out_setup;

/* Serves CONNECT by sockets of this loop, whose sessions it drives, and DNS by c-ares (1.18 or later).  To be called
 * once, before the first session of the engine.  `setup` NULL: all defaults.
 *
 * MAILSRV_OK; MAILSRV_NOMEM; MAILSRV_E_USAGE; MAILSRV_E_VALUE: an address that is none; MAILSRV_CANNOT: this library was
 * built without c-ares, and DNS is wanted of it; MAILSRV_TEMP: c-ares said no. */
MAILSRV_API int32_t mailsrv_uv_go_out(mailsrv_uv *driver, const mailsrv_uv_out_setup *setup);

/* ---- Connections: from on_begin to on_end.  The pointer is also the session's own (mailsrv_session_host, and
 * mailsrv_op.host in its operations). ---- */

/* Its session, which lives until `on_end` has returned; not to be freed. */
MAILSRV_API mailsrv_session *mailsrv_uv_connection_session(const mailsrv_uv_connection *connection);

/* Who is at the other end; filled in as far as out->size reaches.  MAILSRV_OK or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_uv_connection_peer(const mailsrv_uv_connection *connection, mailsrv_peer *out);

/* A pointer of the host's own, at first NULL; never read. */
MAILSRV_API void mailsrv_uv_connection_set_user(mailsrv_uv_connection *connection, void *user);
MAILSRV_API void *mailsrv_uv_connection_user(const mailsrv_uv_connection *connection);

#ifdef __cplusplus
}
#endif

#endif
