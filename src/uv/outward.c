/* What goes out: CONNECT by sockets of the loop.  An attempt is a connection that is not there yet, with the operation
 * that it will answer. */
#include "driver.h"

#include <mailsrv/queue.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 30000 /* where nobody says how long */

struct outward {
    mailsrv_uv_listener *listener; /* whose connections they are; it listens nowhere */
    struct resolver *resolver;     /* NULL: DNS is somebody else's */
    struct sockaddr_in from_v4;
    struct sockaddr_in6 from_v6;
    bool has_v4, has_v6;
};

struct attempt {
    uv_connect_t request;
    uv_timer_t timer;
    mailsrv_uv_connection *connection;
    mailsrv_op_id id; /* 0: answered */
};

/* ---- Answers ---- */

static void answer(mailsrv_uv *d, mailsrv_op_id id, int32_t status, const char *text)
{
    const mailsrv_answer answer = { .size = sizeof answer,
                                    .status = status,
                                    .text = { (const uint8_t *)text, strlen(text) } };
    mailsrv_op_answer(d->engine, id, &answer);
}

/* Answered once, whatever happens later. */
static void fail(struct attempt *a, const char *why)
{
    mailsrv_op_id id = a->id;
    a->id = 0;
    if (id != 0)
        answer(a->connection->driver, id, MAILSRV_TEMP, why);
}

/* ---- The end of an attempt ---- */

static void timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Its timer outlives the connection for a round. */
static void end_attempt(mailsrv_uv_connection *c)
{
    struct attempt *a = c->attempt;
    c->attempt = NULL;
    uv_close((uv_handle_t *)&a->timer, timer_closed);
}

static void drop_attempt(mailsrv_uv_connection *c)
{
    fail(c->attempt, "4.3.2 the connection was given up");
    end_attempt(c);
}

static void timed_out(uv_timer_t *timer)
{
    struct attempt *a = timer->data;
    fail(a, "4.4.1 no connection in time");
    mailsrv__uv_cut(a->connection);
}

/* CONNECT is answered by the session. */
static void begin_session(mailsrv_uv_connection *c, mailsrv_op_id id)
{
    const mailsrv_uv_listener_setup *setup = &c->listener->setup;
    uv_tcp_nodelay(&c->socket.tcp, 1);
    mailsrv__uv_know_peer(c);
    if (mailsrv_client_new(c->driver->engine, id, &c->peer, c, &c->session) == MAILSRV_OK)
        c->is_told = setup->on_begin == NULL || setup->on_begin(setup->user, c) == MAILSRV_OK;
    if (c->is_told)
        mailsrv__uv_serve(c);
    else
        mailsrv__uv_cut(c);
}

static void connected(uv_connect_t *request, int status)
{
    struct attempt *a = request->data;
    mailsrv_uv_connection *c = a->connection;
    mailsrv_op_id id = a->id;
    if (c->is_closing)
        return;
    if (status != 0) {
        char text[160] = "4.4.1 ";
        strncat(text, uv_strerror(status), sizeof text - 7);
        fail(a, text);
        mailsrv__uv_cut(c);
        return;
    }
    a->id = 0;
    end_attempt(c);
    begin_session(c, id);
}

/* ---- The beginning ---- */

static int bind_source(const struct outward *o, mailsrv_uv_connection *c, bool is_v6)
{
    if (is_v6 && o->has_v6)
        return uv_tcp_bind(&c->socket.tcp, (const struct sockaddr *)&o->from_v6, 0);
    if (!is_v6 && o->has_v4)
        return uv_tcp_bind(&c->socket.tcp, (const struct sockaddr *)&o->from_v4, 0);
    return 0;
}

static int go(const struct outward *o, mailsrv_uv_connection *c, const mailsrv_arg_connect *arg)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(arg->port) };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(arg->port) };
    const bool is_v6 = arg->address_octets == 16;
    if (is_v6)
        memcpy(&v6.sin6_addr, arg->address, 16);
    else
        memcpy(&v4.sin_addr, arg->address, 4);
    const int error = bind_source(o, c, is_v6);
    const struct sockaddr *to = is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    return error != 0 ? error : uv_tcp_connect(&c->attempt->request, &c->socket.tcp, to, connected);
}

static bool begin_attempt(mailsrv_uv_connection *c, mailsrv_op_id id, uint32_t timeout_ms)
{
    struct attempt *a = calloc(1, sizeof *a);
    if (a == NULL)
        return false;
    a->connection = c;
    a->id = id;
    a->request.data = a->timer.data = a;
    c->attempt = a;
    uv_timer_init(c->driver->loop, &a->timer);
    uv_timer_start(&a->timer, timed_out, timeout_ms != 0 ? timeout_ms : CONNECT_MS, 0);
    return true;
}

static void on_connect(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    mailsrv_uv *d = user;
    const mailsrv_arg_connect *arg = op->arg;
    if (d->closing) {
        answer(d, op->id, MAILSRV_TEMP, "4.3.2 shutting down");
        return;
    }
    mailsrv_uv_connection *c = mailsrv__uv_connection_out(d->outward->listener);
    if (c == NULL) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_NOMEM);
        return;
    }
    if (!begin_attempt(c, op->id, arg->timeout_ms)) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_NOMEM);
        mailsrv__uv_cut(c);
        return;
    }
    const int error = go(d->outward, c, arg);
    if (error != 0) {
        fail(c->attempt, uv_strerror(error));
        mailsrv__uv_cut(c);
    }
}

/* ---- Of the driver ---- */

static mailsrv_uv_listener *new_listener(mailsrv_uv *d, const mailsrv_uv_out_setup *setup)
{
    mailsrv_uv_listener *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->driver = d;
    l->is_open = true;
    l->setup.size = sizeof l->setup;
    l->setup.on_begin = setup->on_begin;
    l->setup.on_end = setup->on_end;
    l->setup.user = setup->user;
    mailsrv__ring_init(&l->place);
    return l;
}

static bool read_sources(struct outward *o, const mailsrv_uv_out_setup *setup)
{
    o->has_v4 = setup->source_v4 != NULL;
    o->has_v6 = setup->source_v6 != NULL;
    return (!o->has_v4 || uv_ip4_addr(setup->source_v4, 0, &o->from_v4) == 0) &&
           (!o->has_v6 || uv_ip6_addr(setup->source_v6, 0, &o->from_v6) == 0);
}

static int32_t open_outward(mailsrv_uv *d, struct outward *o, const mailsrv_uv_out_setup *setup)
{
    if (!read_sources(o, setup))
        return MAILSRV_E_VALUE;
    o->listener = new_listener(d, setup);
    if (o->listener == NULL)
        return MAILSRV_NOMEM;
    int32_t status = mailsrv_engine_serve(d->engine, MAILSRV_OP_CONNECT, on_connect, d);
    if (status == MAILSRV_OK && (setup->flags & MAILSRV_UV_OUT_NO_DNS) == 0)
        status = mailsrv__uv_resolver_new(d, setup, &o->resolver);
    return status;
}

/* Connections that are there go on, and end as those of listeners do. */
static void close_outward(mailsrv_uv *d)
{
    for (struct place *p = d->connections.next; p != &d->connections; p = p->next) {
        mailsrv_uv_connection *c = OWNER(p, mailsrv_uv_connection, place);
        if (c->attempt != NULL)
            mailsrv__uv_cut(c);
    }
    mailsrv__uv_resolver_close(d->outward->resolver);
}

static void free_outward(mailsrv_uv *d)
{
    mailsrv__uv_resolver_free(d->outward->resolver);
    free(d->outward->listener);
    free(d->outward);
}

static const struct outward_calls calls = { close_outward, free_outward, drop_attempt };

int32_t mailsrv_uv_go_out(mailsrv_uv *d, const mailsrv_uv_out_setup *setup)
{
    static const mailsrv_uv_out_setup defaults = { .size = sizeof defaults };
    if (setup == NULL)
        setup = &defaults;
    if (d == NULL || d->outward != NULL || d->closing || setup->size < sizeof *setup)
        return MAILSRV_E_USAGE;
    struct outward *o = calloc(1, sizeof *o);
    if (o == NULL)
        return MAILSRV_NOMEM;
    const int32_t status = open_outward(d, o, setup);
    if (status != MAILSRV_OK) {
        free(o->listener);
        free(o);
        return status;
    }
    d->outward = o;
    d->outward_calls = &calls;
    return MAILSRV_OK;
}
