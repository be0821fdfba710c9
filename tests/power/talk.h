/* Sessions over the durable store as clients have them, in memory: two engines in one thread, each of which is advanced
 * and turned only when its own wake was called, or when something was said to one of its sessions. */
#ifndef TESTS_POWER_TALK_H
#define TESTS_POWER_TALK_H

#include "shore.h"

#include <mailsrv/mailsrv.h>

#include <stdatomic.h>
#include <stdbool.h>

#define TALK_ENGINES 2
#define TALK_PEERS 80

struct talk;

struct wake {
    struct talk *talk;
    atomic_uint calls;
    unsigned seen;
    bool is_fed;
};

struct peer {
    mailsrv_session *session;
    int engine;
    char *heard; /* NUL-ended */
    size_t n, room;
    const char *left; /* what was said and not yet taken */
    size_t n_left;
};

struct talk {
    struct shore shore;
    mailsrv_engine *engines[TALK_ENGINES];
    struct wake wakes[TALK_ENGINES];
    mailsrv_profile *imap, *mx;
    struct peer *peers[TALK_PEERS];
    size_t n_peers;
    int64_t now_us;
};

/* For a store that is open. */
void talk_begin(struct talk *t);
void talk_end(struct talk *t);
struct peer *talk_to(struct talk *t, mailsrv_profile *profile, int engine);
/* Logs in as the first or the second account. */
struct peer *talk_login(struct talk *t, int engine, int account);
/* Forgets what was heard, and says something; waits for nothing.  `text` stays until it is taken. */
void talk_say(struct talk *t, struct peer *peer, const char *text, size_t n);
/* Goes on until a text is heard; false: it never comes. */
bool talk_hears(struct talk *t, struct peer *peer, const char *text);
/* Both. */
bool talk_ask(struct talk *t, struct peer *peer, const char *said, const char *heard);
/* Goes on until an operation is answered; its status. */
int32_t talk_status(struct talk *t, mailsrv_asked *asked);

#endif
