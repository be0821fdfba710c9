#define _GNU_SOURCE /* accept4, SO_PEERCRED */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { COMMANDS_MAX = 16 /* at once */ };

#define NAME "control"

struct control {
    struct office *office;
    int listener, directory, stop[2];
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    int visits[COMMANDS_MAX]; /* their connections; -1: none */
    unsigned running;
};

/* A path ends at 107 octets; by the directory's descriptor every directory will do. */
static bool name_socket(int directory, struct sockaddr_un *out)
{
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    const int n = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/" NAME, directory);
    return n > 0 && (size_t)n < sizeof out->sun_path;
}

/* ---- A command ---- */

struct visit {
    struct control *control;
    int fd;
    size_t slot;
};

static void leave(struct visit *v)
{
    struct control *c = v->control;
    pthread_mutex_lock(&c->mutex);
    c->visits[v->slot] = -1;
    c->running--;
    pthread_cond_broadcast(&c->ended);
    pthread_mutex_unlock(&c->mutex);
    close(v->fd);
    free(v);
}

static void *serve_visit(void *user)
{
    struct visit *v = user;
    office_serve(v->control->office, v->fd);
    leave(v);
    return NULL;
}

/* NULL: there are too many. */
static struct visit *enter(struct control *c, int fd)
{
    struct visit *v = malloc(sizeof *v);
    size_t slot = 0;
    pthread_mutex_lock(&c->mutex);
    while (slot < COMMANDS_MAX && c->visits[slot] >= 0)
        slot++;
    if (v != NULL && slot < COMMANDS_MAX) {
        *v = (struct visit){ c, fd, slot };
        c->visits[slot] = fd;
        c->running++;
    } else {
        free(v);
        v = NULL;
    }
    pthread_mutex_unlock(&c->mutex);
    return v;
}

static bool may_command(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static void begin_visit(struct control *c, int fd)
{
    pthread_attr_t detached;
    pthread_t thread;
    struct visit *v = enter(c, fd);
    if (v == NULL) {
        close(fd);
        return;
    }
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, serve_visit, v) != 0)
        leave(v);
    pthread_attr_destroy(&detached);
}

static void *listen_on(void *user)
{
    struct control *c = user;
    struct pollfd ready[2] = { { .fd = c->listener, .events = POLLIN }, { .fd = c->stop[0], .events = POLLIN } };
    for (;;) {
        if (poll(ready, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (ready[1].revents != 0)
            return NULL;
        const int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && may_command(fd))
            begin_visit(c, fd);
        else if (fd >= 0)
            close(fd);
    }
}

/* ---- Its life ---- */

static bool listen_here(struct control *c)
{
    struct sockaddr_un at;
    c->directory = open(c->office->config->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->directory < 0 || c->listener < 0 || !name_socket(c->directory, &at) || pipe2(c->stop, O_CLOEXEC) != 0)
        return false;
    unlinkat(c->directory, NAME, 0); /* whose it was has ended: we have the lock */
    return fchmod(c->listener, 0600) == 0 && bind(c->listener, (const struct sockaddr *)&at, sizeof at) == 0 &&
           listen(c->listener, COMMANDS_MAX) == 0;
}

static void close_all(struct control *c)
{
    const int all[] = { c->listener, c->directory, c->stop[0], c->stop[1] };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] >= 0)
            close(all[i]);
    free(c);
}

struct control *control_begin(struct office *office)
{
    struct control *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    *c = (struct control){ .office = office,
                           .listener = -1,
                           .directory = -1,
                           .stop = { -1, -1 },
                           .mutex = PTHREAD_MUTEX_INITIALIZER,
                           .ended = PTHREAD_COND_INITIALIZER };
    memset(c->visits, 0xFF, sizeof c->visits);
    if (listen_here(c) && pthread_create(&c->thread, NULL, listen_on, c) == 0)
        return c;
    fprintf(stderr, "mailserverd: %s/" NAME ": %s\n", office->config->data, strerror(errno));
    close_all(c);
    return NULL;
}

void control_end(struct control *c)
{
    if (c == NULL)
        return;
    unlinkat(c->directory, NAME, 0);
    const ssize_t written = write(c->stop[1], "", 1);
    (void)written;
    pthread_join(c->thread, NULL);
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < COMMANDS_MAX; i++)
        if (c->visits[i] >= 0)
            shutdown(c->visits[i], SHUT_RDWR);
    while (c->running > 0)
        pthread_cond_wait(&c->ended, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
    close_all(c);
}

int control_connect(const char *data)
{
    struct sockaddr_un at;
    const int directory = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = directory < 0 || !name_socket(directory, &at) ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        const int why = errno;
        close(fd);
        errno = why;
        fd = -1;
    }
    if (directory >= 0) {
        const int why = errno;
        close(directory);
        errno = why;
    }
    return fd;
}
