/* serve_epoll.c - a full mail server on epoll(7), edge-triggered: serve_epoll DIRECTORY [BASE].  Users, store and doors
 * are house.h's; it listens on loopback, on the usual ports moved by BASE, or on free ones, and says which.  As loops
 * with call backs do, it feeds before it tells the time. */
#define _GNU_SOURCE /* accept4 */
#include "house.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEERS = 20000 };
static mailsrv_session *sessions[PEERS]; /* by file descriptor; NULL: no peer */
static mailsrv_profile *doors[PEERS];    /* the same; NULL: no listener */
static int epoll, news;

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void watch(int fd, uint32_t events)
{
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){ events, { .fd = fd } });
}

static void wake(void *user) /* by threads of the store */
{
    eventfd_write(*(int *)user, 1);
}

static void begin(int door, mailsrv_engine *engine)
{
    const int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK);
    const mailsrv_peer peer = house_peer(fd);
    if (fd < 0 || fd >= PEERS || mailsrv_server_new(engine, doors[door], &peer, sessions + fd, sessions + fd) != 0)
        close(fd);
    else
        watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void finish(int fd)
{
    if (sessions[fd] != NULL)
        mailsrv_session_free(sessions[fd]), close(fd);
    sessions[fd] = NULL;
}

/* Reads and feeds while that is wanted, and sends what there is.  What is not taken stays in the socket. */
static void serve(int fd, mailsrv_session *session)
{
    uint8_t bytes[16384];
    mailsrv_out out[2];
    ssize_t got = 1;
    size_t n = 0;
    while (got > 0 && (mailsrv_session_wants(session) & MAILSRV_WANT_READ) != 0)
        if ((got = recv(fd, bytes, sizeof bytes, MSG_PEEK)) > 0 &&
            mailsrv_session_feed(session, bytes, (size_t)got, &n) == MAILSRV_OK)
            recv(fd, bytes, n, 0);
    if (got == 0)
        mailsrv_session_feed_eof(session);
    ssize_t sent = got < 0 && errno != EAGAIN ? -1 : 1; /* -1: a reset */
    while (sent > 0 && mailsrv_session_output(session, out, 2, &n) == MAILSRV_OK && n > 0)
        if ((sent = send(fd, out->p, out->n, MSG_NOSIGNAL | (n > 1 ? MSG_MORE : 0))) > 0)
            mailsrv_session_sent(session, (size_t)sent);
    if ((sent < 0 && errno != EAGAIN) || (mailsrv_session_wants(session) & MAILSRV_WANT_CLOSE) != 0)
        finish(fd);
}

static void turn(mailsrv_engine *engine)
{
    mailsrv_session *session;
    mailsrv_engine_advance(engine, now(CLOCK_MONOTONIC), now(CLOCK_REALTIME));
    mailsrv_engine_turn(engine, 10000);
    while (mailsrv_engine_next_ready(engine, &session) == MAILSRV_OK)
        serve((int)((mailsrv_session **)mailsrv_session_host(session) - sessions), session);
}

int main(int argc, char **argv)
{
    struct house house;
    mailsrv_engine *engine;
    struct epoll_event events[64];
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGTERM), sigprocmask(SIG_BLOCK, &set, NULL);
    if ((argc != 2 && argc != 3) || mailsrv_engine_new(NULL, &engine) != MAILSRV_OK)
        return 2;
    const int signals = signalfd(-1, &set, 0);
    epoll = epoll_create1(0);
    watch(signals, EPOLLIN);
    watch(news = eventfd(0, EFD_NONBLOCK), EPOLLIN | EPOLLET); /* that it was written to is all there is to know */
    house_open(&house, argv[1], argv[2]);
    house_serve(&house, engine, wake, &news);
    for (int i = 0, fd; i < house.n_doors; i++, watch(fd, EPOLLIN))
        doors[fd = house_listen(&house.doors[i])] = house.doors[i].profile;
    for (int n = 0, fd = 0; fd != signals;) {
        for (int i = 0; i < n && fd != signals; i++)
            if (sessions[fd = events[i].data.fd] != NULL)
                serve(fd, sessions[fd]);
            else if (doors[fd] != NULL)
                begin(fd, engine);
        turn(engine);
        const int64_t us = mailsrv_engine_next_deadline(engine) - now(CLOCK_MONOTONIC);
        n = epoll_wait(epoll, events, 64, us <= 0 ? 0 : us < 60000000 ? (int)(us / 1000) + 1 : 60000);
    }
    mailsrv_engine_close(engine);
    turn(engine); /* whoever is here is told */
    for (int fd = 0; fd < PEERS; fd++)
        finish(fd);
    for (; mailsrv_engine_free(engine, 0) == MAILSRV_E_BUSY; epoll_wait(epoll, events, 64, 10))
        turn(engine);
    house_close(&house);
}
