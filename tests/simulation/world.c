#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define BEGINNING (INT64_C(1800000000) * SECOND)

#define SKEW_US (6 * HOUR) /* how wrong the time of day may be */
#define FULL_US ((uint64_t)(4 * DAY)) /* what cannot be told in five days is told to nobody */

enum { ROUNDS_MAX = 200000, REST_DAYS = 60, EVENTS_MAX = 4096, JUMPS_OF_1000 = 5 };

void sim_fault(struct sim *sim, const char *what, const char *where)
{
    if (sim->fault != NULL)
        return;
    sim->fault = what;
    snprintf(sim->where, sizeof sim->where, "%s", where);
}

bool sim_expect(struct sim *sim, bool is_so, const char *what)
{
    if (!is_so)
        sim_fault(sim, what, "");
    return is_so;
}

int64_t sim_unix(const struct sim *sim)
{
    return BEGINNING + sim->clock.now_us + sim->skew_us;
}

bool sim_heals(const struct sim *sim)
{
    return sim->setup.calm || sim->clock.now_us >= sim->heals_us;
}

/* ---- The engine ---- */

static mailsrv_profile *profile(const struct sim *sim, const mailsrv_machine *machine, int32_t face)
{
    mailsrv_profile *p = NULL;
    mailsrv_profile_new(NULL, machine, face, &p);
    mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    if (face == MAILSRV_FACE_MX) {
        mailsrv_profile_set_u64(p, MAILSRV_PROFILE_POLICY_STAGES, MAILSRV_STAGE_CONNECT);
        mailsrv_profile_enable(p, MAILSRV_EXT_DSN, 1);
    } else if (sim->setup.secures) {
        mailsrv_profile_set_u64(p, MAILSRV_PROFILE_TLS, MAILSRV_TLS_OFFERED); /* by the host: peers.c */
    }
    if (mailsrv_profile_seal(p, NULL) != MAILSRV_OK)
        abort();
    return p;
}

static void advance(struct sim *sim)
{
    int64_t before = sim->unix_us, now = sim_unix(sim);
    sim->unix_us = now;
    sim->unix_most_us = now > sim->unix_most_us ? now : sim->unix_most_us;
    if (now < before)
        ledger_clock_is_put_back(sim);
    mailsrv_engine_advance(sim->engine, sim->clock.now_us, now);
}

static void boot(struct sim *sim)
{
    mailsrv_config *config = NULL;
    mailsrv_config_new(&sim->memory.allocator, &config);
    mailsrv_config_set_u64(config, MAILSRV_CONFIG_EVENTS_MAX, EVENTS_MAX);
    sim_expect(sim, mailsrv_engine_new(config, &sim->engine) == MAILSRV_OK, "no engine");
    mailsrv_config_free(config);
    mailsrv_store_bind(sim->store, sim->engine);
    door_open(sim);
    advance(sim);
    const mailsrv_queue_setup setup = { .size = sizeof setup,
                                        .profile = sim->client_profile,
                                        .seed = dice_mix(sim->setup.seed, 1000 + ++sim->boot),
                                        .items_max = sim->setup.items_max,
                                        .connections_max = sim->setup.connections,
                                        .connections_per_site = sim->setup.per_site,
                                        .recipients_per_message = sim->setup.recipients };
    sim_expect(sim, mailsrv_queue_open(sim->engine, &setup, &sim->queue) == MAILSRV_OK, "the queue does not open");
}

static void boots(struct event *event)
{
    struct sim *sim = (struct sim *)(void *)((char *)event - offsetof(struct sim, boots));
    boot(sim);
}

/* What the store has is there, what was on its way may be; nothing else is. */
static void crash(struct sim *sim)
{
    sim->crashing = true;
    sim->crashes++;
    reasons_events(sim);
    door_crash(sim);
    ledger_crashed(sim);
    peers_end(sim);
    submissions_end(sim);
    sim_expect(sim, mailsrv_engine_free(sim->engine, MAILSRV_ABANDON) == MAILSRV_OK, "the engine does not end");
    lent_end(sim);
    orders_end(sim);
    sim->engine = NULL;
    sim->queue = NULL;
    sim_expect(sim, sim->memory.live == 0 && sim->memory.fault == NULL, "a crash leaves memory behind");
    sim->crashing = false;
    sim->boots.happens = boots;
    clock_set(&sim->clock, &sim->boots, dice_falls(&sim->crash_dice, 700) ? SECOND
                                                                        : (int64_t)dice_below(&sim->crash_dice, 7200) * SECOND);
}

static void crash_comes(struct event *event)
{
    struct sim *sim = (struct sim *)(void *)((char *)event - offsetof(struct sim, crash_comes));
    bool is_busy = sim->setup.quiet && (sim->wires != NULL || sim->held != NULL || sim->lent != NULL);
    if (is_busy) {
        clock_set(&sim->clock, event, SECOND);
        return;
    }
    if (sim->engine != NULL && !sim->ending)
        sim->crashing = true;
    if (sim->crashes + 1 < sim->setup.crashes)
        clock_set(&sim->clock, event, 1 + (int64_t)(dice_roll(&sim->crash_dice) % (uint64_t)sim->setup.span_us) * 3 / 2 /
                                              sim->setup.crashes);
}

/* Up to `most`: half of all are of any size, down to a moment. */
static int64_t any_time(struct dice *dice, int64_t most)
{
    return 1 + ((int64_t)(dice_roll(dice) % (uint64_t)most) >> (dice_falls(dice, 500) ? 0 : dice_below(dice, 24)));
}

/* The time of day is set: from the right one or the last, ahead or back. */
static void set_time_of_day(struct sim *sim)
{
    struct dice *dice = &sim->order_dice;
    int64_t by = any_time(dice, SKEW_US), from = dice_falls(dice, 500) ? sim->skew_us : 0;
    sim->skew_us = from + (dice_falls(dice, 500) ? by : -by);
    if (sim->skew_us > SKEW_US || sim->skew_us < -SKEW_US || sim_heals(sim))
        sim->skew_us = 0;
}

/* Now and then; most of the time the queue is at rest then. */
static void jumps(struct event *event)
{
    struct sim *sim = (struct sim *)(void *)((char *)event - offsetof(struct sim, jumps_event));
    set_time_of_day(sim);
    if (!sim_heals(sim))
        clock_set(&sim->clock, event, any_time(&sim->order_dice, sim->setup.span_us * 2 / sim->setup.jumps));
}

/* And while it has something to do. */
static void jumps_meanwhile(struct sim *sim)
{
    if (sim->setup.jumps != 0 && !sim_heals(sim) && dice_falls(&sim->order_dice, JUMPS_OF_1000))
        set_time_of_day(sim);
}

static void fill_box(struct sim *sim, bool is_full)
{
    char name[ADDRESS_MAX];
    mailsrv_id id;
    size_t n = (size_t)snprintf(name, sizeof name, "s%d@here.test", LOCALS - 1);
    mailsrv_memory_find_account(sim->store, name, n, &id);
    mailsrv_memory_account_u64(sim->store, &id, MAILSRV_MEMORY_QUOTA, is_full ? 1 : UINT64_C(1) << 63);
    sim->box_is_full = is_full;
}

static void box_empties(struct event *event)
{
    fill_box((struct sim *)(void *)((char *)event - offsetof(struct sim, box_event)), false);
}

/* What happens at random. */
static void begin_faults(struct sim *sim)
{
    const struct sim_setup *setup = &sim->setup;
    sim->crash_comes.happens = crash_comes;
    sim->orders_event.happens = orders_come;
    sim->jumps_event.happens = jumps;
    sim->box_event.happens = box_empties;
    if (setup->crashes != 0)
        clock_set(&sim->clock, &sim->crash_comes, MINUTE);
    if (setup->orders != 0)
        clock_set(&sim->clock, &sim->orders_event, MINUTE);
    if (setup->jumps != 0)
        clock_set(&sim->clock, &sim->jumps_event, MINUTE);
    if (setup->full_box) {
        fill_box(sim, true);
        clock_set(&sim->clock, &sim->box_event, 1 + (int64_t)(dice_roll(&sim->order_dice) % FULL_US));
    }
}

static void begin(struct sim *sim, const struct sim_setup *setup)
{
    *sim = (struct sim){ .setup = *setup };
    sim->clock.now_us = HOUR;
    sim->heals_us = HOUR + setup->span_us + (setup->brief ? 3 * HOUR : 4 * DAY);
    sim->door_dice.state = dice_mix(setup->seed, 1);
    sim->peer_dice.state = dice_mix(setup->seed, 2);
    sim->crash_dice.state = dice_mix(setup->seed, 3);
    sim->order_dice.state = dice_mix(setup->seed, 4);
    counted_init(&sim->memory);
    if (mailsrv_memory_new(NULL, &sim->store) != MAILSRV_OK)
        abort();
    mailsrv_memory_set_u64(sim->store, MAILSRV_MEMORY_RELAY, 1);
    for (int i = 0; i < LOCALS; i++) {
        char name[ADDRESS_MAX];
        mailsrv_id id;
        size_t n = (size_t)snprintf(name, sizeof name, "s%d@here.test", i);
        mailsrv_memory_add_account(sim->store, name, n, "x", 1, &id);
        mailsrv_memory_add_address(sim->store, name, n, &id, 1);
    }
    sim->client_profile = profile(sim, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT);
    sim->server_profile = profile(sim, mailsrv_smtp(), MAILSRV_FACE_MX);
    senders_begin(sim);
    boot(sim);
    begin_faults(sim);
}

/* ---- The loop ---- */

static bool turn(struct sim *sim)
{
    bool worked = false;
    for (int i = 0; i < 1000 && !sim->crashing; i++) {
        if (mailsrv_engine_turn(sim->engine, 1000) != MAILSRV_MORE)
            break;
        worked = true;
        reasons_events(sim);
    }
    reasons_events(sim);
    uint64_t items = sim->queue == NULL ? 0 : mailsrv_queue_stat(sim->queue, MAILSRV_QUEUE_STAT_HELD_ITEMS);
    if (items > sim->items_peak)
        sim->items_peak = items;
    return worked;
}

/* Until nothing happens any more without time passing. */
static void come_to_rest(struct sim *sim)
{
    for (int i = 0; i < ROUNDS_MAX && sim->engine != NULL && sim->fault == NULL; i++) {
        bool moved = !sim->crashing && turn(sim);
        moved = !sim->crashing && peers_move(sim) ? true : moved;
        moved = !sim->crashing && senders_move(sim) ? true : moved;
        if (sim->crashing)
            crash(sim);
        else if (!moved && mailsrv_engine_turn(sim->engine, 1000) == MAILSRV_OK && !sim->crashing && !peers_move(sim) &&
                 !senders_move(sim))
            return;
    }
    sim_expect(sim, sim->engine == NULL || sim->fault != NULL, "it works for ever while no time passes");
}

/* What is left. */
static void stays(struct sim *sim, const char *what)
{
    mailsrv_queue_item item;
    mailsrv_queued_mail mail = { .size = sizeof mail };
    char where[sizeof sim->where] = "";
    if (mailsrv_memory_queue_item(sim->store, 0, &item) == MAILSRV_OK && mailsrv_queued_read(&item, &mail) == MAILSRV_OK)
        snprintf(where, sizeof where, "first %.*s by %.*s: due in %.1f hours, flags %u, tries %u: %.*s", (int)mail.recipient.n,
                 (const char *)mail.recipient.p, (int)mail.route.n, (const char *)mail.route.p,
                 (double)(mail.due_us - sim_unix(sim)) / (double)HOUR, mail.flags, mail.tries, (int)mail.text.n,
                 (const char *)mail.text.p);
    sim_fault(sim, what, where);
}

/* Timers that were just armed count from now (engine.h): when they fire is nothing that others' events change. */
static void pass_time(struct sim *sim)
{
    jumps_meanwhile(sim);
    if (sim->engine != NULL)
        advance(sim);
    int64_t next = clock_next(&sim->clock);
    int64_t deadline = sim->engine == NULL ? INT64_MAX : mailsrv_engine_next_deadline(sim->engine);
    if (deadline < next)
        next = deadline;
    if (next == INT64_MAX) {
        stays(sim, "nothing will ever happen");
        return;
    }
    sim->clock.now_us = next > sim->clock.now_us ? next : sim->clock.now_us + 1;
    if (sim->engine != NULL)
        advance(sim);
    clock_fire(&sim->clock);
}

static bool is_over(const struct sim *sim)
{
    return sim->lent == NULL && sim->n_arrived == sim->n_mails && sim->engine != NULL && sim->held == NULL &&
           sim->submissions == NULL && sim->orders == NULL && !sim->box_is_full &&
           mailsrv_memory_stat(sim->store, MAILSRV_MEMORY_STAT_QUEUED) == 0;
}

static void closed(void *user)
{
    ((struct sim *)user)->queue = NULL;
}

static void end(struct sim *sim)
{
    int64_t until = sim->clock.now_us + DAY;
    sim->ending = true;
    mailsrv_queue_close(sim->queue, closed, sim);
    come_to_rest(sim);
    while (sim->fault == NULL && (sim->queue != NULL || sim->held != NULL || sim->wires != NULL) && sim->clock.now_us < until) {
        pass_time(sim);
        come_to_rest(sim);
    }
    sim_expect(sim, sim->queue == NULL && sim->held == NULL, "the queue does not close");
    sim_expect(sim, sim->orders == NULL, "an order is never answered");
    peers_end(sim);
    for (int i = 0; i < 1000 && mailsrv_engine_free(sim->engine, 0) == MAILSRV_E_BUSY; i++)
        mailsrv_engine_turn(sim->engine, 1000);
    sim->engine = NULL;
    sim_expect(sim, sim->memory.live == 0 && sim->memory.fault == NULL, "memory is left");
}

void sim_run(struct sim *sim, const struct sim_setup *setup)
{
    begin(sim, setup);
    int64_t until = sim->heals_us + REST_DAYS * DAY;
    uint64_t items_most = (setup->items_max == 0 ? 2048 : setup->items_max) + 64;
    come_to_rest(sim);
    while (sim->fault == NULL && !is_over(sim)) {
        pass_time(sim);
        come_to_rest(sim);
        if (sim->clock.now_us > until)
            stays(sim, "mail stays in the queue");
    }
    if (sim->fault == NULL)
        end(sim);
    sim_expect(sim, sim->items_peak <= items_most, "more items are in memory than may be");
    if (sim->fault == NULL)
        ledger_close(sim);
}

void sim_free(struct sim *sim)
{
    if (sim->engine != NULL) {
        sim->crashing = true;
        door_crash(sim);
        submissions_end(sim);
        peers_end(sim);
        mailsrv_engine_free(sim->engine, MAILSRV_ABANDON);
    }
    lent_end(sim);
    orders_end(sim);
    mailsrv_profile_unref(sim->client_profile);
    mailsrv_profile_unref(sim->server_profile);
    mailsrv_store_free(sim->store);
    free(sim->mails);
    free(sim->words);
    free(sim->clock.events);
}
