/* The driver for loops of libuv: limits, refusals, answers from elsewhere, and ends.  Peers are sockets of this very
 * thread, so a round of the loop is a call. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/queue.h>
#include <mailsrv/stores/memory.h>
#include <mailsrv/uv.h>

#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define HANG_US 20000000 /* a guard; nothing that works takes so long */

struct world {
    uv_loop_t loop;
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_profile *profile;
    mailsrv_uv *driver;
    mailsrv_uv_listener *listener;
    mailsrv_uv_listener_setup setup;
    mailsrv_uv_connection *last;
    mailsrv_peer peer;
    unsigned began, ended, events;
    bool refuses, closed, hung, stops_at_end, deferred;
    mailsrv_op_id asked; /* a RESOLVE that waits */
    void *asked_by;
};

static void must(int32_t status, const char *what)
{
    if (status == MAILSRV_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, mailsrv_strerror(status));
    abort();
}

/* ---- The host ---- */

static int32_t on_begin(void *user, mailsrv_uv_connection *c)
{
    struct world *w = user;
    if (w->refuses)
        return MAILSRV_NOPERM;
    w->began++;
    w->last = c;
    w->peer.size = sizeof w->peer;
    must(mailsrv_uv_connection_peer(c, &w->peer), "the peer");
    mailsrv_uv_connection_set_user(c, w);
    return MAILSRV_OK;
}

static void on_end(void *user, mailsrv_uv_connection *c)
{
    struct world *w = user;
    w->ended += mailsrv_uv_connection_user(c) == w && mailsrv_uv_connection_session(c) != NULL;
    w->last = NULL;
    if (w->stops_at_end)
        uv_stop(&w->loop);
}

static void on_event(void *user, const mailsrv_event *event)
{
    struct world *w = user;
    w->deferred |= event->what == MAILSRV_EVENT_DEFERRED;
    w->events += event->what == MAILSRV_EVENT_SESSION_BEGAN || event->what == MAILSRV_EVENT_SESSION_ENDED;
}

static void on_closed(void *user)
{
    struct world *w = user;
    w->closed = true;
}

static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    (void)engine;
    w->asked = op->id;
    w->asked_by = op->host;
}

static void begin(struct world *w, uint32_t connections_max)
{
    const mailsrv_uv_setup setup = { .size = sizeof setup, .on_event = on_event, .user = w };
    mailsrv_id id;
    memset(w, 0, sizeof *w);
    must(uv_loop_init(&w->loop), "the loop");
    must(mailsrv_engine_new(NULL, &w->engine), "the engine");
    must(mailsrv_memory_new(NULL, &w->store), "the store");
    must(mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &id), "an account");
    must(mailsrv_store_bind(w->store, w->engine), "the store");
    must(mailsrv_engine_serve(w->engine, MAILSRV_OP_RESOLVE, resolve, w), "resolve");
    must(mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &w->profile), "the profile");
    mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    must(mailsrv_profile_seal(w->profile, NULL), "the profile");
    must(mailsrv_uv_new(&w->loop, w->engine, &setup, &w->driver), "the driver");
    w->setup = (mailsrv_uv_listener_setup){ .size = sizeof w->setup,
                                            .connections_max = connections_max,
                                            .address = "127.0.0.1",
                                            .profile = w->profile,
                                            .on_begin = on_begin,
                                            .on_end = on_end,
                                            .user = w };
    must(mailsrv_uv_listen(w->driver, &w->setup, &w->listener), "the listener");
}

/* One round of the loop, which does not sleep for long. */
static void turn(struct world *w)
{
    uv_run(&w->loop, UV_RUN_NOWAIT);
    usleep(100);
}

static uint64_t us(void)
{
    return uv_hrtime() / 1000;
}

static void hangs(uv_timer_t *timer)
{
    struct world *w = timer->data;
    w->hung = true;
    uv_stop(timer->loop);
}

/* The loop runs as a host's does, and nothing else wakes it. */
static void end(struct world *w, const char *test)
{
    uv_timer_t guard;
    mailsrv_uv_close(w->driver, 0, on_closed, w);
    uv_timer_init(&w->loop, &guard);
    guard.data = w;
    uv_timer_start(&guard, hangs, HANG_US / 1000, 0);
    uv_unref((uv_handle_t *)&guard);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&guard, NULL);
    tap(w->closed && !w->hung && w->began == w->ended, test, "it closes, and each that began has ended", "");
    tap(uv_run(&w->loop, UV_RUN_DEFAULT) == 0 && uv_loop_close(&w->loop) == 0, test, "the loop holds nothing of it", "");
    mailsrv_uv_wake(w->driver); /* by a thread that has not heard of it */
    tap(mailsrv_uv_free(w->driver) == MAILSRV_OK, test, "it can be freed", "");
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
}

/* ---- A peer ---- */

struct peer {
    int fd;
    char got[8192];
    size_t n;
    int end; /* 0: it is open, 1: closed, -1: reset */
};

/* From 127.0.0.`host`. */
static void connect_from(struct peer *p, uint8_t host, uint16_t port)
{
    struct sockaddr_in from = { .sin_family = AF_INET }, at = { .sin_family = AF_INET, .sin_port = htons(port) };
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(p, 0, sizeof *p);
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(p->fd, (struct sockaddr *)&from, sizeof from), "an address of this machine");
    if (connect(p->fd, (struct sockaddr *)&at, sizeof at) != 0)
        p->end = -1;
}

static void connect_to(struct peer *p, uint16_t port)
{
    connect_from(p, 1, port);
}

static void look(struct peer *p)
{
    ssize_t n = recv(p->fd, p->got + p->n, sizeof p->got - 1 - p->n, MSG_DONTWAIT);
    if (n > 0)
        p->n += (size_t)n;
    else if (n == 0)
        p->end = 1;
    else if (errno != EAGAIN)
        p->end = -1;
    p->got[p->n] = '\0';
}

/* Does `text` come? */
static bool hears(struct world *w, struct peer *p, const char *text)
{
    for (uint64_t began = us(); us() - began < HANG_US && strstr(p->got, text) == NULL && p->end == 0;) {
        turn(w);
        look(p);
    }
    return strstr(p->got, text) != NULL;
}

/* Has it gone so, in the end? */
static bool is_let_go(struct world *w, struct peer *p, int how)
{
    for (uint64_t began = us(); us() - began < HANG_US && p->end == 0;) {
        turn(w);
        look(p);
    }
    return p->end == how;
}

static void say(struct peer *p, const char *text)
{
    if (send(p->fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        p->end = -1;
}

static void some_turns(struct world *w)
{
    for (int i = 0; i < 50; i++)
        turn(w);
}

/* ---- Tests ---- */

static void limits(void)
{
    struct world w;
    struct peer first, second, third;
    begin(&w, 2);
    const uint16_t port = mailsrv_uv_listener_port(w.listener);
    connect_to(&first, port);
    connect_to(&second, port);
    tap(hears(&w, &first, "220") && hears(&w, &second, "220"), "limits", "two are served", "");
    tap(w.peer.address_octets == 4 && w.peer.address[0] == 127 && w.peer.port != 0 && w.peer.local_port == port, "limits",
        "a peer is known", "");
    connect_to(&third, port);
    some_turns(&w);
    look(&third);
    tap(third.n == 0 && third.end == 0 && mailsrv_uv_listener_connections(w.listener) == 2, "limits",
        "the third one waits", third.got);
    say(&first, "QUIT\r\n");
    tap(is_let_go(&w, &first, 1) && strstr(first.got, "221") != NULL, "limits", "one leaves", first.got);
    close(first.fd);
    tap(hears(&w, &third, "220"), "limits", "the third one is served", third.got);
    close(second.fd);
    close(third.fd);
    end(&w, "limits");
    tap(w.began == 3 && w.events == 6, "limits", "every event was told", "");
}

/* The first two are of one address, the third one of another. */
static void per_peer(void)
{
    struct world w;
    struct peer first, second, third;
    begin(&w, 0);
    mailsrv_uv_listener_setup setup = w.setup;
    mailsrv_uv_listener *other;
    setup.connections_per_peer = 1;
    must(mailsrv_uv_listen(w.driver, &setup, &other), "a listener");
    const uint16_t port = mailsrv_uv_listener_port(other);
    connect_to(&first, port);
    tap(hears(&w, &first, "220"), "per peer", "one is served", first.got);
    connect_to(&second, port);
    tap(is_let_go(&w, &second, 1) && second.n == 0, "per peer", "no more of its address", second.got);
    connect_from(&third, 2, port);
    tap(hears(&w, &third, "220"), "per peer", "one of another address", third.got);
    close(second.fd);
    connect_to(&second, mailsrv_uv_listener_port(w.listener));
    tap(hears(&w, &second, "220"), "per peer", "the same at another listener", second.got);
    say(&first, "QUIT\r\n");
    tap(is_let_go(&w, &first, 1), "per peer", "one leaves", first.got);
    close(first.fd);
    connect_to(&first, port);
    tap(hears(&w, &first, "220"), "per peer", "and comes again", first.got);
    close(first.fd);
    close(second.fd);
    close(third.fd);
    end(&w, "per peer");
}

static void refusals(void)
{
    struct world w;
    struct peer p;
    mailsrv_uv_listener *other;
    begin(&w, 0);
    w.refuses = true;
    connect_to(&p, mailsrv_uv_listener_port(w.listener));
    tap(is_let_go(&w, &p, 1) && p.n == 0 && w.began == 0, "refusals", "a connection, without a word", p.got);
    close(p.fd);
    mailsrv_uv_listener_setup setup = w.setup;
    setup.address = "here.test";
    tap(mailsrv_uv_listen(w.driver, &setup, &other) == MAILSRV_E_VALUE, "refusals", "an address that is a name", "");
    setup.address = "192.0.2.1";
    tap(mailsrv_uv_listen(w.driver, &setup, &other) == MAILSRV_NONEXISTENT, "refusals", "an address of others", "");
    setup.address = "127.0.0.1";
    setup.port = mailsrv_uv_listener_port(w.listener);
    tap(mailsrv_uv_listen(w.driver, &setup, &other) == MAILSRV_INUSE, "refusals", "an address that is taken", "");
    tap(mailsrv_uv_free(w.driver) == MAILSRV_E_BUSY, "refusals", "to be freed before it is closed", "");
    mailsrv_uv_close(w.driver, 0, on_closed, &w);
    tap(mailsrv_uv_listen(w.driver, &w.setup, &other) == MAILSRV_E_CLOSED, "refusals", "a listener at the end", "");
    end(&w, "refusals");
}

static void version_6(void)
{
    struct world w;
    begin(&w, 0);
    mailsrv_uv_listener_setup setup = w.setup;
    mailsrv_uv_listener *other;
    setup.address = "::1";
    const int32_t status = mailsrv_uv_listen(w.driver, &setup, &other);
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct peer p = { .fd = socket(AF_INET6, SOCK_STREAM, 0) };
    if (status == MAILSRV_OK) {
        at.sin6_port = htons(mailsrv_uv_listener_port(other));
        p.end = connect(p.fd, (struct sockaddr *)&at, sizeof at);
        tap(hears(&w, &p, "220") && w.peer.address_octets == 16 && w.peer.local_port == mailsrv_uv_listener_port(other),
            "version 6", "it is served, and known", p.got);
    } else {
        tap(status == MAILSRV_NONEXISTENT, "version 6", "this machine has none", mailsrv_strerror(status));
    }
    close(p.fd);
    end(&w, "version 6");
}

static void later(uv_timer_t *timer)
{
    struct world *w = timer->data;
    mailsrv_op_answer_status(w->engine, w->asked, MAILSRV_NONEXISTENT);
    uv_close((uv_handle_t *)timer, NULL);
}

static void comes_late(uv_timer_t *timer)
{
    (void)timer;
}

/* The loop sleeps until `guard` unless it sees that work has come. */
static void answers_from_the_loop(void)
{
    struct world w;
    struct peer p;
    uv_timer_t timer, guard;
    begin(&w, 0);
    connect_to(&p, mailsrv_uv_listener_port(w.listener));
    hears(&w, &p, "220");
    say(&p, "EHLO me.test\r\nMAIL FROM:<>\r\nRCPT TO:<kim@here.test>\r\nNOOP\r\nQUIT\r\n");
    for (uint64_t began = us(); w.asked == 0 && us() - began < HANG_US;)
        turn(&w);
    tap(w.asked != 0 && w.asked_by == w.last, "answers", "an operation carries its connection", "");
    uv_timer_init(&w.loop, &timer);
    timer.data = &w;
    uv_timer_start(&timer, later, 0, 0);
    uv_timer_init(&w.loop, &guard);
    uv_timer_start(&guard, comes_late, 20000, 20000);
    const uint64_t began = us();
    while (p.end == 0 && us() - began < HANG_US) {
        uv_run(&w.loop, UV_RUN_ONCE);
        look(&p);
    }
    tap(p.end == 1 && strstr(p.got, "550") != NULL && strstr(p.got, "221") != NULL, "answers",
        "from a timer of the host", p.got);
    tap(us() - began < 15000000, "answers", "without a sleep before it is said", "");
    uv_close((uv_handle_t *)&guard, NULL);
    close(p.fd);
    end(&w, "answers");
}

/* Mail that waits, for nobody says where to. */
static mailsrv_queue *queue_of(struct world *w)
{
    static const mailsrv_queue_recipient kim = { .size = sizeof kim, .address = { (const uint8_t *)"kim@there.test", 14 } };
    const mailsrv_queue_mail mail = { .size = sizeof mail,
                                      .recipients = &kim,
                                      .n_recipients = 1,
                                      .message = { (const uint8_t *)"\r\nhello\r\n", 9 } };
    mailsrv_profile *profile;
    mailsrv_queue *queue;
    must(mailsrv_profile_new(NULL, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT, &profile), "the client's profile");
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    must(mailsrv_profile_seal(profile, NULL), "the client's profile");
    const mailsrv_queue_setup setup = { .size = sizeof setup, .profile = profile };
    must(mailsrv_queue_open(w->engine, &setup, &queue), "the queue");
    must(mailsrv_queue_send(queue, &mail, NULL, NULL), "a message");
    mailsrv_profile_unref(profile);
    return queue;
}

/* What a round has armed is timed from the end of the round, not from when the loop wakes for it. */
static void time_outs(void)
{
    struct world w;
    begin(&w, 0);
    mailsrv_queue *queue = queue_of(&w);
    for (uint64_t began = us(); !w.deferred && us() - began < HANG_US;)
        turn(&w);
    const int64_t until_us = mailsrv_engine_next_deadline(w.engine);
    must(mailsrv_engine_advance(w.engine, until_us - 1, 1), "the time");
    tap(w.deferred && mailsrv_engine_next_deadline(w.engine) == until_us, "time-outs", "the loop sleeps once", "");
    mailsrv_queue_close(queue, NULL, NULL);
    end(&w, "time-outs");
}

static void listener_closes(void)
{
    struct world w;
    struct peer p, late;
    begin(&w, 0);
    const uint16_t port = mailsrv_uv_listener_port(w.listener);
    connect_to(&p, port);
    hears(&w, &p, "220");
    mailsrv_uv_listener_close(w.listener);
    mailsrv_profile_unref(w.profile);
    w.profile = NULL;
    some_turns(&w);
    connect_to(&late, port);
    tap(late.end == -1, "a listener closes", "nobody comes any more", "");
    say(&p, "EHLO me.test\r\nQUIT\r\n");
    tap(hears(&w, &p, "221") && is_let_go(&w, &p, 1), "a listener closes", "who is there goes on", p.got);
    close(p.fd);
    close(late.fd);
    end(&w, "a listener closes");
}

static void wake_often(void *user)
{
    struct world *w = user;
    for (int i = 0; i < 2000; i++)
        mailsrv_uv_wake(w->driver);
}

/* Idle sessions hear 421; one with an operation out keeps the engine until that is answered, cut or not. */
static void closes(void)
{
    struct world w;
    struct peer idle, asks;
    uv_thread_t thread;
    begin(&w, 0);
    connect_to(&idle, mailsrv_uv_listener_port(w.listener));
    connect_to(&asks, mailsrv_uv_listener_port(w.listener));
    hears(&w, &idle, "220");
    hears(&w, &asks, "220");
    say(&asks, "HELO me.test\r\nMAIL FROM:<>\r\nRCPT TO:<kim@here.test>\r\n");
    for (uint64_t began = us(); w.asked == 0 && us() - began < HANG_US;)
        turn(&w);
    if (uv_thread_create(&thread, wake_often, &w) != 0)
        abort();
    mailsrv_uv_close(w.driver, 3600000, on_closed, &w);
    tap(hears(&w, &idle, "421") && is_let_go(&w, &idle, 1), "closing", "who is idle is told", idle.got);
    some_turns(&w);
    look(&asks);
    tap(asks.end == 0 && w.began == 2 && w.ended == 1, "closing", "who waits for an answer is waited for", asks.got);
    mailsrv_uv_close(w.driver, 0, NULL, NULL);
    tap(is_let_go(&w, &asks, 1) || asks.end == -1, "closing", "until the grace ends", asks.got);
    some_turns(&w);
    tap(!w.closed, "closing", "the engine waits for an answer that is owed", "");
    mailsrv_op_answer_status(w.engine, w.asked, MAILSRV_TEMP);
    for (uint64_t began = us(); !w.closed && us() - began < HANG_US;)
        turn(&w);
    tap(w.closed, "closing", "and has gone when it has come", "");
    uv_thread_join(&thread);
    close(idle.fd);
    close(asks.fd);
    end(&w, "closing");
}

/* Octets behind QUIT that nobody reads must not take the reply away (a reset would). */
static void last_words(void)
{
    static char junk[1 << 20];
    struct world w;
    struct peer p, stays;
    begin(&w, 0);
    connect_to(&p, mailsrv_uv_listener_port(w.listener));
    hears(&w, &p, "220");
    say(&p, "QUIT\r\n");
    memset(junk, 'x', sizeof junk);
    for (uint64_t began = us(); w.ended == 0 && us() - began < HANG_US; turn(&w))
        if (send(p.fd, junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            break;
    some_turns(&w);
    tap(hears(&w, &p, "221") && is_let_go(&w, &p, 1), "last words", "they reach who is still sending", p.got);
    close(p.fd);
    connect_to(&stays, mailsrv_uv_listener_port(w.listener));
    hears(&w, &stays, "220");
    say(&stays, "QUIT\r\n");
    hears(&w, &stays, "221");
    for (uint64_t began = us(); mailsrv_uv_listener_connections(w.listener) != 0 && us() - began < HANG_US;)
        turn(&w);
    tap(mailsrv_uv_listener_connections(w.listener) == 0, "last words", "a peer who never leaves is left", "");
    close(stays.fd);
    end(&w, "last words");
}

/* ---- Local sockets, and sockets of others ---- */

static void connect_to_path(struct peer *p, const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    memset(p, 0, sizeof *p);
    p->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(p->fd, (struct sockaddr *)&at, sizeof at) != 0)
        p->end = -1;
}

static bool has_output(const struct world *w)
{
    return (mailsrv_session_wants(mailsrv_uv_connection_session(w->last)) & MAILSRV_WANT_WRITE) != 0;
}

/* Libuv still holds what was said when the time of a peer who reads nothing is over: it is told first. */
static void stops_reading(void)
{
    static const char line[] = "EHLO me.test\r\n";
    struct world w;
    struct peer p;
    begin(&w, 0);
    connect_to(&p, mailsrv_uv_listener_port(w.listener));
    tap(hears(&w, &p, "220"), "stops reading", "it is greeted", p.got);
    for (uint64_t began = us(); us() - began < HANG_US && w.last != NULL && !has_output(&w);) {
        for (int i = 0; i < 1000; i++)
            if (send(p.fd, line, sizeof line - 1, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof line - 1)
                break;
        turn(&w);
    }
    tap(w.last != NULL && has_output(&w), "stops reading", "what is said waits", "");
    for (int64_t hours = 1; hours < 3; hours++) /* the first one is for who was still to be waited for */
        must(mailsrv_engine_advance(w.engine, (int64_t)us() + hours * INT64_C(3600000000), 1), "an hour");
    for (uint64_t began = us(); us() - began < HANG_US && w.ended == 0;)
        turn(&w);
    tap(w.ended == 1 && mailsrv_uv_listener_connections(w.listener) == 0, "stops reading", "it is cut off", "");
    close(p.fd);
    end(&w, "stops reading");
}

/* How often `text` came. */
static unsigned times(const struct peer *p, const char *text)
{
    unsigned n = 0;
    for (const char *at = p->got; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

/* More commands at once, and then the end, than the window has room for their replies.  The loop sleeps as a host's
 * does, and nothing else wakes it: the peer looks when the session has ended. */
static void asks_much(bool quits)
{
    enum { COMMANDS = 30 };
    const char *test = quits ? "asks much and quits" : "asks much and ends";
    struct world w;
    struct peer p;
    uv_timer_t guard;
    mailsrv_profile *narrow;
    char text[16 * COMMANDS] = "";
    begin(&w, 0);
    must(mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &narrow), "the profile");
    mailsrv_profile_set_str(narrow, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    mailsrv_profile_set_u64(narrow, MAILSRV_PROFILE_WINDOW_OCTETS, 1024);
    must(mailsrv_profile_seal(narrow, NULL), "the profile");
    mailsrv_uv_listener_setup setup = w.setup;
    setup.profile = narrow;
    must(mailsrv_uv_listen(w.driver, &setup, &w.listener), "the listener");
    connect_to(&p, mailsrv_uv_listener_port(w.listener));
    hears(&w, &p, "220");
    for (int i = 0; i < COMMANDS; i++)
        strcat(text, "EHLO me.test\r\n");
    say(&p, quits ? strcat(text, "QUIT\r\n") : text);
    if (!quits)
        shutdown(p.fd, SHUT_WR);
    uv_timer_init(&w.loop, &guard);
    guard.data = &w;
    uv_timer_start(&guard, hangs, HANG_US / 1000, 0);
    w.stops_at_end = true;
    uv_run(&w.loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&guard, NULL);
    is_let_go(&w, &p, 1);
    tap(!w.hung && times(&p, "\r\n250 ") == COMMANDS, test, "all is replied to", p.got);
    close(p.fd);
    mailsrv_profile_unref(narrow);
    end(&w, test);
}

static void local_socket(void)
{
    struct world w;
    struct peer p;
    char path[] = "/tmp/mailsrv-uv-XXXXXX", at[64];
    mailsrv_uv_listener *listener;
    if (mkdtemp(path) == NULL)
        abort();
    snprintf(at, sizeof at, "%s/smtp", path);
    begin(&w, 0);
    mailsrv_uv_listener_setup setup = w.setup;
    setup.address = at;
    tap(mailsrv_uv_listen(w.driver, &setup, &listener) == MAILSRV_OK && mailsrv_uv_listener_port(listener) == 0,
        "a local socket", "it listens", "");
    tap(mailsrv_uv_listen(w.driver, &setup, NULL) == MAILSRV_INUSE, "a local socket", "but once", "");
    connect_to_path(&p, at);
    tap(hears(&w, &p, "220"), "a local socket", "it greets", p.got);
    tap(w.peer.address_octets == 0, "a local socket", "whose peer has no address", "");
    say(&p, "QUIT\r\n");
    tap(hears(&w, &p, "221") && is_let_go(&w, &p, 1), "a local socket", "it says good-bye", p.got);
    close(p.fd);
    end(&w, "a local socket");
    tap(access(at, F_OK) != 0 && rmdir(path) == 0, "a local socket", "its path goes with it", "");
}

/* Bound by somebody else, as by a supervisor. */
static void given_socket(void)
{
    struct world w;
    struct peer p;
    struct sockaddr_in at = { .sin_family = AF_INET };
    mailsrv_uv_listener *listener;
    begin(&w, 0);
    mailsrv_uv_listener_setup setup = w.setup;
    setup.address = NULL;
    setup.flags = MAILSRV_UV_LISTEN_SOCKET;
    setup.socket = open("/dev/null", O_RDONLY);
    tap(mailsrv_uv_listen(w.driver, &setup, NULL) == MAILSRV_E_VALUE, "a given socket", "it must be one", "");
    tap(fcntl(setup.socket, F_GETFD) >= 0, "a given socket", "and stays whose it was where it is none", "");
    close(setup.socket);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setup.socket = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(setup.socket, (struct sockaddr *)&at, sizeof at) != 0)
        abort();
    tap(mailsrv_uv_listen(w.driver, &setup, &listener) == MAILSRV_OK, "a given socket", "it listens", "");
    connect_to(&p, mailsrv_uv_listener_port(listener));
    tap(hears(&w, &p, "220"), "a given socket", "it greets", p.got);
    close(p.fd);
    end(&w, "a given socket");
    tap(fcntl(setup.socket, F_GETFD) < 0, "a given socket", "it is closed with the listener", "");
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    limits();
    per_peer();
    refusals();
    version_6();
    answers_from_the_loop();
    time_outs();
    listener_closes();
    closes();
    last_words();
    stops_reading();
    asks_much(true);
    asks_much(false);
    local_socket();
    given_socket();
    return tap_end();
}
