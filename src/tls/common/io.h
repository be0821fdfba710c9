/* One call of a provider: what the library reads meanwhile is what the session feeds, what it writes goes into room
 * that the session lends. */
#ifndef TLS_COMMON_IO_H
#define TLS_COMMON_IO_H

#include <mailsrv/tls.h>

void mailsrv__tls_io_begin(mailsrv_tls_io *io);

/* At most `n` octets of what came in; how many, 0: there are no more. */
size_t mailsrv__tls_io_read(mailsrv_tls_io *io, void *p, size_t n);

/* At most `n` octets into the room; how many, 0: it is full, and another one is asked for. */
size_t mailsrv__tls_io_write(mailsrv_tls_io *io, const void *p, size_t n);

/* mailsrv_tls_provider.expansion, of both. */
size_t mailsrv__tls_expansion(const void *connection, size_t octets);

/* mailsrv_tls_provider.info: as much as there is room for. */
void mailsrv__tls_info_copy(mailsrv_tls_info *out, const mailsrv_tls_info *from);

/* NULL is empty. */
mailsrv_bytes mailsrv__tls_text(const char *text);

#endif
