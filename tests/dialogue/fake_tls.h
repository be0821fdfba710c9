/* A TLS that is none: records with a number and a sum, a handshake of two flights on each side, one larger than the room
 * for it, and a close_notify; as the server, or as the client.  It shows what the layer in the library does with a provider, and fails wherever it is told to.
 *
 *   record = type, two octets of length, the octets XOR a number that grows with each record, their sum
 */
#ifndef DIALOGUE_FAKE_TLS_H
#define DIALOGUE_FAKE_TLS_H

#include "text.h"

#include <mailsrv/tls.h>

enum { FAKE_RECORD_MAX = 16384, FAKE_FLIGHTS = 2, FAKE_FLIGHT_OCTETS = 5000 };
enum { FAKE_ALERT = 0x15, FAKE_HANDSHAKE = 0x16, FAKE_DATA = 0x17 };

/* Reads records. */
struct fake_reader {
    size_t have, octets; /* of the record: what there is, and the length that it says */
    uint8_t type, number, sum;
    uint8_t body[FAKE_RECORD_MAX];
};

struct fake_server {
    struct fake_reader in;
    uint8_t number;         /* of the next record */
    bool is_client;         /* it was made by `connect` */
    unsigned flights;       /* of the client, that have come, or that he has sent */
    size_t flight_left;     /* of the server's that runs */
    size_t plain_at, plain; /* of in.body: what was not handed out */
    bool is_open;
    const char *why;
};

/* The context of a provider with one connection, which lives in here. */
struct fake {
    struct fake_server server;
    unsigned begun, ended, calls;
    unsigned fails_at; /* the n-th call fails, from 1; 0: none */
    unsigned running;  /* calls at this moment: never two */
    bool threads;      /* a handshake may be a job */
    bool verifies;     /* as a client: the certificate is one that can be verified */
    bool ignores;      /* and one that cannot is taken even where that is wanted */
    uint32_t verify;   /* what `connect` was told */
    char name[64];
    bool freed;        /* the context */
    const char *fault; /* what the library did wrong; NULL: nothing */
};

/* By what a certificate is the right one, where that is wanted: as it is where it can be verified by anything. */
uint32_t fake_verified(bool verifies, uint32_t wanted);

/* The provider of a context. */
int32_t fake_new(struct fake *fake, const mailsrv_allocator *allocator, mailsrv_tls **out);

/* The other side. */
struct fake_client {
    struct fake_reader in;
    uint8_t number;
    unsigned flights;
    size_t flight_got;
    bool is_active, is_open;
    bool is_server;    /* the session is the client */
    bool is_closed;    /* the server has said that it will send no more */
    bool alerted;      /* it has said that something is wrong */
    const char *fault; /* what came was no record */
};

/* Begins the handshake; what is to be sent is added to `wire`. */
void fake_client_begin(struct fake_client *client, struct buffer *wire);
void fake_client_seal(struct fake_client *client, const void *p, size_t n, struct buffer *wire);
void fake_client_close(struct fake_client *client, struct buffer *wire);

/* Takes what the server sent: plaintext is added to `plain`. */
void fake_client_take(struct fake_client *client, const void *p, size_t n, struct buffer *plain, struct buffer *wire);

#endif
