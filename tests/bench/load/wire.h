/* One connection, which never blocks: what is said is kept until it is sent, what comes is handed on as it comes.
 *
 * All wires of a loop belong to one thread.  `got` is given what was read, in a room that all wires share; nothing of
 * it is kept.  A callback may close its wire; who then opens it again does so outside of callbacks. */
#ifndef LOAD_WIRE_H
#define LOAD_WIRE_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire;

struct wire_events {
    void (*secured)(struct wire *wire); /* TLS that was begun by wire_secure() stands */
    void (*got)(struct wire *wire, const char *p, size_t n);
    void (*lost)(struct wire *wire, const char *why); /* the wire is closed already */
};

/* Octets that are to be sent: lent, or (p is NULL) of the wire's own text. */
struct wire_piece {
    const char *p;
    size_t at, n;
};

enum { WIRE_PIECES = 8 };

struct wire {
    const struct wire_events *events;
    int poll, fd;    /* fd is -1: closed */
    uint32_t opened; /* how often */
    uint32_t watched;
    SSL *ssl;
    bool connecting, shaking, tells_secured;
    uint8_t n_pieces;
    struct wire_piece pieces[WIRE_PIECES];
    char *text;
    size_t text_n, text_room;
};

struct wire_place {
    struct sockaddr_in at;
    uint32_t source; /* the last octet of the loopback address that it comes from; 0: any */
    SSL_CTX *ssl;    /* NULL: TLS does not begin at once */
};

void wire_init(struct wire *wire, const struct wire_events *events, int poll);
void wire_open(struct wire *wire, const struct wire_place *place);
void wire_close(struct wire *wire);
void wire_fini(struct wire *wire);

void wire_secure(struct wire *wire, SSL_CTX *ctx);

/* Said is copied, lent must live until all of it was sent.  wire_flush() sends what the kernel takes at once. */
void wire_say(struct wire *wire, const char *p, size_t n);
void wire_lend(struct wire *wire, const char *p, size_t n);
void wire_flush(struct wire *wire);

/* Room for `n` octets of text, which the caller writes at once. */
char *wire_room(struct wire *wire, size_t n);

/* What epoll says of it. */
void wire_ready(struct wire *wire, uint32_t events);

/* A client's side of TLS; NULL: there is none, and why was told.  Certificates are not judged. */
SSL_CTX *wire_tls(const char *version, const char *group);

#endif
