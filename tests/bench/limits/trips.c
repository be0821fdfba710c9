/* How many questions a second are answered over loopback by somebody who does nothing else: one at a time, and over 64
 * connections at once.  Both sides are as a server is: epoll(7), recv(2), send(2). */
#include "limit.h"
#include "loopback.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OCTETS = 64 };

static int watch(const int *fds, int n)
{
    const int poll = epoll_create1(0);
    for (int i = 0; i < n; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[i] };
        limits_must(epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &event) == 0, "epoll_ctl");
    }
    return poll;
}

/* Answers all that came; the number of them, or -1: somebody has gone. */
static int answer(int poll)
{
    struct epoll_event ready[LOOPBACK_MAX];
    char octets[OCTETS];
    const int n = epoll_wait(poll, ready, LOOPBACK_MAX, -1);
    limits_must(n > 0, "epoll_wait");
    for (int i = 0; i < n; i++)
        if (recv(ready[i].data.fd, octets, OCTETS, 0) <= 0 ||
            send(ready[i].data.fd, octets, OCTETS, MSG_NOSIGNAL) != OCTETS)
            return -1;
    return n;
}

static void echo(const int *fds, int n)
{
    const int poll = watch(fds, n);
    while (answer(poll) >= 0)
        ;
}

static void measure(const struct limits *limits, int connections)
{
    static const char question[OCTETS];
    struct loopback loopback;
    uint64_t trips = 0;
    double took;
    loopback_open(&loopback, connections, echo);
    const int poll = watch(loopback.fds, connections);
    const double began = limits_now();
    for (int i = 0; i < connections; i++)
        limits_must(send(loopback.fds[i], question, OCTETS, 0) == OCTETS, "send");
    do {
        const int n = answer(poll);
        limits_must(n > 0, "echo");
        trips += (uint64_t)n;
        took = limits_now() - began;
    } while (took < limits->seconds);
    close(poll);
    loopback_close(&loopback);
    limits_tell((double)trips / took, "round_trips_over_%d_per_second", connections);
}

void limits_trips(const struct limits *limits)
{
    measure(limits, 1);
    measure(limits, LOOPBACK_MAX);
}
