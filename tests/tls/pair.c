#include "pair.h"

#include "core/provider.h"

#ifdef HAS_OPENSSL
#include <mailsrv/openssl.h>
#endif
#ifdef HAS_MBEDTLS
#include <mailsrv/mbedtls.h>
#endif

#include <stdlib.h>
#include <string.h>

const struct server_maker server_makers[] = {
#ifdef HAS_OPENSSL
    { "openssl", mailsrv_openssl_new },
#endif
#ifdef HAS_MBEDTLS
    { "mbedtls", mailsrv_mbedtls_new },
#endif
};
const size_t n_server_makers = sizeof server_makers / sizeof *server_makers;

enum { ROOM_OCTETS = 4096 };

static void must(bool good)
{
    if (!good)
        abort();
}

void (*pair_watch)(bool on);

static void watch(const struct end *e, bool on)
{
    if (pair_watch != NULL && e->provider->connect != NULL)
        pair_watch(on);
}

/* ---- Life ---- */

static struct pair *begin(mailsrv_tls *client, const mailsrv_tls_target *target)
{
    struct pair *p = calloc(1, sizeof *p);
    must(p != NULL);
    p->piece = WIRE_OCTETS;
    p->client.status = p->server.status = MAILSRV_MORE;
    p->client.room_octets = p->server.room_octets = ROOM_OCTETS;
    p->client.provider = client->provider;
    must(client->provider->connect != NULL);
    watch(&p->client, true);
    int32_t status = client->provider->connect(client->context, target, &p->client.connection);
    watch(&p->client, false);
    if (status == MAILSRV_OK)
        return p;
    free(p);
    return NULL;
}

struct pair *pair_new(mailsrv_tls *client, const mailsrv_tls_target *target, mailsrv_tls *server)
{
    struct pair *p = begin(client, target);
    if (p == NULL)
        return NULL;
    p->server.provider = server->provider;
    must(server->provider->connect == NULL);
    must(server->provider->begin(server->context, &p->server.connection) == MAILSRV_OK);
    return p;
}

struct pair *pair_new_raw(mailsrv_tls *client, const mailsrv_tls_target *target, SSL_CTX *server)
{
    struct pair *p = begin(client, target);
    if (p == NULL)
        return NULL;
    p->server.ssl = SSL_new(server);
    p->server.in = BIO_new(BIO_s_mem());
    p->server.out = BIO_new(BIO_s_mem());
    must(p->server.ssl != NULL && p->server.in != NULL && p->server.out != NULL);
    BIO_set_mem_eof_return(p->server.in, -1);
    SSL_set_bio(p->server.ssl, p->server.in, p->server.out);
    SSL_set_accept_state(p->server.ssl);
    return p;
}

void pair_free(struct pair *p)
{
    if (p == NULL)
        return;
    watch(&p->client, true);
    p->client.provider->end(p->client.connection);
    watch(&p->client, false);
    if (p->server.provider != NULL)
        p->server.provider->end(p->server.connection);
    SSL_free(p->server.ssl);
    free(p);
}

/* ---- Moving ---- */

static void send_to(struct end *from, struct end *to, const uint8_t *p, size_t n)
{
    must(n <= WIRE_OCTETS - to->n);
    memcpy(to->wire + to->n, p, n);
    to->n += n;
    from->sent += n;
}

static void take_from(struct end *e, size_t n)
{
    memmove(e->wire, e->wire + n, e->n - n);
    e->n -= n;
}

static bool raw_step(struct end *from, struct end *to)
{
    uint8_t made[WIRE_OCTETS];
    size_t n = from->n;
    BIO_write(from->in, from->wire, (int)n);
    take_from(from, n);
    int result = SSL_do_handshake(from->ssl);
    if (result == 1)
        from->status = MAILSRV_OK;
    else if (SSL_get_error(from->ssl, result) != SSL_ERROR_WANT_READ)
        from->status = MAILSRV_CANNOT;
    int got = BIO_read(from->out, made, sizeof made);
    if (got > 0)
        send_to(from, to, made, (size_t)got);
    return got > 0 || n != 0;
}

bool pair_step(struct end *from, struct end *to, size_t piece)
{
    uint8_t *room = malloc(from->room_octets), *in;
    mailsrv_tls_io io = { .size = sizeof io, .room = room, .room_octets = from->room_octets };
    if (from->ssl != NULL) {
        free(room);
        return raw_step(from, to);
    }
    io.in_octets = from->n < piece ? from->n : piece;
    in = malloc(io.in_octets + 1);
    must(room != NULL && in != NULL);
    memcpy(in, from->wire, io.in_octets);
    io.in = in;
    watch(from, true);
    from->status = from->provider->handshake(from->connection, &io);
    watch(from, false);
    must(io.taken <= io.in_octets && io.room_made <= io.room_octets);
    send_to(from, to, room, io.room_made);
    take_from(from, io.taken);
    free(room);
    free(in);
    return io.taken != 0 || io.room_made != 0 || io.more != 0;
}

static bool goes_on(struct end *from, struct end *to, size_t piece, bool first)
{
    return from->status == MAILSRV_MORE && (from->n != 0 || first) && pair_step(from, to, piece);
}

bool pair_shake(struct pair *p)
{
    bool moved = true, first = true;
    while (moved) {
        moved = goes_on(&p->client, &p->server, p->piece, first);
        while (p->client.status == MAILSRV_MORE && moved && p->client.room_octets < ROOM_OCTETS)
            if (!pair_step(&p->client, &p->server, p->piece))
                break;
        moved = goes_on(&p->server, &p->client, p->piece, false) || moved;
        first = false;
    }
    return p->client.status == MAILSRV_OK && p->server.status == MAILSRV_OK;
}

/* ---- Under it ---- */

static bool say(struct end *from, struct end *to, const char *text)
{
    uint8_t room[4096];
    size_t n = strlen(text);
    mailsrv_tls_io io = { .size = sizeof io, .in = (const uint8_t *)text, .in_octets = n, .room = room };
    io.room_octets = n + from->provider->expansion(from->connection, n);
    must(io.room_octets <= sizeof room);
    watch(from, true);
    bool good = from->provider->encrypt(from->connection, &io) == MAILSRV_OK && io.taken == n;
    watch(from, false);
    send_to(from, to, room, io.room_made);
    return good;
}

/* What comes before the next thing that is none, into `out`; how that is called. */
static int32_t hear(struct end *e, struct end *to, char *out, size_t room_octets)
{
    uint8_t room[4096];
    size_t n = 0;
    int32_t status = MAILSRV_OK;
    while (status == MAILSRV_OK) {
        mailsrv_tls_io io = { .size = sizeof io,
                              .in = e->wire,
                              .in_octets = e->n,
                              .room = room,
                              .room_octets = sizeof room,
                              .plain = (uint8_t *)out + n,
                              .plain_octets = room_octets - 1 - n };
        watch(e, true);
        status = e->provider->decrypt(e->connection, &io);
        watch(e, false);
        take_from(e, io.taken);
        send_to(e, to, room, io.room_made);
        n += io.plain_made;
    }
    out[n] = '\0';
    return status;
}

static void close_end(struct end *from, struct end *to)
{
    uint8_t room[256];
    mailsrv_tls_io io = { .size = sizeof io, .room = room, .room_octets = sizeof room };
    watch(from, true);
    must(from->provider->close(from->connection, &io) == MAILSRV_OK);
    watch(from, false);
    send_to(from, to, room, io.room_made);
}

bool pair_talk(struct pair *p)
{
    char text[64];
    if (!say(&p->client, &p->server, "EHLO client\r\n") ||
        hear(&p->server, &p->client, text, sizeof text) != MAILSRV_MORE || strcmp(text, "EHLO client\r\n") != 0)
        return false;
    if (!say(&p->server, &p->client, "250 server\r\n") ||
        hear(&p->client, &p->server, text, sizeof text) != MAILSRV_MORE || strcmp(text, "250 server\r\n") != 0)
        return false;
    close_end(&p->client, &p->server);
    close_end(&p->server, &p->client);
    return hear(&p->server, &p->client, text, sizeof text) == MAILSRV_E_CLOSED &&
           hear(&p->client, &p->server, text, sizeof text) == MAILSRV_E_CLOSED;
}

mailsrv_tls_info pair_info(const struct end *e)
{
    mailsrv_tls_info info = { .size = sizeof info };
    watch(e, true);
    e->provider->info(e->connection, &info);
    watch(e, false);
    return info;
}

mailsrv_tls_target pair_target(const char *name, uint32_t verify)
{
    return (mailsrv_tls_target){ .size = sizeof(mailsrv_tls_target),
                                 .verify = verify,
                                 .name = { (const uint8_t *)name, strlen(name) } };
}
