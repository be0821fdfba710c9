/* Requests of HTTP, which come to ports of mail too: from browsers and servers that were led astray, with lines behind
 * them that somebody else wrote. */
#ifndef TEXT_HTTP_H
#define TEXT_HTTP_H

#include "base/span.h"

/* Is this word a method, in any case (RFC 9110 section 9, RFC 9113 section 3.4)? */
bool mailsrv__is_http_method(struct span word);

#endif
