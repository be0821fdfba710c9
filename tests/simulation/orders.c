/* What an operator does at random moments, and what the host says of the next try.  Some hours after all is well he
 * releases what is held, day by day. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

/* Something that he has told the queue to do. */
struct order {
    struct order *next;
    struct sim *sim;
    int32_t action;
    struct addressee *whom; /* of him alone; NULL: of many */
    uint32_t number;        /* from 1 */
    uint32_t releases;      /* given by then */
    bool is_alone;          /* no release was under way then */
    char lane[ADDRESS_MAX], from[ADDRESS_MAX];
};

static const char spare[] = "spare"; /* the name of a way by the smarthost */

/* ---- What it means for whom ---- */

static bool concerns(const struct order *o, const struct mail *m, const struct addressee *a)
{
    const char *at = strchr(a->address, '@');
    const char *from = strcmp(o->from, "<>") == 0 ? "" : o->from;
    if (o->whom != NULL)
        return strcmp(o->whom->address, a->address) == 0;
    return (o->lane[0] == '\0' || (at != NULL && strcmp(at + 1, o->lane) == 0)) &&
           (o->from[0] == '\0' || strcmp(from, m->from) == 0);
}

static void mark(const struct order *o, void (*how)(const struct order *o, struct addressee *a))
{
    for (uint32_t i = 0; i < o->sim->n_mails; i++)
        for (uint32_t k = 0; k < o->sim->mails[i].n_rcpts; k++)
            if (concerns(o, &o->sim->mails[i], &o->sim->mails[i].rcpts[k]))
                how(o, &o->sim->mails[i].rcpts[k]);
}

/* An order is about what is in the queue before it is done. */
static void may_end(const struct order *o, struct addressee *a)
{
    a->may_vanish = a->may_vanish || (o->action == MAILSRV_QUEUE_DROP && a->queued);
    a->may_return = a->may_return || (o->action == MAILSRV_QUEUE_RETURN && a->queued);
    a->may_move = a->may_move || o->action == MAILSRV_QUEUE_REROUTE;
}

/* Notices have no sender. */
static void notices_may_vanish(const struct order *o)
{
    for (uint32_t i = 0; i < o->sim->n_mails; i++) {
        struct mail *m = &o->sim->mails[i];
        const char *at = strchr(m->from, '@');
        bool is_for_all = o->lane[0] == '\0' || (at != NULL && strcmp(at + 1, o->lane) == 0);
        if (o->whom == NULL && is_for_all && (o->from[0] == '\0' || strcmp(o->from, "<>") == 0))
            m->notices_may_vanish = m->notices_may_vanish || m->notices_queued != 0;
    }
}

static void is_free(const struct order *o, struct addressee *a)
{
    (void)o;
    a->held = false;
}

/* What comes after the order it need not see. */
static void is_to_be_held(const struct order *o, struct addressee *a)
{
    a->hold = a->queued ? o->number : a->hold;
}

static void is_held(const struct order *o, struct addressee *a)
{
    a->held = a->held || a->hold == o->number;
}

static bool sets_free(int32_t action)
{
    return action == MAILSRV_QUEUE_RELEASE || action == MAILSRV_QUEUE_RETURN || action == MAILSRV_QUEUE_DROP;
}

static void over(struct order *o)
{
    struct order **at = &o->sim->orders;
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    mark(o, may_end); /* also who has come meanwhile */
    if (o->action == MAILSRV_QUEUE_DROP)
        notices_may_vanish(o);
    free(o);
}

static void done(void *user, int32_t status, uint64_t n)
{
    struct order *o = user;
    struct sim *sim = o->sim;
    (void)n;
    if (o->action == MAILSRV_QUEUE_HOLD && status == MAILSRV_OK && o->is_alone && o->releases == sim->releases)
        mark(o, is_held); /* nothing is sent from here on */
    over(o);
}

void orders_go_on(struct sim *sim)
{
    for (const struct order *o = sim->orders; o != NULL; o = o->next)
        mark(o, may_end);
}

void orders_end(struct sim *sim)
{
    while (sim->orders != NULL)
        over(sim->orders);
}

/* ---- Giving one ---- */

static void give(struct order *o)
{
    struct sim *sim = o->sim;
    mailsrv_queue_match match = { .size = sizeof match };
    const char *recipient = o->whom == NULL ? "" : o->whom->address;
    mailsrv_bytes route = { NULL, 0 };
    match.lane = (mailsrv_bytes){ (const uint8_t *)o->lane, strlen(o->lane) };
    match.reverse_path = (mailsrv_bytes){ (const uint8_t *)o->from, strlen(o->from) };
    match.recipient = (mailsrv_bytes){ (const uint8_t *)recipient, strlen(recipient) };
    if (o->action == MAILSRV_QUEUE_REROUTE && dice_falls(&sim->order_dice, 500))
        route = (mailsrv_bytes){ (const uint8_t *)spare, sizeof spare - 1 };
    if (sets_free(o->action)) {
        sim->releases++;
        mark(o, is_free);
    }
    mark(o, may_end);
    o->number = ++sim->n_orders;
    if (o->action == MAILSRV_QUEUE_HOLD)
        mark(o, is_to_be_held);
    o->releases = sim->releases;
    o->is_alone = true;
    for (const struct order *other = sim->orders; other != NULL; other = other->next)
        o->is_alone = o->is_alone && !sets_free(other->action); /* who knows which is done first */
    o->next = sim->orders;
    sim->orders = o;
    sim_expect(sim, mailsrv_queue_control(sim->queue, &match, o->action, route, done, o) == MAILSRV_OK,
               "an order is not taken");
}

static struct order *new_order(struct sim *sim, int32_t action)
{
    struct order *o = dialogue_take(sizeof *o);
    o->sim = sim;
    o->action = action;
    return o;
}

/* Mostly for one domain, or one recipient. */
static struct order *any_order(struct sim *sim)
{
    static const int32_t actions[] = { MAILSRV_QUEUE_HOLD, MAILSRV_QUEUE_HOLD, MAILSRV_QUEUE_RELEASE, MAILSRV_QUEUE_RETRY,
                                       MAILSRV_QUEUE_RETRY, MAILSRV_QUEUE_DROP, MAILSRV_QUEUE_RETURN,
                                       MAILSRV_QUEUE_REROUTE };
    struct dice *dice = &sim->order_dice;
    struct order *o = new_order(sim, actions[dice_below(dice, sizeof actions / sizeof actions[0])]);
    struct mail *m = &sim->mails[dice_below(dice, sim->n_mails)];
    uint32_t chance = dice_below(dice, 100);
    if (chance < 30)
        o->whom = &m->rcpts[dice_below(dice, m->n_rcpts)];
    else if (chance < 85)
        snprintf(o->lane, sizeof o->lane, "d%u.test", dice_below(dice, sim->setup.domains));
    else if (chance < 95)
        snprintf(o->from, sizeof o->from, "%s", m->from[0] == '\0' ? "<>" : m->from);
    return o;
}

void orders_come(struct event *event)
{
    struct sim *sim = (struct sim *)(void *)((char *)event - offsetof(struct sim, orders_event));
    bool is_well = sim_heals(sim);
    if (sim->engine != NULL && !sim->crashing && !sim->ending)
        give(is_well ? new_order(sim, MAILSRV_QUEUE_RELEASE) : any_order(sim));
    int64_t mean = sim->setup.span_us / sim->setup.orders;
    clock_set(&sim->clock, event, is_well ? DAY : 1 + (int64_t)(dice_roll(&sim->order_dice) % (uint64_t)(2 * mean)));
}

/* ---- RETRY ---- */

static void may_be_given_up(struct sim *sim, struct addressee *a)
{
    (void)sim;
    a->may_return = true;
}

static void may_be_moved(struct sim *sim, struct addressee *a)
{
    (void)sim;
    a->may_move = true;
}

static void allow(struct sim *sim, const mailsrv_arg_retry *asked, int32_t verdict)
{
    struct text to = { (const char *)asked->recipient.p, asked->recipient.n };
    if (verdict == MAILSRV_RETRY_GIVE_UP)
        reasons_each(sim, to, may_be_given_up);
    else if (verdict == MAILSRV_RETRY_ROUTE)
        reasons_each(sim, to, may_be_moved);
}

void retry_answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_retry *asked = op->arg;
    uint32_t chance = sim_heals(sim) ? 0 : dice_below(&sim->order_dice, 100);
    mailsrv_retry retry = { .size = sizeof retry, .verdict = MAILSRV_RETRY_DEFAULT };
    sim_expect(sim, asked->tries != 0 && asked->expires_us > asked->arrived_us, "RETRY is asked the wrong thing");
    if (chance >= 97) {
        retry.verdict = MAILSRV_RETRY_GIVE_UP;
    } else if (chance >= 90) {
        retry.verdict = MAILSRV_RETRY_ROUTE;
        retry.route = (mailsrv_bytes){ (const uint8_t *)spare, chance >= 93 ? sizeof spare - 1 : 0 };
    } else if (chance >= 60) {
        retry.verdict = MAILSRV_RETRY_WAIT;
        retry.due_us = sim_unix(sim) + MINUTE + (int64_t)dice_below(&sim->order_dice, 12 * 3600) * SECOND;
    }
    allow(sim, asked, retry.verdict);
    const mailsrv_answer a = { .size = sizeof a, .status = chance % 10 == 9 ? MAILSRV_TEMP : MAILSRV_OK, .value = &retry };
    sim_expect(sim, mailsrv_op_answer(engine, op->id, &a) == MAILSRV_OK, "an answer of RETRY is refused");
}
