#include "provider.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>

/* ---- PEM ---- */

/* mbedTLS wants a NUL behind it. */
static unsigned char *ended(const mailsrv_bytes *pem)
{
    unsigned char *p = pem->n == 0 || pem->n == SIZE_MAX ? NULL : malloc(pem->n + 1);
    if (p == NULL)
        return NULL;
    memcpy(p, pem->p, pem->n);
    p[pem->n] = '\0';
    return p;
}

static void forget(unsigned char *p, size_t n)
{
    if (p == NULL)
        return;
    mbedtls_platform_zeroize(p, n);
    free(p);
}

bool mailsrv__mbedtls_roots_read(mbedtls_x509_crt *out, const mailsrv_bytes *pem)
{
    unsigned char *p = ended(pem);
    bool good = p != NULL && mbedtls_x509_crt_parse(out, p, pem->n + 1) == 0;
    free(p);
    return good;
}

static bool read_key(mbedtls_pk_context *out, const mailsrv_bytes *pem, struct generator *random)
{
    unsigned char *p = ended(pem);
    int failed = p == NULL;
#if IS_MBEDTLS_3
    failed = failed || mbedtls_pk_parse_key(out, p, pem->n + 1, NULL, 0, mbedtls_ctr_drbg_random, &random->drbg) != 0;
#else
    (void)random;
    failed = failed || mbedtls_pk_parse_key(out, p, pem->n + 1, NULL, 0) != 0;
#endif
    forget(p, pem->n);
    return !failed;
}

static bool is_pair(const struct certificate *c, struct generator *random)
{
#if IS_MBEDTLS_3
    return mbedtls_pk_check_pair(&c->chain.pk, &c->key, mbedtls_ctr_drbg_random, &random->drbg) == 0;
#else
    (void)random;
    return mbedtls_pk_check_pair(&c->chain.pk, &c->key) == 0;
#endif
}

bool mailsrv__mbedtls_certificate_read(struct certificate *out, const mailsrv_certificate *pem,
                                       struct generator *random, const char **expected)
{
    mbedtls_x509_crt_init(&out->chain);
    mbedtls_pk_init(&out->key);
    *expected = NULL;
    if (!mailsrv__mbedtls_roots_read(&out->chain, &pem->chain))
        *expected = "certificates as PEM";
    else if (!read_key(&out->key, &pem->key, random))
        *expected = "a private key as PEM, not encrypted";
    else if (!is_pair(out, random))
        *expected = "the private key of the first certificate";
    return *expected == NULL;
}

void mailsrv__mbedtls_certificate_free(struct certificate *c)
{
    mbedtls_x509_crt_free(&c->chain);
    mbedtls_pk_free(&c->key);
}

/* ---- Names ---- */

const mbedtls_x509_sequence *mailsrv__mbedtls_next_name(const mbedtls_x509_crt *c, const mbedtls_x509_sequence *at,
                                                        int kind)
{
    at = at == NULL ? &c->subject_alt_names : at->next;
    while (at != NULL && (at->buf.p == NULL || (at->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) != kind))
        at = at->next;
    return at;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_equal(const char *a, size_t a_n, const char *b, size_t b_n)
{
    if (a_n != b_n)
        return false;
    for (size_t i = 0; i < a_n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

/* A wildcard stands for one label, the first, whole (RFC 9525 section 6.3). */
static bool matches(const char *pattern, size_t pattern_n, const char *name, size_t n)
{
    if (is_equal(pattern, pattern_n, name, n))
        return true;
    const char *dot = memchr(name, '.', n);
    return pattern_n > 2 && pattern[0] == '*' && pattern[1] == '.' && dot != NULL && dot != name &&
           is_equal(pattern + 1, pattern_n - 1, dot, n - (size_t)(dot - name));
}

bool mailsrv__mbedtls_is_for(const mbedtls_x509_crt *c, const char *name, size_t n)
{
    const mbedtls_x509_sequence *at = NULL;
    while ((at = mailsrv__mbedtls_next_name(c, at, NAME_DNS)) != NULL)
        if (matches((const char *)at->buf.p, at->buf.len, name, n))
            return true;
    return false;
}

bool mailsrv__mbedtls_is_called(const mbedtls_x509_crt *c, const char *name, size_t n)
{
    for (const mbedtls_x509_name *at = &c->subject; at != NULL; at = at->next)
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &at->oid) == 0 && matches((const char *)at->val.p, at->val.len, name, n))
            return true;
    return false;
}

bool mailsrv__mbedtls_goes_with_first(const struct context *context, size_t i)
{
    const struct certificate *first = &context->certificates[0], *c = &context->certificates[i];
    const mbedtls_x509_sequence *name = mailsrv__mbedtls_next_name(&first->chain, NULL, NAME_DNS);
    return i == 0 || (name != NULL && mbedtls_pk_get_type(&c->key) != mbedtls_pk_get_type(&first->key) &&
                      mailsrv__mbedtls_is_for(&c->chain, (const char *)name->buf.p, name->buf.len));
}
