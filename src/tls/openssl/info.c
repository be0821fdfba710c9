#include "tls/common/io.h"
#include "provider.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* ---- Channel bindings ---- */

/* Is the master secret this connection's alone (RFC 9266 section 4.2)? */
static bool is_unique(const SSL *ssl)
{
    return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support((SSL *)(uintptr_t)ssl) == 1;
}

/* RFC 9266 section 2.  Before TLS 1.3 no context and an empty one differ; what is in use there has none. */
static void find_exporter(SSL *ssl, struct texts *t)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    if (SSL_export_keying_material(ssl, t->exporter, sizeof t->exporter, label, sizeof label - 1, NULL, 0, 0) == 1)
        t->n_exporter = sizeof t->exporter;
}

/* The first Finished message: the client's, or, in a resumed session, the server's (RFC 5929 section 3.1). */
static void find_unique(const struct connection *c, struct texts *t)
{
    const SSL *ssl = c->ssl;
    if (SSL_version(ssl) >= TLS1_3_VERSION)
        return;
    bool is_ours = c->is_client == (SSL_session_reused(ssl) == 0);
    t->n_unique = is_ours ? SSL_get_finished(ssl, t->unique, sizeof t->unique)
                          : SSL_get_peer_finished(ssl, t->unique, sizeof t->unique);
}

/* The hash of the server's certificate, by the hash of its signature, or a better one (RFC 5929 section 4.1). */
static void find_end_point(const struct connection *c, struct texts *t)
{
    X509 *own = c->is_client ? SSL_get0_peer_certificate(c->ssl) : SSL_get_certificate(c->ssl);
    int nid = NID_undef;
    unsigned n = 0;
    if (own == NULL || X509_get_signature_info(own, &nid, NULL, NULL, NULL) != 1 || nid == NID_undef)
        return;
    const EVP_MD *digest = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
    if (digest != NULL && X509_digest(own, digest, t->end_point, &n) == 1)
        t->n_end_point = n;
}

/* ---- The client's certificate ---- */

static char *print_name(const X509_NAME *name)
{
    char *text = NULL, *made = NULL;
    BIO *out = BIO_new(BIO_s_mem());
    if (out != NULL && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0) {
        size_t n = (size_t)BIO_get_mem_data(out, &made);
        text = malloc(n + 1);
        if (text != NULL) {
            memcpy(text, made, n);
            text[n] = '\0';
        }
    }
    BIO_free(out);
    return text;
}

static void add_name(struct texts *t, const ASN1_STRING *name)
{
    size_t n = (size_t)ASN1_STRING_length(name);
    const uint8_t *from = ASN1_STRING_get0_data(name);
    if (t->n_names == NAMES_MAX || n == 0 || memchr(from, 0, n) != NULL)
        return; /* a NUL in a name is an attack on those who read it as C does */
    uint8_t *copy = malloc(n);
    if (copy == NULL)
        return;
    memcpy(copy, from, n);
    t->names[t->n_names++] = (mailsrv_bytes){ copy, n };
}

static void add_names(struct texts *t, const GENERAL_NAMES *names, int type)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == type)
            add_name(t, name->d.ia5);
    }
}

static void find_client(const struct connection *c, struct texts *t)
{
    X509 *client = c->context->asks_clients ? SSL_get1_peer_certificate(c->ssl) : NULL;
    if (client == NULL)
        return;
    if (SSL_get_verify_result(c->ssl) == X509_V_OK) {
        GENERAL_NAMES *names = X509_get_ext_d2i(client, NID_subject_alt_name, NULL, NULL);
        t->subject = print_name(X509_get_subject_name(client));
        add_names(t, names, GEN_EMAIL);
        add_names(t, names, GEN_DNS);
        GENERAL_NAMES_free(names);
    }
    X509_free(client);
}

/* ---- */

void mailsrv__openssl_info_find(struct connection *c)
{
    struct texts *t = &c->texts;
    if (is_unique(c->ssl)) {
        find_exporter(c->ssl, t);
        find_unique(c, t);
    }
    find_end_point(c, t);
    find_client(c, t);
}

void mailsrv__openssl_info_fill(struct connection *c, mailsrv_tls_info *out)
{
    const struct texts *t = &c->texts;
    mailsrv_tls_info all = {
        .version = (uint32_t)SSL_version(c->ssl),
        .cipher = mailsrv__tls_text(SSL_CIPHER_standard_name(SSL_get_current_cipher(c->ssl))),
        .server_name = mailsrv__tls_text(SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name)),
        .client_subject = mailsrv__tls_text(t->subject),
        .client_names = t->n_names == 0 ? NULL : t->names,
        .n_client_names = t->n_names,
        .exporter = { t->exporter, t->n_exporter },
        .unique = { t->unique, t->n_unique },
        .end_point = { t->end_point, t->n_end_point },
        .resumed = SSL_session_reused(c->ssl) == 1,
        .verified = c->is_client ? mailsrv__openssl_verified_by(c) : MAILSRV_TLS_BY_NOTHING,
    };
    mailsrv__tls_info_copy(out, &all);
}

void mailsrv__openssl_info_free(struct texts *t)
{
    free(t->subject);
    for (size_t i = 0; i < t->n_names; i++)
        free((void *)(uintptr_t)t->names[i].p);
}
