/* mailsrv/policy.h - the host's own rules for mail that comes in: at which stage they are asked, and what they may say.
 *
 * A profile names the stages (MAILSRV_PROFILE_POLICY_STAGES); at each of them the session asks one operation,
 * MAILSRV_OP_POLICY, and goes on as its verdict says.  Where the kind is not served, nothing is asked.
 *
 * Threads: as the engine.
 */
#ifndef MAILSRV_POLICY_H
#define MAILSRV_POLICY_H

#include <mailsrv/op.h>
#include <mailsrv/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The stages of SMTP, submission and LMTP, as bits of the profile's mask. */
#define MAILSRV_STAGE_CONNECT 1u  /* before the greeting */
#define MAILSRV_STAGE_HELO 2u     /* EHLO, HELO, LHLO */
#define MAILSRV_STAGE_MAIL 4u     /* the command, when it is found right */
#define MAILSRV_STAGE_RCPT 8u     /* the same, before RESOLVE */
#define MAILSRV_STAGE_HEADERS 16u /* the header of a message has come; the body has perhaps not */
#define MAILSRV_STAGE_EOM 32u     /* the message has come; nothing of it was given to anybody */
#define MAILSRV_STAGES_ALL 63u

/* A verdict holds for what the stage is about: CONNECT for the session, HELO for the session until the next greeting,
 * MAIL for the transaction, RCPT for that recipient, HEADERS and EOM for the message.  Of two that say where a message
 * goes the later one counts, and HEADERS and EOM stand above RCPT.
 *
 * No verdict makes an address that RESOLVE refuses a good one, and none but RELAY_OK lets a peer have mail relayed. */
#define MAILSRV_POLICY_CONTINUE 0   /* no opinion: the library's own rules hold */
#define MAILSRV_POLICY_ACCEPT 1     /* ask no more about what the stage is about; the library's own rules hold */
#define MAILSRV_POLICY_REJECT 2     /* refuse it: `code` 500 to 599 */
#define MAILSRV_POLICY_LATER 3      /* refuse it for now: `code` 400 to 499 */
#define MAILSRV_POLICY_DISCARD 4    /* say that it is taken, and give it to nobody */
#define MAILSRV_POLICY_QUARANTINE 5 /* take it, and put it into the mailbox `to` in the place of everybody's */
#define MAILSRV_POLICY_REDIRECT 6   /* the same, and `to` may be the queue, for `address` */
#define MAILSRV_POLICY_ADD_FIELDS 7 /* put `fields` before the message */
#define MAILSRV_POLICY_RELAY_OK 8   /* this peer may have mail relayed; at HEADERS and EOM it comes too late for that */

/* ---- POLICY: what becomes of it?
 *
 * Answer: MAILSRV_OK with a mailsrv_verdict.  Any other status refuses what the stage is about, as it does for every
 * operation: MAILSRV_TEMP (and no answer in time) with 451 4.3.0, MAILSRV_NOPERM with 550 5.7.1 ...; at CONNECT with
 * 421 or 554.  The text of the answer stands in the reply.
 *
 * Text of the peer's is as he sent it, without <>; what is not known at a stage is empty or 0. */
#define MAILSRV_FACT_SECURED 1u  /* the connection is under TLS */
#define MAILSRV_FACT_EXTENDED 2u /* the peer greeted with EHLO or LHLO */
#define MAILSRV_FACT_UTF8 4u     /* MAIL had SMTPUTF8 */

typedef struct mailsrv_arg_policy {
    uint32_t size;
    uint32_t stage;     /* MAILSRV_STAGE_..., one of them */
    int32_t face;       /* MAILSRV_FACE_... */
    uint32_t facts;     /* MAILSRV_FACT_... */
    const mailsrv_peer *peer;   /* as the host gave it */
    mailsrv_bytes hello;        /* at HELO: the name that is being said */
    mailsrv_bytes reverse_path; /* from MAIL on */
    mailsrv_bytes recipient;    /* RCPT */
    uint32_t recipients;        /* accepted so far */
    uint32_t reserved;
    uint64_t octets;      /* MAIL, RCPT: what SIZE= announced; HEADERS, EOM: of the message, as far as it has come */
    mailsrv_bytes header; /* HEADERS: its first 16 KiB at most, as they are stored */
    mailsrv_id submitter; /* the account that the peer has logged in to; zero: he has not */
    uint64_t body;        /* EOM: the staged body, which can be read by who staged it; not to be closed */
} mailsrv_arg_policy;

#define MAILSRV_POLICY_FIELDS_MAX 4096 /* octets of `fields` */

typedef struct mailsrv_verdict {
    uint32_t size;
    int32_t verdict; /* MAILSRV_POLICY_... */
    /* REJECT and LATER: the reply's code, and the second and third number of its enhanced code (RFC 3463), 0 to 999.
     * 0: 550 and 451; both 0: 7.1.  421 and 521 end the session.  At CONNECT REJECT is 554, or 521 if that is said, and
     * LATER is 421 (RFC 5321 section 4.3.2). */
    uint32_t code;
    uint32_t subject;
    uint32_t detail;
    uint32_t shard;         /* of `to`, as mailsrv_resolved has it */
    mailsrv_destination to; /* QUARANTINE: MAILBOX; REDIRECT: MAILBOX or QUEUE */
    mailsrv_bytes address;  /* REDIRECT: stands for the recipient's; empty: his own stays */
    mailsrv_bytes fields;   /* whole header fields, each line at most 998 octets and its CRLF, no CR, LF or NUL besides;
                             * with any verdict that lets mail pass; they stand above Received */
} mailsrv_verdict;

#ifdef __cplusplus
}
#endif

#endif
