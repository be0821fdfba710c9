#include "tls/common/io.h"

#include <string.h>

void mailsrv__tls_io_begin(mailsrv_tls_io *io)
{
    io->taken = io->plain_made = io->room_made = 0;
    io->more = 0;
}

size_t mailsrv__tls_io_read(mailsrv_tls_io *io, void *p, size_t n)
{
    size_t left = io->in_octets - io->taken;
    n = n < left ? n : left;
    if (n == 0)
        return 0;
    memcpy(p, io->in + io->taken, n);
    io->taken += n;
    return n;
}

size_t mailsrv__tls_io_write(mailsrv_tls_io *io, const void *p, size_t n)
{
    size_t left = io->room_octets - io->room_made;
    n = n < left ? n : left;
    if (n == 0) {
        io->more = 1;
        return 0;
    }
    memcpy(io->room + io->room_made, p, n);
    io->room_made += n;
    return n;
}

/* A record's header, IV, padding and tag; and what waits before it: an alert, or what TLS 1.3 says of itself
 * (KeyUpdate). */
enum { RECORD_OCTETS = 16384, BESIDE_OCTETS = 96, BEFORE_OCTETS = 32 };

size_t mailsrv__tls_expansion(const void *connection, size_t octets)
{
    (void)connection;
    return BEFORE_OCTETS + BESIDE_OCTETS * (octets / RECORD_OCTETS + 1);
}

void mailsrv__tls_info_copy(mailsrv_tls_info *out, const mailsrv_tls_info *from)
{
    uint32_t size = out->size;
    memcpy(out, from, size < sizeof *from ? size : sizeof *from);
    out->size = size;
}

mailsrv_bytes mailsrv__tls_text(const char *text)
{
    return text == NULL ? (mailsrv_bytes){ NULL, 0 } : (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}
