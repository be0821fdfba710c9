/* receive: takes mail by SMTP on 127.0.0.1 into the store in memory, on epoll(7), until SIGTERM.  It prints its port,
 * and at the end how many messages it holds. */
#define _GNU_SOURCE /* accept4 */
#include "host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { PEERS_MAX = 1024 };

static mailsrv_session *sessions[PEERS_MAX]; /* by file descriptor */
static int epoll;

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void watch(int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static int listen_somewhere(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    check(fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 1024) == 0, "no port");
    getsockname(fd, (struct sockaddr *)&at, &n);
    printf("port %d\n", ntohs(at.sin_port));
    fflush(stdout);
    watch(fd, EPOLLIN);
    return fd;
}

static void accept_all(int listener, mailsrv_engine *engine, mailsrv_profile *profile)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        /* Replies to pipelined commands leave one by one, and must not wait for each other's acknowledgement. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        if (fd >= PEERS_MAX || mailsrv_server_new(engine, profile, NULL, &sessions[fd], &sessions[fd]) != MAILSRV_OK)
            close(fd);
        else
            watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);
    }
}

/* False: the peer is gone. */
static int read_some(int fd, mailsrv_session *session)
{
    uint8_t bytes[16384];
    while ((mailsrv_session_wants(session) & MAILSRV_WANT_READ) != 0) {
        size_t taken = 0;
        ssize_t got = recv(fd, bytes, sizeof bytes, MSG_PEEK);
        if (got == 0)
            return mailsrv_session_feed_eof(session) == MAILSRV_OK;
        if (got < 0)
            return errno == EAGAIN;
        mailsrv_session_feed(session, bytes, (size_t)got, &taken);
        recv(fd, bytes, taken, 0);
    }
    return 1;
}

static int send_some(int fd, mailsrv_session *session)
{
    mailsrv_out out;
    size_t count;
    while (mailsrv_session_output(session, &out, 1, &count) == MAILSRV_OK && count != 0) {
        ssize_t n = send(fd, out.p, out.n, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        mailsrv_session_sent(session, (size_t)n);
    }
    return 1;
}

static void serve(int fd)
{
    mailsrv_session *session = sessions[fd];
    int there = read_some(fd, session) && send_some(fd, session);
    if (there && (mailsrv_session_wants(session) & MAILSRV_WANT_CLOSE) == 0)
        return;
    mailsrv_session_free(session);
    sessions[fd] = NULL;
    close(fd);
}

static void turn(mailsrv_engine *engine)
{
    mailsrv_session *session;
    mailsrv_engine_advance(engine, now(CLOCK_MONOTONIC), now(CLOCK_REALTIME));
    mailsrv_engine_turn(engine, 100000);
    while (mailsrv_engine_next_ready(engine, &session) == MAILSRV_OK)
        serve((int)((mailsrv_session **)mailsrv_session_host(session) - sessions));
}

static void loop(mailsrv_engine *engine, mailsrv_profile *profile, int listener, int signals)
{
    struct epoll_event events[64];
    for (;;) {
        int64_t us = mailsrv_engine_next_deadline(engine) - now(CLOCK_MONOTONIC);
        int n = epoll_wait(epoll, events, 64, us <= 0 ? 0 : us < 60000000 ? (int)(us / 1000) + 1 : 60000);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == signals)
                return;
            if (events[i].data.fd == listener)
                accept_all(listener, engine, profile);
            else if (sessions[events[i].data.fd] != NULL)
                serve(events[i].data.fd);
        }
        turn(engine);
    }
}

int main(void)
{
    mailsrv_id pat;
    mailsrv_engine *engine;
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    mailsrv_store *store = store_with_pat(&pat);
    mailsrv_profile *profile = profile_of(mailsrv_smtp(), MAILSRV_FACE_MX);
    check(mailsrv_engine_new(NULL, &engine) == MAILSRV_OK, "no engine");
    mailsrv_store_bind(store, engine);
    mailsrv_engine_advance(engine, now(CLOCK_MONOTONIC), now(CLOCK_REALTIME));
    epoll = epoll_create1(0);
    int signals = signalfd(-1, &end, 0);
    watch(signals, EPOLLIN);
    loop(engine, profile, listen_somewhere(), signals);
    printf("messages %llu\n", (unsigned long long)mailsrv_memory_count(store, &pat));
    for (int fd = 0; fd < PEERS_MAX; fd++)
        mailsrv_session_free(sessions[fd]);
    while (mailsrv_engine_free(engine, 0) == MAILSRV_E_BUSY)
        mailsrv_engine_turn(engine, PLENTY);
    mailsrv_store_free(store);
    mailsrv_profile_unref(profile);
    return 0;
}
