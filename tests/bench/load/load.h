/* A run: its connections, what they have done, and how long each operation took.
 *
 * A mode is what a connection does.  It takes operations from the run until none is left, so that connections that are
 * served faster do more.  The clock starts when all connections are ready (they have been greeted, and have logged in),
 * except where that is what is measured. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include "corpus.h"
#include "histogram.h"
#include "options.h"
#include "wire.h"

struct client;
struct load;

/* How a mode talks over its wire. */
struct talk {
    bool stuffs;                          /* messages are sent with their dots doubled */
    void (*greet)(struct client *client); /* the wire was opened anew */
    void (*got)(struct client *client, const char *p, size_t n);
    void (*secured)(struct client *client);
};

struct mode {
    const char *name;
    const struct talk *talk;
    size_t octets; /* of a connection's struct, which begins with a client */
    void (*set_up)(
        struct client *client);          /* somebody has logged in; it ends by load_ready().  NULL: nothing is to do */
    void (*next)(struct client *client); /* begins the next operation, or says good-bye */
    void (*begin)(struct load *load);    /* the clock has started; NULL: nothing is to do */
    void (*end)(struct load *load);      /* tells figures of its own, and frees; NULL: there are none */
    bool counts_logins; /* the clock starts with the first connection, which is ready once it was greeted */
    bool is_connection; /* an operation is a connection */
    bool needs_capability;
    bool needs_all; /* when a connection fails, the run ends */
};

struct client {
    struct wire wire;
    struct load *load;
    const struct mode *mode;
    uint64_t account; /* number of its user: the connection's own, then so many further, round and round */
    uint64_t turn;    /* what its next account is counted from */
    uint64_t op;      /* number of the operation that is under way */
    uint64_t weight;  /* how many it counts for; 0: none is under way */
    uint64_t began_ns, opened_ns;
    uint64_t done; /* over this connection */
    uint16_t port; /* 0: the run's; another one is spoken to in the clear */
    bool opening, held, ending, has_taken;
    struct client *next_waiting;
};

struct figure {
    const char *name;
    double value;
};

enum { FIGURES_MAX = 8 };

struct load {
    struct options options;
    const char *name;
    const struct mode *mode;
    struct corpus corpus;
    struct histogram latency;
    SSL_CTX *ssl;
    struct sockaddr_in at;
    int poll;
    bool started, failed; /* failed: so much went wrong that it ends */
    char *clients;
    uint64_t n_clients, n_ready, n_opening, n_opened;
    uint64_t n_left; /* clients that are not at their end */
    bool once;       /* each connection takes once, whatever it counts for */
    uint64_t given;  /* what the operations count for that were taken */
    uint64_t ops, errors, octets;
    uint64_t began_ns, ended_ns, began_cpu_us;
    struct client *first_waiting, *last_waiting; /* to be opened */
    struct figure figures[FIGURES_MAX];          /* a mode's own */
    uint32_t n_figures;
};

uint64_t now_ns(void);

/* False, and told: it cannot begin. */
bool load_init(struct load *load, const struct mode *mode);
void load_run(struct load *load);
void load_print(const struct load *load);
void load_fini(struct load *load);

struct client *load_client(const struct load *load, uint64_t number);

/* A further client, which is none of the mode's connections; it belongs to who adds it. */
void load_add(struct load *load, struct client *client, const struct mode *mode, uint64_t port);

/* How it is to speak TLS. */
enum tls_when load_tls(const struct client *client);

/* The connection stands and can take operations.  Its mode's `next` is called at once, or when the clock starts. */
void load_ready(struct client *client);

/* Takes an operation that counts for `weight`; false: none is left for this connection. */
bool load_take(struct client *client, uint64_t weight);

/* It is done, and `octets` of payload were moved. */
void load_done(struct client *client, uint64_t octets);

/* The same in two: what was taken is done; something took from `since_ns` until now. */
void load_count(struct client *client, uint64_t octets);
void load_took(struct load *load, uint64_t since_ns);

void load_figure(struct load *load, const char *name, double value);

/* What was said is no answer to what was asked.  It is told, the connection is closed, and begun again. */
void load_fail(struct client *client, const char *what, const char *said, size_t n);

/* The last answer has come: the connection is closed, and begun again if operations are left. */
void load_leave(struct client *client);

#endif
