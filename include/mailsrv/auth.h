/* mailsrv/auth.h - logins: mechanisms of SASL (RFC 4422), and the operations about credentials that are no passwords.
 *
 * A session offers a mechanism when the profile does (MAILSRV_PROFILE_AUTH_MECHANISMS), the kind that it asks is
 * served, and it is safe here:
 *
 *     PLAIN, LOGIN, USER and PASS, IMAP's LOGIN   AUTH_VERIFY (op.h); under TLS, or where the profile takes
 *                                                 passwords in the clear (MAILSRV_PROFILE_PLAIN_PASSWORDS)
 *     SCRAM-SHA-1, SCRAM-SHA-256 (RFC 5802, 7677) AUTH_SCRAM_KEYS, and a crypto table (tls.h)
 *     SCRAM-...-PLUS                              the same, where the TLS layer gives the usual channel binding:
 *                                                 tls-exporter in TLS 1.3, tls-unique before it
 *     EXTERNAL                                    AUTH_EXTERNAL, where somebody outside knows the peer:
 *                                                 mailsrv_session_set_external, or his certificate
 *
 * A login that failed is answered late, and later with each further one; after a few the session ends.  Who does not
 * exist is told what a wrong password is told, after the same operations.
 *
 * Threads: as the engine; mailsrv_scram_keys any.
 */
#ifndef MAILSRV_AUTH_H
#define MAILSRV_AUTH_H

#include <mailsrv/op.h>
#include <mailsrv/session.h>
#include <mailsrv/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Mechanisms, for MAILSRV_PROFILE_AUTH_MECHANISMS. */
#define MAILSRV_SASL_PLAIN 1u /* RFC 4616 */
#define MAILSRV_SASL_LOGIN 2u /* the one of draft-murchison-sasl-login */
#define MAILSRV_SASL_SCRAM_SHA_1 4u         /* RFC 5802 */
#define MAILSRV_SASL_SCRAM_SHA_256 8u       /* RFC 7677 */
#define MAILSRV_SASL_SCRAM_SHA_1_PLUS 16u   /* RFC 5802 */
#define MAILSRV_SASL_SCRAM_SHA_256_PLUS 32u /* RFC 7677 */
#define MAILSRV_SASL_EXTERNAL 64u /* RFC 4422 appendix A */
#define MAILSRV_SASL_ALL 127u
/* These we know as the client alone: CREDENTIAL (queue.h). */
#define MAILSRV_SASL_OAUTHBEARER 128u /* RFC 7628 */
#define MAILSRV_SASL_XOAUTH2 256u     /* no RFC: of Google and Microsoft, what OAUTHBEARER (RFC 7628) came of */

/* ---- AUTH_SCRAM_KEYS: what SCRAM needs to know of a user.
 *
 * Answer: MAILSRV_OK with a mailsrv_scram_record; MAILSRV_DENIED: there is no such user, or he has no such keys, or may
 * not act as `identity`.  Then the library goes on with a salt that it makes up, always the same for one name, and the
 * login fails at its end: a peer cannot tell.  MAILSRV_TEMP: nobody can say now.  Not served: SCRAM is not offered. ---- */
#define MAILSRV_SCRAM_SALT_MAX 64

typedef struct mailsrv_arg_auth_scram_keys {
    uint32_t size;
    uint32_t secured; /* these as in mailsrv_arg_auth_verify */
    mailsrv_bytes user;
    mailsrv_bytes identity;
    mailsrv_bytes mechanism; /* "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", ... */
    mailsrv_bytes service;
    mailsrv_bytes peer;
    int32_t hash; /* MAILSRV_HASH_SHA1 or MAILSRV_HASH_SHA256 (tls.h) */
    uint32_t reserved;
} mailsrv_arg_auth_scram_keys;

typedef struct mailsrv_scram_record {
    uint32_t size;
    uint32_t acts_as;   /* as in mailsrv_identity */
    mailsrv_id account; /* that the user is let into when he has proved that he knows the password */
    uint32_t iterations;
    uint32_t reserved;
    mailsrv_bytes salt;       /* 1 to MAILSRV_SCRAM_SALT_MAX octets; 16 random ones are usual */
    mailsrv_bytes stored_key; /* both as long as the hash: 20 or 32 octets.  Who knows them can pass for the server, and
                               * guess at the password; he cannot log in */
    mailsrv_bytes server_key;
} mailsrv_scram_record;

/* Makes the keys of a password, for a host that sets it: Hi() of RFC 5802 section 3, which is PBKDF2.  The password is
 * UTF-8 of at most 1,024 octets, and prepared as RFC 4013 has it, but for its normalization: one that is not in the form
 * NFC may not be the one that a client makes its proof from.  `iterations` is 4,096 or more for SHA-256 (RFC 7677
 * section 4), and costs its time here, and in each login of each client; this call takes as long, so it is for a thread
 * that may wait.  `hash` is MAILSRV_HASH_SHA1 or MAILSRV_HASH_SHA256, and says how long both keys are.
 *
 * MAILSRV_OK; MAILSRV_E_VALUE: there is no such hash, salt or number of iterations, or what no password can hold is in
 * this one; MAILSRV_E_USAGE; or what the table answered. */
MAILSRV_API int32_t mailsrv_scram_keys(const mailsrv_crypto *crypto, int32_t hash, const mailsrv_bytes *password,
                                       const mailsrv_bytes *salt, uint32_t iterations, uint8_t *stored_key,
                                       uint8_t *server_key);

/* ---- AUTH_EXTERNAL: may the peer, whom somebody outside knows, log in?
 *
 * Answer: MAILSRV_OK with a mailsrv_identity; MAILSRV_DENIED; MAILSRV_TEMP.  Not served: EXTERNAL is not offered. ---- */
typedef struct mailsrv_arg_auth_external {
    uint32_t size;
    uint32_t secured; /* these as in mailsrv_arg_auth_verify */
    mailsrv_bytes external;     /* what mailsrv_session_set_external said; empty: nothing */
    mailsrv_bytes subject;      /* of the peer's certificate, as mailsrv_tls_info has them (tls.h); empty: there is none */
    const mailsrv_bytes *names;
    size_t n_names;
    mailsrv_bytes identity; /* whom he wants to act as; empty: whom he is */
    mailsrv_bytes service;
    mailsrv_bytes peer;
} mailsrv_arg_auth_external;

/* Says who the peer is, as the host knows from outside of the protocol: from a client's certificate where the host does
 * TLS itself, or from the credentials of a local socket.  `name` is copied, and goes into AUTH_EXTERNAL; `n` 0: nobody
 * knows any more.  Right after mailsrv_server_new, or when it becomes known.  MAILSRV_OK, MAILSRV_NOMEM or
 * MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_session_set_external(mailsrv_session *session, const char *name, size_t n);

#ifdef __cplusplus
}
#endif

#endif
