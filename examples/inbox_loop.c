/* inbox_loop.c - receives mail by mailsrv_inbox: inbox_loop PORT DIRECTORY.  It keeps a file of each message for each
 * recipient, in the directory of store_files.h.  All that is about mail is on_message and the first half of main. */
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

/* What this returns is the reply: MAILSRV_OK once the message is safe. */
static int32_t on_message(void *directory, const mailsrv_envelope *envelope, mailsrv_bytes message)
{
    int32_t status = MAILSRV_OK;
    for (uint32_t i = 0; i < envelope->n_recipients && status == MAILSRV_OK; i++) {
        const mailsrv_bytes to = envelope->recipients[i];
        const uint8_t *at = memchr(to.p, '@', to.n);
        status = store_files_deliver(directory, (mailsrv_bytes){ to.p, at ? (size_t)(at - to.p) : to.n }, message);
    }
    return status;
}

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void begin(int fd, mailsrv_engine *engine, mailsrv_profile *profile)
{
    if (fd >= 0 && fd < FD_SETSIZE && mailsrv_server_new(engine, profile, NULL, NULL, &sessions[fd]) == MAILSRV_OK)
        polls[fd] = (struct pollfd){ fd, POLLOUT, 0 };
    else
        close(fd);
}

/* Feeds what there is to read, sends what there is to send, and sees what to wait for. */
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

int main(int argc, char **argv)
{
    mailsrv_engine *engine;
    mailsrv_profile *profile = NULL;
    mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &profile);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, 32 << 20);
    if (argc != 3 || mailsrv_engine_new(NULL, &engine) != 0 || mailsrv_profile_seal(profile, NULL) != MAILSRV_OK)
        return 2;
    mailsrv_inbox(engine, 64 << 20, on_message, argv[2]);
    mailsrv_engine_serve(engine, store_files[0].kind, store_files[0].answer, argv[2]); /* RESOLVE: who is here */

    struct sockaddr_in at = { AF_INET, htons((uint16_t)atoi(argv[1])), { htonl(INADDR_LOOPBACK) }, { 0 } };
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (void *)&at, sizeof at) != 0 || listen(listener, 128) != 0)
        return perror("listen"), 1;
    getsockname(listener, (void *)&at, &(socklen_t){ sizeof at });
    dprintf(STDOUT_FILENO, "smtp 127.0.0.1:%d\n", ntohs(at.sin_port));
    polls[listener] = (struct pollfd){ listener, POLLIN, 0 };
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    const int signals = signalfd(-1, &end, 0);
    polls[signals] = (struct pollfd){ signals, POLLIN, 0 };
    while (polls[signals].revents == 0 || mailsrv_engine_free(engine, 0) == MAILSRV_E_BUSY) {
        const int64_t us = mailsrv_engine_next_deadline(engine) - now(CLOCK_MONOTONIC);
        poll(polls, FD_SETSIZE, us <= 0 ? 0 : us < 60000000 ? (int)(us / 1000) + 1 : 60000);
        mailsrv_engine_advance(engine, now(CLOCK_MONOTONIC), now(CLOCK_REALTIME));
        if (polls[listener].revents != 0)
            begin(accept4(listener, NULL, NULL, SOCK_NONBLOCK), engine, profile);
        mailsrv_engine_turn(engine, 10000);
        for (int fd = 0; fd < FD_SETSIZE; fd++)
            if (sessions[fd] != NULL)
                serve(fd, sessions[fd], polls[signals].revents != 0);
    }
    mailsrv_profile_unref(profile);
}
