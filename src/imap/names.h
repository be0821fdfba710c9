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

#endif
