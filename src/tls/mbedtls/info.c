#include "tls/common/io.h"
#include "provider.h"

#include <mbedtls/md.h>
#include <stdlib.h>
#include <string.h>

/* ---- Our certificate ---- */

/* The kind of key that a cipher suite of TLS 1.2 speaks of; MBEDTLS_PK_NONE: it does not say. */
static mbedtls_pk_type_t key_of(const char *suite)
{
    if (strstr(suite, "-ECDSA-") != NULL)
        return MBEDTLS_PK_ECKEY;
    return strstr(suite, "-RSA-") != NULL ? MBEDTLS_PK_RSA : MBEDTLS_PK_NONE;
}

static bool is_of(const struct certificate *c, mbedtls_pk_type_t key)
{
    return key == MBEDTLS_PK_NONE || mbedtls_pk_get_type(&c->key) == key;
}

/* Which one was shown: mbedTLS does not say.  NULL: it may have been this one or that one. */
static const mbedtls_x509_crt *shown(const struct connection *c)
{
    const char *suite = mbedtls_ssl_get_ciphersuite(&c->ssl);
    mbedtls_pk_type_t key = key_of(suite == NULL ? "" : suite);
    const struct context *context = c->context;
    size_t named = 0, fitting = 0;
    const mbedtls_x509_crt *one = NULL;
    for (size_t i = 0; i < context->n_certificates; i++)
        named += mailsrv__mbedtls_is_for(&context->certificates[i].chain, c->server_name, strlen(c->server_name));
    for (size_t i = 0; i < context->n_certificates; i++) {
        const struct certificate *at = &context->certificates[i];
        bool is_candidate = named == 0 ? mailsrv__mbedtls_goes_with_first(context, i)
                                       : mailsrv__mbedtls_is_for(&at->chain, c->server_name, strlen(c->server_name));
        if (!is_candidate || !is_of(at, key))
            continue;
        if (fitting++ == 0)
            one = &at->chain;
    }
    return fitting == 1 ? one : NULL;
}

/* The server's, by the hash of its signature, or a better one (RFC 5929 section 4.1). */
static void find_end_point(const struct connection *c, struct texts *t)
{
    const mbedtls_x509_crt *own = NULL;
    if (c->is_client)
        own = mbedtls_ssl_get_peer_cert(&c->ssl);
    else if (c->shows_own)
        own = shown(c);
    if (own == NULL)
        return;
    mbedtls_md_type_t type = own->MBEDTLS_PRIVATE(sig_md);
    if (type == MBEDTLS_MD_MD5 || type == MBEDTLS_MD_SHA1)
        type = MBEDTLS_MD_SHA256;
    const mbedtls_md_info_t *digest = mbedtls_md_info_from_type(type);
    if (digest != NULL && mbedtls_md(digest, own->raw.p, own->raw.len, t->end_point) == 0)
        t->n_end_point = mbedtls_md_get_size(digest);
}

/* ---- The client's ---- */

static void add_names(struct texts *t, const mbedtls_x509_crt *client, int kind)
{
    const mbedtls_x509_sequence *at = NULL;
    while ((at = mailsrv__mbedtls_next_name(client, at, kind)) != NULL && t->n_names != NAMES_MAX)
        if (at->buf.len != 0 && memchr(at->buf.p, 0, at->buf.len) == NULL) /* a NUL is an attack on readers of C */
            t->names[t->n_names++] = (mailsrv_bytes){ at->buf.p, at->buf.len };
}

static void find_client(const struct connection *c, struct texts *t)
{
    const mbedtls_x509_crt *client = c->context->asks_clients ? mbedtls_ssl_get_peer_cert(&c->ssl) : NULL;
    if (client == NULL || mbedtls_ssl_get_verify_result(&c->ssl) != 0)
        return;
    if (mbedtls_x509_dn_gets(t->subject, sizeof t->subject, &client->subject) < 0)
        t->subject[0] = '\0';
    add_names(t, client, NAME_EMAIL);
    add_names(t, client, NAME_DNS);
}

/* ---- */

/* "TLS-ECDHE-RSA-WITH-..." is TLS_ECDHE_RSA_WITH_..., "TLS1-3-AES-..." TLS_AES_...  */
static void name_cipher(const struct connection *c, struct texts *t)
{
    static const char of_13[] = "TLS1-3-";
    const char *suite = mbedtls_ssl_get_ciphersuite(&c->ssl);
    if (suite == NULL)
        return;
    bool is_13 = strncmp(suite, of_13, sizeof of_13 - 1) == 0;
    size_t n = 0;
    memcpy(t->cipher, "TLS-", 4);
    for (const char *p = suite + (is_13 ? sizeof of_13 - 1 : 4); *p != '\0' && n + 5 < sizeof t->cipher; p++)
        t->cipher[4 + n++] = *p;
    for (char *p = t->cipher; *p != '\0'; p++)
        *p = *p == '-' ? '_' : *p;
}

static const struct texts *texts_of(struct connection *c)
{
    static const struct texts none = { .known = false };
    if (c->texts == NULL)
        c->texts = calloc(1, sizeof *c->texts);
    if (c->texts == NULL)
        return &none;
    if (!c->texts->known) {
        c->texts->known = true;
        name_cipher(c, c->texts);
        find_end_point(c, c->texts);
        find_client(c, c->texts);
    }
    return c->texts;
}

uint32_t mailsrv__mbedtls_version(const struct connection *c)
{
    return strcmp(mbedtls_ssl_get_version(&c->ssl), "TLSv1.3") == 0 ? 0x0304 : 0x0303;
}

/* In a session that was resumed nobody can say how the first one was made. */
static bool is_unique(const struct connection *c)
{
    return mailsrv__mbedtls_version(c) >= 0x0304 || (c->hello.offers_ems && c->shows_own);
}

void mailsrv__mbedtls_info(struct connection *c, mailsrv_tls_info *out)
{
    const struct texts *t = texts_of(c);
    mailsrv_tls_info all = {
        .version = mailsrv__mbedtls_version(c),
        .cipher = mailsrv__tls_text(t->cipher),
        .server_name = mailsrv__tls_text(c->is_client ? c->target.name : c->server_name),
        .client_subject = mailsrv__tls_text(t->subject),
        .client_names = t->n_names == 0 ? NULL : t->names,
        .n_client_names = t->n_names,
        .exporter = { c->exporter, is_unique(c) ? c->n_exporter : 0 },
        .end_point = { t->end_point, t->n_end_point },
        .resumed = !c->shows_own,
        .verified = mailsrv__mbedtls_verified_by(c),
    };
    mailsrv__tls_info_copy(out, &all);
}

void mailsrv__mbedtls_info_free(struct connection *c)
{
    free(c->texts);
    c->texts = NULL;
}
