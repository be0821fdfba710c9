#include "core/provider.h"

#include "base/heap.h"

#include <string.h>

/* What every provider has. */
static bool is_whole(const mailsrv_tls_provider *p)
{
    return p != NULL && p->size >= sizeof *p && p->context_free != NULL &&
           (p->begin != NULL || p->connect != NULL) && p->end != NULL && p->handshake != NULL && p->decrypt != NULL &&
           p->encrypt != NULL && p->close != NULL && p->expansion != NULL && p->info != NULL && p->octets != NULL &&
           p->why != NULL;
}

int32_t mailsrv_tls_new(const mailsrv_allocator *allocator, const mailsrv_tls_provider *provider, void *context,
                        mailsrv_tls **out)
{
    const mailsrv_allocator *from = allocator == NULL ? mailsrv__malloc() : allocator;
    if (out == NULL || !is_whole(provider) || from->size < sizeof *from || from->alloc == NULL || from->release == NULL)
        return MAILSRV_E_USAGE;
    mailsrv_tls *tls = from->alloc(from->user, sizeof *tls);
    if (tls == NULL)
        return MAILSRV_NOMEM;
    *tls = (mailsrv_tls){ .from = *from, .provider = provider, .context = context, .references = 1 };
    *out = tls;
    return MAILSRV_OK;
}

void *mailsrv_tls_context(const mailsrv_tls *tls, const mailsrv_tls_provider *provider)
{
    return tls != NULL && tls->provider == provider ? tls->context : NULL;
}

mailsrv_tls *mailsrv__tls_ref(mailsrv_tls *tls)
{
    if (tls != NULL)
        __atomic_add_fetch(&tls->references, 1, __ATOMIC_RELAXED);
    return tls;
}

void mailsrv_tls_unref(mailsrv_tls *tls)
{
    if (tls == NULL || __atomic_sub_fetch(&tls->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    tls->provider->context_free(tls->context);
    mailsrv_allocator from = tls->from;
    from.release(from.user, tls, sizeof *tls);
}
