/* Modified UTF-7, in which IMAP4rev1 writes the names of mailboxes (RFC 3501 section 5.1.3). */
#ifndef TEXT_MUTF7_H
#define TEXT_MUTF7_H

#include "text/writer.h"

/* So many octets at most come of each octet of UTF-8. */
enum { MUTF7_GROWTH = 3 };

/* Writes `text`, which is modified UTF-7, as UTF-8.  False: it is not, or is not written as it must be: each text has
 * one form. */
bool mailsrv__mutf7_read(struct span text, struct writer *utf8);

/* The other way round.  What is no UTF-8 becomes U+FFFD. */
void mailsrv__mutf7_write(struct writer *w, struct span utf8);

#endif
