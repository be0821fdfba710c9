/* What the index gathered in its log is moved to its place, by a thread of its own: neither a change nor a reader waits
 * for that.
 *
 * A group is home when it would be in the index after a loss of power: when a checkpoint that began after its
 * transaction has moved all there was, and the index was synced after it. */
#include "durable.h"

#include <errno.h>
#include <time.h>

#define AGAIN_MS 20 /* after a reader was in the way */
#define LEFT_OCTETS (4 << 20) /* of SQLite's log, that the next opening may read */

void mailsrv__durable_indexed(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    d->indexed = d->writer.committed.group;
    pthread_mutex_unlock(&d->lock);
}

void mailsrv__durable_move(struct durable *d, bool wait)
{
    pthread_mutex_lock(&d->lock);
    uint64_t enough = d->moves + (d->is_moving ? 2 : 1);
    d->wants_move = true;
    pthread_cond_signal(&d->move);
    while (wait && d->moves < enough && !d->ending)
        pthread_cond_wait(&d->calm, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

bool mailsrv__durable_is_moving(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    bool is_moving = d->wants_move || d->is_moving;
    pthread_mutex_unlock(&d->lock);
    return is_moving;
}

/* SQLite leaves it to a later checkpoint where the writer has added something meanwhile, and says nothing. */
static bool sync_index(struct durable *d)
{
    sqlite3_file *file = NULL;
    return sqlite3_file_control(d->mover.db, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK &&
           file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

static bool move_all(struct durable *d, bool syncs)
{
    int all = 0, moved = -1;
    int result = sqlite3_wal_checkpoint_v2(d->mover.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &all, &moved);
    return result == SQLITE_OK && all == moved && syncs && sync_index(d);
}

/* With the lock, which is given back meanwhile. */
static void move_once(struct durable *d)
{
    uint64_t group = d->indexed;
    bool syncs = d->home < d->wanted_home;
    d->wants_move = false;
    d->is_moving = true;
    pthread_mutex_unlock(&d->lock);
    bool is_home = move_all(d, syncs);
    pthread_mutex_lock(&d->lock);
    d->is_moving = false;
    d->moves++;
    if (is_home && group > d->home)
        d->home = group;
    pthread_cond_broadcast(&d->calm);
    pthread_cond_signal(&d->writes.work);
}

/* With the lock: what somebody waits for is not home, though it was to be. */
static void rest(struct durable *d)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += AGAIN_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int waited = 0;
    while (!d->ending && !d->wants_move && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&d->move, &d->lock, &until);
    d->wants_move = true;
}

void *mailsrv__durable_move_for_ever(void *user)
{
    struct durable *d = user;
    pthread_mutex_lock(&d->lock);
    while (!d->ending) {
        if (d->wants_move)
            move_once(d);
        else if (d->home < d->wanted_home)
            rest(d);
        else
            pthread_cond_wait(&d->move, &d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* SQLite reads its log anew, checksums and all, when the index is opened: so a long one is not left to each opening
 * until something is written.  What cannot be moved stays, and nothing is lost by that. */
void mailsrv__durable_move_at_end(struct durable *d)
{
    sqlite3_file *log = NULL;
    sqlite3_int64 octets = 0;
    if (sqlite3_file_control(d->writer.db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
        log->pMethods != NULL && log->pMethods->xFileSize(log, &octets) == SQLITE_OK && octets > LEFT_OCTETS)
        sqlite3_wal_checkpoint_v2(d->writer.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}
