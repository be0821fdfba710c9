/* mailsrv/session.h - one connection of a mail server, without the I/O.
 *
 * The host owns the sockets, the clock and the threads.  It feeds bytes in, takes bytes out, and answers the operations
 * that the engine hands it.  A session never blocks, reads no clock and calls nobody.
 *
 * Ready is edge-triggered (mailsrv_engine_next_ready); the edges are: output appeared where none was, a bit of wants
 * rose, the session ended.  Without MAILSRV_WANT_READ do not read and do not feed.  When it rises, feed first what was
 * kept.
 *
 * Threads: a session belongs to its engine, an engine to one thread at a time.
 */
#ifndef MAILSRV_SESSION_H
#define MAILSRV_SESSION_H

#include <mailsrv/engine.h>
#include <mailsrv/profile.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mailsrv_session mailsrv_session; /* its host's, until mailsrv_session_free */

/* Who is at the other end.  All of it is copied. */
typedef struct mailsrv_peer {
    uint32_t size;
    uint32_t address_octets; /* 4 or 16; 0: not an internet address (a pipe, a local socket) */
    uint8_t address[16];     /* in network order */
    uint16_t port;
    uint16_t local_port; /* of our end; 0: not known.  LMTP is not spoken on port 25 (RFC 2033 section 5) */
    uint16_t reserved[2];
} mailsrv_peer;

/* Begins a session as `profile` says; the greeting is output soon.  The profile is held until the session is freed.
 * `peer` may be NULL; `host` is the host's own pointer, never read.
 *
 * MAILSRV_OK; MAILSRV_NOMEM; MAILSRV_E_CLOSED: the engine takes no more; MAILSRV_E_USAGE: before the first advance, or
 * the profile is not sealed.  An engine short of memory begins a session that says so and ends. */
MAILSRV_API int32_t mailsrv_server_new(mailsrv_engine *engine, mailsrv_profile *profile, const mailsrv_peer *peer,
                                       void *host, mailsrv_session **out);

/* Feeds `n` bytes from the peer and says in `*consumed` how many were taken.
 *
 * Fewer are taken while this session waits for an answer (a body takes octets while one of its writes is out), while
 * its output stands above the window, after 64 commands until the engine's next run, and at its end: keep the rest,
 * and feed it once mailsrv_session_wants() has MAILSRV_WANT_READ again.  Bounded work; no handler runs inside.
 *
 * `p` is borrowed for the call.  MAILSRV_OK; MAILSRV_E_CLOSED once the session has ended.  Out of memory is no error
 * here: the peer is told. */
MAILSRV_API int32_t mailsrv_session_feed(mailsrv_session *session, const uint8_t *p, size_t n, size_t *consumed);

/* The peer will send no more (a half-close).  Only after all kept bytes were fed: what has begun is finished and
 * replied to, then the session ends.  For a reset connection use mailsrv_session_free.  MAILSRV_OK. */
MAILSRV_API int32_t mailsrv_session_feed_eof(mailsrv_session *session);

/* Lends output: fills at most `cap` slices, `*count` of them.  The first begins at the first byte not yet sent; they
 * stay valid and unmoved until mailsrv_session_sent covers them, whatever is fed or answered meanwhile.  May be asked
 * at any time, and again.  A slice with `p` NULL is a range of a file, handed out only where the profile turned that
 * on.  MAILSRV_OK. */
MAILSRV_API int32_t mailsrv_session_output(mailsrv_session *session, mailsrv_out *v, size_t cap, size_t *count);

/* `n` octets of the output have been sent.  MAILSRV_OK, or MAILSRV_E_USAGE: more than there is. */
MAILSRV_API int32_t mailsrv_session_sent(mailsrv_session *session, size_t n);

/* Bits of mailsrv_session_wants. */
#define MAILSRV_WANT_READ 1u  /* read and feed */
#define MAILSRV_WANT_WRITE 2u /* there is output */
#define MAILSRV_WANT_CLOSE 4u /* it has ended and all is sent: close the connection and free the session */
#define MAILSRV_WANT_TLS_SERVER 8u /* the host is to do TLS now, as the server: tls.h.  Never where a provider does it */
#define MAILSRV_WANT_TLS_CLIENT 16u /* the same as the client, in a session of mailsrv_client_new (queue.h) */

/* What it wants now: MAILSRV_WANT_..., or-ed. */
MAILSRV_API uint32_t mailsrv_session_wants(const mailsrv_session *session);

/* The host's own pointer. */
MAILSRV_API void *mailsrv_session_host(const mailsrv_session *session);

/* Ends the session politely: at once when it is idle (421, or a silent close), else after the command in progress.
 * MAILSRV_OK. */
MAILSRV_API int32_t mailsrv_session_shutdown(mailsrv_session *session);

/* What a session has done. */
typedef struct mailsrv_info {
    uint32_t size;
    uint32_t reserved;
    uint64_t id; /* never reused in its engine */
    uint64_t octets_in;
    uint64_t octets_out; /* sent */
    uint64_t commands;   /* lines that were run */
    uint64_t memory;     /* octets held for it */
    uint64_t memory_peak;
} mailsrv_info;

/* Fills in as much of `*info` as info->size reaches.  MAILSRV_OK, or MAILSRV_E_USAGE for a size below 16. */
MAILSRV_API int32_t mailsrv_session_info(const mailsrv_session *session, mailsrv_info *info);

/* Frees a session at any time, also in the middle of a command: what it asked is cancelled or goes on without it, what
 * it holds is closed by operations.  No send of its slices may be in flight.  NULL is fine. */
MAILSRV_API void mailsrv_session_free(mailsrv_session *session);

#ifdef __cplusplus
}
#endif

#endif
