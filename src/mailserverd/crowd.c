#include "crowd.h"

#include <stdlib.h>
#include <string.h>

struct crowd_member {
    struct crowd_member *next;
    uint64_t key, n;
};

void crowd_begin(struct crowd *c)
{
    memset(c, 0, sizeof *c);
    pthread_mutex_init(&c->mutex, NULL);
}

void crowd_end(struct crowd *c)
{
    for (size_t i = 0; i < CROWD_LISTS; i++)
        for (struct crowd_member *m = c->lists[i], *next; m != NULL; m = next) {
            next = m->next;
            free(m);
        }
}

/* Where the one of a key hangs, or would. */
static struct crowd_member **find(struct crowd *c, uint64_t key)
{
    struct crowd_member **at = &c->lists[key % CROWD_LISTS];
    while (*at != NULL && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

bool crowd_enter(struct crowd *c, uint64_t key, uint64_t most)
{
    if (key == 0)
        return true;
    pthread_mutex_lock(&c->mutex);
    struct crowd_member **at = find(c, key);
    if (*at == NULL && (*at = calloc(1, sizeof **at)) != NULL)
        (*at)->key = key;
    const bool ok = *at != NULL && (most == 0 || (*at)->n < most);
    if (ok)
        (*at)->n++;
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

void crowd_leave(struct crowd *c, uint64_t key)
{
    if (key == 0)
        return;
    pthread_mutex_lock(&c->mutex);
    struct crowd_member **at = find(c, key), *m = *at;
    if (m != NULL && --m->n == 0) {
        *at = m->next;
        free(m);
    }
    pthread_mutex_unlock(&c->mutex);
}
