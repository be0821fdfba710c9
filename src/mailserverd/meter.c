#include "meter.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VESSELS = 16384, WAYS = 8 /* that a key may be at */ };

#define MOST_US (INT64_C(24) * 3600 * 1000000) /* in a vessel: so long is nothing kept against anybody */

struct vessel {
    uint64_t key;
    int64_t empty_us; /* when it has run out */
};

static int64_t now_us(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool meter_begin(struct meter *m)
{
    *m = (struct meter){ .mutex = PTHREAD_MUTEX_INITIALIZER, .n = VESSELS };
    m->all = calloc(m->n, sizeof *m->all);
    return m->all != NULL;
}

void meter_end(struct meter *m)
{
    free(m->all);
    m->all = NULL;
}

/* The one of a key.  Where it has none, with `make`: that of its places which is the first to be empty, emptied. */
static struct vessel *find(struct meter *m, uint64_t key, bool make)
{
    struct vessel *first = &m->all[key % (m->n / WAYS) * WAYS], *victim = first;
    for (struct vessel *v = first; v < first + WAYS; v++) {
        if (v->key == key)
            return v;
        if (v->empty_us < victim->empty_us)
            victim = v;
    }
    if (!make)
        return NULL;
    *victim = (struct vessel){ .key = key };
    return victim;
}

static int64_t level(const struct vessel *v, int64_t now)
{
    return v != NULL && v->empty_us > now ? v->empty_us - now : 0;
}

int64_t meter_level(struct meter *m, uint64_t key)
{
    const int64_t now = now_us();
    if (key == 0)
        return 0;
    pthread_mutex_lock(&m->mutex);
    const int64_t us = level(find(m, key, false), now);
    pthread_mutex_unlock(&m->mutex);
    return us;
}

bool meter_try(struct meter *m, uint64_t key, int64_t us, int64_t most)
{
    const int64_t now = now_us();
    if (key == 0)
        return true;
    pthread_mutex_lock(&m->mutex);
    struct vessel *v = find(m, key, us > 0);
    const int64_t sum = level(v, now) + us;
    const bool ok = sum <= most;
    if (ok && v != NULL)
        v->empty_us = now + (sum > MOST_US ? MOST_US : sum);
    pthread_mutex_unlock(&m->mutex);
    return ok;
}

void meter_add(struct meter *m, uint64_t key, int64_t us)
{
    meter_try(m, key, us, INT64_MAX);
}

size_t meter_count(struct meter *m, int64_t us)
{
    const int64_t now = now_us();
    size_t n = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->n; i++)
        n += m->all[i].key != 0 && level(&m->all[i], now) >= us;
    pthread_mutex_unlock(&m->mutex);
    return n;
}
