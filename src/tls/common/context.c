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
    if (setup->client_roots.n != 0 && !m->roots(context, &setup->client_roots))
        return refuse(why, 0, "roots for clients as PEM");
    return set_tickets(m, context, setup) ? MAILSRV_OK : MAILSRV_NOMEM;
}

static int32_t fill_client(const struct maker *m, void *context, const mailsrv_tls_client_setup *setup,
                           mailsrv_error *why)
{
    const char *expected = NULL;
    if (!m->begin(context, 1))
        return MAILSRV_NOMEM;
    if (setup->roots.n != 0 && !m->roots(context, &setup->roots))
        return refuse(why, 0, "roots for servers as PEM");
    if (setup->certificate != NULL && !m->certificate(context, 0, setup->certificate, &expected))
        return expected == NULL ? MAILSRV_NOMEM : refuse(why, 1, expected);
    return MAILSRV_OK;
}

/* The context is the caller's no more. */
static int32_t finish(const struct maker *m, void *context, int32_t status, mailsrv_tls **out)
{
    if (status == MAILSRV_OK)
        status = mailsrv_tls_new(NULL, m->provider, context, out);
    if (status != MAILSRV_OK)
        m->provider->context_free(context);
    return status;
}

int32_t mailsrv__tls_make(const struct maker *m, const mailsrv_tls_setup *setup, mailsrv_tls **out, mailsrv_error *why)
{
    if (!is_usable(setup) || out == NULL)
        return MAILSRV_E_USAGE;
    void *context = calloc(1, m->context_octets);
    return context == NULL ? MAILSRV_NOMEM : finish(m, context, fill(m, context, setup, why), out);
}

int32_t mailsrv__tls_make_client(const struct maker *m, const mailsrv_tls_client_setup *setup, mailsrv_tls **out,
                                 mailsrv_error *why)
{
    if (setup == NULL || setup->size < sizeof *setup || out == NULL ||
        (setup->certificate != NULL && setup->certificate->size < sizeof *setup->certificate))
        return MAILSRV_E_USAGE;
    void *context = calloc(1, m->context_octets);
    return context == NULL ? MAILSRV_NOMEM : finish(m, context, fill_client(m, context, setup, why), out);
}
