/* Domains with characters beyond ASCII, as DNS knows them: in A-labels (RFC 5890 section 2.3.2.1), which are punycode
 * (RFC 3492) behind "xn--".
 *
 * Of what IDNA's mappings would do (RFC 5895, UTS #46) only letters lose their case, each for itself; nothing is
 * composed or made narrow, and no character is refused: a domain that is not written as it is registered is not found.
 */
#ifndef TEXT_ALABEL_H
#define TEXT_ALABEL_H

#include "text/writer.h"

enum { ALABEL_OCTETS_MAX = 63 };

/* Writes `domain`, labels with dots between them, with ASCII in lower case.  False: it is no UTF-8, or a label that
 * needs it gets longer than ALABEL_OCTETS_MAX; something may have been written. */
bool mailsrv__alabel_write(struct writer *w, struct span domain);

#endif
