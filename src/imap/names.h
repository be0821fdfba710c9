/* Names of mailboxes, as op.h has them: UTF-8, levels between "/", INBOX in any case. */
#ifndef IMAP_NAMES_H
#define IMAP_NAMES_H

#include "text/writer.h"

#include <mailsrv/op.h>

enum {
    NAME_OCTETS = MAILSRV_MBOX_NAME_MAX,
    PATTERN_OCTETS = 512 /* of a pattern, its reference included */
};

/* Reads a name as the peer sends it.  "INBOX" as the first level becomes upper case.  False: it is none. */
bool mailsrv__name_read(struct span sent, struct writer *name);

/* Reads a pattern of LIST: `reference` and `sent`, put together (RFC 9051 section 6.3.9).  False: it is none. */
bool mailsrv__pattern_read(struct span reference, struct span sent, struct writer *pattern);

/* "*" is any octets, "%" any but "/".  The only matcher there is. */
bool mailsrv__name_matches(struct span pattern, struct span name);

/* The special uses of mailboxes (RFC 6154 section 2). */
enum { USES = 7 };
struct use {
    struct span name;
    uint32_t bit; /* MAILSRV_NAME_... */
};
extern const struct use mailsrv__uses[USES];

#endif
