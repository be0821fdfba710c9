/* A session of SMTP under a real provider, and a client of OpenSSL's in the same thread, with memory between them. */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include "identity.h"

#include <mailsrv/mailsrv.h>
#include <openssl/ssl.h>
#include <stdbool.h>

/* The provider that this program is built for. */
#ifdef TLS_OPENSSL
#include <mailsrv/openssl.h>
#define provider_new mailsrv_openssl_new
#define provider_crypto mailsrv_openssl_crypto
#define PROVIDER_HAS_TLS_1_3 true
#define PROVIDER_HAS_KEY_UPDATE true
#else
#include <mailsrv/mbedtls.h>
#include <mbedtls/version.h>
#define PROVIDER_HAS_TLS_1_3 (MBEDTLS_VERSION_NUMBER >= 0x03000000)
#define PROVIDER_HAS_KEY_UPDATE false
#define provider_new mailsrv_mbedtls_new
#define provider_crypto mailsrv_mbedtls_crypto
#endif

enum { SAID_MAX = 1 << 20 };

struct place {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    mailsrv_tls *tls;
    int64_t now_us;
};

struct peer {
    struct place *place;
    mailsrv_session *session; /* NULL: it was freed */
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *to_us, *to_him; /* ciphertext: of the session, of the client */
    char said[4096];     /* plaintext of the server, NUL-ended */
    size_t n_said;
    size_t in_pieces; /* ciphertext is fed in pieces of so many octets; 0: as it comes */
    uint64_t octets_out;
    bool shakes; /* the client has begun */
    bool is_cut; /* the session has ended */
};

/* An engine with a profile under TLS: `mode` is of MAILSRV_PROFILE_TLS.  JOB is pulled if `jobs`. */
void place_begin(struct place *place, const mailsrv_tls_setup *setup, uint64_t mode, bool jobs);
void place_end(struct place *place);

/* Another profile with the provider that `setup` makes. */
mailsrv_profile *place_profile(const mailsrv_tls_setup *setup, uint64_t mode, mailsrv_tls **tls);

/* A session and its client, who has not begun. */
void peer_begin(struct peer *peer, struct place *place, mailsrv_profile *profile);
void peer_end(struct peer *peer);

/* Moves octets both ways until nothing moves. */
void peer_pump(struct peer *peer);

/* Does the jobs that wait; how many there were. */
unsigned place_jobs(struct place *place);

/* The client does its handshake.  True: it succeeded. */
bool peer_shake(struct peer *peer, const char *name);

/* Sends a text under TLS, and waits for what comes back. */
void peer_say(struct peer *peer, const char *text);

/* The same in the clear. */
void peer_say_clear(struct peer *peer, const char *text);

/* The text of the next event of that kind; NULL: there is none. */
const char *place_event(struct place *place, int32_t what);

#endif
