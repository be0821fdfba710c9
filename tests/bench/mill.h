/* What the programs about a durable store share: the store with accounts u0, u1 ..., an engine of this thread, and LMTP
 * senders in memory, each with a message on its way at all times. */
#ifndef BENCH_MILL_H
#define BENCH_MILL_H

#include "counted.h"
#include "host.h"

#include <pthread.h>

enum { SENDERS_MAX = 64 };

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    int rings;
};

struct sender {
    struct mill *mill;
    mailsrv_session *session;
    const char *unsent;
    size_t n_unsent;
    char envelope[160];
    char line[64]; /* the reply that comes in, as far as it matters */
    size_t n_line;
};

struct mill {
    struct counted counted;
    mailsrv_store *store;
    mailsrv_engine *engine;
    mailsrv_profile *lmtp, *imap;
    struct bell bell;
    mailsrv_id *accounts;
    uint32_t n_accounts;
    char *message; /* with the dot behind it */
    size_t n_message;
    uint32_t (*to)(uint64_t number); /* the account of a message */
    uint64_t number;                 /* messages that were begun */
    struct sender senders[SENDERS_MAX];
};

/* A directory of its own in the current one, and its end. */
void mill_directory(char path[64]);
void mill_remove(const char *path);

/* How much of the index is kept in memory; 0: as much as the store does by itself. */
extern uint64_t mill_index_octets;

/* Opens the store and binds the engine; accounts are added where there are too few. */
void mill_open(struct mill *mill, const char *directory, int syncs, uint32_t accounts, size_t message_octets);
void mill_close(struct mill *mill);

/* Delivers so many messages by so many senders; seconds. */
double mill_deliver(struct mill *mill, uint32_t senders, uint64_t messages);

void mill_turn(struct mill *mill);
void mill_wait(struct mill *mill); /* until the store has an answer */

/* Waits until a line of what a session says begins so; the same behind a command. */
void mill_await(struct mill *mill, mailsrv_session *session, const char *end);
void mill_say(struct mill *mill, mailsrv_session *session, const char *command, const char *end);

/* Takes what a session says, in whole lines: does one of them begin so? */
int mill_hears(mailsrv_session *session, const char *end);

/* CPU of this process, all threads. */
double cpu_seconds(void);

#endif
