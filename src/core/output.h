/* What waits to be sent: a queue of slices that stay where they are until they were sent.
 *
 * Replies are copied into small chunks; bytes that a store lent are referred to.  Nothing here knows a protocol.
 */
#ifndef CORE_OUTPUT_H
#define CORE_OUTPUT_H

#include "base/heap.h"
#include "base/list.h"
#include "base/span.h"

#include <stdbool.h>

/* Lent bytes, counted by the slices that refer to them; its release is called when the last was sent. */
struct lent {
    void (*release)(void *user);
    void *user;
    struct op *op; /* the record whose copied bytes these are, or NULL */
    uint32_t refs;
};

/* A piece of output.  Text stands just behind the struct. */
struct slice {
    struct node node;
    const char *p;
    size_t n, sent;
    size_t room;       /* of text; 0: lent */
    struct lent *lent; /* or NULL */
    bool secret;       /* wiped when it was sent */
};

struct output {
    struct node slices;    /* what was said */
    struct node records;   /* what is sent before: ciphertext, and what was said before TLS began */
    uint64_t octets;       /* that the host may send, parting included */
    uint64_t plain;        /* the same that must be encrypted before */
    bool veiled;           /* the host sees the records alone: core/tls.h */
    struct slice *spare;   /* reserved room, not in the queue yet */
    const char *parting;   /* a static last word, after all slices; NULL: none */
    bool in_line; /* what was said last does not end a line */
    size_t parting_n;
};

struct mailsrv_session;

/* Adds lent bytes [p, p + n) of `lent` to the output; short runs are copied instead.  False: no memory; nothing was
 * added. */
bool mailsrv__say_lent(struct mailsrv_session *session, struct lent *lent, struct span bytes);

/* Gives up the machine's own reference. */
void mailsrv__lent_drop(struct lent *lent);

/* Octets that wait to be sent, those that must be encrypted first included. */
uint64_t mailsrv__unsent(const struct mailsrv_session *session);

/* Does more output fit into the window? */
bool mailsrv__window_open(const struct mailsrv_session *session);

#endif
