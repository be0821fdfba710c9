/* mailsrv/queue.h - the queue: mail for elsewhere on its way out, and notices for who sent what cannot be delivered.
 *
 * The queue does no I/O.  What waits is the store's (op.h, QUEUE_SCAN and the rest): memory does not grow with it.  What
 * it needs of the world are operations: where a domain's mail goes (ROUTE, DNS), a connection (CONNECT), a password
 * (CREDENTIAL), and, if the host wants a say, when to try again (RETRY).  A connection is a session like any other: the
 * host makes it with mailsrv_client_new, and pumps it.
 *
 *     mail is committed to a QUEUE target            by a session that receives, or by mailsrv_queue_send
 *     -> ROUTE, DNS                                  a smarthost, or the domain's mail exchangers (RFC 5321 section 5)
 *     -> CONNECT -> mailsrv_client_new               the session takes one message after the other
 *     -> 2yz: the item is deleted; 4yz, no answer: it is due later; 5yz, too old: a notice is committed (RFC 3464)
 *
 * An item is deleted only after the peer has taken it, and after a notice that is owed is durable.  Whatever happens to
 * the program, what was accepted is delivered, or a notice is, or it is still there.  Mail comes twice where the program
 * ends between the peer's reply and the answer of QUEUE_DELETE: no protocol can rule that out (RFC 1047).
 *
 * A queue is open on one engine.  Another engine of the same store that has committed to it pokes it:
 * mailsrv_queue_poke, on the thread of the queue's engine.
 *
 * Threads: as the engine: every function here is called on its thread, and `done` and `closed` are called there; what
 * may be called on any says so.  Functions that are given are kept until they were called, or the queue has ended.
 *
 * Whoever fills in a struct sets `size` to its sizeof, and every field that he does not use to 0, also `reserved`.  All
 * constants are numbers that never change.
 */
#ifndef MAILSRV_QUEUE_H
#define MAILSRV_QUEUE_H

#include <mailsrv/op.h>
#include <mailsrv/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- ROUTE: where does mail for this domain go?
 *
 * Asked once in a while for each domain, for each name of a route that an operator gave items, and, in a queue with
 * MAILSRV_QUEUE_ROUTES_BY_SENDER, for each reverse-path: all such items go by the answer.  Answer: mailsrv_route;
 * MAILSRV_NONEXISTENT or MAILSRV_NOPERM: nowhere, and a notice is owed; any other: later.  Not served: to the domain's
 * own mail exchangers, TLS where it is offered. ---- */
typedef struct mailsrv_arg_route {
    uint32_t size;
    uint32_t reserved;
    mailsrv_bytes domain;       /* in lower case; a literal with its [] */
    mailsrv_bytes recipient;    /* of the item that it is asked for, without <> */
    mailsrv_bytes reverse_path; /* the same; empty: the null reverse-path; its lane's with MAILSRV_QUEUE_ROUTES_BY_SENDER */
    mailsrv_bytes route;        /* a name that an operator gave the item; empty: none */
} mailsrv_arg_route;

#define MAILSRV_ROUTE_MX 1   /* to the mail exchangers of `host`, or of the domain where that is empty */
#define MAILSRV_ROUTE_HOST 2 /* to `host` itself: a name, whose addresses are looked up, or an address literal */

/* With _MAY and _MUST it is also asked what a server has published of its TLS, where replies of DNS are `trusted`: TLSA
 * records that are known to be the server's commit it to TLS, and to its certificate (RFC 7672); nothing is sent without.
 * Where it cannot be known whether there are any the server is not used. */
#define MAILSRV_SECURE_MAY 0u    /* STARTTLS where it is offered, whoever has the certificate; in the clear where it is
                                  * not, or comes to nothing */
#define MAILSRV_SECURE_NEVER 1u  /* no TLS */
#define MAILSRV_SECURE_MUST 2u   /* TLS, whoever has the certificate */
#define MAILSRV_SECURE_VERIFY 3u /* TLS, with a certificate that the roots vouch for, for the name of the host */

#define MAILSRV_ROUTE_LMTP 1u     /* LMTP is spoken (RFC 2033) */
#define MAILSRV_ROUTE_IMPLICIT 2u /* TLS from the first octet on (RFC 8314 section 3.3) */
#define MAILSRV_ROUTE_AUTH 4u     /* we log in: CREDENTIAL is asked, and without a login nothing is sent */
#define MAILSRV_ROUTE_LITERALS 8u /* an address literal as the domain is connected to; else it is refused */
#define MAILSRV_ROUTE_NO_DANE 16u /* what servers publish of their TLS is not asked for */

typedef struct mailsrv_route {
    uint32_t size;
    int32_t kind;         /* MAILSRV_ROUTE_MX or MAILSRV_ROUTE_HOST */
    uint32_t flags;       /* MAILSRV_ROUTE_... */
    uint32_t secure;      /* MAILSRV_SECURE_... */
    mailsrv_bytes host;   /* at most 255 octets */
    uint16_t port;        /* 0: 25 */
    uint16_t reserved[3];
    mailsrv_bytes name;   /* of the route, for CREDENTIAL, lists and the log; lanes with the same name and host share connections;
                           * at most 64 octets; empty: none */
} mailsrv_route;

/* ---- DNS: what do the name servers say?
 *
 * Answer: MAILSRV_OK with the message of the reply, whatever its RCODE; any other: there was no reply that could be
 * trusted to be one (time-out, refused), and the mail waits; the answer's text says why. ---- */
#define MAILSRV_DNS_A 1u
#define MAILSRV_DNS_CNAME 5u
#define MAILSRV_DNS_MX 15u
#define MAILSRV_DNS_AAAA 28u
#define MAILSRV_DNS_TLSA 52u
typedef struct mailsrv_arg_dns {
    uint32_t size;
    uint32_t type;      /* MAILSRV_DNS_..., as on the wire */
    mailsrv_bytes name; /* without a dot at its end */
} mailsrv_arg_dns;

typedef struct mailsrv_dns_reply {
    uint32_t size;
    uint32_t trusted;      /* 1: its AD bit can be believed: it came from a resolver that validates, over a safe way */
    mailsrv_bytes message; /* RFC 1035 section 4, from the header on; at most 65,535 octets */
} mailsrv_dns_reply;

/* A host that has records, not messages, makes one.  `data` is as on the wire, names in it not compressed; of MX: a
 * number of 2 octets and a name. */
typedef struct mailsrv_dns_record {
    uint32_t size;
    uint32_t type; /* MAILSRV_DNS_... */
    uint32_t ttl_s;
    uint32_t reserved;
    mailsrv_bytes name; /* as text */
    mailsrv_bytes data;
} mailsrv_dns_record;

/* Writes the message of a reply to (name, type) with these records as its answer; `rcode` as on the wire (0: no error,
 * 3: no such name).  `*written` octets; MAILSRV_OK, MAILSRV_TOOBIG: `room` is too small, or MAILSRV_E_USAGE.  Any thread. */
MAILSRV_API int32_t mailsrv_dns_write(mailsrv_bytes name, uint32_t type, uint32_t rcode, const mailsrv_dns_record *records,
                                      size_t n, uint8_t *p, size_t room, size_t *written);

/* ---- CONNECT: a connection to a server.
 *
 * Who serves it connects, and calls mailsrv_client_new with the operation's id, which answers it.  Where that cannot be,
 * it is answered with anything but MAILSRV_OK, and a text; the next address is tried, or the mail waits.  There is no
 * value.  It may be cancelled; one that is answered too late is harmless. ---- */
typedef struct mailsrv_arg_connect {
    uint32_t size;
    uint32_t address_octets; /* 4 or 16 */
    uint8_t address[16];     /* in network order */
    uint16_t port;
    uint16_t reserved[3];
    mailsrv_bytes host; /* the name that the address was found under, or the literal; for the log, and for TLS of the host's */
    mailsrv_bytes lane; /* for the log */
    mailsrv_bytes route; /* the route's name */
    uint32_t timeout_ms;
    uint32_t reserved2;
} mailsrv_arg_connect;

/* Begins the session of a connection that CONNECT, `id`, asked for, and answers it.  `peer` is whom it is connected to;
 * `host` is the host's own pointer.  From here on it is a session like any other (session.h): fed, sent, freed by the
 * host; it ends when the queue has nothing more for this server.
 *
 * MAILSRV_OK; MAILSRV_E_STALE: nobody waits for it any more, and the operation is answered; MAILSRV_NOMEM: the same,
 * and the queue tries again later; MAILSRV_E_USAGE: no such operation is out.  Unless it is MAILSRV_OK the host closes
 * the connection. */
MAILSRV_API int32_t mailsrv_client_new(mailsrv_engine *engine, mailsrv_op_id id, const mailsrv_peer *peer, void *host,
                                       mailsrv_session **out);

/* ---- CREDENTIAL: who are we there?  Asked on a route with MAILSRV_ROUTE_AUTH.  Answer: mailsrv_credential; any other,
 * or not served: the mail waits. ---- */
typedef struct mailsrv_arg_credential {
    uint32_t size;
    uint32_t mechanisms; /* that the server offers and we know: MAILSRV_SASL_... (auth.h) */
    mailsrv_bytes route; /* the route's name */
    mailsrv_bytes host;  /* the server's name */
    uint32_t secured;    /* 1: under TLS */
    uint32_t verified;   /* 1: and its certificate was verified */
} mailsrv_arg_credential;

typedef struct mailsrv_credential {
    uint32_t size;
    uint32_t mechanisms;    /* of those that were offered, which may be used; 0: all */
    mailsrv_bytes user;
    mailsrv_bytes identity; /* to act as (RFC 4422 section 2); empty: the user's own */
    mailsrv_bytes password; /* for PLAIN, LOGIN, SCRAM; wiped after use */
    mailsrv_bytes token;    /* for XOAUTH2, OAUTHBEARER; wiped after use; empty: none */
} mailsrv_credential;

/* ---- RETRY: when is it to be tried again?
 *
 * Asked after each try that failed for now but the last, behind which it is given up for its age.  Answer: mailsrv_retry;
 * any other, or not served: by the queue's own schedule. ---- */
typedef struct mailsrv_arg_retry {
    uint32_t size;
    uint32_t tries;      /* this one included */
    uint64_t queue;
    int64_t arrived_us;  /* in microseconds since 1970, as all times here */
    int64_t due_us;      /* when the queue's schedule would try again */
    int64_t expires_us;  /* when it would give up */
    uint32_t code;       /* of the reply; 0: there was none */
    uint32_t reserved;
    mailsrv_bytes reverse_path;
    mailsrv_bytes recipient;
    mailsrv_bytes text;
    mailsrv_bytes host;
} mailsrv_arg_retry;

#define MAILSRV_RETRY_DEFAULT 0  /* as the schedule says */
#define MAILSRV_RETRY_WAIT 1     /* until due_us */
#define MAILSRV_RETRY_GIVE_UP 2  /* a notice is owed */
#define MAILSRV_RETRY_ROUTE 3    /* at once, by `route` */
typedef struct mailsrv_retry {
    uint32_t size;
    int32_t verdict; /* MAILSRV_RETRY_... */
    int64_t due_us;
    mailsrv_bytes route;
} mailsrv_retry;

/* ---- The queue ---- */

typedef struct mailsrv_queue mailsrv_queue; /* its host's, until mailsrv_queue_close */

/* Where a number is 0 its default holds. */
typedef struct mailsrv_queue_setup {
    uint32_t size;
    uint32_t flags;                /* MAILSRV_QUEUE_... */
    mailsrv_profile *profile;      /* sealed, of mailsrv_smtp_client(): name, TLS and time-outs of its connections */
    uint64_t seed;                 /* of jitter and of the order among equals; 0: the engine's random */
    uint32_t first_retry_s;        /* after the first failure: 5 min */
    uint32_t retry_max_s;          /* the longest between two tries: 2 h */
    uint32_t expire_s;             /* given up: 5 days (RFC 5321 section 4.5.4.1) */
    uint32_t notice_expire_s;      /* of notices: 2 days */
    uint32_t delay_notice_s;       /* the sender is told that it waits: 4 h; UINT32_MAX: never */
    uint32_t connections_max;      /* altogether: 100 */
    uint32_t connections_per_site; /* to one next hop: 20 */
    uint32_t messages_per_connection; /* 100 */
    uint32_t recipients_per_message;  /* of one transaction: 100 */
    uint32_t idle_ms;              /* a connection with nothing to do is kept: 2 s */
    uint32_t items_max;            /* held in memory at once: 2,048 */
    uint32_t notice_octets_max;    /* of an original that is sent back whole: 50 KiB; else its header */
    uint32_t reserved;
    /* Addresses of this host, as others reach it: "192.0.2.1", "2001:db8::1"; 127.0.0.1 is all of its network.  A mail
     * exchanger with one of them is ourselves, as is one with the profile's name: mail goes to better ones alone, and
     * where there is none it fails, for it would come back (RFC 5321 section 5.1). */
    const mailsrv_bytes *own;
    size_t n_own; /* up to MAILSRV_QUEUE_OWN_MAX */
} mailsrv_queue_setup;

#define MAILSRV_QUEUE_OWN_MAX 64u /* addresses of this host that are known */
#define MAILSRV_QUEUE_NO_DOWNGRADE 1u /* an 8-bit message for a peer without 8BITMIME is returned; else it is converted */
/* What ROUTE answers depends on the reverse-path: it is asked for each, and lanes hold mail of one sender, to one domain, so
 * that two senders' mail may go there by two servers, or by one with two logins.  Without it the answer holds for a domain,
 * whoever sends.  Costs memory for each pair of sender and domain that mail waits for. */
#define MAILSRV_QUEUE_ROUTES_BY_SENDER 2u

/* Opens the queue of the store that serves `engine`, which then looks through what is due.  `setup` is copied; the
 * profile is held until it is closed.  MAILSRV_OK; MAILSRV_NOMEM; MAILSRV_CANNOT: no kinds of a queue are served;
 * MAILSRV_INUSE: there is one; MAILSRV_E_VALUE: what is to be our own is no address; MAILSRV_E_USAGE: also for a profile of another machine or not sealed, before the first advance. */
MAILSRV_API int32_t mailsrv_queue_open(mailsrv_engine *engine, const mailsrv_queue_setup *setup, mailsrv_queue **out);

/* Begins nothing new, lets what is being sent come to its end, then frees the queue.  `closed`, from the engine's turn,
 * says so; NULL: nobody is told.  Until then the queue may be asked for its numbers, and takes nothing
 * (MAILSRV_E_USAGE); after it the pointer is not valid any more.  The host goes on to pump its sessions, and to answer;
 * who does not want to wait frees them.  What the store does not write then stays in it as it was: an item that was
 * delivered goes again, where its deletion failed.  NULL is fine, and a second call does nothing.
 *
 * mailsrv_engine_free frees a queue at once: what is being sent is tried again by the next one, and neither `closed` nor a
 * `done` that was not called by then ever is. */
MAILSRV_API void mailsrv_queue_close(mailsrv_queue *queue, void (*closed)(void *user), void *user);

/* Something was committed to the queue by another engine.  NULL is fine. */
MAILSRV_API void mailsrv_queue_poke(mailsrv_queue *queue);

/* What ROUTE, DNS and CREDENTIAL answered may be others now: nothing more is sent before they were asked again.  What waits
 * because a server, a login or a route failed is tried at once (what is just being put off keeps its time); connections end
 * behind the message that they have.  NULL is fine.  The walk is as long as there are lanes; the rest comes from the
 * engine's turn. */
MAILSRV_API void mailsrv_queue_refresh(mailsrv_queue *queue);

/* MAILSRV_QUEUE_..., as in the setup, from now on: what is being sent was begun by the old ones.  Where ROUTE depends on
 * senders now and did not, or the other way round, this does what mailsrv_queue_refresh does, too.  NULL is fine. */
MAILSRV_API void mailsrv_queue_set_flags(mailsrv_queue *queue, uint32_t flags);

/* ---- What waits: asked by mailsrv_ask(engine, MAILSRV_OP_QUEUE_SCAN), read by this ---- */

#define MAILSRV_QUEUED_HELD 1u    /* nothing happens to it before it is released */
#define MAILSRV_QUEUED_BOUNCE 2u  /* it cannot be delivered, and a notice is owed */
#define MAILSRV_QUEUED_8BIT 4u    /* it needs 8BITMIME */
#define MAILSRV_QUEUED_UTF8 8u    /* it needs SMTPUTF8 */
#define MAILSRV_QUEUED_DELAYED 16u /* its sender was told that it waits */

/* Where a number or text is not known it is 0 or empty. */
typedef struct mailsrv_queued_mail {
    uint32_t size;
    uint32_t flags; /* MAILSRV_QUEUED_... */
    uint64_t queue;
    uint64_t octets;
    int64_t due_us;
    int64_t arrived_us;
    int64_t tried_us;
    uint32_t tries;
    uint32_t code; /* of the last reply */
    mailsrv_bytes lane;
    mailsrv_bytes reverse_path;
    mailsrv_bytes recipient;
    mailsrv_bytes envelope_id;
    mailsrv_bytes route;
    mailsrv_bytes text; /* of the last reply, or why there was none */
    mailsrv_bytes host; /* that said it */
} mailsrv_queued_mail;

/* Reads an item; the bytes are the item's.  MAILSRV_OK; MAILSRV_CORRUPT: its record is not one of this library;
 * MAILSRV_E_USAGE.  Any thread. */
MAILSRV_API int32_t mailsrv_queued_read(const mailsrv_queue_item *item, mailsrv_queued_mail *out);

/* ---- What an operator does ---- */

/* Which items: all that is given must fit; what is 0 or empty fits all. */
typedef struct mailsrv_queue_match {
    uint32_t size;
    uint32_t flags;        /* MAILSRV_QUEUED_..., all of them */
    const uint64_t *queues; /* numbers */
    size_t n_queues;
    mailsrv_bytes lane;         /* the domain */
    mailsrv_bytes reverse_path; /* "<>": the null reverse-path */
    mailsrv_bytes recipient;
} mailsrv_queue_match;

/* Does it match?  1: it does; 0: it does not; MAILSRV_E_USAGE.  Any thread. */
MAILSRV_API int32_t mailsrv_queued_fits(const mailsrv_queued_mail *mail, const mailsrv_queue_match *match);

#define MAILSRV_QUEUE_HOLD 1    /* nothing happens to it before it is released */
#define MAILSRV_QUEUE_RELEASE 2 /* what is held is due */
#define MAILSRV_QUEUE_RETRY 3   /* due now, and the next hop's back-off is forgotten; not what is held */
#define MAILSRV_QUEUE_DROP 4    /* deleted, and nobody is told */
#define MAILSRV_QUEUE_RETURN 5  /* given up now: a notice goes out */
#define MAILSRV_QUEUE_REROUTE 6 /* by `route` from now on, and due; an empty one: as its domain says */

/* Does it to all that match, in pages, beside everything else.  What is being sent right now is done first.  `match` and
 * `route` are copied; `route` counts for REROUTE alone, and has 64 octets at most.  `done` is called once, from the engine's
 * turn, never from this call: MAILSRV_OK and how many, or what the store answered; MAILSRV_TEMP: the queue was closed
 * before the end.  NULL: nobody is told.  MAILSRV_OK; MAILSRV_NOMEM, MAILSRV_E_USAGE: `done` is not called. */
MAILSRV_API int32_t mailsrv_queue_control(mailsrv_queue *queue, const mailsrv_queue_match *match, int32_t action,
                                          mailsrv_bytes route, void (*done)(void *user, int32_t status, uint64_t n),
                                          void *user);

/* ---- A host that only sends ---- */

/* RFC 3461 section 4.1; 0: as if FAILURE and DELAY were said */
#define MAILSRV_NOTIFY_NEVER 1u   /* the sender is told nothing */
#define MAILSRV_NOTIFY_SUCCESS 2u /* it was delivered, or has left for where nobody would tell */
#define MAILSRV_NOTIFY_FAILURE 4u /* it was given up */
#define MAILSRV_NOTIFY_DELAY 8u   /* it waits */

/* RFC 3461 section 4.3; 0: as the queue likes */
#define MAILSRV_RETURN_FULL 1u    /* the message comes back whole with a notice that it was given up */
#define MAILSRV_RETURN_HEADERS 2u /* its header does */

/* Whom it is for. */
typedef struct mailsrv_queue_recipient {
    uint32_t size;
    uint32_t notify;        /* MAILSRV_NOTIFY_... */
    mailsrv_bytes address;  /* without <> */
    mailsrv_bytes original; /* RFC 3461 section 4.2: a type, ";" and an address in xtext, as in "rfc822;a+2Bb@c.example"; at
                             * most 500 octets; empty: none */
} mailsrv_queue_recipient;

/* A message with its envelope. */
typedef struct mailsrv_queue_mail {
    uint32_t size;
    uint32_t ret; /* MAILSRV_RETURN_... */
    mailsrv_bytes reverse_path; /* without <>; empty: the null reverse-path */
    mailsrv_bytes envelope_id;  /* RFC 3461 section 4.4: xtext, at most 100 octets; empty: none */
    const mailsrv_queue_recipient *recipients;
    size_t n_recipients; /* 1 to 1,000 */
    mailsrv_bytes message; /* header and body, lines ended by CRLF; borrowed until `done` */
} mailsrv_queue_mail;

/* Puts a message into the queue.  Envelope and recipients are copied; the octets of the message are borrowed until `done`,
 * or the engine's end.  `done` is called once, from the engine's turn, never from this call: MAILSRV_OK when it is
 * durable, for all recipients; else nothing was taken.  NULL: nobody is told.  MAILSRV_OK; MAILSRV_NOMEM;
 * MAILSRV_E_VALUE: an address, an original or an envelope id that is none (xtext stands for printable ASCII here), or a
 * message with a bare CR or LF; MAILSRV_E_USAGE.  Unless it is MAILSRV_OK `done` is not called, and nothing is borrowed. */
MAILSRV_API int32_t mailsrv_queue_send(mailsrv_queue *queue, const mailsrv_queue_mail *mail,
                                       void (*done)(void *user, int32_t status), void *user);

/* ---- Numbers ---- */
#define MAILSRV_QUEUE_STAT_CONNECTIONS 1 /* open, or being opened */
#define MAILSRV_QUEUE_STAT_HELD_ITEMS 2  /* items in memory */
#define MAILSRV_QUEUE_STAT_DELIVERED 3   /* recipients, since it was opened, as all that follow */
#define MAILSRV_QUEUE_STAT_DEFERRED 4    /* tries that failed for now */
#define MAILSRV_QUEUE_STAT_FAILED 5      /* recipients given up */
#define MAILSRV_QUEUE_STAT_NOTICES 6     /* notices committed */
#define MAILSRV_QUEUE_STAT_LANES 7       /* in memory */
/* `key` is MAILSRV_QUEUE_STAT_...; an unknown one is 0, and so is all of NULL. */
MAILSRV_API uint64_t mailsrv_queue_stat(const mailsrv_queue *queue, int32_t key);

#ifdef __cplusplus
}
#endif

#endif
