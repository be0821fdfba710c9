/* source PORT CONNECTIONS MESSAGES OCTETS: sends mail to pat@here.test on 127.0.0.1, pipelined, many messages over each
 * connection; it prints how many were acknowledged. */
#define _GNU_SOURCE
#include "host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 512, REPLY_ROOM = 4096 };

static const char envelope[] = "MAIL FROM:<sender@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n";

/* What is said next, when all replies to what was said have come. */
enum saying { SAY_HELLO, SAY_ENVELOPE, SAY_MESSAGE, SAY_NOTHING };

struct peer {
    int fd;
    enum saying next;
    unsigned owed;       /* replies */
    const char *out;     /* still to be sent */
    size_t out_n;
    char line[REPLY_ROOM]; /* of a reply, as far as it came */
    size_t line_n;
};

static char *message;
static size_t message_n;
static uint64_t to_send, acknowledged;

static void make_message(size_t octets)
{
    static const char header[] = "From: sender@remote.test\r\nTo: pat@here.test\r\nSubject: bench\r\n\r\n";
    message_n = sizeof header - 1;
    message = malloc(octets + 128);
    check(message != NULL, "no memory");
    memcpy(message, header, message_n);
    for (size_t column = 0; message_n < octets; message_n++, column = (column + 1) % 72)
        message[message_n] = column == 70 ? '\r' : column == 71 ? '\n' : 'x';
    memcpy(message + message_n, "\r\n.\r\n", 5);
    message_n += 5;
}

static void begin_saying(struct peer *p, const char *text, size_t n, unsigned replies, enum saying next)
{
    p->out = text;
    p->out_n = n;
    p->owed = replies;
    p->next = next;
}

static void go_on(struct peer *p)
{
    switch (p->next) {
    case SAY_HELLO:
        begin_saying(p, "EHLO source.remote.test\r\n", 25, 1, SAY_ENVELOPE);
        break;
    case SAY_MESSAGE:
        begin_saying(p, message, message_n, 1, SAY_ENVELOPE);
        break;
    case SAY_ENVELOPE:
        if (to_send == 0) {
            begin_saying(p, "QUIT\r\n", 6, 1, SAY_NOTHING);
            break;
        }
        to_send--;
        begin_saying(p, envelope, sizeof envelope - 1, 3, SAY_MESSAGE);
        break;
    default:
        close(p->fd);
        p->fd = -1;
    }
}

/* One line of a reply.  The one to a message comes when nothing else is owed behind it. */
static void see_line(struct peer *p)
{
    check(p->line_n >= 5 && p->line[0] >= '2' && p->line[0] <= '3', "a refusal");
    if (p->line[3] == '-')
        return;
    acknowledged += p->next == SAY_ENVELOPE && memcmp(p->line, "250", 3) == 0 && p->out == message + message_n;
    p->owed--;
}

static void see(struct peer *p, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check(p->line_n < sizeof p->line, "a reply without an end");
        p->line[p->line_n++] = bytes[i];
        if (bytes[i] != '\n')
            continue;
        see_line(p);
        p->line_n = 0;
    }
}

static void move(struct peer *p)
{
    char bytes[REPLY_ROOM];
    ssize_t n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    check(n > 0 || (n < 0 && errno == EAGAIN), "the connection is lost");
    if (n > 0)
        see(p, bytes, (size_t)n);
    if (p->owed == 0 && p->out_n == 0)
        go_on(p);
    while (p->fd >= 0 && p->out_n != 0) {
        n = send(p->fd, p->out, p->out_n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        check(n > 0, "the connection is lost");
        p->out += n;
        p->out_n -= (size_t)n;
    }
}

static void connect_to(struct peer *p, const char *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    at.sin_port = htons((uint16_t)atoi(port));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "no connection");
    *p = (struct peer){ .fd = fd, .next = SAY_HELLO, .owed = 1 };
}

int main(int argc, char **argv)
{
    static struct peer peers[CONNECTIONS_MAX];
    static struct pollfd polled[CONNECTIONS_MAX];
    check(argc == 5, "source PORT CONNECTIONS MESSAGES OCTETS");
    int n = atoi(argv[2]), open = n;
    check(n > 0 && n <= CONNECTIONS_MAX, "too many connections");
    to_send = strtoull(argv[3], NULL, 10);
    make_message(strtoul(argv[4], NULL, 10));
    for (int i = 0; i < n; i++)
        connect_to(&peers[i], argv[1]);
    while (open != 0) {
        open = 0;
        for (int i = 0; i < n; i++) {
            short events = (short)(POLLIN | (peers[i].out_n != 0 ? POLLOUT : 0));
            polled[i] = (struct pollfd){ .fd = peers[i].fd, .events = events };
            open += peers[i].fd >= 0;
        }
        if (open != 0)
            check(poll(polled, (nfds_t)n, -1) > 0, "poll");
        for (int i = 0; i < n; i++)
            if (peers[i].fd >= 0 && polled[i].revents != 0)
                move(&peers[i]);
    }
    printf("acknowledged %llu\n", (unsigned long long)acknowledged);
    free(message);
    return 0;
}
