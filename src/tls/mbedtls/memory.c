#include "provider.h"

/* The allocator of mbedTLS is the process's, so its parts are counted as they are in 2.28 and 3.6, where the tests
 * compare them with malloc: what is beside the content in each of the two buffers for records; keys and session; what
 * is held for a handshake, which 3 keeps behind one of TLS 1.3; and what a certificate is made of beside its octets. */
enum {
    OCTETS_BESIDE = 384,
    OCTETS_KEYS = IS_MBEDTLS_3 ? 3328 : 2688,
    OCTETS_KEYS_CLIENT = IS_MBEDTLS_3 ? 2304 : 2688,
    OCTETS_HANDSHAKE = IS_MBEDTLS_3 ? 6528 : 5632,
    OCTETS_CERTIFICATE = sizeof(mbedtls_x509_crt) + 1280
};

static uint64_t octets_of_buffers(const mbedtls_ssl_context *ssl)
{
#if defined(MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH)
    return ssl->MBEDTLS_PRIVATE(in_buf_len) + ssl->MBEDTLS_PRIVATE(out_buf_len);
#else
    (void)ssl;
    return MBEDTLS_SSL_IN_CONTENT_LEN + MBEDTLS_SSL_OUT_CONTENT_LEN + 2 * OCTETS_BESIDE;
#endif
}

/* What the other side has shown. */
static uint64_t octets_of_shown(const mbedtls_ssl_context *ssl)
{
    uint64_t sum = 0;
#if defined(MBEDTLS_SSL_KEEP_PEER_CERTIFICATE)
    const mbedtls_ssl_session *shaking = ssl->MBEDTLS_PRIVATE(session_negotiate);
    const mbedtls_x509_crt *at = shaking == NULL ? mbedtls_ssl_get_peer_cert(ssl) : shaking->MBEDTLS_PRIVATE(peer_cert);
    for (; at != NULL; at = at->next)
        sum += OCTETS_CERTIFICATE + at->raw.len;
#endif
    return sum;
}

uint64_t mailsrv__mbedtls_octets(const void *connection)
{
    const struct connection *c = connection;
    bool keeps = !c->is_open || mailsrv__mbedtls_version(c) >= 0x0304;
    return sizeof *c + octets_of_buffers(&c->ssl) + (c->is_client ? OCTETS_KEYS_CLIENT : OCTETS_KEYS) +
           (keeps ? OCTETS_HANDSHAKE : 0) + octets_of_shown(&c->ssl) + (c->texts == NULL ? 0 : sizeof *c->texts) +
           c->target.octets;
}
