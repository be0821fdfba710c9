/* serve_epoll.c - a mail server for the accounts of a directory (store_files.h), on epoll(7), edge-triggered:
 * serve_epoll SMTP_PORT POP3_PORT DIRECTORY.  As loops with call backs do, it feeds before it tells the time. */
#define _GNU_SOURCE /* accept4 */
#include "store_files.h"
#include "tls_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static mailsrv_session *sessions[FD_SETSIZE]; /* by file descriptor; NULL: no peer */
static mailsrv_profile *doors[FD_SETSIZE];    /* the same; NULL: no listener */
static int epoll;

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void listen_on(const char *port, const char *name, const mailsrv_machine *machine, int32_t face, char *directory)
{
    struct sockaddr_in at = { AF_INET, htons((uint16_t)atoi(port)), { htonl(INADDR_LOOPBACK) }, { 0 } };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    mailsrv_profile_new(NULL, machine, face, &doors[fd]);
    mailsrv_profile_set_str(doors[fd], MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    tls_offer(doors[fd], directory);
    if (bind(fd, (void *)&at, sizeof at) != 0 || listen(fd, 128) != 0 || mailsrv_profile_seal(doors[fd], NULL) != 0)
        exit((perror(name), 1));
    getsockname(fd, (void *)&at, &(socklen_t){ sizeof at });
    dprintf(STDOUT_FILENO, "%s 127.0.0.1:%d\n", name, ntohs(at.sin_port));
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){ EPOLLIN, { .fd = fd } });
}

static void begin(int door, mailsrv_engine *engine)
{
    const int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0 || fd >= FD_SETSIZE || mailsrv_server_new(engine, doors[door], NULL, sessions + fd, sessions + fd) != 0)
        close(fd);
    else
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){ EPOLLIN | EPOLLOUT | EPOLLET, { .fd = fd } });
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
    if ((sent < 0 && errno != EAGAIN) || (mailsrv_session_wants(session) & MAILSRV_WANT_CLOSE) != 0) {
        mailsrv_session_free(session);
        sessions[fd] = NULL;
        close(fd);
    }
}

int main(int argc, char **argv)
{
    mailsrv_engine *engine;
    mailsrv_session *session;
    struct epoll_event events[64];
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM), sigprocmask(SIG_BLOCK, &end, NULL);
    if (argc != 4 || mailsrv_engine_new(NULL, &engine) != MAILSRV_OK)
        return 2;
    for (const struct store_files *kind = store_files; kind->answer != NULL; kind++)
        mailsrv_engine_serve(engine, kind->kind, kind->answer, argv[3]);
    epoll = epoll_create1(0);
    const int signals = signalfd(-1, &end, 0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &(struct epoll_event){ EPOLLIN, { .fd = signals } });
    listen_on(argv[1], "smtp", mailsrv_smtp(), MAILSRV_FACE_MX, argv[3]);
    listen_on(argv[2], "pop3", mailsrv_pop3(), MAILSRV_FACE_POP3, argv[3]);
    for (int n = 0, fd = 0; fd != signals;) {
        for (int i = 0; i < n && fd != signals; i++)
            if (sessions[fd = events[i].data.fd] != NULL)
                serve(fd, sessions[fd]);
            else if (doors[fd] != NULL)
                begin(fd, engine);
        mailsrv_engine_advance(engine, now(CLOCK_MONOTONIC), now(CLOCK_REALTIME));
        mailsrv_engine_turn(engine, 10000);
        while (mailsrv_engine_next_ready(engine, &session) == MAILSRV_OK)
            serve((int)((mailsrv_session **)mailsrv_session_host(session) - sessions), session);
        const int64_t us = mailsrv_engine_next_deadline(engine) - now(CLOCK_MONOTONIC);
        n = epoll_wait(epoll, events, 64, us <= 0 ? 0 : us < 60000000 ? (int)(us / 1000) + 1 : 60000);
    }
    mailsrv_engine_close(engine);
    for (int fd = 0; fd < FD_SETSIZE; fd++)
        mailsrv_session_free(sessions[fd]), mailsrv_profile_unref(doors[fd]);
    while (mailsrv_engine_free(engine, 0) == MAILSRV_E_BUSY)
        mailsrv_engine_turn(engine, 10000);
}
