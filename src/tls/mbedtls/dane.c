/* Who a server is by what DNS says of his certificate, or of who issued it (RFC 6698, RFC 7672 section 3).  mbedTLS
 * goes up from the server's own certificate by signatures, and then tells of each, the topmost first. */
#include "provider.h"

#include <mbedtls/md.h>
#include <stdlib.h>
#include <string.h>

enum { SELECTOR_ALL = 0, MATCHING_ITSELF = 0, MATCHING_SHA256 = 1 };

struct records {
    uint32_t n;
    mailsrv_tlsa v[]; /* and their octets behind them */
};

bool mailsrv__mbedtls_records_set(struct connection *c, const mailsrv_tls_target *target)
{
    size_t octets = sizeof(struct records) + target->n_tlsa * sizeof(mailsrv_tlsa);
    for (uint32_t i = 0; i < target->n_tlsa; i++)
        octets += mailsrv__tls_target_tlsa(target, i)->data.n;
    struct records *r = malloc(octets);
    if (r == NULL)
        return false;
    r->n = target->n_tlsa;
    uint8_t *to = (uint8_t *)(r->v + r->n);
    for (uint32_t i = 0; i < r->n; i++) {
        r->v[i] = *mailsrv__tls_target_tlsa(target, i);
        if (r->v[i].data.n != 0)
            memcpy(to, r->v[i].data.p, r->v[i].data.n);
        r->v[i].data.p = to;
        to += r->v[i].data.n;
    }
    c->records = r;
    c->target.octets += octets + OCTETS_AROUND;
    return true;
}

void mailsrv__mbedtls_records_free(struct connection *c)
{
    free(c->records);
    c->records = NULL;
}

/* ---- Is it the one? ---- */

static bool is_of(const mailsrv_tlsa *r, const mbedtls_x509_crt *certificate)
{
    const mbedtls_x509_buf *of = r->selector == SELECTOR_ALL ? &certificate->raw : &certificate->pk_raw;
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    if (r->matching == MATCHING_ITSELF)
        return r->data.n == of->len && memcmp(r->data.p, of->p, of->len) == 0;
    const mbedtls_md_info_t *digest =
        mbedtls_md_info_from_type(r->matching == MATCHING_SHA256 ? MBEDTLS_MD_SHA256 : MBEDTLS_MD_SHA512);
    return digest != NULL && r->data.n == mbedtls_md_get_size(digest) &&
           mbedtls_md(digest, of->p, of->len, hash) == 0 && memcmp(r->data.p, hash, r->data.n) == 0;
}

static bool has_record(const struct connection *c, const mbedtls_x509_crt *certificate, uint8_t usage)
{
    for (uint32_t i = 0; i < c->records->n; i++)
        if (c->records->v[i].usage == usage && is_of(&c->records->v[i], certificate))
            return true;
    return false;
}

/* The subject's common name counts where there are no others (RFC 7672 section 3.2.3). */
static bool bears(const mbedtls_x509_crt *certificate, const char *name)
{
    const size_t n = strlen(name);
    if (mailsrv__mbedtls_next_name(certificate, NULL, NAME_DNS) != NULL)
        return n != 0 && mailsrv__mbedtls_is_for(certificate, name, n);
    return n != 0 && mailsrv__mbedtls_is_called(certificate, name, n);
}

static bool bears_a_name(const struct target *t, const mbedtls_x509_crt *certificate)
{
    bool is_right = bears(certificate, t->name);
    for (size_t i = 0; i < t->n_others && !is_right; i++)
        is_right = bears(certificate, t->others[i]);
    return is_right;
}

/* Whoever issued it by way of those that came behind him, as a record says, is trusted, whoever may have issued his. */
static void look_at_issuer(struct connection *c, const mbedtls_x509_crt *certificate, uint32_t flags)
{
    static const uint32_t of_signature = MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_BAD_MD |
                                         MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY;
    if (has_record(c, certificate, USAGE_TA)) {
        c->is_anchored = true;
        c->verify_flags = 0;
        flags &= ~of_signature;
    }
    c->verify_flags |= flags;
}

/* By a record of its own nothing else that it says counts (RFC 7672 section 3.1.1). */
static void look_at_own(struct connection *c, const mbedtls_x509_crt *certificate, uint32_t flags)
{
    flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    if (has_record(c, certificate, USAGE_EE))
        c->verify_flags = flags = 0;
    else if (!c->is_anchored)
        flags |= MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    else if (!bears_a_name(&c->target, certificate))
        flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    c->verify_flags |= flags;
    c->is_vouched_for = c->verify_flags == 0;
}

void mailsrv__mbedtls_look_by_records(struct connection *c, const mbedtls_x509_crt *certificate, int depth,
                                       uint32_t *flags)
{
    if (depth == 0)
        look_at_own(c, certificate, *flags);
    else
        look_at_issuer(c, certificate, *flags);
    *flags = depth == 0 ? c->verify_flags : 0;
}
