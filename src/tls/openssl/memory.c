#include "provider.h"

#include <string.h>

/* OpenSSL does not say: its parts are counted as they are in 3.0, where the tests compare them with malloc.  A
 * connection as it is made; what a handshake has beside it, and the buffer for writing that it begins with; an open
 * one; the buffer for reading, which is there while a record has begun; what a suite with a MAC of its own
 * needs; and what a certificate is made of beside its octets, and more where it was looked at. */
enum {
    OCTETS_NEW = 9216,
    OCTETS_SHAKING = 36 * 1024,
    OCTETS_WRITING = 16640,
    OCTETS_OPEN_12 = 13184,
    OCTETS_OPEN_13 = 14336,
    OCTETS_LOST = 2048, /* holes that the large buffers of a handshake leave, by the count of a process's pages */
    OCTETS_READING = 16768,
    OCTETS_MAC = 2944,
    OCTETS_CLIENT_12 = 1600, /* a client's, beside a server's */
    OCTETS_CLIENT_13 = 384,
    OCTETS_CERTIFICATE = 3200,
    OCTETS_VERIFIED = 1536,
    OCTETS_RECORD = 192 /* of DANE, and its part of what it is kept with */
};

static uint64_t octets_of_certificate(const X509 *certificate)
{
    int n = certificate == NULL ? 0 : i2d_X509(certificate, NULL);
    return n <= 0 ? 0 : OCTETS_CERTIFICATE + (uint64_t)n;
}

/* What the other side has shown; of a server's chain its own is the first. */
static uint64_t octets_of_shown(const struct connection *c)
{
    uint64_t sum = octets_of_certificate(SSL_get0_peer_certificate(c->ssl));
    const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(c->ssl);
    for (int i = c->is_client ? 1 : 0; i < sk_X509_num(chain); i++)
        sum += octets_of_certificate(sk_X509_value(chain, i));
    bool is_verified = SSL_session_reused(c->ssl) == 0 || SSL_version(c->ssl) >= TLS1_3_VERSION;
    return sum + (sum != 0 && is_verified ? OCTETS_VERIFIED : 0);
}

static uint64_t octets_of_open(const struct connection *c)
{
    bool has_mac = SSL_CIPHER_is_aead(SSL_get_current_cipher(c->ssl)) == 0;
    bool is_13 = SSL_version(c->ssl) >= TLS1_3_VERSION;
    uint64_t octets = is_13 ? OCTETS_OPEN_13 : OCTETS_OPEN_12;
    if (c->is_client)
        octets += is_13 ? OCTETS_CLIENT_13 : OCTETS_CLIENT_12;
    return octets + OCTETS_LOST + (has_mac ? OCTETS_MAC : 0);
}

static uint64_t octets_of_state(const struct connection *c)
{
    if (c->is_open)
        return octets_of_open(c);
    if (!c->has_begun)
        return OCTETS_NEW;
    return OCTETS_NEW + OCTETS_SHAKING + (c->octets_sent == 0 ? OCTETS_WRITING : 0);
}

static uint64_t octets_of_texts(const struct texts *t)
{
    uint64_t sum = t->subject == NULL ? 0 : strlen(t->subject) + OCTETS_AROUND;
    for (size_t i = 0; i < t->n_names; i++)
        sum += t->names[i].n + OCTETS_AROUND;
    return sum;
}

/* Of a whole certificate that issues others more than its octets is kept; a key is counted as one. */
size_t mailsrv__openssl_octets_of_record(const mailsrv_tlsa *r)
{
    enum { ITSELF = 0 };
    const bool is_kept = r->usage == USAGE_TA && r->matching == ITSELF;
    return OCTETS_RECORD + r->data.n + (is_kept ? OCTETS_CERTIFICATE + r->data.n : 0);
}

uint64_t mailsrv__openssl_octets(const void *connection)
{
    const struct connection *c = connection;
    return sizeof *c + octets_of_state(c) + (SSL_has_pending(c->ssl) ? OCTETS_READING : 0) + octets_of_shown(c) +
           octets_of_texts(&c->texts) + c->target.octets;
}
