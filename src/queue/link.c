/* A connection of a site.  It is the courier of its session, takes one batch after the other, and tells what became of
 * each item. */
#include "queue/queue.h"

enum {
    ADDRESS_BAD_S = 300,
    HUNG_UP_MAX = 5,  /* times that this is doubled: for longer than the schedule puts anything off */
    MOVES_MAX = 2,    /* of what is put off, to another address */
    PUT_OFF_MAX = 3,  /* batches, before an address is bad */
    UNLUCKY_MAX = 3   /* connections, before it is the site that fails, and not a message */
};

static struct link *of(struct courier *courier)
{
    return (struct link *)(void *)courier;
}

/* ---- What the session asks and tells ---- */

static void note(struct link *link, uint16_t code, struct span text)
{
    text = mailsrv__span_first(text, sizeof link->text);
    link->code = code;
    link->text_n = (uint16_t)text.n;
    if (text.n != 0)
        memcpy(link->text, text.p, text.n);
}

/* It takes nothing more. */
static bool ends(const struct link *link)
{
    return link->queue->closing || link->is_old;
}

/* Whether mail may go over it is not known any more. */
static bool is_outdated(const struct link *link)
{
    return link->way->plan->is_validated && mailsrv__queue_now(link->queue) >= link->way->until_us;
}

/* This connection does not. */
static bool parts(const struct link *link)
{
    return ends(link) || is_outdated(link) || link->moves || (link->detour && link->batch == NULL);
}

static void drop_batch(struct link *link)
{
    mailsrv__batch_free(link->queue, link->batch);
    link->batch = NULL;
}

/* Of what was put off an operator wants something else: that counts more than another address. */
static void give_to_controls(struct link *link)
{
    struct batch *batch = link->batch;
    if (batch == NULL)
        return;
    for (uint32_t i = 0; i < batch->job.n_rcpts; i++)
        if (batch->items[i]->control != NULL) {
            mailsrv__settle_put_off(batch->items[i]);
            mailsrv__batch_leave(batch, i);
        }
    mailsrv__batch_pack(batch);
    if (batch->job.n_rcpts == 0)
        drop_batch(link);
}

static const struct smtp_job *next(struct courier *courier)
{
    struct link *link = of(courier);
    mailsrv_queue *q = link->queue;
    mailsrv__list_remove(&link->idle);
    link->lost = false;
    link->ready = true;
    give_to_controls(link);
    if (link->batch == NULL && !parts(link))
        link->batch = mailsrv__batch_new(link->site);
    if (link->batch != NULL && !link->site->answers) {
        link->site->answers = true;
        mailsrv__task_due(q, &link->site->task); /* others may come now */
    }
    if (link->batch != NULL && !parts(link))
        return &link->batch->job;
    mailsrv__list_append(&q->links_idle, &link->idle);
    if (parts(link) || !mailsrv__list_empty(&q->sites_wanting))
        mailsrv__task_due(q, parts(link) ? &link->task : &q->opener);
    return NULL;
}

static struct span host_of(const struct link *link)
{
    return link->way->plan->addresses[link->at].host;
}

static bool is_bad(const struct link *link, uint32_t address)
{
    return link->way->bad_until_us[address] > mailsrv__queue_now(link->queue);
}

static bool was_tried(const struct link *link, uint32_t address)
{
    return (link->tried >> address & 1) != 0;
}

/* RFC 5321 section 5.1: each address, in their order, until one takes it; but not many servers that only say no, nor
 * one that is not there: this one is, and has others' mail to take. */
static bool may_move(const struct link *link, const struct item *item)
{
    bool there_is_one = false;
    for (uint32_t i = 0; i < link->way->plan->n; i++)
        there_is_one = there_is_one || !(was_tried(link, i) || is_bad(link, i));
    return there_is_one && !ends(link) && !is_outdated(link) && item->control == NULL && link->batch->moved < MOVES_MAX;
}

static void told(struct courier *courier, const struct smtp_job *job, uint32_t i, enum smtp_fate fate,
                 const struct smtp_reply *reply)
{
    struct link *link = of(courier);
    struct batch *batch = link->batch;
    struct item *item = batch->items[i];
    (void)job;
    item->put_off = false;
    if (fate == SMTP_NOT_SENT)
        return;
    bool later = fate == SMTP_LATER || fate == SMTP_UNSURE;
    bool lost = later && (reply->code == 0 || reply->code == 421); /* RFC 5321 section 3.8 */
    if (lost) {
        link->lost = true;
        note(link, reply->code, reply->text);
    }
    batch->real = batch->real || !(lost || fate == SMTP_HINDERED || fate == SMTP_UNABLE);
    batch->settled = batch->settled || !(later || fate == SMTP_HINDERED || fate == SMTP_UNABLE);
    item->put_off = fate == SMTP_LATER && may_move(link, item);
    if (item->put_off) {
        mailsrv__item_said(item, reply->code, reply->text, host_of(link));
        return;
    }
    if (fate == SMTP_UNABLE && batch->moved != 0)
        mailsrv__settle_put_off(item); /* the one that did so may be able to */
    else
        mailsrv__settle_told(item, fate, reply, host_of(link));
    mailsrv__batch_leave(batch, i);
}

/* Those that were not sent go back, in their order, to the front of their lane (RFC 5321 section 4.5.3.1.10). */
static void give_back(struct link *link)
{
    struct batch *batch = link->batch;
    for (uint32_t i = batch->job.n_rcpts; i-- > 0;)
        if (batch->items[i] != NULL && !batch->items[i]->put_off) {
            mailsrv__settle_undone(batch->items[i], !batch->real, host_of(link));
            mailsrv__batch_leave(batch, i);
        }
    mailsrv__batch_pack(batch);
}

static void mark_bad(struct link *link, uint8_t doubled)
{
    int64_t *until_us = &link->way->bad_until_us[link->at];
    int64_t at_least_us = mailsrv__queue_now(link->queue) + ((ADDRESS_BAD_S * SECOND_US) << doubled);
    if (*until_us < at_least_us)
        *until_us = at_least_us;
}

static void judge_put_off(struct link *link)
{
    const struct batch *batch = link->batch;
    struct way *way = link->way;
    uint8_t *put_off = &way->put_off[link->at];
    if (batch->settled) {
        way->put_off[link->at] = way->hung_up[link->at] = 0;
        way->bad_until_us[link->at] = 0;
    } else if (batch->job.n_rcpts != 0 && batch->real && ++*put_off >= PUT_OFF_MAX) {
        *put_off = PUT_OFF_MAX;
        mark_bad(link, 0);
    }
}

/* A server that puts off whatever it is given, or hangs up at what it is given first, is not the one to be asked first.
 * Connections that are lost in one moment count once. */
static void judge_address(struct link *link)
{
    bool was_bad = is_bad(link, link->at), was_first = !link->worked || link->batch->moved != 0;
    uint8_t *hung_up = &link->way->hung_up[link->at];
    judge_put_off(link);
    if (!link->lost || was_bad || link->batch->real || !was_first)
        return;
    mark_bad(link, *hung_up);
    if (*hung_up < HUNG_UP_MAX)
        ++*hung_up;
}

static void done(struct courier *courier, const struct smtp_job *job)
{
    struct link *link = of(courier);
    (void)job;
    give_back(link);
    judge_address(link);
    if (link->batch->real) {
        link->worked = true;
        link->site->unlucky = 0;
        mailsrv__site_worked(link->site);
    }
    link->moves = link->batch->job.n_rcpts != 0;
    if (!link->moves) {
        drop_batch(link);
        return;
    }
    link->detour = link->detour || !is_bad(link, link->at);
    link->batch->moved++;
    link->batch->real = link->batch->settled = false;
}

static void ended(struct courier *courier, enum smtp_end end, const struct smtp_reply *reply)
{
    struct link *link = of(courier);
    link->ended = true;
    link->unsecured = end == SMTP_END_UNSECURED;
    link->session = NULL;
    mailsrv__list_remove(&link->idle);
    if (!link->ready)
        note(link, reply->code, reply->text);
    mailsrv__task_due(link->queue, &link->task);
}

/* ---- Its end ---- */

void mailsrv__link_free(struct link *link)
{
    mailsrv_queue *q = link->queue;
    struct site *site = link->site;
    mailsrv__list_remove(&link->node);
    mailsrv__list_remove(&link->idle);
    mailsrv__list_remove(&link->task.node);
    mailsrv__errand_drop(&link->errand);
    if (link->batch != NULL)
        mailsrv__batch_free(q, link->batch);
    mailsrv__way_drop(q, link->way);
    mailsrv__queue_give(q, link, sizeof *link);
    site->n_links--;
    q->n_links--;
}

static void leave(struct link *link)
{
    mailsrv_queue *q = link->queue;
    struct site *site = link->site;
    mailsrv__link_free(link);
    mailsrv__task_due(q, &site->task);
    mailsrv__task_due(q, &q->opener);
    mailsrv__site_release(site);
    mailsrv__queue_may_end(q);
}

/* No address has taken those that were put off. */
static void tell_put_off(struct link *link)
{
    for (uint32_t i = 0; i < link->batch->job.n_rcpts; i++)
        mailsrv__settle_put_off(link->batch->items[i]);
    drop_batch(link);
}

/* Is it no fault of the site?  Of what a connection ends at when it begins, what comes next may fare better. */
static bool has_worked(struct link *link)
{
    return link->worked || (link->lost && ++link->site->unlucky < UNLUCKY_MAX);
}

static void fail(struct link *link)
{
    struct site_failure failure = { .code = link->code,
                                    .text = { link->text, link->text_n },
                                    .host = host_of(link),
                                    .worked = has_worked(link),
                                    .told = link->lost || link->batch != NULL };
    if (link->batch != NULL)
        tell_put_off(link);
    link->ready = false;
    if (link->lost || !link->worked) /* else it is the other addresses that did not answer */
        mailsrv__site_failed(link->site, &failure);
    leave(link);
}

/* It takes nothing more: what was to be sent at another address has been tried, where this program ends, or goes by
 * what is answered now. */
static void give_up(struct link *link)
{
    if (link->batch != NULL && link->queue->closing) {
        tell_put_off(link);
    } else if (link->batch != NULL) {
        for (uint32_t i = link->batch->job.n_rcpts; i-- > 0;)
            mailsrv__settle_undone(link->batch->items[i], false, host_of(link));
        drop_batch(link);
    }
    leave(link);
}

/* ---- Its beginning ---- */

/* Those that answered nobody lately come last. */
static bool choose(struct link *link)
{
    const struct route_plan *plan = link->way->plan;
    for (int bad_too = 0; bad_too < (link->batch == NULL ? 2 : 1); bad_too++)
        for (uint32_t i = 0; i < plan->n; i++) {
            if (was_tried(link, i) || (!bad_too && is_bad(link, i)))
                continue;
            link->at = (uint8_t)i;
            link->tried |= (uint16_t)(1u << i);
            return true;
        }
    return false;
}

static void try_next(struct link *link)
{
    bool had_batch = link->batch != NULL;
    give_to_controls(link);
    link->ready = link->ended = link->unsecured = link->moves = false;
    if (ends(link) || (had_batch && link->batch == NULL))
        give_up(link);
    else if (choose(link))
        mailsrv__link_connect(link);
    else
        fail(link);
}

/* Nobody answers at this address, or not as he should; or he has published other records since. */
static void address_failed(struct link *link)
{
    mark_bad(link, 0);
    if (link->unsecured && link->way->plan->addresses[link->at].dane != NULL)
        mailsrv__site_way_is_old(link->site, link->way);
    try_next(link);
}

/* Where TLS may be done without, a server that offers it and cannot do it gets mail in the clear (RFC 7435 section 4),
 * over another connection: what hinders it need not be known by the sender of each message.  Whoever is in between, and
 * wants that, could as well hide the offer. */
static bool goes_in_the_clear(struct link *link)
{
    const mailsrv_route *route = &link->site->route;
    if (!link->unsecured || link->way->plan->addresses[link->at].dane != NULL ||
        route->secure != MAILSRV_SECURE_MAY || (route->flags & MAILSRV_ROUTE_IMPLICIT) != 0)
        return false;
    link->way->clear |= (uint16_t)(1u << link->at);
    link->tried &= (uint16_t)~(1u << link->at);
    return true;
}

static void run(struct task *task)
{
    struct link *link = HOLDER(task, struct link, task);
    const mailsrv_answer *answer = mailsrv__errand_answer(&link->errand);
    if (answer != NULL) {
        bool is_there = answer->status == MAILSRV_OK && (link->session != NULL || link->ended);
        struct span text = mailsrv__span(answer->text);
        if (!is_there)
            note(link, 0, text.n != 0 ? text : SPAN("4.4.1 no connection"));
        mailsrv__errand_drop(&link->errand);
        if (!is_there) {
            address_failed(link);
            return;
        }
    }
    if (!link->ended && link->session == NULL && link->errand.op == NULL)
        try_next(link); /* it was not asked, for want of memory */
    else if (!link->ended && parts(link) && !mailsrv__list_empty(&link->idle))
        mailsrv__client_quit(link->session);
    else if (link->ended && !link->ready && goes_in_the_clear(link))
        try_next(link);
    else if (link->ended && !link->ready)
        address_failed(link);
    else if (link->ended && link->batch != NULL) /* which was put off, or not taken */
        try_next(link);
    else if (link->ended && link->lost && !link->is_old)
        fail(link);
    else if (link->ended)
        leave(link);
}

static void answered(struct errand *errand)
{
    struct link *link = HOLDER(errand, struct link, errand);
    mailsrv__task_due(link->queue, &link->task);
}

static struct link *link_new(struct site *site)
{
    mailsrv_queue *q = site->queue;
    struct link *link = mailsrv__queue_take(q, sizeof *link);
    if (link == NULL)
        return NULL;
    link->courier = (struct courier){ NULL, next, told, done, ended };
    link->queue = q;
    link->site = site;
    link->way = site->way;
    link->way->refs++;
    link->errand.answered = answered;
    mailsrv__list_init(&link->idle);
    mailsrv__task_init(&link->task, run);
    mailsrv__list_append(&site->links, &link->node);
    site->n_links++;
    q->n_links++;
    return link;
}

/* ---- Who gets a connection ---- */

static uint32_t connecting(const struct site *site)
{
    uint32_t n = 0;
    for (const struct node *at = site->links.next; at != &site->links; at = at->next)
        n += !HOLDER(at, struct link, node)->ready && HOLDER(at, struct link, node)->batch == NULL;
    return n;
}

/* Each that is being opened will take a batch.  Where nobody has answered yet one finds out: who is silent keeps no
 * others' connections. */
static bool wants_link(const struct site *site)
{
    uint32_t taken = connecting(site), batches = 0;
    if (site->backs_off || (taken != 0 && !site->answers) || site->n_links >= site->limit || site->way == NULL ||
        site->way->plan->verdict != ROUTE_FOUND)
        return false;
    for (const struct node *at = site->busy.next; at != &site->busy && batches <= taken; at = at->next)
        batches += mailsrv__batches(HOLDER(at, struct lane, busy), taken + 1 - batches);
    return batches > taken;
}

/* One that does nothing makes room. */
static void end_an_idle_one(mailsrv_queue *q)
{
    struct node *n = mailsrv__list_pop(&q->links_idle);
    if (n != NULL)
        mailsrv__client_quit(HOLDER(n, struct link, idle)->session);
}

/* The last quarter is for those that have none: who comes later shall not have to wait for somebody's time-outs. */
static bool may_have(const mailsrv_queue *q, const struct site *site)
{
    return site->n_links == 0 || q->n_links < q->limits.connections - q->limits.connections / 4;
}

static void open_one(struct site *site)
{
    mailsrv_queue *q = site->queue;
    struct link *link = link_new(site);
    if (link == NULL) {
        mailsrv__task_again(q, &site->task);
        return;
    }
    try_next(link);
}

static uint32_t length(const struct node *list)
{
    uint32_t n = 0;
    for (const struct node *at = list->next; at != list; at = at->next)
        n++;
    return n;
}

void mailsrv__links_open(mailsrv_queue *q)
{
    bool opened = false;
    for (uint32_t left = length(&q->sites_wanting); left != 0 && !q->closing; left--) {
        struct site *site = HOLDER(q->sites_wanting.next, struct site, node);
        mailsrv__list_remove(&site->node);
        if (!wants_link(site))
            continue;
        const bool may = may_have(q, site); /* else nobody's is ended for it, either */
        const bool is_full = may && q->n_links >= q->limits.connections;
        mailsrv__list_append(is_full ? q->sites_wanting.next : &q->sites_wanting, &site->node);
        if (is_full) {
            end_an_idle_one(q);
            return;
        }
        if (may)
            open_one(site);
        opened = opened || may;
    }
    if (opened)
        mailsrv__task_due(q, &q->opener);
}

/* ---- What there is for those that are there ---- */

bool mailsrv__link_offer(struct site *site)
{
    for (struct node *at = site->links.next; at != &site->links; at = at->next) {
        struct link *link = HOLDER(at, struct link, node);
        if (mailsrv__list_empty(&link->idle))
            continue;
        if (parts(link)) {
            mailsrv__task_due(link->queue, &link->task);
            continue;
        }
        mailsrv__list_remove(&link->idle);
        if (mailsrv__client_call(link->session))
            return true;
    }
    return false;
}

static void close_links(struct site *site)
{
    struct node *after;
    for (struct node *at = site->links.next; at != &site->links; at = after) {
        struct link *link = HOLDER(at, struct link, node);
        after = at->next;
        if (link->session != NULL || link->ended) {
            mailsrv__task_due(site->queue, &link->task);
            continue;
        }
        if (link->batch != NULL)
            tell_put_off(link);
        mailsrv__link_free(link);
    }
}

void mailsrv__links_close(mailsrv_queue *q)
{
    for (size_t i = 0; i < SITE_BUCKETS; i++)
        for (struct site *site = q->sites[i]; site != NULL; site = site->chained)
            close_links(site);
}
