#include "core/profile.h"

#include "core/provider.h"
#include "core/room.h"
#include "text/address.h"

#include <mailsrv/auth.h>

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, FIELDS_MAX = 32, FIELD_OCTETS_MAX = 64, SECRET_OCTETS_MIN = 16 };

/* ---- Memory: the caller's, without books ---- */

static void *take(const mailsrv_allocator *from, size_t n)
{
    void *p = from->alloc(from->user, n);
    if (p != NULL)
        memset(p, 0, n);
    return p;
}

static int32_t set_text(mailsrv_profile *profile, struct setting_text *text, struct span value)
{
    char *p = value.n == 0 ? NULL : take(&profile->from, value.n);
    if (value.n != 0 && p == NULL)
        return MAILSRV_NOMEM;
    if (value.n != 0)
        memcpy(p, value.p, value.n);
    if (text->p != NULL)
        profile->from.release(profile->from.user, text->p, text->n);
    text->p = p;
    text->n = value.n;
    return MAILSRV_OK;
}

/* ---- Defaults ---- */

void mailsrv__default_u64(mailsrv_profile *profile, int32_t key, uint64_t value, uint64_t least, uint64_t most)
{
    profile->settings[key] = (struct setting){ value, least, most, true, false };
}

void mailsrv__default_str(mailsrv_profile *profile, int32_t key, struct span value)
{
    struct setting_text *text = &profile->texts[key - TEXT_FIRST];
    text->known = true;
    if (set_text(profile, text, value) != MAILSRV_OK)
        profile->out_of_memory = true;
}

int32_t mailsrv__profile_face(const mailsrv_profile *profile)
{
    return profile->face;
}

static void defaults_of_logins(mailsrv_profile *p)
{
    mailsrv__default_u64(p, MAILSRV_PROFILE_AUTH_MECHANISMS, MAILSRV_SASL_ALL, 0, MAILSRV_SASL_ALL);
    mailsrv__default_u64(p, MAILSRV_PROFILE_AUTH_DELAY_MS, 1000, 0, MINUTE_MS);
    mailsrv__default_u64(p, MAILSRV_PROFILE_AUTH_FAILURES_MAX, 5, 1, 1000);
    mailsrv__default_u64(p, MAILSRV_PROFILE_SCRAM_ITERATIONS, 4096, 4096, 10000000); /* RFC 7677 section 4 */
    mailsrv__default_str(p, MAILSRV_PROFILE_SCRAM_SECRET, (struct span){ NULL, 0 });
}

static void defaults_of_all(mailsrv_profile *p)
{
    const uint64_t tera = (uint64_t)1 << 40;
    mailsrv__default_u64(p, MAILSRV_PROFILE_LINE_OCTETS_MAX, 2048, 512, 65536);
    mailsrv__default_u64(p, MAILSRV_PROFILE_ERRORS_MAX, 20, 1, 1000);
    mailsrv__default_u64(p, MAILSRV_PROFILE_SESSION_OCTETS_MAX, 192 * 1024, 32 * 1024, tera);
    mailsrv__default_u64(p, MAILSRV_PROFILE_WINDOW_OCTETS, 32 * 1024, 1024, (uint64_t)1 << 30);
    mailsrv__default_u64(p, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 5 * MINUTE_MS, 5 * MINUTE_MS, 24 * HOUR_MS);
    mailsrv__default_u64(p, MAILSRV_PROFILE_ANSWER_TIMEOUT_MS, 5 * MINUTE_MS, 1000, 9 * MINUTE_MS);
    mailsrv__default_u64(p, MAILSRV_PROFILE_PLAIN_PASSWORDS, 0, 0, 1);
    mailsrv__default_u64(p, MAILSRV_PROFILE_TLS, MAILSRV_TLS_NONE, MAILSRV_TLS_NONE, MAILSRV_TLS_IMPLICIT);
    mailsrv__default_u64(p, MAILSRV_PROFILE_TLS_DISCARD, 0, 0, 1);
    mailsrv__default_u64(p, MAILSRV_PROFILE_TLS_TIMEOUT_MS, MINUTE_MS, 1000, 10 * MINUTE_MS);
    mailsrv__default_str(p, MAILSRV_PROFILE_HOSTNAME, (struct span){ NULL, 0 });
    defaults_of_logins(p);
}

/* ---- Life ---- */

int32_t mailsrv_profile_new(const mailsrv_allocator *allocator, const mailsrv_machine *machine, int32_t face,
                            mailsrv_profile **out)
{
    const mailsrv_allocator *from = allocator == NULL ? mailsrv__malloc() : allocator;
    if (machine == NULL || out == NULL || from->size < sizeof *from || from->alloc == NULL ||
        from->release == NULL || !machine->has_face(face))
        return MAILSRV_E_USAGE;
    mailsrv_profile *profile = take(from, sizeof *profile);
    if (profile == NULL)
        return MAILSRV_NOMEM;
    profile->from = *from;
    profile->machine = machine;
    profile->face = face;
    profile->references = 1;
    defaults_of_all(profile);
    machine->defaults(profile);
    if (profile->out_of_memory) {
        mailsrv_profile_unref(profile);
        return MAILSRV_NOMEM;
    }
    *out = profile;
    return MAILSRV_OK;
}

mailsrv_profile *mailsrv__profile_ref(mailsrv_profile *profile)
{
    __atomic_add_fetch(&profile->references, 1, __ATOMIC_RELAXED);
    return profile;
}

void mailsrv_profile_unref(mailsrv_profile *profile)
{
    if (profile == NULL || __atomic_sub_fetch(&profile->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    mailsrv_allocator from = profile->from;
    for (size_t i = 0; i < TEXTS; i++)
        if (profile->texts[i].p != NULL)
            from.release(from.user, profile->texts[i].p, profile->texts[i].n);
    mailsrv_tls_unref(profile->tls);
    from.release(from.user, profile, sizeof *profile);
}

/* ---- Setting ---- */

int32_t mailsrv_profile_set_u64(mailsrv_profile *profile, int32_t key, uint64_t value)
{
    if (profile == NULL || profile->sealed)
        return MAILSRV_E_USAGE;
    if (key < 0 || key >= SETTINGS || !profile->settings[key].known)
        return MAILSRV_E_UNKNOWN_KEY;
    struct setting *setting = &profile->settings[key];
    if (value < setting->least || value > setting->most)
        return MAILSRV_E_VALUE;
    setting->value = value;
    setting->chosen = true;
    return MAILSRV_OK;
}

/* sub-domain *("." sub-domain) / address-literal, as far as a reply line is safe with it (RFC 5321 section 4.1.2). */
static bool is_hostname(struct span name)
{
    if (name.n == 0 || name.n > TEXT_OCTETS_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = mailsrv__upper(name.p[i]);
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || memchr(".-_:[]", c, 6) != NULL))
            return false;
    }
    return true;
}

/* field-name = 1*ftext, any printable octet but ":" (RFC 5322 section 2.2); a list of them between spaces. */
static bool is_field_list(struct span list)
{
    size_t fields = 0, octets = 0;
    for (size_t i = 0; i < list.n; i++) {
        char c = list.p[i];
        bool space = c == ' ';
        if (!space && (c < 0x21 || c > 0x7E || c == ':'))
            return false;
        if (!space && octets == 0)
            fields++;
        octets = space ? 0 : octets + 1;
        if (octets > FIELD_OCTETS_MAX)
            return false;
    }
    return fields <= FIELDS_MAX;
}

/* One octet of atext that is in no name by itself, or none (RFC 5233 section 1 has "+"). */
static bool is_delimiter(struct span text)
{
    static const char may_stand[] = "!#$%&*+-/=?^_`{|}~.";
    return text.n == 0 || (text.n == 1 && memchr(may_stand, text.p[0], sizeof may_stand - 1) != NULL);
}

/* Mailbox with a domain, or nothing. */
static bool is_mailbox(struct span text)
{
    struct address address;
    return text.n == 0 || (mailsrv__mailbox_read(text, &address) == PATH_OK && address.domain.n != 0);
}

static bool is_text_of(int32_t key, struct span text)
{
    switch (key) {
    case MAILSRV_PROFILE_HOSTNAME:
        return is_hostname(text);
    case MAILSRV_PROFILE_DETAIL_DELIMITER:
        return is_delimiter(text);
    case MAILSRV_PROFILE_POSTMASTER:
        return is_mailbox(text);
    case MAILSRV_PROFILE_SCRAM_SECRET:
        return text.n >= SECRET_OCTETS_MIN && text.n <= TEXT_OCTETS_MAX;
    default:
        return is_field_list(text);
    }
}

int32_t mailsrv_profile_set_str(mailsrv_profile *profile, int32_t key, const char *value, size_t n)
{
    struct span text = { value, n };
    if (profile == NULL || profile->sealed || (value == NULL && n != 0))
        return MAILSRV_E_USAGE;
    if (key < TEXT_FIRST || key >= TEXT_FIRST + TEXTS || !profile->texts[key - TEXT_FIRST].known)
        return MAILSRV_E_UNKNOWN_KEY;
    if (!is_text_of(key, text))
        return MAILSRV_E_VALUE;
    return set_text(profile, &profile->texts[key - TEXT_FIRST], text);
}

int32_t mailsrv_profile_set_tls(mailsrv_profile *profile, mailsrv_tls *tls)
{
    if (profile == NULL || profile->sealed)
        return MAILSRV_E_USAGE;
    mailsrv_tls *before = profile->tls;
    profile->tls = mailsrv__tls_ref(tls);
    mailsrv_tls_unref(before);
    return MAILSRV_OK;
}

static bool is_extension(int32_t number)
{
    return (number >= MAILSRV_EXT_SIZE && number <= MAILSRV_EXT_CHUNKING) || number == MAILSRV_EXT_SMTPUTF8 ||
           number == MAILSRV_EXT_STARTTLS || number == MAILSRV_EXT_AUTH ||
           number == MAILSRV_EXT_TOP || number == MAILSRV_EXT_UIDL ||
           (number >= MAILSRV_EXT_POP3_PIPELINING && number <= MAILSRV_EXT_POP3_UTF8) ||
           (number >= MAILSRV_EXT_LITERAL_PLUS && number <= MAILSRV_EXT_DSN);
}

int32_t mailsrv_profile_enable(mailsrv_profile *profile, int32_t extension, int32_t on)
{
    if (profile == NULL || profile->sealed)
        return MAILSRV_E_USAGE;
    if (!is_extension(extension))
        return MAILSRV_E_UNKNOWN_KEY;
    if (on != 0 && on != 1)
        return MAILSRV_E_VALUE;
    uint64_t bit = (uint64_t)1 << extension;
    profile->extensions_off = on ? profile->extensions_off & ~bit : profile->extensions_off | bit;
    return MAILSRV_OK;
}

static int32_t refuse_seal(mailsrv_error *why, int32_t key, const char *expected)
{
    if (why == NULL)
        return MAILSRV_E_VALUE;
    mailsrv_error all = { .size = why->size, .status = MAILSRV_E_VALUE, .key = key, .expected = expected };
    memcpy(why, &all, why->size < sizeof all ? why->size : sizeof all);
    return MAILSRV_E_VALUE;
}

/* A context is for one side; found here, or each session would fail. */
static bool is_for_its_side(const mailsrv_profile *profile)
{
    const mailsrv_tls *tls = profile->tls;
    const bool is_client = profile->face == MAILSRV_FACE_CLIENT;
    return tls == NULL || (is_client ? tls->provider->connect != NULL : tls->provider->begin != NULL);
}

int32_t mailsrv_profile_seal(mailsrv_profile *profile, mailsrv_error *why)
{
    if (profile == NULL)
        return MAILSRV_E_USAGE;
    if (profile->texts[MAILSRV_PROFILE_HOSTNAME - TEXT_FIRST].n == 0)
        return refuse_seal(why, MAILSRV_PROFILE_HOSTNAME, "a domain name or an address literal");
    struct setting *window = &profile->settings[MAILSRV_PROFILE_WINDOW_OCTETS];
    const uint64_t most = profile->settings[MAILSRV_PROFILE_SESSION_OCTETS_MAX].value;
    if (!window->chosen && window->value > most)
        window->value = most;
    if (window->value > most)
        return refuse_seal(why, MAILSRV_PROFILE_WINDOW_OCTETS, "no more than the memory of a session");
    if (!is_for_its_side(profile))
        return refuse_seal(why, MAILSRV_PROFILE_TLS, profile->face == MAILSRV_FACE_CLIENT
                                                         ? "a client's TLS, and this is a server's"
                                                         : "a server's TLS, and this is a client's");
    profile->sealed = true;
    return MAILSRV_OK;
}

/* ---- Reading ---- */

uint64_t mailsrv__setting(const mailsrv_session *session, int32_t key)
{
    return session->profile->settings[key].value;
}

bool mailsrv__profile_is_of(const mailsrv_profile *profile, const mailsrv_machine *machine)
{
    return profile != NULL && profile->sealed && profile->machine == machine;
}

mailsrv_profile *mailsrv__profile_hold(mailsrv_profile *profile)
{
    return mailsrv__profile_ref(profile);
}

uint64_t mailsrv__profile_u64(const mailsrv_profile *profile, int32_t key)
{
    return profile->settings[key].value;
}

struct span mailsrv__profile_text(const mailsrv_profile *profile, int32_t key)
{
    const struct setting_text *text = &profile->texts[key - TEXT_FIRST];
    return (struct span){ text->p, text->n };
}

struct span mailsrv__setting_str(const mailsrv_session *session, int32_t key)
{
    const struct setting_text *text = &session->profile->texts[key - TEXT_FIRST];
    return (struct span){ text->p, text->n };
}

bool mailsrv__enabled(const mailsrv_session *session, int32_t extension)
{
    return (session->profile->extensions_off >> extension & 1) == 0;
}

const mailsrv_machine *mailsrv__machine(const mailsrv_session *session)
{
    return session->profile->machine;
}

int32_t mailsrv__face(const mailsrv_session *session)
{
    return session->profile->face;
}
