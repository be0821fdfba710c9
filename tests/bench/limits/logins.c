/* How many logins a second there could be over loopback, one at a time: a connection for each, to somebody who says what
 * a server of IMAP says to LOGIN, SELECT and LOGOUT, and looks at nothing. */
#include "limit.h"
#include "loopback.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS = 4, ROOM = 1024 };

/* Octets of a command, the first of which is none, and of the reply. */
static const struct {
    size_t said, replied;
} steps[STEPS] = { { 0, 283 }, { 34, 200 }, { 19, 286 }, { 11, 35 } };

static const char octets[ROOM];

static void serve_one(int fd)
{
    char room[ROOM];
    loopback_at_once(fd);
    for (int i = 0; i < STEPS; i++)
        if ((steps[i].said != 0 && recv(fd, room, ROOM, 0) <= 0) ||
            send(fd, octets, steps[i].replied, MSG_NOSIGNAL) < 0)
            break;
    shutdown(fd, SHUT_WR);
    (void)!recv(fd, room, ROOM, 0);
    close(fd);
}

static pid_t serve(int door)
{
    fflush(stdout);
    const pid_t child = fork();
    limits_must(child >= 0, "fork");
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    while (child == 0) {
        const int fd = accept(door, NULL, NULL);
        limits_must(fd >= 0, "accept");
        serve_one(fd);
    }
    return child;
}

static void log_in(const struct sockaddr_in *at)
{
    char room[ROOM];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    limits_must(connect(fd, (const struct sockaddr *)at, sizeof *at) == 0, "connect");
    loopback_at_once(fd);
    for (int i = 0; i < STEPS; i++) {
        if (steps[i].said != 0)
            limits_must(send(fd, octets, steps[i].said, 0) > 0, "send");
        limits_must(recv(fd, room, steps[i].replied, MSG_WAITALL) == (ssize_t)steps[i].replied, "recv");
    }
    close(fd);
}

void limits_logins(const struct limits *limits)
{
    struct sockaddr_in at;
    const int door = loopback_listen(&at);
    const pid_t child = serve(door);
    uint64_t logins = 0;
    double took;
    close(door);
    const double began = limits_now();
    do {
        log_in(&at);
        logins++;
        took = limits_now() - began;
    } while (took < limits->seconds);
    kill(child, SIGTERM);
    limits_must(waitpid(child, NULL, 0) == child, "waitpid");
    limits_tell((double)logins / took, "logins_over_1_per_second");
}
