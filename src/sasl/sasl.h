/* Logins (RFC 4422): what the protocols and the mechanisms share.
 *
 *   policy.c    which mechanisms are offered, failures and their delay
 *   exchange.c  one login from its first line to its end
 *   verify.c    asking AUTH_VERIFY
 *   plain.c, login.c, external.c, scram.c   a mechanism each
 *
 * How a login runs.  The protocol makes a struct sasl, which hangs on the session, and starts it with the response that
 * came along, or with a name and a password.  The exchange says challenges by `face`, asks operations, and waits; while
 * it is there and the session takes input, each line is a response: mailsrv__sasl_line.  At its end, after the delay of
 * one that failed, it calls face->ended, once; the protocol replies and frees it.
 */
#ifndef SASL_SASL_H
#define SASL_SASL_H

#include "base/arena.h"
#include "core/ask.h"
#include "core/machine.h"
#include "frame/line.h"
#include "text/writer.h"

#include <mailsrv/auth.h>

enum sasl_end {
    SASL_LET_IN,     /* sasl->account, sasl->user */
    SASL_REFUSED,    /* sasl->status, and the answer's text unless that is DENIED */
    SASL_CANCELLED,  /* the peer said "*" */
    SASL_NOT_BASE64,
    SASL_TOO_LONG    /* a line was */
};

struct sasl;

/* A protocol. */
struct sasl_face {
    struct span service; /* "smtp": RFC 4422 section 4, item 1 */
    struct span prompt;  /* in front of a challenge: "+ " */
    /* Replies, as sasl->end says, and frees it, at once or in a later step. */
    enum step (*ended)(mailsrv_session *session, struct sasl *sasl);
};

/* What a mechanism does next. */
enum sasl_turn {
    SASL_SAY,  /* sasl->challenge; what comes then is the response */
    SASL_WAIT, /* an operation is asked: `answered` is called */
    SASL_OVER  /* sasl->end */
};

enum {
    SASL_READABLE = 1 << 0, /* the password itself is sent */
    SASL_CRYPTO = 1 << 1,   /* it needs hash and chance */
    SASL_BINDS = 1 << 2,    /* it needs a channel binding */
    SASL_EXTERN = 1 << 3    /* it needs somebody who knows the peer */
};

struct mechanism {
    const char *name;
    uint32_t bit;   /* MAILSRV_SASL_... */
    uint32_t flags;
    int32_t kind;   /* of operation, that it needs */
    int32_t hash;   /* SCRAM: MAILSRV_HASH_... */
    const struct mechanism *plus; /* SCRAM: the same with channel binding; NULL: this is it */
    size_t octets;  /* of sasl->own */
    enum sasl_turn (*begin)(struct sasl *sasl); /* server first: its challenge; NULL: client first */
    enum sasl_turn (*respond)(struct sasl *sasl, struct span response);
    enum sasl_turn (*answered)(struct sasl *sasl);
};

struct sasl {
    mailsrv_session *session;
    const struct sasl_face *face;
    const struct mechanism *mechanism;
    struct arena arena; /* all spans below are in it, or static */
    void *own;          /* the mechanism's, zeroed */
    struct span user, identity;
    struct span challenge;
    mailsrv_id account;
    int32_t status;
    struct span text;
    enum sasl_end end;
    bool by_command; /* a command with name and password, no exchange */
};

/* The commands that are older than SASL, for mailsrv__sasl_start_password. */
extern const struct mechanism mailsrv__sasl_user_pass, mailsrv__sasl_login_command;

extern const struct mechanism mailsrv__sasl_plain, mailsrv__sasl_login, mailsrv__sasl_external,
    mailsrv__sasl_scram_sha_1, mailsrv__sasl_scram_sha_1_plus, mailsrv__sasl_scram_sha_256,
    mailsrv__sasl_scram_sha_256_plus;

/* ---- For protocols ---- */

enum { SASL_LINE_OCTETS_MAX = 12288 + 2 }; /* of a response, CRLF included (RFC 4954 section 4) */

/* May passwords be sent on this connection as they are? */
bool mailsrv__auth_readable(const mailsrv_session *session);

/* Is a login with name and password offered, so far as it depends on logins? */
bool mailsrv__auth_takes_passwords(const mailsrv_session *session);

/* Is any mechanism offered, here and now? */
bool mailsrv__sasl_offers_any(const mailsrv_session *session);

bool mailsrv__sasl_is_offered(const mailsrv_session *session, const struct mechanism *mechanism);

/* Is one offered, but only under TLS? */
bool mailsrv__sasl_wants_tls(const mailsrv_session *session, struct span name);

/* The offered mechanism of that name, in any case; NULL: there is none. */
const struct mechanism *mailsrv__sasl_find(const mailsrv_session *session, struct span name);

/* Writes the names of all that are offered, each with `before` in front. */
void mailsrv__sasl_write_names(const mailsrv_session *session, struct span before, struct writer *w);

/* Begins a login: session->sasl.  NULL: no memory. */
struct sasl *mailsrv__sasl_new(mailsrv_session *session, const struct sasl_face *face,
                               const struct mechanism *mechanism);

/* Starts its exchange; `initial` is the response that came along, in base64 or "="; NULL: none did. */
enum step mailsrv__sasl_start(struct sasl *sasl, const struct span *initial);

/* Starts it with a name and a password that a command had. */
enum step mailsrv__sasl_start_password(struct sasl *sasl, struct span user, struct span password);

/* A line of the peer, without its CRLF. */
enum step mailsrv__sasl_line(struct sasl *sasl, struct span line);

/* A line that cannot be a response: it was too long, had a NUL, or there was no memory for it. */
enum step mailsrv__sasl_no_line(struct sasl *sasl, enum sasl_end end, int32_t status);

/* One of both, of what a protocol of lines has framed. */
enum step mailsrv__sasl_framed(struct sasl *sasl, enum framed framed, struct span line);

/* Forgets session->sasl, if there is one, wiped. */
void mailsrv__sasl_free(mailsrv_session *session);

/* Has the peer failed too often?  Then the reply is the last one. */
bool mailsrv__auth_too_many(const mailsrv_session *session);

/* ---- For mechanisms ---- */

/* Copies to sasl->arena.  False: no memory, and sasl->status says so. */
bool mailsrv__sasl_keep(struct sasl *sasl, struct span from, struct span *out);

/* The login is over: refused. */
enum sasl_turn mailsrv__sasl_refuse(struct sasl *sasl, int32_t status);

/* The login is over: let in, if `acts_as` is what was asked for. */
enum sasl_turn mailsrv__sasl_let_in(struct sasl *sasl, const mailsrv_id *account, uint32_t acts_as);

/* Asks AUTH_VERIFY about sasl->user and sasl->identity; then `answered` is mailsrv__sasl_verified. */
enum sasl_turn mailsrv__sasl_verify(struct sasl *sasl, struct span password);
enum sasl_turn mailsrv__sasl_verified(struct sasl *sasl);

/* Refuses for what was answered, if it was not MAILSRV_OK: then true. */
bool mailsrv__sasl_answer_refuses(struct sasl *sasl, enum sasl_turn *turn);

/* What the arguments of all AUTH kinds have in common, in the room of `ask`. */
struct sasl_who {
    mailsrv_bytes user, identity, mechanism, service, peer;
    uint32_t secured;
};
size_t mailsrv__sasl_who_octets(const struct sasl *sasl);
struct sasl_who mailsrv__sasl_who(const struct sasl *sasl, struct ask *ask);

/* Is a name one that can be compared: UTF-8 without what RFC 4013 section 2.3 forbids, and not empty? */
bool mailsrv__sasl_is_name(struct span name);

#endif
