/* mailsrv/tls.h - TLS, and the primitives of cryptography: tables that a library of theirs fills in.
 *
 * The library holds no cryptography.  What needs some (SCRAM, TLS) asks a table: libmailserver-openssl (openssl.h) and
 * libmailserver-mbedtls (mbedtls.h) fill in both, and a host may fill in its own.
 *
 * Who does TLS.  MAILSRV_PROFILE_TLS (profile.h) says when a connection is encrypted: never, after STARTTLS or STLS, or
 * from its first octet.  mailsrv_profile_set_tls says by whom: by a provider, and then mailsrv_session_feed and
 * mailsrv_session_output carry ciphertext; or, without one, by the host:
 *
 *     mailsrv_session_wants has MAILSRV_WANT_TLS_SERVER, or _CLIENT: all that stood in the clear is sent.  The host
 *     does the handshake with what the peer sends next, as a client with its own first, and calls
 *     mailsrv_session_tls_started or mailsrv_session_tls_failed.  From then on it feeds what it has decrypted, and
 *     encrypts the output.
 *
 * Octets that a peer sends behind STARTTLS before it was answered are never run as commands, and those that a server
 * sends behind his answer are no reply: they end the session (RFC 3207 section 6).  What
 * a session knew of its peer before TLS is forgotten.
 *
 * Threads.  The functions of a provider run on the engine's thread, but for `handshake` where the operation JOB (op.h) is
 * served and the provider has MAILSRV_TLS_THREADS: then on any, of one connection never two at once.
 */
#ifndef MAILSRV_TLS_H
#define MAILSRV_TLS_H

#include <mailsrv/engine.h>
#include <mailsrv/profile.h>
#include <mailsrv/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Hashes ---- */

#define MAILSRV_HASH_SHA1 1   /* 20 octets; for SCRAM-SHA-1 */
#define MAILSRV_HASH_SHA256 2 /* 32 */
#define MAILSRV_HASH_SHA512 3 /* 64 */
#define MAILSRV_HASH_OCTETS_MAX 64 /* the longest has so many */

/* The primitives.  A function that is NULL is not there, and what needs it is hidden.  None calls the library back.
 * Each answers MAILSRV_OK, MAILSRV_E_VALUE for a hash that it does not know, MAILSRV_NOMEM or MAILSRV_TEMP; then `out`
 * is of no use.  They may be called by engines of several threads at once. */
typedef struct mailsrv_crypto {
    uint32_t size;
    uint32_t reserved;
    void *user; /* lives longer than every engine that has the table */
    /* The hash of `n` parts, one behind the other: as many octets as `hash` has. */
    int32_t (*hash)(void *user, int32_t hash, const mailsrv_bytes *parts, size_t n, uint8_t *out);
    /* The same keyed: HMAC (RFC 2104).  The key may be empty. */
    int32_t (*hmac)(void *user, int32_t hash, const mailsrv_bytes *key, const mailsrv_bytes *parts, size_t n,
                    uint8_t *out);
    /* Octets that nobody can guess. */
    int32_t (*random)(void *user, uint8_t *out, size_t n);
} mailsrv_crypto;

/* Gives the engines made from `config` a table; it is copied.  NULL: none.  MAILSRV_OK or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_config_set_crypto(mailsrv_config *config, const mailsrv_crypto *crypto);

/* ---- What is known of a connection under TLS ---- */

/* Texts are as the peer's or ours, without a NUL; what is not known is empty. */
typedef struct mailsrv_tls_info {
    uint32_t size;
    uint32_t version;         /* as on the wire: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3 */
    mailsrv_bytes cipher;     /* "TLS_AES_128_GCM_SHA256" */
    mailsrv_bytes server_name; /* that the client asked for (RFC 6066 section 3) */
    /* Of a client's certificate that one of the configured roots vouches for; else empty. */
    mailsrv_bytes client_subject;      /* its distinguished name */
    const mailsrv_bytes *client_names; /* its rfc822Names and dNSNames, in that order */
    size_t n_client_names;
    /* What SCRAM-PLUS binds to; a value that would not be safe here is empty. */
    mailsrv_bytes exporter;  /* tls-exporter (RFC 9266): 32 octets */
    mailsrv_bytes unique;    /* tls-unique (RFC 5929 section 3); never in TLS 1.3 */
    mailsrv_bytes end_point; /* tls-server-end-point (RFC 5929 section 4) */
    uint32_t resumed;        /* 1: an earlier session was resumed */
    uint32_t verified;       /* a client's: by what the server's certificate is the one that was wanted: MAILSRV_TLS_BY_... */
} mailsrv_tls_info;

#define MAILSRV_TLS_BY_NOTHING 0u /* whoever it is */
#define MAILSRV_TLS_BY_ROOTS 1u /* those of the context vouch for it, for the name */
#define MAILSRV_TLS_BY_DANE 2u  /* a TLSA record does (RFC 7672) */

/* ---- Provider: one connection on memory of the session ---- */

/* What DNS says of a certificate (RFC 6698 section 2.1). */
typedef struct mailsrv_tlsa {
    uint32_t size;
    uint8_t usage;      /* 2: it was issued, perhaps by way of others, by the one that the record is of; 3: it is that one,
                         * whatever else it says */
    uint8_t selector;   /* of that certificate: 0: all of it; 1: its SubjectPublicKeyInfo */
    uint8_t matching;   /* 0: itself; 1: its SHA-256; 2: its SHA-512 */
    uint8_t reserved;
    mailsrv_bytes data;
} mailsrv_tlsa;

/* Whom a client's connection goes to. */
typedef struct mailsrv_tls_target {
    uint32_t size;
    uint32_t verify;    /* what it must be by, or the handshake fails: MAILSRV_TLS_BY_...; _ROOTS: for `name` (RFC 6125; an
                         * address in numbers: of its iPAddress names) */
    mailsrv_bytes name; /* asked for (RFC 6066 section 3) unless it is an address; empty: none */
    /* _DANE: one of these records must be of the certificate; of usage 2: for `name`, or one of the other names. */
    const mailsrv_tlsa *tlsa;
    uint32_t n_tlsa;
    uint32_t tlsa_stride; /* sizeof(mailsrv_tlsa) */
    const mailsrv_bytes *other_names;
    uint32_t n_other_names;
    uint32_t reserved;
} mailsrv_tls_target;

/* What goes in and out of one call.  All memory is the caller's, and is used during the call alone. */
typedef struct mailsrv_tls_io {
    uint32_t size;
    uint32_t more;        /* set to 1: `room` was too small for what is to be sent; call again with another one */
    const uint8_t *in;    /* ciphertext of the peer; encrypt: plaintext of ours */
    size_t in_octets;
    size_t taken;         /* set: how many octets of `in` are done with */
    uint8_t *plain;       /* decrypt: where plaintext goes */
    size_t plain_octets;
    size_t plain_made;    /* set */
    uint8_t *room;        /* where ciphertext goes that is to be sent */
    size_t room_octets;
    size_t room_made;     /* set */
} mailsrv_tls_io;

#define MAILSRV_TLS_THREADS 1u /* `handshake` may run on another thread, beside other connections */

/* A provider of TLS.  TLS 1.2 is the least version; there is no renegotiation and no compression. */
typedef struct mailsrv_tls_provider {
    uint32_t size;
    uint32_t features; /* MAILSRV_TLS_... */
    const char *name;  /* "openssl 3.0.19", NUL-ended, static */
    /* The context is no longer used. */
    void (*context_free)(void *context);
    /* A new connection, as the server.  MAILSRV_OK or MAILSRV_NOMEM.  NULL: this context is a client's. */
    int32_t (*begin)(void *context, void **connection);
    void (*end)(void *connection);
    /* Goes on with the handshake.  MAILSRV_OK: it is done; MAILSRV_MORE: with `more` it wants another room, else more
     * of the peer's octets, and has taken all there were; negative: it failed, and an alert is in the room. */
    int32_t (*handshake)(void *connection, mailsrv_tls_io *io);
    /* MAILSRV_OK: some plaintext was made, and perhaps there is more; MAILSRV_MORE: all that there was was taken and
     * all plaintext handed out, more of the peer's octets are wanted; MAILSRV_E_CLOSED: the peer has said that he will
     * send no more (close_notify); any other: it failed, and an alert is in the room. */
    int32_t (*decrypt)(void *connection, mailsrv_tls_io *io);
    /* Makes whole records of all of `in`, for which the room is as large as `expansion` says: it always succeeds,
     * or the connection is of no use any more. */
    int32_t (*encrypt)(void *connection, mailsrv_tls_io *io);
    /* Says that we will send no more: close_notify, in the room. */
    int32_t (*close)(void *connection, mailsrv_tls_io *io);
    /* How many octets of room `octets` of plaintext need beside their own number, at most: no more than 192 for up to
     * 256 octets; 0: close_notify's. */
    size_t (*expansion)(const void *connection, size_t octets);
    /* Fills in `*info`, as far as its size reaches; the bytes live as long as the connection. */
    void (*info)(void *connection, mailsrv_tls_info *info);
    /* Octets that this connection holds outside of the engine, as well as it can be said. */
    uint64_t (*octets)(const void *connection);
    /* Why the last call failed: English, NUL-ended, alive until the next call. */
    const char *(*why)(const void *connection);
    /* A new connection, as the client; `target`, and what it points to, is the caller's, and read in this call.  As
     * `begin`.  NULL: this context is a server's.  One of both there is. */
    int32_t (*connect)(void *context, const mailsrv_tls_target *target, void **connection);
} mailsrv_tls_provider;

/* A provider with its certificates and keys: counted, immutable, shared by profiles, engines and threads. */
typedef struct mailsrv_tls mailsrv_tls;

/* For providers: makes one, with a reference for the caller.  `provider` is not copied, and lives for ever; `context`
 * is freed with the last reference.  `allocator` NULL: malloc.  MAILSRV_OK, MAILSRV_NOMEM, or MAILSRV_E_USAGE; unless it
 * is MAILSRV_OK the context stays the caller's. */
MAILSRV_API int32_t mailsrv_tls_new(const mailsrv_allocator *allocator, const mailsrv_tls_provider *provider,
                                    void *context, mailsrv_tls **out);

/* The context, for the provider that made it; NULL for any other.  It lives as long as `tls`. */
MAILSRV_API void *mailsrv_tls_context(const mailsrv_tls *tls, const mailsrv_tls_provider *provider);

/* Gives a reference back.  NULL is fine.  Any thread. */
MAILSRV_API void mailsrv_tls_unref(mailsrv_tls *tls);

/* ---- What the providers that ship are made of: mailsrv_openssl_new, mailsrv_mbedtls_new ---- */

/* A certificate with its key. */
typedef struct mailsrv_certificate {
    uint32_t size;
    uint32_t reserved;
    mailsrv_bytes chain; /* PEM: our own first, then those that vouch for it */
    mailsrv_bytes key;   /* PEM, not encrypted */
} mailsrv_certificate;

#define MAILSRV_TLS_NO_TICKETS 1u /* clients cannot resume sessions */

/* All of it is read before the call returns. */
typedef struct mailsrv_tls_setup {
    uint32_t size;
    uint32_t flags;                          /* MAILSRV_TLS_... */
    const mailsrv_certificate *certificates; /* the first is used where no other has the name that is asked for; two
                                              * for one name may differ in their kind of key, RSA and ECDSA */
    uint32_t n_certificates;                 /* 1 or more */
    uint32_t certificate_stride;             /* sizeof(mailsrv_certificate) */
    mailsrv_bytes client_roots; /* PEM: who vouches for certificates of clients; empty: none is asked for.  An unknown
                                 * certificate, or none, never ends a handshake: it gives no identity */
    const mailsrv_tls *tickets_of; /* of the same provider: tickets that it gave are taken here, and its keys used on;
                                    * NULL: new keys */
    uint32_t ticket_s;             /* how long a ticket can be used, in seconds: 0: 1 day; at most 7 days */
    uint32_t reserved;
} mailsrv_tls_setup;

/* The same for clients: mailsrv_openssl_client_new, mailsrv_mbedtls_client_new.  All of it is read before they return. */
typedef struct mailsrv_tls_client_setup {
    uint32_t size;
    uint32_t reserved;
    mailsrv_bytes roots; /* PEM: who vouches for servers; empty: nobody, and nothing can be verified */
    const mailsrv_certificate *certificate; /* our own, where a server asks for one; NULL: none */
} mailsrv_tls_client_setup;

/* ---- Profiles and sessions ---- */

/* Who does TLS for the sessions of this profile: `tls`, of which it takes a reference of its own; NULL: the host, if
 * MAILSRV_PROFILE_TLS wants any.  A client's profile (MAILSRV_FACE_CLIENT) with a server's context cannot be sealed, and
 * the other way round.  MAILSRV_OK, or MAILSRV_E_USAGE after the seal. */
MAILSRV_API int32_t mailsrv_profile_set_tls(mailsrv_profile *profile, mailsrv_tls *tls);

/* Whom the handshake that is wanted (MAILSRV_WANT_TLS_CLIENT) must be with: fills in as much as target->size reaches, at
 * least 8 octets.  What it points to lives until the handshake is done, or the session freed.  MAILSRV_OK; MAILSRV_E_USAGE:
 * none is wanted now. */
MAILSRV_API int32_t mailsrv_session_tls_target(const mailsrv_session *session, mailsrv_tls_target *target);

/* The host has done the handshake: wanted by MAILSRV_WANT_TLS_SERVER or _CLIENT; as a client it says in info->verified
 * whose certificate it was, and a session that must know (mailsrv_session_tls_target) ends without.  `info` is copied as
 * far as its size reaches, at most 4 KiB of bytes; what the host leaves out is not known.  MAILSRV_OK;
 * MAILSRV_NOMEM: the session has ended; MAILSRV_E_USAGE: this is not wanted now. */
MAILSRV_API int32_t mailsrv_session_tls_started(mailsrv_session *session, const mailsrv_tls_info *info);

/* It failed: the session ends.  `text` says why, for the log; at most 120 octets are kept.  Results as above. */
MAILSRV_API int32_t mailsrv_session_tls_failed(mailsrv_session *session, const char *text, size_t n);

/* What is known of the TLS that this session is under: fills in as much as info->size reaches, at least 8 octets.  The
 * bytes live until the session is freed.  MAILSRV_OK; MAILSRV_E_USAGE: it is not under TLS. */
MAILSRV_API int32_t mailsrv_session_tls(const mailsrv_session *session, mailsrv_tls_info *info);

#ifdef __cplusplus
}
#endif

#endif
