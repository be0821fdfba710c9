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
    if (!s->tls->must_verify || (mailsrv__tls_info(s, &info) && info.verified == 1))
        return true;
    s->tls->state = TLS_SHAKING; /* nothing was said under it, and nothing will be */
    mailsrv__tls_fails(s, SPAN("the server's certificate was not verified"));
    return false;
}

static struct span tells(const mailsrv_tls_info *info)
{
    return info->verified != 0 ? SPAN(", verified") : SPAN(", not verified");
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

bool mailsrv__connect_tls(mailsrv_session *s, struct span name, bool verify)
{
    static const struct tls_client client = { .opens = opens, .tells = tells, .fails = fails };
    const mailsrv_tls_target target = { .size = sizeof target,
                                        .verify = verify,
                                        .name = mailsrv__bytes(without_brackets(name)) };
    struct tls *tls = mailsrv__tls_new(s, &target);
    if (tls == NULL)
        return false;
    tls->client = &client;
    tls->must_verify = verify;
    tls->shakes_on = tls->provider != NULL; /* we speak first: in the next turn */
    mailsrv__tls_begin(s, tls);
    return true;
}
