/* A provider of TLS with its certificates, counted: for the files of core/ alone. */
#ifndef CORE_PROVIDER_H
#define CORE_PROVIDER_H

#include <mailsrv/tls.h>

struct mailsrv_tls {
    mailsrv_allocator from;
    const mailsrv_tls_provider *provider;
    void *context;
    uint32_t references; /* atomic */
};

mailsrv_tls *mailsrv__tls_ref(mailsrv_tls *tls); /* NULL is fine */

#endif
