/* One connection.  mbedTLS reads from what the session feeds and writes into the room that it lends. */
#include "tls/common/context.h"
#include "tls/common/io.h"
#include "provider.h"

#include <mbedtls/error.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading and writing ---- */

static int give(void *user, unsigned char *p, size_t n)
{
    struct connection *c = user;
    n = mailsrv__tls_io_read(c->io, p, n);
    if (n == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (!c->is_open)
        mailsrv__mbedtls_hello(&c->hello, p, n);
    return c->hello.is_wrong ? MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE : (int)n;
}

static int take(void *user, const unsigned char *p, size_t n)
{
    struct connection *c = user;
    n = mailsrv__tls_io_write(c->io, p, n);
    return n == 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : (int)n;
}

/* ---- What the handshake asks ---- */

/* The name that the client asks for (RFC 6066 section 3). */
static int choose_certificate(void *user, mbedtls_ssl_context *ssl, const unsigned char *name, size_t n)
{
    struct connection *c = user;
    int status = 0;
    if (n <= NAME_OCTETS_MAX && memchr(name, 0, n) == NULL) {
        memcpy(c->server_name, name, n);
        c->server_name[n] = '\0';
    }
    for (size_t i = 0; i < c->context->n_certificates && status == 0; i++) {
        struct certificate *certificate = &c->context->certificates[i];
        if (mailsrv__mbedtls_is_for(&certificate->chain, (const char *)name, n))
            status = mbedtls_ssl_set_hs_own_cert(ssl, &certificate->chain, &certificate->key);
    }
    return status;
}

/* RFC 5705 section 4, without a context, as it is in use before TLS 1.3. */
static void export_from(struct connection *c, const unsigned char *master, size_t n, const unsigned char client[32],
                        const unsigned char server[32], mbedtls_tls_prf_types prf)
{
    unsigned char seed[64];
    memcpy(seed, client, 32);
    memcpy(seed + 32, server, 32);
    if (mbedtls_ssl_tls_prf(prf, master, n, "EXPORTER-Channel-Binding", seed, sizeof seed, c->exporter,
                            sizeof c->exporter) == 0)
        c->n_exporter = sizeof c->exporter;
}

#if IS_MBEDTLS_3
static void keys_made(void *user, mbedtls_ssl_key_export_type type, const unsigned char *secret, size_t n,
                      const unsigned char client[32], const unsigned char server[32], mbedtls_tls_prf_types prf)
{
    if (type == MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET)
        export_from(user, secret, n, client, server, prf);
}
#elif defined(MBEDTLS_SSL_EXPORT_KEYS)
static int keys_made(void *user, const unsigned char *master, const unsigned char *keys, size_t mac, size_t key,
                     size_t iv, const unsigned char client[32], const unsigned char server[32],
                     mbedtls_tls_prf_types prf)
{
    (void)keys;
    (void)mac;
    (void)key;
    (void)iv;
    export_from(user, master, 48, client, server, prf);
    return 0;
}
#endif

/* ---- Life ---- */

static void end(void *connection)
{
    struct connection *c = connection;
    mbedtls_ssl_free(&c->ssl);
    mailsrv__mbedtls_info_free(c);
    mailsrv__mbedtls_records_free(c);
    mailsrv__tls_target_free(&c->target);
    mbedtls_platform_zeroize(c->exporter, sizeof c->exporter);
    free(c);
}

/* The settings are copied, so that what they call back knows the connection; what they point to is the context's. */
static bool set_up(struct connection *c)
{
    c->config = c->context->config;
    if (!c->is_client)
        mbedtls_ssl_conf_sni(&c->config, choose_certificate, c);
    else if (!mailsrv__mbedtls_target_set(c))
        return false;
#if IS_MBEDTLS_3
    mbedtls_ssl_set_export_keys_cb(&c->ssl, keys_made, c);
#elif defined(MBEDTLS_SSL_EXPORT_KEYS)
    mbedtls_ssl_conf_export_keys_ext_cb(&c->config, keys_made, c);
#endif
    return true;
}

static bool take_target(struct connection *c, const mailsrv_tls_target *target)
{
    return target == NULL || (mailsrv__tls_target_read(target, &c->target) &&
                              (target->verify != MAILSRV_TLS_BY_DANE || mailsrv__mbedtls_records_set(c, target)));
}

/* `target` NULL: as the server. */
static int32_t make(void *context, const mailsrv_tls_target *target, void **connection)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return MAILSRV_NOMEM;
    c->context = context;
    c->is_client = c->hello.of_server = target != NULL;
    mbedtls_ssl_init(&c->ssl);
    if (!take_target(c, target) || !set_up(c) || mbedtls_ssl_setup(&c->ssl, &c->config) != 0) {
        end(c);
        return MAILSRV_NOMEM;
    }
    mbedtls_ssl_set_bio(&c->ssl, c, take, give, NULL);
    *connection = c;
    return MAILSRV_OK;
}

static int32_t begin(void *context, void **connection)
{
    return make(context, NULL, connection);
}

static int32_t connect(void *context, const mailsrv_tls_target *target, void **connection)
{
    return make(context, target, connection);
}

/* ---- Calls ---- */

static void enter(struct connection *c, mailsrv_tls_io *io)
{
    mailsrv__tls_io_begin(io);
    c->io = io;
}

static void say_why(struct connection *c, int result)
{
    static const char wrong[] = "the server's certificate cannot be verified: ";
    mbedtls_strerror(result, c->why, sizeof c->why);
    if (result != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
        return;
    memcpy(c->why, wrong, sizeof wrong);
    mbedtls_x509_crt_verify_info(c->why + sizeof wrong - 1, sizeof c->why - sizeof wrong + 1, "", c->verify_flags);
    c->why[strcspn(c->why, "\n")] = '\0'; /* the first of all reasons */
}

/* What a call says that did not succeed.  Where mbedTLS closes in silence the peer is told all the same. */
static int32_t leave(struct connection *c, int result)
{
    if (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE)
        return MAILSRV_MORE;
    if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY && c->is_open)
        return MAILSRV_E_CLOSED;
    say_why(c, result);
    if (c->io->room_made == 0 && result != MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        mbedtls_ssl_send_alert_message(&c->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                       c->is_open ? MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC
                                                  : MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE);
    return MAILSRV_CANNOT;
}

/* In TLS 1.3 a ticket follows, which is part of it here: only a handshake may ask for more room. */
static bool is_over(const struct connection *c)
{
    return c->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_HANDSHAKE_OVER;
}

/* mbedTLS is not to end a handshake for something else that it does not like about a certificate: for what it is to be
 * used, which it looks at last, and tells nobody (RFC 7672 section 3.1.1). */
static int refuse(struct connection *c)
{
    mbedtls_ssl_send_alert_message(&c->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
    return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}

/* Step by step, so that it is seen whether a certificate is shown: where none is, a session was resumed. */
static int shake(struct connection *c)
{
    int result = 0;
    while (result == 0 && !is_over(c)) {
        const bool shows = c->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_SERVER_CERTIFICATE;
        c->shows_own |= shows;
        result = mbedtls_ssl_handshake_step(&c->ssl);
        const bool was_shown = shows && c->ssl.MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_SERVER_CERTIFICATE;
        if (result == 0 && (was_shown || is_over(c)) && c->records != NULL && !c->is_vouched_for)
            result = refuse(c);
    }
    return result;
}

static int32_t handshake(void *connection, mailsrv_tls_io *io)
{
    struct connection *c = connection;
    enter(c, io);
    int result = shake(c);
    if (result != 0)
        return leave(c, result);
    c->is_open = true;
#if defined(MBEDTLS_SSL_KEYING_MATERIAL_EXPORT)
    static const char label[] = "EXPORTER-Channel-Binding";
    if (mbedtls_ssl_export_keying_material(&c->ssl, c->exporter, sizeof c->exporter, label, sizeof label - 1, NULL, 0,
                                           0) == 0)
        c->n_exporter = sizeof c->exporter;
#endif
    return MAILSRV_OK;
}

/* A ticket, which a server of TLS 1.3 may send at any time, is nothing that ends it. */
static int read_plain(struct connection *c, mailsrv_tls_io *io)
{
    int result = mbedtls_ssl_read(&c->ssl, io->plain, io->plain_octets);
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
    while (result == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
        result = mbedtls_ssl_read(&c->ssl, io->plain, io->plain_octets);
#endif
    return result;
}

static int32_t decrypt(void *connection, mailsrv_tls_io *io)
{
    struct connection *c = connection;
    enter(c, io);
    int result = read_plain(c, io);
    if (result <= 0)
        return leave(c, result == 0 ? MBEDTLS_ERR_SSL_WANT_READ : result);
    io->plain_made = (size_t)result;
    return MAILSRV_OK;
}

static int32_t encrypt(void *connection, mailsrv_tls_io *io)
{
    struct connection *c = connection;
    enter(c, io);
    while (io->taken != io->in_octets) {
        int result = mbedtls_ssl_write(&c->ssl, io->in + io->taken, io->in_octets - io->taken);
        if (result <= 0) {
            mbedtls_strerror(result, c->why, sizeof c->why);
            return MAILSRV_CANNOT;
        }
        io->taken += (size_t)result;
    }
    return MAILSRV_OK;
}

static int32_t close_notify(void *connection, mailsrv_tls_io *io)
{
    struct connection *c = connection;
    enter(c, io);
    mbedtls_ssl_close_notify(&c->ssl);
    return MAILSRV_OK;
}

static void info(void *connection, mailsrv_tls_info *out)
{
    mailsrv__mbedtls_info(connection, out);
}

static const char *why(const void *connection)
{
    return ((const struct connection *)connection)->why;
}

#if HAS_THREADS
#define FEATURES MAILSRV_TLS_THREADS
#else
#define FEATURES 0
#endif

/* As a server's and as a client's it differs in how a connection begins. */
#define PROVIDER(begins, connects)                                                                                     \
    {                                                                                                                  \
        .size = sizeof(mailsrv_tls_provider), .features = FEATURES, .name = MBEDTLS_VERSION_STRING_FULL,               \
        .context_free = mailsrv__mbedtls_context_free, .begin = begins, .end = end, .handshake = handshake,            \
        .decrypt = decrypt, .encrypt = encrypt, .close = close_notify, .expansion = mailsrv__tls_expansion,            \
        .info = info, .octets = mailsrv__mbedtls_octets, .why = why, .connect = connects,                              \
    }

const mailsrv_tls_provider mailsrv__mbedtls_provider = PROVIDER(begin, NULL);
const mailsrv_tls_provider mailsrv__mbedtls_client_provider = PROVIDER(NULL, connect);
