/* Files at whose syncs of the log the writer waits, until it is let go: so a test decides what is in one group.  And a
 * process that dies: from then on every call that changes something fails. */
#ifndef TESTS_POWER_GATE_H
#define TESTS_POWER_GATE_H

#include <mailsrv/stores/durable.h>

#include <pthread.h>
#include <stdbool.h>

/* Those of `base`, with the gate, which is open; one at a time. */
mailsrv_durable_files gate_files(const mailsrv_durable_files *base);
void gate_set(bool closed);
void gate_wait(void); /* until the writer is there */
void gate_let_one_pass(void);
void gate_set_dead(bool dead);

/* Waits until something is so, of which `moved` tells; what never comes ends the test, which says it. */
void gate_await(pthread_mutex_t *lock, pthread_cond_t *moved, const bool *is_so, const char *otherwise);

#endif
