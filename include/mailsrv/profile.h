/* mailsrv/profile.h - what one listener is: machine, face, limits, time-outs, extensions.
 *
 * A profile is made, set, sealed, and then immutable: sessions of any engine and any thread share it.  It is counted:
 * new gives one reference to the caller, each session holds one.
 *
 * The machine is the protocol.  The core names none: a program links only the protocols that it names.
 *
 * Threads: until it is sealed, one at a time; afterwards any, mailsrv_profile_unref included.
 */
#ifndef MAILSRV_PROFILE_H
#define MAILSRV_PROFILE_H

#include <mailsrv/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mailsrv_machine mailsrv_machine; /* a protocol */
typedef struct mailsrv_profile mailsrv_profile; /* counted: mailsrv_profile_unref gives a reference back */

/* The machines; all are static. */
MAILSRV_API const mailsrv_machine *mailsrv_smtp(void); /* RFC 5321 and RFC 2033, the receiving side */
/* The same without AUTH and submission, the faces MX and LMTP alone: for programs that only take mail of other servers.
 * They link nothing of logins.  Static. */
MAILSRV_API const mailsrv_machine *mailsrv_smtp_receive(void);
MAILSRV_API const mailsrv_machine *mailsrv_smtp_client(void); /* RFC 5321 and RFC 2033, the sending side: queue.h */
MAILSRV_API const mailsrv_machine *mailsrv_pop3(void); /* RFC 1939, the server */
MAILSRV_API const mailsrv_machine *mailsrv_imap(void); /* RFC 3501 and RFC 9051, the server */

/* Faces of a machine. */
#define MAILSRV_FACE_MX 1   /* SMTP: mail from other servers */
#define MAILSRV_FACE_LMTP 2 /* SMTP: LMTP, one reply for each recipient */
#define MAILSRV_FACE_POP3 3
#define MAILSRV_FACE_IMAP 4
#define MAILSRV_FACE_SUBMISSION 5 /* SMTP: mail of our own users, who log in first (RFC 6409) */
#define MAILSRV_FACE_CLIENT 6     /* of mailsrv_smtp_client */

/* Why a profile cannot be sealed. */
typedef struct mailsrv_error {
    uint32_t size;
    int32_t status;
    int32_t key;        /* the key that is wrong; 0: none in particular */
    uint32_t reserved;
    const char *expected; /* what was expected: English, NUL-ended, static */
} mailsrv_error;

/* `allocator` NULL: malloc.  It must be thread-safe where the profile is used by several threads, and outlive it.
 * MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE: this machine has no such face. */
MAILSRV_API int32_t mailsrv_profile_new(const mailsrv_allocator *allocator, const mailsrv_machine *machine,
                                        int32_t face, mailsrv_profile **out);

/* Keys of mailsrv_profile_set_u64. */
#define MAILSRV_PROFILE_MESSAGE_OCTETS_MAX 1   /* default 100 MiB, 64 KiB to 2^40 (RFC 5321 section 4.5.3.1.7) */
#define MAILSRV_PROFILE_RECIPIENTS_MAX 2       /* default 100, 100 to 1,000 (RFC 5321 section 4.5.3.1.8) */
#define MAILSRV_PROFILE_LINE_OCTETS_MAX 3      /* of a command, CRLF included: default 2,048, 512 to 65,536; IMAP, with
                                                * all literals but messages: default 65,536, at least 1,024 (RFC 7162 section 4
                                                * asks for 8,192) */
#define MAILSRV_PROFILE_ERRORS_MAX 4           /* bad commands before the session is ended: default 20, 1 to 1,000 */
#define MAILSRV_PROFILE_SESSION_OCTETS_MAX 5   /* memory of one session: default SMTP 192 KiB, POP3 4 MiB (16 octets
                                                * for each message of a maildrop), IMAP 384 KiB; 32 KiB to
                                                * 2^40 */
#define MAILSRV_PROFILE_WINDOW_OCTETS 6        /* output waiting before a session stops: default SMTP 32 KiB, POP3 and
                                                * IMAP 64 KiB or a session's memory if that is less; 1 KiB to
                                                * 2^30 */
#define MAILSRV_PROFILE_COMMAND_TIMEOUT_MS 7   /* a peer's silence: SMTP default and least 5 min, POP3 10 min, IMAP
                                                * 30 min */
#define MAILSRV_PROFILE_DATA_TIMEOUT_MS 8      /* between two blocks of a message: default and least 3 min */
#define MAILSRV_PROFILE_ANSWER_TIMEOUT_MS 9    /* for the host's answers to one command: default 5 min, 1 s to 9 min */
#define MAILSRV_PROFILE_LOGIN_TIMEOUT_MS 10    /* IMAP: a peer's silence before login: default 3 min, 1 to 30 min */
#define MAILSRV_PROFILE_IDLE_SIGN_MS 11        /* IMAP: silence in IDLE before a line is sent, which finds peers that are
                                                * no more: default 2 min, 10 s to 24 h */
#define MAILSRV_PROFILE_HOPS_MAX 12      /* SMTP: Received fields of a message that is not taken for one that goes in
                                          * circles: default 100, 10 to 10,000 (RFC 5321 section 6.3) */
#define MAILSRV_PROFILE_POLICY_STAGES 13 /* SMTP: at which stages POLICY is asked: MAILSRV_STAGE_... of policy.h; default
                                          * none */
#define MAILSRV_PROFILE_SENDER_CHECK 14  /* submission: which addresses the account must be allowed to send as
                                          * (MAILSRV_RESOLVE_SENDER): 1 the reverse-path, 2 those of the field From, 3 both,
                                          * which is the default; 0: none */
#define MAILSRV_PROFILE_SENDER_FIELD 15  /* submission, 1: a message whose From is not the reverse-path alone gets a field
                                          * Sender that is (RFC 6409 section 8.1); default 0 */
#define MAILSRV_PROFILE_FINAL_TIMEOUT_MS 16 /* SMTP client: for the reply to the end of a message: default and least 10 min
                                             * (RFC 5321 section 4.5.3.2.6) */
/* Logins: auth.h has the mechanisms. */
#define MAILSRV_PROFILE_AUTH_MECHANISMS 26   /* MAILSRV_SASL_..., or-ed: what may be offered; default all, but none on the
                                              * faces MX and LMTP.  One that the host's operations cannot serve is hidden
                                              * whatever is said here */
#define MAILSRV_PROFILE_AUTH_DELAY_MS 27     /* before the reply to a first failed login; it doubles with each further one
                                              * of the session, up to 16 times; default 1 s, 0 to 60 s */
#define MAILSRV_PROFILE_AUTH_FAILURES_MAX 28 /* failed logins before the session is ended: default 5, 1 to 1,000 */
#define MAILSRV_PROFILE_SCRAM_ITERATIONS 29  /* that a user who does not exist is said to have: as many as those that do;
                                              * default 4,096, 4,096 to 10^7 */
/* Lenient switches: off (0).  Turn one on only for a peer that cannot be mended. */
#define MAILSRV_PROFILE_PLAIN_PASSWORDS 20 /* 1: passwords in the clear.  Whoever listens on the way reads them. */
#define MAILSRV_PROFILE_BARE_LINE_ENDS 21  /* 1: keeps messages with a CR or LF that stands alone.  Other servers may
                                            * see the end of the message there: never on a path that relays. */
#define MAILSRV_PROFILE_OVERQUOTA_PERMANENT 22 /* 1: a full mailbox is 552 5.2.2, and the sender is told at once */
/* TLS (tls.h). */
#define MAILSRV_PROFILE_TLS 23 /* when: MAILSRV_TLS_NONE, the default, MAILSRV_TLS_OFFERED or MAILSRV_TLS_IMPLICIT */
#define MAILSRV_TLS_NONE 0
#define MAILSRV_TLS_OFFERED 1  /* after STARTTLS or STLS */
#define MAILSRV_TLS_IMPLICIT 2 /* from the first octet on */
#define MAILSRV_PROFILE_TLS_DISCARD 24 /* 1: octets behind STARTTLS, before it was answered, are thrown away; 0, the
                                        * default: they end the session.  They are run in no case */
#define MAILSRV_PROFILE_TLS_TIMEOUT_MS 25 /* for a whole handshake: default 1 min, 1 s to 10 min */
/* MAILSRV_OK; MAILSRV_E_VALUE: out of its bounds; MAILSRV_E_UNKNOWN_KEY: this machine has no such key; MAILSRV_E_USAGE:
 * after the seal. */
MAILSRV_API int32_t mailsrv_profile_set_u64(mailsrv_profile *profile, int32_t key, uint64_t value);

/* Keys of mailsrv_profile_set_str. */
#define MAILSRV_PROFILE_HOSTNAME 40 /* our name, in greeting and Received: a domain or an address literal; required */
#define MAILSRV_PROFILE_DROP_FIELDS 41 /* header field names that are taken out of messages, separated by spaces;
                                        * default "Return-Path" (RFC 5321 section 4.4), for submission also "Bcc" and
                                        * "Resent-Bcc" (RFC 5322 section 3.6.3), at most 32 of 64 octets */
#define MAILSRV_PROFILE_DETAIL_DELIMITER 42 /* SMTP: the octet between user and detail of a local part (mailsrv_arg_resolve);
                                             * default "+"; empty: there are no details */
#define MAILSRV_PROFILE_POSTMASTER 43 /* SMTP: the address that mail for postmaster goes to, of any of our domains and of
                                       * none, where RESOLVE knows no such recipient (RFC 5321 section 4.5.1); default empty:
                                       * RESOLVE alone decides */
#define MAILSRV_PROFILE_SCRAM_SECRET 45 /* what the salt of a user who does not exist is made of: 16 to 255 octets, the
                                         * same for all who serve the same users, and always; default: each engine makes
                                         * up its own, and who can ask two of them can tell such a user */
/* As mailsrv_profile_set_u64, or MAILSRV_NOMEM; `n` octets of `value` are copied. */
MAILSRV_API int32_t mailsrv_profile_set_str(mailsrv_profile *profile, int32_t key, const char *value, size_t n);

/* Extensions; all are on.  One that the host's operations cannot serve is hidden whatever is said here. */
#define MAILSRV_EXT_SIZE 1       /* RFC 1870 */
#define MAILSRV_EXT_PIPELINING 2 /* RFC 2920; LMTP has it whatever is said here (RFC 2033 section 5) */
#define MAILSRV_EXT_8BITMIME 3   /* RFC 6152 */
#define MAILSRV_EXT_ENHANCEDSTATUSCODES 4 /* RFC 2034; LMTP as with PIPELINING */
#define MAILSRV_EXT_CHUNKING 5            /* RFC 3030 */
#define MAILSRV_EXT_SMTPUTF8 8 /* RFC 6531; it needs 8BITMIME */
#define MAILSRV_EXT_STARTTLS 9 /* RFC 3207, RFC 2595: STLS in POP3; off: not offered, whatever MAILSRV_PROFILE_TLS says */
#define MAILSRV_EXT_AUTH 10 /* SASL, in each protocol: RFC 4954, RFC 5034, RFC 3501 section 6.2.2 */
#define MAILSRV_EXT_TOP 20             /* RFC 1939 section 7 */
#define MAILSRV_EXT_UIDL 21            /* RFC 1939 section 7 */
#define MAILSRV_EXT_POP3_PIPELINING 23 /* RFC 2449 section 6.6 */
#define MAILSRV_EXT_RESP_CODES 24 /* also AUTH-RESP-CODE (RFC 3206) */
#define MAILSRV_EXT_POP3_UTF8 25  /* RFC 6856 */
#define MAILSRV_EXT_LITERAL_PLUS 30 /* RFC 7888; off: not announced; {n+} is understood all the same */
#define MAILSRV_EXT_IDLE 31      /* RFC 2177 */
#define MAILSRV_EXT_UIDPLUS 32   /* RFC 4315 */
#define MAILSRV_EXT_UNSELECT 35  /* RFC 3691 */
#define MAILSRV_EXT_MOVE 36      /* RFC 6851 */
#define MAILSRV_EXT_ENABLE 39    /* RFC 5161; without it there is no QRESYNC */
#define MAILSRV_EXT_CONDSTORE 40 /* RFC 7162; without it there is no QRESYNC */
#define MAILSRV_EXT_QRESYNC 41   /* RFC 7162 */
#define MAILSRV_EXT_ESEARCH 42   /* RFC 4731 */
#define MAILSRV_EXT_NAMESPACE 33     /* RFC 2342 */
#define MAILSRV_EXT_ID 34            /* RFC 2971 */
#define MAILSRV_EXT_SPECIAL_USE 37   /* RFC 6154; also CREATE-SPECIAL-USE, where mailboxes can be made */
#define MAILSRV_EXT_CHILDREN 38      /* RFC 3348: \HasChildren in every LIST */
#define MAILSRV_EXT_LIST_EXTENDED 43 /* RFC 5258 */
#define MAILSRV_EXT_LIST_STATUS 44   /* RFC 5819; it needs LIST_EXTENDED */
#define MAILSRV_EXT_STATUS_SIZE 45   /* RFC 8438 */
#define MAILSRV_EXT_SASL_IR 46 /* IMAP: a response that comes with AUTHENTICATE (RFC 4959) */
#define MAILSRV_EXT_DSN 47 /* RFC 3461.  Of a server it promises that a queue (queue.h) works on what is committed to QUEUE
                            * targets, on this engine or another: off unless it is turned on, and hidden where no queue is
                            * served.  Of a client: it is used where it is offered */
/* `on` 0 or 1.  MAILSRV_OK, MAILSRV_E_UNKNOWN_KEY, MAILSRV_E_USAGE after the seal. */
MAILSRV_API int32_t mailsrv_profile_enable(mailsrv_profile *profile, int32_t extension, int32_t on);

/* Checks the whole and makes it immutable.  MAILSRV_OK, or MAILSRV_E_VALUE with `*why` filled in, as far as its size
 * reaches; `why` may be NULL. */
MAILSRV_API int32_t mailsrv_profile_seal(mailsrv_profile *profile, mailsrv_error *why);

/* Gives a reference back.  NULL is fine.  Any thread. */
MAILSRV_API void mailsrv_profile_unref(mailsrv_profile *profile);

#ifdef __cplusplus
}
#endif

#endif
