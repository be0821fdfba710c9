/* The SMTP client: what its files share.
 *
 *   client.c        the machine: replies as they come in, how it ends
 *   client_hello.c  greeting, EHLO, what is offered, until mail can be sent
 *   client_auth.c   the login
 *   client_job.c    the next job, what cannot be sent to this server
 *   client_mail.c   MAIL, RCPT and DATA, one by one or all at once, and their replies
 *   client_body.c   the octets: READ, DATA's or in chunks, and the reply to them
 *   client_convert.c  a message for a server without 8BITMIME
 *   client_reply.c  lines of replies
 */
#ifndef SMTP_CLIENT_MACHINE_H
#define SMTP_CLIENT_MACHINE_H

#include "core/ask.h"
#include "core/machine.h"
#include "frame/line.h"
#include "frame/stuff.h"
#include "sasl/client.h"
#include "smtp/client.h"
#include "smtp/client_reply.h"

#include <mailsrv/queue.h>

struct smtp_client;

/* What is done with a reply. */
typedef enum step client_reply_fn(struct smtp_client *c, const struct smtp_reply *reply);

struct conversion;

enum rcpt_state { RCPT_WAITS, RCPT_ACCEPTED, RCPT_TOLD };

/* A job on its way, in one piece of memory that is there as long as the job. */
struct sending {
    const struct smtp_job *job;
    size_t octets; /* of this piece */
    uint32_t rcpts;             /* of the job's recipients, those of this transaction: the first ones */
    uint32_t said, replied;     /* of them */
    uint32_t accepted;          /* of them, and not told */
    uint32_t next_told;         /* LMTP: where the next reply's recipient is looked for */
    bool mail_said, mail_replied, data_said, data_replied;
    bool refused;               /* MAIL was: all were told */
    struct handle handle;       /* of READ */
    bool has_read;              /* an answer of READ has come, with the handle, if it gives one */
    struct lent *lent;          /* whose octets these are */
    struct span octets_left;    /* of the range in hand, not yet said */
    uint64_t offset;            /* of the next range */
    bool read_ahead;            /* the next range is asked for */
    struct stuff stuff;
    struct conversion *conversion; /* of the message, as it goes out; NULL: it goes as it is */
    uint64_t chunk_left;        /* octets of the chunk that was announced, not yet said */
    uint8_t chunks_out;         /* chunks without a reply */
    bool in_chunks;             /* BDAT, not DATA */
    bool last_chunk;            /* the last one was announced */
    bool crlf_due;              /* and this is behind its octets */
    bool last_failed;           /* for anybody */
    bool all_said;              /* the final reply is waited for */
    uint8_t states[];           /* enum rcpt_state, of all recipients of the job */
};

struct smtp_client {
    struct mailsrv_session session;
    struct line_frame frame;
    struct reply_reader reader;
    client_reply_fn *replied; /* of the reply that is due; NULL: none is */
    struct courier *courier;  /* NULL: it knows that the session is over */
    struct smtp_terms terms;  /* its texts are in `texts` */
    char *texts;
    size_t texts_n;
    struct sending *sending; /* NULL: no job runs */
    uint64_t offered;        /* a bit for each MAILSRV_EXT_... that the server has and the profile lets be used */
    uint64_t size_max;       /* of a message, as SIZE says; 0: it says nothing */
    uint32_t mechanisms;     /* of AUTH: MAILSRV_SASL_... */
    struct sasl_client *login; /* that runs; NULL: none does */
    uint32_t messages;       /* transactions so far */
    int64_t idle_until_us;
    bool learns; /* the reply that comes in lists extensions */
    bool is_helo;
    bool was_greeted;
    bool initial_waits; /* of a login: the initial response is said when it is asked for */
    bool was_ready, is_idle, quits;
    bool is_securing; /* TLS has begun, and is not there */
};

static inline struct smtp_client *mailsrv__client_of(mailsrv_session *session)
{
    return (struct smtp_client *)(void *)session;
}

static inline bool mailsrv__client_has(const struct smtp_client *c, int32_t extension)
{
    return (c->offered >> extension & 1) != 0;
}

static inline bool mailsrv__client_is_lmtp(const struct smtp_client *c)
{
    return (c->terms.route_flags & MAILSRV_ROUTE_LMTP) != 0;
}

/* A reply that we make ourselves. */
#define OUR_REPLY(number, words) (&(const struct smtp_reply){ (number), SPAN(words) })

static inline bool mailsrv__reply_is(const struct smtp_reply *reply, unsigned digit)
{
    return reply->code / 100 == digit;
}

/* ---- client.c ---- */

/* Says `line`, with CRLF, and waits for its reply, `ms` at most. */
enum step mailsrv__client_say(struct smtp_client *c, struct span line, client_reply_fn *replied);
enum step mailsrv__client_expect(struct smtp_client *c, client_reply_fn *replied, int32_t timeout_key);

/* Takes leave: QUIT, then the end. */
enum step mailsrv__client_part(struct smtp_client *c);

/* The server cannot be used, as `reply` says: the courier is told now, the server QUIT. */
enum step mailsrv__client_fail(struct smtp_client *c, const struct smtp_reply *reply);

/* It does not speak as it must: nothing more is said to it. */
enum step mailsrv__client_lost(struct smtp_client *c, const struct smtp_reply *reply);

/* A message that has begun cannot be sent to its end, for a reason of ours: nothing else ends it. */
enum step mailsrv__client_hindered(struct smtp_client *c, const struct smtp_reply *reply);

/* ---- client_hello.c ---- */
enum step mailsrv__client_greeted(struct smtp_client *c, const struct smtp_reply *reply);
enum step mailsrv__client_secured(mailsrv_session *session);

/* All that is needed is done: the courier hears of it, and jobs follow. */
enum step mailsrv__client_ready(struct smtp_client *c);

/* TLS begins now. */
enum step mailsrv__client_connect_tls(struct smtp_client *c);

/* What a server says that cannot be used as it is now: that is no matter of the mail, which waits, whatever the reply
 * says of itself (RFC 8461 section 5: not bounced for the 502 of one moment). */
enum step mailsrv__client_fail_for_now(struct smtp_client *c, const struct smtp_reply *reply);

/* A line of the reply to EHLO. */
void mailsrv__client_learn(struct smtp_client *c, struct span line);

/* ---- client_auth.c ---- */
enum step mailsrv__client_log_in(struct smtp_client *c);

/* ---- client_job.c ---- */

/* The next job, or waiting for one. */
enum step mailsrv__client_next(mailsrv_session *session);

/* What becomes of a recipient, of all that were not told yet, of all accepted ones. */
void mailsrv__client_tell(struct smtp_client *c, uint32_t i, enum smtp_fate fate, const struct smtp_reply *reply);
void mailsrv__client_tell_rest(struct smtp_client *c, enum smtp_fate fate, const struct smtp_reply *reply);

/* What a reply of 2yz, 4yz or 5yz means for a recipient. */
enum smtp_fate mailsrv__client_fate(const struct smtp_client *c, const struct smtp_reply *reply);

/* The session is over while a job runs: its recipients are told so. */
void mailsrv__client_drop_job(struct smtp_client *c, const struct smtp_reply *reply);

/* All recipients are told: the job is the courier's again, and the next one follows, behind RSET where the server is
 * in the middle of something. */
enum step mailsrv__client_job_done(struct smtp_client *c);
enum step mailsrv__client_job_undone(struct smtp_client *c);

/* ---- client_mail.c ---- */

/* The first octets are here. */
enum step mailsrv__client_mail(struct smtp_client *c);

/* ---- client_body.c ---- */

/* Reads the first range, then goes on with MAIL. */
enum step mailsrv__client_read_first(struct smtp_client *c);

/* The server waits for the octets. */
enum step mailsrv__client_body(struct smtp_client *c);

/* Gives up what is held of the message. */
void mailsrv__client_unread(struct smtp_client *c);

/* Asks for the next range, and takes the answer: false: there is none.  What is in hand is given back. */
void mailsrv__client_ask_range(struct smtp_client *c);
bool mailsrv__client_take_range(struct smtp_client *c);
void mailsrv__client_drop_range(struct smtp_client *c);

/* The message cannot be read: it waits, and nothing of it was said. */
enum step mailsrv__client_unreadable(struct smtp_client *c);

/* ---- client_convert.c ---- */

/* Finds out whether it can be converted, and how, then goes on as mailsrv__client_read_first. */
enum step mailsrv__client_convert(struct smtp_client *c);

/* The next octets as they go out, from the front of what is in hand; when all was, the last ones.  False: no more. */
bool mailsrv__client_converted(struct smtp_client *c, struct span *out);
bool mailsrv__client_converted_end(struct smtp_client *c, struct span *out);

void mailsrv__client_conversion_free(struct smtp_client *c);

#endif
