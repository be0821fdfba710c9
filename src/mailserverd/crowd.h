/* How many connections a peer has to a listener, over all threads. */
#ifndef MAILSERVERD_CROWD_H
#define MAILSERVERD_CROWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CROWD_LISTS 4096

struct crowd_member;

struct crowd {
    pthread_mutex_t mutex;
    struct crowd_member *lists[CROWD_LISTS];
};

void crowd_begin(struct crowd *crowd);
void crowd_end(struct crowd *crowd);

/* One more of `key` (0: is not counted), where that makes at most `most` (0: as many as come); else, or without memory,
 * false. */
bool crowd_enter(struct crowd *crowd, uint64_t key, uint64_t most);
void crowd_leave(struct crowd *crowd, uint64_t key);

#endif
