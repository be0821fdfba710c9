/* Listeners: an address, a profile, and how many may be there at once. */
#include "driver.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1000
#define BACKLOG 128

static bool has_room(const mailsrv_uv_listener *l)
{
    return l->n_connections < l->setup.connections_max;
}

/* While a connection that libuv holds is not taken, it looks for no other: the rest waits in the backlog. */
void mailsrv__uv_accept(mailsrv_uv_listener *l)
{
    l->has_waiting = !has_room(l) || !mailsrv__uv_connection_new(l);
}

static void peer_has_come(uv_stream_t *stream, int status)
{
    if (status == 0) /* else the system could not say who it is, and libuv goes on */
        mailsrv__uv_accept(stream->data);
}

/* ---- Making one ---- */

static int32_t status_of(int error)
{
    switch (error) {
    case UV_EADDRINUSE:
        return MAILSRV_INUSE;
    case UV_EACCES:
    case UV_EPERM:
        return MAILSRV_NOPERM;
    case UV_EADDRNOTAVAIL:
    case UV_EAFNOSUPPORT:
        return MAILSRV_NONEXISTENT;
    case UV_ENOMEM:
        return MAILSRV_NOMEM;
    default:
        return error == 0 ? MAILSRV_OK : MAILSRV_TEMP;
    }
}

/* What it is to listen on. */
struct place_to_be {
    struct sockaddr_storage address;
    const char *path; /* of a local socket; NULL */
    int socket;       /* that is bound already; -1 */
    bool is_local;
};

static bool read_socket(int32_t socket, struct place_to_be *out)
{
    socklen_t length = sizeof out->address;
    out->socket = socket;
    if (getsockname(socket, (struct sockaddr *)&out->address, &length) != 0)
        return false;
    out->is_local = out->address.ss_family == AF_UNIX;
    return out->is_local || out->address.ss_family == AF_INET || out->address.ss_family == AF_INET6;
}

static bool read_place(const mailsrv_uv_listener_setup *setup, struct place_to_be *out)
{
    if ((setup->flags & MAILSRV_UV_LISTEN_SOCKET) != 0)
        return read_socket(setup->socket, out);
    out->is_local = setup->address[0] == '/';
    out->path = out->is_local ? setup->address : NULL;
    return out->is_local || uv_ip4_addr(setup->address, setup->port, (struct sockaddr_in *)&out->address) == 0 ||
           uv_ip6_addr(setup->address, setup->port, (struct sockaddr_in6 *)&out->address) == 0;
}

static int bind_it(mailsrv_uv_listener *l, const struct place_to_be *at)
{
    if (at->path != NULL)
        return uv_pipe_bind(&l->socket.pipe, at->path);
    return at->socket < 0 ? uv_tcp_bind(&l->socket.tcp, (const struct sockaddr *)&at->address, 0) : 0;
}

static int bind_and_listen(mailsrv_uv_listener *l, const struct place_to_be *at)
{
    struct sockaddr_storage bound;
    int length = sizeof bound;
    int error = bind_it(l, at);
    if (error == 0) /* libuv keeps what bind said until here */
        error = uv_listen(&l->socket.stream, l->setup.backlog, peer_has_come);
    if (error == 0 && !l->is_local)
        error = uv_tcp_getsockname(&l->socket.tcp, (struct sockaddr *)&bound, &length);
    if (error == 0 && !l->is_local) /* the port is at the same place in both */
        l->port = ntohs(((const struct sockaddr_in *)&bound)->sin_port);
    return error;
}

static int32_t check(const mailsrv_uv *d, const mailsrv_uv_listener_setup *setup, struct place_to_be *at)
{
    if (d == NULL || setup == NULL || setup->size < sizeof *setup || setup->profile == NULL ||
        (setup->flags & ~MAILSRV_UV_LISTEN_SOCKET) != 0 ||
        (setup->address == NULL && (setup->flags & MAILSRV_UV_LISTEN_SOCKET) == 0))
        return MAILSRV_E_USAGE;
    if (d->closing)
        return MAILSRV_E_CLOSED;
    return read_place(setup, at) ? MAILSRV_OK : MAILSRV_E_VALUE;
}

int mailsrv__uv_socket_init(uv_loop_t *loop, union socket *socket, bool is_local)
{
    return is_local ? uv_pipe_init(loop, &socket->pipe, 0) : uv_tcp_init(loop, &socket->tcp);
}

static mailsrv_uv_listener *new_listener(mailsrv_uv *d, const mailsrv_uv_listener_setup *setup, bool is_local)
{
    mailsrv_uv_listener *l = calloc(1, sizeof *l);
    if (l == NULL || mailsrv__uv_socket_init(d->loop, &l->socket, is_local) != 0) {
        free(l);
        return NULL;
    }
    l->driver = d;
    l->setup = *setup;
    l->setup.address = NULL; /* the caller's */
    l->setup.connections_max = setup->connections_max != 0 ? setup->connections_max : CONNECTIONS_MAX;
    l->setup.backlog = setup->backlog != 0 ? setup->backlog : BACKLOG;
    l->socket.handle.data = l;
    l->is_local = is_local;
    l->is_open = true;
    mailsrv__ring_append(&d->listeners, &l->place);
    return l;
}

/* From here on it is closed with the listener, which the caller may not want when something fails: a copy. */
static int take_socket(mailsrv_uv_listener *l, const struct place_to_be *at)
{
    const int copy = at->socket < 0 ? -1 : fcntl(at->socket, F_DUPFD_CLOEXEC, 0);
    if (at->socket < 0)
        return 0;
    if (copy < 0)
        return UV_EMFILE;
    const int error = l->is_local ? uv_pipe_open(&l->socket.pipe, copy) : uv_tcp_open(&l->socket.tcp, copy);
    if (error != 0)
        close(copy);
    return error;
}

int32_t mailsrv_uv_listen(mailsrv_uv *d, const mailsrv_uv_listener_setup *setup, mailsrv_uv_listener **out)
{
    struct place_to_be at = { .socket = -1 };
    int32_t status = check(d, setup, &at);
    if (status != MAILSRV_OK)
        return status;
    mailsrv_uv_listener *l = new_listener(d, setup, at.is_local);
    if (l == NULL)
        return MAILSRV_NOMEM;
    int error = take_socket(l, &at);
    if (error == 0)
        error = bind_and_listen(l, &at);
    if (error != 0) {
        mailsrv_uv_listener_close(l);
        return status_of(error);
    }
    if (at.socket >= 0)
        close(at.socket);
    if (out != NULL)
        *out = l;
    return MAILSRV_OK;
}

/* ---- The end of one ---- */

void mailsrv__uv_listener_drop(mailsrv_uv_listener *l)
{
    if (!l->is_open && l->n_connections == 0)
        free(l);
}

static void closed(uv_handle_t *handle)
{
    mailsrv_uv_listener *l = handle->data;
    l->is_open = false;
    mailsrv__ring_remove(&l->place);
    mailsrv__uv_gone(l->driver);
    mailsrv__uv_listener_drop(l);
}

void mailsrv_uv_listener_close(mailsrv_uv_listener *l)
{
    if (l == NULL || uv_is_closing(&l->socket.handle))
        return;
    l->has_waiting = false; /* libuv closes that one */
    uv_close(&l->socket.handle, closed);
}

uint16_t mailsrv_uv_listener_port(const mailsrv_uv_listener *l)
{
    return l == NULL ? 0 : l->port;
}

uint32_t mailsrv_uv_listener_connections(const mailsrv_uv_listener *l)
{
    return l == NULL ? 0 : l->n_connections;
}
