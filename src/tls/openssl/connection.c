/* One connection.  OpenSSL reads from what the session feeds and writes into the room that it lends: it keeps nothing
 * in between but a record that has begun. */
#include "tls/common/context.h"
#include "tls/common/io.h"
#include "provider.h"

#include <openssl/err.h>
#include <openssl/opensslv.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading and writing ---- */

static int memory_read(BIO *bio, char *p, size_t n, size_t *got)
{
    struct connection *c = BIO_get_data(bio);
    *got = mailsrv__tls_io_read(c->io, p, n);
    BIO_clear_retry_flags(bio);
    if (*got == 0)
        BIO_set_retry_read(bio);
    return *got != 0;
}

static int memory_write(BIO *bio, const char *p, size_t n, size_t *put)
{
    struct connection *c = BIO_get_data(bio);
    *put = mailsrv__tls_io_write(c->io, p, n);
    BIO_clear_retry_flags(bio);
    if (*put == 0)
        BIO_set_retry_write(bio);
    return *put != 0;
}

static long memory_control(BIO *bio, int what, long n, void *p)
{
    (void)bio;
    (void)n;
    (void)p;
    return what == BIO_CTRL_FLUSH;
}

static int memory_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *mailsrv__openssl_memory_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "session");
    if (m == NULL)
        return NULL;
    BIO_meth_set_read_ex(m, memory_read);
    BIO_meth_set_write_ex(m, memory_write);
    BIO_meth_set_ctrl(m, memory_control);
    BIO_meth_set_create(m, memory_create);
    return m;
}

/* ---- Life ---- */

static void end(void *connection)
{
    struct connection *c = connection;
    SSL_free(c->ssl);
    mailsrv__tls_target_free(&c->target);
    mailsrv__openssl_info_free(&c->texts);
    free(c);
}

/* NULL: no memory. */
static struct connection *make(const struct context *from)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->context = from;
    c->why = "it has not failed";
    c->ssl = SSL_new(from->ssl);
    BIO *bio = c->ssl == NULL ? NULL : BIO_new(from->memory);
    if (bio == NULL) {
        ERR_clear_error();
        end(c);
        return NULL;
    }
    BIO_set_data(bio, c);
    SSL_set_bio(c->ssl, bio, bio);
    return c;
}

static int32_t begin(void *context, void **connection)
{
    struct connection *c = make(context);
    if (c == NULL)
        return MAILSRV_NOMEM;
    SSL_set_accept_state(c->ssl);
    *connection = c;
    return MAILSRV_OK;
}

static int32_t connect(void *context, const mailsrv_tls_target *target, void **connection)
{
    struct connection *c = make(context);
    if (c == NULL)
        return MAILSRV_NOMEM;
    c->is_client = true;
    SSL_set_connect_state(c->ssl);
    if (!mailsrv__openssl_target_set(c, target)) {
        ERR_clear_error();
        end(c);
        return MAILSRV_NOMEM;
    }
    *connection = c;
    return MAILSRV_OK;
}

/* ---- Calls ---- */

static void enter(struct connection *c, mailsrv_tls_io *io)
{
    mailsrv__tls_io_begin(io);
    c->io = io;
    ERR_clear_error();
}

/* OpenSSL closes in silence where what comes is no TLS at all; the peer is told all the same. */
static void put_alert(struct connection *c, mailsrv_tls_io *io)
{
    static const uint8_t unexpected_message[] = { 21, 3, 1, 0, 2, 2, 10 }; /* RFC 8446 section 6.2 */
    if (c->octets_sent != 0 || io->room_made != 0 || io->room_octets < sizeof unexpected_message)
        return;
    memcpy(io->room, unexpected_message, sizeof unexpected_message);
    io->room_made = sizeof unexpected_message;
}

static int32_t fail(struct connection *c, mailsrv_tls_io *io)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (c->target.verify && c->verify_error != X509_V_OK)
        reason = X509_verify_cert_error_string(c->verify_error);
    c->why = reason == NULL ? "the connection is broken" : reason;
    put_alert(c, io);
    return MAILSRV_CANNOT;
}

/* What a call says that did not succeed. */
static int32_t leave(struct connection *c, mailsrv_tls_io *io, int result)
{
    int32_t status;
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        status = MAILSRV_MORE;
        break;
    case SSL_ERROR_ZERO_RETURN:
        status = MAILSRV_E_CLOSED;
        break;
    default:
        status = fail(c, io);
    }
    ERR_clear_error();
    return status;
}

static int32_t handshake(void *connection, mailsrv_tls_io *io)
{
    struct connection *c = connection;
    enter(c, io);
    c->has_begun = true;
    int result = SSL_do_handshake(c->ssl);
    int32_t status = result == 1 ? MAILSRV_OK : leave(c, io, result);
    c->is_open = status == MAILSRV_OK;
    if (c->is_open) /* here, where a handshake may have a thread of its own */
        mailsrv__openssl_info_find(c);
    c->octets_sent += io->room_made;
    return status == MAILSRV_E_CLOSED ? fail(c, io) : status;
}

static int32_t decrypt(void *connection, mailsrv_tls_io *io)
{
    struct connection *c = connection;
    enter(c, io);
    int result = SSL_read_ex(c->ssl, io->plain, io->plain_octets, &io->plain_made);
    int32_t status = result == 1 ? MAILSRV_OK : leave(c, io, result);
    return status;
}

static int32_t encrypt(void *connection, mailsrv_tls_io *io)
{
    struct connection *c = connection;
    enter(c, io);
    int result = SSL_write_ex(c->ssl, io->in, io->in_octets, &io->taken);
    if (result == 1)
        return MAILSRV_OK;
    io->taken = 0;
    int32_t status = leave(c, io, result);
    return status == MAILSRV_MORE ? MAILSRV_CANNOT : status; /* the room was as large as was asked */
}

static int32_t close_notify(void *connection, mailsrv_tls_io *io)
{
    struct connection *c = connection;
    enter(c, io);
    SSL_shutdown(c->ssl);
    ERR_clear_error();
    return MAILSRV_OK;
}

static void info(void *connection, mailsrv_tls_info *out)
{
    mailsrv__openssl_info_fill(connection, out);
}

static const char *why(const void *connection)
{
    return ((const struct connection *)connection)->why;
}

/* As a server's and as a client's it differs in how a connection begins. */
#define PROVIDER(begins, connects)                                                                                     \
    {                                                                                                                  \
        .size = sizeof(mailsrv_tls_provider), .features = MAILSRV_TLS_THREADS, .name = OPENSSL_VERSION_TEXT,           \
        .context_free = mailsrv__openssl_context_free, .begin = begins, .end = end, .handshake = handshake,            \
        .decrypt = decrypt, .encrypt = encrypt, .close = close_notify, .expansion = mailsrv__tls_expansion,            \
        .info = info, .octets = mailsrv__openssl_octets, .why = why, .connect = connects,                              \
    }

const mailsrv_tls_provider mailsrv__openssl_provider = PROVIDER(begin, NULL);
const mailsrv_tls_provider mailsrv__openssl_client_provider = PROVIDER(NULL, connect);
