/* TLS for a host: a certificate and its key, in one file. */
#ifndef TLS_FILE_H
#define TLS_FILE_H

#include <mailsrv/tls.h>

/* By DIRECTORY/tls.pem; NULL: it is not there, or no provider of TLS is.  A file that cannot be used ends the
 * program. */
mailsrv_tls *tls_file(const char *directory);

#endif
