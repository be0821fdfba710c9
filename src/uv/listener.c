/* Listeners: an address, a profile, and how many may be there at once. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

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

static bool read_address(const mailsrv_uv_listener_setup *setup, struct sockaddr_storage *out)
{
    return uv_ip4_addr(setup->address, setup->port, (struct sockaddr_in *)out) == 0 ||
           uv_ip6_addr(setup->address, setup->port, (struct sockaddr_in6 *)out) == 0;
}

static int bind_and_listen(mailsrv_uv_listener *l, const struct sockaddr_storage *at)
{
    struct sockaddr_storage bound;
    int length = sizeof bound;
    int error = uv_tcp_bind(&l->tcp, (const struct sockaddr *)at, 0);
    if (error == 0) /* libuv keeps what bind said until here */
        error = uv_listen((uv_stream_t *)&l->tcp, l->setup.backlog, peer_has_come);
    if (error == 0)
        error = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&bound, &length);
    if (error == 0) /* the port is at the same place in both */
        l->port = ntohs(((const struct sockaddr_in *)&bound)->sin_port);
    return error;
}

static int32_t check(const mailsrv_uv *d, const mailsrv_uv_listener_setup *setup, struct sockaddr_storage *at)
{
    if (d == NULL || setup == NULL || setup->size < sizeof *setup || setup->address == NULL || setup->profile == NULL)
        return MAILSRV_E_USAGE;
    if (d->closing)
        return MAILSRV_E_CLOSED;
    return read_address(setup, at) ? MAILSRV_OK : MAILSRV_E_VALUE;
}

int32_t mailsrv_uv_listen(mailsrv_uv *d, const mailsrv_uv_listener_setup *setup, mailsrv_uv_listener **out)
{
    struct sockaddr_storage at = { 0 };
    int32_t status = check(d, setup, &at);
    if (status != MAILSRV_OK)
        return status;
    mailsrv_uv_listener *l = calloc(1, sizeof *l);
    if (l == NULL || uv_tcp_init(d->loop, &l->tcp) != 0) {
        free(l);
        return MAILSRV_NOMEM;
    }
    l->driver = d;
    l->setup = *setup;
    l->setup.address = NULL; /* the caller's */
    l->setup.connections_max = setup->connections_max != 0 ? setup->connections_max : CONNECTIONS_MAX;
    l->setup.backlog = setup->backlog != 0 ? setup->backlog : BACKLOG;
    l->tcp.data = l;
    l->is_open = true;
    mailsrv__ring_append(&d->listeners, &l->place);
    status = status_of(bind_and_listen(l, &at));
    if (status != MAILSRV_OK)
        mailsrv_uv_listener_close(l);
    else if (out != NULL)
        *out = l;
    return status;
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
    if (l == NULL || uv_is_closing((uv_handle_t *)&l->tcp))
        return;
    l->has_waiting = false; /* libuv closes that one */
    uv_close((uv_handle_t *)&l->tcp, closed);
}

uint16_t mailsrv_uv_listener_port(const mailsrv_uv_listener *l)
{
    return l == NULL ? 0 : l->port;
}

uint32_t mailsrv_uv_listener_connections(const mailsrv_uv_listener *l)
{
    return l == NULL ? 0 : l->n_connections;
}
