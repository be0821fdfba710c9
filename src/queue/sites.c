#include "queue/queue.h"

enum { LOOKUP_WAIT_S = 60, LOOKUP_WAIT_MAX_S = 1800 };

/* ---- Finding them ---- */

/* What tells sites apart. */
struct key {
    struct span domain; /* of the lane, where mail goes to its own exchangers */
    struct span host, name;
    uint32_t flags, secure;
    int32_t kind;
    uint16_t port;
};

static struct key key_of(const struct lane *lane, const mailsrv_route *route)
{
    struct key key = { .kind = MAILSRV_ROUTE_MX };
    if (route != NULL)
        key = (struct key){ .host = mailsrv__span(route->host),
                            .name = mailsrv__span(route->name),
                            .flags = route->flags,
                            .secure = route->secure,
                            .kind = route->kind,
                            .port = route->port };
    if (key.host.n == 0)
        key.domain = (struct span){ lane->name, lane->name_n };
    return key;
}

static struct site **bucket(mailsrv_queue *q, const struct key *key)
{
    struct span text = key->host.n != 0 ? key->host : key->domain;
    return &q->sites[mailsrv__queue_hash(QUEUE_HASH, text) % SITE_BUCKETS];
}

static struct key key_of_site(const struct site *site)
{
    return (struct key){ .domain = site->route.host.n == 0 ? site->terms.domain : (struct span){ NULL, 0 },
                         .host = mailsrv__span(site->route.host),
                         .name = mailsrv__span(site->route.name),
                         .flags = site->route.flags,
                         .secure = site->route.secure,
                         .kind = site->route.kind,
                         .port = site->route.port };
}

static bool same(const struct key *a, const struct key *b)
{
    return a->kind == b->kind && a->port == b->port && a->flags == b->flags && a->secure == b->secure &&
           mailsrv__span_equal_nocase(a->domain, b->domain) && mailsrv__span_equal(a->host, b->host) &&
           mailsrv__span_equal(a->name, b->name);
}

static void run(struct task *task);

static void timer_fired(struct timer *timer)
{
    struct site *site = HOLDER(timer, struct site, timer);
    site->backs_off = false;
    site->wakes = true;
    mailsrv__task_due(site->queue, &site->task);
}

static void answered(struct errand *errand)
{
    struct site *site = HOLDER(errand, struct site, dns[0]);
    mailsrv__task_due(site->queue, &site->task);
}

static void second_answered(struct errand *errand)
{
    answered(errand - 1);
}

static struct span put(char **to, struct span from)
{
    struct span copy = { *to, from.n };
    if (from.n != 0)
        memcpy(*to, from.p, from.n);
    *to += from.n;
    return copy;
}

/* Is what servers publish of their TLS of use?  Not where an operator has said whom to trust, or that there is none. */
static bool may_have_dane(const struct site *site)
{
    const mailsrv_route *route = &site->route;
    return (route->secure == MAILSRV_SECURE_MAY || route->secure == MAILSRV_SECURE_MUST) &&
           (route->flags & (MAILSRV_ROUTE_NO_DANE | MAILSRV_ROUTE_LMTP)) == 0 &&
           mailsrv__profile_u64(site->queue->profile, MAILSRV_PROFILE_TLS) != MAILSRV_TLS_NONE;
}

uint16_t mailsrv__site_port(const struct site *site)
{
    enum { PORT_SMTP = 25 };
    return site->route.port != 0 ? site->route.port : PORT_SMTP;
}

static void fill(struct site *site, const struct lane *lane, const mailsrv_route *route, const struct key *key)
{
    char *to = site->texts;
    site->terms.domain = put(&to, (struct span){ lane->name, lane->name_n });
    site->terms.own = mailsrv__profile_text(site->queue->profile, MAILSRV_PROFILE_HOSTNAME);
    site->terms.own_addresses = &site->queue->own;
    site->terms.route = route == NULL ? NULL : &site->route;
    site->route = (mailsrv_route){ .size = sizeof site->route,
                                   .kind = key->kind,
                                   .flags = key->flags,
                                   .secure = key->secure,
                                   .port = key->port,
                                   .host = mailsrv__bytes(put(&to, key->host)),
                                   .name = mailsrv__bytes(put(&to, key->name)) };
    site->terms.dane = may_have_dane(site);
    site->terms.port = mailsrv__site_port(site);
}

static struct site *make(struct lane *lane, const mailsrv_route *route, const struct key *key)
{
    mailsrv_queue *q = lane->queue;
    size_t octets = sizeof(struct site) + lane->name_n + key->host.n + key->name.n;
    struct site *site = mailsrv__queue_take(q, octets);
    if (site == NULL)
        return NULL;
    site->queue = q;
    site->octets = octets;
    site->limit = LINK_FIRST_LIMIT < q->limits.per_site ? LINK_FIRST_LIMIT : q->limits.per_site;
    struct node *nodes[] = { &site->node, &site->lanes, &site->busy, &site->links };
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        mailsrv__list_init(nodes[i]);
    mailsrv__task_init(&site->task, run);
    mailsrv__timer_init(&site->timer, timer_fired);
    site->dns[0].answered = answered;
    site->dns[1].answered = second_answered;
    fill(site, lane, route, key);
    struct site **at = bucket(q, key);
    site->chained = *at;
    *at = site;
    return site;
}

struct site *mailsrv__site_get(struct lane *lane, const mailsrv_route *route)
{
    struct key key = key_of(lane, route);
    for (struct site *site = *bucket(lane->queue, &key); site != NULL; site = site->chained) {
        struct key its = key_of_site(site);
        if (same(&its, &key))
            return site;
    }
    return make(lane, route, &key);
}

void mailsrv__way_drop(mailsrv_queue *q, struct way *way)
{
    if (way == NULL || --way->refs != 0)
        return;
    mailsrv__route_plan_free(mailsrv__queue_heap(q), way->plan);
    mailsrv__queue_give(q, way, sizeof *way);
}

static void end_lookup(struct site *site)
{
    if (site->finding == NULL)
        return;
    for (unsigned i = 0; i < ROUTE_AT_ONCE; i++)
        mailsrv__errand_drop(&site->dns[i]);
    mailsrv__route_free(site->finding);
    site->finding = NULL;
    site->queue->n_resolves--;
}

static void site_free(struct site *site)
{
    mailsrv_queue *q = site->queue;
    struct key key = key_of_site(site);
    struct site **at = bucket(q, &key);
    while (*at != site)
        at = &(*at)->chained;
    *at = site->chained;
    mailsrv__list_remove(&site->node);
    mailsrv__list_remove(&site->task.node);
    mailsrv__timer_remove(mailsrv__room_timers(q->engine), &site->timer);
    end_lookup(site);
    mailsrv__way_drop(q, site->way);
    mailsrv__queue_give(q, site, site->octets);
}

/* One that has failed is remembered as long as a lane leads there. */
void mailsrv__site_release(struct site *site)
{
    if (mailsrv__list_empty(&site->lanes) && mailsrv__list_empty(&site->links))
        site_free(site);
}

void mailsrv__sites_free(mailsrv_queue *q)
{
    for (size_t i = 0; i < SITE_BUCKETS; i++)
        while (q->sites[i] != NULL) {
            while (!mailsrv__list_empty(&q->sites[i]->links))
                mailsrv__link_free(HOLDER(q->sites[i]->links.next, struct link, node));
            site_free(q->sites[i]);
        }
}

void mailsrv__site_leave(struct lane *lane)
{
    struct site *site = lane->site;
    if (site == NULL)
        return;
    mailsrv__list_remove(&lane->at_site);
    mailsrv__list_remove(&lane->busy);
    lane->site = NULL;
    mailsrv__site_release(site);
}

void mailsrv__site_join(struct site *site, struct lane *lane)
{
    mailsrv__task_due(lane->queue, &lane->task);
    if (lane->site == site)
        return;
    mailsrv__site_leave(lane);
    lane->site = site;
    mailsrv__list_append(&site->lanes, &lane->at_site);
}

/* ---- How it fares ---- */

static void free_lanes(struct site *site)
{
    for (struct node *n = site->lanes.next; n != &site->lanes; n = n->next)
        mailsrv__lane_freed(HOLDER(n, struct lane, at_site));
}

/* RFC 5321 section 4.5.4.1: the first success after an outage is the moment to send all that waited for it. */
void mailsrv__site_worked(struct site *site)
{
    if (site->failures != 0)
        free_lanes(site);
    site->failures = site->lookups_failed = 0;
    if (site->limit < site->queue->limits.per_site)
        site->limit++;
}

/* What is tried fails; the rest stays where it is, and nothing is written of it. */
static void defer_one_batch(struct site *site, struct span host)
{
    const struct smtp_reply why = { site->code, { site->text, site->text_n } };
    struct batch *batch = mailsrv__batch_new(site);
    if (batch == NULL)
        return;
    for (uint32_t i = 0; i < batch->job.n_rcpts; i++) {
        batch->items[i]->change.due_us = site->not_before_us;
        mailsrv__settle_told(batch->items[i], SMTP_LATER, &why, host);
    }
    mailsrv__batch_free(site->queue, batch);
}

static void back_off(struct site *site, int64_t wait_us, const struct site_failure *failure)
{
    mailsrv_queue *q = site->queue;
    struct span text = mailsrv__span_first(failure->text, sizeof site->text);
    site->backs_off = true;
    site->not_before_us = mailsrv__queue_unix(q) + wait_us;
    site->code = failure->code;
    site->text_n = (uint16_t)text.n;
    if (text.n != 0)
        memmove(site->text, text.p, text.n);
    mailsrv__timer_set(q, &site->timer, wait_us);
    mailsrv__list_remove(&site->node);
    if (!failure->told)
        defer_one_batch(site, failure->host);
    for (struct node *n = site->lanes.next; n != &site->lanes; n = n->next) {
        struct lane *lane = HOLDER(n, struct lane, at_site);
        mailsrv__lane_let_go(lane);
        mailsrv__lane_sweep(lane);
        mailsrv__room_spend(q->engine, 1);
    }
}

static uint32_t links_that_work(const struct site *site)
{
    uint32_t n = 0;
    for (const struct node *at = site->links.next; at != &site->links; at = at->next)
        n += HOLDER(at, struct link, node)->ready;
    return n;
}

/* Where others still work it is only one too many. */
void mailsrv__site_failed(struct site *site, const struct site_failure *failure)
{
    uint32_t working = links_that_work(site);
    site->limit = site->limit > 1 ? site->limit / 2 : 1;
    if (working != 0 || failure->worked || site->backs_off)
        return;
    site->failures++;
    site->unlucky = 0;
    site->limit = 1;
    site->answers = false;
    back_off(site, mailsrv__schedule_wait(site->queue, site->failures), failure);
}

void mailsrv__site_retry(struct site *site)
{
    if (!site->backs_off)
        return;
    mailsrv__timer_disarm(&site->timer);
    timer_fired(&site->timer);
    site->way_until_us = 0; /* perhaps it is the way that was mended */
}

void mailsrv__site_way_is_old(struct site *site, const struct way *way)
{
    const int64_t now_us = mailsrv__queue_now(site->queue);
    if (site->way == way && site->way_until_us > now_us)
        site->way_until_us = now_us;
}

/* Lanes that come back have it looked up again: what waits for a connection would get one to where it led. */
void mailsrv__site_forget_way(struct site *site)
{
    end_lookup(site);
    mailsrv__list_remove(&site->node);
    site->way_until_us = 0;
}

static void wake_lanes(struct site *site)
{
    site->wakes = false;
    for (struct node *n = site->lanes.next; n != &site->lanes; n = n->next) {
        struct lane *lane = HOLDER(n, struct lane, at_site);
        if (lane->more || lane->n_items != 0)
            mailsrv__task_due(site->queue, &lane->task);
        mailsrv__room_spend(site->queue->engine, 1);
    }
}

/* ---- Its addresses ---- */

static bool begin_lookup(struct site *site)
{
    mailsrv_queue *q = site->queue;
    site->terms.seed = mailsrv__queue_random(q);
    site->finding = mailsrv__route_new(mailsrv__queue_heap(q), &site->terms);
    if (site->finding == NULL)
        return false;
    q->n_resolves++;
    mailsrv__task_due(q, &site->task);
    return true;
}

void mailsrv__sites_ask(mailsrv_queue *q)
{
    while (q->n_resolves < RESOLVES_MAX && !mailsrv__list_empty(&q->sites_asking)) {
        struct site *site = HOLDER(mailsrv__list_pop(&q->sites_asking), struct site, node);
        if (q->closing || site->finding != NULL)
            continue;
        if (!begin_lookup(site)) {
            mailsrv__task_again(q, &site->task);
            return;
        }
    }
}

static void nobody_could_say(struct site *site)
{
    const struct route_plan *plan = site->way->plan;
    int64_t wait = LOOKUP_WAIT_S * SECOND_US;
    for (uint32_t i = 0; i < site->lookups_failed && wait < LOOKUP_WAIT_MAX_S * SECOND_US; i++)
        wait += wait / 2;
    site->lookups_failed++;
    site->way_until_us = 0;
    back_off(site, wait, &(struct site_failure){ .code = plan->code, .text = plan->text });
}

/* How addresses have fared is known, though they were looked up again. */
static void remember(struct way *way, const struct way *before)
{
    for (uint32_t i = 0; i < way->plan->n; i++)
        for (uint32_t k = 0; k < before->plan->n; k++) {
            const struct route_address *a = &way->plan->addresses[i], *b = &before->plan->addresses[k];
            if (a->n != b->n || memcmp(a->octets, b->octets, a->n) != 0)
                continue;
            way->bad_until_us[i] = before->bad_until_us[k];
            way->put_off[i] = before->put_off[k];
            way->hung_up[i] = before->hung_up[k];
        }
}

/* Nobody can say where to.  The way that is known may be taken for longer where there is somebody; but whoever has DNS
 * fail shall not have it that nothing is known of TLS (T58, RFC 7672 section 2.1.2). */
static bool still_leads_there(const struct site *site)
{
    return links_that_work(site) != 0 && (site->way == NULL || !site->way->plan->is_validated);
}

/* False: there is no memory for a way. */
static bool take_plan(struct site *site)
{
    mailsrv_queue *q = site->queue;
    struct route_plan *plan = mailsrv__route_plan(site->finding);
    struct way *way = plan == NULL ? NULL : mailsrv__queue_take(q, sizeof *way);
    end_lookup(site);
    mailsrv__sites_ask(q);
    if (way == NULL) {
        mailsrv__route_plan_free(mailsrv__queue_heap(q), plan);
        return false;
    }
    way->refs = 1;
    way->plan = plan;
    way->until_us = mailsrv__queue_now(q) + plan->ttl_s * SECOND_US;
    if (plan->verdict == ROUTE_LATER && still_leads_there(site)) {
        site->way_until_us = way->until_us;
        mailsrv__way_drop(q, way);
        return true;
    }
    if (site->way != NULL && site->way_until_us != 0) /* nobody has said that it is mended */
        remember(way, site->way);
    mailsrv__way_drop(q, site->way);
    site->way = way;
    site->way_until_us = way->until_us;
    if (plan->verdict == ROUTE_LATER)
        nobody_could_say(site);
    else if (site->lookups_failed != 0) {
        site->lookups_failed = 0;
        free_lanes(site);
    }
    return true;
}

static void take_answers(struct site *site)
{
    for (unsigned i = 0; i < ROUTE_AT_ONCE; i++) {
        const mailsrv_answer *answer = mailsrv__errand_answer(&site->dns[i]);
        if (answer == NULL)
            continue;
        mailsrv__route_answer(site->finding, i, answer);
        mailsrv__errand_drop(&site->dns[i]);
    }
}

static void ask_dns(struct site *site, unsigned i, const mailsrv_arg_dns *question)
{
    mailsrv_queue *q = site->queue;
    struct ask ask = mailsrv__queue_ask(q, &site->dns[i], MAILSRV_OP_DNS, question->name.n);
    if (ask.op == NULL) {
        mailsrv__task_again(q, &site->task);
        return;
    }
    mailsrv_arg_dns *arg = ask.arg;
    arg->type = question->type;
    arg->name = mailsrv__ask_copy(&ask, mailsrv__span(question->name));
}

/* Asks what is to be asked now, or takes what came of it. */
static void look_up(struct site *site)
{
    mailsrv_arg_dns question;
    bool is_over = true;
    take_answers(site);
    for (unsigned i = 0; i < ROUTE_AT_ONCE; i++) {
        if (!mailsrv__route_question(site->finding, i, &question))
            continue;
        is_over = false;
        if (site->dns[i].op == NULL)
            ask_dns(site, i, &question);
    }
    if (!is_over)
        return;
    if (take_plan(site))
        mailsrv__task_due(site->queue, &site->task);
    else
        mailsrv__task_again(site->queue, &site->task);
}

static void want_lookup(struct site *site)
{
    mailsrv__list_remove(&site->node);
    mailsrv__list_append(&site->queue->sites_asking, &site->node);
    mailsrv__sites_ask(site->queue);
}

/* ---- What it does next ---- */

static void fail_lanes(struct site *site)
{
    const struct route_plan *plan = site->way->plan;
    while (!mailsrv__list_empty(&site->busy))
        mailsrv__lane_fail(HOLDER(site->busy.next, struct lane, busy), plan->code, plan->text);
}

static void want_link(struct site *site)
{
    if (!mailsrv__list_empty(&site->node))
        return;
    mailsrv__list_append(&site->queue->sites_wanting, &site->node);
    mailsrv__task_due(site->queue, &site->queue->opener);
}

static void run(struct task *task)
{
    struct site *site = HOLDER(task, struct site, task);
    mailsrv_queue *q = site->queue;
    if (q->closing)
        return;
    if (site->finding != NULL) {
        look_up(site);
        return;
    }
    if (site->wakes)
        wake_lanes(site);
    if (site->backs_off || mailsrv__list_empty(&site->busy) || mailsrv__link_offer(site))
        return;
    if (site->way == NULL || mailsrv__queue_now(q) >= site->way_until_us)
        want_lookup(site);
    else if (site->way->plan->verdict == ROUTE_FAILED)
        fail_lanes(site);
    else
        want_link(site);
}
