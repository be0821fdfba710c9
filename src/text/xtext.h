/* xtext: octets in a parameter of SMTP, and the two of DSN that are made of it (RFC 3461 section 4). */
#ifndef TEXT_XTEXT_H
#define TEXT_XTEXT_H

#include "base/span.h"

/* Is it xtext, not empty, whose encoded octets are of `least` to `most`? */
bool mailsrv__is_xtext(struct span text, int least, int most);

/* Is it what ENVID may say: xtext, 100 octets at most (section 4.4)? */
bool mailsrv__is_envelope_id(struct span text);

/* Is it what ORCPT may say: type;address in xtext, 500 octets at most (section 4.2)? */
bool mailsrv__is_original(struct span text);

#endif
