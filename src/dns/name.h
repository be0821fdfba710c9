/* Names of DNS: on the wire (RFC 1035 sections 3.1, 4.1.4) and as text, which is their labels joined by dots, without
 * one at the end; the root is empty.  A label may hold any octet but a dot: such a name has no text of its own,
 * and is refused. */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include "text/writer.h"

/* RFC 1035 section 2.3.4; the text has no octet for the first length and for the root. */
enum { DNS_LABEL_OCTETS_MAX = 63, DNS_NAME_OCTETS_MAX = 255, DNS_TEXT_OCTETS_MAX = 253, DNS_HEADER_OCTETS = 12 };

struct dns_name {
    uint8_t n;
    char text[DNS_TEXT_OCTETS_MAX];
};

static inline struct span mailsrv__dns_text(const struct dns_name *name)
{
    return (struct span){ name->text, name->n };
}

/* Reads the name at `*at`, which is behind it afterwards.  False: there is none. */
bool mailsrv__dns_name_read(struct span message, size_t *at, struct dns_name *out);

/* Writes a name, not compressed.  False: the text is none, and nothing was written. */
bool mailsrv__dns_name_write(struct writer *w, struct span text);

#endif
