/* A server of SMTP that throws mail away and counts it: where the relays of a benchmark bring it.  One process, no TLS.
 *
 *     bench-sink port=PORT addresses=N silent=M
 *
 * listens on 127.0.1.1 to 127.0.1.N, and on 127.0.2.1 to 127.0.2.M, where it takes connections and says nothing at all.
 * XCOUNT is answered with what has come so far: messages, recipients, octets, connections, and when the last message
 * did, in microseconds since 1970. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { EVENTS = 256, LINE_MAX_OCTETS = 1024, ROOM = 65536, REPLIES = 8192, BACKLOG = 4096 };

struct peer {
    int fd;
    bool listens, silent, in_data, ends;
    uint32_t rcpts;
    size_t line_n;    /* of a command that has not come whole */
    uint32_t matched; /* octets of CRLF.CRLF */
    char line[LINE_MAX_OCTETS];
};

/* What is answered to one piece of input, written at once. */
struct replies {
    size_t n;
    char text[REPLIES];
};

static struct {
    uint64_t messages, recipients, octets, connections, last_us;
} seen;

static const char end_of_data[] = "\r\n.\r\n";

static void say(struct peer *peer, struct replies *out, const char *text)
{
    const size_t n = strlen(text);
    if (out->n + n > sizeof out->text) /* no peer has that many commands in one piece */
        peer->ends = true;
    else
        memcpy(out->text + out->n, text, n);
    out->n += peer->ends ? 0 : n;
}

static uint64_t now_us(void)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

/* ---- Commands ---- */

static void say_counts(struct peer *peer, struct replies *out)
{
    char text[160];
    snprintf(text, sizeof text, "250 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\r\n", seen.messages,
             seen.recipients, seen.octets, seen.connections, seen.last_us);
    say(peer, out, text);
}

static bool is(const struct peer *peer, const char *verb)
{
    const size_t n = strlen(verb);
    return peer->line_n >= n && strncasecmp(peer->line, verb, n) == 0;
}

static void obey(struct peer *peer, struct replies *out)
{
    if (is(peer, "EHLO")) {
        say(peer, out, "250-sink.remote.test\r\n250-PIPELINING\r\n250-SIZE 0\r\n250 8BITMIME\r\n");
    } else if (is(peer, "RCPT")) {
        peer->rcpts++;
        say(peer, out, "250 2.1.5 Ok\r\n");
    } else if (is(peer, "DATA")) {
        peer->in_data = true;
        peer->matched = 2; /* the line before has ended */
        say(peer, out, "354 Go on\r\n");
    } else if (is(peer, "QUIT")) {
        say(peer, out, "221 2.0.0 Bye\r\n");
        peer->ends = true;
    } else if (is(peer, "XCOUNT")) {
        say_counts(peer, out);
    } else {
        say(peer, out, "250 2.0.0 Ok\r\n");
    }
}

static size_t take_line(struct peer *peer, struct replies *out, const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n);
    const size_t taken = end == NULL ? n : (size_t)(end - p) + 1;
    if (peer->line_n + taken > sizeof peer->line) {
        peer->ends = true;
        return n;
    }
    memcpy(peer->line + peer->line_n, p, taken);
    peer->line_n += taken;
    if (end != NULL) {
        obey(peer, out);
        peer->line_n = 0;
    }
    return taken;
}

/* ---- Messages ---- */

static void count(struct peer *peer, struct replies *out)
{
    seen.messages++;
    seen.recipients += peer->rcpts;
    seen.last_us = now_us();
    peer->rcpts = 0;
    peer->in_data = false;
    say(peer, out, "250 2.0.0 Ok\r\n");
}

/* Up to the line that ends it (RFC 5321 section 4.1.1.4). */
static size_t take_data(struct peer *peer, struct replies *out, const char *p, size_t n)
{
    size_t at = 0;
    while (at < n) {
        if (peer->matched == 0) {
            const char *next = memchr(p + at, '\r', n - at);
            if (next == NULL)
                break;
            at = (size_t)(next - p);
        }
        if (p[at] == end_of_data[peer->matched])
            peer->matched++;
        else
            peer->matched = p[at] == '\r';
        at++;
        if (peer->matched == sizeof end_of_data - 1) {
            seen.octets += at;
            count(peer, out);
            return at;
        }
    }
    seen.octets += n;
    return n;
}

/* ---- Connections ---- */

static void drop(struct peer *peer)
{
    close(peer->fd);
    free(peer);
}

static struct peer *watch(int poll_fd, int fd, bool listens, bool silent)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = peer };
    if (peer == NULL || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        free(peer);
        return NULL;
    }
    peer->fd = fd;
    peer->listens = listens;
    peer->silent = silent;
    return peer;
}

static void welcome(int poll_fd, const struct peer *listener)
{
    const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    seen.connections++;
    struct peer *peer = watch(poll_fd, fd, false, listener->silent);
    struct replies out = { .n = 0 };
    if (peer == NULL || peer->silent)
        return;
    say(peer, &out, "220 sink.remote.test ESMTP\r\n");
    if (write(fd, out.text, out.n) < 0)
        drop(peer);
}

static void hear(struct peer *peer)
{
    static char room[ROOM];
    const ssize_t n = read(peer->fd, room, sizeof room);
    struct replies out = { .n = 0 };
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(peer);
        return;
    }
    for (size_t at = 0; at < (size_t)n && !peer->ends && !peer->silent;)
        at += (peer->in_data ? take_data : take_line)(peer, &out, room + at, (size_t)n - at);
    /* So little always finds room in the socket. */
    if ((out.n != 0 && write(peer->fd, out.text, out.n) != (ssize_t)out.n) || peer->ends)
        drop(peer);
}

static bool listen_at(int poll_fd, uint32_t address, uint16_t port, bool silent)
{
    const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0) {
        perror("bench-sink");
        return false;
    }
    return watch(poll_fd, fd, true, silent) != NULL;
}

static unsigned long number(int argc, char **argv, const char *key)
{
    const size_t n = strlen(key);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], key, n) == 0 && argv[i][n] == '=')
            return strtoul(argv[i] + n + 1, NULL, 10);
    return 0;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    const uint16_t port = (uint16_t)number(argc, argv, "port");
    const unsigned long answering = number(argc, argv, "addresses"), silent = number(argc, argv, "silent");
    const int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    for (uint32_t i = 1; i <= answering && i < 255; i++)
        if (!listen_at(poll_fd, 0x7f000100 + i, port, false))
            return 1;
    for (uint32_t i = 1; i <= silent && i < 255; i++)
        if (!listen_at(poll_fd, 0x7f000200 + i, port, true))
            return 1;
    for (;;) {
        const int n = epoll_wait(poll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->listens)
                welcome(poll_fd, peer);
            else
                hear(peer);
        }
    }
}
