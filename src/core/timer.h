/* Timers on the caller's clock.
 *
 * A timer armed between two advances counts from the next one.  Re-arming is lazy: the heap keeps the earlier key, and
 * the timer is put back when that comes due.  The heap is intrusive, so arming never fails.
 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "base/list.h"

#include <stdint.h>

struct timer {
    struct timer *child, *sibling, *prev; /* pairing heap; prev is the parent or the left sibling */
    struct node pending;                  /* armed since the last advance */
    int64_t key;                          /* in the heap */
    int64_t due;                          /* INT64_MAX: not armed */
    int64_t after_us;                     /* while pending */
    void (*fire)(struct timer *timer);
    uint8_t in_heap;
};

struct timers {
    struct timer *root;
    struct node pending;
    int64_t pending_least_us; /* not above any pending after_us */
    int64_t now_us;           /* of the last advance */
};

void mailsrv__timers_init(struct timers *timers);
void mailsrv__timer_init(struct timer *timer, void (*fire)(struct timer *timer));

/* To fire `after_us` after the next advance.  Again for one that is armed. */
void mailsrv__timer_arm(struct timers *timers, struct timer *timer, int64_t after_us);

/* It will not fire.  It may stay in the heap: mailsrv__timer_remove takes it out for good. */
void mailsrv__timer_disarm(struct timer *timer);
void mailsrv__timer_remove(struct timers *timers, struct timer *timer);

static inline int mailsrv__timer_armed(const struct timer *timer)
{
    return timer->due != INT64_MAX || !mailsrv__list_empty(&timer->pending);
}

/* Arms what is pending, then fires what is due. */
void mailsrv__timers_advance(struct timers *timers, int64_t now_us);

/* INT64_MAX: none. */
int64_t mailsrv__timers_next(const struct timers *timers);

#endif
