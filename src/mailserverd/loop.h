/* A thread that serves: a loop of libuv, an engine, and the listeners of the plan in force. */
#ifndef MAILSERVERD_LOOP_H
#define MAILSERVERD_LOOP_H

#include "log.h"
#include "login.h"
#include "plan.h"
#include "sockets.h"

#include <mailsrv/queue.h>
#include <mailsrv/store.h>
#include <mailsrv/uv.h>

#include <pthread.h>

struct figures;

#define STATS_MAX 8

/* A listener, for those who come by it: as long as the loop. */
struct door {
    struct loop *loop;
    const struct listener *listener; /* while it is open */
};

/* What other threads have for it. */
struct news {
    struct plan *plan;         /* NULL: the one in force stays */
    struct people *people;     /* NULL: the same */
    unsigned closes;           /* 1: politely, 2: at once */
    struct queue_order *order; /* for the queue, of who waits for it; NULL: none */
    bool wants_stats, queue_has_more;
};

/* What an operator wants of the queue: mailsrv_queue_control, in the loop that has it. */
struct queue_order {
    mailsrv_queue_match match;
    int32_t action;
    mailsrv_bytes route;
    int32_t status; /* what became of it */
    uint64_t n;
    bool done;
};

struct loop {
    unsigned number;
    mailsrv_store *store;
    struct sockets *sockets; /* changed only while no news of a plan is on its way */
    struct plan *plan;       /* in force */
    struct directory directory;
    uv_loop_t uv;
    uv_async_t has_news;
    uv_prepare_t before_sleep;
    uv_timer_t writes_log; /* while lines wait */
    struct log_gathered log;
    mailsrv_engine *engine; /* the driver's, once there is one */
    mailsrv_uv *driver;
    mailsrv_queue *queue; /* of the first loop; NULL: of others, and once it closes */
    struct loop *sender;  /* the loop that has it */
    mailsrv_uv_listener *listeners[SOCKETS_MAX];
    struct door doors[SOCKETS_MAX];
    size_t n_listeners;
    uint64_t lost; /* events */
    unsigned closes;
    pthread_t thread;
    bool is_running;       /* there is one */
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    struct news news;
    uint64_t stats[STATS_MAX];
    bool stats_are_new, plan_is_old; /* the last plan that was told is not in force yet */
    bool ended;
    struct queue_order *order; /* that the queue is at; NULL: none */
    struct figures *figures;   /* of who waits for them; NULL: nobody */
    int32_t group;             /* of them, that comes next */
};

/* Makes its engine, bound to the store, and its thread.  Both references are the loop's from here on.  False: it has
 * told standard error; it is to be joined and ended all the same. */
bool loop_begin(struct loop *loop, struct loop *sender, mailsrv_store *store, struct sockets *sockets,
                struct gate *gate, struct plan *plan, struct people *people);

/* From any thread.  References are taken over. */
void loop_tell_people(struct loop *loop, struct people *people);
void loop_tell_plan(struct loop *loop, struct plan *plan); /* waits until it is in force */
void loop_close(struct loop *loop);                        /* each call is one more signal */

/* Has the queue do it, and waits for that.  False: it has none, or it has ended. */
bool loop_order(struct loop *loop, struct queue_order *order);

/* What the engine counts, by keys of mailsrv_engine_stat; false: it has ended, or does not answer. */
bool loop_stats(struct loop *loop, uint64_t *out);
extern const int32_t loop_stat_keys[STATS_MAX];

/* Adds all that the engine has counted; false: as above, and some of it may be missing. */
bool loop_count(struct loop *loop, struct figures *figures);

/* Waits until it has closed; afterwards, and after the store is freed, its memory goes. */
void loop_join(struct loop *loop);
void loop_end(struct loop *loop);

#endif
