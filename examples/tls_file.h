/* TLS for a host on loopback: a certificate and its key, in one file. */
#ifndef TLS_FILE_H
#define TLS_FILE_H

#include <mailsrv/tls.h>

/* Offers STARTTLS or STLS where DIRECTORY/tls.pem is there and a provider of TLS is; passwords are taken without it as
 * well, because nobody else listens on loopback.  A file that cannot be used ends the program. */
void tls_offer(mailsrv_profile *profile, const char *directory);

#endif
