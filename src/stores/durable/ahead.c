/* Messages that are looked up before they are read: handles.h says why. */
#include "durable.h"

#include <stdlib.h>
#include <string.h>

enum { AHEAD_FIRST = 2, AHEAD_MAX = 64, AHEAD_ROOM = AHEAD_MAX + AHEAD_MAX / 2 };

/* With the store's lock.  What is known ascends. */
struct ahead {
    mailsrv_id account, mailbox; /* of its handle, as the UIDVALIDITY is */
    uint32_t uidvalidity;
    uint64_t removals; /* of the store, when it was looked up */
    uint32_t last;     /* UID that was read last */
    uint32_t size;     /* messages that are looked up the next time */
    uint32_t at, n;    /* what is known: from `at` to before `n` */
    bool is_all;       /* nothing stands behind it */
    bool is_looking;   /* the reader has been told to look further */
    bool is_left;      /* and meanwhile its handle was closed */
    uint32_t uids[AHEAD_ROOM];
    struct whereabouts found[AHEAD_ROOM];
};

struct ahead *mailsrv__durable_ahead_new(const struct handle *h)
{
    struct ahead *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->account = h->account;
    a->mailbox = h->mailbox;
    a->uidvalidity = h->uidvalidity;
    return a;
}

/* These have no file. */
static void clear(struct ahead *a)
{
    for (; a->at < a->n; a->at++)
        free(a->found[a->at].message);
    a->at = a->n = 0;
}

void mailsrv__durable_ahead_free(struct durable *d, struct ahead *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&d->lock);
    a->is_left = true;
    bool goes = !a->is_looking;
    pthread_mutex_unlock(&d->lock);
    if (!goes)
        return;
    clear(a);
    free(a);
}

void mailsrv__durable_ahead_looked(struct ahead *a)
{
    a->is_looking = false;
    if (!a->is_left)
        return;
    clear(a);
    free(a);
}

static void grow(struct ahead *a)
{
    a->size = a->size == 0 ? AHEAD_FIRST : a->size < AHEAD_MAX ? 2 * a->size : AHEAD_MAX;
}

/* With the lock: is half of it taken, and more to be known?  Whoever is told so has the reader look. */
static bool runs_out(struct ahead *a)
{
    if (a->is_looking || a->is_all || a->n - a->at > a->size / 2)
        return false;
    grow(a);
    a->is_looking = true;
    return true;
}

bool mailsrv__durable_ahead_take(struct durable *d, struct ahead *a, uint32_t uid, struct whereabouts *out,
                                 bool *runs_out_out)
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
    if (runs_out_out != NULL)
        *runs_out_out = known && runs_out(a);
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
        grow(a);
    a->last = uid;
    pthread_mutex_unlock(&d->lock);
    return follows && is_empty;
}

/* Those of a mailbox that are looked up. */
struct looked {
    int64_t box;
    uint32_t from, end; /* UIDs: behind the one, before the other */
    uint32_t most;
    uint64_t removals; /* when it was begun */
};

/* With the lock: what is known moves to the front, and has room for more. */
static void close_up(struct ahead *a)
{
    memmove(a->uids, a->uids + a->at, (a->n - a->at) * sizeof *a->uids);
    memmove(a->found, a->found + a->at, (a->n - a->at) * sizeof *a->found);
    a->n -= a->at;
    a->at = 0;
}

/* Nobody but the reader adds anything, so that what there was room for has room. */
static void look(struct durable *d, struct ahead *a, const struct looked *l)
{
    struct whereabouts found[AHEAD_MAX];
    uint32_t uids[AHEAD_MAX], n = 0;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->reader, SQL_MESSAGE_PLACES, "iiii", l->box, (int64_t)l->from,
                                             (int64_t)l->end, (int64_t)l->most);
    while (row != NULL && n < l->most && sqlite3_step(row) == SQLITE_ROW &&
           mailsrv__durable_message_found(row, &found[n]))
        uids[n++] = (uint32_t)sqlite3_column_int64(row, 5);
    sqlite3_reset(row);
    pthread_mutex_lock(&d->lock);
    if (a->removals != l->removals)
        clear(a);
    close_up(a);
    a->removals = l->removals;
    a->is_all = n < l->most;
    for (uint32_t i = 0; i < n; i++, a->n++) {
        a->uids[a->n] = uids[i];
        a->found[a->n] = found[i];
    }
    pthread_mutex_unlock(&d->lock);
}

void mailsrv__durable_ahead_look(struct durable *d, struct ahead *a, int64_t box, uint32_t uid, uint32_t end,
                                 uint64_t removals)
{
    struct looked l = { box, uid, end, a->size, removals };
    pthread_mutex_lock(&d->lock);
    clear(a);
    pthread_mutex_unlock(&d->lock);
    look(d, a, &l);
}

/* Where to go on, and how far; false: there is no room. */
static bool next_to_look(struct durable *d, struct ahead *a, struct looked *l)
{
    pthread_mutex_lock(&d->lock);
    uint32_t room = AHEAD_ROOM - (a->n - a->at);
    l->from = a->at < a->n ? a->uids[a->n - 1] : a->last;
    l->most = a->size < room ? a->size : room;
    l->removals = d->removals;
    pthread_mutex_unlock(&d->lock);
    return l->most != 0;
}

void mailsrv__durable_ahead_look_on(struct durable *d, struct ahead *a)
{
    struct looked l;
    struct mailbox mbox;
    if (next_to_look(d, a, &l) && mailsrv__durable_mailbox(&d->reader, &a->mailbox, &mbox) == MAILSRV_OK &&
        mailsrv__durable_same(&mbox.account, &a->account) && mbox.uidvalidity == a->uidvalidity) {
        l.box = mbox.box;
        l.end = mbox.uidnext;
        look(d, a, &l);
    }
    pthread_mutex_lock(&d->lock);
    mailsrv__durable_ahead_looked(a);
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
