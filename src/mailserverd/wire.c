#define _GNU_SOURCE /* fopencookie */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEAD = 5 };

static bool send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        const ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int fd, char *p, size_t n)
{
    while (n > 0) {
        const ssize_t got = recv(fd, p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static bool send_frame(int fd, enum wire_kind kind, const char *p, size_t n)
{
    const char head[HEAD] = { (char)kind, (char)(n & 255), (char)(n >> 8 & 255), (char)(n >> 16 & 255),
                              (char)(n >> 24) };
    return send_all(fd, head, HEAD) && send_all(fd, p, n);
}

bool wire_send(int fd, enum wire_kind kind, const void *p, size_t n)
{
    const char *at = p;
    for (; n > WIRE_OCTETS_MAX; n -= WIRE_OCTETS_MAX, at += WIRE_OCTETS_MAX)
        if (!send_frame(fd, kind, at, WIRE_OCTETS_MAX))
            return false;
    return send_frame(fd, kind, at, n);
}

bool wire_receive(int fd, struct frame *out)
{
    unsigned char head[HEAD];
    if (!receive_all(fd, (char *)head, HEAD) || strchr("wgdeorx", head[0]) == NULL || head[0] == '\0')
        return false;
    out->kind = (enum wire_kind)head[0];
    out->n = head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 | (size_t)head[4] << 24;
    return out->n <= sizeof out->octets && receive_all(fd, out->octets, out->n);
}

/* ---- Streams ---- */

struct cookie {
    int fd;
    enum wire_kind kind;
};

static ssize_t write_cookie(void *user, const char *p, size_t n)
{
    const struct cookie *c = user;
    return wire_send(c->fd, c->kind, p, n) ? (ssize_t)n : 0;
}

static int close_cookie(void *user)
{
    free(user);
    return 0;
}

FILE *wire_stream(int fd, enum wire_kind kind)
{
    struct cookie *c = malloc(sizeof *c);
    if (c == NULL)
        return NULL;
    *c = (struct cookie){ fd, kind };
    FILE *file = fopencookie(c, "w", (cookie_io_functions_t){ .write = write_cookie, .close = close_cookie });
    if (file == NULL)
        free(c);
    else
        setvbuf(file, NULL, _IOLBF, 4096);
    return file;
}
