/* Connections: octets between a socket and a session.  Nothing here looks at them.
 *
 * A session that has ended is freed at once; its socket lingers: what we said last must reach a peer who is still
 * sending, and a socket that is closed with unread octets in it takes that away from him. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINGER_US 1000000

static void want_reading(mailsrv_uv_connection *c);

static uv_stream_t *stream_of(mailsrv_uv_connection *c)
{
    return &c->socket.stream;
}

/* ---- The end ---- */

static void end_session(mailsrv_uv_connection *c)
{
    if (c->session != NULL && c->is_told && c->listener->setup.on_end != NULL)
        c->listener->setup.on_end(c->listener->setup.user, c);
    mailsrv_session_free(c->session);
    c->session = NULL;
}

/* No write is in flight any more: libuv has called back for it. */
static void closed(uv_handle_t *handle)
{
    mailsrv_uv_connection *c = handle->data;
    mailsrv_uv_listener *l = c->listener;
    if (c->attempt != NULL)
        c->driver->outward_calls->drop(c);
    end_session(c);
    mailsrv__ring_remove(&c->place);
    mailsrv__uv_gone(c->driver);
    free(c->kept);
    free(c);
    l->n_connections--;
    mailsrv__uv_listener_drop(l);
}

void mailsrv__uv_cut(mailsrv_uv_connection *c)
{
    if (c->is_closing)
        return;
    c->is_closing = true;
    mailsrv__ring_remove(&c->linger_place);
    mailsrv__ring_remove(&c->ready_place);
    uv_close(&c->socket.handle, closed);
}

/* Says that no more will come.  libuv has nothing left to write then: asked of the system itself it needs no request,
 * and no round of the loop.  False: it does not go. */
static bool shut(mailsrv_uv_connection *c)
{
    uv_os_fd_t fd;
    return uv_fileno(&c->socket.handle, &fd) == 0 && shutdown(fd, SHUT_WR) == 0;
}

/* All is said and sent, or the peer has stopped reading: libuv has octets of the session to write then, which goes when
 * it has called back. */
static void part(mailsrv_uv_connection *c)
{
    if (c->n_writing != 0) {
        mailsrv__uv_cut(c);
        return;
    }
    end_session(c);
    free(c->kept);
    c->kept = NULL;
    if (c->is_at_eof || !shut(c)) {
        mailsrv__uv_cut(c);
        return;
    }
    c->lingers_until_us = mailsrv__uv_now_us() + LINGER_US;
    mailsrv__ring_append(&c->driver->lingering, &c->linger_place);
    want_reading(c);
}

/* ---- What comes ---- */

/* None while something is kept. */
static void room_to_read(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    mailsrv_uv_connection *c = handle->data;
    (void)wanted;
    *out = uv_buf_init((char *)c->driver->bytes, c->kept == NULL ? sizeof c->driver->bytes : 0);
}

/* How many were taken; a session that has ended takes all. */
static size_t feed(mailsrv_uv_connection *c, const uint8_t *p, size_t n)
{
    size_t taken = n;
    if (c->session == NULL || mailsrv_session_feed(c->session, p, n, &taken) != MAILSRV_OK)
        return n;
    return taken;
}

static bool keep(mailsrv_uv_connection *c, const uint8_t *p, size_t n)
{
    c->kept = malloc(n);
    if (c->kept == NULL)
        return false;
    memcpy(c->kept, p, n);
    c->n_kept = n;
    c->n_kept_fed = 0;
    return true;
}

static bool wants(const mailsrv_uv_connection *c, uint32_t bit)
{
    return c->session != NULL && (mailsrv_session_wants(c->session) & bit) != 0;
}

/* Of who was cut nothing more is taken. */
bool mailsrv__uv_feed_kept(mailsrv_uv_connection *c)
{
    bool fed = false;
    while (c->kept != NULL && !c->is_closing && wants(c, MAILSRV_WANT_READ)) {
        size_t taken = feed(c, c->kept + c->n_kept_fed, c->n_kept - c->n_kept_fed);
        c->n_kept_fed += taken;
        fed = fed || taken != 0;
        if (c->n_kept_fed < c->n_kept && taken == 0)
            break;
        if (c->n_kept_fed == c->n_kept) {
            free(c->kept);
            c->kept = NULL;
        }
    }
    return fed;
}

/* A session hears of it when it has taken all that came before, and wants more. */
static void feed_eof(mailsrv_uv_connection *c)
{
    if (!c->owes_eof || c->kept != NULL || !wants(c, MAILSRV_WANT_READ))
        return;
    c->owes_eof = false;
    mailsrv_session_feed_eof(c->session);
}

/* Where the peer has gone altogether libuv may say so behind octets that are kept, without asking for room. */
static void at_eof(mailsrv_uv_connection *c)
{
    c->is_at_eof = c->owes_eof = true;
    c->is_reading = false; /* libuv has stopped */
    if (c->session == NULL)
        mailsrv__uv_cut(c);
    else
        feed_eof(c);
}

static void has_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    mailsrv_uv_connection *c = stream->data;
    if (n == UV_ENOBUFS) { /* something is kept, and more has come */
        uv_read_stop(stream);
        c->is_reading = false;
        return;
    }
    if (n == UV_EOF)
        at_eof(c);
    else if (n < 0)
        mailsrv__uv_cut(c);
    if (n > 0) {
        size_t taken = feed(c, (const uint8_t *)buffer->base, (size_t)n);
        if (taken < (size_t)n && !keep(c, (const uint8_t *)buffer->base + taken, (size_t)n - taken))
            mailsrv__uv_cut(c);
    }
    want_reading(c);
}

/* Reading goes on until something comes while other octets are kept.  To stop whenever the session wants nothing, as it
 * does for a moment behind nearly every command, would cost more system calls than the command: nothing comes then,
 * mostly.  So one read of octets is kept at most. */
static void want_reading(mailsrv_uv_connection *c)
{
    if (c->is_closing || c->is_reading || c->is_at_eof || c->kept != NULL)
        return;
    c->is_reading = uv_read_start(stream_of(c), room_to_read, has_read) == 0;
    if (!c->is_reading)
        mailsrv__uv_cut(c);
}

/* ---- What goes ---- */

static void end_request(mailsrv_uv_connection *c)
{
    free(c->request);
    c->request = NULL;
}

static void written(uv_write_t *request, int status)
{
    mailsrv_uv_connection *c = request->data;
    size_t n = c->n_writing;
    c->n_writing = 0;
    end_request(c);
    if (c->is_closing)
        return;
    if (status != 0) {
        mailsrv__uv_cut(c);
        return;
    }
    mailsrv_session_sent(c->session, n);
    mailsrv__uv_serve(c);
}

/* The slices that there are; their octets. */
static size_t slices(mailsrv_uv_connection *c, unsigned *count)
{
    mailsrv_out *out = c->driver->out;
    uv_buf_t *buffers = c->driver->buffers;
    size_t n = 0, octets = 0;
    if (mailsrv_session_output(c->session, out, SLICES, &n) != MAILSRV_OK)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        buffers[i] = uv_buf_init((char *)(uintptr_t)out[i].p, (unsigned)out[i].n); /* libuv does not write there */
        octets += out[i].n;
    }
    *count = (unsigned)n;
    return octets;
}

/* False: it does not go, and nothing is in flight. */
static bool write_later(mailsrv_uv_connection *c, const uv_buf_t *buffers, unsigned count)
{
    c->request = malloc(sizeof *c->request);
    if (c->request == NULL)
        return false;
    c->request->data = c;
    if (uv_write(c->request, stream_of(c), buffers, count, written) == 0)
        return true;
    end_request(c);
    return false;
}

/* What the socket takes goes at once; the rest lies where it is until libuv has sent it.  True: some has gone. */
static bool send_output(mailsrv_uv_connection *c)
{
    const uv_buf_t *buffers = c->driver->buffers;
    unsigned count;
    bool some = false;
    while (c->n_writing == 0 && !c->is_closing && wants(c, MAILSRV_WANT_WRITE)) {
        size_t octets = slices(c, &count);
        if (octets == 0)
            break;
        int sent = uv_try_write(stream_of(c), buffers, count);
        if (sent > 0) {
            mailsrv_session_sent(c->session, (size_t)sent);
            some = true;
            continue;
        }
        if (sent == UV_EAGAIN && write_later(c, buffers, count))
            c->n_writing = octets;
        else
            mailsrv__uv_cut(c);
    }
    return some;
}

/* Does the session want what is here for it? */
static bool takes_more(const mailsrv_uv_connection *c)
{
    return !c->is_closing && (c->kept != NULL || c->owes_eof) && wants(c, MAILSRV_WANT_READ);
}

/* What was sent may have opened the window, and then nothing would come to wake the loop for what is kept. */
void mailsrv__uv_serve(mailsrv_uv_connection *c)
{
    if (c->is_closing || c->session == NULL)
        return;
    do {
        mailsrv__uv_feed_kept(c);
        feed_eof(c);
    } while (send_output(c) && takes_more(c));
    if (!c->is_closing && wants(c, MAILSRV_WANT_CLOSE))
        part(c);
    else
        want_reading(c);
}

/* ---- The beginning ---- */

/* Of our end; 0: it is not known. */
static uint16_t local_port(const mailsrv_uv_connection *c)
{
    struct sockaddr_storage to;
    int length = sizeof to;
    if (uv_tcp_getsockname(&c->socket.tcp, (struct sockaddr *)&to, &length) != 0)
        return 0;
    if (to.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&to)->sin_port);
    return to.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&to)->sin6_port) : 0;
}

void mailsrv__uv_know_peer(mailsrv_uv_connection *c)
{
    struct sockaddr_storage from;
    int length = sizeof from;
    c->peer.size = sizeof c->peer;
    if (c->listener->is_local)
        return;
    c->peer.local_port = local_port(c);
    if (uv_tcp_getpeername(&c->socket.tcp, (struct sockaddr *)&from, &length) != 0)
        return;
    if (from.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&from;
        c->peer.address_octets = 4;
        memcpy(c->peer.address, &in->sin_addr, 4);
        c->peer.port = ntohs(in->sin_port);
    } else if (from.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&from;
        c->peer.address_octets = 16;
        memcpy(c->peer.address, &in6->sin6_addr, 16);
        c->peer.port = ntohs(in6->sin6_port);
    }
}

enum { NETWORK_OCTETS = 8 }; /* whoever has an IPv6 address has the 2^64 around it */

static bool is_same_peer(const mailsrv_peer *a, const mailsrv_peer *b)
{
    const size_t n = a->address_octets < NETWORK_OCTETS ? a->address_octets : NETWORK_OCTETS;
    return n != 0 && a->address_octets == b->address_octets && memcmp(a->address, b->address, n) == 0;
}

/* Those whose session has ended are only waited for. */
static bool has_too_many(const mailsrv_uv_connection *c)
{
    const mailsrv_uv_listener *l = c->listener;
    const struct place *ring = &c->driver->connections;
    uint32_t n = 0;
    for (const struct place *at = ring->next; at != ring && l->setup.connections_per_peer != 0; at = at->next) {
        const mailsrv_uv_connection *other = OWNER(at, const mailsrv_uv_connection, place);
        n += other->listener == l && other->session != NULL && is_same_peer(&other->peer, &c->peer);
    }
    return n != 0 && n >= l->setup.connections_per_peer;
}

static bool begin(mailsrv_uv_connection *c)
{
    const mailsrv_uv_listener_setup *setup = &c->listener->setup;
    if (uv_accept(&c->listener->socket.stream, stream_of(c)) != 0)
        return false;
    if (!c->listener->is_local)
        uv_tcp_nodelay(&c->socket.tcp, 1);
    mailsrv__uv_know_peer(c);
    if (has_too_many(c))
        return false;
    if (mailsrv_server_new(c->driver->engine, setup->profile, &c->peer, c, &c->session) != MAILSRV_OK)
        return false;
    c->is_told = setup->on_begin == NULL || setup->on_begin(setup->user, c) == MAILSRV_OK;
    return c->is_told;
}

static mailsrv_uv_connection *new_connection(mailsrv_uv_listener *l, bool is_local)
{
    mailsrv_uv_connection *c = calloc(1, sizeof *c);
    if (c == NULL || mailsrv__uv_socket_init(l->driver->loop, &c->socket, is_local) != 0) {
        free(c);
        return NULL;
    }
    c->socket.handle.data = c;
    c->driver = l->driver;
    c->listener = l;
    l->n_connections++;
    mailsrv__ring_init(&c->linger_place);
    mailsrv__ring_init(&c->ready_place);
    mailsrv__ring_append(&l->driver->connections, &c->place);
    return c;
}

bool mailsrv__uv_connection_new(mailsrv_uv_listener *l)
{
    mailsrv_uv_connection *c = new_connection(l, l->is_local);
    if (c == NULL)
        return false;
    if (begin(c))
        want_reading(c);
    else
        mailsrv__uv_cut(c);
    return true;
}

mailsrv_uv_connection *mailsrv__uv_connection_out(mailsrv_uv_listener *l)
{
    return new_connection(l, false);
}

mailsrv_session *mailsrv_uv_connection_session(const mailsrv_uv_connection *c)
{
    return c == NULL ? NULL : c->session;
}

int32_t mailsrv_uv_connection_peer(const mailsrv_uv_connection *c, mailsrv_peer *out)
{
    if (c == NULL || out == NULL || out->size < sizeof out->size)
        return MAILSRV_E_USAGE;
    uint32_t size = out->size;
    memcpy(out, &c->peer, size < sizeof c->peer ? size : sizeof c->peer);
    out->size = size;
    return MAILSRV_OK;
}

void mailsrv_uv_connection_set_user(mailsrv_uv_connection *c, void *user)
{
    if (c != NULL)
        c->user = user;
}

void *mailsrv_uv_connection_user(const mailsrv_uv_connection *c)
{
    return c == NULL ? NULL : c->user;
}
