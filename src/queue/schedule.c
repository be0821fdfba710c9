/* When a message is tried again (RFC 5321 section 4.5.4.1): ever later, never all at the same time. */
#include "queue/queue.h"

int64_t mailsrv__schedule_wait(mailsrv_queue *q, uint32_t tries)
{
    int64_t wait = q->limits.first_retry_us;
    for (uint32_t i = 1; i < tries && wait < q->limits.retry_max_us; i++)
        wait += wait / 2;
    if (wait > q->limits.retry_max_us)
        wait = q->limits.retry_max_us;
    int64_t fifth = wait / 5; /* 20 % sooner or later */
    return wait - fifth + (int64_t)(mailsrv__queue_random(q) % (uint64_t)(2 * fifth + 1));
}

/* What does not say when it came has only just come; so has what came later than now: the clock was put back. */
int64_t mailsrv__schedule_arrived(const mailsrv_queue *q, const struct queue_record *r)
{
    int64_t now = mailsrv__queue_unix(q);
    return r->arrived_us > 0 && r->arrived_us < now ? r->arrived_us : now;
}

static int64_t later(int64_t a, int64_t b)
{
    return b > INT64_MAX - a ? INT64_MAX : a + b;
}

int64_t mailsrv__schedule_expires(const mailsrv_queue *q, const struct queue_record *r)
{
    bool is_notice = (r->flags & QUEUE_FLAG_NOTICE) != 0;
    return later(mailsrv__schedule_arrived(q, r), is_notice ? q->limits.notice_expire_us : q->limits.expire_us);
}

bool mailsrv__schedule_is_over(const mailsrv_queue *q, const struct queue_record *r)
{
    return mailsrv__queue_unix(q) >= mailsrv__schedule_expires(q, r);
}

/* RFC 5321 section 4.5.4.1: the sender may be told that it waits; once, and where nobody said otherwise. */
bool mailsrv__schedule_tells(const mailsrv_queue *q, const struct queue_record *r)
{
    return q->limits.delay_us != INT64_MAX &&
           mailsrv__queue_unix(q) >= later(mailsrv__schedule_arrived(q, r), q->limits.delay_us) &&
           mailsrv__notice_owed(r, NOTICE_DELAYED);
}
