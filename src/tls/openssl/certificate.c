#include "provider.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* ---- PEM ---- */

/* A key that is encrypted is none that can be used: nobody is asked for its password. */
static int no_password(char *p, int n, int writing, void *user)
{
    (void)p;
    (void)n;
    (void)writing;
    (void)user;
    return -1;
}

static BIO *reader(const mailsrv_bytes *pem)
{
    return pem->n == 0 || pem->n > INT32_MAX ? NULL : BIO_new_mem_buf(pem->p, (int)pem->n);
}

/* All certificates; NULL: there is none, or one cannot be read. */
static STACK_OF(X509) * read_all(const mailsrv_bytes *pem)
{
    BIO *in = reader(pem);
    STACK_OF(X509) *all = sk_X509_new_null();
    X509 *next;
    bool good = in != NULL && all != NULL;
    while (good && (next = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL) {
        good = sk_X509_push(all, next) > 0;
        if (!good)
            X509_free(next);
    }
    BIO_free(in);
    if (good && sk_X509_num(all) > 0)
        return all;
    sk_X509_pop_free(all, X509_free);
    return NULL;
}

static EVP_PKEY *read_key(const mailsrv_bytes *pem)
{
    BIO *in = reader(pem);
    EVP_PKEY *key = in == NULL ? NULL : PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
    BIO_free(in);
    return key;
}

bool mailsrv__openssl_certificate_read(struct certificate *out, const mailsrv_certificate *pem, const char **expected)
{
    out->chain = read_all(&pem->chain);
    out->key = read_key(&pem->key);
    if (out->chain == NULL)
        *expected = "certificates as PEM";
    else if (out->key == NULL)
        *expected = "a private key as PEM, not encrypted";
    else if (X509_check_private_key(sk_X509_value(out->chain, 0), out->key) != 1)
        *expected = "the private key of the first certificate";
    else
        out->own = sk_X509_shift(out->chain);
    return out->own != NULL;
}

void mailsrv__openssl_certificate_free(struct certificate *c)
{
    X509_free(c->own);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
}

/* ---- By name (RFC 6066 section 3) ---- */

static bool is_for(const struct certificate *c, const char *name)
{
    return name != NULL && X509_check_host(c->own, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

static bool use(SSL *ssl, const struct certificate *c)
{
    return SSL_use_cert_and_key(ssl, c->own, c->key, c->chain, 1) == 1;
}

/* The first certificate, and those of another kind of key that bear its first name. */
static bool use_first(SSL *ssl, const struct context *context)
{
    const struct certificate *first = &context->certificates[0];
    int kind = EVP_PKEY_get_base_id(first->key);
    bool good = use(ssl, first);
    GENERAL_NAMES *names = X509_get_ext_d2i(first->own, NID_subject_alt_name, NULL, NULL);
    const GENERAL_NAME *name = sk_GENERAL_NAME_num(names) > 0 ? sk_GENERAL_NAME_value(names, 0) : NULL;
    for (size_t i = 1; i < context->n_certificates && good && name != NULL && name->type == GEN_DNS; i++) {
        const struct certificate *c = &context->certificates[i];
        if (EVP_PKEY_get_base_id(c->key) != kind &&
            X509_check_host(c->own, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                            (size_t)ASN1_STRING_length(name->d.dNSName), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                            NULL) == 1)
            good = use(ssl, c);
    }
    GENERAL_NAMES_free(names);
    return good;
}

int mailsrv__openssl_certificate_choose(SSL *ssl, void *user)
{
    const struct context *context = user;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    bool found = false, good = true;
    SSL_certs_clear(ssl);
    for (size_t i = context->n_certificates; i-- > 0 && good;) { /* of two with one kind of key the first one stays */
        if (!is_for(&context->certificates[i], name))
            continue;
        found = true;
        good = use(ssl, &context->certificates[i]);
    }
    return good && (found || use_first(ssl, context)) ? 1 : 0;
}

/* ---- Roots ---- */

bool mailsrv__openssl_roots_read(SSL_CTX *ssl, const mailsrv_bytes *pem)
{
    STACK_OF(X509) *all = read_all(pem);
    bool good = all != NULL;
    for (int i = 0; good && i < sk_X509_num(all); i++)
        good = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), sk_X509_value(all, i)) == 1 &&
               SSL_CTX_add_client_CA(ssl, sk_X509_value(all, i)) == 1;
    sk_X509_pop_free(all, X509_free);
    return good;
}
