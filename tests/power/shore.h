/* The durable store as tests use it: over a simulated disk or a real directory, with two accounts whose addresses and
 * passwords the test serves, and a bell that rings when answers have come. */
#ifndef TESTS_POWER_SHORE_H
#define TESTS_POWER_SHORE_H

#include <mailsrv/ask.h>
#include <mailsrv/stores/durable.h>

#include <pthread.h>

struct shore {
    mailsrv_durable_setup setup;
    mailsrv_store *store;
    mailsrv_id accounts[2];
    mailsrv_destination inboxes[2]; /* what RESOLVE answers */
    pthread_mutex_t bell;
    pthread_cond_t ring;
    unsigned rung;
};

void shore_init(struct shore *s, const char *directory, const mailsrv_durable_files *files);
/* Opens the store, and adds the accounts where they are not there. */
int32_t shore_open(struct shore *s);
void shore_close(struct shore *s);
int32_t shore_bind(struct shore *s, mailsrv_engine *engine);
/* With a wake of the test's own. */
int32_t shore_bind_with(struct shore *s, mailsrv_engine *engine, void (*call)(void *user), void *user);
/* Waits until something has come for an engine; 0: nothing came for long. */
int32_t shore_wait(struct shore *s);

#endif
