/* Fields of a header that lies in memory (RFC 5322 section 2.2). */
#ifndef MESSAGE_HEADER_H
#define MESSAGE_HEADER_H

#include "text/writer.h"

struct header_field {
    struct span name;  /* without the blanks before its colon */
    struct span value; /* behind the colon, as it stands there, without its last line end */
    struct span all;   /* with everything, line ends included */
};

/* Takes the next field from the front of `*header`.  A line ends at LF.  A line without a colon is a field that has no
 * value (p NULL).  False: the header has ended, and `*header` is what follows the empty line. */
bool mailsrv__header_next(struct span *header, struct header_field *out);

/* A value without its line ends, and without blanks at both ends (RFC 5322 section 2.2.3).  What there is no room for
 * is left out. */
void mailsrv__unfold(struct span value, struct writer *out);

/* How many octets of `text` stand before the end of the header: behind the empty line, which belongs to it. */
size_t mailsrv__header_octets(struct span text);

#endif
