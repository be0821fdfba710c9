/* A maildrop as one session sees it (RFC 1939 section 5): the messages that were there at login, numbered from 1, with
 * their sizes, and which of them are marked as deleted.
 *
 * Rows stand in pieces, so that no allocation is large and a row never moves far.
 */
#ifndef POP3_DROP_H
#define POP3_DROP_H

#include "core/machine.h"

enum { DROP_PIECE_ROWS = 4096 };

struct drop_row {
    uint64_t octets;
    uint32_t uid;
    uint32_t marked; /* 1: DELE */
};

struct drop {
    struct drop_row **pieces;
    uint32_t pieces_room;
    uint32_t last_room; /* rows that the last piece has room for; all others are full */
    uint32_t n;         /* messages */
    uint32_t n_marked;
    uint64_t octets; /* of all messages */
    uint64_t octets_marked;
    uint64_t expected; /* messages, as far as was known at the start: the first pieces are made for them */
};

/* Adds the next message.  MAILSRV_OK, MAILSRV_NOMEM, MAILSRV_LIMIT, or MAILSRV_CORRUPT: UIDs do not ascend. */
int32_t mailsrv__drop_add(mailsrv_session *session, struct drop *drop, uint32_t uid, uint64_t octets);

/* The message with index `i`: its number less 1. */
struct drop_row *mailsrv__drop_at(const struct drop *drop, uint32_t i);

void mailsrv__drop_mark(struct drop *drop, struct drop_row *row);

/* Empties it. */
void mailsrv__drop_fini(mailsrv_session *session, struct drop *drop);

/* What is left to the peer. */
static inline uint32_t mailsrv__drop_messages(const struct drop *drop)
{
    return drop->n - drop->n_marked;
}

static inline uint64_t mailsrv__drop_octets(const struct drop *drop)
{
    return drop->octets - drop->octets_marked;
}

#endif
