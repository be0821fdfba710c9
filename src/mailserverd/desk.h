/* An engine without connections, on a thread that may wait: whoever administers asks the store by it.
 *
 * Desks are kept when they are not used: what the store wakes has to live as long as the store (durable.h). */
#ifndef MAILSERVERD_DESK_H
#define MAILSERVERD_DESK_H

#include <mailsrv/ask.h>
#include <mailsrv/store.h>

#include <pthread.h>

struct desk {
    struct desk *next; /* of those that are kept */
    mailsrv_engine *engine;
    int awake[2]; /* a pipe: a thread of the store has posted a letter */
};

struct desks {
    mailsrv_store *store;
    pthread_mutex_t mutex;
    struct desk *kept, *ended;
};

void desks_begin(struct desks *desks, mailsrv_store *store);
void desks_end_engines(struct desks *desks); /* before the store is freed, when none is used */
void desks_end(struct desks *desks);         /* after that */

/* A desk for the calling thread; NULL: there is no memory. */
struct desk *desk_take(struct desks *desks);
void desk_return(struct desks *desks, struct desk *desk);

/* Asks and waits for the answer: its status.  `*out` is to be given to desk_free, whatever the status is. */
int32_t desk_ask(struct desk *desk, int32_t kind, const mailsrv_id *account, const void *arg, mailsrv_asked **out);

/* The same where nothing but the status matters. */
int32_t desk_do(struct desk *desk, int32_t kind, const mailsrv_id *account, const void *arg);

/* What an answer that is MAILSRV_OK names. */
const void *desk_value(const mailsrv_asked *asked);

/* Frees a question, and with it the handle that it gave; waits until that is closed.  NULL is fine. */
void desk_free(struct desk *desk, mailsrv_asked *asked);

#endif
