#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { FIRST_GIVEN = 3 /* SD_LISTEN_FDS_START of sd_listen_fds(3) */ };

/* ---- Addresses of the system ---- */

union any {
    struct sockaddr all;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage room;
};

static socklen_t to_system(const struct address *address, union any *out)
{
    memset(out, 0, sizeof *out);
    if (address->local) {
        out->local.sun_family = AF_UNIX;
        memcpy(out->local.sun_path, address->text, strnlen(address->text, sizeof out->local.sun_path - 1));
        return sizeof out->local;
    }
    if (uv_ip4_addr(address->text, address->port, &out->v4) == 0)
        return sizeof out->v4;
    uv_ip6_addr(address->text, address->port, &out->v6);
    return sizeof out->v6;
}

static bool from_system(int fd, struct address *out)
{
    union any at;
    socklen_t n = sizeof at;
    memset(out, 0, sizeof *out);
    if (getsockname(fd, &at.all, &n) != 0)
        return false;
    out->local = at.all.sa_family == AF_UNIX;
    if (out->local) {
        snprintf(out->text, sizeof out->text, "%.*s", (int)sizeof at.local.sun_path, at.local.sun_path);
        return true;
    }
    const bool v6 = at.all.sa_family == AF_INET6;
    out->port = ntohs(v6 ? at.v6.sin6_port : at.v4.sin_port);
    return uv_inet_ntop(at.all.sa_family, v6 ? (const void *)&at.v6.sin6_addr : (const void *)&at.v4.sin_addr,
                        out->text, sizeof out->text) == 0;
}

/* As numbers: ::1 and 0:0:0:0:0:0:0:1 are one. */
static bool same(const struct address *a, const struct address *b)
{
    union any x, y;
    if (a->local != b->local || a->port != b->port)
        return false;
    return a->local ? strcmp(a->text, b->text) == 0
                    : to_system(a, &x) == to_system(b, &y) && memcmp(&x, &y, sizeof x) == 0;
}

/* One that found a free port is also meant by that number. */
static bool is_of(const struct bound *b, const char *listener, const struct address *address)
{
    struct address found = b->address;
    found.port = address->port == 0 ? found.port : b->port;
    return same(&found, address) && (address->local || address->port != 0 || strcmp(b->listener, listener) == 0);
}

const struct bound *sockets_find(const struct sockets *sockets, const char *listener, const struct address *address)
{
    for (size_t i = 0; i < sockets->n; i++)
        if (is_of(&sockets->all[i], listener, address))
            return &sockets->all[i];
    return NULL;
}

/* ---- Sockets of a supervisor ---- */

bool sockets_begin(struct sockets *sockets)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    memset(sockets, 0, sizeof *sockets);
    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
        return true;
    const long n = strtol(count, NULL, 10);
    for (long i = 0; i < n && sockets->n < SOCKETS_MAX; i++) {
        struct bound *b = &sockets->all[sockets->n];
        *b = (struct bound){ .fds = { FIRST_GIVEN + (int)i }, .n_fds = 1, .given = true };
        if (!from_system(b->fds[0], &b->address)) {
            fprintf(stderr, "mailserverd: LISTEN_FDS: descriptor %d is no bound socket\n", b->fds[0]);
            return false;
        }
        fcntl(b->fds[0], F_SETFD, FD_CLOEXEC);
        b->port = b->address.port;
        sockets->n++;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return true;
}

/* ---- Sockets of our own ---- */

/* Whoever comes from one address comes to one thread, so that the connections of a client share what is known of its
 * mailbox there: the source address, of IPv4 or of IPv6's last four octets, modulo the number of threads. */
static void divide_by_peer(int fd, bool v6, unsigned threads)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(SKF_NET_OFF + (v6 ? 20 : 12))),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, threads),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    const struct sock_fprog program = { sizeof steps / sizeof *steps, steps };
    /* Where the system cannot do that it divides by all of a connection's numbers. */
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

/* A path that a server before left behind is nobody's: we have its directory's lock or the configuration's word. */
static void clear_path(const struct address *address)
{
    struct stat is;
    if (lstat(address->text, &is) == 0 && S_ISSOCK(is.st_mode))
        unlink(address->text);
}

static int bind_one(const struct address *address, bool shared)
{
    union any at;
    const int on = 1;
    const socklen_t n = to_system(address, &at);
    const int fd = socket(at.all.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0;
    if (ok && !address->local)
        ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (ok && at.all.sa_family == AF_INET6) /* IPv4 has addresses of its own */
        ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
    if (ok && shared)
        ok = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    if (ok && address->local)
        clear_path(address);
    if (ok && bind(fd, &at.all, n) == 0)
        return fd;
    const int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return -1;
}

static void close_bound(struct bound *b)
{
    for (size_t i = 0; i < b->n_fds; i++)
        close(b->fds[i]);
    if (b->address.local && !b->given && b->n_fds > 0)
        unlink(b->address.text);
    b->n_fds = 0;
}

/* With port 0 the first socket finds one, and the others join it. */
static bool bind_all(struct bound *b, unsigned threads)
{
    struct address at = b->address;
    const bool v6 = strchr(at.text, ':') != NULL;
    const unsigned n = at.local ? 1 : threads;
    for (unsigned i = 0; i < n; i++) {
        const int fd = bind_one(&at, n > 1);
        if (fd < 0)
            return false;
        b->fds[b->n_fds++] = fd;
        struct address found;
        if (!at.local && from_system(fd, &found))
            b->port = at.port = found.port;
        if (i == 0 && n > 1)
            divide_by_peer(fd, v6, n);
    }
    return !at.local || chmod(at.text, 0666) == 0; /* who may come there says its directory */
}

static bool bind_address(struct sockets *sockets, const struct listener *listener, const struct address *address,
                         unsigned threads)
{
    char shown[ADDRESS_OCTETS + 16];
    if (sockets_find(sockets, listener->name, address) != NULL)
        return true;
    if (sockets->n == SOCKETS_MAX)
        return false;
    struct bound *b = &sockets->all[sockets->n++];
    *b = (struct bound){ .address = *address };
    memcpy(b->listener, listener->name, sizeof b->listener);
    if (bind_all(b, threads))
        return true;
    address_show(address, address->port, shown, sizeof shown);
    fprintf(stderr, "mailserverd: %s: %s\n", shown, strerror(errno));
    close_bound(b);
    sockets->n--;
    return false;
}

bool sockets_bind(struct sockets *sockets, const struct config *config)
{
    const size_t before = sockets->n;
    for (size_t i = 0; i < config->n_listeners; i++)
        for (size_t k = 0; k < config->listeners[i].n_addresses; k++)
            if (!bind_address(sockets, &config->listeners[i], &config->listeners[i].addresses[k],
                              (unsigned)config->threads)) {
                while (sockets->n > before)
                    close_bound(&sockets->all[--sockets->n]);
                return false;
            }
    return true;
}

static bool is_wanted(const struct config *config, const struct bound *b)
{
    for (size_t i = 0; i < config->n_listeners; i++)
        for (size_t k = 0; k < config->listeners[i].n_addresses; k++)
            if (is_of(b, config->listeners[i].name, &config->listeners[i].addresses[k]))
                return true;
    return false;
}

void sockets_tidy(struct sockets *sockets, const struct config *config)
{
    for (size_t i = sockets->n; i-- > 0;)
        if (!is_wanted(config, &sockets->all[i])) {
            close_bound(&sockets->all[i]);
            sockets->all[i] = sockets->all[--sockets->n];
        }
}

void sockets_end(struct sockets *sockets)
{
    while (sockets->n > 0)
        close_bound(&sockets->all[--sockets->n]);
}
