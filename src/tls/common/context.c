#include "tls/common/context.h"

#include <stdlib.h>
#include <string.h>

enum { DAY_S = 24 * 60 * 60 };

static bool is_usable(const mailsrv_tls_setup *setup)
{
    return setup != NULL && setup->size >= sizeof *setup && setup->n_certificates != 0 && setup->certificates != NULL &&
           setup->certificate_stride >= sizeof(mailsrv_certificate) && setup->ticket_s <= 7 * DAY_S;
}

static const mailsrv_certificate *certificate_at(const mailsrv_tls_setup *setup, size_t i)
{
    return (const mailsrv_certificate *)(const void *)((const char *)setup->certificates +
                                                       i * setup->certificate_stride);
}

static int32_t refuse(mailsrv_error *why, int32_t key, const char *expected)
{
    mailsrv_error all = { .status = MAILSRV_E_VALUE, .key = key, .expected = expected };
    if (why == NULL)
        return MAILSRV_E_VALUE;
    all.size = why->size;
    memcpy(why, &all, why->size < sizeof all ? why->size : sizeof all);
    return MAILSRV_E_VALUE;
}

static bool set_tickets(const struct maker *m, void *context, const mailsrv_tls_setup *setup)
{
    if ((setup->flags & MAILSRV_TLS_NO_TICKETS) != 0)
        return true;
    const void *of = mailsrv_tls_context(setup->tickets_of, m->provider);
    return m->tickets(context, of, setup->ticket_s == 0 ? DAY_S : setup->ticket_s);
}

static int32_t fill(const struct maker *m, void *context, const mailsrv_tls_setup *setup, mailsrv_error *why)
{
    const char *expected = NULL;
    if (!m->begin(context, setup->n_certificates))
        return MAILSRV_NOMEM;
    for (uint32_t i = 0; i < setup->n_certificates; i++)
        if (!m->certificate(context, i, certificate_at(setup, i), &expected))
            return expected == NULL ? MAILSRV_NOMEM : refuse(why, (int32_t)i + 1, expected);
    if (setup->client_roots.n != 0 && !m->client_roots(context, &setup->client_roots))
        return refuse(why, 0, "roots for clients as PEM");
    return set_tickets(m, context, setup) ? MAILSRV_OK : MAILSRV_NOMEM;
}

int32_t mailsrv__tls_make(const struct maker *m, const mailsrv_tls_setup *setup, mailsrv_tls **out, mailsrv_error *why)
{
    if (!is_usable(setup) || out == NULL)
        return MAILSRV_E_USAGE;
    void *context = calloc(1, m->context_octets);
    if (context == NULL)
        return MAILSRV_NOMEM;
    int32_t status = fill(m, context, setup, why);
    if (status == MAILSRV_OK)
        status = mailsrv_tls_new(NULL, m->provider, context, out);
    if (status != MAILSRV_OK)
        m->provider->context_free(context);
    return status;
}
