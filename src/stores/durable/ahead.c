/* Messages that are looked up before they are read: handles.h says why. */
#include "durable.h"

#include <stdlib.h>

enum { AHEAD_FIRST = 2, AHEAD_MAX = 32 };

/* With the store's lock.  What is known ascends. */
struct ahead {
    uint64_t removals; /* of the store, when it was looked up */
    uint32_t last;     /* UID that was read last */
    uint32_t size;     /* messages that are looked up the next time */
    uint32_t at, n;    /* what is known: from `at` to before `n` */
    uint32_t uids[AHEAD_MAX];
    struct whereabouts found[AHEAD_MAX];
};

struct ahead *mailsrv__durable_ahead_new(void)
{
    return calloc(1, sizeof(struct ahead));
}

/* These have no file. */
static void clear(struct ahead *a)
{
    for (; a->at < a->n; a->at++)
        free(a->found[a->at].message);
    a->at = a->n = 0;
}

void mailsrv__durable_ahead_free(struct ahead *ahead)
{
    if (ahead != NULL)
        clear(ahead);
    free(ahead);
}

bool mailsrv__durable_ahead_take(struct durable *d, struct ahead *a, uint32_t uid, struct whereabouts *out)
{
    bool known = false;
    pthread_mutex_lock(&d->lock);
    if (a->removals != d->removals)
        clear(a);
    while (a->at < a->n && a->uids[a->at] < uid)
        free(a->found[a->at++].message);
    if (a->at < a->n && a->uids[a->at] == uid) {
        *out = a->found[a->at++];
        a->last = uid;
        known = true;
    }
    pthread_mutex_unlock(&d->lock);
    return known;
}

bool mailsrv__durable_ahead_wants(struct durable *d, struct ahead *a, uint32_t uid)
{
    pthread_mutex_lock(&d->lock);
    bool follows = a->last != 0 && uid > a->last; /* once more the same says nothing */
    bool is_empty = a->at == a->n;
    if (uid < a->last)
        a->size = 0;
    else if (follows && is_empty)
        a->size = a->size == 0 ? AHEAD_FIRST : a->size < AHEAD_MAX ? 2 * a->size : AHEAD_MAX;
    a->last = uid;
    pthread_mutex_unlock(&d->lock);
    return follows && is_empty;
}

void mailsrv__durable_ahead_look(struct durable *d, struct ahead *a, int64_t box, uint32_t uid, uint32_t end,
                                 uint64_t removals)
{
    struct whereabouts found[AHEAD_MAX];
    uint32_t uids[AHEAD_MAX], n = 0;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->reader, SQL_MESSAGE_PLACES, "iiii", box, (int64_t)uid, (int64_t)end,
                                             (int64_t)a->size);
    while (row != NULL && n < AHEAD_MAX && sqlite3_step(row) == SQLITE_ROW &&
           mailsrv__durable_message_found(row, &found[n]))
        uids[n++] = (uint32_t)sqlite3_column_int64(row, 5);
    sqlite3_reset(row);
    pthread_mutex_lock(&d->lock);
    clear(a);
    a->removals = removals;
    for (; a->n < n; a->n++) {
        a->uids[a->n] = uids[a->n];
        a->found[a->n] = found[a->n];
    }
    pthread_mutex_unlock(&d->lock);
}

uint64_t mailsrv__durable_removals(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    uint64_t removals = d->removals;
    pthread_mutex_unlock(&d->lock);
    return removals;
}

void mailsrv__durable_removed(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    d->removals++;
    pthread_mutex_unlock(&d->lock);
}
