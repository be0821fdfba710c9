/* pull_only.c - a mail server that binds no handler: pull_only SMTP_PORT POP3_PORT DIRECTORY [KIND].  It declares what
 * it answers (from store_files.h, without KIND) and pulls that; what needs another kind is offered to nobody. */
#define _GNU_SOURCE /* accept4 */
#include "store_files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static struct pollfd polls[FD_SETSIZE] = { [0 ... FD_SETSIZE - 1] = { .fd = -1 } }; /* by file descriptor */
static mailsrv_session *sessions[FD_SETSIZE];                                       /* the same; NULL: no peer */
static mailsrv_profile *doors[FD_SETSIZE];                                          /* the same; NULL: no listener */
static mailsrv_handler answers[64];                                                 /* by kind; NULL: not declared */

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void listen_on(const char *port, const char *name, const mailsrv_machine *machine, int32_t face)
{
    struct sockaddr_in at = { AF_INET, htons((uint16_t)atoi(port)), { htonl(INADDR_LOOPBACK) }, { 0 } };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    mailsrv_profile_new(NULL, machine, face, &doors[fd]);
    mailsrv_profile_set_str(doors[fd], MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    mailsrv_profile_set_u64(doors[fd], MAILSRV_PROFILE_PLAIN_PASSWORDS, 1); /* nobody else listens on loopback */
    if (bind(fd, (void *)&at, sizeof at) != 0 || listen(fd, 128) != 0 || mailsrv_profile_seal(doors[fd], NULL) != 0)
        exit((perror(name), 1));
    getsockname(fd, (void *)&at, &(socklen_t){ sizeof at });
    dprintf(STDOUT_FILENO, "%s 127.0.0.1:%d\n", name, ntohs(at.sin_port));
    polls[fd] = (struct pollfd){ fd, POLLIN, 0 };
}

/* Feeds what there is to read, sends what there is, and sees what to wait for. */
static void serve(int fd, mailsrv_session *session, int is_last)
{
    uint8_t bytes[16384];
    mailsrv_out out[2];
    size_t taken = 0, count = 0;
    ssize_t n = 1;
    if ((polls[fd].revents & ~POLLOUT) != 0 && (n = recv(fd, bytes, sizeof bytes, MSG_PEEK)) > 0) {
        mailsrv_session_feed(session, bytes, (size_t)n, &taken);
        recv(fd, bytes, taken, 0); /* the rest stays in the socket */
    } else if (n == 0)
        mailsrv_session_feed_eof(session);
    while (n >= 0 && mailsrv_session_output(session, out, 2, &count) == MAILSRV_OK && count > 0)
        if ((n = send(fd, out->p, out->n, MSG_NOSIGNAL | (count > 1 ? MSG_MORE : 0))) > 0)
            mailsrv_session_sent(session, (size_t)n);
    const uint32_t wants = mailsrv_session_wants(session);
    polls[fd].events = (short)((wants & MAILSRV_WANT_READ ? POLLIN : 0) | (wants & MAILSRV_WANT_WRITE ? POLLOUT : 0));
    if ((n < 0 && errno != EAGAIN) || (wants & MAILSRV_WANT_CLOSE) != 0 || is_last) {
        mailsrv_session_free(session);
        sessions[fd] = NULL;
        polls[fd].fd = -1;
        close(fd);
    }
}

static void begin(int fd, mailsrv_engine *engine, mailsrv_profile *profile)
{
    if (fd >= 0 && fd < FD_SETSIZE && mailsrv_server_new(engine, profile, NULL, NULL, &sessions[fd]) == MAILSRV_OK)
        polls[fd] = (struct pollfd){ fd, POLLOUT, 0 };
    else
        close(fd);
}

int main(int argc, char **argv)
{
    mailsrv_engine *engine;
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    if (argc < 4 || mailsrv_engine_new(NULL, &engine) != MAILSRV_OK)
        return 2;
    for (const struct store_files *kind = store_files; kind->answer != NULL; kind++)
        if ((argc == 4 || strcmp(argv[4], mailsrv_op_name(kind->kind)) != 0) &&
            mailsrv_engine_serve(engine, kind->kind, NULL, NULL) == MAILSRV_OK)
            answers[kind->kind] = kind->answer;
    listen_on(argv[1], "smtp", mailsrv_smtp(), MAILSRV_FACE_MX);
    listen_on(argv[2], "pop3", mailsrv_pop3(), MAILSRV_FACE_POP3);
    struct pollfd *const signals = &polls[signalfd(-1, &end, 0)];
    *signals = (struct pollfd){ (int)(signals - polls), POLLIN, 0 };
    while (signals->revents == 0 || mailsrv_engine_free(engine, 0) == MAILSRV_E_BUSY) {
        const int64_t us = mailsrv_engine_next_deadline(engine) - now(CLOCK_MONOTONIC);
        poll(polls, FD_SETSIZE, us <= 0 ? 0 : us < 60000000 ? (int)(us / 1000) + 1 : 60000);
        if (signals->revents != 0)
            mailsrv_engine_close(engine);
        mailsrv_engine_advance(engine, now(CLOCK_MONOTONIC), now(CLOCK_REALTIME));
        mailsrv_engine_run(engine, 10000);
        for (int fd = 0; fd < FD_SETSIZE; fd++)
            if (sessions[fd] != NULL)
                serve(fd, sessions[fd], signals->revents != 0);
            else if (doors[fd] != NULL && polls[fd].revents != 0)
                begin(accept4(fd, NULL, NULL, SOCK_NONBLOCK), engine, doors[fd]);
        for (const mailsrv_op *op; mailsrv_engine_next_op(engine, &op) == MAILSRV_OK;)
            answers[op->kind](argv[3], engine, op); /* none of them is NULL */
    }
    for (int fd = 0; fd < FD_SETSIZE; fd++)
        mailsrv_profile_unref(doors[fd]);
}
