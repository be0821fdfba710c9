/* TLS as the client: to whom, and whether it was him. */
#include "core/engine.h"
#include "core/profile.h"
#include "core/provider.h"
#include "core/tls.h"
#include "text/writer.h"

/* ---- Its end ---- */

/* Whoever did the handshake says so himself: what was wanted is not taken for granted. */
static bool opens(mailsrv_session *s)
{
    mailsrv_tls_info info = { .size = sizeof info };
    const uint32_t wanted = s->tls->must_verify;
    if (wanted == MAILSRV_TLS_BY_NOTHING || (mailsrv__tls_info(s, &info) && info.verified == wanted))
        return true;
    s->tls->state = TLS_SHAKING; /* nothing was said under it, and nothing will be */
    mailsrv__tls_fails(s, SPAN("the server's certificate was not verified"));
    return false;
}

static struct span tells(const mailsrv_tls_info *info)
{
    if (info->verified == MAILSRV_TLS_BY_DANE)
        return SPAN(", verified by DANE");
    return info->verified != MAILSRV_TLS_BY_NOTHING ? SPAN(", verified") : SPAN(", not verified");
}

/* The first reason is what it was. */
static void fails(struct tls *tls, struct span why)
{
    struct writer w = { .p = tls->failure, .room = sizeof tls->failure };
    if (tls->failure_n != 0)
        return;
    mailsrv__write(&w, why);
    tls->failure_n = (uint8_t)w.n;
}

struct span mailsrv__tls_failure(const mailsrv_session *s)
{
    return s->tls == NULL ? (struct span){ NULL, 0 } : (struct span){ s->tls->failure, s->tls->failure_n };
}

/* ---- Its beginning ---- */

bool mailsrv__can_connect_tls(const mailsrv_session *s)
{
    return mailsrv__setting(s, MAILSRV_PROFILE_TLS) != MAILSRV_TLS_NONE && s->tls == NULL;
}

/* An address literal (RFC 5321 section 4.1.3) is an address in numbers. */
static struct span without_brackets(struct span name)
{
    const struct span tag = SPAN("IPv6:");
    if (name.n < 2 || name.p[0] != '[' || name.p[name.n - 1] != ']')
        return name;
    name = (struct span){ name.p + 1, name.n - 2 };
    return mailsrv__span_equal_nocase(mailsrv__span_first(name, tag.n), tag) ? mailsrv__span_after(name, tag.n) : name;
}

/* ---- What a host is told of its target ---- */

static const mailsrv_tlsa *tlsa_of(const mailsrv_tls_target *target, uint32_t i)
{
    const uint8_t *first = (const uint8_t *)target->tlsa;
    return (const mailsrv_tlsa *)(const void *)(first + (size_t)i * target->tlsa_stride);
}

static size_t octets_of(const mailsrv_tls_target *target)
{
    size_t octets = sizeof *target + target->n_tlsa * sizeof *target->tlsa +
                    target->n_other_names * sizeof *target->other_names + target->name.n;
    for (uint32_t i = 0; i < target->n_tlsa; i++)
        octets += tlsa_of(target, i)->data.n;
    for (uint32_t i = 0; i < target->n_other_names; i++)
        octets += target->other_names[i].n;
    return octets;
}

static mailsrv_bytes copy(uint8_t **to, mailsrv_bytes from)
{
    const mailsrv_bytes bytes = { *to, from.n };
    if (from.n != 0)
        memcpy(*to, from.p, from.n);
    *to += from.n;
    return bytes;
}

static bool keep_target(mailsrv_session *s, struct tls *tls, const mailsrv_tls_target *target)
{
    const size_t octets = octets_of(target);
    mailsrv_tls_target *kept = mailsrv__session_take(s, octets);
    if (kept == NULL)
        return false;
    *kept = *target;
    mailsrv_tlsa *tlsa = (mailsrv_tlsa *)(void *)(kept + 1);
    mailsrv_bytes *names = (mailsrv_bytes *)(void *)(tlsa + target->n_tlsa);
    uint8_t *to = (uint8_t *)(names + target->n_other_names);
    kept->tlsa = target->n_tlsa == 0 ? NULL : tlsa;
    kept->tlsa_stride = sizeof *tlsa;
    kept->other_names = target->n_other_names == 0 ? NULL : names;
    kept->name = copy(&to, target->name);
    for (uint32_t i = 0; i < target->n_tlsa; i++) {
        tlsa[i] = *tlsa_of(target, i);
        tlsa[i].data = copy(&to, tlsa[i].data);
    }
    for (uint32_t i = 0; i < target->n_other_names; i++)
        names[i] = copy(&to, target->other_names[i]);
    tls->target = kept;
    tls->target_octets = octets;
    return true;
}

int32_t mailsrv_session_tls_target(const mailsrv_session *s, mailsrv_tls_target *out)
{
    if (s == NULL || s->tls == NULL || s->tls->target == NULL || s->tls->state != TLS_SHAKING || s->ended ||
        out == NULL || out->size < 8)
        return MAILSRV_E_USAGE;
    const uint32_t size = out->size;
    memcpy(out, s->tls->target, size < sizeof *out ? size : sizeof *out);
    out->size = size;
    return MAILSRV_OK;
}

bool mailsrv__connect_tls(mailsrv_session *s, const mailsrv_tls_target *given)
{
    static const struct tls_client client = { .opens = opens, .tells = tells, .fails = fails };
    mailsrv_tls_target target = *given;
    target.name = mailsrv__bytes(without_brackets(mailsrv__span(given->name)));
    struct tls *tls = mailsrv__tls_new(s, &target);
    if (tls == NULL)
        return false;
    tls->client = &client;
    tls->must_verify = target.verify;
    if (tls->provider == NULL && !keep_target(s, tls, &target)) {
        mailsrv__session_give(s, tls, sizeof *tls);
        return false;
    }
    tls->shakes_on = tls->provider != NULL; /* we speak first: in the next turn */
    mailsrv__tls_begin(s, tls);
    return true;
}
