/* What a server has published of its TLS (RFC 7672), where it is known that it was the server who did. */
#ifndef SMTP_DANE_H
#define SMTP_DANE_H

#include <mailsrv/tls.h>

enum { DANE_NAMES_MAX = 3 };

/* It commits itself to TLS, with a certificate that one of the records is of. */
struct dane {
    mailsrv_bytes names[DANE_NAMES_MAX]; /* that it may be for, by a record of who issued it: the server's first */
    uint32_t n_names;                    /* 1 or more */
    uint32_t n;                          /* records that can be used; 0: none, and any certificate will do */
    const mailsrv_tlsa *records;
};

#endif
