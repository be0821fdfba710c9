/* The SMTP server (RFC 5321), its submission face (RFC 6409) and its LMTP face (RFC 2033): what its files share.
 *
 *   machine.c      the machine, the table of commands, one line
 *   greeting.c     the greeting; EHLO, HELO, LHLO
 *   starttls.c     STARTTLS
 *   auth.c         AUTH
 *   mail.c         MAIL, what it has in common with RCPT, RSET
 *   rcpt.c         RCPT: where mail for an address goes, and whether it may go there in this transaction
 *   data.c         DATA, BDAT: octets on their way into the body
 *   commit.c       the end of a message: verdict, commit, replies
 *   relay.c        what the queue is given of it; places that mail is forwarded to; loops
 *   passing.c      what is seen for that of a message as it passes
 *   dsn.c          the parameters of RFC 3461
 *   transaction.c  what MAIL begins: sender, recipients, targets
 *   trace.c        Received, Return-Path, Delivered-To; and the tap that counts hops
 *   policy.c       what the host's own rules are asked and what they may say
 *   users.c        what a machine has for users of its own
 *   submission.c   who may send as whom; what a message of our own users lacks
 *   header.c       the header of a message, kept while it passes
 *   reply.c        lines of text, and what a status is told as
 */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include "core/ask.h"
#include "core/body.h"
#include "core/machine.h"
#include "core/tap.h"
#include "frame/dots.h"
#include "frame/line.h"
#include "sasl/sasl.h"
#include "smtp/transaction.h"
#include "text/address.h"
#include "text/writer.h"

/* Where a session stands (RFC 5321 section 4.1.4), as a mask. */
enum {
    IN_FRESH = 1 << 0, /* no greeting yet */
    IN_READY = 1 << 1, /* greeted, no transaction */
    IN_MAIL = 1 << 2,  /* a transaction without an accepted recipient */
    IN_RCPT = 1 << 3,  /* one with recipients */
    IN_BDAT = 1 << 4,  /* one whose first chunk has come */
    IN_FAILED = 1 << 5, /* behind a BDAT that failed */
    IN_REFUSED = 1 << 6 /* turned away at the greeting: QUIT is all that is left */
};

enum greeting { GREETED_NOT, GREETED_HELO, GREETED_EHLO };

/* What the next octet belongs to. */
enum phase { PHASE_LINES, PHASE_DATA, PHASE_CHUNK };

/* How long a peer took for the octets of a message, and how many they were. */
struct pace {
    int64_t spent_us, mark_us;
    uint64_t octets;
    bool fresh; /* the clock has not been told since it began to run */
};

struct smtp {
    struct mailsrv_session session;
    struct line_frame frame;
    char *hello;              /* the name that the peer greeted with */
    char *candidate;          /* one that POLICY is asked about; NULL: none */
    struct standing connected, greeted; /* what POLICY said at CONNECT and at HELO */
    struct transaction *mail; /* NULL: none */
    struct counted chunk;
    uint64_t chunk_octets; /* of the running chunk, all of it */
    struct pace pace;
    const char *chunk_refusal; /* the reply that the running chunk will get, whatever is in it; NULL: none */
    mailsrv_id submitter;      /* the account that was logged in to; zero: nobody has */
    uint32_t n_mails;          /* transactions begun */
    char verdict_line[48]; /* of the last refusal of POLICY */
    uint8_t hello_n, candidate_n;
    uint8_t greeting, phase;
    uint8_t candidate_greeting; /* what `candidate` will be greeted as */
    bool chunk_is_last;
    bool failed; /* a BDAT failed: see IN_FAILED */
    bool turned_away;      /* see IN_REFUSED */
    bool ended_meanwhile;  /* the octets that the header ended in were the last of the chunk or the message */
    bool authenticated;
};

static inline struct smtp *mailsrv__smtp_of(mailsrv_session *session)
{
    return (struct smtp *)(void *)session;
}

static inline bool mailsrv__smtp_is_lmtp(const struct smtp *s)
{
    return mailsrv__face(&s->session) == MAILSRV_FACE_LMTP;
}

static inline bool mailsrv__smtp_is_submission(const struct smtp *s)
{
    return mailsrv__face(&s->session) == MAILSRV_FACE_SUBMISSION;
}

/* Is this extension there?  LMTP has two whatever the profile says (RFC 2033 section 5); SMTPUTF8 needs 8BITMIME (RFC
 * 6531 section 3.1). */
bool mailsrv__smtp_has(const struct smtp *s, int32_t extension);

enum step mailsrv__smtp_greet(struct smtp *s);

/* ---- The commands; `rest` is what follows the verb, without blanks at both ends ---- */
enum step mailsrv__smtp_ehlo(struct smtp *s, struct span rest);
enum step mailsrv__smtp_helo(struct smtp *s, struct span rest);
enum step mailsrv__smtp_mail(struct smtp *s, struct span rest);
enum step mailsrv__smtp_rcpt(struct smtp *s, struct span rest);
enum step mailsrv__smtp_data(struct smtp *s, struct span rest);
enum step mailsrv__smtp_bdat(struct smtp *s, struct span rest);
enum step mailsrv__smtp_rset(struct smtp *s, struct span rest);
enum step mailsrv__smtp_starttls(struct smtp *s, struct span rest);

/* TLS has begun. */

unsigned mailsrv__smtp_state(const struct smtp *s);

/* The message behind DATA is counted as a command. */
void mailsrv__smtp_count_message(struct smtp *s);

/* The reply to a command of a transaction that comes out of order. */
const char *mailsrv__smtp_order(const struct smtp *s);

/* Takes "FROM:" or "TO:" and the path behind it from the front of `*rest`. */
enum path mailsrv__smtp_path(struct span *rest, struct span keyword, struct address *out);

/* Takes the next parameter, KEYWORD or KEYWORD=value, from the front of `*rest` (RFC 5321 section 4.1.2,
 * Mail-parameters).  False: what stands there is none. */
struct parameter {
    struct span keyword, value;
    bool has_value;
};
bool mailsrv__smtp_parameter(struct span *rest, struct parameter *out);

struct mail_parameters {
    uint64_t size;
    bool has_size, has_body, eight_bit, utf8;
    uint16_t ret;            /* RET=: QUEUE_FLAG_RET_... */
    struct span envelope_id; /* ENVID= */
};

/* ---- POLICY ---- */

/* Is it asked at this stage? */
bool mailsrv__smtp_consults(const struct smtp *s, uint32_t stage);

/* Asks it, and goes on with `answered`. */
enum step mailsrv__smtp_consult(struct smtp *s, uint32_t stage, step_fn *answered);

/* Reads the answer.  NULL: what it said is in `standing`, and nothing is refused.  Else the line of the refusal;
 * `*text` lives as long as the running step. */
const char *mailsrv__smtp_consulted(struct smtp *s, struct standing *standing, struct span *text);

/* The same at HEADERS and EOM, of the transaction. */
const char *mailsrv__smtp_late_verdict(struct smtp *s, struct span *text);

/* What was said of where the message, or the recipient that RCPT is about, goes. */
const struct standing *mailsrv__smtp_fate(const struct smtp *s);

bool mailsrv__smtp_may_relay(const struct smtp *s);

/* A reply that ends the session (RFC 5321 section 3.8, RFC 7504 section 3). */
static inline bool mailsrv__smtp_is_last(const char *line)
{
    return memcmp(line, "421", 3) == 0 || memcmp(line, "521", 3) == 0;
}

/* ---- Submission ---- */

enum { SENDER_CHECK_PATH = 1, SENDER_CHECK_FROM = 2, SENDER_CHECK_ALL = 3 }; /* MAILSRV_PROFILE_SENDER_CHECK */

/* Asks RESOLVE whether the account may send as this address.  False: no memory. */
bool mailsrv__smtp_ask_sender(struct smtp *s, struct span address);

/* Goes on behind smtp_users.check_senders. */
enum step mailsrv__smtp_senders_checked(struct smtp *s);

/* Is the header of a message looked at for that? */
static inline bool mailsrv__smtp_checks_from(const struct smtp *s)
{
    return mailsrv__smtp_is_submission(s) &&
           ((mailsrv__setting(&s->session, MAILSRV_PROFILE_SENDER_CHECK) & SENDER_CHECK_FROM) != 0 ||
            mailsrv__setting(&s->session, MAILSRV_PROFILE_SENDER_FIELD) != 0);
}

/* ---- What a machine has for users of its own.  It hangs on the machine, so that a program that only takes mail of
 * other servers does not link it: mailsrv_smtp_receive ---- */

struct smtp_users {
    enum step (*auth)(struct smtp *s, struct span rest); /* AUTH */
    /* A line of a login that runs. */
    enum step (*response)(struct smtp *s, enum framed framed, struct span line);
    bool (*offers_auth)(const struct smtp *s);
    void (*write_mechanisms)(const struct smtp *s, struct writer *w);
    bool (*is_auth_parameter)(struct span value); /* AUTH= of MAIL */
    void (*leave)(mailsrv_session *session);
    /* Reads the i-th answer to mailsrv__smtp_ask_sender: NULL, or the line of the refusal. */
    const char *(*sender_answered)(const struct smtp *s, unsigned i);
    /* Are those of the field From the account's?  Goes on with mailsrv__smtp_senders_checked, or refuses all. */
    enum step (*check_senders)(struct smtp *s);
    /* Fields for the header editor to add where they are missing.  False: no memory. */
    bool (*prepare_fixups)(struct smtp *s);

    /* Mail that goes on to other servers; without this table nothing does.  DSN: RFC 3461. */
    bool (*offers_dsn)(const struct smtp *s);
    /* A parameter that nobody else knows.  NULL, or the line of the refusal. */
    const char *(*mail_parameter)(const struct smtp *s, const struct parameter *one, struct mail_parameters *p);
    bool (*keep_envelope)(struct smtp *s, const struct mail_parameters *p); /* false: no memory */
    const char *(*rcpt_parameters)(const struct smtp *s, struct span rest, uint16_t *notify, struct span *original);
    /* NULL: mail may go there, as far as that is said by the texts of the place. */
    const char *(*refusal_of_forward)(const mailsrv_destination *to);
    /* Recipients whose mail is going round get nothing.  NULL, or the line that refuses the message. */
    const char *(*stop_loops)(struct smtp *s);
    /* The octets of a QUEUE target in a COMMIT, and the target. */
    size_t (*queue_octets)(const struct smtp *s, const struct recipient *r, const struct target *own,
                           struct span received);
    void (*fill_queue)(const struct smtp *s, struct ask *ask, mailsrv_target *target, const struct recipient *r,
                       const struct target *own, struct span received);
    /* The first COMMIT is answered: what it left undone goes into the queue.  Concludes, with this where nothing was
     * left. */
    enum step (*settle)(struct smtp *s, const char *line, struct span text);
};

/* users.c fills the table with these. */
enum step mailsrv__smtp_auth(struct smtp *s, struct span rest);
enum step mailsrv__smtp_response(struct smtp *s, enum framed framed, struct span line);
bool mailsrv__smtp_is_auth_parameter(struct span value);
const char *mailsrv__smtp_sender_answered(const struct smtp *s, unsigned i);
enum step mailsrv__smtp_check_senders(struct smtp *s);
bool mailsrv__smtp_prepare_fixups(struct smtp *s);
bool mailsrv__smtp_offers_dsn(const struct smtp *s);
const char *mailsrv__smtp_mail_parameter(const struct smtp *s, const struct parameter *one, struct mail_parameters *p);
bool mailsrv__smtp_keep_envelope(struct smtp *s, const struct mail_parameters *p);
const char *mailsrv__smtp_rcpt_parameters(const struct smtp *s, struct span rest, uint16_t *notify,
                                          struct span *original);
const char *mailsrv__smtp_refusal_of_forward(const mailsrv_destination *to);
const char *mailsrv__smtp_stop_loops(struct smtp *s);
size_t mailsrv__smtp_queue_octets(const struct smtp *s, const struct recipient *r, const struct target *own,
                                  struct span received);
void mailsrv__smtp_fill_queue(const struct smtp *s, struct ask *ask, mailsrv_target *target, const struct recipient *r,
                              const struct target *own, struct span received);
enum step mailsrv__smtp_settle(struct smtp *s, const char *line, struct span text);

/* No two peers of the same moment have the same. */
uint32_t mailsrv__smtp_hash_of_peer(const struct smtp *s);

/* As passing.c has those of Delivered-To. */
uint64_t mailsrv__smtp_hash_of_address(struct span address);

/* Sees what a message is that may go on: octets above 127, and where it has been. */
extern const struct tap mailsrv__smtp_passing_tap;

struct smtp_machine {
    struct mailsrv_machine machine;
    const struct smtp_users *users; /* NULL: none */
};

/* NULL: there are no users here. */
static inline const struct smtp_users *mailsrv__smtp_users_of(const mailsrv_session *session)
{
    return ((const struct smtp_machine *)(const void *)mailsrv__machine(session))->users;
}

static inline bool mailsrv__smtp_offers_auth(const struct smtp *s)
{
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    return users != NULL && users->offers_auth(s);
}

/* ---- The machine: users.c has the one with users, machine.c that without ---- */

struct command_names mailsrv__smtp_commands(void);
enum step mailsrv__smtp_begin_session(mailsrv_session *session);
enum step mailsrv__smtp_take(mailsrv_session *session, struct input *in);
enum step mailsrv__smtp_secured(mailsrv_session *session);
void mailsrv__smtp_leave(mailsrv_session *session);
void mailsrv__smtp_defaults(mailsrv_profile *profile);

#define SMTP_MACHINE(faces, kinds, keys)                                                                               \
    {                                                                                                                  \
        .name = "smtp", .commands = mailsrv__smtp_commands, .octets = sizeof(struct smtp),                             \
        .partings = { [PARTING_SHUTDOWN] = "421 4.3.2 shutting down, try again later\r\n",                             \
                      [PARTING_TIMEOUT] = "421 4.4.2 timed out\r\n",                                                   \
                      [PARTING_NO_MEMORY] = "421 4.3.2 out of memory, try again later\r\n",                            \
                      [PARTING_BUSY] = "421 4.3.2 too busy, try again later\r\n" },                                    \
        .has_face = faces, .defaults = keys, .answers = kinds,                                                         \
        .greet = mailsrv__smtp_begin_session, .take = mailsrv__smtp_take, .secured = mailsrv__smtp_secured,            \
        .leave = mailsrv__smtp_leave,                                                                                  \
    }

/* ---- Data ---- */

/* Asks BODY_BEGIN in the running step.  Anything but MAILSRV_OK: it was not asked. */
int32_t mailsrv__smtp_begin(struct smtp *s);

/* Takes octets of a message from `in`. */
enum step mailsrv__smtp_take_octets(struct smtp *s, struct input *in);

/* Puts a part of the edited message into taps and body; what the body has no room for waits. */
void mailsrv__smtp_put(struct smtp *s, struct span part);

/* Puts what waits.  False: there is no room for it yet. */
bool mailsrv__smtp_put_waiting(struct smtp *s);

/* What follows are lines, or octets of a message. */
void mailsrv__smtp_enter(struct smtp *s, enum phase phase);

/* The message has come to its end: verdict, commit, replies. */
enum step mailsrv__smtp_finish(struct smtp *s);

/* Refuses the message as a whole, in LMTP once for each recipient, and ends the transaction. */
enum step mailsrv__smtp_refuse_all(struct smtp *s, const char *line, struct span text);

/* What a recipient, or all of them together, are told. */
struct verdict {
    const char *line;
    struct span text;
};

/* A recipient is OK if each of his targets is; also one who has none.  A failure that may pass stands before one that
 * will not. */
struct verdict mailsrv__smtp_verdict_of(const struct smtp *s, const struct recipient *r);

/* The status of the i-th target of a COMMIT, and its text. */
int32_t mailsrv__smtp_result_of(const mailsrv_answer *answer, uint32_t i, struct span *text);

/* The one reply of SMTP, and the end of the transaction. */
enum step mailsrv__smtp_conclude(struct smtp *s, const char *line, struct span text);

/* ---- The transaction ---- */

/* Forgets the transaction, if any. */
void mailsrv__smtp_reset(struct smtp *s);

/* Can the queue take mail, as far as that is known without a body? */
bool mailsrv__smtp_queue_kinds(const struct smtp *s);

/* Does it take mail beside this body's mailboxes? */
bool mailsrv__smtp_queue_served(const struct smtp *s);

/* ---- Replies.  A line is "250 2.1.0 text", without CRLF; its enhanced code is left out where that extension is off
 * (RFC 2034 section 4). ---- */

enum { REPLY_OCTETS_MAX = 512 }; /* RFC 5321 section 4.5.3.1.5 */

/* Makes sure that replies of so many octets, and one more, need no memory.  False: there is none. */
bool mailsrv__smtp_reserve_replies(struct smtp *s, size_t octets);

/* Writes what stands behind the three digits: code and text, both for machines that keep them. */
void mailsrv__smtp_write_text(struct writer *w, const char *line, struct span text, bool with_code);

/* Replies, and the command is done.  A `text` that is not empty stands instead of the line's own; it is printable, as
 * all text of an answer is, and cut to the line's length. */
enum step mailsrv__smtp_reply(struct smtp *s, const char *line);
enum step mailsrv__smtp_reply_text(struct smtp *s, const char *line, struct span text);

/* Says it and does nothing else.  False: no memory. */
bool mailsrv__smtp_say(struct smtp *s, const char *line, struct span text);

/* Replies to a command that was wrong, and counts it. */
enum step mailsrv__smtp_bad(struct smtp *s, const char *line);

/* The last of too many. */
enum step mailsrv__smtp_too_many(struct smtp *s);

/* What a status is told as. */
enum where { AT_RCPT, AT_DATA };
const char *mailsrv__smtp_line(const struct smtp *s, int32_t status, enum where where);

/* Is it one that another try may change? */
static inline bool mailsrv__smtp_is_temporary(const char *line)
{
    return line[0] == '4';
}

/* ---- Trace fields ---- */

enum { RECEIVED_OCTETS_MAX = 1100 };

/* Writes what is no other message's: the time, and numbers of session and transaction. */
void mailsrv__smtp_write_id(const struct smtp *s, struct writer *w);

/* Writes the Received field of the running transaction. */
void mailsrv__smtp_write_received(const struct smtp *s, struct writer *w);

/* The octets of Return-Path and Delivered-To for a recipient, and the fields. */
size_t mailsrv__smtp_delivery_octets(const struct transaction *t, struct span recipient);
void mailsrv__smtp_write_delivery(const struct transaction *t, struct span recipient, struct writer *w);

/* The same of the fields that POLICY gave for him. */
size_t mailsrv__smtp_fields_octets(const struct smtp *s, const struct recipient *r);
void mailsrv__smtp_write_fields(const struct smtp *s, const struct recipient *r, struct writer *w);

/* The structure of the message, to be kept beside it; empty where one of those fields, for any recipient, is such as a
 * structure tells: who asks for it reads the message then, with what stands before it. */
struct span mailsrv__smtp_structure(const struct smtp *s);

/* Counts Received fields (RFC 5321 section 6.3). */
extern const struct tap mailsrv__smtp_trace_tap;

#endif
