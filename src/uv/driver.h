/* What the files of the driver share.  A driver has listeners, a listener has connections, each in a ring. */
#ifndef UV_DRIVER_H
#define UV_DRIVER_H

#include <mailsrv/op.h>
#include <mailsrv/uv.h>

#include <stdbool.h>
#include <uv.h>

#define NEVER INT64_MAX
#define SLICES 64 /* of a write, at most: a window of small messages */

/* A place in a ring; the ring's own place stands for its end. */
struct place {
    struct place *next, *previous;
};

/* A socket of the internet, or a local one. */
union socket {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct outward;
struct resolver;

/* What goes out hangs on the driver by this, so that a program that only listens does not link it. */
struct outward_calls {
    void (*close)(mailsrv_uv *d); /* answers what is asked, and asks nothing more of the world */
    void (*free)(mailsrv_uv *d);
    void (*drop)(mailsrv_uv_connection *c); /* the attempt goes with its socket */
};

struct mailsrv_uv {
    uv_loop_t *loop;
    mailsrv_engine *engine; /* NULL: freed */
    mailsrv_uv_setup setup;
    uv_async_t async; /* keeps the loop running */
    uv_timer_t timer; /* bounds the loop's sleep, and does nothing else */
    uv_prepare_t before_sleep;
    uv_check_t after_sleep;
    struct place listeners;
    struct place connections;
    struct place lingering;                    /* the first to end stands first */
    struct place ready;                        /* those to be served in this round */
    int64_t cut_at_us;                         /* when those that are left are cut */
    struct outward *outward;                   /* outward.c; NULL: nothing goes out */
    const struct outward_calls *outward_calls; /* with it */
    bool closing;
    unsigned n_handles; /* of the four above and of the resolver's, open */
    void (*closed)(void *user);
    void *closed_user;
    uv_mutex_t lock;      /* of what follows: other threads look at it */
    bool wakes;           /* async is open */
    uint8_t bytes[65536]; /* what a read fills; nothing stays here */
    mailsrv_out out[SLICES]; /* what is written; nothing stays here either */
    uv_buf_t buffers[SLICES];
};

struct mailsrv_uv_listener {
    union socket socket;
    mailsrv_uv *driver;
    mailsrv_uv_listener_setup setup;
    struct place place; /* in driver->listeners */
    uint16_t port;
    bool is_local;
    bool is_open;
    bool has_waiting;       /* libuv holds a connection that nobody took yet */
    uint32_t n_connections; /* whoever is here keeps the listener's memory */
};

struct mailsrv_uv_connection {
    union socket socket;
    uv_write_t *request; /* in flight; NULL: none is, as of one who idles */
    mailsrv_uv *driver;
    mailsrv_uv_listener *listener; /* of one that goes out, the driver's for all of those */
    struct attempt *attempt;       /* that is being connected; NULL: it is connected */
    mailsrv_session *session;      /* NULL: it has ended, or never began */
    void *user;
    mailsrv_peer peer;
    struct place place;        /* in driver->connections */
    struct place linger_place; /* in driver->lingering */
    struct place ready_place;  /* in driver->ready, or in none */
    int64_t lingers_until_us;
    uint8_t *kept; /* octets that the session did not take yet */
    size_t n_kept, n_kept_fed;
    size_t n_writing; /* octets of the write in flight; 0: none is */
    bool is_told;     /* on_begin has taken it: on_end is owed */
    bool is_reading;
    bool is_at_eof; /* the peer sends no more */
    bool owes_eof;  /* and the session does not know yet */
    bool is_closing;
};

#define OWNER(p, type, field) ((type *)(void *)((char *)(p)-offsetof(type, field)))

static inline void mailsrv__ring_init(struct place *p)
{
    p->next = p->previous = p;
}

static inline void mailsrv__ring_append(struct place *ring, struct place *p)
{
    p->next = ring;
    p->previous = ring->previous;
    ring->previous->next = p;
    ring->previous = p;
}

static inline void mailsrv__ring_remove(struct place *p)
{
    p->next->previous = p->previous;
    p->previous->next = p->next;
    mailsrv__ring_init(p);
}

int64_t mailsrv__uv_now_us(void);

/* Something has gone: another round sees whether it was the last that the end waits for. */
void mailsrv__uv_gone(mailsrv_uv *d);

int mailsrv__uv_socket_init(uv_loop_t *loop, union socket *socket, bool is_local);

/* Takes the connection that libuv holds, if there is room for it. */
void mailsrv__uv_accept(mailsrv_uv_listener *l);

/* JOB is answered by threads of libuv's pool. */
void mailsrv__uv_serve_jobs(mailsrv_uv *d);

/* Its memory goes with its socket and its last connection. */
void mailsrv__uv_listener_drop(mailsrv_uv_listener *l);

/* A connection of `l`; false: there is no memory for one, and libuv still holds it. */
bool mailsrv__uv_connection_new(mailsrv_uv_listener *l);

/* What was kept comes before what is read.  True: the session took some of it. */
bool mailsrv__uv_feed_kept(mailsrv_uv_connection *c);

/* Moves octets both ways, as far as the session and the socket take them now. */
void mailsrv__uv_serve(mailsrv_uv_connection *c);

/* Closes it without a word. */
void mailsrv__uv_cut(mailsrv_uv_connection *c);

/* ---- Outwards ---- */

/* A connection of `l` that is to be connected; NULL: there is no memory. */
mailsrv_uv_connection *mailsrv__uv_connection_out(mailsrv_uv_listener *l);

/* It is connected. */
void mailsrv__uv_know_peer(mailsrv_uv_connection *c);

/* A handle of the driver's is closed. */
void mailsrv__uv_handle_closed(uv_handle_t *handle);

/* DNS; resolver.c. */
int32_t mailsrv__uv_resolver_new(mailsrv_uv *d, const mailsrv_uv_out_setup *setup, struct resolver **out);
void mailsrv__uv_resolver_close(struct resolver *resolver);
void mailsrv__uv_resolver_free(struct resolver *resolver);

#endif
