/* What was answered counts no more: the host's routes, names or passwords are others now, or a server is back.
 *
 * Nothing is thrown away but answers and back-offs.  A connection was begun by the old answers: it ends behind the
 * message that it has, and its failure says nothing about the new ones. */
#include "queue/queue.h"

static void refresh_site(struct site *site)
{
    mailsrv__site_forget_way(site);
    for (struct node *at = site->links.next; at != &site->links; at = at->next) {
        struct link *link = HOLDER(at, struct link, node);
        link->is_old = true;
        if (!mailsrv__list_empty(&link->idle))
            mailsrv__task_due(site->queue, &link->task);
    }
}

/* What was put off by a failure of all that leads there is due with it, as behind the first success (RFC 5321 section
 * 4.5.4.1); also when the server itself would be tried, but nothing is due. */
static void free_lane(struct lane *lane)
{
    const struct site *site = lane->site;
    if (mailsrv__lane_is_held_up(lane) || (site != NULL && (site->failures != 0 || site->lookups_failed != 0)))
        mailsrv__lane_freed(lane);
}

/* Nothing of it goes where it went before ROUTE has said so again. */
static void refresh_lane(struct lane *lane)
{
    lane->route_until_us = 0;
    lane->asks_again = lane->errand.op != NULL;
    mailsrv__list_remove(&lane->busy);
    if (mailsrv__lane_is_held_up(lane)) /* and all that are at its site */
        mailsrv__lane_retry(lane);
    else if (lane->n_items != 0)
        mailsrv__task_due(lane->queue, &lane->task);
}

void mailsrv_queue_refresh(mailsrv_queue *q)
{
    if (q == NULL || q->closing)
        return;
    for (size_t i = 0; i < SITE_BUCKETS; i++)
        for (struct site *site = q->sites[i]; site != NULL; site = site->chained)
            refresh_site(site);
    mailsrv__lanes_each(q, free_lane);
    mailsrv__lanes_each(q, refresh_lane);
}

/* What waits is the lane's of another key now: the store says of each whose. */
static void divide_lane(struct lane *lane)
{
    mailsrv_queue *q = lane->queue;
    if (lane->errand.op != NULL) { /* it was asked for somebody else's mail */
        mailsrv__errand_drop(&lane->errand);
        q->n_routes--;
    }
    mailsrv__lane_let_go(lane);
    mailsrv__lane_more(lane);
}

void mailsrv_queue_set_flags(mailsrv_queue *q, uint32_t flags)
{
    if (q == NULL || q->closing)
        return;
    bool divides = ((q->flags ^ flags) & MAILSRV_QUEUE_ROUTES_BY_SENDER) != 0;
    q->flags = flags;
    if (!divides)
        return;
    mailsrv__lanes_each(q, divide_lane);
    mailsrv_queue_refresh(q);
    mailsrv__lanes_ask(q);
}
