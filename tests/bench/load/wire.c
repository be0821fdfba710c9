#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_ROOM = 256 * 1024, RECORD = 16384, TEXT_ROOM = 512 };

static char read_room[READ_ROOM], record_room[RECORD];

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void watch(struct wire *wire, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = wire };
    if (wire->watched == events)
        return;
    if (epoll_ctl(wire->poll, wire->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, wire->fd, &event) != 0)
        die("epoll_ctl");
    wire->watched = events;
}

void wire_init(struct wire *wire, const struct wire_events *events, int poll)
{
    *wire = (struct wire){ .events = events, .poll = poll, .fd = -1 };
}

void wire_close(struct wire *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    SSL_free(wire->ssl);
    wire->ssl = NULL;
    wire->fd = -1;
    wire->watched = 0;
    wire->n_pieces = 0;
    wire->text_n = 0;
}

void wire_fini(struct wire *wire)
{
    wire_close(wire);
    free(wire->text);
}

static void lose(struct wire *wire, const char *why)
{
    wire_close(wire);
    wire->events->lost(wire, why);
}

static void lose_tls(struct wire *wire)
{
    static char why[256];
    unsigned long error = ERR_peek_error();
    if (error == 0)
        snprintf(why, sizeof why, "TLS: %s", errno == 0 ? "the end came without notice" : strerror(errno));
    else
        ERR_error_string_n(error, why, sizeof why);
    ERR_clear_error();
    lose(wire, why);
}

void wire_open(struct wire *wire, const struct wire_place *place)
{
    const int one = 1;
    wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (wire->fd < 0)
        die("socket");
    wire->opened++;
    setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (place->source != 0) {
        struct sockaddr_in from = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + place->source) };
        setsockopt(wire->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(wire->fd, (struct sockaddr *)&from, sizeof from) != 0)
            die("bind");
    }
    if (place->ssl != NULL)
        wire_secure(wire, place->ssl);
    wire->tells_secured = false;
    wire->connecting = true;
    if (connect(wire->fd, (const struct sockaddr *)&place->at, sizeof place->at) != 0 && errno != EINPROGRESS) {
        lose(wire, strerror(errno));
        return;
    }
    watch(wire, EPOLLIN | EPOLLOUT);
}

/* ---- Sending ---- */

char *wire_room(struct wire *wire, size_t n)
{
    if (wire->text_n + n > wire->text_room) {
        wire->text_room = 2 * (wire->text_n + n) + TEXT_ROOM;
        wire->text = realloc(wire->text, wire->text_room);
        if (wire->text == NULL)
            die("memory");
    }
    struct wire_piece *last = wire->n_pieces == 0 ? NULL : &wire->pieces[wire->n_pieces - 1];
    if (last == NULL || last->p != NULL) {
        wire_lend(wire, NULL, 0);
        last = &wire->pieces[wire->n_pieces - 1];
        last->at = wire->text_n;
    }
    last->n += n;
    wire->text_n += n;
    return wire->text + wire->text_n - n;
}

void wire_say(struct wire *wire, const char *p, size_t n)
{
    memcpy(wire_room(wire, n), p, n);
}

void wire_lend(struct wire *wire, const char *p, size_t n)
{
    if (wire->n_pieces == WIRE_PIECES)
        exit((fputs("bench-load: more is said at once than a wire holds\n", stderr), 2));
    wire->pieces[wire->n_pieces++] = (struct wire_piece){ p, 0, n };
}

static const char *octets_of(const struct wire *wire, const struct wire_piece *piece)
{
    return (piece->p == NULL ? wire->text : piece->p) + piece->at;
}

static void sent(struct wire *wire, size_t n)
{
    uint8_t whole = 0;
    for (; whole < wire->n_pieces && n >= wire->pieces[whole].n; whole++)
        n -= wire->pieces[whole].n;
    wire->n_pieces = (uint8_t)(wire->n_pieces - whole);
    memmove(wire->pieces, wire->pieces + whole, wire->n_pieces * sizeof *wire->pieces);
    if (wire->n_pieces == 0) {
        wire->text_n = 0;
        return;
    }
    wire->pieces[0].at += n;
    wire->pieces[0].n -= n;
}

static ssize_t send_plain(struct wire *wire)
{
    struct iovec v[WIRE_PIECES];
    struct msghdr message = { .msg_iov = v, .msg_iovlen = wire->n_pieces };
    for (uint8_t i = 0; i < wire->n_pieces; i++)
        v[i] = (struct iovec){ (void *)(uintptr_t)octets_of(wire, &wire->pieces[i]), wire->pieces[i].n };
    return sendmsg(wire->fd, &message, MSG_NOSIGNAL);
}

/* A record at a time, so that small pieces share one. */
static ssize_t send_tls(struct wire *wire)
{
    size_t n = 0;
    for (uint8_t i = 0; i < wire->n_pieces && n < RECORD; i++) {
        const size_t room = RECORD - n, some = wire->pieces[i].n < room ? wire->pieces[i].n : room;
        memcpy(record_room + n, octets_of(wire, &wire->pieces[i]), some);
        n += some;
    }
    const int done = SSL_write(wire->ssl, record_room, (int)n);
    if (done > 0)
        return done;
    errno = SSL_get_error(wire->ssl, done) == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
}

void wire_flush(struct wire *wire)
{
    if (wire->fd < 0 || wire->connecting || wire->shaking)
        return;
    while (wire->n_pieces != 0) {
        const ssize_t n = wire->ssl == NULL ? send_plain(wire) : send_tls(wire);
        if (n >= 0) {
            sent(wire, (size_t)n);
            continue;
        }
        if (errno != EAGAIN) {
            lose(wire, strerror(errno));
            return;
        }
        watch(wire, EPOLLIN | EPOLLOUT);
        return;
    }
    watch(wire, EPOLLIN);
}

/* ---- TLS ---- */

static int accept_any(X509_STORE_CTX *store, void *ctx)
{
    (void)store;
    (void)ctx;
    return 1;
}

SSL_CTX *wire_tls(const char *version, const char *group)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    const int least = strcmp(version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    const int most = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    if (ctx == NULL || SSL_CTX_set1_groups_list(ctx, group) != 1 || SSL_CTX_set_min_proto_version(ctx, least) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, most) != 1) {
        fprintf(stderr, "bench-load: TLS cannot be set up: tls_version=%s group=%s\n", version, group);
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}

void wire_secure(struct wire *wire, SSL_CTX *ctx)
{
    wire->ssl = SSL_new(ctx);
    if (wire->ssl == NULL || SSL_set_fd(wire->ssl, wire->fd) != 1)
        die("TLS");
    SSL_set_connect_state(wire->ssl);
    wire->shaking = wire->tells_secured = true;
    if (wire->watched != 0)
        watch(wire, EPOLLIN | EPOLLOUT);
}

/* False: it is not done yet, or the wire is gone. */
static bool shake(struct wire *wire)
{
    errno = 0;
    const int done = SSL_do_handshake(wire->ssl);
    if (done != 1) {
        const int error = SSL_get_error(wire->ssl, done);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
            watch(wire, EPOLLIN | (error == SSL_ERROR_WANT_WRITE ? EPOLLOUT : 0));
        else
            lose_tls(wire);
        return false;
    }
    wire->shaking = false;
    if (wire->tells_secured)
        wire->events->secured(wire);
    return wire->fd >= 0;
}

/* ---- Receiving ---- */

static void read_plain(struct wire *wire)
{
    const ssize_t n = recv(wire->fd, read_room, sizeof read_room, 0);
    if (n > 0)
        wire->events->got(wire, read_room, (size_t)n);
    else if (n == 0)
        lose(wire, "the server has closed the connection");
    else if (errno != EAGAIN)
        lose(wire, strerror(errno));
}

static void read_tls(struct wire *wire)
{
    const uint32_t opened = wire->opened;
    do {
        errno = 0;
        const int n = SSL_read(wire->ssl, read_room, sizeof read_room);
        if (n > 0) {
            wire->events->got(wire, read_room, (size_t)n);
            continue;
        }
        const int error = SSL_get_error(wire->ssl, n);
        if (error == SSL_ERROR_ZERO_RETURN)
            lose(wire, "the server has closed the connection");
        else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            lose_tls(wire);
        return;
    } while (wire->fd >= 0 && wire->opened == opened && !wire->shaking && SSL_has_pending(wire->ssl));
}

static bool connected(struct wire *wire)
{
    int error = 0;
    socklen_t n = sizeof error;
    getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0)
        lose(wire, strerror(error));
    wire->connecting = false;
    return error == 0;
}

void wire_ready(struct wire *wire, uint32_t events)
{
    if (wire->fd < 0 || (wire->connecting && !connected(wire)) || (wire->shaking && !shake(wire)))
        return;
    /* A handshake may have read what comes behind it: of that epoll says nothing more. */
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 || (wire->ssl != NULL && SSL_has_pending(wire->ssl))) {
        if (wire->ssl == NULL)
            read_plain(wire);
        else
            read_tls(wire);
    }
    if (wire->n_pieces != 0 || (wire->watched & EPOLLOUT) != 0)
        wire_flush(wire);
}
