/* What the queue keeps beside a body: for whom it is, from whom, and what happened so far.  One item is one recipient.
 *
 * Version 2, little-endian, unpadded:
 *
 *     octet 0        version: 2
 *     octet 1        fate: QUEUE_RETRY, QUEUE_BOUNCE or QUEUE_SUCCESS
 *     octets 2, 3    reply code of the last try, 0: there was none
 *     octets 4, 5    flags: QUEUE_FLAG_...
 *     octets 6 to 9  tries
 *     octets 10, 18  arrived_us, tried_us (8 octets each)
 *     then eight times a number of octets (2 octets) and so many octets: message, reverse-path, recipient, reply text,
 *     envelope id, original recipient, host, route
 *
 * What follows belongs to later writers, is not looked at, and is kept.
 */
#ifndef TEXT_QUEUE_RECORD_H
#define TEXT_QUEUE_RECORD_H

#include "text/writer.h"

enum { QUEUE_RECORD_VERSION = 2, QUEUE_RECORD_FIXED = 26, QUEUE_RECORD_FIELDS = 8 };

enum queue_fate {
    QUEUE_RETRY = 1, /* to be delivered */
    QUEUE_BOUNCE = 2, /* cannot be delivered, and the sender is owed a notice */
    QUEUE_SUCCESS = 3 /* was delivered here, and the sender, who asked for it, is owed a notice; with FORWARDED: sent on
                       * to several addresses.  Nothing is to be sent but the notice */
};

enum {
    QUEUE_FLAG_8BIT = 1 << 0, /* it has octets above 127, or said BODY=8BITMIME */
    QUEUE_FLAG_UTF8 = 1 << 1, /* its header or envelope needs SMTPUTF8 */
    QUEUE_FLAG_HELD = 1 << 2,
    QUEUE_FLAG_DELAYED = 1 << 3, /* the sender was told that it waits */
    /* RFC 3461; none of NOTIFY: nothing was said */
    QUEUE_FLAG_NOTIFY_NEVER = 1 << 4,
    QUEUE_FLAG_NOTIFY_SUCCESS = 1 << 5,
    QUEUE_FLAG_NOTIFY_FAILURE = 1 << 6,
    QUEUE_FLAG_NOTIFY_DELAY = 1 << 7,
    QUEUE_FLAG_RET_FULL = 1 << 8,
    QUEUE_FLAG_RET_HDRS = 1 << 9,
    QUEUE_FLAG_FORWARDED = 1 << 10, /* ours forwards it: the recipient is not the one that the sender named */
    QUEUE_FLAG_NOTICE = 1 << 11,    /* it is a notice of the queue's own */
    QUEUE_FLAG_LOCAL = 1 << 12 /* the recipient is ours: a mailbox did not take it for now */
};

struct queue_record {
    enum queue_fate fate;
    uint16_t code;
    uint16_t flags;
    uint32_t tries;
    int64_t arrived_us, tried_us; /* microseconds since 1970; 0: not known, never */
    struct span message; /* the same for items that have the same octets and came in one transaction: they may be sent
                               * in one; empty: by itself.  At most 64 octets */
    struct span reverse_path; /* without <>; empty: the null reverse-path, to which no notice is ever owed */
    struct span recipient;    /* without <> */
    struct span text;         /* of the reply, with its enhanced status code, at most 512 octets */
    struct span envelope_id;  /* RFC 3461 section 4.4, in xtext, as it came; empty: none */
    struct span original;     /* RFC 3461 section 4.2: type;address in xtext, as it came; empty: none */
    struct span host;         /* that said `text`; empty: we did */
    struct span route;        /* that an operator gave it; empty: none */
};

/* The octets that writing takes. */
size_t mailsrv__queue_record_octets(const struct queue_record *record);

/* Each field is at most 65,535 octets. */
void mailsrv__queue_record_write(struct writer *w, const struct queue_record *record);

/* The spans point into `octets`.  False: it is no record of a version that is known here. */
bool mailsrv__queue_record_read(struct span octets, struct queue_record *out);

#endif
