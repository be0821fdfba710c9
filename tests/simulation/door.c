/* Everything that the engine asks goes through this door. */
#include "sim.h"

#include <stdlib.h>

/* An operation that is answered later. */
struct held {
    struct held *next;
    struct sim *sim;
    struct event answers;
    mailsrv_engine *engine;
    const mailsrv_op *op;
    struct page *page; /* what it is answered; NULL: as things are then */
    int32_t status;    /* MAILSRV_OK: it is done */
};

/* A body while it is staged, for who reads what is committed. */
struct body {
    struct body *next;
    uint64_t handle;
    struct buffer octets;
};

static const int32_t kinds[] = {
    MAILSRV_OP_BODY_BEGIN, MAILSRV_OP_BODY_WRITE, MAILSRV_OP_BODY_COMMIT, MAILSRV_OP_BODY_CLOSE, MAILSRV_OP_READ,
    MAILSRV_OP_READ_CLOSE, MAILSRV_OP_QUEUE_SCAN, MAILSRV_OP_QUEUE_UPDATE, MAILSRV_OP_QUEUE_DELETE, MAILSRV_OP_RESOLVE,
    MAILSRV_OP_DNS, MAILSRV_OP_CONNECT, MAILSRV_OP_ROUTE, MAILSRV_OP_POLICY, MAILSRV_OP_CREDENTIAL, MAILSRV_OP_RETRY
};

static bool is_the_worlds(int32_t kind)
{
    return kind == MAILSRV_OP_DNS || kind == MAILSRV_OP_CONNECT || kind == MAILSRV_OP_ROUTE || kind == MAILSRV_OP_POLICY ||
           kind == MAILSRV_OP_CREDENTIAL || kind == MAILSRV_OP_RETRY;
}

static bool may_fail(int32_t kind)
{
    return kind != MAILSRV_OP_BODY_CLOSE && kind != MAILSRV_OP_READ_CLOSE && kind != MAILSRV_OP_POLICY &&
           kind != MAILSRV_OP_CONNECT;
}

/* ---- What is committed is read ---- */

static struct body **find_body(struct sim *sim, uint64_t handle)
{
    struct body **at = &sim->bodies;
    while (*at != NULL && (*at)->handle != handle)
        at = &(*at)->next;
    return at;
}

static void drop_body(struct body **at)
{
    struct body *body = *at;
    if (body == NULL)
        return;
    *at = body->next;
    buffer_free(&body->octets);
    free(body);
}

static void watch_write(struct sim *sim, const mailsrv_arg_body_write *arg)
{
    struct body *body = *find_body(sim, arg->body);
    if (body == NULL) {
        body = dialogue_take(sizeof *body);
        body->handle = arg->body;
        body->next = sim->bodies;
        sim->bodies = body;
    }
    if (arg->offset == body->octets.n)
        buffer_add(&body->octets, arg->octets.p, arg->octets.n);
}

static uint64_t stored(const struct sim *sim)
{
    return mailsrv_memory_stat(sim->store, MAILSRV_MEMORY_STAT_QUEUED) +
           mailsrv_memory_stat(sim->store, MAILSRV_MEMORY_STAT_MESSAGES);
}

static struct text body_of(struct sim *sim, const mailsrv_op *op)
{
    const struct body *body = *find_body(sim, ((const mailsrv_arg_body_commit *)op->arg)->bodies[0].body);
    return body == NULL ? (struct text){ "", 0 } : buffer_text(&body->octets);
}

static void commit(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_body_commit *arg = op->arg;
    uint64_t before = stored(sim);
    mailsrv_memory_handle(sim->store, engine, op);
    if (stored(sim) == before)
        return;
    uint64_t fit = 0;
    for (uint32_t i = 0; i < arg->n_targets; i++)
        fit += ledger_fits(sim, (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride));
    sim_expect(sim, stored(sim) == before + fit, "some targets of a commit failed");
    ledger_committed(sim, arg, body_of(sim, op));
}

static void to_store(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op)
{
    if (op->kind == MAILSRV_OP_BODY_COMMIT) {
        commit(sim, engine, op);
        return;
    }
    if (op->kind == MAILSRV_OP_BODY_WRITE)
        watch_write(sim, op->arg);
    if (op->kind == MAILSRV_OP_BODY_CLOSE)
        drop_body(find_body(sim, ((const mailsrv_arg_close *)op->arg)->handle));
    mailsrv_memory_handle(sim->store, engine, op);
}

/* ---- Answers ---- */

static void relay_ok(mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_verdict verdict = { .size = sizeof verdict, .verdict = MAILSRV_POLICY_RELAY_OK };
    const mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = &verdict };
    mailsrv_op_answer(engine, op->id, &a);
}

static void credential(mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_credential us = { .size = sizeof us, .mechanisms = MAILSRV_SASL_PLAIN,
                                    .user = { (const uint8_t *)"us", 2 }, .password = { (const uint8_t *)"pw", 2 } };
    const mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = &us };
    mailsrv_op_answer(engine, op->id, &a);
}

static void answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op, int32_t status)
{
    if (status != MAILSRV_OK)
        sim_expect(sim, mailsrv_op_answer_status(engine, op->id, status) == MAILSRV_OK, "an answer is refused");
    else if (op->kind == MAILSRV_OP_DNS)
        names_answer(sim, engine, op);
    else if (op->kind == MAILSRV_OP_ROUTE)
        routes_answer(sim, engine, op);
    else if (op->kind == MAILSRV_OP_CONNECT)
        peers_connect(sim, engine, op);
    else if (op->kind == MAILSRV_OP_POLICY)
        relay_ok(engine, op);
    else if (op->kind == MAILSRV_OP_CREDENTIAL)
        credential(engine, op);
    else if (op->kind == MAILSRV_OP_RETRY)
        retry_answer(sim, engine, op);
    else
        to_store(sim, engine, op);
}

static void let_go(struct held *held)
{
    struct held **at = &held->sim->held;
    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    clock_clear(&held->sim->clock, &held->answers);
    free(held);
}

static void answers(struct event *event)
{
    struct held *held = (struct held *)(void *)((char *)event - offsetof(struct held, answers));
    struct held copy = *held;
    if (copy.sim->crashing) /* nothing is done any more */
        return;
    let_go(held);
    if (copy.page != NULL)
        page_answer(copy.sim, copy.engine, copy.op, copy.page);
    else
        answer(copy.sim, copy.engine, copy.op, copy.status);
    page_free(copy.page);
}

static struct held *hold(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op, int32_t status)
{
    struct held *held = dialogue_take(sizeof *held);
    *held = (struct held){ .next = sim->held, .sim = sim, .engine = engine, .op = op, .status = status };
    held->answers.happens = answers;
    sim->held = held;
    return held;
}

/* A name server takes its time, and so does a connection; a store sometimes. */
static int64_t latency(struct sim *sim, int32_t kind)
{
    struct dice *dice = &sim->door_dice;
    if (sim->setup.calm)
        return is_the_worlds(kind) ? 20000 : 0;
    if (is_the_worlds(kind))
        return dice_falls(dice, 20) ? (int64_t)dice_below(dice, 30000) * 1000 : (int64_t)dice_below(dice, 200) * 1000;
    if (dice_falls(dice, 700))
        return 0;
    return dice_falls(dice, 10) ? (int64_t)dice_below(dice, 60000) * 1000 : (int64_t)dice_below(dice, 50) * 1000;
}

/* What a store says that does not do it. */
static int32_t failure(struct sim *sim)
{
    static const int32_t says[] = { MAILSRV_TEMP, MAILSRV_TEMP, MAILSRV_FULL, MAILSRV_NOMEM, MAILSRV_LIMIT };
    return says[dice_below(&sim->door_dice, sizeof says / sizeof says[0])];
}

static void take(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct sim *sim = user;
    int32_t status = MAILSRV_OK;
    sim->ops++;
    if (op->kind == MAILSRV_OP_BODY_COMMIT && ledger_number(body_of(sim, op)) == 0)
        notice_asked(sim, body_of(sim, op));
    if (sim->setup.splits && !sim->ending)
        modes_split(sim);
    if (sim->ops == sim->setup.crash_at && !sim->ending)
        sim->crashing = true;
    if (sim->crashing) {
        hold(sim, engine, op, status);
        return;
    }
    if (!sim_heals(sim) && may_fail(op->kind) && dice_falls(&sim->door_dice, 15))
        status = failure(sim);
    int64_t late_us = latency(sim, op->kind);
    if (late_us == 0) {
        answer(sim, engine, op, status);
        return;
    }
    struct held *held = hold(sim, engine, op, status);
    held->page = status == MAILSRV_OK ? page_of(sim, op) : NULL;
    if (held->page != NULL && !sim_heals(sim) && dice_falls(&sim->door_dice, 200))
        late_us = (int64_t)dice_below(&sim->door_dice, 600) * SECOND;
    clock_set(&sim->clock, &held->answers, late_us);
}

void door_open(struct sim *sim)
{
    size_t n = sizeof kinds / sizeof kinds[0] - !sim->setup.asks; /* RETRY is the last */
    for (size_t i = 0; i < n; i++)
        sim_expect(sim, mailsrv_engine_serve(sim->engine, kinds[i], take, sim) == MAILSRV_OK, "a kind is not served");
}

void door_crash(struct sim *sim)
{
    while (sim->held != NULL) {
        struct held held = *sim->held;
        bool is_done = sim->setup.crash_at != 0 ? sim->setup.crash_does : dice_falls(&sim->crash_dice, 500);
        let_go(sim->held);
        if (is_done && held.status == MAILSRV_OK && !is_the_worlds(held.op->kind))
            to_store(sim, held.engine, held.op);
        page_free(held.page);
    }
    while (sim->bodies != NULL)
        drop_body(&sim->bodies);
}
