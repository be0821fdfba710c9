/* What the queue keeps beside a body: for whom it is, from whom, and what happened so far.
 *
 * Version 1, little-endian, unpadded:
 *
 *     octet 0      version: 1
 *     octet 1      fate: QUEUE_RETRY or QUEUE_BOUNCE
 *     octets 2, 3  reply code of the last try, 0: none was made
 *     then three times a number of octets (2 octets) and so many octets: reverse-path, recipient, reply text
 *
 * What follows belongs to later writers and is not looked at.
 */
#ifndef TEXT_QUEUE_RECORD_H
#define TEXT_QUEUE_RECORD_H

#include "text/writer.h"

enum { QUEUE_RECORD_VERSION = 1 };

enum queue_fate {
    QUEUE_RETRY = 1, /* to be delivered */
    QUEUE_BOUNCE = 2 /* cannot be delivered, and the sender is owed a notice */
};

struct queue_record {
    enum queue_fate fate;
    uint16_t code;
    struct span reverse_path; /* without <>; empty: the null reverse-path, to which no notice is ever owed */
    struct span recipient;    /* without <> */
    struct span text;         /* of the reply, with its enhanced status code, at most 512 octets */
};

/* The octets that writing takes at most. */
#define QUEUE_RECORD_OCTETS(path_n, recipient_n, text_n) (10 + (path_n) + (recipient_n) + (text_n))

/* Each field is at most 65,535 octets. */
void mailsrv__queue_record_write(struct writer *w, const struct queue_record *record);

/* The spans point into `octets`.  False: it is no record of a version that is known here. */
bool mailsrv__queue_record_read(struct span octets, struct queue_record *out);

#endif
