/* Taps: readers of a body that streams past, on its way into the store.
 *
 * A profile carries them; a machine runs them over what it stages.  A tap sees the message as it is stored, without the
 * prefix of its targets, and gives facts at the end.  For them it may ask operations, in the session's step: all taps
 * of a body ask side by side, ASKED_MAX questions altogether; what is above that cannot be asked, as without memory.
 */
#ifndef CORE_TAP_H
#define CORE_TAP_H

#include "core/ask.h"

enum { TAPS_MAX = 8 };

/* What the taps found out about a message. */
struct facts {
    int32_t status;   /* MAILSRV_OK, or why it is refused: the first tap that refuses counts */
    struct span text; /* for the peer; static, or of the tap's state; empty: none */
    uint32_t traces;  /* Received fields that it came with */
    bool eight_bit;        /* it has octets above 127 */
    bool header_utf8;      /* its header has */
    uint32_t n_delivered;  /* Delivered-To fields that it came with */
    const uint64_t *delivered; /* what each of them hashes to: smtp/passing.c; the tap's until the body is done */
    struct span structure; /* the blob (message/structure.h), the tap's until the body is done; empty: none */
};

/* `state` is `octets` octets of zeros at `begin`, and the tap's until the body is done. */
struct tap {
    size_t octets; /* 1 or more */
    void (*begin)(void *state, mailsrv_session *session);
    void (*bytes)(void *state, struct span octets);
    /* The message is whole.  What is asked here (core/ask.h) is waited for. */
    void (*end)(void *state, mailsrv_session *session, struct facts *facts);
    /* All that `end` (or the last `answered`) asked is answered: from the answer number `first` on.  It may ask again.
     * NULL: this tap asks nothing. */
    void (*answered)(void *state, mailsrv_session *session, unsigned first, struct facts *facts);
    void (*fini)(void *state); /* gives back what the state holds; NULL: nothing */
    /* Has one of these header fields, which will stand before the message, a place in the structure?  That of an engine
     * alone is asked. */
    bool (*names)(struct span fields);
};

/* The one that makes the structure.  An engine runs it, beside those of the profile, once a ready-made store is bound
 * to it or a session reads from it: a program that only receives does not even link it. */
extern const struct tap mailsrv__structure_tap;

/* Adds a tap to a profile that is not sealed, for a machine's `defaults`.  False: there are TAPS_MAX. */
bool mailsrv__profile_tap(mailsrv_profile *profile, const struct tap *tap);

/* The taps of one body, with their states. */
struct taps;

/* NULL: no memory. */
struct taps *mailsrv__taps_begin(mailsrv_session *session);
void mailsrv__taps_bytes(struct taps *taps, struct span octets);

/* Ends the taps, or, called again, gives them their answers.  True: they asked; the machine stores its next step with
 * mailsrv__then_answers and calls this there.  False: the facts are complete. */
bool mailsrv__taps_end(mailsrv_session *session, struct taps *taps);

const struct facts *mailsrv__taps_facts(const struct taps *taps);

/* Header fields that will stand before the message: would its structure, which is of the body alone, hide one? */
bool mailsrv__structure_hides(const mailsrv_session *session, struct span fields);

/* NULL is fine. */
void mailsrv__taps_free(mailsrv_session *session, struct taps *taps);

#endif
