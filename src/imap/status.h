/* What STATUS says of mailboxes: for the command itself, and for LIST with RETURN (STATUS ...) (RFC 5819). */
#ifndef IMAP_STATUS_H
#define IMAP_STATUS_H

#include "imap/imap.h"

/* Mailboxes that are asked for, and where the answer stands. */
struct statuses {
    uint32_t items;     /* a bit for each row of the table of items */
    struct writer due;  /* the names that are still to be told, each with "\n" behind it: no name has one in it */
    size_t at;          /* of `due` */
    step_fn *then;      /* when all of them are */
    bool failed;        /* one of them could not be told; what it is told as is in `reply` */
    struct reply reply;
    struct handle mbox; /* of the one whose \Recent messages are being counted */
    mailsrv_mbox_status found[ASKED_MAX]; /* of the names from `at` on; its size is 0: it failed */
    uint32_t n_found, shown;
    uint64_t recent;    /* counted so far */
    mailsrv_cursor cursor;
};

/* "(" status-att *(SP status-att) ")"   RFC 3501 section 9 */
bool mailsrv__imap_parse_status_items(struct imap *p, struct reader *r, uint32_t *items);

/* Tells of all that are due, in slices, and goes on with `then`. */
enum step mailsrv__imap_status_tell(struct imap *p, struct statuses *s, step_fn *then);

#endif
