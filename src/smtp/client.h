/* The SMTP client (RFC 5321, RFC 2033) and who gives it work: a courier.
 *
 * A session of mailsrv_smtp_client() greets, secures the connection, logs in, and then asks its courier for one job
 * after the other: a message for recipients of this server.  It tells what became of each recipient, and at the end why
 * it ended.  It knows no queue: the queue is a courier, a test is another.
 *
 *     begin -> ready (once, when mail can be sent) -> next -> told, told ... -> done -> next ... -> ended (once)
 *
 * All calls of the courier come from the session's steps, and may only set fields and put work into the ring.
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "base/span.h"
#include "smtp/dane.h"

#include <mailsrv/profile.h>
#include <mailsrv/session.h>

/* What a server said, or why nothing was said. */
struct smtp_reply {
    uint16_t code;    /* 0: nothing was said: the connection was lost, timed out, ... */
    struct span text; /* of all lines behind the code, joined by a space, with the enhanced code; at most 512 octets,
                       * printable; alive for the call */
};

/* Of NOTIFY, as QUEUE_FLAG_NOTIFY_...; sent where the server has DSN. */
struct smtp_rcpt {
    struct span address;  /* without <> */
    struct span original; /* ORCPT=, as it is sent; empty: none */
    uint16_t flags;
};

/* A message on its way out.  The courier's; alive until `done` or `ended`. */
struct smtp_job {
    struct span reverse_path; /* without <> */
    struct span envelope_id;  /* ENVID=; empty: none */
    uint16_t flags;           /* QUEUE_FLAG_8BIT, _UTF8, _RET_FULL, _RET_HDRS */
    uint64_t octets;          /* of the message */
    uint64_t queue;           /* the item that READ is asked for */
    const struct smtp_rcpt *rcpts;
    uint32_t n_rcpts;
};

enum smtp_fate {
    SMTP_DELIVERED, /* the server has taken it for this recipient */
    SMTP_RELAYED,   /* the same, but it has no DSN (RFC 3461 section 5.2.2): what NOTIFY asked for ends here */
    SMTP_LATER,     /* 4yz, or no reply */
    SMTP_UNSURE,    /* no reply to a whole message: the server may have taken it (RFC 1047) */
    SMTP_HINDERED,  /* later, too, and no fault of the server: the message cannot be read, there is no memory */
    SMTP_REFUSED,   /* 5yz */
    SMTP_UNABLE,    /* the same, by us: the server has not what the message needs, and was not asked */
    SMTP_NOT_SENT   /* nothing was tried, or it does not count: too many recipients for one transaction, a connection
                     * that was kept and is gone; the same job again, at once */
};

/* How far it came. */
enum smtp_end {
    SMTP_END_READY,    /* mail could be sent */
    SMTP_END_UNREADY,
    SMTP_END_UNSECURED /* the same: TLS was agreed to, and came to nothing */
};

struct courier {
    /* The server is ready.  NULL is fine for this and for `done`. */
    void (*ready)(struct courier *courier);
    /* The next job; NULL: none now, and the session waits with mailsrv__session_call, up to `idle_ms`. */
    const struct smtp_job *(*next)(struct courier *courier);
    /* What became of the i-th recipient of the job: once for each. */
    void (*told)(struct courier *courier, const struct smtp_job *job, uint32_t i, enum smtp_fate fate,
                 const struct smtp_reply *reply);
    /* All recipients were told; the job is the courier's again. */
    void (*done)(struct courier *courier, const struct smtp_job *job);
    /* The session is over, politely or not; the job that ran, if any, was told and done before.  Where it was not
     * ready `reply` says why: what the greeting, EHLO, STARTTLS or AUTH was answered, or the loss. */
    void (*ended)(struct courier *courier, enum smtp_end end, const struct smtp_reply *reply);
};

/* How it is to be spoken to. */
struct smtp_terms {
    struct span host;      /* the server's name: of its certificate, for CREDENTIAL */
    struct span route;     /* for CREDENTIAL */
    uint32_t route_flags;  /* MAILSRV_ROUTE_LMTP, _IMPLICIT, _AUTH */
    uint32_t secure;       /* MAILSRV_SECURE_... */
    const struct dane *dane; /* what is published of its TLS; it lives as long as the courier.  NULL: nothing */
    bool downgrades;       /* an 8-bit message is converted for a peer without 8BITMIME; else it is refused (5.6.3) */
    uint32_t messages_max; /* on one connection */
    uint32_t rcpts_max;    /* in one transaction, whatever the server offers; 1 or more */
    uint32_t idle_ms;
};

/* Begins a session; `terms` is copied, `courier` lives until `ended`.  Results as mailsrv_server_new. */
int32_t mailsrv__client_begin(mailsrv_engine *engine, mailsrv_profile *profile, const mailsrv_peer *peer, void *host,
                              const struct smtp_terms *terms, struct courier *courier, mailsrv_session **out);

/* The courier has a job again (false: the session waits for none: it parts), or wants it to end now. */
bool mailsrv__client_call(mailsrv_session *session);
void mailsrv__client_quit(mailsrv_session *session);

#endif
