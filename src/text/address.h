/* Paths of SMTP: <local-part@domain> as MAIL and RCPT carry them (RFC 5321 section 4.1.2), with the UTF-8 of RFC 6531
 * section 3.3. */
#ifndef TEXT_ADDRESS_H
#define TEXT_ADDRESS_H

#include "base/span.h"

#include <stdbool.h>

/* RFC 5321 section 4.5.3.1.  The path's 256 count the brackets. */
enum { LOCAL_PART_OCTETS_MAX = 64, DOMAIN_OCTETS_MAX = 255, MAILBOX_OCTETS_MAX = 254 };

struct address {
    struct span mailbox;               /* as it was sent, without brackets and source route; empty: the null path <> */
    struct span domain;                /* as it was sent, a literal with its []; empty: <> or <postmaster> */
    char local[LOCAL_PART_OCTETS_MAX]; /* unquoted: all quoted forms of a name are one name */
    size_t local_n;
    bool utf8; /* something in it is not ASCII: it may stand where SMTPUTF8 was said, and nowhere else */
};

enum path { PATH_OK, PATH_BAD, PATH_TOO_LONG };

/* Takes a path from the front of `*text`, which is what follows it afterwards.  A source route is checked and left out
 * (RFC 5321 appendix C).  The spans of `*out` point into the text. */
enum path mailsrv__path_take(struct span *text, struct address *out);

/* Takes a Mailbox apart that stands alone; "postmaster" without a domain is one, too. */
enum path mailsrv__mailbox_read(struct span text, struct address *out);

/* The local part up to the first `delimiter` that has something before it, and what stands behind it (RFC 5233 section
 * 4).  `delimiter` 0, or none there: all of it, and nothing. */
struct local_part {
    struct span user, detail;
};
struct local_part mailsrv__local_part_split(struct span local, char delimiter);

/* Domain = sub-domain *("." sub-domain) */
bool mailsrv__is_domain(struct span text);

/* address-literal, with its brackets; the tag in any case (RFC 5321 section 4.1.3). */
bool mailsrv__is_address_literal(struct span text);

#endif
