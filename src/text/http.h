/* Requests of HTTP, which come to ports of mail too: from browsers and servers that were led astray, with lines behind
 * them that somebody else wrote. */
#ifndef TEXT_HTTP_H
#define TEXT_HTTP_H

#include "base/span.h"

/* Is this word a method, in any case (RFC 9110 section 9, RFC 9113 section 3.4)? */
bool mailsrv__is_http_method(struct span word);

/* request-line = method SP request-target SP HTTP-version   (RFC 9112 section 3), with its CRLF.
 * For a protocol in which the first word of a line is the peer's to choose. */
bool mailsrv__is_http_request(struct span line);

#endif
