/* TLS that the host does: it tells, and what it tells is kept. */
#include "core/engine.h"
#include "core/step.h"
#include "core/tls.h"

enum { INFO_OCTETS_MAX = 4096, NAMES_MAX = 16 };

static bool is_wanted(const mailsrv_session *s)
{
    return s->tls != NULL && s->tls->provider == NULL && s->tls->state == TLS_SHAKING && !s->ended;
}

/* The texts of an info, in a row. */
enum { TEXTS_OF_INFO = 6 };

static void texts_of(mailsrv_tls_info *info, mailsrv_bytes *texts[TEXTS_OF_INFO])
{
    texts[0] = &info->cipher;
    texts[1] = &info->server_name;
    texts[2] = &info->client_subject;
    texts[3] = &info->exporter;
    texts[4] = &info->unique;
    texts[5] = &info->end_point;
}

static size_t octets_of(mailsrv_tls_info *info)
{
    mailsrv_bytes *texts[TEXTS_OF_INFO];
    size_t octets = 0;
    texts_of(info, texts);
    for (size_t i = 0; i < TEXTS_OF_INFO; i++)
        octets += texts[i]->n;
    for (size_t i = 0; i < info->n_client_names; i++)
        octets += info->client_names[i].n;
    return octets;
}

static void move(mailsrv_bytes *bytes, uint8_t **to)
{
    if (bytes->n != 0)
        memcpy(*to, bytes->p, bytes->n);
    bytes->p = bytes->n == 0 ? NULL : *to;
    *to += bytes->n;
}

/* In one piece: the struct, the array of names, the bytes. */
static bool keep(mailsrv_session *s, mailsrv_tls_info *info)
{
    mailsrv_bytes *texts[TEXTS_OF_INFO];
    size_t names = info->n_client_names * sizeof *info->client_names;
    size_t octets = sizeof *info + names + octets_of(info);
    mailsrv_tls_info *kept = mailsrv__session_take(s, octets);
    if (kept == NULL)
        return false;
    *kept = *info;
    mailsrv_bytes *array = (mailsrv_bytes *)(void *)(kept + 1);
    uint8_t *to = (uint8_t *)(kept + 1) + names;
    if (names != 0)
        memcpy(array, info->client_names, names);
    kept->client_names = names == 0 ? NULL : array;
    texts_of(kept, texts);
    for (size_t i = 0; i < TEXTS_OF_INFO; i++)
        move(texts[i], &to);
    for (size_t i = 0; i < info->n_client_names; i++)
        move(&array[i], &to);
    s->tls->info = kept;
    s->tls->info_octets = octets;
    return true;
}

int32_t mailsrv_session_tls_started(mailsrv_session *s, const mailsrv_tls_info *given)
{
    mailsrv_tls_info info = { .size = sizeof info };
    if (s == NULL || !is_wanted(s) || given == NULL || given->size < 8)
        return MAILSRV_E_USAGE;
    memcpy(&info, given, given->size < sizeof info ? given->size : sizeof info);
    info.size = sizeof info;
    if (info.n_client_names > NAMES_MAX || octets_of(&info) > INFO_OCTETS_MAX)
        return MAILSRV_E_USAGE;
    if (!keep(s, &info)) {
        mailsrv__tls_fails(s, SPAN("no memory for what the host says of TLS"));
        mailsrv__session_update(s);
        return MAILSRV_NOMEM;
    }
    mailsrv__session_opened(s);
    return MAILSRV_OK;
}

int32_t mailsrv_session_tls_failed(mailsrv_session *s, const char *text, size_t n)
{
    if (s == NULL || !is_wanted(s) || (text == NULL && n != 0))
        return MAILSRV_E_USAGE;
    mailsrv__tls_fails(s, (struct span){ text, n });
    mailsrv__session_update(s);
    return MAILSRV_OK;
}
