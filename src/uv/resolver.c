/* DNS by c-ares: its sockets are watched by the loop, its replies are handed on as they came.  Its own reading of them
 * is not used: who asked reads them. */
#include "driver.h"

#include <mailsrv/queue.h>

#ifdef MAILSRV_UV_CARES
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    TIMEOUT_MS = 3000,
    TRIES = 3,
    UDP_OCTETS = 1232, /* that a reply by UDP may have, so that it comes in one piece (RFC 9715 section 3.1) */
    ID_BUCKETS = 64
};

#define CLASS_IN 1
#define FLAG_AD 0x20 /* in the fourth octet (RFC 6840 section 5.7) */

/* A question that is out. */
struct question {
    struct question *next; /* in its bucket */
    struct resolver *resolver;
    mailsrv_op_id op;
    uint16_t id;
};

/* A socket of c-ares. */
struct watch {
    uv_poll_t poll;
    struct watch *next;
    struct resolver *resolver;
    ares_socket_t socket;
};

struct resolver {
    mailsrv_uv *driver;
    ares_channel channel;
    uv_timer_t timer; /* when c-ares wants to be looked at */
    struct watch *watches;
    struct question *questions[ID_BUCKETS];
    bool trusted;
    bool is_open;
};

/* ---- When it is to be looked at ---- */

static void look(uv_timer_t *timer);

static void arm(struct resolver *r)
{
    struct timeval room;
    const struct timeval *in = r->is_open ? ares_timeout(r->channel, NULL, &room) : NULL;
    if (in == NULL)
        uv_timer_stop(&r->timer);
    else
        uv_timer_start(&r->timer, look, (uint64_t)in->tv_sec * 1000 + (uint64_t)in->tv_usec / 1000 + 1, 0);
}

static void look(uv_timer_t *timer)
{
    struct resolver *r = timer->data;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(r);
}

static void happened(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    struct resolver *r = w->resolver;
    const bool reads = status != 0 || (events & UV_READABLE) != 0, writes = status != 0 || (events & UV_WRITABLE) != 0;
    ares_process_fd(r->channel, reads ? w->socket : ARES_SOCKET_BAD, writes ? w->socket : ARES_SOCKET_BAD);
    arm(r);
}

/* ---- Its sockets ---- */

static struct watch **find_watch(struct resolver *r, ares_socket_t socket)
{
    struct watch **at = &r->watches;
    while (*at != NULL && (*at)->socket != socket)
        at = &(*at)->next;
    return at;
}

static void watch_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    handle->data = w->resolver->driver;
    mailsrv__uv_handle_closed(handle);
    free(w);
}

static void unwatch(struct watch **at)
{
    struct watch *w = *at;
    *at = w->next;
    uv_close((uv_handle_t *)&w->poll, watch_closed);
}

/* Where there is no memory the socket is not watched, and the question times out. */
static struct watch *watch(struct resolver *r, ares_socket_t socket)
{
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL || uv_poll_init_socket(r->driver->loop, &w->poll, socket) != 0) {
        free(w);
        return NULL;
    }
    r->driver->n_handles++;
    w->poll.data = w;
    w->resolver = r;
    w->socket = socket;
    w->next = r->watches;
    r->watches = w;
    uv_unref((uv_handle_t *)&w->poll);
    return w;
}

static void socket_changed(void *user, ares_socket_t socket, int reads, int writes)
{
    struct resolver *r = user;
    struct watch **at = find_watch(r, socket);
    if (!reads && !writes) {
        if (*at != NULL)
            unwatch(at);
        return;
    }
    struct watch *w = *at != NULL ? *at : watch(r, socket);
    if (w != NULL)
        uv_poll_start(&w->poll, (reads ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0), happened);
}

/* ---- Questions ---- */

static struct question **find_question(struct resolver *r, uint16_t id)
{
    struct question **at = &r->questions[id % ID_BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* An id that nobody can guess, and that no other question has: c-ares 1.18 tells replies apart by it.  False: there is
 * none. */
static bool choose_id(struct resolver *r, uint16_t *out)
{
    for (int i = 0; i < 16; i++)
        if (getrandom(out, sizeof *out, 0) == (ssize_t)sizeof *out && *find_question(r, *out) == NULL)
            return true;
    return false;
}

/* What an old c-ares says of replies that are failures (SERVFAIL, REFUSED), too: where it knows of no other server,
 * that it has reached none. */
static const char *why(int status)
{
    if (status == ARES_SUCCESS)
        return "";
    return status == ARES_ECONNREFUSED ? "none of them can be reached, or each fails" : ares_strerror(status);
}

static void replied(void *user, int status, int timeouts, unsigned char *message, int n)
{
    struct question *q = user;
    struct resolver *r = q->resolver;
    (void)timeouts;
    *find_question(r, q->id) = q->next;
    const mailsrv_dns_reply value = { .size = sizeof value,
                                      .trusted = r->trusted,
                                      .message = { message, n > 0 ? (size_t)n : 0 } };
    const char *text = why(status);
    const bool has_come = message != NULL && n > 0;
    const mailsrv_answer answer = { .size = sizeof answer,
                                    .status = has_come                ? MAILSRV_OK
                                              : status == ARES_ENOMEM ? MAILSRV_NOMEM
                                                                      : MAILSRV_TEMP,
                                    .text = { (const uint8_t *)text, strlen(text) },
                                    .value = has_come ? &value : NULL };
    mailsrv_op_answer(r->driver->engine, q->op, &answer);
    free(q);
}

static struct question *new_question(struct resolver *r, mailsrv_op_id op)
{
    uint16_t id;
    struct question *q = choose_id(r, &id) ? calloc(1, sizeof *q) : NULL;
    if (q == NULL)
        return NULL;
    *q = (struct question){ .resolver = r, .op = op, .id = id };
    struct question **at = find_question(r, id);
    q->next = *at;
    *at = q;
    return q;
}

/* Names are of 255 octets at most.  NULL: no memory, or a name that cannot be asked for. */
static unsigned char *make_message(const struct resolver *r, const mailsrv_arg_dns *arg, uint16_t id, int *n)
{
    char name[256];
    unsigned char *message = NULL;
    if (arg->name.n >= sizeof name || memchr(arg->name.p, '\0', arg->name.n) != NULL)
        return NULL;
    memcpy(name, arg->name.p, arg->name.n);
    name[arg->name.n] = '\0';
    if (ares_create_query(name, CLASS_IN, (int)arg->type, id, 1, &message, n, UDP_OCTETS) != ARES_SUCCESS)
        return NULL;
    if (r->trusted)
        message[3] |= FLAG_AD;
    return message;
}

static void on_dns(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct resolver *r = user;
    int n = 0;
    struct question *q = r->is_open ? new_question(r, op->id) : NULL;
    unsigned char *message = q == NULL ? NULL : make_message(r, op->arg, q->id, &n);
    if (message == NULL) {
        if (q != NULL)
            *find_question(r, q->id) = q->next;
        free(q);
        mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP);
        return;
    }
    ares_send(r->channel, message, n, replied, q);
    ares_free_string(message);
    arm(r);
}

/* ---- Beginning and end ---- */

static int open_channel(struct resolver *r, const mailsrv_uv_out_setup *setup)
{
    struct ares_options options;
    memset(&options, 0, sizeof options);
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
    options.timeout = setup->dns_timeout_ms != 0 ? (int)setup->dns_timeout_ms : TIMEOUT_MS;
    options.tries = setup->dns_tries != 0 ? (int)setup->dns_tries : TRIES;
    options.ednspsz = UDP_OCTETS;
    options.sock_state_cb = socket_changed;
    options.sock_state_cb_data = r;
    const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB;
    int status = ares_init_options(&r->channel, &options, mask);
    if (status != ARES_SUCCESS || setup->dns_servers == NULL)
        return status;
    status = ares_set_servers_ports_csv(r->channel, setup->dns_servers);
    if (status != ARES_SUCCESS)
        ares_destroy(r->channel);
    return status;
}

static int32_t status_of(int status)
{
    return status == ARES_ENOMEM ? MAILSRV_NOMEM : status == ARES_EBADSTR ? MAILSRV_E_VALUE : MAILSRV_TEMP;
}

int32_t mailsrv__uv_resolver_new(mailsrv_uv *d, const mailsrv_uv_out_setup *setup, struct resolver **out)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (r == NULL)
        return MAILSRV_NOMEM;
    r->driver = d;
    r->trusted = (setup->flags & MAILSRV_UV_OUT_DNS_TRUSTED) != 0;
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS)
        status = open_channel(r, setup);
    if (status != ARES_SUCCESS) {
        free(r);
        return status_of(status);
    }
    r->is_open = true;
    uv_timer_init(d->loop, &r->timer);
    uv_unref((uv_handle_t *)&r->timer);
    r->timer.data = r;
    d->n_handles++;
    *out = r;
    return mailsrv_engine_serve(d->engine, MAILSRV_OP_DNS, on_dns, r);
}

static void timer_closed(uv_handle_t *handle)
{
    const struct resolver *r = handle->data;
    handle->data = r->driver;
    mailsrv__uv_handle_closed(handle);
}

/* Whatever is asked is answered here. */
void mailsrv__uv_resolver_close(struct resolver *r)
{
    if (r == NULL || !r->is_open)
        return;
    r->is_open = false;
    ares_destroy(r->channel);
    while (r->watches != NULL)
        unwatch(&r->watches);
    uv_close((uv_handle_t *)&r->timer, timer_closed);
}

/* Everything is closed. */
void mailsrv__uv_resolver_free(struct resolver *r)
{
    if (r == NULL)
        return;
    ares_library_cleanup();
    free(r);
}

#else

int32_t mailsrv__uv_resolver_new(mailsrv_uv *d, const mailsrv_uv_out_setup *setup, struct resolver **out)
{
    (void)d, (void)setup, (void)out;
    return MAILSRV_CANNOT;
}

void mailsrv__uv_resolver_close(struct resolver *r)
{
    (void)r;
}

void mailsrv__uv_resolver_free(struct resolver *r)
{
    (void)r;
}

#endif
