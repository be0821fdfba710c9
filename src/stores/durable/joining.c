/* How long a group waits for others to join it.
 *
 * Clients who were just answered often write again at once.  A group that begins with the first of them has one change
 * and all others wait for its sync: they fall into two halves, and each sync serves one of them.  So where a sync takes
 * long beside what a message takes on its way, the next group begins when as many are there as were writing just now,
 * or a little later in any case.  One who writes alone is never made to wait, and neither is anybody on a fast disk.
 *
 * What the queue writes of its items nobody waits for on a wire: that a message was delivered, that another is put off.
 * Such a change begins no group while one that somebody waits for may come: in a group of its own it would cost a sync,
 * for which the others then wait.  It goes with the next one, or after the time of two syncs. */
#include "durable.h"

#include <errno.h>
#include <time.h>

#define SLOW_US 1000  /* a sync that takes less is over before others have come */
#define MANY 16       /* these share a sync well enough */
#define MOST_US 2000  /* nobody waits longer */
#define MISSES_MAX 6  /* 64 groups without waiting */
#define PART 8        /* of the mean that a new sync is */
#define PATIENCE 2    /* syncs */

void mailsrv__durable_joining_synced(struct joining *j, uint64_t us)
{
    j->sync_us = j->sync_us - j->sync_us / PART + us / PART;
}

void mailsrv__durable_joining_answered(struct joining *j, uint64_t changes, size_t waiting, uint64_t now_us)
{
    size_t all = (size_t)changes + waiting;
    j->expected = all < MANY ? all : MANY;
    j->answered_us = now_us;
}

uint64_t mailsrv__durable_joining_until(struct joining *j, size_t waiting)
{
    if (j->sync_us < SLOW_US || waiting >= j->expected)
        return 0;
    if (j->rests != 0) {
        j->rests--;
        return 0;
    }
    return j->answered_us + (j->sync_us / 2 < MOST_US ? j->sync_us / 2 : MOST_US);
}

/* `before` in one sync are as fast as `after` in a sync and what was waited, where these are to each other as those: it
 * is to be better by half, for a larger group takes longer to sync, and who does not wait uses the time as well. */
void mailsrv__durable_joining_judge(struct joining *j, size_t before, size_t after, uint64_t waited_us)
{
    if (2 * (after - before) * j->sync_us > 3 * before * waited_us) {
        j->misses = 0;
        return;
    }
    j->misses += j->misses < MISSES_MAX;
    j->rests = 1u << j->misses;
}

/* What the writer could do meanwhile goes first. */
static bool may_wait(const struct durable *d)
{
    return !d->ending && d->unfinished == NULL && !d->behind && !d->has_dead && !d->unseen.is_wanted &&
           !mailsrv__durable_tidies(d);
}

static struct timespec at(uint64_t us)
{
    return (struct timespec){ (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };
}

/* That is, with what leads nobody, of which there are few: many share a sync well enough. */
static bool has_leader(const struct durable *d)
{
    const struct task *t = d->writes.first;
    while (t != NULL && (t->kind == MAILSRV_OP_QUEUE_DELETE || t->kind == MAILSRV_OP_QUEUE_UPDATE))
        t = t->next;
    return t != NULL || d->writes.n == 0 || d->writes.n >= MANY;
}

uint64_t mailsrv__durable_joining_patience(const struct joining *j)
{
    return PATIENCE * j->sync_us < MOST_US ? PATIENCE * j->sync_us : MOST_US;
}

static void wait_for_leader(struct durable *d)
{
    const struct timespec until = at(mailsrv__durable_now_us() + mailsrv__durable_joining_patience(&d->joining));
    while (!has_leader(d) && may_wait(d) &&
           pthread_cond_timedwait(&d->writes.work, &d->lock, &until) != ETIMEDOUT)
        continue;
}

void mailsrv__durable_join(struct durable *d)
{
    struct joining *j = &d->joining;
    wait_for_leader(d);
    const size_t before = d->writes.n;
    const uint64_t until_us = may_wait(d) ? mailsrv__durable_joining_until(j, before) : 0;
    const uint64_t since_us = mailsrv__durable_now_us();
    if (until_us > since_us) {
        const struct timespec until = at(until_us);
        d->writes.enough = j->expected;
        while (d->writes.n < j->expected && may_wait(d) &&
               pthread_cond_timedwait(&d->writes.work, &d->lock, &until) != ETIMEDOUT)
            continue;
        d->writes.enough = 0;
        const size_t after = d->writes.n > before ? d->writes.n : before; /* the end of an engine takes some away */
        mailsrv__durable_joining_judge(j, before, after, mailsrv__durable_now_us() - since_us);
    }
    j->expected = 0;
}
