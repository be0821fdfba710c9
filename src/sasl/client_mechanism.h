/* A mechanism as the client, and a login with one: for the files sasl/client*.c alone.
 *
 *   client.c        which mechanism, the login from its begin to its end
 *   client_plain.c  PLAIN, LOGIN, OAUTHBEARER, XOAUTH2: the secret itself is sent
 *   client_scram.c  SCRAM
 */
#ifndef SASL_CLIENT_MECHANISM_H
#define SASL_CLIENT_MECHANISM_H

#include "base/arena.h"
#include "sasl/client.h"
#include "text/writer.h"

enum {
    CLIENT_READABLE = 1 << 0,   /* the secret itself is sent */
    CLIENT_TOKEN = 1 << 1,      /* it is a token, not a password */
    CLIENT_BINDS = 1 << 2,      /* to the channel */
    CLIENT_CRYPTO = 1 << 3,     /* it needs hashes and random numbers */
    CLIENT_NO_IDENTITY = 1 << 4 /* it cannot ask to act as somebody else */
};

struct client_mechanism {
    struct span name;
    uint32_t bit;   /* MAILSRV_SASL_... */
    uint32_t flags; /* CLIENT_... */
    int32_t hash;   /* SCRAM: MAILSRV_HASH_... */
    size_t octets;  /* of client->own */
    /* Makes the initial response, unless there is none; results as mailsrv__sasl_client_new. */
    int32_t (*begin)(struct sasl_client *client);
    enum sasl_client_turn (*answer)(struct sasl_client *client, struct span challenge);
    enum sasl_client_turn (*go_on)(struct sasl_client *client); /* NULL: it never works */
};

extern const struct client_mechanism mailsrv__client_oauthbearer, mailsrv__client_xoauth2,
    mailsrv__client_scram_sha_256_plus, mailsrv__client_scram_sha_256, mailsrv__client_scram_sha_1_plus,
    mailsrv__client_scram_sha_1, mailsrv__client_plain, mailsrv__client_login;

struct sasl_client {
    mailsrv_session *session;
    const struct client_mechanism *mechanism;
    struct arena arena; /* all spans below are in it, or static */
    void *own;          /* the mechanism's, zeroed */
    uint32_t offered;   /* by the server */
    struct span user;
    struct span identity; /* empty: the user's own */
    struct span secret;   /* password or token */
    struct span response; /* in base64; the initial one, before the first challenge */
    const char *why;
    bool is_done;
};

/* A writer into the arena.  False: no memory. */
bool mailsrv__client_room(struct sasl_client *client, size_t octets, struct writer *out);

/* `message` becomes the response.  False: no memory. */
bool mailsrv__client_encode(struct sasl_client *client, struct span message);

/* The same as a turn; and the turn of a login that fails. */
enum sasl_client_turn mailsrv__client_says(struct sasl_client *client, struct span message);
enum sasl_client_turn mailsrv__client_fails(struct sasl_client *client, const char *why);

#endif
