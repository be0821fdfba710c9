/* Pairs of connections over loopback, the far ends in a process of their own. */
#ifndef LIMITS_LOOPBACK_H
#define LIMITS_LOOPBACK_H

#include <netinet/in.h>
#include <sys/types.h>

enum { LOOPBACK_MAX = 64 };

struct loopback {
    pid_t child;
    int n, fds[LOOPBACK_MAX];
};

/* `serve` runs in the child until all its connections are closed. */
void loopback_open(struct loopback *loopback, int n, void (*serve)(const int *fds, int n));
void loopback_close(struct loopback *loopback);

/* A socket that listens, and where. */
int loopback_listen(struct sockaddr_in *at);

/* What is sent on it goes at once. */
void loopback_at_once(int fd);

#endif
