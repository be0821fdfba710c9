#include "core/tls.h"

#include "core/engine.h"
#include "core/op.h"
#include "core/profile.h"
#include "core/provider.h"
#include "core/step.h"
#include "text/writer.h"

/* ---- Beginning ---- */

static void shook_for_too_long(struct timer *timer)
{
    mailsrv_session *s = HOLDER(timer, struct tls, timer)->session;
    mailsrv__tls_fails(s, SPAN("the handshake took too long"));
    mailsrv__session_update(s);
}

/* `target` NULL: as the server. */
static int32_t begin_at(const mailsrv_tls *by, const mailsrv_tls_target *target, void **connection)
{
    return target == NULL ? by->provider->begin(by->context, connection)
                          : by->provider->connect(by->context, target, connection);
}

/* A connection at the provider, and room for when there is no memory. */
static bool begin_provided(mailsrv_session *s, struct tls *tls, const mailsrv_tls_target *target)
{
    const mailsrv_tls *by = s->profile->tls;
    if (by == NULL)
        return true;
    tls->provider = by->provider;
    tls->reserve = mailsrv__slice_new(s, RESERVE_OCTETS);
    if (tls->reserve == NULL || begin_at(by, target, &tls->connection) != MAILSRV_OK) {
        mailsrv__slice_free(s, tls->reserve);
        return false;
    }
    return true;
}

struct tls *mailsrv__tls_new(mailsrv_session *s, const mailsrv_tls_target *target)
{
    struct tls *tls = mailsrv__session_take(s, sizeof *tls);
    if (tls == NULL)
        return NULL;
    if (!begin_provided(s, tls, target)) {
        mailsrv__session_give(s, tls, sizeof *tls);
        return NULL;
    }
    tls->session = s;
    mailsrv__timer_init(&tls->timer, shook_for_too_long);
    return tls;
}

void mailsrv__tls_begin(mailsrv_session *s, struct tls *tls)
{
    s->tls = tls;
    if (tls->provider != NULL)
        mailsrv__output_veil(s);
    mailsrv__tls_count(s);
    int64_t patience_ms = (int64_t)mailsrv__setting(s, MAILSRV_PROFILE_TLS_TIMEOUT_MS);
    mailsrv__timer_arm(&s->engine->timers, &tls->timer, patience_ms * 1000);
}

bool mailsrv__tls_implicit(mailsrv_session *s)
{
    struct tls *tls = mailsrv__tls_new(s, NULL);
    if (tls == NULL)
        return false;
    tls->greets = true;
    mailsrv__tls_begin(s, tls);
    return true;
}

bool mailsrv__start_tls(mailsrv_session *s, struct span reply)
{
    struct tls *tls = mailsrv__tls_new(s, NULL);
    if (tls == NULL)
        return false;
    s->tls = tls;
    if (mailsrv__say(s, reply))
        mailsrv__tls_begin(s, tls);
    else
        mailsrv__tls_free(s); /* the session ends after this step, and says so in the clear */
    return true;
}

/* ---- What a machine asks ---- */

bool mailsrv__secure(const mailsrv_session *s)
{
    return s->tls != NULL && s->tls->state == TLS_OPEN;
}

bool mailsrv__can_start_tls(const mailsrv_session *s)
{
    static const mailsrv_id nobody = { { 0 } };
    return mailsrv__setting(s, MAILSRV_PROFILE_TLS) == MAILSRV_TLS_OFFERED &&
           mailsrv__enabled(s, MAILSRV_EXT_STARTTLS) && s->tls == NULL &&
           memcmp(&s->account, &nobody, sizeof nobody) == 0;
}

bool mailsrv__tls_is_awaited(const mailsrv_session *s)
{
    if (s->tls != NULL)
        return s->tls->state == TLS_SHAKING;
    return mailsrv__setting(s, MAILSRV_PROFILE_TLS) == MAILSRV_TLS_IMPLICIT;
}

bool mailsrv__tls_info(const mailsrv_session *s, mailsrv_tls_info *info)
{
    uint32_t size = info->size;
    if (!mailsrv__secure(s))
        return false;
    memset(info, 0, size);
    info->size = size;
    if (s->tls->provider != NULL) {
        s->tls->provider->info(s->tls->connection, info);
    } else {
        memcpy(info, s->tls->info, size < sizeof *info ? size : sizeof *info);
        info->size = size;
    }
    return true;
}

/* ---- Wants ---- */

bool mailsrv__tls_has_input(const mailsrv_session *s, bool reads)
{
    const struct tls *tls = s->tls;
    bool has = tls != NULL && (tls->at != tls->n || tls->more || tls->left.n != 0 || tls->eof_waits);
    return has && reads && tls->state == TLS_OPEN;
}

bool mailsrv__tls_shakes_on(const mailsrv_session *s)
{
    const struct tls *tls = s->tls;
    return tls != NULL && tls->state == TLS_SHAKING && tls->shakes_on && s->next == NULL;
}

static uint32_t wants_of_host(const mailsrv_session *s)
{
    if (s->ended || s->out.octets != 0)
        return 0;
    return s->tls->client != NULL ? MAILSRV_WANT_TLS_CLIENT : MAILSRV_WANT_TLS_SERVER;
}

uint32_t mailsrv__tls_wants(const mailsrv_session *s, bool reads)
{
    const struct tls *tls = s->tls;
    if (tls->state == TLS_SHAKING && tls->provider == NULL)
        return wants_of_host(s);
    if (tls->state == TLS_SHAKING)
        return s->ended || s->eof || s->next != NULL ? 0 : MAILSRV_WANT_READ;
    return reads && !mailsrv__tls_has_input(s, true) ? MAILSRV_WANT_READ : 0;
}

/* ---- The handshake is over ---- */

static void tell_started(mailsrv_session *s)
{
    char room[EVENT_TEXT_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv_tls_info info = { .size = sizeof info };
    mailsrv__tls_info(s, &info);
    mailsrv__write(&w, info.version == 0x0304 ? SPAN("TLS 1.3 ") : SPAN("TLS 1.2 "));
    mailsrv__write(&w, mailsrv__span_first(mailsrv__span(info.cipher), 64));
    if (info.resumed != 0)
        mailsrv__write(&w, SPAN(", resumed"));
    if (s->tls->client != NULL)
        mailsrv__write(&w, s->tls->client->tells(&info));
    mailsrv__session_event(s, MAILSRV_EVENT_TLS_STARTED, mailsrv__written(&w));
}

enum step mailsrv__tls_opened(mailsrv_session *s)
{
    const mailsrv_machine *machine = s->profile->machine;
    s->tls->state = TLS_OPEN;
    if (s->tls->client != NULL && !s->tls->client->opens(s))
        return STEP_CLOSE;
    s->engine->tls_started++;
    mailsrv__timer_disarm(&s->tls->timer);
    mailsrv__tls_count(s);
    tell_started(s);
    if (s->tls->greets)
        return machine->greet(s);
    return machine->secured == NULL ? STEP_NEXT : machine->secured(s);
}

void mailsrv__tls_fails(mailsrv_session *s, struct span why)
{
    if (s->tls->state == TLS_SHAKING)
        s->engine->tls_failed++;
    s->tls->state = TLS_CLOSED;
    s->tls->left.n = 0;
    s->tls->shakes_on = false;
    if (s->tls->client != NULL)
        s->tls->client->fails(s->tls, why);
    s->out.plain = 0; /* it cannot be said any more */
    mailsrv__timer_disarm(&s->tls->timer);
    if (!s->ended)
        mailsrv__session_event(s, MAILSRV_EVENT_TLS_FAILED, why);
    mailsrv__session_end(s, "TLS failed");
}

/* RFC 3207 section 6: what was sent in the clear by whoever stood in between must not be taken for what the peer sends
 * under TLS. */
void mailsrv__tls_pipelined(mailsrv_session *s, struct input *in)
{
    bool discards = mailsrv__setting(s, MAILSRV_PROFILE_TLS_DISCARD) != 0;
    mailsrv__input_skip(in, in->n);
    if (s->tls->client != NULL)
        mailsrv__tls_fails(s, SPAN("octets came before the handshake"));
    else if (!discards)
        mailsrv__tls_fails(s, SPAN("octets stood behind STARTTLS"));
}

/* ---- Memory ---- */

bool mailsrv__tls_keeps(mailsrv_session *s, struct slice *slice)
{
    if (s->tls == NULL || s->tls->reserve != slice || !s->tls->reserve_waits)
        return false;
    s->tls->reserve_waits = false;
    slice->n = slice->sent = 0;
    return true;
}

void mailsrv__tls_count(mailsrv_session *s)
{
    struct tls *tls = s->tls;
    if (tls->provider == NULL || tls->connection == NULL)
        return;
    uint64_t now = tls->provider->octets(tls->connection);
    s->engine->tls_octets += now - tls->octets;
    tls->octets = now;
}

void mailsrv__tls_free(mailsrv_session *s)
{
    struct tls *tls = s->tls;
    if (tls == NULL)
        return;
    s->tls = NULL;
    s->engine->tls_octets -= tls->octets;
    if (tls->connection != NULL)
        tls->provider->end(tls->connection);
    if (tls->left_of != NULL)
        mailsrv__lent_drop(tls->left_of);
    mailsrv__slice_free(s, tls->reserve);
    mailsrv__session_give(s, tls->info, tls->info_octets);
    mailsrv__session_give(s, tls->target, tls->target_octets);
    mailsrv__timer_remove(&s->engine->timers, &tls->timer);
    mailsrv__wipe(tls->few, sizeof tls->few);
    if (tls->plain != NULL)
        mailsrv__wipe(tls->plain, PLAIN_OCTETS);
    mailsrv__session_give(s, tls->plain, tls->plain != NULL ? PLAIN_OCTETS : 0);
    mailsrv__session_give(s, tls, sizeof *tls);
}

/* ---- For the host ---- */

int32_t mailsrv_session_tls(const mailsrv_session *s, mailsrv_tls_info *info)
{
    if (s == NULL || info == NULL || info->size < 8)
        return MAILSRV_E_USAGE;
    mailsrv_tls_info all = { .size = sizeof all };
    if (!mailsrv__tls_info(s, &all))
        return MAILSRV_E_USAGE;
    uint32_t size = info->size;
    memcpy(info, &all, size < sizeof all ? size : sizeof all);
    info->size = size;
    return MAILSRV_OK;
}
