/* Which mechanisms a session offers, and what becomes of those who guess. */
#include "core/crypto.h"
#include "sasl/binding.h"
#include "sasl/sasl.h"

/* The strongest first: a client takes the first one that it knows. */
static const struct mechanism *const all[] = {
    &mailsrv__sasl_external,
    &mailsrv__sasl_scram_sha_256_plus,
    &mailsrv__sasl_scram_sha_1_plus,
    &mailsrv__sasl_scram_sha_256,
    &mailsrv__sasl_scram_sha_1,
    &mailsrv__sasl_plain,
    &mailsrv__sasl_login,
};
enum { ALL = sizeof all / sizeof *all };

bool mailsrv__auth_readable(const mailsrv_session *session)
{
    return mailsrv__secure(session) || mailsrv__setting(session, MAILSRV_PROFILE_PLAIN_PASSWORDS) != 0;
}

bool mailsrv__auth_takes_passwords(const mailsrv_session *session)
{
    return mailsrv__served(session, MAILSRV_OP_AUTH_VERIFY) && mailsrv__auth_readable(session);
}

/* What does not change when TLS begins. */
static bool is_served(const mailsrv_session *session, const struct mechanism *m)
{
    return mailsrv__enabled(session, MAILSRV_EXT_AUTH) &&
           (mailsrv__setting(session, MAILSRV_PROFILE_AUTH_MECHANISMS) & m->bit) != 0 &&
           mailsrv__served(session, m->kind);
}

/* One that the TLS layer vouches for. */
static bool has_certificate(const mailsrv_session *session)
{
    mailsrv_tls_info info = { .size = sizeof info };
    return mailsrv__tls_info(session, &info) && info.client_subject.n != 0;
}

static bool is_safe(const mailsrv_session *session, const struct mechanism *m)
{
    if ((m->flags & SASL_READABLE) != 0)
        return mailsrv__auth_readable(session);
    if ((m->flags & SASL_EXTERN) != 0)
        return session->external.p != NULL || has_certificate(session);
    if ((m->flags & SASL_BINDS) != 0 && !mailsrv__sasl_can_bind(session))
        return false;
    return (m->flags & SASL_CRYPTO) == 0 || mailsrv__has_crypto(session);
}

bool mailsrv__sasl_is_offered(const mailsrv_session *session, const struct mechanism *m)
{
    return is_served(session, m) && is_safe(session, m);
}

bool mailsrv__sasl_offers_any(const mailsrv_session *session)
{
    for (size_t i = 0; i < ALL; i++)
        if (mailsrv__sasl_is_offered(session, all[i]))
            return true;
    return false;
}

static bool has_name(const struct mechanism *m, struct span name)
{
    return mailsrv__span_equal_nocase(name, (struct span){ m->name, strlen(m->name) });
}

static const struct mechanism *find(struct span name)
{
    for (size_t i = 0; i < ALL; i++)
        if (has_name(all[i], name))
            return all[i];
    return NULL;
}

bool mailsrv__sasl_wants_tls(const mailsrv_session *session, struct span name)
{
    const struct mechanism *m = find(name);
    return m != NULL && is_served(session, m) && (m->flags & SASL_READABLE) != 0 && !mailsrv__auth_readable(session);
}

const struct mechanism *mailsrv__sasl_find(const mailsrv_session *session, struct span name)
{
    const struct mechanism *m = find(name);
    return m != NULL && mailsrv__sasl_is_offered(session, m) ? m : NULL;
}

void mailsrv__sasl_write_names(const mailsrv_session *session, struct span before, struct writer *w)
{
    for (size_t i = 0; i < ALL; i++) {
        if (!mailsrv__sasl_is_offered(session, all[i]))
            continue;
        mailsrv__write(w, before);
        mailsrv__write(w, (struct span){ all[i]->name, strlen(all[i]->name) });
    }
}

bool mailsrv__auth_too_many(const mailsrv_session *session)
{
    return session->failed_logins >= mailsrv__setting(session, MAILSRV_PROFILE_AUTH_FAILURES_MAX);
}
