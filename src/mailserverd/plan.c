#include "plan.h"

#include <mailsrv/auth.h>
#include <mailsrv/policy.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(MAILSERVERD_OPENSSL)
#include <mailsrv/openssl.h>
#define NEW_TLS mailsrv_openssl_new
#define NEW_CLIENT_TLS mailsrv_openssl_client_new
#elif defined(MAILSERVERD_MBEDTLS)
#include <mailsrv/mbedtls.h>
#define NEW_TLS mailsrv_mbedtls_new
#define NEW_CLIENT_TLS mailsrv_mbedtls_client_new
#endif

#define PEM_OCTETS_MAX (1 << 20)

/* ---- Certificates ---- */

struct pem {
    uint8_t *p;
    size_t n;
};

static void forget(struct pem *pem)
{
    if (pem->p != NULL)
        explicit_bzero(pem->p, pem->n);
    free(pem->p);
}

/* FILE:LINE: KEY: what was expected. */
static bool read_pem(const struct config *config, unsigned line, const char *key, const char *path, struct pem *out)
{
    struct stat is;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is none, and not waited for */
    bool ok = fd >= 0 && fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && is.st_size > 0 && is.st_size <= PEM_OCTETS_MAX;
    out->n = ok ? (size_t)is.st_size : 0;
    out->p = ok ? malloc(out->n) : NULL;
    ok = out->p != NULL && read(fd, out->p, out->n) == (ssize_t)out->n;
    if (!ok)
        fprintf(stderr, "mailserverd: %s:%u: %s: expected a file with PEM, of at most 1 MiB, not %s: %s\n",
                config->path, line, key, path, fd < 0 ? strerror(errno) : "it is none");
    if (fd >= 0)
        close(fd);
    return ok;
}

#ifdef NEW_TLS
static bool make_tls(struct plan *plan, const mailsrv_certificate *all, const struct plan *before)
{
    const mailsrv_tls_setup setup = { .size = sizeof setup,
                                      .certificates = all,
                                      .n_certificates = (uint32_t)plan->config->n_certificates,
                                      .certificate_stride = sizeof *all,
                                      .tickets_of = before != NULL ? before->tls : NULL };
    mailsrv_error why = { .size = sizeof why };
    const int32_t status = NEW_TLS(&setup, &plan->tls, &why);
    const size_t which = why.key > 0 && (size_t)why.key <= plan->config->n_certificates ? (size_t)why.key - 1 : 0;
    if (status != MAILSRV_OK)
        fprintf(stderr, "mailserverd: %s:%u: [tls]: %s%s\n", plan->config->path, plan->config->certificates[which].line,
                why.expected != NULL ? "expected " : "",
                why.expected != NULL ? why.expected : mailsrv_strerror(status));
    return status == MAILSRV_OK;
}
#else
static bool make_tls(struct plan *plan, const mailsrv_certificate *all, const struct plan *before)
{
    (void)all;
    (void)before;
    fprintf(stderr, "mailserverd: %s:%u: [tls]: this program was built without a provider of TLS\n", plan->config->path,
            plan->config->certificates[0].line);
    return false;
}
#endif

/* From the first key, so that it is the same tomorrow; without one, from nothing, and the same until the end. */
static bool make_scram_secret(struct plan *plan, const struct pem *key, const struct plan *before)
{
    const mailsrv_crypto *crypto = plan_crypto();
    const mailsrv_bytes parts[] = { { (const uint8_t *)"salts of nobody", 15 }, { key->p, key->n } };
    uint8_t secret[32];
    if (crypto == NULL)
        return true;
    if (key->n == 0 && before != NULL) {
        memcpy(plan->scram_secret, before->scram_secret, sizeof plan->scram_secret);
        return true;
    }
    const int32_t status = key->n != 0 ? crypto->hash(crypto->user, MAILSRV_HASH_SHA256, parts, 2, secret)
                                       : crypto->random(crypto->user, secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        snprintf(plan->scram_secret + 2 * i, 3, "%02x", secret[i]);
    explicit_bzero(secret, sizeof secret);
    return status == MAILSRV_OK;
}

static bool read_certificates(struct plan *plan, const struct plan *before)
{
    const struct config *c = plan->config;
    struct pem chains[CERTIFICATES_MAX] = { { NULL, 0 } }, keys[CERTIFICATES_MAX] = { { NULL, 0 } };
    mailsrv_certificate all[CERTIFICATES_MAX];
    bool ok = true;
    if (c->n_certificates == 0)
        return make_scram_secret(plan, &keys[0], before);
    for (size_t i = 0; i < c->n_certificates && ok; i++) {
        ok = read_pem(c, c->certificates[i].line, "certificate", c->certificates[i].chain, &chains[i]) &&
             read_pem(c, c->certificates[i].line, "key", c->certificates[i].key, &keys[i]);
        all[i] = (mailsrv_certificate){ .size = sizeof *all,
                                        .chain = { chains[i].p, chains[i].n },
                                        .key = { keys[i].p, keys[i].n } };
    }
    ok = ok && make_tls(plan, all, before) && make_scram_secret(plan, &keys[0], before);
    for (size_t i = 0; i < c->n_certificates; i++) {
        forget(&chains[i]);
        forget(&keys[i]);
    }
    return ok;
}

/* ---- What goes out ---- */

#ifdef NEW_CLIENT_TLS
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

/* FNV-1a: whether the octets are still the same. */
static uint64_t hash_of(const struct pem *pem)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < pem->n; i++)
        hash = (hash ^ pem->p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static bool make_client_tls(struct plan *plan)
{
    const struct outgoing *o = &plan->config->outgoing;
    struct pem roots = { NULL, 0 };
    mailsrv_error why = { .size = sizeof why };
    const bool is_said = o->roots[0] != '\0';
    if ((is_said || access(SYSTEM_ROOTS, R_OK) == 0) &&
        !read_pem(plan->config, o->roots_line, "tls-roots", is_said ? o->roots : SYSTEM_ROOTS, &roots))
        return false;
    plan->roots_hash = hash_of(&roots);
    const mailsrv_tls_client_setup setup = { .size = sizeof setup, .roots = { roots.p, roots.n } };
    const int32_t status = NEW_CLIENT_TLS(&setup, &plan->client_tls, &why);
    if (status != MAILSRV_OK)
        fprintf(stderr, "mailserverd: %s:%u: tls-roots: %s%s\n", plan->config->path, o->roots_line,
                why.expected != NULL ? "expected " : "",
                why.expected != NULL ? why.expected : mailsrv_strerror(status));
    forget(&roots);
    return status == MAILSRV_OK;
}
#else
static bool make_client_tls(struct plan *plan)
{
    (void)plan;
    return true;
}
#endif

static bool make_client(struct plan *plan)
{
    const struct config *c = plan->config;
    if (!make_client_tls(plan))
        return false;
    int32_t status = mailsrv_profile_new(NULL, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT, &plan->client);
    if (status == MAILSRV_OK)
        status = mailsrv_profile_set_str(plan->client, MAILSRV_PROFILE_HOSTNAME, c->hostname, strlen(c->hostname));
    if (status == MAILSRV_OK && plan->client_tls != NULL)
        status = mailsrv_profile_set_u64(plan->client, MAILSRV_PROFILE_TLS, MAILSRV_TLS_OFFERED);
    if (status == MAILSRV_OK)
        status = mailsrv_profile_set_tls(plan->client, plan->client_tls);
    if (status == MAILSRV_OK)
        status = mailsrv_profile_seal(plan->client, NULL);
    if (status != MAILSRV_OK)
        fprintf(stderr, "mailserverd: what goes out: %s\n", mailsrv_strerror(status));
    return status == MAILSRV_OK;
}

/* ---- Profiles ---- */

static const uint64_t tls_modes[] = {
    [SECURED_NEVER] = MAILSRV_TLS_NONE,
    [SECURED_STARTTLS] = MAILSRV_TLS_OFFERED,
    [SECURED_AT_ONCE] = MAILSRV_TLS_IMPLICIT,
};

/* There are clients that choose a mechanism with channel binding, and cannot do it, and try no other. */
static uint64_t mechanisms_of(const struct listener *l)
{
    const uint64_t without =
        MAILSRV_SASL_PLAIN | MAILSRV_SASL_LOGIN | MAILSRV_SASL_SCRAM_SHA_1 | MAILSRV_SASL_SCRAM_SHA_256;
    const uint64_t plus = MAILSRV_SASL_SCRAM_SHA_1_PLUS | MAILSRV_SASL_SCRAM_SHA_256_PLUS;
    return l->channel_binding ? without | plus : without;
}

/* Where it is asked how much a user may send, and who may have mail relayed without being one. */
static uint64_t stages_of(const struct config *c, const struct listener *l)
{
    if (l->service->face == MAILSRV_FACE_MX)
        return c->n_relays != 0 ? MAILSRV_STAGE_CONNECT : 0;
    if (l->service->face != MAILSRV_FACE_SUBMISSION)
        return 0;
    const uint64_t messages = c->messages_per_hour != 0 ? MAILSRV_STAGE_MAIL : 0;
    return messages | (c->recipients_per_hour != 0 ? MAILSRV_STAGE_RCPT : 0);
}

static int32_t set_all(mailsrv_profile *profile, const struct plan *plan, const struct listener *l)
{
    const struct config *c = plan->config;
    const bool smtp = l->service->machine == mailsrv_smtp;
    const char delimiter[2] = { c->delimiter, '\0' };
    int32_t status = mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, c->hostname, strlen(c->hostname));
    if (status == MAILSRV_OK)
        status = mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, l->plain_passwords);
    if (status == MAILSRV_OK)
        status = mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_TLS, tls_modes[l->secured]);
    if (status == MAILSRV_OK && l->secured != SECURED_NEVER)
        status = mailsrv_profile_set_tls(profile, plan->tls);
    if (status == MAILSRV_OK && l->service->face != MAILSRV_FACE_POP3)
        status = mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, c->message_max);
    if (status == MAILSRV_OK && l->service->logs_in)
        status = mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_AUTH_MECHANISMS, mechanisms_of(l));
    if (status == MAILSRV_OK && l->service->logs_in && plan->scram_secret[0] != '\0')
        status = mailsrv_profile_set_str(profile, MAILSRV_PROFILE_SCRAM_SECRET, plan->scram_secret,
                                         strlen(plan->scram_secret));
    if (status == MAILSRV_OK && smtp)
        status = mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_RECIPIENTS_MAX, c->recipients_max);
    if (status == MAILSRV_OK && smtp)
        status = mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_POLICY_STAGES, stages_of(c, l));
    if (status == MAILSRV_OK && smtp)
        status = mailsrv_profile_set_str(profile, MAILSRV_PROFILE_DETAIL_DELIMITER, delimiter, strlen(delimiter));
    if (status == MAILSRV_OK && smtp)
        status = mailsrv_profile_enable(profile, MAILSRV_EXT_DSN, 1); /* there is a queue */
    return status;
}

static bool make_profile(struct plan *plan, size_t which)
{
    const struct listener *l = &plan->config->listeners[which];
    mailsrv_error why = { .size = sizeof why };
    int32_t status = mailsrv_profile_new(NULL, l->service->machine(), l->service->face, &plan->profiles[which]);
    if (status == MAILSRV_OK)
        status = set_all(plan->profiles[which], plan, l);
    if (status == MAILSRV_OK)
        status = mailsrv_profile_seal(plan->profiles[which], &why);
    if (status != MAILSRV_OK)
        fprintf(stderr, "mailserverd: %s:%u: [listener %s]: %s%s\n", plan->config->path, l->line, l->name,
                why.expected != NULL ? "expected " : mailsrv_strerror(status),
                why.expected != NULL ? why.expected : "");
    return status == MAILSRV_OK;
}

/* ---- Its life ---- */

static bool complete(struct plan *plan, const struct plan *before)
{
    if (!read_certificates(plan, before) || !make_client(plan))
        return false;
    for (size_t i = 0; i < plan->config->n_listeners; i++)
        if (!make_profile(plan, i))
            return false;
    return true;
}

struct plan *plan_of(const struct config *config, const struct plan *before)
{
    struct plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        fprintf(stderr, "mailserverd: out of memory\n");
        config_unref(config);
        return NULL;
    }
    plan->references = 1;
    plan->config = config;
    if (complete(plan, before))
        return plan;
    plan_unref(plan);
    return NULL;
}

/* Is whom the server is to run as there? */
static bool has_user(const struct config *config)
{
    const bool found = config->run_as[0] == '\0' || getpwnam(config->run_as) != NULL;
    if (!found)
        fprintf(stderr, "mailserverd: %s:%u: user: expected the name of a user of this system, not %s\n", config->path,
                config->run_as_line, config->run_as);
    return found;
}

struct plan *plan_make(const char *path, const struct plan *before)
{
    const struct config *config = config_read(path);
    if (config == NULL)
        return NULL;
    if (has_user(config))
        return plan_of(config, before);
    config_unref(config);
    return NULL;
}

struct plan *plan_ref(struct plan *plan)
{
    __atomic_add_fetch(&plan->references, 1, __ATOMIC_RELAXED);
    return plan;
}

void plan_unref(struct plan *plan)
{
    if (plan == NULL || __atomic_sub_fetch(&plan->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < LISTENERS_MAX; i++)
        mailsrv_profile_unref(plan->profiles[i]);
    mailsrv_profile_unref(plan->client);
    mailsrv_tls_unref(plan->client_tls);
    mailsrv_tls_unref(plan->tls);
    config_unref(plan->config);
    explicit_bzero(plan->scram_secret, sizeof plan->scram_secret);
    free(plan);
}

const mailsrv_crypto *plan_crypto(void)
{
#if defined(MAILSERVERD_OPENSSL)
    return mailsrv_openssl_crypto();
#elif defined(MAILSERVERD_MBEDTLS)
    return mailsrv_mbedtls_crypto();
#else
    return NULL;
#endif
}
