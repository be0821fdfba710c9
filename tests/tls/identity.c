#include "identity.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { YEAR_S = 365 * 24 * 3600 };

static void must(int good)
{
    if (!good)
        abort();
}

static char *text_of(BIO *bio)
{
    char *made;
    size_t n = (size_t)BIO_get_mem_data(bio, &made);
    char *text = malloc(n + 1);
    must(text != NULL);
    memcpy(text, made, n);
    text[n] = '\0';
    BIO_free(bio);
    return text;
}

static void extend(X509 *own, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, own, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    must(e != NULL && X509_add_ext(own, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static void read_pem(const struct identity *by, X509 **own, EVP_PKEY **key)
{
    BIO *chain = BIO_new_mem_buf(by->chain, -1), *secret = BIO_new_mem_buf(by->key, -1);
    *own = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    *key = PEM_read_bio_PrivateKey(secret, NULL, NULL, NULL);
    BIO_free(chain);
    BIO_free(secret);
    must(*own != NULL && *key != NULL);
}

static void describe(X509 *own, const char *common_name, long ended_s)
{
    static long serial = 1;
    X509_NAME *name = X509_get_subject_name(own);
    must(X509_set_version(own, 2) && ASN1_INTEGER_set(X509_get_serialNumber(own), serial++) &&
         X509_gmtime_adj(X509_getm_notBefore(own), -3600 - ended_s) != NULL &&
         X509_gmtime_adj(X509_getm_notAfter(own), ended_s != 0 ? -ended_s : YEAR_S) != NULL &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0));
}

/* A root has no names. */
static void make(struct identity *identity, EVP_PKEY *key, const struct odd_identity *odd, bool is_root,
                 const struct identity *by)
{
    EVP_PKEY *signing = key;
    X509 *own = X509_new(), *issuer = own;
    must(key != NULL && own != NULL);
    describe(own, odd->common_name, odd->ended_s);
    must(X509_set_pubkey(own, key));
    if (by != NULL)
        read_pem(by, &issuer, &signing);
    must(X509_set_issuer_name(own, X509_get_subject_name(issuer)));
    extend(own, issuer, NID_basic_constraints, is_root || odd->issues ? "critical,CA:TRUE" : "CA:FALSE");
    if (odd->names != NULL)
        extend(own, issuer, NID_subject_alt_name, odd->names);
    if (odd->usage != NULL)
        extend(own, issuer, NID_ext_key_usage, odd->usage);
    if (odd->key_usage != NULL)
        extend(own, issuer, NID_key_usage, odd->key_usage);
    must(X509_sign(own, signing, odd->sha1 ? EVP_sha1() : EVP_sha256()) != 0);
    BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509(chain, own) && PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL));
    identity->chain = text_of(chain);
    identity->key = text_of(secret);
    if (by != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(signing);
    }
    X509_free(own);
    EVP_PKEY_free(key);
}

static EVP_PKEY *new_key(enum key_kind kind)
{
    return kind == KEY_EC ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
}

void identity_make(struct identity *identity, enum key_kind kind, const char *names, const struct identity *by)
{
    const struct odd_identity usual = { .names = names, .common_name = names == NULL ? "root of tests" : "of tests" };
    make(identity, new_key(kind), &usual, names == NULL, by);
}

static EVP_PKEY *key_of(const struct identity *identity)
{
    X509 *own;
    EVP_PKEY *key;
    read_pem(identity, &own, &key);
    X509_free(own);
    return key;
}

void identity_make_odd(struct identity *identity, const struct odd_identity *odd, const struct identity *by)
{
    struct odd_identity whole = *odd;
    if (whole.common_name == NULL)
        whole.common_name = "of tests";
    make(identity, odd->key_of == NULL ? new_key(odd->kind) : key_of(odd->key_of), &whole, false, by);
}

size_t identity_association(const struct identity *identity, int selector, int matching, unsigned char *out)
{
    X509 *own;
    EVP_PKEY *key;
    unsigned char octets[2048], *p = octets;
    unsigned int n = 0;
    read_pem(identity, &own, &key);
    const int all = selector == 0 ? i2d_X509(own, NULL) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(own), NULL);
    must(all > 0 && all <= (int)sizeof octets);
    must((selector == 0 ? i2d_X509(own, &p) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(own), &p)) == all);
    if (matching == 0)
        memcpy(out, octets, n = (unsigned int)all);
    else
        must(EVP_Digest(octets, (size_t)all, out, &n, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL));
    X509_free(own);
    EVP_PKEY_free(key);
    return n;
}

void identity_show(const struct identity *identity, SSL_CTX *ctx)
{
    X509 *own;
    EVP_PKEY *key;
    read_pem(identity, &own, &key);
    must(SSL_CTX_use_certificate(ctx, own) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
    X509_free(own);
    EVP_PKEY_free(key);
}

void identity_free(struct identity *identity)
{
    free(identity->chain);
    free(identity->key);
}

mailsrv_bytes identity_bytes(const char *pem)
{
    return (mailsrv_bytes){ (const uint8_t *)pem, strlen(pem) };
}

mailsrv_certificate identity_certificate(const struct identity *identity)
{
    return (mailsrv_certificate){ .size = sizeof(mailsrv_certificate),
                                  .chain = identity_bytes(identity->chain),
                                  .key = identity_bytes(identity->key) };
}
