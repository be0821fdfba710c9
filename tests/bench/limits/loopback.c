#include "loopback.h"

#include "limit.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int loopback_listen(struct sockaddr_in *at)
{
    socklen_t n = sizeof *at;
    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    limits_must(fd >= 0 && bind(fd, (struct sockaddr *)at, sizeof *at) == 0 && listen(fd, LOOPBACK_MAX) == 0 &&
                    getsockname(fd, (struct sockaddr *)at, &n) == 0,
                "listen");
    return fd;
}

void loopback_at_once(int fd)
{
    const int one = 1;
    limits_must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0, "TCP_NODELAY");
}

void loopback_open(struct loopback *loopback, int n, void (*serve)(const int *fds, int n))
{
    struct sockaddr_in at;
    const int door = loopback_listen(&at);
    int far[LOOPBACK_MAX];
    loopback->n = n;
    for (int i = 0; i < n; i++) {
        loopback->fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        limits_must(connect(loopback->fds[i], (struct sockaddr *)&at, sizeof at) == 0, "connect");
        far[i] = accept(door, NULL, NULL);
        limits_must(far[i] >= 0, "accept");
        loopback_at_once(loopback->fds[i]);
        loopback_at_once(far[i]);
    }
    close(door);
    fflush(stdout);
    loopback->child = fork();
    limits_must(loopback->child >= 0, "fork");
    for (int i = 0; i < n; i++)
        close(loopback->child == 0 ? loopback->fds[i] : far[i]);
    if (loopback->child == 0) {
        serve(far, n);
        _exit(0);
    }
}

void loopback_close(struct loopback *loopback)
{
    for (int i = 0; i < loopback->n; i++)
        close(loopback->fds[i]);
    limits_must(waitpid(loopback->child, NULL, 0) == loopback->child, "waitpid");
}
